/* SPDX-License-Identifier: Apache-2.0
 *
 * Rule A9: an update that was uploaded is not encoded a second time without an abort certificate,
 * whatever the round, attempt or plan is called; and the limits of parameters, at and beyond them.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

static struct sim *new_sim(uint32_t members, uint32_t colluding, uint32_t losses, uint64_t seed)
{
    const struct sim_options options = {
        .members = members, .colluding = colluding, .losses = losses, .seed = seed};
    return sim_new(&options);
}

static void check_all(const struct sim *sim, enum rn_code code)
{
    for (uint32_t i = 0; i < sim->params.members; i++) {
        const rn_result result = rn_sa_spent_check(sim->spent[i], &sim->context, NULL);
        assert_int_equal(result.code, code);
    }
}

/* case 19. After a finished round: not the same update again under any name, but the next matrix,
 * yes. */
static void test_after_a_sum(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, 1);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_next_session(sim, 1, 2);
    check_all(sim, RN_E_ROUND_SPENT);
    sim_run(sim, 60000);
    assert_int_equal(sim_check_sums(sim), 0);
    assert_true(sim->refused > 0);
    sim->context.plan_hash[0] ^= 1; /* a new plan and round, the same update */
    sim_next_session(sim, 7, 1);
    check_all(sim, RN_E_ROUND_SPENT);
    sim->context.active = 1 | 2; /* more than the same update still holds it */
    check_all(sim, RN_E_ROUND_SPENT);
    sim->context.active = 1; /* RoLoRA: the next round is about the other matrix */
    sim_next_session(sim, 8, 1);
    check_all(sim, RN_OK);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

/* case 19. A head that every round sums is not another update because another matrix stands beside
 * it. */
static void test_head_in_every_round(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, 2);
    sim->context.active = 2 | 4;
    sim_next_session(sim, 1, 1);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim->context.active = 1 | 4;
    sim_next_session(sim, 2, 1);
    check_all(sim, RN_E_ROUND_SPENT);
    sim_run(sim, 60000);
    assert_int_equal(sim_check_sums(sim), 0);
    sim->context.adapter_hash[0] ^= 1; /* from the next adapter it is */
    sim_next_session(sim, 3, 1);
    check_all(sim, RN_OK);
    sim_free(sim);
}

/* The operator calls the session off while some have uploaded: with the abort certificate the
 * update may be sent again, by every subset of members. */
static void run_until(struct sim *sim, enum rn_sa_stage stage)
{
    for (uint32_t k = 0; k < 200 && rn_sa_aggregator_stage(sim->aggregator) < stage; k++) {
        sim_run(sim, TICK_MS);
    }
    assert_int_equal(rn_sa_aggregator_stage(sim->aggregator), stage);
}

static void call_off(struct sim *sim)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    rn_sa_aggregator_abort(sim->aggregator, sim->now, &actions);
    execute(sim, SIM_COORDINATOR, &actions);
}

static bool hold_done_of_last(struct sim *sim, uint32_t from, uint32_t to,
                              struct rn_buffer *message)
{
    (void)to;
    struct rn_sa_message m;
    assert_true(rn_is_ok(rn_sa_message_parse(rn_buffer_view(message), &m, NULL)));
    return from != sim->params.members - 1 || m.type != RN_SA_DONE;
}

/* case 19 */
static void test_after_an_abort(void **state)
{
    (void)state;
    for (uint32_t n = 3; n < 8; n++) {
        struct sim *sim = new_sim(n, 1, 0, n);
        sim->options.tamper = hold_done_of_last; /* keeps the upload stage open */
        run_until(sim, RN_SA_STAGE_UPLOAD);
        sim_run(sim, 1000);
        check_all(sim, RN_E_ROUND_SPENT);
        call_off(sim);
        sim_run(sim, 100000);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(sim->nodes[i].aborted && sim->nodes[i].certified);
            assert_int_equal(rn_sa_spent_open(sim->spent[i]), 0);
        }
        sim->options.tamper = NULL;
        sim_next_session(sim, 1, 1); /* but the attempt must go up */
        check_all(sim, RN_E_ROUND_STALE);
        sim_next_session(sim, 1, 2);
        check_all(sim, RN_OK);
        sim_run(sim, 400000);
        assert_int_equal(sim_check_sums(sim), n);
        sim_free(sim);
    }
}

