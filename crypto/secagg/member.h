/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's side of one secure-aggregation session (PROTOCOL.md), as a state machine without
 * input or output: it takes messages, ticks and answers of the service, and returns actions.
 *
 * Life of a session in a service:
 *
 *   rn_sa_offer_read(bytes)            what is offered? find own plan, adapter, policy
 *   rn_sa_member_new(config)           with own values of round, hashes and counts
 *   rn_sa_member_receive(offer bytes)  -> WANT_INPUT when the offer matches own values
 *   ... train ...
 *   rn_sa_member_input()               -> PERSIST, SEND Ready
 *   rn_sa_member_receive(...)          as messages come; rn_sa_member_tick() every second or so
 *     SEND_BULK: rn_sa_member_chunk() for each wanted chunk, send, then rn_sa_member_bulk_sent()
 *     SUM: rn_sa_member_sum_read(), which adapter would follow? rn_sa_member_adapter(its hash)
 *     APPLY: rn_sa_member_sum_read(), take that adapter, rn_sa_member_applied(its hash)
 *     FINISHED or ABORTED: rn_sa_member_free()
 *
 * After a restart: rn_sa_spent_load() with every kept record, then, for a session whose records are
 * in the journal, rn_sa_member_resume(). The secrets of a session live in memory alone, so such a
 * member no longer helps to unmask, unless its answer (R4) was journalled: then it sends the same
 * bytes again. It still follows the public transcript, gets the sum, and may vote ABORT if it had
 * not voted.
 *
 * A failed receive is the other side's fault (class PEER), says why, and changed nothing; it may
 * still give an EVIDENCE action, so execute the actions in every case. Messages may come late,
 * twice, or out of order.
 */
#ifndef RN_CRYPTO_SECAGG_MEMBER_H
#define RN_CRYPTO_SECAGG_MEMBER_H

#include "base/parallel.h"
#include "crypto/secagg/actions.h"
#include "crypto/secagg/params.h"

struct rn_identity;
struct rn_secret32;
struct rn_sa_spent;
struct rn_sa_member;

/* The vector to sum: fills out[0 .. count) with elements [first, first + count), each <= value_max.
 * Called again for the same range (resends), it must give the same values. */
struct rn_sa_input {
    rn_result (*read)(void *context, uint64_t first, uint32_t count, uint64_t *out,
                      struct rn_error *err);
    void *context;
};

struct rn_sa_member_config {
    const struct rn_identity *identity; /* borrowed, like all pointers here */
    uint32_t self;                      /* own place in the roster */
    uint32_t local_minimum;             /* of the member's own policy: raises F; or 0 */
    uint32_t threshold_min;             /* of the member's own policy: least t; or 0 */
    struct rn_sa_params params;
    struct rn_sa_context context;
    struct rn_sa_spent *spent; /* the one ledger of this identity */
    /* 32 fresh bytes from rn_random_bytes; copied into secret memory. Everything random in the
     * session follows from them and the session id. */
    const struct rn_secret32 *seed;
    struct rn_sa_input input;
    const struct rn_secret32 *group;    /* G of a blind job; NULL of an open one */
    const struct rn_parallel *parallel; /* what replay is split over; NULL: one thread */
    bool follows; /* will take no part but only follow: a spent update is then no reason to refuse
                     the offer (rn_sa_member_input still is refused), (round, attempt) has to go up
                     all the same, and the machine never votes */
};

/* What an offer says, for looking up own values. Nothing in it is to be believed. */
struct rn_sa_offer {
    uint8_t session[RN_HASH_BYTES];
    uint8_t plan_hash[RN_HASH_BYTES];
    uint8_t base_hash[RN_HASH_BYTES];
    uint8_t adapter_hash[RN_HASH_BYTES];
    uint64_t round;
    uint32_t attempt;
    uint32_t active;
};
/* Parses and checks the coordinator's signature. */
RN_MUST rn_result rn_sa_offer_read(struct rn_view message, const struct rn_roster *roster,
                                   struct rn_sa_offer *out, struct rn_error *err);
/* The session id of any message: which machine is it for? False when it is too short to be one. */
bool rn_sa_message_session(struct rn_view message, uint8_t out[static RN_HASH_BYTES]);

/* RN_E_CONFIG when the plan is infeasible, RN_E_REFUSED when t is below threshold_min, RN_E_USAGE
 * when config contradicts itself. */
RN_MUST rn_result rn_sa_member_new(const struct rn_sa_member_config *config,
                                   struct rn_sa_member **out, struct rn_error *err);
