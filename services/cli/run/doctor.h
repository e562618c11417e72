/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks of `rondo doctor`: each leaves one finding with a name and a sentence. A check whose
 * ground is missing (no plan yet) is skipped, not failed; a finding that does not prevent a round
 * is a warning.
 */
#ifndef RN_SERVICES_CLI_RUN_DOCTOR_H
#define RN_SERVICES_CLI_RUN_DOCTOR_H

#include "policy/jobledger.h"
#include "services/cli/setup/setupfiles.h"
#include "services/host/credfiles.h"

#define RN_FINDINGS_MAX 192

enum rn_finding_state { RN_FINDING_OK, RN_FINDING_WARNING, RN_FINDING_SKIPPED, RN_FINDING_FAILED };

struct rn_finding {
    char name[RN_NAME_MAX + 24];
    enum rn_finding_state state;
    char text[RN_ERROR_TEXT_MAX];
};

struct rn_doctor {
    struct rn_setup *setup;
    bool has_site, has_plan, has_material;
    bool ready; /* plan and roster fit each other and this site */
    struct rn_credfiles credentials;
    struct rn_job_ledger *ledger; /* owned; of a member whose ledger could be looked at, or NULL */
    uint64_t now_wall_ms;
    uint32_t timeout_ms; /* of each network step */
    size_t count;
    struct rn_finding findings[RN_FINDINGS_MAX];
    rn_result first_failure; /* RN_OK when nothing failed */
};

/* Files, keys, certificates, clock, plan, policy, model, data, state directory. */
void rn_doctor_check_local(struct rn_doctor *doctor);
/* Names, ports, handshakes: everything that this site dials, and where it listens. */
void rn_doctor_check_network(struct rn_doctor *doctor);

/* Of the local ones, in a file of its own. */
void rn_doctor_check_ledger(struct rn_doctor *doctor);

/* Used by the checks. */
void rn_doctor_add(struct rn_doctor *doctor, const char *name, enum rn_finding_state state,
                   const char *format, ...) RN_PRINTF(4, 5);
/* OK with the sentence, or FAILED with err's. True when it is OK. */
bool rn_doctor_judge(struct rn_doctor *doctor, const char *name, rn_result result,
                     const struct rn_error *err, const char *format, ...) RN_PRINTF(5, 6);

#endif
