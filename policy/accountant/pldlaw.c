/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldlaw.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/pldpair.h"

#include <math.h>
#include <string.h>

#define SQRT_2 1.41421356237309504880

struct build {
    double shift; /* a */
    double finest, coarsest;
    uint32_t slots;
    bool above;
    double budget; /* of either end of one law, relative to its mean or its mass */
};

void rn_pld_law_free(struct rn_pld_law *law)
{
    rn_free(RN_TAKE(law->mass));
    rn_free(RN_TAKE(law->value));
}

double rn_pld_law_width(double noise, uint32_t slots)
{
    const double square = 1 / (noise * noise);
    /* ln(1 + var S), or of the one X that is above all others */
    return sqrt(fmin(square > 700 ? square : log1p(expm1(square) / slots), square));
}

/* The lattice of a sum of m: a power of two above the finest. */
static double lattice_of(const struct build *build, uint32_t m)
{
    const double most =
        fmin(build->finest * sqrt((double)build->slots / m), fmax(build->coarsest, build->finest));
    double h = build->finest;
    while (2 * h <= most) {
        h *= 2;
    }
    return h;
}

static rn_result room(struct rn_pld_law *law, double h, double first, double last,
                      struct rn_error *err)
{
    const double count = last - first + 1;
    *law = (struct rn_pld_law){.h = h, .first = first};
    RN_ENSURE(count <= 2.0 * RN_PLD_LAW_PLACES_MAX, err, RN_E_DATA,
              "a random allocation's likelihood ratio spreads over more than %u lattice places",
              RN_PLD_LAW_PLACES_MAX);
    law->count = (uint32_t)count;
    law->mass = rn_alloc(law->count, sizeof *law->mass);
    law->value = rn_alloc(law->count, sizeof *law->value);
    return rn_ok();
}

/* ---- One X ---- */

static double below_normal(double z)
{
    return erfc(-z / SQRT_2) / 2;
}

struct cell {
    double place, h; /* of its lower end */
    double mass, mean, up;
};

static void add_node(void *context, double mass, double loss)
{
    struct cell *cell = context;
    const double under_q = mass * exp(-loss);
    const double up = expm1(loss - cell->place * cell->h) / expm1(cell->h);
    cell->mass += under_q;
    cell->mean += mass;
    cell->up += under_q * fmin(fmax(up, 0), 1);
}

/* What lies below place `first` and above place `last`. */
static void add_ends(const struct build *build, struct rn_pld_law *law, double low, double high)
{
    const double a = build->shift;
    const uint32_t top = law->count - 1;
    const double few = below_normal(low), few_mean = below_normal(low - a);
    const double many = below_normal(-high), many_mean = below_normal(a - high);
    if (build->above) {
        const double up = fmin(few_mean / law->value[0], few);
        law->mass[0] += up;
        law->zero = few - up;
        law->mass[top] += many;
        law->lost = fmax(many_mean - many * law->value[top], 0);
        return;
    }
    law->mass[0] += few; /* values are means still to be divided */
    law->value[0] += few_mean;
    law->mass[top] += many;
    law->value[top] += many_mean;
}

static void place_values(struct rn_pld_law *law)
{
    for (uint32_t i = 0; i < law->count; i++) {
        law->value[i] = exp((law->first + i) * law->h);
    }
}

static void divide_means(struct rn_pld_law *law)
{
    for (uint32_t i = 0; i < law->count; i++) {
        law->value[i] = law->mass[i] > 0 ? law->value[i] / law->mass[i] : 0;
    }
}

static rn_result one(struct rn_pld_law *law, const struct build *build, struct rn_error *err)
{
    const double a = build->shift, h = lattice_of(build, 1);
    const double z = sqrt(-2 * log(build->budget)); /* P[N > z] <= exp(-z^2 / 2) / 2 */
    const double first = floor((-a * z - a * a / 2) / h), last = ceil((a * z + a * a / 2) / h);
    struct rn_pld_pair pair;
    rn_pld_pair_init(&pair, 1 / a, 1, 1, RN_PLD_REMOVE);
    RN_TRY(room(law, h, first, last, err));
    if (build->above) {
        place_values(law);
    }
    for (uint32_t i = 0; i + 1 < law->count; i++) {
        struct cell cell = {.place = first + i, .h = h};
        const double from = cell.place * h / a + a / 2, to = (cell.place + 1) * h / a + a / 2;
        rn_pld_pair_walk(&pair, from, to, h, add_node, &cell);
        law->mass[i] += build->above ? cell.mass - cell.up : cell.mass;
        if (build->above) {
            law->mass[i + 1] += cell.up;
        } else {
            law->value[i] += cell.mean;
        }
    }
    add_ends(build, law, first * h / a + a / 2, last * h / a + a / 2);
    if (!build->above) {
        divide_means(law);
    }
    law->rounding = 0x1p-47;
    return rn_ok();
}

