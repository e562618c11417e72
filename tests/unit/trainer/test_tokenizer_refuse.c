/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers that are refused by name, broken ones, limits, and the truncation rule.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/text/tokenizerparts.h"

#define BPE_START "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
#define BYTE_LEVEL "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define WORDS_ALONE                                                                                \
    "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"##a\":2}" \
    "}"
#define WORDS WORDS_ALONE ",\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"

static rn_result parse(const char *json, struct rn_tokenizer **out, struct rn_error *err)
{
    return rn_tokenizer_parse(rn_view_text(json), "t.json", out, err);
}

static void refused(const char *json, enum rn_code code, const char *part)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    struct rn_error err = {{0}};

    assert_failure(parse(json, &tokenizer, &err), code, &err, part);
    assert_null(tokenizer);
    assert_non_null(strstr(err.text, "t.json"));
}

static void unsupported_kinds_are_named(void **state)
{
    (void)state;
    refused("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", RN_E_UNSUPPORTED, "Unigram");
    refused(BPE_START "\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Metaspace\"}}",
            RN_E_UNSUPPORTED, "Metaspace");
    refused(WORDS_ALONE ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", RN_E_UNSUPPORTED,
            "WordPiece");
    refused(WORDS_ALONE ",\"pre_tokenizer\":{\"type\":\"Split\"}}", RN_E_UNSUPPORTED, "Split");
    refused(WORDS_ALONE ",\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"Other\"}}",
            RN_E_UNSUPPORTED, "Other");
    refused(WORDS ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(a)\\\\1\"},"
                  "\"content\":\"\"}}",
            RN_E_UNSUPPORTED, "Regex");
    refused(
        WORDS
        ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a*\"},\"content\":\"\"}}",
        RN_E_UNSUPPORTED, "match nothing");
    refused(WORDS ",\"version\":\"2.0\"}", RN_E_UNSUPPORTED, "version 2.0");
    refused(BPE_START "\"merges\":[],\"dropout\":0.1}," BYTE_LEVEL "}", RN_E_UNSUPPORTED,
            "dropout");
    refused(BPE_START "\"merges\":[],\"end_of_word_suffix\":\"w\"}," BYTE_LEVEL "}",
            RN_E_UNSUPPORTED, "end_of_word_suffix");
    refused(WORDS ",\"normalizer\":{\"type\":\"Nmt\"}}", RN_E_UNSUPPORTED, "Nmt");
    refused(WORDS ",\"post_processor\":{\"type\":\"Other\"}}", RN_E_UNSUPPORTED, "Other");
}

static void broken_files_are_data_errors(void **state)
{
    (void)state;
    refused("", RN_E_DATA, "not valid JSON");
    refused("[]", RN_E_DATA, "object");
    refused("{}", RN_E_DATA, "model");
    refused("{\"a\":1,,}", RN_E_DATA, "not valid JSON");
    refused(BPE_START "\"merges\":[\"a c\"]}," BYTE_LEVEL "}", RN_E_DATA, "entry 0");
    refused(BPE_START "\"merges\":[\"b a\"]}," BYTE_LEVEL "}", RN_E_DATA, "result of entry 0");
    refused(BPE_START "\"merges\":[\"ab\"]}," BYTE_LEVEL "}", RN_E_DATA, "entry 0");
    refused(BPE_START "\"merges\":[[\"a\"]]}," BYTE_LEVEL "}", RN_E_DATA, "entry 0");
    refused(BPE_START "\"merges\":7}," BYTE_LEVEL "}", RN_E_DATA, "merges");
    refused(BPE_START "\"merges\":[],\"ignore_merges\":1}," BYTE_LEVEL "}", RN_E_DATA,
            "ignore_merges");
    refused(WORDS ",\"normalizer\":{\"type\":\"Precompiled\"}}", RN_E_DATA, "Precompiled");
    refused(WORDS ",\"normalizer\":{\"type\":\"Replace\",\"content\":\"\"}}", RN_E_DATA, "pattern");
    refused(WORDS_ALONE ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\"}}",
            RN_E_DATA, "pattern");
    refused(WORDS_ALONE
            ",\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"ab\"}}",
            RN_E_DATA, "delimiter");
    refused(BPE_START "\"merges\":[],\"unk_token\":\"no\"}," BYTE_LEVEL "}", RN_E_DATA,
            "unk_token");
    refused("{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"a\":-1}},"
            "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}}",
            RN_E_DATA, "vocab");
    refused(WORDS ",\"added_tokens\":[{\"id\":7,\"content\":\"x\"}]}", RN_E_DATA, "expected 3");
    refused(WORDS ",\"added_tokens\":[{\"id\":2,\"content\":\"a\"}]}", RN_E_DATA, "entry 0");
    refused(WORDS ",\"added_tokens\":[{\"content\":\"x\"}]}", RN_E_DATA, "entry 0");
    refused(WORDS ",\"added_tokens\":[{\"id\":3,\"content\":\"x\"},{\"id\":4,\"content\":\"x\"}]}",
            RN_E_DATA, "ids 3 and 4");
    refused(WORDS ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",9],"
                  "\"cls\":[\"c\",0]}}",
            RN_E_DATA, "id 9");
    refused(WORDS ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[],\"pair\":[],"
                  "\"special_tokens\":{}}}",
            RN_E_UNSUPPORTED, "exactly once");
}

