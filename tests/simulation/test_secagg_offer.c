/* SPDX-License-Identifier: Apache-2.0
 *
 * case 17, case 18. What the offer fixes is each member's own computation: a coordinator whose
 * plan, numbers, roster, model, round or vector differ by one gets a refusal in R0 that says which;
 * and masks that were made for another model cancel against nobody's.
 */
#include "tests/simulation/simulator.c"

#include "crypto/maskkey.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* Numbers at which one more and one less of each is a feasible plan too. */
static struct sim *new_sim(sim_tamper *tamper)
{
    const struct sim_options options = {
        .members = 8, .colluding = 2, .losses = 1, .honest = 3, .seed = 17, .tamper = tamper};
    return sim_new(&options);
}

static void refuse_offer(struct sim *sim, struct rn_view offer, enum rn_code code,
                         const char *reason)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_error err = {{0}};
    const rn_result result = rn_sa_member_receive(sim->members[0], offer, 0, &actions, &err);
    assert_int_equal(result.code, code);
    if (strstr(err.text, reason) == NULL) {
        fail_msg("should name %s: %s", reason, err.text);
    }
    assert_int_equal(actions.count, 0);
    assert_int_equal(sim->members[0]->state, RN_SA_M_IDLE);
    assert_int_equal(sim->members[0]->t.level, RN_SA_LEVEL_NONE);
}

/* ---- a coordinator that means it ---- */

static void own_offer(struct sim *sim, const struct rn_sa_params *params,
                      const struct rn_sa_context *context, struct rn_buffer *out)
{
    const struct rn_sa_aggregator_config config = {.identity = sim->identities[SIM_COORDINATOR],
                                                   .params = *params,
                                                   .context = *context,
                                                   .nonce = {7}};
    struct rn_sa_aggregator *a = NULL;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_error err = {{0}};
    if (!rn_is_ok(rn_sa_aggregator_new(&config, &a, &err))) {
        fail_msg("the changed plan should be feasible: %s", err.text);
    }
    rn_sa_aggregator_start(a, 0, &actions);
    rn_buffer_clear(out);
    rn_buffer_append(out, a->sent[RN_SA_OFFER].data, a->sent[RN_SA_OFFER].length);
    rn_sa_aggregator_free(a);
}

static void refuse_plan(struct sim *sim, const struct rn_sa_params *params,
                        const struct rn_sa_context *context, const char *reason)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) offer = {0};
    char sentence[128];
    own_offer(sim, params, context, &offer);
    assert_true(
        rn_text_format(sentence, sizeof sentence, "offer: the coordinator's %s is not", reason));
    refuse_offer(sim, rn_buffer_view(&offer), RN_E_ROUND_STALE, sentence);
}

/* case 17. Each number of the plan, one more and one less. Q, t, F and b are not said by anybody:
 * they follow from these. */
static void test_numbers_off_by_one(void **state)
{
    (void)state;
    struct sim *sim = new_sim(NULL);
    for (int by = -1; by <= 1; by += 2) {
        for (uint32_t k = 0; k < 7; k++) {
            struct rn_sa_params params = sim->params;
            struct rn_sa_context context = sim->context;
            uint32_t *const fields[] = {&params.colluding, &params.losses, &params.honest,
                                        &params.chunk_elements};
            if (k < RN_ARRAY_LENGTH(fields)) {
                *fields[k] += (uint32_t)by;
            } else if (k == 4) {
                params.value_max += (uint64_t)(int64_t)by; /* q, clip and rounding */
            } else if (k == 5) {
                context.elements += (uint64_t)(int64_t)by;
            } else {
                context.scales_hash[31] = (uint8_t)(context.scales_hash[31] + by);
            }
            refuse_plan(sim, &params, &context, "parameters");
        }
    }
    sim_free(sim);
}

/* case 17, case 45. n_max: a roster with one member more, one less, or another key, name or
 * coordinator's word. */
