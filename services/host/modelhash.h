/* SPDX-License-Identifier: Apache-2.0
 *
 * The base-model hash that stands in a plan: one SHA-256 over the files of a model directory that
 * decide what the model computes (rn_model_files_list: configuration, weights, tokenizer).
 *
 *     hash = SHA-256("rondo/v1 base model" padded || for each file, sorted by name:
 *                    u32 length of name || name || SHA-256 of the file, 32 bytes)
 */
#ifndef RN_SERVICES_HOST_MODELHASH_H
#define RN_SERVICES_HOST_MODELHASH_H

#include "base/result.h"

#include <stdint.h>

/* RN_E_NO_INPUT or RN_E_DATA names the file that is missing or unreadable. */
RN_MUST rn_result rn_model_hash(const char *model_dir, uint8_t out_hash[static 32],
                                struct rn_error *err);

#endif
