/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is in a batch of DP-SGD, drawn from ChaCha20 as in a real run, under fixed keys: Poisson
 * sampling at every threshold, random allocation, the cut to the cap. Statistics at p = 1e-6 or
 * rarer. RONDO_LONG: ten times as many draws.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "trainer/privacy/dp.h"

static void words(void *context, size_t n, uint64_t *out)
{
    rn_stream_words(context, out, n);
}

static struct rn_stream stream_of(uint8_t byte)
{
    struct rn_secret32 key;
    struct rn_stream stream;
    memset(key.bytes, byte, sizeof(key.bytes));
    rn_stream_init(&stream, &key);
    return stream;
}

static size_t times_longer(size_t draws)
{
    return getenv("RONDO_LONG") != NULL ? 10 * draws : draws;
}

/* Wilson and Hilferty: the normal deviate of a chi-square value. */
static double chi_deviate(double chi, double freedom)
{
    const double spread = 2.0 / (9.0 * freedom);
    return (cbrt(chi / freedom) - (1.0 - spread)) / sqrt(spread);
}

/* Cells that should be equally full. */
static void assert_even(const double *cells, size_t count)
{
    double total = 0.0;
    double chi = 0.0;
    for (size_t i = 0; i < count; i++) {
        total += cells[i];
    }
    const double want = total / (double)count;
    for (size_t i = 0; i < count; i++) {
        chi += (cells[i] - want) * (cells[i] - want) / want;
    }
    assert_true(want >= 20.0);
    assert_true(fabs(chi_deviate(chi, (double)count - 1.0)) < 5.0);
}

/* privacy case 18: rates to the last bit. The least threshold takes 0 alone, the greatest
 * everything, the one below all but the two greatest words. */
static void thresholds_are_exact(void **state)
{
    (void)state;
    static const uint64_t thresholds[] = {1, 2, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
    for (size_t t = 0; t < sizeof(thresholds) / sizeof(thresholds[0]); t++) {
        const uint64_t edge = thresholds[t];
        const bool all = edge == UINT64_MAX;
        struct rn_stream stream = stream_of((uint8_t)(40 + t));
        struct rn_dp_spec spec = {.threshold = edge, .context = &stream, .uniform = words};
        uint32_t chosen[1000];
        uint64_t drawn[1000];
        const size_t count = rn_dp_choose(&spec, 1000, 1000, chosen);
        rn_stream_seek(&stream, 0); /* a record is in by its own word and nothing else */
        words(&stream, 1000, drawn);
        size_t at = 0;
        for (uint32_t i = 0; i < 1000; i++) {
            if (all || drawn[i] < edge) {
                assert_true(at < count && chosen[at] == i);
                at++;
            }
        }
        assert_int_equal(at, count);
    }
}

/* privacy case 18: every pair of 40 records, at four rates; the size's mean and variance; a record
 * in one step and the next. */
static void poisson_records_are_independent(void **state)
{
    (void)state;
    enum { RECORDS = 40 };
    static const double rates[] = {0.5, 0.1, 0.9, 1.0 / 3.0};
    const size_t draws = times_longer(20000);
    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        const double q = rates[r];
        const double n = (double)draws;
        static double both[RECORDS][RECORDS];
        struct rn_stream stream = stream_of((uint8_t)(60 + r));
        const struct rn_dp_spec spec = {
            .threshold = rn_dp_threshold(q), .context = &stream, .uniform = words};
        bool before[RECORDS] = {false};
        double again = 0.0;
        double square = 0.0;
        memset(both, 0, sizeof(both));
        for (size_t d = 0; d < draws; d++) {
            uint32_t chosen[RECORDS];
            bool now[RECORDS] = {false};
            const size_t count = rn_dp_choose(&spec, RECORDS, RECORDS, chosen);
            for (size_t i = 0; i < count; i++) {
                now[chosen[i]] = true;
                again += before[chosen[i]];
                for (size_t j = 0; j <= i; j++) {
                    both[chosen[i]][chosen[j]] += 1.0;
                }
            }
            memcpy(before, now, sizeof(before));
            square += pow((double)count - RECORDS * q, 2.0);
        }
        for (size_t i = 0; i < RECORDS; i++) { /* 820 cells: 6 deviations */
            assert_true(fabs(both[i][i] - n * q) < 6.0 * sqrt(n * q * (1.0 - q)));
            for (size_t j = 0; j < i; j++) {
                assert_true(fabs(both[i][j] - n * q * q) < 6.0 * sqrt(n * q * q * (1.0 - q * q)));
            }
        }
        /* RECORDS (draws - 1) products of two; neighbours in time share a factor: below twice */
        assert_true(fabs(again - RECORDS * (n - 1.0) * q * q) <
                    5.0 * sqrt(2.0 * RECORDS * n * q * q));
        assert_true(fabs(square / (n * RECORDS * q * (1.0 - q)) - 1.0) < 5.0 * sqrt(2.1 / n));
    }
}

static struct rn_dp_allocation drawn(struct rn_stream *stream, uint32_t picks, size_t records,
                                     uint32_t steps)
{
    const struct rn_dp_spec spec = {
        .sampling = RN_DP_ALLOCATION, .picks = picks, .context = stream, .uniform = words};
    struct rn_dp_allocation out;
    struct rn_error err;
    assert_true(rn_is_ok(rn_dp_allocation_draw(&spec, records, steps, &out, &err)));
    return out;
}

