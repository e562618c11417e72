/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of the two unary methods: grpc.health.v1.Health/Check and rondo.v1.Admin/Get. Their
 * messages have one small field each and are read and written by hand.
 */
#include <pb_decode.h>

#include "services/rpc/rpc_unary.h"

/* Length-delimited field 1. */
#define FIELD_1_BYTES ((1U << 3) | 2U)
#define HEALTH_SERVING 1U
#define HEALTH_NOT_SERVING 2U

/* The bytes of field 1, borrowed; empty when it is absent. Unknown fields are skipped. */
static bool field_one(struct rn_view in, struct rn_view *out)
{
    pb_istream_t stream = pb_istream_from_buffer(in.data, in.length);
    *out = rn_view_of(NULL, 0);
    while (stream.bytes_left > 0) {
        pb_wire_type_t type = PB_WT_VARINT;
        uint32_t tag = 0;
        bool eof = false;
        if (!pb_decode_tag(&stream, &type, &tag, &eof)) {
            return false;
        }
        if (tag != 1 || type != PB_WT_STRING) {
            if (!pb_skip_field(&stream, type)) {
                return false;
            }
            continue;
        }
        uint32_t length = 0;
        if (!pb_decode_varint32(&stream, &length) || length > stream.bytes_left) {
            return false;
        }
        *out = rn_view_of(in.data + (in.length - stream.bytes_left), length);
        if (!pb_read(&stream, NULL, length)) {
            return false;
        }
    }
    return true;
}

rn_result rn_rpc_health_answer(const struct rn_rpc *rpc, struct rn_view request,
                               struct rn_buffer *answer)
{
    struct rn_view service;
    if (!field_one(request, &service)) {
        return (rn_result){RN_E_PEER_FORMAT};
    }
    if (service.length > 0 && !rn_view_equal(service, rn_view_text("rondo.v1.Federation"))) {
        return (rn_result){RN_E_NO_INPUT};
    }
    const struct rn_rpc_callbacks *callbacks = &rpc->config.callbacks;
    const bool serving =
        !rpc->stopping && (callbacks->is_serving == NULL || callbacks->is_serving(callbacks->user));
    rn_buffer_u8(answer, 1U << 3); /* field 1, varint */
    rn_buffer_u8(answer, serving ? HEALTH_SERVING : HEALTH_NOT_SERVING);
    return rn_ok();
}

rn_result rn_rpc_admin_answer(const struct rn_rpc *rpc, struct rn_view request,
                              struct rn_buffer *answer)
{
    const struct rn_rpc_callbacks *callbacks = &rpc->config.callbacks;
    struct rn_view what;
    if (!field_one(request, &what)) {
        return (rn_result){RN_E_PEER_FORMAT};
    }
    if (callbacks->admin == NULL) {
        return (rn_result){RN_E_UNSUPPORTED};
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body;
    rn_buffer_init(&body, RN_RPC_CHUNK_MAX);
    RN_TRY(callbacks->admin(callbacks->user, what, &body));
    if (body.failed) {
        return (rn_result){RN_E_INTERNAL};
    }
    rn_buffer_u8(answer, FIELD_1_BYTES);
    size_t left = body.length;
    for (; left >= 0x80U; left >>= 7U) {
        rn_buffer_u8(answer, (uint8_t)(0x80U | (left & 0x7fU)));
    }
    rn_buffer_u8(answer, (uint8_t)left);
    rn_buffer_append(answer, body.data, body.length);
    return rn_ok();
}
