/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions of tokenizer.json that are refused, and the limits of patterns and character maps.
 * What they match: test_textsteps.c, and tests/parity/tokenizer_parity.py on many.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/ground/jsonfile.h"
#include "trainer/text/normalizer.h"

static enum rn_code code_of(const char *regex)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    struct rn_error err = {{0}};

    return rn_regex_translate(rn_view_text(regex), &out, &err).code;
}

static void what_is_not_the_same_is_refused(void **state)
{
    static const char *const bad[] = {
        "(a)\\1",   "\\k<n>", "\\R",     "\\X",         "\\K",    "\\G",         "\\Z",
        "\\",       "[a[b]]", "[a&&b]",  "[[:alpha:]]", "[^\\S]", "[\\W]",       "[]",
        "[a",       "[b-a]",  "[a-\\d]", "(?x)a",       "a(?i)b", "(?<n>a)",     "(?#c)",
        "(*F)",     "(a",     "a)",      "*a",          "a**",    "a{2}+",       "a{2}?",
        "a{,}",     "a{3,2}", "{",       "]",           "\\xff",  "\\x{110000}", "\\ud800",
        "\\p{Any}", "\\pL",   "(?i)ss",  "(?i)\u00e9",  "\\q",
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        if (code_of(bad[i]) != RN_E_UNSUPPORTED) {
            fail_msg("%s is read", bad[i]);
        }
    }
}

static void what_models_write_is_read(void **state)
{
    static const char *const good[] = {
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
        "?[^\\s\\p{L}\\p{N}]+"
        "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        "[\\s\\S]",
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]",
        "\\p{Han}+|\\P{^Lu}",
        "(?<=a)b|(?<!c)d|(?>e+)f++",
        "a{2,3}b{2,}c{,4}d{5}",
        "\\u4e00\\x{9fa5}\\x41\\e\\a",
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(good); i++) {
        RN_CLEANUP(rn_json_cleanup) json_t *value = json_pack("{s:s}", "Regex", good[i]);
        struct rn_pattern pattern = {0};
        struct rn_error err = {{0}};
        assert_ok(rn_pattern_read(value, "t", "Split", &pattern, &err), &err);
        rn_pattern_clear(&pattern);
    }
}

static void patterns_stop_at_their_limit(void **state)
{
    char text[RN_PATTERN_BYTES_MAX + 2];

    (void)state;
    for (size_t extra = 0; extra < 4; extra++) {
        const size_t length = RN_PATTERN_BYTES_MAX + extra % 2;
        memset(text, 'a', length);
        text[length] = '\0';
        RN_CLEANUP(rn_json_cleanup)
        json_t *value = json_pack("{s:s}", extra < 2 ? "Regex" : "String", text);
        struct rn_pattern pattern = {0};
        struct rn_error err = {{0}};
        assert_int_equal(rn_pattern_read(value, "t", "Split", &pattern, &err).code,
                         extra % 2 == 0 ? RN_OK : RN_E_DATA);
        rn_pattern_clear(&pattern);
    }
}

/* U+0000 ends a text of C: what follows it would be left out, or a pattern of nothing be left. */
static void patterns_have_no_end_within(void **state)
{
    static const char *const bad[] = {"{\"String\":\"\\u0000\"}", "{\"String\":\"a\\u0000b\"}",
                                      "{\"Regex\":\"a\\u0000b\"}"};

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        RN_CLEANUP(rn_json_cleanup) json_t *value = json_loads(bad[i], JSON_ALLOW_NUL, NULL);
        struct rn_pattern pattern = {0};
        struct rn_error err = {{0}};
        assert_non_null(value);
        assert_int_equal(rn_pattern_read(value, "t", "Replace", &pattern, &err).code, RN_E_DATA);
        rn_pattern_clear(&pattern);
    }
}

static rn_result ignore(void *context, struct rn_view stretch, bool match, struct rn_error *err)
{
    (void)context;
    (void)stretch;
    (void)match;
    (void)err;
    return rn_ok();
}

/* One that would search for ever ends as an error. */
static void searching_stops(void **state)
{
    RN_CLEANUP(rn_json_cleanup) json_t *value = json_pack("{s:s}", "Regex", "(a|a)*[bd]");
    struct rn_pattern pattern = {0};
    struct rn_error err = {{0}};
    char text[200];

    (void)state;
    memset(text, 'a', sizeof text);
    assert_ok(rn_pattern_read(value, "t", "Split", &pattern, &err), &err);
    assert_int_equal(rn_pattern_walk(&pattern, rn_view_of((const uint8_t *)text, sizeof text),
                                     ignore, NULL, &err)
                         .code,
                     RN_E_DATA);
    rn_pattern_clear(&pattern);
}

