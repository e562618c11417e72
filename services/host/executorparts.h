/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the executor, from the ground up: executorbulk.c, executorinbox.c,
 * executoreffects.c, executor.c. Each calls those before it alone.
 */
#ifndef RN_SERVICES_HOST_EXECUTORPARTS_H
#define RN_SERVICES_HOST_EXECUTORPARTS_H

#include <pthread.h>

#include "services/host/executor.h"

/* Chunks still to be pulled for one peer. */
struct rn_executor_bulk {
    uint32_t peer;
    uint8_t session[RN_HASH_BYTES];
    uint8_t *wanted; /* a byte a chunk */
    uint32_t chunks, left, next;
    bool telling;         /* BULK_SENT is owed for this session */
    unsigned outstanding; /* handed out, not taken by the stream; of any session */
    unsigned taken;       /* under the lock: to be subtracted from outstanding */
};

struct rn_executor_pending; /* an effect that waits */
struct rn_executor_item;    /* an input that waits */
struct rn_executor_call;    /* from the store's thread */

/* The inputs of one peer, or of the process itself, in order; under the lock. */
struct rn_executor_lane {
    struct rn_executor_item *items, **last;
    size_t bytes;
    bool paused; /* the loop was told to stop reading from this peer */
};

struct rn_executor {
    struct rn_executor_outlet outlet;
    rn_result (*before)(void *context, const struct rn_job_batch *batch, struct rn_error *err);
    struct rn_executor_machine machine;
    struct rn_store *store;
    struct rn_effects first;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* on the monotonic clock */
    /* Under the lock. */
    struct rn_executor_lane *lanes; /* a peer each; the last is the process's own */
    uint32_t lane_count, lane_turn;
    struct rn_executor_call *calls, **last_call;
    size_t lane_max; /* bytes of a peer's lane */
    bool room;       /* some bulk's `taken` is not 0 */
    bool stopping;

    /* Of the thread. */
    uint64_t next_tick_ms;
    struct rn_executor_pending *pending, **last_pending;
    uint64_t submitted, durable; /* sequence numbers of the store */
    bool failed, told;
    rn_result failure;
    struct rn_error failure_text;
    struct rn_executor_bulk *bulks;
    uint32_t bulk_count;
    uint32_t bulk_turn;
};

/* ---- executorbulk.c */
struct rn_executor_bulk *rn_executor_bulk_of(struct rn_executor *executor, uint32_t peer);
void rn_executor_bulk_want(struct rn_executor *executor, const struct rn_effect *effect);
void rn_executor_bulk_stop(struct rn_executor *executor, uint32_t peer);
/* Under the lock: takes in what the streams took. */
void rn_executor_bulk_credit(struct rn_executor *executor);
/* Is there something that rn_executor_bulk_pump would do? */
bool rn_executor_bulk_due(const struct rn_executor *executor);
/* One chunk of one peer, peers taking turns, to the outlet; true: instead the input is to be
 * stepped, which says that all that was wanted is handed over, or cannot be had. */
bool rn_executor_bulk_pump(struct rn_executor *executor, struct rn_input *out_sent);

/* ---- executorinbox.c */
struct rn_executor_turn {
    struct rn_executor_item *item; /* NULL: none; to be freed */
    const struct rn_input *input;  /* in it */
    bool tick;                     /* is due, and comes first: no item then */
    bool resume;                   /* the outlet is to be told: of this peer */
    uint32_t resumed;
};
/* bytes: of one peer; 0: its part of RN_EXECUTOR_INBOX_BYTES. After bulk_count is known. */
void rn_executor_inbox_init(struct rn_executor *executor, size_t bytes);
/* Waits for what is to be done next; what the store's thread left runs here. A tick that is due
 * comes before inputs, however many there are, and peers take turns. False: stop. */
bool rn_executor_take(struct rn_executor *executor, struct rn_executor_turn *turn);
void rn_executor_item_free(struct rn_executor_item *item);
/* Waits for news of the store and takes them in. False: the executor is being stopped. */
bool rn_executor_wait_store(struct rn_executor *executor);
/* Runs and frees what waits. */
void rn_executor_inbox_clear(struct rn_executor *executor);

/* ---- executoreffects.c */
/* Submits the commits and queues everything; effects is left empty. */
void rn_executor_queue(struct rn_executor *executor, struct rn_effects *effects);
/* Carries out what no commit holds back. */
void rn_executor_drain(struct rn_executor *executor);
/* Frees what waits. */
void rn_executor_forget(struct rn_executor *executor);

#endif
