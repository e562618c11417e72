/* SPDX-License-Identifier: Apache-2.0
 *
 * The network: one event loop, mutual TLS 1.3, and two kinds of symmetric streams. This folder
 * alone knows gRPC; everyone else sees this header.
 *
 * Streams. /rondo.v1.Federation/Session carries control messages, /rondo.v1.Federation/Bulk carries
 * chunks of the masked vector. Both are bidirectional, and once open they behave the same whichever
 * side dialled: any number of messages each way, in order, at most RN_RPC_MESSAGE_MAX bytes each.
 * What the bytes mean is the caller's business (services/wire/wire.h).
 *
 * Life cycle.
 *
 *     rn_rpc_setup                 once in main, before threads and before anything of OpenSSL
 *     rn_rpc_open                  loop, credentials; no port yet
 *     rn_rpc_listen / _local       listening addresses (none is fine: a site that dials)
 *     rn_rpc_start                 accept from here on
 *     rn_rpc_link                  any number of peers to dial; a link keeps its streams open and
 *                                  reconnects by itself until rn_rpc_link_drop
 *     rn_rpc_run                   the calling thread is the event loop until rn_rpc_stop has run
 *                                  down (or rn_rpc_step, in tests)
 *     rn_rpc_reload                any time: a new certificate for new connections
 *     rn_rpc_close                 frees everything; streams still open end with on_closed first
 *
 * Threads. Everything here is called on the loop's thread (that of rn_rpc_run), callbacks come on
 * it, and no callback may block: disk, aggregation and training belong on other threads, which come
 * back with rn_rpc_post. Only rn_rpc_post and rn_rpc_stop may be called from other threads.
 *
 * A stream in the eyes of its user.
 *
 *     authorize   the peer's identity is proved, nothing of its payload was read yet; a failure
 * ends the stream, its code reaches the peer as a reason code (rn_code_name) on_open     from now
 * on messages may be sent; rn_rpc_stream_set_user attaches the caller's state on_message  one
 * message; the view is valid during the call on_writable the outgoing queue ran empty (again): pull
 * and send the next chunk on_closed   last callback of a stream that got on_open, exactly once; the
 * pointer is dead after it. `clean` only if the peer said so: a lost connection, kill -9 or a
 * cancelled call never looks clean. Even clean does not mean "upload complete": that is an explicit
 *                 message of the protocol.
 */
#ifndef RN_SERVICES_RPC_RPC_H
#define RN_SERVICES_RPC_RPC_H

#include "base/bytes.h"
#include "services/rpc/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Payload bytes in one bulk message; a chunk's header comes on top. */
#define RN_RPC_CHUNK_MAX ((size_t)1 << 20)
/* One message of either kind on the wire; core refuses longer ones. A protocol message has up to 2
 * MiB. */
#define RN_RPC_MESSAGE_MAX (((size_t)2 << 20) + 4096)
/* Outgoing queue of one stream: messages and bytes; beyond either rn_rpc_stream_send is RN_E_BUSY.
 */
#define RN_RPC_QUEUE_MESSAGES_MAX 256
#define RN_RPC_QUEUE_BYTES_MAX ((size_t)8 << 20)
#define RN_RPC_LISTENERS_MAX 8
#define RN_RPC_ADDRESS_MAX 255
/* Characters of a local admin request. */
#define RN_RPC_ADMIN_MAX 223
/* PEM of one certificate chain, key or CA file. */
#define RN_RPC_PEM_MAX ((size_t)256 << 10)

struct rn_rpc;
struct rn_rpc_stream;
struct rn_rpc_link;

enum rn_rpc_kind {
    RN_RPC_SESSION = 0,
    RN_RPC_BULK = 1,
};
#define RN_RPC_KINDS 2

