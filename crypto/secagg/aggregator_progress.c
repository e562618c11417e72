/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the session stands: who must answer in a stage, who has, and the step into another one.
 */
#include "crypto/secagg/aggregator_state.h"

struct rn_sa_set rn_sa_aggregator_expected_ready(const struct rn_sa_aggregator *a)
{
    const struct rn_sa_set all = rn_sa_set_first(a->config.params.members);
    return rn_sa_set_minus(&all, &a->config.excluded);
}

struct rn_sa_set rn_sa_aggregator_expected(const struct rn_sa_aggregator *a)
{
    switch (a->stage) {
    case RN_SA_STAGE_READY:
        return rn_sa_aggregator_expected_ready(a);
    case RN_SA_STAGE_SHARES:
        return a->t.dealing;
    case RN_SA_STAGE_ABORTING:
        return a->t.joined;
    case RN_SA_STAGE_ACKS:
        return a->t.dealers;
    case RN_SA_STAGE_UPLOAD:
        return a->t.linked;
    case RN_SA_STAGE_VOTE:
    case RN_SA_STAGE_UNMASK:
    case RN_SA_STAGE_SUM:
        return a->t.survivors;
    default:
        return (struct rn_sa_set){{0}};
    }
}

struct rn_sa_set rn_sa_aggregator_arrived(const struct rn_sa_aggregator *a)
{
    switch (a->stage) {
    case RN_SA_STAGE_READY:
        return a->got[RN_SA_READY];
    case RN_SA_STAGE_SHARES:
        return a->got[RN_SA_SHARES];
    case RN_SA_STAGE_ACKS:
        return a->got[RN_SA_ACK];
    case RN_SA_STAGE_UPLOAD:
        return a->complete;
    case RN_SA_STAGE_VOTE:
        return a->for_survivors;
    case RN_SA_STAGE_UNMASK:
        return a->got[RN_SA_REVEAL];
    case RN_SA_STAGE_SUM:
        return a->got[RN_SA_RECEIPT];
    case RN_SA_STAGE_ABORTING:
        return a->for_abort;
    default:
        return (struct rn_sa_set){{0}};
    }
}

void rn_sa_aggregator_progress(const struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_STAGE);
    action->stage = a->stage;
    action->expected = rn_sa_aggregator_expected(a);
    action->arrived = rn_sa_aggregator_arrived(a);
}

void rn_sa_aggregator_enter(struct rn_sa_aggregator *a, enum rn_sa_stage stage,
                            struct rn_sa_actions *actions)
{
    a->stage = stage;
    a->stage_since_ms = a->now_ms;
    rn_sa_aggregator_progress(a, actions);
}
