/* SPDX-License-Identifier: Apache-2.0
 *
 * Candidates by name, and what was measured in words.
 */
#include "trainer/kernels/cpu/cpu_choice.h"

#include "base/bytes.h"
#include "base/guard.h"

#include <string.h>

const char *rn_cpu_candidate_name(enum rn_cpu_candidate candidate)
{
    static const char *const names[RN_CPU_CANDIDATES] = {"amx", "onednn", "float32"};
    return names[candidate];
}

rn_result rn_kernels_cpu_bf16_named(const char *products, bool residual_f32,
                                    const struct rn_kernels **out, struct rn_error *err)
{
    for (int i = 0; i < RN_CPU_CANDIDATES; i++) {
        const enum rn_cpu_candidate candidate = (enum rn_cpu_candidate)i;
        if (strcmp(products, rn_cpu_candidate_name(candidate)) == 0) {
            *out = rn_kernels_cpu_bf16_by(candidate, residual_f32);
            RN_ENSURE(*out != NULL, err, RN_E_UNSUPPORTED,
                      "backend %s: this machine cannot multiply by %s",
                      residual_f32 ? "cpu-bf16-residual-f32" : "cpu-bf16", products);
            return rn_ok();
        }
    }
    return rn_fail(err, RN_E_USAGE, "kernels %s are unknown: auto, amx, onednn or float32",
                   products);
}

void rn_kernels_cpu_measured(char out[RN_KERNELS_MEASURED_MAX])
{
    struct rn_cpu_rates rates = {0};
    size_t at = 0;
    out[0] = '\0';
    (void)rn_cpu_choice(&rates);
    for (int i = 0; i < RN_CPU_CANDIDATES; i++) {
        if (rates.rate[i] > 0.0) {
            RN_BUG_IF(!rn_text_format(
                out + at, RN_KERNELS_MEASURED_MAX - at, "%s%s %.0f", at == 0 ? "" : ", ",
                rn_cpu_candidate_name((enum rn_cpu_candidate)i), rates.rate[i] * 1e-9));
            at += strlen(out + at);
        }
    }
    RN_BUG_IF(at > 0 &&
              !rn_text_format(out + at, RN_KERNELS_MEASURED_MAX - at, " GFLOP/s a thread"));
}