/* How a stream ended. */
struct rn_rpc_end {
    bool clean;       /* the peer ended it in order */
    bool local;       /* this side ended it (rn_rpc_stream_close or shutdown) */
    rn_result result; /* what it means here: RN_OK, a RETRY code (dial again), or a final one */
    enum rn_code peer_said; /* the peer's reason code; RN_OK when it gave none (core spoke) */
    int grpc_status;        /* for the log */
    /* A sentence for the operator where this side knows more than a code says (its own certificate
     * has expired); NULL otherwise. Valid during the callback. */
    const char *detail;
};

struct rn_rpc_callbacks {
    void *user; /* first argument of each */

    /* May this peer have this stream? Called before any payload is read, and again about once a
     * minute with renewal = true while the stream lives (revocation; the certificate's dates are
     * checked by rpc itself). "Second stream of one identity" is decided here: return
     * RN_E_PEER_REPLAY (ALREADY_EXISTS on the wire) while the first lives. Mandatory. */
    rn_result (*authorize)(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal);
    void (*on_open)(void *user, struct rn_rpc_stream *stream);
    void (*on_message)(void *user, struct rn_rpc_stream *stream, struct rn_view message);
    void (*on_writable)(void *user, struct rn_rpc_stream *stream);
    void (*on_closed)(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end);

    /* A link could not (re)connect, or its peer refused it: for the log and for `doctor`. The link
     * goes on trying until it is dropped, which may be done here: after a final refusal (class
     * RN_CLASS_STOP) ever more rarely. While the own certificate is expired nothing is dialled, and
     * that is said once for each certificate. May be NULL. */
    void (*on_link_down)(void *user, struct rn_rpc_link *link, const struct rn_rpc_end *end);

    /* gRPC health: is the service able to work? NULL: always true until rn_rpc_stop. */
    bool (*is_serving)(void *user);

    /* Local admin request (`rondo status`, `abort`): append the answer, usually JSON. Only peers on
     * the unix socket get here. NULL: the method answers "unsupported". */
    rn_result (*admin)(void *user, struct rn_view request, struct rn_buffer *answer);
};

/* Own key, own chain (leaf first) and the federation's CA, all PEM. */
struct rn_rpc_material {
    struct rn_view key_pem;
    struct rn_view chain_pem;
    struct rn_view ca_pem;
};

struct rn_rpc_config {
    struct rn_rpc_material material; /* copied */
    const char *federation;          /* own and every peer's id must name it; NULL: not checked */
    size_t quota_bytes; /* memory for what arrives; 0: RN_RPC_QUOTA_COORDINATOR or _MEMBER */
    /* A dialled session is opened anew after this, less a random part of at most
     * RN_RPC_RENEWAL_JITTER_PERCENT, as soon as its streams are idle; 15 minutes later it is cut.
     * 0: 45 minutes */
    uint32_t stream_seconds;
    uint32_t keepalive_ms; /* 0: 60 000 */
    uint32_t backoff_ms; /* first delay before a link tries again; 0: 500; at most 20 times that */
    uint64_t (*wall_ms)(void); /* NULL: the machine's clock */
    struct rn_rpc_callbacks callbacks;
};
/* So that not all sites reconnect together. */
#define RN_RPC_RENEWAL_JITTER_PERCENT 25U
/* 32 MiB and two chunks for each stream that may be receiving: 128 members, or one coordinator.
 * (What members send beside chunks is small; a coordinator sends up to RN_RPC_MESSAGE_MAX.) */
#define RN_RPC_QUOTA_COORDINATOR ((size_t)320 << 20)
#define RN_RPC_QUOTA_MEMBER ((size_t)128 << 20)

/* --- process ---------------------------------------------------------------------------------- */

/* Clears the environment variables that steer gRPC, catches its log, pins TLS 1.3 without tickets
 * (crypto/tlspolicy.h), ignores SIGPIPE. Once, first thing in main. RN_E_SYSTEM when TLS cannot be
 * pinned: do not start then. */
RN_MUST rn_result rn_rpc_setup(struct rn_error *err);

