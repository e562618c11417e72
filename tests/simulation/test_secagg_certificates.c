/* SPDX-License-Identifier: Apache-2.0
 *
 * case 13. Two sets of survivors to two halves get no certificate; and what passes for a
 * certificate of either kind: Q votes of one kind, for this T2 or for an abort, of this session and
 * T0, by as many different members that may vote. Each thing that can be wrong with one vote is
 * refused by the words for it.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* ---- two U3 ---- */

/* The upper half is shown survivors without member 0. */
static bool split_survivors(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || m.type != RN_SA_SURVIVORS || to < sim->params.members / 2) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u32(&body, sim->params.members - 1);
    rn_buffer_append(&body, m.body.data + 4 + RN_SA_DONE_BYTES,
                     m.body.length - 4 - RN_SA_DONE_BYTES);
    struct rn_buffer forged = {0};
    lie_write(sim, &sim->aggregator->t, &m, rn_buffer_view(&body), &forged);
    /* one of them sees both, and has proof */
    if (to == sim->params.members - 1) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        struct rn_sa_member *member = sim->members[to];
        if (member->state == RN_SA_M_DONE) {
            assert_true(rn_is_ok(
                rn_sa_member_receive(member, rn_buffer_view(&forged), sim->now, &actions, NULL)));
            execute(sim, to, &actions);
            rn_sa_actions_clear(&actions);
            const rn_result result =
                rn_sa_member_receive(member, rn_buffer_view(message), sim->now, &actions, NULL);
            assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
            assert_int_equal(actions.count, 1);
            assert_true(sim_prove(sim, &actions.items[0]).coordinator);
            execute(sim, to, &actions);
        }
    }
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* case 13 */
static void test_split_survivors(void **state)
{
    (void)state;
    static const uint32_t sizes[][3] = {{4, 1, 1}, {5, 1, 1}, {7, 2, 2}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(sizes); k++) {
        struct sim *sim =
            sim_tampered(sizes[k][0], sizes[k][1], sizes[k][2], split_survivors, NULL);
        sim_run(sim, 400000);
        assert_false(sim->nodes[SIM_COORDINATOR].summed); /* no certificate for either */
        for (uint32_t i = 0; i < sim->params.members; i++) {
            assert_null(sim->nodes[i].reveal);
            assert_true(sim->nodes[i].aborted);
            assert_int_equal(rn_sa_spent_open(sim->spent[i]), 1);
        }
        assert_int_equal(sim->nodes[sim->params.members - 1].evidence, 1);
        sim_free(sim);
    }
}

/* ---- forged certificates ---- */

/* Seven members, Q = 5; member 6 is lost before Done and so not in U3, but in T0. */
#define LOST 6u
#define QUORUM 5u

/* A vote as the forger can have it: of anybody's key that works with him, or anybody's bytes. */
struct ballot {
    struct sim *sim;
    const struct rn_sa_transcript *t;
    enum rn_sa_vote kind;
};

struct wrong {
    uint32_t sender;
    uint32_t signer;
    bool session, t0, t2, round, other_kind, type;
};

static void cast(const struct ballot *ballot, const struct wrong *wrong, struct rn_buffer *out)
{
    static const uint8_t none[RN_HASH_BYTES] = {0};
    const enum rn_sa_vote kind =
        wrong->other_kind ? (enum rn_sa_vote)(3 - (int)ballot->kind) : ballot->kind;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) vote = {0};
    uint8_t session[RN_HASH_BYTES], t0[RN_HASH_BYTES];
    memcpy(session, ballot->t->session, sizeof session);
    memcpy(t0, ballot->t->t0, sizeof t0);
    session[7] ^= wrong->session;
    t0[7] ^= wrong->t0;
    rn_buffer_u32(&body, (uint32_t)kind);
    rn_buffer_append(&body, kind == RN_SA_VOTE_SURVIVORS ? ballot->t->t2 : none, RN_HASH_BYTES);
    body.data[4 + 7] ^= wrong->t2;
    const struct rn_sa_outgoing outgoing = {
        .type = RN_SA_VOTE,
        .session = session,
        .round = ballot->t->context.round + wrong->round,
        .sender = wrong->sender,
        .recipient = wrong->type ? 0 : RN_SA_COORDINATOR,
        .transcript = t0,
        .body = rn_buffer_view(&body),
    };
    rn_sa_message_write(&outgoing, ballot->sim->identities[wrong->signer], &vote);
    rn_buffer_append(out, vote.data, vote.length);
}