/* "e" with an acute (two characters) -> the text at leaf_value, "q" -> "xyz". Units by hand: the
 * children of a node stand at its base, a multiple of 256, changed by their byte. */
static void map_bytes(uint32_t leaf_value, struct rn_buffer *out)
{
    enum { UNITS = 1536 };
    static uint32_t units[UNITS];

    units[0] = 256u << 10;
    units[256 ^ 'e'] = ((256u ^ 'e') ^ 512u) << 10 | 'e';
    units[512 ^ 0xcc] = ((512u ^ 0xccu) ^ 768u) << 10 | 0xcc;
    units[768 ^ 0x81] = ((768u ^ 0x81u) ^ 1024u) << 10 | 1u << 8 | 0x81;
    units[1024] = 1u << 31 | leaf_value;
    units[256 ^ 'q'] = ((256u ^ 'q') ^ 1280u) << 10 | 1u << 8 | 'q';
    units[1280] = 1u << 31;
    rn_buffer_u32(out, sizeof units);
    for (size_t i = 0; i < UNITS; i++) {
        rn_buffer_u32(out, units[i]);
    }
    rn_buffer_append(out, "xyz\0\xc3\xa9", 6);
}

static json_t *base64_of(struct rn_view bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};

    for (size_t at = 0; at < bytes.length; at += 3) {
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) {
            bits = bits << 8 | (at + i < bytes.length ? bytes.data[at + i] : 0);
        }
        for (size_t i = 0; i < 4; i++) {
            rn_buffer_u8(&out, at + i <= bytes.length ? (uint8_t)digits[bits >> (18 - 6 * i) & 63]
                                                      : (uint8_t)'=');
        }
    }
    return json_stringn((const char *)out.data, out.length);
}

static void mapped(uint32_t leaf_value, const char *text, const char *expected)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    RN_CLEANUP(rn_charsmap_clear) struct rn_charsmap map = {0};
    struct rn_error err = {{0}};

    map_bytes(leaf_value, &bytes);
    RN_CLEANUP(rn_json_cleanup) json_t *value = base64_of(rn_buffer_view(&bytes));
    assert_ok(rn_charsmap_read(value, "t", &map, &err), &err);
    rn_charsmap_apply(&map, rn_view_text(text), &got);
    assert_string_equal(rn_buffer_text(&got), expected);
}

static void maps_rewrite_clusters(void **state)
{
    (void)state;
    mapped(0, "ae\xcc\x81q", "axyzxyz");
    mapped(4, "e\xcc\x81", "\xc3\xa9");
    mapped(6, "e\xcc\x81", "");          /* the closing zero */
    mapped(5, "e\xcc\x81", "e\xcc\x81"); /* inside a character */
    mapped(7, "e\xcc\x81", "e\xcc\x81"); /* behind the texts */
    mapped(0, "e", "e");                 /* begins an entry, is none */
    mapped(0, "q\xcc\x81", "xyz");       /* the shortest, for the whole */
    mapped(0, "q\xcc\x81\xcc\x81\xcc\x81", "xyz\xcc\x81\xcc\x81\xcc\x81"); /* 7 bytes */
}

static void broken_maps_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "A",
                                      "AAA=",
                                      "!!!!",
                                      "AAAAAA==",
                                      "/////w==",
                                      "AwAAAAAAAA==",
                                      "BAAAAAAAAA=",
                                      "BAAAAAAAAAD/"};

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        RN_CLEANUP(rn_json_cleanup) json_t *value = json_string(bad[i]);
        struct rn_charsmap map = {0};
        struct rn_error err = {{0}};
        if (rn_charsmap_read(value, "t", &map, &err).code != RN_E_DATA) {
            fail_msg("%s is read", bad[i]);
        }
        rn_charsmap_clear(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_the_same_is_refused),
        cmocka_unit_test(patterns_have_no_end_within),
        cmocka_unit_test(what_models_write_is_read),
        cmocka_unit_test(patterns_stop_at_their_limit),
        cmocka_unit_test(searching_stops),
        cmocka_unit_test(maps_rewrite_clusters),
        cmocka_unit_test(broken_maps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