/* ---- A sum of two ---- */

/* Where the sum of two values stands, by the difference of their places: as many places above the
 * first one, and which share of it one higher. */
struct table {
    double least; /* difference of entry 0 */
    int32_t *up;
    double *share;
};

static void table_free(struct table *table)
{
    rn_free(table->up);
    rn_free(table->share);
}

/* ln(1 + exp(d h)) / h */
static double rise(double d, double h)
{
    return fmax(d, 0) + log1p(exp(-fabs(d) * h)) / h;
}

/* Differences least .. most of places, plus `half` for the middles of cells; `middle` is that of
 * the first value's cell. */
static void table_fill(struct table *table, double least, double most, double h, double middle,
                       double half)
{
    const size_t count = (size_t)(most - least) + 1;
    table->least = least;
    table->up = rn_alloc(count, sizeof *table->up);
    table->share = rn_alloc(count, sizeof *table->share);
    for (size_t k = 0; k < count; k++) {
        const double g = middle + rise(least + (double)k + half, h);
        table->up[k] = (int32_t)floor(g);
        table->share[k] = expm1((g - floor(g)) * h) / expm1(h);
    }
}

/* Two laws on a lattice that is `left` and `right` times finer than theirs. */
struct two {
    const struct rn_pld_law *a, *b;
    uint32_t left, right;
    bool same;
};

static void add_above(struct rn_pld_law *out, const struct two *two, const struct table *table)
{
    const double base = two->right * two->b->first - two->left * two->a->first - table->least;
    for (uint32_t i = 0; i < two->a->count; i++) {
        const double place = two->left * (two->a->first + i);
        const int64_t at = (int64_t)(place - out->first);
        const int64_t k = (int64_t)base - (int64_t)two->left * i;
        for (uint32_t j = two->same ? i : 0; j < two->b->count; j++) {
            const size_t d = (size_t)(k + (int64_t)two->right * j);
            double mass = two->a->mass[i] * two->b->mass[j];
            mass *= two->same && j > i ? 2 : 1;
            double *to = &out->mass[at + table->up[d]];
            to[0] += mass * (1 - table->share[d]);
            to[1] += mass * table->share[d];
        }
    }
}

static void add_below(struct rn_pld_law *out, const struct two *two, const struct table *table)
{
    const double base = two->right * two->b->first - two->left * two->a->first - table->least;
    for (uint32_t i = 0; i < two->a->count; i++) {
        const double place = two->left * (two->a->first + i);
        const int64_t at = (int64_t)(place - out->first);
        const int64_t k = (int64_t)base - (int64_t)two->left * i;
        for (uint32_t j = two->same ? i : 0; j < two->b->count; j++) {
            const size_t d = (size_t)(k + (int64_t)two->right * j);
            double mass = two->a->mass[i] * two->b->mass[j];
            mass *= two->same && j > i ? 2 : 1;
            out->mass[at + table->up[d]] += mass;
            out->value[at + table->up[d]] += mass * (two->a->value[i] + two->b->value[j]);
        }
    }
}

/* One value 0, and the other at its place; below the first place, between it and 0. */
static void add_zeros(struct rn_pld_law *out, const struct rn_pld_law *law, uint32_t finer,
                      double zero)
{
    for (uint32_t i = 0; i < law->count; i++) {
        const double place = finer * (law->first + i), mass = zero * law->mass[i];
        if (place >= out->first) {
            out->mass[(size_t)(place - out->first)] += mass;
            continue;
        }
        const double up = mass * exp((place - out->first) * out->h);
        out->mass[0] += up;
        out->zero += mass - up;
    }
}

/* No sum is less than the greater of the least values, nor more than the sum of the greatest. */
static double least_place(const struct two *two)
{
    return fmax(two->left * two->a->first, two->right * two->b->first);
}

static double most_place(const struct two *two, double h)
{
    const double a = two->left * (two->a->first + two->a->count);
    const double b = two->right * (two->b->first + two->b->count);
    return ceil(a + rise(b - a, h)) + 1;
}

