/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator that alters, swaps, splits and forges, with its real key. What a machine refuses
 * must leave it as it was: the honest message is delivered afterwards, and the round must come out
 * right.
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

/* ---- every byte ---- */

/* Before each honest message arrives, the same with one byte changed, cut short, and longer. */
static bool flip_bytes(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (from > 1 && to > 1) {
        return true; /* members 0 and 1 stand for all */
    }
    if (m.type == RN_SA_OFFER || !sim->nodes[to].up) {
        return true;
    }
    const size_t step = sim_is_long() ? 1 : 1 + message->length / 40;
    for (size_t at = sim_random(sim) % step; at < message->length; at += step) {
        message->data[at] ^= 0x40;
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        sim_expect_refused(sim, from, to, rn_buffer_view(message));
        message->data[at] ^= 0x40;
    }
    sim_expect_refused(sim, from, to, rn_view_of(message->data, message->length - 1));
    sim_expect_refused(sim, from, to, rn_view_of(message->data, RN_SA_ENVELOPE_BYTES));
    sim_expect_refused(sim, from, to, rn_view_of(message->data, 0));
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) longer = {0};
    rn_buffer_append(&longer, message->data, message->length);
    rn_buffer_u8(&longer, 0);
    sim_expect_refused(sim, from, to, rn_buffer_view(&longer));
    return true;
}

static void test_flipped_bytes(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, flip_bytes, NULL);
    sim->nodes[3].silent_from = RN_SA_DONE; /* so that both kinds of secrets are opened */
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 3);
    sim_free(sim);
}

/* The same, but the coordinator signs what it changed. */
static bool flip_signed(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    const bool broadcast = m.type == RN_SA_READY_SET || m.type == RN_SA_SHARES_SET ||
                           m.type == RN_SA_ACK_SET || m.type == RN_SA_SURVIVORS ||
                           m.type == RN_SA_CERTIFICATE || m.type == RN_SA_RESULT;
    bool *done = sim->options.tamper_context;
    if (from != SIM_COORDINATOR || to != 1 || !broadcast || done[m.type]) {
        return true;
    }
    done[m.type] = true;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    const size_t step = sim_is_long() ? 1 : 7;
    /* a result's root is held against the sum, later */
    for (size_t at = m.type == RN_SA_RESULT ? RN_HASH_BYTES : 0; at < body.length; at += step) {
        body.data[at] ^= 0x04;
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
        body.data[at] ^= 0x04;
    }
    return true;
}

static void test_signed_lies(void **state)
{
    (void)state;
    bool done[RN_SA_TYPE_LAST_] = {false};
    struct sim *sim = new_sim(4, 1, 1, flip_signed, done);
    sim->nodes[3].silent_from = RN_SA_DONE;
    sim->options.delay_ms = 0;
    sim_run(sim, 400000);
    assert_true(done[RN_SA_READY_SET] && done[RN_SA_SHARES_SET] && done[RN_SA_ACK_SET] &&
                done[RN_SA_SURVIVORS] && done[RN_SA_CERTIFICATE] && done[RN_SA_RESULT]);
    assert_int_equal(sim_check_sums(sim), 3);
    sim_free(sim);
}

/* ---- R0 ---- */

/* One member listed twice, out of order, left out below the floor, from another session. */
static bool bad_ready_set(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    bool *done = sim->options.tamper_context;
    if (m.type != RN_SA_READY_SET || to != 0 || *done) {
        return true;
    }
    *done = true;
    const uint8_t *first = m.body.data + 4;
    static const uint32_t orders[][5] = {
        {4, 0, 1, 2, 2}, {4, 1, 0, 2, 3}, {2, 0, 1, 0, 0}, {4, 0, 0, 2, 3}, {0, 0, 0, 0, 0},
    };
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(orders); k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        rn_buffer_u32(&body, orders[k][0]);
        for (uint32_t i = 0; i < orders[k][0]; i++) {
            rn_buffer_append(&body, first + orders[k][i + 1] * (size_t)RN_SA_READY_BYTES,
                             RN_SA_READY_BYTES);
        }
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    /* a Ready that its member signed for another session */
    struct rn_sa_message ready;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) other = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    assert_true(rn_is_ok(rn_sa_message_parse(
        rn_view_of(first + RN_SA_READY_BYTES, RN_SA_READY_BYTES), &ready, NULL)));
    ready.session[0] ^= 1;
    sim_sign_again(sim, &ready, ready.body, NULL, NULL, &other);
    memcpy(body.data + 4 + RN_SA_READY_BYTES, other.data, RN_SA_READY_BYTES);
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    /* two members with one key */
    ready.session[0] ^= 1;
    uint8_t copied[RN_SA_READY_BODY];
    memcpy(copied, ready.body.data, sizeof copied);
    memcpy(copied, first + RN_SA_ENVELOPE_BYTES, 32);
    sim_sign_again(sim, &ready, rn_view_of(copied, sizeof copied), NULL, NULL, &other);
    memcpy(body.data + 4 + RN_SA_READY_BYTES, other.data, RN_SA_READY_BYTES);
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    return true;
}

