/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast this machine is, for benchmarks: the rate of the products with frozen weights that an
 * encoder layer is made of, through the trainer's own kernels, and what the processor's multiply
 * instructions can do at most. All rates are floating-point operations a second; a product of
 * [M,K] with [K,N] counts 2 M K N. Services get this header through trainer/trainer.h.
 */
#ifndef RN_TRAINER_MEASURE_H
#define RN_TRAINER_MEASURE_H

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_MEASURE_PRODUCTS 4
#define RN_MEASURE_PEAKS_MAX 8
#define RN_MEASURE_ROWS_MAX 65536
#define RN_MEASURE_WIDTH_MAX 32768

struct rn_measure_spec {
    const char *backend, *kernels; /* as in struct rn_trainer_spec */
    uint32_t threads;              /* 0 = one per core */
    uint32_t hidden, intermediate; /* widths d and f of a layer, 1..RN_MEASURE_WIDTH_MAX */
    uint32_t rows;                 /* M; 0 = 4096; cut into blocks as the trainer cuts a batch */
    double seconds;                /* for each product; at least two passes are made */
};

/* One product, weights packed beforehand, no epilogue. */
struct rn_product_rate {
    uint32_t k, n;
    double rate; /* of the fastest pass */
};

struct rn_product_rates {
    const char *backend; /* static */
    char kernels[32];    /* as in struct rn_trainer_facts */
    bool bf16;           /* multiplied as bf16, not widened to float32 */
    uint32_t threads;
    struct rn_product_rate products[RN_MEASURE_PRODUCTS]; /* (K,N): (d,d), (d,3d), (d,f), (f,d) */
    double best;  /* the fastest of the four: G, what a model rate is compared with */
    double layer; /* the four together: their operations over the sum of their times */
};
/* RN_E_CONFIG for sizes beyond the limits; otherwise as opening a trainer with the backend. */
RN_MUST rn_result rn_measure_products(const struct rn_measure_spec *spec,
                                      struct rn_product_rates *out, struct rn_error *err);

/* A loop of one multiply-add instruction on registers alone, on `threads` threads at once. */
struct rn_instruction_peak {
    const char *name; /* "AVX-512 float32 FMA"; static */
    bool bf16;        /* multiplies bf16, adds in float32 */
    double rate;
};
/* Every loop that this processor has, slowest kind first; none beyond x86-64. */
RN_MUST rn_result rn_measure_peaks(uint32_t threads, double seconds,
                                   struct rn_instruction_peak out[RN_MEASURE_PEAKS_MAX],
                                   size_t *out_count, struct rn_error *err);

struct rn_cpu_facts {
    char model[96];    /* "AMD EPYC", as the system names it; "" when it does not */
    const char *class; /* "AMX", "AVX512-BF16", "AVX-512", "AVX2" or "other": what a figure belongs
                          to; static */
    uint32_t cores;    /* that this process may use */
    uint64_t memory_bytes;
};
void rn_measure_cpu(struct rn_cpu_facts *out);

#endif
