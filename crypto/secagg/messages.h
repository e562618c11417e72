/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages, one file msg_*.c each, both directions together, in the order of the wire. For each
 * message: _write makes it, _check is the coordinator's check of a member's message, _apply is
 * everybody's check of a broadcast, which then enters the transcript. Frames (signature, session,
 * sender, recipient) were checked by the caller. Every failure is class PEER and changes nothing.
 */
#ifndef RN_CRYPTO_SECAGG_MESSAGES_H
#define RN_CRYPTO_SECAGG_MESSAGES_H

#include "crypto/secagg/lanevector.h"
#include "crypto/secagg/secrets.h"
#include "crypto/secagg/transcript.h"

/* ---- 0 Offer ---- */
void rn_sa_offer_write(const struct rn_sa_transcript *transcript, const uint8_t nonce[static 32],
                       const struct rn_identity *identity, struct rn_buffer *out);
/* Compares with own values (RN_E_ROUND_STALE names the first that differs), then starts the
 * transcript. */
RN_MUST rn_result rn_sa_offer_apply(struct rn_sa_transcript *transcript,
                                    const struct rn_sa_message *message, struct rn_error *err);

/* ---- R0 Ready ---- */
void rn_sa_ready_write(const struct rn_sa_transcript *transcript, uint32_t self,
                       const struct rn_sa_secrets *secrets, const struct rn_identity *identity,
                       struct rn_buffer *out);
/* Key encodings. */
RN_MUST rn_result rn_sa_ready_check(const struct rn_sa_message *message, struct rn_error *err);
/* messages[i]: whole Ready of member i, for members in the set. */
void rn_sa_ready_set_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                           struct rn_buffer *out_body);
/* Enters JOINED. */
RN_MUST rn_result rn_sa_ready_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                        struct rn_error *err);

/* ---- R1 Shares ---- */
/* Fills own slot in secrets, and the message. */
RN_MUST rn_result rn_sa_shares_write(const struct rn_sa_transcript *transcript, uint32_t self,
                                     struct rn_sa_secrets *secrets,
                                     const struct rn_identity *identity, struct rn_buffer *out,
                                     struct rn_error *err);
/* Bytes of the commitments to one polynomial: t - 1 points. */
size_t rn_sa_coefficient_bytes(const struct rn_sa_transcript *transcript);
/* What the signed root is made of: each part can be shown without the others. */
struct rn_sa_shares_hashes {
    uint8_t coefficients[2][RN_HASH_BYTES]; /* of s, of b */
    uint8_t entries[RN_HASH_BYTES];         /* over the leaves of the sealed entries */
};
/* Of a whole body; out_leaves holds 32 bytes for each of the dealer's holders. */
void rn_sa_shares_hash(const struct rn_sa_transcript *transcript, uint32_t dealer,
                       struct rn_view body, uint8_t *out_leaves, struct rn_sa_shares_hashes *out);
void rn_sa_shares_root(const struct rn_sa_transcript *transcript, uint32_t dealer,
                       const struct rn_sa_shares_hashes *hashes, uint8_t out[static RN_HASH_BYTES]);
/* Whole body against the signed root, commitments against their encoding; out_leaves as above. */
RN_MUST rn_result rn_sa_shares_check(const struct rn_sa_transcript *transcript,
                                     const struct rn_sa_message *message, uint8_t *out_leaves,
                                     struct rn_error *err);
/* One dealer's part of the set for one holder. */
struct rn_sa_dealing {
    struct rn_buffer message; /* whole Shares */
    uint8_t *leaves;          /* 32 bytes for each of its holders */
};
/* The commitments to one polynomial in it. */
struct rn_view rn_sa_dealing_coefficients(const struct rn_sa_transcript *transcript,
                                          const struct rn_sa_dealing *dealing,
                                          enum rn_sa_kind kind);
/* share * G as the dealer's commitments fix it, by the judge of crypto/feldman.h. RN_E_PEER_FORMAT
 * when they are no group elements. */
