/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the member's state machine: one struct, and what its parts offer each other. Each file
 * calls only those above it in this list; what happened is returned, and participation.c decides:
 *
 *     partlink.c        the coordinator's connection: greeting, welcome, closing, what was heard
 *     partsigners.c     the plan's signatures, and whether the policy has those that it asks for
 *     partepoch.c       the drawing of the share graph, where the plan needs one
 *     partround.c       training, sum to adapter, restart
 *     partactions.c     the secure-aggregation machine's actions as effects
 *     partsession.c     offers, the machine's messages and time, its restart
 *     partlog.c         the federation's log: does it say what this site saw
 *     partstop.c        the end of the job by a member's signature
 *     participation.c   inputs, what follows from where this site stands, drain, end
 *
 * A function that returns rn_result says by a failure that the process must end.
 */
#ifndef RN_SERVICES_FEDERATION_PARTICIPATIONSTATE_H
#define RN_SERVICES_FEDERATION_PARTICIPATIONSTATE_H

#include "crypto/secagg/member.h"
#include "crypto/secagg/spent.h"
#include "policy/tlog/tlog.h"
#include "policy/tlog/tlogentry.h"
#include "policy/tlog/tlogupdate.h"
#include "services/federation/budget.h"
#include "services/federation/epochmessage.h"
#include "services/federation/jobepoch.h"
#include "services/federation/jobstop.h"
#include "services/federation/jobsum.h"
#include "services/federation/participation.h"
#include "services/round/roundvector.h"

/* Refusals that a coordinator is told, whatever it offers how often; beyond them offers are refused
 * in silence. One that follows the protocol offers at most as many attempts in a row (100) twice.
 */
#define RN_PART_REFUSALS_BURST 256u
#define RN_PART_REFUSALS_EVERY_MS 1000u

/* One secure-aggregation session as this member sees it. */
struct rn_part_session {
    struct rn_sa_member *machine; /* NULL: none */
    uint8_t id[RN_HASH_BYTES];
    uint32_t round;
    uint32_t attempt;
    uint8_t before[RN_HASH_BYTES]; /* adapter hash it starts from */
    struct rn_round_layout layout;
    struct rn_round_encoder encoder; /* of p->update; no layout: nothing may be asked for */
    enum rn_sa_stage stage;          /* last one that was told */
    uint64_t stage_since_ms;
    uint32_t joined;  /* members of the session; 0 before it is known */
    bool wants_input; /* the offer is taken; the update is to be trained */
    bool waits;       /* the update that was trained for it leaves when it is due (reply) */
    uint64_t beat_ms; /* of the last beat, whether it was one or not */
    uint32_t beats;
    bool late;      /* came after its members were chosen */
    bool uploading; /* chunks are with the driver */
    bool following; /* without an update of this member */
    bool over;      /* finished or aborted; kept to answer what comes late */
    uint64_t began_ms;
    uint64_t sent_before;
};

/* The federation's log, as far as it is not the driver's. */
struct rn_part_log {
    bool busy;                    /* the driver is at this site's copy of it ... */
    struct rn_buffer update;      /* ... with this update */
    uint64_t size;                /* of the copy, as the driver said */
    uint32_t round;               /* the last round of this plan in it */
    struct rn_job_result *claims; /* of rounds that this site has no record of yet; owned */
    size_t count, capacity;
};

/* The training that the driver runs. */
struct rn_part_training {
    bool running;
    bool cancelled; /* its result is of no use */
    uint32_t round;
    uint8_t before[RN_HASH_BYTES];
    uint64_t told_ms;
    uint64_t position; /* steps and blocks of development data behind it at the last beat */
};

/* When an update may leave, in a plan with privacy.reply_s: for one round and start, however often
 * it is offered. */
struct rn_part_reply {
    uint32_t round; /* 0: none */
    uint8_t before[RN_HASH_BYTES];
    uint64_t began_ms; /* of the first offer */
    uint64_t due_ms;   /* of the update that was trained; 0: at once, or none is */
};

