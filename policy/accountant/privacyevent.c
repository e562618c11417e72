/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/privacyevent.h"

#include "base/guard.h"
#include "policy/accountant/accountant.h"

#include <math.h>

/* Which fields a kind has. */
#define HAS_NOISE 1u
#define HAS_RATE 2u
#define HAS_CAP 4u
#define HAS_GROUP 8u
#define HAS_SLOTS 16u
#define HAS_EPSILON 32u
#define HAS_SHARES 64u

static unsigned fields_of(enum rn_privacy_kind kind)
{
    switch (kind) {
    case RN_PRIVACY_GAUSSIAN:
        return HAS_NOISE;
    case RN_PRIVACY_POISSON:
        return HAS_NOISE | HAS_RATE;
    case RN_PRIVACY_TRUNCATED:
        return HAS_NOISE | HAS_RATE | HAS_CAP;
    case RN_PRIVACY_GROUP:
        return HAS_NOISE | HAS_RATE | HAS_GROUP;
    case RN_PRIVACY_ALLOCATION:
        return HAS_NOISE | HAS_SLOTS;
    case RN_PRIVACY_EPSILON_DELTA:
        return HAS_EPSILON;
    case RN_PRIVACY_SHARED:
        return HAS_RATE | HAS_SHARES;
    }
    return 0;
}

/* Written so that NaN fails. */
static rn_result event_check(const struct rn_privacy_event *event, struct rn_error *err)
{
    const unsigned fields = fields_of(event->kind);

    RN_ENSURE(fields != 0, err, RN_E_CONFIG, "its kind %d is unknown", (int)event->kind);
    RN_ENSURE(event->count >= 1 && event->count <= RN_PRIVACY_COUNT_MAX, err, RN_E_CONFIG,
              "its count must be 1 to %llu", RN_PRIVACY_COUNT_MAX);
    RN_ENSURE((fields & HAS_NOISE) == 0 ||
                  (event->noise >= RN_PRIVACY_NOISE_MIN && event->noise <= RN_PRIVACY_NOISE_MAX),
              err, RN_E_CONFIG, "its noise multiplier must be %g to %g", RN_PRIVACY_NOISE_MIN,
              RN_PRIVACY_NOISE_MAX);
    RN_ENSURE((fields & HAS_RATE) == 0 || (event->rate >= RN_PRIVACY_RATE_MIN && event->rate <= 1),
              err, RN_E_CONFIG, "its sampling rate must be 2^-64 to 1");
    RN_ENSURE((fields & HAS_CAP) == 0 || (event->cap >= 1 && event->records >= 1), err, RN_E_CONFIG,
              "its batch cap and number of records must be at least 1");
    RN_ENSURE((fields & HAS_GROUP) == 0 ||
                  (event->group >= 1 && event->group <= RN_PRIVACY_GROUP_MAX),
              err, RN_E_CONFIG, "its records of one person must be 1 to %u", RN_PRIVACY_GROUP_MAX);
    RN_ENSURE((fields & HAS_SLOTS) == 0 || (event->picks >= 1 && event->picks <= event->slots), err,
              RN_E_CONFIG, "its picks must be 1 to its slots");
    RN_ENSURE((fields & HAS_SLOTS) == 0 || event->count <= RN_PRIVACY_COUNT_MAX / event->picks, err,
              RN_E_CONFIG, "its count times its picks must be at most %llu", RN_PRIVACY_COUNT_MAX);
    RN_ENSURE((fields & HAS_EPSILON) == 0 || (event->epsilon >= 0 && event->epsilon < INFINITY &&
                                              event->delta >= 0 && event->delta < 1),
              err, RN_E_CONFIG, "its epsilon must be at least 0 and its delta 0 to below 1");
    RN_ENSURE((fields & HAS_SHARES) == 0 ||
                  (event->share >= 1 && event->share < 0x1p53 && event->shares >= 1 &&
                   event->shares <= RN_PRIVACY_SHARES_MAX && event->grid >= 1 &&
                   event->grid < 0x1p53 && event->dimension >= 1 && event->dimension < 0x1p53),
              err, RN_E_CONFIG,
              "its share, grid and dimension must be at least 1, and its shares 1 to %u",
              RN_PRIVACY_SHARES_MAX);
    return rn_ok();
}

rn_result rn_privacy_events_check(const struct rn_privacy_event *events, size_t count,
                                  struct rn_error *err)
{
    RN_ENSURE(count <= RN_PRIVACY_EVENTS_MAX, err, RN_E_CONFIG,
              "%zu privacy events: at most %u can be composed", count, RN_PRIVACY_EVENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const rn_result result = event_check(&events[i], err);
        if (!rn_is_ok(result)) {
            return rn_fail_context(err, result, "privacy event %zu", i + 1);
        }
    }
    return rn_ok();
}
