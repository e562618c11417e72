/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of services/rpc share. Reading order: rpc_loop.c (queue, posted work, timers,
 * shutdown), rpc_server.c (armed slots), rpc_stream*.c (one stream), rpc_link.c (dialling),
 * rpc_unary.c (health, admin, refusals), rpc_creds.c, rpc_args.c, rpc_peer.c, rpc_status.c.
 *
 * Everything that travels through core's void* is a struct rn_rpc_tag with a magic number. Whatever
 * owns a grpc_call counts one reference for each batch that core still holds.
 */
#ifndef RN_SERVICES_RPC_INTERNAL_H
#define RN_SERVICES_RPC_INTERNAL_H

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>

#include "base/guard.h"
#include "services/rpc/address.h"
#include "services/rpc/rpc.h"

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

/* --- methods ---------------------------------------------------------------------------------- */

enum rn_rpc_handler {
    RN_RPC_ON_SESSION,
    RN_RPC_ON_BULK,
    RN_RPC_ON_HEALTH,
    RN_RPC_ON_ADMIN,
};

struct rn_rpc_method {
    const char *path;
    enum rn_rpc_handler handler;
    bool streaming;
    bool remote;          /* reachable with a certificate */
    bool local;           /* reachable through the unix socket */
    size_t message_max;   /* request bytes */
    unsigned slots;       /* calls armed at once */
    uint32_t seconds_max; /* a longer call is cut */
};

#define RN_RPC_METHODS 4
extern const struct rn_rpc_method rn_rpc_methods[RN_RPC_METHODS];

/* --- the loop --------------------------------------------------------------------------------- */

struct rn_rpc_posted;
struct rn_rpc_timer_entry;
struct rn_rpc_unary;
struct rn_rpc_snapshot;

/* The current key, chain and CA; read by core's threads. */
struct rn_rpc_creds {
    pthread_mutex_t lock;
    struct rn_rpc_snapshot *snapshot;
    struct rn_peer self; /* of the first snapshot; a later one must name the same */
    uint64_t generation; /* of snapshot, from 1 */
    uint64_t handed;     /* generation that the server's fetcher gave out last */
};

struct rn_rpc {
    struct rn_rpc_config config; /* its pointers are not used after rn_rpc_open */
    char federation[RN_PEER_FEDERATION_MAX + 1];
    grpc_completion_queue *queue;
    grpc_channel *waker; /* a lame channel: watching it makes an event, see rn_rpc_post */
    grpc_resource_quota *quota;
    struct rn_rpc_creds creds;

    grpc_server *server; /* NULL until the first listen */
    void *registered[RN_RPC_METHODS];
    unsigned listeners;
    struct rn_rpc_socket sockets[RN_RPC_LISTENERS_MAX];
    unsigned socket_count;
    unsigned slots; /* armed and not yet back */
    bool started;
    bool server_down; /* shutdown's tag arrived, or there is no server */
    struct rn_rpc_tag shutdown_tag;

    bool stopping;
    bool cancelled; /* grace is over, everything was cancelled */
    bool ended;
    uint64_t stop_at_ms;

    pthread_mutex_t post_lock;
    struct rn_rpc_posted *posted_first;
    struct rn_rpc_posted *posted_last;
    bool wake_pending;
    bool post_closed;
    bool stop_wanted; /* rn_rpc_stop of another thread */
    uint64_t stop_wanted_at_ms;
    struct rn_rpc_tag wake_tag;

    struct rn_rpc_timer_entry *timers; /* by due time */
    uint64_t last_timer;
    uint64_t last_stream;

    struct rn_rpc_stream *streams;
    struct rn_rpc_unary *unaries;
    struct rn_rpc_link *links;
    size_t live_calls;

    uint8_t *inbox; /* one flattened message, RN_RPC_MESSAGE_MAX bytes */
};

uint64_t rn_rpc_now_ms(void);
/* A deadline this far ahead, on the clock core uses. */
gpr_timespec rn_rpc_deadline(uint64_t ms);

/* --- arguments (rpc_args.c) ------------------------------------------------------------------- */

#define RN_RPC_ARGS_MAX 32
struct rn_rpc_args {
    grpc_arg items[RN_RPC_ARGS_MAX];
    grpc_channel_args list; /* points into items */
};
void rn_rpc_args_server(const struct rn_rpc *rpc, struct rn_rpc_args *out);
void rn_rpc_args_client(const struct rn_rpc *rpc, struct rn_rpc_args *out);

/* --- credentials (rpc_creds.c) ---------------------------------------------------------------- */

RN_MUST rn_result rn_rpc_creds_init(struct rn_rpc_creds *creds,
                                    const struct rn_rpc_material *material, struct rn_error *err);
RN_MUST rn_result rn_rpc_creds_replace(struct rn_rpc_creds *creds,
                                       const struct rn_rpc_material *material,
                                       struct rn_error *err);
