/* SPDX-License-Identifier: Apache-2.0
 *
 * Measuring the candidates, and the tables that follow.
 */
#include "trainer/kernels/cpu/cpu_choice.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/kernels/cpu/cpu_features.h"
#include "trainer/kernels/cpu/cpu_kernels.h"
#include "trainer/kernels/cpu/cpu_onednn.h"

#include <pthread.h>
#include <time.h>

#define TRIAL_K 768
#define TRIAL_N 512
#define TRIAL_PASSES 5

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Whether the processor has a set's instructions; the kernels may still refuse them. */
static bool processor_has(enum rn_cpu_set set)
{
    const struct rn_cpu_features *has = rn_cpu_features();
    return set == RN_CPU_AVX512_BF16 ? has->avx512_bf16
           : set == RN_CPU_AVX512    ? has->avx512
           : set == RN_CPU_AVX2      ? has->avx2
                                     : true;
}

static const struct rn_kernels *table_of(const struct rn_kernels *const tables[RN_CPU_SETS],
                                         enum rn_cpu_set set, enum rn_cpu_types types)
{
    const bool there = tables[set] != NULL && tables[set][types].name != NULL;
    return there && processor_has(set) ? &tables[set][types] : NULL;
}

static const struct rn_kernels *const plain_tables[RN_CPU_SETS] = {
    [RN_CPU_SCALAR] = rn_cpu_tables_scalar,
#if defined(__x86_64__)
    [RN_CPU_AVX2] = rn_cpu_tables_avx2,
    [RN_CPU_AVX512] = rn_cpu_tables_avx512,
    [RN_CPU_AVX512_BF16] = rn_cpu_tables_avx512bf16,
#endif
};

static const struct rn_kernels *const tiled_tables[RN_CPU_SETS] = {
    [RN_CPU_SCALAR] = rn_cpu_tiled_scalar,
#if defined(__x86_64__)
    [RN_CPU_AVX2] = rn_cpu_tiled_avx2,
    [RN_CPU_AVX512] = rn_cpu_tiled_avx512,
    [RN_CPU_AVX512_BF16] = rn_cpu_tiled_avx512bf16,
#endif
};

const struct rn_kernels *rn_kernels_cpu_typed(enum rn_cpu_set set, enum rn_cpu_types types)
{
    const struct rn_kernels *table = table_of(plain_tables, set, types);
    return table != NULL && (set != RN_CPU_AVX512_BF16 || rn_onednn_row_exact()) ? table : NULL;
}

const struct rn_kernels *rn_kernels_cpu_of(enum rn_cpu_set set)
{
    return rn_kernels_cpu_typed(set, RN_CPU_F32);
}

static const struct rn_kernels *highest_of(const struct rn_kernels *const tables[RN_CPU_SETS],
                                           enum rn_cpu_set top, enum rn_cpu_types types)
{
    const struct rn_kernels *best = NULL;
    for (int set = RN_CPU_SCALAR; set <= (int)top; set++) {
        const struct rn_kernels *table = table_of(tables, (enum rn_cpu_set)set, types);
        best = table != NULL ? table : best;
    }
    return best;
}

static enum rn_cpu_set highest = RN_CPU_AVX512; /* set of `cpu` and of float32 products */

const struct rn_kernels *rn_kernels_cpu_bf16_by(enum rn_cpu_candidate candidate, bool residual_f32)
{
    const enum rn_cpu_types types = residual_f32 ? RN_CPU_BF16_RESIDUAL_F32 : RN_CPU_BF16;
#if defined(__x86_64__)
    if (candidate == RN_CPU_BY_AMX) {
        return rn_cpu_features()->amx ? &rn_cpu_tables_amx[types] : NULL;
    }
#endif
    if (candidate == RN_CPU_BY_ONEDNN) {
        return rn_kernels_cpu_typed(RN_CPU_AVX512_BF16, types);
    }
    return candidate == RN_CPU_BY_FLOAT32 ? highest_of(plain_tables, highest, types) : NULL;
}

/* ---- Measuring ------------------------------------------------------------------------------- */

/* One candidate's product, packed and ready. */
struct trial {
    const struct rn_kernels *kernels;
    struct rn_device *device;
    struct rn_lane *lane;
    struct rn_weight *weight;
};

