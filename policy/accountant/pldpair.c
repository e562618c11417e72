/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldpair.h"

#include "policy/accountant/pldpoints.h"

#include <math.h>

#define SQRT_2 1.41421356237309504880
#define INV_SQRT_2PI 0.39894228040143267794

/* Panels, in units of the noise and of the loss; where four nodes do as well as six. */
#define PANEL 0.125
#define PANEL_LOSSES 0.5
#define NARROW (1.0 / 128)
#define NARROW_LOSSES 0.1
/* Where two do: their error is (width z)^4 / 4320 of the mass, z the distance from a mean. */
#define HAIR (1.0 / 512)
#define FAR 39.0
#define INVERSE_MAX 100
/* Beyond this exponent exp(t) - 1 is exp(t) and the logarithm is taken of the largest term. */
#define LARGE 30.0

static void binomial(struct rn_pld_pair *pair, double rate, unsigned group)
{
    const double in = log(rate), out = log1p(-rate), all = lgamma(group + 1.0);
    for (unsigned j = 0; j <= group; j++) {
        const double ways = all - lgamma(j + 1.0) - lgamma(group - j + 1.0);
        pair->log_weight[j] = ways + j * in + (group - j) * out;
    }
    double sum = 0;
    for (unsigned j = 0; j <= group; j++) {
        sum += exp(pair->log_weight[j]);
    }
    for (unsigned j = 0; j <= group; j++) {
        pair->log_weight[j] -= log(sum);
        pair->weight[j] = exp(pair->log_weight[j]);
    }
}

void rn_pld_pair_init(struct rn_pld_pair *pair, double noise, double rate, unsigned group,
                      enum rn_pld_direction direction)
{
    *pair = (struct rn_pld_pair){.direction = direction, .shift = 1 / noise, .most = group};
    if (rate < 1) {
        binomial(pair, rate, group);
        return;
    }
    pair->least = group;
    pair->weight[group] = 1;
}

static double exponent(const struct rn_pld_pair *pair, unsigned j, double y)
{
    const double mean = j * pair->shift;
    return mean * (y - mean / 2);
}

/* ln sum_j w_j exp(t_j) by the largest term. */
static double loss_large(const struct rn_pld_pair *pair, double y)
{
    double largest = -INFINITY, sum = 0;
    for (unsigned j = pair->least; j <= pair->most; j++) {
        largest = fmax(largest, pair->log_weight[j] + exponent(pair, j, y));
    }
    for (unsigned j = pair->least; j <= pair->most; j++) {
        sum += exp(pair->log_weight[j] + exponent(pair, j, y) - largest);
    }
    return largest + log(sum);
}

static double loss_of(const struct rn_pld_pair *pair, double y)
{
    if (pair->least == pair->most) {
        return exponent(pair, pair->most, y);
    }
    double sum = 0;
    for (unsigned j = 1; j <= pair->most; j++) {
        const double t = exponent(pair, j, y);
        if (t > LARGE) {
            return loss_large(pair, y);
        }
        sum += pair->weight[j] * expm1(t);
    }
    /* Near -1 the sum has lost its digits; and no loss is less than ln w_0, by rounding either. */
    return fmax(sum > -0.5 ? log1p(sum) : loss_large(pair, y), pair->log_weight[0]);
}

double rn_pld_pair_loss(const struct rn_pld_pair *pair, double v)
{
    if (pair->points != NULL) {
        return rn_pld_points_loss(pair->points, v);
    }
    return pair->direction == RN_PLD_REMOVE ? loss_of(pair, v) : -loss_of(pair, -v);
}

static double normal_density(double z)
{
    return INV_SQRT_2PI * exp(-z * z / 2);
}

