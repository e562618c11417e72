/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/privacy/ledgershow.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/guard.h"

struct json_t *rn_ledgershow_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

struct json_t *rn_ledgershow_hash(const uint8_t hash[static 32])
{
    char text[65];
    rn_hex_encode(text, hash, 32);
    return json_string(text);
}

/* ---- Text. */

/* Nothing is called a guarantee where nothing can be claimed. */
static void print_guarantee(const struct rn_privacy_ledger *ledger)
{
    struct rn_error said;
    if (!rn_is_ok(rn_privacy_ledger_claimable(ledger, &said))) {
        printf("  guarantee   none. %s\n", said.text);
        return;
    }
    printf("  guarantee   epsilon %.6g, delta %.3g, for the lineage's whole life, whatever plans "
           "are chosen\n",
           ledger->terms.epsilon, ledger->terms.delta);
}

static void print_terms(const struct rn_privacy_ledger *ledger)
{
    const struct rn_privacy_terms *terms = &ledger->terms;
    char key[65];
    rn_hex_encode(key, terms->identity, 32);
    printf("Lineage %s\n\n", terms->lineage);
    printf("  identity    %s\n", key);
    printf("  unit        %s (%s), up to %" PRIu64 " records", rn_privacy_unit_name(terms->unit),
           rn_privacy_adjacency_name(terms->adjacency), terms->records_max);
    if (terms->group > 1) {
        printf(", %" PRIu32 " of one person", terms->group);
    }
    printf("\n");
    print_guarantee(ledger);
}

static void print_budget(const struct rn_privacy_ledger *ledger, const struct rn_privacy_summary *s)
{
    char pld[RN_PRIVACY_NUMBER_TEXT];
    char rdp[RN_PRIVACY_NUMBER_TEXT];
    rn_privacy_number_up(s->pld, pld);
    rn_privacy_number_up(s->rdp, rdp);
    printf("  filter      order %.6g: %.4f begun", ledger->terms.order, s->filter_begun);
    if (s->filter_reserved > s->filter_begun) {
        printf(", %.4f with what the open plan may begin", s->filter_reserved);
    }
    printf(", of %.4f; %.1f %% are left\n", s->bound,
           100 * (s->bound - s->filter_reserved) / s->bound);
    printf("  readings    epsilon %s by PLD, %s by RDP, of all plans charged whole, if they had "
           "been\n              fixed in advance\n",
           pld, rdp);
    printf("  trainings   %" PRIu64 " begun, %" PRIu64 " with an update that may have been sent\n",
           s->trainings, s->outputs);
}

static void print_plans(const struct rn_privacy_ledger *ledger)
{
    if (ledger->plan_count > 0) {
        printf("\n  %-17s %-20s %13s %7s %10s %8s %9s\n", "plan", "name", "trainings", "steps",
               "rate", "noise", "epsilon");
    }
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        const struct rn_privacy_planstate *state = &ledger->plans[i];
        char hash[65];
        char epsilon[RN_PRIVACY_NUMBER_TEXT];
        rn_hex_encode(hash, state->plan.hash, 32);
        rn_privacy_number_up(state->plan.epsilon, epsilon);
        printf("  %.16s  %-20.20s %5" PRIu32 " of %4" PRIu32 " %7" PRIu32 " %10.4g %8.4g %9s%s\n",
               hash, state->plan.name, state->begun, state->plan.trainings, state->plan.steps,
               rn_privacy_plan_rate(&state->plan), state->plan.noise, epsilon,
               state->closed ? "" : "  open");
    }
}

void rn_ledgershow_text(const struct rn_privacy_ledger *ledger,
                        const struct rn_privacy_summary *summary)
{
    print_terms(ledger);
    print_budget(ledger, summary);
    print_plans(ledger);
}

/* ---- JSON. */

static json_t *plan_json(const struct rn_privacy_planstate *state)
{
    const struct rn_privacy_plan *plan = &state->plan;
    return json_pack(
        "{so ss si si si sI si so so so so so so ss sb}", "plan", rn_ledgershow_hash(plan->hash),
        "name", plan->name, "rounds", (int)plan->rounds, "trainings", (int)plan->trainings, "begun",
        (int)state->begun, "outputs", (json_int_t)state->outputs, "steps", (int)plan->steps, "rate",
        rn_ledgershow_number(rn_privacy_plan_rate(plan)), "noise",
        rn_ledgershow_number(plan->noise), "clip", rn_ledgershow_number(plan->clip), "epsilon_pld",
        rn_ledgershow_number(plan->epsilon), "filter_before",
        rn_ledgershow_number(plan->filter_before), "filter_after",
        rn_ledgershow_number(plan->filter_after), "sampler", rn_privacy_sampler_name(plan->sampler),
        "open", !state->closed);
}

