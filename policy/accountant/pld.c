/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pld.h"

#include "base/guard.h"
#include "policy/accountant/pldallocation.h"
#include "policy/accountant/pldquery.h"

#include <math.h>

/* Of the composed deviation: the first lattice. */
#define FIRST_PLACES 200
#define REFINEMENTS_MAX 16
#define COARSER 8 /* where the first lattices take too many places */
#define RETILTS_MAX 30
#define STANDS_STILL 0.1 /* of exp(-lambda epsilon), in its exponent */
/* The share of what is asked for that all repetitions together may lose at the ends of their
 * ranges; and the part of it that all bounded errors together may be. */
#define TAIL_SHARE 3e-5
#define ERROR_SHARE 1e-3
/* Where to stop refining: the gap between the bounds, of epsilon and at most; and of delta. */
#define EPSILON_GAP 1e-3
#define EPSILON_GAP_MOST 2e-4
#define EPSILON_GAP_ALLOCATED 5e-4 /* at most, with random allocations */
#define DELTA_GAP 4e-4
/* Below this a gap falls with h^2; above it by less, so one goes further. */
#define NEAR_GAP 10
/* A lattice that leaves this much of the gap says that it is not the lattice's. */
#define NO_GAIN 0.9
/* How much finer the next lattice may be at once; laws of allocations cost the square of it. */
#define FINER 0.04
#define FINER_ALLOCATED 0.4
/* Below this a delta is not told apart from 0. */
#define DELTA_LEAST 1e-280

double rn_pld_tail(const struct rn_pld_events *events, double delta)
{
    return fmax(fmin(delta * TAIL_SHARE / events->repeats, 0.1), 1e-300);
}

static double in_limits(double h)
{
    return fmin(fmax(h, RN_PLD_LATTICE_MIN), RN_PLD_LATTICE_MAX);
}

double rn_pld_first_lattice(const struct rn_pld_events *events)
{
    const double places =
        events->allocated ? rn_pld_allocation_places(events->repeats) : FIRST_PLACES;
    return in_limits(events->width > 0 ? events->width / places : 1);
}

double rn_pld_lattice(const struct rn_pld_events *events, double h)
{
    return in_limits(events->atom > 0 ? events->atom / ceil(events->atom / h) : h);
}

static rn_result too_coarse(struct rn_error *err)
{
    return rn_fail(
        err, RN_E_DATA,
        "the numerical errors of composing these events cannot be bounded well enough at "
        "this delta: take fewer repetitions, or the RDP accountant");
}

static rn_result compose_delta(const struct rn_pld_steps *steps, double epsilon, double size,
                               bool above, struct rn_pld_reading *out, struct rn_error *err)
{
    RN_CLEANUP(rn_pld_composed_free) struct rn_pld_composed composed;
    RN_TRY(rn_pld_compose(&composed, steps, epsilon, size, err));
    *out = rn_pld_read_delta(&composed, epsilon, above);
    return rn_ok();
}

/* Tilts again at what was found, until that stands still. Each value on the way is a bound. */
static rn_result settle(const struct rn_pld_steps *steps, double delta, bool above, double around,
                        double *out, struct rn_error *err)
{
    bool good = false;
    *out = above ? INFINITY : 0;
    for (unsigned i = 0; i < RETILTS_MAX; i++) {
        RN_CLEANUP(rn_pld_composed_free) struct rn_pld_composed composed;
        RN_TRY(rn_pld_compose(&composed, steps, around, delta, err));
        const struct rn_pld_reading at = rn_pld_read_epsilon(&composed, delta, above);
        const double bottom = fmax(composed.offset + composed.first * composed.h, 0);
        const double next = at.inside ? at.value : bottom;
        *out = above ? fmin(*out, at.value) : fmax(*out, at.value);
        good = good || (at.inside && at.error <= delta * ERROR_SHARE);
        const bool still = at.inside && composed.lambda * fabs(next - around) <= STANDS_STILL;
        if (still || !isfinite(next) || (composed.lambda == 0 && !at.inside)) {
            break;
        }
        around = next;
    }
    /* From below errors are taken off, and what they leave is a bound for what it is worth. */
    return good || isinf(*out) || !above ? rn_ok() : too_coarse(err);
}

