/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ledger/privacyverify.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "policy/accountant/accountant.h"

static const struct {
    const char *name, *what;
} line_checks[RN_PRIVACY_CHECKS] = {
    [RN_PRIVACY_CHECK_FORM] = {"form", "every line is a record of a kind that is known"},
    [RN_PRIVACY_CHECK_CHAIN] = {"chain", "every line follows the one before it"},
    [RN_PRIVACY_CHECK_SIGNATURE] = {"signatures", "the header's identity signed every line"},
    [RN_PRIVACY_CHECK_VALUES] = {"values", "every value is in its range"},
    [RN_PRIVACY_CHECK_ORDER] = {"order",
                                "plan before intent before commit, counters without a gap, "
                                "one plan at a time and each within its numbers"},
    [RN_PRIVACY_CHECK_DERIVED] = {"sums",
                                  "filter sums, noise = multiplier * grid, and the chance of "
                                  "cut draws follow from the records"},
    [RN_PRIVACY_CHECK_BUDGET] = {"budget", "no plan or release went beyond the filter's bound"}};

static struct rn_privacy_finding *finding_add(struct rn_privacy_report *report, const char *name,
                                              const char *what, enum rn_privacy_verdict verdict)
{
    RN_BUG_IF(report->count >= RN_PRIVACY_FINDINGS_MAX);
    struct rn_privacy_finding *finding = &report->findings[report->count++];
    *finding = (struct rn_privacy_finding){.name = name, .what = what, .verdict = verdict};
    return finding;
}

/* Checks of a line run in the order of the enum; those before the one that failed passed. */
static void line_findings(const struct rn_privacy_ledger *ledger, bool passed,
                          const struct rn_error *said, struct rn_privacy_report *report)
{
    for (uint32_t i = 0; i < RN_PRIVACY_CHECKS; i++) {
        const bool failed = !passed && i == (uint32_t)ledger->failed;
        struct rn_privacy_finding *finding =
            finding_add(report, line_checks[i].name, line_checks[i].what,
                        passed ? RN_PRIVACY_PASS : (failed ? RN_PRIVACY_FAIL : RN_PRIVACY_STOPPED));
        if (failed) {
            (void)rn_text_format(finding->reason, sizeof finding->reason, "%s", said->text);
        }
    }
}

static void end_finding(bool unfinished, bool passed, struct rn_privacy_report *report)
{
    struct rn_privacy_finding *finding =
        finding_add(report, "end", "the last line is whole",
                    unfinished ? RN_PRIVACY_FAIL : (passed ? RN_PRIVACY_PASS : RN_PRIVACY_STOPPED));
    if (unfinished) {
        (void)rn_text_format(finding->reason, sizeof finding->reason,
                             "the last line is cut off: the file was shortened, or a crash ended "
                             "its writing and no service has started since");
    }
}

static void key_finding(const struct rn_privacy_ledger *ledger, const uint8_t *key,
                        struct rn_privacy_report *report)
{
    if (key == NULL) {
        return;
    }
    const bool same = ledger->lines > 0 && memcmp(key, ledger->terms.identity, 32) == 0;
    struct rn_privacy_finding *finding =
        finding_add(report, "key", "the header's identity is the key that was asked for",
                    same ? RN_PRIVACY_PASS : RN_PRIVACY_FAIL);
    if (!same) {
        (void)rn_text_format(finding->reason, sizeof finding->reason,
                             "the ledger is signed by another identity than the key that was asked "
                             "for");
    }
}

/* ---- Epsilon of each plan, and of all. */

/* The best order may be found a little to the side of it by another version. */
#define RDP_SLACK 1e-4

static rn_result plan_epsilon(const struct rn_privacy_ledger *ledger,
                              const struct rn_privacy_plan *plan, struct rn_privacy_value *out,
                              struct rn_error *err)
{
    const struct rn_privacy_event event =
        rn_privacy_plan_event(&ledger->terms, plan, (uint64_t)plan->trainings * plan->steps);
    const enum rn_accountant by =
        event.kind == RN_PRIVACY_SHARED ? RN_ACCOUNTANT_RDP : RN_ACCOUNTANT_PLD;
    return rn_account_epsilon(&event, 1, rn_privacy_terms_delta(&ledger->terms), by, out, err);
}

static rn_result plans_check(const struct rn_privacy_ledger *ledger, struct rn_error *err)
{
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        const struct rn_privacy_plan *plan = &ledger->plans[i].plan;
        struct rn_privacy_value value = {0, 0, 0};
        RN_TRY(plan_epsilon(ledger, plan, &value, err));
        if (plan->honest > 0) { /* by RDP, of which there is one value */
            RN_ENSURE(plan->epsilon >= value.upper * (1 - RDP_SLACK), err, RN_E_DATA,
                      "plan %s states an epsilon of %.6g by RDP, which is below the %.6g that "
                      "follows from it",
                      plan->name, plan->epsilon, value.upper);
            continue;
        }
        RN_ENSURE(plan->epsilon >= value.lower * (1 - 1e-9), err, RN_E_DATA,
                  "plan %s states an epsilon of %.6g by PLD, which is below the certified %.6g",
                  plan->name, plan->epsilon, value.lower);
    }
    return rn_ok();
}

static rn_result accountants_check(const struct rn_privacy_ledger *ledger,
                                   struct rn_privacy_summary *out, struct rn_error *err)
{
    RN_TRY(rn_privacy_summarise(ledger, out, err));
    RN_ENSURE(!(out->pld_lower > out->rdp), err, RN_E_DATA,
              "the accountants contradict each other: PLD at least %.6g, RDP at most %.6g",
              out->pld_lower, out->rdp);
    return plans_check(ledger, err);
}

static void accountants_finding(const struct rn_privacy_ledger *ledger, bool passed,
                                struct rn_privacy_report *report)
{
    struct rn_error said = {{0}};
    struct rn_privacy_finding *finding =
        finding_add(report, "accountants",
                    "every plan's epsilon is no less than PLD certifies, and "
                    "both accountants agree",
                    passed ? RN_PRIVACY_PASS : RN_PRIVACY_STOPPED);
    if (passed && !rn_is_ok(accountants_check(ledger, &report->summary, &said))) {
        finding->verdict = RN_PRIVACY_FAIL;
        (void)rn_text_format(finding->reason, sizeof finding->reason, "%s", said.text);
    }
}

rn_result rn_privacy_verify(const struct rn_privacy_ledger *ledger, rn_result replayed,
                            const struct rn_error *said, bool unfinished, const uint8_t *key,
                            struct rn_privacy_report *out, struct rn_error *err)
{
    const bool passed = rn_is_ok(replayed) && ledger->lines > 0;
    const struct rn_error empty = {"there is no record in it"};
    memset(out, 0, sizeof *out);
    RN_ENSURE(rn_is_ok(replayed) || replayed.code == RN_E_DATA || replayed.code == RN_E_IDENTITY,
              err, replayed.code, "%s", said->text); /* it could not be read */
    line_findings(ledger, passed, rn_is_ok(replayed) ? &empty : said, out);
    end_finding(unfinished, passed, out);
    key_finding(ledger, key, out);
    accountants_finding(ledger, passed, out);
    out->passed = true;
    for (uint32_t i = 0; i < out->count; i++) {
        out->passed = out->passed && out->findings[i].verdict == RN_PRIVACY_PASS;
    }
    out->claimed = out->passed && rn_is_ok(rn_privacy_ledger_claimable(ledger, NULL));
    return rn_ok();
}