static rn_result add(struct rn_pld_law *out, const struct two *two, double h, bool above,
                     struct rn_error *err)
{
    RN_CLEANUP(table_free) struct table table = {0};
    const double a_last = two->left * (two->a->first + two->a->count - 1);
    const double b_last = two->right * (two->b->first + two->b->count - 1);
    const double middle = above ? 0 : two->left / 2.0;
    RN_TRY(room(out, h, least_place(two), most_place(two, h), err));
    table_fill(&table, two->right * two->b->first - a_last, b_last - two->left * two->a->first, h,
               middle, above ? 0 : two->right / 2.0 - middle);
    out->rounding = two->a->rounding + two->b->rounding +
                    0x1p-52 * (4 + (double)two->a->count + (double)two->b->count);
    if (!above) {
        add_below(out, two, &table);
        divide_means(out);
        return rn_ok();
    }
    out->zero = two->a->zero * two->b->zero;
    add_above(out, two, &table);
    add_zeros(out, two->b, two->right, two->a->zero);
    add_zeros(out, two->a, two->left, two->b->zero);
    out->lost = two->a->lost + two->b->lost;
    place_values(out);
    return rn_ok();
}

/* ---- The ends of a law ---- */

/* Puts entry `from` into `to`, its neighbour towards the middle. */
static void fold(struct rn_pld_law *law, bool above, uint32_t from, uint32_t to)
{
    const double mass = law->mass[from], mean = mass * law->value[from];
    law->mass[from] = 0;
    if (above && from < to) {
        const double up = fmin(mean / law->value[to], mass);
        law->mass[to] += up;
        law->zero += mass - up;
    } else if (above) {
        law->mass[to] += mass;
        law->lost += mean - mass * law->value[to];
    } else {
        const double all = law->mass[to] + mass;
        law->value[to] = all > 0 ? (law->mass[to] * law->value[to] + mean) / all : 0;
        law->mass[to] = all;
    }
}

/* Cuts ends off: mass under Q below, mean above, of no more than the budget each. */
static void trim(struct rn_pld_law *law, const struct build *build, uint32_t m)
{
    uint32_t from = 0, to = law->count - 1;
    for (double left = build->budget; from < to && law->mass[from] <= left; from++) {
        left -= law->mass[from];
        fold(law, build->above, from, from + 1);
    }
    double left = build->budget * m;
    for (; to > from && law->mass[to] * law->value[to] <= left; to--) {
        left -= law->mass[to] * law->value[to];
        fold(law, build->above, to, to - 1);
    }
    law->count = to - from + 1;
    law->first += from;
    memmove(law->mass, law->mass + from, law->count * sizeof *law->mass);
    memmove(law->value, law->value + from, law->count * sizeof *law->value);
}

/* ---- All of them ---- */

static rn_result join(struct rn_pld_law *sum, uint32_t m, const struct rn_pld_law *other,
                      const struct build *build, struct rn_error *err)
{
    const double h = lattice_of(build, m);
    const struct two two = {sum, other, (uint32_t)(sum->h / h), (uint32_t)(other->h / h),
                            sum == other};
    RN_CLEANUP(rn_pld_law_free) struct rn_pld_law out = {0};
    RN_TRY(add(&out, &two, h, build->above, err));
    trim(&out, build, m);
    RN_ENSURE(out.count <= RN_PLD_LAW_PLACES_MAX, err, RN_E_DATA,
              "a random allocation's likelihood ratio spreads over more than %u lattice places",
              RN_PLD_LAW_PLACES_MAX);
    rn_pld_law_free(sum);
    *sum = out;
    out.mass = out.value = NULL;
    return rn_ok();
}

rn_result rn_pld_law_init(struct rn_pld_law *law, double noise, uint32_t slots, bool above,
                          const struct rn_pld_law_lattice *lattice, double tail,
                          struct rn_error *err)
{
    *law = (struct rn_pld_law){0};
    RN_BUG_IF(slots < 2 || !(lattice->last > 0));
    RN_ENSURE(noise >= RN_PLD_LAW_NOISE_MIN, err, RN_E_UNSUPPORTED,
              "random allocation is accounted for from a noise multiplier of %g on",
              RN_PLD_LAW_NOISE_MIN);
    const struct build build = {.shift = 1 / noise,
                                .slots = slots,
                                .above = above,
                                .finest = lattice->last,
                                .coarsest = lattice->first,
                                .budget = fmin(tail, 1e-9) / (2 * ceil(log2(slots)) + 2)};
    RN_CLEANUP(rn_pld_law_free) struct rn_pld_law single = {0};
    RN_TRY(one(&single, &build, err));
    RN_TRY(one(law, &build, err));
    uint32_t bit = 31;
    while ((slots >> bit) == 0) {
        bit--;
    }
    for (uint32_t m = 1; bit-- > 0;) {
        m *= 2;
        RN_TRY(join(law, m, law, &build, err));
        if ((slots >> bit & 1) != 0) {
            m++;
            RN_TRY(join(law, m, &single, &build, err));
        }
    }
    return rn_ok();
}
