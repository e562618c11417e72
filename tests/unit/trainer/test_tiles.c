/* SPDX-License-Identifier: Apache-2.0
 *
 * Products in tiles, by the stand-in of every instruction set and by the AMX code itself, whose
 * instructions are carried out one by one where the processor has none: blocks against the
 * instruction as the manual has it, products both ways against a chain by element, rows in strips
 * of every count, every cut of a product, outputs too large for a cache, and attention.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/alloc.h"
#include "trainer/ground/generator.h"
#include "trainer/kernels/cpu/cpu_features.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

#if defined(__x86_64__)

#include "tests/unit/trainer/tileinstructions.h"

/* Tables over tiles that this machine can run, the AMX one under emulation if need be. */
static const struct rn_kernels *tables[5];
static const char *names[5];
static size_t table_count;

static void add_table(bool there, const char *name, const struct rn_kernels *of)
{
    if (there) {
        names[table_count] = name;
        tables[table_count++] = of;
    }
}

static void find_tables(void)
{
    const struct rn_cpu_features *has = rn_cpu_features();
    add_table(true, "scalar", &rn_cpu_tiled_scalar[RN_CPU_BF16_RESIDUAL_F32]);
    add_table(has->avx2, "AVX2", &rn_cpu_tiled_avx2[RN_CPU_BF16_RESIDUAL_F32]);
    add_table(has->avx512, "AVX512", &rn_cpu_tiled_avx512[RN_CPU_BF16_RESIDUAL_F32]);
    add_table(has->avx512_bf16, "AVX512-BF16", &rn_cpu_tiled_avx512bf16[RN_CPU_BF16_RESIDUAL_F32]);
    add_table(has->avx512_bf16, "AMX", &rn_cpu_tables_amx[RN_CPU_BF16_RESIDUAL_F32]);
}

/* In each test that runs AMX code: cmocka takes SIGILL for itself at the start of a test. */
static void need_instructions(void)
{
    if (!rn_cpu_features()->amx) {
        tile_instructions_emulate();
    }
}

enum { LARGE_ROWS = 520, LARGE_K = 40, LARGE_N = 2112 }; /* more than 2 MiB of halves */

/* A backend with tiles; no cuts: the usual ones. */
struct backend {
    const struct rn_kernels *k;
    struct rn_device *device;
    struct rn_lane *lane;
};

static void backend_open(struct backend *b, const struct rn_kernels *k,
                         const struct rn_tile_cuts *cuts)
{
    const struct rn_lane_limits limits = {
        .tokens = 600, .sequences = 2, .length = 40, .width = LARGE_N, .heads = 2, .head_dim = 40};
    *b = (struct backend){.k = k};
    assert_true(rn_is_ok(k->device_open(&b->device, NULL)));
    b->device->tile_cuts = cuts != NULL ? *cuts : b->device->tile_cuts;
    assert_true(rn_is_ok(k->lane_new(b->device, &limits, &b->lane, NULL)));
}

static void backend_close(struct backend *b)
{
    b->k->lane_free(b->lane);
    b->k->device_close(b->device);
}

static uint64_t random_state;

static uint64_t next_bits(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 33;
}

/* bfloat16 of every kind: mostly usual, some subnormal, tiny, huge; infinities and NaN if asked. */
static uint16_t odd_half(bool not_finite)
{
    const uint64_t r = next_bits();
    const uint16_t sign = (uint16_t)(r & 0x8000u);
    const uint16_t mantissa = (uint16_t)(r & 0x7fu);
    switch ((r >> 16) % 16) {
    case 0:
        return sign | mantissa; /* subnormal or zero */
    case 1:
        return (uint16_t)(sign | (uint16_t)((1 + (r >> 20) % 70) << 7) | mantissa);
    case 2:
        return (uint16_t)(sign | (uint16_t)((180 + (r >> 20) % 70) << 7) | mantissa);
    case 3:
        return not_finite ? (uint16_t)(sign | 0x7f80u | ((r >> 20) % 8 == 0 ? 1u : 0u)) : sign;
    default:
        return (uint16_t)(sign | (uint16_t)((122 + (r >> 20) % 8) << 7) | mantissa);
    }
}