double rn_pld_pair_density(const struct rn_pld_pair *pair, double v)
{
    if (pair->points != NULL) {
        return rn_pld_points_density(pair->points, v);
    }
    if (pair->direction == RN_PLD_ADD) {
        return normal_density(v);
    }
    /* Means farther away than FAR have densities below the least double. */
    const double first = ceil((v - FAR) / pair->shift), last = floor((v + FAR) / pair->shift);
    double sum = 0;
    for (double j = fmax(pair->least, first); j <= fmin(pair->most, last); j++) {
        sum += pair->weight[(unsigned)j] * normal_density(v - j * pair->shift);
    }
    return sum;
}

/* t with rate exp(t) = exp(loss) - (1 - rate): near loss 0, at large losses, and below. */
static double inverse_two(const struct rn_pld_pair *pair, double loss)
{
    if (loss > LARGE) {
        return loss + log1p(-pair->weight[0] * exp(-loss)) - pair->log_weight[1];
    }
    if (loss > -0.5) {
        const double ratio = expm1(loss) / pair->weight[1];
        return ratio > -1 ? log1p(ratio) : -INFINITY;
    }
    const double rest = exp(loss) - pair->weight[0];
    return rest > 0 ? log(rest) - pair->log_weight[1] : -INFINITY;
}

/* For one Gaussian and for two there is a formula; exact at the lattice's scale it need not be. */
static double inverse_formula(const struct rn_pld_pair *pair, double loss)
{
    const double t = pair->least == pair->most ? loss : inverse_two(pair, loss);
    const double mean = pair->most * pair->shift;
    return t / mean + mean / 2;
}

/* dL / dy: the shift times the mean number of records drawn, given y. */
static double slope_of(const struct rn_pld_pair *pair, double y)
{
    const double loss = loss_of(pair, y);
    double sum = 0;
    for (unsigned j = 1; j <= pair->most; j++) {
        sum += j * exp(pair->log_weight[j] + exponent(pair, j, y) - loss);
    }
    return pair->shift * sum;
}

/* Newton between low and high (L is convex), halving where it would leave them. */
static double inverse_search(const struct rn_pld_pair *pair, double loss, double low, double high)
{
    double y = high;
    for (unsigned i = 0; i < INVERSE_MAX && high - low > 1e-15 * (1 + fabs(low)); i++) {
        const double over = loss_of(pair, y) - loss;
        if (over < 0) {
            low = y;
        } else {
            high = y;
        }
        const double next = y - over / slope_of(pair, y);
        if (fabs(next - y) <= 1e-15 * (1 + fabs(y))) {
            break;
        }
        y = next > low && next < high ? next : low + (high - low) / 2;
    }
    return y;
}

double rn_pld_pair_inverse(const struct rn_pld_pair *pair, double loss, double low, double high)
{
    if (pair->points != NULL) {
        return rn_pld_points_inverse(pair->points, loss, low, high);
    }
    const bool remove = pair->direction == RN_PLD_REMOVE;
    if (pair->least == pair->most || pair->most == 1) {
        const double y = inverse_formula(pair, remove ? loss : -loss);
        return fmin(fmax(remove ? y : -y, low), high);
    }
    if (rn_pld_pair_loss(pair, low) >= loss) {
        return low;
    }
    if (rn_pld_pair_loss(pair, high) <= loss) {
        return high;
    }
    return remove ? inverse_search(pair, loss, low, high)
                  : -inverse_search(pair, -loss, -high, -low);
}

static double below_normal(double z)
{
    return erfc(-z / SQRT_2) / 2;
}

double rn_pld_pair_below(const struct rn_pld_pair *pair, double v)
{
    if (pair->points != NULL) {
        return rn_pld_points_below(pair->points, v);
    }
    if (pair->direction == RN_PLD_ADD) {
        return below_normal(v);
    }
    double sum = 0;
    for (unsigned j = pair->least; j <= pair->most; j++) {
        sum += pair->weight[j] * below_normal(v - j * pair->shift);
    }
    return sum;
}

