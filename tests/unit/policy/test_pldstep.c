/* SPDX-License-Identifier: Apache-2.0
 *
 * One step's privacy-loss distribution, from above and below: masses, sums, and delta(epsilon)
 * against formulas of the subsampled Gaussian and against mpmath.
 */
#include "policy/accountant/pldstep.h"

#include "base/guard.h"
#include "policy/accountant/normal.h"

#include "tests/unit/policy/pldcases.h"

static struct rn_error error;

static struct rn_pld_mix mix_of(struct rn_privacy_event event, enum rn_pld_direction direction)
{
    struct rn_pld_mix mix;
    assert_true(rn_is_ok(rn_pld_mix_init(&mix, &event, direction, &error)));
    return mix;
}

static struct rn_pld_step step_of(const struct rn_pld_mix *mix, bool above, double h)
{
    struct rn_pld_step step;
    const rn_result result = above
                                 ? rn_pld_step_above(&step, mix, h, 1e-40, RN_PLD_BINS_MAX, &error)
                                 : rn_pld_step_below(&step, mix, h, 1e-40, RN_PLD_BINS_MAX, &error);
    assert_true(rn_is_ok(result));
    return step;
}

static double loss_at(const struct rn_pld_step *step, uint32_t i)
{
    return step->offset + (step->first + i) * step->h;
}

/* Sums that lose nothing (Neumaier): millions of masses, and the bound is 1e-12. */
struct sum {
    double value, lost;
};
static void add(struct sum *sum, double x)
{
    const double next = sum->value + x;
    sum->lost += fabs(sum->value) >= fabs(x) ? (sum->value - next) + x : (x - next) + sum->value;
    sum->value = next;
}

static double p_mass(const struct rn_pld_step *step)
{
    struct sum sum = {0, 0};
    for (uint32_t i = 0; i < step->count; i++) {
        const double mass = exp(step->log_mass[i]);
        assert_true(mass >= 0 && mass <= 1 + 1e-9);
        add(&sum, mass);
    }
    return sum.value + sum.lost + step->infinity;
}

static double q_mass(const struct rn_pld_step *step)
{
    struct sum sum = {0, 0};
    for (uint32_t i = 0; i < step->count; i++) {
        add(&sum, exp(step->log_mass[i] - loss_at(step, i)));
    }
    return sum.value + sum.lost;
}

static double delta_at(const struct rn_pld_step *step, double epsilon)
{
    double sum = step->infinity;
    for (uint32_t i = step->count; i-- > 0 && loss_at(step, i) > epsilon;) {
        sum += exp(step->log_mass[i]) * -expm1(epsilon - loss_at(step, i));
    }
    return sum;
}

/* dp.md test 5, second half: masses are at least 0 and sum to 1 within 1e-12, both measures, for h
 * down to 1e-7; and the lower side's never to more. */
static void masses_sum_to_one(void **state)
{
    (void)state;
    static const double cases[][3] = {/* rate, noise, h */
                                      {1, 1, 1e-2},    {1, 1, 1e-4},     {1, 500, 1e-7},
                                      {.3, 300, 1e-7}, {.01, 1, 1e-3},   {.01, .7, 1e-4},
                                      {1, .05, .4},    {1e-5, .8, 1e-3}, {1e-4, 20, 1e-7}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
            const struct rn_pld_mix mix = mix_of(poisson(cases[i][0], cases[i][1], 1), d);
            struct rn_pld_step above = step_of(&mix, true, cases[i][2]);
            assert_within(p_mass(&above), 1 - 1e-12, 1 + 1e-12);
            /* exp(-40) of a loss is no more than rounding of the density, 1 / noise times it. */
            assert_within(q_mass(&above), cases[i][1] < .1 ? 0 : 1 - 1e-12, 1 + 1e-12);
            rn_pld_step_free(&above);
            if (cases[i][2] > 1e-5) {
                struct rn_pld_step below = step_of(&mix, false, cases[i][2]);
                assert_within(p_mass(&below), 1 - 1e-4, 1 + 1e-12);
                rn_pld_step_free(&below);
            }
        }
    }
}

