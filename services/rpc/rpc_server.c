/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening: addresses, the method table, armed slots, and the first half of shutdown.
 */
#include <grpc/support/alloc.h>

#include "base/alloc.h"
#include "services/rpc/address.h"
#include "services/rpc/rpc_args.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/rpc_stream.h"
#include "services/rpc/rpc_unary.h"

/* --- slots ------------------------------------------------------------------------------------ */

/* One call that core may hand over. */
struct slot {
    struct rn_rpc_tag tag;
    struct rn_rpc *rpc;
    unsigned method; /* RN_RPC_METHODS: calls of methods that nobody registered */
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_call_details details;
};

static void slot_step(void *owner, bool ok);

static void slot_free(struct slot *slot)
{
    slot->rpc->slots--;
    grpc_call_details_destroy(&slot->details);
    rn_free(slot);
}

static void slot_arm(struct rn_rpc *rpc, unsigned method)
{
    struct slot *slot = rn_alloc(1, sizeof(*slot));
    rn_rpc_tag_init(&slot->tag, slot, slot_step);
    slot->rpc = rpc;
    slot->method = method;
    grpc_metadata_array_init(&slot->metadata);
    grpc_call_details_init(&slot->details);
    rpc->slots++;
    grpc_call_error error = GRPC_CALL_OK;
    if (method < RN_RPC_METHODS) {
        error = grpc_server_request_registered_call(rpc->server, rpc->registered[method],
                                                    &slot->call, &slot->deadline, &slot->metadata,
                                                    NULL, rpc->queue, rpc->queue, &slot->tag);
    } else {
        error = grpc_server_request_call(rpc->server, &slot->call, &slot->details, &slot->metadata,
                                         rpc->queue, rpc->queue, &slot->tag);
    }
    RN_BUG_IF(error != GRPC_CALL_OK);
}

static void slot_step(void *owner, bool ok)
{
    struct slot *slot = owner;
    struct rn_rpc *rpc = slot->rpc;
    if (!ok) { /* the server shuts down */
        grpc_metadata_array_destroy(&slot->metadata);
        slot_free(slot);
        return;
    }
    if (!rpc->stopping) {
        slot_arm(rpc, slot->method); /* first: calls queue in core without a bound */
    }
    const bool known = slot->method < RN_RPC_METHODS;
    const struct rn_rpc_method *method = known ? &rn_rpc_methods[slot->method] : NULL;
    grpc_metadata_array metadata = slot->metadata;
    grpc_call *call = slot->call;
    slot_free(slot);
    if (known && method->streaming) {
        rn_rpc_stream_accept(rpc, call, metadata, method);
    } else {
        grpc_metadata_array_destroy(&metadata);
        rn_rpc_unary_accept(rpc, call, method);
    }
}

/* --- listening -------------------------------------------------------------------------------- */

static void server_make(struct rn_rpc *rpc)
{
    if (rpc->server != NULL) {
        return;
    }
    struct rn_rpc_args args;
    rn_rpc_args_server(rpc, &args);
    rpc->server = grpc_server_create(&args.list, NULL);
    rpc->server_down = false;
    grpc_server_register_completion_queue(rpc->server, rpc->queue, NULL);
    for (unsigned i = 0; i < RN_RPC_METHODS; i++) {
        /* Never read a payload before it is known whose it is. */
        rpc->registered[i] = grpc_server_register_method(rpc->server, rn_rpc_methods[i].path, NULL,
                                                         GRPC_SRM_PAYLOAD_NONE, 0);
        RN_BUG_IF(rpc->registered[i] == NULL);
    }
}

static rn_result listen_begin(struct rn_rpc *rpc, struct rn_error *err)
{
    RN_ENSURE(!rpc->started, err, RN_E_INTERNAL, "listening must begin before the start");
    RN_ENSURE(rpc->listeners < RN_RPC_LISTENERS_MAX, err, RN_E_CONFIG,
              "more than %d listening addresses", RN_RPC_LISTENERS_MAX);
    server_make(rpc);
    return rn_ok();
}

