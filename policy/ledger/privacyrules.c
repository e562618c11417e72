/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ledger/privacyrules.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/guard.h"

static bool is_zero(const uint8_t hash[static 32])
{
    static const uint8_t zeros[32];
    return memcmp(hash, zeros, sizeof zeros) == 0;
}

/* ---- Values. */

static rn_result header_values(const struct rn_privacy_terms *terms, struct rn_error *err)
{
    struct rn_identity_public key;
    memcpy(key.bytes, terms->identity, sizeof key.bytes);
    RN_ENSURE(terms->version == RN_PRIVACY_VERSION, err, RN_E_CONFIG,
              "version %" PRIu32 " of the format is none that is known", terms->version);
    RN_ENSURE(rn_identity_public_valid(&key), err, RN_E_CONFIG, "the identity is no valid key");
    return rn_privacy_terms_check(terms, err);
}

static rn_result release_values(const struct rn_privacy_release *release, struct rn_error *err)
{
    const bool constant = release->mechanism == RN_PRIVACY_CONSTANT;
    RN_ENSURE(release->epsilon >= 0 && release->epsilon <= RN_PRIVACY_EPSILON_MAX &&
                  release->delta >= 0 && release->delta < 1,
              err, RN_E_CONFIG, "a release states an epsilon of 0 to %g and a delta below 1",
              RN_PRIVACY_EPSILON_MAX);
    RN_ENSURE(!constant || (release->epsilon <= 0 && release->delta <= 0), err, RN_E_CONFIG,
              "a constant release costs nothing: epsilon and delta are 0");
    return rn_ok();
}

static rn_result plan_values(const struct rn_privacy_ledger *ledger,
                             const struct rn_privacy_record *record, struct rn_error *err)
{
    const struct rn_privacy_plan *plan = &record->as.plan;
    RN_ENSURE(record->kind == rn_privacy_plan_kind(plan), err, RN_E_CONFIG,
              "a plan has shares of noise, of 1 or more honest members, as a shared record alone");
    return rn_privacy_plan_check(&ledger->terms, plan, err);
}

static rn_result commit_values(const struct rn_privacy_commit *commit, struct rn_error *err)
{
    const bool failed = commit->status == RN_PRIVACY_FAILED;
    RN_ENSURE(failed == is_zero(commit->output), err, RN_E_CONFIG,
              "a training that failed has no output, and every other one has: the hash is zero "
              "with that status alone");
    return rn_ok();
}

rn_result rn_privacy_rules_values(const struct rn_privacy_ledger *ledger,
                                  const struct rn_privacy_record *record, struct rn_error *err)
{
    switch (record->kind) {
    case RN_PRIVACY_RECORD_HEADER:
        return header_values(&record->as.header, err);
    case RN_PRIVACY_RECORD_PLAN:
    case RN_PRIVACY_RECORD_SHARED:
        return plan_values(ledger, record, err);
    case RN_PRIVACY_RECORD_COMMIT:
        return commit_values(&record->as.commit, err);
    case RN_PRIVACY_RECORD_RELEASE:
        return release_values(&record->as.release, err);
    default:
        return rn_ok(); /* any value is one, or is derived, or stands in the plan */
    }
}

/* ---- Order. */

static rn_result is_open(const struct rn_privacy_ledger *ledger, const uint8_t plan[static 32],
                         struct rn_error *err)
{
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    RN_ENSURE(open != NULL && memcmp(open->plan.hash, plan, 32) == 0, err, RN_E_REFUSED,
              "the plan is not open in the privacy ledger: it is begun before its first training");
    return rn_ok();
}

static rn_result none_open(const struct rn_privacy_ledger *ledger, struct rn_error *err)
{
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    RN_ENSURE(open == NULL, err, RN_E_REFUSED,
              "plan %s is open in the privacy ledger: an identity runs one plan at a time; close "
              "that one first",
              open->plan.name);
    return rn_ok();
}

