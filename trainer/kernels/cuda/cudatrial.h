/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether an algorithm keeps a row's bits, tried on the device with the shape itself: rows alone,
 * in few, in many, at another place, in other company, and once more.
 *
 * bf16 results hide most differences between orders of a sum. So in every other row the two halves
 * of the depth cancel (x[k + K/2] = -x[k], and b's halves are equal): what is left is the sum's
 * rounding, and all of its bits show. The other rows are plain.
 *
 * What it cannot show: numbers of rows between those tried (rn_cuda_trial_counts).
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDATRIAL_H
#define RN_TRAINER_KERNELS_CUDA_CUDATRIAL_H

#include "trainer/kernels/cuda/cudachoice.h"

#define RN_CUDA_TRIAL_COUNTS 8

struct rn_cuda_trial;

/* Memory of its own, on the host and the device, for products of p's shape with engine->rows rows;
 * device: rows * (k * 2 + 2 * n * size) + n * k * 2 bytes, size 2 or 4 of a result. RN_E_MEMORY. */
RN_MUST rn_result rn_cuda_trial_new(struct rn_port *port, const struct rn_cuda_engine *engine,
                                    const struct rn_port_product *p, struct rn_cuda_trial **out,
                                    struct rn_error *err);
void rn_cuda_trial_free(struct rn_cuda_trial *trial); /* accepts NULL */
/* The product with all rows, in the trial's memory. */
const struct rn_port_product *rn_cuda_trial_product(const struct rn_cuda_trial *trial);
/* Numbers of rows that are tried: the last is engine->rows. */
size_t rn_cuda_trial_counts(const struct rn_cuda_trial *trial, int64_t out[RN_CUDA_TRIAL_COUNTS]);
/* False, too, when a product cannot be issued or leaves an element of its result unwritten. */
bool rn_cuda_trial_keeps(struct rn_cuda_trial *trial, const uint8_t *algorithm);

#endif
