/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that the set-up commands write parse under their schemas, whatever names they hold, and
 * mean what was asked for.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "policy/privacyquote.h"
#include "services/cli/setup/planoptions.h"
#include "services/cli/setup/planreport.h"
#include "services/cli/setup/policywords.h"
#include "services/cli/setup/setupfiles.h"
#include "services/cli/setup/setuptext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct rn_buffer text;
static struct rn_plan plan, asked;
static struct rn_policy policy;
static struct rn_site site, again;
static struct rn_error error;

static const struct rn_option_group groups[] = {RN_PLAN_OPTION_GROUPS(0), {NULL}};
static const struct rn_command_def def = {
    .name = "plan", .groups = groups, .settings_size = sizeof(struct rn_plan_options)};
static const struct rn_program program = {.name = "test"};

/* A plan of these words on a command line. */
static void write_plan(const char *words)
{
    char *line = rn_text_copy(words, strlen(words));
    char *argv[96] = {line};
    int argc = 1;
    struct rn_command command;
    for (char *rest = line; rest != NULL;) {
        argv[argc++] = strsep(&rest, "^");
    }
    rn_result result = rn_command_parse(&program, &def, argc, argv, &command, &error);
    rn_plan_defaults(&asked);
    (void)rn_text_format(asked.federation, sizeof asked.federation, "clinics");
    (void)rn_text_format(asked.model.hash, sizeof asked.model.hash, HEX_A);
    (void)rn_text_format(asked.roster.coordinator, sizeof asked.roster.coordinator, HEX_B);
    if (rn_is_ok(result)) {
        result = rn_plan_options_apply(&command, command.settings, &asked, &error);
    }
    rn_command_clear(&command);
    rn_free(line);
    if (!rn_is_ok(result)) {
        fail_msg("%s", error.text);
    }
    rn_setup_plan_text(&asked, &text);
}

static const char every_option[] =
    "--name^triage^--seed^9007199254740992^--rounds^3^--method^fedavg-lora^--weights^examples^"
    "--max-examples^1000^--metrics^home^--max-length^99^--labels^it's \"odd\",back\\slash,ok: yes "
    "# no^--metric^f1^--rank^7^--alpha^0.1^--rslora^--init^orthonormal^--targets^query,"
    "attention.output.dense^--head^local^--optimizer^sgd^--lr^0.3333333333333333^--lr-head^12.5^"
    "--weight-decay^0.01^--schedule^cosine^--warmup-steps^2^--clip^0^--batch^5^--steps^6^"
    "--colluding^2^--losses^1^--honest^3^--bits^12^--scale^9.5367431640625e-07^--train-soft^1^"
    "--train-hard^2^--stage-soft^3^--stage-hard^4^--upload-rate^5000^--attempts^6";

static void parse_plan(void)
{
    if (!rn_is_ok(rn_plan_parse(rn_buffer_view(&text), "plan", &plan, &error))) {
        fail_msg("%s\n%s", error.text, rn_buffer_text(&text));
    }
}

static void plan_says_what_was_asked(void **state)
{
    (void)state;
    write_plan(every_option);
    parse_plan();
    assert_true(plan.seed == UINT64_C(1) << 53 && plan.rounds == 3 && plan.max_examples == 1000);
    assert_int_equal(plan.method, RN_METHOD_FEDAVG_LORA);
    assert_int_equal(plan.weights, RN_WEIGHTS_EXAMPLES);
    assert_int_equal(plan.task.labels_count, 3);
    assert_string_equal(plan.task.labels[0], "it's \"odd\"");
    assert_string_equal(plan.task.labels[1], "back\\slash");
    assert_string_equal(plan.task.labels[2], "ok: yes # no");
    assert_string_equal(plan.lora.targets[1], "attention.output.dense");
    assert_true(plan.lora.alpha == 0.1 && plan.lora.rslora);
    /* Numbers come back bit for bit. */
    assert_true(plan.training.lr_a == 1.0 / 3 && plan.training.lr_b == 1.0 / 3);
    assert_true(plan.training.lr_head == 12.5 && plan.secagg.scale_head == 0x1p-20);
    assert_int_equal(plan.secagg.attempts, 6);
    assert_int_equal(plan.model_hash[0], 0xaa);
    assert_int_equal(plan.roster_hash[0], 0);
    write_plan("--name^x^--task^regression^--metric^pearson");
    parse_plan();
    assert_int_equal(plan.task.labels_count, 0);
}

/* The template, `plan show` and its JSON hold every field of the table with its value: what is
 * signed is what is written and shown. */
