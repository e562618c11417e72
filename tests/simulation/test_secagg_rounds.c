/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole rounds of secure aggregation: everybody alive, members silent or crashed at every stage, a
 * coordinator that restarts. RONDO_LONG=1 runs more schedules.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/member_state.h"

/* What a member sends last before it falls silent; each stage loses it at another point. */
static const enum rn_sa_type silent_at[] = {RN_SA_READY, RN_SA_SHARES, RN_SA_ACK,    RN_SA_CHUNK,
                                            RN_SA_DONE,  RN_SA_VOTE,   RN_SA_REVEAL, RN_SA_FOLLOW};
#define STAGES RN_ARRAY_LENGTH(silent_at)

/* n members, n_c, D: what the table of PROTOCOL.md promises. */
static const struct {
    uint32_t members, colluding, losses;
} cohorts[] = {{3, 1, 0}, {4, 1, 1}, {5, 1, 1}, {7, 2, 2}, {10, 3, 3}};

/* The largest cohort is for the long run. */
static size_t cohort_count(void)
{
    return RN_ARRAY_LENGTH(cohorts) - (sim_is_long() ? 0 : 1);
}

static struct sim_options options_of(size_t cohort, uint64_t seed)
{
    return (struct sim_options){
        .members = cohorts[cohort].members,
        .colluding = cohorts[cohort].colluding,
        .losses = cohorts[cohort].losses,
        .seed = seed,
    };
}

/* case 1 */
static void test_all_alive(void **state)
{
    (void)state;
    for (size_t c = 0; c < RN_ARRAY_LENGTH(cohorts); c++) {
        for (uint32_t wide = 0; wide < 2; wide++) {
            struct sim_options options = options_of(c, c + 1);
            options.value_max = wide != 0 ? ((uint64_t)1 << 45) - 1 : 65534;
            struct sim *sim = sim_new(&options);
            sim_run(sim, 200000);
            assert_int_equal(sim->refused, 0);
            assert_true(sim->nodes[SIM_COORDINATOR].finished);
            assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, options.members);
            assert_int_equal(sim_check_sums(sim), options.members);
            sim_free(sim);
        }
    }
}

/* case 1 */
static void test_large_cohort(void **state)
{
    (void)state;
    const struct sim_options options = {.members = sim_is_long() ? 128 : 24,
                                        .colluding = 8,
                                        .losses = 6,
                                        .seed = 3,
                                        .elements = 40};
    struct sim *sim = sim_new(&options);
    sim->nodes[1].silent_from = RN_SA_DONE;
    sim->nodes[5].silent_from = RN_SA_SHARES;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), options.members - 2);
    sim_free(sim);
}

/* Did the session do what the number of losses lets it do? */
static void check_outcome(struct sim *sim, bool must_sum)
{
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const uint32_t summed = sim_check_sums(sim); /* silent ones aside, all of them: see below */
    if (must_sum) {
        assert_true(coordinator->finished);
    }
    if (!coordinator->summed) {
        assert_true(coordinator->aborted);
        assert_int_equal(summed, 0);
    }
    for (uint32_t i = 0; i < sim->params.members; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (node->silent || !node->up) {
            continue;
        }
        /* all live members are told: a sum, or an end */
        if (!(node->finished || node->aborted)) {
            print_error("seed %llu: member %u stays in stage %s\n",
                        (unsigned long long)sim->options.seed, i,
                        rn_sa_stage_name(rn_sa_member_stage(sim->members[i])));
        }
        assert_true(node->finished || node->aborted);
        assert_true(node->summed == coordinator->summed);
    }
}

/* case 2 */
static void test_one_silent(void **state)
{
    (void)state;
    for (size_t c = 0; c < RN_ARRAY_LENGTH(cohorts); c++) {
        for (size_t s = 0; s < STAGES; s++) {
            const struct sim_options options = options_of(c, 100 * c + s);
            struct sim *sim = sim_new(&options);
            sim->nodes[s % options.members].silent_from = silent_at[s];
            sim_run(sim, 400000);
            check_outcome(sim, options.losses >= 1);
            sim_free(sim);
        }
    }
}

/* case 2 */
static void test_two_silent(void **state)
{
    (void)state;
    for (size_t c = 2; c < cohort_count(); c++) {
        for (size_t s = 0; s < STAGES; s++) {
            for (size_t t = s; t < STAGES; t++) {
                const struct sim_options options = options_of(c, 1000 * c + 10 * s + t);
                struct sim *sim = sim_new(&options);
                sim->nodes[0].silent_from = silent_at[s];
                sim->nodes[options.members - 1].silent_from = silent_at[t];
                sim_run(sim, 400000);
                check_outcome(sim, options.losses >= 2);
                sim_free(sim);
            }
        }
    }
}

