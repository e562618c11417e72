/* SPDX-License-Identifier: Apache-2.0
 *
 * Manual pages in section 1, in groff's man macros, from a program's tables.
 */
#ifndef RN_SERVICES_CLI_KIT_MANPAGE_H
#define RN_SERVICES_CLI_KIT_MANPAGE_H

#include "base/bytes.h"
#include "services/cli/kit/commands.h"

/* Page of a command; of the program where def is NULL. A program that is one command has the page
 * of that command alone. */
void rn_manual_page(const struct rn_program *program, const struct rn_command_def *def,
                    struct rn_buffer *out);

/* "rondo-plan-check", "rondo" where def is NULL. */
void rn_manual_name(const struct rn_program *program, const struct rn_command_def *def,
                    char out[static RN_COMMAND_NAME_MAX]);

/* Writes all pages of a program as NAME.1 into an existing directory. */
RN_MUST rn_result rn_manual_write(const struct rn_program *program, const char *directory,
                                  struct rn_error *err);

#endif
