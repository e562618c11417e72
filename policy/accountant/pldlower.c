/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldstep.h"

#include "base/guard.h"
#include "policy/accountant/pldallocation.h"

#include <math.h>

/* What a solved edge may leave unbooked, of its bin's mass; of the size of the sums' rounding. */
#define LEFT_OVER 0x1p-48
/* What all repetitions together may lose by edges, and by the offset, as a share of all mass. */
#define EDGES_LOSE 1e-8
#define OFFSET_LOSES 1e-6
#define NEWTON_MAX 20
/* An edge between two places keeps this far away from either, in places. */
#define EDGE_MARGIN 0.05
/* A distribution that ends this near to the heaviest bin's place ends in that bin, in places. */
#define NEAR_END 1.5
/* How far the heaviest bin may lie above the offset, or below it: within RN_PLD_STEP_ROUNDING. */
#define OFFSET_ERROR 0x1p-49
#define OFFSETS_MAX 8
#define CANDIDATES 512

/* The masses of a bin, booked at `at`. */
struct bin {
    double at;
    double booked; /* Q exp(at) */
    double over;   /* P less booked: 0 or more where the bin may stand at `at` */
};

static void add_node(void *context, double mass, double loss)
{
    struct bin *bin = context;
    const double more = -expm1(bin->at - loss);
    bin->over += mass * more;
    bin->booked += mass * (1 - more);
}

/* The losses between low and high differ by no more than three places of h. */
static struct bin bin_of(const struct rn_pld_pair *pair, double low, double high, double at,
                         double h)
{
    struct bin bin = {.at = at};
    rn_pld_pair_walk(pair, low, high, 3 * h, add_node, &bin);
    return bin;
}

/* One side of the heaviest bin, walked from where the range ends towards it. An edge that is off by
 * d makes the next one off by about -d, less by the growth of sqrt(p q) between them (1 - exp(-u)
 * is nearly u exp(-u / 2)): towards the peak of sqrt(p q) errors die out, and away from it they
 * grow. */
struct side {
    struct rn_pld_step *step;
    const struct rn_pld_pair *pair;
    double share;
    bool rising;      /* towards greater losses: the side below the heaviest */
    double v, limit;  /* the edge that is fixed; the far end of the range */
    double shifts[2]; /* of the last two edges, from half way between their places */
};

/* A bin at `place` falls short: down by as many places as it takes (one, but for rounding). */
static void book(const struct side *side, double place, const struct bin *bin)
{
    double down = 0;
    if (bin->over < 0) {
        down = fmax(ceil(-log1p(bin->over / bin->booked) / side->step->h - 1e-6), 0);
    }
    const double mass = bin->booked * exp(-down * side->step->h);
    rn_pld_step_book(side->step, place - down, side->share * mass);
}

static struct bin between(const struct side *side, double edge, double at)
{
    return side->rising ? bin_of(side->pair, side->v, edge, at, side->step->h)
                        : bin_of(side->pair, edge, side->v, at, side->step->h);
}

static double edge_at(const struct side *side, double loss)
{
    return side->rising ? rn_pld_pair_inverse(side->pair, loss, side->v, side->limit)
                        : rn_pld_pair_inverse(side->pair, loss, side->limit, side->v);
}

/* The search for the edge: what a bin has over rises with either of its edges. */
struct edge_search {
    double least, most; /* it is between */
    double low, high;   /* falls short; does not */
    bool low_tried, high_tried;
};

static double next_edge(struct edge_search *s, double edge, double newton, bool shorts)
{
    if (shorts) {
        s->low = edge;
        s->low_tried = true;
    } else {
        s->high = edge;
        s->high_tried = true;
    }
    if (newton > s->low && newton < s->high) {
        return newton;
    }
    if (newton >= s->high && !s->high_tried) {
        return s->most;
    }
    if (newton <= s->low && !s->low_tried) {
        return s->least;
    }
    return s->low + (s->high - s->low) / 2;
}

