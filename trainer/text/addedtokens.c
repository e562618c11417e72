/* SPDX-License-Identifier: Apache-2.0
 *
 * Added tokens: texts such as "<mask>" that stand for one id wherever they occur. The leftmost
 * match wins, the longest of those; lstrip and rstrip swallow the white space beside it;
 * single_word drops a match that touches a word character.
 */
#include "trainer/text/tokenizerparts.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <stdlib.h>
#include <string.h>

/* ---- Reading */

struct reading {
    struct rn_added_token token;
    size_t index; /* in the file's list */
    bool known;   /* the vocabulary holds it */
    bool normalized;
    struct rn_buffer text; /* what to look for */
};

/* The text to look for: the content, or its normal form. */
static rn_result set_pattern(const char *content, const struct rn_tokenizer *tokenizer,
                             struct reading *out, struct rn_error *err)
{
    struct rn_buffer buffers[2] = {{0}, {0}};
    struct rn_view text = rn_view_text(content);
    rn_result result = rn_ok();

    if (out->normalized) {
        result = rn_normalizer_run(&tokenizer->normalizer, text, buffers, &text, err);
    }
    if (rn_is_ok(result)) {
        rn_buffer_append(&out->text, text.data, text.length);
    }
    rn_buffer_clear(&buffers[0]);
    rn_buffer_clear(&buffers[1]);
    return result;
}

static rn_result read_one(const json_t *entry, size_t index, const char *name,
                          const struct rn_tokenizer *tokenizer, struct reading *out,
                          struct rn_error *err)
{
    const char *content = NULL;
    uint32_t id = RN_TOKEN_NONE;

    out->normalized = true;
    RN_TRY(rn_json_get_text(entry, name, "content", &content, err));
    RN_TRY(rn_json_get_count(entry, name, "id", 0, RN_TOKENIZER_VOCABULARY_MAX - 1, &id, err));
    RN_TRY(rn_json_get_flag(entry, name, "lstrip", &out->token.left_strip, err));
    RN_TRY(rn_json_get_flag(entry, name, "rstrip", &out->token.right_strip, err));
    RN_TRY(rn_json_get_flag(entry, name, "single_word", &out->token.single_word, err));
    RN_TRY(rn_json_get_flag(entry, name, "normalized", &out->normalized, err));
    RN_ENSURE(content != NULL && content[0] != '\0' && id != RN_TOKEN_NONE &&
                  strlen(content) <= RN_TOKENIZER_TOKEN_BYTES_MAX,
              err, RN_E_DATA,
              "%s: added_tokens: entry %zu needs an id and a content of 1 to %d bytes", name, index,
              RN_TOKENIZER_TOKEN_BYTES_MAX);
    out->token.id = id;
    const uint32_t known = rn_vocabulary_find(&tokenizer->vocabulary, rn_view_text(content));
    out->index = index;
    out->known = known != RN_TOKEN_NONE;
    RN_ENSURE(known == RN_TOKEN_NONE || known == id, err, RN_E_DATA,
              "%s: added_tokens: entry %zu has id %u, but %u in model.vocab", name, index, id,
              known);
    RN_TRY(set_pattern(content, tokenizer, out, err));
    RN_ENSURE(out->text.length > 0, err, RN_E_UNSUPPORTED,
              "%s: added_tokens: entry %zu is empty after normalisation", name, index);
    return rn_ok();
}

/* By first byte, then longest first, then content. */
static int compare_reading(const void *left, const void *right)
{
    const struct reading *a = left;
    const struct reading *b = right;

    if (a->text.data[0] != b->text.data[0]) {
        return a->text.data[0] < b->text.data[0] ? -1 : 1;
    }
    if (a->text.length != b->text.length) {
        return a->text.length > b->text.length ? -1 : 1;
    }
    const int content = memcmp(a->text.data, b->text.data, a->text.length);
    if (content != 0 || a->normalized == b->normalized) {
        return content;
    }
    return a->normalized ? 1 : -1;
}

/* list is sorted: equal patterns of one kind stand together. */
static rn_result check_distinct(const struct reading *list, size_t count, const char *name,
                                struct rn_error *err)
{
    for (size_t i = 1; i < count; i++) {
        const bool same =
            list[i - 1].normalized == list[i].normalized &&
            rn_view_equal(rn_buffer_view(&list[i - 1].text), rn_buffer_view(&list[i].text));
        RN_ENSURE(!same, err, RN_E_DATA, "%s: added_tokens: ids %u and %u have one content", name,
                  list[i - 1].token.id, list[i].token.id);
    }
    return rn_ok();
}

static void build_set(const struct reading *list, size_t count, bool normalized,
                      struct rn_added_set *out)
{
    size_t bytes = 0;
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += list[i].normalized == normalized ? list[i].text.length : 0;
    }
    out->tokens = rn_alloc(count, sizeof *out->tokens);
    out->texts = rn_alloc(bytes, 1);
    for (size_t i = 0; i < count; i++) {
        if (list[i].normalized != normalized) {
            continue;
        }
        memcpy(out->texts + at, list[i].text.data, list[i].text.length);
        out->tokens[out->count] = list[i].token;
        out->tokens[out->count].pattern = rn_view_of(out->texts + at, list[i].text.length);
        at += list[i].text.length;
        out->count++;
    }
    for (unsigned byte = 0, i = 0; byte < 257; byte++) {
        while (i < out->count && out->tokens[i].pattern.data[0] < byte) {
            i++;
        }
        out->first[byte] = i;
    }
}

static int compare_ids(const void *left, const void *right)
{
    const uint32_t a = ((const struct reading *)left)->token.id;
    const uint32_t b = ((const struct reading *)right)->token.id;

    return a < b ? -1 : a > b ? 1 : 0;
}