static rn_result plan_order(const struct rn_privacy_ledger *ledger,
                            const struct rn_privacy_plan *plan, struct rn_error *err)
{
    RN_TRY(none_open(ledger, err));
    RN_ENSURE(rn_privacy_ledger_find(ledger, plan->hash) == NULL, err, RN_E_REFUSED,
              "plan %s stands in the privacy ledger and is closed: a plan runs once", plan->name);
    RN_ENSURE(ledger->plan_count < RN_PRIVACY_PLANS_MAX, err, RN_E_REFUSED,
              "the privacy ledger holds %u plans, the most there can be", RN_PRIVACY_PLANS_MAX);
    return rn_ok();
}

/* Trained in a round: bits of RN_PRIVACY_MATRICES_. RoLoRA trains one of both, which one being the
 * plan's business. */
static bool method_trains(enum rn_plan_method method, enum rn_privacy_matrices matrices)
{
    switch (method) {
    case RN_METHOD_ROLORA:
        return matrices == RN_PRIVACY_MATRICES_A || matrices == RN_PRIVACY_MATRICES_B;
    case RN_METHOD_FFA_LORA:
        return matrices == RN_PRIVACY_MATRICES_B;
    case RN_METHOD_FEDAVG_LORA:
        return matrices == RN_PRIVACY_MATRICES_BOTH;
    }
    return false;
}

static rn_result intent_order(const struct rn_privacy_ledger *ledger,
                              const struct rn_privacy_intent *intent, struct rn_error *err)
{
    RN_TRY(is_open(ledger, intent->plan, err));
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    RN_ENSURE(open->begun < open->plan.trainings, err, RN_E_REFUSED,
              "plan %s has begun all of its %" PRIu32 " trainings, retries included",
              open->plan.name, open->plan.trainings);
    RN_ENSURE(intent->round >= 1 && intent->round <= open->plan.rounds &&
                  intent->round >= open->round,
              err, RN_E_REFUSED,
              "round %" PRIu32 " is none of plan %s, which has %" PRIu32 " rounds and is at round "
              "%" PRIu32,
              intent->round, open->plan.name, open->plan.rounds, open->round);
    RN_ENSURE(intent->steps == open->plan.steps, err, RN_E_REFUSED,
              "a training of plan %s has %" PRIu32 " steps, not %" PRIu32, open->plan.name,
              open->plan.steps, intent->steps);
    RN_ENSURE(method_trains(open->plan.method, intent->matrices), err, RN_E_REFUSED,
              "the method of plan %s does not train these matrices", open->plan.name);
    return rn_ok();
}

static rn_result commit_order(const struct rn_privacy_ledger *ledger,
                              const struct rn_privacy_commit *commit, struct rn_error *err)
{
    const struct rn_privacy_commit *before = &ledger->commit;
    RN_ENSURE(commit->counter >= 1 && commit->counter == ledger->counter, err, RN_E_REFUSED,
              "training %" PRIu64 " is not the latest that the privacy ledger has begun, %" PRIu64,
              commit->counter, ledger->counter);
    RN_TRY(is_open(ledger, ledger->intent.plan, err));
    if (!ledger->committed) {
        return rn_ok();
    }
    RN_ENSURE(before->status != RN_PRIVACY_FAILED && commit->status != RN_PRIVACY_FAILED &&
                  memcmp(before->output, commit->output, 32) == 0,
              err, RN_E_REFUSED,
              "training %" PRIu64 " has an output or has failed already: a training has one output",
              commit->counter);
    RN_ENSURE(before->status != commit->status, err, RN_E_REFUSED,
              "training %" PRIu64 " is committed with this status already", commit->counter);
    return rn_ok();
}

/* Release events that differ from each other are few. */
static struct rn_privacy_event *release_event(const struct rn_privacy_ledger *ledger,
                                              double epsilon)
{
    for (size_t i = 0; i < ledger->release_event_count; i++) {
        const double kept = ledger->release_events[i].epsilon;
        if (!(kept < epsilon) && !(kept > epsilon)) {
            return &ledger->release_events[i];
        }
    }
    return NULL;
}

