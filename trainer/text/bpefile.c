/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a BPE model: its options, its alphabet of bytes, its merges.
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

static void read_bytes(const struct rn_vocabulary *vocabulary, struct rn_bpe *out)
{
    char fallback[8];

    for (unsigned byte = 0; byte < 256; byte++) {
        struct rn_bpe_byte *entry = &out->bytes[byte];
        entry->length = (uint8_t)rn_utf8_encode(byte_character(byte), entry->text);
        entry->id = rn_vocabulary_find(vocabulary, rn_view_of(entry->text, entry->length));
        (void)rn_text_format(fallback, sizeof fallback, "<0x%02X>", byte);
        entry->fallback = rn_vocabulary_find(vocabulary, rn_view_text(fallback));
    }
}

static size_t pair_hash(uint64_t pair)
{
    pair = (pair ^ (pair >> 32)) * 0x9e3779b97f4a7c15u;
    return (size_t)(pair ^ (pair >> 29));
}

struct rn_merge *rn_bpe_merge_slot(const struct rn_bpe *model, uint64_t pair)
{
    const size_t mask = model->slot_count - 1;

    for (size_t i = pair_hash(pair) & mask;; i = (i + 1) & mask) {
        if (model->merges[i].pair == pair || model->merges[i].pair == RN_MERGE_FREE) {
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
                            const struct rn_vocabulary *vocabulary, struct rn_bpe *out,
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
    *rn_bpe_merge_slot(out, pair) = (struct rn_merge){pair, rank, merged};
    return rn_ok();
}

static rn_result read_merges(const json_t *merges, const char *name,
                             const struct rn_vocabulary *vocabulary, struct rn_bpe *out,
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
        out->merges[i].pair = RN_MERGE_FREE;
    }
    for (size_t i = 0; i < count; i++) {
        RN_TRY(read_merge(json_array_get(merges, i), (uint32_t)i, name, vocabulary, out, err));
    }
    return rn_ok();
}

static rn_result read_options(const json_t *model, const char *name,
                              const struct rn_vocabulary *vocabulary, struct rn_bpe *out,
                              struct rn_error *err)
{
    static const char *const unsupported[] = {"dropout", "continuing_subword_prefix",
                                              "end_of_word_suffix"};
    const char *unknown = NULL;

    for (size_t i = 0; i < RN_ARRAY_LENGTH(unsupported); i++) {
        RN_ENSURE(rn_json_is_off(model, unsupported[i]), err, RN_E_UNSUPPORTED,
                  "%s: a BPE model with %s is not supported", name, unsupported[i]);
    }
    RN_TRY(rn_json_get_flag(model, name, "fuse_unk", &out->fuse_unknown, err));
    RN_TRY(rn_json_get_flag(model, name, "byte_fallback", &out->byte_fallback, err));
    RN_TRY(rn_json_get_flag(model, name, "ignore_merges", &out->ignore_merges, err));
    RN_TRY(rn_json_get_text(model, name, "unk_token", &unknown, err));
    out->unknown = RN_TOKEN_NONE;
    if (unknown != NULL) {
        out->unknown = rn_vocabulary_find(vocabulary, rn_view_text(unknown));
        RN_ENSURE(out->unknown != RN_TOKEN_NONE, err, RN_E_DATA,
                  "%s: model.unk_token is not in model.vocab", name);
    }
    return rn_ok();
}

static rn_result compile_words(struct rn_bpe *out, struct rn_error *err)
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

rn_result rn_bpe_read(const json_t *model, const json_t *byte_level, const char *name,
                      const struct rn_vocabulary *vocabulary, struct rn_bpe *out,
                      struct rn_error *err)
{
    bool use_regex = byte_level != NULL;

    out->byte_level = byte_level != NULL;
    out->add_prefix_space = out->byte_level;
    RN_TRY(rn_json_get_flag(byte_level, name, "add_prefix_space", &out->add_prefix_space, err));
    RN_TRY(rn_json_get_flag(byte_level, name, "use_regex", &use_regex, err));
    RN_TRY(read_options(model, name, vocabulary, out, err));
    read_bytes(vocabulary, out);
    RN_TRY(read_merges(json_object_get(model, "merges"), name, vocabulary, out, err));
    return use_regex ? compile_words(out, err) : rn_ok();
}

void rn_bpe_clear(struct rn_bpe *model)
{
    rn_free(model->merges);
    pcre2_code_free(model->words);
    *model = (struct rn_bpe){0};
}