/* ---- Blocks against the instruction ---------------------------------------------------------- */

enum { STEPS = 3 };

struct block {
    uint16_t left[STEPS][2][16][32], right[STEPS][2][16][32];
    float sums[32][32];
};

static void put_tile(unsigned t, const void *from, size_t stride)
{
    for (size_t r = 0; r < 16; r++) {
        memcpy(tile_machine.data[t][r], (const uint8_t *)from + r * stride, 64);
    }
}

/* What a block has to be, by single instructions. */
static void block_wanted(const struct block *b, size_t steps, bool fresh, float out[32][32])
{
    for (unsigned t = 0; t < 8; t++) {
        tile_machine.rows[t] = 16;
        tile_machine.row_bytes[t] = 64;
    }
    for (size_t q = 0; q < 4; q++) {
        float *corner = &out[q / 2 * 16][q % 2 * 16];
        memcpy(out, fresh ? (const float[32][32]){{0}} : b->sums, q == 0 ? sizeof(b->sums) : 0);
        put_tile(0, corner, sizeof(out[0]));
        for (size_t i = 0; i < steps; i++) {
            put_tile(1, b->left[i][q / 2], 64);
            put_tile(2, b->right[i][q % 2], 64);
            tile_multiply(0, 1, 2);
        }
        for (size_t r = 0; r < 16; r++) {
            memcpy(&out[q / 2 * 16 + r][q % 2 * 16], tile_machine.data[0][r], 64);
        }
    }
}

/* A number whose product with another of its kind is about 2^-126, where results turn to zero. */
static uint16_t small_half(void)
{
    const uint64_t r = next_bits();
    return (uint16_t)((r & 0x8000u) | ((62 + (r >> 16) % 4) << 7) | (r & 0x7fu));
}

static void fill_block(struct block *b, uint64_t seed)
{
    random_state = seed;
    uint16_t *halves = &b->left[0][0][0][0];
    for (size_t i = 0; i < 2 * STEPS * 1024; i++) {
        halves[i] = seed % 4 == 2 ? small_half() : odd_half(seed % 2 == 1);
    }
    for (size_t i = 0; i < 1024; i++) {
        (&b->sums[0][0])[i] = rn_bf16_value(odd_half(false));
    }
}

static void beside(void *with, size_t step, size_t steps)
{
    ((size_t *)with)[step] += steps;
}

static void blocks_are_the_instruction(void **state)
{
    (void)state;
    need_instructions();
    static struct block b;
    static float wanted[32][32];
    for (uint64_t n = 0; n < 24 * table_count; n++) {
        struct backend backend;
        const size_t table = n % table_count;
        const size_t steps = 1 + n / table_count % STEPS;
        const bool fresh = n / table_count / STEPS % 2 == 0;
        fill_block(&b, n / table_count);
        block_wanted(&b, steps, fresh, wanted);
        backend_open(&backend, tables[table], NULL);
        const struct rn_tile_unit *unit = backend.device->tiles;
        size_t shares[STEPS + 1] = {0};
        const struct rn_tile_job job = {&b.left[0][0][0][0],
                                        &b.right[0][0][0][0],
                                        steps,
                                        fresh,
                                        &b.sums[0][0],
                                        &b,
                                        2,
                                        beside,
                                        shares};
        unit->begin();
        unit->block(&job);
        unit->end();
        for (size_t i = 0; i <= STEPS; i++) { /* one share at each step */
            assert_int_equal(shares[i], i < steps ? steps : 0);
        }
        for (size_t i = 0; i < 1024; i++) {
            const float found = (&b.sums[0][0])[i];
            const float want = (&wanted[0][0])[i];
            if (memcmp(&found, &want, sizeof(found)) != 0 && !(isnan(found) && isnan(want))) {
                fail_msg("%s, case %u: sum %zu is %a, not %a", names[table], (unsigned)n, i,
                         (double)found, (double)want);
            }
        }
        backend_close(&backend);
    }
}

