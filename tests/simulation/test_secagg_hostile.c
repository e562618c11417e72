/* SPDX-License-Identifier: Apache-2.0
 *
 * Lies: a coordinator that alters, swaps, splits and forges, with its real key; members that deal,
 * answer and upload wrongly, with theirs. What a machine refuses must leave it as it was: the
 * honest message is delivered afterwards, and the round must come out right.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

static bool is_long(void)
{
    return getenv("RONDO_LONG") != NULL;
}

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
    struct sim *sim = rn_alloc(1, sizeof *sim);
    sim_init(sim, &options);
    return sim;
}

static void free_sim(struct sim *sim)
{
    sim_clear(sim);
    rn_free(sim);
}

static struct rn_sa_message parse(const struct rn_buffer *bytes)
{
    struct rn_sa_message m;
    assert_true(rn_is_ok(rn_sa_message_parse(rn_buffer_view(bytes), &m, NULL)));
    return m;
}

/* The message with another body and transcript hash, signed by the one whom it names as sender. */
static void sign_again(struct sim *sim, const struct rn_sa_message *m, struct rn_view body,
                       const uint8_t *hash, const uint8_t *body_hash, struct rn_buffer *out)
{
    const struct rn_sa_outgoing outgoing = {
        .type = m->type,
        .session = m->session,
        .round = m->round,
        .sender = m->sender,
        .recipient = m->recipient,
        .transcript = hash == NULL ? m->transcript : hash,
        .body = body,
        .body_hash = body_hash,
    };
    const uint32_t signer = m->sender == RN_SA_COORDINATOR ? SIM_COORDINATOR : m->sender;
    rn_sa_message_write(&outgoing, sim->identities[signer], out);
}

/* Hands bytes to the machine; it must refuse them, do nothing, and blame the other side. */
static void expect_refused(struct sim *sim, uint32_t from, uint32_t to, struct rn_view bytes)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    const rn_result result =
        to == SIM_COORDINATOR
            ? rn_sa_aggregator_receive(sim->aggregator, from, bytes, sim->now, &actions, NULL)
            : rn_sa_member_receive(sim->members[to], bytes, sim->now, &actions, NULL);
    assert_false(rn_is_ok(result));
    assert_true(rn_class_of(result) == RN_CLASS_PEER || result.code == RN_E_ROUND_STALE);
    for (size_t k = 0; k < actions.count; k++) {
        assert_int_equal(actions.items[k].kind, RN_SA_EVIDENCE);
    }
}

/* ---- every byte ---- */

/* Before each honest message arrives, the same with one byte changed, cut short, and longer. */
static bool flip_bytes(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
    if (from > 1 && to > 1) {
        return true; /* members 0 and 1 stand for all */
    }
    if (m.type == RN_SA_OFFER || !sim->nodes[to].up) {
        return true;
    }
    const size_t step = is_long() ? 1 : 1 + message->length / 40;
    for (size_t at = sim_random(sim) % step; at < message->length; at += step) {
        message->data[at] ^= 0x40;
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        expect_refused(sim, from, to, rn_buffer_view(message));
        message->data[at] ^= 0x40;
    }
    expect_refused(sim, from, to, rn_view_of(message->data, message->length - 1));
    expect_refused(sim, from, to, rn_view_of(message->data, RN_SA_ENVELOPE_BYTES));
    expect_refused(sim, from, to, rn_view_of(message->data, 0));
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) longer = {0};
    rn_buffer_append(&longer, message->data, message->length);
    rn_buffer_u8(&longer, 0);
    expect_refused(sim, from, to, rn_buffer_view(&longer));
    return true;
}

static void test_flipped_bytes(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, flip_bytes, NULL);
    sim->nodes[3].silent_from = RN_SA_DONE; /* so that both kinds of secrets are opened */
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 3);
    free_sim(sim);
}

