/* SPDX-License-Identifier: Apache-2.0
 *
 * Bit packing. An element of up to 57 bits lies within eight bytes wherever it begins: it is read
 * and written with one unaligned 64-bit access while eight bytes are left. Wider elements and the
 * last bytes go through a general loop. All write the same bytes.
 */
#include "crypto/pack.h"

#include "base/guard.h"

#include <endian.h>
#include <string.h>

/* Bits not yet written or consumed: fewer than 64 from before and at most 64 new ones. */
__extension__ typedef unsigned __int128 wide;

static uint64_t low_bits(unsigned bits)
{
    return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

size_t rn_pack_size(size_t count, unsigned bits)
{
    RN_BUG_IF(bits < 1 || bits > RN_PACK_BITS_MAX || count > RN_PACK_COUNT_MAX);
    return (count * bits + 7) / 8;
}

#define WITHIN_WORD 57u /* bits of an element that one 64-bit access holds, from any bit on */
#define INLINE static inline __attribute__((always_inline))

/* One of the two pointers is given; which, and whether to add, is known where the loops are
 * called, so that each call becomes a loop of its own. */
struct source {
    const uint32_t *u32;
    const uint64_t *u64;
};
struct target {
    uint32_t *u32;
    uint64_t *u64;
    bool add;
};

INLINE uint64_t load(struct source source, size_t at)
{
    return source.u32 != NULL ? source.u32[at] : source.u64[at];
}

INLINE void store(struct target target, size_t at, uint64_t value)
{
    if (target.u32 != NULL) {
        target.u32[at] = (target.add ? target.u32[at] : 0) + (uint32_t)value;
    } else {
        target.u64[at] = (target.add ? target.u64[at] : 0) + value;
    }
}

/* Elements [0, returned), the ones whose eight bytes lie within `size`; a multiple of 8, so that
 * the rest begins a byte. */
static size_t whole_words(unsigned bits, size_t count, size_t size)
{
    if (bits > WITHIN_WORD || size < 8) {
        return 0;
    }
    const size_t most = ((size - 7) * 8 + bits - 1) / bits; /* begin before byte size - 7 */
    return (most < count ? most : count) & ~(size_t)7;
}

INLINE void pack_words(uint8_t *out, unsigned bits, struct source source, size_t count)
{
    const uint64_t mask = low_bits(bits);
    uint64_t pending = 0;
    unsigned held = 0; /* below 8 */
    for (size_t e = 0; e < count; e++) {
        pending |= (load(source, e) & mask) << held;
        const uint64_t word = htole64(pending);
        memcpy(out, &word, sizeof(word));
        held += bits;
        out += held / 8;
        pending = held < 64 ? pending >> (held & ~7u) : 0;
        held %= 8;
    }
}

INLINE void pack_rest(uint8_t *out, unsigned bits, struct source source, size_t from, size_t count)
{
    const uint64_t mask = low_bits(bits);
    wide pending = 0;
    unsigned held = 0;
    for (size_t e = from; e < count; e++) {
        pending |= (wide)(load(source, e) & mask) << held;
        held += bits;
        while (held >= 32) {
            const uint32_t word = htole32((uint32_t)pending);
            memcpy(out, &word, sizeof(word));
            out += sizeof(word);
            pending >>= 32;
            held -= 32;
        }
    }
    for (unsigned written = 0; written < held; written += 8) {
        *out++ = (uint8_t)pending;
        pending >>= 8;
    }
}

INLINE void pack(uint8_t *out, unsigned bits, struct source source, size_t count)
{
    const size_t whole = whole_words(bits, count, rn_pack_size(count, bits));
    pack_words(out, bits, source, whole);
    pack_rest(out + whole / 8 * bits, bits, source, whole, count);
}

INLINE void unpack_words(const uint8_t *in, unsigned bits, struct target target, size_t count)
{
    const uint64_t mask = low_bits(bits);
    for (size_t e = 0; e < count; e += 8, in += bits) {
        for (unsigned k = 0; k < 8; k++) {
            uint64_t word = 0;
            memcpy(&word, in + k * bits / 8, sizeof(word));
            store(target, e + k, (le64toh(word) >> (k * bits % 8)) & mask);
        }
    }
}

INLINE void unpack_rest(const uint8_t *in, unsigned bits, struct target target, size_t from,
                        size_t count)
{
    const uint64_t mask = low_bits(bits);
    const uint8_t *const end = in + ((count - from) * bits + 7) / 8;
    wide pending = 0;
    unsigned held = 0;
    for (size_t e = from; e < count; e++) {
        while (held < bits) {
            if (end - in >= 4) {
                uint32_t word = 0;
                memcpy(&word, in, sizeof(word));
                pending |= (wide)le32toh(word) << held;
                in += 4;
                held += 32;
            } else {
                pending |= (wide)*in++ << held;
                held += 8;
            }
        }
        store(target, e, (uint64_t)pending & mask);
        pending >>= bits;
        held -= bits;
    }
}

static rn_result check(struct rn_view packed, unsigned bits, size_t count, struct rn_error *err)
{
    RN_ENSURE(packed.length == rn_pack_size(count, bits), err, RN_E_PEER_FORMAT,
              "%zu packed bytes, but %zu elements of %u bits take %zu", packed.length, count, bits,
              rn_pack_size(count, bits));
    const unsigned used = (unsigned)(count * bits % 8);
    RN_ENSURE(used == 0 || packed.data[packed.length - 1] >> used == 0, err, RN_E_PEER_FORMAT,
              "unused bits of the last packed byte are not zero");
    return rn_ok();
}

INLINE rn_result unpack(struct rn_view packed, unsigned bits, struct target target, size_t count,
                        struct rn_error *err)
{
    RN_TRY(check(packed, bits, count, err));
    const size_t whole = whole_words(bits, count, packed.length);
    unpack_words(packed.data, bits, target, whole);
    if (whole < count) {
        unpack_rest(packed.data + whole / 8 * bits, bits, target, whole, count);
    }
    return rn_ok();
}

void rn_pack_u32(uint8_t *out, unsigned bits, const uint32_t *values, size_t count)
{
    RN_BUG_IF(bits > 32);
    if (rn_pack_size(count, bits) > 0) {
        RN_BUG_IF(out == NULL || values == NULL);
        pack(out, bits, (struct source){values, NULL}, count);
    }
}

void rn_pack_u64(uint8_t *out, unsigned bits, const uint64_t *values, size_t count)
{
    if (rn_pack_size(count, bits) > 0) {
        RN_BUG_IF(out == NULL || values == NULL);
        pack(out, bits, (struct source){NULL, values}, count);
    }
}

rn_result rn_unpack_u32(struct rn_view packed, unsigned bits, uint32_t *out, size_t count,
                        struct rn_error *err)
{
    RN_BUG_IF(bits > 32);
    return unpack(packed, bits, (struct target){out, NULL, false}, count, err);
}

rn_result rn_unpack_u64(struct rn_view packed, unsigned bits, uint64_t *out, size_t count,
                        struct rn_error *err)
{
    return unpack(packed, bits, (struct target){NULL, out, false}, count, err);
}

rn_result rn_unpack_add_u32(struct rn_view packed, unsigned bits, uint32_t *lanes, size_t count,
                            struct rn_error *err)
{
    RN_BUG_IF(bits > 32);
    return unpack(packed, bits, (struct target){lanes, NULL, true}, count, err);
}

rn_result rn_unpack_add_u64(struct rn_view packed, unsigned bits, uint64_t *lanes, size_t count,
                            struct rn_error *err)
{
    return unpack(packed, bits, (struct target){NULL, lanes, true}, count, err);
}