/* Lines that gRPC core wanted to log since the last call: for a counter, never the text. */
uint64_t rn_rpc_core_log_count(void);

/* --- life cycle ------------------------------------------------------------------------------- */

/* Checks key, chain, CA and dates before core sees them (RN_E_IDENTITY says what is wrong). */
RN_MUST rn_result rn_rpc_open(const struct rn_rpc_config *config, struct rn_rpc **out,
                              struct rn_error *err);

/* "host:port", "[v6]:port", port 0 picks one. out_port may be NULL. RN_E_CONFIG for a malformed
 * address, RN_E_BUSY when the port is taken, RN_E_SYSTEM with the errno's text otherwise. */
RN_MUST rn_result rn_rpc_listen(struct rn_rpc *rpc, const char *address, uint16_t *out_port,
                                struct rn_error *err);
/* A unix socket with mode 0600 for health probes and `rondo status`: no certificate is asked for,
 * and Session and Bulk are refused there. The directory must exist. RN_E_BUSY when another process
 * serves the socket; a dead one's is replaced. */
RN_MUST rn_result rn_rpc_listen_local(struct rn_rpc *rpc, const char *path, struct rn_error *err);
RN_MUST rn_result rn_rpc_start(struct rn_rpc *rpc, struct rn_error *err);

/* Runs until rn_rpc_stop has run down. */
void rn_rpc_run(struct rn_rpc *rpc);
/* Handles what is due, waiting at most wait_ms for something; false once stopped. */
bool rn_rpc_step(struct rn_rpc *rpc, uint32_t wait_ms);

/* Any thread (not a signal handler). Health turns to not serving, no new stream is accepted, links
 * stop dialling; open streams live on for grace_ms, so that the session protocol can say "closing",
 * then they are cancelled; then rn_rpc_run returns. A second call shortens the grace. */
void rn_rpc_stop(struct rn_rpc *rpc, uint32_t grace_ms);
bool rn_rpc_is_stopping(const struct rn_rpc *rpc);

/* Stops at once if needed; NULL is fine. Calls back on_closed for what was still open. */
void rn_rpc_close(struct rn_rpc *rpc);

/* A new key, chain and CA for new connections (open streams live on). The certificate must carry
 * the same id. RN_E_IDENTITY says what is wrong, as in rn_rpc_open; the old ones stay then. */
RN_MUST rn_result rn_rpc_reload(struct rn_rpc *rpc, const struct rn_rpc_material *material,
                                struct rn_error *err);

/* Id, hash and dates of the own certificate in use; valid until rn_rpc_reload. */
const struct rn_peer *rn_rpc_self(const struct rn_rpc *rpc);
/* Until the own certificate expires; negative after. */
int64_t rn_rpc_certificate_seconds_left(const struct rn_rpc *rpc);
/* What to do about it, for a sentence. */
#define RN_RPC_RENEWAL_ADVICE                                                                  \
    "renew it (operator: rondo invite DIR --renew NAME; then member: rondo join NAME.renewal " \
    "--dir SITE); the service takes it up while it runs"

/* --- dialling --------------------------------------------------------------------------------- */

/* Keeps one Session and, if with_bulk, one Bulk stream open to the peer at target ("host:port" or
 * "[v6]:port"), of which each arrives through on_open like any other stream. The peer's certificate
 * must carry exactly expected_id, whatever its host names are; nothing is sent before that is
 * known. Bulk is opened after Session stands. */
RN_MUST rn_result rn_rpc_link(struct rn_rpc *rpc, const char *target, const char *expected_id,
                              bool with_bulk, struct rn_rpc_link **out, struct rn_error *err);
/* Cancels its streams (on_closed comes later) and dials no more; the pointer is dead. */
void rn_rpc_link_drop(struct rn_rpc_link *link);
void rn_rpc_link_set_user(struct rn_rpc_link *link, void *user);
void *rn_rpc_link_user(const struct rn_rpc_link *link);

/* --- streams ---------------------------------------------------------------------------------- */

