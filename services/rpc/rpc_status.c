/* SPDX-License-Identifier: Apache-2.0
 *
 * Results on the wire: a gRPC status with a fixed text, and our reason code by name in the trailing
 * metadata. Where the reason code is missing, core itself spoke.
 */

#include "services/rpc/rpc_status.h"
#include "base/guard.h"

struct row {
    enum rn_code code;
    grpc_status_code status;
    const char *text;
};

static const struct row rows[] = {
    {RN_OK, GRPC_STATUS_OK, ""},
    {RN_E_UNAVAILABLE, GRPC_STATUS_UNAVAILABLE, "not available now"},
    {RN_E_TIMEOUT, GRPC_STATUS_DEADLINE_EXCEEDED, "took too long"},
    {RN_E_BUSY, GRPC_STATUS_UNAVAILABLE, "busy"},
    {RN_E_PEER_FORMAT, GRPC_STATUS_INVALID_ARGUMENT, "malformed message"},
    {RN_E_PEER_AUTH, GRPC_STATUS_PERMISSION_DENIED, "identity not accepted"},
    {RN_E_PEER_PROTOCOL, GRPC_STATUS_FAILED_PRECONDITION, "not allowed now"},
    {RN_E_PEER_LIMIT, GRPC_STATUS_INVALID_ARGUMENT, "limit exceeded"},
    {RN_E_PEER_REPLAY, GRPC_STATUS_ALREADY_EXISTS, "seen before"},
    {RN_E_ROUND_QUORUM, GRPC_STATUS_ABORTED, "too few members"},
    {RN_E_ROUND_ABORTED, GRPC_STATUS_ABORTED, "round aborted"},
    {RN_E_ROUND_SUM, GRPC_STATUS_ABORTED, "sum failed a check"},
    {RN_E_ROUND_SPENT, GRPC_STATUS_FAILED_PRECONDITION, "update already spent"},
    {RN_E_ROUND_STALE, GRPC_STATUS_FAILED_PRECONDITION, "plan, adapter or model differs"},
    {RN_E_ROUND_NUMERIC, GRPC_STATUS_ABORTED, "update is not finite"},
    {RN_E_UNSUPPORTED, GRPC_STATUS_UNIMPLEMENTED, "not supported"},
    {RN_E_NO_INPUT, GRPC_STATUS_NOT_FOUND, "not found"},
    {RN_E_PERMISSION, GRPC_STATUS_PERMISSION_DENIED, "not permitted"},
    {RN_E_CONFIG, GRPC_STATUS_FAILED_PRECONDITION, "plan or configuration differs"},
    {RN_E_REFUSED, GRPC_STATUS_FAILED_PRECONDITION, "refused by the member's policy"},
    {RN_E_IDENTITY, GRPC_STATUS_UNAUTHENTICATED, "identity not usable"},
    {RN_E_USAGE, GRPC_STATUS_INTERNAL, "internal error"},
    {RN_E_DATA, GRPC_STATUS_INTERNAL, "internal error"},
    {RN_E_INTERNAL, GRPC_STATUS_INTERNAL, "internal error"},
    {RN_E_SYSTEM, GRPC_STATUS_INTERNAL, "internal error"},
    {RN_E_IO, GRPC_STATUS_INTERNAL, "internal error"},
    {RN_E_MEMORY, GRPC_STATUS_INTERNAL, "internal error"},
    {RN_E_INCOMPLETE, GRPC_STATUS_ABORTED, "job ended early"},
};

static const struct row *row_of(enum rn_code code)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return NULL;
}

grpc_status_code rn_rpc_status_of(rn_result result)
{
    const struct row *row = row_of(result.code);
    return row != NULL ? row->status : GRPC_STATUS_INTERNAL;
}

const char *rn_rpc_status_text(rn_result result)
{
    const struct row *row = row_of(result.code);
    return row != NULL ? row->text : "internal error";
}

enum rn_code rn_rpc_code_of_name(struct rn_view name)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        if (rn_view_equal(name, rn_view_text(rn_code_name(rows[i].code)))) {
            return rows[i].code;
        }
    }
    return RN_OK;
}

/* The dialled side's word, read as an instruction to this side: a refusal that says "you" is final
 * only when a person has to change something. */
static enum rn_code code_after_reason(enum rn_code said)
{
    switch (rn_class_of((rn_result){said})) {
    case RN_CLASS_RETRY:
    case RN_CLASS_ROUND:
        return said;
    case RN_CLASS_PEER:
        return said == RN_E_PEER_AUTH ? RN_E_PERMISSION : RN_E_BUSY;
    case RN_CLASS_OK:
    case RN_CLASS_STOP:
    default:
        return said == RN_E_UNSUPPORTED || said == RN_E_REFUSED || said == RN_E_CONFIG
                   ? said
                   : RN_E_UNAVAILABLE;
    }
}

rn_result rn_rpc_result_of(grpc_status_code status, enum rn_code peer_said)
{
    if (status == GRPC_STATUS_OK) {
        return rn_ok();
    }
    if (peer_said != RN_OK) {
        return (rn_result){code_after_reason(peer_said)};
    }
    switch (status) {
    case GRPC_STATUS_DEADLINE_EXCEEDED:
        return (rn_result){RN_E_TIMEOUT};
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        return (rn_result){RN_E_BUSY};
    case GRPC_STATUS_UNIMPLEMENTED:
        return (rn_result){RN_E_UNSUPPORTED};
    default:
        return (rn_result){RN_E_UNAVAILABLE};
    }
}

struct rn_view rn_rpc_metadata_find(const grpc_metadata_array *array, const char *key)
{
    for (size_t i = 0; i < array->count; i++) {
        if (grpc_slice_str_cmp(array->metadata[i].key, key) == 0) {
            const grpc_slice *value = &array->metadata[i].value;
            return rn_view_of(GRPC_SLICE_START_PTR(*value), GRPC_SLICE_LENGTH(*value));
        }
    }
    return rn_view_of(NULL, 0);
}
