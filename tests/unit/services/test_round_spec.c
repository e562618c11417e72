/* SPDX-License-Identifier: Apache-2.0
 *
 * What a round is follows from the plan and the global round number alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "policy/plan.h"
#include "services/round/roundsession.h"
#include "services/round/roundspec.h"

/* The struct is large: on the heap, freed by the test. */
static struct rn_plan *make_plan(enum rn_plan_method method)
{
    struct rn_plan *plan = rn_alloc(1, sizeof(*plan));
    plan->rounds = 6;
    plan->method = method;
    plan->secagg.bits = 16;
    plan->secagg.scale_a = 0.125;
    plan->secagg.scale_b = 0.25;
    plan->secagg.scale_head = 1;
    return plan;
}

static void phases(void **state)
{
    (void)state;
    static const struct {
        enum rn_plan_method method;
        const char *phases[6];
    } rows[] = {
        {RN_METHOD_ROLORA, {"B", "A", "B", "A", "B", "A"}},
        {RN_METHOD_FFA_LORA, {"B", "B", "B", "B", "B", "B"}},
        {RN_METHOD_FEDAVG_LORA, {"AB", "AB", "AB", "AB", "AB", "AB"}},
    };
    for (size_t i = 0; i < 3; i++) {
        struct rn_plan *plan = make_plan(rows[i].method);
        for (uint32_t round = 1; round <= 6; round++) {
            struct rn_round_spec spec;
            assert_int_equal(rn_round_spec_derive(plan, round, round - 1, &spec, NULL).code, RN_OK);
            assert_int_equal(spec.round, round);
            assert_string_equal(rn_round_phase_name(spec.active), rows[i].phases[round - 1]);
        }
        rn_free(plan);
    }
    assert_string_equal(rn_round_phase_name(0), "-");
}

static void rounds_have_limits(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(RN_METHOD_ROLORA);
    struct rn_round_spec spec;
    assert_int_equal(rn_round_spec_derive(plan, 0, 0, &spec, NULL).code, RN_E_CONFIG);
    assert_int_equal(rn_round_spec_derive(plan, 6, 5, &spec, NULL).code, RN_OK);
    assert_int_equal(rn_round_spec_derive(plan, 7, 6, &spec, NULL).code, RN_E_CONFIG);
    rn_free(plan);
}

/* One round more, which trains nothing. */
static void the_last_one_measures(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(RN_METHOD_FEDAVG_LORA);
    struct rn_round_spec spec;
    plan->lora.head = RN_PLAN_HEAD_FEDERATED;
    plan->evaluation.federated = true;
    assert_int_equal(rn_round_spec_derive(plan, 6, 5, &spec, NULL).code, RN_OK);
    assert_true(spec.evaluation && spec.with_head);
    assert_int_equal(rn_round_parts(&spec),
                     RN_ROUND_A | RN_ROUND_B | RN_ROUND_HEAD | RN_ROUND_MEASURE);
    assert_int_equal(rn_round_spec_derive(plan, 6, 4, &spec, NULL).code, RN_OK);
    assert_false(spec.evaluation); /* round 5 was lost: the adapter had its round */
    assert_int_equal(rn_round_parts(&spec), RN_ROUND_A | RN_ROUND_B | RN_ROUND_HEAD);
    assert_int_equal(rn_round_spec_derive(plan, 7, 6, &spec, NULL).code, RN_OK);
    assert_true(spec.evaluation && !spec.with_head && spec.active == 0);
    assert_int_equal(rn_round_parts(&spec), RN_ROUND_MEASURE);
    assert_int_equal(rn_round_spec_derive(plan, 8, 7, &spec, NULL).code, RN_E_CONFIG);
    rn_free(plan);
}

static void scales_are_powers_of_two(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(RN_METHOD_ROLORA);
    struct rn_round_spec spec;
    assert_int_equal(rn_round_spec_derive(plan, 1, 0, &spec, NULL).code, RN_OK);
    assert_int_equal(spec.exponent[0], -3);
    assert_int_equal(spec.exponent[1], -2);
    assert_int_equal(spec.exponent[2], 0);
    plan->secagg.scale_b = 0.3;
    assert_int_equal(rn_round_spec_derive(plan, 1, 0, &spec, NULL).code, RN_E_CONFIG);
    rn_free(plan);
}

