/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that the set-up commands write parse under their schemas, whatever names they hold, and
 * mean what was asked for.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "policy/rules.h"
#include "services/cli/setup/policywords.h"
#include "services/cli/setup/setupfiles.h"
#include "services/cli/setup/setuptext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct rn_buffer text;
static struct rn_plan plan;
static struct rn_policy policy;
static struct rn_site site, again;
static struct rn_error error;

static struct rn_plan_template template_make(void)
{
    return (struct rn_plan_template){
        .federation = "clinics",
        .name = "triage",
        .seed = UINT64_C(1) << 53,
        .rounds = 3,
        .method = "fedavg-lora",
        .weights = "examples",
        .max_examples = 1000,
        .metrics = "home",
        .model_hash = HEX_A,
        .max_length = 99,
        .task = "classification",
        .labels = "it's \"odd\",back\\slash,ok: yes # no",
        .metric = "f1",
        .rank = 7,
        .alpha = 0.1,
        .rslora = true,
        .init = "orthonormal",
        .targets = "query,attention.output.dense",
        .head = "local",
        .optimizer = "sgd",
        .lr_a = 1e-7,
        .lr_b = 1.0 / 3,
        .lr_head = 12.5,
        .weight_decay = 0.01,
        .schedule = "cosine",
        .warmup_steps = 2,
        .clip = 0,
        .batch = 5,
        .steps = 6,
        .colluding = 2,
        .losses = 1,
        .honest = 3,
        .bits = 12,
        .scale = 0x1p-20,
        .train_soft = 1,
        .train_hard = 2,
        .stage_soft = 3,
        .stage_hard = 4,
        .upload_rate = 5000,
        .attempts = 6,
        .coordinator = HEX_B,
    };
}

static void parse_plan(void)
{
    if (!rn_is_ok(rn_plan_parse(rn_buffer_view(&text), "plan", &plan, &error))) {
        fail_msg("%s\n%s", error.text, rn_buffer_text(&text));
    }
}

static void plan_says_what_was_asked(void **state)
{
    (void)state;
    const struct rn_plan_template wanted = template_make();
    rn_setup_plan_text(&wanted, &text);
    parse_plan();
    assert_true(plan.seed == wanted.seed && plan.rounds == 3 && plan.max_examples == 1000);
    assert_int_equal(plan.method, RN_METHOD_FEDAVG_LORA);
    assert_int_equal(plan.weights, RN_WEIGHTS_EXAMPLES);
    assert_int_equal(plan.task.labels_count, 3);
    assert_string_equal(plan.task.labels[0], "it's \"odd\"");
    assert_string_equal(plan.task.labels[1], "back\\slash");
    assert_string_equal(plan.task.labels[2], "ok: yes # no");
    assert_string_equal(plan.lora.targets[1], "attention.output.dense");
    assert_true(plan.lora.alpha == 0.1 && plan.lora.rslora);
    /* Numbers come back bit for bit. */
    assert_true(plan.training.lr_a == wanted.lr_a && plan.training.lr_b == wanted.lr_b);
    assert_true(plan.training.lr_head == 12.5 && plan.secagg.scale_head == 0x1p-20);
    assert_int_equal(plan.secagg.attempts, 6);
    assert_int_equal(plan.model_hash[0], 0xaa);
    assert_int_equal(plan.roster_hash[0], 0);
    struct rn_plan_template regression = template_make();
    regression.task = "regression";
    regression.metric = "pearson";
    rn_setup_plan_text(&regression, &text);
    parse_plan();
    assert_int_equal(plan.task.labels_count, 0);
}

static void policy_just_holds_the_plan(void **state)
{
    (void)state;
    const struct rn_plan_template wanted = template_make();
    rn_setup_plan_text(&wanted, &text);
    parse_plan();
    rn_setup_policy_text(&plan, &text);
    if (!rn_is_ok(rn_policy_parse(rn_buffer_view(&text), "policy", &policy, &error))) {
        fail_msg("%s\n%s", error.text, rn_buffer_text(&text));
    }
    assert_int_equal(policy.lora.rank_max, plan.lora.rank);
    assert_int_equal(policy.training.steps_max, plan.training.steps);
    assert_int_equal(policy.method.allowed, RN_POLICY_BIT(RN_METHOD_FEDAVG_LORA));
    assert_int_equal(policy.method.heads, RN_POLICY_BIT(RN_PLAN_HEAD_LOCAL));
    assert_int_equal(policy.cohort.losses_max, 1);
    assert_int_equal(policy.lora.targets_count, 2);
    assert_string_equal(policy.coordinator, HEX_B);
    assert_string_equal(policy.model.hashes[0], HEX_A);
    assert_int_equal(policy.upload.repeats_max, 0);
}

/* Every number and word that a plan could use up to its bound is said, and the longest lists end.
 */
