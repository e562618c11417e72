/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_policy_parse: fails closed, with a sentence and a zeroed policy.
 */
#include "base/guard.h"
#include "policy/rules.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_policy policy;
    static const struct rn_policy zero;
    struct rn_error err = {{0}};
    if (!rn_is_ok(rn_policy_parse(rn_view_of(data, size), "policy", &policy, &err))) {
        RN_BUG_IF(err.text[0] == '\0' || memcmp(&policy, &zero, sizeof zero) != 0);
        return 0;
    }
    RN_BUG_IF(policy.cohort.members_min < 3 || policy.cohort.honest_min < 2 ||
              policy.cohort.colluding_min < 1 || policy.model.hashes_count == 0 ||
              policy.method.allowed == 0 || policy.plan.signers == 0);
    return 0;
}
