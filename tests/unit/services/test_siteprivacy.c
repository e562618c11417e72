/* SPDX-License-Identifier: Apache-2.0
 *
 * The privacy ledger on disk: two copies that stay alike, forks and old copies refused, terms for
 * life, calls that may come again.
 */
#include "../policy/privacyworld.h"
#include "services/host/siteprivacy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int __wrap_access(const char *path, int mode);
int __real_access(const char *path, int mode);

enum { SITE, STATE, COPIES };
static char root[64];
static char directories[COPIES][RN_PATH_MAX];
static char files[COPIES][RN_PATH_MAX];
static struct rn_identity *owner;
static struct rn_identity *stranger;
static struct rn_error error;
static struct rn_siteprivacy *privacy;
static bool read_only; /* the directory of the identity; for root too */

int __wrap_access(const char *path, int mode)
{
    return read_only && mode == W_OK && strcmp(path, directories[SITE]) == 0
               ? -1
               : __real_access(path, mode);
}

static enum rn_code opened_by(const struct rn_identity *identity,
                              const struct rn_privacy_terms *terms)
{
    const struct rn_siteprivacy_place place = {directories[SITE], directories[STATE], "ward-7",
                                               identity};
    rn_siteprivacy_free(privacy);
    privacy = NULL;
    return rn_siteprivacy_open(&place, terms, &privacy, &error).code;
}

static enum rn_code opened(void)
{
    const struct rn_privacy_terms terms = privacy_terms(owner);
    return opened_by(owner, &terms);
}

static void closed(void)
{
    rn_siteprivacy_free(privacy);
    privacy = NULL;
}

static void content_take(int copy, struct rn_buffer *out)
{
    assert_int_equal(rn_file_read(files[copy], 1 << 20, out, &error).code, RN_OK);
}

static void content_put(int copy, const void *bytes, size_t length)
{
    assert_int_equal(rn_file_write(files[copy], rn_view_of(bytes, length), 0644, &error).code,
                     RN_OK);
}

static void expect_alike(void)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer a = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer b = {0};
    content_take(SITE, &a);
    content_take(STATE, &b);
    assert_true(rn_view_equal(rn_buffer_view(&a), rn_buffer_view(&b)) && a.length > 0);
}

static uint64_t train(uint32_t round)
{
    const struct rn_privacy_intent intent = privacy_intent(1, round);
    uint64_t counter = 0;
    assert_int_equal(rn_siteprivacy_intent(privacy, &intent, &counter, &error).code, RN_OK);
    return counter;
}

/* A plan with two trainings, the second one sent. */
static void live(void)
{
    const struct rn_privacy_plan plan = privacy_plan(1);
    const uint8_t output[32] = {4};
    closed();
    for (int i = 0; i < COPIES; i++) {
        (void)unlink(files[i]);
    }
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(rn_siteprivacy_begin_plan(privacy, &plan, &error).code, RN_OK);
    (void)train(1);
    assert_int_equal(train(1), 2);
    assert_int_equal(rn_siteprivacy_commit(privacy, 2, output, RN_PRIVACY_SENT, &error).code,
                     RN_OK);
    closed();
}

static void both_copies_are_one(void **state)
{
    (void)state;
    live();
    expect_alike();
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(rn_siteprivacy_ledger(privacy)->counter, 2);
    assert_true(rn_siteprivacy_ledger(privacy)->committed);
    closed();
    for (int i = 0; i < COPIES; i++) { /* either is enough */
        (void)unlink(files[i]);
        assert_int_equal(opened(), RN_OK);
        assert_int_equal(rn_siteprivacy_ledger(privacy)->counter, 2);
        closed();
        expect_alike();
    }
}

/* A beginning of the other, a cut line, bytes never written: brought up. */
static void the_longer_copy_counts(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer whole = {0};
    static const uint8_t zeros[5000];
    live();
    content_take(SITE, &whole);
    for (size_t length = 0; length <= whole.length; length += 97) {
        for (int copy = 0; copy < COPIES; copy++) {
            content_put(copy, whole.data, length);
            assert_int_equal(opened(), RN_OK);
            assert_int_equal(rn_siteprivacy_ledger(privacy)->counter, 2);
            closed();
            expect_alike();
        }
    }
    rn_buffer_append(&whole, zeros, sizeof zeros);
    content_put(SITE, whole.data, whole.length);
    assert_int_equal(opened(), RN_OK);
    closed();
    expect_alike();
    rn_buffer_append(&whole, "intent count\0er 1\n", 18);
    content_put(STATE, whole.data, whole.length);
    assert_int_equal(opened(), RN_OK);
    closed();
    expect_alike();
}

