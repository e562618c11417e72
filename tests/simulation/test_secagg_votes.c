/* SPDX-License-Identifier: Apache-2.0
 *
 * case 52. One vote per member and session, and Q votes for a certificate: never a certificate of
 * survivors and one of an abort, nor two of survivors. Counted over every split of every cohort up
 * to seven members with the functions that check certificates; and with the machines: T2 and the
 * abort call at once, in every order, and a crash at every point around the vote.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* ---- every split ---- */

#define SPLIT_MAX 7u
/* What a member can have signed. */
enum choice { FIRST_T2, SECOND_T2, ABORT, NOTHING, CHOICES };
#define VOTES 3u /* choices that are votes */

struct votes {
    struct rn_buffer of[VOTES][SPLIT_MAX];
    struct rn_sa_transcript *t[2]; /* the views: everybody is in both U3 */
};

static void sign_all(struct sim *sim, struct votes *out)
{
    for (uint32_t v = 0; v < 2; v++) {
        out->t[v] = rn_alloc(1, sizeof *out->t[v]);
        rn_sa_transcript_init(out->t[v], &sim->params, &sim->context);
        const uint8_t nonce[32] = {1};
        rn_sa_transcript_start(out->t[v], nonce);
        out->t[v]->joined = out->t[v]->linked = out->t[v]->survivors =
            rn_sa_set_first(sim->params.members);
        out->t[v]->n = sim->params.members;
        out->t[v]->level = RN_SA_LEVEL_SURVIVORS;
        memset(out->t[v]->t2, (int)v + 1, RN_HASH_BYTES);
    }
    for (uint32_t i = 0; i < sim->params.members; i++) {
        for (uint32_t c = 0; c < VOTES; c++) {
            rn_sa_vote_write(out->t[c == SECOND_T2], i,
                             c == ABORT ? RN_SA_VOTE_ABORT : RN_SA_VOTE_SURVIVORS,
                             sim->identities[i], &out->of[c][i]);
        }
    }
}

static void clear_votes(struct votes *votes)
{
    for (uint32_t c = 0; c < VOTES; c++) {
        for (uint32_t i = 0; i < SPLIT_MAX; i++) {
            rn_buffer_clear(&votes->of[c][i]);
        }
    }
    for (uint32_t v = 0; v < 2; v++) {
        rn_sa_transcript_clear(votes->t[v]);
        rn_free(votes->t[v]);
    }
}

/* Do these members' votes of the kind make a certificate? */
static bool certifies(const struct votes *votes, enum choice choice, const struct rn_sa_set *voters)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_sa_transcript *t = votes->t[choice == SECOND_T2];
    rn_sa_votes_write(votes->of[choice], voters, &body);
    if (choice != ABORT) {
        const bool whole = rn_is_ok(rn_sa_certificate_apply(t, rn_buffer_view(&body), NULL));
        t->level = RN_SA_LEVEL_SURVIVORS;
        return whole;
    }
    struct rn_sa_abort_claim claim = {.roster = t->context.roster,
                                      .round = t->context.round,
                                      .joined = t->joined,
                                      .quorum = t->quorum};
    memcpy(claim.session, t->session, RN_HASH_BYTES);
    memcpy(claim.t0, t->t0, RN_HASH_BYTES);
    return rn_is_ok(rn_sa_abort_certificate_check(&claim, rn_buffer_view(&body), NULL));
}

/* The certificates that a coordinator can put together when member i < honest signed choice
 * digits[i] and the others everything. Bits of enum choice. */
static uint32_t certificates_of(const struct votes *votes, uint32_t members, uint32_t honest,
                                uint32_t split)
{
    struct rn_sa_set voters[VOTES] = {{{0}}};
    for (uint32_t i = 0; i < members; i++, split /= CHOICES) {
        for (uint32_t c = 0; c < VOTES; c++) {
            if (i >= honest || split % CHOICES == c) {
                rn_sa_set_add(&voters[c], i);
            }
        }
    }
    uint32_t found = 0;
    for (uint32_t c = 0; c < VOTES; c++) {
        found |= (uint32_t)certifies(votes, (enum choice)c, &voters[c]) << c;
    }
    return found;
}

