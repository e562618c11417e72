/* SPDX-License-Identifier: Apache-2.0
 *
 * --help from the tables, wrapped at the terminal's width (80 columns elsewhere).
 */
#ifndef RN_SERVICES_CLI_KIT_HELP_H
#define RN_SERVICES_CLI_KIT_HELP_H

#include "base/bytes.h"
#include "services/cli/kit/commands.h"

#include <stdio.h>

#define RN_HELP_WIDTH_MIN 40
#define RN_HELP_WIDTH_MAX 120

/* Column at which the text beside an option begins. A value that reaches into it stands on a line
 * of its own. */
#define RN_HELP_COLUMN 26

/* Synopsis, options with defaults and bounds, examples, exit codes. */
void rn_help_text(const struct rn_program *program, const struct rn_command_def *def, size_t width,
                  struct rn_buffer *out);
/* All commands. */
void rn_program_help_text(const struct rn_program *program, size_t width, struct rn_buffer *out);

/* The same to standard output, and to a stream, as wide as its terminal. */
void rn_help_print(const struct rn_program *program, const struct rn_command_def *def);
void rn_program_help_print(const struct rn_program *program, FILE *out);

/* "FILE", "adamw|sgd", "" for a flag. */
const char *rn_option_value_text(const struct rn_option *option);
/* "DIR [FILE...]"; false when it does not fit. */
bool rn_operands_text(const struct rn_command_def *def, char *out, size_t capacity);
/* What is said behind the help of an option: " (required)", " [32, 1 to 4096]", "". */
void rn_option_facts_text(const struct rn_option *option, struct rn_buffer *out);

/* Appends text, wrapped at width; it begins in a line that column characters already fill, further
 * lines begin with indent spaces. Single line ends count as spaces. No line end behind it. */
void rn_text_wrap(struct rn_buffer *out, const char *text, size_t column, size_t indent,
                  size_t width);

#endif
