/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_roster_parse: whatever it accepts, it writes back byte for byte.
 */
#include "base/guard.h"
#include "crypto/roster.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_roster roster;
    struct rn_error err;
    const struct rn_view in = rn_view_of(data, size);
    if (!rn_is_ok(rn_roster_parse(in, &roster, &err))) {
        return 0;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    RN_BUG_IF(!rn_is_ok(rn_roster_write(&roster, &out, &err)));
    RN_BUG_IF(!rn_view_equal(in, rn_buffer_view(&out)));
    return 0;
}
