/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model directory says of its classes: their number by the head's shape, their names and
 * order by id2label of config.json.
 */
#ifndef RN_TRAINER_MODELCLASSES_H
#define RN_TRAINER_MODELCLASSES_H

#include "trainer/ground/safetensors.h"
#include "trainer/trainertext.h"

/* The outputs of the head among the tensors; 0 when there is none. prefix: what stands before
 * "classifier" in their names ("" in a model, "base_model.model." in an adapter). */
uint32_t rn_head_outputs(const struct rn_safetensors *tensors, const char *prefix);

#endif
