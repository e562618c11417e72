/* SPDX-License-Identifier: Apache-2.0
 *
 * The least noise, or the most steps, within an epsilon. Both are whole numbers here: steps as they
 * are, noise by its place among the numbers of 6 digits. What is answered was computed to cost at
 * most epsilon; the next number was computed to cost more.
 */
#include "policy/accountant/accountant.h"

#include "base/guard.h"

#include <math.h>

/* Of 6 digits from 0.001 (place 0) to 1,000,000: 900,000 in each of 9 decades. */
#define PLACES_DECADE 900000u
#define PLACE_MAX (9u * PLACES_DECADE)

/* Log-ratios to the target beyond this say no more about where it is met. */
#define RATIO_MAX 2.0

struct calibration {
    struct rn_privacy_event event;
    double delta, epsilon;
    enum rn_accountant accountant;
    bool by_noise;
};

/* ln(cost / epsilon) of a number; met: the cost is at most epsilon. */
struct trial {
    uint64_t number;
    double ratio;
    bool met;
};

static double noise_at(uint64_t place)
{
    const double digits = (double)(100000 + place % PLACES_DECADE);
    const int decade = (int)(place / PLACES_DECADE);
    /* whole powers of ten: one rounding */
    return decade < 8 ? digits / pow(10, 8 - decade) : digits * pow(10, decade - 8);
}

/* The place of a number, give or take one; of what is outside, an end. */
static uint64_t place_near(double noise)
{
    const int decade = (int)fmin(fmax(floor(log10(noise) + 3), 0), 8);
    const double digits = noise * pow(10, 8 - decade) - 100000;
    return (uint64_t)decade * PLACES_DECADE + (uint64_t)fmin(fmax(digits, 0), PLACES_DECADE);
}

static double abscissa(const struct calibration *c, uint64_t number)
{
    return log(c->by_noise ? noise_at(number) : (double)number);
}

static rn_result try_number(const struct calibration *c, uint64_t number, struct trial *out,
                            struct rn_error *err)
{
    struct rn_privacy_event event = c->event;
    struct rn_privacy_value value = {0};

    if (c->by_noise) {
        event.noise = noise_at(number);
    } else {
        event.count = number;
    }
    if (c->by_noise || number > 0) {
        const rn_result result =
            rn_account_epsilon(&event, 1, c->delta, c->accountant, &value, err);
        if (result.code == RN_E_DATA) {
            value.upper = INFINITY; /* nothing can be said, so nothing is promised */
        } else {
            RN_TRY(result);
        }
    }
    out->number = number;
    out->met = value.upper <= c->epsilon;
    out->ratio = value.upper > 0 && c->epsilon > 0 ? log(value.upper / c->epsilon) : -RATIO_MAX;
    out->ratio =
        out->met ? fmax(fmin(out->ratio, 0), -RATIO_MAX) : fmin(fmax(out->ratio, 0), RATIO_MAX);
    return rn_ok();
}

/* ---- A bracket ---- */

/* Goes from a number by growing strides until one is met and another is not. At an end of the
 * range both are that end. */
static rn_result bracket(const struct calibration *c, uint64_t start, uint64_t stride,
                         uint64_t last, struct trial *met, struct trial *missed,
                         struct rn_error *err)
{
    struct trial at;

    RN_TRY(try_number(c, start, &at, err));
    const bool first_met = at.met;
    const bool up = first_met != c->by_noise; /* more steps cost more, more noise less */
    *met = *missed = at;
    while (at.met == first_met && at.number != (up ? last : 0)) {
        const uint64_t room = up ? last - at.number : at.number;
        const uint64_t go = stride < room ? stride : room;
        RN_TRY(try_number(c, up ? at.number + go : at.number - go, &at, err));
        *(at.met ? met : missed) = at;
        stride = stride < UINT64_MAX / 4 ? stride * 4 : stride;
    }
    if (at.met == first_met) {
        *met = *missed = at;
    }
    return rn_ok();
}

/* ---- The crossing ---- */

/* A number strictly between, where a straight line over logarithms crosses the target. */
static uint64_t between(const struct calibration *c, const struct trial *met,
                        const struct trial *missed, bool halve)
{
    const uint64_t low = met->number < missed->number ? met->number : missed->number;
    const uint64_t high = met->number < missed->number ? missed->number : met->number;
    const double share = met->ratio / (met->ratio - missed->ratio); /* of the way to missed */
    const double from = abscissa(c, met->number);
    const double number = exp(from + (abscissa(c, missed->number) - from) * share);

    if (halve || !(share > 0 && share < 1) || !(number > 0 && number < 1e15)) {
        return low + (high - low) / 2;
    }
    const uint64_t guess = c->by_noise ? place_near(number) : (uint64_t)number;
    return guess <= low ? low + 1 : guess >= high ? high - 1 : guess;
}