/* The other edge of the bin that is to be booked at `at`, so that it has nothing over. */
static double solve(struct side *side, double at, struct bin *bin)
{
    const double h = side->step->h, out = side->rising ? h : -h;
    const double near = edge_at(side, at + EDGE_MARGIN * out);
    const double far = edge_at(side, at + (1 - EDGE_MARGIN) * out);
    struct edge_search s = {.least = fmin(near, far), .most = fmax(near, far)};
    s.low = s.least;
    s.high = s.most;
    const double allowed = fmax(LEFT_OVER * (1 + fabs(at)), EDGES_LOSE / side->step->repeats);
    double edge = fmin(fmax(edge_at(side, at + out / 2 + side->shifts[0]), s.least), s.most);
    double best = s.most;
    bin->over = -1;
    for (unsigned i = 0; i < NEWTON_MAX; i++) {
        const struct bin tried = between(side, edge, at);
        if (tried.over >= 0 || bin->over < 0) {
            *bin = tried;
            best = edge;
        }
        if (tried.over >= 0 && tried.over <= allowed * tried.booked) {
            break;
        }
        const double slope = rn_pld_pair_density(side->pair, edge) *
                             fabs(expm1(at - rn_pld_pair_loss(side->pair, edge)));
        const double newton = edge - (tried.over - allowed / 2 * tried.booked) / slope;
        const double next = next_edge(&s, edge, newton, tried.over < 0);
        if (next == edge) {
            break;
        }
        edge = next;
    }
    side->shifts[0] = side->shifts[1];
    side->shifts[1] = rn_pld_pair_loss(side->pair, best) - at - out / 2;
    return best;
}

/* Books the bins of one side up to the heaviest, whose edge on this side is returned. */
static double walk_side(struct side *side, double heaviest, double other_limit)
{
    const struct rn_pld_step *step = side->step;
    const double at = (rn_pld_pair_loss(side->pair, side->v) - step->offset) / step->h;
    double place = side->rising ? ceil(at) : floor(at);
    side->limit = other_limit;
    while (side->rising ? place < heaviest : place > heaviest) {
        struct bin bin = {0};
        const double edge = solve(side, step->offset + place * step->h, &bin);
        if (bin.booked > 0) {
            book(side, place, &bin);
        }
        side->v = edge;
        place += side->rising ? 1 : -1;
    }
    return side->v;
}

/* A part's two sides; its share of the heaviest bin, at the offset. */
static struct bin book_part(struct rn_pld_step *step, const struct rn_pld_pair *pair, double share,
                            double tail, double heaviest)
{
    double low, high;
    rn_pld_pair_range(pair, tail, &low, &high);
    const double center = heaviest * step->h, near_end = NEAR_END * step->h;
    struct side below = {step, pair, share, true, low, high, {0, 0}};
    struct side above = {step, pair, share, false, high, low, {0, 0}};
    const double from =
        rn_pld_pair_loss(pair, low) > center - near_end ? low : walk_side(&below, heaviest, high);
    const double to =
        rn_pld_pair_loss(pair, high) < center + near_end ? high : walk_side(&above, heaviest, from);
    return bin_of(pair, from, to, center + step->offset, step->h);
}

/* The place where sqrt(P Q) has the most mass, of those of CANDIDATES points. With a mass at loss 0
 * it is 0, so that this is part of its bin. Any place is right; another one only loses more. */
static double heaviest_of(const struct rn_pld_mix *mix, double h, double tail)
{
    if (mix->parts == 0 || mix->atoms > 0) {
        return 0;
    }
    const struct rn_pld_pair *pair = &mix->part[0].pair;
    double low, high, best = 0, most = -INFINITY;
    rn_pld_pair_range(pair, tail, &low, &high);
    for (unsigned i = 0; i <= CANDIDATES; i++) {
        const double v = low + (high - low) * i / CANDIDATES;
        const double place = round(rn_pld_pair_loss(pair, v) / h);
        const double from = rn_pld_pair_inverse(pair, (place - 0.5) * h, low, high);
        const double to = rn_pld_pair_inverse(pair, (place + 0.5) * h, low, high);
        const double mass = rn_pld_pair_below(pair, to) - rn_pld_pair_below(pair, from);
        const double weight = log(mass) - place * h / 2;
        if (weight > most) {
            most = weight;
            best = place;
        }
    }
    return best;
}

