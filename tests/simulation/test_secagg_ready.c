/* SPDX-License-Identifier: Apache-2.0
 *
 * case 11, case 12. R0: a coordinator that swaps, repeats, leaves out and borrows keys in the Ready
 * set. Every forged set bears the T0 that follows from it, so that the one check that is meant
 * refuses it, by its own words; the honest set comes afterwards, and the round comes out right.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

#define MEMBERS 4u

/* The test that is run on the honest Ready set before member 0 gets it. */
struct attempt {
    void (*lie)(struct sim *sim, const struct rn_sa_message *honest);
    bool done;
};

static bool before_the_set(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct attempt *attempt = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)from;
    if (m.type == RN_SA_READY_SET && to == 0 && !attempt->done) {
        attempt->done = true;
        attempt->lie(sim, &m);
        assert_int_equal(sim->members[0]->state, RN_SA_M_READY); /* nothing was dealt */
        assert_int_equal(sim->members[0]->shares.length, 0);
    }
    return true;
}

static void run_with(void (*lie)(struct sim *sim, const struct rn_sa_message *honest))
{
    struct attempt attempt = {.lie = lie};
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 525,
                                        .tamper = before_the_set,
                                        .tamper_context = &attempt};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_true(attempt.done);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    sim_free(sim);
}

static struct rn_view ready_of(const struct rn_sa_message *set, uint32_t place)
{
    return rn_view_of(set->body.data + 4 + place * (size_t)RN_SA_READY_BYTES, RN_SA_READY_BYTES);
}

static struct rn_sa_message parse_ready(const struct rn_sa_message *set, uint32_t place)
{
    struct rn_sa_message m;
    assert_true(rn_is_ok(rn_sa_message_parse(ready_of(set, place), &m, NULL)));
    return m;
}

/* The set with these bytes in the place of one Ready. */
static void refuse_with(struct sim *sim, const struct rn_sa_message *set, uint32_t place,
                        struct rn_view ready, const char *reason)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    assert_int_equal(ready.length, RN_SA_READY_BYTES);
    rn_buffer_append(&body, set->body.data, set->body.length);
    memcpy(body.data + 4 + place * (size_t)RN_SA_READY_BYTES, ready.data, ready.length);
    lie_refused(sim, 0, set, rn_buffer_view(&body), reason);
}

/* ---- case 11 ---- */

/* A key of member 2, valid but not the one that it signed: under its old signature, under one of
 * the coordinator, and under one of another member. */
static void swap_key(struct sim *sim, const struct rn_sa_message *set)
{
    const struct rn_sa_message ready = parse_ready(set, 2);
    for (size_t key = 0; key < RN_SA_READY_BODY; key += 32) {
        uint8_t bytes[RN_SA_READY_BYTES];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        memcpy(bytes, ready.whole.data, sizeof bytes);
        /* the base point times two, or any other point: a key of nobody */
        uint8_t other[32] = {9};
        if (key > 0) {
            struct rn_scalar two = {{2}};
            struct rn_point point;
            rn_point_of_scalar(&two, &point);
            memcpy(other, point.bytes, sizeof other);
        }
        memcpy(bytes + RN_SA_ENVELOPE_BYTES + key, other, sizeof other);
        refuse_with(sim, set, 2, rn_view_of(bytes, sizeof bytes), "the body is not the signed one");
        for (uint32_t signer = 0; signer < 2; signer++) {
            struct rn_sa_outgoing outgoing = {
                .type = RN_SA_READY,
                .session = ready.session,
                .round = ready.round,
                .sender = 2,
                .recipient = ready.recipient,
                .transcript = ready.transcript,
                .body = rn_view_of(bytes + RN_SA_ENVELOPE_BYTES, RN_SA_READY_BODY),
            };
            rn_sa_message_write(&outgoing, sim->identities[signer == 0 ? SIM_COORDINATOR : 1],
                                &forged);
            refuse_with(sim, set, 2, rn_buffer_view(&forged), "does not hold");
        }
    }
}

