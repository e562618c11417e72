/* SPDX-License-Identifier: Apache-2.0
 *
 * case 45. A member is revoked while a session runs. The roster of a session stands as long as the
 * session: whoever is revoked is lost from then on and counts against D, or is in the sum if its
 * upload was whole; nobody takes an offer of the next roster into the running session, and no
 * update that went into it goes into one of the next roster without an abort certificate of the old
 * one: the two sums would differ by the revoked member.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

#define MEMBERS 5u
#define REVOKED 4u

static struct sim *new_sim(sim_tamper *tamper, void *context)
{
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 45,
                                        .tamper = tamper,
                                        .tamper_context = context};
    return sim_new(&options);
}

static void run_until(struct sim *sim, enum rn_sa_stage stage)
{
    for (uint32_t k = 0; k < 400 && rn_sa_aggregator_stage(sim->aggregator) < stage; k++) {
        sim_run(sim, TICK_MS);
    }
    assert_int_equal(rn_sa_aggregator_stage(sim->aggregator), stage);
}

/* From `from` on nothing of the revoked member is heard, and it is told nothing. */
struct revocation {
    enum rn_sa_type from;
    bool stands;
};

static bool cut_off(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct revocation *revocation = sim->options.tamper_context;
    if (from == REVOKED && sim_parse(message).type == revocation->from) {
        revocation->stands = true;
    }
    return !revocation->stands || (from != REVOKED && to != REVOKED);
}

/* The others get their sum at every stage, and they get the same one: with the revoked member once
 * its Done came, which nobody can take out again. */
static void test_at_every_stage(void **state)
{
    (void)state;
    static const enum rn_sa_type types[] = {RN_SA_READY, RN_SA_SHARES, RN_SA_ACK,    RN_SA_CHUNK,
                                            RN_SA_DONE,  RN_SA_VOTE,   RN_SA_REVEAL, RN_SA_RECEIPT};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(types); k++) {
        struct revocation revocation = {.from = types[k]};
        struct sim *sim = new_sim(cut_off, &revocation);
        sim_run(sim, 200000);
        assert_true(revocation.stands);
        assert_true(sim->nodes[SIM_COORDINATOR].finished);
        assert_int_equal(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, REVOKED),
                         types[k] > RN_SA_DONE);
        assert_int_equal(sim_check_sums(sim), MEMBERS - 1);
        for (uint32_t i = 0; i < REVOKED; i++) {
            assert_true(sim->nodes[i].finished);
        }
        assert_false(sim->nodes[REVOKED].summed);
        sim_free(sim);
    }
}

/* ---- The next roster */

/* The same members without the last one, under a plan of their own. */
struct next {
    struct rn_roster roster;
    struct rn_sa_params params;
    struct rn_sa_context context;
};

static void next_init(struct next *next, const struct sim *sim)
{
    next->roster = sim->roster;
    next->roster.count = MEMBERS - 1;
    next->params = sim->params;
    next->params.members = MEMBERS - 1;
    next->context = sim->context;
    next->context.roster = &next->roster;
    next->context.plan_hash[0] ^= 1;
}

static void offer_next(struct sim *sim, const struct next *next, struct rn_buffer *out)
{
    const struct rn_sa_aggregator_config config = {.identity = sim->identities[SIM_COORDINATOR],
                                                   .params = next->params,
                                                   .context = next->context,
                                                   .nonce = {45}};
    struct rn_sa_aggregator *a = NULL;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    assert_true(rn_is_ok(rn_sa_aggregator_new(&config, &a, NULL)));
    rn_sa_aggregator_start(a, 0, &actions);
    rn_buffer_append(out, a->sent[RN_SA_OFFER].data, a->sent[RN_SA_OFFER].length);
    rn_sa_aggregator_free(a);
}

/* What a machine of that roster, beside the member's one ledger, says to the offer. */
static rn_result take_next(struct sim *sim, const struct next *next, uint32_t member,
                           struct rn_view offer)
{
    struct rn_secret32 seed;
    struct rn_sa_member_config config = member_config(sim, member, &seed);
    struct rn_sa_member *machine = NULL;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    config.params = next->params;
    config.context = next->context;
    assert_true(rn_is_ok(rn_sa_member_new(&config, &machine, NULL)));
    const rn_result result = rn_sa_member_receive(machine, offer, sim->now, &actions, NULL);
    assert_true(rn_is_ok(result) || actions.count == 0);
    rn_sa_member_free(machine);
    return result;
}