static void weights_set_the_largest_value(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(RN_METHOD_ROLORA);
    struct rn_round_spec spec;
    assert_int_equal(rn_round_spec_derive(plan, 1, 0, &spec, NULL).code, RN_OK);
    assert_int_equal(rn_round_value_max(&spec), 65534);
    assert_false(spec.weighted);
    plan->weights = RN_WEIGHTS_EXAMPLES;
    plan->max_examples = 1000;
    assert_int_equal(rn_round_spec_derive(plan, 1, 0, &spec, NULL).code, RN_OK);
    assert_int_equal(rn_round_value_max(&spec), 65534000);
    assert_true(spec.weighted);
    plan->max_examples = 0;
    assert_int_equal(rn_round_spec_derive(plan, 1, 0, &spec, NULL).code, RN_E_CONFIG);
    plan->max_examples = UINT32_MAX;
    assert_int_equal(rn_round_spec_derive(plan, 1, 0, &spec, NULL).code, RN_OK);
    plan->max_examples = (uint64_t)UINT32_MAX + 1;
    assert_int_equal(rn_round_spec_derive(plan, 1, 0, &spec, NULL).code, RN_E_CONFIG);
    rn_free(plan);
}

static void the_head_is_summed_when_federated(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(RN_METHOD_ROLORA);
    struct rn_round_spec spec;
    static const enum rn_plan_head heads[] = {RN_PLAN_HEAD_FROZEN, RN_PLAN_HEAD_FEDERATED,
                                              RN_PLAN_HEAD_LOCAL};
    for (size_t i = 0; i < 3; i++) {
        plan->lora.head = heads[i];
        assert_int_equal(rn_round_spec_derive(plan, 2, 1, &spec, NULL).code, RN_OK);
        assert_true(spec.with_head == (heads[i] == RN_PLAN_HEAD_FEDERATED));
        assert_int_equal(rn_round_parts(&spec),
                         spec.with_head ? RN_ROUND_A | RN_ROUND_HEAD : RN_ROUND_A);
    }
    rn_free(plan);
}

/* What `rondo plan show` promises is at least the hard time-outs of every stage, one after another:
 * the receipts' too, which wait for replays of all uploads. */
static void an_attempt_ends_in_time(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(RN_METHOD_ROLORA);
    plan->secagg.train_hard_s = 1000;
    plan->secagg.stage_hard_s = 20;
    plan->secagg.upload_rate = 1024;
    for (uint32_t members = 3; members <= RN_PLAN_MEMBERS_MAX; members++) {
        const struct rn_plan_numbers numbers = {.members = members, .value_max = 65534};
        const uint64_t bytes = rn_plan_upload_bytes(&numbers, 1000000);
        struct rn_sa_params params;
        rn_round_params(plan, members, numbers.value_max, 1000000, &params);
        const uint64_t most = params.ready.hard_ms + params.shares.hard_ms + params.acks.hard_ms +
                              params.upload.hard_ms + params.vote.hard_ms + params.unmask.hard_ms +
                              params.receipts.hard_ms;
        assert_true(most <= rn_plan_attempt_seconds(plan, members, bytes) * 1000);
    }
    rn_free(plan);
}

/* At the slowest upload_rate the time-outs of a large upload reach the machines' limit, and stay
 * there: the plan has sessions all the same. */
static void slow_uploads_have_a_limit(void **state)
{
    (void)state;
    struct rn_plan *plan = make_plan(RN_METHOD_ROLORA);
    struct rn_sa_params params;
    plan->secagg.stage_soft_s = 1;
    plan->secagg.stage_hard_s = 2;
    plan->secagg.upload_rate = 1024;
    const uint64_t bytes = (RN_SA_TIMEOUT_MS_MAX - 2000) * 1024 / (1000 * 1500); /* b = 27 */
    rn_round_params(plan, 1000, 65534, bytes * 8 / 27, &params);
    assert_true(params.receipts.hard_ms > RN_SA_TIMEOUT_MS_MAX - 20000);
    assert_true(params.receipts.hard_ms < RN_SA_TIMEOUT_MS_MAX);
    assert_int_equal(params.receipts.hard_ms - params.receipts.soft_ms, 1000);
    rn_round_params(plan, 1000, 65534, bytes * 8 / 27 + 8, &params);
    assert_true(params.receipts.soft_ms == RN_SA_TIMEOUT_MS_MAX);
    assert_true(params.receipts.hard_ms == RN_SA_TIMEOUT_MS_MAX);
    assert_true(params.upload.hard_ms < RN_SA_TIMEOUT_MS_MAX / 500);
    rn_round_params(plan, 1000, 65534, RN_SA_ELEMENTS_MAX, &params);
    assert_true(params.upload.hard_ms <= RN_SA_TIMEOUT_MS_MAX);
    assert_true(params.receipts.hard_ms == RN_SA_TIMEOUT_MS_MAX);
    rn_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases),
        cmocka_unit_test(rounds_have_limits),
        cmocka_unit_test(the_last_one_measures),
        cmocka_unit_test(scales_are_powers_of_two),
        cmocka_unit_test(weights_set_the_largest_value),
        cmocka_unit_test(the_head_is_summed_when_federated),
        cmocka_unit_test(an_attempt_ends_in_time),
        cmocka_unit_test(slow_uploads_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
