/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the privacy ledgers of a site lie, for commands that look at them: beside its identity and
 * in its state directory (services/host/siteprivacy.h). Of two copies the longer file.
 */
#ifndef RN_SERVICES_CLI_PRIVACY_LEDGERPLACES_H
#define RN_SERVICES_CLI_PRIVACY_LEDGERPLACES_H

#include "services/host/siteprivacy.h"

struct rn_ledgerplaces {
    uint32_t count;
    char names[RN_SITE_PRIVACY_LINEAGES_MAX][RN_PRIVACY_NAME_MAX + 1];
    char paths[RN_SITE_PRIVACY_LINEAGES_MAX][RN_PATH_MAX];
};

/* directory: a site's, or any that holds ledgers. lineage: that one alone, or NULL. RN_E_NO_INPUT
 * where there is none. */
RN_MUST rn_result rn_ledgerplaces_find(const char *directory, const char *lineage,
                                       struct rn_ledgerplaces *out, struct rn_error *err);
/* The only one; RN_E_USAGE with their names where there are several. */
RN_MUST rn_result rn_ledgerplaces_one(const char *directory, const char *lineage,
                                      char out[static RN_PATH_MAX], struct rn_error *err);

#endif
