/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of `rondo`, in the order of the help.
 */
#include "services/cli/rondo.h"

#include "services/cli/kit/completion.h"

static const struct rn_command_def *const desk[] = {&rn_cmd_train,
                                                    &rn_cmd_trainer_plan,
                                                    &rn_cmd_evaluate,
                                                    &rn_cmd_predict,
                                                    &rn_cmd_tokenize,
                                                    &rn_cmd_model_hash,
                                                    &rn_cmd_model_inspect,
                                                    &rn_cmd_model_new_mlp,
                                                    &rn_cmd_data_split,
                                                    &rn_cmd_simulate,
                                                    &rn_cmd_simulate_study,
                                                    &rn_cmd_bench,
                                                    NULL};

static const struct rn_command_def *const setup[] = {
    &rn_cmd_init,         &rn_cmd_invite,       &rn_cmd_join,
    &rn_cmd_plan_check,   &rn_cmd_plan_show,    &rn_cmd_plan_sign,
    &rn_cmd_plan_new,     &rn_cmd_plan_diff,    &rn_cmd_plan_propose,
    &rn_cmd_member_list,  &rn_cmd_member_renew, &rn_cmd_member_remove,
    &rn_cmd_policy_check, &rn_cmd_doctor,       NULL};

static const struct rn_command_def *const privacy[] = {
    &rn_cmd_privacy_plan,   &rn_cmd_privacy_epsilon,
    &rn_cmd_privacy_delta,  &rn_cmd_privacy_sigma,
    &rn_cmd_privacy_steps,  &rn_cmd_ledger_show,
    &rn_cmd_ledger_verify,  &rn_cmd_ledger_export,
    &rn_cmd_privacy_claims, NULL};

static const struct rn_command_def *const running[] = {
    &rn_cmd_run, &rn_cmd_status, &rn_cmd_abort, &rn_cmd_curves, &rn_cmd_demo, NULL};

static const struct rn_command_def *const shell[] = {&rn_cmd_completion, NULL};

static const struct rn_command_group groups[] = {
    {"At an engineer's desk, without a federation", desk},
    {"Setting up a federation", setup},
    {"Privacy", privacy},
    {"Running it", running},
    {"For the shell", shell},
    {NULL, NULL}};

const struct rn_program rn_program_rondo = {"rondo", "privacy-hardened federated LoRA fine-tuning",
                                            groups};
