/* SPDX-License-Identifier: Apache-2.0
 *
 * What a mechanism released, as an accountant sees it. An event documents its mechanism fully and
 * is never redefined: a ledger of events is enough to compute epsilon again in ten years.
 *
 * Adjacency of every kind: one record is added or removed (zero-out where TRUNCATED says so). The
 * noise multiplier is the deviation of the noise divided by the sensitivity of the sum it is added
 * to. Several releases of one batch are one event (joint clip), or one whose noise is
 * (sum of 1 / noise_i^2)^(-1/2) inside the sampling, never two events.
 */
#ifndef RN_POLICY_PRIVACYEVENT_H
#define RN_POLICY_PRIVACYEVENT_H

#include <stddef.h>
#include <stdint.h>

#define RN_PRIVACY_EVENTS_MAX 4096u           /* distinct events of one list */
#define RN_PRIVACY_COUNT_MAX 1000000000000ull /* repetitions of one event */
#define RN_PRIVACY_RATE_MIN 0x1p-64 /* the least that a sampler's 64-bit threshold can say */
#define RN_PRIVACY_NOISE_MIN 1e-3
#define RN_PRIVACY_NOISE_MAX 1e6
#define RN_PRIVACY_GROUP_MAX 64u
#define RN_PRIVACY_SHARES_MAX 1024u

enum rn_privacy_kind {
    RN_PRIVACY_GAUSSIAN = 1, /* noise: every record takes part */
    RN_PRIVACY_POISSON,      /* rate, noise: each record with probability rate, for itself */
    RN_PRIVACY_TRUNCATED,  /* POISSON whose batch is cut to `cap` of the drawn by a uniform choice;
                              `records` is public, and an emptied record keeps its place */
    RN_PRIVACY_GROUP,      /* POISSON; a person has up to `group` records */
    RN_PRIVACY_ALLOCATION, /* each record in exactly `picks` of `slots` steps, uniformly: the whole
                              of `slots` steps is one event */
    RN_PRIVACY_EPSILON_DELTA, /* epsilon, delta: a mechanism of which no more is known */
    RN_PRIVACY_SHARED /* rate, share, shares, grid, dimension: POISSON whose sum is of whole numbers
                         and gets `shares` discrete Gaussians, from different hands */
};

struct rn_privacy_event {
    enum rn_privacy_kind kind;
    uint64_t count;        /* independent repetitions, 1 .. RN_PRIVACY_COUNT_MAX */
    double noise;          /* RN_PRIVACY_NOISE_MIN .. MAX */
    double rate;           /* RN_PRIVACY_RATE_MIN .. 1 */
    uint64_t records;      /* TRUNCATED */
    uint32_t cap;          /* TRUNCATED, at least 1 */
    uint32_t group;        /* GROUP, 1 .. RN_PRIVACY_GROUP_MAX */
    uint32_t picks, slots; /* ALLOCATION, 1 <= picks <= slots */
    double epsilon, delta; /* EPSILON_DELTA, 0 <= epsilon, 0 <= delta < 1 */
    /* SHARED: deviation of one share, >= 1; how many there are for certain, 1 ..
     * RN_PRIVACY_SHARES_MAX; the norm by which all records of a unit move the sum, >= 1; values of
     * the sum, >= 1. A unit of several records has rate 1: it may claim no sampling. */
    double share;
    uint32_t shares;
    double grid;
    double dimension;
};

#endif