/* The machine of the running session refuses it; a machine of the next roster takes it until the
 * update is spent. Says how many have spent it. */
static uint32_t check_next(struct sim *sim, const struct next *next, struct rn_view offer)
{
    uint32_t spent = 0;
    for (uint32_t i = 0; i < REVOKED; i++) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        const bool open = rn_sa_spent_open(sim->spent[i]) > 0;
        assert_false(
            rn_is_ok(rn_sa_member_receive(sim->members[i], offer, sim->now, &actions, NULL)));
        assert_int_equal(actions.count, 0);
        assert_int_equal(take_next(sim, next, i, offer).code, open ? RN_E_ROUND_SPENT : RN_OK);
        spent += open;
    }
    return spent;
}

/* It comes at every stage, and the running session goes on as if nothing had been said. */
static void test_offer_of_the_next_roster(void **state)
{
    (void)state;
    struct sim *sim = new_sim(NULL, NULL);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) offer = {0};
    struct next *next = rn_alloc(1, sizeof *next);
    uint32_t stages = 0;
    sim->options.delay_ms = 700;
    next_init(next, sim);
    offer_next(sim, next, &offer);
    for (enum rn_sa_stage last = RN_SA_STAGE_OFFER; last < RN_SA_STAGE_SUM;) {
        sim_run(sim, TICK_MS);
        const enum rn_sa_stage stage = rn_sa_aggregator_stage(sim->aggregator);
        if (stage == last) {
            continue;
        }
        const uint32_t spent = check_next(sim, next, rn_buffer_view(&offer));
        assert_true(stage < RN_SA_STAGE_UPLOAD ? spent == 0
                                               : stage == RN_SA_STAGE_UPLOAD || spent == REVOKED);
        stages |= 1u << stage;
        last = stage;
    }
    for (enum rn_sa_stage stage = RN_SA_STAGE_READY; stage <= RN_SA_STAGE_SUM; stage++) {
        assert_true((stages >> stage & 1) != 0);
    }
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    rn_free(next);
    sim_free(sim);
}

static bool hold_dones_of_two(struct sim *sim, uint32_t from, uint32_t to,
                              struct rn_buffer *message)
{
    (void)sim;
    (void)to;
    return from < 3 || sim_parse(message).type != RN_SA_DONE;
}

/* The simulator's members from now on are those of the next roster, with their ledgers. */
static void become_next(struct sim *sim)
{
    rn_identity_free(RN_TAKE(sim->identities[REVOKED]));
    rn_sa_member_free(RN_TAKE(sim->members[REVOKED]));
    rn_sa_spent_free(RN_TAKE(sim->spent[REVOKED]));
    clear_node(&sim->nodes[REVOKED], true);
    sim->nodes[REVOKED] = (struct sim_node){.silent = true};
    sim->params.members = sim->roster.count = MEMBERS - 1;
    sim->context.plan_hash[0] ^= 1;
    sim->options.tamper = NULL;
}

/* An abort certificate of the old roster, which the revoked member does not vote for, frees the
 * updates, and the next roster gets its sum; without the certificate nobody joins it. */
static void test_next_roster_after_an_abort(void **state)
{
    (void)state;
    for (uint32_t certified = 0; certified < 2; certified++) {
        struct sim *sim = new_sim(hold_dones_of_two, NULL);
        run_until(sim, RN_SA_STAGE_UPLOAD);
        sim_run(sim, 2000);
        sim->nodes[REVOKED].silent = true;
        sim->nodes[0].silent = certified == 0; /* three votes of four */
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        rn_sa_aggregator_abort(sim->aggregator, sim->now, &actions);
        execute(sim, SIM_COORDINATOR, &actions);
        sim_run(sim, 60000);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].certified, certified);
        become_next(sim);
        sim_next_session(sim, 1, 1);
        sim_run(sim, 60000);
        assert_int_equal(sim_check_sums(sim), certified == 1 ? MEMBERS - 1 : 0);
        assert_true(certified == 1 || sim->refused >= MEMBERS - 1);
        sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_every_stage),
        cmocka_unit_test(test_offer_of_the_next_roster),
        cmocka_unit_test(test_next_roster_after_an_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
