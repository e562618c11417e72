/* SPDX-License-Identifier: Apache-2.0
 *
 * LoRA's thin products and gradients: values against the reference backend, order of threads, and
 * the rule that a sequence's gradient keeps its exact bits whoever else is in the batch.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

#define PICK(kernels, pair) ((kernels)->activation == RN_BF16 ? (pair).cuda : (pair).ref)

struct thin {
    struct check_pair x, h;
    float *a;
};

static void thin(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct thin *t = context;
    kernels->thin(lane, PICK(kernels, t->x), t->a, PICK(kernels, t->h));
}

static void compare_thin(uint32_t rows, uint32_t cols, uint32_t rank, size_t ld)
{
    struct thin t = {.x = check_filled_ld(rows, cols, ld, 1.0f, 0.0f),
                     .h = check_empty_type(rows, rank, rank + 3, RN_F32),
                     .a = check_floats((size_t)rank * cols, 1.0f, 0.0f)};
    const struct check_out out = check_out_mat(t.h.cuda);
    check_orders(thin, &t, &out, 1);
    check_run(rn_kernels_ref(), thin, &t);
    check_close("thin", t.h, 1, 1e-5);
    check_free(t.x);
    check_free(t.h);
    check_release(t.a);
}

static void thin_products(void **state)
{
    (void)state;
    compare_thin(37, 768, 8, 768);
    compare_thin(5, 264, 3, 272);
    compare_thin(33, 40, 16, 40);
    compare_thin(1, 8, 1, 8);
    compare_thin(9, 33, 4, 33); /* no multiple of 8 */
}

struct transpose {
    float *b, *out;
    uint32_t n, r;
};

static void transpose(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct transpose *t = context;
    kernels->thin_transpose(lane, t->b, t->n, t->r, 0.25f, t->out);
}

static void transposes(void **state)
{
    (void)state;
    struct transpose t = {.n = 300, .r = 7, .b = check_floats(2100, 1.0f, 0.0f)};
    t.out = check_memory(2100, sizeof(float));
    const struct check_out out = {t.out, 2100 * sizeof(float), NULL};
    check_orders(transpose, &t, &out, 1);
    for (size_t r = 0; r < t.r; r++) {
        for (size_t n = 0; n < t.n; n++) {
            assert_true(t.out[r * t.n + n] == 0.25f * t.b[n * t.r + r]);
        }
    }
    check_release(t.b);
    check_release(t.out);
}

struct outer {
    struct rn_sequences sequences;
    int32_t *cu;
    bool rows; /* one row a sequence */
    struct check_pair u, v;
    bool transposed;
    size_t per_sequence;
    float *cuda, *ref;
};

static void outer(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct outer *o = context;
    kernels->outer_sum(lane, o->rows ? NULL : &o->sequences, PICK(kernels, o->u),
                       PICK(kernels, o->v), 0.5f, o->transposed, o->per_sequence,
                       kernels->activation == RN_BF16 ? o->cuda : o->ref);
}

static const int32_t cu[] = {0, 1, 33, 65, 130, 133};
enum { COUNT = 5, TOKENS = 133 };

static struct outer make(uint32_t rank, uint32_t cols, bool transposed, bool each)
{
    const size_t elements = (size_t)rank * cols, total = each ? elements * COUNT : elements;
    struct outer o = {
        .sequences = {COUNT, TOKENS, 65, NULL, cu},
        .u = check_fill(check_empty_type(TOKENS, rank, rank + 2, RN_F32), 1.0f, 0.0f),
        .v = check_filled_ld(TOKENS, cols, cols, 1.0f, 0.0f),
        .transposed = transposed,
        .per_sequence = each ? elements : 0,
        .cuda = check_floats(total, 1.0f, 0.0f),
    };
    o.cu = check_copy(cu, sizeof(cu));
    o.sequences.cu = o.cu;
    o.ref = check_memory(total, sizeof(float));
    memcpy(o.ref, o.cuda, total * sizeof(float));
    return o;
}

