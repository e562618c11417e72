/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo-bench gemm: the products of an encoder layer through the trainer's kernels, beside what the
 * processor's multiply instructions can do at most.
 */
#include "base/guard.h"
#include "services/bench/benchprogram.h"
#include "services/bench/benchsetting.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "trainer/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GIGA 1e-9
#define BACKENDS_MAX 4
#define PEAK_SECONDS 0.2

/* Shares of the instruction peak to reach on every shape. */
#define GOAL_BF16 0.92
#define GOAL_F32 0.90
#define GOAL_AMX 0.40

struct gemm_settings {
    const char *backend, *kernels;
    const char *shape;
    uint64_t threads, rows;
    double seconds;
};

struct gemm_report {
    struct rn_cpu_facts cpu;
    struct rn_instruction_peak peaks[RN_MEASURE_PEAKS_MAX];
    size_t peak_count;
    struct rn_product_rates rates[BACKENDS_MAX];
    size_t rate_count;
};

static bool by_amx(const struct rn_product_rates *rates)
{
    return strstr(rates->kernels, "amx") != NULL;
}

static double goal_of(const struct rn_product_rates *rates)
{
    return by_amx(rates) ? GOAL_AMX : rates->bf16 ? GOAL_BF16 : GOAL_F32;
}

/* The processor's best loop of the kind that the products use: float32, bf16 dot products, or
 * tiles; NaN when it was not measured. */
static double peak_of(const struct gemm_report *report, const struct rn_product_rates *rates)
{
    double best = (double)NAN;
    const bool cpu = strncmp(rates->backend, "cpu", 3) == 0;
    for (size_t i = 0; i < report->peak_count && cpu; i++) {
        const bool tiles = strstr(report->peaks[i].name, "AMX") != NULL;
        if (report->peaks[i].bf16 == rates->bf16 && tiles == by_amx(rates)) {
            best = fmax(best, report->peaks[i].rate);
        }
    }
    return best;
}

static rn_result measure_backend(const struct gemm_settings *s, const char *backend,
                                 const char *kernels, struct gemm_report *report,
                                 struct rn_error *err)
{
    const struct rn_bench_shape *shape = rn_bench_shape_find(s->shape);
    const struct rn_measure_spec spec = {.backend = backend,
                                         .kernels = kernels,
                                         .threads = (uint32_t)s->threads,
                                         .hidden = shape->hidden,
                                         .intermediate = shape->intermediate,
                                         .rows = (uint32_t)s->rows,
                                         .seconds = s->seconds};
    RN_TRY(rn_measure_products(&spec, &report->rates[report->rate_count], err));
    report->rate_count++;
    return rn_ok();
}

static rn_result measure(const struct gemm_settings *s, struct gemm_report *report,
                         struct rn_error *err)
{
    rn_measure_cpu(&report->cpu);
    RN_TRY(rn_measure_peaks((uint32_t)s->threads, fmin(s->seconds, PEAK_SECONDS), report->peaks,
                            &report->peak_count, err));
    if (strcmp(s->backend, "every") != 0) {
        const bool bf16 =
            strncmp(s->backend, "cpu-bf16", 8) == 0 && strcmp(s->kernels, "every") != 0;
        return measure_backend(s, s->backend, bf16 ? s->kernels : "auto", report, err);
    }
    RN_TRY(measure_backend(s, "cpu", "auto", report, err));
    if (strcmp(s->kernels, "every") != 0) {
        return measure_backend(s, "cpu-bf16", s->kernels, report, err);
    }
    static const char *const all[] = {"amx", "onednn", "float32"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(all); i++) {
        const rn_result result = measure_backend(s, "cpu-bf16", all[i], report, err);
        if (!rn_is_ok(result) && result.code != RN_E_UNSUPPORTED) {
            return result;
        }
    }
    return rn_ok();
}

static void print_json_rates(const struct gemm_report *report, const struct rn_product_rates *rates)
{
    const double peak = peak_of(report, rates);
    printf("{\"backend\": \"%s\", \"kernels\": ", rates->backend);
    rn_json_text_print(rates->kernels);
    printf(", \"threads\": %u, \"products\": [", rates->threads);
    for (size_t i = 0; i < RN_MEASURE_PRODUCTS; i++) {
        const struct rn_product_rate *product = &rates->products[i];
        printf("%s{\"k\": %u, \"n\": %u, \"rate\": %.6e, \"of_peak\": ", i == 0 ? "" : ", ",
               product->k, product->n, product->rate);
        if (isfinite(peak)) {
            printf("%.4f}", product->rate / peak);
        } else {
            printf("null}");
        }
    }
    printf("], \"best\": %.6e, \"layer\": %.6e}", rates->best, rates->layer);
}

