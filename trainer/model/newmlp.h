/* SPDX-License-Identifier: Apache-2.0
 *
 * A model directory of the family rondo-mlp (mlp.c) from a seed: config.json and model.safetensors
 * with W, uniform within 1/sqrt(classes). Part of trainer/trainer.h.
 */
#ifndef RN_TRAINER_NEWMLP_H
#define RN_TRAINER_NEWMLP_H

#include "base/result.h"

#include <stdint.h>

struct rn_new_mlp {
    uint32_t inputs;                 /* numbers of a record, 1..RN_CONFIG_HIDDEN_MAX */
    uint32_t classes;                /* 2..RN_CONFIG_LABELS_MAX */
    double divisor, mean, deviation; /* (x / divisor - mean) / deviation; neither is 0 */
    uint64_t seed;
};

/* The directory is there. RN_E_CONFIG for a number beyond its limits. The same numbers give the
 * same bytes, and W is the head that rn_trainer_open makes of the same seed. */
RN_MUST rn_result rn_new_mlp_write(const struct rn_new_mlp *model, const char *dir,
                                   struct rn_error *err);

#endif
