/* SPDX-License-Identifier: Apache-2.0
 *
 * One child process of a benchmark: its output line by line while it runs, a time limit, and its
 * peak memory. A signal that should end the benchmark ends the child first.
 */
#ifndef RN_SERVICES_BENCH_BENCHCHILD_H
#define RN_SERVICES_BENCH_BENCHCHILD_H

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

#define RN_BENCH_LINE_MAX 4096

/* One line of standard output without its end; borrowed for the call. */
typedef void (*rn_bench_line_fn)(void *context, const char *line);

struct rn_bench_use {
    uint64_t peak_bytes; /* greatest resident set */
    double others; /* share of the machine's processor time that went to anything else while it
                      ran, stolen time included; NaN where the system does not say */
};

/* Runs argv[0] (looked up in PATH) in a process group of its own, standard input closed, standard
 * error in the file error_path.
 * RN_E_TIMEOUT after limit_ms; RN_E_ROUND_ABORTED when a signal came; RN_E_UNAVAILABLE when it
 * cannot be started; RN_E_INCOMPLETE with its last line of standard error when it failed. */
RN_MUST rn_result rn_bench_child_run(const char *const *argv, const char *error_path,
                                     uint64_t limit_ms, rn_bench_line_fn each, void *context,
                                     struct rn_bench_use *out_use, struct rn_error *err);

#endif
