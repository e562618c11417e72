/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/privacy/ledgerplaces.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/host/sitefiles.h"

static uint64_t size_of(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? (uint64_t)facts.st_size : 0;
}

/* The longer file of a lineage stays. */
static rn_result place_add(struct rn_ledgerplaces *places, const char *directory, const char *name,
                           struct rn_error *err)
{
    char path[RN_PATH_MAX];
    uint32_t at = 0;
    RN_TRY(rn_siteprivacy_path(directory, name, path, err));
    while (at < places->count && strcmp(places->names[at], name) != 0) {
        at++;
    }
    RN_ENSURE(at < RN_SITE_PRIVACY_LINEAGES_MAX, err, RN_E_DATA, "%s: more than %d privacy ledgers",
              directory, RN_SITE_PRIVACY_LINEAGES_MAX);
    if (at == places->count) {
        places->count++;
    } else if (size_of(places->paths[at]) >= size_of(path)) {
        return rn_ok();
    }
    (void)rn_text_format(places->names[at], sizeof places->names[at], "%s", name);
    memcpy(places->paths[at], path, sizeof path);
    return rn_ok();
}

static rn_result directory_add(struct rn_ledgerplaces *places, const char *directory,
                               const char *lineage, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup)
    struct rn_siteprivacy_lineages *found = rn_alloc(1, sizeof *found);
    RN_TRY(rn_siteprivacy_lineages(directory, found, err));
    for (uint32_t i = 0; i < found->count; i++) {
        if (lineage == NULL || strcmp(found->names[i], lineage) == 0) {
            RN_TRY(place_add(places, directory, found->names[i], err));
        }
    }
    return rn_ok();
}

/* A directory without site.yaml is no site's, and is looked at alone; so is one whose state is
 * gone. */
static rn_result state_add(struct rn_ledgerplaces *places, const char *directory,
                           const char *lineage, struct rn_error *err)
{
    char state[RN_PATH_MAX];
    RN_CLEANUP(rn_free_cleanup) struct rn_site *site = rn_alloc(1, sizeof *site);
    const rn_result read = rn_site_files_configuration(directory, site, err);
    if (read.code == RN_E_NO_INPUT) {
        return rn_ok();
    }
    RN_TRY(read);
    RN_TRY(rn_site_path(state, directory, site->state, err));
    return rn_file_exists(state) ? directory_add(places, state, lineage, err) : rn_ok();
}

rn_result rn_ledgerplaces_find(const char *directory, const char *lineage,
                               struct rn_ledgerplaces *out, struct rn_error *err)
{
    memset(out, 0, sizeof *out);
    RN_TRY(directory_add(out, directory, lineage, err));
    RN_TRY(state_add(out, directory, lineage, err));
    RN_ENSURE(
        out->count > 0, err, RN_E_NO_INPUT,
        "%s: no privacy ledger%s%s here; one is begun by the first plan with a privacy section",
        directory, lineage != NULL ? " of lineage " : "", lineage != NULL ? lineage : "");
    return rn_ok();
}

rn_result rn_ledgerplaces_one(const char *directory, const char *lineage,
                              char out[static RN_PATH_MAX], struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct rn_ledgerplaces *places = rn_alloc(1, sizeof *places);
    RN_TRY(rn_ledgerplaces_find(directory, lineage, places, err));
    RN_ENSURE(places->count == 1, err, RN_E_USAGE,
              "%s: holds %u privacy ledgers, of lineages %s, %s%s; choose one with --lineage",
              directory, places->count, places->names[0], places->names[1],
              places->count > 2 ? " ..." : "");
    memcpy(out, places->paths[0], RN_PATH_MAX);
    return rn_ok();
}
