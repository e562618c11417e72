/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tokenizer consists of; private to tokenizer*.c, wordpiece.c, bpe*.c, addedtokens.c
 * and postprocess.c.
 */
#ifndef RN_TRAINER_TOKENIZERPARTS_H
#define RN_TRAINER_TOKENIZERPARTS_H

#include "trainer/text/normalizer.h"
#include "trainer/text/presplit.h"
#include "trainer/text/tokenizer.h"
#include "trainer/text/unicodetext.h"

#include <jansson.h>

/* pcre2.h wants a width before it is included; only bpe*.c and textpattern.c include it. */
struct pcre2_real_code_8;
struct pcre2_real_match_data_8;

#define RN_TOKEN_NONE UINT32_MAX

/* ---- Token text to id ------------------------------------------------------------------------ */

struct rn_vocabulary_slot {
    uint32_t id; /* RN_TOKEN_NONE: free */
    uint32_t length;
    size_t offset; /* into text */
};

/* Open addressing; the texts stand one after the other in one block. */
struct rn_vocabulary {
    struct rn_vocabulary_slot *slots;
    size_t slot_count; /* a power of two */
    size_t count;
    uint32_t id_limit; /* one past the largest id */
    struct rn_buffer text;
};
/* vocab: {"token": id, ...} */
RN_MUST rn_result rn_vocabulary_read(json_t *vocab, const char *name, struct rn_vocabulary *out,
                                     struct rn_error *err);
void rn_vocabulary_clear(struct rn_vocabulary *vocabulary);
/* RN_TOKEN_NONE when absent. */
uint32_t rn_vocabulary_find(const struct rn_vocabulary *vocabulary, struct rn_view token);

/* ---- Growing list of ids */

struct rn_ids {
    uint32_t *data;
    size_t length;
    size_t capacity;
};
void rn_ids_append(struct rn_ids *ids, uint32_t id);

/* ---- Models */

struct rn_wordpiece {
    uint32_t unknown;
    uint32_t characters_max; /* a longer word is unknown */
    char *prefix;            /* of a token inside a word, "##" */
    size_t prefix_length;
};
RN_MUST rn_result rn_wordpiece_read(const json_t *model, const char *name,
                                    const struct rn_vocabulary *vocabulary,
                                    struct rn_wordpiece *out, struct rn_error *err);
void rn_wordpiece_clear(struct rn_wordpiece *model);
/* One word, longest match first. */
void rn_wordpiece_encode(const struct rn_wordpiece *model, const struct rn_vocabulary *vocabulary,
                         struct rn_view word, struct rn_buffer *buffer, struct rn_ids *out);

#define RN_MERGE_FREE UINT64_MAX
struct rn_merge {
    uint64_t pair; /* left id << 32 | right id; RN_MERGE_FREE: free slot */
    uint32_t rank;
    uint32_t merged;
};

/* One byte in ByteLevel's alphabet, and as the token "<0x41>". */
struct rn_bpe_byte {
    uint8_t text[4];
    uint8_t length;
    uint32_t id, fallback; /* RN_TOKEN_NONE where the vocabulary lacks it */
};

struct rn_bpe {
    bool byte_level; /* symbols are bytes, else characters */
    struct rn_bpe_byte bytes[256];
    uint32_t unknown;   /* RN_TOKEN_NONE: what is unknown vanishes */
    bool fuse_unknown;  /* a run of unknown symbols is one */
    bool byte_fallback; /* the bytes of an unknown symbol instead, where the vocabulary has them */
    bool ignore_merges; /* a word that is a token stays whole */
    bool add_prefix_space;
    struct rn_merge *merges; /* open addressing */
    size_t slot_count;
    struct pcre2_real_code_8 *words; /* NULL: use_regex is false */
};

/* One symbol of the word that is being merged, a doubly linked list in an array. */
struct rn_symbol {
    uint32_t id;             /* RN_TOKEN_NONE: merged into its left neighbour */
    uint32_t previous, next; /* UINT32_MAX: none */
};
/* A possible merge, ordered by rank, then place. */
struct rn_candidate {
    uint32_t rank, place;
    uint32_t merged;
};
struct rn_bpe_scratch {
    struct rn_symbol *symbols;
    size_t symbol_capacity;
    struct rn_candidate *heap;
    size_t heap_length, heap_capacity;
    struct pcre2_real_match_data_8 *match;
    struct rn_buffer spelled; /* a word in ByteLevel's alphabet */
};