static const struct {
    struct wrong vote;
    const char *reason;
} wrongs[] = {
    {{.sender = 4, .signer = 5}, "does not hold"}, /* another's key */
    {{.sender = 4, .signer = SIM_COORDINATOR}, "does not hold"},
    {{.sender = 7, .signer = 5}, "not entitled"}, /* of nobody in the roster */
    {{.sender = RN_SA_MEMBERS_MAX, .signer = 5}, "not entitled"},
    {{.sender = RN_SA_COORDINATOR, .signer = SIM_COORDINATOR}, "not entitled"},
    {{.sender = RN_SA_EVERYONE, .signer = SIM_COORDINATOR}, "not entitled"},
    {{.sender = 4, .signer = 4, .session = true}, "a vote belongs elsewhere"},
    {{.sender = 4, .signer = 4, .t0 = true}, "a vote belongs elsewhere"},
    {{.sender = 4, .signer = 4, .round = true}, "a vote belongs elsewhere"},
    {{.sender = 4, .signer = 4, .type = true}, "a vote belongs elsewhere"},
    {{.sender = 4, .signer = 4, .t2 = true}, "neither for these survivors nor for an abort"},
    {{.sender = 3, .signer = 3}, "repeat"}, /* it stands there already */
    {{.sender = 0, .signer = 0}, "out of order"},
};

struct forger {
    enum rn_sa_vote kind;
    bool done;
};

static void refuse_votes(struct sim *sim, const struct rn_sa_message *m, struct rn_buffer *body,
                         const char *reason)
{
    lie_refused(sim, 1, m, rn_buffer_view(body), reason);
}

/* Good votes of 0 .. good - 1, then what the caller appends. */
static void begin(const struct ballot *ballot, uint32_t count, uint32_t good, struct rn_buffer *out)
{
    rn_buffer_clear(out);
    rn_buffer_u32(out, count);
    for (uint32_t i = 0; i < good; i++) {
        const struct wrong right = {.sender = i, .signer = i};
        cast(ballot, &right, out);
    }
}

static void forge(struct sim *sim, const struct ballot *ballot, const struct rn_sa_message *m)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(wrongs); k++) {
        begin(ballot, QUORUM, QUORUM - 1, &body);
        cast(ballot, &wrongs[k].vote, &body);
        refuse_votes(sim, m, &body, wrongs[k].reason);
        /* a wrong one above the quorum spoils it too */
        if (wrongs[k].vote.sender == 4) {
            struct wrong fifth = wrongs[k].vote;
            fifth.sender = 5;
            fifth.signer = fifth.signer == 4 ? 5 : 4;
            begin(ballot, QUORUM + 1, QUORUM, &body);
            cast(ballot, &fifth, &body);
            refuse_votes(sim, m, &body, wrongs[k].reason);
        }
    }
    /* of the other kind: of a survivors' certificate it is an abort vote, and the other way round
     */
    const struct wrong other = {.sender = 4, .signer = 4, .other_kind = true};
    begin(ballot, QUORUM, QUORUM - 1, &body);
    cast(ballot, &other, &body);
    refuse_votes(sim, m, &body,
                 ballot->kind == RN_SA_VOTE_SURVIVORS ? "votes differ" : "neither for these");
    /* one too few; none; more than are there */
    begin(ballot, QUORUM - 1, QUORUM - 1, &body);
    refuse_votes(sim, m, &body, "4 votes, 5 are needed");
    begin(ballot, 0, 0, &body);
    refuse_votes(sim, m, &body, "0 votes, 5 are needed");
    begin(ballot, QUORUM, QUORUM - 1, &body);
    refuse_votes(sim, m, &body, "wrong length");
    begin(ballot, QUORUM - 1, QUORUM, &body);
    refuse_votes(sim, m, &body, "wrong length");
    begin(ballot, RN_SA_MEMBERS_MAX + 1, 0, &body);
    refuse_votes(sim, m, &body, "wrong length");
}

