/* SPDX-License-Identifier: Apache-2.0
 *
 * DP-SGD on the command line.
 */
#include "services/cli/desk/privatetrain.h"

#include "base/guard.h"

#include <string.h>

const struct rn_option rn_private_train_options[] = {
    {"dp-clip", RN_OPT_NUMBER(struct rn_private_train, clip, "C"), .least = RN_DP_CLIP_MIN,
     .most = RN_DP_CLIP_MAX,
     .help =
         "DP-SGD: bound of each record's gradient. Nothing is charged to a ledger, so no epsilon "
         "is claimed; `rondo privacy epsilon` computes one"},
    {"dp-noise", RN_OPT_NUMBER(struct rn_private_train, noise, "SIGMA"), .least = 1e-6,
     .most = RN_DP_NOISE_MAX, .help = "noise on the sum, in units of --dp-clip"},
    {"dp-clipping", RN_OPT_CHOICE(struct rn_private_train, clipping, "flat|automatic"),
     .fallback = "flat",
     .help = "automatic: every record's gradient is brought to nearly --dp-clip, which is then a "
             "factor of the learning rate"},
    {"dp-grid", RN_OPT_COUNT(struct rn_private_train, grid, "N"), .least = 1,
     .most = RN_DP_GRID_MAX, .help = "whole steps in --dp-clip"},
    {"dp-denominator", RN_OPT_NUMBER(struct rn_private_train, denominator, "X"), .least = 1,
     .most = RN_DP_DENOMINATOR_MAX,
     .help = "public number that the sum is divided by; --batch where that counts"},
    {"dp-sampling-rate", RN_OPT_NUMBER(struct rn_private_train, rate, "Q"), .least = 0x1p-64,
     .most = 1, .help = "Poisson sampling of each record, instead of --batch"},
    {"dp-picks", RN_OPT_COUNT(struct rn_private_train, picks, "K"), .least = 1, .most = 1000000,
     .help = "each record in exactly K of the steps, at random, instead of --batch"},
    {"dp-batch-cap", RN_OPT_COUNT(struct rn_private_train, cap, "N"), .least = 1,
     .most = RN_TRAINER_BATCH_MAX, .help = "records that a drawn batch is cut to"},
    {NULL}};

static rn_result check(const struct rn_private_train *p, const struct rn_command *command,
                       struct rn_error *err)
{
    static const char *const others[] = {"dp-noise",       "dp-clipping",      "dp-grid",
                                         "dp-denominator", "dp-sampling-rate", "dp-picks",
                                         "dp-batch-cap"};
    const bool poisson = rn_command_given(command, "dp-sampling-rate");
    const bool allocated = rn_command_given(command, "dp-picks");
    const bool sampled = poisson || allocated;
    const char *const way = allocated ? "dp-picks" : "dp-sampling-rate";
    for (size_t i = 0; i < RN_ARRAY_LENGTH(others); i++) {
        RN_ENSURE(p->on || !rn_command_given(command, others[i]), err, RN_E_USAGE,
                  "--%s needs --dp-clip", others[i]);
    }
    if (!p->on) {
        return rn_ok();
    }
    RN_ENSURE(rn_command_given(command, "dp-noise"), err, RN_E_USAGE, "--dp-clip needs --dp-noise");
    RN_ENSURE(!rn_command_given(command, "clip"), err, RN_E_USAGE,
              "--clip and --dp-clip exclude each other");
    RN_ENSURE(sampled == rn_command_given(command, "dp-batch-cap"), err, RN_E_USAGE,
              "--%s and --dp-batch-cap go together", way);
    RN_ENSURE(!poisson || !allocated, err, RN_E_USAGE,
              "--dp-sampling-rate and --dp-picks exclude each other");
    RN_ENSURE(
        !sampled || rn_command_given(command, "dp-denominator"), err, RN_E_USAGE,
        "--%s needs --dp-denominator: a public number, such as the rate times a public number "
        "of records",
        way);
    RN_ENSURE(!sampled || rn_command_given(command, "steps"), err, RN_E_USAGE,
              "--%s needs --steps: epochs would tell the number of records", way);
    RN_ENSURE(!sampled ||
                  (!rn_command_given(command, "batch") && !rn_command_given(command, "no-shuffle")),
              err, RN_E_USAGE, "--%s excludes --batch and --no-shuffle", way);
    return rn_ok();
}

rn_result rn_private_train_settle(struct rn_private_train *p, const struct rn_command *command,
                                  struct rn_train_spec *spec, struct rn_error *err)
{
    const bool allocated = rn_command_given(command, "dp-picks");
    const bool sampled = allocated || rn_command_given(command, "dp-sampling-rate");
    p->on = rn_command_given(command, "dp-clip");
    RN_TRY(check(p, command, err));
    if (!p->on) {
        return rn_ok();
    }
    RN_TRY(rn_dp_source_draw(&p->source, err));
    spec->clip = 0.0;
    spec->batch = sampled ? (uint32_t)p->cap : spec->batch;
    spec->dp = &p->spec;
    p->spec = (struct rn_dp_spec){
        .clip_norm = p->clip,
        .clipping = strcmp(p->clipping, "automatic") == 0 ? RN_DP_CLIP_AUTOMATIC : RN_DP_CLIP_FLAT,
        .noise_multiplier = p->noise,
        .grid = (uint32_t)p->grid,
        .denominator =
            rn_command_given(command, "dp-denominator") ? p->denominator : (double)spec->batch,
        .sampling = allocated ? RN_DP_ALLOCATION
                    : sampled ? RN_DP_POISSON
                              : RN_DP_BATCHES,
        .threshold = sampled && !allocated ? rn_dp_threshold(p->rate) : 0,
        .picks = (uint32_t)p->picks,
        .diagnostics = &p->seen,
    };
    rn_dp_source_lend(&p->source, false, &p->spec);
    return rn_ok();
}

void rn_private_train_clear(struct rn_private_train *p)
{
    rn_dp_source_clear(&p->source);
}

struct rn_train_report rn_private_train_report(const struct rn_private_train *p,
                                               const struct rn_train_report *report)
{
    struct rn_train_report out = *report;
    if (p->on) {
        out.loss_sum = p->seen.loss_sum;
        out.loss_first = p->seen.loss_first;
        out.loss_last = p->seen.loss_last;
        out.examples = p->seen.examples;
        out.tokens = p->seen.tokens;
        out.seconds = p->seen.seconds;
    }
    return out;
}
