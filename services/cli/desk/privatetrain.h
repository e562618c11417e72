/* SPDX-License-Identifier: Apache-2.0
 *
 * DP-SGD on the command line: the --dp-* options of `rondo train`, the keys behind them, and what
 * the owner of the data may see of a run. No accountant is here: nothing of this claims an epsilon.
 */
#ifndef RN_SERVICES_CLI_DESK_PRIVATETRAIN_H
#define RN_SERVICES_CLI_DESK_PRIVATETRAIN_H

#include "crypto/noise.h"
#include "services/cli/kit/commands.h"
#include "trainer/trainer.h"

/* What the options fill. Zeroed = not asked for. */
struct rn_private_train {
    double clip, noise, denominator, rate;
    const char *clipping;
    uint64_t grid, cap, picks;
    bool on;
    uint32_t threads; /* that draw noise, set by the caller before the training; 0 is 1 */
    /* After rn_private_train_settle. */
    struct rn_noise noises;
    struct rn_stream samples;
    struct rn_dp_spec spec;
    struct rn_dp_diagnostics seen;
};

/* Table bound to a struct rn_private_train. */
extern const struct rn_option rn_private_train_options[];

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
