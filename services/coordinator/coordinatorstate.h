/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the coordinator's service: one struct, owned by the loop's thread, and the functions by
 * which its parts call each other.
 *
 *     coordinatorservice.c   start, restart from the journal, ticks, end
 *     coordinatorlink.c      members' streams, greeting, closing
 *     coordinatorround.c     which round and attempt is next; retry, skip, stop
 *     coordinatorsession.c   the state machine and its actions
 *     coordinatorpast.c      earlier sessions, for members that were away
 *     coordinatorresult.c    sum to adapter, what is written
 */
#ifndef RN_SERVICES_COORDINATOR_COORDINATORSTATE_H
#define RN_SERVICES_COORDINATOR_COORDINATORSTATE_H

#include "crypto/secagg/aggregator.h"
#include "crypto/secagg/member.h"
#include "services/federation/jobrecord.h"
#include "services/host/credwatch.h"
#include "services/host/modeljob.h"
#include "services/host/service.h"
#include "services/host/sigwatch.h"
#include "services/host/streamsend.h"
#include "services/store/journal.h"

/* Earlier sessions that are held in memory at once. */
#define RN_COORDINATOR_PAST_MAX 4

struct rn_coordinator_peer {
    uint32_t index;
    struct rn_rpc_stream *session_stream; /* greeted; NULL while absent */
    struct rn_rpc_stream *bulk_stream;
    struct rn_rpc_stream *bulk_next; /* a newer one, used when the older has ended */
    uint8_t incarnation[RN_WIRE_INCARNATION_BYTES];
    uint32_t next_round;      /* first round the member has no record of */
    uint64_t absent_since_ms; /* monotonic; 0 while present */
    uint64_t progress_ms;     /* last sign of progress while training */
    uint64_t progress_done;
    uint64_t helped_ms;         /* last time that it said it is behind and was heard */
    uint64_t received_before;   /* bytes of streams that are closed */
    uint64_t received_at_start; /* total when the round began */
    uint32_t follows_round;     /* the member only follows this session: nothing to wait for */
    uint32_t follows_attempt;
    struct rn_stream_bulk bulk; /* chunks of a sum on their way to this member */
    bool resend;                /* a message was lost to a full queue: repeat when writable */
};

struct rn_coordinator_session {
    struct rn_sa_aggregator *machine; /* NULL: none */
    uint8_t id[RN_HASH_BYTES];
    uint32_t round;
    uint32_t attempt;
    uint8_t before[RN_HASH_BYTES];
    struct rn_round_layout layout;
    struct rn_sa_params params;
    enum rn_sa_stage stage;
    enum rn_sa_stage reached; /* latest of Ready .. sum: where an abort struck */
    uint64_t stage_ms;        /* on the machine's clock */
    struct rn_sa_set expected;
    struct rn_sa_set arrived;
    struct rn_sa_set joined; /* members of the session: T0 */
    bool over;
    bool summed;
    bool refused;      /* no adapter can come from its sum */
    uint64_t began_ms; /* monotonic */
};

enum rn_coordinator_phase {
    RN_COORDINATOR_GATHER,  /* waiting for members before the next session */
    RN_COORDINATOR_SESSION, /* a session is running */
    RN_COORDINATOR_LINGER,  /* the rounds are over; members that are behind get their sums */
    RN_COORDINATOR_ENDED,
};

struct rn_coordinator {
    struct rn_job_listener listener;
    struct rn_site_files *site;
    struct rn_site_model *model;
    struct rn_journal *journal;
    struct rn_rpc *rpc;
    struct rn_worker *worker;
    struct rn_sigwatch *signals;
    struct rn_credwatch *credentials;
    uint8_t incarnation[RN_WIRE_INCARNATION_BYTES];

    struct rn_coordinator_peer peers[RN_SA_MEMBERS_MAX];
    uint32_t peer_count;

    enum rn_coordinator_phase phase;
    uint64_t phase_since_ms;
    uint64_t told_ms;     /* last "still waiting" line */
    uint32_t round;       /* in progress or next; rounds + 1 at the end */
    uint32_t attempt;     /* last number used in this round */
    bool first_session;   /* of this process: absent members get more time to arrive */
    uint32_t lost_in_row; /* rounds since the adapter last changed */
    struct rn_coordinator_session session;
    struct rn_coordinator_session past[RN_COORDINATOR_PAST_MAX];
    uint32_t past_next;
    uint64_t skew_ms; /* the machine's clock is this far ahead (rn_coordinator_now) */

