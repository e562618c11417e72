/* SPDX-License-Identifier: Apache-2.0
 *
 * What a private plan may hold, what a policy may promise, and every refusal between the two with
 * its reason code (privacy case 29: a plan that lies about noise, rate, clip, steps or metrics).
 */
#include "policy/privacyquote.h"

#include "base/guard.h"
#include "policy/accountant/filter.h"
#include "policy/sharedplan.h"
#include "tests/unit/policy/policytext.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rn_plan plan;
static struct rn_policy policy;
static struct rn_error error;

static rn_result plan_with(const char *path, const char *value)
{
    static char text[EDITED_MAX];
    with_field(text, sizeof text, private_plan_example, path, value);
    return rn_plan_parse(rn_view_text(text), "plan", &plan, &error);
}

static rn_result policy_with(const char *path, const char *value)
{
    static char text[EDITED_MAX];
    with_field(text, sizeof text, promising_policy_example, path, value);
    return rn_policy_parse(rn_view_text(text), "policy", &policy, &error);
}

static void accepted_case(void)
{
    assert_true(rn_is_ok(rn_plan_parse(rn_view_text(private_plan_example), "plan", &plan, &error)));
    assert_true(rn_is_ok(
        rn_policy_parse(rn_view_text(promising_policy_example), "policy", &policy, &error)));
}

static void expect_apart(enum rn_policy_reason expected, double spent, double apart)
{
    const struct rn_policy_spent before = {spent, apart};
    enum rn_policy_reason reason = RN_POLICY_REASON_COUNT_;
    error.text[0] = '\0';
    const rn_result result = rn_policy_check_privacy(&policy, &plan, &before, &reason, &error);
    if (reason != expected) {
        fail_msg("expected %s, got %s (%s)", rn_policy_reason_name(expected),
                 rn_policy_reason_name(reason), error.text);
    }
    assert_int_equal(result.code, expected == RN_POLICY_ACCEPTED ? RN_OK : RN_E_REFUSED);
}

static void expect(enum rn_policy_reason expected, double spent)
{
    expect_apart(expected, spent, 0);
}

/* Beside the noisy update nothing may leave that depends on records. */
static void what_a_private_plan_may_not_hold(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *field;
    } cases[] = {
        {"metrics", "summed", "metrics"},
        {"weights", "examples", "weights"},
        {"training.clip", "0.5", "training.clip"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        error.text[0] = '\0';
        const rn_result parsed = plan_with(cases[i].path, cases[i].value);
        if (parsed.code != RN_E_CONFIG || strstr(error.text, cases[i].field) == NULL) {
            fail_msg("%s = %s: %s", cases[i].path, cases[i].value, error.text);
        }
    }
    assert_true(rn_is_ok(plan_with("privacy.clipping", "automatic")));
    assert_true(rn_plan_is_private(&plan));
    assert_int_equal(rn_plan_trainings(&plan), 5);
}

/* Each record in one of a round's 20 steps, in two, in none, in a tenth of one. */
static void allocations_are_whole_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *rate;
        uint32_t picks;
    } cases[] = {{"0.05", 1}, {"0.1", 2}, {"1", 20}, {"0.004", 0}, {"0.0501", 0}, {"1e-17", 0}};
    char text[EDITED_MAX];
    char both[EDITED_MAX];
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        char line[64];
        assert_true(rn_text_format(line, sizeof line, "  rate: %s\n", cases[i].rate));
        edited(text, private_plan_example, "sampling: poisson", "sampling: allocation");
        edited(both, text, "  rate: 0.004\n", line);
        const rn_result parsed = rn_plan_parse(rn_view_text(both), "plan", &plan, &error);
        assert_int_equal(parsed.code, cases[i].picks > 0 ? RN_OK : RN_E_CONFIG);
        assert_true(cases[i].picks == 0 || rn_plan_picks(&plan) == cases[i].picks);
    }
    /* What the ledger will hold, and what a policy says to it. */
    edited(text, private_plan_example, "sampling: poisson", "sampling: allocation");
    edited(both, text, "  rate: 0.004\n", "  rate: 0.05\n");
    assert_true(rn_is_ok(rn_plan_parse(rn_view_text(both), "plan", &plan, &error)));
    struct rn_privacy_plan kept;
    rn_privacy_plan_of(&plan, &kept);
    assert_int_equal(kept.sampler, RN_PRIVACY_SAMPLER_ALLOCATION);
    assert_int_equal(kept.threshold, 1);
    assert_true(rn_is_ok(policy_with("privacy.rate_max", "0.04")));
    expect(RN_POLICY_RATE_TOO_LARGE, 0);
    assert_true(rn_is_ok(policy_with("privacy.rate_max", "0.05")));
    plan.training.batch = 300;
    expect(RN_POLICY_ACCEPTED, 0);
    policy.privacy.unit = RN_POLICY_UNIT_PERSON;
    policy.privacy.rows = 2;
    expect(RN_POLICY_NOT_ACCOUNTABLE, 0);
}