/* From the session's records, in order; config as in the first run (input may be empty: it is not
 * read). RN_E_DATA when they are not a journal of this session. */
RN_MUST rn_result rn_sa_member_resume(const struct rn_sa_member_config *config,
                                      const struct rn_view *records, size_t count, uint64_t now_ms,
                                      struct rn_sa_actions *out_actions, struct rn_sa_member **out,
                                      struct rn_error *err);
/* Wipes every secret. NULL is fine. */
void rn_sa_member_free(struct rn_sa_member *member);

/* One message of the coordinator. Class PEER: refused, nothing changed. RN_E_ROUND_SPENT or
 * RN_E_ROUND_STALE: an offer that this member must not or cannot join; the text says why. */
RN_MUST rn_result rn_sa_member_receive(struct rn_sa_member *member, struct rn_view message,
                                       uint64_t now_ms, struct rn_sa_actions *out_actions,
                                       struct rn_error *err);
void rn_sa_member_tick(struct rn_sa_member *member, uint64_t now_ms,
                       struct rn_sa_actions *out_actions);
/* After a reconnect: the last message once more, byte for byte. */
void rn_sa_member_resend(struct rn_sa_member *member, uint64_t now_ms,
                         struct rn_sa_actions *out_actions);

/* Answers to WANT_INPUT: the update is trained and can be read; or: take no part (until bulk_sent;
 * later it does nothing), but follow the session to its sum. */
RN_MUST rn_result rn_sa_member_input(struct rn_sa_member *member, uint64_t now_ms,
                                     struct rn_sa_actions *out_actions, struct rn_error *err);
void rn_sa_member_follow(struct rn_sa_member *member, uint64_t now_ms,
                         struct rn_sa_actions *out_actions);

/* Masks, packs and signs one chunk of the upload into out (replacing its content). RN_E_USAGE when
 * no upload is asked for. When the input callback fails, or gives a value above value_max
 * (RN_E_ROUND_NUMERIC), call rn_sa_member_follow. */
RN_MUST rn_result rn_sa_member_chunk(struct rn_sa_member *member, uint32_t chunk,
                                     struct rn_buffer *out, struct rn_error *err);
/* All wanted chunks were handed to the transport: -> PERSIST, SEND Done. */
RN_MUST rn_result rn_sa_member_bulk_sent(struct rn_sa_member *member, uint64_t now_ms,
                                         struct rn_sa_actions *out_actions, struct rn_error *err);

/* From SUM or APPLY on: the sum itself, of a blind job too. Elements [first, first + count) of the
 * sum over `contributors` members. */
struct rn_sa_sum_info {
    uint64_t elements;
    struct rn_sa_set survivors;        /* U3: whose values are in the sum */
    uint32_t contributors;             /* |U3| */
    uint8_t transcript[RN_HASH_BYTES]; /* T2 */
    uint8_t sum_hash[RN_HASH_BYTES];
    uint8_t adapter_hash[RN_HASH_BYTES]; /* that follows, by a quorum of receipts; zero before */
    struct rn_sa_set blamed;             /* proven: each signed a false share */
};
RN_MUST rn_result rn_sa_member_sum_info(const struct rn_sa_member *member,
                                        struct rn_sa_sum_info *out, struct rn_error *err);
RN_MUST rn_result rn_sa_member_sum_read(const struct rn_sa_member *member, uint64_t first,
                                        uint32_t count, uint64_t *out, struct rn_error *err);
/* After SUM: the hash of the adapter that would follow: -> PERSIST, SEND Receipt. */
RN_MUST rn_result rn_sa_member_adapter(struct rn_sa_member *member,
                                       const uint8_t adapter_hash[static RN_HASH_BYTES],
                                       uint64_t now_ms, struct rn_sa_actions *out_actions,
                                       struct rn_error *err);

/* After APPLY: the adapter that was taken: -> FINISHED, or ABORTED (RN_SA_REASON_ADAPTER_DIFFERS)
 * when it is not the one of the certificate. Compare with rn_sa_sum_info before it is taken. */
RN_MUST rn_result rn_sa_member_applied(struct rn_sa_member *member,
                                       const uint8_t adapter_hash[static RN_HASH_BYTES],
                                       uint64_t now_ms, struct rn_sa_actions *out_actions,
                                       struct rn_error *err);

enum rn_sa_stage rn_sa_member_stage(const struct rn_sa_member *member);

#endif
