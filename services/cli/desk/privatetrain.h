/* SPDX-License-Identifier: Apache-2.0
 *
 * DP-SGD on the command line: the --dp-* options of `rondo train`, the keys behind them, and what
 * the owner of the data may see of a run. No accountant is here: nothing of this claims an epsilon.
 */
#ifndef RN_SERVICES_CLI_DESK_PRIVATETRAIN_H
#define RN_SERVICES_CLI_DESK_PRIVATETRAIN_H

#include "crypto/noise.h"
#include "services/cli/kit/options.h"
#include "trainer/trainer.h"

/* What the options fill. Zeroed = not asked for. */
struct rn_private_train {
    double clip, noise, denominator, rate;
    uint64_t grid, cap;
    bool on;
    /* After rn_private_train_settle. */
    struct rn_noise noises;
    struct rn_stream samples;
    struct rn_dp_spec spec;
    struct rn_dp_diagnostics seen;
};

/* Rows for an option table; p is a struct rn_private_train. */
#define RN_PRIVATE_TRAIN_OPTIONS(p)                                                               \
    {"dp-clip",                                                                                   \
     "C",                                                                                         \
     RN_OPTION_NUMBER,                                                                            \
     &(p).clip,                                                                                   \
     .least = RN_DP_CLIP_MIN,                                                                     \
     .most = RN_DP_CLIP_MAX,                                                                      \
     .help =                                                                                      \
         "DP-SGD: bound of each record's gradient. Experimental: no accountant\nyet, therefore "  \
         "no epsilon is claimed"},                                                                \
        {"dp-noise",                                                                              \
         "SIGMA",                                                                                 \
         RN_OPTION_NUMBER,                                                                        \
         &(p).noise,                                                                              \
         .least = 1e-6,                                                                           \
         .most = RN_DP_NOISE_MAX,                                                                 \
         .help = "noise on the sum, in units of --dp-clip"},                                      \
        {"dp-grid",                                                                               \
         "N",                                                                                     \
         RN_OPTION_COUNT,                                                                         \
         &(p).grid,                                                                               \
         .least = 1,                                                                              \
         .most = RN_DP_GRID_MAX,                                                                  \
         .help = "whole steps in --dp-clip"},                                                     \
        {"dp-denominator",                                                                        \
         "X",                                                                                     \
         RN_OPTION_NUMBER,                                                                        \
         &(p).denominator,                                                                        \
         .least = 1,                                                                              \
         .most = RN_DP_DENOMINATOR_MAX,                                                           \
         .help = "public number that the sum is divided by; --batch where that counts"},          \
        {"dp-sampling-rate",                                                                      \
         "Q",                                                                                     \
         RN_OPTION_NUMBER,                                                                        \
         &(p).rate,                                                                               \
         .least = 0x1p-64,                                                                        \
         .most = 1,                                                                               \
         .help = "Poisson sampling of each record, instead of --batch"},                          \
    {                                                                                             \
        "dp-batch-cap", "N", RN_OPTION_COUNT, &(p).cap, .least = 1, .most = RN_TRAINER_BATCH_MAX, \
                                                        .help = "records that a drawn batch is "  \
                                                                "cut to"                          \
    }

/* Checks the options against each other and against those of plain training; with --dp-clip draws
 * keys from the system and changes spec (clip 0, batch the cap, dp). spec borrows from p. */
RN_MUST rn_result rn_private_train_settle(struct rn_private_train *p,
                                          const struct rn_command *command,
                                          struct rn_train_spec *spec, struct rn_error *err);
/* Wipes. */
void rn_private_train_clear(struct rn_private_train *p);

/* For the owner's screen: the report with the numbers that rn_trainer_train keeps to itself. */
struct rn_train_report rn_private_train_report(const struct rn_private_train *p,
                                               const struct rn_train_report *report);

#endif
