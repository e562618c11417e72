/* SPDX-License-Identifier: Apache-2.0
 *
 * Mask streams: AES-256-CTR key streams added to vectors of 32- or 64-bit lanes, modulo 2^32 or
 * 2^64.
 *
 * Layout: the IV is the block number, 128-bit big-endian, from 0. Lanes are little-endian. Element
 * e of a 32-bit stream is bytes 4e..4e+3 (block e/4); element e of a 64-bit stream is bytes
 * 8e..8e+7 (block e/2). Element e depends on (key, lane width, e) alone, so any range can be masked
 * on its own, on any thread or machine, and ranges of a vector may be done in any order.
 *
 * A key makes at most 2^28 blocks: 2^30 elements of 32 bits or 2^29 of 64. With 2^19 keys that
 * keeps the loss against an ideal random function below 2^-54.
 *
 * The group of a session is Z_2^b. Adding in a wider lane and keeping the low b bits when packing
 * (crypto/pack.h) is the same, because 2^b divides the lane's modulus.
 *
 * Cost is memory traffic before it is AES: put all keys of a vector into one set, so that each
 * cache-sized block is loaded once and masked by every key.
 */
#ifndef RN_CRYPTO_MASKSTREAM_H
#define RN_CRYPTO_MASKSTREAM_H

#include "base/result.h"
#include "crypto/secret.h"

/* Names this construction in the session's parameters. */
#define RN_MASK_PRG_AES256_CTR 1u
/* Exclusive upper bounds of first + count. */
#define RN_MASK_ELEMENTS_MAX_U32 ((uint64_t)1 << 30)
#define RN_MASK_ELEMENTS_MAX_U64 ((uint64_t)1 << 29)
#define RN_MASK_SET_MAX 4096 /* keys in one set */

/* What computes. All of them give the same bits; OpenSSL's is everywhere and is the oracle. */
enum rn_mask_kernel {
    RN_MASK_EVP, /* OpenSSL's key stream, then an addition */
    RN_MASK_VAES /* both in one step, where the processor has AVX2 and VAES */
};

bool rn_mask_kernel_here(enum rn_mask_kernel kernel);
/* The fastest one of this machine; what the functions below use unless told otherwise. */
enum rn_mask_kernel rn_mask_kernel_best(void);
/* "evp" or "vaes". */
const char *rn_mask_kernel_name(enum rn_mask_kernel kernel);

/* lanes[k] += sign * stream[first + k], k < count; sign is +1 or -1. A range beyond the maximum
 * is a bug: check sizes from a plan or peer before. RN_E_SYSTEM when OpenSSL fails; lanes are then
 * undefined and must be thrown away. */
RN_MUST rn_result rn_mask_add_u32(uint32_t *lanes, uint64_t first, size_t count,
                                  const struct rn_secret32 *key, int sign, struct rn_error *err);
RN_MUST rn_result rn_mask_add_u64(uint64_t *lanes, uint64_t first, size_t count,
                                  const struct rn_secret32 *key, int sign, struct rn_error *err);

/* Many keys at once. One thread uses a set at a time; threads that share a vector have a copy of
 * the set each and a range of lanes each. Expanded keys lie in the heap (OpenSSL's, or the set's
 * own), wiped when the set is freed. */
struct rn_mask_set;

/* Room for capacity <= RN_MASK_SET_MAX keys. The owner frees. */
struct rn_mask_set *rn_mask_set_new(size_t capacity);
/* With a kernel of the caller's choice, which must be here. */
struct rn_mask_set *rn_mask_set_new_on(enum rn_mask_kernel kernel, size_t capacity);
/* The same keys, without room for more. The owner frees. */
RN_MUST rn_result rn_mask_set_copy(const struct rn_mask_set *from, struct rn_mask_set **out,
                                   struct rn_error *err);
void rn_mask_set_free(struct rn_mask_set *set);
/* For RN_CLEANUP(rn_mask_set_free_cleanup). */
void rn_mask_set_free_cleanup(struct rn_mask_set **set);
/* Adding beyond the capacity is a bug. */
RN_MUST rn_result rn_mask_set_insert(struct rn_mask_set *set, const struct rn_secret32 *key,
                                     int sign, struct rn_error *err);
size_t rn_mask_set_count(const struct rn_mask_set *set);

/* The same as rn_mask_add_* for every key of the set, in one pass over lanes. */
RN_MUST rn_result rn_mask_set_add_u32(struct rn_mask_set *set, uint32_t *lanes, uint64_t first,
                                      size_t count, struct rn_error *err);
RN_MUST rn_result rn_mask_set_add_u64(struct rn_mask_set *set, uint64_t *lanes, uint64_t first,
                                      size_t count, struct rn_error *err);

/* For measurements: `calls` AES-256-CTR encryptions of buffer[size] in place under a fixed key,
 * which is what `openssl speed -evp aes-256-ctr -bytes SIZE` times. */
#define RN_MASK_YARDSTICK_BYTES ((size_t)1 << 20) /* most of size */
RN_MUST rn_result rn_mask_yardstick(uint8_t *buffer, size_t size, uint64_t calls,
                                    struct rn_error *err);

#endif
