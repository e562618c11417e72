/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that deal, complain, answer and upload wrongly, with their real keys: refused, outvoted,
 * or named; never a wrong sum.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

static struct sim *new_sim(uint32_t members, uint32_t colluding, uint32_t losses,
                           sim_tamper *tamper, void *context)
{
    const struct sim_options options = {
        .members = members,
        .colluding = colluding,
        .losses = losses,
        .seed = members * 131 + colluding,
        .tamper = tamper,
        .tamper_context = context,
    };
    return sim_new(&options);
}

/* ---- R1 ---- */

/* How a dealer cheats the holders 1 .. victims after it. */
enum cheat {
    GARBAGE,       /* in the sealed text */
    OTHER_SHARE_S, /* sealed well, but not on the polynomial that was committed to */
    OTHER_SHARE_B,
    OFF_POLYNOMIAL, /* a share of s for everybody that lies on no polynomial of degree < t */
    OTHER_S,        /* S is not the constant of the polynomial that was shared */
    OTHER_B,
    CHEATS,
};

struct bad_dealer {
    uint32_t dealer;
    uint32_t victims;
    enum cheat cheat;
};

/* The dealer's entry for a holder, sealed again with another share. */
static void change_share(struct sim *sim, uint32_t dealer, uint32_t holder, size_t at,
                         uint8_t *sealed)
{
    const struct rn_sa_transcript *t = &sim->members[dealer]->t;
    const struct rn_sa_secrets *secrets = &sim->members[dealer]->vault->session;
    struct rn_channel_context context = {.from = dealer, .to = holder};
    uint8_t plain[RN_SA_SEALED_BYTES - RN_CHANNEL_OVERHEAD];
    memcpy(context.session, t->session, RN_HASH_BYTES);
    memcpy(context.transcript, t->t0, RN_HASH_BYTES);
    const struct rn_sa_secrets *theirs = &sim->members[holder]->vault->session;
    assert_true(rn_is_ok(rn_channel_open(&theirs->channel, &t->peers[dealer].channel, &context,
                                         rn_view_of(sealed, RN_SA_SEALED_BYTES), plain, NULL)));
    plain[at] ^= (uint8_t)(1u + holder);
    assert_true(rn_is_ok(rn_channel_seal(&secrets->channel, &t->peers[holder].channel, &context,
                                         rn_view_of(plain, sizeof plain), sealed, NULL)));
}

/* Whole and consistent, but of another b than the one that was announced. */
static void deal_other_seed(struct sim *sim, uint32_t dealer, struct rn_buffer *out_body)
{
    struct rn_sa_member *m = sim->members[dealer];
    struct rn_sa_secrets other = m->vault->session;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    other.self.bytes[0] ^= 1;
    assert_true(rn_is_ok(
        rn_sa_shares_write(&m->t, dealer, &other, sim->identities[dealer], &message, NULL)));
    rn_buffer_clear(out_body);
    rn_buffer_append(out_body, message.data + RN_SA_ENVELOPE_BYTES,
                     message.length - RN_SA_ENVELOPE_BYTES);
}

