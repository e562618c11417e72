/* SPDX-License-Identifier: Apache-2.0
 *
 * Noise in shares: the papers' bounds against exact sums in one dimension, and against what
 * google-research/federated's formulas give; shares that telescope.
 */
#include "policy/accountant/noiseshares.h"

#include "base/guard.h"
#include "policy/accountant/accountant.h"
#include "policy/accountant/normal.h"
#include "policy/accountant/rdp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        print_error("%.17g is not %.17g\n", got, want);
        fail();
    }
}

/* ---- Exact sums in one dimension ---- */

#define HALF 400
#define WIDTH (2 * HALF + 1)

static void convolve(double *sum, const double *one)
{
    double out[WIDTH] = {0};

    for (int i = -HALF; i <= HALF; i++) {
        for (int j = -HALF; j <= HALF; j++) {
            if (i + j >= -HALF && i + j <= HALF) {
                out[i + j + HALF] += sum[i + HALF] * one[j + HALF];
            }
        }
    }
    memcpy(sum, out, sizeof out);
}

static void normalise(double *mass)
{
    double total = 0;
    for (int i = 0; i < WIDTH; i++) {
        total += mass[i];
    }
    for (int i = 0; i < WIDTH; i++) {
        mass[i] /= total;
    }
}

/* Divergence between the masses and themselves moved by `far`; what underflows is left out of
 * both. */
static double exact_rdp(const double *mass, int far, double order)
{
    double sum = 0;

    for (int i = far; i < WIDTH; i++) {
        if (mass[i] > 1e-280 && mass[i - far] > 1e-280) {
            sum += exp(order * log(mass[i - far]) + (1 - order) * log(mass[i]));
        }
    }
    return log(sum) / (order - 1);
}

static void discrete_gaussians(double *sum, uint32_t shares, double deviation)
{
    double one[WIDTH];

    for (int i = -HALF; i <= HALF; i++) {
        one[i + HALF] = exp(-i * i / (2 * deviation * deviation));
    }
    normalise(one);
    memcpy(sum, one, sizeof one);
    for (uint32_t k = 1; k < shares; k++) {
        convolve(sum, one);
    }
}

/* A difference of two Poisson counts of mean variance / 2. */
static void skellam(double *sum, double variance)
{
    double less[WIDTH] = {0};
    double mass = exp(-variance / 2);

    memset(sum, 0, WIDTH * sizeof *sum);
    for (int k = 0; k <= HALF; k++) {
        sum[HALF + k] = mass;
        less[HALF - k] = mass;
        mass *= variance / 2 / (k + 1);
    }
    convolve(sum, less);
}

static void bounds_hold_of_exact_sums(void **state)
{
    double mass[WIDTH];

    (void)state;
    for (int far = 1; far <= 3; far++) {
        const struct rn_shares_query query = {far, far, 1};
        for (uint32_t shares = 1; shares <= 5; shares += 2) {
            for (double deviation = 0.5; deviation < 2; deviation += 0.5) {
                discrete_gaussians(mass, shares, deviation);
                for (double order = 1.5; order < 7; order += 2.5) {
                    const double bound = rn_shares_ddgauss_rdp(&query, shares, deviation, order);
                    const double exact = exact_rdp(mass, far, order);
                    assert_true(exact <= bound * (1 + 1e-9));
                    /* five shares of 1.5 are a discrete Gaussian but for 1e-8 */
                    assert_true(deviation < 1.5 || exact >= bound * 0.999);
                }
            }
        }
        for (double variance = 1; variance < 120; variance *= 3) {
            skellam(mass, variance);
            for (uint32_t order = 2; order < 12; order += 3) {
                const double bound = rn_shares_skellam_rdp(&query, variance, order);
                const double exact = exact_rdp(mass, far, order);
                assert_true(exact <= bound * (1 + 1e-9));
                assert_true(variance < 80 || exact >= bound * 0.9);
            }
        }
    }
}

/* ---- Values ---- */

/* privacy case 9: ten shares. */
static void tau_is_the_papers(void **state)
{
    (void)state;
    assert_near(rn_shares_ddgauss_tau(10, 0.5), 2.34532531924677, 1e-12);
    assert_near(rn_shares_ddgauss_tau(10, 1), 5.43524258162e-4, 1e-11);
    assert_near(rn_shares_ddgauss_tau(10, 2), 7.157179647609258e-17, 1e-12);
    assert_near(rn_shares_ddgauss_tau(10, 4), 2.6240029600772444e-68, 1e-12);
    assert_true(rn_shares_ddgauss_tau(1, 0.5) == 0);
    assert_true(rn_shares_ddgauss_tau(5, 65536) == 0);
}