/* case 19. Too few votes for a certificate of either kind: spent, until the certificate comes, even
 * after the machine is gone and the ledger was read back. */
static void test_late_certificate(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, 4);
    sim->options.tamper = hold_done_of_last;
    run_until(sim, RN_SA_STAGE_UPLOAD);
    sim_run(sim, 1000);
    sim->nodes[3].silent = true; /* away when the votes are collected: 3 of 4 */
    sim->nodes[4].silent = true;
    call_off(sim);
    sim_run(sim, 60000);
    assert_true(sim->nodes[SIM_COORDINATOR].aborted && !sim->nodes[SIM_COORDINATOR].certified);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(sim->nodes[i].aborted && !sim->nodes[i].certified);
        assert_int_equal(rn_sa_spent_check(sim->spent[i], &sim->context, NULL).code,
                         RN_E_ROUND_SPENT);
    }
    /* member 0 restarts: the ledger says the same */
    struct rn_sa_spent *reloaded = rn_sa_spent_new();
    for (size_t r = 0; r < sim->nodes[0].records; r++) {
        assert_true(
            rn_is_ok(rn_sa_spent_load(reloaded, rn_buffer_view(&sim->nodes[0].journal[r]), NULL)));
    }
    assert_int_equal(rn_sa_spent_open(reloaded), 1);
    /* member 3 comes back and votes: the certificate exists after all */
    sim->nodes[3].silent = false;
    sim_run(sim, 60000);
    const struct rn_buffer *certificate = &sim->aggregator->sent[RN_SA_ABORT_CERTIFICATE];
    assert_true(certificate->length > 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(sim->nodes[i].certified);
        assert_int_equal(rn_sa_spent_open(sim->spent[i]), 0);
    }
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) changed = {0};
    rn_buffer_append(&changed, certificate->data, certificate->length);
    changed.data[changed.length - 1] ^= 1;
    assert_false(rn_is_ok(
        rn_sa_spent_receive(reloaded, &sim->roster, rn_buffer_view(&changed), &actions, NULL)));
    assert_int_equal(rn_sa_spent_open(reloaded), 1);
    assert_true(rn_is_ok(
        rn_sa_spent_receive(reloaded, &sim->roster, rn_buffer_view(certificate), &actions, NULL)));
    assert_int_equal(actions.count, 1);
    assert_true(actions.items[0].kind == RN_SA_PERSIST && actions.items[0].keep);
    assert_int_equal(rn_sa_spent_open(reloaded), 0);
    rn_sa_spent_free(reloaded);
    sim_free(sim);
}

/* Joining another session closes the first for good, if it had not uploaded. */
static void test_second_session_closes_first(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, 5);
    sim->options.delay_ms = 600;
    run_until(sim, RN_SA_STAGE_SHARES);
    struct rn_sa_context other = sim->context;
    other.attempt = 2;
    struct rn_sa_transcript *t = rn_alloc(1, sizeof *t);
    rn_sa_transcript_init(t, &sim->params, &other);
    const uint8_t nonce[32] = {1};
    rn_sa_transcript_start(t, nonce);
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    const struct rn_view nothing = {0};
    rn_sa_spent_join(sim->spent[0], t, nothing, nothing, &actions);
    rn_sa_transcript_clear(t);
    rn_free(t);
    sim_run(sim, 400000);
    assert_true(sim->nodes[0].aborted);
    assert_int_equal(sim->nodes[0].reason, RN_SA_REASON_DECLINED);
    assert_int_equal(rn_sa_spent_open(sim->spent[0]), 0);
    assert_int_equal(sim_check_sums(sim), 3);
    sim_free(sim);
}

/* A member whose own policy asks for more contributors than the plan leaves, gives up its part. */
static void test_local_minimum(void **state)
{
    (void)state;
    for (uint32_t minimum = 4; minimum < 6; minimum++) {
        struct sim *sim = new_sim(5, 1, 1, 7);
        sim->members[0]->config.local_minimum = minimum;
        sim->nodes[1].silent_from = RN_SA_READY;
        sim_run(sim, 400000);
        assert_true(sim->nodes[0].following == (minimum == 5));
        assert_true(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 0) == (minimum == 4));
        sim_free(sim);
    }
}

