/* SPDX-License-Identifier: Apache-2.0
 *
 * The privacy ledger: what is read is what was written; every change of its bytes is refused, by
 * whoever can sign and by whoever cannot; no order of records passes the rules or the budget.
 */
#include "base/alloc.h"
#include "policy/accountant/filter.h"
#include "policy/ledger/privacychain.h"
#include "policy/ledger/privacyverify.h"
#include "privacyworld.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rn_identity *owner;
static struct rn_identity *stranger;
static struct rn_privacy_ledger *ledger;
static struct rn_buffer text; /* of ledger */
static struct rn_error error;

/* ---- A ledger that grows. */

static void start_empty(void)
{
    rn_privacy_ledger_free(ledger);
    ledger = rn_privacy_ledger_new();
    rn_buffer_clear(&text);
    memset(&error, 0, sizeof error);
}

static rn_result take(struct rn_privacy_ledger *into, struct rn_view bytes)
{
    size_t taken = 0;
    const rn_result result =
        rn_privacy_ledger_replay(into, bytes, RN_PRIVACY_SIGNATURES_EACH, &taken, &error);
    assert_true(!rn_is_ok(result) || taken == bytes.length);
    return result;
}

static enum rn_code add(struct rn_privacy_record record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    const rn_result result = rn_privacy_ledger_append(ledger, owner, &record, &line, &error);
    if (rn_is_ok(result)) {
        assert_int_equal(take(ledger, rn_buffer_view(&line)).code, RN_OK);
        rn_buffer_append(&text, line.data, line.length);
    }
    return result.code;
}

static void start(void)
{
    start_empty();
    assert_int_equal(add(privacy_header(owner)), RN_OK);
}

/* Two plans, the first one closed before its end; a release; three trainings, a retry among them.
 */
static void live(void)
{
    start();
    assert_int_equal(add(privacy_plan_record(1)), RN_OK);
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_OK);
    assert_int_equal(add(privacy_commit_record(1, 0, RN_PRIVACY_FAILED)), RN_OK);
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_OK);
    assert_int_equal(add(privacy_commit_record(2, 8, RN_PRIVACY_SENT)), RN_OK);
    assert_int_equal(add(privacy_commit_record(2, 8, RN_PRIVACY_DROPPED)), RN_OK);
    assert_int_equal(add(privacy_close_record(1)), RN_OK);
    assert_int_equal(add(privacy_release_record("accuracy", 0.25, 1e-9)), RN_OK);
    assert_int_equal(add(privacy_release_record("version", 0, 0)), RN_OK);
    assert_int_equal(add(privacy_plan_record(2)), RN_OK);
    assert_int_equal(add(privacy_intent_record(2, 1)), RN_OK);
}

/* By somebody who has the key and keeps to no rule. */
static enum rn_privacy_check forged(const struct rn_privacy_record *record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer whole = {0};
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *other = rn_privacy_ledger_new();
    rn_privacy_record_write(record, &body);
    rn_buffer_append(&whole, text.data, text.length);
    rn_privacy_line_write(ledger->chain, rn_buffer_view(&body), owner, &whole);
    assert_int_equal(take(other, rn_buffer_view(&whole)).code, RN_E_DATA);
    assert_int_equal(other->lines, ledger->lines);
    return other->failed;
}

static struct rn_privacy_record derived(struct rn_privacy_record record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    assert_int_equal(rn_privacy_ledger_append(ledger, owner, &record, &line, &error).code, RN_OK);
    return record;
}

/* ---- Text. */

static void records_read_back(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    struct rn_privacy_record again;
    live();
    struct rn_privacy_record record = privacy_plan_record(1);
    struct rn_privacy_plan *plan = &record.as.plan;
    memset(plan->hash, 0xff, sizeof plan->hash);
    memset(plan->name, 'x', RN_PRIVACY_NAME_MAX);
    plan->method = RN_METHOD_FEDAVG_LORA;
    plan->rounds = plan->trainings = plan->steps = plan->cap = plan->grid = UINT32_MAX;
    plan->threshold = plan->dimension = UINT64_MAX;
    plan->noise = plan->clip = plan->denominator = plan->epsilon = 0x1.fffffffffffffp-1021;
    plan->deviation = plan->cut = plan->filter_before = plan->filter_after = plan->noise;
    rn_privacy_record_write(&record, &line);
    assert_true(line.length + RN_PRIVACY_SEAL_BYTES + 1 < RN_PRIVACY_LINE_MAX);
    assert_true(rn_privacy_record_parse(rn_buffer_view(&line), &again));
    assert_memory_equal(&again.as.plan, plan, offsetof(struct rn_privacy_plan, name));
    assert_true(again.as.plan.dimension == UINT64_MAX && again.as.plan.steps == UINT32_MAX);
    assert_memory_equal(&again.as.plan.noise, &plan->noise, sizeof plan->noise);
}

