/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger of spent updates by itself: look-ups against a plain list, its limits at and beyond
 * them, what a restart reads back. Rule A9 among members is in simulation/test_secagg_spent.c.
 */
#include "crypto/secagg/spent.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/spentjournal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct rn_roster roster;
static struct rn_sa_transcript transcript;
static struct rn_error error;

/* A hash that is this number's: its bytes are spread so that neighbours are far apart. */
static void hash_of(uint64_t number, uint8_t out[static RN_HASH_BYTES])
{
    memset(out, 0, RN_HASH_BYTES);
    const uint64_t spread = number * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(out, &spread, sizeof spread);
    memcpy(out + 24, &number, sizeof number);
}

static struct rn_sa_context *session_is(uint64_t session, uint64_t adapter, uint32_t active)
{
    struct rn_sa_context *context = &transcript.context;
    hash_of(session, transcript.session);
    hash_of(adapter, context->adapter_hash);
    context->roster = &roster;
    context->active = active;
    context->round = session;
    context->attempt = 1;
    transcript.quorum = 3;
    transcript.joined = rn_sa_set_first(4);
    return context;
}

static rn_result spend(struct rn_sa_spent *spent, struct rn_buffer *out_record)
{
    RN_CLEANUP(rn_sa_actions_clear) struct rn_sa_actions actions = {0};
    RN_TRY(rn_sa_spent_spend(spent, &transcript, rn_view_text("done"), &actions, &error));
    assert_int_equal(actions.count, 1);
    assert_true(actions.items[0].kind == RN_SA_PERSIST && actions.items[0].keep);
    rn_buffer_clear(out_record);
    rn_buffer_append(out_record, actions.items[0].bytes.data, actions.items[0].bytes.length);
    return rn_ok();
}

static rn_result join(struct rn_sa_spent *spent, struct rn_buffer *out_record)
{
    RN_CLEANUP(rn_sa_actions_clear) struct rn_sa_actions actions = {0};
    RN_TRY(rn_sa_spent_check_order(spent, &transcript.context, &error));
    rn_sa_spent_join(spent, &transcript, rn_view_text("offer"), rn_view_text("ready"), &actions);
    assert_true(actions.count == 1 && actions.items[0].keep);
    rn_buffer_clear(out_record);
    rn_buffer_append(out_record, actions.items[0].bytes.data, actions.items[0].bytes.length);
    return rn_ok();
}

static void close_session(struct rn_sa_spent *spent, struct rn_buffer *out_record)
{
    RN_CLEANUP(rn_sa_actions_clear) struct rn_sa_actions actions = {0};
    rn_sa_spent_close(spent, transcript.session, rn_view_text("certificate"), &actions);
    rn_buffer_clear(out_record);
    rn_buffer_append(out_record, actions.items[0].bytes.data, actions.items[0].bytes.length);
}

static void load(struct rn_sa_spent *spent, const struct rn_buffer *record, enum rn_code code)
{
    assert_int_equal(rn_sa_spent_load(spent, rn_buffer_view(record), &error).code, code);
}

/* ---- Against a list that is looked through from its first entry to its last. */

enum { SESSIONS = 64, UPDATES = 6, STEPS = 20000 };

static struct known {
    bool open;
    uint64_t adapter;
    uint32_t active;
} list[SESSIONS];

static void expect_as_the_list(const struct rn_sa_spent *spent)
{
    size_t open = 0;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        open += list[i].open ? 1 : 0;
    }
    assert_int_equal(rn_sa_spent_open(spent), open);
    for (uint64_t adapter = 0; adapter < UPDATES; adapter++) {
        for (uint32_t active = 1; active < 16; active <<= 1) {
            bool spent_it = false;
            for (uint32_t i = 0; i < SESSIONS; i++) {
                spent_it |=
                    list[i].open && list[i].adapter == adapter && (list[i].active & active) != 0;
            }
            const rn_result result =
                rn_sa_spent_check(spent, session_is(SESSIONS, adapter, active), &error);
            assert_int_equal(result.code, spent_it ? RN_E_ROUND_SPENT : RN_OK);
        }
    }
}

/* Sessions open and close in every order, also several about other parts of one adapter. Records
 * are read back by a second ledger, which has to know the same. */