/* What D + 1 losses at a stage leave behind with everybody who stays: no secret, no share that got
 * out before R4, and an update that is spent from Done on, be it offered again under the next
 * attempt. */
static void check_ended(struct sim *sim, uint32_t first, enum rn_sa_type lost_at)
{
    const bool spent = lost_at >= RN_SA_CHUNK;
    struct rn_sa_context again = sim->context;
    again.attempt++;
    for (uint32_t i = first; i < sim->params.members; i++) {
        const struct sim_node *node = &sim->nodes[i];
        assert_true(node->aborted && !node->summed);
        assert_true(node->certified == !spent); /* too few are left for a certificate, too */
        assert_null(sim->members[i]->vault);
        assert_null(sim->members[i]->masks);
        assert_true((node->reveal != NULL) == (lost_at == RN_SA_REVEAL));
        assert_int_equal(rn_sa_spent_open(sim->spent[i]), spent);
        assert_int_equal(rn_sa_spent_check(sim->spent[i], &again, NULL).code,
                         spent ? RN_E_ROUND_SPENT : RN_OK);
    }
}

/* case 2, case 3, case 19. D at once is survived at every stage; D + 1 is a clean end. */
static void test_losses_at_limit(void **state)
{
    (void)state;
    for (size_t c = 0; c < cohort_count(); c++) {
        for (size_t s = 0; s < STAGES - 1; s++) {
            for (uint32_t more = 0; more < 2; more++) {
                const struct sim_options options = options_of(c, 10000 * c + 10 * s + more);
                struct sim *sim = sim_new(&options);
                const uint32_t spare = rn_sa_spare(&sim->params);
                assert_true(spare >= options.losses);
                for (uint32_t i = 0; i < spare + more; i++) {
                    sim->nodes[i].silent_from = silent_at[s];
                }
                sim_run(sim, 400000);
                check_outcome(sim, more == 0);
                assert_true(sim->nodes[SIM_COORDINATOR].summed == (more == 0));
                if (more == 1) {
                    check_ended(sim, spare + more, silent_at[s]);
                }
                sim_free(sim);
            }
        }
    }
}

/* A late upload: the Done of one member arrives after the survivors were fixed. */
static bool hold_done(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    struct rn_sa_message m;
    assert_true(rn_is_ok(rn_sa_message_parse(rn_buffer_view(message), &m, NULL)));
    const bool fixed =
        sim->aggregator != NULL && rn_sa_aggregator_stage(sim->aggregator) > RN_SA_STAGE_UPLOAD;
    return from != 1 || m.type != RN_SA_DONE || fixed;
}

/* case 7 */
static void test_late_upload(void **state)
{
    (void)state;
    struct sim_options options = options_of(1, 5);
    options.tamper = hold_done;
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_true(sim->nodes[SIM_COORDINATOR].finished);
    assert_false(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 1));
    assert_true(sim->nodes[1].following);
    assert_true(sim->nodes[1].summed); /* it follows to the sum of the others */
    assert_null(sim->nodes[1].reveal);
    assert_int_equal(rn_sa_spent_open(sim->spent[1]), 1);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

/* case 9. Every crash point of one member, until the run has no such point any more. */
static void test_member_crashes(void **state)
{
    (void)state;
    for (size_t c = 1; c < 2 + (sim_is_long() ? 2u : 0u); c++) {
        bool crashed = true;
        for (uint64_t point = 0; crashed; point++) {
            const struct sim_options options = options_of(c, 70 + point);
            struct sim *sim = sim_new(&options);
            sim->nodes[1].crash_at = point;
            sim->nodes[1].restart_ms = point % 2 == 0 ? 500 : 12000;
            sim_run(sim, 400000);
            crashed = sim->nodes[1].resumed;
            check_outcome(sim, true);
            assert_true(sim->nodes[1].summed);
            sim_free(sim);
        }
    }
}

/* case 9 */
static void test_coordinator_crashes(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2 + (sim_is_long() ? 2u : 0u); c++) {
        bool crashed = true;
        for (uint64_t point = 0; crashed; point++) {
            const struct sim_options options = options_of(c, 90 + point);
            struct sim *sim = sim_new(&options);
            sim->nodes[SIM_COORDINATOR].crash_at = point;
            sim->nodes[SIM_COORDINATOR].restart_ms = 700;
            sim_run(sim, 400000);
            crashed = sim->nodes[SIM_COORDINATOR].resumed;
            check_outcome(sim, true);
            sim_free(sim);
        }
    }
}

