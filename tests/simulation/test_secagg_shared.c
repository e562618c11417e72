/* SPDX-License-Identifier: Apache-2.0
 *
 * privacy case 30. Noise that members add together: with every number of members lost, at every
 * stage, there is a sum only over enough of them, and then the noise of any of its members but the
 * colluding ones is as large as the plan says; below the floor nobody gives anything away that
 * takes masks off.
 */
#include "tests/simulation/simulator.c"

#include <math.h>

#include "crypto/discretenoise.h"
#include "policy/plan.h"
#include "policy/sharedplan.h"

/* privacy.noise is 1.5, and 3 of the members of a sum are honest: 4 remain of 4 or 5, 5 of 6 or 7.
 */
static const struct {
    uint32_t members, colluding, losses;
} cohorts[] = {{4, 1, 0}, {5, 1, 1}, {6, 2, 1}, {7, 2, 2}};

enum { HONEST = 3, DRAWS = 20000 };
static const double noise = 1.5;

static struct rn_plan *plan_new(size_t cohort)
{
    struct rn_plan *plan = rn_alloc(1, sizeof *plan);
    plan->training.batch = 30;
    plan->privacy.mode = RN_PLAN_PRIVACY_SHARED;
    plan->privacy.rate = 0.1;
    plan->privacy.noise = noise;
    plan->privacy.clip = plan->privacy.denominator = 1;
    plan->secagg.colluding = cohorts[cohort].colluding;
    plan->secagg.losses = cohorts[cohort].losses;
    plan->secagg.honest = HONEST;
    plan->secagg.bits = 16;
    return plan;
}

static int64_t *shares; /* [SIM_MEMBERS of a cohort][DRAWS] */

static void shares_draw(const struct rn_plan *plan, uint32_t members)
{
    shares = rn_alloc((size_t)members * DRAWS, sizeof *shares);
    for (uint32_t m = 0; m < members; m++) {
        const struct rn_secret32 key = {{(uint8_t)(m + 1)}};
        RN_CLEANUP(rn_discrete_noise_clear) struct rn_discrete_noise source;
        rn_discrete_noise_init(&source, &key);
        rn_discrete_noise_draw(&source, DRAWS, rn_shared_deviation(plan),
                               shares + (size_t)m * DRAWS);
    }
}

/* Of what these members add, in units of the clip norm squared. */
static double variance_of(uint32_t set, uint32_t members)
{
    double square = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        double sum = 0;
        for (uint32_t m = 0; m < members; m++) {
            sum += (set >> m & 1) != 0 ? (double)shares[(size_t)m * DRAWS + i] : 0;
        }
        square += sum * sum;
    }
    return square / DRAWS / 0x1p40;
}

/* Whichever members of the sum tell the coordinator their noise. */
static void check_noise(const struct rn_sa_set *survivors, uint32_t members, uint32_t colluding)
{
    uint32_t all = 0;
    for (uint32_t m = 0; m < members; m++) {
        all |= (uint32_t)rn_sa_set_has(survivors, m) << m;
    }
    for (uint32_t told = 0; told < 1u << members; told++) {
        if ((told & ~all) != 0 || (uint32_t)__builtin_popcount(told) != colluding) {
            continue;
        }
        const double left = (double)__builtin_popcount(all & ~told);
        const double seen = variance_of(all & ~told, members);
        assert_true(left >= HONEST);
        /* 4.9 deviations of a variance of so many draws */
        assert_true(seen >= noise * noise * left / HONEST * (1 - 4.9 * sqrt(2.0 / DRAWS)));
        assert_true(seen <= noise * noise * left / HONEST * (1 + 4.9 * sqrt(2.0 / DRAWS)));
    }
}

static void one_session(size_t cohort, const struct rn_plan_numbers *numbers, uint32_t lost,
                        enum rn_sa_type silent_from)
{
    const struct sim_options options = {.members = cohorts[cohort].members,
                                        .colluding = cohorts[cohort].colluding,
                                        .losses = cohorts[cohort].losses,
                                        .honest = HONEST,
                                        .value_max = numbers->value_max,
                                        .seed = 1 + lost + 16 * (uint64_t)silent_from};
    struct sim *sim = sim_new(&options);
    for (uint32_t m = 0; m < lost; m++) {
        sim->nodes[m].silent_from = silent_from;
    }
    sim_run(sim, 4000000);
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const uint32_t left = options.members - lost;
    /* who uploaded is in the sum, also when it votes no more; the others' votes are enough for it
     */
    assert_int_equal(coordinator->summed, left >= numbers->floor);
    if (coordinator->summed) {
        assert_true(rn_sa_set_count(&coordinator->survivors) >= numbers->floor);
        check_noise(&coordinator->survivors, options.members, options.colluding);
        (void)sim_check_sums(sim);
    }
    for (uint32_t m = 0; m < options.members && !coordinator->summed; m++) {
        assert_null(sim->nodes[m].reveal);
    }
    sim_free(sim);
}

static void lost_members_leave_enough_noise(void **state)
{
    (void)state;
    static const enum rn_sa_type stages[] = {RN_SA_READY, RN_SA_SHARES, RN_SA_CHUNK, RN_SA_DONE};
    for (size_t cohort = 0; cohort < RN_ARRAY_LENGTH(cohorts); cohort++) {
        struct rn_plan *plan = plan_new(cohort);
        struct rn_plan_numbers numbers;
        struct rn_error err;
        assert_true(rn_is_ok(rn_plan_feasible(plan, cohorts[cohort].members, &numbers, &err)));
        assert_true(numbers.floor >= HONEST + cohorts[cohort].colluding);
        shares_draw(plan, cohorts[cohort].members);
        for (uint32_t lost = 0; lost <= cohorts[cohort].members; lost++) {
            for (size_t k = 0; k < RN_ARRAY_LENGTH(stages); k++) {
                one_session(cohort, &numbers, lost, stages[k]);
            }
        }
        rn_free(shares);
        rn_free(plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_members_leave_enough_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
