/* SPDX-License-Identifier: Apache-2.0
 *
 * Head, losses, rows, flat vectors and optimisers against the reference backend.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

#define PICK(kernels, pair) ((kernels)->activation == RN_BF16 ? (pair).cuda : (pair).ref)

enum { ROWS = 21, N = 9, K = 300 };

struct head {
    struct check_pair x, y, dy, slope, dx;
    float *w, *bias;
    enum rn_activation activation, slope_of;
};

static void head(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct head *h = context;
    const struct rn_mat none = {0};
    kernels->dense(lane, PICK(kernels, h->x), h->w, h->bias, h->activation, PICK(kernels, h->y));
    kernels->dense_back(lane, PICK(kernels, h->dy), h->w,
                        h->slope_of == RN_ACTIVATION_NONE ? none : PICK(kernels, h->slope),
                        h->slope_of, PICK(kernels, h->dx));
}

static void dense_layers(void **state)
{
    (void)state;
    struct head h = {
        .x = check_filled(ROWS, K, 1.0f),
        .y = check_narrow(ROWS, N),
        .dy = check_narrow_filled(ROWS, N, 1.0f),
        .slope = check_narrow_filled(ROWS, K, 0.9f),
        .dx = check_empty_ld(ROWS, K, K + 1),
        .w = check_floats(N * K, 0.3f, 0.0f),
        .bias = check_floats(N, 1.0f, 0.0f),
    };
    const struct check_out outs[] = {check_out_mat(h.y.cuda), check_out_mat(h.dx.cuda)};
    for (int i = 0; i < 2; i++) {
        h.activation = i == 0 ? RN_ACTIVATION_NONE : RN_ACTIVATION_TANH;
        h.slope_of = h.activation;
        check_orders(head, &h, outs, RN_ARRAY_LENGTH(outs));
        check_run(rn_kernels_ref(), head, &h);
        check_close("dense", h.y, 1, 1e-5);
        check_close("gradient of dense", h.dx, 1, 1e-5);
    }
    check_free(h.x);
    check_free(h.y);
    check_free(h.dy);
    check_free(h.slope);
    check_free(h.dx);
    check_release(h.w);
    check_release(h.bias);
}

struct loss {
    struct check_pair logits, dlogits;
    int32_t *labels; /* [ROWS] each */
    float *targets;
    double *cuda, *ref;
    bool regression, alone;
};

static void loss(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    struct loss *l = context;
    const struct rn_mat none = {0}, dlogits = l->alone ? none : PICK(kernels, l->dlogits);
    double *out = kernels->activation == RN_BF16 ? l->cuda : l->ref;
    if (l->regression) {
        kernels->squared_error(lane, PICK(kernels, l->logits), l->targets, 0.5f, dlogits, out);
    } else {
        kernels->cross_entropy(lane, PICK(kernels, l->logits), l->labels, 0.5f, dlogits, out);
    }
}

/* Sums in float64 differ in their last bits at most, and rounding to float32 hides those; the
 * device's exp is another function. */
#ifdef RN_CHECK_DEVICE
enum { EXACT_LOSS = 0 };
#else
enum { EXACT_LOSS = 1 };
#endif

static void compare_loss(uint32_t classes, bool regression, float scale)
{
    struct loss l = {.logits = check_narrow_filled(ROWS, classes, scale),
                     .dlogits = check_narrow(ROWS, classes),
                     .labels = check_memory(ROWS, sizeof(int32_t)),
                     .targets = check_memory(ROWS, sizeof(float)),
                     .cuda = check_memory(ROWS, sizeof(double)),
                     .ref = check_memory(ROWS, sizeof(double)),
                     .regression = regression};
    for (int i = 0; i < ROWS; i++) {
        l.labels[i] = i == 1 ? (int)classes - 1 : i % (int)classes;
        l.targets[i] = check_random() * 5.0f;
    }
    const struct check_out outs[] = {check_out_mat(l.dlogits.cuda),
                                     {l.cuda, ROWS * sizeof(double), NULL}};
    check_orders(loss, &l, outs, RN_ARRAY_LENGTH(outs));
    check_run(rn_kernels_ref(), loss, &l);
    check_close("dlogits", l.dlogits, 1, 1e-7);
    for (int i = 0; i < ROWS; i++) {
        assert_true(fabs(l.cuda[i] - l.ref[i]) <= 1e-12 * fabs(l.ref[i]) + 1e-12);
    }
    if (EXACT_LOSS) {
        for (size_t i = 0; i < ROWS * classes; i++) {
            assert_true(((const float *)l.dlogits.cuda.data)[i] ==
                        (float)((const double *)l.dlogits.ref.data)[i]);
        }
    }
    l.alone = true;
    memset(l.dlogits.cuda.data, 0xff, ROWS * classes * sizeof(float));
    check_run(rn_kernels_cuda_table(), loss, &l);
    assert_int_equal(*(const uint32_t *)l.dlogits.cuda.data, 0xffffffffu);
    check_release(l.labels);
    check_release(l.targets);
    check_release(l.cuda);
    check_release(l.ref);
    check_free(l.logits);
    check_free(l.dlogits);
}