/* Copies the message into the outgoing queue. RN_E_BUSY when the queue is full (on_writable will
 * come), RN_E_UNAVAILABLE when the stream is closing, RN_E_PEER_LIMIT above RN_RPC_MESSAGE_MAX. */
RN_MUST rn_result rn_rpc_stream_send(struct rn_rpc_stream *stream, struct rn_view message);
/* One message of two parts, for a header before a large payload. */
RN_MUST rn_result rn_rpc_stream_send2(struct rn_rpc_stream *stream, struct rn_view head,
                                      struct rn_view body);
/* Messages and bytes queued and not yet handed to the transport. */
void rn_rpc_stream_queued(const struct rn_rpc_stream *stream, size_t *out_messages,
                          size_t *out_bytes);

/* result OK: what is queued still goes out, then the stream ends cleanly. Otherwise it ends at
 * once; if this side was dialled the peer learns the code's name. on_closed follows later, not from
 * inside this call. */
void rn_rpc_stream_close(struct rn_rpc_stream *stream, rn_result result);

/* Stops and resumes reading: while paused at most one message is in flight and the peer's sending
 * stalls. */
void rn_rpc_stream_pause(struct rn_rpc_stream *stream);
void rn_rpc_stream_resume(struct rn_rpc_stream *stream);

const struct rn_peer *rn_rpc_stream_peer(const struct rn_rpc_stream *stream);
enum rn_rpc_kind rn_rpc_stream_kind(const struct rn_rpc_stream *stream);
/* The link that dialled it; NULL when the peer dialled. */
struct rn_rpc_link *rn_rpc_stream_link(const struct rn_rpc_stream *stream);
/* Distinct for every stream of a process, from 1: for maps and logs. */
uint64_t rn_rpc_stream_number(const struct rn_rpc_stream *stream);
void rn_rpc_stream_set_user(struct rn_rpc_stream *stream, void *user);
void *rn_rpc_stream_user(const struct rn_rpc_stream *stream);
/* Payload bytes of messages sent and received on this stream. */
void rn_rpc_stream_traffic(const struct rn_rpc_stream *stream, uint64_t *out_sent,
                           uint64_t *out_received);

/* --- loop ------------------------------------------------------------------------------------- */

typedef void (*rn_rpc_function)(void *argument);

/* From any thread: runs function(argument) on the loop, in the order posted. False after the loop
 * has stopped (the function will not run then). */
bool rn_rpc_post(struct rn_rpc *rpc, rn_rpc_function function, void *argument);

/* After delay_ms on the loop, once. Returns a number for rn_rpc_timer_cancel, never 0. */
uint64_t rn_rpc_timer(struct rn_rpc *rpc, uint64_t delay_ms, rn_rpc_function function,
                      void *argument);
/* 0 or one that fired already is fine. */
void rn_rpc_timer_cancel(struct rn_rpc *rpc, uint64_t timer);

/* Calls that core still knows about; zero after rn_rpc_run has returned. */
size_t rn_rpc_live_calls(const struct rn_rpc *rpc);

/* --- checks and local calls ------------------------------------------------------------------- */

/* True for "host:port" or "[v6]:port" with port 0 to 65535 (1 to 65535 unless allow_zero). */
RN_MUST rn_result rn_rpc_address_check(const char *address, bool allow_zero, struct rn_error *err);

/* Blocking, for commands: asks the service behind the unix socket. RN_E_UNAVAILABLE "not running"
 * when nobody listens there; RN_E_TIMEOUT after timeout_ms. */
RN_MUST rn_result rn_rpc_local_admin(const char *path, const char *what, uint32_t timeout_ms,
                                     struct rn_buffer *out, struct rn_error *err);
/* Blocking gRPC health check over the unix socket; service "" is the whole server. */
RN_MUST rn_result rn_rpc_local_health(const char *path, const char *service, uint32_t timeout_ms,
                                      bool *out_serving, struct rn_error *err);

#endif
