/* SPDX-License-Identifier: Apache-2.0
 *
 * Loops of one multiply-add instruction on registers, for the instruction peak of
 * trainer/bench/measure.h.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_PEAK_H
#define RN_TRAINER_KERNELS_CPU_CPU_PEAK_H

#include <stdbool.h>
#include <stddef.h>

#define RN_CPU_PEAKS_MAX 4

struct rn_cpu_peak {
    const char *name;
    bool bf16;
    double operations;           /* of one round */
    float (*run)(size_t rounds); /* the value keeps the compiler from leaving the work out */
};

/* The loops that this processor can run; returns how many, 0 beyond x86-64. */
size_t rn_cpu_peaks(struct rn_cpu_peak out[RN_CPU_PEAKS_MAX]);

/* "AMX", "AVX512-BF16", "AVX-512", "AVX2", "other" */
const char *rn_cpu_class(void);

#endif
