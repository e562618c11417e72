/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_signatures_parse: no set with two entries of one key, and nothing left behind on failure.
 */
#include "base/guard.h"
#include "policy/signature.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_plan_signatures signatures;
    static const struct rn_plan_signatures zero;
    struct rn_error err = {{0}};
    if (!rn_is_ok(rn_signatures_parse(rn_view_of(data, size), "sigs", &signatures, &err))) {
        RN_BUG_IF(err.text[0] == '\0' || memcmp(&signatures, &zero, sizeof zero) != 0);
        return 0;
    }
    RN_BUG_IF(signatures.count > RN_SIGNATURES_MAX ||
              signatures.document_bytes > sizeof signatures.document);
    for (uint32_t i = 0; i < signatures.count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            RN_BUG_IF(
                rn_identity_public_equal(&signatures.entries[i].key, &signatures.entries[j].key));
        }
    }
    return 0;
}