/* The coordinator's newest word on how far the job is. Nothing is computed from it; it keeps this
 * site from taking an adapter for the last one. */
struct rn_part_heard {
    uint32_t round;      /* in progress, or the next one; 0: nothing was said */
    uint32_t hash_round; /* the round that starts from `hash`; 0: nothing was said */
    uint8_t hash[RN_HASH_BYTES];
    uint32_t summed; /* newest round that has a sum */
};

/* The plan's signatures. They only ever become more. */
struct rn_part_signers {
    struct rn_plan_signatures set; /* every one verified */
    struct rn_plan_signers who;
    uint32_t keeping; /* KEEPs under way; 0: set is durable */
    bool satisfied;   /* what is durable is what the policy asks for, and the group key is here */
    struct rn_secret32 *group; /* G of a blind plan, in secret memory; NULL: not here, or open */
    struct rn_error missing;
};

/* The drawing of the share graph. */
struct rn_part_epoch {
    struct rn_job_epoch *job;
    struct rn_sa_epoch_revealed revealed; /* durable before a reveal under it leaves */
};

/* The end of the job by a member's signature, this site's own or another's. */
struct rn_part_stop {
    struct rn_job_stop held; /* durable, or about to be; length 0: none */
    bool answered;           /* the coordinator has one, this or another */
    uint64_t since_ms;       /* signed or heard, or the process began with it */
};

struct rn_participation {
    struct rn_participation_config config;
    uint8_t incarnation[RN_WIRE_INCARNATION_BYTES];
    struct rn_own_clock clock;
    struct rn_now now;      /* of the step that runs; monotonic: the own clock's */
    struct rn_effects *out; /* likewise */

    uint64_t connection; /* newest session stream; 0: none */
    bool greeted;        /* the coordinator's Hello was accepted on it */
    bool bulk;           /* a bulk stream stood */
    bool said_waits;     /* the last greeting said that it waits for signatures */
    struct rn_wire_welcome welcome;
    uint64_t alone_since_ms; /* no greeted coordinator since, while greeted is false */
    uint64_t clone_since_ms; /* first refusal because this identity is connected already; 0 none */
    uint64_t sent;           /* payload bytes given to the driver */
    struct rn_part_heard heard;
    struct rn_part_signers signers;
    struct rn_part_epoch *epoch; /* NULL: the share graph is complete */

    struct rn_sa_spent *spent;
    uint32_t next_round;       /* first round without a record here */
    uint32_t summed;           /* rounds with a record */
    struct rn_job_result last; /* newest record; round 0: none */
    struct rn_job_evidence evidence;
    struct rn_job_course course;
    struct rn_part_session session;
    struct rn_round_update update;
    struct rn_part_training training;
    struct rn_part_reply reply;
    struct rn_budget refusals;

    struct rn_part_stop stop;
    struct rn_part_log log;
    bool draining;
    uint64_t drain_since_ms;
    bool ending; /* the final adapter is being written */
    bool ended;  /* END was given */
    rn_result result;
    struct rn_error err;
};

/* ---- partlink.c */

void rn_part_event(struct rn_participation *p, struct rn_job_event event);
void rn_part_event_err(struct rn_participation *p, struct rn_job_event event,
                       const struct rn_error *err);
/* Dropped unless greeted. */
void rn_part_send_secagg(struct rn_participation *p, struct rn_view message);
void rn_part_send_status(struct rn_participation *p, const struct rn_wire_status *status);
/* Asks for what this site lacks: a sum, or the offer. */
void rn_part_send_ask(struct rn_participation *p);
void rn_part_send_signatures(struct rn_participation *p, struct rn_view text);
void rn_part_send_closing(struct rn_participation *p, enum rn_code reason);

void rn_part_opened(struct rn_participation *p, uint64_t connection);
void rn_part_gone(struct rn_participation *p, uint64_t connection, enum rn_code code);
void rn_part_send_hello(struct rn_participation *p);

