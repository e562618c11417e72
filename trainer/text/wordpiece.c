/* SPDX-License-Identifier: Apache-2.0
 *
 * WordPiece: the longest known piece of a word first; a word with an unknown rest is unknown as a
 * whole.
 */
#include "trainer/text/tokenizerparts.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <string.h>

rn_result rn_wordpiece_read(const json_t *model, const char *name,
                            const struct rn_vocabulary *vocabulary, struct rn_wordpiece *out,
                            struct rn_error *err)
{
    const char *unknown = "[UNK]";
    const char *prefix = "##";

    out->characters_max = 100;
    RN_TRY(rn_json_get_text(model, name, "unk_token", &unknown, err));
    RN_TRY(rn_json_get_text(model, name, "continuing_subword_prefix", &prefix, err));
    RN_TRY(rn_json_get_count(model, name, "max_input_chars_per_word", 0, UINT32_MAX - 1,
                             &out->characters_max, err));
    out->unknown = rn_vocabulary_find(vocabulary, rn_view_text(unknown));
    RN_ENSURE(out->unknown != RN_TOKEN_NONE, err, RN_E_DATA,
              "%s: model.unk_token is not in model.vocab", name);
    out->prefix_length = strlen(prefix);
    RN_ENSURE(out->prefix_length <= RN_TOKENIZER_TOKEN_BYTES_MAX, err, RN_E_DATA,
              "%s: model.continuing_subword_prefix is longer than %d bytes", name,
              RN_TOKENIZER_TOKEN_BYTES_MAX);
    out->prefix = rn_text_copy(prefix, out->prefix_length);
    return rn_ok();
}

void rn_wordpiece_clear(struct rn_wordpiece *model)
{
    rn_free(model->prefix);
    *model = (struct rn_wordpiece){0};
}

/* The longest token at the front of rest; *out_used says how many bytes of rest it takes, 0 when
 * there is none. buffer is for prefix + piece. */
static uint32_t longest_piece(const struct rn_wordpiece *model,
                              const struct rn_vocabulary *vocabulary, struct rn_view rest,
                              bool inside, struct rn_buffer *buffer, size_t *out_used)
{
    const size_t prefix = inside ? model->prefix_length : 0;
    size_t end = rest.length;

    buffer->length = 0;
    rn_buffer_append(buffer, model->prefix, prefix);
    rn_buffer_append(buffer, rest.data, rest.length);
    RN_BUG_IF(buffer->failed);
    if (end > RN_TOKENIZER_TOKEN_BYTES_MAX) {
        end = RN_TOKENIZER_TOKEN_BYTES_MAX; /* no token is longer */
    }
    for (; end > 0; end--) {
        if (end < rest.length && (rest.data[end] & 0xc0) == 0x80) {
            continue; /* inside a character */
        }
        const uint32_t id = rn_vocabulary_find(vocabulary, rn_view_of(buffer->data, prefix + end));
        if (id != RN_TOKEN_NONE) {
            *out_used = end;
            return id;
        }
    }
    *out_used = 0;
    return RN_TOKEN_NONE;
}

static size_t count_characters(struct rn_view word)
{
    size_t count = 0;

    for (size_t i = 0; i < word.length; i++) {
        count += (word.data[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return count;
}

void rn_wordpiece_encode(const struct rn_wordpiece *model, const struct rn_vocabulary *vocabulary,
                         struct rn_view word, struct rn_buffer *buffer, struct rn_ids *out)
{
    const size_t start = out->length;

    if (count_characters(word) > model->characters_max) {
        rn_ids_append(out, model->unknown);
        return;
    }
    for (size_t at = 0; at < word.length;) {
        size_t used = 0;
        const uint32_t id = longest_piece(
            model, vocabulary, rn_view_of(word.data + at, word.length - at), at > 0, buffer, &used);
        if (used == 0) {
            out->length = start;
            rn_ids_append(out, model->unknown);
            return;
        }
        rn_ids_append(out, id);
        at += used;
    }
}
