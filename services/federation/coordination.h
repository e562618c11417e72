/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator's decisions as a state machine without input or output: which round and attempt
 * is next, who is waited for, what a member that was away gets, when the job is over. The sessions
 * inside are crypto/secagg's aggregator. A step takes an input and a time and appends effects
 * (effects.h); nothing here reads a clock, writes a log, or knows a thread, file or socket.
 *
 *     rn_coordination_new     takes up the journalled state -> first effects
 *     rn_coordination_step    input, now -> effects
 *     rn_coordination_chunk   pulled by the driver for a BULK effect
 *     rn_coordination_view    where the job stands, for status and metrics
 *     rn_coordination_free
 *
 * Parts: coordination.c (phases: gather, session, linger), coordsession.c (one session: the
 * aggregator's actions to effects, time-outs that need not be sat through), coordoutcome.c (what a
 * finished or aborted session means for the job), coordsigners.c (the plan's signatures, for the
 * members), coordstop.c (a member's stop), coordepoch.c (the drawing of the share graph),
 * coordpeers.c (connections, greeting, status), catchup.c (members that were away), coordrecord.c
 * (records, pruning, restart).
 *
 * Claims, for any peers (each a test of tests/simulation/test_job_*):
 *   - a round is summed once: no session of a round begins after one of it may have reached a sum,
 *     or after updates were spent without an abort certificate (crypto/secagg/PROTOCOL.md, A9);
 *   - where the plan needs a share graph, no session begins before it is drawn; one set of
 *     commitments is shown in an attempt, at most 16 attempts are made, and who does not reveal is
 *     in none after that, whenever the coordinator restarts with its records;
 *   - nothing is sent that depends on a record which is not durable;
 *   - a terminal end is remembered: a restarted job ends with the same code and offers nothing;
 *   - a stop that a member signed for this plan ends the job as the operator's word does, and goes
 *     to everybody who greets; nobody else's does, and only the first;
 *   - whole vectors are kept until every member has a receipt for their round, or a limit is
 *     reached, then pruned; the newest summed round's are kept in any case;
 *   - a coordinator whose state is older than what more than n_c members have behind them offers
 *     nothing more and says so; one member alone cannot make it.
 */
#ifndef RN_SERVICES_FEDERATION_COORDINATION_H
#define RN_SERVICES_FEDERATION_COORDINATION_H

#include "policy/signature.h"
#include "services/federation/effects.h"
#include "services/federation/input.h"
#include "services/federation/jobbasis.h"
#include "services/federation/jobevidence.h"
#include "services/federation/jobstop.h"
#include "services/federation/now.h"
#include "services/round/roundmodel.h"

struct rn_sa_spool;

struct rn_coordination;

struct rn_coordination_config {
    const struct rn_job_basis *basis;
    const struct rn_plan_signatures *signatures; /* collected so far; copied */
    struct rn_round_model *model;                /* borrowed; changed by steps alone */
    uint64_t spool_bytes;            /* unfinished uploads in memory at most; 0: the default */
    uint64_t kept_bytes;             /* whole vectors on disk for members away; 0: the default */
    uint64_t share_bytes;            /* sets of shares that left and are not answered; 0: the
                                        default */
    bool log;                        /* keep the federation's log */
    const struct rn_sa_spool *spool; /* where they go above that; NULL: refused as busy */
};

/* Takes up what the records say. RN_E_DATA when they do not fit together, RN_E_PEER_AUTH when a
 * signature does not hold. */
RN_MUST rn_result rn_coordination_new(const struct rn_coordination_config *config,
                                      struct rn_now now, struct rn_effects *out_effects,
                                      struct rn_coordination **out, struct rn_error *err);
/* NULL is fine. */
void rn_coordination_free(struct rn_coordination *coordination);

void rn_coordination_step(struct rn_coordination *coordination, const struct rn_input *input,
                          struct rn_now now, struct rn_effects *out_effects);

/* One chunk of the sum of a session as a signed message into out (replacing its content).
 * RN_E_USAGE when the session is not held any more: the driver forgets the rest. */
RN_MUST rn_result rn_coordination_chunk(struct rn_coordination *coordination,
                                        const uint8_t session[static RN_HASH_BYTES], uint32_t chunk,
                                        struct rn_buffer *out, struct rn_error *err);

/* ---- View */

enum rn_coordination_phase {
    RN_COORDINATION_GATHER,  /* waiting for members before the next session */
    RN_COORDINATION_EPOCH,   /* the share graph is drawn, before the first session */
    RN_COORDINATION_SESSION, /* a session is running */
    RN_COORDINATION_LINGER,  /* the rounds are over; members that are behind get their sums */
    RN_COORDINATION_ENDED,
};

struct rn_coordination_member {
    bool connected;
    bool missing;     /* the stage waits for this one */
    bool declined;    /* takes no part in this attempt */
    bool waits;       /* takes no offer before it holds more signatures of the plan */
    bool stranded;    /* what it lacks is not kept any more */
    bool blamed;      /* proven faulty in this job; it only follows from then on */
    bool outside;     /* not in the epoch of the share graph: it only follows */
    enum rn_code why; /* of declined, or of the last refusal */
    uint32_t next_round;
    uint64_t since_ms; /* connected, or absent, for so long */
    uint64_t received; /* payload bytes */
};

struct rn_coordination_view {
    enum rn_coordination_phase phase;
    uint32_t round, rounds, attempt;
    uint32_t summed, skipped;
    enum rn_sa_stage stage;
    uint64_t stage_age_ms;
    uint64_t stage_left_ms; /* until the hard time-out; 0: none */
    struct rn_round_judgement judgement;
    enum rn_code outcome; /* of the job so far */
    bool draining;
    bool blind; /* members hold the adapter; the hash is their word */
    uint8_t adapter_hash[RN_HASH_BYTES];
    const char *graph_step; /* EPOCH: whose entries are waited for, static; NULL: nobody's yet */
    uint32_t graph_attempt; /* at the share graph; 0: none, or it needs none */
    bool graph_drawn;
    uint8_t graph_seed[RN_HASH_BYTES]; /* zeros until it is drawn */
    struct rn_plan_signers signers;    /* whose signatures of the plan are here */
    struct rn_job_stop stop;           /* a member ended the job; length 0: none did */
    struct rn_job_evidence evidence;
    uint32_t member_count;
    struct rn_coordination_member members[RN_SA_MEMBERS_MAX];
};
void rn_coordination_view(const struct rn_coordination *coordination, struct rn_now now,
                          struct rn_coordination_view *out);

#endif