/* Random schedules: lossy network, silent members, crashes on both sides. */
static void run_random(uint64_t seed)
{
    struct sim_options options = options_of(seed % RN_ARRAY_LENGTH(cohorts), seed);
    if (seed % 25 != 0 && options.members == 10) {
        options = options_of(1, seed);
    }
    options.drop_percent = (uint32_t)(seed % 4) * 6;
    options.duplicate_percent = (uint32_t)(seed % 3) * 10;
    options.delay_ms = seed % 5 * 400;
    options.value_max = seed % 7 == 0 ? (uint64_t)1 << 44 : 0;
    struct sim *sim = sim_new(&options);
    const uint32_t troubles = sim_below(sim, 3);
    for (uint32_t k = 0; k < troubles; k++) {
        struct sim_node *node = &sim->nodes[sim_below(sim, options.members)];
        if (sim_below(sim, 2) == 0) {
            node->silent_from = silent_at[sim_below(sim, STAGES)];
        } else {
            node->crash_at = sim_below(sim, 30);
            node->restart_ms = sim_below(sim, 4) == 0 ? SIM_NEVER : sim_below(sim, 15000);
        }
    }
    if (sim_below(sim, 3) == 0) {
        sim->nodes[SIM_COORDINATOR].crash_at = sim_below(sim, 60);
        sim->nodes[SIM_COORDINATOR].restart_ms = sim_below(sim, 10000);
    }
    sim_run(sim, 600000);
    const uint32_t summed = sim_check_sums(sim);
    if (!sim->nodes[SIM_COORDINATOR].summed) {
        assert_int_equal(summed, 0);
    }
    for (uint32_t i = 0; i < options.members; i++) {
        const struct sim_node *node = &sim->nodes[i];
        /* told, or (its offer was lost after a restart) never asked */
        const bool told = node->finished || node->aborted || node->silent || !node->up ||
                          rn_sa_member_stage(sim->members[i]) == RN_SA_STAGE_OFFER;
        if (!told) {
            print_error("seed %llu: member %u waits in stage %s\n", (unsigned long long)seed, i,
                        rn_sa_stage_name(rn_sa_member_stage(sim->members[i])));
        }
        assert_true(told);
    }
    sim_free(sim);
}

/* case 42 */
static void test_random_schedules(void **state)
{
    (void)state;
    const uint64_t count = sim_is_long() ? 20000 : 200;
    for (uint64_t seed = 0; seed < count; seed++) {
        run_random(seed);
    }
}

/* The bytes of a whole session with fixed seeds. They change only with the version of the protocol:
 * a member of an older build could not take part any more. */
struct wire {
    struct rn_sha256 state;
    size_t messages;
};

static bool hash_wire(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)from;
    (void)to;
    struct wire *wire = sim->options.tamper_context;
    rn_sha256_update(&wire->state, message->data, message->length);
    wire->messages++;
    return true;
}

/* case 34 */
static void test_golden_session(void **state)
{
    (void)state;
    struct wire wire = {.messages = 0};
    rn_sha256_init(&wire.state, "golden session");
    struct sim_options options = options_of(1, 1);
    options.tamper = hash_wire;
    options.tamper_context = &wire;
    struct sim *sim = sim_new(&options);
    sim->nodes[3].crash_at = 14; /* after Done */
    sim->nodes[3].restart_ms = SIM_NEVER;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 3);
    uint8_t hash[RN_HASH_BYTES];
    rn_sha256_final(&wire.state, hash);
    char text[2 * RN_HASH_BYTES + 1];
    rn_hex_encode(text, hash, sizeof hash);
    assert_string_equal(text, "57d7957b8544c862e4553e69d99496d212cd96d7dd704c0d45504e9e4fa45382");
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_session),      cmocka_unit_test(test_all_alive),
        cmocka_unit_test(test_large_cohort),        cmocka_unit_test(test_one_silent),
        cmocka_unit_test(test_two_silent),          cmocka_unit_test(test_losses_at_limit),
        cmocka_unit_test(test_late_upload),         cmocka_unit_test(test_member_crashes),
        cmocka_unit_test(test_coordinator_crashes), cmocka_unit_test(test_random_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
