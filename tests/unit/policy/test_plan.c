/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan: what is read, every refusal with line and field, every range at its limit and one
 * beyond, and what follows from a cohort's size.
 */
#include "base/alloc.h"
#include "crypto/secagg/spent.h"
#include "policy/plan.h"

#include "crypto/groupkey.h"

#include "tests/unit/policy/policytext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rn_plan plan;
static struct rn_error error;

static rn_result parse(const char *text)
{
    error.text[0] = '\0';
    return rn_plan_parse(rn_view_text(text), "plan.yaml", &plan, &error);
}

static void refuse(const char *text, const char *expected)
{
    const rn_result result = parse(text);
    if (rn_is_ok(result) || strstr(error.text, expected) == NULL) {
        print_error("expected \"%s\", got \"%s\"\n", expected, error.text);
        fail();
    }
    assert_int_equal(result.code, RN_E_CONFIG);
}

static void reads_every_field(void **state)
{
    (void)state;
    const rn_result result = parse(plan_example);
    if (!rn_is_ok(result)) {
        fail_msg("%s", error.text);
    }
    assert_string_equal(plan.federation, "clinics");
    assert_string_equal(plan.name, "triage");
    assert_int_equal(plan.seed, 7);
    assert_int_equal(plan.rounds, 4);
    assert_int_equal(plan.method, RN_METHOD_ROLORA);
    assert_int_equal(plan.model.max_length, 64);
    assert_int_equal(plan.model_hash[0], 0xaa);
    assert_int_equal(plan.roster_hash[31], 0xbb);
    assert_int_equal(plan.coordinator_key[7], 0xcc);
    assert_int_equal(plan.task.labels_count, 2);
    assert_string_equal(plan.task.labels[1], "yes");
    assert_false(plan.lora.rslora);
    assert_int_equal(plan.lora.targets_count, 2);
    assert_string_equal(plan.lora.targets[0], "query");
    assert_int_equal(plan.lora.layers_count, 2);
    assert_int_equal(plan.lora.layers[1], 2);
    assert_int_equal(plan.lora.head, RN_PLAN_HEAD_FEDERATED);
    assert_true(plan.training.lr_b == 1e-3);
    assert_int_equal(plan.training.schedule, RN_PLAN_SCHEDULE_COSINE);
    assert_true(plan.secagg.scale_head == 0.5);
    assert_int_equal(plan.secagg.attempts, 3);
    uint8_t hash[32];
    rn_plan_hash(rn_view_text(plan_example), hash);
    assert_memory_equal(plan.hash, hash, 32);
}

static void hash_is_of_exact_bytes(void **state)
{
    (void)state;
    char text[EDITED_MAX];
    uint8_t before[32];
    assert_true(rn_is_ok(parse(plan_example)));
    memcpy(before, plan.hash, 32);
    assert_true(rn_is_ok(parse(edited(text, plan_example, "seed: 7", "seed:  7"))));
    assert_int_equal(plan.seed, 7);
    assert_memory_not_equal(plan.hash, before, 32);
}

static void optional_fields_have_defaults(void **state)
{
    (void)state;
    char a[EDITED_MAX];
    char b[EDITED_MAX];
    edited(a, plan_example, "max_examples: 0\nmetrics: home\n", "");
    assert_true(rn_is_ok(parse(edited(b, a, "  layers: [0, 2]\n", ""))));
    assert_int_equal(plan.max_examples, 0);
    assert_int_equal(plan.metrics, RN_METRICS_HOME);
    assert_int_equal(plan.lora.layers_count, 0);
    edited(a, plan_example, "  early_stop:\n    patience: 0\n    min_delta: 0\n", "");
    assert_true(rn_is_ok(parse(a)));
    edited(b, a, "evaluation:\n  federated: false\n  keep_best: false\n", "");
    assert_true(rn_is_ok(parse(b)));
    assert_true(rn_is_ok(
        parse(edited(a, plan_example, "targets: [query, value]", "targets: [all-linear]"))));
    assert_int_equal(plan.lora.targets_count, 1);
    edited(a, plan_example, "metrics: home", "metrics: summed");
    assert_true(rn_is_ok(parse(a)));
    assert_int_equal(rn_plan_last_round(&plan), plan.rounds);
    edited(b, a, "federated: false\n  keep_best: false", "federated: true\n  keep_best: true");
    assert_true(rn_is_ok(parse(edited(a, b, "patience: 0", "patience: 3"))));
    assert_true(plan.evaluation.federated && plan.evaluation.keep_best);
    assert_int_equal(plan.evaluation.early_stop.patience, 3);
    assert_int_equal(rn_plan_last_round(&plan), plan.rounds + 1);
    assert_int_equal(rn_plan_active(&plan, plan.rounds + 1), 0);
}