static bool never(const struct rn_pld_steps *steps, double delta)
{
    double log_finite = 0;
    for (size_t j = 0; j < steps->count; j++) {
        log_finite += steps->step[j].repeats * log1p(-fmin(steps->step[j].infinity, 1));
    }
    return -expm1(log_finite) >= delta;
}

/* Without a guess, delta(0) first: where that is small enough already, the tilt of a Chernoff bound
 * on epsilon could lie so high that all that counts is below the window. */
static rn_result epsilon_of(const struct rn_pld_steps *steps, double delta, bool above,
                            double guess, double *out, struct rn_error *err)
{
    if (never(steps, delta)) {
        *out = INFINITY;
        return rn_ok();
    }
    if (isfinite(guess)) {
        return settle(steps, delta, above, guess, out, err);
    }
    struct rn_pld_reading zero;
    RN_TRY(compose_delta(steps, 0, delta, above, &zero, err));
    if (zero.value <= delta && (!above || zero.error <= delta * ERROR_SHARE)) {
        *out = 0;
        return rn_ok();
    }
    const double chernoff = fmax(rn_pld_edge(steps, 0, -log(delta), true), 0);
    return settle(steps, delta, above, chernoff, out, err);
}

static rn_result delta_of(const struct rn_pld_steps *steps, double epsilon, double size, bool above,
                          double *out, struct rn_error *err)
{
    struct rn_pld_reading at;
    RN_TRY(compose_delta(steps, epsilon, size, above, &at, err));
    *out = at.value;
    const bool good = at.error <= fmax(at.value, DELTA_LEAST) * ERROR_SHARE;
    return good || !above ? rn_ok() : too_coarse(err);
}

/* What is asked: epsilon at `delta`, or delta at `epsilon` where `delta` is only its size. What is
 * known: bounds so far, from above for either direction. */
struct query {
    bool epsilon_asked;
    double epsilon, delta;
    double upper[RN_PLD_DIRECTIONS];
    double lower;
    double gap_most; /* of epsilon */
};

static struct query query_of(bool epsilon_asked, double epsilon, double delta)
{
    return (struct query){epsilon_asked, epsilon, delta, {INFINITY, INFINITY}, 0, EPSILON_GAP_MOST};
}

/* From below a step may be left with nothing, when no bin of it can be booked. */
static bool empty(const struct rn_pld_steps *steps)
{
    for (size_t j = 0; j < steps->count; j++) {
        const struct rn_pld_step *step = &steps->step[j];
        if (step->log_mass[rn_pld_peak(step, 0)] == -INFINITY) {
            return true;
        }
    }
    return false;
}

static rn_result answer(const struct rn_pld_events *events, const struct query *query,
                        enum rn_pld_direction direction, bool above, double h, double *out,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_pld_steps_free) struct rn_pld_steps steps;
    const double tail = rn_pld_tail(events, query->delta);
    RN_TRY(rn_pld_steps_init(&steps, events, direction, above, h, tail, err));
    if (empty(&steps)) {
        *out = above ? INFINITY : 0;
        return rn_ok();
    }
    if (query->epsilon_asked) {
        const double guess = query->upper[direction];
        return epsilon_of(&steps, query->delta, above, guess, out, err);
    }
    return delta_of(&steps, query->epsilon, query->delta, above, out, err);
}

static enum rn_pld_direction worse(const struct query *query)
{
    return query->upper[RN_PLD_REMOVE] >= query->upper[RN_PLD_ADD] ? RN_PLD_REMOVE : RN_PLD_ADD;
}

/* Both bounds at one lattice. A direction whose upper bound is below the lower bound of the other
 * cannot be the one that counts; from below the worse one will do. */
static rn_result bounds(const struct rn_pld_events *events, struct query *query, double h,
                        struct rn_error *err)
{
    double value;
    for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
        if (query->upper[d] > query->lower) {
            RN_TRY(answer(events, query, (enum rn_pld_direction)d, true, h, &value, err));
            query->upper[d] = fmin(query->upper[d], value);
        }
    }
    RN_TRY(answer(events, query, worse(query), false, h, &value, err));
    query->lower = fmax(query->lower, value);
    return rn_ok();
}