static void print_json(const struct gemm_report *report)
{
    printf("{\"cpu\": ");
    rn_json_text_print(report->cpu.model);
    printf(", \"class\": \"%s\", \"peaks\": [", report->cpu.class);
    for (size_t i = 0; i < report->peak_count; i++) {
        printf("%s{\"instruction\": \"%s\", \"rate\": %.6e}", i == 0 ? "" : ", ",
               report->peaks[i].name, report->peaks[i].rate);
    }
    printf("], \"backends\": [");
    for (size_t i = 0; i < report->rate_count; i++) {
        printf("%s", i == 0 ? "" : ", ");
        print_json_rates(report, &report->rates[i]);
    }
    printf("]}\n");
}

static void print_text_rates(const struct gemm_report *report, const struct rn_product_rates *rates)
{
    const double peak = peak_of(report, rates);
    const double goal = goal_of(rates);
    double least = INFINITY;
    printf("\nbackend %s, %s, %u threads\n  %-14s %10s %8s\n", rates->backend, rates->kernels,
           rates->threads, "K x N", "GFLOP/s", "of peak");
    for (size_t i = 0; i < RN_MEASURE_PRODUCTS; i++) {
        const struct rn_product_rate *product = &rates->products[i];
        char name[32];
        (void)snprintf(name, sizeof(name), "%u x %u", product->k, product->n);
        printf("  %-14s %10.1f", name, product->rate * GIGA);
        if (isfinite(peak)) {
            printf(" %7.1f%%", product->rate / peak * 100.0);
        }
        printf("\n");
        least = fmin(least, product->rate / peak);
    }
    printf("  fastest (G) %.1f, the layer's four together %.1f GFLOP/s\n", rates->best * GIGA,
           rates->layer * GIGA);
    if (isfinite(peak)) {
        printf("  goal: every product at %.0f %% of the instruction peak or more: %s (least "
               "%.1f %%)\n",
               goal * 100.0, least >= goal ? "met" : "not met", least * 100.0);
    } else {
        printf("  the instruction peak of this backend is not measured\n");
    }
}

static void print_text(const struct gemm_report *report)
{
    printf("%s, class %s\n", report->cpu.model, report->cpu.class);
    for (size_t i = 0; i < report->peak_count; i++) {
        printf("  %-24s %10.1f GFLOP/s\n", report->peaks[i].name, report->peaks[i].rate * GIGA);
    }
    for (size_t i = 0; i < report->rate_count; i++) {
        print_text_rates(report, &report->rates[i]);
    }
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct gemm_report report = {.peak_count = 0};
    RN_TRY(measure(command->settings, &report, err));
    if (command->json) {
        print_json(&report);
    } else {
        print_text(&report);
    }
    return rn_ok();
}

static const struct rn_option options[] = {
    {"backend", RN_OPT_CHOICE(struct gemm_settings, backend, "every|" RN_CHOICES_BACKEND),
     .fallback = "every", .help = "every: cpu and cpu-bf16"},
    {"kernels", RN_OPT_CHOICE(struct gemm_settings, kernels, "every|" RN_CHOICES_KERNELS),
     .fallback = "auto", .help = "of cpu-bf16; every: all that this machine has, one by one"},
    {"shape", RN_OPT_CHOICE(struct gemm_settings, shape, RN_CHOICES_SHAPE), .fallback = "large",
     .help = "widths of RoBERTa-large, RoBERTa-base, or 256"},
    {"threads", RN_OPT_COUNT(struct gemm_settings, threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "0: one per core"},
    {"rows", RN_OPT_COUNT(struct gemm_settings, rows, "M"), .fallback = "4096", .least = 1,
     .most = RN_MEASURE_ROWS_MAX, .help = "tokens"},
    {"seconds", RN_OPT_NUMBER(struct gemm_settings, seconds, "X"), .fallback = "0.5", .least = 0,
     .most = 600, .help = "time for each product"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Measurement", options, 0}, {NULL}};

const struct rn_command_def rn_bench_gemm = {
    .name = "gemm",
    .summary = "measure this machine's matrix products",
    .groups = groups,
    .settings_size = sizeof(struct gemm_settings),
    .exits = RN_EXITS(69, 71, 81),
    .detail = "Y[M,N] = X[M,K] W[N,K]^T with packed weights, no epilogue, rows cut into blocks as "
              "in a training step; the fastest pass counts. The instruction peak is a loop of "
              "multiply-adds on registers alone, on the same number of threads.",
    .examples = "  rondo-bench gemm\n"
                "  rondo-bench gemm --kernels every\n"
                "  rondo-bench gemm --backend cpu --shape base --threads 1",
    .run = run,
};