static void test_other_rosters(void **state)
{
    (void)state;
    struct sim *sim = new_sim(NULL);
    for (uint32_t k = 0; k < 4; k++) {
        struct rn_roster roster = sim->roster;
        struct rn_sa_params params = sim->params;
        struct rn_sa_context context = sim->context;
        context.roster = &roster;
        if (k == 0) {
            roster.members[8] = roster.members[7];
            roster.members[8].key = roster.coordinator;
        }
        params.members = k == 0 ? 9 : k == 1 ? 7 : 8;
        roster.count = params.members;
        if (k == 2) { /* a member's key is another */
            roster.members[7].key = roster.coordinator;
        }
        if (k == 3) { /* the order is */
            const struct rn_roster_member first = roster.members[1];
            roster.members[1] = roster.members[2];
            roster.members[2] = first;
        }
        refuse_plan(sim, &params, &context, "roster");
    }
    sim_free(sim);
}

/* ---- one field of an honest offer ---- */

/* Where a field lies in the body, and how it is called. */
static const struct {
    size_t at; /* of its byte that changes */
    const char *name;
} fields[] = {
    {0 * 32 + 31, "plan"},    {1 * 32 + 31, "roster"},        {2 * 32 + 31, "base model"},
    {3 * 32 + 31, "adapter"}, {4 * 32 + 31, "vector layout"}, {5 * 32 + 31, "parameters"},
    {6 * 32, "round"},        {6 * 32 + 8, "attempt"},        {6 * 32 + 12, "active matrix"},
};

/* case 17 */
static void test_fields_off_by_one(void **state)
{
    (void)state;
    struct sim *sim = new_sim(NULL);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) honest = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    own_offer(sim, &sim->params, &sim->context, &honest);
    const struct rn_sa_message m = sim_parse(&honest);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(fields); k++) {
        for (int by = -1; by <= 1; by += 2) {
            uint8_t body[RN_SA_OFFER_BODY];
            char sentence[128];
            struct rn_sa_message changed = m;
            memcpy(body, m.body.data, sizeof body);
            body[fields[k].at] = (uint8_t)(body[fields[k].at] + by);
            changed.round += fields[k].at == 6 * 32 ? (uint64_t)(int64_t)by : 0;
            sim_sign_again(sim, &changed, rn_view_of(body, sizeof body), NULL, NULL, &forged);
            assert_true(rn_text_format(sentence, sizeof sentence,
                                       "offer: the coordinator's %s is not", fields[k].name));
            refuse_offer(sim, rn_buffer_view(&forged), RN_E_ROUND_STALE, sentence);
        }
    }
    /* the nonce and the session id belong together; so do the rounds of frame and body */
    uint8_t body[RN_SA_OFFER_BODY];
    memcpy(body, m.body.data, sizeof body);
    body[sizeof body - 1] ^= 1;
    sim_sign_again(sim, &m, rn_view_of(body, sizeof body), NULL, NULL, &forged);
    refuse_offer(sim, rn_buffer_view(&forged), RN_E_PEER_PROTOCOL, "does not follow from");
    struct rn_sa_message other = m;
    other.session[0] ^= 1;
    sim_sign_again(sim, &other, m.body, NULL, NULL, &forged);
    refuse_offer(sim, rn_buffer_view(&forged), RN_E_PEER_PROTOCOL, "does not follow from");
    sim_sign_again(sim, &m, m.body, other.session, NULL, &forged);
    refuse_offer(sim, rn_buffer_view(&forged), RN_E_PEER_PROTOCOL, "does not follow from");
    other = m;
    other.round++;
    sim_sign_again(sim, &other, m.body, NULL, NULL, &forged);
    refuse_offer(sim, rn_buffer_view(&forged), RN_E_ROUND_STALE, "round");
    /* and the honest one is taken */
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    assert_true(rn_is_ok(
        rn_sa_member_receive(sim->members[0], rn_buffer_view(&honest), 0, &actions, NULL)));
    assert_int_equal(sim->members[0]->state, RN_SA_M_TRAINING);
    sim_free(sim);
}

