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

#endif
