/* SPDX-License-Identifier: Apache-2.0
 *
 * Every part is run once, whoever runs it.
 */
#include "base/parallel.h"
#include "tests/unit/aborts.h"

#include <stdatomic.h>

static _Atomic uint32_t calls[RN_PARALLEL_PARTS_MAX];

static void count(void *job, uint32_t part)
{
    assert_ptr_equal(job, calls);
    atomic_fetch_add(&calls[part], 1);
}

static void expect_each_once(const struct rn_parallel *parallel, uint32_t parts)
{
    for (uint32_t i = 0; i < RN_PARALLEL_PARTS_MAX; i++) {
        calls[i] = 0;
    }
    rn_parallel_run(parallel, parts, count, calls);
    for (uint32_t i = 0; i < RN_PARALLEL_PARTS_MAX; i++) {
        assert_int_equal(calls[i], i < parts ? 1 : 0);
    }
}

static void each_part_once(void **state)
{
    (void)state;
    const struct rn_parallel most = rn_parallel_threads(RN_PARALLEL_PARTS_MAX);
    expect_each_once(NULL, 1);
    expect_each_once(&most, 1);
    expect_each_once(&most, 2);
    expect_each_once(&most, RN_PARALLEL_PARTS_MAX);
}

static void numbers_of_parts(void **state)
{
    (void)state;
    assert_int_equal(rn_parallel_parts(NULL), 1);
    const struct rn_parallel three = rn_parallel_threads(3);
    assert_int_equal(rn_parallel_parts(&three), 3);
    const struct rn_parallel capped = rn_parallel_threads(RN_PARALLEL_PARTS_MAX + 1);
    assert_int_equal(rn_parallel_parts(&capped), RN_PARALLEL_PARTS_MAX);
    const struct rn_parallel all = rn_parallel_threads(0);
    assert_true(all.parts >= 1 && all.parts <= RN_PARALLEL_PARTS_MAX);
}

static void too_many(void)
{
    rn_parallel_run(NULL, 2, count, calls);
}
static void none(void)
{
    rn_parallel_run(NULL, 0, count, calls);
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(too_many);
    assert_aborts(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_once),
        cmocka_unit_test(numbers_of_parts),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