enum rn_part_word_kind {
    RN_PART_NOTHING,
    RN_PART_WELCOMED,   /* what was sent before may be lost */
    RN_PART_SECAGG,     /* bytes */
    RN_PART_SIGNATURES, /* bytes: text that nobody has checked */
    RN_PART_EPOCH,      /* bytes */
    RN_PART_STOP,       /* bytes */
    RN_PART_LOG,        /* bytes */
    RN_PART_JOB_DONE,   /* result: how */
    RN_PART_FAILED,     /* result: the process ends */
};
struct rn_part_word {
    enum rn_part_word_kind kind;
    struct rn_view bytes;
    rn_result result;
    struct rn_error err;
};
void rn_part_hear(struct rn_participation *p, struct rn_view bytes, struct rn_part_word *out);
void rn_part_hear_bulk(struct rn_participation *p, struct rn_view bytes, struct rn_part_word *out);

/* The adapter that round `round` starts from, by the coordinator; hash NULL: not said. */
void rn_part_heard(struct rn_participation *p, uint64_t round, const uint8_t *hash);
/* Does this site know of a sum that it misses? */
bool rn_part_is_behind(const struct rn_participation *p);

/* Is every round of the job done here? */
static inline bool rn_part_is_done(const struct rn_participation *p)
{
    return rn_job_course_is_over(&p->course, p->config.basis->plan, p->next_round);
}

/* The round whose sum made the adapter that a session of `round` starts from: of the newest summed
 * round, or a later one. */
static inline uint32_t rn_part_start_of(const struct rn_participation *p, uint32_t round)
{
    return round == p->last.round ? p->course.last_start : p->course.start_round;
}

/* ---- partsigners.c */

/* From the configuration. */
RN_MUST rn_result rn_part_signers_start(struct rn_participation *p, struct rn_error *err);
/* More of them, perhaps: by the coordinator, or in this site's file. */
void rn_part_signers_hear(struct rn_participation *p, struct rn_view text, const char *source);
/* The maker of a blind plan's group key brings the coordinator its document, at each welcome. */
void rn_part_signers_bring(struct rn_participation *p);
void rn_part_signers_clear(struct rn_participation *p);
/* A KEEP has ended. *out_satisfied: the policy has what it asks for, from now on. */
RN_MUST rn_result rn_part_signers_kept(struct rn_participation *p, const struct rn_input *input,
                                       bool *out_satisfied, struct rn_error *err);

/* ---- partepoch.c */

RN_MUST rn_result rn_part_epoch_start(struct rn_participation *p, struct rn_error *err);
void rn_part_epoch_free(struct rn_participation *p);
/* Is the seed here, or is none needed? */
static inline bool rn_part_epoch_is_drawn(const struct rn_participation *p)
{
    return p->epoch == NULL || p->epoch->job->drawn;
}
/* Is this site in the epoch, or is there none? */
static inline bool rn_part_epoch_takes_part(const struct rn_participation *p)
{
    return rn_job_epoch_has(p->epoch == NULL ? NULL : p->epoch->job, p->config.basis->self);
}
/* Asks the coordinator how far the drawing is, unless it is done here. */
void rn_part_epoch_ask(struct rn_participation *p);
/* True: the seed is here, from this message. */
bool rn_part_epoch_hear(struct rn_participation *p, struct rn_view bytes);

/* ---- partround.c */

RN_MUST rn_result rn_part_restore(struct rn_participation *p, struct rn_error *err);
/* Can what is being trained still become an update that is asked for? */
bool rn_part_training_is_of_use(const struct rn_participation *p);
void rn_part_train(struct rn_participation *p);
void rn_part_train_cancel(struct rn_participation *p);
void rn_part_train_tick(struct rn_participation *p, const struct rn_input *input);
/* The training has ended: p->update holds what it gave. *out_failed: nothing, though it was of use
 * until then. */
RN_MUST rn_result rn_part_trained(struct rn_participation *p, const struct rn_trained *trained,
                                  bool *out_failed, struct rn_error *err);
