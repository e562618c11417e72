/* SPDX-License-Identifier: Apache-2.0
 *
 * What this processor has and this process may use, found once: the one place that asks CPUID.
 * Everything is absent beyond x86-64.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_FEATURES_H
#define RN_TRAINER_KERNELS_CPU_CPU_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

struct rn_cpu_features {
    bool avx2;        /* with FMA */
    bool avx512;      /* F, BW, DQ, VL */
    bool avx512_bf16; /* with the above */
    bool amx;         /* AMX-TILE and AMX-BF16 with the above, and the system lets us use them */
    size_t
        l2; /* bytes of a core's second-level cache; a usual size where the system does not say */
};

/* Static. The first call asks the system for the tile registers where the processor has them
 * (Linux: arch_prctl ARCH_REQ_XCOMP_PERM, which is for all threads of the process at once).
 */
const struct rn_cpu_features *rn_cpu_features(void);

#endif