static bool deal_badly(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct bad_dealer *bad = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    struct rn_sa_member *dealer = sim->members[bad->dealer];
    (void)to;
    if (m.type != RN_SA_SHARES || from != bad->dealer) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    if (bad->cheat == OTHER_B) {
        deal_other_seed(sim, bad->dealer, &body);
    }
    uint8_t *entries = body.data + 2 * rn_sa_coefficient_bytes(&dealer->t);
    for (uint32_t k = 0; k < bad->victims; k++) {
        const uint32_t holder = (bad->dealer + 1 + k) % sim->params.members;
        uint8_t *sealed = entries + holder * (size_t)RN_SA_SEALED_BYTES;
        if (bad->cheat == GARBAGE) {
            sealed[0] ^= 1;
        } else if (bad->cheat == OTHER_SHARE_B) {
            change_share(sim, from, holder, 4 + 4 + 32 + 32, sealed);
        } else if (bad->cheat == OTHER_SHARE_S || bad->cheat == OFF_POLYNOMIAL) {
            change_share(sim, from, holder, 4 + 4 + 32, sealed);
        }
    }
    if (bad->cheat == OTHER_S) { /* another polynomial: one commitment is another point */
        memcpy(body.data, body.data + rn_sa_coefficient_bytes(&dealer->t), RN_POINT_BYTES);
    }
    uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    struct rn_sa_shares_hashes hashes;
    rn_sa_shares_hash(&sim->aggregator->t, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(&sim->aggregator->t, from, &hashes, root);
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, root, &forged);
    rn_buffer_clear(&dealer->shares); /* it stands by what it sent */
    rn_buffer_append(&dealer->shares, forged.data, forged.length);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* case 24. A holder refuses what does not lie on the polynomial that was committed to before
 * anybody has uploaded anything. Up to n_c complaints cost the dealer nothing, since nobody can
 * tell who lies; beyond that its place in U2. Every session gets its sum. */
static void test_bad_dealers(void **state)
{
    (void)state;
    for (enum cheat cheat = GARBAGE; cheat < CHEATS; cheat++) {
        for (uint32_t victims = 1; victims < 5; victims++) {
            if (cheat >= OFF_POLYNOMIAL && victims < 4) {
                continue;
            }
            struct bad_dealer bad = {2, victims, cheat};
            struct sim *sim = new_sim(5, 1, 1, deal_badly, &bad);
            sim_run(sim, 400000);
            for (uint32_t k = 0; k < 4; k++) {
                const uint32_t holder = (bad.dealer + 1 + k) % 5;
                assert_true(rn_sa_set_has(&sim->members[holder]->valid, 2) == (k >= victims));
            }
            const bool stays = victims <= sim->params.colluding;
            assert_true(rn_sa_set_has(&sim->aggregator->t.linked, 2) == stays);
            assert_true(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 2) == stays);
            assert_true((sim->nodes[2].done_count > 0) == stays); /* else it uploads nothing */
            assert_int_equal(sim_check_sums(sim), 5);
            assert_true(rn_sa_set_empty(&sim->nodes[SIM_COORDINATOR].blamed));
            sim_free(sim);
        }
    }
}

/* Commitments that are no group elements never come into the session. */
static bool deal_no_points(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_SHARES || from != 2) {
        return true;
    }
    static const uint8_t bad[2][RN_POINT_BYTES] = {{0}, {1}}; /* the identity; no square */
    for (size_t k = 0; k < 2; k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
        uint8_t root[RN_HASH_BYTES];
        struct rn_sa_shares_hashes hashes;
        rn_buffer_append(&body, m.body.data, m.body.length);
        memcpy(body.data + RN_POINT_BYTES, bad[k], RN_POINT_BYTES);
        rn_sa_shares_hash(&sim->aggregator->t, rn_buffer_view(&body), leaves, &hashes);
        rn_sa_shares_root(&sim->aggregator->t, from, &hashes, root);
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, root, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    return true;
}

/* case 26 */
static void test_no_points(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, deal_no_points, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* Members 1 .. count complain about member 0, who dealt well. */
static bool complain(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *count = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_ACK || from == 0 || from > *count) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[0] &= 0xfe;
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    rn_secret_wipe(&sim->members[from]->vault->session.slots[0], sizeof(struct rn_sa_slot));
    return true;
}

/* case 54. n_c false complaints do not stop a dealer, n_c + 1 do. Of three members, whose shares
 * are of three, one complaint leaves a dealer without t holders and the session without F members:
 * it ends before anybody has uploaded anything. */
