/* SPDX-License-Identifier: Apache-2.0
 *
 * PEFT directories: what is refused, which modules match, and that a written directory reads back.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/adapter/peftfile.h"

#include <math.h>

#define BASE "\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8"
#define TARGET "\"target_modules\":[\"query\",\"value\"]"

static rn_result parse(const char *json, struct rn_peft_config *out, struct rn_error *err)
{
    return rn_peft_config_parse(rn_view_text(json), "adapter_config.json", out, err);
}

static void refused(const char *json, enum rn_code code, const char *part)
{
    struct rn_peft_config config = {0};
    struct rn_error err = {{0}};

    assert_failure(parse(json, &config, &err), code, &err, part);
    assert_non_null(strstr(err.text, "adapter_config.json"));
}

static void arithmetic_that_differs_is_refused_by_name(void **state)
{
    static const char *const fields[] = {
        "\"use_dora\":true",
        "\"fan_in_fan_out\":true",
        "\"layer_replication\":[[0,2]]",
        "\"megatron_config\":{\"a\":1}",
        "\"lora_bias\":true",
        "\"trainable_token_indices\":[1]",
        "\"target_parameters\":[\"x\"]",
        "\"use_qalora\":true",
        "\"loftq_config\":{\"bits\":4}",
        "\"bias\":\"all\"",
        "\"init_lora_weights\":\"pissa\"",
        "\"init_lora_weights\":\"loftq\"",
        "\"init_lora_weights\":\"olora\"",
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(fields); i++) {
        char json[256];
        char name[64];
        (void)rn_text_format(json, sizeof json, "{" BASE "," TARGET ",%s}", fields[i]);
        (void)rn_text_format(name, sizeof name, "%s", fields[i] + 1);
        *strchr(name, '"') = '\0';
        refused(json, RN_E_UNSUPPORTED, name);
    }
    refused("{\"peft_type\":\"IA3\"}", RN_E_UNSUPPORTED, "IA3");
}

/* What the first rule that matches says of a module; the file has r 4 and lora_alpha 8. */
static void ruled(const char *fields, const char *module, uint32_t rank, double factor)
{
    struct rn_peft_config config = {0};
    struct rn_error err = {{0}};
    uint32_t got_rank = 0;
    double got_factor = 0;
    char json[512];

    (void)rn_text_format(json, sizeof json, "{" BASE "," TARGET ",%s}", fields);
    assert_ok(parse(json, &config, &err), &err);
    assert_ok(rn_peft_module_rank(&config, module, &got_rank, &got_factor, &err), &err);
    assert_int_equal(got_rank, rank);
    assert_true(fabs(got_factor - factor) < 1e-12);
    rn_peft_config_clear(&config);
}

