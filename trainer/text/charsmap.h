/* SPDX-License-Identifier: Apache-2.0
 *
 * The character map of SentencePiece (normalizer Precompiled): rewrites characters and clusters.
 *
 * Bytes, base64 in the file: size of the trie in bytes (uint32), the trie (uint32 units of a double
 * array, as Darts-clone writes it), then the new texts, each with a zero byte behind it; all little
 * endian. A leaf's value is the offset of its text. Rewriting is that of `tokenizers` (crate
 * spm_precompiled), which asks for each cluster (extended grapheme) below six bytes, then for each
 * character, and takes the shortest entry that begins it for the whole.
 */
#ifndef RN_TRAINER_CHARSMAP_H
#define RN_TRAINER_CHARSMAP_H

#include "base/bytes.h"

#include <jansson.h>

#define RN_CHARSMAP_BYTES_MAX ((size_t)4 << 20) /* decoded; XLM-R's has 0.24 MB */

struct rn_charsmap {
    uint32_t *units;
    size_t unit_count;
    struct rn_buffer texts; /* ends with a zero byte */
};

/* value: the base64 text. RN_E_DATA when it is not such a map. Clear it in any case. */
RN_MUST rn_result rn_charsmap_read(const json_t *value, const char *name, struct rn_charsmap *out,
                                   struct rn_error *err);
void rn_charsmap_clear(struct rn_charsmap *map);

/* Appends the rewritten text. */
void rn_charsmap_apply(const struct rn_charsmap *map, struct rn_view text, struct rn_buffer *out);

#endif