static void test_complaints(void **state)
{
    (void)state;
    static const uint32_t cohorts[][3] = {{3, 1, 0}, {4, 1, 1}, {5, 1, 1}, {10, 1, 1}, {10, 3, 3}};
    for (size_t c = 0; c < RN_ARRAY_LENGTH(cohorts); c++) {
        for (uint32_t more = 0; more < 2; more++) {
            uint32_t count = cohorts[c][1] + more;
            const bool ends = cohorts[c][0] == 3;
            struct sim *sim =
                new_sim(cohorts[c][0], cohorts[c][1], cohorts[c][2], complain, &count);
            sim_run(sim, 400000);
            const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
            assert_true(coordinator->summed == !ends);
            assert_true(rn_sa_set_has(&sim->aggregator->t.linked, 0) == (more == 0 && !ends));
            assert_true(rn_sa_set_has(&coordinator->survivors, 0) == (more == 0 && !ends));
            assert_int_equal(sim_check_sums(sim), ends ? 0 : cohorts[c][0]);
            assert_true(!ends || coordinator->reason == RN_SA_REASON_ACKS_QUORUM);
            for (uint32_t i = 0; ends && i < 3; i++) {
                assert_int_equal(rn_sa_spent_open(sim->spent[i]), 0);
                assert_int_equal(sim->nodes[i].done_count, 0);
            }
            sim_free(sim);
        }
    }
}

/* ---- R4 ---- */

/* Members below this number answer with a false share of `of`, or of everybody. */
struct liars {
    uint32_t count;
    uint32_t of; /* SIM_COORDINATOR: of everybody */
};

static bool answer_wrongly(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const struct liars *liars = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_REVEAL || from >= liars->count) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        if (liars->of == SIM_COORDINATOR || body.data[at] == liars->of) {
            body.data[at + 8] ^= 1;
        }
    }
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* Ten members, t = 6. Up to four false answers leave t right ones: the sum is right, every culprit
 * is named with a proof that every member checked, be its share one of b (5) or of s (9, lost). */
static void check_wrong_shares(uint32_t count, uint32_t of)
{
    struct liars liars = {count, of};
    struct sim *sim = new_sim(10, 1, 1, answer_wrongly, &liars);
    const bool lost = of == 9;
    if (lost) {
        sim->nodes[9].silent_from = RN_SA_DONE;
    }
    sim_run(sim, 400000);
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const struct rn_sa_set expected = rn_sa_set_first(count);
    const uint32_t answers = lost ? 9 : 10;
    if (answers - count >= 6) {
        assert_int_equal(sim_check_sums(sim), answers);
        assert_true(rn_sa_set_equal(&coordinator->blamed, &expected));
        for (uint32_t i = 0; i < answers; i++) {
            assert_true(rn_sa_set_equal(&sim->members[i]->t.blamed, &expected));
        }
    } else { /* names and a clean end */
        assert_true(coordinator->aborted);
        assert_int_equal(coordinator->reason, RN_SA_REASON_UNMASK_QUORUM);
        assert_true(rn_sa_set_equal(&coordinator->blamed, &expected));
        assert_int_equal(sim_check_sums(sim), 0);
    }
    sim_free(sim);
}

/* case 23 */
static void test_wrong_shares(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 5; count++) {
        check_wrong_shares(count, SIM_COORDINATOR);
        check_wrong_shares(count, 5);
        check_wrong_shares(count, 9);
    }
}

/* The next round goes on without a member that was proven faulty. It is offered nothing, what it
 * sends to join is refused; and where a coordinator forgets, the members that hold the proof do
 * not, be it after a restart. */
static void test_blamed_are_left_out(void **state)
{
    (void)state;
    for (uint32_t forgets = 0; forgets < 2; forgets++) {
        struct liars liars = {1, SIM_COORDINATOR};
        struct sim *sim = new_sim(6, 1, 2, answer_wrongly, &liars);
        sim_run(sim, 400000);
        assert_int_equal(sim_check_sums(sim), 6);
        const struct rn_sa_set blamed = rn_sa_set_only(0);
        assert_true(rn_sa_set_equal(&sim->nodes[SIM_COORDINATOR].blamed, &blamed));
        sim->options.tamper = NULL;
        sim->context.active = 1;
        if (forgets == 0) {
            sim->excluded = blamed;
        }
        sim_next_session(sim, 2, 1);
        for (uint32_t i = 1; i < 6; i++) { /* restart */
            sim->nodes[i].crash_at = 0;
            sim->nodes[i].restart_ms = 100;
        }
        sim_run(sim, 400000);
        assert_false(rn_sa_set_has(&sim->aggregator->t.joined, 0) && forgets == 0);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].summed, forgets == 0);
        for (uint32_t i = 1; i < 6; i++) {
            assert_true(sim->nodes[i].resumed);
            assert_true((sim->members[i]->shares.length > 0) == (forgets == 0));
            assert_true(sim->nodes[i].summed == (forgets == 0));
        }
        if (forgets == 0) {
            assert_int_equal(sim->members[0]->state, RN_SA_M_IDLE);
        }
        sim_free(sim);
    }
}