/* The word of a plan that says nothing, and what a blind one cannot have. */
static void blind_plans(void **state)
{
    (void)state;
    char a[EDITED_MAX];
    char b[EDITED_MAX];
    assert_true(rn_is_ok(parse(plan_example)));
    assert_false(rn_plan_is_blind(&plan));
    assert_int_equal(plan.secagg.kem, RN_PLAN_KEM_NONE);
    edited(a, plan_example, "metrics: home", "metrics: summed\ncoordinator: blind");
    assert_true(rn_is_ok(parse(a)));
    assert_true(rn_plan_is_blind(&plan));
    refuse(edited(b, a, "federated: false", "federated: true"), "not with coordinator: blind");
}

/* Sealed by X25519 and ML-KEM-768 where the build can; elsewhere the plan is refused with what to
 * do. At most 64 members. */
static void hybrid_plans(void **state)
{
    (void)state;
    char a[EDITED_MAX];
    char b[EDITED_MAX];
    edited(a, plan_example, "metrics: home", "metrics: summed\ncoordinator: blind");
    edited(b, a, "  attempts: 3\n", "  attempts: 3\n  kem: hybrid\n");
    if (!rn_hybrid_here()) {
        refuse(b,
               "secagg.kem: 'hybrid' (X25519 with ML-KEM-768) needs a Rondo built with libsodium "
               "1.0.22 or later; this build has libsodium ");
        assert_true(rn_is_ok(parse(a)));
        plan.secagg.kem = RN_PLAN_KEM_HYBRID;
    } else {
        assert_true(rn_is_ok(parse(b)));
    }
    struct rn_plan_numbers numbers;
    assert_true(rn_plan_is_blind(&plan) && rn_plan_is_hybrid(&plan));
    assert_true(rn_is_ok(rn_plan_feasible(&plan, RN_GROUP_HYBRID_MEMBERS_MAX, &numbers, &error)));
    assert_int_equal(
        rn_plan_feasible(&plan, RN_GROUP_HYBRID_MEMBERS_MAX + 1, &numbers, &error).code,
        RN_E_CONFIG);
    assert_non_null(strstr(error.text, "more than the 64 of a plan with secagg.kem: hybrid"));
}

