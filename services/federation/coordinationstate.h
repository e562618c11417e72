/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the coordination: its state, and what its files offer each other, from the bottom up. A
 * file calls those above it in this list alone; what a session or a message means for the job is
 * returned, never called back.
 *
 *     coordrecord.c    records written and read, the index of rounds, pruning
 *     coordlog.c       the federation's log: what goes in, who is told
 *     coordepoch.c     the drawing of the share graph, where the plan needs one
 *     coordsum.c       a session's sum becomes the next adapter
 *     coordshares.c    sets of shares on their way
 *     coordsession.c   one session: the aggregator and its actions
 *     coordoutcome.c   a sum, a finished or a lost session: what follows for the job
 *     coordsigners.c   the plan's signatures, for the members
 *     coordstop.c      a member's stop, for everybody
 *     catchup.c        members that were away
 *     coordpeers.c     connections, greeting, status
 *     coordresume.c    the state after a restart
 *     coordination.c   phases, inputs, end
 */
#ifndef RN_SERVICES_FEDERATION_COORDINATIONSTATE_H
#define RN_SERVICES_FEDERATION_COORDINATIONSTATE_H

#include <string.h>

#include "crypto/secagg/aggregator.h"
#include "crypto/secagg/member.h"
#include "policy/tlog/tlog.h"
#include "policy/tlog/tlogentry.h"
#include "policy/tlog/tlogupdate.h"
#include "services/federation/budget.h"
#include "services/federation/coordination.h"
#include "services/federation/epochmessage.h"
#include "services/federation/jobepoch.h"
#include "services/federation/jobstop.h"
#include "services/federation/jobsum.h"
#include "services/round/roundsession.h"

/* A member away this long is not waited for; long enough for a restart of its process. */
#define RN_COORD_ABSENT_MS 10000u
/* A member that does not get on with an earlier session for this long loses its place. */
#define RN_COORD_IDLE_MS 60000u
/* Earlier sessions that are held in memory at once, for members that were away. */
#define RN_COORD_PLACES 4u
/* Whole vectors that are kept on disk for members that are away, unless configured. */
#define RN_COORD_KEPT_BYTES_DEFAULT ((uint64_t)16 << 30)
/* A member that was helped with an earlier session for this long makes room for one that waits. */
#define RN_COORD_TURN_MS 600000u

/* What one identity may cost, whoever uses it. A member that follows the protocol stays far below;
 * one that does not is slowed down, and the others are not. */
/* Session streams of one identity that have not greeted; the oldest makes room. */
#define RN_COORD_UNGREETED_MAX 4u
/* A stream that has not greeted for this long is closed. */
#define RN_COORD_GREET_MS 30000u
/* Session streams opened; one too many is closed at once. */
#define RN_COORD_STREAMS_BURST 16u
#define RN_COORD_STREAMS_EVERY_MS 2000u
/* Messages on session streams; one too many ends its stream. */
#define RN_COORD_MESSAGES_BURST 1024u
#define RN_COORD_MESSAGES_EVERY_MS 10u
/* Answers to a member that is behind, of which each may read a session from its records; one too
 * many waits. */
#define RN_COORD_HELP_BURST 32u
#define RN_COORD_HELP_EVERY_MS 250u
/* Texts of the plan's signatures, to all members together: of a thousand each has a quarter of a
 * MiB. Who has to wait gets it in a later step. */
#define RN_COORD_TEXTS_BURST 128u
#define RN_COORD_TEXTS_EVERY_MS 10u
/* Texts with the group key document of a blind plan; one too many is not read. */
#define RN_COORD_DOCUMENTS_BURST 4u
#define RN_COORD_DOCUMENTS_EVERY_MS 10000u
/* Updates of the log to a member, 128 KiB at most; one too many waits. */
#define RN_COORD_LOGS_BURST 64u
#define RN_COORD_LOGS_EVERY_MS 500u
/* What a member is told of the drawing of the share graph; one too many waits. */
#define RN_COORD_EPOCH_BURST 32u
#define RN_COORD_EPOCH_EVERY_MS 2000u
/* Copies of one sum, and of all its uploads; beyond them nothing of it is sent until there is room
 * again. */
