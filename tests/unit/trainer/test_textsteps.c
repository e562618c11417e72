/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of normalizers and pre-tokenizers: what `tokenizers` 0.23 gives for one text
 * (tests/parity/tokenizer_parity.py compares on many).
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/ground/jsonfile.h"
#include "trainer/text/normalizer.h"
#include "trainer/text/presplit.h"

static rn_result append_word(void *context, struct rn_view word, struct rn_error *err)
{
    struct rn_buffer *out = context;

    (void)err;
    rn_buffer_format(out, "%s%.*s", out->length == 0 ? "" : "|", (int)word.length,
                     (const char *)word.data);
    return rn_ok();
}

static void cuts(const char *json, const char *expected)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    RN_CLEANUP(rn_presplit_clear) struct rn_presplit presplit = {0};
    const json_t *byte_level = NULL;
    struct rn_error err = {{0}};

    assert_ok(rn_json_parse(rn_view_text(json), "p", &root, &err), &err);
    assert_ok(rn_presplit_read(root, "p", &presplit, &byte_level, &err), &err);
    assert_ok(rn_presplit_walk(&presplit, rn_view_text(" don't v2.0, 3\xc2\xbdx  \xc3\xa9!?\n_a"),
                               append_word, &got, &err),
              &err);
    assert_string_equal(rn_buffer_text(&got), expected);
}

static void pre_tokenizers(void **state)
{
    (void)state;
    cuts("{\"type\":\"BertPreTokenizer\"}", "don|'|t|v2|.|0|,|3\xc2\xbdx|\xc3\xa9|!|?|_|a");
    cuts("{\"type\":\"Whitespace\"}", "don|'|t|v2|.|0|,|3|\xc2\xbd|x|\xc3\xa9|!?|_a");
    cuts("{\"type\":\"WhitespaceSplit\"}", "don't|v2.0,|3\xc2\xbdx|\xc3\xa9!?|_a");
    cuts("{\"type\":\"Digits\"}", " don't v|2|.|0|, |3\xc2\xbd|x  \xc3\xa9!?\n_a");
    cuts("{\"type\":\"Digits\",\"individual_digits\":true}",
         " don't v|2|.|0|, |3|\xc2\xbd|x  \xc3\xa9!?\n_a");
    cuts("{\"type\":\"Punctuation\"}", " don|'|t v2|.|0|,| 3\xc2\xbdx  \xc3\xa9|!|?|\n|_|a");
    cuts("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
         "{\"type\":\"Digits\",\"individual_digits\":true}]}",
         "don't|v|2|.|0|,|3|\xc2\xbd|x|\xc3\xa9!?|_a");
    cuts("{\"type\":\"Sequence\",\"pretokenizers\":[]}", " don't v2.0, 3\xc2\xbdx  \xc3\xa9!?\n_a");
}

#define SPLIT(pattern, behavior) \
    "{\"type\":\"Split\",\"pattern\":{" pattern "},\"behavior\":\"" behavior "\""
#define LETTERS "\"Regex\":\"\\\\s|[a-e]\""
#define HALF "3\xc2\xbdx"

static void behaviors(void **state)
{
    (void)state;
    cuts(SPLIT(LETTERS, "Removed") "}", "on't|v2.0,|" HALF "|\xc3\xa9!?|_");
    cuts(SPLIT(LETTERS, "Removed") ",\"invert\":true}", " |d| | | | |\n|a");
    cuts(SPLIT(LETTERS, "Isolated") "}", " |d|on't| |v2.0,| |" HALF "| | |\xc3\xa9!?|\n|_|a");
    cuts(SPLIT(LETTERS, "MergedWithPrevious") "}", " |d|on't |v2.0, |" HALF " | |\xc3\xa9!?\n|_a");
    cuts(SPLIT(LETTERS, "MergedWithNext") "}", " |don't| v2.0,| " HALF "| | \xc3\xa9!?|\n_|a");
    cuts(SPLIT(LETTERS, "MergedWithNext") ",\"invert\":true}",
         " |d|on't |v2.0, |" HALF " | |\xc3\xa9!?\n|_a");
    cuts(SPLIT(LETTERS, "Contiguous") "}", " d|on't| |v2.0,| |" HALF "|  |\xc3\xa9!?|\n|_|a");
    cuts("{\"type\":\"Punctuation\",\"behavior\":\"Removed\"}",
         " don|t v2|0| " HALF "  \xc3\xa9|\n|a");
    cuts("{\"type\":\"Punctuation\",\"behavior\":\"MergedWithNext\"}",
         " don|'t v2|.0|, " HALF "  \xc3\xa9|!|?\n|_a");
    cuts("{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"v\"}",
         " don't |2.0, " HALF "  \xc3\xa9!?\n_a");
}

