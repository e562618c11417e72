/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_peft_config_parse and the module match of what it accepts.
 */
#include "base/guard.h"
#include "trainer/adapter/peftfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const modules[] = {"roberta.encoder.layer.0.attention.self.query",
                                          "bert.pooler.dense", "x", "", "a..b.3.c"};
    struct rn_peft_config config = {0};
    bool match = false;

    if (!rn_is_ok(rn_peft_config_parse(rn_view_of(data, size), "fuzz", &config, NULL))) {
        return 0;
    }
    RN_BUG_IF(config.rank == 0 || config.rank > RN_PEFT_RANK_MAX);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(modules); i++) {
        (void)rn_is_ok(rn_peft_target_match(&config, modules[i], &match, NULL));
    }
    rn_peft_config_clear(&config);
    return 0;
}
