/* SPDX-License-Identifier: Apache-2.0
 *
 * Bit packing: count unsigned integers of b bits each, 1 <= b <= 64, as ceil(count * b / 8) bytes.
 *
 * Element e takes bits e*b .. e*b + b - 1 of the byte string, least significant first, where bit k
 * is bit k % 8 of byte k / 8. Unused bits of the last byte are zero. So 8, 16, 32 and 64 bits are
 * plain little-endian integers. A chunk of a vector is packed on its own, from bit 0.
 */
#ifndef RN_CRYPTO_PACK_H
#define RN_CRYPTO_PACK_H

#include "base/bytes.h"

#define RN_PACK_BITS_MAX 64u
#define RN_PACK_COUNT_MAX ((size_t)1 << 32) /* elements in one call */

/* ceil(count * bits / 8). bits outside 1..64 or count above the maximum is a bug. */
size_t rn_pack_size(size_t count, unsigned bits);

/* Keeps the low bits of every value (the reduction modulo 2^b); out holds rn_pack_size bytes. For
 * the u32 form bits <= 32. */
void rn_pack_u32(uint8_t *out, unsigned bits, const uint32_t *values, size_t count);
void rn_pack_u64(uint8_t *out, unsigned bits, const uint64_t *values, size_t count);

/* RN_E_PEER_FORMAT unless packed has exactly rn_pack_size bytes and its unused bits are zero;
 * nothing is written then. For the u32 form bits <= 32. */
RN_MUST rn_result rn_unpack_u32(struct rn_view packed, unsigned bits, uint32_t *out, size_t count,
                                struct rn_error *err);
RN_MUST rn_result rn_unpack_u64(struct rn_view packed, unsigned bits, uint64_t *out, size_t count,
                                struct rn_error *err);
/* The same, added to what lanes hold, modulo 2^32 or 2^64. */
RN_MUST rn_result rn_unpack_add_u32(struct rn_view packed, unsigned bits, uint32_t *lanes,
                                    size_t count, struct rn_error *err);
RN_MUST rn_result rn_unpack_add_u64(struct rn_view packed, unsigned bits, uint64_t *lanes,
                                    size_t count, struct rn_error *err);

#endif
