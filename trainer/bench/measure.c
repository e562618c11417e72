/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates of products and instructions. Every thread works as in a training step: whole blocks of
 * rows, taken from one queue, through the lane's own kernels.
 */
#include "trainer/bench/measure.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/ground/team.h"
#include "trainer/kernels/cpu/cpu_choice.h"
#include "trainer/kernels/cpu/cpu_peak.h"
#include "trainer/kernels/kernels.h"
#include "trainer/words.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROWS_DEFAULT 4096
#define PASSES_MIN 2
#define PEAK_ROUNDS 200000

struct bench {
    const struct rn_kernels *kernels;
    struct rn_device *device;
    struct rn_team *team;
    uint32_t threads;
    struct rn_lane *lanes[RN_TRAINER_THREADS_MAX];
    void *x; /* device, rows of the widest input */
    void *y;
    /* The present product. */
    const struct rn_weight *weight;
    struct rn_mat left, out;
    rn_result failed[RN_TRAINER_THREADS_MAX];
};

static void bench_clear(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->threads; i++) {
        if (bench->lanes[i] != NULL) {
            bench->kernels->lane_free(bench->lanes[i]);
        }
    }
    if (bench->device != NULL) {
        bench->kernels->memory_free(bench->device, bench->x);
        bench->kernels->memory_free(bench->device, bench->y);
        bench->kernels->device_close(bench->device);
    }
    rn_team_free(bench->team);
}

static uint32_t cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : (uint32_t)count;
}

static uint32_t settle_threads(uint32_t wanted, uint32_t most)
{
    uint32_t threads = wanted == 0 ? cores() : wanted;
    threads = threads > RN_TRAINER_THREADS_MAX ? RN_TRAINER_THREADS_MAX : threads;
    return threads > most ? most : threads;
}

/* Values in [-1, 1) in the device's element type: for bf16 the upper half of each float32. */
static void fill(struct bench *bench, void *to, size_t count, enum rn_element type)
{
    const struct rn_generator generator = rn_generator_of(1, "measure");
    RN_CLEANUP(rn_free_cleanup) float *values = rn_alloc(count, sizeof(float));
    RN_CLEANUP(rn_free_cleanup) uint8_t *bytes = rn_alloc(count, rn_element_size(type));
    rn_generator_uniform(&generator, 1.0, count, values);
    for (size_t i = 0; i < count; i++) {
        const double wide = (double)values[i];
        uint32_t bits = 0;
        memcpy(&bits, &values[i], sizeof(bits));
        const uint16_t upper = (uint16_t)(bits >> 16);
        const void *from = type == RN_F64    ? (const void *)&wide
                           : type == RN_BF16 ? (const void *)&upper
                                             : (const void *)&values[i];
        memcpy(bytes + i * rn_element_size(type), from, rn_element_size(type));
    }
    bench->kernels->upload(bench->lanes[0], to, bytes, count * rn_element_size(type));
}

static rn_result bench_open(struct bench *bench, const struct rn_measure_spec *spec, uint32_t rows,
                            struct rn_error *err)
{
    const uint32_t wide =
        spec->intermediate > 3 * spec->hidden ? spec->intermediate : 3 * spec->hidden;
    const uint32_t deep = spec->intermediate > spec->hidden ? spec->intermediate : spec->hidden;
    RN_TRY(rn_kernels_find_by(spec->backend, spec->kernels, &bench->kernels, err));
    const struct rn_kernels *kernels = bench->kernels;
    bench->threads = settle_threads(spec->threads, kernels->lanes_max);
    RN_TRY(rn_team_new(bench->threads, &bench->team, err));
    RN_TRY(kernels->device_open(&bench->device, err));
    const struct rn_lane_limits limits = {.tokens = kernels->block_tokens,
                                          .sequences = 1,
                                          .length = 1,
                                          .width = wide,
                                          .heads = 1,
                                          .head_dim = 64,
                                          .rank = 1};
    for (uint32_t i = 0; i < bench->threads; i++) {
        RN_TRY(kernels->lane_new(bench->device, &limits, &bench->lanes[i], err));
    }
    const size_t element = rn_element_size(kernels->activation);
    RN_TRY(kernels->memory_new(bench->device, (size_t)rows * deep * element, &bench->x, err));
    RN_TRY(kernels->memory_new(bench->device, (size_t)rows * wide * element, &bench->y, err));
    fill(bench, bench->x, (size_t)rows * deep, kernels->activation);
    return kernels->sync(bench->lanes[0], err);
}

