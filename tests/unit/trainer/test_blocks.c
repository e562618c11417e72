/* SPDX-License-Identifier: Apache-2.0
 *
 * The cut of a batch into blocks: it covers the batch in order, keeps the limits, and is even.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"

#include "tests/unit/trainer/goldenmodel.h"

#define MOST 512 /* tokens a block */

struct bench {
    struct rn_kernels table;
    struct rn_lanes lanes;
    bool plain;
    struct rn_example examples[2048];
    uint32_t first[2049];
};

static struct bench bench_of(uint32_t lanes)
{
    struct bench b = {.table = *rn_kernels_cpu()};
    b.table.block_tokens = MOST;
    b.table.lanes_max = lanes;
    return b;
}

static uint32_t cut(struct bench *b, uint32_t count)
{
    const struct rn_trainer_switches switches = {.plain_batches = b->plain};
    b->lanes.kernels = &b->table;
    b->lanes.options = rn_pass_options_for(&b->table, 128, &switches);
    return rn_blocks_cut(&b->lanes, b->examples, count, b->first);
}

static uint32_t tokens_of(const struct bench *b, uint32_t block)
{
    uint32_t tokens = 0;
    for (uint32_t i = b->first[block]; i < b->first[block + 1]; i++) {
        tokens += b->examples[i].length;
    }
    return tokens;
}

/* Lengths 5 .. 128, short ones more often. */
static void put_lengths(struct bench *b, uint32_t count, uint32_t seed)
{
    uint64_t x = seed;
    for (uint32_t i = 0; i < count; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const uint32_t u = (uint32_t)(x >> 33) % 1000;
        b->examples[i].length = 5 + u * u / 8200;
    }
}

static void covers_within_the_limits(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 7, 32, 100, 513, 2048};
    for (uint32_t c = 0; c < RN_ARRAY_LENGTH(counts); c++) {
        for (uint32_t lanes = 1; lanes <= 2; lanes++) {
            struct bench b = bench_of(lanes);
            put_lengths(&b, counts[c], 7 + c);
            for (int plain = 0; plain < 2; plain++) {
                b.plain = plain == 1;
                const uint32_t blocks = cut(&b, counts[c]);
                assert_in_range(blocks, 1, counts[c]);
                assert_int_equal(b.first[0], 0);
                assert_int_equal(b.first[blocks], counts[c]);
                for (uint32_t i = 0; i < blocks; i++) {
                    assert_in_range(b.first[i + 1] - b.first[i], 1, RN_BLOCK_SEQUENCES_MAX);
                    assert_in_range(tokens_of(&b, i), 1, MOST);
                }
            }
        }
    }
}

static void equal_examples_make_equal_blocks(void **state)
{
    (void)state;
    struct bench b = bench_of(2);
    for (uint32_t i = 0; i < 32; i++) {
        b.examples[i].length = 128;
    }
    const uint32_t blocks = cut(&b, 32);
    assert_int_equal(blocks, 8);
    for (uint32_t i = 0; i < blocks; i++) {
        assert_int_equal(tokens_of(&b, i), 512);
    }
    for (uint32_t i = 0; i < 32; i++) {
        b.examples[i].length = 32;
    }
    assert_int_equal(cut(&b, 32), 4);
    assert_int_equal(tokens_of(&b, 3), 256);
}

/* No bound is further from its even place than half the longest example. */
static void blocks_are_even(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 50; seed++) {
        struct bench b = bench_of(2);
        put_lengths(&b, 32, seed);
        const uint32_t blocks = cut(&b, 32);
        uint32_t least = UINT32_MAX;
        uint32_t most = 0;
        for (uint32_t i = 0; i < blocks; i++) {
            const uint32_t tokens = tokens_of(&b, i);
            least = tokens < least ? tokens : least;
            most = tokens > most ? tokens : most;
        }
        assert_int_equal(blocks % 4, 0);
        assert_true(most - least <= 2 * 128);
    }
}

static void one_lane_gets_one_block(void **state)
{
    (void)state;
    struct bench b = bench_of(1);
    for (uint32_t i = 0; i < 33; i++) {
        b.examples[i].length = 16;
    }
    b.examples[31].length = 16;
    assert_int_equal(cut(&b, 32), 1); /* 512 tokens: at the limit */
    assert_int_equal(cut(&b, 33), 2);
}

static void plain_blocks_are_full(void **state)
{
    (void)state;
    struct bench b = bench_of(2);
    b.plain = true;
    for (uint32_t i = 0; i < 40; i++) {
        b.examples[i].length = 30;
    }
    assert_int_equal(cut(&b, 40), 3);
    assert_int_equal(b.first[1], 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_within_the_limits),
        cmocka_unit_test(equal_examples_make_equal_blocks),
        cmocka_unit_test(blocks_are_even),
        cmocka_unit_test(one_lane_gets_one_block),
        cmocka_unit_test(plain_blocks_are_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
