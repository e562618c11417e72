/* SPDX-License-Identifier: Apache-2.0
 *
 * What measures mean for a job: which adapter is the best, and when the job ends early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/plan.h"
#include "services/round/roundmeasure.h"

/* On the heap: the struct is large. */
static struct rn_plan *make_plan(uint32_t patience, double min_delta)
{
    struct rn_plan *plan = rn_alloc(1, sizeof(*plan));
    plan->rounds = 9;
    plan->evaluation = (struct rn_plan_evaluation){
        .federated = true, .early_stop = {.patience = patience, .min_delta = min_delta}};
    return plan;
}

/* metrics[i] is what round i + 1 says of the adapter before it; NaN: nothing. */
static struct rn_round_judgement judge(const struct rn_plan *plan, const double *metrics,
                                       size_t count)
{
    struct rn_round_judgement judgement = {0};
    for (size_t i = 0; i < count; i++) {
        const struct rn_round_measure measure = {.valid = !isnan(metrics[i]), .metric = metrics[i]};
        (void)rn_round_judgement_take(&judgement, plan, (uint32_t)i + 1, &measure);
    }
    return judgement;
}

static void the_best_is_the_first_of_the_largest(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(0, 0);
    static const double metrics[] = {0.1, 0.4, 0.3, 0.4, 0.2};
    const struct rn_round_judgement judgement = judge(plan, metrics, RN_ARRAY_LENGTH(metrics));
    assert_true(judgement.measured && !judgement.stopped);
    assert_int_equal(judgement.best_round, 1);
    assert_true(judgement.best_metric == 0.4);
    assert_int_equal(judgement.since, 3);
    rn_free(plan);
}

/* Even the worst metric is the best so far where nothing was measured before. */
static void the_first_measure_counts(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(0, 0);
    static const double metrics[] = {-1};
    const struct rn_round_judgement judgement = judge(plan, metrics, 1);
    assert_true(judgement.measured);
    assert_int_equal(judgement.best_round, 0);
    assert_int_equal(judgement.since, 0);
    rn_free(plan);
}

static void patience_counts_measures_alone(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(2, 0);
    static const double metrics[] = {0.5, 0.4, (double)NAN, (double)NAN, 0.3, 0.9};
    struct rn_round_judgement judgement = judge(plan, metrics, 4);
    assert_false(judgement.stopped);
    judgement = judge(plan, metrics, 5);
    assert_true(judgement.stopped);
    assert_int_equal(judgement.stopped_round, 5);
    assert_int_equal(judgement.best_round, 0);
    rn_free(plan);
}

/* From the best so far, not from the measure before: small steps add up to an improvement. */
static void improvements_are_larger_than_min_delta(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(2, 0.125);
    static const double slow[] = {0, 0.125, 0.25};
    struct rn_round_judgement judgement = judge(plan, slow, 2);
    assert_int_equal(judgement.best_round, 0);
    judgement = judge(plan, slow, 3);
    assert_int_equal(judgement.best_round, 2);
    assert_false(judgement.stopped);
    static const double slower[] = {0, 0.0625, 0.125};
    assert_true(judge(plan, slower, 3).stopped);
    rn_free(plan);
}

static void one_adapter_is_measured_once(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(0, 0);
    assert_true(rn_round_is_measured(plan, 1, 0));
    assert_false(rn_round_is_measured(plan, 2, 0));
    assert_true(rn_round_is_measured(plan, 5, 4));
    assert_false(rn_round_is_measured(plan, 6, 4));
    plan->evaluation.federated = false;
    assert_false(rn_round_is_measured(plan, 1, 0));
    rn_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_the_first_of_the_largest),
        cmocka_unit_test(the_first_measure_counts),
        cmocka_unit_test(patience_counts_measures_alone),
        cmocka_unit_test(improvements_are_larger_than_min_delta),
        cmocka_unit_test(one_adapter_is_measured_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