void rn_rpc_creds_clear(struct rn_rpc_creds *creds);
/* Follows later replacements by itself; creds must outlive the server. */
grpc_server_credentials *rn_rpc_creds_server(struct rn_rpc_creds *creds);
/* Fixed at creation; *out_generation tells when a newer one exists. expected_id is copied. */
grpc_channel_credentials *rn_rpc_creds_client(struct rn_rpc_creds *creds, const char *expected_id,
                                              uint64_t *out_generation);

/* --- peer (rpc_peer.c) ------------------------------------------------------------------------ */

/* Reads the identity of the call's other end and checks the rules for it: one SPIFFE id, TLS with a
 * fresh handshake, dates, federation. A process on the unix socket comes back as RN_PEER_LOCAL.
 * RN_E_PEER_AUTH otherwise. */
RN_MUST rn_result rn_rpc_peer_identify(const struct rn_rpc *rpc, grpc_call *call, bool dialled,
                                       struct rn_peer *out);
/* The certificate's dates against the wall clock. */
bool rn_rpc_peer_in_date(const struct rn_peer *peer, uint64_t now_wall_ms);

/* --- buffers (rpc_buffer.c) ------------------------------------------------------------------- */

enum rn_rpc_receipt { RN_RPC_MESSAGE, RN_RPC_CLEAN_END, RN_RPC_BROKEN };
/* The one place that tells a message from a clean end and from a lost peer. */
enum rn_rpc_receipt rn_rpc_receipt_of(grpc_call *call, bool ok, const grpc_byte_buffer *message);
/* Copies into out; RN_E_PEER_LIMIT when longer than capacity, RN_E_PEER_FORMAT when compressed. */
RN_MUST rn_result rn_rpc_flatten(grpc_byte_buffer *message, uint8_t *out, size_t capacity,
                                 size_t *out_length);
grpc_byte_buffer *rn_rpc_buffer_of(struct rn_view head, struct rn_view body);

/* --- status (rpc_status.c) -------------------------------------------------------------------- */

#define RN_RPC_REASON_KEY "rondo-reason"
/* Present in the initial metadata of a stream that was accepted. */
#define RN_RPC_OPEN_KEY "rondo-open"

/* gRPC status and fixed public text of a result. */
grpc_status_code rn_rpc_status_of(rn_result result);
const char *rn_rpc_status_text(rn_result result);
/* Reason code of a name; RN_OK for an unknown one. */
enum rn_code rn_rpc_code_of_name(struct rn_view name);
/* What a status means on the dialling side. */
rn_result rn_rpc_result_of(grpc_status_code status, enum rn_code peer_said);
/* Value of the first metadata item with this key; an empty view when there is none. */
struct rn_view rn_rpc_metadata_find(const grpc_metadata_array *array, const char *key);

/* --- server, streams, unary calls, links ------------------------------------------------------ */

struct rn_rpc_incoming {
    grpc_call *call;
    const struct rn_rpc_method *method; /* NULL: nobody registered it */
    grpc_metadata_array metadata;
};

/* Take ownership of the call and the metadata. */
void rn_rpc_stream_accept(struct rn_rpc *rpc, struct rn_rpc_incoming *incoming);
void rn_rpc_unary_accept(struct rn_rpc *rpc, struct rn_rpc_incoming *incoming);

void rn_rpc_server_shutdown(struct rn_rpc *rpc);
void rn_rpc_server_destroy(struct rn_rpc *rpc);

struct rn_rpc_stream *rn_rpc_stream_dial(struct rn_rpc *rpc, struct rn_rpc_link *link,
                                         grpc_channel *channel, enum rn_rpc_kind kind);
void rn_rpc_streams_cancel_all(struct rn_rpc *rpc);
/* Dates, renewal of authorisation, calls beyond their time. */
void rn_rpc_streams_inspect(struct rn_rpc *rpc);
void rn_rpc_unaries_cancel_all(struct rn_rpc *rpc);
void rn_rpc_unaries_inspect(struct rn_rpc *rpc);
/* Health answer bytes for a request; RN_E_NO_INPUT for an unknown service. */
RN_MUST rn_result rn_rpc_health_answer(const struct rn_rpc *rpc, struct rn_view request,
                                       struct rn_buffer *answer);
RN_MUST rn_result rn_rpc_admin_answer(const struct rn_rpc *rpc, struct rn_view request,
                                      struct rn_buffer *answer);

void rn_rpc_link_stream_open(struct rn_rpc_link *link, struct rn_rpc_stream *stream);
void rn_rpc_link_stream_ended(struct rn_rpc_link *link, struct rn_rpc_stream *stream,
                              const struct rn_rpc_end *end, uint64_t lived_ms);
const struct rn_peer *rn_rpc_link_expected(const struct rn_rpc_link *link);
void rn_rpc_links_stop(struct rn_rpc *rpc);
void rn_rpc_links_free(struct rn_rpc *rpc);

#endif
