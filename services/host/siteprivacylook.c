/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/siteprivacy.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/roster.h"
#include "services/host/privacycopy.h"

/* The lineage of a ledger's file name; false for other files. */
static bool lineage_of(const char *name, char out[static RN_PRIVACY_NAME_MAX + 1])
{
    const size_t before = sizeof RN_SITE_PRIVACY_PREFIX - 1;
    const size_t after = sizeof RN_SITE_PRIVACY_SUFFIX - 1;
    const size_t length = strlen(name);
    if (length <= before + after || strncmp(name, RN_SITE_PRIVACY_PREFIX, before) != 0 ||
        strcmp(name + length - after, RN_SITE_PRIVACY_SUFFIX) != 0 ||
        length - before - after > RN_PRIVACY_NAME_MAX) {
        return false;
    }
    memcpy(out, name + before, length - before - after);
    out[length - before - after] = '\0';
    return rn_name_valid(out);
}

static void folder_close(DIR **folder)
{
    if (*folder != NULL) {
        (void)closedir(*folder);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

rn_result rn_siteprivacy_lineages(const char *directory, struct rn_siteprivacy_lineages *out,
                                  struct rn_error *err)
{
    char name[RN_PRIVACY_NAME_MAX + 1];
    memset(out, 0, sizeof *out);
    RN_CLEANUP(folder_close) DIR *folder = opendir(directory);
    RN_ENSURE(folder != NULL, err, RN_E_NO_INPUT, "%s: %s", directory, strerror(errno));
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (!lineage_of(entry->d_name, name)) {
            continue;
        }
        RN_ENSURE(out->count < RN_SITE_PRIVACY_LINEAGES_MAX, err, RN_E_DATA,
                  "%s: more than %d privacy ledgers", directory, RN_SITE_PRIVACY_LINEAGES_MAX);
        memcpy(out->names[out->count++], name, sizeof name);
    }
    qsort(out->names, out->count, sizeof out->names[0], by_name);
    return rn_ok();
}

rn_result rn_siteprivacy_read(const char *path, struct rn_privacy_ledger **out,
                              struct rn_error *err)
{
    struct rn_privacycopy copy;
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *ledger = rn_privacy_ledger_new();
    RN_TRY(rn_privacycopy_open(path, false, &copy, err));
    rn_result result = rn_privacycopy_replay(&copy, RN_PRIVACY_SIGNATURES_EACH, ledger, err);
    if (rn_is_ok(result) && ledger->lines == 0) {
        result = rn_fail(err, RN_E_NO_INPUT, "%s: holds no record", path);
    }
    rn_privacycopy_close(&copy);
    RN_TRY(result);
    *out = RN_TAKE(ledger);
    return rn_ok();
}