static bool reads(const char *record)
{
    struct rn_privacy_record out;
    return rn_privacy_record_parse(rn_view_text(record), &out);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void one_text_a_record(void **state)
{
    (void)state;
    assert_true(reads("close plan " ZEROS " trainings 7 filter 0x1.8p-1"));
    assert_true(reads("close plan " ZEROS " trainings 0 filter 0x0p+0"));
    assert_false(reads("close plan " ZEROS " trainings 07 filter 0x1.8p-1"));
    assert_false(reads("close plan " ZEROS " trainings +7 filter 0x1.8p-1"));
    assert_false(reads("close plan " ZEROS " trainings 4294967296 filter 0x1.8p-1"));
    assert_false(reads("close plan " ZEROS " trainings 7 filter 0x1.80p-1"));
    assert_false(reads("close plan " ZEROS " trainings 7 filter 0.75"));
    assert_false(reads("close plan " ZEROS " trainings 7 filter 0X1.8P-1"));
    assert_false(reads("close plan " ZEROS " trainings 7 filter -0x0p+0"));
    assert_false(reads("close plan " ZEROS " trainings 7 filter inf"));
    assert_false(reads("close plan " ZEROS " trainings 7 filter 0x1p+1024"));
    assert_false(reads("close plan " ZEROS " trainings 7 filter 0x1.8p-1 "));
    assert_false(reads("close plan " ZEROS "  trainings 7 filter 0x1.8p-1"));
    assert_false(reads("close plan " ZEROS "0 trainings 7 filter 0x1.8p-1"));
    assert_false(reads("close trainings 7 plan " ZEROS " filter 0x1.8p-1"));
    assert_false(reads("close plan " ZEROS " trainings 7"));
    assert_false(reads("reopen plan " ZEROS " trainings 7 filter 0x1.8p-1"));
    assert_false(reads("nonprivate plan " ZEROS " name Open"));
    assert_false(reads("commit counter 1 output " ZEROS " status lost"));
    assert_true(reads("commit counter 18446744073709551615 output " ZEROS " status failed"));
    assert_false(reads("commit counter 18446744073709551616 output " ZEROS " status failed"));
    assert_false(reads(""));
}

/* ---- Bytes. */

static void any_pieces_give_the_same(void **state)
{
    (void)state;
    live();
    for (size_t piece = 1; piece < text.length; piece += piece < 60 ? 1 : 211) {
        RN_CLEANUP(rn_privacy_ledger_free_cleanup)
        struct rn_privacy_ledger *other = rn_privacy_ledger_new();
        for (size_t at = 0, end = piece; at < text.length; end += piece) {
            size_t taken = 0;
            end = end < text.length ? end : text.length;
            assert_int_equal(rn_privacy_ledger_replay(other, rn_view_of(text.data + at, end - at),
                                                      RN_PRIVACY_SIGNATURES_LAST, &taken, &error)
                                 .code,
                             RN_OK);
            at += taken;
        }
        assert_int_equal(other->lines, ledger->lines);
        assert_int_equal(other->counter, 3);
        assert_memory_equal(other->chain, ledger->chain, 32);
    }
}

/* A copy of the text, in which a test changes something. */
static struct rn_buffer changed;

static struct rn_view line_at(uint64_t number)
{
    size_t at = 0;
    for (; number > 0; number--) {
        at +=
            (size_t)((uint8_t *)memchr(text.data + at, '\n', text.length - at) - (text.data + at)) +
            1;
    }
    const uint8_t *end = memchr(text.data + at, '\n', text.length - at);
    return rn_view_of(text.data + at, (size_t)(end - (text.data + at)) + 1);
}

static enum rn_code replayed(void)
{
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *other = rn_privacy_ledger_new();
    size_t taken = 0;
    return rn_privacy_ledger_replay(other, rn_buffer_view(&changed), RN_PRIVACY_SIGNATURES_EACH,
                                    &taken, &error)
        .code;
}

static void every_byte_counts(void **state)
{
    (void)state;
    start();
    assert_int_equal(add(privacy_plan_record(1)), RN_OK);
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_OK);
    assert_int_equal(add(privacy_close_record(1)), RN_OK);
    for (size_t i = 0; i < text.length; i++) {
        rn_buffer_clear(&changed);
        rn_buffer_append(&changed, text.data, text.length);
        changed.data[i] ^= 1u << (i % 7);
        const bool end = text.data[i] == '\n';
        const enum rn_code code = replayed();
        /* Without its end the last line is unfinished, which is for the caller to see. */
        assert_true(code == RN_E_DATA || code == RN_E_IDENTITY || (end && i + 1 == text.length));
    }
}

