/* SPDX-License-Identifier: Apache-2.0
 *
 * The proof that a coordinator announced a sum that is not the sum of the uploads: everything from
 * which one chunk of it can be computed again, by whoever has the roster (PROTOCOL.md, "Evidence",
 * kind 4). Its parts are signed, or hashed by what is signed.
 */
#ifndef RN_CRYPTO_SECAGG_SUMPROOF_H
#define RN_CRYPTO_SECAGG_SUMPROOF_H

#include "crypto/secagg/audit.h"

/* The broadcasts that make the transcript, whole, at index enum rn_sa_type: OFFER, READY_SET,
 * ACK_SET, SURVIVORS, RESULT. audit stands at the chunk that differs. False, with nothing appended,
 * when a part is missing or the proof would be too large. */
bool rn_sa_sum_proof_write(const struct rn_sa_audit *audit,
                           const struct rn_buffer heard[static RN_SA_TYPE_LAST_],
                           struct rn_buffer *out);

/* Does it prove that the roster's coordinator signed this Result over a wrong sum? result: whole,
 * its signature checked. RN_E_PEER_FORMAT, RN_E_PEER_AUTH for parts that are not what they say,
 * RN_E_PEER_PROTOCOL when the sum is right. */
RN_MUST rn_result rn_sa_sum_proof_check(const struct rn_roster *roster,
                                        const struct rn_sa_message *result, struct rn_view proof,
                                        struct rn_error *err);

#endif
