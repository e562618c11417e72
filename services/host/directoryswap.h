/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory of files that is there as a whole or not at all: it is made beside its place and then
 * renamed. "PATH.new" and "PATH.old" are this mechanism's own names.
 */
#ifndef RN_SERVICES_HOST_DIRECTORYSWAP_H
#define RN_SERVICES_HOST_DIRECTORYSWAP_H

#include "base/file.h"

/* Where to make the new one: what an earlier attempt left there is removed. */
RN_MUST rn_result rn_directory_swap_begin(const char *path, char out_fresh[static RN_PATH_MAX],
                                          struct rn_error *err);
/* Puts it in place of the one that is there, if any, whatever files that holds. When it returns
 * rn_ok the new one survives power loss. */
RN_MUST rn_result rn_directory_swap(const char *path, struct rn_error *err);

#endif
