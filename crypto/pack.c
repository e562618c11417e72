/* SPDX-License-Identifier: Apache-2.0
 *
 * Bit packing. One general loop serves every width; whole-byte widths have a shorter one that
 * compilers turn into wide moves. Both write the same bytes.
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

/* One of the two pointers is given. */
struct source {
    const uint32_t *u32;
    const uint64_t *u64;
};
struct target {
    uint32_t *u32;
    uint64_t *u64;
};

static uint64_t load(struct source source, size_t at)
{
    return source.u32 != NULL ? source.u32[at] : source.u64[at];
}

static void store(struct target target, size_t at, uint64_t value)
{
    if (target.u32 != NULL) {
        target.u32[at] = (uint32_t)value;
    } else {
        target.u64[at] = value;
    }
}

static void pack_bytes(uint8_t *out, unsigned bytes, struct source source, size_t count)
{
    for (size_t e = 0; e < count; e++) {
        uint64_t value = load(source, e);
        for (unsigned k = 0; k < bytes; k++) {
            *out++ = (uint8_t)value;
            value >>= 8;
        }
    }
}

static void pack_any(uint8_t *out, unsigned bits, struct source source, size_t count)
{
    const uint64_t mask = low_bits(bits);
    wide pending = 0;
    unsigned held = 0;
    for (size_t e = 0; e < count; e++) {
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

static void pack(uint8_t *out, unsigned bits, struct source source, size_t count)
{
    if (bits % 8 == 0) {
        pack_bytes(out, bits / 8, source, count);
    } else {
        pack_any(out, bits, source, count);
    }
}

static void unpack_bytes(const uint8_t *in, unsigned bytes, struct target target, size_t count)
{
    for (size_t e = 0; e < count; e++) {
        uint64_t value = 0;
        for (unsigned k = 0; k < bytes; k++) {
            value |= (uint64_t)*in++ << (8 * k);
        }
        store(target, e, value);
    }
}

static void unpack_any(const uint8_t *in, unsigned bits, struct target target, size_t count)
{
    const uint64_t mask = low_bits(bits);
    const uint8_t *const end = in + (count * bits + 7) / 8;
    wide pending = 0;
    unsigned held = 0;
    for (size_t e = 0; e < count; e++) {
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

static rn_result unpack(struct rn_view packed, unsigned bits, struct target target, size_t count,
                        struct rn_error *err)
{
    RN_ENSURE(packed.length == rn_pack_size(count, bits), err, RN_E_PEER_FORMAT,
              "%zu packed bytes, but %zu elements of %u bits take %zu", packed.length, count, bits,
              rn_pack_size(count, bits));
    const unsigned used = (unsigned)(count * bits % 8);
    RN_ENSURE(used == 0 || packed.data[packed.length - 1] >> used == 0, err, RN_E_PEER_FORMAT,
              "unused bits of the last packed byte are not zero");
    if (bits % 8 == 0) {
        unpack_bytes(packed.data, bits / 8, target, count);
    } else {
        unpack_any(packed.data, bits, target, count);
    }
    return rn_ok();
}

void rn_pack_u32(uint8_t *out, unsigned bits, const uint32_t *values, size_t count)
{
    RN_BUG_IF(bits > 32);
    RN_BUG_IF(rn_pack_size(count, bits) > 0 && (out == NULL || values == NULL));
    pack(out, bits, (struct source){values, NULL}, count);
}

void rn_pack_u64(uint8_t *out, unsigned bits, const uint64_t *values, size_t count)
{
    RN_BUG_IF(rn_pack_size(count, bits) > 0 && (out == NULL || values == NULL));
    pack(out, bits, (struct source){NULL, values}, count);
}

rn_result rn_unpack_u32(struct rn_view packed, unsigned bits, uint32_t *out, size_t count,
                        struct rn_error *err)
{
    RN_BUG_IF(bits > 32);
    return unpack(packed, bits, (struct target){out, NULL}, count, err);
}

rn_result rn_unpack_u64(struct rn_view packed, unsigned bits, uint64_t *out, size_t count,
                        struct rn_error *err)
{
    return unpack(packed, bits, (struct target){NULL, out}, count, err);
}