RN_MUST rn_result rn_sa_share_expected(const struct rn_sa_transcript *transcript,
                                       enum rn_sa_kind kind, uint32_t dealer, uint32_t holder,
                                       struct rn_view coefficients, struct rn_point *out,
                                       struct rn_error *err);
/* The same for each of count holders, out[k] of holders[k], by rn_feldman_expect. */
RN_MUST rn_result rn_sa_shares_expected(const struct rn_sa_transcript *transcript,
                                        enum rn_sa_kind kind, uint32_t dealer,
                                        struct rn_view coefficients, const uint32_t *holders,
                                        size_t count, struct rn_point *out, struct rn_error *err);
/* Is this the share of dealer's secret for holder? Coefficients: the commitments that the dealer
 * signed. RN_E_PEER_PROTOCOL when not: the quick answer is yes or is judged again. */
RN_MUST rn_result rn_sa_share_check(const struct rn_sa_transcript *transcript, enum rn_sa_kind kind,
                                    uint32_t dealer, uint32_t holder, struct rn_view coefficients,
                                    const struct rn_scalar *share, struct rn_error *err);
void rn_sa_shares_set_write(const struct rn_sa_transcript *transcript,
                            const struct rn_sa_dealing *dealings, const struct rn_sa_set *dealers,
                            uint32_t holder, struct rn_buffer *out_body);
/* Fixes the dealers and their envelopes; opens every share for self into its slot. The set of
 * valid ones is what the Ack says; the others are complaints. own_envelope: of own Shares, which
 * must be there unchanged if self is among the dealers. */
RN_MUST rn_result rn_sa_shares_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                         uint32_t self, struct rn_sa_secrets *secrets,
                                         struct rn_view own_envelope, struct rn_sa_set *out_valid,
                                         struct rn_error *err);

/* ---- R1 Ack ---- */
void rn_sa_ack_write(const struct rn_sa_transcript *transcript, uint32_t self,
                     const struct rn_sa_set *valid, const struct rn_identity *identity,
                     struct rn_buffer *out);
RN_MUST rn_result rn_sa_ack_check(const struct rn_sa_transcript *transcript,
                                  const struct rn_sa_message *message, struct rn_error *err);
/* For the transcript whose dealers are fixed. */
void rn_sa_ack_set_write(const struct rn_sa_transcript *transcript,
                         const struct rn_buffer *messages, const struct rn_sa_set *set,
                         struct rn_buffer *out_body);
/* U2 that these Acks would give (the coordinator asks before it closes the stage). */
struct rn_sa_set rn_sa_ack_linked(const struct rn_sa_transcript *transcript,
                                  const struct rn_buffer *messages, const struct rn_sa_set *set);
/* Enters LINKED. */
RN_MUST rn_result rn_sa_ack_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                      struct rn_error *err);

/* ---- R2 Upload ---- */
/* Chunks of uploads (sender a member, hash T1) and of sums (the coordinator, T2). */
struct rn_sa_chunk {
    uint32_t chunk;
    struct rn_view packed;
};
void rn_sa_chunk_write(const struct rn_sa_transcript *transcript, uint32_t sender, uint32_t chunk,
                       struct rn_view packed, const struct rn_identity *identity,
                       struct rn_buffer *out);
RN_MUST rn_result rn_sa_chunk_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                   struct rn_sa_chunk *out, struct rn_error *err);
/* Leaf of one chunk, and the root over all layout.chunks leaves. */
void rn_sa_chunk_leaf(const struct rn_sa_transcript *transcript, uint32_t sender,
                      const struct rn_sa_chunk *chunk, uint8_t out[static RN_HASH_BYTES]);
void rn_sa_chunk_root(const struct rn_sa_transcript *transcript, uint32_t sender,
                      const uint8_t *leaves, uint8_t out[static RN_HASH_BYTES]);
void rn_sa_done_write(const struct rn_sa_transcript *transcript, uint32_t self,
                      const uint8_t root[static RN_HASH_BYTES], const struct rn_identity *identity,
                      struct rn_buffer *out);
