/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldpoints.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>

void rn_pld_points_free(struct rn_pld_points *points)
{
    rn_free(RN_TAKE(points->loss));
    rn_free(RN_TAKE(points->mass));
    rn_free(RN_TAKE(points->below));
}

/* The law's cells with mass, their values in order: `loss` holds values and `mass` masses of Q. */
static void gather(struct rn_pld_points *points, const struct rn_pld_law *law)
{
    for (uint32_t i = 0; i < law->count; i++) {
        double mass = law->mass[i], mean = mass * law->value[i];
        if (!(mean > 0)) {
            continue;
        }
        while (points->count > 0 && points->loss[points->count - 1] * mass >= mean) {
            points->count--;
            mean += points->mass[points->count] * points->loss[points->count];
            mass += points->mass[points->count];
        }
        points->loss[points->count] = mean / mass;
        points->mass[points->count++] = mass;
    }
}

static void reverse(double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        const double value = values[i];
        values[i] = values[count - 1 - i];
        values[count - 1 - i] = value;
    }
}

void rn_pld_points_init(struct rn_pld_points *points, const struct rn_pld_law *law, uint32_t slots,
                        enum rn_pld_direction direction)
{
    *points = (struct rn_pld_points){.loss = rn_alloc(law->count, sizeof(double)),
                                     .mass = rn_alloc(law->count, sizeof(double)),
                                     .below = rn_alloc(law->count + 1, sizeof(double))};
    gather(points, law);
    for (uint32_t i = 0; i < points->count; i++) {
        const double ratio = points->loss[i] / slots;
        points->mass[i] *= direction == RN_PLD_REMOVE ? ratio : 1;
        points->loss[i] = direction == RN_PLD_REMOVE ? log(ratio) : -log(ratio);
    }
    if (direction == RN_PLD_ADD) {
        reverse(points->loss, points->count);
        reverse(points->mass, points->count);
    }
    for (uint32_t i = 0; i < points->count; i++) {
        points->below[i + 1] = points->below[i] + points->mass[i];
    }
}

static uint32_t point_at(const struct rn_pld_points *points, double v)
{
    return v < points->count ? (uint32_t)v : points->count - 1;
}

double rn_pld_points_loss(const struct rn_pld_points *points, double v)
{
    return points->loss[point_at(points, v)];
}

double rn_pld_points_density(const struct rn_pld_points *points, double v)
{
    return points->mass[point_at(points, v)];
}

double rn_pld_points_inverse(const struct rn_pld_points *points, double loss, double low,
                             double high)
{
    uint32_t from = 0, to = points->count;
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        if (points->loss[middle] < loss) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return fmin(fmax(from, low), high);
}

double rn_pld_points_below(const struct rn_pld_points *points, double v)
{
    const uint32_t i = point_at(points, v);
    return points->below[i] + points->mass[i] * fmin(v - i, 1);
}

void rn_pld_points_walk(const struct rn_pld_points *points, double low, double high,
                        rn_pld_node *node, void *context)
{
    for (double i = floor(low); i < fmin(high, points->count); i++) {
        const double share = fmin(high, i + 1) - fmax(low, i);
        if (share > 0) {
            const uint32_t at = (uint32_t)i;
            node(context, share * points->mass[at], points->loss[at]);
        }
    }
}