static void modules_may_have_ranks_and_scales_of_their_own(void **state)
{
    struct rn_peft_config config = {0};
    struct rn_error err = {{0}};

    (void)state;
    ruled("\"rank_pattern\":{\"query\":2}", "a.query", 2, 2);
    ruled("\"rank_pattern\":{\"query\":2}", "query", 2, 2);
    ruled("\"rank_pattern\":{\"query\":2}", "a.myquery", 4, 1);
    ruled("\"rank_pattern\":{\"query\":2}", "a.query.b", 4, 1);
    ruled("\"rank_pattern\":{\"a.*\":1,\"query\":2}", "x.a.query", 1, 4);
    ruled("\"rank_pattern\":{\"query\":1},\"use_rslora\":true", "a.query", 1, 2);
    ruled("\"alpha_pattern\":{\"query\":3}", "a.query", 4, 0.375);
    ruled("\"alpha_pattern\":{\"query\":0}", "a.query", 4, 0);
    ruled("\"alpha_pattern\":{\"query\":3},\"rank_pattern\":{\"query\":8}", "a.query", 8, 0.1875);
    ruled("\"rank_pattern\":null,\"alpha_pattern\":{}", "a.query", 4, 1);
    /* One rank, the largest, and the scale of r and lora_alpha. */
    assert_ok(parse("{" BASE "," TARGET ",\"rank_pattern\":{\"a\":2,\"b\":16}}", &config, &err),
              &err);
    assert_int_equal(config.rank, 16);
    assert_true(rn_peft_scale(&config) == 2);
    rn_peft_config_clear(&config);
    refused("{" BASE "," TARGET ",\"rank_pattern\":[2]}", RN_E_DATA, "rank_pattern");
    refused("{" BASE "," TARGET ",\"rank_pattern\":{\"a\":1.5}}", RN_E_DATA, "whole");
    refused("{" BASE "," TARGET ",\"rank_pattern\":{\"a\":0}}", RN_E_DATA, "between 1");
    refused("{" BASE "," TARGET ",\"rank_pattern\":{\"\":2}}", RN_E_DATA, "1 to");
    refused("{" BASE "," TARGET ",\"alpha_pattern\":{\"a\":-1}}", RN_E_DATA, "alpha_pattern");
    refused("{" BASE "," TARGET ",\"alpha_pattern\":{\"a\":\"1\"}}", RN_E_DATA, "alpha_pattern");
    refused("{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":0," TARGET
            ",\"alpha_pattern\":{\"a\":1}}",
            RN_E_UNSUPPORTED, "lora_alpha 0");
    refused("{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1048576," TARGET
            ",\"rank_pattern\":{\"a\":2}}",
            RN_E_DATA, "largest rank");
}

/* rank_pattern at its limits, and one beyond. */
static void rules_stop_at_their_limits(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer many = {0};
        struct rn_peft_config config = {0};
        struct rn_error err = {{0}};
        char large[256];
        const enum rn_code code = extra == 0 ? RN_OK : RN_E_DATA;
        rn_buffer_format(&many, "{" BASE "," TARGET ",\"rank_pattern\":{");
        for (unsigned i = 0; i < RN_PEFT_RULES_MAX + extra; i++) {
            rn_buffer_format(&many, "%s\"m%u\":2", i == 0 ? "" : ",", i);
        }
        rn_buffer_format(&many, "}}");
        assert_int_equal(parse(rn_buffer_text(&many), &config, &err).code, code);
        rn_peft_config_clear(&config);
        (void)rn_text_format(large, sizeof large,
                             "{" BASE "," TARGET ",\"rank_pattern\":{\"m\":%u}}",
                             RN_PEFT_RANK_MAX + extra);
        assert_int_equal(parse(large, &config, &err).code, code);
        rn_peft_config_clear(&config);
    }
}

static void harmless_and_unknown_fields_are_read_over(void **state)
{
    struct rn_peft_config config = {0};
    struct rn_error err = {{0}};

    (void)state;
    assert_ok(parse("{" BASE "," TARGET ",\"bias\":\"none\",\"use_dora\":false,\"rank_pattern\":{},"
                    "\"lora_dropout\":0.5,\"init_lora_weights\":\"gaussian\",\"loftq_config\":{},"
                    "\"megatron_core\":\"megatron.core\",\"something_new\":[1],\"eva_config\":null,"
                    "\"use_rslora\":true,\"modules_to_save\":[\"classifier\"]}",
                    &config, &err),
              &err);
    assert_int_equal(config.rank, 4);
    assert_true(config.alpha == 8);
    assert_true(config.use_rslora);
    assert_true(fabs(rn_peft_scale(&config) - 4) < 1e-12);
    config.use_rslora = false;
    assert_true(rn_peft_scale(&config) == 2);
    assert_int_equal(config.saved.count, 1);
    rn_peft_config_clear(&config);
}