/* The AMX code runs the instructions, configures the whole tiles and lets go of them. */
static void amx_code_configures_and_releases(void **state)
{
    (void)state;
    static struct block b;
    if (rn_cpu_features()->amx) {
        skip();
    }
    need_instructions();
    const struct rn_tile_job job = {.left = &b.left[0][0][0][0],
                                    .right = &b.right[0][0][0][0],
                                    .steps = 2,
                                    .fresh = true,
                                    .sums = &b.sums[0][0]};
    const unsigned long before = tile_machine.done;
    rn_tile_amx.begin();
    assert_true(tile_machine.configured);
    for (size_t t = 0; t < 8; t++) {
        assert_int_equal(tile_machine.rows[t], 16);
        assert_int_equal(tile_machine.row_bytes[t], 64);
    }
    rn_tile_amx.block(&job);
    rn_tile_amx.end();
    assert_false(tile_machine.configured);
    assert_int_equal(tile_machine.done - before, 1 + 4 + 2 * 8 + 4 + 1);
    assert_true(isfinite(rn_tile_amx_peak(3)));
    assert_false(tile_machine.configured);
}

/* ---- Products against a chain ---------------------------------------------------------------- */

static float *values(const char *name, size_t count)
{
    float *out = rn_alloc(count, sizeof(float));
    const struct rn_generator generator = rn_generator_of(3, name);
    rn_generator_uniform(&generator, 1.0, count, out);
    return out;
}

static struct rn_mat mat(float *data, size_t rows, size_t cols)
{
    return (struct rn_mat){data, (uint32_t)rows, (uint32_t)cols, cols, RN_F32};
}

/* x[0 .. depth) . w[0, step, 2 step ..), as a sum of a tile's. */
static float chain(const float *x, const float *w, size_t step, size_t depth)
{
    float s = 0.0f;
    for (size_t i = 0; i < depth; i += 32) {
        float part[2] = {0.0f, 0.0f};
        for (size_t k = i; k < i + 32 && k < depth; k++) {
            part[k % 2] = fmaf(rn_bf16_value(rn_bf16_of(x[k])),
                               rn_bf16_value(rn_bf16_of(w[k * step])), part[k % 2]);
        }
        s += part[0] + part[1];
    }
    return s;
}

static void check_product(struct backend *b, size_t m, size_t k, size_t n)
{
    const struct rn_epilogue none = {0};
    float *x = values("x", m * k);
    float *w = values("w", n * k);
    float *dy = values("dy", m * n);
    float *y = rn_alloc(m * n, sizeof(float));
    float *dx = rn_alloc(m * k, sizeof(float));
    struct rn_weight *weight = NULL;
    assert_true(rn_is_ok(b->k->weight_new(b->device, w, (uint32_t)n, (uint32_t)k, &weight, NULL)));
    b->k->linear(b->lane, weight, mat(x, m, k), &none, mat(y, m, n));
    b->k->linear_back(b->lane, weight, mat(dy, m, n), &none, mat(dx, m, k));
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            const float want = chain(x + i * k, w + j * k, 1, k);
            assert_memory_equal(&want, &y[i * n + j], sizeof(want));
        }
        for (size_t c = 0; c < k; c++) {
            const float want = chain(dy + i * n, w + c, k, n);
            assert_memory_equal(&want, &dx[i * k + c], sizeof(want));
        }
    }
    b->k->weight_free(b->device, weight);
    float *const all[] = {x, w, dy, y, dx};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        rn_free(all[i]);
    }
}

static void products_are_the_chain(void **state)
{
    (void)state;
    need_instructions();
    static const size_t shapes[][3] = {{1, 1, 1},    {1, 32, 32},  {5, 31, 33}, {33, 64, 17},
                                       {32, 33, 65}, {17, 15, 16}, {65, 97, 40}};
    for (size_t t = 0; t < table_count; t++) {
        struct backend b;
        backend_open(&b, tables[t], NULL);
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            check_product(&b, shapes[i][0], shapes[i][1], shapes[i][2]);
        }
        backend_close(&b);
    }
}

