/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs that lie in a member's state have to stand in its ledger: each of them, whatever became
 * of the ledger's copies.
 */
#include "services/host/sitejobs.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/federation/jobrecord.h"
#include "services/host/siteledger.h"
#include "services/store/sqlitestore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char site[32];
static char state[RN_PATH_MAX];
static struct rn_job_ledger ledger;
static struct rn_error error;
static const struct rn_identity_public owner = {{7}};

static const char *path_of(const char *name)
{
    static char path[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_path_join(path, state, name, &error)));
    return path;
}

/* Plan 0xaa has the hash aaaa...; each over a base model of its own. */
static struct rn_plan plan_of(uint8_t byte)
{
    struct rn_plan plan = {.seed = byte};
    memset(plan.hash, byte, sizeof plan.hash);
    memset(plan.model_hash, byte, sizeof plan.model_hash);
    return plan;
}

static void charge(uint8_t byte)
{
    const struct rn_plan plan = plan_of(byte);
    assert_true(rn_is_ok(rn_job_ledger_charge(&ledger, &plan, &error)));
}

/* ---- Journals, by the store itself. */

static bool no_loop(void *user, void (*function)(void *argument), void *argument)
{
    (void)user;
    (void)function;
    (void)argument;
    return false; /* rn_store_close delivers */
}

static void on_done(void *context, uint64_t sequence, rn_result result, const struct rn_error *err)
{
    (void)context;
    (void)sequence;
    (void)err;
    assert_true(rn_is_ok(result));
}

static struct rn_store *journal_open(const char *folder)
{
    struct rn_store *store = NULL;
    const struct rn_store_options options = {.post = no_loop};
    if (!rn_is_ok(rn_sqlite_store_open(path_of(folder), &options, &store, &error))) {
        fail_msg("%s", error.text);
    }
    return store;
}

/* As a member's service leaves it: bound to the plan, and with sessions when some were joined. */
static void journal_make(const char *folder, uint8_t byte, bool joined)
{
    struct rn_store_batch batch = {0};
    const struct rn_plan plan = plan_of(byte);
    struct rn_store_key key = {.kind = RN_RECORD_PLAN};
    struct rn_store *store = journal_open(folder);
    rn_store_batch_append(&batch, &key, rn_view_of(plan.hash, sizeof plan.hash));
    key.kind = joined ? RN_RECORD_SPENT : RN_RECORD_ADAPTER;
    rn_store_batch_append(&batch, &key, rn_view_text("a record"));
    assert_true(rn_is_ok(rn_store_commit(store, &batch, on_done, NULL, NULL, &error)));
    rn_store_close(&store);
}

static int begin(void **unused)
{
    (void)unused;
    (void)rn_text_format(site, sizeof site, "/tmp/rondo-sitejobs-XXXXXX");
    if (mkdtemp(site) == NULL || !rn_is_ok(rn_path_join(state, site, "state", &error))) {
        return -1;
    }
    rn_job_ledger_init(&ledger, &owner);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    char command[64];
    (void)rn_text_format(command, sizeof command, "rm -rf %s", site);
    return system(command); /* a folder of this test alone */
}

static void expect(enum rn_code code)
{
    error.text[0] = '\0';
    const enum rn_code found = rn_sitejobs_check(state, &ledger, &error).code;
    if (found != code) {
        fail_msg("%d instead of %d: %s", (int)found, (int)code, error.text);
    }
}

static void expect_unknown(const char *directory)
{
    expect(RN_E_DATA);
    assert_non_null(strstr(error.text, directory));
    assert_non_null(strstr(error.text, "Put back the newest one"));
}

/* ---- Tests. */

static void nothing_lies_there(void **unused)
{
    (void)unused;
    expect(RN_OK);
    assert_true(rn_is_ok(rn_directory_make(path_of("jobs/notes"), 0700, &error)));
    assert_true(rn_is_ok(rn_directory_make(path_of("jobs/aaaaaaaaaaaaaaa"), 0700, &error)));
    expect(RN_OK); /* no job's name */
}

