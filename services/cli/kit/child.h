/* SPDX-License-Identifier: Apache-2.0
 *
 * Child processes: the real programs, started beside this one, their output in
 * a file.
 */
#ifndef RN_SERVICES_CLI_KIT_CHILD_H
#define RN_SERVICES_CLI_KIT_CHILD_H

#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RN_CHILD_ARGUMENTS_MAX 64
#define RN_CHILD_UNKNOWN 127 /* exit code of a child that something else has waited for */

struct rn_child {
    pid_t pid;                /* 0: none, or already waited for */
    int exit_code;            /* 128 + signal when killed; valid once it is not running */
    char output[RN_PATH_MAX]; /* file with its standard output and error */
};

/* Path of a program in the folder of the running executable: they stand side by side. Whether it is
 * there is not asked. */
RN_MUST rn_result rn_program_beside(const char *program, char out[static RN_PATH_MAX],
                                    struct rn_error *err);

/* Starts PROGRAM (a name beside the running executable) with arguments (NULL-terminated, without
 * the program), standard input closed, standard output and error appended to output. */
RN_MUST rn_result rn_child_start(const char *program, const char *const *arguments,
                                 const char *output, struct rn_child *out, struct rn_error *err);

/* Still running? Collects the exit code when it is not. */
bool rn_child_running(struct rn_child *child);

/* Sends the signal, waits up to wait_ms, then SIGKILL. Nothing when it is not running. */
void rn_child_stop(struct rn_child *child, int signal_number, uint64_t wait_ms);

/* Starts, waits, and fails with the last line of the output unless the exit code is 0; a signal
 * (stopflag.h) kills it: RN_E_ROUND_ABORTED. */
RN_MUST rn_result rn_child_run(const char *program, const char *const *arguments,
                               const char *output, uint64_t limit_ms, struct rn_error *err);

/* The last line that is not empty of a child's output, for an error sentence; "" when none. */
void rn_child_last_line(const char *output, char *out, size_t capacity);

#endif