/* The most rounds that a plan can have, the measuring one too: each may stay open in the ledger. */
static void the_longest_job_fits_the_ledger_of_spent_updates(void **state)
{
    (void)state;
    char a[EDITED_MAX];
    char b[EDITED_MAX];
    edited(a, plan_example, "metrics: home", "metrics: summed");
    edited(b, a, "federated: false", "federated: true");
    assert_true(rn_is_ok(parse(edited(a, b, "rounds: 4", "rounds: 100000"))));
    assert_int_equal(plan.rounds, RN_PLAN_ROUNDS_MAX);
    assert_int_equal(rn_plan_last_round(&plan), RN_SA_SPENT_MAX);
    assert_false(rn_is_ok(parse(edited(a, b, "rounds: 4", "rounds: 100001"))));
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *expected;
    } rows[] = {
        /* Schema. */
        {"rounds: 4", "round: 4", "plan.yaml:5: unknown key 'round'"},
        {"  rank: 4\n", "  rank: 4\n  ranks: 4\n", "plan.yaml:19: unknown key 'lora.ranks'"},
        {"rounds: 4\n", "", "the key 'rounds' is missing"},
        {"  rank: 4\n", "", "the key 'lora.rank' is missing"},
        {"rounds: 4\n", "rounds: 4\nrounds: 5\n", "'rounds' stands there twice"},
        {"  rank: 4\n", "  rank: 4\n  rank: 4\n", "'rank' stands there twice"},
        {"rounds: 4", "rounds: four", "plan.yaml:5: rounds"},
        {"rounds: 4", "rounds: [4]", "plan.yaml:5: rounds"},
        {"rounds: 4", "rounds: \"4\"", "plan.yaml:5: rounds: expected a whole number"},
        {"layers: [0, 2]", "layers: [0, '2']", "lora.layers: expected whole numbers"},
        {"alpha: 8", "alpha: '8'", "lora.alpha: expected a decimal number"},
        {"rounds: 4", "rounds: 0x4", "plan.yaml:5: rounds: expected a whole number"},
        {"rounds: 4", "rounds: 04", "plan.yaml:5: rounds: expected a whole number"},
        {"rounds: 4", "rounds: +4", "plan.yaml:5: rounds"},
        {"rounds: 4", "rounds: -4", "plan.yaml:5: rounds"},
        {"rounds: 4", "rounds: 4.0", "plan.yaml:5: rounds"},
        {"rounds: 4", "rounds: ", "plan.yaml:5: rounds"},
        {"rounds: 4", "rounds: 99999999999999999999", "plan.yaml:5: rounds"},
        {"alpha: 8", "alpha: 8x", "plan.yaml:19: lora.alpha: expected a decimal number"},
        {"alpha: 8", "alpha: nan", "plan.yaml:19: lora.alpha: expected a decimal number"},
        {"alpha: 8", "alpha: inf", "lora.alpha"},
        {"alpha: 8", "alpha: 0x8", "lora.alpha: expected a decimal number"},
        {"alpha: 8", "alpha: 8.00000000000000000000000000000000000001x", "lora.alpha"},
        {"rslora: false", "rslora: no", "plan.yaml:20: lora.rslora"},
        {"rslora: false", "rslora: 0", "plan.yaml:20: lora.rslora"},
        {"method: rolora", "method: rolora2", "plan.yaml:6: method"},
        {"method: rolora", "method: 0", "plan.yaml:6: method"},
        {"layers: [0, 2]", "layers: [0, 010]", "lora.layers: expected whole numbers"},
        {"layers: [0, 2]", "layers: [2, 0]", "lora.layers: must ascend"},
        {"layers: [0, 2]", "layers: [0, 0]", "lora.layers: must ascend"},
        {"layers: [0, 2]", "layers: 0", "lora.layers"},
        {"targets: [query, value]", "targets: []", "lora.targets"},
        /* YAML that a signed file has no use for. */
        {"seed: 7", "seed: &x 7", "plan.yaml:4: anchors and tags"},
        {"seed: 7", "seed: !!int 7", "plan.yaml:4: anchors and tags"},
        {"rounds: 4", "rounds: *x", "plan.yaml:5:"},
        {"version: 1\n", "version: 1\n---\nversion: 1\n", "plan.yaml:2"},
        {"name: triage", "name: \"tri\\0age\"", "plan.yaml:3: control characters"},
        {"name: triage", "name: \"tri\\nage\"", "plan.yaml:3: control characters"},
        {"seed: 7", "? {a: b}\n: 7", "plan.yaml:4"},
        {"seed: 7", "\"se ed\": 7", "plan.yaml:4: a key may only hold"},
        {"seed: 7", "seed: [[[[[7]]]]]", "plan.yaml:4: nested too deeply"},
        {"seed: 7", "seed: [7", "plan.yaml:5"},
        {"seed: 7", "\tseed: 7", "plan.yaml:4"},
        /* Rules between fields. */
        {"federation: clinics", "federation: Clinics", "plan.yaml:2: federation: may only hold"},
        {"name: triage", "name: tri/age", "plan.yaml:3: name: may only hold"},
        {HEX_A, "AAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "plan.yaml:11: model.hash: expected 64 lower-case hex digits"},
        {HEX_A, "aa", "plan.yaml:11: model.hash"},
        {"  hash: " HEX_B, "  hash: " HEX_B "b", "roster.hash"},
        {"[\"no\", \"yes\"]", "[\"no\", \"no\"]", "task.labels: entries 1 and 2 are the same"},
        {"[\"no\", \"yes\"]", "[\"no\"]", "at least 2 labels"},
        {"  labels: [\"no\", \"yes\"]\n", "", "at least 2 labels"},
        {"kind: classification", "kind: regression", "a regression has no labels"},
        {"metric: accuracy", "metric: pearson", "task.metric"},
        {"[query, value]", "[query, query]", "lora.targets: entries 1 and 2 are the same"},
        {"[query, value]", "[query, all-linear]", "must stand alone"},
        {"scale_a: 0.125", "scale_a: 0.1", "secagg.scale_a: must be a power of two"},
        {"scale_head: 0.5", "scale_head: 3", "secagg.scale_head: must be a power of two"},
        {"train_hard_s: 600", "train_hard_s: 59", "must not be below train_soft_s"},
        {"stage_hard_s: 60", "stage_hard_s: 9", "must not be below stage_soft_s"},
        {"warmup_steps: 0", "warmup_steps: 21", "must not exceed steps"},
        {"federated: false", "federated: true", "evaluation.federated: needs metrics: summed"},
        {"keep_best: false", "keep_best: true", "evaluation.keep_best: only with"},
        {"patience: 0", "patience: 1", "evaluation.early_stop.patience: only with"},
        {"min_delta: 0", "min_delta: 0.1", "evaluation.early_stop.min_delta: only with"},
        {"min_delta: 0", "min_delta: 2.1", "evaluation.early_stop.min_delta"},
        {"  early_stop:\n", "  early:\n", "unknown key 'evaluation.early'"},
        {"  early_stop:\n    patience: 0\n    min_delta: 0\n", "  early_stop: 3\n",
         "evaluation.early_stop: expected the section's keys"},
        {"weights: uniform", "weights: examples", "needs max_examples"},
        {"metrics: home", "coordinator: closed",
         "coordinator: 'closed' is unknown: expected open or blind"},
        {"  attempts: 3\n", "  attempts: 3\n  kem: hybrid\n",
         "secagg.kem: 'hybrid' seals the group key of a blind plan"},
        {"  attempts: 3\n", "  attempts: 3\n  kem: ml-kem\n",
         "secagg.kem: 'ml-kem' is unknown: expected none or hybrid"},
        {"max_examples: 0", "max_examples: 5", "only with weights: examples"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        char text[EDITED_MAX];
        refuse(edited(text, plan_example, rows[i].from, rows[i].to), rows[i].expected);
    }
    refuse("just words\n", "plan.yaml:1");
    refuse("- a\n- b\n", "plan.yaml:1");
}

static void refused_plan_is_zeroed(void **state)
{
    (void)state;
    static const struct rn_plan zero;
    char text[EDITED_MAX];
    refuse(edited(text, plan_example, "clip: 1.0", "clip: -1"), "training.clip");
    assert_memory_equal(&plan, &zero, sizeof zero);
}

static void size_limits(void **state)
{
    (void)state;
    char *text = rn_alloc(2 * RN_PLAN_BYTES_MAX, 1);
    memcpy(text, plan_example, sizeof plan_example);
    memset(text + sizeof plan_example - 1, '#', RN_PLAN_BYTES_MAX);
    text[RN_PLAN_BYTES_MAX] = '\0';
    assert_true(rn_is_ok(parse(text)));
    text[RN_PLAN_BYTES_MAX] = '#';
    text[RN_PLAN_BYTES_MAX + 1] = '\0';
    refuse(text, "larger than 65536 bytes");
    rn_free(text);
}

static void phases(void **state)
{
    (void)state;
    assert_true(rn_is_ok(parse(plan_example)));
    assert_int_equal(rn_plan_active(&plan, 1), RN_PLAN_MATRIX_B);
    assert_int_equal(rn_plan_active(&plan, 2), RN_PLAN_MATRIX_A);
    assert_int_equal(rn_plan_active(&plan, 3), RN_PLAN_MATRIX_B);
    plan.method = RN_METHOD_FFA_LORA;
    assert_int_equal(rn_plan_active(&plan, 2), RN_PLAN_MATRIX_B);
    plan.method = RN_METHOD_FEDAVG_LORA;
    assert_int_equal(rn_plan_active(&plan, 2), RN_PLAN_MATRIX_A | RN_PLAN_MATRIX_B);
}

/* case 51. Cohorts, losses and colluders that are feasible, and those that are not. */
static void cohorts(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, colluding, losses, honest, quorum;
        bool feasible;
    } rows[] = {
        {2, 1, 0, 2, 2, false},       {3, 1, 0, 2, 3, true},         {3, 1, 1, 2, 3, false},
        {4, 1, 1, 2, 3, true},        {4, 1, 2, 2, 3, false},        {5, 1, 1, 2, 4, true},
        {6, 1, 2, 2, 4, true},        {10, 3, 3, 2, 7, true},        {10, 3, 4, 2, 7, false},
        {64, 21, 21, 2, 43, true},    {4, 3, 0, 2, 4, false},        {4, 1, 0, 3, 3, true},
        {4, 1, 1, 3, 3, false},       {5, 1, 1, 3, 4, true},         {128, 1, 0, 2, 65, true},
        {129, 1, 0, 2, 66, true},     {0, 1, 0, 2, 1, false},        {1, 1, 0, 2, 2, false},
        {1024, 51, 51, 2, 538, true}, {1025, 51, 51, 2, 539, false}, {129, 40, 0, 2, 85, true},
        {200, 40, 20, 2, 121, false}, /* complete: share sets are too long */
    };
    assert_true(rn_is_ok(parse(plan_example)));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        struct rn_plan_numbers numbers;
        plan.secagg.colluding = rows[i].colluding;
        plan.secagg.losses = rows[i].losses;
        plan.secagg.honest = rows[i].honest;
        const rn_result result = rn_plan_feasible(&plan, rows[i].members, &numbers, &error);
        if (rn_is_ok(result) != rows[i].feasible) {
            fail_msg("%u members: %s", rows[i].members, error.text);
        }
        assert_int_equal(numbers.quorum, rows[i].quorum);
        struct rn_sa_graph_sizes sizes;
        const bool sized = rn_is_ok(
            rn_sa_graph_plan(rows[i].members, rows[i].colluding, rows[i].losses, &sizes, NULL));
        assert_int_equal(numbers.threshold, sized ? sizes.threshold : rows[i].quorum);
        if (sized) {
            assert_int_equal(numbers.neighbours, sizes.degree);
            assert_int_equal(numbers.neighbours + 1 == rows[i].members, sizes.complete);
        }
    }
}

