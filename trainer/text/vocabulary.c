/* SPDX-License-Identifier: Apache-2.0
 *
 * Token text to id, and the growing id list.
 */
#include "trainer/text/tokenizerparts.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <string.h>

void rn_ids_append(struct rn_ids *ids, uint32_t id)
{
    if (ids->length == ids->capacity) {
        const size_t more = ids->capacity == 0 ? 256 : ids->capacity * 2;
        ids->data = rn_realloc(ids->data, ids->capacity, more, sizeof *ids->data);
        ids->capacity = more;
    }
    ids->data[ids->length++] = id;
}

/* FNV-1a with a final mix, so that the low bits are good. */
static size_t hash_of(struct rn_view token)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < token.length; i++) {
        hash = (hash ^ token.data[i]) * 0x100000001b3u;
    }
    return (size_t)(hash ^ (hash >> 29));
}

/* The slot that holds the token, or the free one where it belongs. */
static struct rn_vocabulary_slot *slot_of(const struct rn_vocabulary *vocabulary,
                                          struct rn_view token)
{
    const size_t mask = vocabulary->slot_count - 1;

    for (size_t i = hash_of(token) & mask;; i = (i + 1) & mask) {
        struct rn_vocabulary_slot *slot = &vocabulary->slots[i];
        if (slot->id == RN_TOKEN_NONE ||
            (slot->length == token.length &&
             memcmp(vocabulary->text.data + slot->offset, token.data, token.length) == 0)) {
            return slot;
        }
    }
}

uint32_t rn_vocabulary_find(const struct rn_vocabulary *vocabulary, struct rn_view token)
{
    return vocabulary->slot_count == 0 ? RN_TOKEN_NONE : slot_of(vocabulary, token)->id;
}

static void slots_init(struct rn_vocabulary *out, size_t count)
{
    out->slot_count = 16;
    while (out->slot_count < count * 2) {
        out->slot_count *= 2;
    }
    out->slots = rn_alloc(out->slot_count, sizeof *out->slots);
    for (size_t i = 0; i < out->slot_count; i++) {
        out->slots[i].id = RN_TOKEN_NONE;
    }
}

static rn_result add_token(struct rn_vocabulary *out, const char *name, struct rn_view token,
                           const json_t *value, struct rn_error *err)
{
    const json_int_t id = json_integer_value(value);

    RN_ENSURE(json_is_integer(value) && id >= 0 && id < RN_TOKENIZER_VOCABULARY_MAX, err, RN_E_DATA,
              "%s: model.vocab: an id is not a whole number below %d", name,
              RN_TOKENIZER_VOCABULARY_MAX);
    RN_ENSURE(token.length <= RN_TOKENIZER_TOKEN_BYTES_MAX, err, RN_E_DATA,
              "%s: model.vocab: token %lld is longer than %d bytes", name, (long long)id,
              RN_TOKENIZER_TOKEN_BYTES_MAX);
    struct rn_vocabulary_slot *slot = slot_of(out, token);
    RN_ENSURE(slot->id == RN_TOKEN_NONE, err, RN_E_DATA, "%s: model.vocab: token %lld occurs twice",
              name, (long long)id);
    *slot = (struct rn_vocabulary_slot){(uint32_t)id, (uint32_t)token.length, out->text.length};
    rn_buffer_append(&out->text, token.data, token.length);
    out->count++;
    if ((uint32_t)id >= out->id_limit) {
        out->id_limit = (uint32_t)id + 1;
    }
    return rn_ok();
}

rn_result rn_vocabulary_read(json_t *vocab, const char *name, struct rn_vocabulary *out,
                             struct rn_error *err)
{
    const size_t count = json_object_size(vocab);
    const char *key = NULL;
    json_t *value = NULL;

    RN_ENSURE(json_is_object(vocab) && count > 0 && count <= RN_TOKENIZER_VOCABULARY_MAX, err,
              RN_E_DATA, "%s: model.vocab must be an object of 1 to %d tokens", name,
              RN_TOKENIZER_VOCABULARY_MAX);
    slots_init(out, count);
    json_object_foreach(vocab, key, value)
    {
        RN_TRY(add_token(out, name, rn_view_text(key), value, err));
    }
    RN_ENSURE(!out->text.failed, err, RN_E_DATA, "%s: model.vocab is too large", name);
    return rn_ok();
}

void rn_vocabulary_clear(struct rn_vocabulary *vocabulary)
{
    rn_free(vocabulary->slots);
    rn_buffer_clear(&vocabulary->text);
    *vocabulary = (struct rn_vocabulary){0};
}
