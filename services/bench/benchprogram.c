/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of `rondo-bench`.
 */
#include "services/bench/benchprogram.h"

#include "services/cli/kit/completion.h"

static const struct rn_command_def *const measuring[] = {
    &rn_bench_train, &rn_bench_gemm,  &rn_bench_secagg,       &rn_bench_audit,
    &rn_bench_plot,  &rn_bench_child, &rn_bench_secagg_child, NULL};

static const struct rn_command_def *const shell[] = {&rn_cmd_completion, NULL};

static const struct rn_command_group groups[] = {
    {"Measuring", measuring}, {"For the shell", shell}, {NULL, NULL}};

const struct rn_program rn_program_bench = {
    "rondo-bench", "how fast Rondo trains and aggregates on this machine, beside others", groups};