#define RN_COORD_SUM_BURST 4u
#define RN_COORD_SUM_EVERY_MS 600000u
/* Sets of shares that left and are not answered, unless configured; one may be larger. */
#define RN_COORD_SHARE_BYTES_DEFAULT ((uint64_t)64 << 20)

/* Publications that may be under way before the next session waits for them. */
#define RN_COORD_PUBLISHING_MAX 4u

/* A session stream that has not greeted. */
struct rn_coord_ungreeted {
    uint64_t connection; /* 0: none */
    uint64_t since_ms;
};

struct rn_coord_peer {
    struct rn_coord_ungreeted ungreeted[RN_COORD_UNGREETED_MAX];
    struct rn_budget streams, messages, help, documents, epoch, logs;
    uint64_t connection; /* greeted; 0 while absent */
    uint8_t incarnation[RN_WIRE_INCARNATION_BYTES];
    bool known;            /* greeted, or gave a receipt, since this process began */
    uint32_t next_round;   /* first round the member has no record of */
    uint32_t furthest;     /* largest next_round that it gave since it connected */
    uint64_t since_ms;     /* connected or absent from then on */
    uint64_t advance_ms;   /* last time that next_round grew, or that it connected */
    uint64_t progress_ms;  /* last sign of progress in the session */
    uint64_t beats;        /* of its training */
    bool wants_signatures; /* just here, or there are more than it was given */
    bool wants_stop;       /* just here, or it is news: it gets the stop, where there is one */
    bool wants_epoch;      /* asked, or the drawing got on: it is told */
    bool log_known;        /* said how far its copy of the log goes: log_size */
    bool log_sent;         /* an update is on its way, or lost; it reports after it */
    uint64_t log_size;
    bool waits;          /* said that it takes no offer before it holds more signatures */
    bool wants_help;     /* behind, or just here: to be told what it lacks */
    uint32_t receipted;  /* last round whose receipt from it counted: it hears that they stand, and
                            then the next offer */
    uint32_t told_round; /* left out: the last sum that it was told of */
    uint32_t silences;   /* sessions that ended by its silence (rn_sa_action.silent) */
    uint32_t out_until;  /* for them it is offered nothing up to this round */
    bool helped;         /* helped_ms counts */
    uint64_t helped_ms;
    bool stranded;          /* what it lacks is not kept any more */
    bool ahead;             /* greeted with a round that no record here allows; or has a graph */
    uint32_t follows_round; /* takes no part in this session: it only follows ... */
    uint32_t follows_attempt;
    uint32_t declined_round; /* ... or it declined, for a reason */
    uint32_t declined_attempt;
    enum rn_code why;           /* last reason it gave */
    uint64_t received;          /* payload bytes */
    uint64_t received_at_start; /* when the round began */
};

/* Sets of shares, which are made when they leave. */
struct rn_coord_shares {
    struct rn_sa_set due;       /* members that are to get theirs */
    struct rn_sa_set under_way; /* got it, and are waited for before others get theirs */
    uint64_t sent_ms[RN_SA_MEMBERS_MAX];
    uint32_t bytes[RN_SA_MEMBERS_MAX];
    uint64_t largest; /* of those made so far */
    uint32_t turn;    /* the place that is looked at first: behind the last that got its set */
};

struct rn_coord_session {
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
    uint64_t began_ms;
    bool over;
    bool summed;  /* result is what came of it */
    bool refused; /* no adapter can come from its sum */
    struct rn_job_result result;
    struct rn_coord_shares shares;
    struct rn_budget sums[RN_SA_MEMBERS_MAX];    /* copies of its sum: a member each */
    struct rn_budget replays[RN_SA_MEMBERS_MAX]; /* of all its uploads */
};

/* An earlier session in memory, and who is being helped with it. */
struct rn_coord_place {
    struct rn_coord_session session;
    struct rn_sa_set users; /* each of this place alone */
    uint64_t since_ms;      /* used without a pause from then on */
    uint64_t used_ms;
};

