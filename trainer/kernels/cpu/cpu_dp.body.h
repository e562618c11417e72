/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: gradients of examples, clipped to whole numbers and added exactly.
 *
 * Two passes over the gradients: norms; then quantise, add and square at once, in pieces of the sum
 * that stay in the first-level cache while every example of the call is added to them. Only then is
 * the exact sum of squares known: an example that is too long (rounding of the norm alone can do
 * that) is taken back, which whole numbers allow, and added again with a smaller factor.
 *
 * A part that is a product of two rows is never formed. Its norm is the product of theirs, and a
 * row of it is the row v under a scale of its own: quantised like stored numbers, one row of the
 * sum after the other, every example of the call adding to it while it is near.
 */
#include "trainer/kernels/cpu/cpu_element.body.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

#include "base/guard.h"

#include <math.h>
#include <string.h>

/* Elements of a chain of sums of squares in double, and of the piece of the sum in the cache. */
#define RN_DP_NORM_PIECE ((size_t)4096)
#define RN_DP_SUM_PIECE ((size_t)1024)

typedef float f8 __attribute__((vector_size(32)));
typedef double d8 __attribute__((vector_size(64)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef int64_t l8 __attribute__((vector_size(64)));

static void rows_store(struct rn_lane *lane, struct rn_mat m, size_t stride, float *out)
{
    (void)lane;
    RN_BUG_IF(m.type == RN_F64);
    for (size_t i = 0; i < m.rows; i++) {
        v_take_row(m.type, rn_row(m, i), m.cols, m.cols, out + i * stride);
    }
}

/* Sum of the lanes in one fixed tree. */
RN_INLINE double d8_sum(const d8 *x)
{
    const d8 v = *x;
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

/* Squares of floats are exact in double, so fused or not the bits are the same. */
RN_INLINE double square_sum_piece(const float *g, size_t n)
{
    d8 s0 = {0};
    d8 s1 = {0};
    for (size_t j = 0; j < n; j += 16) {
        float tail[16] = {0};
        const float *from = g + j;
        if (n - j < 16) {
            memcpy(tail, from, (n - j) * sizeof(float));
            from = tail;
        }
        f8 low;
        f8 high;
        memcpy(&low, from, sizeof(low));
        memcpy(&high, from + 8, sizeof(high));
        const d8 a = __builtin_convertvector(low, d8);
        const d8 b = __builtin_convertvector(high, d8);
        s0 += a * a;
        s1 += b * b;
    }
    s0 += s1;
    return d8_sum(&s0);
}

/* Chains of 256 elements, their sums added with compensation (Neumaier): a relative error below
 * 2^-44, whatever n. */
static double square_sum(const float *g, size_t n)
{
    double sum = 0.0;
    double lost = 0.0;
    for (size_t j = 0; j < n; j += RN_DP_NORM_PIECE) {
        const double piece =
            square_sum_piece(g + j, n - j < RN_DP_NORM_PIECE ? n - j : RN_DP_NORM_PIECE);
        const double next = sum + piece;
        lost += sum >= piece ? (sum - next) + piece : (piece - next) + sum;
        sum = next;
    }
    return sum + lost;
}

/* Of the whole vector. A product of two float32 is exact in double, so |u v^T|^2 = |u|^2 |v|^2 is
 * of the very numbers that are summed; a few roundings more than square_sum's: below 2^-42. */
static double norm_of(const struct rn_example_rows *rows, const float *row)
{
    double sum = square_sum(row, rows->stored);
    for (size_t i = 0; i < rows->part_count; i++) {
        const struct rn_outer_part *part = &rows->parts[i];
        sum += square_sum(row + part->u, part->rows) * square_sum(row + part->v, part->cols);
    }
    const double norm = sqrt(sum);
    return isfinite(norm) ? norm : INFINITY;
}

/* sum += sign * v, v = trunc(g * scale), for 16 elements; squares grow by v^2. An element outside
 * 32 bits (none is, as |g| <= norm) becomes -2^31, whose square no check passes. */
RN_INLINE void quantise_16(const float *g, const d8 *scale, int sign, int64_t *sum, d8 squares[2])
{
    for (int half = 0; half < 2; half++) {
        f8 from;
        l8 to;
        memcpy(&from, g + 8 * half, sizeof(from));
        memcpy(&to, sum + 8 * half, sizeof(to));
        const i8 v = __builtin_convertvector(__builtin_convertvector(from, d8) * *scale, i8);
        const d8 back = __builtin_convertvector(v, d8);
        squares[half] += back * back;
        if (sign > 0) {
            to += __builtin_convertvector(v, l8);
        } else if (sign < 0) {
            to -= __builtin_convertvector(v, l8);
        }
        if (sign != 0) {
            memcpy(sum + 8 * half, &to, sizeof(to));
        }
    }
}

/* A piece of at most RN_DP_SUM_PIECE elements; returns the sum of v^2. Each chain is exact in
 * double (64 squares of at most 2^46), and the chains are added as integers. */
RN_INLINE unsigned __int128 quantise_piece(const float *g, size_t n, double scale, int sign,
                                           int64_t *sum)
{
    const d8 factor = {scale, scale, scale, scale, scale, scale, scale, scale};
    d8 squares[2] = {{0}, {0}};
    size_t j = 0;
    for (; j + 16 <= n; j += 16) {
        quantise_16(g + j, &factor, sign, sum + j, squares);
    }
    if (j < n) {
        float tail[16] = {0};
        int64_t tail_sum[16] = {0};
        memcpy(tail, g + j, (n - j) * sizeof(float));
        memcpy(tail_sum, sum + j, (n - j) * sizeof(int64_t));
        quantise_16(tail, &factor, sign, tail_sum, squares);
        memcpy(sum + j, tail_sum, (n - j) * sizeof(int64_t));
    }
    unsigned __int128 total = 0;
    for (int lane = 0; lane < 8; lane++) {
        total += (unsigned __int128)squares[0][lane] + (unsigned __int128)squares[1][lane];
    }
    return total;
}

static unsigned __int128 quantise(const float *g, size_t n, double scale, int sign, int64_t *sum)
{
    unsigned __int128 total = 0;
    for (size_t j = 0; j < n; j += RN_DP_SUM_PIECE) {
        const size_t left = n - j < RN_DP_SUM_PIECE ? n - j : RN_DP_SUM_PIECE;
        const float *from = g + j;
        total += sign > 0   ? quantise_piece(from, left, scale, 1, sum + j)
                 : sign < 0 ? quantise_piece(from, left, scale, -1, sum + j)
                            : quantise_piece(from, left, scale, 0, sum + j);
    }
    return total;
}

/* One example's whole vector. */
static unsigned __int128 quantise_all(const struct rn_example_rows *rows, const float *row,
                                      double scale, int sign, int64_t *sum)
{
    unsigned __int128 total = quantise(row, rows->stored, scale, sign, sum);
    sum += rows->stored;
    for (size_t i = 0; i < rows->part_count; i++) {
        const struct rn_outer_part *part = &rows->parts[i];
        for (size_t p = 0; p < part->rows; p++, sum += part->cols) {
            const double of_row = scale * (double)row[part->u + p];
            total += quantise(row + part->v, part->cols, of_row, sign, sum);
        }
    }
    return total;
}

/* An example whose vector came out too long: taken back, then added with a smaller factor. */
static void shorten(const struct rn_example_rows *rows, const float *row, double f, double unit,
                    unsigned __int128 most, int64_t *sum)
{
    quantise_all(rows, row, f * unit, -1, sum);
    do {
        f *= 1.0 - 0x1p-20;
    } while (quantise_all(rows, row, f * unit, 0, sum) > most);
    quantise_all(rows, row, f * unit, 1, sum);
}

/* Up to RN_DP_TOGETHER examples of a call. scale[i] 0: the zero vector. */
#define RN_DP_TOGETHER 64
struct dp_group {
    const struct rn_example_rows *rows;
    const float *first; /* of the group's rows */
    uint32_t count;
    double scale[RN_DP_TOGETHER];
    unsigned __int128 squares[RN_DP_TOGETHER];
};

/* Columns v .. v + n - 1 of every example, under its scale times its number at u (NULL: 1). */
static void add_columns(struct dp_group *group, size_t v, size_t n, const size_t *u, int64_t *sum)
{
    for (size_t j = 0; j < n; j += RN_DP_SUM_PIECE) {
        const size_t left = n - j < RN_DP_SUM_PIECE ? n - j : RN_DP_SUM_PIECE;
        for (uint32_t i = 0; i < group->count; i++) {
            const float *row = group->first + i * group->rows->stride;
            if (group->scale[i] > 0.0) {
                const double scale = group->scale[i] * (u == NULL ? 1.0 : (double)row[*u]);
                group->squares[i] += quantise_piece(row + v + j, left, scale, 1, sum + j);
            }
        }
    }
}

static void add_group(struct dp_group *group, int64_t *sum)
{
    const struct rn_example_rows *rows = group->rows;
    add_columns(group, 0, rows->stored, NULL, sum);
    sum += rows->stored;
    for (size_t i = 0; i < rows->part_count; i++) {
        const struct rn_outer_part *part = &rows->parts[i];
        for (size_t p = 0; p < part->rows; p++, sum += part->cols) {
            const size_t u = part->u + p;
            add_columns(group, part->v, part->cols, &u, sum);
        }
    }
}

/* 0 for what is not finite. */
static double factor_of(double norm, const struct rn_clip *clip)
{
    if (!isfinite(norm)) {
        return 0.0;
    }
    if (clip->gamma > 0.0) {
        return clip->norm / (norm + clip->gamma);
    }
    return norm > clip->norm ? clip->norm / norm : 1.0;
}

static void clip_add_some(const struct rn_example_rows *rows, uint32_t first, uint32_t count,
                          const struct rn_clip *clip, int64_t *sum, double *norms)
{
    struct dp_group group = {
        .rows = rows, .first = rows->rows + first * rows->stride, .count = count};
    double f[RN_DP_TOGETHER];
    const double unit = clip->grid / clip->norm;
    const unsigned __int128 most = (unsigned __int128)clip->grid * (unsigned __int128)clip->grid;
    for (uint32_t i = 0; i < count; i++) {
        const double norm = norm_of(rows, group.first + i * rows->stride);
        f[i] = factor_of(norm, clip);
        group.scale[i] = f[i] * unit;
        if (norms != NULL) {
            norms[first + i] = norm;
        }
    }
    add_group(&group, sum);
    for (uint32_t i = 0; i < count; i++) {
        if (group.squares[i] > most) {
            shorten(rows, group.first + i * rows->stride, f[i], unit, most, sum);
        }
    }
}

static void clip_add_outer(struct rn_lane *lane, uint32_t count, const struct rn_example_rows *rows,
                           const struct rn_clip *clip, int64_t *sum, double *norms)
{
    (void)lane;
    for (uint32_t i = 0; i < count; i += RN_DP_TOGETHER) {
        const uint32_t now = count - i < RN_DP_TOGETHER ? count - i : RN_DP_TOGETHER;
        clip_add_some(rows, i, now, clip, sum, norms);
    }
}

static void clip_add(struct rn_lane *lane, uint32_t count, size_t n, const float *grads,
                     size_t stride, const struct rn_clip *clip, int64_t *sum, double *norms)
{
    const struct rn_example_rows rows = {.rows = grads, .stride = stride, .stored = n};
    clip_add_outer(lane, count, &rows, clip, sum, norms);
}

static void noisy_mean(struct rn_lane *lane, size_t n, const int64_t *sum, const int64_t *noise,
                       double factor, float *g)
{
    (void)lane;
    for (size_t j = 0; j < n; j++) {
        g[j] = (float)((double)(sum[j] + noise[j]) * factor);
    }
}