/* dp.md 1.3. */
static double exact_delta(double rate, double noise, double epsilon,
                          enum rn_pld_direction direction)
{
    const double e = exp(epsilon);
    if (rate == 1) {
        return rn_gauss_delta(1 / noise, epsilon);
    }
    if (direction == RN_PLD_REMOVE) {
        return e <= 1 - rate ? 1 - e
                             : rate * rn_gauss_delta(1 / noise, log1p(expm1(epsilon) / rate));
    }
    const double w = 1 - (1 - rate) * e;
    return w <= 0 ? 0 : w * rn_gauss_delta(1 / noise, log(rate * e / w));
}

/* From above a lattice place is exact, and between two it is a chord in exp(epsilon). From below it
 * is never above. The gap is that of the merged bins: at most h^2 / 4 of the density of the loss,
 * which is at most 1 / (its deviation) here, or so coarse that nothing is said. */
static void one_step_is_between_its_bounds(void **state)
{
    (void)state;
    static const double rates[] = {1, .3, .01, 1e-3};
    static const double noises[] = {.5, 1, 4};
    static const double epsilons[] = {-1, -.004, 0, .0005, .01, .1, .55, 1, 3};
    const double h = 1e-3;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rates) * RN_ARRAY_LENGTH(noises) * 2; i++) {
        const double rate = rates[i / 6], noise = noises[i / 2 % 3];
        const enum rn_pld_direction direction = i % 2;
        const struct rn_pld_mix mix = mix_of(poisson(rate, noise, 1), direction);
        struct rn_pld_step above = step_of(&mix, true, h), below = step_of(&mix, false, h);
        for (size_t k = 0; k < RN_ARRAY_LENGTH(epsilons); k++) {
            const double truth = exact_delta(rate, noise, epsilons[k], direction);
            const double upper = delta_at(&above, epsilons[k]);
            const double least = truth * (1 - 1e-11), most = truth * (1 + 1e-9) + 1e-38;
            assert_within(upper, least, epsilons[k] == .0005 ? truth + h : most);
            assert_within(delta_at(&below, epsilons[k]), 0, truth * (1 + 1e-11));
            assert_true(delta_at(&below, epsilons[k]) >= .9 * truth - .3 * h);
        }
        rn_pld_step_free(&above);
        rn_pld_step_free(&below);
    }
}

/* Half the lattice, a quarter of what the lower side is off (dp.md test 6, one step). */
static void the_lower_side_is_of_second_order(void **state)
{
    (void)state;
    static const double cases[][2] = {{1, 1}, {.3, 1}, {.05, 2}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const double truth = exact_delta(cases[i][0], cases[i][1], 0, RN_PLD_REMOVE);
        const struct rn_pld_mix mix = mix_of(poisson(cases[i][0], cases[i][1], 1), RN_PLD_REMOVE);
        double off[2];
        for (unsigned k = 0; k < 2; k++) {
            /* The offset shifts with h and delta(0) with it, by up to h^2 / 8 of the density: the
             * mean over a range of epsilons is what falls evenly. */
            struct rn_pld_step below = step_of(&mix, false, k == 0 ? 2e-3 : 1e-3);
            off[k] = 0;
            for (double e = 0; e < .02; e += 1e-4) {
                off[k] +=
                    exact_delta(cases[i][0], cases[i][1], e, RN_PLD_REMOVE) - delta_at(&below, e);
            }
            rn_pld_step_free(&below);
        }
        assert_within(off[0] / off[1], 3, 5);
        assert_true(off[0] / 200 < 1e-3 * truth);
    }
}

/* What the range leaves out: P[N > .5] = .31 at either end, where 0.25 may be lost. From above it
 * is at infinity or moved up, from below it is gone. */
