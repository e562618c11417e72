/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator's side of one secure-aggregation session (PROTOCOL.md), as a state machine
 * without input or output.
 *
 *   rn_sa_aggregator_new(config), rn_sa_aggregator_start()   -> PERSIST, SEND Offer
 *   rn_sa_aggregator_receive(from, bytes)                    from = who the transport says it is
 *   rn_sa_aggregator_tick()                                  every second or so
 *     SEND_SHARES: rn_sa_aggregator_share_set() for each member in `to`, one after the other
 *     SEND_BULK: rn_sa_aggregator_chunk() for each wanted piece, to every member in `to`
 *     APPLY: rn_sa_aggregator_sum_read(), take the adapter
 *     FINISHED or ABORTED: keep the machine as long as members that were away shall be able to
 *     follow, then rn_sa_aggregator_free()
 *
 * After a restart: rn_sa_aggregator_resume() with the session's records. Uploads that were not yet
 * in the journal are asked for again; members send the same bytes.
 */
#ifndef RN_CRYPTO_SECAGG_AGGREGATOR_H
#define RN_CRYPTO_SECAGG_AGGREGATOR_H

#include "base/parallel.h"
#include "crypto/secagg/actions.h"
#include "crypto/secagg/params.h"
#include "crypto/secagg/spool.h"

struct rn_identity;
struct rn_sa_aggregator;
struct rn_sa_sum_info;

struct rn_sa_aggregator_config {
    const struct rn_identity *identity; /* the coordinator's; borrowed */
    struct rn_sa_params params;
    struct rn_sa_context context;
    uint8_t nonce[32]; /* fresh from rn_random_bytes; ignored by resume */
    /* Most bytes of uploads that are not complete yet, held in memory; 0: the default. Beyond it
     * whole uploads lie in the spool; without one, or when it fails, a chunk is refused with
     * RN_E_BUSY and asked for again later. */
    uint64_t spool_bytes_max;
    const struct rn_sa_spool *spool; /* borrowed; NULL: none */
    /* Members that earlier sessions of this roster speak against, by proof or by their silence: no
     * offer goes to them, and what they send to join is refused. They may follow to the sum. */
    struct rn_sa_set excluded;
    /* What unmasking is split over; borrowed. NULL: the calling thread alone. */
    const struct rn_parallel *parallel;
};
#define RN_SA_SPOOL_BYTES_DEFAULT ((uint64_t)4 << 30)

/* RN_E_CONFIG infeasible plan, RN_E_MEMORY one vector alone exceeds spool_bytes_max without a
 * spool.
 */
RN_MUST rn_result rn_sa_aggregator_new(const struct rn_sa_aggregator_config *config,
                                       struct rn_sa_aggregator **out, struct rn_error *err);
RN_MUST rn_result rn_sa_aggregator_resume(const struct rn_sa_aggregator_config *config,
                                          const struct rn_view *records, size_t count,
                                          uint64_t now_ms, struct rn_sa_actions *out_actions,
                                          struct rn_sa_aggregator **out, struct rn_error *err);
/* NULL is fine. */
void rn_sa_aggregator_free(struct rn_sa_aggregator *aggregator);

void rn_sa_aggregator_start(struct rn_sa_aggregator *aggregator, uint64_t now_ms,
                            struct rn_sa_actions *out_actions);
/* Class PEER: refused, nothing changed, drop or warn this member; RN_E_BUSY: later. Execute the
 * actions in every case: a refused message may be evidence. */
RN_MUST rn_result rn_sa_aggregator_receive(struct rn_sa_aggregator *aggregator, uint32_t from,
                                           struct rn_view message, uint64_t now_ms,
                                           struct rn_sa_actions *out_actions, struct rn_error *err);
void rn_sa_aggregator_tick(struct rn_sa_aggregator *aggregator, uint64_t now_ms,
                           struct rn_sa_actions *out_actions);
/* A member came (back): what it needs to go on, byte for byte as before. */
void rn_sa_aggregator_resend(struct rn_sa_aggregator *aggregator, uint32_t member,
                             struct rn_sa_actions *out_actions);
/* Calls the session off: members that have uploaded are asked for ABORT votes. Too late, and
 * ignored, once a certificate exists. */
void rn_sa_aggregator_abort(struct rn_sa_aggregator *aggregator, uint64_t now_ms,
                            struct rn_sa_actions *out_actions);

/* The member's set of shares as a signed message into out (replacing its content); the same bytes
 * each time. RN_E_USAGE before there are shares, or when it is not of the session. */
RN_MUST rn_result rn_sa_aggregator_share_set(const struct rn_sa_aggregator *aggregator,
                                             uint32_t member, struct rn_buffer *out,
                                             struct rn_error *err);
/* One chunk of the sum as a signed message into out (replacing its content); beyond those, what a
 * replay needs. RN_E_BUSY when an upload is not kept any more, RN_E_USAGE when the piece is not one
 * of this time. */
RN_MUST rn_result rn_sa_aggregator_chunk(struct rn_sa_aggregator *aggregator, uint32_t chunk,
                                         struct rn_buffer *out, struct rn_error *err);
RN_MUST rn_result rn_sa_aggregator_sum_info(const struct rn_sa_aggregator *aggregator,
                                            struct rn_sa_sum_info *out, struct rn_error *err);
RN_MUST rn_result rn_sa_aggregator_sum_read(const struct rn_sa_aggregator *aggregator,
                                            uint64_t first, uint32_t count, uint64_t *out,
                                            struct rn_error *err);

enum rn_sa_stage rn_sa_aggregator_stage(const struct rn_sa_aggregator *aggregator);
void rn_sa_aggregator_session(const struct rn_sa_aggregator *aggregator,
                              uint8_t out[static RN_HASH_BYTES]);
/* Members whose receipt names this adapter, the one computed here from the sum, and members whose
 * receipt names another (an alarm). */
void rn_sa_aggregator_receipts(const struct rn_sa_aggregator *aggregator,
                               const uint8_t adapter_hash[static RN_HASH_BYTES],
                               struct rn_sa_set *out_agreeing, struct rn_sa_set *out_differing);

#endif
