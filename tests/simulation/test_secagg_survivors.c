/* SPDX-License-Identifier: Apache-2.0
 *
 * case 14, case 54. Who may be named a survivor: sets with repetitions, strangers, members without
 * Done, without the receiver, one below each floor, or such that a member of U2 would be left with
 * t - 1 holders. Each forged set bears the T2 that follows from it.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

#define RECEIVER 1u

struct attempt {
    void (*lie)(struct sim *sim, const struct rn_sa_message *honest);
    sim_tamper *also; /* or NULL */
    bool done;
};

static bool before_survivors(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct attempt *attempt = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type == RN_SA_SURVIVORS && to == RECEIVER && !attempt->done) {
        attempt->done = true;
        attempt->lie(sim, &m);
        assert_int_equal(sim->members[RECEIVER]->state, RN_SA_M_DONE); /* no vote */
    }
    return attempt->also == NULL || attempt->also(sim, from, to, message);
}

static struct sim *new_sim(uint32_t members, uint32_t colluding, uint32_t honest,
                           struct attempt *attempt)
{
    const struct sim_options options = {.members = members,
                                        .colluding = colluding,
                                        .honest = honest,
                                        .seed = members * 10 + colluding,
                                        .tamper = before_survivors,
                                        .tamper_context = attempt};
    return sim_new(&options);
}

static struct rn_view done_of(const struct rn_sa_message *set, uint32_t place)
{
    return rn_view_of(set->body.data + 4 + place * (size_t)RN_SA_DONE_BYTES, RN_SA_DONE_BYTES);
}

/* The Dones at these places of the honest set. */
static void refuse_places(struct sim *sim, const struct rn_sa_message *set, const uint32_t *places,
                          uint32_t count, const char *reason)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u32(&body, count);
    for (uint32_t k = 0; k < count; k++) {
        rn_buffer_append(&body, done_of(set, places[k]).data, RN_SA_DONE_BYTES);
    }
    lie_refused(sim, RECEIVER, set, rn_buffer_view(&body), reason);
}

/* The honest set with another Done in a place. */
static void refuse_done(struct sim *sim, const struct rn_sa_message *set, uint32_t place,
                        const struct rn_buffer *done, const char *reason)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    assert_int_equal(done->length, RN_SA_DONE_BYTES);
    rn_buffer_append(&body, set->body.data, set->body.length);
    memcpy(body.data + 4 + place * (size_t)RN_SA_DONE_BYTES, done->data, done->length);
    lie_refused(sim, RECEIVER, set, rn_buffer_view(&body), reason);
}

/* ---- lists ---- */

static void list_wrongly(struct sim *sim, const struct rn_sa_message *set)
{
    static const struct {
        uint32_t count, places[8];
        const char *reason;
    } lists[] = {
        {7, {0, 1, 2, 3, 4, 4, 4}, "repeat or are out of order"},
        {6, {0, 1, 2, 3, 4, 4}, "repeat or are out of order"},
        {6, {0, 1, 1, 2, 3, 4}, "repeat or are out of order"},
        {5, {1, 0, 2, 3, 4}, "repeat or are out of order"},
        {8, {0, 1, 2, 3, 4, 4, 4, 4}, "wrong length"}, /* more than T0 has */
        {0, {0}, "0 members are below 5"},
        {4, {0, 1, 2, 3}, "4 members are below 5"},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(lists); k++) {
        refuse_places(sim, set, lists[k].places, lists[k].count, lists[k].reason);
    }
}

/* ---- Dones ---- */

/* A Done of member `sender` by whoever holds a key, with one thing changed. */
struct forged {
    uint32_t sender, signer;
    bool session, t1, chunks, elements, recipient;
    const char *reason;
};

static void write_done(struct sim *sim, const struct forged *f, struct rn_buffer *out)
{
    const struct rn_sa_transcript *t = &sim->members[RECEIVER]->t;
    uint8_t session[RN_HASH_BYTES], t1[RN_HASH_BYTES], root[RN_HASH_BYTES] = {6};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    memcpy(session, t->session, sizeof session);
    memcpy(t1, t->t1, sizeof t1);
    session[3] ^= f->session;
    t1[3] ^= f->t1;
    rn_buffer_u32(&body, t->layout.chunks + f->chunks);
    rn_buffer_u64(&body, t->layout.elements + f->elements);
    rn_buffer_append(&body, root, sizeof root);
    const struct rn_sa_outgoing outgoing = {
        .type = RN_SA_DONE,
        .session = session,
        .round = t->context.round,
        .sender = f->sender,
        .recipient = f->recipient ? RECEIVER : RN_SA_COORDINATOR,
        .transcript = t1,
        .body = rn_buffer_view(&body),
    };
    rn_sa_message_write(&outgoing, sim->identities[f->signer], out);
}