/* Damaged journals are refused; a shorter one is an earlier crash. */
static void test_damaged_journals(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, 8);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    const struct sim_node *node = &sim->nodes[SIM_COORDINATOR];
    struct rn_view views[64];
    assert_true(node->records <= 64);
    for (size_t k = 0; k < node->records; k++) {
        views[k] = rn_buffer_view(&node->journal[k]);
    }
    const struct rn_sa_aggregator_config config = sim->aggregator->config;
    for (size_t cut = 0; cut <= node->records; cut++) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        struct rn_sa_aggregator *again = NULL;
        const rn_result result =
            rn_sa_aggregator_resume(&config, views, cut, 0, &actions, &again, NULL);
        assert_int_equal(result.code, cut == 0 ? RN_E_DATA : RN_OK);
        rn_sa_aggregator_free(again);
    }
    for (size_t k = 1; k < node->records; k++) {
        const struct rn_view whole = views[k];
        for (size_t at = 0; at < whole.length; at += 1 + whole.length / 20) {
            struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
            struct rn_sa_aggregator *again = NULL;
            views[k] = rn_view_of(whole.data, at);
            const rn_result result =
                rn_sa_aggregator_resume(&config, views, node->records, 0, &actions, &again, NULL);
            assert_int_equal(result.code, RN_E_DATA);
        }
        views[k] = whole;
    }
    sim_free(sim);
}

static struct rn_sa_params good_params(void)
{
    const struct rn_sa_timeout quick = {30000, 120000};
    return (struct rn_sa_params){.members = 5,
                                 .colluding = 1,
                                 .losses = 1,
                                 .honest = 2,
                                 .value_max = 65534,
                                 .ready = quick,
                                 .shares = quick,
                                 .acks = quick,
                                 .upload = quick,
                                 .vote = quick,
                                 .unmask = quick,
                                 .receipts = quick,
                                 .retry_ms = 15000};
}

static bool feasible(uint32_t members, uint32_t colluding, uint32_t losses, uint32_t honest)
{
    struct rn_sa_params params = good_params();
    params.members = members;
    params.colluding = colluding;
    params.losses = losses;
    params.honest = honest;
    struct rn_error err;
    const rn_result result = rn_sa_params_check(&params, &err);
    assert_true(rn_is_ok(result) || (result.code == RN_E_CONFIG && err.text[0] != 0));
    return rn_is_ok(result);
}

/* case 51 */
static void test_feasible_plans(void **state)
{
    (void)state;
    assert_true(feasible(3, 1, 0, 2));
    assert_false(feasible(3, 1, 1, 2));
    assert_false(feasible(2, 1, 0, 2));
    assert_true(feasible(4, 1, 1, 2));
    assert_false(feasible(4, 1, 2, 2));
    assert_false(feasible(4, 0, 1, 2));
    assert_false(feasible(4, 3, 0, 2));
    assert_false(feasible(4, 4, 0, 2));
    assert_false(feasible(5, 1, 1, 1));
    assert_true(feasible(4, 1, 0, 3));
    assert_false(feasible(4, 1, 1, 3));
    assert_true(feasible(5, 1, 1, 3));
    assert_true(feasible(10, 3, 3, 2));
    assert_false(feasible(10, 3, 4, 2));
    assert_true(feasible(64, 21, 21, 2));
    assert_true(feasible(128, 42, 42, 2));
    assert_true(feasible(129, 42, 42, 2)); /* complete: no ring does */
    assert_true(feasible(129, 6, 6, 2));
    assert_true(feasible(1024, 102, 102, 2));
    assert_false(feasible(1025, 102, 102, 2));
    assert_true(feasible(170, 34, 17, 2)); /* complete, and a share set just fits a message */
    assert_false(feasible(171, 34, 17, 2));
    assert_false(feasible(4, UINT32_MAX, 1, 2));
    assert_false(feasible(4, 1, UINT32_MAX, 2));
    const struct rn_sa_params params = good_params();
    assert_int_equal(rn_sa_quorum(&params), 4);
    assert_int_equal(rn_sa_floor(&params, 0), 4);
    assert_int_equal(rn_sa_floor(&params, 5), 5);
    assert_int_equal(rn_sa_spare(&params), 1);
}