static void book_atom(struct rn_pld_step *step, double mass, double loss)
{
    const double at = loss / step->h, whole = round(at);
    if (fabs(at - whole) * step->h <= 0x1p-50 * fabs(loss)) {
        rn_pld_step_book(step, whole, mass);
        return;
    }
    rn_pld_step_book(step, floor(at), mass * exp(floor(at) * step->h - loss));
}

/* Everything, with this offset. Returns how far the heaviest bin's own ln(P / Q) lies above where
 * it is booked. */
static double book_all(struct rn_pld_step *step, const struct rn_pld_mix *mix, double tail,
                       double heaviest, double offset)
{
    for (uint32_t i = 0; i < step->count; i++) {
        step->log_mass[i] = 0;
    }
    step->offset = offset;
    struct bin middle = {.at = heaviest * step->h + offset};
    for (unsigned i = 0; i < mix->atoms; i++) {
        if (mix->atom[i].loss == 0) {
            add_node(&middle, mix->atom[i].mass, 0); /* the heaviest is place 0 then */
        } else {
            book_atom(step, mix->atom[i].mass, mix->atom[i].loss);
        }
    }
    for (unsigned i = 0; i < mix->parts; i++) {
        const double share = mix->part[i].share;
        const struct bin bin = book_part(step, &mix->part[i].pair, share, tail, heaviest);
        middle.booked += share * bin.booked;
        middle.over += share * bin.over;
    }
    const double higher = middle.booked > 0 ? log1p(middle.over / middle.booked) : 0;
    rn_pld_step_book(step, heaviest, middle.booked);
    return higher;
}

/* The offset at which the heaviest bin has nothing over, by secants; of the tried ones the best at
 * which it does not fall short. */
static void settle_offset(struct rn_pld_step *step, const struct rn_pld_mix *mix, double tail)
{
    const double heaviest = heaviest_of(mix, step->h, tail);
    const double good = OFFSET_LOSES / step->repeats;
    double offset = 0, last_offset = 0, last = 0, best = INFINITY, best_offset = -step->h;
    for (unsigned i = 0; i < OFFSETS_MAX; i++) {
        const double higher = book_all(step, mix, tail, heaviest, offset);
        if (higher >= -OFFSET_ERROR && higher <= fmax(OFFSET_ERROR, good)) {
            return;
        }
        if (higher >= 0 && higher < best) {
            best = higher;
            best_offset = offset;
        }
        double next = offset + higher - (higher < 0 ? good / 2 : 0);
        if (i > 0 && last != higher) { /* at half of what is good */
            next = offset - (higher - good / 2) * (offset - last_offset) / (higher - last);
        }
        last = higher;
        last_offset = offset;
        offset = fmin(fmax(next, -step->h), step->h);
    }
    const double higher = book_all(step, mix, tail, heaviest, best_offset);
    if (higher < -OFFSET_ERROR) { /* never seen; its mass then counts for nothing */
        step->log_mass[(uint32_t)(heaviest - step->first)] = 0;
    }
}

rn_result rn_pld_step_below(struct rn_pld_step *step, const struct rn_pld_mix *mix, double h,
                            double tail, uint32_t bins_max, struct rn_error *err)
{
    if (mix->slots > 0) {
        return rn_pld_allocation_below(step, mix, h, tail, bins_max, err);
    }
    RN_TRY(rn_pld_step_room(step, mix, h, tail, bins_max, err));
    settle_offset(step, mix, tail);
    rn_pld_step_close(step);
    return rn_ok();
}
