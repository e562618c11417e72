/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ledger/privacysummary.h"

#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/accountant.h"
#include "policy/accountant/rdp.h"

/* ---- Both accountants. */

struct readings {
    struct rn_privacy_value pld, rdp;
};

static bool cannot_say(rn_result result)
{
    return result.code == RN_E_DATA || result.code == RN_E_UNSUPPORTED;
}

static rn_result readings_take(const struct rn_privacy_ledger *ledger, bool reserved,
                               struct readings *out, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup)
    struct rn_privacy_event *events = rn_alloc(RN_PRIVACY_EVENTS_MAX, sizeof *events);
    const size_t count = rn_privacy_ledger_events(ledger, reserved, events);
    const double delta = rn_privacy_terms_delta(&ledger->terms);
    *out = (struct readings){{0, 0, NAN}, {0, 0, NAN}};
    if (count == 0) {
        return rn_ok();
    }
    RN_TRY(rn_account_epsilon(events, count, delta, RN_ACCOUNTANT_RDP, &out->rdp, err));
    const rn_result pld =
        rn_account_epsilon(events, count, delta, RN_ACCOUNTANT_PLD, &out->pld, err);
    if (cannot_say(pld)) {
        out->pld = (struct rn_privacy_value){NAN, NAN, NAN};
        return rn_ok();
    }
    return pld;
}

static void counts_take(const struct rn_privacy_ledger *ledger, struct rn_privacy_summary *out)
{
    out->trainings = out->steps = out->outputs = 0;
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        const struct rn_privacy_planstate *plan = &ledger->plans[i];
        out->trainings += plan->begun;
        out->steps += (uint64_t)plan->begun * plan->plan.steps;
        out->outputs += plan->outputs;
    }
}

rn_result rn_privacy_summarise(const struct rn_privacy_ledger *ledger,
                               struct rn_privacy_summary *out, struct rn_error *err)
{
    const struct rn_privacy_terms *terms = &ledger->terms;
    struct readings whole;
    struct readings begun;
    RN_ENSURE(ledger->lines > 0, err, RN_E_DATA, "the privacy ledger holds no record");
    RN_TRY(readings_take(ledger, true, &whole, err));
    RN_TRY(readings_take(ledger, false, &begun, err));
    counts_take(ledger, out);
    out->bound = rn_privacy_terms_bound(terms);
    out->filter_begun = rn_privacy_ledger_filter(ledger, false);
    out->filter_reserved = rn_privacy_ledger_filter(ledger, true);
    out->filter_epsilon =
        out->filter_reserved > 0
            ? rn_rdp_to_epsilon(out->filter_reserved, terms->order, rn_privacy_terms_delta(terms))
            : 0;
    out->pld = whole.pld.upper;
    out->pld_lower = whole.pld.lower;
    out->rdp = whole.rdp.upper;
    out->rdp_order = whole.rdp.order;
    out->begun_pld = begun.pld.upper;
    return rn_ok();
}

/* ---- The attacker. */

double rn_privacy_attack_bound(double epsilon, double delta, double false_rate)
{
    const double first = exp(epsilon) * false_rate + delta;
    const double second = 1 - exp(-epsilon) * (1 - delta - false_rate);
    return fmin(1, fmin(first, second));
}

rn_result rn_privacy_attack(const struct rn_privacy_ledger *ledger, double false_rate,
                            double *out_true_rate, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup)
    struct rn_privacy_event *events = rn_alloc(RN_PRIVACY_EVENTS_MAX, sizeof *events);
    const double apart = rn_privacy_terms_apart(&ledger->terms);
    const size_t count = rn_privacy_ledger_events(ledger, true, events);
    *out_true_rate = false_rate;
    if (count == 0) {
        return rn_ok();
    }
    const rn_result result =
        rn_account_attack(events, count, false_rate + apart, out_true_rate, err);
    *out_true_rate = rn_is_ok(result) ? fmin(1, *out_true_rate + apart) : NAN;
    return cannot_say(result) ? rn_ok() : result;
}

/* ---- Numbers for people. */

void rn_privacy_number_up(double value, char out[static RN_PRIVACY_NUMBER_TEXT])
{
    if (!isfinite(value) || fabs(value) > 1e15) {
        (void)rn_text_format(out, RN_PRIVACY_NUMBER_TEXT, "none");
        return;
    }
    double units = floor(value * 1e4);
    if (units / 1e4 < value) { /* also where the product was rounded down */
        units += 1;
    }
    (void)rn_text_format(out, RN_PRIVACY_NUMBER_TEXT, "%.4f", units / 1e4);
}
