/* SPDX-License-Identifier: Apache-2.0
 *
 * What the documents of evidence say of a session (PROTOCOL.md, "Evidence", kinds 4 and 5): the
 * numbers of its plan and the broadcasts up to Survivors, from which whoever has the roster makes
 * the transcript again. The numbers are in the session id, each broadcast is signed by the
 * coordinator and hashed into T0, T1 or T2.
 */
#ifndef RN_CRYPTO_SECAGG_SESSIONPROOF_H
#define RN_CRYPTO_SECAGG_SESSIONPROOF_H

#include "crypto/secagg/messages.h"

void rn_sa_session_numbers_write(const struct rn_sa_transcript *transcript, struct rn_buffer *out);
/* Whole broadcasts, at index enum rn_sa_type: OFFER, READY_SET, ACK_SET, SURVIVORS. False when one
 * is missing. */
bool rn_sa_session_broadcasts_write(const struct rn_buffer heard[static RN_SA_TYPE_LAST_],
                                    struct rn_buffer *out);

/* RN_E_PEER_FORMAT: no numbers of a plan for this roster. */
RN_MUST rn_result rn_sa_session_numbers_read(const struct rn_roster *roster, struct rn_reader *r,
                                             struct rn_sa_params *params,
                                             struct rn_sa_context *context, struct rn_error *err);
/* The transcript of that session up to SURVIVORS, every signature and rule checked; the reader
 * stands behind the broadcasts. context is filled from the Offer. out has no peers yet; the owner
 * clears it, after a failure too. */
RN_MUST rn_result rn_sa_session_rebuild(const uint8_t session[static RN_HASH_BYTES],
                                        const struct rn_sa_params *params,
                                        struct rn_sa_context *context, struct rn_reader *r,
                                        struct rn_sa_transcript *out, struct rn_error *err);

#endif
