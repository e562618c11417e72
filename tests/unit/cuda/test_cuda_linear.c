/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with frozen weights and every kind of epilogue, forward and backward, and LoRA's thin
 * products, against the reference backend.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

#define PICK(kernels, pair) ((kernels)->activation == RN_BF16 ? (pair).cuda : (pair).ref)

/* One linear operation; which parts of the epilogue it has is in `parts`. */
enum { BIAS = 1, RANK = 2, RESIDUAL = 4, PRE = 8, ACTIVATE = 16, GATE = 32, PARTS = 64 };

struct linear {
    uint32_t n, k, rank;
    bool back;
    size_t owner_stride;
    int32_t *owner; /* [rows]; NULL = one adapter */
    unsigned parts;
    enum rn_activation activation, slope_of;
    float *w, *bias, *rank_b;
    struct check_pair x, h, residual, pre, slope, y;
};

static struct rn_epilogue epilogue_of(const struct rn_kernels *kernels, const struct linear *l)
{
    struct rn_epilogue e = {0};
    if ((l->parts & BIAS) != 0) {
        e.bias = l->bias;
    }
    if ((l->parts & RANK) != 0) {
        e.rank_h = PICK(kernels, l->h);
        e.rank_b = l->rank_b;
        e.owner = l->owner;
        e.owner_stride = l->owner_stride;
    }
    if ((l->parts & RESIDUAL) != 0) {
        e.residual = PICK(kernels, l->residual);
    }
    if ((l->parts & PRE) != 0) {
        e.pre = PICK(kernels, l->pre);
    }
    if ((l->parts & ACTIVATE) != 0) {
        e.activation = l->activation;
    }
    if ((l->parts & GATE) != 0) {
        e.slope = PICK(kernels, l->slope);
        e.slope_of = l->slope_of;
    }
    return e;
}

/* check_run hands out the lane alone; a weight wants a device, so this opens its own. */
static void run_linear(const struct rn_kernels *kernels, struct linear *l)
{
    struct rn_device *device = NULL;
    struct rn_lane *lane = NULL;
    struct rn_weight *weight = NULL;
    assert_true(rn_is_ok(kernels->device_open(&device, NULL)));
    assert_true(rn_is_ok(kernels->lane_new(device, &check_limits, &lane, NULL)));
    assert_true(rn_is_ok(kernels->weight_new(device, l->w, l->n, l->k, &weight, NULL)));
    const struct rn_epilogue e = epilogue_of(kernels, l);
    (l->back ? kernels->linear_back : kernels->linear)(lane, weight, PICK(kernels, l->x), &e,
                                                       PICK(kernels, l->y));
    assert_true(rn_is_ok(kernels->sync(lane, NULL)));
    kernels->weight_free(device, weight);
    kernels->lane_free(lane);
    kernels->device_close(device);
}

static struct linear make(uint32_t rows, uint32_t n, uint32_t k, bool back)
{
    const uint32_t in = back ? n : k, out = back ? k : n;
    struct linear l = {
        .n = n,
        .k = k,
        .rank = 5,
        .back = back,
        .w = check_floats((size_t)n * k, 0.3f, 0.0f),
        .bias = check_floats(out, 1.0f, 0.0f),
        .rank_b = check_floats((size_t)5 * out, 1.0f, 0.0f),
        .x = check_filled_ld(rows, in, in + 8, 1.0f, 0.0f),
        .h = check_narrow_filled(rows, 5, 1.0f),
        .residual = check_filled_ld(rows, out, out + 16, 1.0f, 0.0f),
        .pre = check_empty(rows, out),
        .slope = check_filled_ld(rows, out, out, 1.0f, 0.0f),
        .y = check_empty_ld(rows, out, out + 8),
    };
    /* both backends start from the same bf16 weights */
    for (size_t i = 0; i < (size_t)n * k; i++) {
        l.w[i] = rn_from_bf16(rn_to_bf16(l.w[i]));
    }
    return l;
}

static void clear(struct linear *l)
{
    check_release(l->w);
    check_release(l->bias);
    check_release(l->rank_b);
    check_release(l->owner);
    check_free(l->x);
    check_free(l->h);
    check_free(l->residual);
    check_free(l->pre);
    check_free(l->slope);
    check_free(l->y);
}

static double gelu_slope(double x)
{
    return 0.5 * (1.0 + erf(x * M_SQRT1_2)) +
           x * exp(-0.5 * x * x) * (0.5 * M_SQRT1_2 * M_2_SQRTPI);
}