/* Factors that are not packed: pairs of halves, and as many columns as three tiles' pairs have. */
static void pairs_are_the_instruction(void **state)
{
    (void)state;
    need_instructions();
    enum { COLUMNS = 96, LEFT_ROW = STEPS * 16 + 5 };
    static uint32_t left[32][LEFT_ROW];
    static uint32_t right[STEPS * 16][COLUMNS];
    static float out[32][COLUMNS];
    static struct block b;
    static float wanted[32][32];
    random_state = 7;
    for (size_t i = 0; i < 32 * LEFT_ROW; i++) {
        (&left[0][0])[i] = (uint32_t)odd_half(false) << 16 | odd_half(false);
    }
    for (size_t i = 0; i < (size_t)STEPS * 16 * COLUMNS; i++) {
        (&right[0][0])[i] = (uint32_t)odd_half(false) << 16 | odd_half(false);
    }
    for (size_t t = 0; t < table_count; t++) {
        struct backend backend;
        backend_open(&backend, tables[t], NULL);
        const struct rn_tile_unit *unit = backend.device->tiles;
        const struct rn_tile_pairs job = {&left[0][0], LEFT_ROW, &right[0][0],
                                          STEPS,       COLUMNS,  &out[0][0]};
        unit->begin();
        unit->pairs(&job);
        unit->end();
        for (size_t c = 0; c < COLUMNS; c += 32) {
            for (size_t i = 0; i < STEPS; i++) {
                for (size_t r = 0; r < 32; r++) {
                    memcpy(b.left[i][r / 16][r % 16], &left[r][i * 16], 64);
                    memcpy(b.right[i][r / 16][r % 16], &right[i * 16 + r % 16][c + r / 16 * 16],
                           64);
                }
            }
            block_wanted(&b, STEPS, true, wanted);
            for (size_t r = 0; r < 32; r++) {
                assert_memory_equal(&out[r][c], wanted[r], sizeof(wanted[r]));
            }
        }
        backend_close(&backend);
    }
}

/* ---- Strips and cuts ------------------------------------------------------------------------- */

enum { ROWS = 3 * 32 + 1, K = 140, N = 50 };

static bool by_amx(const struct rn_kernels *k)
{
    return k == &rn_cpu_tables_amx[RN_CPU_BF16_RESIDUAL_F32];
}

/* Rows 0 .. ROWS-1, in every step-th count from both ends, for one way to cut. */
static void check_strips(const struct rn_kernels *k, const struct rn_tile_cuts *cuts, size_t step,
                         const float *wanted)
{
    const struct rn_epilogue none = {0};
    struct backend b;
    struct rn_weight *weight = NULL;
    float *x = values("x", ROWS * K);
    float *w = values("w", N * K);
    float *y = rn_alloc(ROWS * N, sizeof(float));
    backend_open(&b, k, cuts);
    assert_true(rn_is_ok(k->weight_new(b.device, w, N, K, &weight, NULL)));
    for (size_t count = 1; count <= ROWS; count += step) {
        k->linear(b.lane, weight, mat(x, count, K), &none, mat(y, count, N));
        assert_memory_equal(y, wanted, count * N * sizeof(float));
        const size_t first = ROWS - count;
        k->linear(b.lane, weight, mat(x + first * K, count, K), &none, mat(y, count, N));
        assert_memory_equal(y, wanted + first * N, count * N * sizeof(float));
    }
    k->weight_free(b.device, weight);
    backend_close(&b);
    rn_free(x);
    rn_free(w);
    rn_free(y);
}