static void lines_keep_their_place(void **state)
{
    (void)state;
    live();
    for (uint64_t skip = 0; skip + 1 < ledger->lines; skip++) { /* one is missing */
        rn_buffer_clear(&changed);
        for (uint64_t i = 0; i < ledger->lines; i++) {
            const struct rn_view line = line_at(i);
            rn_buffer_append(&changed, line.data, i == skip ? 0 : line.length);
        }
        assert_int_equal(replayed(), RN_E_DATA);
    }
    for (uint64_t twice = 0; twice < ledger->lines; twice++) { /* repeated; moved behind its next */
        rn_buffer_clear(&changed);
        for (uint64_t i = 0; i < ledger->lines; i++) {
            const struct rn_view line = line_at(i);
            rn_buffer_append(&changed, line.data, line.length);
            rn_buffer_append(&changed, line.data, i == twice ? line.length : 0);
        }
        assert_int_equal(replayed(), RN_E_DATA);
    }
    for (uint64_t swap = 0; swap + 1 < ledger->lines; swap++) {
        rn_buffer_clear(&changed);
        for (uint64_t i = 0; i < ledger->lines; i++) {
            const struct rn_view line = line_at(i == swap ? swap + 1 : (i == swap + 1 ? swap : i));
            rn_buffer_append(&changed, line.data, line.length);
        }
        assert_int_equal(replayed(), RN_E_DATA);
    }
}

static void another_key_signs_nothing(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    live();
    struct rn_privacy_record record = privacy_commit_record(3, 9, RN_PRIVACY_SENT);
    assert_int_equal(rn_privacy_ledger_append(ledger, stranger, &record, &body, &error).code,
                     RN_E_IDENTITY);
    rn_privacy_record_write(&record, &body);
    rn_buffer_clear(&changed);
    rn_buffer_append(&changed, text.data, text.length);
    rn_privacy_line_write(ledger->chain, rn_buffer_view(&body), stranger, &changed);
    assert_int_equal(replayed(), RN_E_IDENTITY);
    assert_non_null(strstr(error.text, "line 13 "));
}

static void a_line_has_a_limit(void **state)
{
    (void)state;
    struct rn_privacy_ledger *other = rn_privacy_ledger_new();
    size_t taken = 0;
    uint8_t bytes[RN_PRIVACY_LINE_MAX];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(rn_privacy_ledger_replay(other, rn_view_of(bytes, sizeof bytes - 1),
                                              RN_PRIVACY_SIGNATURES_EACH, &taken, &error)
                         .code,
                     RN_OK);
    assert_int_equal(rn_privacy_ledger_replay(other, rn_view_of(bytes, sizeof bytes),
                                              RN_PRIVACY_SIGNATURES_EACH, &taken, &error)
                         .code,
                     RN_E_DATA);
    rn_privacy_ledger_free(other);
}

/* ---- Order. */

static void a_plan_comes_first(void **state)
{
    (void)state;
    start_empty();
    assert_int_equal(add(privacy_plan_record(1)), RN_E_IDENTITY); /* whose ledger? */
    start();
    assert_int_equal(add(privacy_header(owner)), RN_E_REFUSED);
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_E_REFUSED);
    assert_int_equal(add(privacy_close_record(1)), RN_E_REFUSED);
    assert_int_equal(add(privacy_commit_record(0, 1, RN_PRIVACY_SENT)), RN_E_REFUSED);
    assert_int_equal(add(privacy_plan_record(1)), RN_OK);
    assert_int_equal(add(privacy_plan_record(1)), RN_E_REFUSED);
    assert_int_equal(add(privacy_plan_record(2)), RN_E_REFUSED); /* one at a time */
    assert_int_equal(add(privacy_nonprivate_record(3)), RN_E_REFUSED);
    assert_int_equal(add(privacy_intent_record(2, 1)), RN_E_REFUSED);
    assert_int_equal(add(privacy_close_record(2)), RN_E_REFUSED);
    assert_int_equal(add(privacy_close_record(1)), RN_OK);
    assert_int_equal(add(privacy_close_record(1)), RN_E_REFUSED);
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_E_REFUSED);
    assert_int_equal(add(privacy_plan_record(1)), RN_E_REFUSED); /* a plan runs once */
    assert_int_equal(add(privacy_plan_record(2)), RN_OK);
}