static double gap_of(const struct query *query)
{
    const double upper = query->upper[worse(query)];
    const double unit = query->epsilon_asked ? fmin(EPSILON_GAP * upper, query->gap_most)
                                             : DELTA_GAP * fmax(upper, DELTA_LEAST);
    return upper > query->lower ? (upper - query->lower) / unit : 0;
}

/* The next lattice, as the gap falls with h^2; 0 to stop. */
static double finer(const struct query *query, double h, double least, double *last_gap)
{
    const double gap = gap_of(query);
    if (!(gap > 1) || gap > NO_GAIN * *last_gap || isinf(query->upper[worse(query)])) {
        return 0;
    }
    *last_gap = gap;
    const double next = h * fmin(fmax(sqrt((gap < NEAR_GAP ? 0.8 : 0.45) / gap), least), 0.6);
    return next >= RN_PLD_LATTICE_MIN ? next : 0;
}

static rn_result refine(const struct rn_pld_events *events, struct query *query,
                        struct rn_pld_value *out, struct rn_error *err)
{
    double h = rn_pld_first_lattice(events), last_gap = INFINITY;
    bool any = false;
    query->gap_most = events->allocated ? EPSILON_GAP_ALLOCATED : EPSILON_GAP_MOST;
    rn_result last = rn_ok();
    for (unsigned i = 0; i < REFINEMENTS_MAX && h > 0; i++) {
        last = bounds(events, query, rn_pld_lattice(events, h), err);
        if (!rn_is_ok(last)) {
            if (any || last.code != RN_E_DATA) {
                break;
            }
            h = h < RN_PLD_LATTICE_MAX ? in_limits(h * COARSER) : 0;
            continue;
        }
        any = true;
        h = finer(query, h, events->allocated ? FINER_ALLOCATED : FINER, &last_gap);
        if (!query->epsilon_asked) { /* a coarse lattice overstates it, by powers of ten */
            query->delta = fmax(fmin(query->delta, query->upper[worse(query)]), DELTA_LEAST);
        }
    }
    *out = (struct rn_pld_value){query->upper[worse(query)], query->lower};
    RN_ENSURE(!any || out->lower <= out->upper, err, RN_E_DATA,
              "the bounds from above and below contradict each other: a fault of the program");
    return any ? rn_ok() : last;
}

rn_result rn_pld_epsilon(const struct rn_privacy_event *events, size_t count, double delta,
                         struct rn_pld_value *out, struct rn_error *err)
{
    RN_CLEANUP(rn_pld_events_free) struct rn_pld_events all;
    RN_TRY(rn_pld_events_init(&all, events, count, err));
    struct query query = query_of(true, 0, delta);
    return refine(&all, &query, out, err);
}

/* The size of delta(epsilon): a range of losses that is good for one size is good for greater ones.
 */
static rn_result size_of(const struct rn_pld_events *events, double epsilon, double *out,
                         struct rn_error *err)
{
    const double h = rn_pld_lattice(events, rn_pld_first_lattice(events));
    for (double size = 1e-10;; size = fmax(size * size, DELTA_LEAST)) {
        const struct query query = query_of(false, epsilon, size);
        double most = 0, value;
        for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
            const rn_result result =
                answer(events, &query, (enum rn_pld_direction)d, true, h, &value, err);
            if (!rn_is_ok(result) && result.code != RN_E_DATA) {
                return result;
            }
            most = rn_is_ok(result) ? fmax(most, value) : most;
        }
        *out = fmax(most, size);
        if (most >= size || size <= DELTA_LEAST) {
            return rn_ok();
        }
    }
}

rn_result rn_pld_delta(const struct rn_privacy_event *events, size_t count, double epsilon,
                       struct rn_pld_value *out, struct rn_error *err)
{
    RN_CLEANUP(rn_pld_events_free) struct rn_pld_events all;
    RN_TRY(rn_pld_events_init(&all, events, count, err));
    struct query query = query_of(false, epsilon, 0);
    RN_TRY(size_of(&all, epsilon, &query.delta, err));
    return refine(&all, &query, out, err);
}