static void look_ups_are_those_of_a_list(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer record = {0};
    struct rn_sa_spent *spent = rn_sa_spent_new();
    struct rn_sa_spent *read_back = rn_sa_spent_new();
    uint64_t draw = 1;
    for (uint32_t step = 0; step < STEPS; step++) {
        draw = draw * UINT64_C(6364136223846793005) + 1442695040888963407u;
        struct known *entry = &list[(draw >> 33) % SESSIONS];
        const struct known fresh = {true, (draw >> 40) % UPDATES, 1u << (draw >> 50) % 4};
        const uint64_t session = (uint64_t)(entry - list);
        if (entry->open) {
            (void)session_is(session, entry->adapter, entry->active);
            close_session(spent, &record);
            entry->open = false;
        } else {
            (void)session_is(session, fresh.adapter, fresh.active);
            assert_int_equal(spend(spent, &record).code, RN_OK);
            *entry = fresh;
        }
        load(read_back, &record, RN_OK);
        load(read_back, &record, RN_OK); /* a record twice is one */
        if (step % 16 == 0) {
            expect_as_the_list(spent);
            expect_as_the_list(read_back);
        }
    }
    rn_sa_spent_free(spent);
    rn_sa_spent_free(read_back);
}

/* Any one of the three parts of a key makes another update. */
static void another_base_or_adapter_is_another_update(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer record = {0};
    struct rn_sa_spent *spent = rn_sa_spent_new();
    struct rn_sa_context *context = session_is(1, 1, 2 | 4);
    assert_int_equal(spend(spent, &record).code, RN_OK);
    context = session_is(2, 1, 4);
    assert_int_equal(rn_sa_spent_check(spent, context, &error).code, RN_E_ROUND_SPENT);
    assert_non_null(strstr(error.text, "round 1 "));
    context->active = 1;
    assert_int_equal(rn_sa_spent_check(spent, context, &error).code, RN_OK);
    for (size_t at = 0; at < RN_HASH_BYTES; at++) {
        context = session_is(2, 1, 4);
        context->adapter_hash[at] ^= 1;
        assert_int_equal(rn_sa_spent_check(spent, context, &error).code, RN_OK);
        context = session_is(2, 1, 4);
        context->base_hash[at] ^= 1;
        assert_int_equal(rn_sa_spent_check(spent, context, &error).code, RN_OK);
        context->base_hash[at] ^= 1;
    }
    rn_sa_spent_free(spent);
}

/* ---- Limits. */

/* A job of as many rounds as a plan may ask for, each summed; its measuring round too. */
static void as_many_sessions_as_rounds(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer record = {0};
    struct rn_sa_spent *spent = rn_sa_spent_new();
    struct rn_sa_spent *restored = rn_sa_spent_new();
    uint64_t adding = 0;
    uint64_t restoring = 0;
    for (uint64_t i = 0; i < RN_SA_SPENT_MAX; i++) {
        const uint64_t before = rn_clock_monotonic_ns();
        const struct rn_sa_context *context = session_is(i, i, 1);
        assert_int_equal(rn_sa_spent_check(spent, context, &error).code, RN_OK);
        assert_int_equal(spend(spent, &record).code, RN_OK);
        const uint64_t between = rn_clock_monotonic_ns();
        assert_int_equal(rn_sa_spent_load(restored, rn_buffer_view(&record), &error).code, RN_OK);
        adding += between - before;
        restoring += rn_clock_monotonic_ns() - between;
    }
    print_message("%u sessions: %.0f ms to check and add, %.0f ms to restore (memory, no disk)\n",
                  RN_SA_SPENT_MAX, (double)adding / 1e6, (double)restoring / 1e6);
    assert_int_equal(rn_sa_spent_open(restored), RN_SA_SPENT_MAX);
    for (uint64_t i = 0; i < RN_SA_SPENT_MAX; i += 997) { /* what was sent is known */
        const rn_result result = rn_sa_spent_check(restored, session_is(i, i, 1), &error);
        assert_int_equal(result.code, RN_E_ROUND_SPENT);
        assert_non_null(strstr(error.text, "it may not be sent again"));
    }
    load(restored, &record, RN_OK); /* the last one again is no more */
    (void)session_is(RN_SA_SPENT_MAX, RN_SA_SPENT_MAX, 1);
    const struct rn_sa_context *context = &transcript.context;
    assert_int_equal(rn_sa_spent_check(spent, context, &error).code, RN_E_ROUND_SPENT);
    assert_non_null(strstr(error.text, "more than 100001 sessions"));
    assert_int_equal(spend(spent, &record).code, RN_E_ROUND_SPENT);
    (void)session_is(5, 5, 1); /* one that ended makes room for one */
    close_session(spent, &record);
    (void)session_is(RN_SA_SPENT_MAX, RN_SA_SPENT_MAX, 1);
    assert_int_equal(spend(spent, &record).code, RN_OK);
    load(restored, &record, RN_E_DATA);
    rn_sa_spent_free(spent);
    rn_sa_spent_free(restored);
}

