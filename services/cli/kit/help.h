/* SPDX-License-Identifier: Apache-2.0
 *
 * --help of one command, made from its option table.
 */
#ifndef RN_SERVICES_CLI_KIT_HELP_H
#define RN_SERVICES_CLI_KIT_HELP_H

#include "services/cli/kit/options.h"

/* Synopsis, options with defaults and bounds, examples, exit codes; to stdout. */
void rn_help_print(const struct rn_command_text *text);

#endif