/* The section is whole or not there. */
static void half_a_section_is_no_section(void **state)
{
    (void)state;
    char text[EDITED_MAX];
    assert_true(rn_is_ok(rn_plan_parse(rn_view_text(plan_example), "plan", &plan, &error)));
    assert_false(rn_plan_is_private(&plan));
    edited(text, private_plan_example, "  noise: 1.5\n", "");
    assert_int_equal(rn_plan_parse(rn_view_text(text), "plan", &plan, &error).code, RN_E_CONFIG);
    assert_non_null(strstr(error.text, "privacy.noise"));
    edited(text, promising_policy_example, "  delta: 1e-4\n", "");
    assert_int_equal(rn_policy_parse(rn_view_text(text), "policy", &policy, &error).code,
                     RN_E_CONFIG);
    assert_non_null(strstr(error.text, "privacy.delta"));
}

/* 400 records: 400^-1.1 is 1.3735e-3. */
static void what_a_policy_may_not_promise(void **state)
{
    (void)state;
    assert_true(rn_is_ok(policy_with("privacy.delta", "1.373e-3")));
    assert_int_equal(policy_with("privacy.delta", "1.374e-3").code, RN_E_CONFIG);
    assert_int_equal(policy_with("privacy.rows", "2").code, RN_E_CONFIG);
    assert_int_equal(policy_with("privacy.epsilon_plan", "4.01").code, RN_E_CONFIG);
    assert_true(rn_is_ok(policy_with("privacy.epsilon_plan", "4")));
    assert_int_equal(policy_with("privacy.order", "1.01").code, RN_E_CONFIG);
    assert_true(rn_is_ok(policy_with("privacy.order", "8")));
    /* ln(1e-4) / 0.5 is far below -4 */
    assert_int_equal(policy_with("privacy.order", "1.5").code, RN_E_CONFIG);
}

static void every_bound_has_its_code(void **state)
{
    (void)state;
    accepted_case();
    expect(RN_POLICY_ACCEPTED, 0);
    plan.privacy.noise = nextafter(policy.privacy.noise_min, 0);
    expect(RN_POLICY_NOISE_TOO_LOW, 0);
    plan.privacy.noise = policy.privacy.noise_min;
    expect(RN_POLICY_ACCEPTED, 0);
    accepted_case();
    plan.privacy.rate = nextafter(policy.privacy.rate_max, 1);
    expect(RN_POLICY_RATE_TOO_LARGE, 0);
    accepted_case();
    plan.privacy.clip = policy.privacy.clip_max;
    expect(RN_POLICY_ACCEPTED, 0);
    plan.privacy.clip = nextafter(policy.privacy.clip_max, 2);
    expect(RN_POLICY_CLIP_TOO_LARGE, 0);
}

static void noise_is_asked_for_and_promised(void **state)
{
    (void)state;
    accepted_case();
    plan.privacy = (struct rn_plan_privacy){0};
    expect(RN_POLICY_ACCEPTED, 0);
    policy.privacy.required = true;
    expect(RN_POLICY_PRIVACY_REQUIRED, 0);
    accepted_case();
    policy.privacy = (struct rn_policy_privacy){0};
    expect(RN_POLICY_PRIVACY_UNSET, 0);
}

/* More steps or more tries cost more; one function says how much, to policy and ledger. */
static void the_budget_of_a_plan_and_of_a_life(void **state)
{
    (void)state;
    struct rn_privacy_quote quote;
    accepted_case();
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    assert_int_equal(quote.plan.trainings, 5);
    assert_true(quote.epsilon.upper > 0 && quote.epsilon.lower <= quote.epsilon.upper);
    policy.privacy.epsilon_plan = nextafter(quote.epsilon.upper, 0);
    expect(RN_POLICY_EPSILON_PLAN, 0);
    policy.privacy.epsilon_plan = quote.epsilon.upper;
    expect(RN_POLICY_ACCEPTED, quote.terms.bound - quote.cost);
    expect(RN_POLICY_EPSILON_SPENT, nextafter(quote.terms.bound, INFINITY) - quote.cost + 1e-12);
    const double apart = rn_privacy_terms_apart(&quote.terms);
    expect_apart(RN_POLICY_ACCEPTED, 0, apart - quote.apart);
    expect_apart(RN_POLICY_EPSILON_SPENT, 0, apart - quote.apart / 2);
    const double before = quote.cost;
    plan.privacy.retries = 6;
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    assert_true(fabs(quote.cost - 2 * before) <= 1e-12 * before);
}