/* The same, but the coordinator signs what it changed. */
static bool flip_signed(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
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
    const size_t step = is_long() ? 1 : 7;
    /* a result's root and blame list are the coordinator's word; the root is held against the sum
     */
    for (size_t at = m.type == RN_SA_RESULT ? 48 : 0; at < body.length; at += step) {
        body.data[at] ^= 0x04;
        sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        expect_refused(sim, from, to, rn_buffer_view(&forged));
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
    free_sim(sim);
}

/* ---- R0 ---- */

/* One member listed twice, out of order, left out below the floor, from another session. */
static bool bad_ready_set(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
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
        sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    /* a Ready that its member signed for another session */
    struct rn_sa_message ready;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) other = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    assert_true(rn_is_ok(rn_sa_message_parse(
        rn_view_of(first + RN_SA_READY_BYTES, RN_SA_READY_BYTES), &ready, NULL)));
    ready.session[0] ^= 1;
    sign_again(sim, &ready, ready.body, NULL, NULL, &other);
    memcpy(body.data + 4 + RN_SA_READY_BYTES, other.data, RN_SA_READY_BYTES);
    sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    expect_refused(sim, from, to, rn_buffer_view(&forged));
    /* two members with one key */
    ready.session[0] ^= 1;
    uint8_t copied[RN_SA_READY_BODY];
    memcpy(copied, ready.body.data, sizeof copied);
    memcpy(copied, first + RN_SA_ENVELOPE_BYTES, 32);
    sign_again(sim, &ready, rn_view_of(copied, sizeof copied), NULL, NULL, &other);
    memcpy(body.data + 4 + RN_SA_READY_BYTES, other.data, RN_SA_READY_BYTES);
    sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    expect_refused(sim, from, to, rn_buffer_view(&forged));
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
    free_sim(sim);
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
        free_sim(sim);
    }
}

/* ---- R1 ---- */

struct bad_dealer {
    uint32_t dealer;
    uint32_t victims; /* holders 1 .. victims get garbage */
};

static bool deal_garbage(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const struct bad_dealer *bad = sim->options.tamper_context;
    const struct rn_sa_message m = parse(message);
    if (m.type != RN_SA_SHARES || from != bad->dealer) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (uint32_t k = 0; k < bad->victims; k++) {
        const uint32_t holder = (bad->dealer + 1 + k) % sim->params.members;
        /* garbage in the sealed text of one, a wrong commitment for the next */
        body.data[holder * (size_t)RN_SA_ENTRY_BYTES + (k % 2 == 0 ? 0 : RN_SA_SEALED_BYTES)] ^= 1;
    }
    uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    rn_sa_shares_root(&sim->aggregator->t, from, rn_buffer_view(&body), leaves, root);
    struct rn_buffer forged = {0};
    sign_again(sim, &m, rn_buffer_view(&body), NULL, root, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* Garbage for one holder makes it complain and, beyond n_c holders, costs the dealer its place; the
 * others go on. (The dealer itself refuses the set, in which its shares are not the ones it made.)
 */
static void test_bad_dealers(void **state)
{
    (void)state;
    for (uint32_t victims = 1; victims < 4; victims++) {
        struct bad_dealer bad = {0, victims};
        struct sim *sim = new_sim(5, 1, 1, deal_garbage, &bad);
        sim_run(sim, 400000);
        for (uint32_t i = 1; i < 5; i++) {
            const bool victim = i <= victims;
            assert_true(rn_sa_set_has(&sim->members[i]->valid, 0) == !victim);
        }
        assert_false(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 0));
        assert_true(sim_check_sums(sim) >= 4);
        free_sim(sim);
    }
}

/* Members 1 .. count complain about member 0, who dealt well. */
static bool complain(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *count = sim->options.tamper_context;
    const struct rn_sa_message m = parse(message);
    if (m.type != RN_SA_ACK || from == 0 || from > *count) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[0] &= 0xfe;
    struct rn_buffer forged = {0};
    sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    rn_secret_wipe(&sim->members[from]->vault->session.slots[0], sizeof(struct rn_sa_slot));
    return true;
}

/* n_c false complaints do not stop a dealer, n_c + 1 do. */
static void test_complaints(void **state)
{
    (void)state;
    static const uint32_t cohorts[][3] = {{4, 1, 1}, {5, 1, 1}, {10, 3, 3}};
    for (size_t c = 0; c < RN_ARRAY_LENGTH(cohorts); c++) {
        for (uint32_t more = 0; more < 2; more++) {
            uint32_t count = cohorts[c][1] + more;
            struct sim *sim =
                new_sim(cohorts[c][0], cohorts[c][1], cohorts[c][2], complain, &count);
            sim_run(sim, 400000);
            assert_true(sim->nodes[SIM_COORDINATOR].summed);
            assert_true(rn_sa_set_has(&sim->aggregator->t.linked, 0) == (more == 0));
            assert_true(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 0) == (more == 0));
            assert_int_equal(sim_check_sums(sim), cohorts[c][0]);
            free_sim(sim);
        }
    }
}

/* ---- R3 ---- */

/* The upper half is shown survivors without member 0. */
static bool split_survivors(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
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
    sign_again(sim, &m, rn_buffer_view(&body), t->t2, NULL, &forged);
    rn_free(t);
    /* one of them sees both, and has proof */
    if (to == sim->params.members - 1) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        struct rn_sa_member *member = sim->members[to];
        if (member->state == RN_SA_M_DONE) {
            assert_true(rn_is_ok(
                rn_sa_member_receive(member, rn_buffer_view(&forged), sim->now, &actions, NULL)));
            execute(sim, to, &actions);
            expect_refused(sim, from, to, rn_buffer_view(message));
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
        free_sim(sim);
    }
}

