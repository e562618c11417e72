/* SPDX-License-Identifier: Apache-2.0
 *
 * The aggregator against members that have the real keys and send what they like, when they like;
 * it is also killed and resumed from its journal. Must hold: it never sends two different
 * broadcasts of one kind, never opens a sum without a certificate, and a journal that it wrote can
 * be read back.
 */
#include "tests/fuzz/secaggworld.h"

#define RECORDS_MAX 64u

static struct world world;

struct run {
    struct rn_sa_aggregator *aggregator;
    struct rn_buffer records[RECORDS_MAX];
    size_t record_count;
    struct rn_buffer sent[RN_SA_TYPE_LAST_];
    uint64_t now;
};

static bool is_unique(enum rn_sa_type type)
{
    return type == RN_SA_OFFER || type == RN_SA_READY_SET || type == RN_SA_ACK_SET ||
           type == RN_SA_SURVIVORS || type == RN_SA_CERTIFICATE || type == RN_SA_RESULT ||
           type == RN_SA_ABORT_CERTIFICATE;
}

/* Whoever is named can be given its set. */
static void make_share_sets(struct run *run, const struct rn_sa_set *to)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    for (uint32_t i = rn_sa_set_next(to, 0); i < RN_SA_MEMBERS_MAX; i = rn_sa_set_next(to, i + 1)) {
        RN_BUG_IF(!rn_is_ok(rn_sa_aggregator_share_set(run->aggregator, i, &message, NULL)));
    }
}

static void take(struct run *run, const struct rn_sa_actions *actions)
{
    for (size_t k = 0; k < actions->count; k++) {
        const struct rn_sa_action *action = &actions->items[k];
        const struct rn_view bytes = rn_buffer_view(&action->bytes);
        if (action->kind == RN_SA_PERSIST) {
            RN_BUG_IF(run->record_count == RECORDS_MAX);
            rn_buffer_append(&run->records[run->record_count++], bytes.data, bytes.length);
        }
        if (action->kind == RN_SA_SEND_SHARES) {
            make_share_sets(run, &action->to);
        }
        if (action->kind != RN_SA_SEND) {
            continue;
        }
        struct rn_sa_message m;
        const rn_result parsed = rn_sa_message_parse(bytes, &m, NULL);
        RN_BUG_IF(!rn_is_ok(parsed));
        struct rn_buffer *first = &run->sent[m.type];
        if (is_unique(m.type) && first->length == 0) {
            rn_buffer_append(first, bytes.data, bytes.length);
        }
        RN_BUG_IF(is_unique(m.type) && !rn_view_equal(rn_buffer_view(first), bytes));
        RN_BUG_IF(m.type == RN_SA_RESULT && run->sent[RN_SA_CERTIFICATE].length == 0);
        RN_BUG_IF(run->sent[RN_SA_CERTIFICATE].length > 0 &&
                  run->sent[RN_SA_ABORT_CERTIFICATE].length > 0);
    }
}

static void restart(struct run *run)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_view views[RECORDS_MAX];
    for (size_t k = 0; k < run->record_count; k++) {
        views[k] = rn_buffer_view(&run->records[k]);
    }
    rn_sa_aggregator_free(RN_TAKE(run->aggregator));
    const struct rn_sa_aggregator_config config = world_aggregator(&world);
    const rn_result resumed = rn_sa_aggregator_resume(&config, views, run->record_count, run->now,
                                                      &actions, &run->aggregator, NULL);
    RN_BUG_IF(!rn_is_ok(resumed));
    take(run, &actions);
}

static void step(struct run *run, struct rn_reader *r)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    const uint8_t op = rn_read_u8(r);
    const uint8_t argument = rn_read_u8(r);
    const struct world_message *picked = world_pick(&world, WORLD_MEMBERS, argument);
    struct rn_sa_aggregator *a = run->aggregator;
    switch (op % 8) {
    case 0:
    case 1:
    case 2:
        (void)!rn_is_ok(rn_sa_aggregator_receive(a, picked->from, rn_buffer_view(&picked->bytes),
                                                 run->now, &actions, NULL));
        break;
    case 3:
    case 4:
        world_change(&world, picked, r, &message);
        (void)!rn_is_ok(rn_sa_aggregator_receive(a, picked->from, rn_buffer_view(&message),
                                                 run->now, &actions, NULL));
        break;
    case 5: {
        const struct rn_view raw = rn_read_view(r, rn_read_u8(r));
        (void)!rn_is_ok(rn_sa_aggregator_receive(a, argument % 5, raw, run->now, &actions, NULL));
        break;
    }
    case 6:
        run->now += (uint64_t)argument << 12;
        rn_sa_aggregator_tick(a, run->now, &actions);
        rn_sa_aggregator_resend(a, argument, &actions);
        break;
    default:
        if (argument % 8 == 0) {
            rn_sa_aggregator_abort(a, run->now, &actions);
        } else if (argument % 2 == 0) {
            restart(run);
        }
        break;
    }
    take(run, &actions);
}

/* case 42 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world.count == 0) {
        world_run(&world);
    }
    struct run *run = rn_alloc(1, sizeof *run);
    const struct rn_sa_aggregator_config config = world_aggregator(&world);
    const rn_result made = rn_sa_aggregator_new(&config, &run->aggregator, NULL);
    RN_BUG_IF(!rn_is_ok(made));
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_start(run->aggregator, 0, &actions);
    take(run, &actions);
    rn_sa_actions_clear(&actions);
    struct rn_reader r = rn_reader_of(rn_view_of(data, size));
    for (uint32_t steps = 0; steps < 96 && rn_reader_left(&r) > 0; steps++) {
        step(run, &r);
    }
    rn_sa_aggregator_free(run->aggregator);
    for (size_t k = 0; k < RECORDS_MAX; k++) {
        rn_buffer_clear(&run->records[k]);
    }
    for (size_t k = 0; k < RN_SA_TYPE_LAST_; k++) {
        rn_buffer_clear(&run->sent[k]);
    }
    rn_free(run);
    return 0;
}
