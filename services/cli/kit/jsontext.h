/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON strings on standard output, for commands that print their JSON piece by piece.
 */
#ifndef RN_SERVICES_CLI_KIT_JSONTEXT_H
#define RN_SERVICES_CLI_KIT_JSONTEXT_H

#include "services/cli/kit/commands.h"

/* A JSON string, escaped; a text that is not UTF-8 becomes null. */
void rn_json_text_print(const char *text);

/* The file that a command wrote: its name, or {"out": name}. */
void rn_json_out_print(const struct rn_command *command, const char *path);

#endif
