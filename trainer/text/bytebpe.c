/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-level BPE: the text is cut into words by GPT-2's pattern, every byte of a word is one symbol
 * (written in the vocabulary as one printable character), and neighbours are merged, the merge of
 * lowest rank first, the leftmost of equals.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "trainer/text/tokenizerparts.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <pcre2.h>
#include <string.h>

/* White_Space, written out because \s of PCRE2 also holds U+180E. */
#define SPACE                                                                          \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}" \
    "\\x{202f}\\x{205f}\\x{3000}"
static const char word_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE
                                   "\\p{L}\\p{N}]+|[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+";
#undef SPACE

#define NOWHERE UINT32_MAX
#define FREE_SLOT UINT64_MAX

/* ---- Reading */

/* GPT-2's byte alphabet: printable Latin-1 stands for itself, the rest is counted up from U+0100.
 */
static uint32_t byte_character(unsigned byte)
{
    unsigned skipped = 0;

    for (unsigned b = 0; b <= byte; b++) {
        const bool itself = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        if (b == byte && itself) {
            return byte;
        }
        skipped += itself ? 0 : 1;
    }
    return 0x100 + skipped - 1;
}

static void read_bytes(const struct rn_vocabulary *vocabulary, struct rn_bytebpe *out)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t text[4];
        const size_t length = rn_utf8_encode(byte_character(byte), text);
        out->byte_ids[byte] = rn_vocabulary_find(vocabulary, rn_view_of(text, length));
    }
}

static size_t pair_hash(uint64_t pair)
{
    pair = (pair ^ (pair >> 32)) * 0x9e3779b97f4a7c15u;
    return (size_t)(pair ^ (pair >> 29));
}

static struct rn_merge *merge_slot(const struct rn_bytebpe *model, uint64_t pair)
{
    const size_t mask = model->slot_count - 1;

    for (size_t i = pair_hash(pair) & mask;; i = (i + 1) & mask) {
        if (model->merges[i].pair == pair || model->merges[i].pair == FREE_SLOT) {
            return &model->merges[i];
        }
    }
}

/* "a b" or ["a", "b"]. */
static bool merge_parts(const json_t *merge, struct rn_view *out_left, struct rn_view *out_right)
{
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        const char *left = json_string_value(json_array_get(merge, 0));
        const char *right = json_string_value(json_array_get(merge, 1));
        if (left == NULL || right == NULL) {
            return false;
        }
        *out_left = rn_view_text(left);
        *out_right = rn_view_text(right);
        return true;
    }
    const char *both = json_string_value(merge);
    const char *space = both == NULL ? NULL : strchr(both, ' ');
    if (space == NULL || strchr(space + 1, ' ') != NULL) {
        return false;
    }
    *out_left = rn_view_of(both, (size_t)(space - both));
    *out_right = rn_view_text(space + 1);
    return true;
}

static rn_result read_merge(const json_t *merge, uint32_t rank, const char *name,
                            const struct rn_vocabulary *vocabulary, struct rn_bytebpe *out,
                            struct rn_error *err)
{
    uint8_t joined[2 * RN_TOKENIZER_TOKEN_BYTES_MAX];
    struct rn_view left = {0};
    struct rn_view right = {0};

    RN_ENSURE(merge_parts(merge, &left, &right), err, RN_E_DATA,
              "%s: model.merges: entry %u is neither \"a b\" nor [\"a\", \"b\"]", name, rank);
    const uint32_t left_id = rn_vocabulary_find(vocabulary, left);
    const uint32_t right_id = rn_vocabulary_find(vocabulary, right);
    RN_ENSURE(left_id != RN_TOKEN_NONE && right_id != RN_TOKEN_NONE, err, RN_E_DATA,
              "%s: model.merges: entry %u names a token that is not in model.vocab", name, rank);
    /* Both are in the vocabulary, so both fit. */
    memcpy(joined, left.data, left.length);
    memcpy(joined + left.length, right.data, right.length);
    const uint32_t merged =
        rn_vocabulary_find(vocabulary, rn_view_of(joined, left.length + right.length));
    RN_ENSURE(merged != RN_TOKEN_NONE, err, RN_E_DATA,
              "%s: model.merges: the result of entry %u is not in model.vocab", name, rank);
    const uint64_t pair = (uint64_t)left_id << 32 | right_id;
    /* As in `tokenizers`, a repeated pair takes its last rank. */
    *merge_slot(out, pair) = (struct rn_merge){pair, rank, merged};
    return rn_ok();
}

static rn_result read_merges(const json_t *merges, const char *name,
                             const struct rn_vocabulary *vocabulary, struct rn_bytebpe *out,
                             struct rn_error *err)
{
    const size_t count = json_array_size(merges);

    RN_ENSURE(json_is_array(merges) && count <= RN_TOKENIZER_MERGES_MAX, err, RN_E_DATA,
              "%s: model.merges must be a list of at most %d entries", name,
              RN_TOKENIZER_MERGES_MAX);
    out->slot_count = 16;
    while (out->slot_count < count * 2) {
        out->slot_count *= 2;
    }
    out->merges = rn_alloc(out->slot_count, sizeof *out->merges);
    for (size_t i = 0; i < out->slot_count; i++) {
        out->merges[i].pair = FREE_SLOT;
    }
    for (size_t i = 0; i < count; i++) {
        RN_TRY(read_merge(json_array_get(merges, i), (uint32_t)i, name, vocabulary, out, err));
    }
    return rn_ok();
}

static rn_result read_options(const json_t *model, const char *name,
                              const struct rn_vocabulary *vocabulary, struct rn_bytebpe *out,
                              struct rn_error *err)
{
    static const char *const unsupported[] = {"dropout", "continuing_subword_prefix",
                                              "end_of_word_suffix", "byte_fallback",
                                              "ignore_merges"};
    const char *unknown = NULL;