static void rounding_moves_norms(void **state)
{
    const double beta = exp(-0.5);

    (void)state;
    assert_near(rn_shares_rounded_norm2(1000, 1024, beta), 1000.6357978805275, 1e-14);
    assert_near(rn_shares_rounded_norm2(65536, 4e6, beta), 65544.13651883745, 1e-14);
    assert_near(rn_shares_rounded_norm2(1, 1, 1e-10), 2, 1e-14); /* the plain bound */
    assert_near(rn_shares_norm1(10, 9), 30, 1e-15);
    assert_near(rn_shares_norm1(2, 1e6), 4, 1e-15);
}

struct session {
    struct rn_shares_query query;
    uint32_t shares;
    double deviation;
    bool skellam;
};

static double session_rdp(const void *context, uint32_t order)
{
    const struct session *session = context;
    if (session->skellam) {
        const double variance = session->shares * session->deviation * session->deviation;
        return rn_shares_skellam_rdp(&session->query, variance, order);
    }
    return rn_shares_ddgauss_rdp(&session->query, session->shares, session->deviation, order);
}

/* 20 steps, five parties, 100,000 dimensions, clip 1 at 2^bits of the grid. */
static double session_epsilon(int bits, bool of_skellam)
{
    const double scale = ldexp(1, bits);
    struct session session = {{0, rn_shares_rounded_norm2(scale, 1e5, exp(-0.5)), 1e5},
                              5,
                              rn_shares_deviation(sqrt(5) * scale, 5),
                              of_skellam};
    double least = INFINITY;

    session.query.norm1 = rn_shares_norm1(session.query.norm2, 1e5);
    for (uint32_t order = 2; order < 100; order++) {
        least = fmin(least, rn_rdp_to_epsilon(20 * session_rdp(&session, order), order, 1e-5));
    }
    return least;
}

/* privacy case 9; on a coarse grid the two bounds differ in the seventh digit. */
static void epsilon_is_the_reference_codes(void **state)
{
    (void)state;
    assert_near(session_epsilon(16, false), 10.80181817825636, 1e-13);
    assert_near(session_epsilon(16, true), 10.801818178490546, 1e-13);
    assert_near(session_epsilon(10, false), 10.951506737399587, 1e-13);
    assert_near(session_epsilon(10, true), 10.951508072683474, 1e-13);
}

/* ---- Sampling ---- */

static double gaussian_rdp(const void *context, uint32_t order)
{
    const double noise = *(const double *)context;
    return order / (2 * noise * noise);
}

/* The price of the factor of 3, and its two ends. */
static void sampling_of_anything_costs_more(void **state)
{
    double least = INFINITY;
    double exact = INFINITY;
    double noise = 3;

    (void)state;
    for (uint32_t order = 2; order < 200; order++) {
        const double any = rn_shares_sampled_rdp(gaussian_rdp, &noise, .01, order);
        const struct rn_privacy_event event = {
            .kind = RN_PRIVACY_POISSON, .rate = .01, .noise = 3, .count = 1};
        double gaussian;
        assert_true(rn_rdp_event(&event, order, &gaussian) && gaussian <= any * (1 + 1e-9));
        least = fmin(least, rn_rdp_to_epsilon(1000 * any, order, 1e-5));
        exact = fmin(exact, rn_rdp_to_epsilon(1000 * gaussian, order, 1e-5));
    }
    assert_near(least, 0.6655374056, 1e-9);
    assert_near(exact, 0.419, 2e-3);
    assert_near(rn_shares_sampled_rdp(gaussian_rdp, &noise, 1, 7), 7.0 / 18, 1e-15);
    assert_near(rn_shares_sampled_rdp(gaussian_rdp, &noise, .999, RN_SHARES_ORDER_MAX),
                RN_SHARES_ORDER_MAX / 18.0, 1e-15);
    assert_true(rn_shares_sampled_rdp(gaussian_rdp, &noise, 1e-12, 2) < 1e-15);
    noise = 1e-200; /* infinite divergence */
    assert_true(rn_shares_sampled_rdp(gaussian_rdp, &noise, .5, 9) == INFINITY);
}

/* ---- Parties ---- */

