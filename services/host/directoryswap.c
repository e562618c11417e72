/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/directoryswap.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/guard.h"

static rn_result name_beside(const char *path, const char *suffix, char out[static RN_PATH_MAX],
                             struct rn_error *err)
{
    RN_ENSURE(rn_text_format(out, RN_PATH_MAX, "%s%s", path, suffix), err, RN_E_USAGE,
              "%s: path too long", path);
    return rn_ok();
}

/* A directory and the files in it; of what holds directories itself nothing but files goes. */
static rn_result remove_flat(const char *path, struct rn_error *err)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        RN_ENSURE(errno == ENOENT, err, RN_E_IO, "%s: cannot be read: %s", path, strerror(errno));
        return rn_ok();
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        (void)unlinkat(dirfd(directory), entry->d_name, 0); /* "." and ".." refuse */
    }
    (void)closedir(directory);
    RN_ENSURE(rmdir(path) == 0, err, RN_E_IO, "%s: cannot be removed: %s", path, strerror(errno));
    return rn_ok();
}

rn_result rn_directory_swap_begin(const char *path, char out_fresh[static RN_PATH_MAX],
                                  struct rn_error *err)
{
    RN_TRY(name_beside(path, ".new", out_fresh, err));
    return remove_flat(out_fresh, err);
}

rn_result rn_directory_swap(const char *path, struct rn_error *err)
{
    char fresh[RN_PATH_MAX];
    char old[RN_PATH_MAX];
    RN_TRY(name_beside(path, ".new", fresh, err));
    RN_TRY(name_beside(path, ".old", old, err));
    RN_TRY(remove_flat(old, err));
    (void)rename(path, old);
    RN_ENSURE(rename(fresh, path) == 0, err, RN_E_IO, "%s: cannot be put in place: %s", path,
              strerror(errno));
    RN_TRY(rn_directory_sync_of(path, err));
    return remove_flat(old, err);
}
