/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo abort: the operator, or a member by its signature, ends the job before its last round.
 */
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/rondo.h"
#include "services/host/adminsocket.h"
#include "services/host/jobhost.h"

struct abort_settings {
    const char *reason;
    uint64_t timeout_s;
};

static rn_result check_reason(const char *reason, struct rn_error *err)
{
    RN_ENSURE(rn_is_ok(rn_abort_text_check(rn_view_text(reason), NULL)), err, RN_E_USAGE,
              "--reason takes 1 to %d printable ASCII characters: every member reads it",
              RN_ABORT_TEXT_MAX);
    return rn_ok();
}

/* What follows depends on whose service answered. */
static const char *follows(const char *answer)
{
    return strstr(answer, "\"role\":\"member\"") != NULL
               ? "This site has signed the end of the job and takes part in no further step of it. "
                 "The\ncoordinator, if it is there, ends the job for all members and tells them "
                 "who "
                 "and why; this\nsite ends with it, or by itself after 10 seconds."
               : "The coordinator ends the job: it calls off the round that is running, publishes "
                 "the adapter\nof the rounds before, and tells the members. Follow it with `rondo "
                 "status --watch`.";
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct abort_settings *s = command->settings;
    char request[RN_ABORT_TEXT_MAX + 16];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer answer = {0};
    RN_TRY(check_reason(s->reason, err));
    (void)rn_text_format(request, sizeof(request), "abort\n%s", s->reason);
    RN_TRY(rn_adminsocket_ask(command->operands[0], request, (uint32_t)s->timeout_s * 1000U,
                              &answer, err));
    if (command->json) {
        printf("%s\n", rn_buffer_text(&answer));
    } else if (!command->quiet) {
        printf("%s\n", follows(rn_buffer_text(&answer)));
    }
    return rn_ok();
}

static const struct rn_option options[] = {
    {"reason", RN_OPT_TEXT(struct abort_settings, reason, "TEXT"), .required = true,
     .help = "why, in a few words; every member reads it"},
    {"timeout", RN_OPT_COUNT(struct abort_settings, timeout_s, "SECONDS"), .fallback = "5",
     RN_BOUNDS_TIMEOUT, .help = "how long to wait for the service's answer"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Job", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_abort = {
    .name = "abort",
    .summary = "end a job before its last round, for good",
    .groups = groups,
    .settings_size = sizeof(struct abort_settings),
    .operands = {{"SITE", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 75, 76, 77, 78),
    .detail =
        "SITE is the directory of a running coordinator or trainer. A round that can be called "
        "off is; one that members have certified brings its sum first. The end is recorded at "
        "once: started again, the coordinator offers no further round of this plan. At a "
        "trainer it is an emergency stop that any member may order: the site signs it with "
        "its identity, trains nothing more in this plan from then on, whatever the "
        "coordinator does, and the coordinator ends the job for all and hands the signed "
        "stop to every member. An update that has left the site before may still be in the "
        "sum of the round that is running. To stop a service and go on later, send it "
        "SIGTERM instead.",
    .examples = "  rondo abort coordinator --reason \"wrong label column at two sites\"\n"
                "  rondo abort north --reason \"consent for these records was withdrawn\"",
    .run = run,
};
