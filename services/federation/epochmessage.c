/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/epochmessage.h"

#include "crypto/secagg/epoch.h"

_Static_assert(RN_WIRE_EPOCH_MAX == RN_EPOCH_HEAD_BYTES + RN_SA_EPOCH_DOCUMENT_MAX,
               "the longest document fits the wire");

/* Bytes of a body, at least and at most. */
struct lengths {
    size_t least, most;
};

static struct lengths lengths_of(enum rn_epoch_kind kind)
{
    switch (kind) {
    case RN_EPOCH_COMMITMENT:
    case RN_EPOCH_REVEAL:
        return (struct lengths){RN_SA_EPOCH_ENTRY_BYTES, RN_SA_EPOCH_ENTRY_BYTES};
    case RN_EPOCH_SET:
        return (struct lengths){RN_SA_EPOCH_SET_HEAD, RN_SA_EPOCH_DOCUMENT_MAX};
    case RN_EPOCH_REVEALS:
        return (struct lengths){RN_SA_EPOCH_REVEALS_HEAD, RN_SA_EPOCH_DOCUMENT_MAX};
    case RN_EPOCH_ASK:
    case RN_EPOCH_CALL:
    case RN_EPOCH_DRAWN:
    default:
        return (struct lengths){0, 0};
    }
}

rn_result rn_epoch_message_read(struct rn_view bytes, struct rn_epoch_message *out,
                                struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    const uint32_t kind = rn_read_u32(&reader);
    out->kind = (enum rn_epoch_kind)kind;
    out->attempt = rn_read_u32(&reader);
    out->body = rn_read_view(&reader, rn_reader_left(&reader));
    RN_ENSURE(rn_reader_done(&reader) && kind >= RN_EPOCH_ASK && kind <= RN_EPOCH_DRAWN, err,
              RN_E_PEER_FORMAT, "epoch: no such message");
    const struct lengths lengths = lengths_of(out->kind);
    RN_ENSURE(out->attempt <= RN_SA_EPOCH_ATTEMPTS_MAX &&
                  (out->body.length <= lengths.most || lengths.least == lengths.most),
              err, RN_E_PEER_LIMIT, "epoch: attempt %u, with %zu bytes", (unsigned)out->attempt,
              out->body.length);
    RN_ENSURE((out->attempt == 0) == (out->kind == RN_EPOCH_ASK) &&
                  out->body.length >= lengths.least && out->body.length <= lengths.most,
              err, RN_E_PEER_FORMAT, "epoch: a message of wrong length or without an attempt");
    return rn_ok();
}

void rn_epoch_message_send(struct rn_effects *effects, uint64_t connection,
                           const struct rn_epoch_message *message)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    rn_buffer_u32(&bytes, (uint32_t)message->kind);
    rn_buffer_u32(&bytes, message->attempt);
    rn_buffer_append(&bytes, message->body.data, message->body.length);
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_EPOCH,
                                              .as.epoch = rn_buffer_view(&bytes)};
    rn_effects_send(effects, connection, &envelope);
}
