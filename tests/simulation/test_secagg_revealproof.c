/* SPDX-License-Identifier: Apache-2.0
 *
 * Evidence of kind 5: whoever reveals a share that is not the one it acknowledged is named in a
 * document that needs the roster alone; and no document is made against a member that answered
 * well, from whatever parts of whatever sessions.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "crypto/secagg/sessionproof.h"
#include "tests/simulation/lies.h"

/* case 23. A document for each liar, whether the sum opened in the end or not. */
static void test_each_liar_is_named(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 5; count += 2) {
        struct lie_answers liars = {count, SIM_COORDINATOR};
        const struct rn_sa_set last = rn_sa_set_only(count - 1);
        struct sim *sim = sim_tampered(10, 1, 1, lie_answer, &liars);
        sim_run(sim, 400000);
        const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
        assert_true(coordinator->finished == (count < 5));
        assert_int_equal(coordinator->evidence, count);
        assert_int_equal(coordinator->proof.kind, RN_SA_EVIDENCE_REVEAL);
        assert_true(rn_sa_set_equal(&coordinator->proof.members, &last));
        assert_false(coordinator->proof.coordinator);
        assert_true(rn_sa_set_empty(&coordinator->proof.one_of));
        assert_int_equal(coordinator->proof.round, 1);
        assert_memory_equal(coordinator->proof.session, sim->aggregator->t.session, RN_HASH_BYTES);
        sim_free(sim);
    }
}

/* Lies of any number of members. */
static bool lie_all(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *count = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_REVEAL || from >= *count) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        body.data[at + 8] ^= (uint8_t)(1u + from);
    }
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* Of more liars than a session gives documents, those of the lowest places. t = 10: all of them are
 * among the answers that are looked at first. */
static void test_as_many_documents_as_allowed(void **state)
{
    (void)state;
    for (uint32_t more = 0; more < 2; more++) {
        uint32_t liars = RN_SA_REVEAL_EVIDENCE_MAX + more;
        const struct rn_sa_set last = rn_sa_set_only(RN_SA_REVEAL_EVIDENCE_MAX - 1);
        struct sim *sim = sim_tampered(17, 1, 0, lie_all, &liars);
        sim_run(sim, 400000);
        const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
        assert_int_equal(rn_sa_set_count(&coordinator->blamed), RN_SA_REVEAL_EVIDENCE_MAX + more);
        assert_int_equal(coordinator->evidence, RN_SA_REVEAL_EVIDENCE_MAX);
        assert_true(rn_sa_set_equal(&coordinator->proof.members, &last));
        sim_free(sim);
    }
}

static rn_result check(const struct sim *sim, struct rn_view document)
{
    struct rn_sa_evidence evidence;
    return rn_sa_evidence_check(document, &sim->roster, &evidence, NULL);
}

/* case 50. No byte can be another, and none be missing or too many. RONDO_LONG tries all. */
static void test_bytes_count(void **state)
{
    (void)state;
    struct lie_answers liars = {1, SIM_COORDINATOR};
    struct sim *sim = sim_tampered(4, 1, 1, lie_answer, &liars);
    sim_run(sim, 400000);
    struct rn_buffer *document = &sim->nodes[SIM_COORDINATOR].document;
    const struct rn_view whole = rn_buffer_view(document);
    assert_true(rn_is_ok(check(sim, whole)));
    for (size_t i = 0; i < document->length; i += sim_is_long() ? 1 : 101) {
        document->data[i] ^= 1;
        assert_int_equal(rn_class_of(check(sim, whole)), RN_CLASS_PEER);
        document->data[i] ^= 1;
        assert_false(rn_is_ok(check(sim, rn_view_of(whole.data, i))));
    }
    rn_buffer_append(document, "", 1);
    assert_false(rn_is_ok(check(sim, rn_buffer_view(document))));
    sim_free(sim);
}