/* A summed round, to find its session again. */
struct rn_coord_round {
    uint32_t round, attempt;
    uint32_t start_round; /* in the index: that of the adapter it started from */
    uint8_t session[RN_HASH_BYTES];
    uint8_t before[RN_HASH_BYTES];
};

enum rn_coord_epoch_step {
    RN_COORD_EPOCH_IDLE = 0, /* no attempt is under way */
    RN_COORD_EPOCH_COMMITMENTS,
    RN_COORD_EPOCH_REVEALS,
};

/* The drawing of the share graph. */
struct rn_coord_epoch {
    struct rn_job_epoch *job;
    uint32_t attempt; /* last number used */
    enum rn_coord_epoch_step step;
    uint64_t since_ms;
    struct rn_sa_set left_out; /* did not reveal in an earlier attempt */
    struct rn_sa_set expected, arrived;
    struct rn_sa_set spoilt;                     /* signed a wrong reveal */
    uint8_t (*entries)[RN_SA_EPOCH_ENTRY_BYTES]; /* of the step, by place; owned */
};

/* The federation's log. */
struct rn_coord_log {
    uint64_t entries;   /* of this job, in records */
    uint64_t size;      /* of the log, as the driver said */
    uint32_t under_way; /* entries on their way into it */
    uint32_t round;     /* the last round in it */
    bool ended;         /* the job's end is in it */
};

/* Rounds since the adapter last changed, and what of it their updates were of: RN_ROUND_A,
 * RN_ROUND_B. A round that was skipped before any update of it can have been sent is one of them,
 * and spends nothing. */
struct rn_coord_row {
    uint32_t rounds;
    unsigned spent;
};

struct rn_coordination {
    struct rn_coordination_config config;
    const struct rn_job_basis *basis;
    struct rn_round_model *model; /* blind: as the job began, for the layout of vectors alone */
    bool blind;                   /* members alone see sums and adapters */
    uint8_t blind_hash[RN_HASH_BYTES]; /* blind: of the adapter as it stands */

    /* of the step under way */
    struct rn_effects *out;
    struct rn_own_clock clock;
    uint64_t clock_ms; /* its time */

    struct rn_coord_peer peers[RN_SA_MEMBERS_MAX];
    uint32_t peer_count;
    struct rn_sa_set blamed; /* proven faulty in a round of this job: no offer goes to them */
    uint32_t silent_round, silent_attempt; /* the last session that ended by a silence */
    bool takes_silent; /* all others are too few: who fell silent is offered the session */
    uint8_t incarnation[RN_WIRE_INCARNATION_BYTES];

    struct rn_plan_signatures signatures; /* every one verified; they only become more */
    struct rn_plan_signers signers;
    struct rn_budget texts;  /* of signatures, on their way out */
    struct rn_job_stop stop; /* by a member: durable, or about to be */
    struct rn_job_evidence evidence;
    struct rn_coord_log log;
    struct rn_coord_epoch *epoch; /* NULL: the share graph is complete */

    enum rn_coordination_phase phase;
    uint64_t phase_ms;
    uint64_t told_ms;   /* last "still waiting" event */
    uint32_t round;     /* in progress or next; one beyond the last at the end */
    uint32_t attempt;   /* last number used in this round */
    bool first_session; /* of this process: absent members get more time to arrive */
    struct rn_coord_row row;
    uint32_t summed, skipped;
    struct rn_job_course course;
    struct rn_coord_session session;
    uint64_t skew_ms; /* the machine's clock is this far ahead of clock_ms */
    struct rn_coord_place places[RN_COORD_PLACES];

    struct rn_coord_round *rounds; /* summed ones, in order */
    size_t round_count, round_capacity;
    uint64_t pulled_ms;    /* when a chunk of a sum was last on its way to somebody */
    uint32_t pruned_below; /* whole vectors of rounds below are gone, or on their way out */

    uint32_t publishing;       /* publications under way */
    uint32_t unpublished_from; /* adapters from this round on are still kept for them */