static void widths(void **state)
{
    (void)state;
    struct rn_plan_numbers numbers;
    assert_true(rn_is_ok(parse(plan_example)));
    assert_true(rn_is_ok(rn_plan_feasible(&plan, 10, &numbers, &error)));
    assert_int_equal(numbers.sum_bits, 21); /* q = 16, n = 10: 20 + a guard bit */
    assert_int_equal(numbers.value_max, 65534);
    assert_int_equal(numbers.lane_bits, 32);
    assert_true(numbers.headroom > 2 && numbers.headroom < 4.01);
    assert_true(rn_is_ok(rn_plan_feasible(&plan, 100, &numbers, &error)));
    assert_int_equal(numbers.sum_bits, 24);
    assert_true(rn_plan_upload_bytes(&numbers, 1000) >= 3000);
    assert_int_equal(rn_plan_upload_bytes(&numbers, 0), 0);
    assert_int_equal(rn_plan_upload_bytes(&numbers, UINT64_MAX), 0);
    plan.weights = RN_WEIGHTS_EXAMPLES;
    plan.max_examples = 1000;
    assert_true(rn_is_ok(rn_plan_feasible(&plan, 10, &numbers, &error)));
    assert_int_equal(numbers.sum_bits, 31); /* 10 * 1000 * 65534 < 2^30 */
    plan.max_examples = UINT64_C(1) << 31;
    plan.secagg.bits = 24;
    const rn_result result = rn_plan_feasible(&plan, 10, &numbers, &error);
    assert_int_equal(result.code, RN_E_CONFIG);
    assert_non_null(strstr(error.text, "does not fit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(hash_is_of_exact_bytes),
        cmocka_unit_test(optional_fields_have_defaults),
        cmocka_unit_test(blind_plans),
        cmocka_unit_test(hybrid_plans),
        cmocka_unit_test(the_longest_job_fits_the_ledger_of_spent_updates),
        cmocka_unit_test(refusals),
        cmocka_unit_test(refused_plan_is_zeroed),
        cmocka_unit_test(size_limits),
        cmocka_unit_test(phases),
        cmocka_unit_test(cohorts),
        cmocka_unit_test(widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