static void check_written_and_shown(const char *words)
{
    char *shown = NULL;
    size_t length = 0;
    write_plan(words);
    parse_plan();
    const struct rn_plan_view view = {.plan = &plan, .reason = "", .policy_detail = ""};
    FILE *out = open_memstream(&shown, &length);
    rn_plan_print_text(&view, true, out);
    (void)fclose(out);
    json_t *root = rn_plan_json(&view);
    assert_non_null(root);
    for (size_t i = 0; i < rn_plan_fields()->count; i++) {
        const struct rn_field *field = &rn_plan_fields()->fields[i];
        const char *dot = strrchr(field->path, '.');
        const bool of_privacy = strncmp(field->path, "privacy.", 8) == 0;
        const bool unsaid = plan.max_examples == 0 && strcmp(field->path, "max_examples") == 0;
        if (field->kind == RN_FIELD_SECTION || unsaid ||
            (of_privacy && !rn_plan_is_private(&plan))) {
            continue;
        }
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer value = {0};
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
        rn_field_put(field, &plan, &value);
        rn_buffer_format(&line, "\n");
        for (const char *at = field->path; (at = strchr(at, '.')) != NULL; at++) {
            rn_buffer_format(&line, "  ");
        }
        rn_buffer_format(&line, "%s: %s", dot == NULL ? field->path : dot + 1,
                         rn_buffer_text(&value));
        if (strstr(rn_buffer_text(&text), rn_buffer_text(&line)) == NULL) {
            fail_msg("the template lacks %s: %s", field->path, rn_buffer_text(&value));
        }
        line.length = 0;
        rn_buffer_format(&line, "\n  %-31s %s ", field->path, rn_buffer_text(&value));
        if (strstr(shown, rn_buffer_text(&line)) == NULL) {
            fail_msg("plan show lacks %s with %s", field->path, rn_buffer_text(&value));
        }
        json_t *at = json_object_get(root, "plan");
        char *path = rn_text_copy(field->path, strlen(field->path));
        for (char *rest = path, *key; (key = strsep(&rest, ".")) != NULL;) {
            at = json_object_get(at, key);
        }
        json_t *expected = rn_plan_field_json(field, &plan);
        if (expected == NULL || !json_equal(at, expected)) {
            fail_msg("plan show --format json lacks %s", field->path);
        }
        json_decref(expected);
        rn_free(path);
    }
    json_decref(root);
    free(shown);
}

static void every_field_is_written_and_shown(void **state)
{
    (void)state;
    check_written_and_shown(every_option);
    assert_null(strstr(rn_buffer_text(&text), "privacy:"));
    check_written_and_shown(
        "--name^x^--labels^a,b^--dp-sampling-rate^0.01^--dp-noise^1.25^--dp-clip^0.5^"
        "--dp-clipping^automatic^--dp-denominator^12^--dp-retries^3^--dp-reply^"
        "600");
    assert_true(plan.privacy.rate == 0.01 && plan.privacy.noise == 1.25);
    assert_true(plan.training.clip == 0 && plan.privacy.clipping == RN_PLAN_CLIP_AUTOMATIC);
    assert_true(plan.privacy.retries == 3 && plan.privacy.reply_s == 600);
}

static const struct rn_policy_privacy no_promise;
static const struct rn_policy_spent nothing_spent;

/* Around what a member promises the bounds just hold a private plan too, and the filter's order is
 * the one at which it costs the least share of the budget. */
static void policy_just_holds_a_private_plan(void **state)
{
    (void)state;
    static const struct rn_policy_privacy promise = {
        .lineage = "wards", .rows = 1, .records_max = 5000, .epsilon = 8, .delta = 1e-5};
    struct rn_privacy_quote quote;
    enum rn_policy_reason reason;
    write_plan(every_option);
    parse_plan();
    plan.metrics = RN_METRICS_HOME;
    plan.weights = RN_WEIGHTS_UNIFORM;
    plan.privacy = (struct rn_plan_privacy){
        .rate = 0.002, .noise = 1, .clip = 0.5, .denominator = 10, .retries = 1};
    plan.training.batch = 64;
    rn_setup_policy_text(&plan, &promise, &text);
    if (!rn_is_ok(rn_policy_parse(rn_buffer_view(&text), "policy", &policy, &error))) {
        fail_msg("%s\n%s", error.text, rn_buffer_text(&text));
    }
    assert_true(policy.privacy.required);
    assert_true(policy.privacy.noise_min == 1 && policy.privacy.clip_max == 0.5);
    assert_true(policy.privacy.order > 1.01);
    assert_true(rn_is_ok(rn_policy_check_privacy(&policy, &plan, &nothing_spent, &reason, &error)));
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    const double share = quote.cost / quote.terms.bound;
    policy.privacy.order *= 1.2;
    assert_true(rn_is_ok(rn_privacy_quote(&plan, &policy, &quote, &error)));
    assert_true(quote.cost / quote.terms.bound > share);
}