    unsigned drains;
    uint64_t drain_ms;
    bool ended;       /* END was given */
    rn_result result; /* of the job */
    struct rn_error err;
};

/* The machine's clock: ahead by the time not spent waiting for members that are known not to come.
 */
static inline uint64_t rn_coord_machine_ms(const struct rn_coordination *c)
{
    return c->clock_ms + c->skew_ms;
}
/* Of the adapter that the next session starts from. */
static inline const uint8_t *rn_coord_adapter_hash(const struct rn_coordination *c)
{
    return c->blind ? c->blind_hash : c->model->adapter_hash;
}
uint32_t rn_coord_present(const struct rn_coordination *c);
/* Did the adapter move by this sum? The measuring round is not meant to move it. */
static inline bool rn_coord_moved(const struct rn_coordination *c,
                                  const struct rn_job_result *result)
{
    return result->round > c->basis->plan->rounds ||
           memcmp(result->before, result->after, RN_HASH_BYTES) != 0;
}
/* A round is over: with a sum, or skipped. */
static inline void rn_coord_row_add(struct rn_coordination *c, const struct rn_job_result *result)
{
    const bool summed = result->outcome == RN_OK;
    if (summed && rn_coord_moved(c, result)) {
        c->row = (struct rn_coord_row){0};
    } else {
        c->row.rounds++;
        c->row.spent |= summed || result->spent ? result->active : 0;
    }
}
/* The first round since the adapter last changed: an update of any round from it on may be spent in
 * a session that was called off, and asked for again (A9). */
static inline uint32_t rn_coord_open_from(const struct rn_coordination *c)
{
    return c->round - c->row.rounds;
}
static inline const char *rn_coord_phase_of(const struct rn_coord_session *session)
{
    return rn_round_phase_name(session->layout.spec.active);
}

/* What the job does next. */
enum rn_coord_next {
    RN_COORD_GO_ON,      /* the session runs, or members still fetch its sum */
    RN_COORD_NEXT,       /* gather for the round and attempt that now stand in c */
    RN_COORD_END_ROUNDS, /* c->result says how the job ended */
    RN_COORD_FAIL,       /* the process cannot go on: c->err */
};

/* ---- coordrecord.c */
void rn_coord_write_attempt(struct rn_coordination *c, const struct rn_coord_session *session);
void rn_coord_write_machine(struct rn_coordination *c, const struct rn_coord_session *session,
                            enum rn_record_kind kind, struct rn_buffer *bytes);
/* Members that are left out from now on. */
void rn_coord_write_blamed(struct rn_coordination *c, const struct rn_coord_session *session,
                           const struct rn_sa_set *blamed);
RN_MUST rn_result rn_coord_read_blamed(void *coordination, const struct rn_record_key *key,
                                       struct rn_view body, struct rn_error *err);
/* Members whose silence ended the session: the next offers leave them out, the more the more often
 * it was so. */
void rn_coord_write_silent(struct rn_coordination *c, const struct rn_coord_session *session,
                           const struct rn_sa_set *silent);
RN_MUST rn_result rn_coord_read_silent(void *coordination, const struct rn_record_key *key,
                                       struct rn_view body, struct rn_error *err);
/* The outcome of a round without a sum; of one with a sum, and its adapter. */
void rn_coord_write_skipped(struct rn_coordination *c, const struct rn_job_result *result);
RN_MUST rn_result rn_coord_write_sum(struct rn_coordination *c, const struct rn_job_result *result,
                                     struct rn_error *err);
void rn_coord_write_metrics(struct rn_coordination *c, uint32_t round,
                            const struct rn_job_metrics *metrics);
void rn_coord_write_end(struct rn_coordination *c, rn_result result, const struct rn_error *err);
void rn_coord_index_add(struct rn_coordination *c, const struct rn_job_result *result);
/* The round whose sum made the adapter that a session of `round` starts from. */
uint32_t rn_coord_start_of(const struct rn_coordination *c, uint32_t round);
/* The first summed round from `from` on, or NULL. */
const struct rn_coord_round *rn_coord_index_find(const struct rn_coordination *c, uint32_t from);
/* Whole vectors go with the next commit: of rounds for which every member has a receipt, and the
 * oldest beyond config.kept_bytes. */