/* GELU keeps f' at once on the CUDA backend, and what f' is formed from in the reference. */
static void set_slope(struct linear *l)
{
    for (size_t i = 0; i < l->slope.cuda.rows && l->slope_of == RN_ACTIVATION_GELU; i++) {
        for (size_t c = 0; c < l->slope.cuda.cols; c++) {
            double *ref = (double *)l->slope.ref.data + i * l->slope.ref.ld + c;
            const double x = *ref;
            check_set(l->slope, i, c, (float)gelu_slope(x));
            *ref = x;
        }
    }
}

/* The reference's pre-activation in the form of the other. */
static void set_pre(struct linear *l)
{
    double *ref = l->pre.ref.data;
    const bool gelu = (l->parts & ACTIVATE) != 0 && l->activation == RN_ACTIVATION_GELU;
    for (size_t i = 0; i < l->pre.ref.rows * l->pre.ref.ld && gelu; i++) {
        ref[i] = gelu_slope(ref[i]);
    }
}

/* The product is rounded to bf16 once, and once more by the pass after it; a factor of 2^-8 of the
 * largest term covers both where terms cancel. */
static void compare(struct linear *l)
{
    memset(l->y.cuda.data, 0xff, l->y.cuda.rows * l->y.cuda.ld * rn_element_size(l->y.cuda.type));
    set_slope(l);
    run_linear(rn_kernels_cuda_table(), l);
    run_linear(rn_kernels_ref(), l);
    set_pre(l);
    const double slack = check_peak(l->y) / 256 + 2.0 / 256;
    check_close("y", l->y, 1, slack);
    assert_true(check_relative(l->y) <= 4e-3);
    if ((l->parts & PRE) != 0) {
        check_close("pre", l->pre, 1, slack);
    }
}

static void every_combination(bool back)
{
    for (unsigned parts = 0; parts < PARTS; parts++) {
        struct linear l = make(13, 24, 40, back);
        l.parts = parts;
        l.activation = RN_ACTIVATION_GELU;
        l.slope_of = parts % 2 == 0 ? RN_ACTIVATION_GELU : RN_ACTIVATION_TANH;
        compare(&l);
        clear(&l);
    }
}

static void forward(void **state)
{
    (void)state;
    every_combination(false);
}

static void backward(void **state)
{
    (void)state;
    every_combination(true);
}

/* float32 on either side of a product, as around the head's pooler: a float32 output keeps the
 * products' float32 sums; a float32 input is rounded to bf16 on the way, in pieces of as many rows
 * as the lane holds (64 times 2304 elements here). */
static void float_on_either_side(void **state)
{
    (void)state;
    for (unsigned parts = 0; parts < PARTS; parts++) {
        struct linear l = make(13, 24, 40, false);
        check_free(l.y);
        check_free(l.slope);
        l.y = check_empty_type(13, 24, 28, RN_F32);
        l.slope = check_narrow_filled(13, 24, 0.9f);
        l.parts = parts;
        l.activation = RN_ACTIVATION_TANH;
        l.slope_of = RN_ACTIVATION_TANH;
        run_linear(rn_kernels_cuda_table(), &l);
        run_linear(rn_kernels_ref(), &l);
        check_close("y", l.y, 0, 1e-5);
        clear(&l);
    }
    struct linear l = make(130, 24, 2048, false);
    check_free(l.x);
    l.x = check_fill(check_empty_type(130, 2048, 2048, RN_F32), 1.0f, 0.0f);
    l.parts = BIAS | RESIDUAL;
    compare(&l);
    clear(&l);
}

/* Rows of three adapters in one product, in runs and alternating, in both kernels of the pass: each
 * row gets its own adapter's update. */
static void rows_of_several_adapters(void **state)
{
    (void)state;
    static const uint32_t widths[] = {24, 2304};
    for (int kind = 0; kind < 4; kind++) {
        const bool back = kind % 2 != 0, wide = kind >= 2;
        const uint32_t out = widths[kind == 0], rows = 13;
        struct linear l = back ? make(rows, 16, out, true) : make(rows, out, 16, false);
        l.owner_stride = (size_t)l.rank * out + 8;
        check_release(l.rank_b);
        l.rank_b = check_floats(3 * l.owner_stride, 1.0f, 0.0f);
        l.owner = check_memory(rows, sizeof(int32_t));
        for (uint32_t i = 0; i < rows; i++) {
            l.owner[i] = (int32_t)(i < 6 ? i / 3 : i * 2 % 3);
        }
        if (wide) {
            check_free(l.y);
            l.y = check_empty_type(rows, out, out, RN_F32);
        }
        l.parts = RANK | BIAS;
        compare(&l);
        l.parts = RANK | RESIDUAL | PRE | ACTIVATE | GATE;
        l.activation = RN_ACTIVATION_GELU;
        l.slope_of = RN_ACTIVATION_TANH;
        compare(&l);
        clear(&l);
    }
}

