/* SPDX-License-Identifier: Apache-2.0
 *
 * forged, twosums: another sum than that of the uploads, for all or for half of the members. What
 * is announced is whole in itself: root and chunks fit.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/guard.h"
#include "tests/scenario/hostile.h"

static uint8_t other_root[RN_HASH_BYTES]; /* twosums: of what the second half is shown */

static void flip_first(struct rn_sa_vector *sum)
{
    if (sum->layout.lane_bytes == 4) {
        ((uint32_t *)sum->lanes)[0] ^= 1;
    } else {
        ((uint64_t *)sum->lanes)[0] ^= 1;
    }
}

/* In place of the right one everywhere: root, chunks, journal, the coordinator's own adapter. */
static void forge(struct rn_sa_vector *sum)
{
    flip_first(sum);
    struck();
}

/* The sum is held out until the file RONDO_ATTACK_UNTIL is there: members take their time to look
 * at it. */
static void hold_out(struct rn_sa_aggregator *a)
{
    const char *until = getenv("RONDO_ATTACK_UNTIL");
    if (until != NULL && access(until, F_OK) == 0) {
        a->config.params.receipts.hard_ms = a->config.params.receipts.soft_ms = 0;
    }
}

static void count_receipts(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    (void)actions;
    (void)from;
    hold_out(a);
    if (rn_sa_set_count(&a->got[RN_SA_RECEIPT]) >= a->config.params.colluding + 1) {
        won(); /* an honest member stands for it */
    }
}

/* A Result that names the root of the other sum. */
static void write_other_result(struct rn_sa_aggregator *a, struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    flip_first(&a->vector);
    __real_rn_sa_aggregator_sum_root(a, other_root);
    flip_first(&a->vector);
    rn_sa_result_write(&a->t, other_root, a->secrets, &(struct rn_sa_proofs){0}, &body);
    write_broadcast(a, &a->t, RN_SA_RESULT, rn_buffer_view(&body), out);
}

/* The first chunk is the one that differs. */
static void send_other_sum(struct rn_sa_aggregator *a, const struct rn_sa_set *to,
                           struct rn_sa_actions *actions)
{
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
        flip_first(&a->vector);
        const rn_result made = rn_sa_aggregator_chunk(a, i, &message, NULL);
        flip_first(&a->vector);
        RN_BUG_IF(!rn_is_ok(made)); /* the Result is out */
        send_to(actions, to, rn_buffer_view(&message));
    }
}

/* What item i of the list brings the second half of the members is replaced. */
static void show_other_sum(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t i)
{
    struct rn_sa_message m;
    struct rn_sa_action *action = &actions->items[i];
    const struct rn_sa_set second = half_of(a, 1);
    const struct rn_sa_set to = rn_sa_set_both(&action->to, &second);
    const bool bulk = action->kind == RN_SA_SEND_BULK && action->chunks == a->t.layout.chunks;
    const bool result =
        action->kind == RN_SA_SEND && is_of_type(rn_buffer_view(&action->bytes), RN_SA_RESULT, &m);
    if (rn_sa_set_empty(&to) || (!bulk && !result)) {
        return;
    }
    action->to = rn_sa_set_minus(&action->to, &second);
    if (bulk) {
        send_other_sum(a, &to, actions);
        return;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    write_other_result(a, &message);
    send_to(actions, &to, rn_buffer_view(&message));
    struck();
}

static void show_two_sums(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    for (size_t i = from, count = actions->count; i < count; i++) {
        show_other_sum(a, actions, i);
    }
    hold_out(a);
}

/* A receipt for the other sum. */
static bool hear_two_sums(struct rn_sa_aggregator *a, struct rn_view message,
                          struct rn_sa_actions *actions)
{
    struct rn_sa_message m;
    (void)a;
    (void)actions;
    if (is_of_type(message, RN_SA_RECEIPT, &m) && m.body.length == RN_SA_RECEIPT_BODY &&
        memcmp(m.body.data, other_root, RN_HASH_BYTES) == 0) {
        won();
    }
    return false;
}

const struct attack attack_forged = {.name = "forged", .act = count_receipts, .sum = forge};
const struct attack attack_twosums = {
    .name = "twosums", .hear = hear_two_sums, .act = show_two_sums};
