/* SPDX-License-Identifier: Apache-2.0
 *
 * LayerNorm, its gradient and the embedding against the reference backend.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

enum { ROWS = 37 };

struct norm {
    struct check_pair x, y, stats, dy, dx;
    float *gamma, *beta;
};

static bool is_cuda(const struct rn_kernels *kernels)
{
    return kernels->activation == RN_BF16;
}
#define PICK(kernels, pair) (is_cuda(kernels) ? (pair).cuda : (pair).ref)

static void both_ways(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct norm *n = context;
    kernels->norm(lane, PICK(kernels, n->x), n->gamma, n->beta, 1e-5f, PICK(kernels, n->y),
                  PICK(kernels, n->stats));
    kernels->norm_back(lane, PICK(kernels, n->x), PICK(kernels, n->stats), n->gamma,
                       PICK(kernels, n->dy), PICK(kernels, n->dx));
}

/* Rows of ordinary numbers, of tiny variance around a large mean, and of zeros: eps decides there.
 */
static void fill_hard_rows(struct check_pair x)
{
    for (size_t c = 0; c < x.cuda.cols; c++) {
        check_set(x, 3, c, 0.0f);
        check_set(x, 4, c, 64.0f);
        check_set(x, 5, c, c % 5 == 0 ? 64.0f : 64.5f);
        check_set(x, 6, c, check_random() * 1e-4f);
        check_set(x, 7, c, check_random() * 1e4f);
    }
}

/* Mean and 1/deviation in float32: the mean within its row's sums, the other to 1e-5 of itself. */
static void check_statistics(struct check_pair stats)
{
    for (size_t i = 0; i < stats.cuda.rows; i++) {
        const double *wanted = (const double *)stats.ref.data + i * 2;
        const double mean = (double)check_got(stats, i, 0), rstd = (double)check_got(stats, i, 1);
        assert_true(fabs(mean - wanted[0]) <= 1e-6 * fabs(wanted[0]) + 1e-6 / wanted[1]);
        assert_true(fabs(rstd - wanted[1]) <= 1e-5 * wanted[1]);
    }
}

static void compare_norm(uint32_t cols, size_t ld)
{
    struct norm n = {
        .x = check_filled_ld(ROWS, cols, ld, 3.0f, 0.5f),
        .y = check_empty_ld(ROWS, cols, ld),
        .stats = check_narrow(ROWS, 2),
        .dy = check_filled(ROWS, cols, 1.0f),
        .dx = check_empty(ROWS, cols),
        .gamma = check_floats(cols, 0.2f, 1.0f),
        .beta = check_floats(cols, 1.0f, 0.0f),
    };
    fill_hard_rows(n.x);
    const struct check_out outs[] = {check_out_mat(n.y.cuda), check_out_mat(n.stats.cuda),
                                     check_out_mat(n.dx.cuda)};
    check_orders(both_ways, &n, outs, RN_ARRAY_LENGTH(outs));
    check_run(rn_kernels_ref(), both_ways, &n);
    check_close("norm", n.y, 1, 2e-5);
    check_statistics(n.stats);
    check_close("gradient of norm", n.dx, 1, 2e-5);
    check_free(n.x);
    check_free(n.y);
    check_free(n.stats);
    check_free(n.dy);
    check_free(n.dx);
    check_release(n.gamma);
    check_release(n.beta);
}

static void rows_in_registers(void **state)
{
    (void)state;
    compare_norm(8, 8);
    compare_norm(768, 768);
    compare_norm(1024, 1032);
}

static void long_rows_in_registers(void **state)
{
    (void)state;
    compare_norm(1032, 1032);
    compare_norm(2048, 2048);
}

static void rows_of_any_length(void **state)
{
    (void)state;
    compare_norm(1, 1);
    compare_norm(33, 40);
    compare_norm(2056, 2056);
}

