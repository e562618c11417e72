/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_site_parse.
 */
#include "base/guard.h"
#include "policy/site.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_site site;
    static const struct rn_site zero;
    struct rn_error err = {{0}};
    if (!rn_is_ok(rn_site_parse(rn_view_of(data, size), "site", &site, &err))) {
        RN_BUG_IF(err.text[0] == '\0' || memcmp(&site, &zero, sizeof zero) != 0);
        return 0;
    }
    RN_BUG_IF(site.network.peers_count > RN_SITE_PEERS_MAX || !rn_name_valid(site.name) ||
              (site.role == RN_SITE_MEMBER && site.data.train[0] == '\0'));
    return 0;
}
