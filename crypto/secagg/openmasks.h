/* SPDX-License-Identifier: Apache-2.0
 *
 * The masks that are left in the sum over U3, from the secrets that were opened: the self mask of
 * every survivor, and the pair masks of every lost member with its surviving neighbours
 * (PROTOCOL.md, "Messages", Masks). The coordinator takes them off the sum, a member that replays
 * it off one chunk. Both halves, keys and lanes, are split over the processors that the caller
 * lends: keys by member, lanes by range. The bytes are the same for every split.
 */
#ifndef RN_CRYPTO_SECAGG_OPENMASKS_H
#define RN_CRYPTO_SECAGG_OPENMASKS_H

#include "base/parallel.h"
#include "crypto/secagg/lanevector.h"
#include "crypto/secagg/transcript.h"

struct rn_sa_open_masks;

/* secrets[i], for members i of U2: b_i of a survivor, s_i of another. RN_E_PEER_FORMAT when a point
 * of the transcript is invalid. parallel is borrowed, by the object too; NULL: one thread. The
 * owner frees. */
RN_MUST rn_result rn_sa_open_masks_new(const struct rn_sa_transcript *transcript,
                                       const struct rn_scalar *secrets,
                                       const struct rn_parallel *parallel,
                                       struct rn_sa_open_masks **out, struct rn_error *err);
/* NULL is fine. */
void rn_sa_open_masks_free(struct rn_sa_open_masks *masks);
/* For RN_CLEANUP. */
void rn_sa_open_masks_free_cleanup(struct rn_sa_open_masks **masks);
/* Takes them off lanes [first, first + count) of the layout; lanes points at the first of them,
 * lane_bytes (4 or 8) wide. */
RN_MUST rn_result rn_sa_open_masks_take(struct rn_sa_open_masks *masks, void *lanes,
                                        uint32_t lane_bytes, uint64_t first, uint64_t count,
                                        struct rn_error *err);

#endif