/* Of seven members 6 dealt nothing and is not in U2; 5 is in U2, uploads, and never says Done. */
static void forge_dones(struct sim *sim, const struct rn_sa_message *set)
{
    static const struct forged dones[] = {
        /* in the place of 4, the last */
        {.sender = 6, .signer = 6, .reason = "not among the members that may upload"},
        {.sender = 7, .signer = 6, .reason = "another message is in its place"},
        {.sender = RN_SA_COORDINATOR, .signer = SIM_COORDINATOR, .reason = "in its place"},
        {.sender = 5, .signer = SIM_COORDINATOR, .reason = "does not hold"},
        {.sender = 5, .signer = 4, .reason = "does not hold"},
        {.sender = 5, .signer = 5, .t1 = true, .reason = "follows another transcript"},
        {.sender = 5, .signer = 5, .session = true, .reason = "of another session"},
        {.sender = 5, .signer = 5, .chunks = true, .reason = "of a vector of another layout"},
        {.sender = 5, .signer = 5, .elements = true, .reason = "of a vector of another layout"},
        {.sender = 5, .signer = 5, .recipient = true, .reason = "in its place"},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(dones); k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) done = {0};
        write_done(sim, &dones[k], &done);
        refuse_done(sim, set, 4, &done, dones[k].reason);
    }
    /* the receiver's own, by somebody who has its key: not what it said */
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) own = {0};
    const struct forged clone = {.sender = RECEIVER, .signer = RECEIVER};
    write_done(sim, &clone, &own);
    refuse_done(sim, set, RECEIVER, &own, "this member's Done is not its own");
    /* the honest set under a T2 that does not follow from it */
    uint8_t other[RN_HASH_BYTES];
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    memcpy(other, set->transcript, sizeof other);
    other[31] ^= 1;
    sim_sign_again(sim, set, set->body, other, NULL, &forged);
    lie_bytes_refused(sim, RECEIVER, rn_buffer_view(&forged), "do not hash to their T2");
}

static void run_of_seven(void (*lie)(struct sim *sim, const struct rn_sa_message *honest))
{
    struct attempt attempt = {.lie = lie};
    struct sim *sim = new_sim(7, 2, 2, &attempt);
    sim->nodes[6].silent_from = RN_SA_SHARES;
    sim->nodes[5].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_true(attempt.done);
    assert_int_equal(sim->aggregator->t.quorum, 5);
    assert_false(rn_sa_set_has(&sim->aggregator->t.linked, 6));
    assert_true(rn_sa_set_has(&sim->aggregator->t.linked, 5));
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* case 14 */
static void test_lists(void **state)
{
    (void)state;
    run_of_seven(list_wrongly);
}

/* case 14, case 54 */
static void test_dones(void **state)
{
    (void)state;
    run_of_seven(forge_dones);
}

/* ---- floors ---- */

/* F - 1 of the Dones that all came. */
static void one_below(struct sim *sim, const struct rn_sa_message *set)
{
    const uint32_t floor = rn_sa_floor(&sim->params, 0);
    static const uint32_t places[] = {0, 1, 2, 3, 4, 5, 6, 7};
    char reason[64];
    assert_true(rn_text_format(reason, sizeof reason, "survivors: %u members are below %u",
                               floor - 1, floor));
    refuse_places(sim, set, places, floor - 1, reason);
}

/* case 14. Where the floor is the quorum, where it is n_c + h_min, and where it is three. */
static void test_floors(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, colluding, honest, floor;
    } rows[] = {{4, 1, 2, 3}, {5, 1, 2, 4}, {10, 1, 2, 6}, {10, 3, 2, 7}, {10, 3, 6, 9}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        struct attempt attempt = {.lie = one_below};
        struct sim *sim = new_sim(rows[k].members, rows[k].colluding, rows[k].honest, &attempt);
        assert_int_equal(rn_sa_floor(&sim->params, 0), rows[k].floor);
        sim_run(sim, 400000);
        assert_true(attempt.done);
        assert_int_equal(sim_check_sums(sim), rows[k].members);
        sim_free(sim);
    }
}

/* ---- holders ---- */

/* Member 1 acknowledges everybody but member 0. */
static bool complain(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_ACK || from != 1) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[0] &= 0xfe;
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* Of five members with t = 4, member 0 has the holders 0, 2, 3, 4. */
static void too_few_holders(struct sim *sim, const struct rn_sa_message *set)
{
    static const uint32_t all_but_last[] = {0, 1, 2, 3};
    static const uint32_t all_but_second[] = {0, 2, 3, 4};
    static const uint32_t all_but_dealer[] = {1, 2, 3, 4}; /* its s is what could not be opened */
    assert_int_equal(rn_sa_set_count(&sim->members[RECEIVER]->t.peers[0].holders), 4);
    refuse_places(sim, set, all_but_last, 4, "holders of member 0's shares too few are left");
    refuse_places(sim, set, all_but_dealer, 4, "holders of member 0's shares too few are left");
    /* t of them left: allowed */
    struct rn_sa_transcript *t = rn_alloc(1, sizeof *t);
    struct rn_sa_set allowed = {{0}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(all_but_second); k++) {
        rn_sa_set_add(&allowed, all_but_second[k]);
    }
    *t = sim->members[RECEIVER]->t;
    assert_true(rn_is_ok(rn_sa_survivors_allowed(t, &allowed, NULL)));
    rn_free(t);
}

/* case 14, case 54 */
static void test_holders(void **state)
{
    (void)state;
    struct attempt attempt = {.lie = too_few_holders, .also = complain};
    struct sim *sim = new_sim(5, 1, 2, &attempt);
    sim_run(sim, 400000);
    assert_true(attempt.done);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
    /* and a coordinator that follows the rules does not close over such a set */
    attempt = (struct attempt){.lie = too_few_holders, .also = complain, .done = true};
    sim = new_sim(5, 1, 2, &attempt);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_UPLOAD_QUORUM);
    assert_int_equal(sim_check_sums(sim), 0);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_dones),
        cmocka_unit_test(test_floors),
        cmocka_unit_test(test_holders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
