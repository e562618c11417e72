/* SPDX-License-Identifier: Apache-2.0
 *
 * Instruction sets of the CPU backends, their tables, and what the bfloat16 backends multiply with.
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

/* What the backends run on. The first three are sets, in which the bfloat16 backends multiply by
 * own float32 products; the others are of the bfloat16 backends alone, and `cpu` is the highest set
 * in them. */
enum rn_cpu_class {
    RN_CPU_CLASS_SCALAR,
    RN_CPU_CLASS_AVX2,
    RN_CPU_CLASS_AVX512,
    RN_CPU_CLASS_AVX512_BF16, /* oneDNN without AMX */
    RN_CPU_CLASS_ONEDNN_AMX,  /* oneDNN with AMX */
    RN_CPU_CLASS_AMX,         /* own products in AMX tiles (cpu_tiles.h) */
    RN_CPU_CLASS_TILES_IN_C,  /* the same with the stand-in for the tile unit, on every machine */
    RN_CPU_CLASSES
};
/* LACKING: the machine has no such instructions. REFUSED: it has, but oneDNN's products with them
 * change a row's bits with its place or company, so that the program does not use them. */
enum rn_cpu_taken { RN_CPU_TAKEN, RN_CPU_LACKING, RN_CPU_REFUSED };

/* For tests alone: from now on `cpu` and `cpu-bf16` run on this class. Nothing changes unless
 * RN_CPU_TAKEN comes back. oneDNN settles what it uses at its first product, so one process sees
 * only one of the two classes that it is in. */
enum rn_cpu_taken rn_cpu_class_take(enum rn_cpu_class level);

#endif
