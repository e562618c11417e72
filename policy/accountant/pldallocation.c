/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldallocation.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/pldpoints.h"

#include <math.h>

/* The law's last lattice is this much finer than the deviation of ln S, its first one than that of
 * ln X, when the step's is the first that is tried; from there on all fall together. */
#define FINER_LAST 32
#define FINER_FIRST 48
/* Places of a deviation: of the whole, of one repetition. */
#define PLACES_WHOLE 64
#define PLACES_ONE 6
/* From below a place of the step's lattice has room for this many of the law's cells at least. */
#define CELLS 2

/* Mass of P at a whole number of the law's places, to the step's places around it. */
static void book(struct rn_pld_step *step, double place, double law_h, double mass)
{
    const double at = place * law_h / step->h, lower = floor(at);
    const double share = expm1((lower - at) * step->h) / expm1(-step->h);
    rn_pld_step_book(step, lower + 1, mass * share);
    rn_pld_step_book(step, lower, mass * (1 - share));
}

double rn_pld_allocation_places(double repeats)
{
    return fmax(PLACES_WHOLE, PLACES_ONE * sqrt(repeats));
}

static struct rn_pld_law_lattice lattice_of(const struct rn_pld_mix *mix, double h, bool above)
{
    const double width = rn_pld_law_width(mix->noise, mix->slots);
    const double first = width * sqrt(mix->repeats) / rn_pld_allocation_places(mix->repeats);
    const double share = fmin(h / first, 1);
    return (struct rn_pld_law_lattice){
        .last = fmin(above ? INFINITY : h / CELLS, width / FINER_LAST * share),
        .first = share / (FINER_FIRST * mix->noise),
    };
}

static rn_result room(struct rn_pld_step *step, const struct rn_pld_mix *mix,
                      const struct rn_pld_law *law, double h, uint32_t bins_max,
                      struct rn_error *err)
{
    const double last = law->first + law->count - 1;
    const bool remove = mix->direction == RN_PLD_REMOVE;
    const double least = remove ? law->first : -last, most = remove ? last : -law->first;
    *step = (struct rn_pld_step){.repeats = mix->repeats,
                                 .h = h,
                                 .offset = remove ? -log(mix->slots) : log(mix->slots),
                                 .first = floor(least * law->h / h) - 1,
                                 .rounding = RN_PLD_STEP_ROUNDING + law->rounding};
    const double count = ceil(most * law->h / h) + 2 - step->first;
    RN_ENSURE(count <= bins_max, err, RN_E_DATA,
              "a random allocation's privacy loss spreads over more than %u lattice places",
              bins_max);
    step->count = (uint32_t)count;
    step->log_mass = rn_alloc(step->count, sizeof *step->log_mass);
    return rn_ok();
}

rn_result rn_pld_allocation_above(struct rn_pld_step *step, const struct rn_pld_mix *mix, double h,
                                  double tail, uint32_t bins_max, struct rn_error *err)
{
    *step = (struct rn_pld_step){0};
    RN_CLEANUP(rn_pld_law_free) struct rn_pld_law law;
    const struct rn_pld_law_lattice lattice = lattice_of(mix, h, true);
    RN_TRY(rn_pld_law_init(&law, mix->noise, mix->slots, true, &lattice, tail, err));
    RN_TRY(room(step, mix, &law, h, bins_max, err));
    for (uint32_t i = 0; i < law.count; i++) {
        const double place = law.first + i;
        if (mix->direction == RN_PLD_REMOVE) {
            book(step, place, law.h, law.mass[i] * law.value[i] / mix->slots);
        } else {
            book(step, -place, law.h, law.mass[i]);
        }
    }
    step->infinity = mix->direction == RN_PLD_REMOVE ? law.lost / mix->slots : law.zero;
    rn_pld_step_close(step);
    return rn_ok();
}

rn_result rn_pld_allocation_below(struct rn_pld_step *step, const struct rn_pld_mix *mix, double h,
                                  double tail, uint32_t bins_max, struct rn_error *err)
{
    *step = (struct rn_pld_step){0};
    RN_CLEANUP(rn_pld_law_free) struct rn_pld_law law;
    const struct rn_pld_law_lattice lattice = lattice_of(mix, h, false);
    RN_TRY(rn_pld_law_init(&law, mix->noise, mix->slots, false, &lattice, tail, err));
    RN_CLEANUP(rn_pld_points_free) struct rn_pld_points points;
    rn_pld_points_init(&points, &law, mix->slots, mix->direction);
    struct rn_pld_mix of_points = {.repeats = mix->repeats, .parts = 1};
    of_points.part[0].share = 1;
    of_points.part[0].pair.direction = mix->direction;
    of_points.part[0].pair.points = &points;
    RN_TRY(rn_pld_step_below(step, &of_points, h, tail, bins_max, err));
    step->rounding += law.rounding;
    return rn_ok();
}