/* A Ready that member 2 did sign: in another attempt, another round, under another plan, after
 * another transcript, to somebody else. */
static void borrow_ready(struct sim *sim, const struct rn_sa_message *set)
{
    const struct rn_sa_message honest = parse_ready(set, 2);
    static const char *const reasons[] = {
        "of another session", "of another session",         "of another session",
        "of another session", "follows another transcript", "another message is in its place",
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(reasons); k++) {
        struct rn_sa_message m = honest;
        struct rn_sa_context context = sim->context;
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        context.attempt += k == 0;
        context.round += k == 1;
        context.plan_hash[0] ^= k == 2;
        if (k < 3) { /* the id that the other session has */
            rn_sa_session_id(m.session, &sim->params, &context, sim->members[0]->t.roster_hash,
                             sim->aggregator->config.nonce);
            memcpy(m.transcript, m.session, RN_HASH_BYTES);
        }
        m.round += k == 1 || k == 3;
        m.transcript[0] ^= k == 4;
        m.recipient = k == 5 ? 0 : m.recipient;
        sim_sign_again(sim, &m, m.body, NULL, NULL, &forged);
        refuse_with(sim, set, 2, rn_buffer_view(&forged), reasons[k]);
    }
}

/* case 11 */
static void test_swapped_keys(void **state)
{
    (void)state;
    run_with(swap_key);
}

/* case 11 */
static void test_borrowed_readys(void **state)
{
    (void)state;
    run_with(borrow_ready);
}

/* ---- case 12 ---- */

/* Members that are listed twice, out of order, or too few. */
static void list_wrongly(struct sim *sim, const struct rn_sa_message *set)
{
    static const struct {
        uint32_t count, places[5];
        const char *reason;
    } lists[] = {
        {4, {0, 1, 2, 2}, "members repeat or are out of order"},
        {4, {0, 0, 2, 3}, "members repeat or are out of order"},
        {4, {1, 0, 2, 3}, "members repeat or are out of order"},
        {4, {0, 1, 3, 2}, "members repeat or are out of order"},
        {2, {0, 1}, "2 members are below 3"},
        {0, {0}, "0 members are below 3"},
        {5, {0, 1, 2, 3, 3}, "wrong length"}, /* more than the roster has */
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(lists); k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        rn_buffer_u32(&body, lists[k].count);
        for (uint32_t i = 0; i < lists[k].count; i++) {
            const struct rn_view ready = ready_of(set, lists[k].places[i]);
            rn_buffer_append(&body, ready.data, ready.length);
        }
        lie_refused(sim, 0, set, rn_buffer_view(&body), lists[k].reason);
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, set->body.data, set->body.length);
    rn_buffer_u8(&body, 0);
    lie_refused(sim, 0, set, rn_buffer_view(&body), "wrong length");
    /* the true list under a T0 that does not follow from it */
    uint8_t other[RN_HASH_BYTES];
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    memcpy(other, set->transcript, sizeof other);
    other[31] ^= 1;
    sim_sign_again(sim, set, set->body, other, NULL, &forged);
    lie_bytes_refused(sim, 0, rn_buffer_view(&forged), "does not hash to its T0");
}

/* Every key of member 1 in the place of every key of member 3, signed well by member 3: the sets
 * that could make a mask cancel against the wrong peer. */
