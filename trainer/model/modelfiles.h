/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a model directory that the base-model hash covers. Part of trainer/trainer.h.
 */
#ifndef RN_TRAINER_MODELFILES_H
#define RN_TRAINER_MODELFILES_H

#include "base/result.h"

#include <stddef.h>

/* Names relative to the directory, sorted by bytes: configuration, weights, tokenizer. The owner
 * frees with rn_free each name, then the array. */
RN_MUST rn_result rn_model_files_list(const char *model_dir, char ***out_names, size_t *out_count,
                                      struct rn_error *err);

#endif