static void losses(void **state)
{
    (void)state;
    compare_loss(2, false, 3.0f);
    compare_loss(7, false, 3.0f);
    compare_loss(3, false, 2000.0f); /* exp would overflow without the maximum taken off */
    compare_loss(1, true, 3.0f);
}

/* More classes than a warp has lanes, no multiple of them; as many as a vocabulary. */
static void losses_of_many_classes(void **state)
{
    (void)state;
    compare_loss(32, false, 3.0f);
    compare_loss(33, false, 3.0f);
    compare_loss(1000, false, 2000.0f);
    compare_loss(32003, false, 3.0f);
}

/* What is not finite shows in its own row's loss, in no other. */
static void a_loss_shows_what_is_not_finite(void **state)
{
    (void)state;
    enum { CLASSES = 70 };
    struct loss l = {.logits = check_narrow_filled(ROWS, CLASSES, 3.0f),
                     .dlogits = check_narrow(ROWS, CLASSES),
                     .labels = check_memory(ROWS, sizeof(int32_t)),
                     .cuda = check_memory(ROWS, sizeof(double))};
    check_set(l.logits, 3, 69, NAN);
    check_set(l.logits, 4, 0, NAN);
    check_set(l.logits, 9, 40, INFINITY);
    check_run(rn_kernels_cuda_table(), loss, &l);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(isfinite(l.cuda[i]) != 0, i != 3 && i != 4 && i != 9);
    }
    check_release(l.labels);
    check_release(l.cuda);
    check_free(l.logits);
    check_free(l.dlogits);
}

struct rows {
    struct check_pair x, gathered, added, zeroed;
    int32_t *index; /* [6] */
    float *cuda, *ref;
    float *sum_cuda, *sum_ref;
};

static void rows(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct rows *r = context;
    const bool cuda = kernels->activation == RN_BF16;
    kernels->gather_rows(lane, PICK(kernels, r->x), r->index, PICK(kernels, r->gathered));
    kernels->scatter_add_rows(lane, PICK(kernels, r->gathered), r->index, PICK(kernels, r->added));
    kernels->zero_mat(lane, PICK(kernels, r->zeroed));
    kernels->read_mat(lane, PICK(kernels, r->x), cuda ? r->cuda : r->ref);
    kernels->column_sum(lane, PICK(kernels, r->x), cuda ? r->sum_cuda : r->sum_ref);
}

static void rows_move(void **state)
{
    (void)state;
    enum { COLS = 270 };
    static const int32_t index[] = {20, 0, 3, 19, 7, 8};
    struct rows r = {
        .x = check_filled_ld(ROWS, COLS, COLS + 2, 1.0f, 0.0f),
        .gathered = check_empty(6, COLS),
        .added = check_filled(ROWS, COLS, 1.0f),
        .zeroed = check_empty_ld(4, COLS, COLS + 3),
        .index = check_copy(index, sizeof(index)),
        .cuda = check_memory(ROWS * COLS, sizeof(float)),
        .ref = check_memory(ROWS * COLS, sizeof(float)),
        .sum_cuda = check_floats(COLS, 1.0f, 0.0f),
        .sum_ref = check_memory(COLS, sizeof(float)),
    };
    memcpy(r.sum_ref, r.sum_cuda, COLS * sizeof(float));
    check_run(rn_kernels_cuda_table(), rows, &r);
    memset(r.zeroed.ref.data, 0xff, 4 * (COLS + 3) * 8);
    check_run(rn_kernels_ref(), rows, &r);
    check_close("gathered", r.gathered, 0, 0.0);
    check_close("added", r.added, 0, 0.0);
    check_close("zeroed", r.zeroed, 0, 0.0);
    assert_memory_equal(r.cuda, r.ref, ROWS * COLS * sizeof(float));
    check_close_floats("column sum", r.sum_cuda, r.sum_ref, COLS, 1e-6, 1e-5);
    check_release(r.index);
    check_free(r.x);
    check_free(r.gathered);
    check_free(r.added);
    check_free(r.zeroed);
    check_release(r.cuda);
    check_release(r.ref);
    check_release(r.sum_cuda);
    check_release(r.sum_ref);
}

