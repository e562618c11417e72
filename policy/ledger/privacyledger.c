/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ledger/privacyledger.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/ledger/privacychain.h"
#include "policy/ledger/privacyrules.h"

struct rn_privacy_ledger *rn_privacy_ledger_new(void)
{
    struct rn_privacy_ledger *ledger = rn_alloc(1, sizeof *ledger);
    ledger->plans = rn_alloc(RN_PRIVACY_PLANS_MAX, sizeof *ledger->plans);
    ledger->release_events = rn_alloc(RN_PRIVACY_RELEASES_MAX, sizeof *ledger->release_events);
    return ledger;
}

void rn_privacy_ledger_free(struct rn_privacy_ledger *ledger)
{
    if (ledger != NULL) {
        rn_free(ledger->plans);
        rn_free(ledger->release_events);
        rn_free(ledger);
    }
}

void rn_privacy_ledger_free_cleanup(struct rn_privacy_ledger **ledger)
{
    rn_privacy_ledger_free(*ledger);
    *ledger = NULL;
}

/* ---- Reading. */

/* Each check in turn; ledger->failed says which one did not hold. */
static rn_result record_check(struct rn_privacy_ledger *ledger,
                              const struct rn_privacy_record *record, struct rn_error *err)
{
    struct rn_privacy_record derived = *record;
    ledger->failed = RN_PRIVACY_CHECK_VALUES;
    RN_TRY(rn_privacy_rules_values(ledger, record, err));
    ledger->failed = RN_PRIVACY_CHECK_ORDER;
    RN_TRY(rn_privacy_rules_order(ledger, record, err));
    ledger->failed = RN_PRIVACY_CHECK_DERIVED;
    rn_privacy_rules_derive(ledger, &derived);
    RN_TRY(rn_privacy_rules_derived(record, &derived, err));
    ledger->failed = RN_PRIVACY_CHECK_BUDGET;
    return rn_privacy_rules_budget(ledger, record, RN_PRIVACY_SLACK, err);
}

static const uint8_t *signer(const struct rn_privacy_ledger *ledger,
                             const struct rn_privacy_record *record)
{
    return ledger->lines == 0 ? record->as.header.identity : ledger->terms.identity;
}

static rn_result seal_check(struct rn_privacy_ledger *ledger, const struct rn_privacy_line *line,
                            const struct rn_privacy_record *record, bool signature,
                            struct rn_error *err)
{
    uint8_t chain[32];
    ledger->failed = RN_PRIVACY_CHECK_CHAIN;
    rn_privacy_chain_next(ledger->chain, line->text, chain);
    RN_ENSURE(memcmp(chain, line->chain, sizeof chain) == 0, err, RN_E_DATA,
              "it does not follow the line before it: a line was changed, moved, removed or "
              "repeated");
    ledger->failed = RN_PRIVACY_CHECK_SIGNATURE;
    if (signature && !rn_is_ok(rn_privacy_chain_verify(signer(ledger, record), line, NULL))) {
        return rn_fail(err, RN_E_IDENTITY, "it is not signed by the identity of the header");
    }
    return rn_ok();
}

static rn_result line_take(struct rn_privacy_ledger *ledger, struct rn_view text, bool signature,
                           struct rn_error *err)
{
    struct rn_privacy_line line;
    struct rn_privacy_record record;
    ledger->failed = RN_PRIVACY_CHECK_FORM;
    RN_ENSURE(text.length < RN_PRIVACY_LINE_MAX && rn_privacy_line_split(text, &line) &&
                  rn_privacy_record_parse(line.text, &record),
              err, RN_E_DATA, "it is no record of a privacy ledger that is known");
    RN_ENSURE((ledger->lines == 0) == (record.kind == RN_PRIVACY_RECORD_HEADER), err, RN_E_DATA,
              "a privacy ledger begins with its header and has one");
    RN_ENSURE(ledger->bytes + text.length < RN_PRIVACY_BYTES_MAX, err, RN_E_DATA,
              "a privacy ledger has at most %llu bytes", RN_PRIVACY_BYTES_MAX);
    RN_TRY(seal_check(ledger, &line, &record, signature, err));
    RN_TRY(record_check(ledger, &record, err));
    rn_privacy_rules_apply(ledger, &record);
    memcpy(ledger->chain, line.chain, sizeof ledger->chain);
    ledger->bytes += text.length + 1;
    ledger->lines++;
    return rn_ok();
}

/* What is wrong with a file is RN_E_DATA, whatever a rule calls it when it is asked before writing.
 */
static rn_result line_fail(const struct rn_privacy_ledger *ledger, rn_result result,
                           struct rn_error *err)
{
    const rn_result said =
        rn_fail_context(err, result, "line %" PRIu64 " of the privacy ledger", ledger->lines + 1);
    return said.code == RN_E_IDENTITY ? said : (rn_result){RN_E_DATA};
}

rn_result rn_privacy_ledger_replay(struct rn_privacy_ledger *ledger, struct rn_view bytes,
                                   enum rn_privacy_signatures signatures, size_t *out_taken,
                                   struct rn_error *err)
{
    *out_taken = 0;
    for (;;) {
        const struct rn_view rest = rn_view_of(bytes.data + *out_taken, bytes.length - *out_taken);
        const uint8_t *end = rest.length > 0 ? memchr(rest.data, '\n', rest.length) : NULL;
        if (end == NULL) {
            ledger->failed = RN_PRIVACY_CHECK_FORM;
            RN_ENSURE(rest.length < RN_PRIVACY_LINE_MAX, err, RN_E_DATA,
                      "line %" PRIu64 " of the privacy ledger is longer than %u bytes",
                      ledger->lines + 1, RN_PRIVACY_LINE_MAX);
            return rn_ok();
        }
        const size_t length = (size_t)(end - rest.data);
        const bool last =
            length + 1 == rest.length || memchr(end + 1, '\n', rest.length - length - 1) == NULL;
        const bool signature = last || signatures == RN_PRIVACY_SIGNATURES_EACH;
        const rn_result taken = line_take(ledger, rn_view_of(rest.data, length), signature, err);
        if (!rn_is_ok(taken)) {
            return line_fail(ledger, taken, err);
        }
        *out_taken += length + 1;
    }
}

