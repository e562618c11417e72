/* SPDX-License-Identifier: Apache-2.0
 *
 * What a member's jobs.ledger holds, and whether the plan may follow it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "services/cli/run/doctor.h"
#include "services/cli/setup/plansign.h"

/* "2 over 0123456789abcdef..., 1 over ...": the first base models; all of them are in JSON. */
static void ledger_words(const struct rn_job_ledger *ledger, char *out, size_t size)
{
    enum { SHOWN = 4 };
    char hash[65];
    struct rn_job_model model;
    uint32_t at = 0;
    size_t length = 0;
    out[0] = '\0';
    for (uint32_t i = 0; rn_job_ledger_next_model(ledger, &at, &model); i++) {
        rn_hex_encode(hash, model.hash, 32);
        if (i < SHOWN) {
            (void)rn_text_format(out + length, size - length, "%s%" PRIu32 " over %.16s...",
                                 i == 0 ? ": " : ", ", model.jobs, hash);
        } else if (i == SHOWN) {
            (void)rn_text_format(out + length, size - length, " and others");
        }
        length = strlen(out);
    }
}

void rn_doctor_check_ledger(struct rn_doctor *doctor)
{
    char words[RN_ERROR_TEXT_MAX / 2];
    struct rn_error err = {{0}};
    const struct rn_setup *setup = doctor->setup;
    if (!doctor->has_plan || !setup->has_policy || setup->site.role != RN_SITE_MEMBER) {
        return;
    }
    doctor->ledger = rn_alloc(1, sizeof *doctor->ledger);
    const rn_result result = rn_plan_ledger_check(setup, doctor->ledger, &err);
    ledger_words(doctor->ledger, words, sizeof words);
    (void)rn_doctor_judge(doctor, "ledger", result, &err,
                          "updates went into %" PRIu32 " job(s), at most %" PRIu32
                          " over one base model%s",
                          doctor->ledger->count, setup->policy.upload.jobs_max, words);
}