static void test_ready_sets(void **state)
{
    (void)state;
    bool done = false;
    struct sim *sim = new_sim(4, 1, 1, bad_ready_set, &done);
    sim_run(sim, 400000);
    assert_true(done);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

/* The lower half is shown a session without the last member: two views of T0. */
static bool split_ready_set(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    const uint32_t n = sim->params.members;
    if (from != SIM_COORDINATOR || m.type != RN_SA_READY_SET || to >= n / 2) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u32(&body, n - 1);
    rn_buffer_append(&body, m.body.data + 4, m.body.length - 4 - RN_SA_READY_BYTES);
    struct rn_sa_transcript *t = rn_alloc(1, sizeof *t);
    *t = sim->aggregator->t;
    assert_true(rn_is_ok(rn_sa_ready_set_apply(t, rn_buffer_view(&body), NULL)));
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), t->t0, NULL, &forged);
    rn_free(t);
    struct rn_sa_member *member = sim->members[to];
    if (to == 0 && member->state == RN_SA_M_READY) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        assert_true(rn_is_ok(
            rn_sa_member_receive(member, rn_buffer_view(&forged), sim->now, &actions, NULL)));
        execute(sim, to, &actions);
        sim_expect_refused(sim, from, to, rn_buffer_view(message)); /* and proof is given */
    }
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_split_ready_sets(void **state)
{
    (void)state;
    struct sim *sim = new_sim(7, 2, 2, split_ready_set, NULL);
    sim_run(sim, 400000);
    assert_true(sim->nodes[SIM_COORDINATOR].aborted); /* the shares of the halves do not mix */
    assert_int_equal(sim_check_sums(sim), 0);
    for (uint32_t i = 0; i < 7; i++) {
        assert_null(sim->nodes[i].reveal);
        assert_int_equal(rn_sa_spent_open(sim->spent[i]), 0);
    }
    sim_free(sim);
}

/* Each number and hash that an offer fixes, changed by one in the coordinator's hands. */
static void test_other_plans(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 11; k++) {
        struct sim *sim = new_sim(5, 1, 1, NULL, NULL);
        struct rn_sa_aggregator_config config = {
            .identity = sim->identities[SIM_COORDINATOR],
            .params = sim->params,
            .context = sim->context,
        };
        struct rn_sa_context *c = &config.context;
        uint8_t *hashes[] = {c->plan_hash, c->base_hash, c->adapter_hash, c->layout_hash,
                             c->scales_hash};
        switch (k) {
        case 0:
            config.params.value_max++;
            break;
        case 1:
            config.params.colluding++;
            config.params.losses = 0;
            break;
        case 2:
            config.params.losses--;
            break;
        case 3:
            config.params.chunk_elements++;
            break;
        case 4:
            c->elements++;
            break;
        case 5:
            c->active++;
            break;
        default:
            hashes[k - 6][31] ^= 1;
            break;
        }
        struct rn_sa_aggregator *other = NULL;
        assert_true(rn_is_ok(rn_sa_aggregator_new(&config, &other, NULL)));
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        rn_sa_aggregator_start(other, 0, &actions);
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) answer = {0};
        const rn_result result = rn_sa_member_receive(
            sim->members[0], rn_buffer_view(&actions.items[1].bytes), 0, &answer, NULL);
        assert_int_equal(result.code, RN_E_ROUND_STALE);
        assert_int_equal(answer.count, 0);
        rn_sa_aggregator_free(other);
        sim_free(sim);
    }
}

