/* SPDX-License-Identifier: Apache-2.0
 *
 * From the secrets of a session to the keys of its mask streams.
 *
 *     pair(i, j) = HKDF(ikm  = ristretto255 DH(s_i, S_j) = DH(s_j, S_i),
 *                       salt = session id,
 *                       info = "rondo/v1 secagg pair mask" || u32 min(i,j) || u32 max(i,j)
 *                           || transcript hash T1)
 *     self(i)    = HKDF(ikm  = b_i, salt = session id,
 *                       info = "rondo/v1 secagg self mask" || u32 i || T1)
 *     blind(i)   = HKDF(ikm  = G, salt = session id,
 *                       info = "rondo/v1 secagg blind mask" || u32 i || T1)         blind jobs
 *
 * Tags are padded to 32 bytes (crypto/kdf.h).
 *
 * Member i adds its self mask, adds pair(i, j) for every i < j and subtracts it for i > j; summed
 * over both members the pair's masks cancel. The session id and T1 bind plan, base model, adapter
 * and participants, so members who do not agree on them do not cancel.
 *
 * One key masks one upload. Never mask two vectors with one key.
 */
#ifndef RN_CRYPTO_MASKKEY_H
#define RN_CRYPTO_MASKKEY_H

#include "crypto/group.h"
#include "crypto/sha256.h"

struct rn_mask_context {
    uint8_t session[RN_HASH_BYTES];
    uint8_t transcript[RN_HASH_BYTES]; /* T1 */
};

/* own is s_i, peer is S_j; own_index != peer_index. RN_E_PEER_FORMAT when the peer's point is
 * invalid. */
RN_MUST rn_result rn_mask_key_pair(const struct rn_mask_context *context,
                                   const struct rn_scalar *own, uint32_t own_index,
                                   const struct rn_point *peer, uint32_t peer_index,
                                   struct rn_secret32 *out_key, struct rn_error *err);
/* +1 when own_index < peer_index, else -1: the sign with which own_index applies the pair's mask.
 */
int rn_mask_sign(uint32_t own_index, uint32_t peer_index);

void rn_mask_key_self(const struct rn_mask_context *context, const struct rn_scalar *self_seed,
                      uint32_t index, struct rn_secret32 *out_key);

/* The stream that member `index` of a blind job adds to its upload in this session, and that every
 * member, and nobody without G, takes off the sum again (crypto/groupkey.h). A key of its own for
 * each member: one common stream, added by an even number of members, would leave the low bit of
 * the sum open. */
void rn_mask_key_blind(const struct rn_mask_context *context, const struct rn_secret32 *group,
                       uint32_t index, struct rn_secret32 *out_key);

#endif