/* A Ready of an excluded member, signed well and in time. */
static void test_excluded_may_not_join(void **state)
{
    (void)state;
    struct sim *sim = new_sim(6, 1, 2, NULL, NULL);
    sim_run(sim, TICK_MS);
    sim->aggregator->config.excluded = rn_sa_set_only(0);
    sim_run(sim, 400000);
    assert_false(rn_sa_set_has(&sim->aggregator->t.joined, 0));
    assert_true(sim->nodes[0].following);
    assert_int_equal(sim_check_sums(sim), 6);
    sim_free(sim);
}

/* t - 1 answers open nothing; ticks compute nothing; the t-th opens. */
static bool withhold_answers(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *first = sim->options.tamper_context;
    return sim_parse(message).type != RN_SA_REVEAL || from >= *first;
}

/* case 23 */
static void test_too_few_shares(void **state)
{
    (void)state;
    uint32_t first = 5; /* of ten, of whom six are needed */
    struct sim *sim = new_sim(10, 1, 1, withhold_answers, &first);
    for (uint32_t k = 0; k < 100 && rn_sa_aggregator_stage(sim->aggregator) < RN_SA_STAGE_UNMASK;
         k++) {
        sim_run(sim, TICK_MS);
    }
    sim_run(sim, 3000);
    assert_int_equal(rn_sa_set_count(&sim->aggregator->got[RN_SA_REVEAL]), 5);
    assert_true(rn_sa_set_empty(&sim->aggregator->opened));
    first = 4;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 10);
    sim_free(sim);
}

/* case 23. Nine answers of ten, five of them false for one secret: what is opened is kept, and only
 * the missing one is tried again when the tenth comes. */
static void test_opened_is_kept(void **state)
{
    (void)state;
    struct liars liars = {5, 7};
    struct sim *sim = new_sim(10, 1, 1, answer_wrongly, &liars);
    sim->nodes[9].silent_from = RN_SA_REVEAL;
    for (uint32_t k = 0; k < 200 && (sim->aggregator == NULL ||
                                     rn_sa_set_count(&sim->aggregator->got[RN_SA_REVEAL]) < 9);
         k++) {
        sim_run(sim, TICK_MS);
    }
    struct rn_sa_set all = rn_sa_set_first(10);
    rn_sa_set_remove(&all, 7);
    assert_true(rn_sa_set_equal(&sim->aggregator->opened, &all));
    const struct rn_sa_set blamed = rn_sa_set_first(5);
    assert_true(rn_sa_set_equal(&sim->aggregator->blamed, &blamed));
    /* a tick without news looks at no share again; a secret that is rebuilt is rebuilt once */
    struct rn_sa_revealed *dropped = &sim->aggregator->answers[0]->of[7];
    for (uint32_t k = 0; k < 2; k++) { /* with them there would be t */
        struct rn_sa_answers *answers = sim->aggregator->answers[k];
        assert_false(answers->of[7].held);
        answers->of[7].held = true;
        rn_sa_set_remove(&answers->checked, 7);
    }
    sim->aggregator->secrets[1].bytes[0] ^= 1;
    const struct rn_scalar marked = sim->aggregator->secrets[1];
    sim_run(sim, 4 * TICK_MS);
    assert_true(dropped->held);
    sim->nodes[9].silent = false;
    sim->nodes[9].silent_from = 0;
    sim_run(sim, 400000);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_UNMASK_QUORUM);
    assert_false(dropped->held);
    assert_memory_equal(&marked, &sim->aggregator->secrets[1], sizeof marked);
    sim_free(sim);
}