/* What Ruby's syntax means, among it what PCRE2 alone reads otherwise: lines, \h, \w, \b. */
static void patterns(void **state)
{
    (void)state;
    cuts(SPLIT("\"String\":\"2.\"", "Isolated") "}", " don't v|2.|0, " HALF "  \xc3\xa9!?\n_a");
    cuts(SPLIT("\"Regex\":\"(?=[x!])\"", "Isolated") "}",
         " don't v2.0, 3\xc2\xbd|x  \xc3\xa9|!?\n_a");
    cuts(SPLIT("\"Regex\":\"\\\\b\"", "Isolated") "}",
         " |don|'|t| |v2|.|0|, |" HALF "|  |\xc3\xa9|!?\n|_a");
    cuts(SPLIT("\"Regex\":\"(?i)DON|V2\"", "Isolated") "}",
         " |don|'t |v2|.0, " HALF "  \xc3\xa9!?\n_a");
    cuts(SPLIT("\"Regex\":\"\\\\w+|\\\\h\"", "Isolated") "}",
         " |don|'|t| |v2|.|0|, |" HALF "|  |\xc3\xa9|!?\n|_a");
    cuts(SPLIT("\"Regex\":\"^.|.$\"", "Isolated") "}",
         " |don't v2.0, " HALF "  \xc3\xa9!|?|\n|_|a");
    cuts(SPLIT("\"Regex\":\"[\\\\w]+\"", "Removed") "}", " |'| |.|, |\xc2\xbd|  |!?\n");
}

static void becomes(const char *json, const char *expected)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    struct rn_normalizer normalizer = {0};
    struct rn_buffer buffers[2] = {{0}, {0}};
    struct rn_view text =
        rn_view_text("\xe3\x80\x80 caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e\xcc\x81 aaaa \xc2\xa0");
    struct rn_error err = {{0}};

    assert_ok(rn_json_parse(rn_view_text(json), "n", &root, &err), &err);
    assert_ok(rn_normalizer_read(root, "n", &normalizer, &err), &err);
    assert_ok(rn_normalizer_run(&normalizer, text, buffers, &text, &err), &err);
    assert_true(rn_view_equal(text, rn_view_text(expected)));
    rn_normalizer_clear(&normalizer);
    rn_buffer_clear(&buffers[0]);
    rn_buffer_clear(&buffers[1]);
}

static void normalizers(void **state)
{
    (void)state;
    becomes("{\"type\":\"NFKC\"}", "  caf\xc3\xa9 fi 1\xe2\x81\x84"
                                   "2 \xc3\xa9 aaaa  ");
    becomes("{\"type\":\"NFKD\"}", "  cafe\xcc\x81 fi 1\xe2\x81\x84"
                                   "2 e\xcc\x81 aaaa  ");
    becomes("{\"type\":\"StripAccents\"}",
            "\xe3\x80\x80 caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e aaaa \xc2\xa0");
    becomes("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":"
            "\"StripAccents\"}]}",
            "\xe3\x80\x80 cafe \xef\xac\x81 \xc2\xbd e aaaa \xc2\xa0");
    becomes("{\"type\":\"Strip\"}", "caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e\xcc\x81 aaaa");
    becomes("{\"type\":\"Strip\",\"strip_right\":false}",
            "caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e\xcc\x81 aaaa \xc2\xa0");
    becomes("{\"type\":\"Replace\",\"pattern\":{\"String\":\"aa\"},\"content\":\"b\"}",
            "\xe3\x80\x80 caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e\xcc\x81 bb \xc2\xa0");
    becomes("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s{2,}|a{3}\"},\"content\":\"-\"}",
            "-caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e\xcc\x81 -a-");
    becomes("{\"type\":\"Prepend\",\"prepend\":\"p\"}",
            "p\xe3\x80\x80 caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e\xcc\x81 aaaa \xc2\xa0");
    /* Two steps that both make the text longer. */
    becomes("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
            "\"aa\"},\"content\":\"abba\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\"b\"},"
            "\"content\":\"long\"}]}",
            "\xe3\x80\x80 caf\xc3\xa9 \xef\xac\x81 \xc2\xbd e\xcc\x81 "
            "alonglongaalonglonga \xc2\xa0");
}

/* Lists of steps at their limit, and one step more. */
static void lists_stop_at_their_limits(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer forms = {0};
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer splits = {0};
        RN_CLEANUP(rn_json_cleanup) json_t *form = NULL;
        RN_CLEANUP(rn_json_cleanup) json_t *split = NULL;
        struct rn_normalizer normalizer = {0};
        RN_CLEANUP(rn_presplit_clear) struct rn_presplit presplit = {0};
        const json_t *byte_level = NULL;
        struct rn_error err = {{0}};
        rn_buffer_format(&forms, "{\"type\":\"Sequence\",\"normalizers\":[");
        rn_buffer_format(&splits, "{\"type\":\"Sequence\",\"pretokenizers\":[");
        for (size_t i = 0; i < RN_NORMAL_STEPS_MAX + extra; i++) {
            rn_buffer_format(&forms, "%s{\"type\":\"NFC\"}", i == 0 ? "" : ",");
        }
        for (size_t i = 0; i < RN_PRESPLIT_STEPS_MAX + extra; i++) {
            rn_buffer_format(&splits, "%s{\"type\":\"Digits\"}", i == 0 ? "" : ",");
        }
        rn_buffer_format(&forms, "]}");
        rn_buffer_format(&splits, "]}");
        assert_ok(rn_json_parse(rn_buffer_view(&forms), "n", &form, &err), &err);
        assert_ok(rn_json_parse(rn_buffer_view(&splits), "p", &split, &err), &err);
        const enum rn_code code = extra == 0 ? RN_OK : RN_E_DATA;
        assert_int_equal(rn_normalizer_read(form, "n", &normalizer, &err).code, code);
        assert_int_equal(rn_presplit_read(split, "p", &presplit, &byte_level, &err).code, code);
        rn_normalizer_clear(&normalizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pre_tokenizers),
        cmocka_unit_test(behaviors),
        cmocka_unit_test(patterns),
        cmocka_unit_test(normalizers),
        cmocka_unit_test(lists_stop_at_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