/* The hash of the adapter that the sum would give, with nothing changed. */
RN_MUST rn_result rn_part_preview_sum(struct rn_participation *p,
                                      uint8_t out_hash[static RN_HASH_BYTES], struct rn_error *err);
/* The sum is receipted and here: next adapter and its records. RN_OK also when that was done
 * before; out_hash is the adapter's. Class ROUND: the sum is none that honest updates give. */
RN_MUST rn_result rn_part_take_sum(struct rn_participation *p,
                                   uint8_t out_hash[static RN_HASH_BYTES], struct rn_error *err);
/* ---- partactions.c */

/* Executes the machine's actions in order, as effects; empties the list. */
RN_MUST rn_result rn_part_execute(struct rn_participation *p, struct rn_sa_actions *actions,
                                  struct rn_error *err);
void rn_part_commit(struct rn_participation *p, const struct rn_record_key *key,
                    const struct rn_buffer *bytes);
/* So that nobody waits for this member in a session that it only follows. */
void rn_part_tell_following(struct rn_participation *p);
/* Round, attempt, phase and stage of the session. */
struct rn_job_event rn_part_session_event(const struct rn_participation *p,
                                          enum rn_job_event_kind kind);
/* The integers are this site's plain update: wiped as soon as nobody may ask for them again. */
void rn_part_forget_upload(struct rn_participation *p);

/* ---- partsession.c */

/* The coordinator began this session without this member, which was away: it can only follow. */
bool rn_part_is_late(const struct rn_participation *p, uint32_t round, uint32_t attempt);

RN_MUST rn_result rn_part_session_resume(struct rn_participation *p, struct rn_error *err);
RN_MUST rn_result rn_part_session_receive(struct rn_participation *p, struct rn_view message,
                                          struct rn_error *err);
RN_MUST rn_result rn_part_session_tick(struct rn_participation *p, struct rn_error *err);
RN_MUST rn_result rn_part_session_resend(struct rn_participation *p, struct rn_error *err);
/* The update is there: encode it and get ready. */
RN_MUST rn_result rn_part_session_ready(struct rn_participation *p, struct rn_error *err);
/* No update of this member in this session. */
RN_MUST rn_result rn_part_session_follow(struct rn_participation *p, struct rn_error *err);
RN_MUST rn_result rn_part_session_bulk_sent(struct rn_participation *p, const uint8_t *session,
                                            enum rn_code code, struct rn_error *err);
void rn_part_session_clear(struct rn_participation *p);

/* ---- partlog.c: nothing, unless config.log */

RN_MUST rn_result rn_part_log_hear(struct rn_participation *p, struct rn_view bytes,
                                   struct rn_error *err);
/* After the records were read: what the copy says already. */
RN_MUST rn_result rn_part_log_start(struct rn_participation *p, struct rn_error *err);
/* Claims about rounds that are over here by now. */
RN_MUST rn_result rn_part_log_tick(struct rn_participation *p, struct rn_error *err);
void rn_part_log_clear(struct rn_participation *p);
/* Tells the coordinator how far this site's copy goes. */
void rn_part_log_ask(struct rn_participation *p);
RN_MUST rn_result rn_part_log_mirrored(struct rn_participation *p, const struct rn_input *input,
                                       struct rn_error *err);

/* ---- partstop.c */

RN_MUST rn_result rn_part_stop_start(struct rn_participation *p, struct rn_error *err);
/* From then on this site takes part in no session of this plan. */
static inline bool rn_part_is_stopped(const struct rn_participation *p)
{
    return p->stop.held.length > 0;
}
/* By this site's operator: signed, written down, said. */
RN_MUST rn_result rn_part_stop_own(struct rn_participation *p, const char *reason,
                                   struct rn_error *err);
RN_MUST rn_result rn_part_stop_hear(struct rn_participation *p, struct rn_view bytes,
                                    struct rn_error *err);
/* At each welcome: whichever this site holds. */
void rn_part_stop_say(struct rn_participation *p);
/* Nothing is left to wait for: this site ends. */
bool rn_part_stop_is_over(const struct rn_participation *p);

#endif