/* Most certificates of one split; out_each: which kinds some split gives. */
static uint32_t most_certificates(const struct votes *votes, uint32_t members, uint32_t corrupt,
                                  uint32_t *out_each)
{
    uint32_t splits = 1;
    uint32_t most = 0;
    *out_each = 0;
    for (uint32_t i = corrupt; i < members; i++) {
        splits *= CHOICES;
    }
    for (uint32_t split = 0; split < splits; split++) {
        const uint32_t found = certificates_of(votes, members, members - corrupt, split);
        const uint32_t count = (uint32_t)__builtin_popcount(found);
        *out_each |= found;
        most = count > most ? count : most;
    }
    return most;
}

/* case 52. With n_c corrupt members there is one certificate at most, whatever the others signed;
 * and each of the three kinds is there in some split. The bound is no looser than it has to be:
 * where 2Q = n_max + n_c + 1, one corrupt member more has two. */
static void test_every_split(void **state)
{
    (void)state;
    for (uint32_t members = RN_SA_MEMBERS_MIN; members <= SPLIT_MAX; members++) {
        for (uint32_t colluding = 1; colluding + 2 <= members; colluding++) {
            struct sim *sim = sim_tampered(members, colluding, 0, NULL, NULL);
            struct votes votes = {.t = {NULL, NULL}};
            uint32_t each = 0;
            sign_all(sim, &votes);
            assert_int_equal(most_certificates(&votes, members, colluding, &each), 1);
            assert_int_equal(each, (1u << VOTES) - 1);
            const bool tight = 2 * rn_sa_quorum(&sim->params) == members + colluding + 1;
            assert_int_equal(most_certificates(&votes, members, colluding + 1, &each) > 1, tight);
            clear_votes(&votes);
            sim_free(sim);
        }
    }
}

/* ---- T2 and ABORT at once ---- */

static bool hold_survivors(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)sim;
    (void)from;
    (void)to;
    return sim_parse(message).type != RN_SA_SURVIVORS;
}

/* Hands a broadcast to a member and passes on what it votes. Returns whether it sent a vote. */
static bool hand(struct sim *sim, uint32_t to, const struct rn_buffer *message)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    bool voted = false;
    assert_true(rn_is_ok(
        rn_sa_member_receive(sim->members[to], rn_buffer_view(message), sim->now, &actions, NULL)));
    for (size_t k = 0; k < actions.count; k++) {
        voted |= actions.items[k].kind == RN_SA_SEND &&
                 sim_parse(&actions.items[k].bytes).type == RN_SA_VOTE;
    }
    execute(sim, to, &actions); /* the tap sees to it that a second vote is the first one's bytes */
    return voted;
}

/* The coordinator says both at once: the members whose bit is set hear of the abort first. */
static void both_at_once(uint32_t members, uint32_t first, bool last)
{
    struct sim *sim = sim_tampered(members, 1, 0, hold_survivors, NULL);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) call = {0};
    for (uint32_t k = 0; k < 200 && rn_sa_aggregator_stage(sim->aggregator) < RN_SA_STAGE_VOTE;
         k++) {
        sim_run(sim, TICK_MS);
    }
    rn_sa_abort_call_write(&sim->aggregator->t, 0, last, sim->identities[SIM_COORDINATOR], &call);
    const struct rn_buffer *survivors = &sim->aggregator->sent[RN_SA_SURVIVORS];
    for (uint32_t i = 0; i < members; i++) {
        const bool abort_first = (first >> i & 1) != 0;
        assert_true(hand(sim, i, abort_first ? &call : survivors));
        (void)hand(sim, i, abort_first ? survivors : &call);
        assert_int_equal(sim->members[i]->vote,
                         abort_first ? RN_SA_VOTE_ABORT : RN_SA_VOTE_SURVIVORS);
    }
    sim_run(sim, 100000);
    const uint32_t quorum = rn_sa_quorum(&sim->params);
    const uint32_t aborts = (uint32_t)__builtin_popcount(first);
    const struct rn_buffer *sent = sim->aggregator->sent;
    assert_true((sent[RN_SA_CERTIFICATE].length > 0) == (members - aborts >= quorum));
    assert_false(sent[RN_SA_CERTIFICATE].length > 0 && sent[RN_SA_ABORT_CERTIFICATE].length > 0);
    for (uint32_t i = 0; i < members; i++) { /* who voted for the abort has nothing to reveal */
        assert_true(sim->nodes[i].reveal == NULL || (first >> i & 1) == 0);
        assert_true((first >> i & 1) == 0 || sim->members[i]->vault == NULL);
        assert_int_equal(rn_sa_spent_open(sim->spent[i]),
                         sent[RN_SA_ABORT_CERTIFICATE].length == 0);
    }
    sim_free(sim);
}

