/* SPDX-License-Identifier: Apache-2.0
 *
 * How often a peer may cause something: at the limit and one beyond.
 */
#include "services/federation/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct rn_budget_rate rate = {3, 1000};

static void a_burst_and_no_more(void **state)
{
    (void)state;
    struct rn_budget budget = {0};
    for (int i = 0; i < 3; i++) {
        assert_true(rn_budget_take(&budget, &rate, 5));
    }
    assert_false(rn_budget_take(&budget, &rate, 5));
    assert_false(rn_budget_take(&budget, &rate, 1004)); /* what is refused costs nothing */
    assert_true(rn_budget_take(&budget, &rate, 1005));
    assert_false(rn_budget_take(&budget, &rate, 1005));
}

/* It never holds more than a burst, however long nobody asked. */
static void a_rest_is_no_credit(void **state)
{
    (void)state;
    struct rn_budget budget = {0};
    assert_true(rn_budget_take(&budget, &rate, 0));
    for (int i = 0; i < 3; i++) {
        assert_true(rn_budget_take(&budget, &rate, UINT64_C(1) << 40));
    }
    assert_false(rn_budget_take(&budget, &rate, UINT64_C(1) << 40));
}

static void parts_of_a_unit(void **state)
{
    (void)state;
    struct rn_budget budget = {0};
    for (int i = 0; i < 4; i++) { /* 2 2/3 units */
        assert_true(rn_budget_take_part(&budget, &rate, 2, 3, 0));
    }
    assert_false(rn_budget_take_part(&budget, &rate, 2, 3, 0));
    assert_true(rn_budget_take_part(&budget, &rate, 1, 3, 0));
    assert_false(rn_budget_take_part(&budget, &rate, 1, 3, 0));
    assert_false(rn_budget_take_part(&budget, &rate, 1, 3, 333));
    assert_true(rn_budget_take_part(&budget, &rate, 1, 3, 334));
    assert_false(rn_budget_take(&budget, &rate, 1333));
    assert_true(rn_budget_take(&budget, &rate, 1334));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_no_more),
        cmocka_unit_test(a_rest_is_no_credit),
        cmocka_unit_test(parts_of_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