static void a_plan_has_its_numbers(void **state)
{
    (void)state;
    start();
    assert_int_equal(add(privacy_plan_record(1)), RN_OK);
    struct rn_privacy_record wrong = privacy_intent_record(1, 1);
    wrong.as.intent.steps = 41;
    assert_int_equal(add(wrong), RN_E_REFUSED);
    wrong = privacy_intent_record(1, 1);
    wrong.as.intent.matrices = RN_PRIVACY_MATRICES_BOTH;
    assert_int_equal(add(wrong), RN_E_REFUSED);
    assert_int_equal(add(privacy_intent_record(1, 0)), RN_E_REFUSED);
    assert_int_equal(add(privacy_intent_record(1, 21)), RN_E_REFUSED);
    for (uint32_t training = 1; training <= 25; training++) {
        const uint32_t round = training <= 20 ? training : 20;
        assert_int_equal(add(privacy_intent_record(1, round)), RN_OK);
        if (round > 1) {
            assert_int_equal(add(privacy_intent_record(1, round - 1)), RN_E_REFUSED);
        }
    }
    assert_int_equal(ledger->counter, 25);
    assert_int_equal(add(privacy_intent_record(1, 20)), RN_E_REFUSED);
}

static void a_training_has_one_output(void **state)
{
    (void)state;
    start();
    assert_int_equal(add(privacy_plan_record(1)), RN_OK);
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_OK);
    assert_int_equal(add(privacy_commit_record(1, 0, RN_PRIVACY_SENT)), RN_E_CONFIG);
    assert_int_equal(add(privacy_commit_record(1, 1, RN_PRIVACY_FAILED)), RN_E_CONFIG);
    assert_int_equal(add(privacy_commit_record(2, 1, RN_PRIVACY_SENT)), RN_E_REFUSED);
    assert_int_equal(add(privacy_commit_record(1, 1, RN_PRIVACY_SENT)), RN_OK);
    assert_int_equal(add(privacy_commit_record(1, 2, RN_PRIVACY_SENT)), RN_E_REFUSED);
    assert_int_equal(add(privacy_commit_record(1, 2, RN_PRIVACY_ABORTED)), RN_E_REFUSED);
    assert_int_equal(add(privacy_commit_record(1, 0, RN_PRIVACY_FAILED)), RN_E_REFUSED);
    assert_int_equal(add(privacy_commit_record(1, 1, RN_PRIVACY_SENT)), RN_E_REFUSED);
    assert_int_equal(add(privacy_commit_record(1, 1, RN_PRIVACY_ABORTED)), RN_OK);
    assert_int_equal(add(privacy_commit_record(1, 1, RN_PRIVACY_SENT)), RN_OK); /* again */
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_OK);
    assert_int_equal(add(privacy_commit_record(1, 1, RN_PRIVACY_DROPPED)), RN_E_REFUSED);
    assert_int_equal(add(privacy_commit_record(2, 0, RN_PRIVACY_FAILED)), RN_OK);
    assert_int_equal(add(privacy_commit_record(2, 1, RN_PRIVACY_SENT)), RN_E_REFUSED);
    assert_int_equal(add(privacy_close_record(1)), RN_OK);
    assert_int_equal(ledger->plans[0].outputs, 1);
}

/* ---- Budget. */

static double step_cost(void)
{
    const struct rn_privacy_terms terms = privacy_terms(owner);
    const struct rn_privacy_plan plan = privacy_plan(1);
    return rn_privacy_divergence(&terms, rn_privacy_plan_event(&terms, &plan, 1));
}

/* What differs in its picks alone is another mechanism. */
static void allocations_are_told_apart(void **state)
{
    (void)state;
    start();
    for (uint8_t i = 1; i <= 3; i++) {
        struct rn_privacy_record plan = privacy_plan_record(i);
        plan.as.plan.sampler = RN_PRIVACY_SAMPLER_ALLOCATION;
        plan.as.plan.threshold = i == 3 ? 1 : i;
        plan.as.plan.cap = 10000;
        plan.as.plan.noise = 8;
        assert_int_equal(add(plan), RN_OK);
        assert_int_equal(add(privacy_intent_record(i, 1)), RN_OK);
        assert_int_equal(add(privacy_close_record(i)), RN_OK);
    }
    static struct rn_privacy_event events[RN_PRIVACY_EVENTS_MAX];
    assert_int_equal(rn_privacy_ledger_events(ledger, false, events), 2);
    assert_true(events[0].picks == 1 && events[0].count == 2 && events[0].slots == 40);
    assert_true(events[1].picks == 2 && events[1].count == 1);
    assert_true(rn_privacy_ledger_events(ledger, true, events) == 2 && events[0].count == 50);
}