static void forks_and_damage_are_refused(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer one = {0};
    live();
    content_take(SITE, &one);
    assert_int_equal(opened(), RN_OK); /* two services go on from one state */
    (void)train(2);
    closed();
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    content_take(STATE, &other);
    content_put(SITE, one.data, one.length);
    content_put(STATE, one.data, one.length);
    assert_int_equal(opened(), RN_OK);
    (void)train(3);
    closed();
    content_put(SITE, other.data, other.length);
    assert_int_equal(opened(), RN_E_DATA);
    assert_non_null(strstr(error.text, "fork"));
    /* Both copies changed alike; without its line feed the last line was never durable. */
    for (size_t at = 0; at < other.length - 1; at += 61) {
        other.data[at] ^= 1;
        content_put(SITE, other.data, other.length);
        content_put(STATE, other.data, other.length);
        const enum rn_code code = opened();
        /* A signature that a later one covers is looked at by those who verify. */
        const bool covered = code == RN_OK && rn_siteprivacy_ledger(privacy)->counter == 3;
        assert_true(code == RN_E_DATA || code == RN_E_IDENTITY || covered);
        closed();
        other.data[at] ^= 1;
    }
}

static void old_copies_are_known_to_the_witness(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer old = {0};
    live();
    content_take(SITE, &old);
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(rn_siteprivacy_expect(privacy, 2, &error).code, RN_OK);
    assert_int_equal(rn_siteprivacy_expect(privacy, 3, &error).code, RN_E_DATA);
    const uint64_t counter = train(2);
    assert_int_equal(rn_siteprivacy_expect(privacy, counter, &error).code, RN_OK);
    closed();
    content_put(SITE, old.data, old.length);
    assert_int_equal(opened(), RN_OK); /* the other copy has it */
    assert_int_equal(rn_siteprivacy_expect(privacy, counter, &error).code, RN_OK);
    closed();
    content_put(SITE, old.data, old.length);
    content_put(STATE, old.data, old.length);
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(rn_siteprivacy_expect(privacy, counter, &error).code, RN_E_DATA);
    closed();
    (void)unlink(files[SITE]);
    (void)unlink(files[STATE]);
    assert_int_equal(opened(), RN_OK); /* a new one, which knows nothing */
    assert_int_equal(rn_siteprivacy_expect(privacy, counter, &error).code, RN_E_DATA);
    closed();
}

static void terms_hold_for_life(void **state)
{
    (void)state;
    live();
    struct rn_privacy_terms terms = privacy_terms(owner);
    terms.epsilon = 9;
    assert_int_equal(opened_by(owner, &terms), RN_E_CONFIG);
    assert_non_null(strstr(error.text, "epsilon"));
    terms = privacy_terms(owner);
    terms.order = 6.5;
    assert_int_equal(opened_by(owner, &terms), RN_E_CONFIG);
    terms = privacy_terms(owner);
    terms.delta = 0.99e-5;
    assert_int_equal(opened_by(owner, &terms), RN_E_CONFIG);
    terms = privacy_terms(owner);
    terms.records_max = 9999;
    assert_int_equal(opened_by(owner, &terms), RN_E_CONFIG);
    terms = privacy_terms(owner);
    terms.unit = RN_PRIVACY_UNIT_PERSON;
    assert_int_equal(opened_by(owner, &terms), RN_E_CONFIG);
    terms = privacy_terms(owner);
    terms.commitment[0] ^= 1; /* of a new salt: the header's stays */
    assert_int_equal(opened_by(owner, &terms), RN_OK);
    assert_int_equal(rn_siteprivacy_ledger(privacy)->terms.commitment[0], 1);
    assert_int_equal(opened_by(owner, NULL), RN_OK);
    assert_int_equal(opened_by(stranger, NULL), RN_E_IDENTITY);
    terms = privacy_terms(stranger);
    assert_int_equal(opened_by(stranger, &terms), RN_E_IDENTITY);
    closed();
    (void)unlink(files[SITE]);
    (void)unlink(files[STATE]);
    assert_int_equal(opened_by(owner, NULL), RN_E_NO_INPUT);
    assert_false(rn_file_exists(files[SITE]) || rn_file_exists(files[STATE]));
}

