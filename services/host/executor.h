/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread of a federation state machine (services/federation): takes inputs from an inbox, steps
 * the machine, and carries out the effects strictly in order, those behind a COMMIT only when it is
 * durable (effects.h). Everything slow that the machine computes (unmasking, hashing, masking a
 * chunk, sum to adapter) happens here, so that the event loop does nothing but move messages, and
 * fsync happens on the store's thread: neither ever waits for this one.
 *
 * A commit goes to the store as soon as its step has returned, and further inputs are taken at
 * once; what came behind waits in a queue. When a commit fails nothing behind it is carried out:
 * the outlet gets an event RN_JOB_FAILED and an END with the store's result, and the machine is not
 * stepped again.
 *
 * Inputs: each peer has a queue of its own, and the process another; they take turns, one input
 * each. So what one peer sends, however much, stands before another's input once and no more, and
 * only its own streams wait when its part of the inbox is full. Inputs of one peer keep their
 * order.
 *
 * BULK: chunks are pulled from the machine one by one between inputs, at most
 * RN_EXECUTOR_BULK_CHUNKS of a peer handed to the outlet and not yet taken by its stream.
 *
 * Life cycle: rn_executor_new -> open the store with rn_executor_store_post -> build the machine
 * with rn_executor_reader -> rn_executor_start -> rn_executor_post... -> rn_executor_stop ->
 * rn_store_close -> rn_executor_free.
 */
#ifndef RN_SERVICES_HOST_EXECUTOR_H
#define RN_SERVICES_HOST_EXECUTOR_H

#include "services/federation/effects.h"
#include "services/federation/input.h"
#include "services/federation/jobbasis.h"
#include "services/federation/now.h"
#include "services/store/store.h"

/* Bytes of inputs that wait, shared by the peers: above its part of them a peer is not read (it is
 * again below half of that part). The part is at least RN_EXECUTOR_PART_BYTES_MIN; what was on its
 * way when reading stopped, a message of each of its streams, comes on top. */
#define RN_EXECUTOR_INBOX_BYTES ((size_t)64 << 20)
#define RN_EXECUTOR_PART_BYTES_MIN ((size_t)64 << 10)
/* Chunks of a peer between the machine and its stream's queue. */
#define RN_EXECUTOR_BULK_CHUNKS 2
#define RN_EXECUTOR_TICK_MS 200

struct rn_executor;

/* Stepped on the executor's thread alone. */
struct rn_executor_machine {
    void *context;
    void (*step)(void *context, const struct rn_input *input, struct rn_now now,
                 struct rn_effects *out_effects);
    rn_result (*chunk)(void *context, const uint8_t session[static RN_HASH_BYTES], uint32_t chunk,
                       struct rn_buffer *out, struct rn_error *err);
};

struct rn_executor_chunk {
    uint32_t peer;
    uint8_t session[RN_HASH_BYTES];
    uint32_t chunk;
    struct rn_buffer message; /* owned */
};

/* Called on the executor's thread; none may block. */
struct rn_executor_outlet {
    void *context;
    /* Every effect but COMMIT, BULK and BULK_STOP; what it takes over it leaves zeroed. */
    void (*carry)(void *context, struct rn_effect *effect);
    /* Takes the message over; rn_executor_room says when the stream has it. */
    void (*chunk)(void *context, struct rn_executor_chunk *chunk);
    /* The peer's queue is below half its part after rn_executor_post said stop. */
    void (*resume)(void *context, uint32_t peer);
    /* Before each tick: fills input->training, takes a snapshot for the status. */
    void (*tick)(void *context, struct rn_input *input, struct rn_now now);
};

struct rn_executor_config {
    struct rn_executor_outlet outlet;
    /* Executor's thread, before a batch is handed to the store, with outlet.context: what has to be
     * durable before it. A failure is one of the store. May be NULL. */
    rn_result (*before)(void *context, const struct rn_job_batch *batch, struct rn_error *err);
    uint32_t peers;     /* of the coordinator: its members; of a member: 1 */
    size_t inbox_bytes; /* a peer's part; 0: of RN_EXECUTOR_INBOX_BYTES */
};

struct rn_executor *rn_executor_new(const struct rn_executor_config *config);

/* rn_store_options.post, with the executor as user. */
bool rn_executor_store_post(void *executor, void (*function)(void *argument), void *argument);

/* Records for the machine: waits for all commits of earlier steps. Before rn_executor_start on the
 * starting thread, afterwards from inside a step alone. */
struct rn_job_reader rn_executor_reader(struct rn_executor *executor);
/* The store that the reader reads and commits go to; before the reader is used. */
void rn_executor_set_store(struct rn_executor *executor, struct rn_store *store);

/* Starts the thread; first effects (moved, may be empty) come before those of any input. */
RN_MUST rn_result rn_executor_start(struct rn_executor *executor,
                                    const struct rn_executor_machine *machine,
                                    struct rn_effects *first, struct rn_error *err);

/* Any thread; bytes, session and text are copied. False: the peer's queue is above its part, stop
 * reading from it until outlet.resume (the input was taken all the same). */
bool rn_executor_post(struct rn_executor *executor, const struct rn_input *input);
/* The same for an input that points into `owner`: release(owner) follows when it was stepped, or at
 * the latest in rn_executor_free. */
void rn_executor_post_owned(struct rn_executor *executor, const struct rn_input *input,
                            void (*release)(void *owner), void *owner);
/* Any thread: the peer's stream took `chunks` of those handed out. */
void rn_executor_room(struct rn_executor *executor, uint32_t peer, unsigned chunks);

/* Executor's thread, from the outlet: what it was given cannot be carried out. As when a commit
 * fails. */
void rn_executor_fail(struct rn_executor *executor, rn_result result, const struct rn_error *err);

/* Waits for the step that is running, does no further one. What is still queued is dropped: a crash
 * at that place. NULL is fine. */
void rn_executor_stop(struct rn_executor *executor);
/* After rn_store_close. NULL is fine. */
void rn_executor_free(struct rn_executor *executor);

#endif
