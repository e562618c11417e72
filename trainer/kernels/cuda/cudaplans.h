/* SPDX-License-Identifier: Apache-2.0
 *
 * Which algorithm computes a product: kept in memory, and in a file so that what was found by
 * timing once stays. The file belongs to one device, driver and cuBLASLt; for another, or when it
 * is damaged in any byte, it counts as empty and is written anew. An algorithm is opaque bytes
 * here; whoever uses one that came from a file tries it first (cudachoice.h).
 *
 * The file is text, written at once and whole (base/file.h):
 *
 *     rondo cuda plans 1
 *     for NAME, driver N, cublasLt N
 *     plan ROWS N K EXACT BY_ROWS WIDE BIAS C ALGORITHM      (hex), once a plan
 *     end COUNT SUM               (FNV-1a of all bytes before this line, hex)
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAPLANS_H
#define RN_TRAINER_KERNELS_CUDA_CUDAPLANS_H

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_CUDA_PLANS_MAX 512
#define RN_CUDA_ALGORITHM_BYTES 64
#define RN_CUDA_PLANS_FOR_MAX 400

/* What an algorithm was chosen for. Compared as bytes: no padding. */
struct rn_cuda_plan_key {
    int64_t rows, n, k;
    int32_t exact; /* for every number of rows; else for `rows` alone */
    int32_t by_rows, wide, has_bias, has_c;
    int32_t unused;
};

struct rn_cuda_plan {
    struct rn_cuda_plan_key key;
    uint8_t algorithm[RN_CUDA_ALGORITHM_BYTES];
    bool checked; /* tried in this process, and found good */
    bool refused; /* tried in this process: no algorithm is good; never in the file */
};

struct rn_cuda_plans {
    char owner[RN_CUDA_PLANS_FOR_MAX]; /* "NAME, driver N, cublasLt N" */
    struct rn_cuda_plan plans[RN_CUDA_PLANS_MAX];
    size_t count;
};

/* False, and no plans, when there is no file, it is for another owner, or it is damaged. Plans that
 * come from it are not `checked`. */
bool rn_cuda_plans_load(struct rn_cuda_plans *plans, const char *path);
RN_MUST rn_result rn_cuda_plans_save(const struct rn_cuda_plans *plans, const char *path,
                                     struct rn_error *err);
/* NULL when there is none. */
struct rn_cuda_plan *rn_cuda_plans_find(struct rn_cuda_plans *plans,
                                        const struct rn_cuda_plan_key *key);
/* A good one, in the place of a plan with the same key. When all places are taken, all plans are
 * forgotten first: each is found again when it is wanted. */
struct rn_cuda_plan *rn_cuda_plans_put(struct rn_cuda_plans *plans,
                                       const struct rn_cuda_plan_key *key,
                                       const uint8_t algorithm[RN_CUDA_ALGORITHM_BYTES]);
/* The same for a key that nothing is good for. */
struct rn_cuda_plan *rn_cuda_plans_refuse(struct rn_cuda_plans *plans,
                                          const struct rn_cuda_plan_key *key);

#endif
