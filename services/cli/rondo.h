/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of `rondo`, and the programs as trees. A command stands in cmd_<name>.c of its
 * user's folder; to add one, declare it here and put it into its group in rondo.c.
 */
#ifndef RN_SERVICES_CLI_RONDO_H
#define RN_SERVICES_CLI_RONDO_H

#include "services/cli/kit/commands.h"

extern const struct rn_program rn_program_rondo;

/* An engineer's desk, no federation. */
extern const struct rn_command_def rn_cmd_train;
extern const struct rn_command_def rn_cmd_trainer_plan;
extern const struct rn_command_def rn_cmd_evaluate;
extern const struct rn_command_def rn_cmd_predict;
extern const struct rn_command_def rn_cmd_tokenize;
extern const struct rn_command_def rn_cmd_model_hash;
extern const struct rn_command_def rn_cmd_model_new_mlp;
extern const struct rn_command_def rn_cmd_model_inspect;
extern const struct rn_command_def rn_cmd_data_split;
extern const struct rn_command_def rn_cmd_bench;
extern const struct rn_command_def rn_cmd_simulate;
extern const struct rn_command_def rn_cmd_simulate_study;

/* What privacy costs. */
extern const struct rn_command_def rn_cmd_privacy_epsilon;
extern const struct rn_command_def rn_cmd_privacy_delta;
extern const struct rn_command_def rn_cmd_privacy_sigma;
extern const struct rn_command_def rn_cmd_privacy_steps;

/* Setting up a federation. */
extern const struct rn_command_def rn_cmd_init;
extern const struct rn_command_def rn_cmd_invite;
extern const struct rn_command_def rn_cmd_join;
extern const struct rn_command_def rn_cmd_plan_check;
extern const struct rn_command_def rn_cmd_plan_show;
extern const struct rn_command_def rn_cmd_plan_sign;
extern const struct rn_command_def rn_cmd_plan_new;
extern const struct rn_command_def rn_cmd_plan_diff;
extern const struct rn_command_def rn_cmd_plan_propose;
extern const struct rn_command_def rn_cmd_member_list;
extern const struct rn_command_def rn_cmd_member_renew;
extern const struct rn_command_def rn_cmd_member_remove;
extern const struct rn_command_def rn_cmd_policy_check;
extern const struct rn_command_def rn_cmd_doctor;

/* What it costs those whose records it learns from. */
extern const struct rn_command_def rn_cmd_privacy_plan;

/* Running it. */
extern const struct rn_command_def rn_cmd_run;
extern const struct rn_command_def rn_cmd_status;
extern const struct rn_command_def rn_cmd_abort;
extern const struct rn_command_def rn_cmd_curves;
extern const struct rn_command_def rn_cmd_demo;

/* Privacy. */
extern const struct rn_command_def rn_cmd_ledger_show;
extern const struct rn_command_def rn_cmd_ledger_verify;
extern const struct rn_command_def rn_cmd_ledger_export;
extern const struct rn_command_def rn_cmd_privacy_claims;

#endif