/* Too few votes, one twice, one of a stranger to U3, another T2. */
static bool bad_certificate(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
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
        sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    uint8_t other[RN_HASH_BYTES];
    memcpy(other, m.transcript, sizeof other);
    other[0] ^= 1;
    sign_again(sim, &m, m.body, other, NULL, &forged);
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
    free_sim(sim);
}

/* ---- R4 ---- */

/* Members below this number answer with a wrong share of everybody. */
static bool answer_wrongly(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *liars = sim->options.tamper_context;
    const struct rn_sa_message m = parse(message);
    if (m.type != RN_SA_REVEAL || from >= *liars) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        body.data[at + 8] ^= 1;
    }
    struct rn_buffer forged = {0};
    sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_wrong_shares(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 3; liars++) {
        struct sim *sim = new_sim(5, 1, 1, answer_wrongly, &liars);
        sim_run(sim, 400000);
        const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
        const struct rn_sa_set expected = rn_sa_set_first(liars);
        if (liars == 1) { /* culprit named, sum right */
            assert_int_equal(sim_check_sums(sim), 5);
            assert_true(rn_sa_set_within(&coordinator->blamed, &expected));
        } else { /* t is out of reach: names and a clean end */
            assert_true(coordinator->aborted);
            assert_int_equal(coordinator->reason, RN_SA_REASON_UNMASK_QUORUM);
            assert_true(rn_sa_set_equal(&coordinator->blamed, &expected));
            assert_int_equal(sim_check_sums(sim), 0);
        }
        free_sim(sim);
    }
}

static bool bad_reveal(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
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
    sign_again(sim, &m, views[0], NULL, NULL, &forged);
    expect_refused(sim, from, to, rn_buffer_view(&forged));
    sign_again(sim, &m, views[1], NULL, NULL, &forged);
    expect_refused(sim, from, to, rn_buffer_view(&forged));
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
        sign_again(sim, &m, views[2], NULL, NULL, &forged);
        expect_refused(sim, from, to, rn_buffer_view(&forged));
        body.data[changes[k].at] ^= changes[k].xor ;
    }
    return true;
}

static void test_malformed_reveals(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, bad_reveal, NULL);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    free_sim(sim);
}

/* A dealer whose shares are of another self seed than the one it committed to. */
static bool change_seed(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
    if (from == SIM_COORDINATOR && to == 2 && m.type == RN_SA_READY_SET &&
        sim->members[2]->state == RN_SA_M_READY) {
        sim->members[2]->vault->session.self.bytes[0] ^= 1;
    }
    return true;
}

static void test_wrong_seed(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, change_seed, NULL);
    sim_run(sim, 400000);
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const struct rn_sa_set dealer = rn_sa_set_only(2);
    assert_true(coordinator->aborted);
    assert_int_equal(coordinator->reason, RN_SA_REASON_DEALER);
    assert_true(rn_sa_set_equal(&coordinator->blamed, &dealer));
    assert_int_equal(sim_check_sums(sim), 0);
    free_sim(sim);
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

/* A member uploads values far above value_max: the sum leaves its range, and nothing is released.
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
    free_sim(sim);
}

/* Chunks that do not fit the layout, from a member that signs them. */
static bool bad_chunk(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
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
        sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    memcpy(body.data, head, sizeof head);
    sign_again(sim, &m, rn_view_of(body.data, body.length - 1), NULL, NULL, &forged);
    expect_refused(sim, from, to, rn_buffer_view(&forged));
    return true;
}

static void test_bad_chunks(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, bad_chunk, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    free_sim(sim);
}

/* A coordinator that changes the sum in one element after unmasking. */
static bool alter_sum(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = parse(message);
    if (from != SIM_COORDINATOR || m.type != RN_SA_SUM_CHUNK || to == 0) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[RN_SA_CHUNK_HEAD] ^= 1;
    struct rn_buffer forged = {0};
    sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_altered_sum(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, alter_sum, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 1); /* member 0 alone was told the sum */
    for (uint32_t i = 1; i < 4; i++) {
        assert_true(sim->nodes[i].aborted);
        assert_int_equal(sim->nodes[i].reason, RN_SA_REASON_RANGE);
    }
    free_sim(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_bytes),   cmocka_unit_test(test_signed_lies),
        cmocka_unit_test(test_ready_sets),      cmocka_unit_test(test_other_plans),
        cmocka_unit_test(test_bad_dealers),     cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_split_survivors), cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_wrong_shares),    cmocka_unit_test(test_malformed_reveals),
        cmocka_unit_test(test_wrong_seed),      cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_bad_chunks),      cmocka_unit_test(test_altered_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