static void every_earlier_job_has_to_be_charged(void **unused)
{
    (void)unused;
    journal_make("jobs/aaaaaaaaaaaaaaaa", 0xaa, true);
    journal_make("jobs/bbbbbbbbbbbbbbbb", 0xbb, true);
    journal_make("jobs/cccccccccccccccc", 0xcc, true);
    charge(0xaa);
    charge(0xbb);
    expect_unknown(path_of("jobs/cccccccccccccccc"));
    charge(0xcc);
    expect(RN_OK);
    for (uint32_t missing = 0; missing < 3; missing++) {
        rn_job_ledger_init(&ledger, &owner);
        for (uint32_t i = 0; i < 3; i++) {
            if (i != missing) {
                charge((uint8_t)(0xaa + 0x11 * i));
            }
        }
        expect(RN_E_DATA);
    }
}

/* A service that was started and waited for signatures; then came another plan. */
static void a_job_without_a_session_may_be_missing(void **unused)
{
    (void)unused;
    journal_make("jobs/aaaaaaaaaaaaaaaa", 0xaa, false);
    journal_make(".", 0xbb, false);
    expect(RN_OK);
}

/* Nothing tells any more that no session was joined. */
static void a_journal_that_tells_nothing_counts_as_a_job(void **unused)
{
    (void)unused;
    static const char journal[] = "jobs/aaaaaaaaaaaaaaaa/journal.db";
    assert_true(rn_is_ok(rn_directory_make(path_of("jobs/aaaaaaaaaaaaaaaa"), 0700, &error)));
    expect_unknown(path_of("jobs/aaaaaaaaaaaaaaaa"));
    const struct rn_view damaged[] = {{0}, rn_view_text("no journal at all, but as long as one")};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(damaged); i++) {
        assert_true(rn_is_ok(rn_file_write(path_of(journal), damaged[i], 0600, &error)));
        expect_unknown(path_of("jobs/aaaaaaaaaaaaaaaa"));
    }
    charge(0xaa);
    expect(RN_OK);
}

/* The job of the present plan; its service may be running. */
static void the_present_job_has_to_be_charged(void **unused)
{
    (void)unused;
    journal_make(".", 0xaa, true);
    expect_unknown(state);
    charge(0xbb);
    expect_unknown(state);
    struct rn_store *running = journal_open(".");
    expect_unknown(state);
    charge(0xaa);
    expect(RN_OK);
    rn_store_close(&running);
    expect(RN_OK);
}

/* Both copies go, or come back from an old backup, after the first job was put aside. */
static void lost_copies_are_noticed_at_the_next_plan(void **unused)
{
    (void)unused;
    struct rn_siteledger *opened = NULL;
    const struct rn_siteledger_place place = {site, state, &owner};
    const struct rn_siteledger_state fresh = {false, false};
    const struct rn_plan old = plan_of(0x11), first = plan_of(0xaa), next = plan_of(0xbb);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char beside[RN_PATH_MAX];
    journal_make("jobs/aaaaaaaaaaaaaaaa", 0xaa, true);
    assert_true(rn_is_ok(rn_path_join(beside, site, RN_SITE_LEDGER, &error)));
    for (uint32_t copy = 0; copy < 3; copy++) { /* none, an old one, the newest */
        rn_job_ledger_init(&ledger, &owner);
        assert_true(rn_is_ok(rn_job_ledger_charge(&ledger, &old, &error)));
        if (copy == 2) {
            assert_true(rn_is_ok(rn_job_ledger_charge(&ledger, &first, &error)));
        }
        rn_job_ledger_write(&ledger, &text);
        if (copy > 0) {
            assert_true(rn_is_ok(rn_file_write(beside, rn_buffer_view(&text), 0644, &error)));
        }
        const rn_result result = rn_siteledger_open(&place, &next, 1, fresh, &opened, &error);
        assert_int_equal(result.code, copy == 2 ? RN_OK : RN_E_DATA);
        assert_true(copy == 2 || strstr(error.text, path_of("jobs/aaaaaaaaaaaaaaaa")) != NULL);
        rn_siteledger_free(RN_TAKE(opened));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_lies_there),
        TEST(every_earlier_job_has_to_be_charged),
        TEST(a_job_without_a_session_may_be_missing),
        TEST(a_journal_that_tells_nothing_counts_as_a_job),
        TEST(the_present_job_has_to_be_charged),
        TEST(lost_copies_are_noticed_at_the_next_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