/* Member 6 is a stranger to U3, though not to T0: it has no say in what the others uploaded. */
static void forge_with_lost(struct sim *sim, const struct ballot *ballot,
                            const struct rn_sa_message *m)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const struct wrong lost = {.sender = LOST, .signer = LOST};
    begin(ballot, QUORUM, QUORUM - 1, &body);
    cast(ballot, &lost, &body);
    refuse_votes(sim, m, &body, "not entitled");
}

static bool before_certificate(struct sim *sim, uint32_t from, uint32_t to,
                               struct rn_buffer *message)
{
    struct forger *forger = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)from;
    const bool survivors = forger->kind == RN_SA_VOTE_SURVIVORS;
    if (m.type != (survivors ? RN_SA_CERTIFICATE : RN_SA_ABORT_CERTIFICATE) || to != 1 ||
        forger->done) {
        return survivors || m.type != RN_SA_CERTIFICATE;
    }
    const struct ballot ballot = {sim, &sim->aggregator->t, forger->kind};
    forger->done = true;
    forge(sim, &ballot, &m);
    if (survivors) {
        forge_with_lost(sim, &ballot, &m);
        /* over another T2: what it says of the survivors contradicts what the coordinator said */
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        uint8_t other[RN_HASH_BYTES];
        memcpy(other, m.transcript, sizeof other);
        other[0] ^= 1;
        sim_sign_again(sim, &m, m.body, other, NULL, &forged);
        const rn_result result = rn_sa_member_receive(sim->members[to], rn_buffer_view(&forged),
                                                      sim->now, &actions, NULL);
        assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
        assert_int_equal(actions.count, 1);
        assert_true(sim_prove(sim, &actions.items[0]).coordinator);
    }
    return true;
}

/* case 13, case 15 */
static void test_certificates(void **state)
{
    (void)state;
    struct forger forger = {RN_SA_VOTE_SURVIVORS, false};
    struct sim *sim = sim_tampered(7, 2, 2, before_certificate, &forger);
    sim->nodes[LOST].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_true(forger.done);
    assert_int_equal(sim->aggregator->t.quorum, QUORUM);
    assert_int_equal(sim_check_sums(sim), 6);
    sim_free(sim);
}

static bool no_done_of_two(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const enum rn_sa_type type = sim_parse(message).type;
    return (type != RN_SA_DONE || from < 5) && before_certificate(sim, from, to, message);
}

/* case 13 */
static void test_abort_certificates(void **state)
{
    (void)state;
    struct forger forger = {RN_SA_VOTE_ABORT, false};
    struct sim *sim = sim_tampered(7, 2, 2, no_done_of_two, &forger); /* five uploads: Q, and F */
    sim_run(sim, 4000);
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    assert_int_equal(rn_sa_aggregator_stage(sim->aggregator), RN_SA_STAGE_UPLOAD);
    rn_sa_aggregator_abort(sim->aggregator, sim->now, &actions);
    execute(sim, SIM_COORDINATOR, &actions);
    sim_run(sim, 400000);
    assert_true(forger.done);
    for (uint32_t i = 0; i < 7; i++) {
        assert_true(sim->nodes[i].aborted && sim->nodes[i].certified);
        assert_int_equal(rn_sa_spent_open(sim->spent[i]), 0);
    }
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_survivors),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_abort_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