/* privacy case 9: whatever is lost, survivors keep the whole; and every component is noise. */
static void components_telescope(void **state)
{
    (void)state;
    for (uint32_t parties = 1; parties <= 130; parties++) {
        double kept = 0;
        for (uint32_t lost = 0; lost < parties; lost++) {
            const double component = rn_shares_xnoise_component(4, parties, lost);
            assert_true(component > 0);
            kept += component;
            assert_near((parties - lost) * kept, 4, 1e-13);
        }
    }
}

/* Sigma 2 over 50 steps, five parties; intact, one lost, two lost. */
static void lost_parties_cost(void **state)
{
    static const double want[] = {20.68, 24.00, 29.18};

    (void)state;
    for (uint32_t lost = 0; lost < 3; lost++) {
        const double share = rn_shares_deviation(2, 5);
        const double noise = share * sqrt(5 - lost);
        assert_near(rn_gauss_epsilon(sqrt(50) / noise, 1e-5), want[lost], 3e-4);
    }
}

/* ---- As an event, at any order ---- */

static struct rn_privacy_event shared_event(double rate)
{
    return (struct rn_privacy_event){.kind = RN_PRIVACY_SHARED,
                                     .count = 20,
                                     .rate = rate,
                                     .share = ceil(2.0 / sqrt(3) * 0x1p20),
                                     .shares = 3,
                                     .grid = 0x1p20,
                                     .dimension = 1e6};
}

static double rdp_at(const struct rn_privacy_event *event, double order)
{
    double rdp;
    assert_true(rn_rdp_event(event, order, &rdp));
    return rdp;
}

/* Without sampling it is the Gaussian of all shares together; with it, whole orders are the bound's
 * own, what lies between keeps under the chord and above the Gaussian, and beyond the last order
 * nothing is claimed for sampling. */
static void shared_steps_have_every_order(void **state)
{
    (void)state;
    const struct rn_privacy_event all = shared_event(1);
    const struct rn_privacy_event some = shared_event(.05);
    const double total = all.share * sqrt(3) / 0x1p20;
    const struct rn_privacy_event gaussian = {
        .kind = RN_PRIVACY_POISSON, .count = 20, .rate = .05, .noise = total};
    for (double order = 1.1; order < 200; order *= 1.07) {
        assert_near(rdp_at(&all, order), 20 * order / (2 * total * total), 1e-12);
        assert_true(rdp_at(&some, order) <= rdp_at(&all, order));
        assert_true(rdp_at(&some, order) >= rdp_at(&gaussian, order) * (1 - 1e-9));
    }
    for (double order = 2; order < 8; order++) {
        const double chord =
            ((order - 1) * rdp_at(&some, order) + order * rdp_at(&some, order + 1)) / 2;
        assert_near((order - .5) * rdp_at(&some, order + .5), chord, 1e-12);
    }
    assert_near(rdp_at(&some, RN_SHARES_ORDER_MAX + 1), rdp_at(&all, RN_SHARES_ORDER_MAX + 1), 0);
}

/* RDP alone speaks of it, and of nothing out of range. */
static void shared_steps_are_checked(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_privacy_value value;
    struct rn_privacy_event event = shared_event(.05);
    assert_int_equal(rn_account_epsilon(&event, 1, 1e-5, RN_ACCOUNTANT_RDP, &value, &err).code,
                     RN_OK);
    assert_true(value.upper > 0 && value.upper < 10);
    assert_int_equal(rn_account_epsilon(&event, 1, 1e-5, RN_ACCOUNTANT_PLD, &value, &err).code,
                     RN_E_UNSUPPORTED);
    event.shares = RN_PRIVACY_SHARES_MAX;
    assert_int_equal(rn_privacy_events_check(&event, 1, &err).code, RN_OK);
    event.shares++;
    assert_int_equal(rn_privacy_events_check(&event, 1, &err).code, RN_E_CONFIG);
    event.shares = 0;
    assert_int_equal(rn_privacy_events_check(&event, 1, &err).code, RN_E_CONFIG);
    event = shared_event(.05);
    event.share = 0.5;
    assert_int_equal(rn_privacy_events_check(&event, 1, &err).code, RN_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold_of_exact_sums),
        cmocka_unit_test(tau_is_the_papers),
        cmocka_unit_test(rounding_moves_norms),
        cmocka_unit_test(epsilon_is_the_reference_codes),
        cmocka_unit_test(sampling_of_anything_costs_more),
        cmocka_unit_test(components_telescope),
        cmocka_unit_test(lost_parties_cost),
        cmocka_unit_test(shared_steps_have_every_order),
        cmocka_unit_test(shared_steps_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