/* ---- Writing. */

static rn_result own_check(const struct rn_privacy_ledger *ledger,
                           const struct rn_identity *identity,
                           const struct rn_privacy_record *record, struct rn_error *err)
{
    RN_ENSURE(memcmp(signer(ledger, record), rn_identity_public_of(identity)->bytes, 32) == 0, err,
              RN_E_IDENTITY, "the privacy ledger is of another identity");
    return rn_ok();
}

rn_result rn_privacy_ledger_append(const struct rn_privacy_ledger *ledger,
                                   const struct rn_identity *identity,
                                   struct rn_privacy_record *record, struct rn_buffer *out,
                                   struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_privacy_record again;
    RN_TRY(own_check(ledger, identity, record, err));
    RN_TRY(rn_privacy_rules_values(ledger, record, err));
    RN_TRY(rn_privacy_rules_order(ledger, record, err));
    rn_privacy_rules_derive(ledger, record);
    RN_TRY(rn_privacy_rules_budget(ledger, record, 0, err));
    rn_privacy_record_write(record, &text);
    RN_ENSURE(rn_privacy_record_parse(rn_buffer_view(&text), &again), err, RN_E_CONFIG,
              "a value of the %s record cannot be written: a name has 1 to %d of the characters "
              "a-z, 0-9 and -, and numbers are finite",
              rn_privacy_record_name(record->kind), RN_PRIVACY_NAME_MAX);
    RN_ENSURE(ledger->bytes + text.length + RN_PRIVACY_SEAL_BYTES < RN_PRIVACY_BYTES_MAX, err,
              RN_E_REFUSED, "the privacy ledger has %llu bytes, the most there can be",
              RN_PRIVACY_BYTES_MAX);
    rn_privacy_line_write(ledger->chain, rn_buffer_view(&text), identity, out);
    return rn_ok();
}

/* ---- What it says. */

const struct rn_privacy_planstate *rn_privacy_ledger_open(const struct rn_privacy_ledger *ledger)
{
    return ledger->open ? &ledger->plans[ledger->plan_count - 1] : NULL;
}

const struct rn_privacy_planstate *rn_privacy_ledger_find(const struct rn_privacy_ledger *ledger,
                                                          const uint8_t plan[static 32])
{
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        if (memcmp(ledger->plans[i].plan.hash, plan, 32) == 0) {
            return &ledger->plans[i];
        }
    }
    return NULL;
}

double rn_privacy_ledger_filter(const struct rn_privacy_ledger *ledger, bool reserved)
{
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    if (open == NULL) {
        return ledger->spent;
    }
    const double trainings = reserved ? open->plan.trainings : open->begun;
    return ledger->spent + trainings * open->plan.steps * open->divergence;
}

static bool equal(double a, double b)
{
    return !(a < b) && !(a > b);
}

static bool same_mechanism(const struct rn_privacy_event *a, const struct rn_privacy_event *b)
{
    return a->kind == b->kind && a->group == b->group && a->picks == b->picks &&
           a->slots == b->slots && equal(a->noise, b->noise) && equal(a->rate, b->rate) &&
           a->shares == b->shares && equal(a->share, b->share) && equal(a->grid, b->grid) &&
           equal(a->dimension, b->dimension);
}

static void event_add(struct rn_privacy_event *events, size_t *count,
                      const struct rn_privacy_event *event)
{
    for (size_t i = 0; i < *count; i++) {
        if (same_mechanism(&events[i], event)) {
            events[i].count += event->count;
            return;
        }
    }
    events[(*count)++] = *event;
}

size_t rn_privacy_ledger_events(const struct rn_privacy_ledger *ledger, bool reserved,
                                struct rn_privacy_event *out)
{
    size_t count = 0;
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        const struct rn_privacy_planstate *plan = &ledger->plans[i];
        const uint64_t trainings = reserved ? plan->plan.trainings : plan->begun;
        const struct rn_privacy_event event =
            rn_privacy_plan_event(&ledger->terms, &plan->plan, trainings * plan->plan.steps);
        if (event.count > 0) {
            event_add(out, &count, &event);
        }
    }
    for (size_t i = 0; i < ledger->release_event_count; i++) {
        out[count++] = ledger->release_events[i];
    }
    return count;
}

rn_result rn_privacy_ledger_claimable(const struct rn_privacy_ledger *ledger, struct rn_error *err)
{
    RN_ENSURE(ledger->nonprivate == 0, err, RN_E_REFUSED,
              "NOT PRIVATE: plans without noise ran over the data of lineage %s (%" PRIu64
              " records), so nothing can be claimed of it any more",
              ledger->terms.lineage, ledger->nonprivate);
    RN_ENSURE(ledger->test_seeds == 0, err, RN_E_REFUSED,
              "NOT PRIVATE: %" PRIu64 " trainings of lineage %s drew from a test's seed, which is "
              "no secret, so nothing can be claimed of it",
              ledger->test_seeds, ledger->terms.lineage);
    return rn_ok();
}
