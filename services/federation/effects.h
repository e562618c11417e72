/* SPDX-License-Identifier: Apache-2.0
 *
 * What a state machine of this folder wants done. A step appends effects to a list; whoever drives
 * the machine carries them out IN ORDER, and none behind a COMMIT before that commit is durable.
 * The machine does not wait: it takes further inputs at once, and their effects queue up behind.
 * When a commit fails, nothing behind it happens and the process ends. So everything that the
 * outside ever saw follows from records that are durable: stopping between any two effects is a
 * crash, and crashes are safe at every effect.
 *
 * A connection is a number, given by the driver to each session stream; never reused in a process.
 */
#ifndef RN_SERVICES_FEDERATION_EFFECTS_H
#define RN_SERVICES_FEDERATION_EFFECTS_H

#include "services/federation/jobevent.h"
#include "services/federation/jobrecord.h"
#include "services/round/roundmodel.h"
#include "services/wire/wire.h"

enum rn_effect_kind {
    RN_EFFECT_COMMIT = 1, /* batch: make it durable, all of it or nothing */
    RN_EFFECT_SEND,       /* connection, bytes: one encoded Envelope (wire.h). Dropped when the
                             connection is gone; RN_INPUT_LOST when it had no room */
    RN_EFFECT_BULK,       /* peer, session, chunks, bytes (a bit a wanted chunk, lowest first): pull
                             each with the machine's chunk function when the peer's bulk stream has
                             room, and send it; they add to those of the same session still wanted,
                             and replace those of another */
    RN_EFFECT_BULK_STOP,  /* peer: forget the chunks still wanted */
    RN_EFFECT_CLOSE,      /* connection, result: OK lets what is queued go out first */
    RN_EFFECT_TRAIN,      /* train: RN_INPUT_TRAINED follows, exactly once */
    RN_EFFECT_TRAIN_CANCEL, /* the running training ends early; its TRAINED still comes */
    RN_EFFECT_PUBLISH,      /* publish: RN_INPUT_PUBLISHED follows, exactly once, in order */
    RN_EFFECT_KEEP,     /* bytes: text of the plan's signatures, to be made durable in the place of
                           those at this site; RN_INPUT_KEPT follows, exactly once */
    RN_EFFECT_LOG,      /* number, bytes: the job's entry of that number for the federation's log;
                           RN_INPUT_LOGGED follows when it is in */
    RN_EFFECT_LOG_SEND, /* connection, number: an update of the log from that entry on */
    RN_EFFECT_LOG_REPORT, /* peer, bytes: what a member says of its copy; RN_INPUT_LOGGED may follow
                           */
    RN_EFFECT_LOG_MIRROR, /* bytes: an update of the log for this site's copy, or none: how that
                             stands. RN_INPUT_MIRRORED follows, exactly once */
    RN_EFFECT_EVENT, /* event; err: its detail; bytes: its path with NUL, if any (jobevent.h) */
    RN_EFFECT_END,   /* result, err, now: stop the transport and the process */
};

/* One local training. Values are copies, owned by the effect: the adapter as it stood. */
struct rn_train_order {
    uint32_t round; /* beyond the plan's rounds: nothing is trained */
    bool measure;   /* judge the adapter first, on the site's development data */
    float *values;  /* the model's adapter, adapter.count */
    size_t count;
    float *local_head; /* NULL unless local */
    size_t local_head_count;
    uint8_t adapter_hash[RN_HASH_BYTES];
};

/* Writes an adapter as a PEFT directory (round-NNNN, final or best below the state's adapters/; no
 * directory for a round beyond the plan's, which changed nothing) and
 * judges it where the site has development data. */
struct rn_publish_order {
    uint32_t round; /* the adapter is the one after this round; 0: the start */
    bool final;
    bool best;     /* the one that the members together measured best: best, below adapters/ */
    bool evaluate; /* false: a round's own order judged the same adapter before */
    float *values;
    size_t count;
    float *local_head;
    size_t local_head_count;
    uint8_t adapter_hash[RN_HASH_BYTES];
};

struct rn_effect {
    enum rn_effect_kind kind;
    uint64_t connection;
    uint32_t peer;
    uint64_t number;
    struct rn_buffer bytes;
    struct rn_job_batch batch;
    uint8_t session[RN_HASH_BYTES];
    uint32_t chunks;
    struct rn_train_order train;
    struct rn_publish_order publish;
    struct rn_job_event event;
    rn_result result;
    struct rn_error err;
    bool now; /* END: without grace for what is queued */
};

/* A list; zero-initialise it. */
struct rn_effects {
    struct rn_effect *items;
    size_t count;
    size_t capacity;
};

void rn_effects_clear(struct rn_effects *effects);
/* Frees what one effect holds and zeroes it. */
void rn_effect_clear(struct rn_effect *effect);

/* For the machines: appends a zeroed effect of the kind; valid until the next append. */
struct rn_effect *rn_effects_add(struct rn_effects *effects, enum rn_effect_kind kind);
/* The batch of the COMMIT at the end of the list, or of a new one: neighbours become one. */
struct rn_job_batch *rn_effects_commit(struct rn_effects *effects);
/* Nothing when connection is 0. */
void rn_effects_send(struct rn_effects *effects, uint64_t connection,
                     const struct rn_wire_envelope *envelope);
void rn_effects_send_secagg(struct rn_effects *effects, uint64_t connection,
                            struct rn_view message);
void rn_effects_close(struct rn_effects *effects, uint64_t connection, rn_result result);
/* The model as it stands, to be trained or written: nothing else is set. Valid until the next
 * append. */
struct rn_train_order *rn_effects_train(struct rn_effects *effects,
                                        const struct rn_round_model *model, uint32_t round);
struct rn_publish_order *rn_effects_publish(struct rn_effects *effects,
                                            const struct rn_round_model *model, uint32_t round);
void rn_effects_event(struct rn_effects *effects, struct rn_job_event event);
/* With a sentence beside it: the event's detail. */
void rn_effects_event_err(struct rn_effects *effects, struct rn_job_event event,
                          const struct rn_error *err);
/* With a path beside it; "" is none. */
void rn_effects_event_path(struct rn_effects *effects, struct rn_job_event event, const char *path);
void rn_effects_end(struct rn_effects *effects, rn_result result, const struct rn_error *err);

#endif
