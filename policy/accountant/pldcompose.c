/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldcompose.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/fft.h"

#include <math.h>

#define UNIT 0x1p-53
#define FFT_CONSTANT 4
/* Tilted mass outside of the window: exp(-34) = 1.7e-15 on either side. */
#define COST 34.0

/* Sums over the events, for each frequency. `ratio` and the numbers below are in FFT_CONSTANT u. */
struct spectrum {
    double *log_size, *angle; /* of the product */
    double *log_bound,
        *ratio;      /* its size where each |F_j| is as large as it may be; sum T_j e_j / |F_j| */
    double *scratch; /* n + 2 */
    size_t n;
    double stages; /* log2 n + 1 */
    double shift;  /* places by which the product is turned, modulo n */
};

static void spectrum_free(struct spectrum *s)
{
    rn_free(s->log_size);
    rn_free(s->angle);
    rn_free(s->log_bound);
    rn_free(s->ratio);
}

static double modulo(double place, size_t n)
{
    const double rest = fmod(place, (double)n);
    return rest < 0 ? rest + (double)n : rest;
}

/* A tilted step on n places, its heaviest one at place 0 and taken out of the transform: what is
 * left is all whose rounding the transform's stages multiply. */
struct folded {
    double heaviest, rest;
};

static struct folded fold(struct spectrum *s, const struct rn_pld_step *step, double lambda)
{
    const double log_moment = rn_pld_log_moment(step, lambda);
    const uint32_t top = rn_pld_peak(step, lambda);
    struct folded out = {0, 0};
    for (size_t i = 0; i < s->n + 2; i++) {
        s->scratch[i] = 0;
    }
    size_t at = (size_t)modulo(-(double)top, s->n);
    for (uint32_t i = 0; i < step->count; i++) {
        const double loss = step->offset + (step->first + i) * step->h;
        const double mass = exp(step->log_mass[i] + lambda * loss - log_moment);
        s->scratch[at] += i == top ? 0 : mass;
        out.rest += i == top ? 0 : mass;
        out.heaviest += i == top ? mass : 0;
        at = at + 1 == s->n ? 0 : at + 1;
    }
    s->shift =
        modulo(s->shift + modulo(step->repeats, s->n) * modulo(step->first + top, s->n), s->n);
    return out;
}

static void multiply(struct spectrum *s, const struct folded *folded, double repeats)
{
    const double error = 2 + s->stages * folded->rest;
    for (size_t k = 0; k <= s->n / 2; k++) {
        const double re = folded->heaviest + s->scratch[2 * k], im = s->scratch[2 * k + 1];
        const double size = hypot(re, im), most = size + FFT_CONSTANT * UNIT * error;
        s->log_size[k] += repeats * log(size);
        s->angle[k] += remainder(repeats * atan2(im, re), 2 * M_PI);
        s->log_bound[k] += repeats * log(most);
        s->ratio[k] += repeats * error / most;
    }
}

/* The product into scratch; returns the sum over all n frequencies of the error's bound. */
static double product(struct spectrum *s)
{
    double errors = 0;
    for (size_t k = 0; k <= s->n / 2; k++) {
        const double size = exp(s->log_size[k]);
        s->scratch[2 * k] = size * cos(s->angle[k]);
        s->scratch[2 * k + 1] = size * sin(s->angle[k]);
        const double once = k == 0 || 2 * k == s->n ? 1 : 2;
        errors += once * (s->ratio[k] + 2 * s->stages) * exp(s->log_bound[k]);
    }
    return errors;
}

/* The window [first, first + n) of an array whose places are known modulo n. */
static void unfold(struct rn_pld_composed *out, const struct spectrum *s)
{
    const size_t from = (size_t)modulo(out->first - s->shift, s->n);
    for (size_t m = 0; m < s->n; m++) {
        const size_t at = from + m < s->n ? from + m : from + m - s->n;
        out->mass[m] = s->scratch[at] / (double)s->n;
    }
}

static void transform(struct rn_pld_composed *out, const struct rn_pld_steps *steps)
{
    const size_t half = out->n / 2 + 1;
    RN_CLEANUP(rn_free_cleanup) double *scratch = rn_alloc(out->n + 2, sizeof *scratch);
    RN_CLEANUP(spectrum_free)
    struct spectrum s = {.log_size = rn_alloc(half, sizeof(double)),
                         .angle = rn_alloc(half, sizeof(double)),
                         .log_bound = rn_alloc(half, sizeof(double)),
                         .ratio = rn_alloc(half, sizeof(double)),
                         .scratch = scratch,
                         .n = out->n,
                         .stages = log2((double)out->n) + 1};
    for (size_t j = 0; j < steps->count; j++) {
        const struct folded folded = fold(&s, &steps->step[j], out->lambda);
        rn_fft_forward(scratch, out->n);
        multiply(&s, &folded, steps->step[j].repeats);
    }
    out->noise = FFT_CONSTANT * UNIT * product(&s) / (double)out->n;
    rn_fft_backward(scratch, out->n);
    unfold(out, &s);
}

static void sum_up(struct rn_pld_composed *out, const struct rn_pld_steps *steps)
{
    double log_finite = 0, rounding = 0, widest = 0;
    for (size_t j = 0; j < steps->count; j++) {
        const struct rn_pld_step *step = &steps->step[j];
        log_finite += step->repeats * log1p(-fmin(step->infinity, 1));
        out->offset += step->repeats * step->offset;
        rounding += step->repeats * step->rounding;
        widest = fmax(widest, fmax(fabs(step->first), fabs(step->first + step->count)) * step->h);
    }
    out->infinity = -expm1(log_finite);
    out->relative = expm1(rounding * (1 + (1 + out->lambda) * widest / 16));
}

rn_result rn_pld_compose(struct rn_pld_composed *out, const struct rn_pld_steps *steps,
                         double around, double delta, struct rn_error *err)
{
    *out = (struct rn_pld_composed){.h = steps->h};
    out->lambda = rn_pld_tilt(steps, around);
    out->cumulant = rn_pld_cumulant(steps, out->lambda).value;
    /* Where lambda is held at 0, the mass beyond the window has to be small against delta too. */
    const double cost = COST + fmax(out->cumulant - out->lambda * around - log(delta), 0);
    out->beyond = exp(-cost);
    const double bottom = rn_pld_edge(steps, out->lambda, cost, false);
    const double top = rn_pld_edge(steps, out->lambda, cost, true);
    sum_up(out, steps);
    out->first = floor((bottom - out->offset) / out->h) - 1;
    const double places = ceil((top - out->offset) / out->h) - out->first + 2;
    RN_ENSURE(places <= RN_PLD_BINS_MAX && fabs(out->first) < 0x1p52, err, RN_E_DATA,
              "the composed privacy loss does not fit into %u lattice places", RN_PLD_BINS_MAX);
    out->n = rn_fft_size((size_t)places);
    out->mass = rn_alloc(out->n, sizeof *out->mass);
    out->relative += 4 * UNIT * (double)out->n; /* the sums of a reading */
    transform(out, steps);
    return rn_ok();
}

void rn_pld_composed_free(struct rn_pld_composed *composed)
{
    rn_free(RN_TAKE(composed->mass));
}