static void the_budget_ends(void **state)
{
    (void)state;
    start();
    const double whole = 25 * 40 * step_cost();
    const unsigned most = (unsigned)(ledger->terms.bound / whole);
    assert_true(most >= 2 && most < 100);
    for (unsigned i = 0; i < most; i++) {
        struct rn_privacy_record plan = privacy_plan_record((uint8_t)(i + 1));
        assert_int_equal(add(plan), RN_OK);
        for (uint32_t training = 1; training <= 25; training++) {
            const uint32_t round = training <= 20 ? training : 20;
            assert_int_equal(add(privacy_intent_record((uint8_t)(i + 1), round)), RN_OK);
        }
        assert_int_equal(add(privacy_close_record((uint8_t)(i + 1))), RN_OK);
    }
    assert_true(fabs(ledger->spent - most * whole) < 1e-9 * ledger->spent);
    assert_int_equal(add(privacy_plan_record(200)), RN_E_REFUSED);
    assert_non_null(strstr(error.text, "budget"));
    struct rn_privacy_record rest = privacy_plan_record(200); /* what is left, to the last step */
    rest.as.plan.rounds = 1;
    rest.as.plan.steps = 1;
    rest.as.plan.trainings = (uint32_t)((ledger->terms.bound - ledger->spent) / step_cost());
    if (rest.as.plan.trainings > 0) {
        rest.as.plan.trainings++;
        assert_int_equal(add(rest), RN_E_REFUSED);
        rest.as.plan.trainings--;
        assert_int_equal(add(rest), RN_OK);
        assert_true(rn_privacy_ledger_filter(ledger, true) <= ledger->terms.bound);
    }
}

/* What was not begun is free again in the filter, and charged whole by PLD. */
static void a_plan_that_stops_gives_back(void **state)
{
    (void)state;
    RN_CLEANUP(rn_free_cleanup)
    struct rn_privacy_event *events = rn_alloc(RN_PRIVACY_EVENTS_MAX, sizeof *events);
    start();
    assert_int_equal(add(privacy_plan_record(1)), RN_OK);
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_OK);
    assert_true(fabs(rn_privacy_ledger_filter(ledger, true) / (1000 * step_cost()) - 1) < 1e-12);
    assert_int_equal(add(privacy_close_record(1)), RN_OK);
    assert_true(fabs(rn_privacy_ledger_filter(ledger, true) / (40 * step_cost()) - 1) < 1e-12);
    assert_int_equal(rn_privacy_ledger_events(ledger, true, events), 1);
    assert_int_equal(events[0].count, 1000);
    assert_int_equal(rn_privacy_ledger_events(ledger, false, events), 1);
    assert_int_equal(events[0].count, 40);
}

/* An adversary that chooses each next plan, and its end, from what it saw. */
static void no_choice_of_plans_passes_the_bound(void **state)
{
    (void)state;
    uint64_t dice = 88172645463325252u;
    start();
    double sum = 0;
    unsigned refused = 0;
    for (unsigned i = 0; i < 200; i++) {
        struct rn_privacy_record record = privacy_plan_record((uint8_t)i);
        dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
        record.as.plan.hash[2] = (uint8_t)(i >> 8);
        record.as.plan.threshold = (uint64_t)1 << (50 + dice % 9);
        record.as.plan.noise = 0.6 + (double)(dice >> 8 & 0xff) / 64;
        record.as.plan.steps = 1 + (uint32_t)(dice >> 16 & 0xff);
        if (add(record) != RN_OK) {
            refused++;
            continue;
        }
        const uint32_t begun = (uint32_t)(dice >> 32) % 26;
        for (uint32_t k = 0; k < begun; k++) {
            struct rn_privacy_record intent = privacy_intent_record((uint8_t)i, 1);
            intent.as.intent.steps = record.as.plan.steps;
            assert_int_equal(add(intent), RN_OK);
        }
        sum +=
            begun * (double)record.as.plan.steps * ledger->plans[ledger->plan_count - 1].divergence;
        assert_true(sum <= ledger->terms.bound);
        assert_int_equal(add(privacy_close_record((uint8_t)i)), RN_OK);
    }
    assert_true(refused > 0 && refused < 200);
    assert_true(fabs(sum - ledger->spent) < 1e-9 * sum);
}

