/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of privacy-loss distributions share.
 */
#ifndef RN_TESTS_PLDCASES_H
#define RN_TESTS_PLDCASES_H

#include "policy/accountant/privacyevent.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline struct rn_privacy_event poisson(double rate, double noise, uint64_t count)
{
    return (struct rn_privacy_event){
        .kind = RN_PRIVACY_POISSON, .rate = rate, .noise = noise, .count = count};
}

static inline struct rn_privacy_event gaussian(double noise, uint64_t count)
{
    return (struct rn_privacy_event){.kind = RN_PRIVACY_GAUSSIAN, .noise = noise, .count = count};
}

static inline struct rn_privacy_event group_of(unsigned group, double rate, double noise,
                                               uint64_t count)
{
    return (struct rn_privacy_event){
        .kind = RN_PRIVACY_GROUP, .rate = rate, .noise = noise, .count = count, .group = group};
}

static inline struct rn_privacy_event epsilon_delta(double epsilon, double delta, uint64_t count)
{
    return (struct rn_privacy_event){
        .kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = epsilon, .delta = delta, .count = count};
}

/* least <= got <= most, and never NaN. */
static inline void assert_within(double got, double least, double most)
{
    if (!(got >= least && got <= most)) {
        print_error("%.17g is not in [%.17g, %.17g]\n", got, least, most);
        fail();
    }
}

#endif
