/* SPDX-License-Identifier: Apache-2.0
 *
 * A vector of the session's lanes (u32 when b <= 32, else u64): masked uploads are added into one,
 * masks are taken off it, and the sum is read from it. Canary lanes included; layout in params.h.
 */
#ifndef RN_CRYPTO_SECAGG_LANEVECTOR_H
#define RN_CRYPTO_SECAGG_LANEVECTOR_H

#include "crypto/maskstream.h"
#include "crypto/secagg/params.h"

struct rn_sa_vector {
    struct rn_sa_layout layout;
    void *lanes; /* uint32_t or uint64_t [layout.lanes]; NULL when clear */
};

/* All zero. */
void rn_sa_vector_init(struct rn_sa_vector *vector, const struct rn_sa_layout *layout);
void rn_sa_vector_clear(struct rn_sa_vector *vector);

/* Adds a packed chunk; RN_E_PEER_FORMAT when its length or padding is wrong (nothing is added). */
RN_MUST rn_result rn_sa_vector_add(struct rn_sa_vector *vector, uint32_t chunk,
                                   struct rn_view packed, struct rn_error *err);
/* The reduction modulo 2^b of one chunk, packed; out holds rn_sa_layout_chunk_bytes. */
void rn_sa_vector_pack(const struct rn_sa_vector *vector, uint32_t chunk, uint8_t *out);
/* Applies every mask of the set to all lanes. */
RN_MUST rn_result rn_sa_vector_mask(struct rn_sa_vector *vector, struct rn_mask_set *masks,
                                    struct rn_error *err);
/* The same for lanes [first, first + count) of the layout alone. Ranges are independent: threads or
 * machines may take one each, with a copy of the set (rn_mask_set_copy) each, in any order. */
RN_MUST rn_result rn_sa_vector_mask_range(struct rn_sa_vector *vector, uint64_t first,
                                          uint64_t count, struct rn_mask_set *masks,
                                          struct rn_error *err);
/* Reduces all lanes modulo 2^b. */
void rn_sa_vector_reduce(struct rn_sa_vector *vector);
/* After reduce: is every element <= largest and every canary 0? */
bool rn_sa_vector_in_range(const struct rn_sa_vector *vector, uint64_t largest);
/* Elements (canaries skipped) [first, first + count), within layout.elements. */
void rn_sa_vector_read(const struct rn_sa_vector *vector, uint64_t first, uint32_t count,
                       uint64_t *out);

/* values[rn_sa_layout_chunk_elements] of one chunk, canaries appended, masked and packed into out
 * (rn_sa_layout_chunk_bytes). */
RN_MUST rn_result rn_sa_chunk_mask(const struct rn_sa_layout *layout, uint32_t chunk,
                                   const uint64_t *values, struct rn_mask_set *masks, uint8_t *out,
                                   struct rn_error *err);

#endif
