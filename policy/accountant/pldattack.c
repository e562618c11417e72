/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pld.h"

#include "base/guard.h"
#include "policy/accountant/pldquery.h"

#include <math.h>

#define REFINEMENTS_MAX 6
#define RETILTS_MAX 12
#define STANDS_STILL 1e-4 /* relative */

static double by_presence(double epsilon, double delta, double fpr)
{
    return exp(epsilon) * fpr + delta;
}

static double by_absence(double epsilon, double delta, double fpr)
{
    return 1 - (1 - fpr - delta) * exp(-epsilon);
}

/* From the whole law (epsilon below its mean is not tilted) to where the bound is least. */
static rn_result settle(const struct rn_pld_steps *steps, rn_pld_bound *bound, double fpr,
                        double *least, struct rn_error *err)
{
    double around = 0;
    for (unsigned i = 0; i < RETILTS_MAX; i++) {
        RN_CLEANUP(rn_pld_composed_free) struct rn_pld_composed composed;
        RN_TRY(rn_pld_compose(&composed, steps, around, fpr, err));
        const struct rn_pld_least found = rn_pld_read_least(&composed, bound, fpr);
        const bool better = found.value < *least * (1 - STANDS_STILL);
        *least = fmin(*least, found.value);
        if (!better && i > 0) {
            break;
        }
        around = found.epsilon;
    }
    return rn_ok();
}

static rn_result lattice(const struct rn_pld_events *events, double fpr, double h, double *least,
                         struct rn_error *err)
{
    rn_pld_bound *const bound[RN_PLD_DIRECTIONS] = {by_presence, by_absence};
    for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
        RN_CLEANUP(rn_pld_steps_free) struct rn_pld_steps steps;
        RN_TRY(rn_pld_steps_init(&steps, events, (enum rn_pld_direction)d, true, h,
                                 rn_pld_tail(events, fpr), err));
        RN_TRY(settle(&steps, bound[d], fpr, least, err));
    }
    return rn_ok();
}

rn_result rn_pld_attack(const struct rn_privacy_event *events, size_t count, double fpr,
                        double *out_tpr, struct rn_error *err)
{
    RN_CLEANUP(rn_pld_events_free) struct rn_pld_events all;
    RN_TRY(rn_pld_events_init(&all, events, count, err));
    double h = rn_pld_first_lattice(&all), least = 1;
    bool any = false;
    for (unsigned i = 0; i < REFINEMENTS_MAX; i++, h /= 4) {
        const double before = least;
        const rn_result result = lattice(&all, fpr, rn_pld_lattice(&all, h), &least, err);
        if (!rn_is_ok(result)) {
            if (any || result.code != RN_E_DATA) {
                break;
            }
            h *= 32;
            continue;
        }
        if (any && least > before * (1 - STANDS_STILL)) {
            break;
        }
        any = true;
    }
    *out_tpr = fmax(fmin(least, 1), fpr);
    return rn_ok();
}
