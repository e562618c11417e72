/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_job_ledger_parse: what is taken is, byte by byte, what would be written; so no charge is read
 * from a text that the service did not write.
 */
#include "base/guard.h"
#include "policy/jobledger.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_job_ledger ledger;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const struct rn_view input = rn_view_of(data, size);
    const struct rn_identity_public owner = {{7}};
    struct rn_error err = {{0}};
    if (!rn_is_ok(rn_job_ledger_parse(input, "jobs.ledger", &owner, &ledger, &err))) {
        RN_BUG_IF(err.text[0] == '\0');
        return 0;
    }
    rn_job_ledger_write(&ledger, &text);
    RN_BUG_IF(!rn_view_equal(rn_buffer_view(&text), input));
    return 0;
}