static void policy_in_words(void **state)
{
    (void)state;
    struct rn_policy_clause said[RN_POLICY_CLAUSES];
    const struct rn_plan_template source = template_make();
    rn_setup_plan_text(&source, &text);
    assert_true(rn_is_ok(rn_plan_parse(rn_buffer_view(&text), "plan", &plan, &error)));
    rn_setup_policy_text(&plan, &text);
    assert_true(rn_is_ok(rn_policy_parse(rn_buffer_view(&text), "policy", &policy, &error)));
    rn_policy_words(&policy, said);
    static const char *const expected[RN_POLICY_CLAUSES] = {
        "any plan within these bounds that at least 3 members",
        "at most 1 lost",
        "fedavg-lora;",
        "home: ",
        "aaaaaaaaaaaaaaaa...",
        "rank up to ",
        "up to 3 rounds of ",
        "268435456 bytes"};
    for (size_t i = 0; i < RN_POLICY_CLAUSES; i++) {
        if (strstr(said[i].text, expected[i]) == NULL) {
            fail_msg("%s: %s", said[i].name, said[i].text);
        }
    }
    assert_non_null(strstr(said[2].text, "this site's example count enters"));
    policy.method.metrics |= RN_POLICY_BIT(RN_METRICS_SUMMED);
    policy.lora.targets_count = RN_PLAN_TARGETS_MAX;
    for (size_t i = 0; i < RN_PLAN_TARGETS_MAX; i++) {
        memset(policy.lora.targets[i], 't', RN_PLAN_TARGET_MAX);
    }
    rn_policy_words(&policy, said);
    assert_non_null(strstr(said[3].text, "SUMMED"));
    const size_t length = strlen(said[5].text);
    assert_true(length + 1 < RN_POLICY_CLAUSE_TEXT);
    assert_string_equal(said[5].text + length - 5, ", ...");
}

static void site_round_trip(void **state)
{
    (void)state;
    memset(&site, 0, sizeof site);
    site.version = RN_SITE_VERSION;
    site.role = RN_SITE_MEMBER;
    (void)rn_text_format(site.federation, sizeof site.federation, "clinics");
    (void)rn_text_format(site.name, sizeof site.name, "north");
    (void)rn_text_format(site.network.dial, sizeof site.network.dial, "[::1]:8443");
    (void)rn_text_format(site.state, sizeof site.state, "state dir");
    (void)rn_text_format(site.model, sizeof site.model, "/a \"b\"/c\\d/é: #x");
    (void)rn_text_format(site.data.train, sizeof site.data.train, "/- [x]/{y}.tsv");
    (void)rn_text_format(site.data.text, sizeof site.data.text, "0");
    (void)rn_text_format(site.data.pair, sizeof site.data.pair, "true");
    (void)rn_text_format(site.data.label, sizeof site.data.label, "null");
    site.data.format = RN_SITE_FORMAT_CSV;
    site.compute.threads = 3;
    site.log.level = RN_SITE_ERROR;
    rn_setup_site_text(&site, &text);
    if (!rn_is_ok(rn_site_parse(rn_buffer_view(&text), "site", &again, &error))) {
        fail_msg("%s\n%s", error.text, rn_buffer_text(&text));
    }
    assert_memory_equal(&site, &again, sizeof site);
}

static void replaces_only_the_hash_of_the_section(void **state)
{
    (void)state;
    uint8_t value[32];
    memset(value, 0xcd, sizeof value);
    const struct rn_plan_template wanted = template_make();
    rn_setup_plan_text(&wanted, &text);
    const size_t length = text.length;
    assert_true(rn_is_ok(rn_setup_replace_hash(&text, "roster", "hash", value, &error)));
    parse_plan();
    assert_int_equal(text.length, length);
    assert_memory_equal(plan.roster_hash, value, 32);
    assert_int_equal(plan.model_hash[0], 0xaa);
    assert_int_equal(plan.coordinator_key[0], 0xbb);
    assert_int_equal(rn_setup_replace_hash(&text, "roster", "max_length", value, &error).code,
                     RN_E_CONFIG);
    assert_int_equal(rn_setup_replace_hash(&text, "task", "hash", value, &error).code, RN_E_CONFIG);
    assert_int_equal(rn_setup_replace_hash(&text, "nothing", "hash", value, &error).code,
                     RN_E_CONFIG);
}

static void addresses(void **state)
{
    (void)state;
    char host[256];
    char port[8];
    assert_true(rn_is_ok(rn_setup_address_split("a.example:8443", host, port, &error)));
    assert_string_equal(host, "a.example");
    assert_string_equal(port, "8443");
    assert_true(rn_is_ok(rn_setup_address_split("[fe80::1]:1", host, port, &error)));
    assert_string_equal(host, "fe80::1");
    static const char *const wrong[] = {
        "", ":", ":1", "a", "a:", "a:b", "::1:1", "a:12345678", "[]:1"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(rn_setup_address_split(wrong[i], host, port, &error).code, RN_E_USAGE);
    }
}

static int finish(void **state)
{
    (void)state;
    rn_buffer_clear(&text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_says_what_was_asked),
        cmocka_unit_test(policy_just_holds_the_plan),
        cmocka_unit_test(policy_in_words),
        cmocka_unit_test(site_round_trip),
        cmocka_unit_test(replaces_only_the_hash_of_the_section),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