/* A coordinator that blames whom it likes: an honest answer as its proof, a proof twice, a proof
 * against another, proofs that are cut short or too many. */
static bool blame_falsely(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    bool *done = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || m.type != RN_SA_RESULT || to != 1 || *done) {
        return true;
    }
    *done = true;
    const struct rn_sa_aggregator *a = sim->aggregator;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    for (uint32_t holder = 0; holder < 5; holder++) {
        for (uint32_t dealer = 0; dealer < 5; dealer++) {
            if (a->inbox[RN_SA_REVEAL][holder].length == 0) {
                continue;
            }
            rn_buffer_clear(&body);
            rn_buffer_append(&body, m.body.data, m.body.length);
            body.data[m.body.length - 4] = 1;
            rn_sa_blame_write(&a->t, dealer, &a->dealings[dealer],
                              rn_buffer_view(&a->inbox[RN_SA_REVEAL][holder]), &body);
            sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
            sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
            /* other commitments than the dealer's own would make any share false */
            body.data[body.length - 2 * RN_HASH_BYTES - 1] ^= 1;
            sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
            sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
        }
    }
    return true;
}

static void test_false_blame(void **state)
{
    (void)state;
    bool done = false;
    struct sim *sim = new_sim(5, 1, 1, blame_falsely, &done);
    sim_run(sim, 400000);
    assert_true(done);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* The same proof twice, out of order, a byte less or more, at a true liar's cost. */
struct repeated {
    struct liars liars;
    bool done;
};

static bool repeat_blame(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct repeated *repeated = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type == RN_SA_REVEAL) {
        return answer_wrongly(sim, from, to, message);
    }
    if (from != SIM_COORDINATOR || m.type != RN_SA_RESULT || to != 4 || repeated->done) {
        return true;
    }
    repeated->done = true;
    const size_t one = rn_sa_blame_bytes(&sim->aggregator->t);
    const size_t head = m.body.length - 2 * one;
    static const uint8_t orders[][3] = {{0, 0}, {1, 0}, {1, 1}};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(orders); k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        rn_buffer_append(&body, m.body.data, head);
        rn_buffer_append(&body, m.body.data + head + orders[k][0] * one, one);
        rn_buffer_append(&body, m.body.data + head + orders[k][1] * one, one);
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    sim_sign_again(sim, &m, rn_view_of(m.body.data, m.body.length - 1), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    sim_sign_again(sim, &m, rn_view_of(m.body.data, m.body.length - one), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    return true;
}

static void test_repeated_blame(void **state)
{
    (void)state;
    struct repeated repeated = {{2, SIM_COORDINATOR}, false};
    struct sim *sim = new_sim(10, 1, 1, repeat_blame, &repeated);
    sim_run(sim, 400000);
    assert_true(repeated.done);
    assert_int_equal(sim_check_sums(sim), 10);
    sim_free(sim);
}

static bool bad_reveal(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_REVEAL || from != 0) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    const size_t entry = RN_SA_REVEAL_ENTRY;
    const struct rn_view views[] = {
        rn_view_of(body.data, body.length - entry), /* too few peers */
        rn_view_of(body.data, 4),
        rn_view_of(body.data, body.length),
    };
    sim_sign_again(sim, &m, views[0], NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    sim_sign_again(sim, &m, views[1], NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    static const struct {
        size_t at;
        uint8_t xor ;
    } changes[] = {
        {4, 1},          /* another peer */
        {8, 3},          /* the other kind */
        {8, 2},          /* no share */
        {12 + 31, 0x80}, /* a scalar that is not canonical */
        {0, 1},          /* another count */
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(changes); k++) {
        body.data[changes[k].at] ^= changes[k].xor ;
        sim_sign_again(sim, &m, views[2], NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
        body.data[changes[k].at] ^= changes[k].xor ;
    }
    return true;
}

/* case 25 */
static void test_malformed_reveals(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, bad_reveal, NULL);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

/* A Ready of this member whose B is the S of that body. */
static void refuse_ready(struct sim *sim, uint32_t from, const uint8_t *body)
{
    struct rn_sa_outgoing forged = {
        .type = RN_SA_READY,
        .session = sim->aggregator->t.session,
        .round = sim->context.round,
        .sender = from,
        .recipient = RN_SA_COORDINATOR,
        .transcript = sim->aggregator->t.session,
    };
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    uint8_t own[RN_SA_READY_BODY];
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) honest = {0};
    struct rn_sa_member *m = sim->members[from];
    rn_sa_ready_write(&m->t, from, &m->vault->session, sim->identities[from], &honest);
    memcpy(own, honest.data + RN_SA_ENVELOPE_BYTES, sizeof own);
    memcpy(own + 2 * RN_POINT_BYTES, body + RN_POINT_BYTES, RN_POINT_BYTES);
    forged.body = rn_view_of(own, sizeof own);
    rn_sa_message_write(&forged, sim->identities[from], &message);
    sim_expect_refused(sim, from, SIM_COORDINATOR, rn_buffer_view(&message));
}

/* No secret is zero: its public point would be the identity, which is no key. None is announced
 * twice, be it for the other use or by another member. */
static bool zero_seed(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_READY) {
        return true;
    }
    const struct rn_sa_set *got = &sim->aggregator->got[RN_SA_READY];
    for (uint32_t i = rn_sa_set_next(got, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(got, i + 1)) {
        refuse_ready(sim, from, sim->aggregator->inbox[RN_SA_READY][i].data + RN_SA_ENVELOPE_BYTES);
    }
    refuse_ready(sim, from, m.body.data);
    for (size_t at = RN_POINT_BYTES; at < RN_SA_READY_BODY; at += RN_POINT_BYTES) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        rn_buffer_append(&body, m.body.data, m.body.length);
        memset(body.data + at, 0, RN_POINT_BYTES);
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    return true;
}

/* case 26 */
static void test_zero_seed(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, zero_seed, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* ---- Evidence ---- */

/* A member signs version after version of its vote: each is refused, the first is the proof. */
static bool vote_often(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    uint32_t *proofs = sim->options.tamper_context;
    const struct rn_sa_message reveal = sim_parse(message);
    if (reveal.type != RN_SA_REVEAL || from != 1 || *proofs > 0) {
        return true;
    }
    const struct rn_sa_message vote = sim_parse(&sim->aggregator->inbox[RN_SA_VOTE][1]);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_sa_actions actions = {0};
    rn_buffer_append(&body, vote.body.data, vote.body.length);
    for (uint8_t version = 1; version < 20; version++) {
        body.data[4] ^= version;
        sim_sign_again(sim, &vote, rn_buffer_view(&body), NULL, NULL, &forged);
        const rn_result result = rn_sa_aggregator_receive(
            sim->aggregator, from, rn_buffer_view(&forged), sim->now, &actions, NULL);
        assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
        body.data[4] ^= version;
    }
    for (size_t i = 0; i < actions.count; i++) {
        *proofs += actions.items[i].kind == RN_SA_EVIDENCE;
    }
    rn_sa_actions_clear(&actions);
    return true;
}

static void test_one_proof(void **state)
{
    (void)state;
    uint32_t proofs = 0;
    struct sim *sim = new_sim(5, 1, 1, vote_often, &proofs);
    sim_run(sim, 400000);
    assert_int_equal(proofs, 1);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* ---- Receipts ---- */

/* The first receipt of all is member 3's and names an adapter that nobody computed. */
static bool false_receipt(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    uint8_t *adapter = sim->options.tamper_context;
    struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_RECEIPT) {
        return true;
    }
    if (rn_sa_set_empty(&sim->aggregator->got[RN_SA_RECEIPT])) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        memcpy(adapter, m.body.data + RN_HASH_BYTES, RN_HASH_BYTES);
        rn_buffer_append(&body, m.body.data, m.body.length);
        body.data[RN_HASH_BYTES] ^= 1;
        m.sender = 3;
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        assert_true(rn_is_ok(rn_sa_aggregator_receive(sim->aggregator, 3, rn_buffer_view(&forged),
                                                      sim->now, &actions, NULL)));
    }
    return from != 3;
}

/* It makes no honest receipt the one that differs. */
static void test_false_receipt(void **state)
{
    (void)state;
    uint8_t adapter[RN_HASH_BYTES] = {0};
    struct sim *sim = new_sim(5, 1, 1, false_receipt, adapter);
    sim_run(sim, 400000);
    struct rn_sa_set agreeing;
    struct rn_sa_set differing;
    const struct rn_sa_set liar = rn_sa_set_only(3);
    rn_sa_aggregator_receipts(sim->aggregator, adapter, &agreeing, &differing);
    assert_true(rn_sa_set_equal(&differing, &liar));
    assert_int_equal(rn_sa_set_count(&agreeing), 4);
    sim_free(sim);
}

/* ---- R2 ---- */

/* The guard bit alone. (Values that keep the sum within its range are poisoning: V3.) */
static rn_result read_guard(void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    (void)first;
    (void)err;
    const struct sim *sim = context;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (uint64_t)1 << (rn_sa_bits(&sim->params) - 1);
    }
    return rn_ok();
}

/* case 28. A member uploads values far above value_max: the sum leaves its range, and nothing is
 * released.
 */
static void test_out_of_range(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, NULL, NULL);
    sim->members[3]->config.params.value_max = UINT64_MAX; /* its own check is off */
    sim->members[3]->config.input = (struct rn_sa_input){read_guard, sim};
    sim_run(sim, 400000);
    assert_true(sim->nodes[SIM_COORDINATOR].aborted);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_RANGE);
    assert_int_equal(sim_check_sums(sim), 0);
    sim_free(sim);
}

