/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of `rondo`. A command is a function int rn_cmd_<name>(int argc, char **argv) in
 * services/cli/cmd_<name>.c; argv[0] is the command's name, the return value the exit code. To add
 * one: declare it here and add its row to the table in main_rondo.c.
 */
#ifndef RN_SERVICES_CLI_KIT_COMMANDS_H
#define RN_SERVICES_CLI_KIT_COMMANDS_H

/* An engineer's desk, no federation. */
int rn_cmd_train(int argc, char **argv);
int rn_cmd_trainer_plan(int argc, char **argv);
int rn_cmd_evaluate(int argc, char **argv);
int rn_cmd_predict(int argc, char **argv);
int rn_cmd_tokenize(int argc, char **argv);
int rn_cmd_model_hash(int argc, char **argv);
int rn_cmd_model_inspect(int argc, char **argv);
int rn_cmd_data_split(int argc, char **argv);
int rn_cmd_bench_train(int argc, char **argv);
int rn_cmd_bench_gemm(int argc, char **argv);
int rn_cmd_bench_plot(int argc, char **argv);

/* Setting up a federation. */
int rn_cmd_init(int argc, char **argv);
int rn_cmd_invite(int argc, char **argv);
int rn_cmd_join(int argc, char **argv);
int rn_cmd_plan_check(int argc, char **argv);
int rn_cmd_plan_show(int argc, char **argv);
int rn_cmd_plan_sign(int argc, char **argv);
int rn_cmd_doctor(int argc, char **argv);

/* Running it. */
int rn_cmd_run(int argc, char **argv);
int rn_cmd_status(int argc, char **argv);
int rn_cmd_curves(int argc, char **argv);
int rn_cmd_demo(int argc, char **argv);

#endif