static void what_is_out_of_range_is_booked(void **state)
{
    (void)state;
    const struct rn_pld_mix mix = mix_of(gaussian(1, 1), RN_PLD_REMOVE);
    struct rn_pld_step above, below;
    assert_true(rn_is_ok(rn_pld_step_above(&above, &mix, .01, .25, 10000, &error)));
    assert_true(rn_is_ok(rn_pld_step_below(&below, &mix, .01, .25, 10000, &error)));
    assert_within(p_mass(&above), 1 - 1e-12, 1 + 1e-12);
    assert_within(above.infinity, .2, .25);
    assert_within(p_mass(&below), .5 - 2e-8, .5 + 1e-6); /* what edges may lose */
    for (double epsilon = -3; epsilon < 4; epsilon += .25) {
        const double truth = exact_delta(1, 1, epsilon, RN_PLD_REMOVE);
        assert_within(delta_at(&above, epsilon), truth, 1);
        assert_within(delta_at(&below, epsilon), 0, truth);
    }
    rn_pld_step_free(&above);
    rn_pld_step_free(&below);
}

/* A person with several records; mpmath with 30 digits. */
static void groups_agree_with_mpmath(void **state)
{
    (void)state;
    static const struct {
        unsigned group;
        double rate, noise, epsilon, remove, add;
    } cases[] = {
        {4, .1, 2, .05, 0.060748995837195897, 0.052253051080696426},
        {4, .1, 2, .5, 0.0058782312963638037, 0},
        {4, .1, 2, 2, 3.4858157476748975e-6, 0},
        {8, .02, 1, .05, 0.047198273940094733, 0.02990723309102741},
        {8, .02, 1, .5, 0.0095031026162955921, 0},
        {8, .02, 1, 2, 0.00033187173209876735, 0},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
            const double truth = d == RN_PLD_REMOVE ? cases[i].remove : cases[i].add;
            const struct rn_pld_mix mix =
                mix_of(group_of(cases[i].group, cases[i].rate, cases[i].noise, 1), d);
            struct rn_pld_step above = step_of(&mix, true, .01), below = step_of(&mix, false, .01);
            assert_within(delta_at(&above, cases[i].epsilon), truth * (1 - 1e-11),
                          truth * (1 + 1e-9) + 1e-38);
            assert_within(delta_at(&below, cases[i].epsilon), truth * .98 - 1e-5,
                          truth * (1 + 1e-11));
            rn_pld_step_free(&above);
            rn_pld_step_free(&below);
        }
    }
}

/* Two masses and one at infinity: from above both move outwards, from below both down. */
static void epsilon_delta_is_two_masses(void **state)
{
    (void)state;
    const struct rn_pld_mix mix = mix_of(epsilon_delta(.5, 1e-3, 1), RN_PLD_REMOVE);
    for (unsigned k = 0; k < 2; k++) {
        const double h = k == 0 ? .125 : .13; /* .5 is a place, and is not */
        struct rn_pld_step above = step_of(&mix, true, h), below = step_of(&mix, false, h);
        assert_within(p_mass(&above), 1 - 1e-15, 1 + 1e-15);
        assert_true(above.infinity == 1e-3);
        assert_within(delta_at(&above, .5), 1e-3, k == 0 ? 1e-3 * (1 + 1e-12) : .02);
        assert_within(delta_at(&above, 0), 1e-3 + .999 * tanh(.25) - 1e-12, .26);
        assert_within(delta_at(&below, 0), k == 0 ? 1e-3 + .999 * tanh(.25) - 1e-12 : .1,
                      1e-3 + .999 * tanh(.25) + 1e-12);
        rn_pld_step_free(&above);
        rn_pld_step_free(&below);
    }
}