static void clear(struct outer *o)
{
    check_release(o->cu);
    check_free(o->u);
    check_free(o->v);
    check_release(o->cuda);
    check_release(o->ref);
}

static void compare_outer(uint32_t rank, uint32_t cols, bool transposed, bool each)
{
    struct outer o = make(rank, cols, transposed, each);
    const size_t total = (size_t)rank * cols * (each ? COUNT : 1);
    float *start = check_memory(total, sizeof(float));
    memcpy(start, o.cuda, total * sizeof(float));
    const struct check_out out = {o.cuda, total * sizeof(float), each ? NULL : start};
    check_orders(outer, &o, &out, 1);
    check_run(rn_kernels_ref(), outer, &o);
    check_close_floats("gradient", o.cuda, o.ref, total, 1e-5, 1e-5);
    check_release(start);
    clear(&o);
}

static void gradients_of_the_batch(void **state)
{
    (void)state;
    compare_outer(8, 256, false, false);
    compare_outer(8, 256, true, false);
    compare_outer(3, 100, false, false);
    compare_outer(16, 130, true, false);
}

static void gradients_of_each_sequence(void **state)
{
    (void)state;
    compare_outer(8, 136, false, true);
    compare_outer(5, 136, true, true);
}

static void heads_have_a_row_a_sequence(void **state)
{
    (void)state;
    struct outer o = make(11, 70, false, false);
    o.rows = true;
    check_run(rn_kernels_cuda_table(), outer, &o);
    check_run(rn_kernels_ref(), outer, &o);
    check_close_floats("gradient", o.cuda, o.ref, 11 * 70, 1e-5, 1e-5);
    clear(&o);
}

/* The batch's gradient is the sum of the sequences' in their order, and each of those keeps its
 * bits when the others change, join or leave. */
static void a_sequence_keeps_its_bits(void **state)
{
    (void)state;
    enum { RANK = 8, COLS = 72, SIZE = RANK * COLS };
    struct outer each = make(RANK, COLS, false, true), batch = each, alone = each;
    float sum[SIZE], *one = check_memory(SIZE, sizeof(float));
    int32_t *own = check_memory(2, sizeof(int32_t));
    check_run(rn_kernels_cuda_table(), outer, &each);
    memset(sum, 0, sizeof(sum));
    batch.per_sequence = 0;
    batch.cuda = check_memory(SIZE, sizeof(float));
    check_run(rn_kernels_cuda_table(), outer, &batch);
    for (int i = 0; i < COUNT; i++) {
        const uint32_t first = (uint32_t)cu[i], count = (uint32_t)(cu[i + 1] - cu[i]);
        own[1] = (int32_t)count;
        for (int e = 0; e < SIZE; e++) {
            sum[e] += each.cuda[i * SIZE + e];
        }
        alone.sequences = (struct rn_sequences){1, count, count, own, own};
        alone.u.cuda = rn_mat_rows(each.u.cuda, first, count);
        alone.v.cuda = rn_mat_rows(each.v.cuda, first, count);
        alone.cuda = one;
        check_run(rn_kernels_cuda_table(), outer, &alone);
        assert_memory_equal(one, each.cuda + (size_t)i * SIZE, SIZE * sizeof(float));
    }
    assert_memory_equal(sum, batch.cuda, sizeof(sum));
    check_release(batch.cuda);
    check_release(one);
    check_release(own);
    clear(&each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thin_products),
        cmocka_unit_test(transposes),
        cmocka_unit_test(gradients_of_the_batch),
        cmocka_unit_test(gradients_of_each_sequence),
        cmocka_unit_test(heads_have_a_row_a_sequence),
        cmocka_unit_test(a_sequence_keeps_its_bits),
    };
    return check_main("lora", tests, RN_ARRAY_LENGTH(tests));
}
