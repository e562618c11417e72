/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json: what is read, refused and limited.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/model/family.h"

#define SHAPES                                                                                    \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"hidden_size\":64,\"intermediate_size\":" \
    "96,"                                                                                         \
    "\"vocab_size\":50,\"max_position_embeddings\":34"
#define ROBERTA "\"model_type\":\"roberta\"," SHAPES

static rn_result parse(const char *json, struct rn_model_config *out, struct rn_error *err)
{
    return rn_modelconfig_parse(rn_view_text(json), "config.json", out, err);
}

static void refused(const char *json, enum rn_code code, const char *part)
{
    struct rn_model_config config = {0};
    struct rn_error err = {{0}};

    assert_failure(parse(json, &config, &err), code, &err, part);
    assert_non_null(strstr(err.text, "config.json"));
}

static void defaults_and_values(void **state)
{
    struct rn_model_config config;
    struct rn_error err = {{0}};

    (void)state;
    assert_ok(parse("{" ROBERTA ",\"type_vocab_size\":1,\"layer_norm_eps\":1e-5,"
                    "\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"},\"new_field\":{}}",
                    &config, &err),
              &err);
    assert_string_equal(config.family->model_type, "roberta");
    assert_int_equal(config.pad_id, 1);
    assert_int_equal(config.types, 1);
    assert_int_equal(config.label_count, 3);
    assert_true(config.layer_norm_epsilon == 1e-5f);
    assert_int_equal(rn_modelconfig_length_max(&config), 32);
    assert_true(config.family->positions_from_pad);
    assert_ok(parse("{\"model_type\":\"bert\"," SHAPES "}", &config, &err), &err);
    assert_int_equal(config.pad_id, 0);
    assert_int_equal(config.types, 2);
    assert_int_equal(config.label_count, 0);
    assert_int_equal(rn_modelconfig_length_max(&config), 34);
}

static void other_arithmetic_is_refused_by_name(void **state)
{
    (void)state;
    refused("{\"model_type\":\"llama\"}", RN_E_UNSUPPORTED, "llama");
    refused("{" ROBERTA ",\"hidden_act\":\"relu\"}", RN_E_UNSUPPORTED, "relu");
    refused("{" ROBERTA ",\"hidden_act\":\"gelu_new\"}", RN_E_UNSUPPORTED, "gelu_new");
    refused("{" ROBERTA ",\"position_embedding_type\":\"relative_key\"}", RN_E_UNSUPPORTED,
            "relative_key");
    refused("{" ROBERTA ",\"is_decoder\":true}", RN_E_UNSUPPORTED, "is_decoder");
    refused("{" ROBERTA ",\"pruned_heads\":{\"0\":[1]}}", RN_E_UNSUPPORTED, "pruned_heads");
    refused("{" ROBERTA ",\"quantization_config\":{\"bits\":4}}", RN_E_UNSUPPORTED,
            "quantization_config");
}

static void wrong_values_are_data_errors(void **state)
{
    (void)state;
    refused("", RN_E_DATA, "JSON");
    refused("{}", RN_E_DATA, "model_type");
    refused("{\"model_type\":7}", RN_E_DATA, "model_type");
    refused("{\"model_type\":\"bert\"}", RN_E_DATA, "num_hidden_layers");
    refused("{" ROBERTA ",\"pad_token_id\":50}", RN_E_DATA, "pad_token_id");
    refused("{" ROBERTA ",\"pad_token_id\":40}", RN_E_DATA, "max_position_embeddings");
    refused("{" ROBERTA ",\"layer_norm_eps\":0}", RN_E_DATA, "layer_norm_eps");
    refused("{" ROBERTA ",\"type_vocab_size\":\"2\"}", RN_E_DATA, "type_vocab_size");
    refused("{\"model_type\":\"bert\",\"num_hidden_layers\":2,\"num_attention_heads\":5,"
            "\"hidden_size\":64,\"intermediate_size\":9,\"vocab_size\":9,"
            "\"max_position_embeddings\":9}",
            RN_E_DATA, "multiple");
}

/* Every shape at its limit, and one beyond. */
static void shapes_stop_at_their_limits(void **state)
{
    static const struct {
        const char *key;
        unsigned limit;
    } shapes[] = {
        {"num_hidden_layers", RN_CONFIG_LAYERS_MAX},
        {"num_attention_heads", RN_CONFIG_HEADS_MAX},
        {"hidden_size", RN_CONFIG_HIDDEN_MAX},
        {"intermediate_size", RN_CONFIG_INTERMEDIATE_MAX},
        {"vocab_size", RN_CONFIG_VOCABULARY_MAX},
        {"max_position_embeddings", RN_CONFIG_POSITIONS_MAX},
        {"type_vocab_size", RN_CONFIG_TYPES_MAX},
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(shapes); i++) {
        for (unsigned extra = 0; extra < 2; extra++) {
            RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};
            struct rn_model_config config;
            struct rn_error err = {{0}};
            rn_buffer_format(&json, "{\"model_type\":\"bert\"");
            for (size_t k = 0; k < RN_ARRAY_LENGTH(shapes); k++) {
                rn_buffer_format(&json, ",\"%s\":%u", shapes[k].key,
                                 shapes[k].limit + (k == i ? extra : 0));
            }
            rn_buffer_format(&json, "}");
            const rn_result result = parse(rn_buffer_text(&json), &config, &err);
            if (extra == 0) {
                assert_ok(result, &err);
            } else {
                assert_failure(result, RN_E_DATA, &err, shapes[i].key);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_values),
        cmocka_unit_test(other_arithmetic_is_refused_by_name),
        cmocka_unit_test(wrong_values_are_data_errors),
        cmocka_unit_test(shapes_stop_at_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
