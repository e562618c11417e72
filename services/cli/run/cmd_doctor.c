/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo doctor: is this site ready for a round?
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/secret.h"
#include "crypto/setup.h"
#include "crypto/tlspolicy.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"
#include "services/cli/run/doctor.h"

static const char *const state_words[] = {"ok", "warning", "skipped", "FAILED"};
static const char *const state_keys[] = {"ok", "warning", "skipped", "failed"};

static void doctor_free(struct rn_doctor **doctor)
{
    if (*doctor != NULL) {
        rn_credfiles_clear(&(*doctor)->credentials);
        rn_setup_free((*doctor)->setup);
        rn_free(*doctor);
    }
}

static void print_text(const struct rn_doctor *doctor, bool quiet)
{
    for (size_t i = 0; i < doctor->count; i++) {
        const struct rn_finding *finding = &doctor->findings[i];
        if (!quiet || finding->state == RN_FINDING_FAILED) {
            printf("%-8s %-22s %s\n", state_words[finding->state], finding->name, finding->text);
        }
    }
}

static void print_json(const struct rn_doctor *doctor)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < doctor->count; i++) {
        const struct rn_finding *finding = &doctor->findings[i];
        (void)json_array_append_new(findings,
                                    json_pack("{s:s, s:s, s:s}", "check", finding->name, "state",
                                              state_keys[finding->state], "text", finding->text));
    }
    json_t *root = json_pack("{s:o, s:b}", "findings", findings, "ready",
                             rn_is_ok(doctor->first_failure) && doctor->ready ? 1 : 0);
    (void)json_dumpf(root, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(root);
}

static rn_result doctor_run(const struct rn_command *command, uint64_t timeout_s, bool offline,
                            struct rn_doctor *doctor, struct rn_error *err)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a peer may close during the handshake */
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_tls_policy_apply(err));
    RN_TRY(rn_setup_begin(command->operands[0], &doctor->setup, err));
    doctor->now_wall_ms = rn_clock_wall_ms();
    doctor->timeout_ms = (uint32_t)timeout_s * 1000;
    rn_doctor_check_local(doctor);
    if (!offline) {
        rn_doctor_check_network(doctor);
    }
    return rn_ok();
}

int rn_cmd_doctor(int argc, char **argv)
{
    uint64_t timeout_s = 5;
    bool offline = false;
    const struct rn_option options[] = {
        {"timeout", "S", RN_OPTION_COUNT, &timeout_s, .least = 1, .most = 600,
         .help = "seconds for each step towards a peer"},
        {"offline", NULL, RN_OPTION_FLAG, &offline, .help = "leave the network out"},
    };
    const struct rn_command_text text = {
        .name = "doctor",
        .summary = "Check whether a site is ready: files, certificates, policy, data, network.",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .operands = "DIR",
        .operands_least = 1,
        .operands_most = 1,
        .detail = "Changes nothing. The exit code is that of the first check that failed; "
                  "warnings do not count.",
        .examples = "  rondo doctor north\n  rondo doctor consortium --format json"};
    struct rn_command command;
    struct rn_error err = {{0}};
    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    RN_CLEANUP(doctor_free) struct rn_doctor *doctor = rn_alloc(1, sizeof *doctor);
    rn_result result = doctor_run(&command, timeout_s, offline, doctor, &err);
    if (!rn_is_ok(result)) {
        return rn_command_end(&command, result, &err);
    }
    if (command.json) {
        print_json(doctor);
    } else {
        print_text(doctor, command.quiet);
    }
    return rn_exit_code(doctor->first_failure);
}