    for (size_t i = 0; i < RN_ARRAY_LENGTH(unsupported); i++) {
        RN_ENSURE(rn_json_is_off(model, unsupported[i]), err, RN_E_UNSUPPORTED,
                  "%s: a BPE model with %s is not supported", name, unsupported[i]);
    }
    RN_TRY(rn_json_get_flag(model, name, "fuse_unk", &out->fuse_unknown, err));
    RN_TRY(rn_json_get_text(model, name, "unk_token", &unknown, err));
    out->unknown = RN_TOKEN_NONE;
    if (unknown != NULL) {
        out->unknown = rn_vocabulary_find(vocabulary, rn_view_text(unknown));
        RN_ENSURE(out->unknown != RN_TOKEN_NONE, err, RN_E_DATA,
                  "%s: model.unk_token is not in model.vocab", name);
    }
    return rn_ok();
}

static rn_result compile_words(struct rn_bytebpe *out, struct rn_error *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;

    out->words = pcre2_compile((PCRE2_SPTR)word_pattern, PCRE2_ZERO_TERMINATED,
                               PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, &code,
                               &offset, NULL);
    RN_ENSURE(out->words != NULL, err, RN_E_INTERNAL, "cannot compile the word pattern (%d)", code);
    /* Without a just-in-time compiler pcre2_match interprets: slower, the same matches. */
    (void)pcre2_jit_compile(out->words, PCRE2_JIT_COMPLETE);
    return rn_ok();
}

rn_result rn_bytebpe_read(const json_t *model, const json_t *pre_tokenizer, const char *name,
                          const struct rn_vocabulary *vocabulary, struct rn_bytebpe *out,
                          struct rn_error *err)
{
    bool use_regex = true;

    out->add_prefix_space = true;
    RN_TRY(rn_json_get_flag(pre_tokenizer, name, "add_prefix_space", &out->add_prefix_space, err));
    RN_TRY(rn_json_get_flag(pre_tokenizer, name, "use_regex", &use_regex, err));
    RN_TRY(read_options(model, name, vocabulary, out, err));
    read_bytes(vocabulary, out);
    RN_TRY(read_merges(json_object_get(model, "merges"), name, vocabulary, out, err));
    return use_regex ? compile_words(out, err) : rn_ok();
}

void rn_bytebpe_clear(struct rn_bytebpe *model)
{
    rn_free(model->merges);
    pcre2_code_free(model->words);
    *model = (struct rn_bytebpe){0};
}

/* ---- Merging one word */

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

static const struct rn_merge *merge_of(const struct rn_bytebpe *model, uint32_t left,
                                       uint32_t right)
{
    const struct rn_merge *slot = merge_slot(model, (uint64_t)left << 32 | right);

    return slot->pair == FREE_SLOT ? NULL : slot;
}

/* Pushes the merge of the symbol at place with its right neighbour, if there is one. */
static void consider(const struct rn_bytebpe *model, struct rn_bpe_scratch *scratch, uint32_t place)
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

static size_t load_symbols(const struct rn_bytebpe *model, struct rn_view word,
                           struct rn_bpe_scratch *scratch)
{
    size_t count = 0;
    bool after_unknown = false;

    if (word.length > scratch->symbol_capacity) {
        scratch->symbols = rn_realloc(scratch->symbols, scratch->symbol_capacity, word.length,
                                      sizeof *scratch->symbols);
        scratch->symbol_capacity = word.length;
    }
    for (size_t i = 0; i < word.length; i++) {
        const uint32_t known = model->byte_ids[word.data[i]];
        const bool is_unknown = known == RN_TOKEN_NONE;
        const uint32_t id = is_unknown ? model->unknown : known;
        const bool fused = is_unknown && after_unknown && model->fuse_unknown;
        after_unknown = is_unknown;
        if (id == RN_TOKEN_NONE || fused) {
            continue;
        }
        scratch->symbols[count] =
            (struct rn_symbol){id, count == 0 ? NOWHERE : (uint32_t)count - 1, (uint32_t)count + 1};
        count++;
    }
    if (count > 0) {
        scratch->symbols[count - 1].next = NOWHERE;
    }
    return count;
}

/* Applies the candidate unless an earlier merge has taken one of its symbols. */
static void apply(const struct rn_bytebpe *model, struct rn_bpe_scratch *scratch,
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

static void encode_word(const struct rn_bytebpe *model, struct rn_view word,
                        struct rn_bpe_scratch *scratch, struct rn_ids *out)
{
    const size_t count = load_symbols(model, word, scratch);

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

rn_result rn_bytebpe_encode(const struct rn_bytebpe *model, struct rn_view text,
                            struct rn_buffer *buffer, struct rn_bpe_scratch *scratch,
                            struct rn_ids *out, struct rn_error *err)
{
    if (model->add_prefix_space && text.length > 0 && text.data[0] != ' ') {
        buffer->length = 0;
        rn_buffer_u8(buffer, ' ');
        rn_buffer_append(buffer, text.data, text.length);
        RN_ENSURE(!buffer->failed, err, RN_E_DATA, "the text is too long");
        text = rn_buffer_view(buffer);
    }
    if (model->words == NULL) {
        encode_word(model, text, scratch, out);
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
        encode_word(model, rn_view_of(text.data + at, span[1] - at), scratch, out);
        at = span[1];
    }
    return rn_ok();
}

void rn_bpe_scratch_clear(struct rn_bpe_scratch *scratch)
{
    rn_free(scratch->symbols);
    rn_free(scratch->heap);
    pcre2_match_data_free(scratch->match);
    *scratch = (struct rn_bpe_scratch){0};
}
