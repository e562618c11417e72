/* SPDX-License-Identifier: Apache-2.0
 *
 * Poisson sampling: the threshold to the last bit, inclusion rates, independence, the cut to a
 * uniform subset. Statistics of fixed streams: gates at p = 1e-6.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/privacy/dp.h"

/* Words from a list first, then from a generator. */
struct source {
    const uint64_t *list;
    size_t left;
    uint64_t next;
};

static void words(void *context, size_t n, uint64_t *out)
{
    struct source *source = context;
    const struct rn_generator generator = rn_generator_of(9, "uniform");
    for (size_t i = 0; i < n; i++) {
        uint32_t four[4];
        if (source->left > 0) {
            out[i] = *source->list++;
            source->left--;
            continue;
        }
        rn_generator_words(&generator, source->next++, 0, four);
        out[i] = (uint64_t)four[0] << 32 | four[1];
    }
}

static void thresholds(void **state)
{
    (void)state;
    assert_true(rn_dp_threshold(1.0) == UINT64_MAX);
    assert_true(rn_dp_threshold(0.5) == UINT64_C(1) << 63);
    assert_true(rn_dp_threshold(0x1p-64) == 1);
    assert_true(rn_dp_threshold(0x1p-70) == 1);
    assert_true(rn_dp_threshold(1.0 - 0x1p-53) == UINT64_MAX - 2047);
    assert_true(rn_dp_threshold(0.1) == UINT64_C(0x1999999999999a00));
}

static void threshold_is_exact(void **state)
{
    (void)state;
    static const uint64_t list[] = {999, 1000, 1001, 0, UINT64_MAX};
    uint32_t chosen[5];
    struct source source = {list, 5, 0};
    struct rn_dp_spec spec = {.threshold = 1000, .context = &source, .uniform = words};
    assert_int_equal(rn_dp_choose(&spec, 5, 5, chosen), 2);
    assert_int_equal(chosen[0], 0);
    assert_int_equal(chosen[1], 3);
    source = (struct source){list, 5, 0};
    spec.threshold = 1;
    assert_int_equal(rn_dp_choose(&spec, 5, 5, chosen), 1);
    source = (struct source){list, 5, 0};
    spec.threshold = UINT64_MAX; /* every record, the greatest word too */
    assert_int_equal(rn_dp_choose(&spec, 5, 5, chosen), 5);
    assert_int_equal(rn_dp_choose(&spec, 0, 5, chosen), 0);
}

/* privacy case 18. 600 records (more than one piece of words), 20000 draws at 0.1. */
static void rates_and_pairs(void **state)
{
    (void)state;
    enum { RECORDS = 600, DRAWS = 20000 };
    static uint32_t chosen[RECORDS];
    static uint32_t times[RECORDS];
    struct source source = {0};
    const struct rn_dp_spec spec = {
        .threshold = rn_dp_threshold(0.1), .context = &source, .uniform = words};
    double square = 0.0;
    uint32_t pairs = 0;
    uint32_t again = 0;
    bool before = false;
    for (int d = 0; d < DRAWS; d++) {
        const size_t count = rn_dp_choose(&spec, RECORDS, RECORDS, chosen);
        bool last = false;
        bool first = false;
        for (size_t i = 0; i < count; i++) {
            times[chosen[i]]++;
            first = first || chosen[i] == 0;
            last = last || chosen[i] == RECORDS - 1;
        }
        pairs += first && last;
        again += first && before;
        before = first;
        square += pow((double)count - 60.0, 2.0);
    }
    const double deviation = sqrt(DRAWS * 0.1 * 0.9);
    for (size_t i = 0; i < RECORDS; i++) { /* 600 records: 6 deviations */
        assert_true(fabs((double)times[i] - DRAWS * 0.1) < 6.0 * deviation);
    }
    assert_true(fabs((double)pairs - DRAWS * 0.01) < 5.0 * sqrt(DRAWS * 0.01));
    assert_true(fabs((double)again - DRAWS * 0.01) < 5.0 * sqrt(DRAWS * 0.01));
    assert_true(fabs(square / DRAWS / (600 * 0.1 * 0.9) - 1.0) < 5.0 * sqrt(2.0 / DRAWS));
}

/* Every 2 of 5, in every order, is as likely. */
static void cut_is_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    uint32_t seen[5][5] = {{0}};
    uint32_t chosen[5];
    struct source source = {0};
    const struct rn_dp_spec spec = {.threshold = UINT64_MAX, .context = &source, .uniform = words};
    for (int d = 0; d < DRAWS; d++) {
        assert_int_equal(rn_dp_choose(&spec, 5, 2, chosen), 5);
        assert_true(chosen[0] != chosen[1]);
        seen[chosen[0]][chosen[1]]++;
    }
    double chi = 0.0;
    for (size_t i = 0; i < 25; i++) {
        const double want = i / 5 == i % 5 ? 0.0 : DRAWS / 20.0;
        chi += want == 0.0 ? 0.0 : pow(seen[i / 5][i % 5] - want, 2.0) / want;
    }
    assert_true(chi < 64.0); /* 19 degrees of freedom, p = 1e-6 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds),
        cmocka_unit_test(threshold_is_exact),
        cmocka_unit_test(rates_and_pairs),
        cmocka_unit_test(cut_is_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
