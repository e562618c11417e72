/* SPDX-License-Identifier: Apache-2.0
 *
 * The time at which a step is taken, given from outside: no code of this folder reads a clock.
 */
#ifndef RN_SERVICES_FEDERATION_NOW_H
#define RN_SERVICES_FEDERATION_NOW_H

#include <stdint.h>

struct rn_now {
    uint64_t
        monotonic_ms; /* for waiting; never goes back, may jump forward (a suspended machine) */
    uint64_t wall_ms; /* since 1970, UTC; may jump either way: only ever written down */
};

/* A machine's own clock: it goes on with the time given to each step, but a step that comes later
 * than this after the one before it means that the process was suspended, and that time is held
 * against nobody. Drivers tick far more often. */
#define RN_CLOCK_STEP_MS_MAX 5000u

struct rn_own_clock {
    uint64_t ms;
    uint64_t seen_ms; /* monotonic time of the last step; 0 before the first */
};

static inline void rn_own_clock_advance(struct rn_own_clock *clock, struct rn_now now)
{
    if (clock->seen_ms == 0) {
        *clock = (struct rn_own_clock){now.monotonic_ms, now.monotonic_ms};
    } else if (now.monotonic_ms > clock->seen_ms) {
        const uint64_t passed = now.monotonic_ms - clock->seen_ms;
        clock->ms += passed < RN_CLOCK_STEP_MS_MAX ? passed : RN_CLOCK_STEP_MS_MAX;
        clock->seen_ms = now.monotonic_ms;
    }
}

#endif
