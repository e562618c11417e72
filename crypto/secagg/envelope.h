/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame around every message (PROTOCOL.md, "Frame"): a fixed header, an Ed25519 signature over
 * it, and the body that the header names by length and hash. Parsing checks structure, verifying
 * checks signature and hash; nothing in a body is looked at before both.
 */
#ifndef RN_CRYPTO_SECAGG_ENVELOPE_H
#define RN_CRYPTO_SECAGG_ENVELOPE_H

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/secagg/memberset.h"
#include "crypto/sha256.h"

#define RN_SA_HEADER_BYTES 128u
#define RN_SA_ENVELOPE_BYTES (RN_SA_HEADER_BYTES + RN_SIGNATURE_BYTES)

enum rn_sa_type {
    RN_SA_OFFER = 1,
    RN_SA_READY,
    RN_SA_READY_SET,
    RN_SA_SHARES,
    RN_SA_SHARES_SET,
    RN_SA_ACK,
    RN_SA_ACK_SET,
    RN_SA_CHUNK,
    RN_SA_DONE,
    RN_SA_NEED,
    RN_SA_SURVIVORS,
    RN_SA_VOTE,
    RN_SA_CERTIFICATE,
    RN_SA_ABORT_CALL,
    RN_SA_ABORT_CERTIFICATE,
    RN_SA_REVEAL,
    RN_SA_RESULT,
    RN_SA_SUM_CHUNK,
    RN_SA_RECEIPT,
    RN_SA_FOLLOW,
    RN_SA_AUDIT,
    RN_SA_LEAVES,
    RN_SA_RECEIPTS,
    RN_SA_TYPE_LAST_,
};

struct rn_sa_message {
    enum rn_sa_type type;
    uint8_t session[RN_HASH_BYTES];
    uint64_t round;
    uint32_t sender;
    uint32_t recipient;
    uint8_t transcript[RN_HASH_BYTES];
    uint8_t body_hash[RN_HASH_BYTES];
    struct rn_view envelope; /* header and signature, borrowed */
    struct rn_view body;     /* borrowed; empty when only the envelope was parsed */
    struct rn_view whole;    /* envelope and body */
};

/* Body sizes. */
#define RN_SA_OFFER_BODY (7u * 32u + 8u + 4u + 4u)
#define RN_SA_READY_BODY (3u * 32u)
#define RN_SA_READY_BYTES (RN_SA_ENVELOPE_BYTES + RN_SA_READY_BODY)
#define RN_SA_SEALED_BYTES (4u + 4u + 3u * 32u + 16u)
#define RN_SA_SET_BYTES (RN_SA_MEMBERS_MAX / 8u)
#define RN_SA_ACK_BODY (RN_SA_SET_BYTES + 32u)
#define RN_SA_ACK_BYTES (RN_SA_ENVELOPE_BYTES + RN_SA_ACK_BODY)
#define RN_SA_DONE_BODY (4u + 8u + 32u)
#define RN_SA_DONE_BYTES (RN_SA_ENVELOPE_BYTES + RN_SA_DONE_BODY)
#define RN_SA_VOTE_BODY (4u + 32u)
#define RN_SA_VOTE_BYTES (RN_SA_ENVELOPE_BYTES + RN_SA_VOTE_BODY)
#define RN_SA_REVEAL_ENTRY (4u + 4u + 32u)
#define RN_SA_RESULT_ENTRY (4u + 4u + 32u)
#define RN_SA_RECEIPT_BODY (2u * 32u)
#define RN_SA_RECEIPT_BYTES (RN_SA_ENVELOPE_BYTES + RN_SA_RECEIPT_BODY)
#define RN_SA_AUDIT_BODY (2u * 4u + RN_SA_SET_BYTES)
#define RN_SA_ABORT_CALL_BODY (2u * 4u)
#define RN_SA_CHUNK_HEAD (8u + 4u)

/* Most bytes of any message. */
#define RN_SA_MESSAGE_MAX ((size_t)2 << 20)

/* Static lower-case text of a known type. */
const char *rn_sa_type_name(enum rn_sa_type type);
bool rn_sa_type_from_coordinator(enum rn_sa_type type);

/* RN_E_PEER_FORMAT, RN_E_PEER_LIMIT. *out is written only on success. */
RN_MUST rn_result rn_sa_message_parse(struct rn_view bytes, struct rn_sa_message *out,
                                      struct rn_error *err);
/* The envelope alone, without its body. */
RN_MUST rn_result rn_sa_envelope_parse(struct rn_view bytes, struct rn_sa_message *out,
                                       struct rn_error *err);
/* Signature alone, for envelopes. */
RN_MUST rn_result rn_sa_envelope_verify(const struct rn_sa_message *message,
                                        const struct rn_identity_public *key, struct rn_error *err);
/* Signature, and the hash of the body. (Of SHARES, whose hash is a root over parts, the signature
 * alone: rn_sa_shares_check.) */
RN_MUST rn_result rn_sa_message_verify(const struct rn_sa_message *message,
                                       const struct rn_identity_public *key, struct rn_error *err);

/* Everything that a new message says; its header is made from it. */
struct rn_sa_outgoing {
    enum rn_sa_type type;
    const uint8_t *session;
    uint64_t round;
    uint32_t sender;
    uint32_t recipient;
    const uint8_t *transcript;
    struct rn_view body;
    const uint8_t *body_hash; /* NULL: the hash of the body */
};
/* Replaces the content of out. */
void rn_sa_message_write(const struct rn_sa_outgoing *message, const struct rn_identity *identity,
                         struct rn_buffer *out);

#endif
