/* SPDX-License-Identifier: Apache-2.0
 *
 * shrink, split: sessions of fewer members than the floor; two of them have one session id.
 */
#include "base/guard.h"
#include "tests/scenario/hostile.h"

static struct rn_sa_aggregator *twin; /* split: with the other half */
static bool told_all;                 /* the small sets are out */

/* With the members of one half alone. */
static void shrink_to(struct rn_sa_aggregator *a, uint32_t which)
{
    attacked.floor = RN_SA_MEMBERS_MIN;
    a->t.threshold = RN_SA_MEMBERS_MIN; /* else it expects nobody to deal, and ends at once */
    a->config.excluded = half_of(a, 1 - which);
}

static void shrink(struct rn_sa_aggregator *a, uint64_t now_ms, struct rn_sa_actions *actions)
{
    (void)now_ms;
    (void)actions;
    shrink_to(a, 0);
    struck();
}

/* The twin lives in no journal and no log: what it sends to its half is all that is seen of it. */
static void take_twins(struct rn_sa_actions *actions, const struct rn_sa_actions *twins)
{
    for (size_t i = 0; i < twins->count; i++) {
        if (twins->items[i].kind == RN_SA_SEND) {
            const struct rn_sa_set to =
                rn_sa_set_minus(&twins->items[i].to, &twin->config.excluded);
            send_to(actions, &to, rn_buffer_view(&twins->items[i].bytes));
        }
        for (uint32_t k = 0; twins->items[i].kind == RN_SA_SEND_SHARES && k < RN_SA_MEMBERS_MAX;
             k++) { /* its own, which nobody could ask the other one for */
            struct rn_buffer RN_CLEANUP(rn_buffer_clear) shares = {0};
            const struct rn_sa_set to = rn_sa_set_only(k);
            if (rn_sa_set_has(&twins->items[i].to, k) &&
                !rn_sa_set_has(&twin->config.excluded, k) &&
                rn_is_ok(rn_sa_aggregator_share_set(twin, k, &shares, NULL))) {
                send_to(actions, &to, rn_buffer_view(&shares));
            }
        }
    }
}

static void split(struct rn_sa_aggregator *a, uint64_t now_ms, struct rn_sa_actions *actions)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) twins = {0};
    const rn_result made = rn_sa_aggregator_new(&a->config, &twin, NULL);
    RN_BUG_IF(!rn_is_ok(made)); /* its brother was made from the same values */
    shrink_to(a, 0);
    shrink_to(twin, 1);
    __real_rn_sa_aggregator_start(twin, now_ms, &twins); /* byte for byte the same offer */
    take_twins(actions, &twins);
    struck();
}

/* Once all have been told of their small session their shares are waited for, for so long. */
static void be_patient(struct rn_sa_aggregator *a)
{
    const bool now =
        a->stage >= RN_SA_STAGE_SHARES && (twin == NULL || twin->stage >= RN_SA_STAGE_SHARES);
    if (now && !told_all) {
        told_all = true;
        a->config.params.shares.hard_ms = a->now_ms - a->stage_since_ms + PATIENCE_MS;
    }
}

/* The twin's time passes, and it ends, with the machine that the service knows. */
static void tick_twin(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) twins = {0};
    if (a->stage == RN_SA_STAGE_ABORTED) {
        rn_sa_aggregator_abort(twin, a->now_ms, &twins);
    } else {
        __real_rn_sa_aggregator_tick(twin, a->now_ms, &twins);
    }
    take_twins(actions, &twins);
}

static void keep_apart(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    for (size_t i = from; i < actions->count; i++) {
        struct rn_sa_action *action = &actions->items[i];
        action->to = rn_sa_set_minus(&action->to, &a->config.excluded);
    }
    if (twin != NULL) {
        tick_twin(a, actions);
    }
    be_patient(a);
    if (a->t.level == RN_SA_LEVEL_RESULT && (twin == NULL || twin->t.level == RN_SA_LEVEL_RESULT)) {
        won();
    }
}

/* What the other half says is for the other machine. */
static bool hear_apart(struct rn_sa_aggregator *a, struct rn_view message,
                       struct rn_sa_actions *actions)
{
    struct rn_sa_message m;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) twins = {0};
    if (twin == NULL || !rn_is_ok(rn_sa_message_parse(message, &m, NULL)) ||
        !rn_sa_set_has(&a->config.excluded, m.sender)) {
        return false;
    }
    (void)rn_is_ok(
        __real_rn_sa_aggregator_receive(twin, m.sender, message, a->now_ms, &twins, NULL));
    take_twins(actions, &twins);
    return true;
}

static void leave(void)
{
    __real_rn_sa_aggregator_free(twin);
    twin = NULL;
    told_all = false;
}

const struct attack attack_shrink = {
    .name = "shrink", .prepare = shrink, .hear = hear_apart, .act = keep_apart, .leave = leave};
const struct attack attack_split = {
    .name = "split", .prepare = split, .hear = hear_apart, .act = keep_apart, .leave = leave};
