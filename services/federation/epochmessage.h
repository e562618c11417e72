/* SPDX-License-Identifier: Apache-2.0
 *
 * What coordinator and members say to each other while the share graph is drawn (RN_WIRE_EPOCH):
 * kind u32, attempt u32, body. services/PROTOCOL.md, "The share graph", has the order;
 * crypto/secagg/epoch.h checks the bodies.
 */
#ifndef RN_SERVICES_FEDERATION_EPOCHMESSAGE_H
#define RN_SERVICES_FEDERATION_EPOCHMESSAGE_H

#include "base/bytes.h"
#include "services/federation/effects.h"

#define RN_EPOCH_HEAD_BYTES 8u

/* Numbers of the wire: never reuse one. */
enum rn_epoch_kind {
    RN_EPOCH_ASK = 1,        /* member: has no seed; where are you? attempt 0 */
    RN_EPOCH_CALL = 2,       /* coordinator: commit for this attempt */
    RN_EPOCH_COMMITMENT = 3, /* member: entry */
    RN_EPOCH_SET = 4,        /* coordinator: document */
    RN_EPOCH_REVEAL = 5,     /* member: entry */
    RN_EPOCH_REVEALS = 6,    /* coordinator: document */
    RN_EPOCH_DRAWN = 7,      /* member, to a call: it has the seed of this attempt */
};

struct rn_epoch_message {
    enum rn_epoch_kind kind;
    uint32_t attempt;
    struct rn_view body; /* borrowed; of the kind's length, else unchecked */
};

/* RN_E_PEER_FORMAT, or RN_E_PEER_LIMIT for an attempt beyond the last or a document that is too
 * long. */
RN_MUST rn_result rn_epoch_message_read(struct rn_view bytes, struct rn_epoch_message *out,
                                        struct rn_error *err);
/* Nothing when connection is 0. */
void rn_epoch_message_send(struct rn_effects *effects, uint64_t connection,
                           const struct rn_epoch_message *message);

#endif