rn_result rn_rpc_listen(struct rn_rpc *rpc, const char *address, uint16_t *out_port,
                        struct rn_error *err)
{
    RN_TRY(rn_rpc_address_check(address, true, err));
    RN_TRY(listen_begin(rpc, err));
    grpc_server_credentials *credentials = rn_rpc_creds_server(&rpc->creds);
    RN_ENSURE(credentials != NULL, err, RN_E_INTERNAL, "server credentials were refused");
    const int port = grpc_server_add_http2_port(rpc->server, address, credentials);
    grpc_server_credentials_release(credentials);
    if (port <= 0) {
        rpc->creds.fetcher_count--; /* of the credentials just released */
        /* Core tells the reason to its log alone; key and chain were checked, so it is the address.
         */
        return rn_rpc_address_why_not(address, err);
    }
    rpc->listeners++;
    if (out_port != NULL) {
        *out_port = (uint16_t)port;
    }
    return rn_ok();
}

static rn_result socket_listen(struct rn_rpc *rpc, struct rn_rpc_socket *socket, const char *path,
                               struct rn_error *err)
{
    char target[RN_RPC_ADDRESS_MAX + 1];
    RN_ENSURE(!rn_rpc_socket_is_served(socket), err, RN_E_BUSY,
              "%s: another process already serves this socket", path);
    RN_TRY(rn_rpc_socket_prepare(socket, path, err));
    RN_BUG_IF(!rn_text_format(target, sizeof(target), "unix:%s", socket->birthplace));
    grpc_server_credentials *credentials = grpc_local_server_credentials_create(UDS);
    const int bound = grpc_server_add_http2_port(rpc->server, target, credentials);
    grpc_server_credentials_release(credentials);
    RN_ENSURE(bound > 0, err, RN_E_SYSTEM,
              "%s: the socket cannot be made: may this user write to its directory?", path);
    return rn_rpc_socket_publish(socket, path, err);
}

rn_result rn_rpc_listen_local(struct rn_rpc *rpc, const char *path, struct rn_error *err)
{
    struct rn_rpc_socket socket;
    RN_TRY(listen_begin(rpc, err));
    RN_TRY(rn_rpc_socket_open(path, &socket, err));
    const rn_result listens = socket_listen(rpc, &socket, path, err);
    /* After a failure too: core may have bound it, and keeps it until the server is destroyed. */
    rpc->sockets[rpc->socket_count++] = socket;
    rpc->listeners++;
    return listens;
}

rn_result rn_rpc_start(struct rn_rpc *rpc, struct rn_error *err)
{
    RN_ENSURE(!rpc->started, err, RN_E_INTERNAL, "started twice");
    rpc->started = true;
    if (rpc->server == NULL) {
        return rn_ok();
    }
    grpc_server_start(rpc->server);
    for (unsigned i = 0; i < RN_RPC_METHODS; i++) {
        for (unsigned k = 0; k < rn_rpc_methods[i].slots; k++) {
            slot_arm(rpc, i);
        }
    }
    for (unsigned k = 0; k < 2; k++) {
        slot_arm(rpc, RN_RPC_METHODS); /* else an unknown method hangs until its deadline */
    }
    return rn_ok();
}

/* --- shutdown --------------------------------------------------------------------------------- */

static void server_is_down(void *owner, bool ok)
{
    (void)ok;
    struct rn_rpc *rpc = owner;
    rpc->server_down = true;
}

void rn_rpc_server_shutdown(struct rn_rpc *rpc)
{
    if (rpc->server == NULL) {
        rpc->server_down = true;
        return;
    }
    rn_rpc_tag_init(&rpc->shutdown_tag, rpc, server_is_down);
    grpc_server_shutdown_and_notify(rpc->server, rpc->queue, &rpc->shutdown_tag);
}

void rn_rpc_server_cancel_all(struct rn_rpc *rpc)
{
    if (rpc->server != NULL) {
        grpc_server_cancel_all_calls(rpc->server);
    }
}

void rn_rpc_server_destroy(struct rn_rpc *rpc)
{
    if (rpc->server != NULL) {
        grpc_server_destroy(rpc->server);
        rpc->server = NULL;
    }
    while (rpc->socket_count > 0) {
        rn_rpc_socket_close(&rpc->sockets[--rpc->socket_count]);
    }
}