enum { SIZE = 10000 };

struct vectors {
    float *g, *p, *m, *v, *q, *y;
    double square;
};

/* Some second moments are nearly zero: eps decides there. */
static struct vectors make_vectors(void)
{
    struct vectors out = {
        .g = check_floats(SIZE, 1.0f, 0.0f),
        .p = check_floats(SIZE, 1.0f, 0.0f),
        .m = check_floats(SIZE, 0.1f, 0.0f),
        .v = check_floats(SIZE, 0.1f, 0.2f),
        .q = check_floats(SIZE, 1.0f, 0.0f),
        .y = check_floats(SIZE, 1.0f, 0.0f),
    };
    for (size_t i = 0; i < SIZE; i += 7) {
        out.g[i] *= 1e-7f;
        out.m[i] *= 1e-7f;
        out.v[i] *= 1e-15f;
    }
    return out;
}

static void clear_vectors(struct vectors *v)
{
    check_release(v->g);
    check_release(v->p);
    check_release(v->m);
    check_release(v->v);
    check_release(v->q);
    check_release(v->y);
}

static void vectors(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    struct vectors *v = context;
    const struct rn_adamw adamw = {
        1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 1.0 - 0.9 * 0.9 * 0.9, 1.0 - 0.999 * 0.999 * 0.999};
    v->square = kernels->vector_square_sum(lane, SIZE, v->g);
    kernels->adamw(lane, SIZE, &adamw, v->g, v->m, v->v, v->p);
    kernels->sgd(lane, SIZE, 0.1f, 0.01f, v->g, v->q);
    kernels->vector_add(lane, SIZE, v->g, v->y);
    kernels->vector_scale(lane, SIZE, 0.125f, v->g);
}

static void optimisers(void **state)
{
    (void)state;
    uint64_t *seed = check_state();
    const uint64_t start = *seed;
    struct vectors cuda = make_vectors();
    *seed = start;
    struct vectors ref = make_vectors();
    check_run(rn_kernels_cuda_table(), vectors, &cuda);
    check_run(rn_kernels_ref(), vectors, &ref);
    check_close_floats("m", cuda.m, ref.m, SIZE, 1e-6, 1e-8);
    check_close_floats("v", cuda.v, ref.v, SIZE, 1e-6, 1e-8);
    check_close_floats("adamw", cuda.p, ref.p, SIZE, 3e-7, 1e-7);
    check_close_floats("sgd", cuda.q, ref.q, SIZE, 1e-6, 1e-7);
    assert_memory_equal(cuda.y, ref.y, SIZE * sizeof(float));
    assert_memory_equal(cuda.g, ref.g, SIZE * sizeof(float));
    assert_true(fabs(cuda.square - ref.square) <= 1e-12 * ref.square);
    clear_vectors(&cuda);
    clear_vectors(&ref);
}

static void square_sum(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    struct vectors *v = context;
    v->square = kernels->vector_square_sum(lane, SIZE, v->g);
}

static void a_norm_shows_what_is_not_finite(void **state)
{
    (void)state;
    struct vectors v = make_vectors();
    v.g[SIZE - 1] = NAN;
    check_run(rn_kernels_cuda_table(), square_sum, &v);
    assert_false(isfinite(v.square));
    v.g[SIZE - 1] = INFINITY;
    check_run(rn_kernels_cuda_table(), square_sum, &v);
    assert_false(isfinite(v.square));
    clear_vectors(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_layers),
        cmocka_unit_test(losses),
        cmocka_unit_test(losses_of_many_classes),
        cmocka_unit_test(a_loss_shows_what_is_not_finite),
        cmocka_unit_test(rows_move),
        cmocka_unit_test(optimisers),
        cmocka_unit_test(a_norm_shows_what_is_not_finite),
    };
    return check_main("head", tests, RN_ARRAY_LENGTH(tests));
}