void rn_coord_prune(struct rn_coordination *c);

/* ---- coordlog.c: nothing, unless config.log */
/* After the records were read: the log gets what it may lack. */
RN_MUST rn_result rn_coord_log_start(struct rn_coordination *c, struct rn_error *err);
void rn_coord_log_round(struct rn_coordination *c, const struct rn_job_result *result);
void rn_coord_log_blamed(struct rn_coordination *c, const struct rn_coord_session *session,
                         const struct rn_sa_set *blamed);
void rn_coord_log_end(struct rn_coordination *c);
void rn_coord_log_hear(struct rn_coordination *c, uint32_t index, struct rn_view bytes);
void rn_coord_log_grown(struct rn_coordination *c, const struct rn_input *input);
void rn_coord_log_send(struct rn_coordination *c);
/* Has more of the log than there is here. */
static inline bool rn_coord_log_is_ahead(const struct rn_coordination *c,
                                         const struct rn_coord_peer *peer)
{
    return peer->log_known && c->log.size > 0 && peer->log_size > c->log.size;
}
/* An entry is on its way into the log, or to a member that is here. */
bool rn_coord_log_waits(const struct rn_coordination *c);

/* ---- coordepoch.c */
RN_MUST rn_result rn_coord_epoch_start(struct rn_coordination *c, struct rn_error *err);
void rn_coord_epoch_free(struct rn_coordination *c);
/* Is there what a session needs of it? */
static inline bool rn_coord_epoch_ready(const struct rn_coordination *c)
{
    return c->epoch == NULL || c->epoch->job->drawn;
}
/* Members that are offered nothing: blamed, silent before, or not in the epoch. */
struct rn_sa_set rn_coord_left_out(const struct rn_coordination *c);
void rn_coord_epoch_hear(struct rn_coordination *c, uint32_t peer, struct rn_view bytes);
/* To whom it is owed. */
void rn_coord_epoch_send(struct rn_coordination *c);
/* RN_COORD_NEXT: it is drawn. RN_COORD_END_ROUNDS: it never will be; c->result says why. */
enum rn_coord_next rn_coord_epoch_tick(struct rn_coordination *c);
/* "drawing the graph, attempt 2: waits for the reveals of north". False: no attempt is under way.
 */
bool rn_coord_epoch_waiting(const struct rn_coordination *c, struct rn_error *out);

/* ---- coordsum.c */
/* Sets summed with its result, or refused. Another failure is the process's: c->err says it. */
RN_MUST rn_result rn_coord_take_sum(struct rn_coordination *c, struct rn_coord_session *session);

/* ---- coordshares.c */
/* They are to get their sets of shares, now or when others have theirs. */
void rn_coord_shares_want(struct rn_coord_session *session, const struct rn_sa_set *members);
/* As many as may be under way; often, since time and answers make room. */
void rn_coord_shares_send(struct rn_coordination *c, struct rn_coord_session *session);

/* ---- coordsession.c */
/* What a list of the machine's actions says about the current session. */
struct rn_coord_outcome {
    rn_result failed; /* the process cannot go on: c->err */
    bool sum;         /* the next adapter is there, and was not before */
    bool finished;    /* with a sum */
    bool aborted;
    bool stopped; /* a member ended the job: c->result says so */
    enum rn_sa_reason reason;
    bool certified;
};
RN_MUST rn_result rn_coord_session_start(struct rn_coordination *c, struct rn_error *err);
/* From its records; RN_E_NO_INPUT when there are none, RN_E_DATA when they do not fit. out_actions
 * may be NULL: the machine's first actions are then dropped. */
RN_MUST rn_result rn_coord_session_load(struct rn_coordination *c, const struct rn_coord_round *key,
                                        struct rn_coord_session *session,
                                        struct rn_sa_actions *out_actions, struct rn_error *err);
