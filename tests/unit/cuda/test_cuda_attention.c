/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention and its gradient against the reference backend, with tensor cores and without, and the
 * rule that a sequence's bits do not depend on its neighbours.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

enum { HEADS = 2, SEQUENCES_MAX = 8 };

struct attention {
    struct rn_attention a;
    int32_t *cu;
    struct check_pair q, k, v, out, lse, dout, dq, dk, dv;
};

#define PICK(kernels, pair) ((kernels)->activation == RN_BF16 ? (pair).cuda : (pair).ref)

static void forward(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct attention *c = context;
    kernels->attention(lane, &c->a, PICK(kernels, c->q), PICK(kernels, c->k), PICK(kernels, c->v),
                       PICK(kernels, c->out), PICK(kernels, c->lse));
}

static void backward(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct attention *c = context;
    kernels->attention_back(lane, &c->a, PICK(kernels, c->q), PICK(kernels, c->k),
                            PICK(kernels, c->v), PICK(kernels, c->out), PICK(kernels, c->lse),
                            PICK(kernels, c->dout), PICK(kernels, c->dq), PICK(kernels, c->dk),
                            PICK(kernels, c->dv));
}

static void both_ways(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    forward(kernels, lane, context);
    backward(kernels, lane, context);
}

/* The reference forward, checked; then its backward from the output as the backend rounded it. */
static void run_reference(struct attention *c, double part)
{
    check_run(rn_kernels_ref(), forward, c);
    check_close("lse", c->lse, 1, 1e-5);
    check_close("out", c->out, 1, part * check_peak(c->out));
    for (size_t i = 0; i < c->out.cuda.rows; i++) {
        for (size_t n = 0; n < c->out.cuda.cols; n++) {
            check_set(c->out, i, n, check_got(c->out, i, n));
        }
    }
    check_run(rn_kernels_ref(), backward, c);
}

/* q, k, v lie side by side in one matrix, as columns. */
static struct attention make(const int32_t *cu, uint32_t count, uint32_t head_dim, bool first_query)
{
    struct attention c = {.a = {.heads = HEADS,
                                .head_dim = head_dim,
                                .scale = 1.0f / sqrtf((float)head_dim),
                                .first_query = first_query}};
    const uint32_t tokens = (uint32_t)cu[count], cols = HEADS * head_dim;
    const uint32_t queries = first_query ? count : tokens;
    c.cu = check_copy(cu, (count + 1) * sizeof(*cu));
    c.a.sequences =
        (struct rn_sequences){.count = count, .tokens = tokens, .cu = c.cu, .cu_host = c.cu};
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t length = (uint32_t)(cu[i + 1] - cu[i]);
        c.a.sequences.longest = length > c.a.sequences.longest ? length : c.a.sequences.longest;
    }
    c.q = check_filled_ld(queries, cols, cols + 8, 2.0f, 0.0f);
    c.k = check_filled_ld(tokens, cols, cols * 2, 2.0f, 0.1f);
    c.v = check_filled_ld(tokens, cols, cols, 1.0f, 0.3f);
    c.out = check_empty_ld(queries, cols, cols + 16);
    c.lse = check_narrow(queries, HEADS);
    c.dout = check_filled(queries, cols, 1.0f);
    c.dq = check_empty(queries, cols);
    c.dk = check_empty_ld(tokens, cols, cols + 8);
    c.dv = check_empty(tokens, cols);
    return c;
}

static void clear(struct attention *c)
{
    check_release(c->cu);
    check_free(c->q);
    check_free(c->k);
    check_free(c->v);
    check_free(c->out);
    check_free(c->lse);
    check_free(c->dout);
    check_free(c->dq);
    check_free(c->dk);
    check_free(c->dv);
}

/* Probabilities are rounded to bf16 before the second product: a relative error of 2^-9 in each
 * term, so single elements are bounded by the largest one. Without tensor cores all is float32. */
static void compare(const int32_t *cu, uint32_t count, uint32_t head_dim, bool first_query,
                    bool exact)
{
    struct attention c = make(cu, count, head_dim, first_query);
    const struct check_out outs[] = {check_out_mat(c.out.cuda), check_out_mat(c.lse.cuda),
                                     check_out_mat(c.dq.cuda), check_out_mat(c.dk.cuda),
                                     check_out_mat(c.dv.cuda)};
    check_orders(both_ways, &c, outs, RN_ARRAY_LENGTH(outs));
    const double part = exact ? 1e-5 : 6e-3;
    run_reference(&c, part);
    check_close("dq", c.dq, 1, part * check_peak(c.dq));
    check_close("dk", c.dk, 1, part * check_peak(c.dk));
    check_close("dv", c.dv, 1, part * check_peak(c.dv));
    assert_true(check_relative(c.dq) <= 4e-3);
    assert_true(check_relative(c.dk) <= 4e-3);
    assert_true(check_relative(c.dv) <= 4e-3);
    clear(&c);
}

/* Lengths around the tiles' edges. */
static const int32_t ragged[] = {0, 1, 17, 80, 145, 210}; /* lengths 1, 16, 63, 65, 65 */
static const int32_t tiles[] = {0, 64, 192, 200};         /* 64, 128, 8 */

