/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products of the CUDA backend: frozen weights with their epilogue, and LoRA's thin ones.
 */
#include "trainer/kernels/cuda/cudabackend.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <string.h>

/* Kernels cannot include the table's header. */
_Static_assert((int)RN_ACTIVATION_GELU == (int)RN_CUDA_GELU &&
                   (int)RN_ACTIVATION_TANH == (int)RN_CUDA_TANH &&
                   (int)RN_ACTIVATION_RELU == (int)RN_CUDA_RELU,
               "activations are numbered alike");

struct rn_weight {
    uint32_t n, k;
    struct rn_bf16 *w; /* device [n][k] */
};

/* To nearest, ties to even, as on the device. */
static struct rn_bf16 narrow(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    const uint32_t odd = bits >> 16 & 1;
    return (struct rn_bf16){isnan(value) ? 0x7fff : (uint16_t)((bits + 0x7fff + odd) >> 16)};
}

/* Every product that `multiply` below may ask for with this weight and bf16 results, so that a
 * device that cannot keep a row's bits is refused when a model is opened. */
static rn_result try_products(struct rn_port *port, uint32_t n, uint32_t k, struct rn_error *err)
{
    static const int present = 0;
    for (int i = 0; i < 6; i++) {
        const bool forward = i < 4;
        const struct rn_port_product shape = {.n = forward ? n : k,
                                              .k = forward ? k : n,
                                              .by_rows = forward,
                                              .bias = forward && i % 4 >= 2 ? &present : NULL,
                                              .c = i % 2 == 1 ? &present : NULL};
        RN_TRY(rn_port_product_try(port, &shape, err));
    }
    return rn_ok();
}

rn_result rn_cuda_weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                             struct rn_weight **out, struct rn_error *err)
{
    RN_ENSURE(n % 8 == 0 && k % 8 == 0, err, RN_E_UNSUPPORTED,
              "backend cuda: a weight of %u x %u; both must be multiples of 8", n, k);
    const size_t count = (size_t)n * k;
    void *memory = NULL;
    RN_TRY(try_products(device->port, n, k, err));
    RN_TRY(rn_port_alloc(device->port, count * sizeof(struct rn_bf16), &memory, err));
    struct rn_bf16 *host = rn_alloc(count, sizeof(*host));
    for (size_t i = 0; i < count; i++) {
        host[i] = narrow(host_w[i]);
    }
    rn_port_upload(device->port, memory, host, count * sizeof(*host));
    const rn_result result = rn_port_sync(device->port, err);
    rn_free(host);
    if (!rn_is_ok(result)) {
        rn_port_release(device->port, memory);
        return result;
    }
    *out = rn_alloc(1, sizeof(**out));
    **out = (struct rn_weight){.n = n, .k = k, .w = memory};
    return rn_ok();
}

void rn_cuda_weight_free(struct rn_device *device, struct rn_weight *weight)
{
    if (weight != NULL) {
        rn_port_release(device->port, weight->w);
        rn_free(weight);
    }
}

size_t rn_cuda_weight_bytes(const struct rn_weight *weight)
{
    return (size_t)weight->n * weight->k * sizeof(struct rn_bf16);
}

/* Whether a residual can be added inside the product. */
static bool fits_product(struct rn_mat residual, struct rn_mat y)
{
    return residual.type == y.type && rn_cuda_product_fits(residual);
}

/* Whether something is left to do after product, bias and residual. */
static bool needs_pass(const struct rn_epilogue *e, struct rn_mat y)
{
    return e->rank_b != NULL || e->pre.data != NULL || e->activation != RN_ACTIVATION_NONE ||
           e->slope.data != NULL || (e->residual.data != NULL && !fits_product(e->residual, y));
}

static bool absent_or_vectors(struct rn_mat m)
{
    return m.data == NULL || rn_cuda_vectors(m);
}

