/* SPDX-License-Identifier: Apache-2.0
 *
 * Products in tiles, by the stand-in of every instruction set and by the AMX code itself, whose
 * instructions are carried out one by one where the processor has none: blocks against the
 * instruction as the manual has it, products both ways against a chain by element, rows in strips
 * of every count, every cut of the depth, and what strips take of the caches.
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

/* A backend with tiles; l2 and cut of 0 leave the machine's. */
struct backend {
    const struct rn_kernels *k;
    struct rn_device *device;
    struct rn_lane *lane;
};

static void backend_open(struct backend *b, const struct rn_kernels *k, size_t l2, size_t cut)
{
    const struct rn_lane_limits limits = {
        .tokens = 300, .sequences = 1, .length = 1, .width = 700, .heads = 1, .head_dim = 16};
    *b = (struct backend){.k = k};
    assert_true(rn_is_ok(k->device_open(&b->device, NULL)));
    b->device->tile_l2 = l2 != 0 ? l2 : b->device->tile_l2;
    b->device->tile_cut = cut != 0 ? cut : b->device->tile_cut;
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
        backend_open(&backend, tables[table], 0, 0);
        const struct rn_tile_unit *unit = backend.device->tiles;
        const struct rn_tile_job job = {&b.left[0][0][0][0], &b.right[0][0][0][0], steps, fresh,
                                        &b.sums[0][0]};
        unit->begin();
        unit->block(&job);
        unit->end();
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
    const struct rn_tile_job job = {&b.left[0][0][0][0], &b.right[0][0][0][0], 2, true,
                                    &b.sums[0][0]};
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
        backend_open(&b, tables[t], 0, 0);
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            check_product(&b, shapes[i][0], shapes[i][1], shapes[i][2]);
        }
        backend_close(&b);
    }
}

/* ---- Strips and cuts ------------------------------------------------------------------------- */

enum { ROWS = 3 * 32 + 1, K = 140, N = 50 };

/* Rows 0 .. ROWS-1, in one call, then in every count from both ends, for one height and one cut. */
static void check_strips(const struct rn_kernels *k, size_t l2, size_t cut, const float *wanted)
{
    const struct rn_epilogue none = {0};
    struct backend b;
    struct rn_weight *weight = NULL;
    float *x = values("x", ROWS * K);
    float *w = values("w", N * K);
    float *y = rn_alloc(ROWS * N, sizeof(float));
    backend_open(&b, k, l2, cut);
    assert_true(rn_is_ok(k->weight_new(b.device, w, N, K, &weight, NULL)));
    const size_t step = k == &rn_cpu_tables_amx[RN_CPU_BF16_RESIDUAL_F32] ? 19 : 1;
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
    float *x = values("x", ROWS * K);
    float *w = values("w", N * K);
    float *wanted = rn_alloc(ROWS * N, sizeof(float));
    for (size_t i = 0; i < (size_t)ROWS * N; i++) {
        wanted[i] = chain(x + i / N * K, w + i % N * K, 1, K);
    }
    for (size_t t = 0; t < table_count; t++) {
        check_strips(tables[t], 1, 1, wanted); /* the least strip, sums in memory at each step */
        check_strips(tables[t], (size_t)1 << 20, 2, wanted);
        check_strips(tables[t], 64 << 10, 100, wanted);
    }
    rn_free(x);
    rn_free(w);
    rn_free(wanted);
}

static void strips_fit_the_cache(void **state)
{
    (void)state;
    static const size_t caches[] = {1, 4096, 256 << 10, 1 << 20, 2 << 20, 64 << 20};
    for (size_t c = 0; c < sizeof(caches) / sizeof(caches[0]); c++) {
        const size_t l2 = caches[c];
        for (size_t depth = 1; depth <= 12000; depth += depth < 100 ? 1 : 97) {
            const size_t strip = rn_tile_strip(depth, l2);
            const size_t row = (depth + 31) / 32 * 64;
            assert_true(strip >= 32 && strip <= RN_TILE_STRIP_MAX && strip % 32 == 0);
            assert_true(strip == 32 || (strip + 32) * row <= l2 / 8 * 5);
            assert_true(strip == RN_TILE_STRIP_MAX || (strip + 64) * row > l2 / 8 * 5);
            /* the lane's buffer was sized for a greater depth */
            assert_true(strip * row <= 2 * rn_tile_left_elements(depth, l2));
            assert_true(strip * row <= 2 * rn_tile_left_elements(depth + 1000, l2));
        }
    }
    assert_int_equal(rn_tile_cut(48 << 10), 12);
    assert_int_equal(rn_tile_cut(4095), 1);
    assert_int_equal(rn_tile_cut(0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_the_instruction),
        cmocka_unit_test(amx_code_configures_and_releases),
        cmocka_unit_test(products_are_the_chain),
        cmocka_unit_test(strips_and_cuts_do_not_change_bits),
        cmocka_unit_test(strips_fit_the_cache),
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