/* Regula falsi (Illinois: an end that stays is believed half), every fourth time a half so that it
 * ends. */
static rn_result cross(const struct calibration *c, struct trial *met, struct trial *missed,
                       struct rn_error *err)
{
    bool was_met = false;

    for (unsigned turn = 1; met->number != missed->number + 1 && missed->number != met->number + 1;
         turn++) {
        struct trial at;
        RN_TRY(try_number(c, between(c, met, missed, turn % 4 == 0), &at, err));
        *(at.met ? met : missed) = at;
        if (turn > 1 && at.met == was_met) {
            (at.met ? missed : met)->ratio /= 2;
        }
        was_met = at.met;
    }
    return rn_ok();
}

static rn_result seek(const struct calibration *c, uint64_t start, uint64_t stride, uint64_t last,
                      struct trial *met, struct rn_error *err)
{
    struct trial missed;

    RN_TRY(bracket(c, start, stride, last, met, &missed, err));
    if (met->number == missed.number) {
        return rn_ok(); /* an end of the range; met says whether it is enough */
    }
    return cross(c, met, &missed, err);
}

/* RDP first, in milliseconds; where PLD is asked for, from there on by PLD. */
static rn_result calibrate(struct calibration *c, uint64_t start, uint64_t stride, uint64_t last,
                           struct trial *out, struct rn_error *err)
{
    const enum rn_accountant accountant = c->accountant;

    c->accountant = RN_ACCOUNTANT_RDP;
    const rn_result result = seek(c, start, stride, last, out, err);
    c->accountant = accountant;
    if (accountant == RN_ACCOUNTANT_RDP) {
        return result;
    }
    if (rn_is_ok(result)) {
        start = out->number;
        stride = c->by_noise ? PLACES_DECADE / 40 : start / 8 + 1;
    }
    return seek(c, start, stride, last, out, err);
}

static rn_result target_check(double delta, double epsilon, struct rn_error *err)
{
    RN_ENSURE(delta > 0 && delta < 1, err, RN_E_CONFIG, "delta must be above 0 and below 1");
    RN_ENSURE(epsilon >= 0 && epsilon < INFINITY, err, RN_E_CONFIG,
              "epsilon must be a number of at least 0");
    return rn_ok();
}

/* ---- What is asked ---- */

rn_result rn_account_event_noise(const struct rn_privacy_event *event, double delta, double epsilon,
                                 enum rn_accountant accountant, double *out, struct rn_error *err)
{
    struct calibration c = {*event, delta, epsilon, accountant, true};
    struct trial met;

    RN_TRY(target_check(delta, epsilon, err));
    RN_TRY(calibrate(&c, 3 * PLACES_DECADE, PLACES_DECADE / 2, PLACE_MAX, &met, err));
    RN_ENSURE(met.met, err, RN_E_REFUSED,
              "no noise multiplier up to %g keeps epsilon %g: allow more epsilon or delta, or take "
              "fewer steps or a lower sampling rate",
              RN_PRIVACY_NOISE_MAX, epsilon);
    *out = noise_at(met.number);
    return rn_ok();
}

rn_result rn_account_event_count(const struct rn_privacy_event *event, double delta, double epsilon,
                                 enum rn_accountant accountant, uint64_t *out, struct rn_error *err)
{
    struct calibration c = {*event, delta, epsilon, accountant, false};
    struct trial met;

    RN_TRY(target_check(delta, epsilon, err));
    const uint64_t once = event->kind == RN_PRIVACY_ALLOCATION ? event->picks : 1;
    RN_ENSURE(once > 0, err, RN_E_CONFIG, "picks must be at least 1");
    RN_TRY(calibrate(&c, 1000, 1000, RN_PRIVACY_COUNT_MAX / once, &met, err));
    *out = met.number;
    return rn_ok();
}

static struct rn_privacy_event step_of(double rate, double noise, uint64_t steps)
{
    return (struct rn_privacy_event){.kind = rate == 1 ? RN_PRIVACY_GAUSSIAN : RN_PRIVACY_POISSON,
                                     .rate = rate,
                                     .noise = noise,
                                     .count = steps};
}

rn_result rn_account_sigma(double rate, uint64_t steps, double delta, double epsilon,
                           enum rn_accountant accountant, double *out, struct rn_error *err)
{
    const struct rn_privacy_event event = step_of(rate, 1, steps);
    return rn_account_event_noise(&event, delta, epsilon, accountant, out, err);
}

rn_result rn_account_steps(double rate, double noise, double delta, double epsilon,
                           enum rn_accountant accountant, uint64_t *out, struct rn_error *err)
{
    const struct rn_privacy_event event = step_of(rate, noise, 1);
    return rn_account_event_count(&event, delta, epsilon, accountant, out, err);
}