static rn_result release_order(const struct rn_privacy_ledger *ledger,
                               const struct rn_privacy_release *release, struct rn_error *err)
{
    RN_ENSURE(release->mechanism == RN_PRIVACY_CONSTANT ||
                  ledger->release_event_count < RN_PRIVACY_RELEASES_MAX ||
                  release_event(ledger, release->epsilon) != NULL,
              err, RN_E_REFUSED,
              "the privacy ledger holds %u different releases, the most there can be",
              RN_PRIVACY_RELEASES_MAX);
    return rn_ok();
}

rn_result rn_privacy_rules_order(const struct rn_privacy_ledger *ledger,
                                 const struct rn_privacy_record *record, struct rn_error *err)
{
    RN_ENSURE((ledger->lines == 0) == (record->kind == RN_PRIVACY_RECORD_HEADER), err, RN_E_REFUSED,
              "a privacy ledger begins with its header and has one");
    RN_ENSURE(ledger->lines < RN_PRIVACY_LINES_MAX, err, RN_E_REFUSED,
              "the privacy ledger holds %llu records, the most there can be", RN_PRIVACY_LINES_MAX);
    switch (record->kind) {
    case RN_PRIVACY_RECORD_PLAN:
    case RN_PRIVACY_RECORD_SHARED:
        return plan_order(ledger, &record->as.plan, err);
    case RN_PRIVACY_RECORD_INTENT:
        return intent_order(ledger, &record->as.intent, err);
    case RN_PRIVACY_RECORD_COMMIT:
        return commit_order(ledger, &record->as.commit, err);
    case RN_PRIVACY_RECORD_CLOSE:
        return is_open(ledger, record->as.close.plan, err);
    case RN_PRIVACY_RECORD_RELEASE:
        return release_order(ledger, &record->as.release, err);
    case RN_PRIVACY_RECORD_NONPRIVATE:
        return none_open(ledger, err);
    default:
        return rn_ok();
    }
}

/* ---- Derived fields. */

static double release_cost(const struct rn_privacy_ledger *ledger,
                           const struct rn_privacy_release *release)
{
    const struct rn_privacy_event event = {
        .kind = RN_PRIVACY_EPSILON_DELTA, .count = 1, .epsilon = release->epsilon};
    return release->epsilon > 0 ? rn_privacy_divergence(&ledger->terms, event) : 0;
}

static double plan_cost(const struct rn_privacy_planstate *plan, uint32_t trainings)
{
    const double events = (double)trainings * plan->plan.steps;
    return events > 0 ? events * plan->divergence : 0;
}

static void plan_derive(const struct rn_privacy_ledger *ledger, struct rn_privacy_plan *plan)
{
    const double events = (double)plan->trainings * plan->steps;
    plan->deviation = plan->honest > 0 ? rn_privacy_share(plan->noise, plan->grid, plan->honest)
                                       : plan->noise * plan->grid;
    plan->cut = rn_privacy_plan_cut(&ledger->terms, plan);
    plan->filter_before = ledger->spent;
    plan->filter_after = ledger->spent + events * rn_privacy_plan_divergence(&ledger->terms, plan);
}

void rn_privacy_rules_derive(const struct rn_privacy_ledger *ledger,
                             struct rn_privacy_record *record)
{
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    switch (record->kind) {
    case RN_PRIVACY_RECORD_HEADER:
        record->as.header.bound = rn_privacy_terms_bound(&record->as.header);
        break;
    case RN_PRIVACY_RECORD_PLAN:
    case RN_PRIVACY_RECORD_SHARED:
        plan_derive(ledger, &record->as.plan);
        break;
    case RN_PRIVACY_RECORD_INTENT:
        record->as.intent.counter = ledger->counter + 1;
        record->as.intent.training = open->begun + 1;
        break;
    case RN_PRIVACY_RECORD_CLOSE:
        record->as.close.trainings = open->begun;
        record->as.close.filter = ledger->spent + plan_cost(open, open->begun);
        break;
    case RN_PRIVACY_RECORD_RELEASE:
        record->as.release.filter =
            rn_privacy_ledger_filter(ledger, false) + release_cost(ledger, &record->as.release);
        break;
    default:
        break;
    }
}

