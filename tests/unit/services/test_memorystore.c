/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store of a simulation lets its owner decide: when a commit is durable, when the news of
 * it comes, which one fails, and what a crash leaves. And the limits of a batch that need no
 * memory to test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/services/store_fixture.h"

static int setup(void **state)
{
    *state = fixture_new(&MEMORY);
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* Without post: the step itself calls back. */
static void open_stepwise(struct fixture *fixture)
{
    struct rn_store_options options = options_of(fixture);
    options.post = NULL;
    assert_true(rn_is_ok(rn_memory_store_open(fixture->disk, &options, &fixture->store, NULL)));
}

static void each_step_does_one_job(void **state)
{
    struct fixture *fixture = *state;
    open_stepwise(fixture);
    assert_false(rn_memory_store_step(fixture->store));
    submit_one(fixture, KIND, 1);
    submit_one(fixture, KIND, 2);
    assert_int_equal(scan(fixture, KIND)->count, 0);
    assert_true(rn_memory_store_step(fixture->store));
    assert_int_equal(scan(fixture, KIND)->count, 1);
    assert_int_equal(fixture->done_count, 1);
    assert_true(rn_memory_store_step(fixture->store));
    assert_false(rn_memory_store_step(fixture->store));
    assert_int_equal(fixture->done_count, 2);
}

static void news_can_be_held_back(void **state)
{
    struct fixture *fixture = *state;
    open_stepwise(fixture);
    rn_memory_store_hold(fixture->store, true);
    submit_one(fixture, KIND, 1);
    submit_one(fixture, KIND, 2);
    assert_true(rn_memory_store_step(fixture->store));
    assert_true(rn_memory_store_step(fixture->store));
    assert_int_equal(scan(fixture, KIND)->count, 2);
    assert_int_equal(fixture->done_count, 0);
    rn_memory_store_hold(fixture->store, false);
    assert_int_equal(fixture->done_count, 2);
    assert_done(fixture, 0, 1, RN_OK);
}

static void a_crash_keeps_what_was_stepped(void **state)
{
    struct fixture *fixture = *state;
    open_stepwise(fixture);
    rn_memory_store_hold(fixture->store, true);
    submit_one(fixture, KIND, 1);
    submit_one(fixture, KIND, 2);
    assert_true(rn_memory_store_step(fixture->store)); /* durable, not told */
    rn_memory_store_crash(&fixture->store);
    assert_null(fixture->store);
    assert_int_equal(fixture->done_count, 0);
    open_stepwise(fixture);
    assert_int_equal(scan(fixture, KIND)->count, 1);
    assert_int_equal(rn_store_epoch(fixture->store), 2);
}

static void the_nth_commit_fails(void **state)
{
    struct fixture *fixture = *state;
    open_stepwise(fixture);
    rn_memory_disk_fail(fixture->disk, 3);
    for (uint32_t round = 1; round <= 4; round++) {
        submit_one(fixture, KIND, round);
        assert_true(rn_memory_store_step(fixture->store));
        assert_done(fixture, round - 1, round, round < 3 ? RN_OK : RN_E_IO);
    }
    assert_int_equal(scan(fixture, KIND)->count, 2);
    rn_memory_store_crash(&fixture->store);
    open_stepwise(fixture);
    submit_one(fixture, KIND, 3);
    assert_true(rn_memory_store_step(fixture->store));
    assert_done(fixture, 4, 1, RN_OK);
}

static void a_copied_disk_lives_on_its_own(void **state)
{
    struct fixture *fixture = *state;
    open_stepwise(fixture);
    submit_one(fixture, KIND, 1);
    assert_true(rn_memory_store_step(fixture->store));
    struct rn_memory_disk *copy = rn_memory_disk_copy(fixture->disk);
    submit_one(fixture, KIND, 2);
    assert_true(rn_memory_store_step(fixture->store));
    rn_store_close(&fixture->store);
    rn_memory_disk_free(&fixture->disk);
    fixture->disk = copy;
    struct rn_store_options options = options_of(fixture);
    options.binding = rn_view_text("plan-2");
    assert_int_equal(rn_memory_store_open(copy, &options, &fixture->store, NULL).code, RN_E_CONFIG);
    open_stepwise(fixture);
    assert_int_equal(scan(fixture, KIND)->count, 1);
}

/* A body of a chosen length that is never looked at, and what became of the batch. */
static bool takes_body(struct rn_store_batch *batch, size_t length)
{
    static uint8_t nothing;
    const size_t before = batch->record_count;
    const struct rn_store_key key = key_of(KIND, 1, 0);
    rn_store_batch_append(batch, &key, rn_view_of(&nothing, 1));
    const bool failed = batch->failed;
    batch->bytes += failed ? 0 : length - 1;
    return !failed && batch->record_count == before + 1;
}

static void a_batch_has_limits_of_bytes(void **state)
{
    (void)state;
    static uint8_t nothing;
    const struct rn_store_key key = key_of(KIND, 1, 0);
    struct rn_store_batch batch = {0};
    rn_store_batch_append(&batch, &key, rn_view_of(&nothing, RN_STORE_BODY_MAX + 1));
    assert_true(batch.failed); /* refused before the bytes are looked at */
    rn_store_batch_clear(&batch);

    assert_true(takes_body(&batch, RN_STORE_BATCH_BYTES_MAX - 1));
    assert_true(takes_body(&batch, 1)); /* at the limit */
    assert_false(takes_body(&batch, 1));
    assert_true(batch.failed);
    rn_store_batch_prune_before(&batch, KIND, 1, 0); /* takes no more */
    assert_int_equal(batch.prune_count, 0);
    rn_store_batch_clear(&batch);
    assert_false(batch.failed);
}

static void a_moved_body_is_not_copied(void **state)
{
    (void)state;
    const struct rn_store_key key = key_of(KIND, 1, 0);
    struct rn_store_batch batch = {0};
    struct rn_buffer body = {0};
    rn_buffer_append(&body, "abc", 3);
    const uint8_t *bytes = body.data;
    rn_store_batch_move(&batch, &key, &body);
    assert_ptr_equal(batch.records[0].body.data, bytes);
    assert_null(body.data);
    body = (struct rn_buffer){.failed = true};
    rn_store_batch_move(&batch, &key, &body); /* half a record is none */
    assert_true(batch.failed);
    rn_store_batch_clear(&batch);

    uint8_t nothing = 0;
    struct rn_buffer long_body = {.data = &nothing, .length = RN_STORE_BODY_MAX};
    rn_store_batch_move(&batch, &key, &long_body); /* at the limit */
    assert_false(batch.failed);
    batch.records[0].body = (struct rn_buffer){0};
    rn_store_batch_clear(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_step_does_one_job, setup, teardown),
        cmocka_unit_test_setup_teardown(news_can_be_held_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_keeps_what_was_stepped, setup, teardown),
        cmocka_unit_test_setup_teardown(the_nth_commit_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copied_disk_lives_on_its_own, setup, teardown),
        cmocka_unit_test(a_batch_has_limits_of_bytes),
        cmocka_unit_test(a_moved_body_is_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