/* The same at the order that the policy fixes; the conversion of the whole budget is epsilon. */
static void the_filter_is_of_one_order(void **state)
{
    (void)state;
    struct rn_privacy_quote quote;
    accepted_case();
    policy.privacy.order = 8;
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    assert_true(quote.terms.order == 8);
    const double delta = (1 - RN_PRIVACY_APART) * policy.privacy.delta;
    assert_true(quote.terms.bound == rn_filter_bound(4, delta, 8));
    assert_true(fabs(rn_rdp_to_epsilon(quote.terms.bound, 8, delta) - 4) < 1e-12);
}

/* 1.6 records a step are expected of 400; 16 hold all but 2e-11 of the draws, 8 do not. */
static void batches_that_would_be_cut_too_often(void **state)
{
    (void)state;
    accepted_case();
    plan.training.batch = 8;
    expect(RN_POLICY_CAP_TOO_SMALL, 0);
    accepted_case();
    policy.privacy.records_max = 4000;
    policy.privacy.delta = 1e-5;
    expect(RN_POLICY_CAP_TOO_SMALL, 0);
}

static void thresholds(void **state)
{
    (void)state;
    assert_true(rn_privacy_threshold(1) == UINT64_MAX);
    assert_true(rn_privacy_threshold(0.5) == UINT64_C(1) << 63);
    assert_true(rn_privacy_threshold(0x1p-64) == 1);
    assert_true(rn_privacy_threshold(0x1p-70) == 1);
    assert_true(rn_privacy_threshold(nextafter(1, 0)) == UINT64_MAX - 2047);
}

/* ---- Noise that members add together. */

static rn_result shared_with(const char *path, const char *value)
{
    static const char *const changes[][2] = {{"privacy.mode", "shared"},
                                             {"training.steps", "1"},
                                             {"training.optimizer", "sgd"},
                                             {"training.schedule", "constant"}};
    static char texts[2][EDITED_MAX];
    const char *text = private_plan_example;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(changes); i++) {
        text = with_field(texts[i % 2], EDITED_MAX, text, changes[i][0], changes[i][1]);
    }
    if (path != NULL) {
        text = with_field(texts[0], EDITED_MAX, text, path, value);
    }
    return rn_plan_parse(rn_view_text(text), "plan", &plan, &error);
}

static void shared_case(void)
{
    accepted_case();
    const rn_result parsed = shared_with(NULL, NULL);
    if (!rn_is_ok(parsed)) {
        fail_msg("%s", error.text);
    }
    policy.privacy.shared_honest = 2;
}

/* A round is one sum and a step that is everybody's. */
static void what_a_shared_plan_may_not_hold(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"training.steps", "2", "training.steps"},
        {"training.optimizer", "adamw", "training.optimizer"},
        {"training.weight_decay", "0.1", "training.weight_decay"},
        {"training.schedule", "cosine", "training.schedule"},
        {"training.warmup_steps", "1", "training.schedule"},
        {"lora.head", "local", "lora.head"},
        {"privacy.sampling", "allocation", "privacy.sampling"},
        {"metrics", "summed", "metrics"},
    };
    shared_case();
    assert_true(rn_plan_is_private(&plan) && rn_plan_is_shared(&plan));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        error.text[0] = '\0';
        const rn_result parsed = shared_with(cases[i][0], cases[i][1]);
        if (parsed.code != RN_E_CONFIG || strstr(error.text, cases[i][2]) == NULL) {
            fail_msg("%s = %s: %s", cases[i][0], cases[i][1], error.text);
        }
    }
    assert_true(rn_is_ok(rn_plan_parse(rn_view_text(private_plan_example), "plan", &plan, &error)));
    assert_false(rn_plan_is_shared(&plan));
}

/* A policy that says nothing counts on nobody, whatever the size of the roster. */
static void trust_in_others_is_said(void **state)
{
    (void)state;
    shared_case();
    expect(RN_POLICY_ACCEPTED, 0);
    policy.privacy.shared_honest = 0;
    expect(RN_POLICY_SHARED_TRUST, 0);
    policy.privacy.shared_honest = 1; /* the plan counts on two */
    expect(RN_POLICY_SHARED_TRUST, 0);
    policy.privacy.shared_honest = RN_POLICY_SHARED_MAX;
    expect(RN_POLICY_ACCEPTED, 0);
    plan.privacy.mode = RN_PLAN_PRIVACY_LOCAL;
    policy.privacy.shared_honest = 0;
    expect(RN_POLICY_ACCEPTED, 0);
    assert_true(rn_is_ok(policy_with("privacy.shared_honest", "1023")));
    assert_int_equal(policy.privacy.shared_honest, RN_POLICY_SHARED_MAX);
    assert_int_equal(policy_with("privacy.shared_honest", "1024").code, RN_E_CONFIG);
}

