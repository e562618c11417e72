/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo-bench audit: does the mechanism keep the epsilon that is claimed for it?
 */
#include "base/guard.h"
#include "policy/accountant/accountant.h"
#include "services/bench/auditrun.h"
#include "services/bench/benchplace.h"
#include "services/bench/benchprogram.h"
#include "services/cli/kit/jsontext.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct audit_settings {
    const char *clipping;
    double epsilon, delta, rate, noise, confidence;
    uint64_t canaries, steps, picks;
};

static struct rn_audit_spec spec_of(const struct audit_settings *s,
                                    const struct rn_bench_place *place)
{
    return (struct rn_audit_spec){
        .dir = place->dir,
        .canaries = (uint32_t)s->canaries,
        .steps = (uint32_t)s->steps,
        .sampling = s->picks > 0 ? RN_DP_ALLOCATION : RN_DP_POISSON,
        .clipping = strcmp(s->clipping, "automatic") == 0 ? RN_DP_CLIP_AUTOMATIC : RN_DP_CLIP_FLAT,
        .rate = s->rate,
        .picks = (uint32_t)s->picks,
        .noise = s->noise,
        .delta = s->delta,
        .confidence = s->confidence,
    };
}

static rn_result account(const struct rn_privacy_event *event, double delta, double *out,
                         struct rn_error *err)
{
    struct rn_privacy_value value;
    RN_TRY(rn_account_epsilon(event, 1, delta, RN_ACCOUNTANT_PLD, &value, err));
    *out = value.upper;
    return rn_ok();
}

/* What may be claimed: given, or by the accountant from the settings. Where it does not know random
 * allocation: what it costs when the steps of every record are known, `picks` Gaussians. */
static rn_result claim(const struct rn_command *command, const struct audit_settings *s,
                       double *out, struct rn_error *err)
{
    struct rn_privacy_event event = {
        .kind = RN_PRIVACY_POISSON, .count = s->steps, .noise = s->noise, .rate = s->rate};
    *out = s->epsilon;
    if (rn_command_given(command, "epsilon")) {
        return rn_ok();
    }
    if (s->picks == 0) {
        return account(&event, s->delta, out, err);
    }
    event.kind = RN_PRIVACY_ALLOCATION;
    event.count = 1;
    event.picks = (uint32_t)s->picks;
    event.slots = (uint32_t)s->steps;
    const rn_result result = account(&event, s->delta, out, err);
    if (result.code != RN_E_UNSUPPORTED) {
        return result;
    }
    event.kind = RN_PRIVACY_GAUSSIAN;
    event.count = s->picks;
    return account(&event, s->delta, out, err);
}

static rn_result print_json(const struct audit_settings *s, double claimed,
                            const struct rn_audit_result *found, struct rn_error *err)
{
    return rn_json_print(
        json_pack("{s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:s, s:b, s:b}", "epsilon_claimed",
                  claimed, "epsilon_at_least", found->epsilon, "delta", s->delta, "confidence",
                  s->confidence, "canaries", (json_int_t)s->canaries, "members",
                  (json_int_t)found->members, "guesses", (json_int_t)found->guesses, "right",
                  (json_int_t)found->right, "score", found->score, "both_sides",
                  (int)found->both_sides, "holds", (int)(found->epsilon <= claimed)),
        err);
}

