/* SPDX-License-Identifier: Apache-2.0
 *
 * The job of an earlier plan is kept and comes back, whole, wherever the move was interrupted; and
 * a directory in the middle of it has no signatures, so that no service runs on half a job.
 */
#include "base/file.h"
#include "base/guard.h"
#include "services/cli/setup/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct rn_site site;
static struct rn_error error;
static char directory[64];
static char kept[RN_PATH_MAX];

static const char *path_of(const char *name)
{
    static char path[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_path_join(path, directory, name, &error)));
    return path;
}

static void put(const char *name, const char *text)
{
    assert_true(rn_is_ok(rn_file_write(path_of(name), rn_view_text(text), 0600, &error)));
}

static bool has(const char *name)
{
    return rn_file_exists(path_of(name));
}

static void make(const char *name)
{
    assert_true(rn_is_ok(rn_directory_make(path_of(name), 0700, &error)));
}

/* Signatures of nobody over the plan whose hash is 32 times the byte. */
static void sign(const char *name, const char *byte)
{
    char text[128] = "rondo-signatures 1\nplan ";
    for (int i = 0; i < 32; i++) {
        memcpy(text + 24 + 2 * i, byte, 2);
    }
    memcpy(text + 24 + 64, "\n", 2);
    put(name, text);
}

static rn_result turn(uint8_t byte)
{
    uint8_t hash[32];
    memset(hash, byte, sizeof hash);
    return rn_job_switch(directory, &site, hash, kept, &error);
}

static void turn_ok(uint8_t byte)
{
    const rn_result result = turn(byte);
    if (!rn_is_ok(result)) {
        fail_msg("%s", error.text);
    }
}

/* A site with the job of plan aa..: two files of state, one of them in a folder. */
static int begin(void **state)
{
    (void)state;
    (void)rn_text_format(directory, sizeof directory, "/tmp/rondo-jobs-XXXXXX");
    (void)rn_text_format(site.state, sizeof site.state, "state");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    make("state/adapters");
    put("state/journal.db", "aa");
    put("state/adapters/final", "aa");
    sign("plan.yaml.sigs", "aa");
    return 0;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    (void)rn_text_format(command, sizeof command, "rm -rf %s", directory);
    return system(command); /* a folder of this test alone */
}

static void expect_kept(void)
{
    assert_true(has("state/jobs/aaaaaaaaaaaaaaaa/journal.db"));
    assert_true(has("state/jobs/aaaaaaaaaaaaaaaa/adapters/final"));
    assert_true(has("state/jobs/aaaaaaaaaaaaaaaa/plan.yaml.sigs"));
    assert_false(has("state/journal.db") || has("state/adapters") || has("state/job.sigs"));
    assert_false(has("plan.yaml.sigs"));
}

static void expect_back(void)
{
    assert_true(has("state/journal.db") && has("state/adapters/final"));
    assert_false(has("state/jobs/aaaaaaaaaaaaaaaa"));
}

static void same_plan_changes_nothing(void **state)
{
    (void)state;
    turn_ok(0xaa);
    assert_string_equal(kept, "");
    assert_true(has("plan.yaml.sigs") && has("state/journal.db") && !has("state/jobs"));
}

static void goes_and_comes_back(void **state)
{
    (void)state;
    turn_ok(0xbb);
    assert_non_null(strstr(kept, "state/jobs/aaaaaaaaaaaaaaaa"));
    expect_kept();
    sign("plan.yaml.sigs", "bb");
    put("state/journal.db", "bb");
    turn_ok(0xaa);
    expect_back();
    assert_true(has("state/jobs/bbbbbbbbbbbbbbbb/journal.db"));
}

/* Nothing ran under the plan: there is nothing to keep. */
static void no_job_is_not_kept(void **state)
{
    (void)state;
    (void)unlink(path_of("state/journal.db"));
    (void)unlink(path_of("state/adapters/final"));
    (void)rmdir(path_of("state/adapters"));
    turn_ok(0xbb);
    assert_string_equal(kept, "");
    assert_false(has("state/jobs"));
}

/* As after a crash behind each step of putting a job aside. */
static void interrupted_going_is_completed(void **state)
{
    (void)state;
    (void)unlink(path_of("plan.yaml.sigs"));
    sign("state/job.sigs", "aa");
    turn_ok(0xbb);
    expect_kept();
    assert_int_equal(end(state), 0);
    assert_int_equal(begin(state), 0);
    make("state/jobs/aaaaaaaaaaaaaaaa");
    (void)unlink(path_of("plan.yaml.sigs"));
    sign("state/job.sigs", "aa");
    (void)unlink(path_of("state/journal.db"));
    put("state/jobs/aaaaaaaaaaaaaaaa/journal.db", "aa");
    turn_ok(0xbb);
    expect_kept();
}

/* The operator thinks better of it before the move was complete. */
static void interrupted_going_is_undone(void **state)
{
    (void)state;
    (void)unlink(path_of("plan.yaml.sigs"));
    sign("state/job.sigs", "aa");
    make("state/jobs/aaaaaaaaaaaaaaaa");
    (void)unlink(path_of("state/journal.db"));
    put("state/jobs/aaaaaaaaaaaaaaaa/journal.db", "aa");
    turn_ok(0xaa);
    expect_back();
    assert_true(has("plan.yaml.sigs"));
}

static void interrupted_coming_is_completed(void **state)
{
    (void)state;
    turn_ok(0xbb);
    put("state/journal.db", "aa"); /* one entry came back already, and no signatures */
    (void)unlink(path_of("state/jobs/aaaaaaaaaaaaaaaa/journal.db"));
    turn_ok(0xaa);
    expect_back();
}

static void a_running_service_keeps_its_plan(void **state)
{
    (void)state;
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    assert_true(rn_is_ok(rn_file_lock(path_of("state/lock"), &lock, &error)));
    assert_int_equal(turn(0xbb).code, RN_E_BUSY);
    assert_non_null(strstr(error.text, "stop it before its plan changes"));
    assert_true(has("plan.yaml.sigs") && has("state/journal.db"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_plan_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(goes_and_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(no_job_is_not_kept, begin, end),
        cmocka_unit_test_setup_teardown(interrupted_going_is_completed, begin, end),
        cmocka_unit_test_setup_teardown(interrupted_going_is_undone, begin, end),
        cmocka_unit_test_setup_teardown(interrupted_coming_is_completed, begin, end),
        cmocka_unit_test_setup_teardown(a_running_service_keeps_its_plan, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