static void launch_epilogue(struct rn_lane *lane, const struct rn_epilogue *e, struct rn_mat y)
{
    const bool late = e->residual.data != NULL && !fits_product(e->residual, y);
    const struct rn_epilogue_args args = {
        .source = rn_cuda_view(y),
        .h = rn_cuda_view(e->rank_h),
        .residual = rn_cuda_view(late ? e->residual : (struct rn_mat){0}),
        .pre = rn_cuda_view(e->pre),
        .slope = rn_cuda_view(e->slope),
        .y = rn_cuda_view(y),
        .bias = e->bias,
        .b = e->rank_b,
        .owner = e->owner,
        .owner_stride = (int64_t)e->owner_stride,
        .rows = (int32_t)y.rows,
        .cols = (int32_t)y.cols,
        .rank = e->rank_b != NULL ? (int32_t)e->rank_h.cols : 0,
        .activation = (int32_t)e->activation,
        .slope_of = (int32_t)e->slope_of,
    };
    const uintptr_t floats = (uintptr_t)e->bias | (uintptr_t)e->rank_b |
                             (e->owner != NULL ? e->owner_stride * sizeof(float) : 0);
    if (!late && rn_cuda_vectors(y) && absent_or_vectors(e->pre) && absent_or_vectors(e->slope) &&
        floats % 16 == 0) {
        const unsigned threads =
            y.cols / 8 <= RN_CUDA_THREADS / 2 ? RN_CUDA_THREADS / 2 : RN_CUDA_THREADS;
        const struct rn_port_grid grid = {(y.rows + 3) / 4, (y.cols / 8 + threads - 1) / threads, 1,
                                          threads};
        rn_port_launch(lane->port, RN_ID_rn_cuda_epilogue, grid, &args);
    } else {
        rn_cuda_launch_rows(lane, RN_ID_rn_cuda_epilogue_any, y.rows, y.cols, &args);
    }
}

/* The bias in the form that a product with this output wants. */
static const void *bias_of(struct rn_lane *lane, const float *bias, struct rn_mat y)
{
    if (y.type == RN_F32) {
        return bias;
    }
    RN_BUG_IF(y.cols > lane->limits.width);
    const struct rn_narrow_args args = {.x = bias, .to = lane->bias, .n = y.cols};
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_narrow, y.cols, &args);
    return lane->bias;
}

/* Rows of x in bf16 (a float32 x is rounded into the lane's memory) times the weight. */
static void multiply_rows(struct rn_lane *lane, struct rn_mat x, const struct rn_port_product *all,
                          uint32_t first, uint32_t count)
{
    const size_t size = all->wide ? sizeof(float) : sizeof(struct rn_bf16);
    struct rn_port_product p = *all;
    struct rn_mat part = rn_cuda_rows(x, first, count);
    if (x.type == RN_F32) {
        const struct rn_mat rounded = {lane->rounded, count, x.cols, x.cols, RN_BF16};
        const struct rn_rows_args args = {.x = rn_cuda_view(part),
                                          .out = rn_cuda_view(rounded),
                                          .rows = (int32_t)count,
                                          .cols = (int32_t)x.cols};
        rn_cuda_launch_rows(lane, RN_ID_rn_cuda_read_mat, count, x.cols, &args);
        part = rounded;
    }
    p.m = count;
    p.a = part.data;
    p.lda = (int64_t)part.ld;
    p.c = p.c != NULL ? (const uint8_t *)p.c + first * (size_t)p.ldc * size : NULL;
    p.d = (uint8_t *)p.d + first * (size_t)p.ldd * size;
    rn_port_multiply(lane->port, &p);
}

/* y = x op(w), epilogue. A residual of y's type goes into the product's float32 sum; the bias too,
 * unless a pass over y follows anyway, which then adds it in float32. */
static void multiply(struct rn_lane *lane, const struct rn_weight *w, bool transposed,
                     struct rn_mat x, const struct rn_epilogue *e, struct rn_mat y)
{
    RN_BUG_IF(y.cols != (transposed ? w->n : w->k) || x.cols != (transposed ? w->k : w->n));
    RN_BUG_IF(x.rows != y.rows || !rn_cuda_product_fits(y));
    RN_BUG_IF(x.type == RN_F32 ? x.cols > lane->rounded_count : !rn_cuda_vectors(x));
    const bool pass = needs_pass(e, y);
    const bool inside = e->residual.data != NULL && fits_product(e->residual, y);
    if (y.rows == 0) {
        return;
    }
    const struct rn_port_product product = {
        .n = y.cols,
        .k = x.cols,
        .b = w->w,
        .ldb = w->k,
        .by_rows = transposed,
        .wide = y.type == RN_F32,
        .bias = e->bias != NULL && !pass ? bias_of(lane, e->bias, y) : NULL,
        .c = inside ? e->residual.data : NULL,
        .ldc = (int64_t)e->residual.ld,
        .d = y.data,
        .ldd = (int64_t)y.ld,
    };
    const uint32_t most = x.type == RN_F32 ? (uint32_t)(lane->rounded_count / x.cols) : x.rows;
    for (uint32_t row = 0; row < x.rows; row += most) {
        multiply_rows(lane, x, &product, row, x.rows - row < most ? x.rows - row : most);
    }
    if (pass) {
        launch_epilogue(lane, e, y);
    }
}

void rn_cuda_linear_op(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                       const struct rn_epilogue *epilogue, struct rn_mat y)
{
    multiply(lane, w, true, x, epilogue, y);
}

void rn_cuda_linear_back_op(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                            const struct rn_epilogue *epilogue, struct rn_mat dx)
{
    multiply(lane, w, false, dy, epilogue, dx);
}