static void strips_and_cuts_do_not_change_bits(void **state)
{
    (void)state;
    need_instructions();
    static const struct rn_tile_cuts cuts[] = {
        {32, 32, 32, 1}, /* the least of all: sums in memory at each step */
        {64, 32, 64, 2},
        {32, 96, 32, 3},
        {64, 32, 32, 5},
        {512, 256, 1024, 32}};
    float *x = values("x", ROWS * K);
    float *w = values("w", N * K);
    float *wanted = rn_alloc(ROWS * N, sizeof(float));
    for (size_t i = 0; i < (size_t)ROWS * N; i++) {
        wanted[i] = chain(x + i / N * K, w + i % N * K, 1, K);
    }
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
            const size_t step = by_amx(tables[t]) ? 19 : i == 0 ? 1 : 7; /* every count once */
            check_strips(tables[t], &cuts[i], step, wanted);
        }
    }
    rn_free(x);
    rn_free(w);
    rn_free(wanted);
}

/* A lane's memory is a part of a strip and the sums that rest, and never more than it can use. */
static void memory_is_what_is_used(void **state)
{
    (void)state;
    const struct rn_tile_cuts cuts = RN_TILE_CUTS_USUAL;
    const size_t block = 32 * 32;
    assert_int_equal(rn_tile_left_elements(&cuts, 1, 1), 32 * 32);
    assert_int_equal(rn_tile_left_elements(&cuts, 512, 1024), 512 * 1024);
    assert_int_equal(rn_tile_left_elements(&cuts, 513, 1025), 512 * 1024);
    assert_int_equal(rn_tile_left_elements(&cuts, 33, 33), 64 * 64);
    assert_int_equal(rn_tile_sums(&cuts, 4096, 1024), block);
    assert_int_equal(rn_tile_sums(&cuts, 4096, 1025), 256 * 1024);
    assert_int_equal(rn_tile_sums(&cuts, 33, 1025), 64 * 1024);
    const struct rn_tile_cuts least = {32, 32, 32, 1};
    assert_int_equal(rn_tile_sums(&least, 600, 700), block);
}

/* ---- Outputs past the caches ----------------------------------------------------------------- */

static struct rn_mat halves(uint16_t *data, size_t rows, size_t cols)
{
    return (struct rn_mat){data, (uint32_t)rows, (uint32_t)cols, cols, RN_BF16};
}

/* What is written past the caches has the bits of what is not: all rows at once against a few. */
static void check_large(struct backend *b, bool gelu)
{
    float *w = values("w", (size_t)LARGE_N * LARGE_K);
    float *from = values("x", (size_t)LARGE_ROWS * LARGE_K);
    uint16_t *x = rn_alloc((size_t)LARGE_ROWS * LARGE_K, sizeof(*x));
    uint16_t *out[2][2]; /* all at once, a few at a time; y, pre */
    for (size_t i = 0; i < 4; i++) {
        out[i / 2][i % 2] = rn_alloc((size_t)LARGE_ROWS * LARGE_N, sizeof(*x));
    }
    for (size_t i = 0; i < (size_t)LARGE_ROWS * LARGE_K; i++) {
        x[i] = rn_bf16_of(from[i]);
    }
    struct rn_weight *weight = NULL;
    assert_true(rn_is_ok(b->k->weight_new(b->device, w, LARGE_N, LARGE_K, &weight, NULL)));
    for (size_t n = 0; n < 2; n++) {
        const size_t few = n == 0 ? LARGE_ROWS : 104;
        for (size_t t = 0; t < LARGE_ROWS; t += few) {
            struct rn_epilogue e = {0};
            if (gelu) {
                e.activation = RN_ACTIVATION_GELU;
                e.pre = halves(out[n][1] + t * LARGE_N, few, LARGE_N);
            }
            b->k->linear(b->lane, weight, halves(x + t * LARGE_K, few, LARGE_K), &e,
                         halves(out[n][0] + t * LARGE_N, few, LARGE_N));
        }
    }
    const size_t bytes = (size_t)LARGE_ROWS * LARGE_N * sizeof(uint16_t);
    assert_memory_equal(out[0][0], out[1][0], bytes);
    assert_memory_equal(out[0][1], out[1][1], bytes);
    b->k->weight_free(b->device, weight);
    rn_free(w);
    rn_free(from);
    rn_free(x);
    for (size_t i = 0; i < 4; i++) {
        rn_free(out[i / 2][i % 2]);
    }
}