static void wrong_values_are_data_errors(void **state)
{
    (void)state;
    refused("{\"peft_type\":\"LORA\"," TARGET "}", RN_E_DATA, "r is missing");
    refused("{" BASE "}", RN_E_DATA, "target_modules");
    refused("{" BASE ",\"target_modules\":[]}", RN_E_DATA, "target_modules");
    refused("{" BASE ",\"target_modules\":[1]}", RN_E_DATA, "target_modules");
    refused("{\"peft_type\":\"LORA\",\"r\":0," TARGET "}", RN_E_DATA, "r must");
    refused("{\"peft_type\":\"LORA\",\"r\":1025," TARGET "}", RN_E_DATA, "r must");
    refused("{\"peft_type\":\"LORA\",\"r\":1.5," TARGET "}", RN_E_DATA, "r must");
    refused("{" BASE "," TARGET ",\"layers_to_transform\":[-1]}", RN_E_DATA, "layers");
    refused("{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":-1," TARGET "}", RN_E_DATA,
            "lora_alpha");
}

static void limits_of_rank_and_names(void **state)
{
    struct rn_peft_config config = {0};
    struct rn_error err = {{0}};

    (void)state;
    assert_ok(parse("{\"peft_type\":\"LORA\",\"r\":1024," TARGET "}", &config, &err), &err);
    rn_peft_config_clear(&config);
    for (size_t extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};
        rn_buffer_format(&json, "{" BASE ",\"target_modules\":[\"");
        const size_t length = RN_PEFT_NAME_BYTES_MAX + extra;
        memset(rn_buffer_grow(&json, length), 'n', length);
        rn_buffer_format(&json, "\"");
        for (unsigned i = 1; i < RN_PEFT_NAMES_MAX; i++) {
            rn_buffer_format(&json, ",\"n\"");
        }
        rn_buffer_format(&json, "]}");
        assert_int_equal(parse(rn_buffer_text(&json), &config, &err).code,
                         extra == 0 ? RN_OK : RN_E_DATA);
        rn_peft_config_clear(&config);
        json.length -= 2;
        rn_buffer_format(&json, ",\"n\"]}");
        assert_int_equal(parse(rn_buffer_text(&json), &config, &err).code, RN_E_DATA);
    }
}

static void limits_of_patterns_and_layers(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer pattern = {0};
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer layers = {0};
        struct rn_peft_config config = {0};
        struct rn_error err = {{0}};
        const enum rn_code expected = extra == 0 ? RN_OK : RN_E_DATA;
        rn_buffer_format(&pattern, "{" BASE ",\"target_modules\":\"");
        const size_t length = RN_PEFT_PATTERN_BYTES_MAX + extra;
        memset(rn_buffer_grow(&pattern, length), 'p', length);
        rn_buffer_format(&pattern, "\"}");
        assert_int_equal(parse(rn_buffer_text(&pattern), &config, &err).code, expected);
        rn_peft_config_clear(&config);
        rn_buffer_format(&layers, "{" BASE "," TARGET ",\"layers_to_transform\":[0");
        for (size_t i = 1; i < RN_PEFT_NAMES_MAX + extra; i++) {
            rn_buffer_format(&layers, ",%zu", i % RN_PEFT_NAMES_MAX);
        }
        rn_buffer_format(&layers, "]}");
        assert_int_equal(parse(rn_buffer_text(&layers), &config, &err).code, expected);
        rn_peft_config_clear(&config);
    }
}

#define QUERY0 "roberta.encoder.layer.0.attention.self.query"
#define DENSE11 "roberta.encoder.layer.11.attention.output.dense"

