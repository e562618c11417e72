/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo privacy plan: from what an organisation promises and how long a job trains to the numbers
 * of plan.yaml and policy.yaml.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/guard.h"
#include "policy/accountant/filter.h"
#include "policy/ledger/privacyledger.h"
#include "policy/privacyquote.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"
#include "trainer/trainer.h"

#define NOISE_MAX RN_DP_NOISE_MAX /* of a plan */

struct plan_settings {
    uint64_t records, batch, rounds, steps, retries, plans, rows;
    double epsilon, delta, clip;
};

struct proposal {
    struct rn_privacy_terms terms;
    struct rn_privacy_plan plan; /* one of them */
    double rate;
    struct rn_privacy_value epsilon; /* of one plan, by PLD */
};

static void terms_fill(const struct plan_settings *s, struct rn_privacy_terms *out)
{
    *out = (struct rn_privacy_terms){
        .unit = s->rows > 1 ? RN_PRIVACY_UNIT_PERSON : RN_PRIVACY_UNIT_RECORD,
        .group = (uint32_t)s->rows,
        .lineage = "data",
        .records_max = s->records,
        .adjacency = RN_PRIVACY_ADD_REMOVE,
        .epsilon = s->epsilon,
        .delta = s->delta > 0 ? s->delta : rn_privacy_delta_default(s->records),
    };
}

static void plan_fill(const struct plan_settings *s, struct proposal *out)
{
    const uint64_t threshold = rn_privacy_threshold(out->rate);
    out->plan = (struct rn_privacy_plan){
        .name = "plan",
        .rounds = (uint32_t)s->rounds,
        .trainings = (uint32_t)(s->rounds + s->retries),
        .steps = (uint32_t)s->steps,
        .sampler = threshold == UINT64_MAX ? RN_PRIVACY_SAMPLER_ALL : RN_PRIVACY_SAMPLER_POISSON,
        .threshold = threshold,
        .cap = (uint32_t)s->batch,
        .clip = s->clip,
        .grid = RN_PRIVACY_GRID,
        .denominator = (double)s->batch,
    };
}

/* Least noise at which all plans keep the filter within the promise: at its order the filter's
 * bound is the conversion of the Renyi accountant. */
static rn_result noise_find(const struct plan_settings *s, struct proposal *out,
                            struct rn_error *err)
{
    const double delta = rn_privacy_terms_delta(&out->terms);
    const uint64_t events = (uint64_t)out->plan.trainings * out->plan.steps * s->plans;
    struct rn_privacy_event event = rn_privacy_plan_event(&out->terms, &out->plan, events);
    const rn_result found = rn_account_event_noise(&event, delta, out->terms.epsilon,
                                                   RN_ACCOUNTANT_RDP, &out->plan.noise, err);
    RN_ENSURE(found.code != RN_E_REFUSED && (!rn_is_ok(found) || out->plan.noise <= NOISE_MAX), err,
              RN_E_USAGE,
              "no noise a plan may have (%g at most) keeps epsilon %g over so many steps: fewer "
              "--rounds, --steps or a smaller --batch",
              NOISE_MAX, out->terms.epsilon);
    RN_TRY(found);
    event.noise = out->plan.noise;
    out->terms.order = rn_filter_order(&event, 1, out->terms.epsilon, delta);
    return rn_privacy_terms_derive(&out->terms, err);
}

/* Fewest records that a step may be cut to, with the promise's share of delta for all plans. */
static rn_result cap_find(const struct plan_settings *s, struct proposal *out, struct rn_error *err)
{
    const double share = rn_privacy_terms_apart(&out->terms) / (2.0 * (double)s->plans);
    while (rn_privacy_plan_cut(&out->terms, &out->plan) > share) {
        out->plan.cap += 1 + out->plan.cap / 64;
        RN_ENSURE(out->plan.cap <= 4096, err, RN_E_USAGE,
                  "a step would have to hold more than 4096 records: a smaller --batch");
    }
    return rn_ok();
}

static rn_result propose(const struct plan_settings *s, struct proposal *out, struct rn_error *err)
{
    RN_ENSURE(s->batch <= s->records, err, RN_E_USAGE, "--batch exceeds --dp-records");
    out->rate = (double)s->batch / (double)s->records;
    terms_fill(s, &out->terms);
    plan_fill(s, out);
    RN_TRY(noise_find(s, out, err));
    RN_TRY(cap_find(s, out, err));
    const struct rn_privacy_event event = rn_privacy_plan_event(
        &out->terms, &out->plan, (uint64_t)out->plan.trainings * out->plan.steps);
    return rn_account_epsilon(&event, 1, rn_privacy_terms_delta(&out->terms), RN_ACCOUNTANT_PLD,
                              &out->epsilon, err);
}