/* ---- case 18: past R0 ---- */

/* case 18. A member with another base model is not there: it refuses the offer, the others go on.
 */
static void test_other_model(void **state)
{
    (void)state;
    struct sim *sim = new_sim(NULL);
    sim->members[3]->t.context.base_hash[5] ^= 1;
    sim_run(sim, 400000);
    assert_int_equal(sim->members[3]->state, RN_SA_M_IDLE);
    assert_int_equal(sim_check_sums(sim), 7);
    assert_false(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 3));
    sim_free(sim);
}

/* Member 3's upload keys, for a session of another model: as if nobody had looked. */
static void remake_masks(struct sim *sim, uint32_t member, const uint8_t *session,
                         const uint8_t *t1)
{
    struct rn_sa_member *m = sim->members[member];
    struct rn_mask_context context;
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    memcpy(context.session, session, RN_HASH_BYTES);
    memcpy(context.transcript, t1, RN_HASH_BYTES);
    rn_mask_set_free(RN_TAKE(m->masks));
    m->masks = rn_mask_set_new(rn_sa_set_count(&m->t.linked));
    for (uint32_t i = rn_sa_set_next(&m->t.linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&m->t.linked, i + 1)) {
        int sign = 1;
        if (i == member) {
            rn_mask_key_self(&context, &m->vault->session.self_seed, i, &key);
        } else {
            sign = rn_mask_sign(member, i);
            assert_true(rn_is_ok(rn_mask_key_pair(&context, &m->vault->session.mask_secret, member,
                                                  &m->t.peers[i].mask, i, &key, NULL)));
        }
        assert_true(rn_is_ok(rn_mask_set_insert(m->masks, &key, sign, NULL)));
    }
}

/* 0: the true masks, made here; 1: those of a session of another model. */
static uint32_t masks_of;

static bool remake(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    struct rn_sa_member *m = from == 3 ? sim->members[3] : NULL;
    if (from != 3 || sim_parse(message).type != RN_SA_CHUNK || m->leaf_set[0] == 2) {
        return true;
    }
    struct rn_sa_context context = sim->context;
    uint8_t session[RN_HASH_BYTES];
    context.base_hash[5] ^= (uint8_t)masks_of;
    rn_sa_session_id(session, &sim->params, &context, m->t.roster_hash,
                     sim->aggregator->config.nonce);
    remake_masks(sim, 3, session, m->t.t1);
    for (uint32_t c = 0; c < m->t.layout.chunks; c++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) chunk = {0};
        m->leaf_set[c] = 0; /* it never saw the others */
        assert_true(rn_is_ok(rn_sa_member_chunk(m, c, &chunk, NULL)));
        if (c == 0) {
            rn_buffer_clear(message);
            rn_buffer_append(message, chunk.data, chunk.length);
        }
    }
    m->leaf_set[0] = 2;
    return true;
}

/* case 18. With the checks of R0 out of the way, the masks still know the model: what comes off is
 * no sum, and no member takes it for one. */
static void test_masks_know_the_model(void **state)
{
    (void)state;
    for (masks_of = 0; masks_of < 2; masks_of++) {
        struct sim *sim = new_sim(remake);
        sim_run(sim, 400000);
        assert_true(rn_sa_set_has(&sim->aggregator->t.survivors, 3));
        if (masks_of == 0) { /* the test remakes them well */
            assert_int_equal(sim_check_sums(sim), 8);
        } else {
            assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_RANGE);
            assert_int_equal(sim_check_sums(sim), 0);
        }
        sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_off_by_one),   cmocka_unit_test(test_other_rosters),
        cmocka_unit_test(test_fields_off_by_one),    cmocka_unit_test(test_other_model),
        cmocka_unit_test(test_masks_know_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
