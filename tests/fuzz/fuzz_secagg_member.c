/* SPDX-License-Identifier: Apache-2.0
 *
 * The member machine against a coordinator that has the real key and sends what it likes, when it
 * likes. Must hold: one vote, one answer, an answer only after a vote for survivors, at most one
 * spent update; and nothing crashes.
 */
#include "tests/fuzz/secaggworld.h"

static struct world world;

struct seen {
    struct rn_buffer vote;
    struct rn_buffer reveal;
    bool voted_survivors;
};

static void check_one(struct rn_buffer *first, struct rn_view bytes)
{
    if (first->length == 0) {
        rn_buffer_append(first, bytes.data, bytes.length);
    }
    RN_BUG_IF(!rn_view_equal(rn_buffer_view(first), bytes));
}

static void check(struct seen *seen, const struct world *sent)
{
    for (size_t k = 0; k < sent->count; k++) {
        const struct rn_view bytes = rn_buffer_view(&sent->messages[k].bytes);
        struct rn_sa_message m;
        const rn_result parsed = rn_sa_message_parse(bytes, &m, NULL);
        RN_BUG_IF(!rn_is_ok(parsed));
        if (m.type == RN_SA_VOTE) {
            check_one(&seen->vote, bytes);
            seen->voted_survivors = m.body.data[0] == 1;
        }
        if (m.type == RN_SA_REVEAL) {
            check_one(&seen->reveal, bytes);
            RN_BUG_IF(!seen->voted_survivors);
        }
    }
}

static void step(struct rn_sa_member *member, struct rn_reader *r, struct seen *seen)
{
    static struct world sent; /* collects what this step sends */
    sent.count = 0;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    const uint8_t op = rn_read_u8(r);
    const struct world_message *picked = world_pick(&world, 0, rn_read_u8(r));
    switch (op % 4) {
    case 0:
        (void)!rn_is_ok(
            rn_sa_member_receive(member, rn_buffer_view(&picked->bytes), 0, &actions, NULL));
        break;
    case 1:
        world_change(&world, picked, r, &message);
        (void)!rn_is_ok(rn_sa_member_receive(member, rn_buffer_view(&message), 0, &actions, NULL));
        break;
    case 2: {
        const struct rn_view raw = rn_read_view(r, rn_read_u8(r));
        (void)!rn_is_ok(rn_sa_member_receive(member, raw, 0, &actions, NULL));
        break;
    }
    default:
        rn_sa_member_resend(member, 0, &actions);
        rn_sa_member_tick(member, (uint64_t)op << 16, &actions);
        break;
    }
    world_serve(&sent, 0, member, &actions, true);
    check(seen, &sent);
    for (size_t k = 0; k < sent.count; k++) {
        rn_buffer_clear(&sent.messages[k].bytes);
    }
}

/* case 42 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world.count == 0) {
        world_run(&world);
    }
    struct rn_sa_spent *spent = rn_sa_spent_new();
    struct rn_sa_member *member = world_member(&world, 0, spent);
    struct rn_reader r = rn_reader_of(rn_view_of(data, size));
    struct seen seen = {.voted_survivors = false};
    for (uint32_t steps = 0; steps < 64 && rn_reader_left(&r) > 0; steps++) {
        step(member, &r, &seen);
    }
    RN_BUG_IF(rn_sa_spent_open(spent) > 1);
    rn_buffer_clear(&seen.vote);
    rn_buffer_clear(&seen.reveal);
    rn_sa_member_free(member);
    rn_sa_spent_free(spent);
    return 0;
}
