/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's signed word that the job is to end now, and why: what it signs, what everybody checks
 * before believing it, and the record of it. One layout on the wire and on disk:
 *
 *     plan hash   32   of the one plan that it ends; in another one it is nothing
 *     place       u32  of the member in the roster
 *     reason      u32 length, then 1 to RN_ABORT_TEXT_MAX printable ASCII characters
 *     signature   64   Ed25519 of that member over the tag "rondo/v1 job stop" and all before
 *
 * A site holds one, the first that it signs or hears: partstop.c, coordstop.c. Claims and what
 * follows at whom: services/PROTOCOL.md, "Emergency stop".
 */
#ifndef RN_SERVICES_FEDERATION_JOBSTOP_H
#define RN_SERVICES_FEDERATION_JOBSTOP_H

#include "services/federation/effects.h"
#include "services/federation/jobbasis.h"

/* Longest reason of `rondo abort`, in printable ASCII characters. */
#define RN_ABORT_TEXT_MAX 200
#define RN_JOB_STOP_BYTES_MAX (RN_HASH_BYTES + 4 + 4 + RN_ABORT_TEXT_MAX + RN_SIGNATURE_BYTES)

/* Zeros: none. Filled by the functions below alone, so whatever is held here was verified. */
struct rn_job_stop {
    uint32_t place;
    char reason[RN_ABORT_TEXT_MAX + 1];
    size_t length; /* of bytes; 0: none */
    uint8_t bytes[RN_JOB_STOP_BYTES_MAX];
};

/* May the operator, or a member, give this reason? RN_E_PEER_LIMIT for its length, RN_E_PEER_FORMAT
 * for a character. */
RN_MUST rn_result rn_abort_text_check(struct rn_view reason, struct rn_error *err);

/* By the identity of the basis, which is a member. Fails as rn_abort_text_check does. */
RN_MUST rn_result rn_job_stop_sign(const struct rn_job_basis *basis, const char *reason,
                                   struct rn_job_stop *out, struct rn_error *err);
/* Checks everything. RN_E_PEER_LIMIT when it is too long, RN_E_PEER_FORMAT, RN_E_PEER_REPLAY when
 * it is for another plan, RN_E_PEER_AUTH when no member of the roster signed it. */
RN_MUST rn_result rn_job_stop_read(struct rn_view bytes, const struct rn_job_basis *basis,
                                   struct rn_job_stop *out, struct rn_error *err);
bool rn_job_stop_equal(const struct rn_job_stop *stop, struct rn_view bytes);

/* Its record, as a COMMIT; the one that this site holds, or none. */
void rn_job_stop_write(const struct rn_job_stop *stop, uint32_t round, struct rn_effects *out);
RN_MUST rn_result rn_job_stop_load(const struct rn_job_basis *basis, struct rn_job_stop *out,
                                   struct rn_error *err);
/* Nothing when connection is 0. */
void rn_job_stop_send(const struct rn_job_stop *stop, uint64_t connection, struct rn_effects *out);
/* Who stopped the job, and why: the event. */
void rn_job_stop_tell(const struct rn_job_stop *stop, uint32_t round, struct rn_effects *out);
/* How the job ends by it: RN_E_INCOMPLETE, with who and why in err. */
rn_result rn_job_stop_result(const struct rn_job_stop *stop, const struct rn_roster *roster,
                             struct rn_error *err);

#endif
