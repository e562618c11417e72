/* SPDX-License-Identifier: Apache-2.0
 *
 * Which algorithm computes a product on a device whose library offers several.
 *
 * A shape is (n, k, operand order, types, bias, c). One algorithm is chosen for each shape when it
 * first comes, and used for every number of rows; no algorithm is used that has not been tried
 * (cudatrial.h) in this process and kept a row's bits. Where none does, the shape is refused, with
 * RN_E_UNSUPPORTED: differential privacy leans on the bits of every other example, and the rest of
 * the trainer on packed = one by one.
 *
 * Without a plan file the first that passes is taken, in the library's order, so that two runs give
 * the same bits; with one, the fastest of those that pass, timed once and kept there (cudaplans.h).
 * What a file holds is tried like any other.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDACHOICE_H
#define RN_TRAINER_KERNELS_CUDA_CUDACHOICE_H

#include "trainer/kernels/cuda/cudaplans.h"
#include "trainer/kernels/cuda/cudaport.h"

#define RN_CUDA_CANDIDATES 8

/* Products of a device by opaque algorithms. The calls neither note failures nor wait. */
struct rn_cuda_engine {
    void *context;
    int64_t rows; /* of a trial; the most that one product is rehearsed with */
    /* Algorithms for the product without split sums, best first; how many. */
    int (*candidates)(void *context, const struct rn_port_product *p,
                      uint8_t out[RN_CUDA_CANDIDATES][RN_CUDA_ALGORITHM_BYTES]);
    /* Whether the algorithm says that it does the product with p->m rows, without split sums. */
    bool (*takes)(void *context, const struct rn_port_product *p, const uint8_t *algorithm);
    /* False when it could not be issued. */
    bool (*multiply)(void *context, const struct rn_port_product *p, const uint8_t *algorithm);
    /* Milliseconds of some products, in any unit that compares; negative: it cannot. */
    float (*time)(void *context, const struct rn_port_product *p, const uint8_t *algorithm);
};

struct rn_cuda_choice {
    struct rn_cuda_plans plans;
    const char *plan_file; /* borrowed; NULL = none, nothing is timed */
};

/* plans.owner is set. file: NULL or empty = none. */
void rn_cuda_choice_open(struct rn_cuda_choice *choice, const char *file);
/* The algorithm for a product of p's shape; of its pointers only their absence counts. recording:
 * nothing can be tried now, and a shape that is new fails (RN_E_INTERNAL). RN_E_MEMORY when the
 * trial's memory does not fit: then nothing is decided. */
RN_MUST rn_result rn_cuda_choice_find(struct rn_cuda_choice *choice, struct rn_port *port,
                                      const struct rn_cuda_engine *engine,
                                      const struct rn_port_product *p, bool recording,
                                      const uint8_t **out, struct rn_error *err);

#endif