/* More columns than one block of the pass has, rows that are no multiple of four. */
static void wide_rows(void **state)
{
    (void)state;
    struct linear l = make(6, 2304, 16, false);
    l.parts = BIAS | RANK | PRE | ACTIVATE;
    l.activation = RN_ACTIVATION_GELU;
    compare(&l);
    clear(&l);
}

static void residual_may_be_the_output(void **state)
{
    (void)state;
    struct linear l = make(9, 16, 32, true);
    const size_t bytes = l.y.cuda.rows * l.y.cuda.ld;
    struct check_pair start = check_filled_ld(9, 32, 40, 1.0f, 0.0f);
    l.parts = RESIDUAL | RANK;
    memcpy(l.y.cuda.data, start.cuda.data, bytes * 2);
    memcpy(l.y.ref.data, start.ref.data, bytes * 8);
    check_free(l.residual);
    l.residual = l.y;
    run_linear(rn_kernels_cuda_table(), &l);
    run_linear(rn_kernels_ref(), &l);
    check_close("y", l.y, 1, check_peak(l.y) / 256);
    l.residual = start;
    clear(&l);
}

static void odd_weights_are_refused(void **state)
{
    (void)state;
    const struct rn_kernels *kernels = rn_kernels_cuda_table();
    struct rn_device *device = NULL;
    struct rn_weight *weight = NULL;
    float w[12 * 8] = {0};
    assert_true(rn_is_ok(kernels->device_open(&device, NULL)));
    assert_int_equal(kernels->weight_new(device, w, 12, 8, &weight, NULL).code, RN_E_UNSUPPORTED);
    assert_int_equal(kernels->weight_new(device, w, 8, 12, &weight, NULL).code, RN_E_UNSUPPORTED);
    assert_true(rn_is_ok(kernels->weight_new(device, w, 8, 8, &weight, NULL)));
    assert_int_equal(kernels->weight_bytes(weight), 128);
    kernels->weight_free(device, weight);
    kernels->device_close(device);
}

/* ---- GELU: one operation over many values, far out and near zero ---- */

/* A product with the identity that makes every element a value of -9 .. 9. */
static struct linear ladder(void)
{
    enum { N = 64, ROWS = 64 };
    struct linear l = make(ROWS, N, N, false);
    for (size_t i = 0; i < (size_t)N * N; i++) {
        l.w[i] = i % (N + 1) == 0 ? 1.0f : 0.0f;
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t c = 0; c < N; c++) {
            check_set(l.x, i, c, ((float)(i * N + c) / (ROWS * N / 2) - 1.0f) * 9.0f);
        }
    }
    return l;
}

static void gelu_is_the_erf_form(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct linear l = ladder();
        if (kind == 1) { /* the kernel for any type; a float32 slope */
            check_free(l.pre);
            l.pre = check_narrow(64, 64);
        }
        l.parts = ACTIVATE | PRE;
        l.activation = RN_ACTIVATION_GELU;
        run_linear(rn_kernels_cuda_table(), &l);
        run_linear(rn_kernels_ref(), &l);
        set_pre(&l);
        check_close("gelu", l.y, 1, 1e-6);
        check_close("slope of gelu", l.pre, 1, 1e-6);
        l.parts = GATE;
        l.slope_of = RN_ACTIVATION_GELU;
        struct check_pair kept = l.slope;
        l.slope = l.pre;
        run_linear(rn_kernels_cuda_table(), &l);
        for (size_t i = 0; i < 64; i++) {
            for (size_t c = 0; c < 64; c++) { /* times what was stored, no more */
                const double x = (double)check_got(l.x, i, c);
                ((double *)l.y.ref.data)[i * l.y.ref.ld + c] = x * (double)check_got(l.pre, i, c);
            }
        }
        check_close("gradient of gelu", l.y, 0, 0.0);
        l.slope = kept;
        l.parts = ACTIVATE;
        l.activation = RN_ACTIVATION_TANH;
        run_linear(rn_kernels_cuda_table(), &l);
        run_linear(rn_kernels_ref(), &l);
        check_close("tanh", l.y, 1, 1e-6);
        clear(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward),
        cmocka_unit_test(backward),
        cmocka_unit_test(float_on_either_side),
        cmocka_unit_test(rows_of_several_adapters),
        cmocka_unit_test(wide_rows),
        cmocka_unit_test(residual_may_be_the_output),
        cmocka_unit_test(odd_weights_are_refused),
        cmocka_unit_test(gelu_is_the_erf_form),
    };
    return check_main("linear", tests, RN_ARRAY_LENGTH(tests));
}
