/* SPDX-License-Identifier: Apache-2.0
 *
 * Round results and session records: what was written is read back, and damage is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/guard.h"
#include "services/federation/jobrecord.h"

static int setup(void **state)
{
    static char directory[64];
    (void)rn_text_format(directory, sizeof(directory), "/tmp/rondo-record-XXXXXX");
    *state = mkdtemp(directory);
    return *state == NULL;
}

static int teardown(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        char path[RN_PATH_MAX];
        if (rn_is_ok(rn_path_join(path, *state, names[i], NULL))) {
            (void)unlink(path);
        }
    }
    return rmdir(*state);
}

static struct rn_job_result make_result(uint32_t round)
{
    struct rn_job_result result = {.outcome = RN_OK,
                                   .round = round,
                                   .attempt = 2,
                                   .active = 1,
                                   .included = 3,
                                   .lost = 1,
                                   .spent = true,
                                   .loss = 0.625,
                                   .examples = 7,
                                   .clipped = 8,
                                   .weight = 9,
                                   .milliseconds = 10,
                                   .uplink_bytes = 11};
    memset(result.session, 1, sizeof(result.session));
    memset(result.before, 2, sizeof(result.before));
    memset(result.after, (int)round, sizeof(result.after));
    memset(result.sum_hash, 4, sizeof(result.sum_hash));
    return result;
}

static void results_come_back(void **state)
{
    (void)state;
    const struct rn_job_result in = make_result(5);
    struct rn_job_result out = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    rn_job_result_write(&in, &bytes);
    assert_int_equal(bytes.length, RN_JOB_RESULT_BYTES);
    assert_int_equal(rn_job_result_read(rn_buffer_view(&bytes), &out, NULL).code, RN_OK);
    assert_int_equal(out.round, 5);
    assert_int_equal(out.lost, 1);
    assert_true(out.spent);
    assert_memory_equal(&out.loss, &in.loss, sizeof(in.loss));
    assert_memory_equal(out.after, in.after, sizeof(in.after));
    assert_int_equal(out.uplink_bytes, 11);
    /* Every length but the right one is damage. */
    for (size_t length = 4; length < bytes.length; length++) {
        assert_int_equal(rn_job_result_read(rn_view_of(bytes.data, length), &out, NULL).code,
                         RN_E_DATA);
    }
    rn_buffer_u8(&bytes, 0);
    assert_int_equal(rn_job_result_read(rn_buffer_view(&bytes), &out, NULL).code, RN_E_DATA);
    bytes.data[0]++;
    assert_int_equal(rn_job_result_read(rn_buffer_view(&bytes), &out, NULL).code, RN_E_UNSUPPORTED);
}

static void append_result(struct rn_journal *journal, uint32_t round)
{
    const struct rn_job_result result = make_result(round);
    const struct rn_journal_key key = {.kind = RN_JOURNAL_RESULT, .round = round};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    rn_job_result_write(&result, &bytes);
    assert_int_equal(rn_journal_append(journal, &key, rn_buffer_view(&bytes), NULL).code, RN_OK);
}

static void the_newest_result_is_found(void **state)
{
    struct rn_journal *journal = NULL;
    struct rn_job_result result;
    bool found = true;
    assert_int_equal(rn_journal_open(*state, &journal, NULL).code, RN_OK);
    assert_int_equal(rn_job_result_latest(journal, -1, &result, &found, NULL).code, RN_OK);
    assert_false(found);
    append_result(journal, 1);
    append_result(journal, 2);
    assert_int_equal(rn_job_result_latest(journal, -1, &result, &found, NULL).code, RN_OK);
    assert_true(found);
    assert_int_equal(result.round, 2);
    assert_int_equal(rn_job_result_latest(journal, 1, &result, &found, NULL).code, RN_OK);
    assert_true(found);
    assert_int_equal(result.round, 1);
    rn_journal_close(&journal);
}

static void a_session_is_read_back_in_order(void **state)
{
    struct rn_journal *journal = NULL;
    assert_int_equal(rn_journal_open(*state, &journal, NULL).code, RN_OK);
    for (uint32_t i = 0; i < 200; i++) {
        struct rn_journal_key key = {.kind = RN_JOURNAL_MEMBER, .session = {(uint8_t)(i % 2)}};
        assert_int_equal(rn_journal_append(journal, &key, rn_view_of(&i, sizeof(i)), NULL).code,
                         RN_OK);
    }
    const uint8_t session[32] = {1};
    struct rn_job_records records;
    assert_int_equal(rn_job_records_load(journal, RN_JOURNAL_MEMBER, session, &records, NULL).code,
                     RN_OK);
    assert_int_equal(records.count, 100);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t value = 0;
        assert_int_equal(records.views[i].length, sizeof(value));
        memcpy(&value, records.views[i].data, sizeof(value));
        assert_int_equal(value, 2 * i + 1);
    }
    rn_job_records_clear(&records);
    const uint8_t other[32] = {9};
    assert_int_equal(rn_job_records_load(journal, RN_JOURNAL_MEMBER, other, &records, NULL).code,
                     RN_OK);
    assert_int_equal(records.count, 0);
    rn_job_records_clear(&records);
    rn_journal_close(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_back),
        cmocka_unit_test_setup_teardown(the_newest_result_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_is_read_back_in_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