static void test_parameter_limits(void **state)
{
    (void)state;
    struct rn_sa_params params = good_params();
    params.members = 10;
    assert_int_equal(rn_sa_bits(&params), 20 + 1); /* 10 * 65534 < 2^20 */
    params.value_max = (((uint64_t)1 << 52) - 1) / 10;
    assert_int_equal(rn_sa_bits(&params), RN_SA_BITS_MAX);
    assert_true(rn_is_ok(rn_sa_params_check(&params, NULL)));
    params.value_max++;
    assert_int_equal(rn_sa_bits(&params), 0);
    assert_false(rn_is_ok(rn_sa_params_check(&params, NULL)));
    params.value_max = UINT64_MAX;
    assert_int_equal(rn_sa_bits(&params), 0);
    params.value_max = 0;
    assert_false(rn_is_ok(rn_sa_params_check(&params, NULL)));

    params = good_params();
    params.chunk_elements = RN_SA_CHUNK_ELEMENTS_MAX;
    assert_true(rn_is_ok(rn_sa_params_check(&params, NULL)));
    params.chunk_elements++;
    assert_false(rn_is_ok(rn_sa_params_check(&params, NULL)));
    params = good_params();
    params.vote = (struct rn_sa_timeout){RN_SA_TIMEOUT_MS_MAX, RN_SA_TIMEOUT_MS_MAX};
    assert_true(rn_is_ok(rn_sa_params_check(&params, NULL)));
    params.vote.hard_ms++;
    assert_false(rn_is_ok(rn_sa_params_check(&params, NULL)));
    params.vote = (struct rn_sa_timeout){0, 5};
    assert_false(rn_is_ok(rn_sa_params_check(&params, NULL)));
    params.vote = (struct rn_sa_timeout){6, 5};
    assert_false(rn_is_ok(rn_sa_params_check(&params, NULL)));
}

static void test_vector_limits(void **state)
{
    (void)state;
    struct rn_roster roster = {.count = 5};
    struct rn_sa_context context = {
        .roster = &roster, .attempt = 1, .elements = RN_SA_ELEMENTS_MAX};
    struct rn_sa_params params = good_params();
    assert_true(rn_is_ok(rn_sa_context_check(&params, &context, NULL)));
    context.elements++;
    assert_false(rn_is_ok(rn_sa_context_check(&params, &context, NULL)));
    context.elements = 0;
    assert_false(rn_is_ok(rn_sa_context_check(&params, &context, NULL)));
    params.chunk_elements = 1;
    context.elements = RN_SA_CHUNKS_MAX;
    assert_true(rn_is_ok(rn_sa_context_check(&params, &context, NULL)));
    context.elements++;
    assert_false(rn_is_ok(rn_sa_context_check(&params, &context, NULL)));
    context.elements = 1;
    context.attempt = 0;
    assert_false(rn_is_ok(rn_sa_context_check(&params, &context, NULL)));
    context.attempt = 1;
    roster.count = 4;
    assert_false(rn_is_ok(rn_sa_context_check(&params, &context, NULL)));
}

/* Uploads beyond the spool are refused for now, and asked for again when there is room. */
static void test_spool_limit(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, 6);
    sim->options.delay_ms = 600;
    const uint64_t one = rn_sa_layout_vector_bytes(&sim->aggregator->t.layout);
    sim->aggregator->config.spool_bytes_max = one;
    sim->aggregator->config.spool = NULL;
    sim_run(sim, 400000);
    assert_true(sim->refused > 0);
    assert_true(sim->nodes[SIM_COORDINATOR].finished);
    assert_int_equal(sim->aggregator->spool_bytes, 0);
    assert_int_equal(sim_check_sums(sim), 5);
    struct rn_sa_aggregator_config config = sim->aggregator->config;
    struct rn_sa_aggregator *other = NULL;
    assert_true(rn_is_ok(rn_sa_aggregator_new(&config, &other, NULL)));
    rn_sa_aggregator_free(other);
    config.spool_bytes_max = one - 1;
    assert_int_equal(rn_sa_aggregator_new(&config, &other, NULL).code, RN_E_MEMORY);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_a_sum),
        cmocka_unit_test(test_head_in_every_round),
        cmocka_unit_test(test_after_an_abort),
        cmocka_unit_test(test_late_certificate),
        cmocka_unit_test(test_second_session_closes_first),
        cmocka_unit_test(test_local_minimum),
        cmocka_unit_test(test_damaged_journals),
        cmocka_unit_test(test_feasible_plans),
        cmocka_unit_test(test_parameter_limits),
        cmocka_unit_test(test_vector_limits),
        cmocka_unit_test(test_spool_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