/* What a coordinator has of a session, for a document against `holder` over `dealer`. */
static void write_parts(const struct sim *sim, uint32_t holder, uint32_t dealer,
                        struct rn_buffer *out_blame, struct rn_buffer *out_session)
{
    const struct rn_sa_aggregator *a = sim->aggregator;
    rn_buffer_clear(out_blame);
    rn_buffer_clear(out_session);
    rn_sa_blame_write(&a->t, dealer, &a->dealings[dealer],
                      rn_buffer_view(&a->inbox[RN_SA_REVEAL][holder]), out_blame);
    rn_sa_session_numbers_write(&a->t, out_session);
    assert_true(rn_sa_session_broadcasts_write(a->sent, out_session));
}

static rn_result check_parts(const struct sim *sim, const struct rn_buffer *blame,
                             const struct rn_buffer *session)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) document = {0};
    rn_sa_evidence_write(RN_SA_EVIDENCE_REVEAL, rn_buffer_view(blame), rn_buffer_view(session),
                         &document);
    return check(sim, rn_buffer_view(&document));
}

/* A byte more in one part, or in the other. */
static void check_no_part_has_a_tail(const struct sim *sim, struct rn_buffer *blame,
                                     struct rn_buffer *session)
{
    rn_buffer_append(blame, "", 1);
    assert_int_equal(rn_class_of(check_parts(sim, blame, session)), RN_CLASS_PEER);
    blame->length--;
    rn_buffer_append(session, "", 1);
    assert_int_equal(rn_class_of(check_parts(sim, blame, session)), RN_CLASS_PEER);
    session->length--;
}

/* Right answers, of one member that is lost too, prove nothing; nor do they beside commitments
 * that their dealer did not sign. */
static void test_right_answers_prove_nothing(void **state)
{
    (void)state;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) blame = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) session = {0};
    struct sim *sim = sim_tampered(5, 1, 1, NULL, NULL);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    for (uint32_t holder = 0; holder < 4; holder++) {
        for (uint32_t dealer = 0; dealer < 5; dealer++) {
            write_parts(sim, holder, dealer, &blame, &session);
            assert_int_equal(check_parts(sim, &blame, &session).code, RN_E_PEER_PROTOCOL);
            memcpy(blame.data + blame.length - 3 * RN_HASH_BYTES,
                   sim->aggregator->t.peers[holder].mask.bytes, RN_POINT_BYTES);
            assert_int_equal(check_parts(sim, &blame, &session).code, RN_E_PEER_AUTH);
        }
    }
    sim_free(sim);
}

/* A right answer of one session beside the transcript of another, in which its dealer had other
 * secrets: what a coordinator and a dealer would want to show. */
static void test_sessions_do_not_mix(void **state)
{
    (void)state;
    struct rn_buffer blame[2] = {{0}, {0}};
    struct rn_buffer session[2] = {{0}, {0}};
    struct lie_answers liars = {1, SIM_COORDINATOR};
    struct sim *sim = sim_tampered(4, 1, 1, lie_answer, &liars);
    for (uint32_t k = 0; k < 2; k++) {
        sim_run(sim, 400000);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].evidence, 1);
        write_parts(sim, 0, 2, &blame[k], &session[k]);
        assert_true(rn_is_ok(check_parts(sim, &blame[k], &session[k])));
        check_no_part_has_a_tail(sim, &blame[k], &session[k]);
        sim->context.active = 1;
        for (uint32_t i = 0; i < 4; i++) { /* or they would not go on with a liar */
            rn_sa_spent_free(sim->spent[i]);
            sim->spent[i] = rn_sa_spent_new();
        }
        sim_next_session(sim, 2, 1);
    }
    for (uint32_t k = 0; k < 2; k++) {
        assert_int_equal(check_parts(sim, &blame[k], &session[1 - k]).code, RN_E_PEER_PROTOCOL);
    }
    for (uint32_t k = 0; k < 2; k++) {
        rn_buffer_clear(&blame[k]);
        rn_buffer_clear(&session[k]);
    }
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_liar_is_named),
        cmocka_unit_test(test_as_many_documents_as_allowed),
        cmocka_unit_test(test_bytes_count),
        cmocka_unit_test(test_right_answers_prove_nothing),
        cmocka_unit_test(test_sessions_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
