/* SPDX-License-Identifier: Apache-2.0
 *
 * A log's files read back: its end, hashes for proofs, entries.
 */
#include "policy/tlog/tlog.h"

#include "base/guard.h"
#include "policy/tlog/tilehash.h"

#include <string.h>

/* A file of a log of `size` entries, under the name that it has there. */
static rn_result file_read(const struct rn_tlog_files *files, uint32_t level, uint64_t index,
                           uint64_t size, struct rn_buffer *out, struct rn_error *err)
{
    char path[RN_TLOG_PATH_MAX];
    const uint32_t tier = level == RN_TLOG_ENTRIES ? 0 : level;
    const bool full = index < size >> 8 * (tier + 1);
    rn_tlog_path(level, index, full ? 0 : rn_tlog_partial(tier, size), path);
    rn_buffer_clear(out);
    rn_buffer_init(out, level == RN_TLOG_ENTRIES ? RN_TLOG_BUNDLE_MAX : RN_TLOG_TILE_BYTES);
    const rn_result result = files->read(files->context, path, out, err);
    if (!rn_is_ok(result)) {
        return rn_fail_context(err, result, "%s", path);
    }
    RN_ENSURE(!out->failed, err, RN_E_DATA, "%s: too long for what its name says.", path);
    return rn_ok();
}

static rn_result tile_read(const struct rn_tlog_files *files, uint32_t level, uint64_t index,
                           uint64_t size, struct rn_buffer *out, struct rn_error *err)
{
    RN_TRY(file_read(files, level, index, size, out, err));
    const bool full = index < size >> 8 * (level + 1);
    const size_t hashes = full ? RN_TLOG_TILE_WIDTH : rn_tlog_partial(level, size);
    RN_ENSURE(out->length == hashes * RN_HASH_BYTES, err, RN_E_DATA,
              "A tile of the log (level %u, index %llu) has %zu bytes instead of %zu.", level,
              (unsigned long long)index, out->length, hashes * RN_HASH_BYTES);
    return rn_ok();
}

/* ---- The end ---- */

static rn_result end_tiles(const struct rn_tlog_files *files, struct rn_tlog_end *end,
                           struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    for (uint32_t level = 0; level < RN_TLOG_LEVELS; level++) {
        if (rn_tlog_partial(level, end->size) > 0) {
            RN_TRY(tile_read(files, level, end->size >> 8 * (level + 1), end->size, &bytes, err));
            memcpy(end->tiles[level], bytes.data, bytes.length);
        }
    }
    return rn_ok();
}

static rn_result end_bundle(const struct rn_tlog_files *files, struct rn_tlog_end *end,
                            struct rn_error *err)
{
    const uint32_t width = rn_tlog_partial(0, end->size);
    if (width == 0) {
        return rn_ok();
    }
    RN_TRY(file_read(files, RN_TLOG_ENTRIES, end->size / RN_TLOG_TILE_WIDTH, end->size,
                     &end->bundle, err));
    struct rn_reader reader = rn_reader_of(rn_buffer_view(&end->bundle));
    struct rn_view entry;
    struct rn_hash leaf;
    uint32_t count = 0;
    for (; count < width && rn_tlog_bundle_next(&reader, &entry); count++) {
        rn_merkle_leaf(entry, &leaf);
        RN_ENSURE(rn_hash_equal(&leaf, &end->tiles[0][count]), err, RN_E_DATA,
                  "Entry %llu of the log is not what its tile holds the hash of.",
                  (unsigned long long)(end->size - width + count));
    }
    RN_ENSURE(count == width && rn_reader_done(&reader), err, RN_E_DATA,
              "The log's last bundle does not hold the %u entries that its name says.", width);
    return rn_ok();
}

