/* SPDX-License-Identifier: Apache-2.0
 *
 * Blind jobs: the members get the sum, the coordinator gets it under the streams of a key that it
 * does not have, and nothing else changes. That the coordinator's sum is the true one plus those
 * streams, and the members' the true one, is asserted by the simulator wherever one is taken.
 */
#include "tests/simulation/simulator.c"

#include "crypto/pack.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

static struct sim_options options_of(uint32_t members, uint32_t losses, uint64_t seed)
{
    return (struct sim_options){
        .members = members, .colluding = 1, .losses = losses, .seed = seed, .blind = true};
}

static void test_everybody_has_the_sum(void **state)
{
    (void)state;
    for (uint32_t members = 3; members <= 8; members++) {
        for (uint32_t wide = 0; wide < 2; wide++) {
            struct sim_options options = options_of(members, 0, members);
            options.value_max = wide != 0 ? ((uint64_t)1 << 45) - 1 : 65534;
            struct sim *sim = sim_new(&options);
            sim_run(sim, 200000);
            assert_int_equal(sim->refused, 0);
            assert_true(sim->nodes[SIM_COORDINATOR].finished);
            assert_int_equal(sim_check_sums(sim), members);
            sim_free(sim);
        }
    }
}

/* One lost at each stage: who is away before it uploads puts no stream in. */
static void test_losses(void **state)
{
    (void)state;
    static const enum rn_sa_type silent_at[] = {RN_SA_READY, RN_SA_SHARES, RN_SA_ACK,   RN_SA_CHUNK,
                                                RN_SA_DONE,  RN_SA_VOTE,   RN_SA_REVEAL};
    for (size_t s = 0; s < RN_ARRAY_LENGTH(silent_at); s++) {
        for (uint32_t who = 0; who < 4; who++) {
            const struct sim_options options = options_of(4, 1, 10 * s + who);
            struct sim *sim = sim_new(&options);
            sim->nodes[who].silent_from = silent_at[s];
            sim_run(sim, 400000);
            assert_true(sim->nodes[SIM_COORDINATOR].finished);
            assert_true(sim_check_sums(sim) >= 3);
            sim_free(sim);
        }
    }
}

/* A bad network, and everybody's process stops at some action: late members and restarted ones get
 * the blinded sum and take the streams off themselves. */
static void test_bad_network_and_restarts(void **state)
{
    (void)state;
    const uint64_t schedules = sim_is_long() ? 2000 : 60;
    uint32_t summed = 0;
    for (uint64_t seed = 0; seed < schedules; seed++) {
        struct sim_options options = options_of(4 + (uint32_t)(seed % 4), 1, 1000 + seed);
        options.drop_percent = 5;
        options.duplicate_percent = 10;
        options.delay_ms = 700;
        struct sim *sim = sim_new(&options);
        const uint32_t who = sim_below(sim, options.members);
        sim->nodes[who].crash_at = sim_below(sim, 25);
        sim->nodes[who].restart_ms = 1000;
        sim->nodes[SIM_COORDINATOR].crash_at = 10 + sim_below(sim, 60);
        sim->nodes[SIM_COORDINATOR].restart_ms = 1500;
        sim_run(sim, 600000);
        summed += sim_check_sums(sim) > 0;
        sim_free(sim);
    }
    assert_true(summed > schedules / 2);
}

/* ---- What the coordinator holds */

/* Packed chunks of the true sum of a session. */
struct truth {
    struct rn_buffer chunks[8];
    uint32_t count;
    uint64_t seen; /* bytes that were searched */
};

