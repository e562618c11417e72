/* SPDX-License-Identifier: Apache-2.0
 *
 * The families that there are.
 */
#include "trainer/model/family.h"

#include "base/guard.h"

#include <string.h>

static const struct rn_family *const families[] = {&rn_family_bert, &rn_family_roberta,
                                                   &rn_family_mlp};

const struct rn_family *rn_family_at(size_t number)
{
    return number < RN_ARRAY_LENGTH(families) ? families[number] : NULL;
}

const struct rn_family *rn_family_find(const char *model_type)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(families); i++) {
        if (strcmp(families[i]->model_type, model_type) == 0) {
            return families[i];
        }
    }
    return NULL;
}
