/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's decisions as a state machine without input or output: which offers it takes, what it
 * trains, when it follows without a part, the step from a checked sum to its next adapter, when the
 * job is over for it. The session inside is crypto/secagg's member. A step takes an input and a
 * time and appends effects (effects.h); nothing here reads a clock, writes a log, or knows a
 * thread, file or socket.
 *
 *     rn_participation_new     takes up the journalled state -> first effects
 *     rn_participation_step    input, now -> effects
 *     rn_participation_chunk   pulled by the driver for a BULK effect
 *     rn_participation_view    where this site stands, for status
 *     rn_participation_free    wipes the secrets of a running session
 *
 * Parts: participation.c (inputs, publication, drain, end), partlink.c (greeting, welcome,
 * closing), partsigners.c (the policy's signatures), partepoch.c (the drawing of the share graph),
 * partsession.c (offers, the member machine),
 * partactions.c (its actions as effects), partround.c (training, sum to adapter, restart),
 * partstop.c (the end of the job by a member's signature).
 *
 * Claims, whatever the coordinator does (each a test of tests/simulation/test_job_*):
 *   - an offer is taken only for the plan, the adapter and the attempt numbers of this site's own
 *     signed plan;
 *   - before the policy has the signatures of the plan that it asks for, durable at this site and
 *     each verified against this site's roster and plan, no offer is taken, nothing is trained, and
 *     nothing is said but greetings, status and a stop; the coordinator can withhold a signature,
 *     and neither forge one nor take one away;
 *   - where the plan needs a share graph, no offer is taken before its seed is here, from
 *     the reveals of all whom one set of commitments lists; it reveals under one set an attempt,
 *     and in none below one in which it revealed, however often it restarts with its records;
 *   - nothing is sent that depends on a record which is not durable (crypto/secagg/PROTOCOL.md);
 *   - from the step on in which its operator stops the job, or it hears a stop that a member
 * signed, it trains nothing and takes part in no session; over restarts, too. What it said before
 *     stands;
 *   - an adapter is published as final only when this site arrived at it by the sums of at least
 *     one round and knows of none that it misses.
 */
#ifndef RN_SERVICES_FEDERATION_PARTICIPATION_H
#define RN_SERVICES_FEDERATION_PARTICIPATION_H

#include "policy/rules.h"
#include "policy/signature.h"
#include "services/federation/effects.h"
#include "services/federation/input.h"
#include "services/federation/jobbasis.h"
#include "services/federation/jobevidence.h"
#include "services/federation/jobstop.h"
#include "services/federation/now.h"
#include "services/round/roundmodel.h"

struct rn_participation;

struct rn_participation_config {
    const struct rn_job_basis *basis;
    struct rn_round_model *model;                /* borrowed; changed by steps alone */
    const struct rn_policy *policy;              /* its rules on signers are judged here */
    const struct rn_plan_signatures *signatures; /* that this site holds */
    uint32_t survivors_min;                      /* of the policy: raises the floor F; or 0 */
    uint64_t weight;                             /* example count of the training data */
    const char *name;                            /* own, in the roster */
    bool log;                                    /* keep and cosign the federation's log */
    struct rn_view log_rounds; /* this plan's rounds in the copy, as in a bundle; borrowed in new */
    uint64_t log_size;         /* of the copy */
    /* Where the key of a session's rounding comes from. NULL, as in every service: drawn by
     * basis->random, known to nobody. A simulation rounds alike with masks and without. */
    void (*rounding)(void *context, uint32_t round, struct rn_secret32 *out_key);
    void *rounding_context;
};

/* Takes up what the records say. RN_E_DATA when they do not fit together, RN_E_REFUSED when the
 * policy's rules on signers are broken beyond what more signatures can mend, RN_E_PEER_AUTH when
 * one that this site holds does not hold. */
RN_MUST rn_result rn_participation_new(const struct rn_participation_config *config,
                                       struct rn_now now, struct rn_effects *out_effects,
                                       struct rn_participation **out, struct rn_error *err);
/* NULL is fine. */
void rn_participation_free(struct rn_participation *participation);

void rn_participation_step(struct rn_participation *participation, const struct rn_input *input,
                           struct rn_now now, struct rn_effects *out_effects);

/* Masks, packs and signs one chunk of the upload into out (replacing its content). */
RN_MUST rn_result rn_participation_chunk(struct rn_participation *participation,
                                         const uint8_t session[static RN_HASH_BYTES],
                                         uint32_t chunk, struct rn_buffer *out,
                                         struct rn_error *err);

struct rn_participation_view {
    bool connected;
    bool training;
    bool draining, ending;
    bool in_session;
    bool following;
    bool behind;                       /* knows of a sum that it misses */
    bool draws;                        /* waits for the share graph; takes no offer until then */
    bool outside;                      /* of the graph's epoch: it only follows */
    uint8_t graph_seed[RN_HASH_BYTES]; /* zeros: complete, or not drawn */
    bool waits;                        /* for signatures of the plan: */
    uint32_t signed_by;                /* members that have signed */
    char missing[RN_ERROR_TEXT_MAX];   /* what the policy misses, a sentence; "" unless waits */
    uint32_t next_round;               /* first round without a record here */
    uint32_t rounds, attempt;
    enum rn_sa_stage stage;
    uint64_t stage_age_ms;
    uint64_t sent; /* payload bytes */
    struct rn_round_judgement judgement;
    struct rn_job_stop stop; /* a member ended the job; length 0: none did */
    struct rn_job_evidence evidence;
    enum rn_code outcome;
    uint8_t adapter_hash[RN_HASH_BYTES];
};
void rn_participation_view(const struct rn_participation *participation, struct rn_now now,
                           struct rn_participation_view *out);

#endif