static void pack_truth(const struct sim *sim, struct truth *out)
{
    struct rn_sa_layout layout;
    rn_sa_layout_init(&layout, &sim->params, &sim->context);
    out->count = layout.chunks;
    assert_true(layout.chunks <= RN_ARRAY_LENGTH(out->chunks) && layout.lane_bytes == 4);
    for (uint32_t c = 0; c < layout.chunks; c++) {
        uint32_t lanes[64] = {0};
        const uint32_t count = rn_sa_layout_chunk_elements(&layout, c);
        for (uint32_t e = 0; e < count; e++) {
            for (uint32_t i = 0; i < sim->params.members; i++) {
                lanes[e] += (uint32_t)sim_value(sim, i, c * layout.chunk_elements + e);
            }
        }
        uint8_t *packed = rn_buffer_grow(&out->chunks[c], rn_sa_layout_chunk_bytes(&layout, c));
        rn_pack_u32(packed, layout.bits, lanes, count + RN_SA_CANARIES);
    }
}

static bool holds(struct truth *truth, struct rn_view bytes)
{
    truth->seen += bytes.length;
    for (uint32_t c = 0; c < truth->count; c++) {
        /* Without the canaries' bits: whole elements alone. */
        if (bytes.length >= 8 &&
            memmem(bytes.data, bytes.length, truth->chunks[c].data, 8) != NULL) {
            return true;
        }
    }
    return false;
}

static bool watch_wire(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct truth *truth = sim->options.tamper_context;
    (void)from;
    (void)to;
    if (truth->count == 0) {
        pack_truth(sim, truth);
    }
    assert_false(holds(truth, rn_buffer_view(message)));
    return true;
}

/* Every message to and from the coordinator, its journal, and its machine's vector: no chunk of the
 * true sum is in them, and no lane of the vector is the true one (a chance of 2^-19 each; the seed
 * is one where it did not happen). */
static void test_coordinator_never_holds_the_sum(void **state)
{
    (void)state;
    for (uint32_t members = 4; members <= 5; members++) {
        struct truth truth = {.count = 0};
        struct sim_options options = options_of(members, 0, 7);
        options.tamper = watch_wire;
        options.tamper_context = &truth;
        struct sim *sim = sim_new(&options);
        sim_run(sim, 200000);
        assert_int_equal(sim_check_sums(sim), members);
        const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
        for (size_t r = 0; r < coordinator->records; r++) {
            assert_false(holds(&truth, rn_buffer_view(&coordinator->journal[r])));
        }
        assert_true(truth.seen > 10000);
        const uint32_t *lanes = sim->aggregator->vector.lanes;
        for (uint64_t e = 0; e < sim->context.elements; e++) {
            const uint64_t lane = e + e / 4 * RN_SA_CANARIES;
            uint64_t plain = 0;
            for (uint32_t i = 0; i < members; i++) {
                plain += sim_value(sim, i, e);
            }
            assert_int_not_equal(lanes[lane], plain);
        }
        for (uint32_t c = 0; c < truth.count; c++) {
            rn_buffer_clear(&truth.chunks[c]);
        }
        sim_free(sim);
    }
}

/* An even number of members: with one common stream in place of one each, every low bit of the
 * coordinator's sum would be the true one. Here half of them are, over sessions. */
static void test_low_bits_of_even_cohorts(void **state)
{
    (void)state;
    uint32_t same = 0;
    uint32_t all = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct sim_options options = options_of(4, 0, 300 + seed);
        options.elements = 40;
        struct sim *sim = sim_new(&options);
        sim_run(sim, 200000);
        for (uint32_t e = 0; e < 40; e++, all++) {
            uint64_t blinded = 0;
            uint64_t plain = 0;
            assert_true(rn_is_ok(rn_sa_aggregator_sum_read(sim->aggregator, e, 1, &blinded, NULL)));
            for (uint32_t i = 0; i < 4; i++) {
                plain += sim_value(sim, i, e);
            }
            same += ((blinded ^ plain) & 1) == 0;
        }
        sim_free(sim);
    }
    /* Six deviations of a fair coin. */
    assert_in_range(same, all / 2 - 120, all / 2 + 120);
}

/* ---- Sums that are none */

static rn_result read_guard(void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    const struct sim *sim = context;
    (void)first;
    (void)err;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (uint64_t)1 << (rn_sa_bits(&sim->params) - 1);
    }
    return rn_ok();
}

