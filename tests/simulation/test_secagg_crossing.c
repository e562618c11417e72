/* SPDX-License-Identifier: Apache-2.0
 *
 * case 53. What the members of one view of a session say is of no use in the other: their shares,
 * acknowledgements, uploads and votes, put into what the other half is shown next.
 */
#include "tests/simulation/simulator.c"

#include "tests/simulation/faces.h"

/* Face 0, of five members that see it, has run to its sum; face 1 has four, and is where the next
 * broadcast is due. */
struct pair {
    struct split split;
    struct sim *sim[2];
    uint32_t receiver; /* honest, sees face 1 */
};

static void pair_open(struct pair *pair, enum rn_sa_type at, bool two_versions)
{
    static const enum rn_sa_stage due[RN_SA_TYPE_LAST_] = {
        [RN_SA_READY] = RN_SA_STAGE_SHARES,
        [RN_SA_SHARES] = RN_SA_STAGE_ACKS,
        [RN_SA_ACK] = RN_SA_STAGE_UPLOAD,
        [RN_SA_DONE] = RN_SA_STAGE_VOTE,
    };
    pair->split = (struct split){7, 2, 3, 2, at, true, two_versions};
    pair->receiver = 3;
    pair->sim[0] = face_new(&pair->split, 0);
    sim_run(pair->sim[0], 400000);
    assert_int_equal(sim_check_sums(pair->sim[0]), 5);
    pair->sim[1] = face_new(&pair->split, 1);
    struct sim *sim = pair->sim[1];
    for (uint32_t k = 0; k < 200 && rn_sa_aggregator_stage(sim->aggregator) < due[at]; k++) {
        sim_run(sim, TICK_MS);
    }
    sim_run(sim, 4000); /* below any time-out: the half has answered */
    assert_int_equal(rn_sa_aggregator_stage(sim->aggregator), due[at]);
    sim->aggregator->t.params = sim->params; /* its arithmetic is the members' again */
}

static void pair_close(struct pair *pair)
{
    sim_free(pair->sim[0]);
    sim_free(pair->sim[1]);
}

/* A message of the coordinator to the receiver, to be filled. */
static struct rn_sa_message draft(const struct pair *pair, enum rn_sa_type type)
{
    const struct rn_sa_transcript *t = &pair->sim[1]->aggregator->t;
    struct rn_sa_message m = {.type = type,
                              .round = t->context.round,
                              .sender = RN_SA_COORDINATOR,
                              .recipient =
                                  type == RN_SA_SHARES_SET ? pair->receiver : RN_SA_EVERYONE};
    memcpy(m.session, t->session, RN_HASH_BYTES);
    memcpy(m.transcript, rn_sa_transcript_hash(t), RN_HASH_BYTES);
    return m;
}

/* What face 1 has of this type from its own half and the colluders, without and with what members 1
 * and 2 said to face 0: enough by number, refused for whose it is. */
static void mix(const struct pair *pair, enum rn_sa_type type, enum rn_sa_type broadcast,
                const char *few, const char *crossed)
{
    const struct rn_sa_aggregator *own = pair->sim[1]->aggregator;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer inbox[SIM_MEMBERS];
    struct rn_sa_set set = own->got[type];
    const struct rn_sa_message m = draft(pair, broadcast);
    memcpy(inbox, own->inbox[type], own->config.params.members * sizeof *inbox);
    for (uint32_t with = 0; with < 2; with++) {
        for (uint32_t i = 1; with != 0 && i < 3; i++) {
            inbox[i] = pair->sim[0]->aggregator->inbox[type][i];
            assert_true(inbox[i].length > 0);
            rn_sa_set_add(&set, i);
        }
        rn_buffer_clear(&body);
        if (broadcast == RN_SA_ACK_SET) {
            rn_sa_ack_set_write(&own->t, inbox, &set, &body);
        } else {
            rn_sa_votes_write(inbox, &set, &body); /* lists of whole messages are alike */
        }
        lie_refused(pair->sim[1], pair->receiver, &m, rn_buffer_view(&body),
                    with != 0 ? crossed : few);
    }
}

/* case 53. Two T0: an envelope of face 0 in a share set of face 1. */
static void test_no_share_crosses(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, RN_SA_READY, false);
    const struct rn_sa_aggregator *own = pair.sim[1]->aggregator;
    const struct rn_sa_aggregator *other = pair.sim[0]->aggregator;
    assert_memory_not_equal(own->t.t0, other->t.t0, RN_HASH_BYTES);
    assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_DEALT);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const struct rn_sa_set *dealers = &own->got[RN_SA_SHARES];
    rn_sa_shares_set_write(&own->t, own->dealings, dealers, pair.receiver, &body);
    const size_t part = (body.length - 4) / rn_sa_set_count(dealers);
    for (uint32_t dealer = 0; dealer < 7; dealer++) { /* the colluders' and one's own, too */
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) crossed = {0};
        const struct rn_sa_message m = draft(&pair, RN_SA_SHARES_SET);
        if (other->dealings[dealer].message.length == 0) {
            continue;
        }
        rn_buffer_append(&crossed, body.data, body.length);
        memcpy(crossed.data + 4 + part, other->dealings[dealer].message.data, RN_SA_ENVELOPE_BYTES);
        lie_refused(pair.sim[1], pair.receiver, &m, rn_buffer_view(&crossed),
                    "shares: follows another transcript");
    }
    pair_close(&pair);
}

/* case 53. Two views of R1: one dealer fewer, or the same dealers with two versions of one's
 * shares. (Four holders are below t, so that of one's own half alone nobody is left.) */
static void test_no_ack_crosses(void **state)
{
    (void)state;
    for (uint32_t versions = 0; versions < 2; versions++) {
        struct pair pair;
        pair_open(&pair, RN_SA_SHARES, versions != 0);
        assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_ACKED);
        mix(&pair, RN_SA_ACK, RN_SA_ACK_SET, "0 members are left, below 5",
            versions != 0 ? "ack: member 1 was shown other shares"
                          : "ack: member 1 names a dealer that sent no shares");
        pair_close(&pair);
    }
}

/* case 53 */
static void test_no_upload_crosses(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, RN_SA_ACK, false);
    assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_DONE);
    mix(&pair, RN_SA_DONE, RN_SA_SURVIVORS, "4 members are below 5", "follows another transcript");
    pair_close(&pair);
}

/* case 53 */
static void test_no_vote_crosses(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, RN_SA_DONE, false);
    assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_VOTED);
    mix(&pair, RN_SA_VOTE, RN_SA_CERTIFICATE, "4 votes, 5 are needed", "neither for these");
    /* what face 0's members reveal names its T2 */
    const struct rn_buffer *reveal = &pair.sim[0]->aggregator->inbox[RN_SA_REVEAL][1];
    assert_true(reveal->length > 0);
    lie_bytes_refused(pair.sim[1], SIM_COORDINATOR, rn_buffer_view(reveal),
                      "follows another transcript");
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_share_crosses),
        cmocka_unit_test(test_no_ack_crosses),
        cmocka_unit_test(test_no_upload_crosses),
        cmocka_unit_test(test_no_vote_crosses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