/* Ids outside model.vocab are counted up from its size in the order of the ids that the file gives,
 * as `tokenizers` does whatever they are; where the two differ the file would give other ids there
 * than here. Sorts list by id. */
static rn_result check_ids(struct reading *list, size_t count, const char *name,
                           struct rn_tokenizer *tokenizer, struct rn_error *err)
{
    uint32_t next = (uint32_t)tokenizer->vocabulary.count;

    if (count > 1) {
        qsort(list, count, sizeof *list, compare_ids);
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t id = list[i].token.id;
        RN_ENSURE(list[i].known || id == next, err, RN_E_DATA,
                  "%s: added_tokens: entry %zu has id %u, expected %u after the vocabulary", name,
                  list[i].index, id, next);
        if (id >= next) {
            next = id + 1;
        }
        if (id >= tokenizer->id_limit) {
            tokenizer->id_limit = id + 1;
        }
    }
    return rn_ok();
}

rn_result rn_added_read(const json_t *added, const char *name, struct rn_tokenizer *tokenizer,
                        struct rn_error *err)
{
    const size_t count = json_array_size(added);

    if (added == NULL || json_is_null(added)) {
        return rn_ok();
    }
    RN_ENSURE(json_is_array(added) && count <= RN_TOKENIZER_ADDED_MAX, err, RN_E_DATA,
              "%s: added_tokens must be a list of at most %d entries", name,
              RN_TOKENIZER_ADDED_MAX);
    struct reading *list = rn_alloc(count, sizeof *list);
    rn_result result = rn_ok();
    for (size_t i = 0; i < count && rn_is_ok(result); i++) {
        result = read_one(json_array_get(added, i), i, name, tokenizer, &list[i], err);
    }
    if (rn_is_ok(result)) {
        result = check_ids(list, count, name, tokenizer, err);
    }
    if (rn_is_ok(result)) {
        qsort(list, count, sizeof *list, compare_reading);
        result = check_distinct(list, count, name, err);
    }
    if (rn_is_ok(result)) {
        build_set(list, count, false, &tokenizer->plain);
        build_set(list, count, true, &tokenizer->normalized);
    }
    for (size_t i = 0; i < count; i++) {
        rn_buffer_clear(&list[i].text);
    }
    rn_free(list);
    return result;
}

void rn_added_set_clear(struct rn_added_set *set)
{
    rn_free(set->tokens);
    rn_free(set->texts);
    *set = (struct rn_added_set){0};
}

/* ---- Finding */

static const struct rn_added_token *match_at(const struct rn_added_set *set, struct rn_view text,
                                             size_t at)
{
    const uint8_t byte = text.data[at];

    for (uint32_t i = set->first[byte]; i < set->first[byte + 1]; i++) {
        const struct rn_view pattern = set->tokens[i].pattern;
        if (pattern.length <= text.length - at &&
            memcmp(pattern.data, text.data + at, pattern.length) == 0) {
            return &set->tokens[i];
        }
    }
    return NULL;
}

static bool touches_word(struct rn_view text, size_t start, size_t end)
{
    size_t before = 0;

    if (start > 0 && rn_unicode_is_word(rn_utf8_before(text, start, &before))) {
        return true;
    }
    return end < text.length && rn_unicode_is_word(rn_utf8_next(text, &end));
}

static size_t skip_space_left(struct rn_view text, size_t start, size_t least)
{
    while (start > least) {
        size_t before = 0;
        if (!rn_unicode_is_space(rn_utf8_before(text, start, &before)) || before < least) {
            break;
        }
        start = before;
    }
    return start;
}

static size_t skip_space_right(struct rn_view text, size_t end)
{
    while (end < text.length) {
        size_t after = end;
        if (!rn_unicode_is_space(rn_utf8_next(text, &after))) {
            break;
        }
        end = after;
    }
    return end;
}

/* The next added token at or after walk->search. */
static bool find_next(struct rn_added_walk *walk, struct rn_added_piece *out)
{
    const struct rn_view text = walk->text;

    while (walk->set->count > 0 && walk->search < text.length) {
        const struct rn_added_token *token = match_at(walk->set, text, walk->search);
        if (token == NULL) {
            walk->search++;
            continue;
        }
        size_t start = walk->search;
        size_t end = start + token->pattern.length;
        walk->search = end;
        /* A token in the white space that rstrip swallowed counts too, as in `tokenizers`. */
        if (token->single_word && touches_word(text, start, end)) {
            continue;
        }
        start = token->left_strip ? skip_space_left(text, start, walk->done) : start;
        end = token->right_strip ? skip_space_right(text, end) : end;
        *out = (struct rn_added_piece){start, end, token->id};
        return true;
    }
    return false;
}

struct rn_added_walk rn_added_walk_start(const struct rn_added_set *set, struct rn_view text)
{
    return (struct rn_added_walk){.set = set, .text = text};
}

bool rn_added_walk_next(struct rn_added_walk *walk, struct rn_added_piece *out)
{
    struct rn_added_piece found = {walk->text.length, walk->text.length, RN_TOKEN_NONE};

    if (walk->has_pending) {
        walk->has_pending = false;
        walk->done = walk->pending.end;
        *out = walk->pending;
        return true;
    }
    const bool any = find_next(walk, &found);
    if (found.start > walk->done) {
        *out = (struct rn_added_piece){walk->done, found.start, RN_TOKEN_NONE};
        walk->done = found.start;
        walk->pending = found;
        walk->has_pending = any;
        return true;
    }
    walk->done = found.end;
    *out = found;
    return any;
}
