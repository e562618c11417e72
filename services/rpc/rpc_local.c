/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking unary calls over the unix socket, for commands.
 */
#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <pb_decode.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/rpc/rpc_buffer.h"
#include "services/rpc/rpc_core.h"
#include "services/rpc/rpc_methods.h"
#include "services/rpc/rpc_status.h"

struct reply {
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *message;
    grpc_status_code status;
    grpc_slice text;
};

/* One call on its own queue; the six operations of a unary call in one batch. */
static void call_and_wait(grpc_channel *channel, const char *method, struct rn_view request,
                          uint32_t timeout_ms, struct reply *reply)
{
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_slice path = grpc_slice_from_copied_string(method);
    grpc_call *call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, path,
                                               NULL, rn_rpc_deadline(timeout_ms), NULL);
    grpc_byte_buffer *body = rn_rpc_buffer_of(request, rn_view_of(NULL, 0));
    grpc_op ops[6];
    memset(ops, 0, sizeof(ops));
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = body;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &reply->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &reply->message;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &reply->trailing;
    ops[5].data.recv_status_on_client.status = &reply->status;
    ops[5].data.recv_status_on_client.status_details = &reply->text;
    RN_BUG_IF(grpc_call_start_batch(call, ops, 6, call, NULL) != GRPC_CALL_OK);
    (void)grpc_completion_queue_pluck(queue, call, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_byte_buffer_destroy(body);
    grpc_call_unref(call);
    grpc_slice_unref(path);
    grpc_completion_queue_shutdown(queue);
    while (
        grpc_completion_queue_pluck(queue, NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
        GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(queue);
}

static rn_result reply_result(const struct reply *reply, const char *path, struct rn_error *err)
{
    const enum rn_code said =
        rn_rpc_code_of_name(rn_rpc_metadata_find(&reply->trailing, RN_RPC_REASON_KEY));
    switch (reply->status) {
    case GRPC_STATUS_OK:
        return rn_ok();
    case GRPC_STATUS_DEADLINE_EXCEEDED:
        return rn_fail(err, RN_E_TIMEOUT, "the service behind %s did not answer in time", path);
    case GRPC_STATUS_UNAVAILABLE:
        return rn_fail(err, RN_E_UNAVAILABLE,
                       "nobody answers at %s: the service is not running, or it runs with another "
                       "state directory",
                       path);
    default:
        return rn_fail(err, said != RN_OK ? said : RN_E_INTERNAL,
                       "the service behind %s refused: %s", path,
                       said != RN_OK ? rn_code_name(said) : "no reason given");
    }
}

static void reply_clear(struct reply *reply)
{
    grpc_metadata_array_destroy(&reply->initial);
    grpc_metadata_array_destroy(&reply->trailing);
    if (reply->message != NULL) {
        grpc_byte_buffer_destroy(reply->message);
    }
    grpc_slice_unref(reply->text);
}

static rn_result reply_take(struct reply *reply, struct rn_buffer *out, struct rn_error *err)
{
    const size_t length = reply->message != NULL ? grpc_byte_buffer_length(reply->message) : 0;
    uint8_t *at = rn_buffer_grow(out, length);
    size_t written = 0;
    RN_ENSURE(length == 0 ||
                  (at != NULL && rn_is_ok(rn_rpc_flatten(reply->message, at, length, &written))),
              err, RN_E_PEER_FORMAT, "the service's answer cannot be read");
    return rn_ok();
}

/* Says apart what core would call "unavailable" alike. */
static rn_result socket_find(const char *path, struct rn_error *err)
{
    struct stat info;
    const bool there = stat(path, &info) == 0 && S_ISSOCK(info.st_mode);
    const bool mine = there ? access(path, R_OK | W_OK) == 0 : errno != EACCES;
    RN_ENSURE(mine, err, RN_E_PERMISSION, "%s: only the service's own user may ask it", path);
    RN_ENSURE(there, err, RN_E_UNAVAILABLE, "the service is not running: there is no socket %s",
              path);
    return rn_ok();
}

static grpc_channel *channel_open(const char *alias)
{
    char target[RN_RPC_ADDRESS_MAX + 1];
    RN_BUG_IF(!rn_text_format(target, sizeof(target), "unix:%s", alias));
    grpc_arg limit;
    memset(&limit, 0, sizeof(limit));
    limit.type = GRPC_ARG_INTEGER;
    limit.key = (char *)(uintptr_t)GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS;
    limit.value.integer = 100; /* else a command would linger in core's back-off when it exits */
    const grpc_channel_args args = {1, &limit};
    grpc_channel_credentials *credentials = grpc_local_credentials_create(UDS);
    grpc_channel *channel = grpc_channel_create(target, credentials, &args);
    grpc_channel_credentials_release(credentials);
    return channel;
}

static rn_result local_call(const char *path, const char *method, struct rn_view request,
                            uint32_t timeout_ms, struct rn_buffer *out, struct rn_error *err)
{
    struct rn_rpc_socket socket;
    struct reply reply;
    RN_TRY(socket_find(path, err));
    RN_TRY(rn_rpc_socket_open(path, &socket, err));
    grpc_init();
    grpc_channel *channel = channel_open(socket.alias);
    memset(&reply, 0, sizeof(reply));
    reply.text = grpc_empty_slice();
    grpc_metadata_array_init(&reply.initial);
    grpc_metadata_array_init(&reply.trailing);
    call_and_wait(channel, method, request, timeout_ms, &reply);
    rn_result result = reply_result(&reply, path, err);
    if (rn_is_ok(result)) {
        result = reply_take(&reply, out, err);
    }
    reply_clear(&reply);
    grpc_channel_destroy(channel);
    grpc_shutdown();
    rn_rpc_socket_close(&socket);
    return result;
}

/* A message of one text field. */
static rn_result request_of(const char *text, struct rn_buffer *out, struct rn_error *err)
{
    const size_t length = strlen(text);
    RN_ENSURE(length <= RN_RPC_ADMIN_MAX, err, RN_E_USAGE,
              "a request of %zu characters is too long", length);
    if (length > 0) {
        rn_buffer_u8(out, (1U << 3) | 2U);
        if (length >= 0x80U) {
            rn_buffer_u8(out, (uint8_t)(0x80U | (length & 0x7fU)));
            rn_buffer_u8(out, (uint8_t)(length >> 7U));
        } else {
            rn_buffer_u8(out, (uint8_t)length);
        }
        rn_buffer_append(out, text, length);
    }
    return rn_ok();
}

/* The bytes of field 1 of an AdminAnswer, which has no other. */
static rn_result answer_of(struct rn_view in, struct rn_buffer *out, struct rn_error *err)
{
    pb_istream_t stream = pb_istream_from_buffer(in.data, in.length);
    pb_wire_type_t type = PB_WT_VARINT;
    uint32_t tag = 0;
    uint32_t length = 0;
    bool eof = false;
    RN_ENSURE(pb_decode_tag(&stream, &type, &tag, &eof) && tag == 1 && type == PB_WT_STRING &&
                  pb_decode_varint32(&stream, &length) && length == stream.bytes_left,
              err, RN_E_PEER_FORMAT, "the service's answer cannot be read");
    rn_buffer_append(out, in.data + (in.length - length), length);
    RN_ENSURE(!out->failed, err, RN_E_PEER_LIMIT, "the service's answer is too long");
    return rn_ok();
}

rn_result rn_rpc_local_admin(const char *path, const char *what, uint32_t timeout_ms,
                             struct rn_buffer *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer answer = {0};
    RN_TRY(request_of(what, &request, err));
    RN_TRY(local_call(path, rn_rpc_methods[RN_RPC_ON_ADMIN].path, rn_buffer_view(&request),
                      timeout_ms, &answer, err));
    return answer_of(rn_buffer_view(&answer), out, err);
}

rn_result rn_rpc_local_health(const char *path, const char *service, uint32_t timeout_ms,
                              bool *out_serving, struct rn_error *err)
{
    static const uint8_t serving[] = {0x08, 0x01};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer answer = {0};
    RN_TRY(request_of(service, &request, err));
    RN_TRY(local_call(path, rn_rpc_methods[RN_RPC_ON_HEALTH].path, rn_buffer_view(&request),
                      timeout_ms, &answer, err));
    *out_serving = rn_view_equal(rn_buffer_view(&answer), rn_view_of(serving, sizeof(serving)));
    return rn_ok();
}
