/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids and type ids of the torture list, equal to what Hugging Face `tokenizers` gave
 * (tests/parity/make_tokenizer_golden.py): single texts, and pairs cut at 16 tokens.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/ground/jsonfile.h"
#include "trainer/text/tokenizer.h"

#define FOLDER RN_SOURCE_DIR "/tests/parity/tokenizer/"

static void read_whole(const char *path, struct rn_buffer *out)
{
    struct rn_error err = {{0}};

    assert_ok(rn_file_read(path, (size_t)16 << 20, out, &err), &err);
}

/* The next line of text from *at on, without its end. */
static struct rn_view next_line(struct rn_view text, size_t *at)
{
    const size_t start = *at;

    while (*at < text.length && text.data[*at] != '\n') {
        (*at)++;
    }
    return rn_view_of(text.data + start, (*at)++ - start);
}

static struct rn_view member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return rn_view_of(json_string_value(value), json_string_length(value));
}

static void compare(const struct rn_encoding *encoding, struct rn_view expected, size_t line)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};

    for (size_t i = 0; i < encoding->length; i++) {
        rn_buffer_format(&text, "%s%u:%u", i == 0 ? "" : " ", encoding->ids[i],
                         encoding->type_ids[i]);
    }
    if (!rn_view_equal(rn_buffer_view(&text), expected)) {
        print_error("line %zu: got %s\nexpected %.*s\n", line, rn_buffer_text(&text),
                    (int)expected.length, (const char *)expected.data);
        fail();
    }
}

static void run(const char *name, const char *expected_name)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer texts = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer expected = {0};
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_encoding_clear) struct rn_encoding encoding = {0};
    struct rn_error err = {{0}};
    size_t text_at = 0;
    size_t expected_at = 0;
    size_t line = 0;

    read_whole(name, &json);
    read_whole(FOLDER "texts.jsonl", &texts);
    read_whole(expected_name, &expected);
    assert_ok(rn_tokenizer_parse(rn_buffer_view(&json), name, &tokenizer, &err), &err);
    while (text_at < texts.length) {
        const struct rn_view record = next_line(rn_buffer_view(&texts), &text_at);
        json_t *object = json_loadb((const char *)record.data, record.length, JSON_ALLOW_NUL, NULL);
        assert_non_null(object);
        const struct rn_view first = member(object, "a");
        const struct rn_view second = member(object, "b");
        assert_ok(rn_tokenizer_encode(tokenizer, first, NULL, 0, &encoding, &err), &err);
        compare(&encoding, next_line(rn_buffer_view(&expected), &expected_at), ++line);
        assert_ok(rn_tokenizer_encode(tokenizer, first, &second, 16, &encoding, &err), &err);
        compare(&encoding, next_line(rn_buffer_view(&expected), &expected_at), ++line);
        json_decref(object);
    }
    assert_true(line > 500);
    assert_true(expected_at >= expected.length);
}

static void byte_level_bpe(void **state)
{
    (void)state;
    run(FOLDER "bpe.json", FOLDER "bpe_expected.txt");
}

static void wordpiece(void **state)
{
    (void)state;
    run(FOLDER "wordpiece.json", FOLDER "wordpiece_expected.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_bpe),
        cmocka_unit_test(wordpiece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
