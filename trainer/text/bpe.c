/* SPDX-License-Identifier: Apache-2.0
 *
 * BPE: every byte of a word (written in the vocabulary as one printable character; the text is cut
 * into words by GPT-2's pattern), or without ByteLevel every character, is one symbol, and
 * neighbours are merged, the merge of lowest rank first, the leftmost of equals. With ignore_merges
 * a word that is a token stays whole.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "trainer/text/tokenizerparts.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <pcre2.h>
#include <string.h>

#define NOWHERE UINT32_MAX

/* ---- Possible merges */

static bool candidate_before(struct rn_candidate a, struct rn_candidate b)
{
    return a.rank < b.rank || (a.rank == b.rank && a.place < b.place);
}

static void heap_push(struct rn_bpe_scratch *scratch, struct rn_candidate candidate)
{
    if (scratch->heap_length == scratch->heap_capacity) {
        const size_t more = scratch->heap_capacity == 0 ? 64 : scratch->heap_capacity * 2;
        scratch->heap =
            rn_realloc(scratch->heap, scratch->heap_capacity, more, sizeof *scratch->heap);
        scratch->heap_capacity = more;
    }
    size_t at = scratch->heap_length++;
    while (at > 0 && candidate_before(candidate, scratch->heap[(at - 1) / 2])) {
        scratch->heap[at] = scratch->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    scratch->heap[at] = candidate;
}

static struct rn_candidate heap_pop(struct rn_bpe_scratch *scratch)
{
    struct rn_candidate *heap = scratch->heap;
    const struct rn_candidate top = heap[0];
    const struct rn_candidate last = heap[--scratch->heap_length];
    const size_t length = scratch->heap_length;
    size_t at = 0;

    for (size_t child = 1; child < length; child = 2 * at + 1) {
        if (child + 1 < length && candidate_before(heap[child + 1], heap[child])) {
            child++;
        }
        if (!candidate_before(heap[child], last)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static const struct rn_merge *merge_of(const struct rn_bpe *model, uint32_t left, uint32_t right)
{
    const struct rn_merge *slot = rn_bpe_merge_slot(model, (uint64_t)left << 32 | right);

    return slot->pair == RN_MERGE_FREE ? NULL : slot;
}

/* Pushes the merge of the symbol at place with its right neighbour, if there is one. */
static void consider(const struct rn_bpe *model, struct rn_bpe_scratch *scratch, uint32_t place)
{
    if (place == NOWHERE || scratch->symbols[place].next == NOWHERE) {
        return;
    }
    const struct rn_symbol *symbol = &scratch->symbols[place];
    const struct rn_merge *merge = merge_of(model, symbol->id, scratch->symbols[symbol->next].id);
    if (merge != NULL) {
        heap_push(scratch, (struct rn_candidate){merge->rank, place, merge->merged});
    }
}

/* ---- The symbols of a word */

/* An unknown symbol is written when the next known one comes, so that a run may become one. */
struct loading {
    const struct rn_bpe *model;
    struct rn_bpe_scratch *scratch;
    size_t count;
    bool unknown; /* one is still to be written */
};

static void add_symbol(struct loading *to, uint32_t id)
{
    struct rn_bpe_scratch *scratch = to->scratch;
    const size_t count = to->count++;

    if (count == scratch->symbol_capacity) {
        const size_t more = count == 0 ? 64 : count * 2;
        scratch->symbols = rn_realloc(scratch->symbols, count, more, sizeof *scratch->symbols);
        scratch->symbol_capacity = more;
    }
    scratch->symbols[count] =
        (struct rn_symbol){id, count == 0 ? NOWHERE : (uint32_t)count - 1, (uint32_t)count + 1};
}

static void flush_unknown(struct loading *to)
{
    if (to->unknown) {
        add_symbol(to, to->model->unknown);
    }
    to->unknown = false;
}

/* A character's bytes as tokens "<0x41>", when the vocabulary has them all. As in `tokenizers`, an
 * unknown symbol that waits is written behind them. */
static bool add_bytes(struct loading *to, struct rn_view character)
{
    for (size_t i = 0; i < character.length; i++) {
        if (to->model->bytes[character.data[i]].fallback == RN_TOKEN_NONE) {
            return false;
        }
    }
    for (size_t i = 0; i < character.length; i++) {
        add_symbol(to, to->model->bytes[character.data[i]].fallback);
    }
    return true;
}

static void add_character(struct loading *to, struct rn_view character, uint32_t id)
{
    if (id != RN_TOKEN_NONE) {
        flush_unknown(to);
        add_symbol(to, id);
        return;
    }
    if ((to->model->byte_fallback && add_bytes(to, character)) ||
        to->model->unknown == RN_TOKEN_NONE) {
        return;
    }
    if (!to->model->fuse_unknown) {
        flush_unknown(to);
    }
    to->unknown = true;
}

static size_t load_symbols(const struct rn_bpe *model, const struct rn_vocabulary *vocabulary,
                           struct rn_view word, struct rn_bpe_scratch *scratch)
{
    struct loading to = {.model = model, .scratch = scratch};

    for (size_t at = 0; at < word.length;) {
        if (model->byte_level) {
            const struct rn_bpe_byte *byte = &model->bytes[word.data[at++]];
            add_character(&to, rn_view_of(byte->text, byte->length), byte->id);
            continue;
        }
        const size_t start = at;
        (void)rn_utf8_next(word, &at);
        const struct rn_view character = rn_view_of(word.data + start, at - start);
        add_character(&to, character, rn_vocabulary_find(vocabulary, character));
    }
    flush_unknown(&to);
    if (to.count > 0) {
        scratch->symbols[to.count - 1].next = NOWHERE;
    }
    return to.count;
}

/* ---- Merging one word */

/* Applies the candidate unless an earlier merge has taken one of its symbols. */
static void apply(const struct rn_bpe *model, struct rn_bpe_scratch *scratch,
                  struct rn_candidate candidate)
{
    struct rn_symbol *left = &scratch->symbols[candidate.place];

    if (left->id == RN_TOKEN_NONE || left->next == NOWHERE) {
        return;
    }
    struct rn_symbol *right = &scratch->symbols[left->next];
    const struct rn_merge *merge = merge_of(model, left->id, right->id);
    if (merge == NULL || merge->merged != candidate.merged) {
        return;
    }
    left->id = merge->merged;
    left->next = right->next;
    right->id = RN_TOKEN_NONE;
    if (left->next != NOWHERE) {
        scratch->symbols[left->next].previous = candidate.place;
    }
    consider(model, scratch, left->previous);
    consider(model, scratch, candidate.place);
}

/* The token that the whole word is, or RN_TOKEN_NONE. */
static uint32_t whole_word(const struct rn_bpe *model, const struct rn_vocabulary *vocabulary,
                           struct rn_view word, struct rn_buffer *spelled)
{
    if (!model->byte_level) {
        return rn_vocabulary_find(vocabulary, word);
    }
    spelled->length = 0;
    for (size_t i = 0; i < word.length; i++) {
        const struct rn_bpe_byte *byte = &model->bytes[word.data[i]];
        rn_buffer_append(spelled, byte->text, byte->length);
    }
    return spelled->failed ? RN_TOKEN_NONE
                           : rn_vocabulary_find(vocabulary, rn_buffer_view(spelled));
}

static void encode_word(const struct rn_bpe *model, const struct rn_vocabulary *vocabulary,
                        struct rn_view word, struct rn_bpe_scratch *scratch, struct rn_ids *out)
{
    const uint32_t whole = model->ignore_merges
                               ? whole_word(model, vocabulary, word, &scratch->spelled)
                               : RN_TOKEN_NONE;

    if (whole != RN_TOKEN_NONE) {
        rn_ids_append(out, whole);
        return;
    }
    const size_t count = load_symbols(model, vocabulary, word, scratch);
    scratch->heap_length = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        consider(model, scratch, (uint32_t)i);
    }
    while (scratch->heap_length > 0) {
        apply(model, scratch, heap_pop(scratch));
    }
    for (size_t i = 0; i < count; i++) {
        if (scratch->symbols[i].id != RN_TOKEN_NONE) {
            rn_ids_append(out, scratch->symbols[i].id);
        }
    }
}

/* ---- A text */

rn_result rn_bpe_encode(const struct rn_bpe *model, const struct rn_vocabulary *vocabulary,
                        struct rn_view text, struct rn_buffer *buffer,
                        struct rn_bpe_scratch *scratch, struct rn_ids *out, struct rn_error *err)
{
    if (model->add_prefix_space && text.length > 0 && text.data[0] != ' ') {
        buffer->length = 0;
        rn_buffer_u8(buffer, ' ');
        rn_buffer_append(buffer, text.data, text.length);
        RN_ENSURE(!buffer->failed, err, RN_E_DATA, "the text is too long");
        text = rn_buffer_view(buffer);
    }
    if (model->words == NULL) {
        encode_word(model, vocabulary, text, scratch, out);
        return rn_ok();
    }
    if (scratch->match == NULL) {
        scratch->match = pcre2_match_data_create(1, NULL);
        RN_ENSURE(scratch->match != NULL, err, RN_E_MEMORY, "no memory for matching");
    }
    for (size_t at = 0; at < text.length;) {
        const int code = pcre2_match(model->words, text.data, text.length, at, PCRE2_NO_UTF_CHECK,
                                     scratch->match, NULL);
        RN_ENSURE(code > 0, err, RN_E_INTERNAL, "the word pattern failed (%d)", code);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(scratch->match);
        RN_BUG_IF(span[0] != at || span[1] <= at); /* the pattern matches every character */
        encode_word(model, vocabulary, rn_view_of(text.data + at, span[1] - at), scratch, out);
        at = span[1];
    }
    return rn_ok();
}

void rn_bpe_scratch_clear(struct rn_bpe_scratch *scratch)
{
    rn_free(scratch->symbols);
    rn_free(scratch->heap);
    rn_buffer_clear(&scratch->spelled);
    pcre2_match_data_free(scratch->match);
    *scratch = (struct rn_bpe_scratch){0};
}
