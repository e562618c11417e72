/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_peft_config_parse, and the module match and ranks of what it accepts.
 */
#include "base/guard.h"
#include "trainer/adapter/peftfile.h"

#include <math.h>

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
        uint32_t rank = 1;
        double factor = 0.0;
        (void)rn_is_ok(rn_peft_target_match(&config, modules[i], &match, NULL));
        (void)rn_is_ok(rn_peft_module_rank(&config, modules[i], &rank, &factor, NULL));
        RN_BUG_IF(rank == 0 || rank > config.rank || !isfinite(factor));
    }
    rn_peft_config_clear(&config);
    return 0;
}
