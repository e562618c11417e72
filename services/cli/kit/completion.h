/* SPDX-License-Identifier: Apache-2.0
 *
 * Completion scripts for bash, zsh and fish, from a program's tables: commands, options, the values
 * of choices, files and folders. The scripts stand alone; none of them calls the program.
 */
#ifndef RN_SERVICES_CLI_KIT_COMPLETION_H
#define RN_SERVICES_CLI_KIT_COMPLETION_H

#include "base/bytes.h"
#include "services/cli/kit/commands.h"

void rn_completion_bash(const struct rn_program *program, struct rn_buffer *out);
void rn_completion_zsh(const struct rn_program *program, struct rn_buffer *out);
void rn_completion_fish(const struct rn_program *program, struct rn_buffer *out);

/* The command `completion SHELL` of any program. */
extern const struct rn_command_def rn_cmd_completion;

/* ---- For the three of them ---- */

/* The program's name as the name of a shell function: "rondo_bench". */
void rn_completion_identifier(const struct rn_program *program,
                              char out[static RN_COMMAND_NAME_MAX]);

/* Text in single quotes, for bash and zsh ('\'') or fish (\'). */
void rn_completion_quote(struct rn_buffer *out, const char *text, bool fish);

/* "a|b" as "a b". */
void rn_completion_choices(struct rn_buffer *out, const char *choices);

/* The command's first word, if no earlier command of the program begins with it. */
bool rn_completion_first_word(const struct rn_program *program, const struct rn_command_def *def,
                              char out[static RN_COMMAND_NAME_MAX]);

/* What completion offers for the words of a command: its last operand. NULL: nothing. */
const struct rn_operand *rn_completion_operand(const struct rn_command_def *def);

#endif