/* As peft 0.21 decides (tuners_utils.check_target_module_exists). */
static void modules_match_as_in_peft(void **state)
{
    static const struct {
        const char *fields;
        const char *module;
        bool match;
    } cases[] = {
        {TARGET, QUERY0, true},
        {TARGET, DENSE11, false},
        {TARGET, "query", true},
        {TARGET, "a.subquery", false},
        {"\"target_modules\":[\"output.dense\"]", DENSE11, true},
        {"\"target_modules\":[\"utput.dense\"]", DENSE11, false},
        {"\"target_modules\":\"query\"", QUERY0, false},
        {"\"target_modules\":\".*\\\\.(query|key)\"", QUERY0, true},
        {"\"target_modules\":\".*layer\\\\.0\\\\..*\"", DENSE11, false},
        {"\"target_modules\":\"ALL-linear\"", DENSE11, true},
        {"\"target_modules\":\"all-linear\",\"modules_to_save\":[\"classifier\"]",
         "classifier.dense", false},
        {TARGET ",\"exclude_modules\":[\"query\"]", QUERY0, false},
        {TARGET ",\"exclude_modules\":\".*layer.0.*\"", QUERY0, false},
        {"\"target_modules\":[\"dense\"],\"modules_to_save\":[\"output\"]", DENSE11, false},
        {"\"target_modules\":[\"dense\"],\"modules_to_save\":[\"outpu\"]", DENSE11, true},
        {TARGET ",\"layers_to_transform\":[0,2]", QUERY0, true},
        {TARGET ",\"layers_to_transform\":0", QUERY0, true},
        {TARGET ",\"layers_to_transform\":[1]", QUERY0, false},
        {TARGET ",\"layers_to_transform\":[0],\"layers_pattern\":\"layer\"", QUERY0, true},
        {TARGET ",\"layers_to_transform\":[0],\"layers_pattern\":[\"h\",\"layer\"]", QUERY0, true},
        {TARGET ",\"layers_to_transform\":[0],\"layers_pattern\":\"h\"", QUERY0, false},
        {TARGET ",\"layers_to_transform\":[0]", "layer.0.query", false},
        {TARGET ",\"layers_to_transform\":[0]", "m.layer.0.query", true},
        {"\"target_modules\":[\"" QUERY0 "\"],\"layers_to_transform\":[3]", QUERY0, true},
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        struct rn_peft_config config = {0};
        struct rn_error err = {{0}};
        char json[512];
        bool match = false;
        (void)rn_text_format(json, sizeof json, "{" BASE ",%s}", cases[i].fields);
        assert_ok(parse(json, &config, &err), &err);
        assert_ok(rn_peft_target_match(&config, cases[i].module, &match, &err), &err);
        if (match != cases[i].match) {
            print_error("%s on %s\n", cases[i].fields, cases[i].module);
            fail();
        }
        rn_peft_config_clear(&config);
    }
}

static void names_have_no_end_within(void **state)
{
    static const char *const fields[] = {TARGET ",\"modules_to_save\":[\"\\u0000\"]",
                                         "\"target_modules\":[\"query\\u0000\"]"};

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(fields); i++) {
        struct rn_peft_config config = {0};
        struct rn_error err = {{0}};
        char json[512];
        (void)rn_text_format(json, sizeof json, "{" BASE ",%s}", fields[i]);
        assert_failure(parse(json, &config, &err), RN_E_DATA, &err, "none of them zero");
        rn_peft_config_clear(&config);
    }
}