#ifndef RN_CHECK_DEVICE
/* A warp that is not full, and threads beyond the last whole warp: straight launches. */
static void odd_block_sizes(void **state)
{
    (void)state;
    struct check_pair x = check_filled(ROWS, 64, 1.0f), y = check_empty(ROWS, 64);
    float *gamma = check_floats(64, 0.2f, 1.0f), *beta = check_floats(64, 1.0f, 0.0f);
    float stats[ROWS][2];
    struct rn_bf16 *first = check_memory(ROWS * 64, 2);
    static const unsigned sizes[] = {32, 40, 63, 100, 255, 256};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(sizes); i++) {
        const struct rn_norm_args args = {
            .x = {x.cuda.data, 64, 1, 0},
            .y = {y.cuda.data, 64, 1, 0},
            .stats = {stats, 2, 0, 0},
            .gamma = gamma,
            .beta = beta,
            .rows = ROWS,
            .cols = 64,
            .eps = 1e-5f,
        };
        const unsigned warps = sizes[i] / 32;
        const struct rn_dim grid = {(ROWS + warps - 1) / warps, 1, 1}, block = {sizes[i], 1, 1};
        void rn_cuda_norm_1024(const void *);
        memset(y.cuda.data, 0xff, ROWS * 64 * 2);
        assert_true(rn_cudahost_launch(rn_cuda_norm_1024, "norm", grid, block, 0, &args, 2));
        if (i == 0) {
            memcpy(first, y.cuda.data, ROWS * 64 * 2);
        }
        assert_memory_equal(first, y.cuda.data, ROWS * 64 * 2);
    }
    check_release(first);
    check_free(x);
    check_free(y);
    check_release(gamma);
    check_release(beta);
}

#endif

struct embed {
    struct rn_embedding e;
    int32_t *ids, *types, *positions;
    struct check_pair y;
};

static void embed(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct embed *e = context;
    kernels->embed(lane, &e->e, e->ids, e->types, e->positions, PICK(kernels, e->y));
}

static void embeddings(void **state)
{
    (void)state;
    enum { COLS = 72, WORDS = 50, POSITIONS = 40 };
    float *words = check_floats(WORDS * COLS, 1.0f, 0.0f);
    float *positions = check_floats(POSITIONS * COLS, 1.0f, 0.0f);
    float *types = check_floats(2 * COLS, 1.0f, 0.0f);
    float *gamma = check_floats(COLS, 0.2f, 1.0f), *beta = check_floats(COLS, 1.0f, 0.0f);
    for (int with_types = 0; with_types < 2; with_types++) {
        struct embed e = {.e = {words, positions, with_types ? types : NULL, gamma, beta, 1e-12f},
                          .ids = check_memory(ROWS, sizeof(int32_t)),
                          .types = check_memory(ROWS, sizeof(int32_t)),
                          .positions = check_memory(ROWS, sizeof(int32_t)),
                          .y = check_empty(ROWS, COLS)};
        for (int i = 0; i < ROWS; i++) {
            e.ids[i] = i * 7 % WORDS;
            e.types[i] = i % 2;
            e.positions[i] = i + 2;
        }
        const struct check_out out = check_out_mat(e.y.cuda);
        check_orders(embed, &e, &out, 1);
        check_run(rn_kernels_ref(), embed, &e);
        check_close("embedding", e.y, 1, 1e-6);
        check_free(e.y);
        check_release(e.ids);
        check_release(e.types);
        check_release(e.positions);
    }
    check_release(words);
    check_release(positions);
    check_release(types);
    check_release(gamma);
    check_release(beta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_in_registers),  cmocka_unit_test(long_rows_in_registers),
        cmocka_unit_test(rows_of_any_length),
#ifndef RN_CHECK_DEVICE
        cmocka_unit_test(odd_block_sizes),
#endif
        cmocka_unit_test(embeddings),
    };
    return check_main("norm", tests, RN_ARRAY_LENGTH(tests));
}