double rn_pld_pair_above(const struct rn_pld_pair *pair, double v)
{
    if (pair->points != NULL) {
        return rn_pld_points_below(pair->points, pair->points->count) -
               rn_pld_points_below(pair->points, v);
    }
    if (pair->direction == RN_PLD_ADD) {
        return below_normal(-v);
    }
    double sum = 0;
    for (unsigned j = pair->least; j <= pair->most; j++) {
        sum += pair->weight[j] * below_normal(j * pair->shift - v);
    }
    return sum;
}

/* The place between `in` and `out` (outside of which no more than `tail` is, by `mass`), as near to
 * `in` as 40 halvings find it. */
static double tighten(const struct rn_pld_pair *pair, double tail, double in, double out,
                      double (*mass)(const struct rn_pld_pair *, double))
{
    for (unsigned i = 0; i < 40; i++) {
        const double middle = in + (out - in) / 2;
        if (mass(pair, middle) <= tail) {
            out = middle;
        } else {
            in = middle;
        }
    }
    return out;
}

void rn_pld_pair_range(const struct rn_pld_pair *pair, double tail, double *low, double *high)
{
    if (pair->points != NULL) {
        *low = 0;
        *high = pair->points->count;
        return;
    }
    const double z = sqrt(-2 * log(tail)); /* P[N > z] <= exp(-z^2 / 2) / 2 */
    const bool remove = pair->direction == RN_PLD_REMOVE;
    const double first = remove ? pair->least * pair->shift : 0;
    const double last = remove ? pair->most * pair->shift : 0;
    *low = tighten(pair, tail, last + z, first - z, rn_pld_pair_below);
    *high = tighten(pair, tail, *low, last + z, rn_pld_pair_above);
}

struct rule {
    unsigned nodes;
    double place[6], weight[6];
};

static const struct rule six = {
    6,
    {-0.93246951420315202781, -0.66120938646626451366, -0.23861918608319690863,
     0.23861918608319690863, 0.66120938646626451366, 0.93246951420315202781},
    {0.17132449237917034504, 0.36076157304813860757, 0.46791393457269104739, 0.46791393457269104739,
     0.36076157304813860757, 0.17132449237917034504}};
static const struct rule four = {4,
                                 {-0.86113631159405257522, -0.33998104358485626480,
                                  0.33998104358485626480, 0.86113631159405257522},
                                 {0.34785484513745385737, 0.65214515486254614263,
                                  0.65214515486254614263, 0.34785484513745385737}};

static const struct rule two = {2, {-0.57735026918962576451, 0.57735026918962576451}, {1, 1}};

static void panel(const struct rn_pld_pair *pair, const struct rule *rule, double low, double high,
                  rn_pld_node *node, void *context)
{
    const double middle = low + (high - low) / 2, half = (high - low) / 2;
    for (unsigned k = 0; k < rule->nodes; k++) {
        const double v = middle + half * rule->place[k];
        const double mass = half * rule->weight[k] * rn_pld_pair_density(pair, v);
        if (mass > 0) {
            node(context, mass, rn_pld_pair_loss(pair, v));
        }
    }
}

void rn_pld_pair_walk(const struct rn_pld_pair *pair, double low, double high, double losses,
                      rn_pld_node *node, void *context)
{
    if (!(high > low)) {
        return;
    }
    if (pair->points != NULL) {
        rn_pld_points_walk(pair->points, low, high, node, context);
        return;
    }
    const double distance = fmax(fabs(low), fabs(high)) + 2 * pair->most * pair->shift + 2;
    if ((high - low) * distance <= HAIR && losses <= HAIR) {
        panel(pair, &two, low, high, node, context);
        return;
    }
    const bool narrow = high - low <= NARROW && losses <= NARROW_LOSSES;
    const double panels = ceil(fmax((high - low) / PANEL, losses / PANEL_LOSSES));
    for (double k = 0; k < panels; k++) {
        const double from = low + (high - low) * (k / panels);
        const double to = low + (high - low) * ((k + 1) / panels);
        panel(pair, narrow ? &four : &six, from, to, node, context);
    }
}
