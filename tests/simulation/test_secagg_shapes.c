/* SPDX-License-Identifier: Apache-2.0
 *
 * case 1, case 29. Whole rounds of every size: cohorts up to the largest, vectors of one element,
 * of chunks that do not come out even, of one element a chunk, of the narrowest and the widest
 * values, all equal to the plain sum bit for bit. RONDO_LONG=1 runs the largest cohort.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"

static void check_round(const struct sim_options *options)
{
    struct sim *sim = sim_new(options);
    sim_run(sim, 400000);
    assert_int_equal(sim->refused, 0);
    assert_true(sim->nodes[SIM_COORDINATOR].finished);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, options->members);
    assert_int_equal(sim_check_sums(sim), options->members);
    sim_free(sim);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEFT_OUT 4u /* of the list below, whose end costs the most */
#else
#define LEFT_OUT (sim_is_long() ? 0u : 3u)
#endif

/* case 1. The smallest threshold that there is, since a holder's work is |T0| times t. */
static void test_cohorts(void **state)
{
    (void)state;
    static const uint32_t cohorts[] = {3, 4, 5, 6, 9, 10, 11, 64, 63, 65, 128};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(cohorts) - LEFT_OUT; k++) {
        const struct sim_options options = {
            .members = cohorts[k], .colluding = 1, .elements = 9, .seed = 100 + k};
        check_round(&options);
    }
}

/* case 1. 65 places reach into the second word of a set of members. */
static void test_second_word(void **state)
{
    (void)state;
    const struct sim_options options = {
        .members = 66, .colluding = 1, .losses = 2, .elements = 3, .seed = 165};
    struct sim *sim = sim_new(&options);
    for (uint32_t i = 32; i < 64; i++) { /* F = Q = 34: fewer joined, and less to compute */
        sim->nodes[i].silent_from = i / 2 == 30 ? RN_SA_SHARES : RN_SA_READY;
    }
    sim_run(sim, 400000);
    assert_int_equal(rn_sa_floor(&sim->params, 0), 34);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, 34);
    assert_true(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 64));
    assert_true(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 65));
    assert_true(sim_check_sums(sim) >= 34);
    sim_free(sim);
}

/* case 29 */
static void test_vectors(void **state)
{
    (void)state;
    static const uint32_t chunks[] = {1, 2, 4, 7, 8, 9, 64};
    static const uint32_t elements[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65};
    static const uint64_t largest[] = {1, 2, 65534, ((uint64_t)1 << 30) - 1,
                                       (((uint64_t)1 << 52) - 1) / 3};
    for (size_t c = 0; c < RN_ARRAY_LENGTH(chunks); c++) {
        for (size_t e = 0; e < RN_ARRAY_LENGTH(elements); e++) {
            const struct sim_options options = {
                .members = 3,
                .colluding = 1,
                .chunk_elements = chunks[c],
                .elements = elements[e],
                .value_max = largest[(c + e) % RN_ARRAY_LENGTH(largest)],
                .seed = c * 100 + e,
            };
            check_round(&options);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cohorts),
        cmocka_unit_test(test_second_word),
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