RN_MUST rn_result rn_sa_done_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                  uint8_t out_root[static RN_HASH_BYTES], struct rn_error *err);
/* Need: bits of the chunks that are missing. */
size_t rn_sa_bits_bytes(const struct rn_sa_transcript *transcript);
void rn_sa_need_write(const struct rn_sa_transcript *transcript, uint32_t recipient,
                      const uint8_t *bits, const struct rn_identity *identity,
                      struct rn_buffer *out);
RN_MUST rn_result rn_sa_need_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                  struct rn_view *out_bits, struct rn_error *err);

/* ---- R3 Vote ---- */
enum rn_sa_vote { RN_SA_VOTE_NONE = 0, RN_SA_VOTE_SURVIVORS = 1, RN_SA_VOTE_ABORT = 2 };
void rn_sa_survivors_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                           struct rn_buffer *out_body);
/* May this set become U3? Floor, subset of U2, and enough holders in it for every member of U2. */
RN_MUST rn_result rn_sa_survivors_allowed(const struct rn_sa_transcript *transcript,
                                          const struct rn_sa_set *set, struct rn_error *err);
/* Enters SURVIVORS. */
RN_MUST rn_result rn_sa_survivors_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                        struct rn_error *err);
void rn_sa_vote_write(const struct rn_sa_transcript *transcript, uint32_t self,
                      enum rn_sa_vote vote, const struct rn_identity *identity,
                      struct rn_buffer *out);
/* A survivors vote must name this transcript's T2, an abort vote no T2. */
RN_MUST rn_result rn_sa_vote_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                  enum rn_sa_vote *out_vote, struct rn_error *err);
/* Body of a certificate or abort certificate. */
void rn_sa_votes_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                       struct rn_buffer *out_body);
/* Enters CERTIFIED. */
RN_MUST rn_result rn_sa_certificate_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                          struct rn_error *err);
/* What is needed to check an abort certificate, also long after the session. */
struct rn_sa_abort_claim {
    const struct rn_roster *roster;
    uint8_t session[RN_HASH_BYTES];
    uint64_t round;
    uint8_t t0[RN_HASH_BYTES];
    struct rn_sa_set joined;
    uint32_t quorum;
};
RN_MUST rn_result rn_sa_abort_certificate_check(const struct rn_sa_abort_claim *claim,
                                                struct rn_view body, struct rn_error *err);
/* last: the coordinator has given the session up and does not wait for votes. */
void rn_sa_abort_call_write(const struct rn_sa_transcript *transcript, uint32_t reason, bool last,
                            const struct rn_identity *identity, struct rn_buffer *out);
RN_MUST rn_result rn_sa_abort_call_read(struct rn_view body, bool *out_last, struct rn_error *err);

/* ---- R4 Unmask ---- */
/* Members whose shares this one may have: of whom its Reveal has an entry. */
struct rn_sa_set rn_sa_reveal_members(const struct rn_sa_transcript *transcript, uint32_t holder);
/* After rn_sa_slots_choose; refuses (a bug) slots in state BOTH. */
void rn_sa_reveal_write(const struct rn_sa_transcript *transcript, uint32_t self,
                        const struct rn_sa_secrets *secrets, const struct rn_identity *identity,
                        struct rn_buffer *out);
struct rn_sa_revealed {
    bool held; /* a share came */
    struct rn_scalar share;
};
/* One per member of the roster; those of whom the sender owes nothing stay unset.
 * RN_E_PEER_PROTOCOL when the kinds are not those that U3 dictates, or a share is missing that the
 * sender acknowledged. */
RN_MUST rn_result rn_sa_reveal_read(const struct rn_sa_transcript *transcript, uint32_t sender,
                                    struct rn_view body, struct rn_sa_revealed *out,
                                    struct rn_error *err);

