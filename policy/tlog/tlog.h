/* SPDX-License-Identifier: Apache-2.0
 *
 * A transparency log as static files (C2SP tlog-tiles v0.1.0): entries in bundles of 256, hashes in
 * tiles of 256. Tile (level, index) holds the hashes of 256 neighbouring subtrees of 256^level
 * entries each; the last of a level is partial and lies under another name until it is full.
 *
 *     tile/<level>/<index>[.p/<width>]      tile/entries/<index>[.p/<width>]
 *
 * index in groups of three digits, all but the last after an "x": 1234067 is x001/x234/067.
 *
 * The end of a log (struct rn_tlog_end) is all that appending needs: the partial tiles and the
 * partial bundle. It hands out every file as soon as it is full, and the partial ones when a
 * checkpoint is to be written (rn_tlog_end_flush): files first, then the checkpoint, so that a
 * reader finds all that a checkpoint speaks of. That never comes back with other bytes; a file that
 * no checkpoint speaks of yet may, after a crash.
 */
#ifndef RN_POLICY_TLOG_H
#define RN_POLICY_TLOG_H

#include "policy/tlog/merkle.h"

#define RN_TLOG_TILE_WIDTH 256u
#define RN_TLOG_TILE_BYTES (RN_TLOG_TILE_WIDTH * RN_HASH_BYTES)
#define RN_TLOG_ENTRY_MAX 65535u /* bytes; what is longer is logged as its hash */
#define RN_TLOG_BUNDLE_MAX (RN_TLOG_TILE_WIDTH * (2u + RN_TLOG_ENTRY_MAX))
#define RN_TLOG_LEVELS 5u /* levels 0 to 4 */
/* What five levels can hold without a sixth: 2^40 - 1 entries. */
#define RN_TLOG_SIZE_MAX (((uint64_t)1 << 40) - 1)
#define RN_TLOG_PATH_MAX 64u
#define RN_TLOG_ENTRIES UINT32_MAX /* "level" of a bundle of entries */

/* Name of a file below the log's folder; width 0: full. index at most RN_TLOG_SIZE_MAX. */
void rn_tlog_path(uint32_t level, uint64_t index, uint32_t width,
                  char out[static RN_TLOG_PATH_MAX]);
/* Hashes in the last tile of a level, of a log of `size` entries; 0 where the last is full. */
uint32_t rn_tlog_partial(uint32_t level, uint64_t size);

/* Takes a finished file. */
struct rn_tlog_sink {
    rn_result (*file)(void *context, const char *path, struct rn_view bytes, struct rn_error *err);
    void *context;
};

struct rn_tlog_end {
    uint64_t size;                                            /* entries */
    struct rn_hash tiles[RN_TLOG_LEVELS][RN_TLOG_TILE_WIDTH]; /* rn_tlog_partial of each */
    struct rn_buffer bundle;                                  /* entries of the partial bundle */
};

/* Of a log without entries. The owner clears. */
void rn_tlog_end_init(struct rn_tlog_end *end);
void rn_tlog_end_clear(struct rn_tlog_end *end);
/* Appends; hands out what became full. RN_E_USAGE for an entry above RN_TLOG_ENTRY_MAX or a full
 * log; then, and where the sink fails, the end is as before or has to be read again. */
RN_MUST rn_result rn_tlog_end_append(struct rn_tlog_end *end, struct rn_view entry,
                                     const struct rn_tlog_sink *sink, struct rn_error *err);
/* Hands out the partial tiles and bundle of this size. */
RN_MUST rn_result rn_tlog_end_flush(const struct rn_tlog_end *end, const struct rn_tlog_sink *sink,
                                    struct rn_error *err);
void rn_tlog_end_root(const struct rn_tlog_end *end, struct rn_hash *out);

/* Where files come from: the bytes of a name into out, at most its maximum. RN_E_NO_INPUT where
 * there is none. */
struct rn_tlog_files {
    rn_result (*read)(void *context, const char *path, struct rn_buffer *out, struct rn_error *err);
    void *context;
};

/* The end of a log of `size` entries from its files; the caller compares its root with the
 * checkpoint's. RN_E_DATA where a file has another length than its name says, or the bundle's
 * entries have other hashes than the tile. */
RN_MUST rn_result rn_tlog_end_read(const struct rn_tlog_files *files, uint64_t size,
                                   struct rn_tlog_end *out, struct rn_error *err);

/* Hashes of subtrees out of the tiles of a log of `size` entries, for proofs. Keeps the tile of
 * each level that it read last. Files are not checked: a wrong one makes a proof that does not
 * hold. */
struct rn_tlog_reader {
    struct rn_tlog_files files;
    uint64_t size;
    struct {
        bool there;
        uint64_t index;
        struct rn_buffer bytes;
    } tiles[RN_TLOG_LEVELS];
};
void rn_tlog_reader_init(struct rn_tlog_reader *reader, const struct rn_tlog_files *files,
                         uint64_t size);
void rn_tlog_reader_clear(struct rn_tlog_reader *reader);
/* Borrows the reader. */
struct rn_merkle_source rn_tlog_reader_source(struct rn_tlog_reader *reader);
/* The entry at index, borrowed from `bundle`, which is filled with the file that it stands in. */
RN_MUST rn_result rn_tlog_reader_entry(const struct rn_tlog_reader *reader, uint64_t index,
                                       struct rn_buffer *bundle, struct rn_view *out,
                                       struct rn_error *err);
/* Appends an entry of at most RN_TLOG_ENTRY_MAX bytes with its length. */
void rn_tlog_bundle_write(struct rn_view entry, struct rn_buffer *out);
/* The next entry of a bundle; false at its end, and where its bytes are none (then `failed`). */
RN_MUST bool rn_tlog_bundle_next(struct rn_reader *bundle, struct rn_view *out);

#endif
