/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldstep.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/pldallocation.h"

#include <math.h>

/* Places between which all losses of the mix lie, with some to spare at either end: the lower
 * side's bins may be booked one place down, with an offset of up to one and a half. */
#define SPARE 4

static void cover(const struct rn_pld_mix *mix, double tail, double *least, double *most)
{
    *least = INFINITY;
    *most = -INFINITY;
    for (unsigned i = 0; i < mix->atoms; i++) {
        *least = fmin(*least, mix->atom[i].loss);
        *most = fmax(*most, mix->atom[i].loss);
    }
    for (unsigned i = 0; i < mix->parts; i++) {
        double low, high;
        rn_pld_pair_range(&mix->part[i].pair, tail, &low, &high);
        *least = fmin(*least, rn_pld_pair_loss(&mix->part[i].pair, low));
        *most = fmax(*most, rn_pld_pair_loss(&mix->part[i].pair, high));
    }
}

rn_result rn_pld_step_room(struct rn_pld_step *step, const struct rn_pld_mix *mix, double h,
                           double tail, uint32_t bins_max, struct rn_error *err)
{
    double least, most;
    RN_BUG_IF(!(h >= RN_PLD_LATTICE_MIN && h <= RN_PLD_LATTICE_MAX));
    *step = (struct rn_pld_step){.repeats = mix->repeats,
                                 .h = h,
                                 .infinity = mix->infinity,
                                 .rounding = RN_PLD_STEP_ROUNDING};
    cover(mix, tail, &least, &most);
    step->first = floor(least / h) - SPARE;
    const double count = ceil(most / h) + SPARE - step->first + 1;
    RN_ENSURE(
        count <= bins_max, err, RN_E_DATA,
        "one event's privacy loss spreads over more than %u lattice places: its noise and its "
        "count do not go together with the other events'",
        bins_max);
    step->count = (uint32_t)count;
    step->log_mass = rn_alloc(step->count, sizeof *step->log_mass);
    return rn_ok();
}

void rn_pld_step_free(struct rn_pld_step *step)
{
    rn_free(RN_TAKE(step->log_mass));
}

void rn_pld_step_book(struct rn_pld_step *step, double place, double mass)
{
    const double at = place - step->first;
    RN_BUG_IF(!(at >= 0 && at < step->count));
    step->log_mass[(uint32_t)at] += mass;
}

void rn_pld_step_close(struct rn_pld_step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        step->log_mass[i] = log(step->log_mass[i]);
    }
}

/* Where the nodes of one bin go. */
struct dots {
    struct rn_pld_step *step;
    double share, place;
};

static void spread(void *context, double mass, double loss)
{
    const struct dots *dots = context;
    const double h = dots->step->h;
    const double up = expm1(dots->place * h - loss) / expm1(-h);
    const double higher = dots->share * mass * fmin(fmax(up, 0), 1);
    rn_pld_step_book(dots->step, dots->place + 1, higher);
    rn_pld_step_book(dots->step, dots->place, fmax(dots->share * mass - higher, 0));
}

static void spread_pair(struct dots *dots, const struct rn_pld_pair *pair, double tail)
{
    const double h = dots->step->h;
    double low, high;
    rn_pld_pair_range(pair, tail, &low, &high);
    const double lowest = rn_pld_pair_loss(pair, low), highest = rn_pld_pair_loss(pair, high);
    /* Up: no loss below the range may be booked under itself. */
    rn_pld_step_book(dots->step, floor(lowest / h) + 1, dots->share * rn_pld_pair_below(pair, low));
    dots->step->infinity += dots->share * rn_pld_pair_above(pair, high);
    double v = low;
    for (dots->place = floor(lowest / h); dots->place * h <= highest; dots->place++) {
        const double edge = rn_pld_pair_inverse(pair, (dots->place + 1) * h, v, high);
        rn_pld_pair_walk(pair, v, edge, h, spread, dots);
        v = edge;
    }
    rn_pld_pair_walk(pair, v, high, h, spread, dots);
}

rn_result rn_pld_step_above(struct rn_pld_step *step, const struct rn_pld_mix *mix, double h,
                            double tail, uint32_t bins_max, struct rn_error *err)
{
    if (mix->slots > 0) {
        return rn_pld_allocation_above(step, mix, h, tail, bins_max, err);
    }
    RN_TRY(rn_pld_step_room(step, mix, h, tail, bins_max, err));
    for (unsigned i = 0; i < mix->atoms; i++) {
        struct dots dots = {step, 1, floor(mix->atom[i].loss / h)};
        spread(&dots, mix->atom[i].mass, mix->atom[i].loss);
    }
    for (unsigned i = 0; i < mix->parts; i++) {
        struct dots dots = {step, mix->part[i].share, 0};
        spread_pair(&dots, &mix->part[i].pair, tail);
    }
    rn_pld_step_close(step);
    return rn_ok();
}