static bool alike(double stated, double derived)
{
    return fabs(stated - derived) <= RN_PRIVACY_SLACK * fabs(derived);
}

static bool plan_alike(const struct rn_privacy_plan *stated, const struct rn_privacy_plan *derived)
{
    return alike(stated->deviation, derived->deviation) &&
           fabs(stated->cut - derived->cut) <= 1e-3 * derived->cut && /* gamma functions differ */
           alike(stated->filter_before, derived->filter_before) &&
           alike(stated->filter_after, derived->filter_after);
}

static bool record_alike(const struct rn_privacy_record *stated,
                         const struct rn_privacy_record *derived)
{
    switch (stated->kind) {
    case RN_PRIVACY_RECORD_HEADER:
        return alike(stated->as.header.bound, derived->as.header.bound);
    case RN_PRIVACY_RECORD_PLAN:
    case RN_PRIVACY_RECORD_SHARED:
        return plan_alike(&stated->as.plan, &derived->as.plan);
    case RN_PRIVACY_RECORD_INTENT:
        return stated->as.intent.counter == derived->as.intent.counter &&
               stated->as.intent.training == derived->as.intent.training;
    case RN_PRIVACY_RECORD_CLOSE:
        return stated->as.close.trainings == derived->as.close.trainings &&
               alike(stated->as.close.filter, derived->as.close.filter);
    case RN_PRIVACY_RECORD_RELEASE:
        return alike(stated->as.release.filter, derived->as.release.filter);
    default:
        return true;
    }
}

rn_result rn_privacy_rules_derived(const struct rn_privacy_record *record,
                                   const struct rn_privacy_record *derived, struct rn_error *err)
{
    RN_ENSURE(record_alike(record, derived), err, RN_E_DATA,
              "a number of this %s record does not follow from the records before it",
              rn_privacy_record_name(record->kind));
    return rn_ok();
}

/* ---- Budget. */

static double apart_of(const struct rn_privacy_planstate *open, uint32_t trainings)
{
    return open->plan.cut * ((double)trainings / open->plan.trainings);
}

static rn_result held(const struct rn_privacy_ledger *ledger, double filter, double apart,
                      double slack, struct rn_error *err)
{
    const struct rn_privacy_terms *terms = &ledger->terms;
    const double bound = rn_privacy_terms_bound(terms);
    RN_ENSURE(
        filter <= bound * (1 + slack), err, RN_E_REFUSED,
        "the privacy budget of lineage %s does not hold it: the filter's sum would be %.6g of "
        "%.6g (order %g, epsilon %g); fewer rounds, retries or steps, or more noise, cost less",
        terms->lineage, filter, bound, terms->order, terms->epsilon);
    RN_ENSURE(apart <= rn_privacy_terms_apart(terms) * (1 + slack), err, RN_E_REFUSED,
              "cutting large draws and releases would take %.3g of delta, %.3g is set apart for "
              "them: a larger batch, or a smaller sampling rate, is cut less often",
              apart, rn_privacy_terms_apart(terms));
    return rn_ok();
}

static rn_result release_budget(const struct rn_privacy_ledger *ledger,
                                const struct rn_privacy_release *release, double slack,
                                struct rn_error *err)
{
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    const double reserved = open != NULL ? apart_of(open, open->plan.trainings) : 0;
    return held(ledger, rn_privacy_ledger_filter(ledger, true) + release_cost(ledger, release),
                ledger->apart + reserved + release->delta, slack, err);
}

