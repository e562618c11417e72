/* SPDX-License-Identifier: Apache-2.0
 *
 * The ground that the other files of services/rpc stand on: the one struct, tags, core's queue,
 * work posted from other threads, timers. Each file stands on those above it, never on one below
 * (tests/lint/includes.py checks includes and calls):
 *
 *     address, rpc_socket, rpc_status, rpc_buffer, rpc_methods, rpc_creds   know no struct rn_rpc
 *     rpc_core                            queue, posted work, timers
 *     rpc_args, rpc_peer, rpc_local       channel arguments, who is there, calls of commands
 *     rpc_streambatch, rpc_stream, rpc_streamuse     one stream; whoever dialled it hears of it
 *                                         through the table it came with
 *     rpc_health, rpc_unary               the short calls
 *     rpc_link, rpc_server                dialling; listening
 *     rpc_run                             composes them, runs, stops
 *
 * Everything that travels through core's void* is a struct rn_rpc_tag with a magic number. Whatever
 * owns a grpc_call counts one reference for each batch that core still holds.
 */
#ifndef RN_SERVICES_RPC_CORE_H
#define RN_SERVICES_RPC_CORE_H

#include <grpc/grpc.h>
#include <pthread.h>

#include "base/guard.h"
#include "services/rpc/rpc.h"
#include "services/rpc/rpc_creds.h"
#include "services/rpc/rpc_methods.h"
#include "services/rpc/rpc_socket.h"

#define RN_RPC_TAG_MAGIC 0x72746167U

struct rn_rpc_tag {
    uint32_t magic;
    void *owner;
    void (*step)(void *owner, bool ok);
};

static inline void rn_rpc_tag_init(struct rn_rpc_tag *tag, void *owner,
                                   void (*step)(void *owner, bool ok))
{
    *tag = (struct rn_rpc_tag){RN_RPC_TAG_MAGIC, owner, step};
}

struct rn_rpc_posted;
struct rn_rpc_timer_entry;
struct rn_rpc_unary;

struct rn_rpc {
    struct rn_rpc_config config; /* its pointers are not used after rn_rpc_open */
    char federation[RN_PEER_FEDERATION_MAX + 1];
    struct rn_rpc_creds creds;
    grpc_resource_quota *quota;

    /* rpc_core.c */
    grpc_completion_queue *queue;
    grpc_channel *waker; /* a lame channel: watching it makes an event, see rn_rpc_post */
    pthread_mutex_t post_lock;
    struct rn_rpc_posted *posted_first;
    struct rn_rpc_posted *posted_last;
    bool wake_pending;
    bool post_closed;
    bool stop_wanted; /* rn_rpc_stop of any thread, under post_lock */
    uint64_t stop_wanted_at_ms;
    struct rn_rpc_tag wake_tag;
    struct rn_rpc_timer_entry *timers; /* by due time */
    uint64_t last_timer;

    /* rpc_stream*.c, rpc_unary.c, rpc_link.c */
    struct rn_rpc_stream *streams;
    uint64_t last_stream;
    struct rn_rpc_unary *unaries;
    struct rn_rpc_link *links;
    size_t live_calls;
    uint8_t *inbox; /* one flattened message, RN_RPC_MESSAGE_MAX bytes */

    /* rpc_server.c */
    grpc_server *server; /* NULL until the first listen */
    void *registered[RN_RPC_METHODS];
    unsigned listeners;
    struct rn_rpc_socket sockets[RN_RPC_LISTENERS_MAX];
    unsigned socket_count;
    unsigned slots; /* armed and not yet back */
    bool started;
    bool server_down; /* shutdown's tag arrived, or there is no server */
    struct rn_rpc_tag shutdown_tag;

    /* rpc_run.c */
    bool stopping;
    bool cancelled; /* grace is over, everything was cancelled */
    bool ended;
    uint64_t stop_at_ms;
};

/* --- time ------------------------------------------------------------------------------------- */

uint64_t rn_rpc_now_ms(void);
/* Wall time: the configuration's clock, or the machine's. */
uint64_t rn_rpc_wall_ms(const struct rn_rpc *rpc);
/* A deadline this far ahead, on the clock core uses. */
gpr_timespec rn_rpc_deadline(uint64_t ms);

/* ms less a part of at most percent of it: uniform when random is. Bounds: ms - ms * percent / 100
 * and ms. */
uint64_t rn_rpc_jittered(uint64_t ms, uint32_t percent, uint64_t random);
/* The same with a random number of its own. */
uint64_t rn_rpc_jitter(uint64_t ms, uint32_t percent);

/* --- queue, posted work, timers --------------------------------------------------------------- */

/* Initialises core, queue, quota and locks; quota_bytes of the configuration is set. */
void rn_rpc_core_open(struct rn_rpc *rpc);
/* When nothing of ours is in core any more; frees work and timers that never ran. */
void rn_rpc_core_close(struct rn_rpc *rpc);

/* Handles the events that are there, waiting at most wait_ms for the first; then what was posted
 * and the timers that are due. */
void rn_rpc_core_turn(struct rn_rpc *rpc, uint64_t wait_ms);
/* most_ms, or less when a timer is due before. */
uint64_t rn_rpc_core_wait(const struct rn_rpc *rpc, uint64_t most_ms);
void rn_rpc_core_run_posted(struct rn_rpc *rpc);

/* Any thread: asks for a stop at this time or before. */
void rn_rpc_core_want_stop(struct rn_rpc *rpc, uint64_t at_ms);
/* Whether a stop was asked for, and when the grace is over. */
bool rn_rpc_core_stop_wanted(struct rn_rpc *rpc, uint64_t *out_at_ms);
/* Nothing may be posted from here on. */
void rn_rpc_core_shut(struct rn_rpc *rpc);

#endif