/* byte_level: the pre-tokenizer ByteLevel, or NULL. */
RN_MUST rn_result rn_bpe_read(const json_t *model, const json_t *byte_level, const char *name,
                              const struct rn_vocabulary *vocabulary, struct rn_bpe *out,
                              struct rn_error *err);
void rn_bpe_clear(struct rn_bpe *model);
/* The slot that holds the pair, or the free one where it belongs. */
struct rn_merge *rn_bpe_merge_slot(const struct rn_bpe *model, uint64_t pair);
/* buffer holds the text with its prefix space, when one is added. */
RN_MUST rn_result rn_bpe_encode(const struct rn_bpe *model, const struct rn_vocabulary *vocabulary,
                                struct rn_view text, struct rn_buffer *buffer,
                                struct rn_bpe_scratch *scratch, struct rn_ids *out,
                                struct rn_error *err);
void rn_bpe_scratch_clear(struct rn_bpe_scratch *scratch);

/* ---- Added tokens */

struct rn_added_token {
    uint32_t id;
    bool left_strip, right_strip, single_word;
    struct rn_view pattern; /* what is looked for; into the set's texts */
};

/* One of the two sets: looked for before, or after normalisation. */
struct rn_added_set {
    struct rn_added_token *tokens; /* by first byte, then longest first */
    size_t count;
    uint32_t first[257]; /* tokens[first[b] .. first[b + 1]) start with byte b */
    uint8_t *texts;
};
void rn_added_set_clear(struct rn_added_set *set);

/* A stretch of a text: an added token, or (id RN_TOKEN_NONE) text between them. */
struct rn_added_piece {
    size_t start, end;
    uint32_t id;
};
struct rn_added_walk {
    const struct rn_added_set *set;
    struct rn_view text;
    size_t done;   /* all before is handed out */
    size_t search; /* where the next match may start */
    struct rn_added_piece pending;
    bool has_pending;
};
struct rn_added_walk rn_added_walk_start(const struct rn_added_set *set, struct rn_view text);
/* False at the end. Empty pieces are left out. */
bool rn_added_walk_next(struct rn_added_walk *walk, struct rn_added_piece *out);

/* ---- Post-processor */

enum rn_template_kind { RN_TEMPLATE_FIRST, RN_TEMPLATE_SECOND, RN_TEMPLATE_SPECIAL };
struct rn_template_item {
    enum rn_template_kind kind;
    uint8_t type_id;
    uint32_t id; /* of a special token */
};
struct rn_template {
    struct rn_template_item single[RN_TOKENIZER_TEMPLATE_MAX];
    struct rn_template_item pair[RN_TOKENIZER_TEMPLATE_MAX];
    size_t single_count, pair_count;
};
/* processor may be NULL or null. */
RN_MUST rn_result rn_template_read(const json_t *processor, const char *name,
                                   struct rn_template *out, struct rn_error *err);
size_t rn_template_specials(const struct rn_template *post, bool pair);

/* The kept lengths of two texts under "longest_first" when room tokens fit (room excludes special
 * tokens). */
void rn_truncate_longest_first(size_t room, size_t *first, size_t *second);

/* ---- The whole */

struct rn_tokenizer {
    struct rn_vocabulary vocabulary;
    uint32_t id_limit;
    struct rn_normalizer normalizer;
    struct rn_presplit presplit;
    bool is_wordpiece;
    struct rn_wordpiece wordpiece;
    struct rn_bpe bpe;
    struct rn_added_set plain;      /* looked for in the raw text */
    struct rn_added_set normalized; /* looked for in the normalised text */
    struct rn_template post;
    bool truncate_left;
    bool plain_types; /* every type id is 0 */
};

struct rn_tokenizer_scratch {
    struct rn_buffer normal[2];
    struct rn_buffer word;
    struct rn_bpe_scratch bpe;
    struct rn_ids ids[2];
};

/* tokenizer->normalizer and the vocabulary must stand. */
RN_MUST rn_result rn_added_read(const json_t *added, const char *name,
                                struct rn_tokenizer *tokenizer, struct rn_error *err);
#endif