/* ---- Blame, a part of Result ---- */
/* Bytes of one proof against this holder. */
size_t rn_sa_blame_bytes(const struct rn_sa_transcript *transcript, uint32_t holder);
/* The sender of this whole Reveal gave a false share of dealer's secret. */
void rn_sa_blame_write(const struct rn_sa_transcript *transcript, uint32_t dealer,
                       const struct rn_sa_dealing *dealing, struct rn_view reveal,
                       struct rn_buffer *out);
/* Class PEER: it is no proof. */
RN_MUST rn_result rn_sa_blame_read(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                                   uint32_t *out_holder, struct rn_error *err);

/* ---- R5 Result ---- */
/* Proofs of blame, in the order of those they blame. */
struct rn_sa_proofs {
    uint32_t count;
    struct rn_buffer bytes;
};
/* secrets[i] for members i of U2: b_i of survivors, s_i of the others. */
void rn_sa_result_write(const struct rn_sa_transcript *transcript,
                        const uint8_t root[static RN_HASH_BYTES], const struct rn_scalar *secrets,
                        const struct rn_sa_proofs *proofs, struct rn_buffer *out_body);
/* Most bytes of proofs that a Result takes beside its secrets. */
size_t rn_sa_result_room(const struct rn_sa_transcript *transcript);
/* Enters RESULT: secrets checked against what their members published, and every proof of blame. */
RN_MUST rn_result rn_sa_result_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                     struct rn_error *err);
/* Does the secret match what its member published in R0? */
bool rn_sa_secret_matches(const struct rn_sa_transcript *transcript, uint32_t member,
                          const struct rn_scalar *secret);
void rn_sa_receipt_write(const struct rn_sa_transcript *transcript, uint32_t self,
                         const uint8_t adapter_hash[static RN_HASH_BYTES],
                         const struct rn_identity *identity, struct rn_buffer *out);
/* The sum's root must be ours. */
RN_MUST rn_result rn_sa_receipt_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                     uint8_t out_adapter_hash[static RN_HASH_BYTES],
                                     struct rn_error *err);
/* messages[i]: whole Receipt of member i, for members in the set. */
void rn_sa_receipts_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                          struct rn_buffer *out_body);
/* Enters RECEIPTED: Q receipts or more, over our sum's root and one adapter. */
RN_MUST rn_result rn_sa_receipts_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                       struct rn_error *err);

/* ---- R5 Audit ---- */
/* What a member lacks for its replay: the leaves of these members' uploads, or one chunk of them.
 */
struct rn_sa_audit_request {
    bool leaves;
    uint32_t chunk; /* 0 for leaves */
    struct rn_sa_set members;
};
void rn_sa_audit_write(const struct rn_sa_transcript *transcript, uint32_t self,
                       const struct rn_sa_audit_request *request,
                       const struct rn_identity *identity, struct rn_buffer *out);
RN_MUST rn_result rn_sa_audit_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                   struct rn_sa_audit_request *out, struct rn_error *err);
/* leaves: layout.chunks * 32 bytes. */
void rn_sa_leaves_write(const struct rn_sa_transcript *transcript, uint32_t member,
                        const uint8_t *leaves, const struct rn_identity *identity,
                        struct rn_buffer *out);
/* Checked against the root that the member's Done signs. out_leaves is borrowed from body. */
RN_MUST rn_result rn_sa_leaves_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                    uint32_t *out_member, struct rn_view *out_leaves,
                                    struct rn_error *err);
/* The root in the Done of a survivor. */
void rn_sa_done_root(const struct rn_sa_transcript *transcript, uint32_t member,
                     uint8_t out[static RN_HASH_BYTES]);

/* ---- Follow ---- */
/* bits: wanted chunks of the sum, at level RESULT; else NULL. */
void rn_sa_follow_write(const struct rn_sa_transcript *transcript, uint32_t self,
                        const uint8_t *bits, const struct rn_identity *identity,
                        struct rn_buffer *out);
RN_MUST rn_result rn_sa_follow_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                                    enum rn_sa_level *out_level, struct rn_view *out_bits,
                                    struct rn_error *err);

#endif