static void multiply(void *context, uint32_t worker)
{
    static const struct rn_epilogue none;
    struct bench *bench = context;
    const uint32_t block = bench->kernels->block_tokens;
    const uint32_t rows = bench->left.rows;
    for (;;) {
        const uint32_t item = rn_team_queue_next(bench->team);
        if ((uint64_t)item * block >= rows) {
            break;
        }
        const uint32_t first = item * block;
        const uint32_t count = rows - first < block ? rows - first : block;
        bench->kernels->linear(bench->lanes[worker], bench->weight,
                               rn_mat_rows(bench->left, first, count), &none,
                               rn_mat_rows(bench->out, first, count));
    }
    bench->failed[worker] = bench->kernels->sync(bench->lanes[worker], NULL);
}

/* Seconds of the fastest pass. */
static rn_result time_product(struct bench *bench, double seconds, double *out_best,
                              struct rn_error *err)
{
    const uint64_t begun = rn_clock_monotonic_ns();
    uint64_t best = UINT64_MAX;
    for (uint32_t pass = 0;; pass++) {
        const uint64_t start = rn_clock_monotonic_ns();
        if (pass > PASSES_MIN && (double)(start - begun) * 1e-9 > seconds) {
            break;
        }
        rn_team_queue_reset(bench->team);
        rn_team_run(bench->team, multiply, bench);
        const uint64_t time = rn_clock_monotonic_ns() - start;
        best = time < best && pass > 0 ? time : best; /* the first pass touches the memory */
        for (uint32_t i = 0; i < bench->threads; i++) {
            RN_ENSURE(rn_is_ok(bench->failed[i]), err, bench->failed[i].code,
                      "the device failed during a product");
        }
    }
    *out_best = (double)(best == 0 ? 1 : best) * 1e-9;
    return rn_ok();
}

static rn_result one_product(struct bench *bench, const struct rn_measure_spec *spec, uint32_t rows,
                             struct rn_product_rate *product, double *out_seconds,
                             struct rn_error *err)
{
    const struct rn_kernels *kernels = bench->kernels;
    const struct rn_generator generator = rn_generator_of(2, "measure");
    struct rn_weight *weight = NULL;
    RN_CLEANUP(rn_free_cleanup) float *w = rn_alloc((size_t)product->n * product->k, sizeof(float));
    rn_generator_uniform(&generator, 0.05, (size_t)product->n * product->k, w);
    RN_TRY(kernels->weight_new(bench->device, w, product->n, product->k, &weight, err));
    bench->weight = weight;
    bench->left = (struct rn_mat){bench->x, rows, product->k, product->k, kernels->activation};
    bench->out = (struct rn_mat){bench->y, rows, product->n, product->n, kernels->activation};
    const rn_result result = time_product(bench, spec->seconds, out_seconds, err);
    kernels->weight_free(bench->device, weight);
    product->rate = 2.0 * rows * product->k * product->n / *out_seconds;
    return result;
}

static bool multiplies_bf16(const struct rn_kernels *kernels)
{
    const bool residual_f32 = kernels->residual == RN_F32;
    return kernels->activation == RN_BF16 &&
           kernels != rn_kernels_cpu_bf16_by(RN_CPU_BY_FLOAT32, residual_f32);
}