static void share_keys(struct sim *sim, const struct rn_sa_message *set)
{
    const struct rn_sa_message from = parse_ready(set, 1);
    const struct rn_sa_message into = parse_ready(set, 3);
    for (size_t a = 0; a < RN_SA_READY_BODY; a += 32) {
        for (size_t b = 0; b < RN_SA_READY_BODY; b += 32) {
            if ((a == 0) != (b == 0)) {
                continue; /* an X25519 key is no point of the other group */
            }
            uint8_t body[RN_SA_READY_BODY];
            struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
            memcpy(body, into.body.data, sizeof body);
            memcpy(body + b, from.body.data + a, 32);
            sim_sign_again(sim, &into, rn_view_of(body, sizeof body), NULL, NULL, &forged);
            refuse_with(sim, set, 3, rn_buffer_view(&forged),
                        "members 1 and 3 announce the same key");
        }
    }
    /* both points of one member */
    uint8_t body[RN_SA_READY_BODY];
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    memcpy(body, into.body.data, sizeof body);
    memcpy(body + 64, body + 32, 32);
    sim_sign_again(sim, &into, rn_view_of(body, sizeof body), NULL, NULL, &forged);
    refuse_with(sim, set, 3, rn_buffer_view(&forged), "mask secret and self seed are one");
}

/* Each own key replaced by another, with the own identity (a second process, a cloned disk). */
static void replace_own(struct sim *sim, const struct rn_sa_message *set)
{
    const struct rn_sa_message own = parse_ready(set, 0);
    for (size_t key = 0; key < RN_SA_READY_BODY; key += 32) {
        uint8_t body[RN_SA_READY_BODY];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        memcpy(body, own.body.data, sizeof body);
        memset(body + key, 0, 32);
        body[key] = 9;
        if (key > 0) {
            struct rn_scalar three = {{3}};
            struct rn_point point;
            rn_point_of_scalar(&three, &point);
            memcpy(body + key, point.bytes, 32);
        }
        sim_sign_again(sim, &own, rn_view_of(body, sizeof body), NULL, NULL, &forged);
        refuse_with(sim, set, 0, rn_buffer_view(&forged), "a key of this member was replaced");
    }
}

/* A Ready whose sender is no place of the roster, by somebody with a key of his own. */
static void bring_stranger(struct sim *sim, const struct rn_sa_message *set)
{
    static const uint32_t strangers[] = {MEMBERS, MEMBERS + 1, RN_SA_MEMBERS_MAX, RN_SA_COORDINATOR,
                                         RN_SA_EVERYONE};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(strangers); k++) {
        const struct rn_sa_message honest = parse_ready(set, 3);
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        const struct rn_sa_outgoing outgoing = {
            .type = RN_SA_READY,
            .session = honest.session,
            .round = honest.round,
            .sender = strangers[k],
            .recipient = RN_SA_COORDINATOR,
            .transcript = honest.transcript,
            .body = honest.body,
        };
        rn_sa_message_write(&outgoing, sim->identities[SIM_COORDINATOR], &forged);
        refuse_with(sim, set, 3, rn_buffer_view(&forged), "another message is in its place");
    }
}

/* case 12 */
static void test_lists(void **state)
{
    (void)state;
    run_with(list_wrongly);
}

/* case 12 */
static void test_shared_keys(void **state)
{
    (void)state;
    run_with(share_keys);
}

/* case 12, case 32 */
static void test_own_keys_replaced(void **state)
{
    (void)state;
    run_with(replace_own);
}

/* case 12 */
static void test_strangers(void **state)
{
    (void)state;
    run_with(bring_stranger);
}

/* A set without the receiver is no error, since it may have been too late, and no part either: it
 * deals nothing and follows. */
static bool leave_out_first(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)sim;
    (void)to;
    return from != 0 || sim_parse(message).type != RN_SA_READY;
}

/* case 12 */
static void test_own_key_missing(void **state)
{
    (void)state;
    const struct sim_options options = {
        .members = MEMBERS, .colluding = 1, .losses = 1, .seed = 526, .tamper = leave_out_first};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_true(sim->nodes[0].following);
    assert_int_equal(sim->members[0]->shares.length, 0);
    assert_null(sim->members[0]->vault);
    assert_null(sim->nodes[0].reveal);
    assert_int_equal(rn_sa_spent_open(sim->spent[0]), 0);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    assert_false(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 0));
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swapped_keys),
        cmocka_unit_test(test_borrowed_readys),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_shared_keys),
        cmocka_unit_test(test_own_keys_replaced),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_own_key_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