static void policy_just_holds_the_plan(void **state)
{
    (void)state;
    write_plan(every_option);
    parse_plan();
    rn_setup_policy_text(&plan, &no_promise, &text);
    if (!rn_is_ok(rn_policy_parse(rn_buffer_view(&text), "policy", &policy, &error))) {
        fail_msg("%s\n%s", error.text, rn_buffer_text(&text));
    }
    assert_int_equal(policy.lora.rank_max, plan.lora.rank);
    assert_int_equal(policy.training.steps_max, plan.training.steps);
    assert_int_equal(policy.method.allowed, RN_POLICY_BIT(RN_METHOD_FEDAVG_LORA));
    assert_int_equal(policy.method.heads, RN_POLICY_BIT(RN_PLAN_HEAD_LOCAL));
    assert_int_equal(policy.cohort.losses_max, 1);
    assert_int_equal(policy.cohort.survivors_min, 0); /* F, whatever the roster's size will be */
    assert_int_equal(policy.lora.targets_count, 2);
    assert_string_equal(policy.coordinator, HEX_B);
    assert_string_equal(policy.model.hashes[0], HEX_A);
    assert_int_equal(policy.upload.jobs_max, 1);
}

/* Every number and word that a plan could use up to its bound is said, and the longest lists end.
 */
static void policy_in_words(void **state)
{
    (void)state;
    struct rn_policy_clause said[RN_POLICY_CLAUSES];
    write_plan(every_option);
    assert_true(rn_is_ok(rn_plan_parse(rn_buffer_view(&text), "plan", &plan, &error)));
    rn_setup_policy_text(&plan, &no_promise, &text);
    assert_true(rn_is_ok(rn_policy_parse(rn_buffer_view(&text), "policy", &policy, &error)));
    rn_policy_words(&policy, said);
    static const char *const expected[RN_POLICY_CLAUSES] = {
        "any plan within these bounds that at least 3 members",
        "at most 1 absent or lost in a round, never a sum over fewer than the floor of the roster",
        "fedavg-lora;",
        "home: ",
        "aaaaaaaaaaaaaaaa...",
        "rank up to ",
        "up to 3 rounds of ",
        "268435456 bytes",
        "none promised"};
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
    assert_null(strstr(said[3].text, "EVALUATION"));
    policy.method.evaluation = true;
    rn_policy_words(&policy, said);
    assert_non_null(strstr(said[3].text, "EVALUATION"));
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

/* A limit that was set stays in the file; one that was not is no line in it. */
static void site_limits_round_trip(void **state)
{
    (void)state;
    memset(&site, 0, sizeof site);
    site.version = RN_SITE_VERSION;
    site.role = RN_SITE_COORDINATOR;
    site.network.direction = RN_SITE_LISTEN;
    (void)rn_text_format(site.federation, sizeof site.federation, "clinics");
    (void)rn_text_format(site.name, sizeof site.name, "coordinator");
    (void)rn_text_format(site.network.listen, sizeof site.network.listen, "[::1]:8443");
    (void)rn_text_format(site.state, sizeof site.state, "state");
    (void)rn_text_format(site.model, sizeof site.model, "model");
    const uint64_t limits[] = {0, RN_SITE_LIMIT_LEAST, RN_SITE_LIMIT_MOST};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(limits); i++) {
        site.limits.upload_memory = limits[i];
        site.limits.kept_sums = limits[(i + 1) % RN_ARRAY_LENGTH(limits)];
        rn_setup_site_text(&site, &text);
        if (!rn_is_ok(rn_site_parse(rn_buffer_view(&text), "site", &again, &error))) {
            fail_msg("%s\n%s", error.text, rn_buffer_text(&text));
        }
        assert_int_equal(again.limits.upload_memory, limits[i]);
        assert_int_equal(again.limits.kept_sums, site.limits.kept_sums);
    }
}

static void replaces_only_the_hash_of_the_section(void **state)
{
    (void)state;
    uint8_t value[32];
    memset(value, 0xcd, sizeof value);
    write_plan(every_option);
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
        cmocka_unit_test(every_field_is_written_and_shown),
        cmocka_unit_test(policy_just_holds_the_plan),
        cmocka_unit_test(policy_just_holds_a_private_plan),
        cmocka_unit_test(policy_in_words),
        cmocka_unit_test(site_round_trip),
        cmocka_unit_test(site_limits_round_trip),
        cmocka_unit_test(replaces_only_the_hash_of_the_section),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
