/* SPDX-License-Identifier: Apache-2.0
 *
 * SentencePiece's character map.
 */
#include "trainer/text/charsmap.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

#define CLUSTER_BYTES 6 /* a cluster as long as this is asked for character by character alone */

/* ---- Reading ------------------------------------------------------------------------------- */

/* -1: no digit of base64. */
static int digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Whole groups of four, '=' in the last. */
static bool decode(struct rn_view text, struct rn_buffer *out)
{
    for (size_t at = 0; at + 4 <= text.length; at += 4) {
        const uint8_t *group = text.data + at;
        const bool last = at + 4 == text.length;
        const unsigned fill = !last ? 0 : group[2] == '=' ? 2 : group[3] == '=' ? 1 : 0;
        uint32_t bits = 0;
        for (unsigned i = 0; i < 4; i++) {
            const int digit = i >= 4 - fill && group[i] == '=' ? 0 : digit_of(group[i]);
            if (digit < 0) {
                return false;
            }
            bits = bits << 6 | (uint32_t)digit;
        }
        for (unsigned i = 0; i < 3 - fill; i++) {
            rn_buffer_u8(out, (uint8_t)(bits >> (16 - 8 * i)));
        }
    }
    return text.length % 4 == 0 && !out->failed;
}

static uint32_t unit_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* bytes: the whole map. */
static bool split(struct rn_view bytes, struct rn_charsmap *out)
{
    const size_t size = bytes.length < 4 ? 0 : unit_at(bytes.data);

    if (size == 0 || size % 4 != 0 || size > bytes.length - 4) {
        return false;
    }
    out->unit_count = size / 4;
    out->units = rn_alloc(out->unit_count, sizeof *out->units);
    for (size_t i = 0; i < out->unit_count; i++) {
        out->units[i] = unit_at(bytes.data + 4 + 4 * i);
    }
    const struct rn_view texts = rn_view_of(bytes.data + 4 + size, bytes.length - 4 - size);
    rn_buffer_append(&out->texts, texts.data, texts.length);
    rn_buffer_u8(&out->texts, 0);
    return !out->texts.failed && rn_utf8_valid(texts, NULL);
}

rn_result rn_charsmap_read(const json_t *value, const char *name, struct rn_charsmap *out,
                           struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    const struct rn_view text =
        rn_view_of((const uint8_t *)json_string_value(value), json_string_length(value));

    rn_buffer_init(&bytes, RN_CHARSMAP_BYTES_MAX);
    RN_ENSURE(json_is_string(value) && decode(text, &bytes) && split(rn_buffer_view(&bytes), out),
              err, RN_E_DATA,
              "%s: normalizer Precompiled: precompiled_charsmap is no base64 of a character map of "
              "at most %zu bytes",
              name, RN_CHARSMAP_BYTES_MAX);
    return rn_ok();
}

void rn_charsmap_clear(struct rn_charsmap *map)
{
    rn_free(map->units);
    rn_buffer_clear(&map->texts);
    *map = (struct rn_charsmap){0};
}

/* ---- Rewriting ----------------------------------------------------------------------------- */

/* The fields of a unit (Darts-clone): label, offset to the children, leaf, value of a leaf. */
static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* NULL where no character starts. */
static const char *text_at(const struct rn_charsmap *map, uint32_t offset)
{
    return offset < map->texts.length && (map->texts.data[offset] & 0xc0) != 0x80
               ? (const char *)map->texts.data + offset
               : NULL;
}

/* The text of the shortest entry that begins the key; NULL when there is none. */
static const char *find(const struct rn_charsmap *map, struct rn_view key)
{
    uint32_t node = offset_of(map->units[0]);

    for (size_t i = 0; i < key.length && key.data[i] != 0; i++) {
        node ^= key.data[i];
        if (node >= map->unit_count || (map->units[node] & 0x800000ff) != key.data[i]) {
            return NULL;
        }
        const uint32_t unit = map->units[node];
        node ^= offset_of(unit);
        if ((unit >> 8 & 1) != 0) {
            return node < map->unit_count ? text_at(map, map->units[node] & 0x7fffffff) : NULL;
        }
    }
    return NULL;
}

static bool rewrite(const struct rn_charsmap *map, struct rn_view part, struct rn_buffer *out)
{
    const char *text = find(map, part);

    if (text != NULL) {
        rn_buffer_append(out, text, strlen(text));
    }
    return text != NULL;
}

static void rewrite_cluster(const struct rn_charsmap *map, struct rn_view cluster,
                            struct rn_buffer *out)
{
    if (cluster.length < CLUSTER_BYTES && rewrite(map, cluster, out)) {
        return;
    }
    for (size_t at = 0; at < cluster.length;) {
        const size_t start = at;
        (void)rn_utf8_next(cluster, &at);
        const struct rn_view character = rn_view_of(cluster.data + start, at - start);
        if (!rewrite(map, character, out)) {
            rn_buffer_append(out, character.data, character.length);
        }
    }
}

void rn_charsmap_apply(const struct rn_charsmap *map, struct rn_view text, struct rn_buffer *out)
{
    for (size_t at = 0; at < text.length;) {
        const size_t start = at;
        rn_unicode_next_cluster(text, &at);
        rewrite_cluster(map, rn_view_of(text.data + start, at - start), out);
    }
}