static void vocabulary_ids_stop_at_their_limit(void **state)
{
    char json[256];
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    struct rn_error err = {{0}};

    (void)state;
    for (unsigned beyond = 0; beyond < 2; beyond++) {
        (void)rn_text_format(json, sizeof json,
                             "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\","
                             "\"vocab\":{\"u\":%u}},\"pre_tokenizer\":{\"type\":"
                             "\"BertPreTokenizer\"}}",
                             RN_TOKENIZER_VOCABULARY_MAX - 1 + beyond);
        if (beyond == 1) {
            refused(json, RN_E_DATA, "vocab");
        } else {
            assert_ok(parse(json, &tokenizer, &err), &err);
            assert_int_equal(rn_tokenizer_vocabulary(tokenizer), RN_TOKENIZER_VOCABULARY_MAX);
        }
    }
}

/* A token of exactly the limit is read and found, one byte more is refused. */
static void token_length_stops_at_its_limit(void **state)
{
    (void)state;
    for (size_t length = RN_TOKENIZER_TOKEN_BYTES_MAX; length <= RN_TOKENIZER_TOKEN_BYTES_MAX + 1;
         length++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};
        RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
        struct rn_error err = {{0}};
        rn_buffer_format(&json, "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":"
                                "{\"u\":0,\"");
        memset(rn_buffer_grow(&json, length), 'x', length);
        rn_buffer_format(&json, "\":1}},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}}");
        const rn_result result = rn_tokenizer_parse(rn_buffer_view(&json), "t", &tokenizer, &err);
        assert_int_equal(result.code, length > RN_TOKENIZER_TOKEN_BYTES_MAX ? RN_E_DATA : RN_OK);
    }
}

/* The code that a tokenizer gets whose last list has count copies of item (# stands for its
 * number).
 */
static enum rn_code code_of_list(const char *start, const char *item, size_t count, const char *end)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    struct rn_error err = {{0}};

    rn_buffer_format(&json, "%s", start);
    for (size_t i = 0; i < count; i++) {
        rn_buffer_format(&json, "%s", i == 0 ? "" : ",");
        for (const char *c = item; *c != '\0'; c++) {
            if (*c == '#') {
                rn_buffer_format(&json, "%zu", i + 3);
            } else {
                rn_buffer_u8(&json, (uint8_t)*c);
            }
        }
    }
    rn_buffer_format(&json, "%s", end);
    return rn_tokenizer_parse(rn_buffer_view(&json), "t.json", &tokenizer, &err).code;
}

static void lists_stop_at_their_limits(void **state)
{
    static const char added[] = WORDS ",\"added_tokens\":[";
    static const char token[] = "{\"content\":\"t#\",\"normalized\":false,\"id\":#}";
    static const char steps[] = WORDS ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[";
    static const char template[] =
        WORDS ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"pair\":[{\"Sequence\":"
              "{\"id\":\"A\"}},{\"Sequence\":{\"id\":\"B\"}}],\"special_tokens\":{\"s\":{\"ids\":"
              "[1]}},\"single\":[{\"Sequence\":{\"id\":\"A\"}},";
    static const char special[] = "{\"SpecialToken\":{\"id\":\"s\"}}";

    (void)state;
    assert_int_equal(code_of_list(added, token, RN_TOKENIZER_ADDED_MAX, "]}"), RN_OK);
    assert_int_equal(code_of_list(added, token, RN_TOKENIZER_ADDED_MAX + 1, "]}"), RN_E_DATA);
    assert_int_equal(code_of_list(steps, "{\"type\":\"NFC\"}", RN_NORMAL_STEPS_MAX, "]}}"), RN_OK);
    assert_int_equal(code_of_list(steps, "{\"type\":\"NFC\"}", RN_NORMAL_STEPS_MAX + 1, "]}}"),
                     RN_E_DATA);
    assert_int_equal(code_of_list(template, special, RN_TOKENIZER_TEMPLATE_MAX - 1, "]}}"), RN_OK);
    assert_int_equal(code_of_list(template, special, RN_TOKENIZER_TEMPLATE_MAX, "]}}"), RN_E_DATA);
}

static void texts_must_be_utf8_and_bounded(void **state)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_encoding_clear) struct rn_encoding encoding = {0};
    static const char *const bad[] = {
        "\xff",     "a\x80",       "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80",
        "\xe2\x82", "\xf0\x9f\x98"};
    struct rn_error err = {{0}};

    (void)state;
    assert_ok(parse(WORDS "}", &tokenizer, &err), &err);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        assert_failure(
            rn_tokenizer_encode(tokenizer, rn_view_text(bad[i]), NULL, 0, &encoding, &err),
            RN_E_DATA, &err, "UTF-8");
    }
    char *long_text = malloc(RN_TOKENIZER_TEXT_MAX + 1);
    assert_non_null(long_text);
    memset(long_text, ' ', RN_TOKENIZER_TEXT_MAX + 1);
    assert_ok(rn_tokenizer_encode(tokenizer, rn_view_of(long_text, RN_TOKENIZER_TEXT_MAX), NULL, 0,
                                  &encoding, &err),
              &err);
    assert_failure(rn_tokenizer_encode(tokenizer, rn_view_of(long_text, RN_TOKENIZER_TEXT_MAX + 1),
                                       NULL, 0, &encoding, &err),
                   RN_E_DATA, &err, "longer");
    free(long_text);
}

