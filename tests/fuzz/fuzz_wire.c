/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_wire_envelope_decode, rn_wire_chunk_decode and rn_epoch_message_read: what they accept they
 * write again, and read back to the same message.
 */
#include <string.h>

#include "base/guard.h"
#include "crypto/secagg/epoch.h"
#include "services/federation/epochmessage.h"
#include "services/wire/wire.h"

/* What stands in it: every byte is part of what was read. */
static void check_epoch(struct rn_view in)
{
    struct rn_epoch_message message;
    if (rn_is_ok(rn_epoch_message_read(in, &message, NULL))) {
        RN_BUG_IF(message.body.length + RN_EPOCH_HEAD_BYTES != in.length ||
                  message.body.length > RN_SA_EPOCH_DOCUMENT_MAX ||
                  message.attempt > RN_SA_EPOCH_ATTEMPTS_MAX);
    }
}

static void check_envelope(struct rn_view in)
{
    static struct rn_wire_envelope first;
    static struct rn_wire_envelope second;
    if (!rn_is_ok(rn_wire_envelope_decode(in, &first, NULL))) {
        return;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    RN_BUG_IF(!rn_is_ok(rn_wire_envelope_encode(&first, &out, NULL)));
    RN_BUG_IF(!rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(&out), &second, NULL)));
    RN_BUG_IF(first.body != second.body);
    if (first.body == RN_WIRE_SECAGG) {
        RN_BUG_IF(!rn_view_equal(first.as.secagg, second.as.secagg));
    } else if (first.body == RN_WIRE_EPOCH) {
        RN_BUG_IF(!rn_view_equal(first.as.epoch, second.as.epoch));
        check_epoch(first.as.epoch);
    } else if (first.body == RN_WIRE_LOG) {
        RN_BUG_IF(!rn_view_equal(first.as.log, second.as.log));
    } else if (first.body == RN_WIRE_LOG_REPORT) {
        RN_BUG_IF(!rn_view_equal(first.as.log_report, second.as.log_report));
    } else if (first.body == RN_WIRE_STOP) {
        RN_BUG_IF(!rn_view_equal(first.as.stop, second.as.stop));
    } else if (first.body == RN_WIRE_SIGNATURES) {
        RN_BUG_IF(!rn_view_equal(first.as.signatures, second.as.signatures));
    } else {
        RN_BUG_IF(memcmp(&first.as, &second.as, sizeof(first.as)) != 0);
    }
}

static void check_chunk(struct rn_view in)
{
    struct rn_wire_chunk first;
    struct rn_wire_chunk second;
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    if (!rn_is_ok(rn_wire_chunk_decode(in, &first, NULL))) {
        return;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    RN_BUG_IF(!rn_is_ok(rn_wire_chunk_head(&first, head, &length, NULL)));
    rn_buffer_append(&out, head, length);
    rn_buffer_append(&out, first.data.data, first.data.length);
    RN_BUG_IF(!rn_is_ok(rn_wire_chunk_decode(rn_buffer_view(&out), &second, NULL)));
    RN_BUG_IF(memcmp(first.session, second.session, sizeof(first.session)) != 0 ||
              first.content != second.content || first.sender != second.sender ||
              first.first_element != second.first_element || first.count != second.count ||
              !rn_view_equal(first.data, second.data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_envelope(rn_view_of(data, size));
    check_chunk(rn_view_of(data, size));
    return 0;
}
