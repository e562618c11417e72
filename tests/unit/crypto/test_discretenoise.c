/* SPDX-License-Identifier: Apache-2.0
 *
 * Discrete Gaussian noise: cells against their exact probabilities where the grid shows, moments of
 * the sum of shares at the size that trainings use, bound, keys. Fixed keys; gates at p = 1e-6 or
 * rarer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/discretenoise.h"

static void draw(uint8_t key_byte, size_t n, uint32_t deviation, int64_t *out)
{
    struct rn_secret32 key;
    RN_CLEANUP(rn_discrete_noise_clear) struct rn_discrete_noise noise;
    memset(key.bytes, key_byte, sizeof key.bytes);
    rn_discrete_noise_init(&noise, &key);
    rn_discrete_noise_draw(&noise, n, deviation, out);
}

/* Wilson and Hilferty: the normal deviate of a chi-square value. */
static double chi_deviate(double chi, double freedom)
{
    const double spread = 2.0 / (9.0 * freedom);
    return (cbrt(chi / freedom) - (1.0 - spread)) / sqrt(spread);
}

enum { N = 1000000, REACH = 200 };

static double mass(int k, double s)
{
    double total = 0;
    for (int i = -REACH; i <= REACH; i++) {
        total += exp(-(double)i * i / (2 * s * s));
    }
    return exp(-(double)k * k / (2 * s * s)) / total;
}

/* Cells with at least 10 expected draws each, all others together. */
static double chi_of(const double seen[2 * REACH + 1], double s, double *out_freedom)
{
    double chi = 0;
    double rest_seen = N;
    double rest_expected = N;
    *out_freedom = 0;
    for (int k = -REACH; k <= REACH; k++) {
        const double expected = N * mass(k, s);
        if (expected >= 10) {
            const double far = seen[k + REACH] - expected;
            chi += far * far / expected;
            rest_seen -= seen[k + REACH];
            rest_expected -= expected;
            *out_freedom += 1;
        }
    }
    if (rest_expected >= 1) {
        chi += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
        return chi;
    }
    *out_freedom -= 1;
    return chi;
}

/* privacy case 20: at deviation 1 the mass of 0 is 0.3989423 and of 1 0.2419707, where a rounded
 * Gaussian has 0.3829249 and 0.2417303. */
static void cells_have_their_probabilities(void **state)
{
    (void)state;
    static const uint32_t deviations[] = {1, 2, 3, 5, 10};
    int64_t *x = rn_alloc(N, sizeof *x);
    assert_true(fabs(mass(0, 1) - 0.3989423) < 1e-7 && fabs(mass(1, 1) - 0.2419707) < 1e-7);
    for (size_t d = 0; d < RN_ARRAY_LENGTH(deviations); d++) {
        double seen[2 * REACH + 1] = {0};
        double freedom;
        draw((uint8_t)(d + 1), N, deviations[d], x);
        for (size_t i = 0; i < N; i++) {
            assert_true(x[i] >= -REACH && x[i] <= REACH);
            seen[x[i] + REACH] += 1;
        }
        const double chi = chi_of(seen, deviations[d], &freedom);
        assert_true(fabs(chi_deviate(chi, freedom)) < 4.9);
    }
    rn_free(x);
}

/* Mean, variance and fourth moment in units of the deviation, within 4.9 of their own deviations;
 * the Gaussian's to 2^-40 at these sizes. */
static void assert_moments(const int64_t *x, size_t n, double deviation)
{
    double sums[5] = {0};
    for (size_t i = 0; i < n; i++) {
        const double z = (double)x[i] / deviation;
        sums[1] += z;
        sums[2] += z * z;
        sums[4] += z * z * z * z;
    }
    const double root = sqrt((double)n);
    assert_true(fabs(sums[1] / (double)n) < 4.9 / root);
    assert_true(fabs(sums[2] / (double)n - 1) < 4.9 * sqrt(2) / root);
    assert_true(fabs(sums[4] / (double)n - 3) < 4.9 * sqrt(96) / root);
}

/* privacy case 30: what the honest members of a sum add together, at the size of a training. */
static void shares_add_to_their_variance(void **state)
{
    (void)state;
    enum { MEMBERS = 5, HONEST = 3, DRAWS = 200000 };
    const uint32_t share = (uint32_t)ceil(1.3 * 0x1p20 / sqrt(HONEST));
    int64_t *sum = rn_alloc(DRAWS, sizeof *sum);
    int64_t *one = rn_alloc(DRAWS, sizeof *one);
    for (uint8_t member = 0; member < MEMBERS; member++) {
        draw((uint8_t)(100 + member), DRAWS, share, one);
        assert_moments(one, DRAWS, share);
        for (size_t i = 0; i < DRAWS; i++) {
            assert_true(one[i] <= (int64_t)RN_DISCRETE_NOISE_REACH * share &&
                        one[i] >= -(int64_t)RN_DISCRETE_NOISE_REACH * share);
            sum[i] += one[i];
        }
        if (member + 1 == HONEST) { /* the others are lost, or tell their noise */
            assert_moments(sum, DRAWS, share * sqrt(HONEST));
            assert_true(share * sqrt(HONEST) >= 1.3 * 0x1p20);
        }
    }
    assert_moments(sum, DRAWS, share * sqrt(MEMBERS));
    rn_free(sum);
    rn_free(one);
}

static void a_key_gives_its_draws(void **state)
{
    (void)state;
    int64_t a[300];
    int64_t b[300];
    draw(7, 300, RN_DISCRETE_NOISE_DEVIATION_MAX, a);
    draw(7, 300, RN_DISCRETE_NOISE_DEVIATION_MAX, b);
    assert_memory_equal(a, b, sizeof a);
    assert_moments(a, 300, RN_DISCRETE_NOISE_DEVIATION_MAX);
    draw(8, 300, RN_DISCRETE_NOISE_DEVIATION_MAX, b);
    size_t same = 0;
    for (size_t i = 0; i < 300; i++) {
        same += a[i] == b[i];
    }
    assert_int_equal(same, 0);
}

/* privacy case 21 */
static void a_fork_does_not_repeat_noise(void **state)
{
    (void)state;
    struct rn_secret32 key = {{1}};
    RN_CLEANUP(rn_discrete_noise_clear) struct rn_discrete_noise noise;
    int64_t x;
    int status = 0;
    rn_discrete_noise_init(&noise, &key);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        rn_discrete_noise_draw(&noise, 1, 5, &x);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_have_their_probabilities),
        cmocka_unit_test(shares_add_to_their_variance),
        cmocka_unit_test(a_key_gives_its_draws),
        cmocka_unit_test(a_fork_does_not_repeat_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