static void one_service_at_a_time(void **state)
{
    (void)state;
    struct rn_siteprivacy *second = NULL;
    const struct rn_siteprivacy_place place = {directories[SITE], directories[STATE], "ward-7",
                                               owner};
    live();
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(rn_siteprivacy_open(&place, NULL, &second, &error).code, RN_E_BUSY);
    closed();
    assert_int_equal(rn_siteprivacy_open(&place, NULL, &second, &error).code, RN_OK);
    rn_siteprivacy_free(second);
}

/* A service that starts again says the same again; nothing is written twice. */
static void calls_may_come_again(void **state)
{
    (void)state;
    struct rn_privacy_plan plan = privacy_plan(1);
    const uint8_t output[32] = {4};
    const uint8_t another[32] = {5};
    live();
    assert_int_equal(opened(), RN_OK);
    const struct rn_privacy_ledger *ledger = rn_siteprivacy_ledger(privacy);
    const uint64_t lines = ledger->lines;
    assert_int_equal(rn_siteprivacy_begin_plan(privacy, &plan, &error).code, RN_OK);
    assert_int_equal(rn_siteprivacy_commit(privacy, 2, output, RN_PRIVACY_SENT, &error).code,
                     RN_OK);
    assert_int_equal(ledger->lines, lines);
    assert_int_equal(rn_siteprivacy_commit(privacy, 2, another, RN_PRIVACY_SENT, &error).code,
                     RN_E_REFUSED);
    assert_int_equal(rn_siteprivacy_commit(privacy, 1, output, RN_PRIVACY_SENT, &error).code,
                     RN_E_REFUSED);
    plan.noise = 0.9;
    assert_int_equal(rn_siteprivacy_begin_plan(privacy, &plan, &error).code, RN_E_REFUSED);
    plan = privacy_plan(2);
    assert_int_equal(rn_siteprivacy_begin_plan(privacy, &plan, &error).code, RN_E_REFUSED);
    assert_int_equal(rn_siteprivacy_mark_nonprivate(privacy, plan.hash, "open", &error).code,
                     RN_E_REFUSED);
    plan = privacy_plan(1);
    assert_int_equal(rn_siteprivacy_close_plan(privacy, plan.hash, &error).code, RN_OK);
    assert_int_equal(rn_siteprivacy_close_plan(privacy, plan.hash, &error).code, RN_OK);
    assert_int_equal(ledger->lines, lines + 1);
    plan = privacy_plan(2);
    assert_int_equal(rn_siteprivacy_mark_nonprivate(privacy, plan.hash, "open", &error).code,
                     RN_OK);
    assert_int_equal(rn_siteprivacy_mark_nonprivate(privacy, plan.hash, "open", &error).code,
                     RN_OK);
    assert_int_equal(ledger->lines, lines + 2);
    const struct rn_privacy_release release = {.what = "count", .mechanism = RN_PRIVACY_CONSTANT};
    assert_int_equal(rn_siteprivacy_release(privacy, &release, &error).code, RN_OK);
    closed();
    expect_alike();
}

static void a_refusal_is_no_failure(void **state)
{
    (void)state;
    live();
    assert_int_equal(opened(), RN_OK);
    struct rn_privacy_intent intent = privacy_intent(1, 99);
    uint64_t counter = 77;
    assert_int_equal(rn_siteprivacy_intent(privacy, &intent, &counter, &error).code, RN_E_REFUSED);
    assert_int_equal(counter, 77);
    assert_int_equal(train(2), 3);
    closed();
}

/* A Secret: the state alone is written. */
static void a_directory_that_cannot_be_written(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer before = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer after = {0};
    live();
    content_take(SITE, &before);
    read_only = true;
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(train(2), 3);
    closed();
    content_take(SITE, &after);
    assert_true(rn_view_equal(rn_buffer_view(&before), rn_buffer_view(&after)));
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(rn_siteprivacy_ledger(privacy)->counter, 3);
    closed();
    (void)unlink(files[STATE]); /* its beginning is still known */
    assert_int_equal(opened(), RN_OK);
    assert_int_equal(rn_siteprivacy_ledger(privacy)->counter, 2);
    closed();
    (void)unlink(files[SITE]);
    (void)unlink(files[STATE]);
    assert_int_equal(opened(), RN_OK);
    assert_false(rn_file_exists(files[SITE]));
    closed();
    read_only = false;
}

