/* SPDX-License-Identifier: Apache-2.0
 *
 * The real member with one function replaced, for test_o_simulated.py: the key of its rounding is
 * the simulation's (rn_sim_rounding) instead of one that nobody knows, so that both must arrive at
 * the same bytes. Place in the roster and seed of the plan: RONDO_TEST_PLACE, RONDO_TEST_SEED.
 */
#include <stdlib.h>

#include "services/cli/kit/program.h"
#include "services/simulate/simworld.h"
#include "services/trainer/memberservice.h"

rn_result __real_rn_round_encoder_init(struct rn_round_encoder *out,
                                       const struct rn_round_layout *layout,
                                       const struct rn_round_report *report, const float *delta,
                                       const struct rn_secret32 *key, struct rn_error *err);
rn_result __wrap_rn_round_encoder_init(struct rn_round_encoder *out,
                                       const struct rn_round_layout *layout,
                                       const struct rn_round_report *report, const float *delta,
                                       const struct rn_secret32 *key, struct rn_error *err);

rn_result __wrap_rn_round_encoder_init(struct rn_round_encoder *out,
                                       const struct rn_round_layout *layout,
                                       const struct rn_round_report *report, const float *delta,
                                       const struct rn_secret32 *key, struct rn_error *err)
{
    const char *place = getenv("RONDO_TEST_PLACE");
    const char *seed = getenv("RONDO_TEST_SEED");
    struct rn_secret32 known = *key;
    if (place != NULL && seed != NULL) {
        const struct rn_plan plan = {.seed = strtoull(seed, NULL, 10)};
        rn_sim_rounding(&plan, (uint32_t)strtoul(place, NULL, 10), layout->spec.round, &known);
    }
    return __real_rn_round_encoder_init(out, layout, report, delta, &known, err);
}

int main(int argc, char **argv)
{
    return rn_program_main(&rn_program_trainer, argc, argv);
}