/* The coordinator cannot see it: the receipts of all name the adapter as it is, and every member
 * ends the session as it does in an open job. */
static void test_out_of_range(void **state)
{
    (void)state;
    struct sim_options options = options_of(5, 1, 5);
    struct sim *sim = sim_new(&options);
    sim->members[3]->config.params.value_max = UINT64_MAX; /* its own check is off */
    sim->members[3]->config.input = (struct rn_sa_input){read_guard, sim};
    sim_run(sim, 400000);
    assert_true(sim->nodes[SIM_COORDINATOR].finished && !sim->nodes[SIM_COORDINATOR].summed);
    struct rn_sa_sum_info info;
    assert_true(rn_is_ok(rn_sa_aggregator_sum_info(sim->aggregator, &info, NULL)));
    assert_memory_equal(info.adapter_hash, sim->context.adapter_hash, RN_HASH_BYTES);
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(sim->nodes[i].aborted && !sim->nodes[i].summed);
        /* Member 3 looks at no range: it finds itself alone with another adapter. */
        assert_int_equal(sim->nodes[i].reason,
                         i == 3 ? RN_SA_REASON_ADAPTER_DIFFERS : RN_SA_REASON_RANGE);
    }
    sim_free(sim);
}

/* ---- Two group keys */

/* The document is in the session id: a member that was shown another one takes no offer. */
static void test_another_document(void **state)
{
    (void)state;
    struct sim_options options = options_of(4, 1, 9);
    struct sim *sim = sim_new(&options);
    sim->members[2]->t.context.group_hash[5] ^= 1;
    sim_run(sim, 400000);
    assert_true(sim->refused > 0);
    assert_false(sim->nodes[2].summed);
    assert_int_equal(sim->nodes[0].contributors, 3);
    assert_int_equal(sim_check_sums(sim), 3);
    sim_free(sim);
}

/* A member without the key, or with one in an open job, is the service's mistake. */
static void test_key_and_job_fit(void **state)
{
    (void)state;
    for (int blind = 0; blind < 2; blind++) {
        struct sim_options options = options_of(4, 1, 11);
        options.blind = blind != 0;
        struct sim *sim = sim_new(&options);
        struct rn_secret32 seed;
        struct rn_sa_member *member = NULL;
        struct rn_sa_member_config config = member_config(sim, 1, &seed);
        config.group = blind ? NULL : &sim->group;
        assert_int_equal(rn_sa_member_new(&config, &member, NULL).code, RN_E_USAGE);
        sim_free(sim);
    }
}

/* An open job has no room for a document, and the two kinds of job never have one session id. */
static void test_params_hash(void **state)
{
    (void)state;
    struct sim_options options = options_of(4, 1, 12);
    struct sim *sim = sim_new(&options);
    uint8_t blind[RN_HASH_BYTES];
    uint8_t other[RN_HASH_BYTES];
    rn_sa_params_hash(blind, &sim->params, &sim->context);
    sim->context.group_hash[31] ^= 1;
    rn_sa_params_hash(other, &sim->params, &sim->context);
    assert_memory_not_equal(blind, other, RN_HASH_BYTES);
    sim->context.blind = false;
    assert_int_equal(rn_sa_context_check(&sim->params, &sim->context, NULL).code, RN_E_CONFIG);
    memset(sim->context.group_hash, 0, RN_HASH_BYTES);
    rn_sa_params_hash(other, &sim->params, &sim->context);
    sim->context.blind = true;
    rn_sa_params_hash(blind, &sim->params, &sim->context);
    assert_memory_not_equal(blind, other, RN_HASH_BYTES);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_has_the_sum),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_bad_network_and_restarts),
        cmocka_unit_test(test_coordinator_never_holds_the_sum),
        cmocka_unit_test(test_low_bits_of_even_cohorts),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_another_document),
        cmocka_unit_test(test_key_and_job_fit),
        cmocka_unit_test(test_params_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