static void large_outputs_keep_bits(void **state)
{
    (void)state;
    if (!rn_cpu_features()->avx512_bf16) {
        skip(); /* no other set writes past the caches */
    }
    const bool amx = rn_cpu_features()->amx;
    struct backend b;
    backend_open(&b, amx ? &rn_cpu_tables_amx[RN_CPU_BF16] : &rn_cpu_tiled_avx512bf16[RN_CPU_BF16],
                 NULL);
    check_large(&b, false);
    check_large(&b, true);
    backend_close(&b);
}

/* ---- Attention ------------------------------------------------------------------------------- */

enum { TOKENS = 40 + 9, WIDTH = 2 * 40 };

struct attended {
    uint16_t out[TOKENS * WIDTH], dq[TOKENS * WIDTH], dk[TOKENS * WIDTH], dv[TOKENS * WIDTH];
    float lse[TOKENS * 2];
};

static void attend(const struct rn_kernels *k, struct attended *to)
{
    static const int32_t cu[] = {0, 40, TOKENS};
    struct backend b;
    uint16_t *in[4]; /* q, k, v, gradient */
    static const char *const in_names[] = {"q", "k", "v", "g"};
    for (size_t n = 0; n < 4; n++) {
        float *from = values(in_names[n], (size_t)TOKENS * WIDTH);
        in[n] = rn_alloc((size_t)TOKENS * WIDTH, sizeof(*in[n]));
        for (size_t i = 0; i < (size_t)TOKENS * WIDTH; i++) {
            in[n][i] = rn_bf16_of(from[i]);
        }
        rn_free(from);
    }
    const struct rn_attention a = {
        .sequences = {2, TOKENS, 40, cu, cu}, .heads = 2, .head_dim = 40, .scale = 0.16f};
    const struct rn_mat q = halves(in[0], TOKENS, WIDTH);
    const struct rn_mat keys = halves(in[1], TOKENS, WIDTH);
    const struct rn_mat v = halves(in[2], TOKENS, WIDTH);
    const struct rn_mat out = halves(to->out, TOKENS, WIDTH);
    const struct rn_mat lse = mat(to->lse, TOKENS, 2);
    backend_open(&b, k, NULL);
    k->attention(b.lane, &a, q, keys, v, out, lse);
    k->attention_back(b.lane, &a, q, keys, v, out, lse, halves(in[3], TOKENS, WIDTH),
                      halves(to->dq, TOKENS, WIDTH), halves(to->dk, TOKENS, WIDTH),
                      halves(to->dv, TOKENS, WIDTH));
    backend_close(&b);
    for (size_t n = 0; n < 4; n++) {
        rn_free(in[n]);
    }
}

/* The AMX code's attention has the stand-in's bits, which test_cpu_bf16 holds to the reference. */
static void attention_is_the_stand_in(void **state)
{
    (void)state;
    static struct attended by[2];
    if (!rn_cpu_features()->avx512_bf16) {
        skip(); /* no other set has attention in tiles */
    }
    need_instructions();
    attend(&rn_cpu_tiled_avx512bf16[RN_CPU_BF16], &by[0]);
    attend(&rn_cpu_tables_amx[RN_CPU_BF16], &by[1]);
    assert_memory_equal(&by[0], &by[1], sizeof(by[0]));
    assert_true(by[0].out[0] != 0 && by[0].dq[TOKENS * WIDTH - 1] != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_the_instruction),
        cmocka_unit_test(amx_code_configures_and_releases),
        cmocka_unit_test(products_are_the_chain),
        cmocka_unit_test(strips_and_cuts_do_not_change_bits),
        cmocka_unit_test(memory_is_what_is_used),
        cmocka_unit_test(pairs_are_the_instruction),
        cmocka_unit_test(large_outputs_keep_bits),
        cmocka_unit_test(attention_is_the_stand_in),
    };
    find_tables();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77; /* skipped: tiles are tested where their instructions can be read */
}

#endif