static void plans_and_rosters_at_their_limit(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer joined = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    struct rn_sa_spent *spent = rn_sa_spent_new();
    for (uint64_t i = 0; i < RN_SA_SPENT_PLANS_MAX; i++) {
        struct rn_sa_context *context = session_is(1, i, 1);
        hash_of(i, context->plan_hash);
        assert_int_equal(join(spent, &joined).code, RN_OK);
        RN_CLEANUP(rn_sa_actions_clear) struct rn_sa_actions actions = {0};
        hash_of(i, transcript.roster_hash);
        transcript.blamed = rn_sa_set_only((uint32_t)i % 100);
        rn_sa_spent_blame(spent, &transcript, rn_view_text("result"), &actions);
        rn_buffer_clear(&other);
        rn_buffer_append(&other, actions.items[0].bytes.data, actions.items[0].bytes.length);
    }
    hash_of(7, transcript.roster_hash);
    const struct rn_sa_set blamed = rn_sa_spent_blamed(spent, transcript.roster_hash);
    assert_true(rn_sa_set_has(&blamed, 7) && rn_sa_set_count(&blamed) == 1);
    load(spent, &joined, RN_OK);
    load(spent, &other, RN_OK);
    struct rn_sa_context *context = session_is(1, 0, 1);
    hash_of(0, context->plan_hash); /* under the first plan it has to go up still */
    assert_int_equal(join(spent, &joined).code, RN_E_ROUND_STALE);
    context->attempt = 2;
    assert_int_equal(join(spent, &joined).code, RN_OK);
    hash_of(RN_SA_SPENT_PLANS_MAX, context->plan_hash);
    assert_int_equal(join(spent, &joined).code, RN_E_ROUND_SPENT);
    assert_non_null(strstr(error.text, "takes no more"));
    enum { PLAN_AT = 40 }; /* magic, version, kind, session; of blame the roster */
    hash_of(RN_SA_SPENT_PLANS_MAX, joined.data + PLAN_AT);
    load(spent, &joined, RN_E_DATA);
    hash_of(RN_SA_SPENT_PLANS_MAX, other.data + PLAN_AT);
    load(spent, &other, RN_E_DATA);
    rn_sa_spent_free(spent);
}

/* A record that was cut anywhere before what the ledger reads is refused; none is half taken. */
static void cut_records_are_refused(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer record = {0};
    struct rn_sa_spent *source = rn_sa_spent_new();
    (void)session_is(1, 1, 1);
    assert_int_equal(spend(source, &record).code, RN_OK);
    const size_t read = record.length - RN_HASH_BYTES - 8; /* but T1 and Done, which stay unread */
    for (size_t length = 0; length < read; length++) {
        struct rn_sa_spent *spent = rn_sa_spent_new();
        const struct rn_view cut = rn_view_of(record.data, length);
        assert_int_equal(rn_sa_spent_load(spent, cut, &error).code, RN_E_DATA);
        assert_int_equal(rn_sa_spent_open(spent), 0);
        rn_sa_spent_free(spent);
    }
    rn_sa_spent_free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_ups_are_those_of_a_list),
        cmocka_unit_test(another_base_or_adapter_is_another_update),
        cmocka_unit_test(as_many_sessions_as_rounds),
        cmocka_unit_test(plans_and_rosters_at_their_limit),
        cmocka_unit_test(cut_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
