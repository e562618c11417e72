/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole rounds of secure aggregation: everybody alive, members silent or crashed at every stage, a
 * coordinator that restarts.
 */
#include "tests/simulation/simulator.c"

#include <stdlib.h>

static void run_all_alive(uint32_t n, uint32_t colluding, uint32_t losses, uint64_t value_max)
{
    struct sim *sim = rn_alloc(1, sizeof *sim);
    const struct sim_options options = {
        .members = n,
        .colluding = colluding,
        .losses = losses,
        .value_max = value_max,
        .seed = n,
    };
    sim_init(sim, &options);
    sim_run(sim, 200000);
    assert_int_equal(sim->refused, 0);
    assert_true(sim->nodes[SIM_COORDINATOR].finished);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, n);
    assert_int_equal(sim_check_sums(sim), n);
    sim_clear(sim);
    rn_free(sim);
}

static void test_all_alive(void **state)
{
    (void)state;
    run_all_alive(3, 1, 0, 65534);
    run_all_alive(4, 1, 1, 65534);
    run_all_alive(5, 1, 1, ((uint64_t)1 << 45) - 1);
    run_all_alive(10, 3, 3, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
