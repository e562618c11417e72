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
#include "crypto/setup.h"
#include "crypto/tlspolicy.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"
#include "services/cli/run/doctor.h"
#include "services/host/siteledger.h"

static const char *const state_words[] = {"ok", "warning", "skipped", "FAILED"};
static const char *const state_keys[] = {"ok", "warning", "skipped", "failed"};

static void doctor_free(struct rn_doctor **doctor)
{
    if (*doctor != NULL) {
        rn_credfiles_clear(&(*doctor)->credentials);
        rn_setup_free((*doctor)->setup);
        rn_free((*doctor)->ledger);
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

/* NULL, which leaves the key out, where there is none. */
static json_t *ledger_json(const struct rn_doctor *doctor)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    if (doctor->ledger == NULL) {
        return NULL;
    }
    rn_siteledger_json(doctor->ledger, doctor->setup->policy.upload.jobs_max, &text);
    return json_loads(rn_buffer_text(&text), 0, NULL);
}

static rn_result print_json(const struct rn_doctor *doctor, struct rn_error *err)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < doctor->count; i++) {
        const struct rn_finding *finding = &doctor->findings[i];
        (void)json_array_append_new(findings, json_pack("{s:s, s:s, s:o}", "check", finding->name,
                                                        "state", state_keys[finding->state], "text",
                                                        rn_json_sentence(finding->text)));
    }
    return rn_json_print(json_pack("{s:o, s:b, s:o*}", "findings", findings, "ready",
                                   rn_is_ok(doctor->first_failure) && doctor->ready ? 1 : 0,
                                   "ledger", ledger_json(doctor)),
                         err);
}

struct doctor_settings {
    uint64_t timeout_s;
    bool offline;
};

static rn_result doctor_run(const struct rn_command *command, struct rn_doctor *doctor,
                            struct rn_error *err)
{
    const struct doctor_settings *s = command->settings;
    (void)signal(SIGPIPE, SIG_IGN); /* a peer may close during the handshake */
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_tls_policy_apply(err));
    RN_TRY(rn_setup_begin(command->operands[0], &doctor->setup, err));
    doctor->now_wall_ms = rn_clock_wall_ms();
    doctor->timeout_ms = (uint32_t)s->timeout_s * 1000;
    rn_doctor_check_local(doctor);
    if (!s->offline) {
        rn_doctor_check_network(doctor);
    }
    return rn_ok();
}

/* The first check that failed gives the exit code. */
static rn_result verdict(const struct rn_doctor *doctor, struct rn_error *err)
{
    size_t failed = 0;
    for (size_t i = 0; i < doctor->count; i++) {
        failed += doctor->findings[i].state == RN_FINDING_FAILED ? 1 : 0;
    }
    return rn_is_ok(doctor->first_failure)
               ? rn_ok()
               : rn_fail(err, doctor->first_failure.code, "%zu of %zu checks failed", failed,
                         doctor->count);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    RN_CLEANUP(doctor_free) struct rn_doctor *doctor = rn_alloc(1, sizeof *doctor);
    RN_TRY(doctor_run(command, doctor, err));
    if (command->json) {
        RN_TRY(print_json(doctor, err));
    } else {
        print_text(doctor, command->quiet);
    }
    return verdict(doctor, err);
}

static const struct rn_option options[] = {
    {"timeout", RN_OPT_COUNT(struct doctor_settings, timeout_s, "SECONDS"), .fallback = "5",
     RN_BOUNDS_TIMEOUT, .help = "for each step towards a peer"},
    {"offline", RN_OPT_FLAG(struct doctor_settings, offline), .help = "leave the network out"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Network", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_doctor = {
    .name = "doctor",
    .summary = "check whether a site is ready: files, certificates, policy, data, network",
    .groups = groups,
    .settings_size = sizeof(struct doctor_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 75, 76, 77, 78, 79, 80, 81, 82),
    .detail =
        "Changes nothing (a file is written to the state directory and removed). At a member it "
        "says which jobs its updates went into, by base model. The exit "
        "code is that of the first check that failed; warnings do "
        "not count.",
    .examples = "  rondo doctor north\n  rondo doctor consortium --format json",
    .run = run,
};
