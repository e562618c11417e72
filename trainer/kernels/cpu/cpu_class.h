/* SPDX-License-Identifier: Apache-2.0
 *
 * Instruction sets of the CPU backends, their tables, and classes of processors.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_CLASS_H
#define RN_TRAINER_KERNELS_CPU_CPU_CLASS_H

#include "trainer/kernels/kernels.h"

/* RN_CPU_AVX512_BF16 is for the bfloat16 backends alone: oneDNN, and bfloat16 dot products. */
enum rn_cpu_set { RN_CPU_SCALAR, RN_CPU_AVX2, RN_CPU_AVX512, RN_CPU_AVX512_BF16, RN_CPU_SETS };
enum rn_cpu_types { RN_CPU_F32, RN_CPU_BF16, RN_CPU_BF16_RESIDUAL_F32, RN_CPU_TYPES };
/* The table over one set; NULL when this machine lacks it. */
const struct rn_kernels *rn_kernels_cpu_of(enum rn_cpu_set set);
const struct rn_kernels *rn_kernels_cpu_typed(enum rn_cpu_set set, enum rn_cpu_types types);

/* What a processor has, lowest first: a set, and in the last two what oneDNN multiplies with. */
enum rn_cpu_class {
    RN_CPU_CLASS_SCALAR,
    RN_CPU_CLASS_AVX2,
    RN_CPU_CLASS_AVX512,
    RN_CPU_CLASS_AVX512_BF16,
    RN_CPU_CLASS_AMX,
    RN_CPU_CLASSES
};
/* LACKING: the machine has no such instructions. REFUSED: it has, but oneDNN's products with them
 * change a row's bits with its company, so that the program does not use them. */
enum rn_cpu_taken { RN_CPU_TAKEN, RN_CPU_LACKING, RN_CPU_REFUSED };

/* For tests alone: from now on `cpu` and `cpu-bf16` choose as on a processor of this class, which
 * may be lower than this machine's. Nothing changes unless RN_CPU_TAKEN comes back. oneDNN settles
 * what it uses at its first product, so one process sees only one of the last two classes. */
enum rn_cpu_taken rn_cpu_class_take(enum rn_cpu_class level);

#endif
