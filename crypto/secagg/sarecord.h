/* SPDX-License-Identifier: Apache-2.0
 *
 * Journal records of both machines (PROTOCOL.md, "Journal"): a small frame, then plain fields and
 * whole messages. Records are read back from the own disk, so a wrong one is RN_E_DATA.
 */
#ifndef RN_CRYPTO_SECAGG_SARECORD_H
#define RN_CRYPTO_SECAGG_SARECORD_H

#include "base/bytes.h"
#include "crypto/sha256.h"

enum rn_sa_record_kind {
    /* member */
    RN_SA_RECORD_JOINED = 1, /* before Ready; kept */
    RN_SA_RECORD_DEALT,      /* before Shares: T0 */
    RN_SA_RECORD_SPENT,      /* before Done; kept */
    RN_SA_RECORD_VOTED,      /* before Vote */
    RN_SA_RECORD_REVEALED,   /* before Reveal: its bytes */
    RN_SA_RECORD_CLOSED,     /* abort certificate; kept */
    RN_SA_RECORD_BLAMED,     /* a Result with proofs of blame; kept */
    RN_SA_RECORD_RECEIPTED,  /* before Receipt: its bytes */
    /* coordinator */
    RN_SA_RECORD_OFFER = 32,
    RN_SA_RECORD_READY_SET,
    RN_SA_RECORD_SHARES,
    RN_SA_RECORD_ACK_SET,
    RN_SA_RECORD_SURVIVORS, /* with the masked sum */
    RN_SA_RECORD_CERTIFICATE,
    RN_SA_RECORD_RESULT, /* with the sum */
    RN_SA_RECORD_ABORT_CALL,
    RN_SA_RECORD_ABORT_CERTIFICATE,
    RN_SA_RECORD_RECEIPTS, /* the adapter is fixed */
};

struct rn_sa_record {
    enum rn_sa_record_kind kind;
    uint8_t session[RN_HASH_BYTES];
    struct rn_reader body; /* borrowed */
};

/* Starts a record; the caller appends the body. */
void rn_sa_record_begin(struct rn_buffer *out, enum rn_sa_record_kind kind,
                        const uint8_t session[static RN_HASH_BYTES]);
RN_MUST rn_result rn_sa_record_read(struct rn_view bytes, struct rn_sa_record *out,
                                    struct rn_error *err);

#endif