/* Each record in exactly k of t steps, never twice in one; the lists ascend. */
static void every_record_has_its_picks(void **state)
{
    (void)state;
    static const struct {
        uint32_t picks, steps;
        size_t records;
    } cases[] = {{1, 1, 1},  {1, 1, 700}, {1, 9, 700}, {3, 9, 700},  {8, 9, 701},
                 {9, 9, 99}, {2, 500, 3}, {5, 6, 0},   {1, 4000, 1}, {64, 64, 16384}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct rn_stream stream = stream_of((uint8_t)c);
        struct rn_dp_allocation all =
            drawn(&stream, cases[c].picks, cases[c].records, cases[c].steps);
        uint32_t *times = rn_alloc(cases[c].records, sizeof(*times));
        assert_int_equal(all.steps, cases[c].steps);
        assert_int_equal(all.first[0], 0);
        for (uint32_t s = 0; s < all.steps; s++) {
            assert_true(all.first[s] <= all.first[s + 1]);
            for (size_t i = all.first[s]; i < all.first[s + 1]; i++) {
                assert_true(all.records[i] < cases[c].records);
                assert_true(i == all.first[s] || all.records[i] > all.records[i - 1]);
                times[all.records[i]]++;
            }
        }
        for (size_t i = 0; i < cases[c].records; i++) {
            assert_int_equal(times[i], cases[c].picks);
        }
        rn_free(times);
        rn_dp_allocation_clear(&all);
        assert_null(all.first);
    }
}

/* The steps of each record as a set of bits. */
static void sets_of(const struct rn_dp_allocation *all, size_t records, uint32_t *out)
{
    memset(out, 0, records * sizeof(*out));
    for (uint32_t s = 0; s < all->steps; s++) {
        for (size_t i = all->first[s]; i < all->first[s + 1]; i++) {
            out[all->records[i]] |= 1u << s;
        }
    }
}

/* Number of a set of k of t steps among all of them, in the order of their bits. */
static size_t number_of(uint32_t set, uint32_t picks)
{
    size_t number = 0;
    for (uint32_t other = 0; other < set; other++) {
        number += (uint32_t)__builtin_popcount(other) == picks;
    }
    return number;
}

/* Every set of k of t steps is as likely: all sets are counted. */
static void every_set_is_as_likely(void **state)
{
    (void)state;
    static const struct {
        uint32_t picks, steps, sets;
    } cases[] = {{1, 6, 6}, {2, 5, 10}, {3, 7, 35}, {6, 8, 28}, {4, 8, 70}};
    const size_t records = times_longer(20000);
    uint32_t *sets = rn_alloc(records, sizeof(*sets));
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        double seen[70] = {0};
        struct rn_stream stream = stream_of((uint8_t)(20 + c));
        struct rn_dp_allocation all = drawn(&stream, cases[c].picks, records, cases[c].steps);
        sets_of(&all, records, sets);
        for (size_t i = 0; i < records; i++) {
            seen[number_of(sets[i], cases[c].picks)] += 1.0;
        }
        assert_even(seen, cases[c].sets);
        rn_dp_allocation_clear(&all);
    }
    rn_free(sets);
}

/* Two records, as neighbours in the data and over two trainings with one stream: each pair of sets
 * is as likely. */
static void allocated_records_are_independent(void **state)
{
    (void)state;
    const size_t records = times_longer(40000);
    uint32_t *sets[2] = {rn_alloc(records, sizeof(uint32_t)), rn_alloc(records, sizeof(uint32_t))};
    double neighbours[36] = {0};
    double trainings[36] = {0};
    struct rn_stream stream = stream_of(33);
    for (int t = 0; t < 2; t++) {
        struct rn_dp_allocation all = drawn(&stream, 2, records, 4);
        sets_of(&all, records, sets[t]);
        rn_dp_allocation_clear(&all);
    }
    for (size_t i = 0; i < records; i++) {
        trainings[number_of(sets[0][i], 2) * 6 + number_of(sets[1][i], 2)] += 1.0;
        if (i % 2 == 1) {
            neighbours[number_of(sets[0][i - 1], 2) * 6 + number_of(sets[0][i], 2)] += 1.0;
        }
    }
    assert_even(neighbours, 36);
    assert_even(trainings, 36);
    rn_free(sets[0]);
    rn_free(sets[1]);
}

/* A step with more records than the cap keeps a uniform subset; with fewer, all. */
static void allocated_batches_are_cut(void **state)
{
    (void)state;
    enum { RECORDS = 9 };
    double seen[36] = {0};
    struct rn_stream stream = stream_of(34);
    const struct rn_dp_spec spec = {
        .sampling = RN_DP_ALLOCATION, .picks = 3, .context = &stream, .uniform = words};
    struct rn_dp_allocation all = drawn(&stream, 3, RECORDS, 3);
    for (size_t d = 0; d < times_longer(20000); d++) {
        uint32_t chosen[RECORDS];
        assert_int_equal(rn_dp_allocation_choose(&spec, &all, (uint32_t)(d % 3), 2, chosen), 9);
        assert_true(chosen[0] != chosen[1]);
        seen[number_of(1u << chosen[0] | 1u << chosen[1], 2)] += 1.0;
    }
    assert_even(seen, 36);
    uint32_t whole[RECORDS];
    assert_int_equal(rn_dp_allocation_choose(&spec, &all, 2, RECORDS, whole), RECORDS);
    for (uint32_t i = 0; i < RECORDS; i++) {
        assert_int_equal(whole[i], i);
    }
    rn_dp_allocation_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_are_exact),
        cmocka_unit_test(poisson_records_are_independent),
        cmocka_unit_test(every_record_has_its_picks),
        cmocka_unit_test(every_set_is_as_likely),
        cmocka_unit_test(allocated_records_are_independent),
        cmocka_unit_test(allocated_batches_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