/* Kept lengths of two texts of n and m tokens when room fit. */
static void longest_first(void **state)
{
    static const struct {
        unsigned first, second, max, kept_first, kept_second;
    } cases[] = {{3, 3, 6, 3, 3}, {5, 2, 6, 4, 2}, {2, 5, 6, 2, 4}, {5, 5, 6, 3, 3},
                 {5, 5, 7, 3, 4}, {6, 5, 7, 4, 3}, {9, 9, 3, 1, 2}, {9, 8, 3, 2, 1},
                 {0, 9, 4, 0, 4}, {9, 0, 4, 4, 0}, {1, 9, 0, 1, 9}};
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_encoding_clear) struct rn_encoding encoding = {0};
    struct rn_error err = {{0}};

    (void)state;
    assert_ok(parse(WORDS "}", &tokenizer, &err), &err);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const struct rn_view first = rn_view_of("aaaaaaaaa", cases[i].first);
        const struct rn_view second = rn_view_of("aaaaaaaaa", cases[i].second);
        size_t kept[2] = {0, 0};
        assert_ok(rn_tokenizer_encode(tokenizer, first, &second, cases[i].max, &encoding, &err),
                  &err);
        for (size_t k = 0; k < encoding.length; k++) {
            kept[encoding.type_ids[k]]++;
        }
        assert_int_equal(kept[0], cases[i].kept_first);
        assert_int_equal(kept[1], cases[i].kept_second);
    }
}

static void max_length_must_hold_the_special_tokens(void **state)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_encoding_clear) struct rn_encoding encoding = {0};
    struct rn_error err = {{0}};
    const struct rn_view text = rn_view_text("aaa");

    (void)state;
    assert_ok(parse(WORDS ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",1],"
                          "\"cls\":[\"c\",2]}}",
                    &tokenizer, &err),
              &err);
    assert_int_equal(rn_tokenizer_specials(tokenizer, false), 2);
    assert_int_equal(rn_tokenizer_specials(tokenizer, true), 3);
    assert_failure(rn_tokenizer_encode(tokenizer, text, NULL, 1, &encoding, &err), RN_E_USAGE, &err,
                   "special");
    assert_ok(rn_tokenizer_encode(tokenizer, text, NULL, 2, &encoding, &err), &err);
    assert_int_equal(encoding.length, 2);
    assert_ok(rn_tokenizer_encode(tokenizer, text, NULL, 3, &encoding, &err), &err);
    assert_int_equal(encoding.length, 3);
}

static void a_contradicting_tokenizer_config_is_refused(void **state)
{
    static const struct {
        const char *config;
        enum rn_code code;
    } cases[] = {
        {"{\"do_lower_case\":true,\"model_max_length\":5,\"strip_accents\":null}", RN_OK},
        {"{\"do_lower_case\":false}", RN_E_DATA},
        {"{\"tokenize_chinese_chars\":true}", RN_E_DATA},
        {"{", RN_E_DATA},
    };
    struct rn_error err = {{0}};

    (void)state;
    (void)fixture_text("tokenizer.json",
                       WORDS ",\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true,"
                             "\"handle_chinese_chars\":false}}");
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
        (void)fixture_text("tokenizer_config.json", cases[i].config);
        assert_int_equal(rn_tokenizer_open(fixture_folder, &tokenizer, &err).code, cases[i].code);
    }
    assert_failure(rn_tokenizer_open("/nonexistent", &(struct rn_tokenizer *){NULL}, &err),
                   RN_E_NO_INPUT, &err, "/nonexistent/tokenizer.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsupported_kinds_are_named),
        cmocka_unit_test(broken_files_are_data_errors),
        cmocka_unit_test(vocabulary_ids_stop_at_their_limit),
        cmocka_unit_test(token_length_stops_at_its_limit),
        cmocka_unit_test(lists_stop_at_their_limits),
        cmocka_unit_test(texts_must_be_utf8_and_bounded),
        cmocka_unit_test(longest_first),
        cmocka_unit_test(max_length_must_hold_the_special_tokens),
        cmocka_unit_test(a_contradicting_tokenizer_config_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_remove);
}
