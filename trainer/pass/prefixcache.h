/* SPDX-License-Identifier: Apache-2.0
 *
 * The hidden states that enter the lowest adapted layer, kept per example: below it nothing ever
 * changes, so they are computed once per run.
 *
 * An example is found by its content (token ids and types are compared, not only their checksum),
 * so data sets, epochs and calls share what they have in common. Rows have the backend's residual
 * type; they go in and out byte for byte. When the budget is used up nothing more is stored.
 *
 * Without a directory the rows live in memory. With one they live in DIR/rondo-prefix.cache, mode
 * 0600: it holds what the model makes of the records, and can give parts of them away. The file has
 * no name any more from the start unless it is to be kept; a kept one is used again by a later run
 * with the same key. It is a header with the key, then records; every header and every record has a
 * checksum, so whatever is stale, damaged or half written is recognised and computed anew. The
 * checksums find accidents, not an attacker who can write the file.
 *
 * Thread-safe: lanes ask and store at the same time.
 */
#ifndef RN_TRAINER_PREFIXCACHE_H
#define RN_TRAINER_PREFIXCACHE_H

#include "trainer/data/dataset.h"
#include "trainer/kernels/kernels.h"

#define RN_PREFIX_FILE "rondo-prefix.cache"
#define RN_PREFIX_EXAMPLES_MAX ((size_t)1 << 22)

/* All that the rows depend on beside the example, so that a kept row is the one that would be
 * computed. Compared as bytes: no padding. The libraries of a device are not in it (cuBLASLt,
 * driver): a file that such a run kept is to be removed when they change. */
struct rn_prefix_key {
    uint64_t weights; /* checksum of embedding and layers below `layer` */
    uint32_t layer;   /* the lowest adapted one */
    uint32_t row_bytes;
    uint32_t max_length;
    uint32_t kernels_version;
    uint32_t family, heads, pad_id; /* of config.json, as are the next two: no weight shows them */
    uint32_t intermediate;
    float layer_norm_epsilon;
    uint32_t unused;
    char kernels[64];                      /* backend and device */
    char program[64];                      /* this program's version */
    char libraries[RN_LIBRARIES_TEXT_MAX]; /* of the backend */
};
_Static_assert(sizeof(struct rn_prefix_key) == 8 + 10 * 4 + 3 * 64, "a key has no padding");

struct rn_prefix_spec {
    struct rn_prefix_key key;
    uint64_t bytes;  /* budget */
    const char *dir; /* NULL = memory */
    bool keep;       /* leave the file for later runs */
};

struct rn_prefix_cache;

/* RN_E_MEMORY, or for a directory RN_E_IO, RN_E_BUSY, RN_E_PERMISSION as rn_region_file. */
RN_MUST rn_result rn_prefixcache_open(const struct rn_prefix_spec *spec,
                                      struct rn_prefix_cache **out, struct rn_error *err);
void rn_prefixcache_close(struct rn_prefix_cache *cache); /* accepts NULL */

/* Copies the example's rows [length][row_bytes] out; false when they are not there. */
bool rn_prefixcache_get(struct rn_prefix_cache *cache, const struct rn_example *example,
                        void *out_rows);
/* Stores them unless they are there or the budget is used up. */
void rn_prefixcache_put(struct rn_prefix_cache *cache, const struct rn_example *example,
                        const void *rows);

struct rn_prefix_facts {
    uint64_t bytes;    /* budget */
    uint64_t used;     /* of the budget */
    uint64_t examples; /* kept */
    uint64_t restored; /* of these, from a kept file */
    uint64_t hits, misses;
};
void rn_prefixcache_facts(struct rn_prefix_cache *cache, struct rn_prefix_facts *out);

/* Host memory that a cache of this budget takes beside its rows. */
uint64_t rn_prefixcache_table_bytes(uint64_t budget, uint32_t row_bytes);

#endif