rn_result rn_measure_products(const struct rn_measure_spec *spec, struct rn_product_rates *out,
                              struct rn_error *err)
{
    const uint32_t d = spec->hidden;
    const uint32_t f = spec->intermediate;
    const uint32_t rows = spec->rows == 0 ? ROWS_DEFAULT : spec->rows;
    RN_ENSURE(d >= 1 && d <= RN_MEASURE_WIDTH_MAX && f >= 1 && f <= RN_MEASURE_WIDTH_MAX, err,
              RN_E_CONFIG, "measure: widths must be 1 to %d", RN_MEASURE_WIDTH_MAX);
    RN_ENSURE(rows <= RN_MEASURE_ROWS_MAX, err, RN_E_CONFIG, "measure: at most %d rows",
              RN_MEASURE_ROWS_MAX);
    RN_CLEANUP(bench_clear) struct bench bench = {0};
    RN_TRY(bench_open(&bench, spec, rows, err));
    struct rn_product_rates rates = {.backend = bench.kernels->name,
                                     .bf16 = multiplies_bf16(bench.kernels),
                                     .threads = bench.threads,
                                     .products = {{d, d, 0}, {d, 3 * d, 0}, {d, f, 0}, {f, d, 0}}};
    (void)rn_text_format(rates.kernels, sizeof(rates.kernels), "%.31s",
                         bench.kernels->device_describe(bench.device));
    double operations = 0.0;
    double seconds = 0.0;
    for (size_t i = 0; i < RN_MEASURE_PRODUCTS; i++) {
        struct rn_product_rate *product = &rates.products[i];
        double time = 0.0;
        RN_TRY(one_product(&bench, spec, rows, product, &time, err));
        operations += product->rate * time;
        seconds += time;
        rates.best = product->rate > rates.best ? product->rate : rates.best;
    }
    rates.layer = operations / seconds;
    *out = rates;
    return rn_ok();
}

struct peak_run {
    const struct rn_cpu_peak *loop;
    float sums[RN_TRAINER_THREADS_MAX];
};

static void run_loop(void *context, uint32_t worker)
{
    struct peak_run *run = context;
    run->sums[worker] = run->loop->run(PEAK_ROUNDS);
}

rn_result rn_measure_peaks(uint32_t threads, double seconds,
                           struct rn_instruction_peak out[RN_MEASURE_PEAKS_MAX], size_t *out_count,
                           struct rn_error *err)
{
    struct rn_cpu_peak loops[RN_CPU_PEAKS_MAX];
    struct rn_team *team = NULL;
    const uint32_t workers = settle_threads(threads, RN_TRAINER_THREADS_MAX);
    const size_t count = rn_cpu_peaks(loops);
    RN_TRY(rn_team_new(workers, &team, err));
    for (size_t i = 0; i < count; i++) {
        struct peak_run run = {.loop = &loops[i]};
        const uint64_t begun = rn_clock_monotonic_ns();
        uint64_t best = UINT64_MAX;
        do {
            const uint64_t start = rn_clock_monotonic_ns();
            rn_team_run(team, run_loop, &run);
            const uint64_t time = rn_clock_monotonic_ns() - start;
            best = time < best ? time : best;
        } while ((double)(rn_clock_monotonic_ns() - begun) * 1e-9 < seconds);
        out[i] = (struct rn_instruction_peak){loops[i].name, loops[i].bf16,
                                              loops[i].operations * PEAK_ROUNDS * workers /
                                                  ((double)(best == 0 ? 1 : best) * 1e-9)};
    }
    rn_team_free(team);
    *out_count = count;
    return rn_ok();
}

/* The text after the colon of the first line that begins with key. */
static void cpuinfo_value(const char *key, char *out, size_t capacity)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    out[0] = '\0';
    while (file != NULL && out[0] == '\0' && fgets(line, sizeof(line), file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) == 0 && colon != NULL && colon[1] == ' ') {
            (void)rn_text_format(out, capacity, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

void rn_measure_cpu(struct rn_cpu_facts *out)
{
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page = sysconf(_SC_PAGESIZE);
    *out = (struct rn_cpu_facts){.class = rn_cpu_class(),
                                 .cores = cores(),
                                 .memory_bytes =
                                     pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0};
    cpuinfo_value("model name", out->model, sizeof(out->model));
}
