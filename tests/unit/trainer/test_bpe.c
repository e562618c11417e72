/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of a BPE model: bytes or characters, unknown symbols, bytes in their place, words that
 * stay whole. The ids are those of `tokenizers` 0.23 (tests/parity/tokenizer_parity.py compares on
 * many).
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/text/tokenizer.h"

#define VOCAB                                                                            \
    "\"vocab\":{\"u\":0,\"a\":1,\"b\":2,\"ab\":3,\"\xc3\xa9\":4,\"aba\":5,\"<0xC3>\":6," \
    "\"<0xB1>\":7,\"<0x78>\":8},\"merges\":[\"a b\"]"
#define MODEL(options) "{\"model\":{\"type\":\"BPE\"," VOCAB options "}"

static void gives(const char *json, const char *text, const char *expected)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_encoding_clear) struct rn_encoding encoding = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    struct rn_error err = {{0}};

    assert_ok(rn_tokenizer_parse(rn_view_text(json), "t.json", &tokenizer, &err), &err);
    assert_ok(rn_tokenizer_encode(tokenizer, rn_view_text(text), NULL, 0, &encoding, &err), &err);
    for (size_t i = 0; i < encoding.length; i++) {
        rn_buffer_format(&got, "%s%u", i == 0 ? "" : " ", encoding.ids[i]);
    }
    assert_string_equal(rn_buffer_text(&got), expected);
}

static void symbols_are_characters_without_byte_level(void **state)
{
    (void)state;
    gives(MODEL("") "}", "ab\xc3\xa9zzab", "3 4 3"); /* unknown ones vanish */
    gives(MODEL(",\"unk_token\":\"u\"") "}", "abzzaz", "3 0 0 1 0");
    gives(MODEL(",\"unk_token\":\"u\",\"fuse_unk\":true") "}", "abzzaz", "3 0 1 0");
}

static void unknown_characters_may_become_bytes(void **state)
{
    (void)state;
    gives(MODEL(",\"unk_token\":\"u\",\"byte_fallback\":true") "}", "a\xc3\xb1x", "1 6 7 8");
    /* one of its bytes is no token: unknown as a whole */
    gives(MODEL(",\"unk_token\":\"u\",\"byte_fallback\":true") "}", "a\xc3\xb2", "1 0");
    /* what is unknown waits for the next symbol of the vocabulary, and bytes go before it */
    gives(MODEL(",\"unk_token\":\"u\",\"byte_fallback\":true") "}", "zxa", "8 0 1");
}

static void words_may_stay_whole(void **state)
{
    static const char level[] =
        ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}}";
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};

    (void)state;
    gives(MODEL("") "}", "aba", "3 1");
    gives(MODEL(",\"ignore_merges\":true") "}", "aba", "5");
    gives(MODEL(",\"ignore_merges\":true") "}", "abab", "3 3");
    rn_buffer_format(&json, "%s%s", MODEL(",\"ignore_merges\":true"), level);
    gives(rn_buffer_text(&json), "aba", "5");
    /* in ByteLevel's alphabet U+00E9 is the byte E9, and this text has C3 and A9 */
    gives(rn_buffer_text(&json), "aba\xc3\xa9", "3 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_are_characters_without_byte_level),
        cmocka_unit_test(unknown_characters_may_become_bytes),
        cmocka_unit_test(words_may_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
