/* SPDX-License-Identifier: Apache-2.0
 *
 * Unmasking and replay on lent processors: the sum is the plain one however the work is split, and
 * it is split.
 */
#include "tests/simulation/simulator.c"

#include <stdatomic.h>

#include "crypto/secagg/aggregator_state.h"

/* 10 lost and 14 surviving members: 140 pair masks and 14 self masks, of 9000 elements. */
#define MEMBERS 24
#define LOST 10
#define ELEMENTS 9000

static _Atomic uint32_t runs;
static _Atomic uint32_t most_parts;

static void note(uint32_t parts)
{
    atomic_fetch_add(&runs, 1);
    if (parts > atomic_load(&most_parts)) {
        atomic_store(&most_parts, parts);
    }
}

/* On the calling thread, the last part first. */
static void run_backwards(uint32_t parts, rn_parallel_part work, void *job)
{
    note(parts);
    for (uint32_t part = parts; part-- > 0;) {
        work(job, part);
    }
}

static void run_on_noted_threads(uint32_t parts, rn_parallel_part work, void *job)
{
    const struct rn_parallel threads = rn_parallel_threads(RN_PARALLEL_PARTS_MAX);
    note(parts);
    threads.run(parts, work, job);
}

/* The hash of the coordinator's sum. */
static void session(const struct rn_parallel *parallel, uint64_t value_max,
                    uint8_t out[static RN_HASH_BYTES])
{
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = LOST,
                                        .elements = ELEMENTS,
                                        .chunk_elements = ELEMENTS / 2,
                                        .value_max = value_max,
                                        .parallel = parallel,
                                        .seed = 91};
    struct sim *sim = sim_new(&options);
    for (uint32_t i = 0; i < LOST; i++) {
        sim->nodes[2 * i].silent_from = RN_SA_DONE;
    }
    sim_run(sim, 400000);
    assert_int_equal(rn_sa_set_count(&sim->aggregator->t.survivors), MEMBERS - LOST);
    assert_true(sim_check_sums(sim) >= MEMBERS - LOST);
    memcpy(out, sim->nodes[SIM_COORDINATOR].sum_hash, RN_HASH_BYTES);
    sim_free(sim);
}

static void split(const struct rn_parallel *parallel, uint64_t value_max, uint32_t parts)
{
    uint8_t alone[RN_HASH_BYTES];
    uint8_t together[RN_HASH_BYTES];
    atomic_store(&runs, 0);
    atomic_store(&most_parts, 0);
    session(NULL, value_max, alone);
    session(parallel, value_max, together);
    assert_memory_equal(alone, together, RN_HASH_BYTES);
    assert_int_equal(most_parts, parts);
    /* The coordinator's keys and lanes, each survivor's keys, and each of the two chunks by those
     * of its auditors that are not lost, who are 13 (more than n_max - Q + n_c) less 10. */
    assert_true(runs >= 2 + (MEMBERS - LOST) + 2 * (13 - LOST));
}

/* 140 pairs are two parts of 64 each, 154 streams over 9000 lanes of 4 bytes are five of a MiB. */
static void test_backwards(void **state)
{
    (void)state;
    static const struct rn_parallel parallel = {3, run_backwards};
    split(&parallel, 65534, 3);
    split(&parallel, (uint64_t)1 << 40, 3);
}

static void test_threads(void **state)
{
    (void)state;
    static const struct rn_parallel parallel = {4, run_on_noted_threads};
    split(&parallel, 65534, 4);
}

/* What is small is not worth a thread. */
static void test_small(void **state)
{
    (void)state;
    static const struct rn_parallel parallel = {4, run_on_noted_threads};
    const struct sim_options options = {
        .members = 5, .colluding = 1, .losses = 1, .parallel = &parallel, .seed = 92};
    atomic_store(&runs, 0);
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 5);
    assert_int_equal(runs, 0);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