/* Chunks that do not fit the layout, from a member that signs them. */
static bool bad_chunk(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_CHUNK || from != 0) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    static const uint64_t firsts[] = {1,         12, 1000, (uint64_t)1 << 32, (uint64_t)1 << 63,
                                      UINT64_MAX};
    static const uint32_t counts[] = {0, 1, 5, 0x80000000u, UINT32_MAX};
    uint8_t head[RN_SA_CHUNK_HEAD];
    memcpy(head, body.data, sizeof head);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(firsts) + RN_ARRAY_LENGTH(counts); k++) {
        struct rn_writer w = rn_writer_to(body.data, RN_SA_CHUNK_HEAD);
        struct rn_reader r = rn_reader_of(rn_view_of(head, sizeof head));
        const uint64_t first = rn_read_u64(&r);
        const bool other_first = k < RN_ARRAY_LENGTH(firsts);
        rn_write_u64(&w, other_first ? firsts[k] : first);
        rn_write_u32(&w, other_first ? rn_read_u32(&r) : counts[k - RN_ARRAY_LENGTH(firsts)]);
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    memcpy(body.data, head, sizeof head);
    sim_sign_again(sim, &m, rn_view_of(body.data, body.length - 1), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    return true;
}

/* case 27 */
static void test_bad_chunks(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, bad_chunk, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_dealers),         cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_wrong_shares),        cmocka_unit_test(test_malformed_reveals),
        cmocka_unit_test(test_no_points),           cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_false_blame),         cmocka_unit_test(test_repeated_blame),
        cmocka_unit_test(test_too_few_shares),      cmocka_unit_test(test_opened_is_kept),
        cmocka_unit_test(test_blamed_are_left_out), cmocka_unit_test(test_excluded_may_not_join),
        cmocka_unit_test(test_bad_chunks),          cmocka_unit_test(test_zero_seed),
        cmocka_unit_test(test_one_proof),           cmocka_unit_test(test_false_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