static void releases_are_paid_for(void **state)
{
    (void)state;
    start();
    assert_int_equal(add(privacy_release_record("accuracy", 1, 0)), RN_OK);
    const double once = ledger->spent;
    assert_true(once > 0 && once <= 1); /* a divergence is at most epsilon */
    assert_int_equal(add(privacy_release_record("f1", 1, 0)), RN_OK);
    assert_true(fabs(ledger->spent - 2 * once) < 1e-12);
    assert_int_equal(ledger->release_event_count, 1);
    assert_int_equal(add(privacy_release_record("loss", 50, 0)), RN_E_REFUSED);
    const double apart = rn_privacy_terms_apart(&ledger->terms);
    assert_int_equal(add(privacy_release_record("loss", 0.1, apart * 1.01)), RN_E_REFUSED);
    assert_int_equal(add(privacy_release_record("loss", 0.1, apart)), RN_OK);
    assert_int_equal(add(privacy_release_record("loss", 0.1, apart * 0.01)), RN_E_REFUSED);
    struct rn_privacy_record free_of_charge = privacy_release_record("state", 0, 0);
    free_of_charge.as.release.epsilon = 1;
    assert_int_equal(add(free_of_charge), RN_E_CONFIG);
}

/* ---- Cutting. */

static void draws_are_seldom_cut(void **state)
{
    (void)state;
    start();
    struct rn_privacy_record record = privacy_plan_record(1); /* 78 records of 10000 are drawn */
    record.as.plan.cap = 100;
    assert_int_equal(add(record), RN_E_REFUSED);
    assert_non_null(strstr(error.text, "cutting"));
    record.as.plan.cap = 256;
    assert_int_equal(add(record), RN_OK);
    const double cut = ledger->plans[0].plan.cut;
    assert_true(cut > 0 && cut < rn_privacy_terms_apart(&ledger->terms));
    assert_int_equal(add(privacy_intent_record(1, 1)), RN_OK);
    assert_int_equal(add(privacy_close_record(1)), RN_OK);
    assert_true(fabs(ledger->apart - cut / 25) < 1e-12 * cut);
}

/* ---- Values at their limits. */

#define PLAN(change_, code_)                                      \
    do {                                                          \
        struct rn_privacy_record record = privacy_plan_record(1); \
        struct rn_privacy_plan *plan = &record.as.plan;           \
        start();                                                  \
        change_;                                                  \
        assert_int_equal(add(record), (code_));                   \
    } while (0)

static void plans_have_limits(void **state)
{
    (void)state;
    PLAN(plan->rounds = 0, RN_E_CONFIG);
    PLAN(plan->trainings = 19, RN_E_CONFIG);
    PLAN(plan->trainings = 20, RN_OK);
    PLAN((plan->trainings = RN_PRIVACY_TRAININGS_MAX, plan->noise = 1e4, plan->dimension = 0),
         RN_OK);
    PLAN((plan->trainings = RN_PRIVACY_TRAININGS_MAX + 1, plan->noise = 1e4), RN_E_CONFIG);
    PLAN(plan->steps = 0, RN_E_CONFIG);
    PLAN((plan->steps = RN_PRIVACY_STEPS_MAX, plan->noise = 1e4, plan->dimension = 0), RN_OK);
    PLAN((plan->steps = RN_PRIVACY_STEPS_MAX + 1, plan->noise = 1e4), RN_E_CONFIG);
    PLAN(plan->threshold = 0, RN_E_CONFIG);
    PLAN(plan->threshold = UINT64_MAX, RN_E_CONFIG);
    PLAN(plan->sampler = RN_PRIVACY_SAMPLER_ALL, RN_E_CONFIG);
    PLAN((plan->sampler = RN_PRIVACY_SAMPLER_ALL, plan->threshold = UINT64_MAX, plan->noise = 30,
          plan->cap = 10000),
         RN_OK);
    PLAN((plan->sampler = RN_PRIVACY_SAMPLER_ALL, plan->threshold = UINT64_MAX, plan->noise = 30,
          plan->cap = 9999),
         RN_E_REFUSED); /* some are always cut */
    PLAN(plan->cap = 0, RN_E_CONFIG);
    PLAN(plan->grid = 0, RN_E_CONFIG);
    PLAN(plan->grid = RN_PRIVACY_GRID_MAX, RN_OK);
    PLAN(plan->grid = RN_PRIVACY_GRID_MAX + 1, RN_E_CONFIG);
    PLAN(plan->noise = 0, RN_E_CONFIG);
    PLAN(plan->noise = NAN, RN_E_CONFIG);
    PLAN(plan->noise = 1e6, RN_OK);
    PLAN(plan->noise = 1.1e6, RN_E_CONFIG);
    PLAN(plan->clip = 0, RN_E_CONFIG);
    PLAN(plan->clip = INFINITY, RN_E_CONFIG);
    PLAN(plan->denominator = 0.5, RN_E_CONFIG);
    PLAN(plan->epsilon = -1, RN_E_CONFIG);
    PLAN(plan->epsilon = NAN, RN_E_CONFIG);
    PLAN(plan->name[0] = '\n', RN_E_CONFIG);
}