static json_t *filter_json(const struct rn_privacy_ledger *ledger,
                           const struct rn_privacy_summary *s)
{
    return json_pack("{so so so so so}", "order", rn_ledgershow_number(ledger->terms.order),
                     "bound", rn_ledgershow_number(s->bound), "begun",
                     rn_ledgershow_number(s->filter_begun), "reserved",
                     rn_ledgershow_number(s->filter_reserved), "epsilon",
                     rn_ledgershow_number(s->filter_epsilon));
}

static json_t *readings_json(const struct rn_privacy_summary *s)
{
    return json_pack("{so so so so so}", "pld", rn_ledgershow_number(s->pld), "pld_lower",
                     rn_ledgershow_number(s->pld_lower), "rdp", rn_ledgershow_number(s->rdp),
                     "rdp_order", rn_ledgershow_number(s->rdp_order), "pld_begun",
                     rn_ledgershow_number(s->begun_pld));
}

struct json_t *rn_ledgershow_json(const struct rn_privacy_ledger *ledger,
                                  const struct rn_privacy_summary *s)
{
    const struct rn_privacy_terms *terms = &ledger->terms;
    json_t *plans = json_array();
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        (void)json_array_append_new(plans, plan_json(&ledger->plans[i]));
    }
    return json_pack(
        "{ss so ss si sI ss so so so so sI sI sI sI sb sb so}", "lineage", terms->lineage,
        "identity", rn_ledgershow_hash(terms->identity), "unit", rn_privacy_unit_name(terms->unit),
        "group", (int)terms->group, "records_max", (json_int_t)terms->records_max, "adjacency",
        rn_privacy_adjacency_name(terms->adjacency), "epsilon",
        rn_ledgershow_number(terms->epsilon), "delta", rn_ledgershow_number(terms->delta), "filter",
        filter_json(ledger, s), "readings", readings_json(s), "trainings", (json_int_t)s->trainings,
        "outputs", (json_int_t)s->outputs, "releases", (json_int_t)ledger->releases, "nonprivate",
        (json_int_t)ledger->nonprivate, "claimable",
        rn_is_ok(rn_privacy_ledger_claimable(ledger, NULL)), "open", ledger->open, "plans", plans);
}

/* ---- A verifier's report. */

static const char *verdict_name(enum rn_privacy_verdict verdict)
{
    static const char *const names[] = {"PASS", "FAIL", "----"};
    return names[verdict];
}

static void print_epsilons(const struct rn_privacy_ledger *ledger,
                           const struct rn_privacy_summary *summary)
{
    char filter[RN_PRIVACY_NUMBER_TEXT];
    char pld[RN_PRIVACY_NUMBER_TEXT];
    char rdp[RN_PRIVACY_NUMBER_TEXT];
    rn_privacy_number_up(summary->filter_epsilon, filter);
    rn_privacy_number_up(summary->pld, pld);
    rn_privacy_number_up(summary->rdp, rdp);
    printf("\n%" PRIu64
           " records, %u plans. Epsilon at delta %.3g: %s by the filter, %s by PLD and "
           "%s by RDP\nif the plans had been fixed in advance.\n",
           ledger->lines, ledger->plan_count, ledger->terms.delta, filter, pld, rdp);
    print_guarantee(ledger);
}

void rn_ledgershow_report_text(const struct rn_privacy_ledger *ledger,
                               const struct rn_privacy_report *report)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const struct rn_privacy_finding *finding = &report->findings[i];
        const bool failed = finding->verdict == RN_PRIVACY_FAIL;
        printf("%s  %-12s %s\n", verdict_name(finding->verdict), finding->name,
               failed ? finding->reason : finding->what);
    }
    if (report->passed) {
        print_epsilons(ledger, &report->summary);
    }
}

static json_t *finding_json(const struct rn_privacy_finding *finding)
{
    static const char *const words[] = {"pass", "fail", "stopped"};
    return json_pack("{ss ss ss}", "check", finding->name, "verdict", words[finding->verdict],
                     "reason", finding->reason);
}

struct json_t *rn_ledgershow_report_json(const struct rn_privacy_ledger *ledger,
                                         const struct rn_privacy_report *report)
{
    json_t *findings = json_array();
    for (uint32_t i = 0; i < report->count; i++) {
        (void)json_array_append_new(findings, finding_json(&report->findings[i]));
    }
    json_t *out = json_pack("{sb sb sI so}", "passed", report->passed, "claimable", report->claimed,
                            "records", (json_int_t)ledger->lines, "checks", findings);
    if (report->passed) {
        (void)json_object_set_new(out, "ledger", rn_ledgershow_json(ledger, &report->summary));
    }
    return out;
}