static void heads_of_64(void **state)
{
    (void)state;
    compare(ragged, 5, 64, false, false);
    compare(tiles, 3, 64, false, false);
}

static void other_heads_with_tensor_cores(void **state)
{
    (void)state;
    static const int32_t shorter[] = {0, 33, 34, 66, 130}; /* 33, 1, 32, 64 */
    compare(ragged, 5, 16, false, false);
    compare(ragged, 5, 32, false, false);
    compare(shorter, 4, 96, false, false);
    compare(shorter, 4, 128, false, false);
}

static void heads_without_tensor_cores(void **state)
{
    (void)state;
    static const int32_t short_ones[] = {0, 1, 12, 45};
    compare(short_ones, 3, 8, false, true);
    compare(short_ones, 3, 40, false, true);
}

static void only_the_first_token_asks(void **state)
{
    (void)state;
    compare(ragged, 5, 64, true, false);
    compare(ragged, 5, 32, true, false);
    compare(ragged, 5, 40, true, true);
}

/* Scores of about -128: exp of what is hidden beyond the sequence must not overflow. */
static void scores_far_below_zero(void **state)
{
    (void)state;
    static const int32_t cu[] = {0, 5, 75};
    struct attention c = make(cu, 2, 64, false);
    check_free(c.q);
    check_free(c.k);
    c.q = check_filled_ld(75, 128, 128, 0.2f, 4.0f);
    c.k = check_filled_ld(75, 128, 128, 0.2f, -4.0f);
    const struct check_out outs[] = {check_out_mat(c.out.cuda), check_out_mat(c.dq.cuda),
                                     check_out_mat(c.dk.cuda), check_out_mat(c.dv.cuda)};
    check_orders(both_ways, &c, outs, RN_ARRAY_LENGTH(outs));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(outs); i++) {
        const struct rn_bf16 *values = outs[i].data;
        for (size_t n = 0; n < 75 * 128; n++) {
            if (i > 0 && i != 2) { /* without gaps between the rows */
                assert_true(isfinite(rn_from_bf16(values[n])));
            }
        }
    }
    run_reference(&c, 6e-3);
    clear(&c);
}

/* Columns that are not aligned to 16 bytes must take the other kernels, not fault. */
static void unaligned_columns(void **state)
{
    (void)state;
    static const int32_t cu[] = {0, 5, 20};
    struct attention c = make(cu, 2, 16, false);
    check_free(c.q);
    c.q = check_filled_ld(20, 32, 35, 1.0f, 0.0f);
    const struct check_out outs[] = {check_out_mat(c.out.cuda), check_out_mat(c.dq.cuda)};
    check_orders(both_ways, &c, outs, RN_ARRAY_LENGTH(outs));
    run_reference(&c, 1e-5);
    check_close("dq", c.dq, 1, 1e-5 * check_peak(c.dq));
    clear(&c);
}

static void same_rows(const char *what, struct rn_mat alone, struct rn_mat packed, uint32_t first)
{
    for (uint32_t i = 0; i < alone.rows; i++) {
        const struct rn_bf16 *a = (const struct rn_bf16 *)alone.data + i * alone.ld;
        const struct rn_bf16 *b = (const struct rn_bf16 *)packed.data + (first + i) * packed.ld;
        if (memcmp(a, b, alone.cols * sizeof(*a)) != 0) {
            fail_msg("%s: row %u of the sequence differs from the same alone", what, i);
        }
    }
}

static struct check_pair rows_of(struct check_pair p, uint32_t first, uint32_t count)
{
    return (struct check_pair){rn_mat_rows(p.cuda, first, count), rn_mat_rows(p.ref, first, count)};
}

static void packed_equals_one_by_one(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {64, 40};
    for (size_t s = 0; s < RN_ARRAY_LENGTH(sizes); s++) {
        struct attention packed = make(ragged, 5, sizes[s], false);
        check_run(rn_kernels_cuda_table(), both_ways, &packed);
        for (uint32_t i = 0; i < 5; i++) {
            const int32_t cu[] = {0, ragged[i + 1] - ragged[i]};
            const uint32_t first = (uint32_t)ragged[i], count = (uint32_t)cu[1];
            struct attention alone = make(cu, 1, sizes[s], false);
            struct attention one = alone;
            one.q = rows_of(packed.q, first, count);
            one.k = rows_of(packed.k, first, count);
            one.v = rows_of(packed.v, first, count);
            one.dout = rows_of(packed.dout, first, count);
            check_run(rn_kernels_cuda_table(), both_ways, &one);
            same_rows("out", one.out.cuda, packed.out.cuda, first);
            same_rows("dq", one.dq.cuda, packed.dq.cuda, first);
            same_rows("dk", one.dk.cuda, packed.dk.cuda, first);
            same_rows("dv", one.dv.cuda, packed.dv.cuda, first);
            clear(&alone);
        }
        clear(&packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_of_64),
        cmocka_unit_test(other_heads_with_tensor_cores),
        cmocka_unit_test(heads_without_tensor_cores),
        cmocka_unit_test(only_the_first_token_asks),
        cmocka_unit_test(scores_far_below_zero),
        cmocka_unit_test(unaligned_columns),
        cmocka_unit_test(packed_equals_one_by_one),
    };
    return check_main("attention", tests, RN_ARRAY_LENGTH(tests));
}
