/* SPDX-License-Identifier: Apache-2.0
 *
 * Round results and session records: what was written is read back, and damage is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/jobrecords.h"
#include "services/host/executor.h"
#include "services/store/memorystore.h"

/* A reader as the machines get it, over a store in memory. */
struct place {
    struct rn_memory_disk *disk;
    struct rn_store *store;
    struct rn_executor *executor;
    struct rn_job_reader reader;
};

static int setup(void **state)
{
    const struct rn_store_options options = {.post = NULL};
    const struct rn_executor_config config = {.peers = 1};
    struct place *place = rn_alloc(1, sizeof(*place));
    place->disk = rn_memory_disk_new();
    place->executor = rn_executor_new(&config);
    place->reader = rn_executor_reader(place->executor);
    *state = place;
    if (!rn_is_ok(rn_memory_store_open(place->disk, &options, &place->store, NULL))) {
        return -1;
    }
    rn_executor_set_store(place->executor, place->store);
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    rn_store_close(&place->store);
    rn_executor_free(place->executor);
    rn_memory_disk_free(&place->disk);
    rn_free(place);
    return 0;
}

static void ignore(void *context, uint64_t sequence, rn_result result, const struct rn_error *err)
{
    (void)context;
    (void)sequence;
    (void)err;
    assert_int_equal(result.code, RN_OK);
}

static void append(struct place *place, const struct rn_store_key *key, struct rn_view body)
{
    struct rn_store_batch batch = {0};
    rn_store_batch_append(&batch, key, body);
    assert_true(rn_is_ok(rn_store_commit(place->store, &batch, ignore, NULL, NULL, NULL)));
    assert_true(rn_memory_store_step(place->store));
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

static void append_result(struct place *place, uint32_t round)
{
    const struct rn_job_result result = make_result(round);
    const struct rn_store_key key = {.kind = RN_RECORD_RESULT, .round = round};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    rn_job_result_write(&result, &bytes);
    append(place, &key, rn_buffer_view(&bytes));
}

static void the_newest_result_is_found(void **state)
{
    struct place *place = *state;
    struct rn_job_result result;
    bool found = true;
    assert_true(rn_is_ok(rn_job_result_latest(&place->reader, -1, &result, &found, NULL)));
    assert_false(found);
    append_result(place, 1);
    append_result(place, 2);
    assert_true(rn_is_ok(rn_job_result_latest(&place->reader, -1, &result, &found, NULL)));
    assert_true(found);
    assert_int_equal(result.round, 2);
    assert_true(rn_is_ok(rn_job_result_latest(&place->reader, 1, &result, &found, NULL)));
    assert_true(found);
    assert_int_equal(result.round, 1);
}

static void a_session_is_read_back_in_order(void **state)
{
    struct place *place = *state;
    for (uint32_t i = 0; i < 200; i++) {
        const struct rn_store_key key = {.kind = RN_RECORD_MEMBER, .session = {(uint8_t)(i % 2)}};
        append(place, &key, rn_view_of(&i, sizeof(i)));
    }
    const uint8_t session[RN_HASH_BYTES] = {1};
    struct rn_job_records records;
    assert_true(
        rn_is_ok(rn_job_records_load(&place->reader, RN_RECORD_MEMBER, session, &records, NULL)));
    assert_int_equal(records.count, 100);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t value = 0;
        assert_int_equal(records.views[i].length, sizeof(value));
        memcpy(&value, records.views[i].data, sizeof(value));
        assert_int_equal(value, 2 * i + 1);
    }
    rn_job_records_clear(&records);
    const uint8_t other[RN_HASH_BYTES] = {9};
    assert_true(
        rn_is_ok(rn_job_records_load(&place->reader, RN_RECORD_MEMBER, other, &records, NULL)));
    assert_int_equal(records.count, 0);
    rn_job_records_clear(&records);
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