/* ---- Owners who lie. */

#define LIE(record_, change_, check_)             \
    do {                                          \
        struct rn_privacy_record lie = (record_); \
        change_;                                  \
        assert_int_equal(forged(&lie), (check_)); \
    } while (0)

static void signed_lies_are_found(void **state)
{
    (void)state;
    live();
    const struct rn_privacy_record intent = derived(privacy_intent_record(2, 2));
    const struct rn_privacy_record close = derived(privacy_close_record(2));
    LIE(intent, lie.as.intent.counter = 5, RN_PRIVACY_CHECK_DERIVED);
    LIE(intent, lie.as.intent.training = 1, RN_PRIVACY_CHECK_DERIVED);
    LIE(intent, lie.as.intent.round = 21, RN_PRIVACY_CHECK_ORDER);
    LIE(intent, lie.as.intent.steps = 4, RN_PRIVACY_CHECK_ORDER);
    LIE(close, lie.as.close.filter *= 0.999, RN_PRIVACY_CHECK_DERIVED);
    LIE(close, lie.as.close.trainings = 0, RN_PRIVACY_CHECK_DERIVED);
    LIE(privacy_commit_record(2, 8, RN_PRIVACY_SENT), (void)lie, RN_PRIVACY_CHECK_ORDER);
    LIE(privacy_commit_record(3, 0, RN_PRIVACY_SENT), (void)lie, RN_PRIVACY_CHECK_VALUES);
    LIE(privacy_header(owner), (void)lie, RN_PRIVACY_CHECK_FORM);
    assert_int_equal(add(privacy_close_record(2)), RN_OK);
    const struct rn_privacy_record plan = derived(privacy_plan_record(3));
    LIE(plan, lie.as.plan.deviation *= 1.001, RN_PRIVACY_CHECK_DERIVED);
    LIE(plan, lie.as.plan.filter_after *= 0.999, RN_PRIVACY_CHECK_DERIVED);
    LIE(plan, lie.as.plan.filter_before *= 0.5, RN_PRIVACY_CHECK_DERIVED);
    LIE(plan, lie.as.plan.cut = 0, RN_PRIVACY_CHECK_DERIVED);
    LIE(plan, lie.as.plan.noise = 2, RN_PRIVACY_CHECK_DERIVED);
    LIE(plan, lie.as.plan.hash[0] = 1, RN_PRIVACY_CHECK_ORDER);
    const struct rn_privacy_record release = derived(privacy_release_record("f1", 0.5, 0));
    LIE(release, lie.as.release.filter = 0, RN_PRIVACY_CHECK_DERIVED);
    struct rn_privacy_record over = plan; /* all that follows is right, but there is too much */
    over.as.plan.trainings = 1000;
    over.as.plan.cut *= 40;
    over.as.plan.filter_after +=
        (over.as.plan.filter_after - over.as.plan.filter_before) * (1000.0 / 25 - 1);
    assert_int_equal(forged(&over), RN_PRIVACY_CHECK_BUDGET);
    start_empty();
    LIE(privacy_header(owner), lie.as.header.bound *= 2, RN_PRIVACY_CHECK_DERIVED);
    LIE(privacy_header(owner), lie.as.header.version = 2, RN_PRIVACY_CHECK_VALUES);
    LIE(privacy_header(owner), lie.as.header.delta = 0.5, RN_PRIVACY_CHECK_VALUES);
}

/* ---- What is said of it. */

static struct rn_privacy_report report;

static void verify(struct rn_view bytes, const uint8_t *key)
{
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *other = rn_privacy_ledger_new();
    size_t taken = 0;
    struct rn_error said = {{0}};
    const rn_result result =
        rn_privacy_ledger_replay(other, bytes, RN_PRIVACY_SIGNATURES_EACH, &taken, &said);
    const bool unfinished = rn_is_ok(result) && taken < bytes.length;
    assert_int_equal(rn_privacy_verify(other, result, &said, unfinished, key, &report, &error).code,
                     RN_OK);
}

static enum rn_privacy_verdict verdict_of(const char *name)
{
    for (uint32_t i = 0; i < report.count; i++) {
        if (strcmp(report.findings[i].name, name) == 0) {
            return report.findings[i].verdict;
        }
    }
    fail_msg("there is no finding %s", name);
    return RN_PRIVACY_FAIL;
}