rn_result rn_tlog_end_read(const struct rn_tlog_files *files, uint64_t size,
                           struct rn_tlog_end *out, struct rn_error *err)
{
    RN_ENSURE(size <= RN_TLOG_SIZE_MAX, err, RN_E_DATA, "A log of %llu entries is too long.",
              (unsigned long long)size);
    rn_tlog_end_init(out);
    out->size = size;
    rn_result result = end_tiles(files, out, err);
    if (rn_is_ok(result)) {
        result = end_bundle(files, out, err);
    }
    if (!rn_is_ok(result)) {
        rn_tlog_end_clear(out);
    }
    return result;
}

/* ---- Hashes ---- */

void rn_tlog_reader_init(struct rn_tlog_reader *reader, const struct rn_tlog_files *files,
                         uint64_t size)
{
    *reader = (struct rn_tlog_reader){.files = *files, .size = size};
}

void rn_tlog_reader_clear(struct rn_tlog_reader *reader)
{
    for (uint32_t level = 0; level < RN_TLOG_LEVELS; level++) {
        rn_buffer_clear(&reader->tiles[level].bytes);
        reader->tiles[level].there = false;
    }
}

static rn_result cached(struct rn_tlog_reader *reader, uint32_t level, uint64_t index,
                        struct rn_error *err)
{
    if (reader->tiles[level].there && reader->tiles[level].index == index) {
        return rn_ok();
    }
    reader->tiles[level].there = false;
    RN_TRY(tile_read(&reader->files, level, index, reader->size, &reader->tiles[level].bytes, err));
    reader->tiles[level].there = true;
    reader->tiles[level].index = index;
    return rn_ok();
}

static rn_result reader_hash(void *context, uint32_t level, uint64_t index, struct rn_hash *out,
                             struct rn_error *err)
{
    struct rn_tlog_reader *reader = context;
    const uint32_t tier = level / 8;
    const uint32_t count = 1u << level % 8;
    RN_ENSURE(tier < RN_TLOG_LEVELS && index + 1 <= reader->size >> level, err, RN_E_DATA,
              "The log has no such subtree.");
    const uint64_t first = index << level % 8;
    RN_TRY(cached(reader, tier, first / RN_TLOG_TILE_WIDTH, err));
    struct rn_hash hashes[RN_TLOG_TILE_WIDTH];
    memcpy(hashes,
           reader->tiles[tier].bytes.data + first % RN_TLOG_TILE_WIDTH * sizeof(struct rn_hash),
           count * sizeof *hashes);
    rn_tilehash(hashes, count, out);
    return rn_ok();
}

struct rn_merkle_source rn_tlog_reader_source(struct rn_tlog_reader *reader)
{
    return (struct rn_merkle_source){reader_hash, reader};
}

/* ---- Entries ---- */

bool rn_tlog_bundle_next(struct rn_reader *bundle, struct rn_view *out)
{
    if (rn_reader_left(bundle) == 0) {
        return false;
    }
    const size_t high = rn_read_u8(bundle);
    const size_t low = rn_read_u8(bundle);
    *out = rn_read_view(bundle, high << 8 | low);
    return !bundle->failed;
}

rn_result rn_tlog_reader_entry(const struct rn_tlog_reader *reader, uint64_t index,
                               struct rn_buffer *bundle, struct rn_view *out, struct rn_error *err)
{
    RN_ENSURE(index < reader->size, err, RN_E_USAGE, "The log has no entry %llu: it has %llu.",
              (unsigned long long)index, (unsigned long long)reader->size);
    RN_TRY(file_read(&reader->files, RN_TLOG_ENTRIES, index / RN_TLOG_TILE_WIDTH, reader->size,
                     bundle, err));
    struct rn_reader bytes = rn_reader_of(rn_buffer_view(bundle));
    for (uint64_t k = 0; k <= index % RN_TLOG_TILE_WIDTH; k++) {
        RN_ENSURE(rn_tlog_bundle_next(&bytes, out), err, RN_E_DATA,
                  "A bundle of the log ends before entry %llu.", (unsigned long long)index);
    }
    return rn_ok();
}