void rn_cuda_thin_op(struct rn_lane *lane, struct rn_mat x, const float *a, struct rn_mat h)
{
    const struct rn_thin_args args = {.x = rn_cuda_view(x),
                                      .h = rn_cuda_view(h),
                                      .w = a,
                                      .rows = (int32_t)x.rows,
                                      .cols = (int32_t)x.cols,
                                      .rank = (int32_t)h.cols};
    const bool vectors = rn_cuda_vectors(x) && (uintptr_t)a % 16 == 0;
    const uint32_t rows_of_block = RN_CUDA_WARPS * RN_CUDA_THIN_ROWS;
    if (x.rows > 0) {
        rn_port_launch(lane->port, vectors ? RN_ID_rn_cuda_thin : RN_ID_rn_cuda_thin_any,
                       (struct rn_port_grid){(x.rows + rows_of_block - 1) / rows_of_block, 1, 1,
                                             RN_CUDA_THREADS},
                       &args);
    }
}

void rn_cuda_thin_transpose_op(struct rn_lane *lane, const float *b, uint32_t n, uint32_t r,
                               float scale, float *out)
{
    const struct rn_thin_transpose_args args = {
        .b = b, .out = out, .n = (int32_t)n, .rank = (int32_t)r, .scale = scale};
    const unsigned tiles = (n + RN_CUDA_THREADS - 1) / RN_CUDA_THREADS;
    rn_port_launch(lane->port, RN_ID_rn_cuda_thin_transpose,
                   (struct rn_port_grid){tiles, r, 1, RN_CUDA_THREADS}, &args);
}

/* The gradients of sequences first .. first+count-1, `stride` elements apart. */
static void launch_outer(struct rn_lane *lane, const struct rn_outer_args *common, uint32_t first,
                         uint32_t count, float *out)
{
    enum { THREADS = 128, SEQUENCES_MAX = 65535 };
    for (uint32_t done = 0; done < count;) {
        const uint32_t now = count - done < SEQUENCES_MAX ? count - done : SEQUENCES_MAX;
        struct rn_outer_args args = *common;
        args.first = (int32_t)(first + done);
        args.out = out + (size_t)done * (size_t)common->stride;
        const struct rn_port_grid grid = {
            ((unsigned)args.cols + THREADS - 1) / THREADS,
            ((unsigned)args.rank + RN_CUDA_OUTER_RANKS - 1) / RN_CUDA_OUTER_RANKS, now, THREADS};
        rn_port_launch(lane->port, RN_ID_rn_cuda_outer, grid, &args);
        done += now;
    }
}

void rn_cuda_outer_sum_op(struct rn_lane *lane, const struct rn_sequences *sequences,
                          struct rn_mat u, struct rn_mat v, float scale, bool transposed,
                          size_t per_sequence, float *out)
{
    const uint32_t count = sequences != NULL ? sequences->count : u.rows;
    const size_t elements = (size_t)u.cols * v.cols;
    struct rn_outer_args args = {
        .u = rn_cuda_view(u),
        .v = rn_cuda_view(v),
        .cu = sequences != NULL ? sequences->cu : NULL,
        .stride = (int64_t)per_sequence,
        .step_p = transposed ? 1 : (int64_t)v.cols,
        .step_c = transposed ? (int64_t)u.cols : 1,
        .rank = (int32_t)u.cols,
        .cols = (int32_t)v.cols,
        .scale = scale,
    };
    if (per_sequence != 0) {
        launch_outer(lane, &args, 0, count, out);
        return;
    }
    if (sequences == NULL) {
        const struct rn_outer_rows_args rows = {
            .u = args.u,
            .v = args.v,
            .out = out,
            .step_p = args.step_p,
            .step_c = args.step_c,
            .rows = (int32_t)u.rows,
            .cols = args.cols,
            .scale = scale,
        };
        rn_cuda_launch_rows(lane, RN_ID_rn_cuda_outer_rows, u.cols, v.cols, &rows);
        return;
    }
    /* A group of sequences at a time; the additions happen in the same order however many fit. */
    const uint32_t group = (uint32_t)(lane->partial_count / elements);
    RN_BUG_IF(group == 0);
    args.stride = (int64_t)elements;
    for (uint32_t first = 0; first < count; first += group) {
        const uint32_t now = count - first < group ? count - first : group;
        launch_outer(lane, &args, first, now, lane->partial);
        const struct rn_outer_sum_args sum = {
            .part = lane->partial, .out = out, .n = (int64_t)elements, .count = (int32_t)now};
        rn_cuda_launch_elements(lane, RN_ID_rn_cuda_outer_sum, elements, &sum);
    }
}
