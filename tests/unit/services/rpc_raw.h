/* SPDX-License-Identifier: Apache-2.0
 *
 * A gRPC client that keeps none of Rondo's rules: any certificate or none, any method, any size,
 * compression, cuts. It has its own queue, so that the tested end is stepped while it waits.
 */
#ifndef RN_TESTS_RPC_RAW_H
#define RN_TESTS_RPC_RAW_H

#include <grpc/byte_buffer.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#include "tests/unit/services/rpc_fixture.h"

struct raw {
    grpc_channel *channel;
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *message;
    grpc_status_code status;
    grpc_slice text;
    unsigned pending;
    bool ended;
};

/* One-letter tags. */
static char raw_status[] = "s";
static char raw_open[] = "o";
static char raw_send[] = "w";
static char raw_receive[] = "r";

/* name NULL: no certificate. */
static inline void raw_connect(struct raw *raw, uint16_t port, const char *name)
{
    char target[64];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer key = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer chain = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority;
    pem_read("ca", ".crt", &authority);
    if (name != NULL) {
        pem_read(name, ".key", &key);
        pem_read(name, ".crt", &chain);
    }
    memset(raw, 0, sizeof(*raw));
    RN_BUG_IF(!rn_text_format(target, sizeof(target), "localhost:%u", (unsigned)port));
    grpc_init();
    grpc_ssl_pem_key_cert_pair pair = {rn_buffer_text(&key), rn_buffer_text(&chain)};
    grpc_channel_credentials *credentials = grpc_ssl_credentials_create_ex(
        rn_buffer_text(&authority), name != NULL ? &pair : NULL, NULL, NULL);
    grpc_arg limit = {.type = GRPC_ARG_INTEGER,
                      .key = (char *)(uintptr_t) "grpc.max_send_message_length"};
    limit.value.integer = -1;
    const grpc_channel_args args = {1, &limit};
    raw->channel = grpc_channel_create(target, credentials, &args);
    grpc_channel_credentials_release(credentials);
    raw->queue = grpc_completion_queue_create_for_next(NULL);
    raw->text = grpc_empty_slice();
    grpc_metadata_array_init(&raw->initial);
    grpc_metadata_array_init(&raw->trailing);
}

static inline void raw_batch(struct raw *raw, const grpc_op *ops, size_t count, void *tag)
{
    RN_BUG_IF(grpc_call_start_batch(raw->call, ops, count, tag, NULL) != GRPC_CALL_OK);
    raw->pending++;
}

/* Begins a call of any method; compress asks for gzip. */
static inline void raw_begin(struct raw *raw, const char *method, uint32_t deadline_ms,
                             bool compress)
{
    grpc_slice path = grpc_slice_from_copied_string(method);
    raw->call = grpc_channel_create_call(
        raw->channel, NULL, GRPC_PROPAGATE_DEFAULTS, raw->queue, path, NULL,
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_millis((int64_t)deadline_ms, GPR_TIMESPAN)),
        NULL);
    grpc_slice_unref(path);
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &raw->trailing;
    op.data.recv_status_on_client.status = &raw->status;
    op.data.recv_status_on_client.status_details = &raw->text;
    raw_batch(raw, &op, 1, raw_status);
    grpc_metadata gzip;
    memset(&gzip, 0, sizeof(gzip));
    gzip.key = grpc_slice_from_static_string(GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY);
    gzip.value = grpc_slice_from_static_string("gzip");
    grpc_op both[2];
    memset(both, 0, sizeof(both));
    both[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (compress) {
        both[0].data.send_initial_metadata.count = 1;
        both[0].data.send_initial_metadata.metadata = &gzip;
    }
    both[1].op = GRPC_OP_RECV_INITIAL_METADATA;
    both[1].data.recv_initial_metadata.recv_initial_metadata = &raw->initial;
    raw_batch(raw, both, 2, raw_open);
}

static inline void raw_write(struct raw *raw, const void *data, size_t length)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(data, length);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = buffer;
    raw_batch(raw, &op, 1, raw_send);
    grpc_byte_buffer_destroy(buffer);
}

static inline void raw_half_close(struct raw *raw)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    raw_batch(raw, &op, 1, raw_send);
}

static inline void raw_read(struct raw *raw)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &raw->message;
    raw_batch(raw, &op, 1, raw_receive);
}

/* Handles one event if there is one; the tag or NULL. */
static inline void *raw_step(struct raw *raw)
{
    const grpc_event event = grpc_completion_queue_next(
        raw->queue,
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(2, GPR_TIMESPAN)), NULL);
    if (event.type != GRPC_OP_COMPLETE) {
        return NULL;
    }
    raw->pending--;
    raw->ended = raw->ended || event.tag == raw_status;
    return event.tag;
}

/* Steps both until this tag came. */
static inline void raw_until(struct raw *raw, struct end *end, const void *tag)
{
    const uint64_t patience = rn_clock_monotonic_ms() + PATIENCE_MS;
    while (raw_step(raw) != tag) {
        (void)rn_rpc_step(end->rpc, 2);
        if (rn_clock_monotonic_ms() > patience) {
            fail_msg("waited in vain for tag %s", (const char *)tag);
        }
    }
}

/* Waits for the status of the call and releases the call. */
static inline grpc_status_code raw_end(struct raw *raw, struct end *end)
{
    const uint64_t patience = rn_clock_monotonic_ms() + PATIENCE_MS;
    while (!raw->ended || raw->pending > 0) {
        (void)raw_step(raw);
        (void)rn_rpc_step(end->rpc, 2);
        if (rn_clock_monotonic_ms() > patience) {
            fail_msg("a call does not end");
        }
    }
    grpc_call_unref(raw->call);
    raw->call = NULL;
    raw->ended = false;
    if (raw->message != NULL) {
        grpc_byte_buffer_destroy(RN_TAKE(raw->message));
    }
    return raw->status;
}

static inline void raw_close(struct raw *raw)
{
    grpc_metadata_array_destroy(&raw->initial);
    grpc_metadata_array_destroy(&raw->trailing);
    grpc_slice_unref(raw->text);
    grpc_channel_destroy(raw->channel);
    grpc_completion_queue_shutdown(raw->queue);
    while (grpc_completion_queue_next(raw->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(raw->queue);
    grpc_shutdown();
}

#endif
