/* SPDX-License-Identifier: Apache-2.0
 *
 * Evidence: signed messages that cannot all be an honest signer's, in one document that a third
 * party checks with nothing but the roster (PROTOCOL.md, "Evidence").
 */
#ifndef RN_CRYPTO_SECAGG_EVIDENCE_H
#define RN_CRYPTO_SECAGG_EVIDENCE_H

#include "base/bytes.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/memberset.h"

struct rn_roster;

enum rn_sa_evidence_kind {
    /* Two envelopes of one signer in one session, of which an honest one signs one. */
    RN_SA_EVIDENCE_ENVELOPES = 1,
    /* Two whole certificates of one session (of survivors, or an abort), that exclude each other:
     * against the coordinator, and against every member whose vote stands in both. */
    RN_SA_EVIDENCE_CERTIFICATES,
    /* Two members' whole receipts of one T2 and one sum that name different adapters: one of the
     * two computed something else; it does not say which. */
    RN_SA_EVIDENCE_RECEIPTS,
    /* The coordinator's whole Result, and the proof (sumproof.h) that the sum it announces is not
     * the sum of the uploads. */
    RN_SA_EVIDENCE_SUM,
    /* A proof of blame (messages.h), and the session that it is of (sessionproof.h): a member
     * revealed a share that is not the one it had acknowledged. */
    RN_SA_EVIDENCE_REVEAL,
    RN_SA_EVIDENCE_LAST_,
};

struct rn_sa_evidence {
    enum rn_sa_evidence_kind kind;
    uint8_t session[RN_HASH_BYTES];
    uint64_t round;
    bool coordinator;         /* proven to have signed both; SUM: a wrong Result */
    struct rn_sa_set members; /* the same; REVEAL: a false share */
    struct rn_sa_set one_of;  /* RECEIPTS: one of these two */
    enum rn_sa_type types[2]; /* of the two messages */
};

/* Documents of kind REVEAL that one session gives: of the blamed members of the lowest places. */
#define RN_SA_REVEAL_EVIDENCE_MAX 8u

/* Appends the document. ENVELOPES keeps the first RN_SA_ENVELOPE_BYTES of each. */
void rn_sa_evidence_write(enum rn_sa_evidence_kind kind, struct rn_view first,
                          struct rn_view second, struct rn_buffer *out);

/* Whom does it prove to have contradicted itself? Verifies every signature that it leans on against
 * the roster's keys, and nothing else is taken on trust. RN_E_PEER_FORMAT for what is no evidence,
 * RN_E_PEER_AUTH for a signature that is not the signer's, RN_E_PEER_PROTOCOL when the messages do
 * not contradict each other. *out is written only on success. */
RN_MUST rn_result rn_sa_evidence_check(struct rn_view bytes, const struct rn_roster *roster,
                                       struct rn_sa_evidence *out, struct rn_error *err);

#endif
