/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of adapter_config.json about ranks and scales of single modules; private to
 * trainer/adapter/peft*.c.
 */
#ifndef RN_TRAINER_PEFTRULES_H
#define RN_TRAINER_PEFTRULES_H

#include "trainer/adapter/peftfile.h"

#include <jansson.h>

/* Reads rank_pattern and alpha_pattern; config->rank and alpha are r and lora_alpha before, and the
 * largest rank with its alpha behind. */
RN_MUST rn_result rn_peft_rules_read(const json_t *root, const char *file,
                                     struct rn_peft_config *config, struct rn_error *err);
void rn_peft_rules_clear(struct rn_peft_rules *rules);

#endif