static rn_result print_json(const struct proposal *p, struct rn_error *err)
{
    json_t *plan = json_pack("{s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "rate", p->rate, "noise",
                             p->plan.noise, "clip", p->plan.clip, "denominator",
                             p->plan.denominator, "batch", (json_int_t)p->plan.cap, "rounds",
                             (json_int_t)p->plan.rounds, "steps", (json_int_t)p->plan.steps,
                             "retries", (json_int_t)(p->plan.trainings - p->plan.rounds));
    json_t *policy =
        json_pack("{s:f, s:f, s:f, s:I, s:I}", "epsilon", p->terms.epsilon, "delta", p->terms.delta,
                  "order", p->terms.order, "records", (json_int_t)p->terms.records_max, "rows",
                  (json_int_t)p->terms.group);
    return rn_json_print(json_pack("{s:o, s:o, s:f, s:f}", "plan", plan, "policy", policy,
                                   "epsilon_plan", p->epsilon.upper, "epsilon_plan_lower",
                                   p->epsilon.lower),
                         err);
}

static void print_text(const struct plan_settings *s, const struct proposal *p)
{
    char rows[64] = "";
    if (p->terms.group > 1) {
        (void)rn_text_format(rows, sizeof rows, " --dp-unit person --dp-rows %u", p->terms.group);
    }
    (void)printf("For the operator (rondo init, rondo plan new):\n"
                 "  --dp-sampling-rate %.17g --dp-noise %.6g --dp-clip %g --dp-denominator %g \\\n"
                 "  --batch %u --rounds %u --steps %u --dp-retries %u\n"
                 "For each member (rondo join):\n"
                 "  --dp-epsilon %g --dp-records %llu --dp-delta %g --dp-order %.9g%s\n\n",
                 p->rate, p->plan.noise, p->plan.clip, p->plan.denominator, p->plan.cap,
                 p->plan.rounds, p->plan.steps, p->plan.trainings - p->plan.rounds,
                 p->terms.epsilon, (unsigned long long)p->terms.records_max, p->terms.delta,
                 p->terms.order, rows);
    (void)printf("%llu plan(s) of these use up epsilon %g at delta %g, whatever is decided in "
                 "between\n(filter at order %.4g); one of them alone costs %.4g (by PLD).\n",
                 (unsigned long long)s->plans, p->terms.epsilon, p->terms.delta, p->terms.order,
                 p->epsilon.upper);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct plan_settings *s = command->settings;
    struct proposal proposal;
    RN_TRY(propose(s, &proposal, err));
    if (command->json) {
        return print_json(&proposal, err);
    }
    print_text(s, &proposal);
    return rn_ok();
}

static const struct rn_option options[] = {
    {"dp-records", RN_OPT_COUNT(struct plan_settings, records, "N"), .required = true, .least = 1,
     .most = 1e9,
     .help = "public bound on the records of a member, for ever; the smallest member's counts"},
    {"dp-epsilon", RN_OPT_NUMBER(struct plan_settings, epsilon, "E"), .required = true,
     .least = 0x1p-10, .most = 100, .help = "of everything ever released over the data"},
    {"dp-delta", RN_OPT_NUMBER(struct plan_settings, delta, "D"), .least = 1e-30, .most = 0.1,
     .help = "without: N to the power of -1.1"},
    {"batch", RN_OPT_COUNT(struct plan_settings, batch, "N"), .fallback = "32", RN_BOUNDS_BATCH,
     .help = "records of a step, on average"},
    {"rounds", RN_OPT_COUNT(struct plan_settings, rounds, "N"), .fallback = "8", RN_BOUNDS_ROUNDS,
     .help = "of one plan"},
    {"steps", RN_OPT_COUNT(struct plan_settings, steps, "N"), .fallback = "50", RN_BOUNDS_STEPS,
     .help = "local steps a round"},
    {"dp-retries", RN_OPT_COUNT(struct plan_settings, retries, "N"), .fallback = "2",
     .most = 100000, .help = "trainings of one plan beyond one a round"},
    {"plans", RN_OPT_COUNT(struct plan_settings, plans, "N"), .fallback = "1", .least = 1,
     .most = RN_PRIVACY_PLANS_MAX, .help = "plans that are to share the budget"},
    {"dp-clip", RN_OPT_NUMBER(struct plan_settings, clip, "C"), .fallback = "1",
     .least = RN_DP_CLIP_MIN, .most = RN_DP_CLIP_MAX,
     .help = "most that one record's gradient is long; costs nothing"},
    {"dp-rows", RN_OPT_COUNT(struct plan_settings, rows, "K"), .fallback = "1", .least = 1,
     .most = RN_PRIVACY_GROUP_MAX, .help = "most records of one person, who is protected then"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Programme", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_privacy_plan = {
    .name = "privacy plan",
    .summary = "the noise, and all that a plan and a policy need, for a promise",
    .groups = groups,
    .settings_size = sizeof(struct plan_settings),
    .exits = RN_EXITS(65),
    .detail =
        "The noise is such that the filter of the ledger, which bounds plans chosen one after the "
        "other, holds exactly --plans of these plans. A plan alone costs less, by PLD.",
    .examples = "  rondo privacy plan --dp-records 20000 --dp-epsilon 8 --rounds 20 --steps 25\n"
                "  rondo privacy plan --dp-records 20000 --dp-epsilon 8 --plans 3 --format json",
    .run = run,
};