static void print_text(const struct audit_settings *s, double claimed,
                       const struct rn_audit_result *found)
{
    printf("claimed    epsilon %.4f at delta %g\n", claimed, s->delta);
    printf("measured   epsilon at least %.4f, with confidence %g\n", found->epsilon, s->confidence);
    printf("           %u of %u guesses right, of %u canaries of which %u were in; by the %s over "
           "the steps\n",
           found->right, found->guesses, (unsigned)s->canaries, found->members, found->score);
    printf("%s\n", found->epsilon <= claimed ? "no contradiction"
                                             : "CONTRADICTION: less private than claimed");
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct audit_settings *s = command->settings;
    RN_CLEANUP(rn_bench_place_close) struct rn_bench_place place = {.kept = NULL};
    struct rn_audit_result found;
    double claimed = 0.0;
    RN_ENSURE((s->picks > 0) != rn_command_given(command, "sampling-rate"), err, RN_E_USAGE,
              "give one of --sampling-rate and --picks");
    RN_TRY(claim(command, s, &claimed, err));
    RN_TRY(rn_bench_place_open(NULL, &place, err));
    const struct rn_audit_spec spec = spec_of(s, &place);
    RN_TRY(rn_audit_run(&spec, &found, err));
    if (command->json) {
        RN_TRY(print_json(s, claimed, &found, err));
    } else {
        print_text(s, claimed, &found);
    }
    RN_ENSURE(found.epsilon <= claimed, err, RN_E_REFUSED,
              "epsilon is at least %.4f, and %.4f was claimed", found.epsilon, claimed);
    return rn_ok();
}

static const struct rn_option options[] = {
    {"epsilon", RN_OPT_NUMBER(struct audit_settings, epsilon, "X"), .least = 0, .most = 1000,
     .help = "what is claimed for these settings; without: what the accountant says of them"},
    {"delta", RN_OPT_NUMBER(struct audit_settings, delta, "X"), .fallback = "0.00001",
     .least = 1e-300, .most = 0.5, .help = "at this delta"},
    {"noise", RN_OPT_NUMBER(struct audit_settings, noise, "SIGMA"), .required = true, .least = 1e-6,
     .most = RN_DP_NOISE_MAX, .help = "noise multiplier"},
    {"clipping", RN_OPT_CHOICE(struct audit_settings, clipping, "flat|automatic"),
     .fallback = "flat", .help = "as in rondo train --dp-clipping"},
    {"sampling-rate", RN_OPT_NUMBER(struct audit_settings, rate, "Q"), .least = 0x1p-64, .most = 1,
     .help = "Poisson sampling"},
    {"picks", RN_OPT_COUNT(struct audit_settings, picks, "K"), .least = 1,
     .most = RN_AUDIT_STEPS_MAX, .help = "random allocation: each record in K of the steps"},
    {"steps", RN_OPT_COUNT(struct audit_settings, steps, "N"), .fallback = "20", .least = 1,
     .most = RN_AUDIT_STEPS_MAX, .help = "noisy steps"},
    {"canaries", RN_OPT_COUNT(struct audit_settings, canaries, "N"), .fallback = "512",
     .least = RN_AUDIT_CANARIES_MIN, .most = RN_AUDIT_CANARIES_MAX,
     .help = "records that are in the data or not, half of them each"},
    {"confidence", RN_OPT_NUMBER(struct audit_settings, confidence, "X"), .fallback = "0.95",
     .least = 0.5, .most = 0.999999, .help = "of the measured bound"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Audit", options, 0}, {NULL}};

const struct rn_command_def rn_bench_audit = {
    .name = "audit",
    .summary = "look whether differential privacy holds, in one training",
    .groups = groups,
    .settings_size = sizeof(struct audit_settings),
    .exits = RN_EXITS(71, 74, 79, 81),
    .detail =
        "Trains a toy model with the real mechanism on records that a fair coin puts in or leaves "
        "out, guesses the coins from the adapter after every step, and says how large epsilon must "
        "be for so many guesses to be right (Steinke, Nasr and Jagielski 2023; with all records in "
        "all steps Mahloujifar, Melis and Chaudhuri 2024). A lower bound: "
        "one above the claim proves a fault, one below it proves nothing.",
    .examples = "  rondo-bench audit --noise 1 --sampling-rate 1 --steps 1\n"
                "  rondo-bench audit --noise 1 --picks 2 --steps 20\n"
                "  rondo-bench audit --noise 1 --sampling-rate 0.05 --steps 200 --epsilon 2",
    .run = run,
};