    bool draining;
    bool publishing_final;
    bool stopped;
    rn_result result;
    struct rn_error err;
};

/* ---- coordinatorservice.c */
void rn_coordinator_end(struct rn_coordinator *coordinator, rn_result result,
                        const struct rn_error *err);
void rn_coordinator_tell(struct rn_coordinator *coordinator, struct rn_job_event event);
/* The machine's clock: monotonic, and ahead of it by the time not spent waiting for members that
 * are known to be away. */
uint64_t rn_coordinator_now(const struct rn_coordinator *coordinator);

/* ---- coordinatorlink.c */
void rn_coordinator_callbacks(struct rn_coordinator *coordinator, struct rn_rpc_callbacks *out);
RN_MUST rn_result rn_coordinator_connect(struct rn_coordinator *coordinator, struct rn_error *err);
/* Tells a member where the job stands. */
void rn_coordinator_welcome(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer);
uint32_t rn_coordinator_present(const struct rn_coordinator *coordinator);
uint64_t rn_coordinator_received(const struct rn_coordinator_peer *peer);
void rn_coordinator_broadcast(struct rn_coordinator *coordinator,
                              const struct rn_wire_envelope *envelope);

/* ---- coordinatorround.c */
void rn_coordinator_gather(struct rn_coordinator *coordinator);
void rn_coordinator_round_tick(struct rn_coordinator *coordinator);
/* The current session ended with a sum, or without. */
void rn_coordinator_finished(struct rn_coordinator *coordinator);
void rn_coordinator_aborted(struct rn_coordinator *coordinator, enum rn_sa_stage stage,
                            enum rn_sa_reason reason, bool certified);
RN_MUST rn_result rn_coordinator_resume(struct rn_coordinator *coordinator, struct rn_error *err);

/* ---- coordinatorsession.c */
RN_MUST rn_result rn_coordinator_session_start(struct rn_coordinator *coordinator,
                                               struct rn_error *err);
/* Fills session from the journal; RN_E_DATA when its records do not fit. actions may be NULL: the
 * machine's first actions are then dropped. */
RN_MUST rn_result rn_coordinator_session_load(struct rn_coordinator *coordinator, uint32_t round,
                                              uint32_t attempt, const uint8_t id[static 32],
                                              const uint8_t before[static 32],
                                              struct rn_coordinator_session *session,
                                              struct rn_sa_actions *out_actions,
                                              struct rn_error *err);
void rn_coordinator_session_clear(struct rn_coordinator_session *session);
/* Current or past session of this id, or NULL. */
struct rn_coordinator_session *rn_coordinator_session_find(struct rn_coordinator *coordinator,
                                                           const uint8_t id[static 32]);
void rn_coordinator_execute(struct rn_coordinator *coordinator,
                            struct rn_coordinator_session *session, struct rn_sa_actions *actions);
void rn_coordinator_secagg(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer,
                           struct rn_view message);
void rn_coordinator_bulk_pump(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer);
void rn_coordinator_session_tick(struct rn_coordinator *coordinator);

/* ---- coordinatorpast.c */
/* Keeps the current session for members that were away, and empties its place. */
void rn_coordinator_past_keep(struct rn_coordinator *coordinator);
/* A member has come (back) or says that it is behind: sends Welcome and what it needs to go on. */
void rn_coordinator_help(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer);

/* ---- coordinatorresult.c */
RN_MUST rn_result rn_coordinator_restore(struct rn_coordinator *coordinator, struct rn_error *err);
void rn_coordinator_take_sum(struct rn_coordinator *coordinator);
RN_MUST rn_result rn_coordinator_journal_result(struct rn_coordinator *coordinator,
                                                const struct rn_job_result *result,
                                                struct rn_error *err);
void rn_coordinator_report(struct rn_coordinator *coordinator, const struct rn_job_result *result);
/* Evaluates and writes the current adapter: of a round, or the final one. */
void rn_coordinator_publish(struct rn_coordinator *coordinator, uint32_t round, bool final);

#endif