void rn_coord_session_clear(struct rn_coord_session *session);
/* Current or earlier session of this id, or NULL. */
struct rn_coord_session *rn_coord_session_find(struct rn_coordination *c,
                                               const uint8_t id[static RN_HASH_BYTES]);
/* Actions to effects; the list is emptied. */
struct rn_coord_outcome rn_coord_execute(struct rn_coordination *c,
                                         struct rn_coord_session *session,
                                         struct rn_sa_actions *actions);
struct rn_coord_outcome rn_coord_session_receive(struct rn_coordination *c, uint32_t peer,
                                                 struct rn_view message);
struct rn_coord_outcome rn_coord_session_tick(struct rn_coordination *c);
struct rn_coord_outcome rn_coord_session_abort(struct rn_coordination *c);
/* Until the hard time-out of the current stage; 0 when there is none. */
uint64_t rn_coord_stage_left_ms(const struct rn_coordination *c);
/* Moves the machine's clock where nothing is left to wait for. */
void rn_coord_skip_waiting(struct rn_coordination *c);

/* ---- coordoutcome.c */
enum rn_coord_next rn_coord_conclude(struct rn_coordination *c,
                                     const struct rn_coord_outcome *outcome);
/* Writes the current adapter: of a round, or the final one. */
void rn_coord_publish(struct rn_coordination *c, const struct rn_round_model *model, uint32_t round,
                      bool final);

/* ---- coordsigners.c */
RN_MUST rn_result rn_coord_signers_start(struct rn_coordination *c, struct rn_error *err);
/* The file has changed: what is new in it goes to everybody. */
void rn_coord_signers_take(struct rn_coordination *c, struct rn_view text);
/* A member's word: the maker of a blind plan's group key brings its document. */
void rn_coord_signers_hear(struct rn_coordination *c, uint32_t peer, struct rn_view text);
/* Is there what a session needs: of a blind plan the group key's document? */
static inline bool rn_coord_signers_ready(const struct rn_coordination *c)
{
    return !c->blind || c->signers.group;
}
/* To whom they are owed. */
void rn_coord_signers_send(struct rn_coordination *c);
/* "north, south wait for signatures of the plan; not collected yet: east". False: nobody waits. */
bool rn_coord_signers_waiting(const struct rn_coordination *c, struct rn_error *out);
/* The member's word that it waits, or that it does not any more. */
void rn_coord_signers_waits(struct rn_coordination *c, uint32_t peer, bool waits);

/* ---- coordstop.c */
RN_MUST rn_result rn_coord_stop_start(struct rn_coordination *c, struct rn_error *err);
/* True: it holds and is the first: c->result says how the job ends, and its record is in the commit
 * at the end of the effects. */
bool rn_coord_stop_hear(struct rn_coordination *c, uint32_t peer, struct rn_view bytes);
/* To whom it is owed. */
void rn_coord_stop_send(struct rn_coordination *c);

/* ---- catchup.c */
/* Keeps the current session for members that were away, and empties its place. */
void rn_coord_keep(struct rn_coordination *c);
/* Helps whoever wants it and whose turn it is. */
void rn_coord_help_all(struct rn_coordination *c);
/* Somebody who is connected, or was a moment ago, still lacks a sum that can be had here. */
bool rn_coord_somebody_behind(const struct rn_coordination *c);

/* ---- coordpeers.c */
void rn_coord_opened(struct rn_coordination *c, const struct rn_input *input);
/* Ends streams that have not greeted in time. */
void rn_coord_hush(struct rn_coordination *c);
void rn_coord_message(struct rn_coordination *c, const struct rn_input *input,
                      struct rn_coord_outcome *out_outcome);
void rn_coord_gone(struct rn_coordination *c, const struct rn_input *input);
void rn_coord_welcome(struct rn_coordination *c, uint32_t peer);
void rn_coord_advance(struct rn_coordination *c, uint32_t peer, uint32_t next_round);

/* ---- coordresume.c */
RN_MUST rn_result rn_coord_resume(struct rn_coordination *c, struct rn_coord_outcome *out_outcome,
                                  struct rn_error *err);

#endif
