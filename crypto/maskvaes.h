/* SPDX-License-Identifier: Apache-2.0
 *
 * AES-256-CTR key streams added to lanes in one step, with the 256-bit AES instructions of x86-64
 * (AVX2 and VAES). Private to crypto/maskstream.c, which chooses it at run time and keeps OpenSSL's
 * cipher as the oracle: both give the same bits. It is there because it was measured to be faster
 * than OpenSSL's key stream and an addition after it (`rondo-bench secagg` prints both).
 *
 * Works on groups of 16 AES blocks, 256 bytes of key stream. Time and memory access depend on
 * sizes alone: the key schedule uses AESKEYGENASSIST and no table.
 */
#ifndef RN_CRYPTO_MASKVAES_H
#define RN_CRYPTO_MASKVAES_H

#include "crypto/secret.h"

#define RN_MASK_GROUP_BYTES 256
#define RN_MASK_GROUP_BLOCKS 16

/* The 15 round keys of one AES-256 key: a secret; its owner wipes it. */
struct rn_mask_schedule {
    uint8_t bytes[15][16];
};

/* Whether this processor and this build have it. The other functions need it: a bug otherwise. */
bool rn_mask_vaes_here(void);

void rn_mask_vaes_schedule(const struct rn_secret32 *key, struct rn_mask_schedule *out);

/* Key stream of one group from block `block` on, block + 16 <= 2^32. */
void rn_mask_vaes_expand(const struct rn_mask_schedule *schedule, uint32_t block,
                         uint8_t out[static RN_MASK_GROUP_BYTES]);

/* lanes[k] += sign * stream for `groups` groups of lanes from block `block` on. lanes are
 * little-endian integers of width 4 or 8 bytes; sign is +1 or -1. */
void rn_mask_vaes_add(const struct rn_mask_schedule *schedule, uint32_t block, void *lanes,
                      size_t groups, unsigned width, int sign);

#endif
