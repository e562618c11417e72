/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/accountant.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/pld.h"
#include "policy/accountant/rdp.h"

#include <math.h>

/* ---- RDP ---- */

/* The list with the deltas of EPSILON_DELTA events taken out. They compose apart: an
 * (epsilon, delta)-mechanism is, but for probability delta, an epsilon-mechanism (Kairouz, Oh,
 * Viswanath 2015). The caller frees. */
static struct rn_privacy_event *without_deltas(const struct rn_privacy_event *events, size_t count,
                                               double *out_extra)
{
    struct rn_privacy_event *copy = rn_alloc(count, sizeof *copy);
    double log_kept = 0;

    for (size_t i = 0; i < count; i++) {
        copy[i] = events[i];
        if (copy[i].kind == RN_PRIVACY_EPSILON_DELTA) {
            log_kept += (double)copy[i].count * log1p(-copy[i].delta);
            copy[i].delta = 0;
        }
    }
    *out_extra = -expm1(log_kept);
    return copy;
}

static rn_result rdp_support(bool supported, struct rn_error *err)
{
    RN_ENSURE(supported, err, RN_E_UNSUPPORTED,
              "RDP has no bound for truncated batches: account for this list with PLD");
    return rn_ok();
}

static rn_result rdp_epsilon(const struct rn_privacy_event *events, size_t count, double delta,
                             struct rn_privacy_value *out, struct rn_error *err)
{
    struct rn_order_best best = {NAN, INFINITY, false};
    double extra;
    struct rn_privacy_event *RN_CLEANUP(rn_free_cleanup) list =
        without_deltas(events, count, &extra);
    const double left = (delta - extra) / (1 - extra);

    /* Also where nothing is left, so that a list without a bound is told as such. */
    RN_TRY(rdp_support(rn_rdp_epsilon(list, count, left > 0 ? left : delta, &best), err));
    *out = left > 0 ? (struct rn_privacy_value){best.value, NAN, best.order}
                    : (struct rn_privacy_value){INFINITY, NAN, NAN};
    return rn_ok();
}

static rn_result rdp_delta(const struct rn_privacy_event *events, size_t count, double epsilon,
                           struct rn_privacy_value *out, struct rn_error *err)
{
    struct rn_order_best best;
    double extra;
    struct rn_privacy_event *RN_CLEANUP(rn_free_cleanup) list =
        without_deltas(events, count, &extra);

    RN_TRY(rdp_support(rn_rdp_delta(list, count, epsilon, &best), err));
    *out = (struct rn_privacy_value){fmin(1, extra + (1 - extra) * best.value), NAN, best.order};
    return rn_ok();
}

/* ---- Both ---- */

static rn_result list_check(const struct rn_privacy_event *events, size_t count,
                            enum rn_accountant accountant, struct rn_error *err)
{
    RN_ENSURE(accountant == RN_ACCOUNTANT_PLD || accountant == RN_ACCOUNTANT_RDP, err, RN_E_CONFIG,
              "the accountant must be pld or rdp");
    return rn_privacy_events_check(events, count, err);
}

static struct rn_privacy_value nothing(enum rn_accountant accountant)
{
    return (struct rn_privacy_value){0, accountant == RN_ACCOUNTANT_PLD ? 0 : NAN, NAN};
}

rn_result rn_account_epsilon(const struct rn_privacy_event *events, size_t count, double delta,
                             enum rn_accountant accountant, struct rn_privacy_value *out,
                             struct rn_error *err)
{
    struct rn_pld_value value;

    RN_TRY(list_check(events, count, accountant, err));
    RN_ENSURE(delta > 0 && delta < 1, err, RN_E_CONFIG, "delta must be above 0 and below 1");
    if (count == 0) {
        *out = nothing(accountant);
        return rn_ok();
    }
    if (accountant == RN_ACCOUNTANT_RDP) {
        return rdp_epsilon(events, count, delta, out, err);
    }
    RN_TRY(rn_pld_epsilon(events, count, delta, &value, err));
    *out = (struct rn_privacy_value){value.upper, value.lower, NAN};
    return rn_ok();
}

rn_result rn_account_delta(const struct rn_privacy_event *events, size_t count, double epsilon,
                           enum rn_accountant accountant, struct rn_privacy_value *out,
                           struct rn_error *err)
{
    struct rn_pld_value value;

    RN_TRY(list_check(events, count, accountant, err));
    RN_ENSURE(epsilon >= 0 && epsilon < INFINITY, err, RN_E_CONFIG,
              "epsilon must be a number of at least 0");
    if (count == 0) {
        *out = nothing(accountant);
        return rn_ok();
    }
    if (accountant == RN_ACCOUNTANT_RDP) {
        return rdp_delta(events, count, epsilon, out, err);
    }
    RN_TRY(rn_pld_delta(events, count, epsilon, &value, err));
    *out = (struct rn_privacy_value){value.upper, value.lower, NAN};
    return rn_ok();
}

rn_result rn_account_attack(const struct rn_privacy_event *events, size_t count, double fpr,
                            double *out_tpr, struct rn_error *err)
{
    RN_TRY(rn_privacy_events_check(events, count, err));
    RN_ENSURE(fpr > 0 && fpr < 1, err, RN_E_CONFIG,
              "the false-positive rate must be above 0 and below 1");
    if (count == 0) {
        *out_tpr = fpr;
        return rn_ok();
    }
    return rn_pld_attack(events, count, fpr, out_tpr, err);
}
