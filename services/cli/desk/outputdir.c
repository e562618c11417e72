/* SPDX-License-Identifier: Apache-2.0
 *
 * Empty or not.
 */
#include "services/cli/desk/outputdir.h"

#include "base/file.h"
#include "base/guard.h"

#include <dirent.h>
#include <string.h>

static bool holds_anything(const char *path)
{
    DIR *directory = opendir(path);
    bool any = false;
    if (directory == NULL) {
        return false; /* missing, or what making it will tell */
    }
    for (const struct dirent *entry = readdir(directory); entry != NULL && !any;
         entry = readdir(directory)) {
        any = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    (void)closedir(directory);
    return any;
}

rn_result rn_output_directory(const char *path, bool overwrite, unsigned mode, struct rn_error *err)
{
    RN_ENSURE(overwrite || !holds_anything(path), err, RN_E_USAGE,
              "%s holds files already; name a new folder, or say --overwrite", path);
    return rn_directory_make(path, mode, err);
}