/* case 52 */
static void test_survivors_and_abort_at_once(void **state)
{
    (void)state;
    for (uint32_t members = 3; members <= 5; members++) {
        for (uint32_t first = 0; first < 1u << members; first++) {
            both_at_once(members, first, false);
            both_at_once(members, first, true); /* and "wait no longer" */
        }
    }
}

/* ---- vote after restart ---- */

/* Only member 1's vote arrives: neither certificate is made before the operator gives up. */
static bool others_votes_are_lost(struct sim *sim, uint32_t from, uint32_t to,
                                  struct rn_buffer *message)
{
    (void)sim;
    (void)to;
    return sim_parse(message).type != RN_SA_VOTE || from == 1;
}

static uint32_t votes_in_journal(const struct sim_node *node)
{
    uint32_t count = 0;
    for (size_t r = 0; r < node->records; r++) {
        struct rn_sa_record record;
        assert_true(rn_is_ok(rn_sa_record_read(rn_buffer_view(&node->journal[r]), &record, NULL)));
        count += record.kind == RN_SA_RECORD_VOTED;
    }
    return count;
}

/* Member 1 crashes before its action number `point`, and comes back before or after the operator
 * calls the session off. Returns false when it ends before that point. */
static bool crash_around_vote(uint64_t point, uint64_t restart_ms, uint32_t *out_kinds)
{
    struct sim *sim = sim_tampered(5, 1, 1, others_votes_are_lost, NULL);
    sim->nodes[1].crash_at = point;
    sim->nodes[1].restart_ms = restart_ms;
    for (uint32_t k = 0; k < 200 && (sim->aggregator == NULL ||
                                     rn_sa_aggregator_stage(sim->aggregator) < RN_SA_STAGE_VOTE);
         k++) {
        sim_run(sim, TICK_MS);
    }
    sim_run(sim, 3 * TICK_MS);
    const uint32_t before = votes_in_journal(&sim->nodes[1]);
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    rn_sa_aggregator_abort(sim->aggregator, sim->now, &actions);
    execute(sim, SIM_COORDINATOR, &actions);
    sim_run(sim, 60000);
    const struct sim_node *node = &sim->nodes[1];
    assert_int_equal(votes_in_journal(node), 1); /* one at last, and never a second */
    assert_true(node->voted);
    const bool survivors = sim->votes_survivors[1];
    assert_true(!survivors || before == 1);
    assert_true(rn_sa_set_has(&sim->aggregator->for_survivors, 1) == survivors);
    assert_true(rn_sa_set_has(&sim->aggregator->for_abort, 1) == !survivors);
    assert_null(node->reveal);
    *out_kinds |= survivors ? 1u : 2u;
    const bool crashed = node->resumed;
    sim_free(sim);
    return crashed;
}

/* case 9, case 52 */
static void test_vote_after_restart(void **state)
{
    (void)state;
    for (uint64_t restart_ms = 200; restart_ms < 10000; restart_ms += 4000) {
        uint32_t kinds = 0;
        for (uint64_t point = 6; crash_around_vote(point, restart_ms, &kinds); point++) {
        }
        assert_int_equal(kinds, 3); /* crashes before the vote was durable, and after */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_survivors_and_abort_at_once),
        cmocka_unit_test(test_vote_after_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
