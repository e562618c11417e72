/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of files, and the end of a log. Reading is in tlogreader.c.
 */
#include "policy/tlog/tlog.h"

#include "base/guard.h"
#include "policy/tlog/tilehash.h"

#include <string.h>

#define GROUP 1000u

/* ---- Names ---- */

/* "x001/x234/067" */
static void index_write(struct rn_writer *out, uint64_t index, bool last)
{
    if (index >= GROUP) {
        index_write(out, index / GROUP, false);
    }
    char digits[8];
    RN_BUG_IF(!rn_text_format(digits, sizeof digits, last ? "%03u" : "x%03u/",
                              (unsigned)(index % GROUP)));
    rn_write_bytes(out, digits, strlen(digits));
}

void rn_tlog_path(uint32_t level, uint64_t index, uint32_t width, char out[static RN_TLOG_PATH_MAX])
{
    char number[RN_TLOG_PATH_MAX];
    char end[8] = "";
    struct rn_writer writer = rn_writer_to(number, sizeof number);
    index_write(&writer, index, true);
    rn_write_u8(&writer, 0);
    RN_BUG_IF(width > RN_TLOG_TILE_WIDTH || !rn_writer_done(&writer));
    if (width > 0 && width < RN_TLOG_TILE_WIDTH) {
        RN_BUG_IF(!rn_text_format(end, sizeof end, ".p/%u", width));
    }
    const bool fits =
        level == RN_TLOG_ENTRIES
            ? rn_text_format(out, RN_TLOG_PATH_MAX, "tile/entries/%s%s", number, end)
            : rn_text_format(out, RN_TLOG_PATH_MAX, "tile/%u/%s%s", level, number, end);
    RN_BUG_IF(!fits);
}

uint32_t rn_tlog_partial(uint32_t level, uint64_t size)
{
    return (uint32_t)(size >> 8 * level) % RN_TLOG_TILE_WIDTH;
}

/* ---- Hashes of one tile ---- */

void rn_tilehash(const struct rn_hash *hashes, uint32_t count, struct rn_hash *out)
{
    struct rn_hash level[RN_TLOG_TILE_WIDTH];
    RN_BUG_IF(count == 0 || count > RN_TLOG_TILE_WIDTH || (count & (count - 1)) != 0);
    memcpy(level, hashes, count * sizeof *hashes);
    for (; count > 1; count /= 2) {
        for (uint32_t k = 0; k < count / 2; k++) {
            rn_merkle_node(&level[2 * k], &level[2 * k + 1], &level[k]);
        }
    }
    *out = level[0];
}

/* ---- The end ---- */

void rn_tlog_end_init(struct rn_tlog_end *end)
{
    end->size = 0;
    end->bundle = (struct rn_buffer){0};
    rn_buffer_init(&end->bundle, RN_TLOG_BUNDLE_MAX);
}

void rn_tlog_end_clear(struct rn_tlog_end *end)
{
    rn_buffer_clear(&end->bundle);
    end->size = 0;
}

static rn_result hand_out(const struct rn_tlog_sink *sink, uint32_t level, uint64_t index,
                          uint32_t width, struct rn_view bytes, struct rn_error *err)
{
    char path[RN_TLOG_PATH_MAX];
    rn_tlog_path(level, index, width, path);
    return sink->file(sink->context, path, bytes, err);
}

/* Puts a hash into a level; a tile that it fills goes out and up. */
static rn_result push(struct rn_tlog_end *end, uint32_t level, struct rn_hash hash,
                      const struct rn_tlog_sink *sink, struct rn_error *err)
{
    const uint64_t at = (end->size - 1) >> 8 * level;
    const uint32_t place = (uint32_t)at % RN_TLOG_TILE_WIDTH;
    end->tiles[level][place] = hash;
    if (place + 1 < RN_TLOG_TILE_WIDTH) {
        return rn_ok();
    }
    RN_TRY(hand_out(sink, level, at / RN_TLOG_TILE_WIDTH, 0,
                    rn_view_of(end->tiles[level], RN_TLOG_TILE_BYTES), err));
    RN_BUG_IF(level + 1 == RN_TLOG_LEVELS); /* RN_TLOG_SIZE_MAX */
    rn_tilehash(end->tiles[level], RN_TLOG_TILE_WIDTH, &hash);
    return push(end, level + 1, hash, sink, err);
}

void rn_tlog_bundle_write(struct rn_view entry, struct rn_buffer *out)
{
    rn_buffer_u8(out, (uint8_t)(entry.length >> 8)); /* big-endian, unlike our own */
    rn_buffer_u8(out, (uint8_t)entry.length);
    rn_buffer_append(out, entry.data, entry.length);
}

rn_result rn_tlog_end_append(struct rn_tlog_end *end, struct rn_view entry,
                             const struct rn_tlog_sink *sink, struct rn_error *err)
{
    RN_ENSURE(entry.length <= RN_TLOG_ENTRY_MAX && end->size < RN_TLOG_SIZE_MAX, err, RN_E_USAGE,
              "A log takes entries of at most %u bytes, and at most %llu.", RN_TLOG_ENTRY_MAX,
              (unsigned long long)RN_TLOG_SIZE_MAX);
    struct rn_hash leaf;
    rn_merkle_leaf(entry, &leaf);
    rn_tlog_bundle_write(entry, &end->bundle);
    end->size++;
    if (end->size % RN_TLOG_TILE_WIDTH == 0) {
        RN_TRY(hand_out(sink, RN_TLOG_ENTRIES, end->size / RN_TLOG_TILE_WIDTH - 1, 0,
                        rn_buffer_view(&end->bundle), err));
        rn_buffer_clear(&end->bundle);
        rn_buffer_init(&end->bundle, RN_TLOG_BUNDLE_MAX);
    }
    return push(end, 0, leaf, sink, err);
}

rn_result rn_tlog_end_flush(const struct rn_tlog_end *end, const struct rn_tlog_sink *sink,
                            struct rn_error *err)
{
    const uint32_t width = rn_tlog_partial(0, end->size);
    if (width > 0) {
        RN_TRY(hand_out(sink, RN_TLOG_ENTRIES, end->size / RN_TLOG_TILE_WIDTH, width,
                        rn_buffer_view(&end->bundle), err));
    }
    for (uint32_t level = 0; level < RN_TLOG_LEVELS; level++) {
        const uint32_t hashes = rn_tlog_partial(level, end->size);
        if (hashes > 0) {
            RN_TRY(hand_out(sink, level, end->size >> 8 * (level + 1), hashes,
                            rn_view_of(end->tiles[level], hashes * sizeof(struct rn_hash)), err));
        }
    }
    return rn_ok();
}

/* The full subtrees at a log's end all begin in a partial tile: their level is a set bit of size.
 */
static rn_result end_hash(void *context, uint32_t level, uint64_t index, struct rn_hash *out,
                          struct rn_error *err)
{
    (void)err;
    const struct rn_tlog_end *end = context;
    const uint32_t place = (uint32_t)(index << level % 8) % RN_TLOG_TILE_WIDTH;
    rn_tilehash(&end->tiles[level / 8][place], 1u << level % 8, out);
    return rn_ok();
}

void rn_tlog_end_root(const struct rn_tlog_end *end, struct rn_hash *out)
{
    const struct rn_merkle_source source = {end_hash, (void *)(uintptr_t)end};
    RN_BUG_IF(!rn_is_ok(rn_merkle_range(&source, 0, end->size, out, NULL)));
}
