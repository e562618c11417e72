/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/actions.h"

#include "base/alloc.h"
#include "base/guard.h"

const char *rn_sa_stage_name(enum rn_sa_stage stage)
{
    static const char *const names[RN_SA_STAGE_LAST_] = {
        [RN_SA_STAGE_OFFER] = "offer",       [RN_SA_STAGE_READY] = "ready",
        [RN_SA_STAGE_SHARES] = "shares",     [RN_SA_STAGE_ACKS] = "acks",
        [RN_SA_STAGE_UPLOAD] = "upload",     [RN_SA_STAGE_VOTE] = "vote",
        [RN_SA_STAGE_UNMASK] = "unmask",     [RN_SA_STAGE_SUM] = "sum",
        [RN_SA_STAGE_FINISHED] = "finished", [RN_SA_STAGE_ABORTING] = "aborting",
        [RN_SA_STAGE_ABORTED] = "aborted",
    };
    return (unsigned)stage < RN_SA_STAGE_LAST_ ? names[stage] : "unknown";
}

const char *rn_sa_reason_name(enum rn_sa_reason reason)
{
    static const char *const names[RN_SA_REASON_LAST_] = {
        [RN_SA_REASON_NONE] = "none",
        [RN_SA_REASON_READY_QUORUM] = "ready-quorum",
        [RN_SA_REASON_SHARES_QUORUM] = "shares-quorum",
        [RN_SA_REASON_ACKS_QUORUM] = "acks-quorum",
        [RN_SA_REASON_UPLOAD_QUORUM] = "upload-quorum",
        [RN_SA_REASON_VOTE_QUORUM] = "vote-quorum",
        [RN_SA_REASON_UNMASK_QUORUM] = "unmask-quorum",
        [RN_SA_REASON_RANGE] = "range",
        [RN_SA_REASON_OPERATOR] = "operator",
        [RN_SA_REASON_COORDINATOR] = "coordinator",
        [RN_SA_REASON_EXCLUDED] = "excluded",
        [RN_SA_REASON_POLICY] = "policy",
        [RN_SA_REASON_RESTART] = "restart",
        [RN_SA_REASON_TIMEOUT] = "timeout",
        [RN_SA_REASON_DECLINED] = "declined",
        [RN_SA_REASON_SPOOL] = "spool",
        [RN_SA_REASON_INPUT] = "input",
        [RN_SA_REASON_RECEIPT_QUORUM] = "receipt-quorum",
        [RN_SA_REASON_SUM_FORGED] = "sum-forged",
        [RN_SA_REASON_ADAPTER_DIFFERS] = "adapter-differs",
    };
    return (unsigned)reason < RN_SA_REASON_LAST_ ? names[reason] : "unknown";
}

void rn_sa_actions_clear(struct rn_sa_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        rn_buffer_clear(&actions->items[i].bytes);
    }
    rn_free(actions->items);
    *actions = (struct rn_sa_actions){0};
}

struct rn_sa_action *rn_sa_actions_add(struct rn_sa_actions *actions, enum rn_sa_action_kind kind)
{
    if (actions->count == actions->capacity) {
        const size_t capacity = actions->capacity == 0 ? 8 : 2 * actions->capacity;
        actions->items =
            rn_realloc(actions->items, actions->capacity, capacity, sizeof *actions->items);
        actions->capacity = capacity;
    }
    struct rn_sa_action *action = &actions->items[actions->count++];
    *action = (struct rn_sa_action){.kind = kind};
    return action;
}

bool rn_sa_action_wants(const struct rn_sa_action *action, uint32_t chunk)
{
    return chunk < action->chunks && chunk / 8 < action->bytes.length &&
           ((action->bytes.data[chunk / 8] >> (chunk % 8)) & 1) != 0;
}