/* ---- R3 ---- */

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
    struct rn_sa_transcript *t = rn_alloc(1, sizeof *t);
    *t = sim->aggregator->t;
    assert_true(rn_is_ok(rn_sa_survivors_apply(t, rn_buffer_view(&body), NULL)));
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), t->t2, NULL, &forged);
    rn_free(t);
    /* one of them sees both, and has proof */
    if (to == sim->params.members - 1) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        struct rn_sa_member *member = sim->members[to];
        if (member->state == RN_SA_M_DONE) {
            assert_true(rn_is_ok(
                rn_sa_member_receive(member, rn_buffer_view(&forged), sim->now, &actions, NULL)));
            execute(sim, to, &actions);
            sim_expect_refused(sim, from, to, rn_buffer_view(message));
            sim->nodes[to].evidence++;
        }
    }
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_split_survivors(void **state)
{
    (void)state;
    static const uint32_t sizes[][3] = {{4, 1, 1}, {5, 1, 1}, {7, 2, 2}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(sizes); k++) {
        struct sim *sim = new_sim(sizes[k][0], sizes[k][1], sizes[k][2], split_survivors, NULL);
        sim_run(sim, 400000);
        assert_false(sim->nodes[SIM_COORDINATOR].summed); /* no certificate for either */
        for (uint32_t i = 0; i < sim->params.members; i++) {
            assert_null(sim->nodes[i].reveal);
            assert_true(sim->nodes[i].aborted);
            assert_int_equal(rn_sa_spent_open(sim->spent[i]), 1);
        }
        assert_true(sim->nodes[sim->params.members - 1].evidence > 0);
        sim_free(sim);
    }
}

/* Too few votes, one twice, one of a stranger to U3, another T2. */
static bool bad_certificate(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    bool *done = sim->options.tamper_context;
    if (m.type != RN_SA_CERTIFICATE || to != 1 || *done) {
        return true;
    }
    *done = true;
    const uint32_t quorum = sim->aggregator->t.quorum;
    const uint8_t *votes = m.body.data + 4;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    for (uint32_t k = 0; k < 2; k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        rn_buffer_u32(&body, quorum - 1 + k);
        rn_buffer_append(&body, votes, (quorum - 1) * (size_t)RN_SA_VOTE_BYTES);
        if (k == 1) {
            rn_buffer_append(&body, votes + (quorum - 2) * (size_t)RN_SA_VOTE_BYTES,
                             RN_SA_VOTE_BYTES);
        }
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    uint8_t other[RN_HASH_BYTES];
    memcpy(other, m.transcript, sizeof other);
    other[0] ^= 1;
    sim_sign_again(sim, &m, m.body, other, NULL, &forged);
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    const rn_result result =
        rn_sa_member_receive(sim->members[to], rn_buffer_view(&forged), sim->now, &actions, NULL);
    assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
    assert_int_equal(actions.count, 1);
    assert_int_equal(actions.items[0].kind, RN_SA_EVIDENCE);
    return true;
}

static void test_certificates(void **state)
{
    (void)state;
    bool done = false;
    struct sim *sim = new_sim(5, 1, 1, bad_certificate, &done);
    sim_run(sim, 400000);
    assert_true(done);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* A coordinator that shows all but one member other chunks than its root names. */
static bool alter_sum(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || m.type != RN_SA_SUM_CHUNK || to == 0) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[RN_SA_CHUNK_HEAD] ^= 1;
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_altered_sum(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, alter_sum, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 0); /* one receipt is no quorum */
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_RECEIPT_QUORUM);
    assert_true(sim->nodes[0].aborted);
    for (uint32_t i = 1; i < 4; i++) {
        assert_true(sim->nodes[i].aborted);
        assert_int_equal(sim->nodes[i].reason, RN_SA_REASON_RANGE);
    }
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_bytes), cmocka_unit_test(test_signed_lies),
        cmocka_unit_test(test_ready_sets),    cmocka_unit_test(test_split_ready_sets),
        cmocka_unit_test(test_other_plans),   cmocka_unit_test(test_split_survivors),
        cmocka_unit_test(test_certificates),  cmocka_unit_test(test_altered_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
