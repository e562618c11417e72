/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders that a command writes its result to.
 */
#ifndef RN_SERVICES_CLI_DESK_OUTPUTDIR_H
#define RN_SERVICES_CLI_DESK_OUTPUTDIR_H

#include "base/result.h"

#include <stdbool.h>

/* Makes the folder where it is missing. One that holds anything is refused with RN_E_USAGE unless
 * overwrite: nothing is replaced by surprise. */
RN_MUST rn_result rn_output_directory(const char *path, bool overwrite, unsigned mode,
                                      struct rn_error *err);

#endif