static void hostile_patterns_end(void **state)
{
    struct rn_peft_config config = {0};
    struct rn_error err = {{0}};
    bool match = false;

    (void)state;
    assert_ok(rn_peft_targets_set(&config, "re:(", &err), &err);
    assert_failure(rn_peft_target_match(&config, "a", &match, &err), RN_E_DATA, &err, "regular");
    assert_ok(rn_peft_targets_set(&config, "re:(a+)+[bd]", &err), &err);
    assert_failure(
        rn_peft_target_match(&config, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", &match, &err),
        RN_E_DATA, &err, "cannot be matched");
    rn_peft_config_clear(&config);
}

static void a_written_directory_reads_back(void **state)
{
    const float a[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    char head[] = "classifier";
    char *saved[] = {head};
    char zero[] = "no";
    char one[] = "yes";
    char *labels[] = {zero, one};
    const struct rn_tensor_out tensors[] = {
        {"base_model.model." QUERY0 ".lora_A.weight", 2, 4, a},
        {"base_model.model." QUERY0 ".lora_B.weight", 4, 2, a},
        {"base_model.model.classifier.bias", 2, 0, a},
    };
    struct rn_peft_config config = {.rank = 2, .alpha = 3.5};
    const struct rn_peft_extra extra = {.labels = {labels, 2}, .max_length = 64};
    struct rn_peft peft;
    struct rn_error err = {{0}};
    char dir[RN_PATH_MAX];
    float back[8];
    bool found = false;

    (void)state;
    assert_ok(rn_path_join(dir, fixture_folder, "adapter", &err), &err);
    assert_ok(rn_peft_targets_set(&config, "query,value", &err), &err);
    config.saved = (struct rn_peft_names){.names = saved, .count = 1};
    assert_ok(rn_peft_write(dir, &config, &extra, tensors, 3, "By a test.", &err), &err);
    config.saved = (struct rn_peft_names){0};
    rn_peft_config_clear(&config);
    assert_ok(rn_peft_open(dir, &peft, &err), &err);
    assert_int_equal(peft.config.rank, 2);
    assert_true(peft.config.alpha == 3.5);
    assert_int_equal(peft.config.targets.count, 2);
    assert_int_equal(peft.extra.labels.count, 2);
    assert_string_equal(peft.extra.labels.names[1], "yes");
    assert_int_equal(peft.extra.max_length, 64);
    assert_ok(rn_peft_read(&peft, QUERY0, 'B', 4, 2, back, &err), &err);
    assert_memory_equal(back, a, sizeof a);
    assert_ok(rn_peft_read_head(&peft, "classifier.bias", 2, 0, back, &found, &err), &err);
    assert_true(found);
    assert_ok(rn_peft_read_head(&peft, "classifier.weight", 2, 2, back, &found, &err), &err);
    assert_false(found);
    assert_failure(rn_peft_read(&peft, QUERY0, 'A', 4, 4, back, &err), RN_E_DATA, &err, "shape");
    assert_failure(rn_peft_check_complete(&peft, (const char *const[]){tensors[0].name}, 1, &err),
                   RN_E_DATA, &err, "no place");
    rn_peft_close(&peft);
}

/* Targets that peft would also apply to a module that Rondo never adapts are written out one by
 * one. */
static void ambiguous_targets_are_listed_in_full(void **state)
{
    static const char *const targets[] = {"all-linear", "dense", "re:.*dense"};
    const float a[2] = {1, 2};
    const struct rn_tensor_out tensors[] = {
        {"base_model.model." DENSE11 ".lora_A.weight", 1, 2, a},
        {"base_model.model." DENSE11 ".lora_B.weight", 2, 1, a},
    };
    struct rn_error err = {{0}};
    char dir[RN_PATH_MAX];

    (void)state;
    assert_ok(rn_path_join(dir, fixture_folder, "full", &err), &err);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(targets); i++) {
        struct rn_peft_config config = {.rank = 1, .alpha = 1};
        struct rn_peft peft;
        assert_ok(rn_peft_targets_set(&config, targets[i], &err), &err);
        assert_ok(rn_peft_write(dir, &config, NULL, tensors, 2, NULL, &err), &err);
        assert_ok(rn_peft_open(dir, &peft, &err), &err);
        assert_int_equal(peft.config.targets.count, 1);
        assert_string_equal(peft.config.targets.names[0], DENSE11);
        rn_peft_close(&peft);
        rn_peft_config_clear(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_that_differs_is_refused_by_name),
        cmocka_unit_test(modules_may_have_ranks_and_scales_of_their_own),
        cmocka_unit_test(rules_stop_at_their_limits),
        cmocka_unit_test(harmless_and_unknown_fields_are_read_over),
        cmocka_unit_test(wrong_values_are_data_errors),
        cmocka_unit_test(limits_of_rank_and_names),
        cmocka_unit_test(limits_of_patterns_and_layers),
        cmocka_unit_test(modules_match_as_in_peft),
        cmocka_unit_test(names_have_no_end_within),
        cmocka_unit_test(hostile_patterns_end),
        cmocka_unit_test(a_written_directory_reads_back),
        cmocka_unit_test(ambiguous_targets_are_listed_in_full),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_remove);
}