rn_result rn_privacy_rules_budget(const struct rn_privacy_ledger *ledger,
                                  const struct rn_privacy_record *record, double slack,
                                  struct rn_error *err)
{
    const struct rn_privacy_plan *plan = &record->as.plan;
    switch (record->kind) {
    case RN_PRIVACY_RECORD_PLAN:
    case RN_PRIVACY_RECORD_SHARED:
        return held(ledger, plan->filter_after, ledger->apart + plan->cut, slack, err);
    case RN_PRIVACY_RECORD_RELEASE:
        return release_budget(ledger, &record->as.release, slack, err);
    default:
        return rn_ok(); /* an intent's cost was reserved */
    }
}

/* ---- Forward. */

static void plan_apply(struct rn_privacy_ledger *ledger, const struct rn_privacy_plan *plan)
{
    struct rn_privacy_planstate *state = &ledger->plans[ledger->plan_count++];
    *state = (struct rn_privacy_planstate){
        .plan = *plan, .divergence = rn_privacy_plan_divergence(&ledger->terms, plan)};
    ledger->open = true;
}

static void intent_apply(struct rn_privacy_ledger *ledger, const struct rn_privacy_intent *intent)
{
    struct rn_privacy_planstate *open = &ledger->plans[ledger->plan_count - 1];
    open->begun++;
    open->round = intent->round;
    ledger->counter++;
    ledger->intent = *intent;
    ledger->committed = false;
    ledger->test_seeds += intent->rng == RN_PRIVACY_RNG_TEST_SEED ? 1 : 0;
}

static void commit_apply(struct rn_privacy_ledger *ledger, const struct rn_privacy_commit *commit)
{
    const bool output = !ledger->committed && commit->status != RN_PRIVACY_FAILED;
    ledger->plans[ledger->plan_count - 1].outputs += output ? 1 : 0;
    ledger->commit = *commit;
    ledger->committed = true;
}

static void close_apply(struct rn_privacy_ledger *ledger)
{
    struct rn_privacy_planstate *open = &ledger->plans[ledger->plan_count - 1];
    ledger->spent += plan_cost(open, open->begun);
    ledger->apart += apart_of(open, open->begun);
    open->closed = true;
    ledger->open = false;
}

static void release_apply(struct rn_privacy_ledger *ledger,
                          const struct rn_privacy_release *release)
{
    struct rn_privacy_event *event = release_event(ledger, release->epsilon);
    if (release->mechanism == RN_PRIVACY_CONSTANT) {
        ledger->constants++;
        return;
    }
    if (event == NULL) {
        event = &ledger->release_events[ledger->release_event_count++];
        *event = (struct rn_privacy_event){.kind = RN_PRIVACY_EPSILON_DELTA,
                                           .epsilon = release->epsilon};
    }
    event->count++;
    ledger->releases++;
    ledger->spent += release_cost(ledger, release);
    ledger->apart += release->delta;
}

void rn_privacy_rules_apply(struct rn_privacy_ledger *ledger,
                            const struct rn_privacy_record *record)
{
    switch (record->kind) {
    case RN_PRIVACY_RECORD_HEADER:
        ledger->terms = record->as.header;
        break;
    case RN_PRIVACY_RECORD_PLAN:
    case RN_PRIVACY_RECORD_SHARED:
        plan_apply(ledger, &record->as.plan);
        break;
    case RN_PRIVACY_RECORD_INTENT:
        intent_apply(ledger, &record->as.intent);
        break;
    case RN_PRIVACY_RECORD_COMMIT:
        commit_apply(ledger, &record->as.commit);
        break;
    case RN_PRIVACY_RECORD_CLOSE:
        close_apply(ledger);
        break;
    case RN_PRIVACY_RECORD_RELEASE:
        release_apply(ledger, &record->as.release);
        break;
    default: /* NONPRIVATE */
        ledger->nonprivate++;
        memcpy(ledger->nonprivate_plan, record->as.nonprivate.plan, 32);
        break;
    }
}
