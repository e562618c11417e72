/* SPDX-License-Identifier: Apache-2.0
 *
 * Unary calls: health, admin, and the refusal of methods that do not exist. Three tags: end,
 * receive, answer; freed when all of them came.
 */
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <string.h>

#include "base/alloc.h"
#include "services/rpc/rpc_buffer.h"
#include "services/rpc/rpc_peer.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/rpc_unary.h"

#define UNARY_MAGIC 0x7270636eU

struct rn_rpc_unary {
    uint32_t magic;
    struct rn_rpc *rpc;
    struct rn_rpc_unary *previous;
    struct rn_rpc_unary *next;
    const struct rn_rpc_method *method; /* NULL: unknown */
    grpc_call *call;
    unsigned references; /* one for each batch */
    struct rn_rpc_tag end_tag;
    struct rn_rpc_tag receive_tag;
    struct rn_rpc_tag answer_tag;
    uint64_t born_ms;
    bool answered;
    int cancelled;
    grpc_byte_buffer *request;
};

static struct rn_rpc_unary *unary_of(void *owner)
{
    struct rn_rpc_unary *unary = owner;
    RN_BUG_IF(unary->magic != UNARY_MAGIC);
    return unary;
}

static void unary_release(struct rn_rpc_unary *unary)
{
    if (--unary->references > 0) {
        return;
    }
    if (unary->previous != NULL) {
        unary->previous->next = unary->next;
    } else {
        unary->rpc->unaries = unary->next;
    }
    if (unary->next != NULL) {
        unary->next->previous = unary->previous;
    }
    if (unary->request != NULL) {
        grpc_byte_buffer_destroy(unary->request);
    }
    grpc_call_unref(unary->call);
    unary->rpc->live_calls--;
    unary->magic = 0;
    rn_free(unary);
}

static void batch(struct rn_rpc_unary *unary, const grpc_op *ops, size_t count,
                  struct rn_rpc_tag *tag)
{
    unary->references++;
    RN_BUG_IF(grpc_call_start_batch(unary->call, ops, count, tag, NULL) != GRPC_CALL_OK);
}

static void release_step(void *owner, bool ok)
{
    (void)ok;
    unary_release(unary_of(owner));
}

static void answer(struct rn_rpc_unary *unary, rn_result result, struct rn_view message)
{
    grpc_slice text = grpc_slice_from_static_string(rn_rpc_status_text(result));
    grpc_metadata reason;
    memset(&reason, 0, sizeof(reason));
    reason.key = grpc_slice_from_static_string(RN_RPC_REASON_KEY);
    reason.value = grpc_slice_from_static_string(rn_code_name(result.code));
    grpc_byte_buffer *body = NULL;
    grpc_op ops[3];
    memset(ops, 0, sizeof(ops));
    size_t count = 0;
    ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (rn_is_ok(result)) {
        body = rn_rpc_buffer_of(message, rn_view_of(NULL, 0));
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = body;
    }
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count].data.send_status_from_server.status = rn_rpc_status_of(result);
    ops[count].data.send_status_from_server.status_details = &text;
    ops[count].data.send_status_from_server.trailing_metadata = &reason;
    ops[count].data.send_status_from_server.trailing_metadata_count = 1;
    count++;
    unary->answered = true;
    batch(unary, ops, count, &unary->answer_tag);
    if (body != NULL) {
        grpc_byte_buffer_destroy(body);
    }
}

static rn_result handle(struct rn_rpc_unary *unary, struct rn_buffer *out)
{
    uint8_t request[512];
    size_t length = 0;
    RN_BUG_IF(unary->method->message_max > sizeof(request));
    RN_TRY(rn_rpc_flatten(unary->request, request, unary->method->message_max, &length));
    const struct rn_view in = rn_view_of(request, length);
    return unary->method->handler == RN_RPC_ON_HEALTH ? rn_rpc_health_answer(unary->rpc, in, out)
                                                      : rn_rpc_admin_answer(unary->rpc, in, out);
}

static void on_receive(void *owner, bool ok)
{
    struct rn_rpc_unary *unary = unary_of(owner);
    const enum rn_rpc_receipt receipt = rn_rpc_receipt_of(unary->call, ok, unary->request);
    if (receipt == RN_RPC_MESSAGE && !unary->answered) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer out;
        rn_buffer_init(&out, RN_RPC_MESSAGE_MAX - 64);
        rn_result result = handle(unary, &out);
        if (rn_is_ok(result) && out.failed) {
            result = (rn_result){RN_E_INTERNAL};
        }
        answer(unary, result, rn_buffer_view(&out));
    } else if (!unary->answered) {
        answer(unary, (rn_result){RN_E_PEER_FORMAT}, rn_view_of(NULL, 0));
    }
    unary_release(unary);
}

static rn_result may_call(struct rn_rpc_unary *unary)
{
    struct rn_peer peer;
    if (unary->method == NULL) {
        return (rn_result){RN_E_UNSUPPORTED};
    }
    RN_TRY(rn_rpc_peer_identify(unary->rpc, unary->call, false, &peer));
    const bool reachable =
        peer.role == RN_PEER_LOCAL ? unary->method->local : unary->method->remote;
    return reachable ? rn_ok() : (rn_result){RN_E_PEER_AUTH};
}

void rn_rpc_unary_accept(struct rn_rpc *rpc, grpc_call *call, const struct rn_rpc_method *method)
{
    struct rn_rpc_unary *unary = rn_alloc(1, sizeof(*unary));
    unary->magic = UNARY_MAGIC;
    unary->rpc = rpc;
    unary->method = method;
    unary->call = call;
    unary->born_ms = rn_rpc_now_ms();
    rn_rpc_tag_init(&unary->end_tag, unary, release_step);
    rn_rpc_tag_init(&unary->receive_tag, unary, on_receive);
    rn_rpc_tag_init(&unary->answer_tag, unary, release_step);
    unary->next = rpc->unaries;
    if (unary->next != NULL) {
        unary->next->previous = unary;
    }
    rpc->unaries = unary;
    rpc->live_calls++;

    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &unary->cancelled;
    batch(unary, &op, 1, &unary->end_tag);
    const rn_result allowed = may_call(unary);
    if (!rn_is_ok(allowed)) {
        answer(unary, allowed, rn_view_of(NULL, 0));
        return;
    }
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &unary->request;
    batch(unary, &op, 1, &unary->receive_tag);
}

void rn_rpc_unaries_inspect(struct rn_rpc *rpc)
{
    const uint64_t now = rn_rpc_now_ms();
    for (struct rn_rpc_unary *unary = rpc->unaries; unary != NULL; unary = unary->next) {
        const uint32_t seconds = unary->method != NULL ? unary->method->seconds_max : 10;
        if (now - unary->born_ms > (uint64_t)seconds * 1000U) {
            grpc_call_cancel(unary->call, NULL);
        }
    }
}

void rn_rpc_unaries_cancel_all(struct rn_rpc *rpc)
{
    for (struct rn_rpc_unary *unary = rpc->unaries; unary != NULL; unary = unary->next) {
        grpc_call_cancel(unary->call, NULL);
    }
}
