/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of `rondo-bench`.
 */
#ifndef RN_SERVICES_BENCH_BENCHPROGRAM_H
#define RN_SERVICES_BENCH_BENCHPROGRAM_H

#include "services/cli/kit/commands.h"

#define RN_CHOICES_SHAPE "large|base|small"

extern const struct rn_program rn_program_bench;

extern const struct rn_command_def rn_bench_train;
extern const struct rn_command_def rn_bench_gemm;
extern const struct rn_command_def rn_bench_secagg;
extern const struct rn_command_def rn_bench_audit;
extern const struct rn_command_def rn_bench_plot;
extern const struct rn_command_def rn_bench_child; /* hidden: what train runs for each side */
extern const struct rn_command_def rn_bench_secagg_child; /* hidden: one side of a row */

#endif