static void one_directory_for_both(void **state)
{
    (void)state;
    const struct rn_siteprivacy_place place = {directories[SITE], directories[SITE], "ward-7",
                                               owner};
    struct rn_siteprivacy *own = NULL;
    RN_CLEANUP(rn_privacy_ledger_free_cleanup) struct rn_privacy_ledger *ledger = NULL;
    live();
    for (int i = 0; i < 2; i++) {
        const struct rn_privacy_intent intent = privacy_intent(1, 2);
        uint64_t counter = 0;
        assert_int_equal(rn_siteprivacy_open(&place, NULL, &own, &error).code, RN_OK);
        assert_int_equal(rn_siteprivacy_intent(own, &intent, &counter, &error).code, RN_OK);
        rn_siteprivacy_free(own);
    }
    assert_int_equal(rn_siteprivacy_read(files[SITE], &ledger, &error).code, RN_OK);
    assert_int_equal(ledger->counter, 4);
}

static void lineages_are_found(void **state)
{
    (void)state;
    struct rn_siteprivacy_lineages lineages;
    char path[RN_PATH_MAX];
    live();
    assert_int_equal(rn_siteprivacy_path(directories[SITE], "annex", path, &error).code, RN_OK);
    assert_int_equal(rn_file_write(path, rn_view_text(""), 0644, &error).code, RN_OK);
    assert_int_equal(rn_siteprivacy_lineages(directories[SITE], &lineages, &error).code, RN_OK);
    assert_int_equal(lineages.count, 2);
    assert_string_equal(lineages.names[0], "annex");
    assert_string_equal(lineages.names[1], "ward-7");
    (void)unlink(path);
    assert_int_equal(rn_siteprivacy_path(directories[SITE], "../x", path, &error).code,
                     RN_E_CONFIG);
    RN_CLEANUP(rn_privacy_ledger_free_cleanup) struct rn_privacy_ledger *ledger = NULL;
    assert_int_equal(rn_siteprivacy_read("/dev/null", &ledger, &error).code, RN_E_NO_INPUT);
    assert_int_equal(rn_siteprivacy_read(path, &ledger, &error).code, RN_E_NO_INPUT);
}

static int setup(void **state)
{
    (void)state;
    static const char *const names[COPIES] = {"site", "state"};
    (void)snprintf(root, sizeof root, "/tmp/rondo-siteprivacy-XXXXXX");
    RN_BUG_IF(mkdtemp(root) == NULL);
    for (int i = 0; i < COPIES; i++) {
        RN_BUG_IF(!rn_is_ok(rn_path_join(directories[i], root, names[i], NULL)));
        RN_BUG_IF(mkdir(directories[i], 0700) != 0);
        RN_BUG_IF(!rn_is_ok(rn_siteprivacy_path(directories[i], "ward-7", files[i], NULL)));
    }
    owner = privacy_identity(3);
    stranger = privacy_identity(4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    closed();
    for (int i = 0; i < COPIES; i++) {
        (void)unlink(files[i]);
        RN_BUG_IF(!rn_is_ok(rn_path_join(path, directories[i], "privacy-ledger.lock", NULL)));
        (void)unlink(path);
        (void)rmdir(directories[i]);
    }
    (void)rmdir(root);
    rn_identity_free(owner);
    rn_identity_free(stranger);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_copies_are_one),
        cmocka_unit_test(the_longer_copy_counts),
        cmocka_unit_test(forks_and_damage_are_refused),
        cmocka_unit_test(old_copies_are_known_to_the_witness),
        cmocka_unit_test(terms_hold_for_life),
        cmocka_unit_test(one_service_at_a_time),
        cmocka_unit_test(calls_may_come_again),
        cmocka_unit_test(a_refusal_is_no_failure),
        cmocka_unit_test(a_directory_that_cannot_be_written),
        cmocka_unit_test(one_directory_for_both),
        cmocka_unit_test(lineages_are_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