/* By RDP: never less than the same plan with noise of its own and one step, of the same
 * multiplier. */
static void a_shared_plan_has_its_price(void **state)
{
    (void)state;
    struct rn_privacy_quote quote;
    shared_case();
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    assert_int_equal(quote.plan.honest, 2);
    assert_int_equal(rn_privacy_plan_kind(&quote.plan), RN_PRIVACY_RECORD_SHARED);
    const double shared = quote.epsilon.upper;
    const double cost = quote.cost;
    assert_true(shared > 0 && quote.epsilon.lower == 0);
    plan.privacy.rate = 1; /* without sampling the two mechanisms cost the same */
    plan.training.batch = (uint32_t)policy.privacy.records_max;
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    const double whole = quote.cost;
    plan.privacy.mode = RN_PLAN_PRIVACY_LOCAL;
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    assert_true(fabs(whole - quote.cost) <= 1e-6 * quote.cost);
    shared_case();
    plan.privacy.mode = RN_PLAN_PRIVACY_LOCAL;
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    assert_true(quote.epsilon.upper < shared && quote.cost < cost);
}

/* A person's records are one group: no sampling may be claimed, and the sum moves by all of them.
 */
static void a_group_claims_no_sampling(void **state)
{
    (void)state;
    struct rn_privacy_quote quote;
    shared_case();
    policy.privacy.unit = RN_POLICY_UNIT_PERSON;
    policy.privacy.rows = 2;
    plan.privacy.noise = 100;
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    const double events = quote.plan.trainings;
    const double want = events * quote.terms.order * 4 / (2 * 100.0 * 100.0);
    assert_true(fabs(quote.cost - want) <= 1e-6 * want);
}

/* privacy case 33: at the ends of every range, the members' values and their sum stay below 2^b. */
static void no_sum_wraps(void **state)
{
    (void)state;
    static const struct {
        uint32_t batch, honest;
        double noise;
    } cases[] = {{1, 2, 1e-6}, {16, 2, 1.5}, {4096, 2, 512}, {4096, 1023, 512}, {1, 1023, 1e-6}};
    shared_case();
    plan.secagg.losses = 0;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        plan.training.batch = cases[i].batch;
        plan.privacy.noise = cases[i].noise;
        plan.secagg.honest = cases[i].honest;
        const double share = rn_shared_deviation(&plan);
        const double reach = (double)rn_shared_reach(&plan);
        assert_true(share >= 1 && share * sqrt(cases[i].honest) >= cases[i].noise * 0x1p20);
        assert_true(share == 1 || (share - 1) * sqrt(cases[i].honest) < cases[i].noise * 0x1p20);
        assert_true(reach == cases[i].batch * 0x1p20 + 16 * share);
        for (uint32_t members = cases[i].honest + 1; members <= 1024; members++) {
            struct rn_plan_numbers numbers;
            assert_true(rn_is_ok(rn_plan_feasible(&plan, members, &numbers, &error)));
            assert_true(numbers.value_max == 2 * rn_shared_reach(&plan));
            assert_true(numbers.sum_bits <= 53 && numbers.value_bits <= numbers.sum_bits);
            assert_true(ldexp(1, (int)numbers.sum_bits) > 2 * reach * members);
            assert_true(numbers.floor >= plan.secagg.colluding + cases[i].honest);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_private_plan_may_not_hold),
        cmocka_unit_test(allocations_are_whole_numbers),
        cmocka_unit_test(half_a_section_is_no_section),
        cmocka_unit_test(what_a_policy_may_not_promise),
        cmocka_unit_test(every_bound_has_its_code),
        cmocka_unit_test(noise_is_asked_for_and_promised),
        cmocka_unit_test(the_budget_of_a_plan_and_of_a_life),
        cmocka_unit_test(the_filter_is_of_one_order),
        cmocka_unit_test(batches_that_would_be_cut_too_often),
        cmocka_unit_test(thresholds),
        cmocka_unit_test(what_a_shared_plan_may_not_hold),
        cmocka_unit_test(trust_in_others_is_said),
        cmocka_unit_test(a_shared_plan_has_its_price),
        cmocka_unit_test(a_group_claims_no_sampling),
        cmocka_unit_test(no_sum_wraps),
    };
    return cmocka_run_group_tests_name("privacy rules", tests, NULL, NULL);
}