static void a_step_fits_or_is_refused(void **state)
{
    (void)state;
    const struct rn_pld_mix mix = mix_of(gaussian(1, 1), RN_PLD_REMOVE);
    struct rn_pld_step step = step_of(&mix, true, .01);
    const uint32_t count = step.count;
    rn_pld_step_free(&step);
    for (unsigned above = 0; above < 2; above++) {
        rn_result (*const build)(struct rn_pld_step *, const struct rn_pld_mix *, double, double,
                                 uint32_t, struct rn_error *) =
            above ? rn_pld_step_above : rn_pld_step_below;
        assert_true(rn_is_ok(build(&step, &mix, .01, 1e-40, count, &error)));
        rn_pld_step_free(&step);
        assert_int_equal(build(&step, &mix, .01, 1e-40, count - 1, &error).code, RN_E_DATA);
        rn_pld_step_free(&step);
    }
}

/* Losses near 0 are accurate relative to the rate, those near the least loss relative to
 * themselves; and where a loss is, is found again. */
static void losses_keep_their_digits(void **state)
{
    (void)state;
    struct rn_pld_pair pair;
    rn_pld_pair_init(&pair, 1e6, 1e-9, 1, RN_PLD_REMOVE);
    const double small = 1e-9 * expm1(3e-6 - 5e-13);
    assert_within(rn_pld_pair_loss(&pair, 3), small * (1 - 1e-14), small * (1 + 1e-14));
    rn_pld_pair_init(&pair, 1e-3, .5, RN_PRIVACY_GROUP_MAX, RN_PLD_ADD);
    const double least = RN_PRIVACY_GROUP_MAX * log(2);
    assert_within(rn_pld_pair_loss(&pair, 9), least * (1 - 1e-14), least * (1 + 1e-14));
    for (unsigned group = 1; group < 4; group++) {
        for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
            rn_pld_pair_init(&pair, .9, .2, group, d);
            for (double v = -2; v < 3; v += .125) {
                const double loss = rn_pld_pair_loss(&pair, v);
                assert_within(rn_pld_pair_inverse(&pair, loss, -9, 12), v - 1e-9, v + 1e-9);
            }
        }
    }
}

/* All corners of what is checked give numbers. */
static void no_corner_gives_nan(void **state)
{
    (void)state;
    static const double rates[] = {1, 1 - 0x1p-53, .5, 1e-300};
    static const double noises[] = {RN_PRIVACY_NOISE_MIN, 1, RN_PRIVACY_NOISE_MAX};
    static const unsigned groups[] = {1, RN_PRIVACY_GROUP_MAX};
    for (size_t i = 0; i < 4 * 3 * 2 * 2; i++) {
        const struct rn_pld_mix mix =
            mix_of(group_of(groups[i / 6 % 2], rates[i / 12], noises[i / 2 % 3], 1), i % 2);
        double mean, variance;
        rn_pld_mix_moments(&mix, &mean, &variance);
        assert_true(isfinite(mean) && isfinite(variance) && variance >= 0);
        const double h = fmin(fmax(sqrt(variance) / 4, RN_PLD_LATTICE_MIN), RN_PLD_LATTICE_MAX);
        for (unsigned above = 0; above < 2; above++) {
            struct rn_pld_step step;
            const rn_result result =
                above ? rn_pld_step_above(&step, &mix, h, 1e-20, 1u << 12, &error)
                      : rn_pld_step_below(&step, &mix, h, 1e-20, 1u << 12, &error);
            if (rn_is_ok(result)) {
                assert_within(p_mass(&step), above ? 1 - 1e-9 : 0, 1 + 1e-9);
            } else {
                assert_int_equal(result.code, RN_E_DATA);
            }
            rn_pld_step_free(&step);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masses_sum_to_one),
        cmocka_unit_test(one_step_is_between_its_bounds),
        cmocka_unit_test(the_lower_side_is_of_second_order),
        cmocka_unit_test(what_is_out_of_range_is_booked),
        cmocka_unit_test(groups_agree_with_mpmath),
        cmocka_unit_test(epsilon_delta_is_two_masses),
        cmocka_unit_test(a_step_fits_or_is_refused),
        cmocka_unit_test(losses_keep_their_digits),
        cmocka_unit_test(no_corner_gives_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
