/* SPDX-License-Identifier: Apache-2.0
 *
 * A part of simulator.c: what is pulled piece by piece when it leaves, vectors and sets of shares.
 */
#ifndef RN_TESTS_SIMPIECES_H
#define RN_TESTS_SIMPIECES_H

static void send_bulk(struct sim *sim, uint32_t i, const struct rn_sa_action *action)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    for (uint32_t c = 0; c < action->chunks; c++) {
        if (!rn_sa_action_wants(action, c)) {
            continue;
        }
        if (i == SIM_COORDINATOR) {
            const rn_result made = rn_sa_aggregator_chunk(sim->aggregator, c, &message, NULL);
            assert_true(rn_is_ok(made) || action->audit); /* what is replayed may be gone */
            if (!rn_is_ok(made)) {
                continue;
            }
            for (uint32_t to = 0; to < sim->params.members; to++) {
                if (rn_sa_set_has(&action->to, to)) {
                    transmit(sim, i, to, rn_buffer_view(&message));
                }
            }
        } else {
            assert_true(rn_is_ok(rn_sa_member_chunk(sim->members[i], c, &message, NULL)));
            transmit(sim, i, SIM_COORDINATOR, rn_buffer_view(&message));
        }
    }
    if (i != SIM_COORDINATOR) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
        assert_true(rn_is_ok(rn_sa_member_bulk_sent(sim->members[i], sim->now, &more, NULL)));
        execute(sim, i, &more);
    }
}

static void send_shares(struct sim *sim, const struct rn_sa_action *action)
{
    assert_int_equal(action->bytes.length, 0);
    for (uint32_t to = rn_sa_set_next(&action->to, 0); to < RN_SA_MEMBERS_MAX;
         to = rn_sa_set_next(&action->to, to + 1)) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
        assert_true(rn_is_ok(rn_sa_aggregator_share_set(sim->aggregator, to, &message, NULL)));
        transmit(sim, SIM_COORDINATOR, to, rn_buffer_view(&message));
    }
}

#endif
