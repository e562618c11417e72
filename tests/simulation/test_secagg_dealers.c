/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that announce, deal and complain wrongly, with their real keys: a bad dealer goes before
 * anybody has uploaded anything, or does no harm as long as it answers.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

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
    enum rn_sa_type silent; /* what it does not send then; 0: all is sent */
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
    other.self_seed.bytes[0] ^= 1;
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
        return from != bad->dealer || m.type != bad->silent;
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
    rn_sa_shares_hash(&sim->aggregator->t, from, rn_buffer_view(&body), leaves, &hashes);
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
            struct bad_dealer bad = {2, victims, cheat, 0};
            struct sim *sim = sim_tampered(5, 1, 1, deal_badly, &bad);
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

/* The next session leaves out whom the last one names; with an abort certificate it is the same
 * round. */
static void go_on_without(struct sim *sim)
{
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const bool again = coordinator->certified;
    sim->excluded = coordinator->fell_silent;
    sim->options.tamper = NULL;
    sim->context.active = again ? sim->context.active : 1;
    sim_next_session(sim, again ? 1 : 2, again ? 2 : 1);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    assert_false(rn_sa_set_has(&sim->aggregator->t.joined, 2));
}

/* What the rule above leaves to one member: with as many complaints as it may have, its own share
 * is one of the t that open its secret, and it may keep it. The session ends, nobody is proven
 * faulty, and the coordinator names it, after a restart too; with one complaint fewer (none, here)
 * it is an ordinary loss. */
static void test_bad_dealer_goes_silent(void **state)
{
    (void)state;
    static const struct {
        enum rn_sa_type silent;
        enum rn_sa_reason reason;
    } rows[] = {{RN_SA_DONE, RN_SA_REASON_UPLOAD_QUORUM},
                {RN_SA_REVEAL, RN_SA_REASON_UNMASK_QUORUM}};
    for (size_t k = 0; k < 2; k++) {
        for (uint32_t victims = 0; victims < 2; victims++) {
            struct bad_dealer bad = {2, victims, OTHER_SHARE_B, rows[k].silent};
            const struct rn_sa_set named =
                victims == 0 ? (struct rn_sa_set){{0}} : rn_sa_set_only(2);
            struct sim *sim = sim_tampered(5, 1, 1, deal_badly, &bad);
            sim_run(sim, 400000);
            struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
            assert_true(coordinator->finished == (victims == 0));
            assert_true(victims == 0 || coordinator->reason == rows[k].reason);
            assert_true(rn_sa_set_empty(&coordinator->blamed));
            assert_true(rn_sa_set_equal(&coordinator->fell_silent, &named));
            if (victims > 0) {
                coordinator->fell_silent = (struct rn_sa_set){{0}};
                crash(sim, SIM_COORDINATOR);
                restart(sim, SIM_COORDINATOR);
                assert_true(rn_sa_set_equal(&coordinator->fell_silent, &named));
                go_on_without(sim);
            }
            sim_free(sim);
        }
    }
}

/* Member 1 complains of member 0, or of nobody; member 2 is silent from its Done on. */
static bool complain_and_lose(struct sim *sim, uint32_t from, uint32_t to,
                              struct rn_buffer *message);
/* Members 1, 2 and 3 complain of member 0, and member 1 of member 5. */
static bool complain_of_two(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message);

/* Who is not named: who fell silent and was not complained of, though the session ended by it; who
 * was complained of and is there; who was, and fell silent, where enough holders are left. */
static void test_who_is_not_named(void **state)
{
    (void)state;
    static const uint32_t complaints[] = {1, 0};
    for (size_t k = 0; k < 2; k++) {
        uint32_t count = complaints[k];
        struct sim *sim = sim_tampered(5, 1, 1, complain_and_lose, &count);
        sim->nodes[3].silent_from = count == 0 ? RN_SA_DONE : 0;
        sim_run(sim, 400000);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_UPLOAD_QUORUM);
        assert_int_equal(rn_sa_set_count(&sim->aggregator->t.accused), count);
        assert_true(rn_sa_set_empty(&sim->nodes[SIM_COORDINATOR].fell_silent));
        sim_free(sim);
    }
    struct sim *sim = sim_tampered(10, 3, 3, complain_of_two, NULL);
    sim->nodes[5].silent_from = sim->nodes[6].silent_from = RN_SA_DONE;
    sim_run(sim, 400000); /* it is member 0 who lacks holders */
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_UPLOAD_QUORUM);
    assert_true(rn_sa_set_has(&sim->aggregator->t.accused, 0));
    assert_true(rn_sa_set_has(&sim->aggregator->t.accused, 5));
    assert_true(rn_sa_set_empty(&sim->nodes[SIM_COORDINATOR].fell_silent));
    sim_free(sim);
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
        rn_sa_shares_hash(&sim->aggregator->t, from, rn_buffer_view(&body), leaves, &hashes);
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
    struct sim *sim = sim_tampered(5, 1, 1, deal_no_points, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* The sender's Ack leaves out these members, who dealt well. */
static bool leave_out(struct sim *sim, uint32_t from, uint8_t members, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[0] &= (uint8_t)~members;
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    for (uint32_t i = 0; i < 8; i++) {
        if ((members >> i & 1) != 0) {
            rn_secret_wipe(&sim->members[from]->vault->session.slots[i], sizeof(struct rn_sa_slot));
        }
    }
    return true;
}

/* Members 1 .. count complain about member 0. */
static bool complain(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *count = sim->options.tamper_context;
    return sim_parse(message).type != RN_SA_ACK || from == 0 || from > *count ||
           leave_out(sim, from, 1, message);
}

static bool complain_of_two(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    return sim_parse(message).type != RN_SA_ACK || from == 0 || from > 3 ||
           leave_out(sim, from, from == 1 ? 1 | 1 << 5 : 1, message);
}

static bool complain_and_lose(struct sim *sim, uint32_t from, uint32_t to,
                              struct rn_buffer *message)
{
    const bool lost = from == 2 && sim_parse(message).type == RN_SA_DONE;
    return !lost && complain(sim, from, to, message);
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
                sim_tampered(cohorts[c][0], cohorts[c][1], cohorts[c][2], complain, &count);
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
    struct sim *sim = sim_tampered(5, 1, 1, zero_seed, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_dealers),      cmocka_unit_test(test_bad_dealer_goes_silent),
        cmocka_unit_test(test_who_is_not_named), cmocka_unit_test(test_no_points),
        cmocka_unit_test(test_complaints),       cmocka_unit_test(test_zero_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