static void a_verifier_says_why(void **state)
{
    (void)state;
    live();
    verify(rn_buffer_view(&text), rn_identity_public_of(owner)->bytes);
    assert_true(report.passed && report.claimed);
    assert_true(report.summary.trainings == 3 && report.summary.steps == 120);
    assert_true(report.summary.filter_reserved > report.summary.filter_begun);
    assert_true(report.summary.pld <= report.summary.rdp && report.summary.pld > 0);
    assert_true(report.summary.filter_epsilon >= report.summary.pld);
    assert_true(report.summary.filter_epsilon <= 8);
    verify(rn_buffer_view(&text), rn_identity_public_of(stranger)->bytes);
    assert_true(!report.passed && verdict_of("key") == RN_PRIVACY_FAIL);
    verify(rn_view_of(text.data, text.length - 1), NULL);
    assert_true(!report.passed && verdict_of("end") == RN_PRIVACY_FAIL);
    verify(rn_view_of(text.data, 0), NULL);
    assert_true(!report.passed);
    rn_buffer_clear(&changed);
    rn_buffer_append(&changed, text.data, text.length);
    changed.data[line_at(0).length + 10] ^= 1; /* a digit of the plan's hash */
    verify(rn_buffer_view(&changed), NULL);
    assert_true(!report.passed && verdict_of("chain") == RN_PRIVACY_FAIL);
    assert_int_equal(verdict_of("form"), RN_PRIVACY_STOPPED);
    assert_int_equal(verdict_of("accountants"), RN_PRIVACY_STOPPED);
}

static void a_plans_epsilon_is_checked(void **state)
{
    (void)state;
    start();
    struct rn_privacy_record plan = privacy_plan_record(1);
    plan.as.plan.epsilon = 0.25; /* a fraction of what it is */
    assert_int_equal(add(plan), RN_OK);
    verify(rn_buffer_view(&text), NULL);
    assert_true(!report.passed && verdict_of("accountants") == RN_PRIVACY_FAIL);
    assert_int_equal(verdict_of("budget"), RN_PRIVACY_PASS);
}

/* privacy case 35 */
static void nothing_is_claimed_of_what_is_not_private(void **state)
{
    (void)state;
    live();
    assert_int_equal(rn_privacy_ledger_claimable(ledger, &error).code, RN_OK);
    struct rn_privacy_record record = privacy_intent_record(2, 2);
    record.as.intent.rng = RN_PRIVACY_RNG_TEST_SEED;
    assert_int_equal(add(record), RN_OK);
    assert_int_equal(rn_privacy_ledger_claimable(ledger, &error).code, RN_E_REFUSED);
    verify(rn_buffer_view(&text), NULL);
    assert_true(report.passed && !report.claimed);
    start();
    assert_int_equal(add(privacy_nonprivate_record(3)), RN_OK);
    assert_int_equal(add(privacy_plan_record(1)), RN_OK); /* it still counts */
    assert_int_equal(rn_privacy_ledger_claimable(ledger, &error).code, RN_E_REFUSED);
    assert_non_null(strstr(error.text, "NOT PRIVATE"));
}

static int identities_make(void **state)
{
    (void)state;
    owner = privacy_identity(3);
    stranger = privacy_identity(4);
    return 0;
}

static int identities_free(void **state)
{
    (void)state;
    rn_identity_free(owner);
    rn_identity_free(stranger);
    rn_privacy_ledger_free(ledger);
    rn_buffer_clear(&text);
    rn_buffer_clear(&changed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_read_back),
        cmocka_unit_test(one_text_a_record),
        cmocka_unit_test(any_pieces_give_the_same),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(lines_keep_their_place),
        cmocka_unit_test(another_key_signs_nothing),
        cmocka_unit_test(a_line_has_a_limit),
        cmocka_unit_test(a_plan_comes_first),
        cmocka_unit_test(a_plan_has_its_numbers),
        cmocka_unit_test(a_training_has_one_output),
        cmocka_unit_test(allocations_are_told_apart),
        cmocka_unit_test(the_budget_ends),
        cmocka_unit_test(a_plan_that_stops_gives_back),
        cmocka_unit_test(no_choice_of_plans_passes_the_bound),
        cmocka_unit_test(releases_are_paid_for),
        cmocka_unit_test(draws_are_seldom_cut),
        cmocka_unit_test(plans_have_limits),
        cmocka_unit_test(signed_lies_are_found),
        cmocka_unit_test(a_verifier_says_why),
        cmocka_unit_test(a_plans_epsilon_is_checked),
        cmocka_unit_test(nothing_is_claimed_of_what_is_not_private),
    };
    return cmocka_run_group_tests(tests, identities_make, identities_free);
}
