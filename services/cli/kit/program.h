/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a program from its tables: finds the command, runs it or prints its help, and turns what
 * went wrong into a line and an exit code.
 */
#ifndef RN_SERVICES_CLI_KIT_PROGRAM_H
#define RN_SERVICES_CLI_KIT_PROGRAM_H

#include "services/cli/kit/commands.h"

/* main of a program. */
int rn_program_main(const struct rn_program *program, int argc, char **argv);

/* One command; argv[0] is its name. Returns the exit code. */
int rn_command_run(const struct rn_program *program, const struct rn_command_def *def, int argc,
                   char **argv);

#endif
