/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of rondo-coordinator.
 */
#include "services/coordinator/coordinatorservice.h"

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    return rn_service_command(command, rn_coordinator_service_run, err);
}

static const struct rn_command_def command = {
    .name = "",
    .summary = "coordinates a federation's rounds",
    .groups = rn_service_groups,
    .settings_size = sizeof(struct rn_service_settings),
    .operands = {{"SITE", RN_OPTION_DIRECTORY, 1, 1}},
    .formats = "text",
    .exits = RN_SERVICE_EXITS,
    .detail = RN_SERVICE_DETAIL,
    .examples = "  rondo-coordinator /etc/rondo/consortium\n"
                "  rondo-coordinator /etc/rondo/consortium --health",
    .run = run,
};

static const struct rn_command_def *const commands[] = {&command, NULL};
static const struct rn_command_group groups[] = {{"Service", commands}, {NULL, NULL}};

const struct rn_program rn_program_coordinator = {"rondo-coordinator",
                                                  "coordinates a federation's rounds", groups};