static double processor_seconds(void)
{
    struct timespec now;
    RN_BUG_IF(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool trial_open(struct trial *trial, const float *w)
{
    static const struct rn_lane_limits limits = {.tokens = RN_CPU_TRIAL_ROWS,
                                                 .sequences = 1,
                                                 .length = 1,
                                                 .width = TRIAL_K,
                                                 .heads = 1,
                                                 .head_dim = 16,
                                                 .rank = 1};
    const struct rn_kernels *k = trial->kernels;
    struct rn_error err;
    return rn_is_ok(k->device_open(&trial->device, &err)) &&
           rn_is_ok(k->lane_new(trial->device, &limits, &trial->lane, &err)) &&
           rn_is_ok(k->weight_new(trial->device, w, TRIAL_N, TRIAL_K, &trial->weight, &err));
}

static void trial_close(struct trial *trial)
{
    if (trial->device != NULL) {
        trial->kernels->weight_free(trial->device, trial->weight);
        trial->kernels->lane_free(trial->lane);
        trial->kernels->device_close(trial->device);
    }
}

static double trial_pass(const struct trial *trial, struct rn_mat x, struct rn_mat y)
{
    static const struct rn_epilogue none;
    const double before = processor_seconds();
    trial->kernels->linear(trial->lane, trial->weight, x, &none, y);
    const double seconds = processor_seconds() - before;
    return 2.0 * RN_CPU_TRIAL_ROWS * TRIAL_K * TRIAL_N / (seconds > 1e-9 ? seconds : 1e-9);
}

/* Passes in turn; the first of each touches memory and does not count. */
static void trial_run(struct trial trials[RN_CPU_CANDIDATES], struct rn_cpu_rates *out)
{
    RN_CLEANUP(rn_free_cleanup)
    uint16_t *left = rn_alloc((size_t)RN_CPU_TRIAL_ROWS * TRIAL_K, sizeof(*left));
    RN_CLEANUP(rn_free_cleanup)
    uint16_t *right = rn_alloc((size_t)RN_CPU_TRIAL_ROWS * TRIAL_N, sizeof(*right));
    for (size_t i = 0; i < (size_t)RN_CPU_TRIAL_ROWS * TRIAL_K; i++) {
        left[i] = (uint16_t)(0x3f80 + i % 128); /* in [1, 2) */
    }
    const struct rn_mat x = {left, RN_CPU_TRIAL_ROWS, TRIAL_K, TRIAL_K, RN_BF16};
    const struct rn_mat y = {right, RN_CPU_TRIAL_ROWS, TRIAL_N, TRIAL_N, RN_BF16};
    for (int pass = 0; pass <= TRIAL_PASSES; pass++) {
        for (int i = 0; i < RN_CPU_CANDIDATES; i++) {
            const double rate = trials[i].weight != NULL ? trial_pass(&trials[i], x, y) : 0.0;
            out->rate[i] = pass > 0 && rate > out->rate[i] ? rate : out->rate[i];
        }
    }
}

static void measure(struct rn_cpu_rates *out)
{
    struct trial trials[RN_CPU_CANDIDATES] = {0};
    RN_CLEANUP(rn_free_cleanup) float *w = rn_alloc((size_t)TRIAL_K * TRIAL_N, sizeof(*w));
    for (size_t i = 0; i < (size_t)TRIAL_K * TRIAL_N; i++) {
        w[i] = (float)(i % 61) * 0x1p-6f - 0.5f;
    }
    *out = (struct rn_cpu_rates){0};
    for (int i = 0; i < RN_CPU_CANDIDATES; i++) {
        if (i == RN_CPU_BY_ONEDNN && rn_cpu_features()->amx) {
            continue;
        }
        trials[i].kernels = rn_kernels_cpu_bf16_by((enum rn_cpu_candidate)i, false);
        if (trials[i].kernels != NULL && !trial_open(&trials[i], w)) {
            trial_close(&trials[i]); /* refused: no candidate */
            trials[i] = (struct trial){0};
        }
    }
    trial_run(trials, out);
    for (int i = 0; i < RN_CPU_CANDIDATES; i++) {
        trial_close(&trials[i]);
    }
}

enum rn_cpu_candidate rn_cpu_choose(const struct rn_cpu_rates *rates)
{
    enum rn_cpu_candidate best = RN_CPU_BY_FLOAT32;
    for (int i = RN_CPU_BY_AMX; i < RN_CPU_BY_FLOAT32; i++) {
        const double rate = rates->rate[i];
        const bool there =
            rate > 0.0 && rate >= RN_CPU_CHOICE_GAIN * rates->rate[RN_CPU_BY_FLOAT32];
        if (there &&
            (best == RN_CPU_BY_FLOAT32 || rate >= RN_CPU_CHOICE_GAIN * rates->rate[best])) {
            best = (enum rn_cpu_candidate)i;
        }
    }
    return best;
}

static struct rn_cpu_rates measured;
static enum rn_cpu_candidate chosen;

static void choose(void)
{
    if (rn_cpu_features()->avx512_bf16) {
        measure(&measured);
    }
    chosen = rn_cpu_choose(&measured);
}

enum rn_cpu_candidate rn_cpu_choice(struct rn_cpu_rates *out_rates)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    RN_BUG_IF(pthread_once(&once, choose) != 0);
    if (out_rates != NULL) {
        *out_rates = measured;
    }
    return chosen;
}

/* ---- What a test takes instead --------------------------------------------------------------- */

static bool taken;
static enum rn_cpu_class taken_class;

static bool class_there(enum rn_cpu_class level)
{
    switch (level) {
    case RN_CPU_CLASS_AVX512_BF16:
        return processor_has(RN_CPU_AVX512_BF16);
    case RN_CPU_CLASS_ONEDNN_AMX:
    case RN_CPU_CLASS_AMX:
        return rn_cpu_features()->amx;
    case RN_CPU_CLASS_TILES_IN_C:
        return true;
    default:
        return processor_has((enum rn_cpu_set)level);
    }
}

enum rn_cpu_taken rn_cpu_class_take(enum rn_cpu_class level)
{
    _Static_assert((int)RN_CPU_CLASS_AVX512 == (int)RN_CPU_AVX512, "the first classes are sets");
    if (!class_there(level)) {
        return RN_CPU_LACKING;
    }
    if (level == RN_CPU_CLASS_AVX512_BF16) {
        rn_onednn_without_amx();
    }
    const bool by_onednn = level == RN_CPU_CLASS_AVX512_BF16 || level == RN_CPU_CLASS_ONEDNN_AMX;
    if (by_onednn && !rn_onednn_row_exact()) {
        return RN_CPU_REFUSED;
    }
    taken = true;
    taken_class = level;
    highest = level < RN_CPU_CLASS_AVX512 ? (enum rn_cpu_set)level : RN_CPU_AVX512;
    return RN_CPU_TAKEN;
}

static const struct rn_kernels *taken_table(bool residual_f32)
{
    switch (taken_class) {
    case RN_CPU_CLASS_AVX512_BF16:
    case RN_CPU_CLASS_ONEDNN_AMX:
        return rn_kernels_cpu_bf16_by(RN_CPU_BY_ONEDNN, residual_f32);
    case RN_CPU_CLASS_AMX:
        return rn_kernels_cpu_bf16_by(RN_CPU_BY_AMX, residual_f32);
    case RN_CPU_CLASS_TILES_IN_C:
        return highest_of(tiled_tables, RN_CPU_AVX512_BF16,
                          residual_f32 ? RN_CPU_BF16_RESIDUAL_F32 : RN_CPU_BF16);
    default:
        return rn_kernels_cpu_bf16_by(RN_CPU_BY_FLOAT32, residual_f32);
    }
}

/* ---- The backends ---------------------------------------------------------------------------- */

const struct rn_kernels *rn_kernels_cpu(void)
{
    return highest_of(plain_tables, highest, RN_CPU_F32);
}

void rn_kernels_cpu_libraries(char out[static RN_LIBRARIES_TEXT_MAX])
{
    rn_onednn_version(RN_LIBRARIES_TEXT_MAX, out);
}

const struct rn_kernels *rn_kernels_cpu_openblas(void)
{
    return rn_cpu_with_openblas(rn_kernels_cpu());
}

const struct rn_kernels *rn_kernels_cpu_bf16(bool residual_f32)
{
    return taken ? taken_table(residual_f32)
                 : rn_kernels_cpu_bf16_by(rn_cpu_choice(NULL), residual_f32);
}
