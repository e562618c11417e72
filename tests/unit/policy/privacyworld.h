/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's lineage for tests of the privacy ledger: an identity of a known seed, terms, a plan,
 * and records that follow each other.
 */
#ifndef RN_TESTS_PRIVACYWORLD_H
#define RN_TESTS_PRIVACYWORLD_H

#include "base/guard.h"
#include "policy/ledger/privacyledger.h"

#include <string.h>

static inline struct rn_identity *privacy_identity(uint8_t number)
{
    struct rn_secret32 seed = {{0}};
    memset(seed.bytes, number, sizeof seed.bytes);
    return rn_identity_from_seed(&seed);
}

static inline struct rn_privacy_terms privacy_terms(const struct rn_identity *identity)
{
    struct rn_privacy_terms terms = {.lineage = "ward-7",
                                     .commitment = {1, 2, 3},
                                     .unit = RN_PRIVACY_UNIT_RECORD,
                                     .group = 1,
                                     .records_max = 10000,
                                     .adjacency = RN_PRIVACY_ZERO_OUT,
                                     .epsilon = 8,
                                     .delta = 1e-5,
                                     .order = 6};
    struct rn_error error;
    memcpy(terms.identity, rn_identity_public_of(identity)->bytes, sizeof terms.identity);
    RN_BUG_IF(!rn_is_ok(rn_privacy_terms_derive(&terms, &error)));
    return terms;
}

/* A thousand steps in all cost about 0.8 at order 6, of the bound's 5.5. */
static inline struct rn_privacy_plan privacy_plan(uint8_t number)
{
    struct rn_privacy_plan plan = {.hash = {number, 0xab},
                                   .name = "autumn",
                                   .method = RN_METHOD_ROLORA,
                                   .rounds = 20,
                                   .trainings = 25,
                                   .steps = 40,
                                   .sampler = RN_PRIVACY_SAMPLER_POISSON,
                                   .threshold = (uint64_t)1 << 57, /* q = 1/128 */
                                   .cap = 256,
                                   .noise = 1.0,
                                   .clip = 0.5,
                                   .grid = 1u << 20,
                                   .denominator = 78.125,
                                   .dimension = 294912,
                                   .epsilon = 100};
    return plan;
}

/* The same rounds as single sums whose noise three honest members share. */
static inline struct rn_privacy_record privacy_shared_record(uint8_t number)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_SHARED,
                                       .as.plan = privacy_plan(number)};
    record.as.plan.steps = 1;
    record.as.plan.honest = 3;
    return record;
}

static inline struct rn_privacy_record privacy_header(const struct rn_identity *identity)
{
    return (struct rn_privacy_record){.kind = RN_PRIVACY_RECORD_HEADER,
                                      .as.header = privacy_terms(identity)};
}

static inline struct rn_privacy_record privacy_plan_record(uint8_t number)
{
    return (struct rn_privacy_record){.kind = RN_PRIVACY_RECORD_PLAN,
                                      .as.plan = privacy_plan(number)};
}

static inline struct rn_privacy_intent privacy_intent(uint8_t number, uint32_t round)
{
    return (struct rn_privacy_intent){.plan = {number, 0xab},
                                      .round = round,
                                      .steps = 40,
                                      .adapter = {5},
                                      .keys = {6},
                                      .matrices = round % 2 == 1 ? RN_PRIVACY_MATRICES_B
                                                                 : RN_PRIVACY_MATRICES_A};
}

static inline struct rn_privacy_record privacy_intent_record(uint8_t number, uint32_t round)
{
    return (struct rn_privacy_record){.kind = RN_PRIVACY_RECORD_INTENT,
                                      .as.intent = privacy_intent(number, round)};
}

static inline struct rn_privacy_record privacy_commit_record(uint64_t counter, uint8_t output,
                                                             enum rn_privacy_status status)
{
    return (struct rn_privacy_record){
        .kind = RN_PRIVACY_RECORD_COMMIT,
        .as.commit = {.counter = counter, .output = {output}, .status = status}};
}

static inline struct rn_privacy_record privacy_close_record(uint8_t number)
{
    return (struct rn_privacy_record){.kind = RN_PRIVACY_RECORD_CLOSE,
                                      .as.close = {.plan = {number, 0xab}}};
}

static inline struct rn_privacy_record privacy_release_record(const char *what, double epsilon,
                                                              double delta)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_RELEASE,
                                       .as.release = {.mechanism = epsilon > 0 || delta > 0
                                                                       ? RN_PRIVACY_STATED
                                                                       : RN_PRIVACY_CONSTANT,
                                                      .epsilon = epsilon,
                                                      .delta = delta}};
    RN_BUG_IF(!rn_text_format(record.as.release.what, sizeof record.as.release.what, "%s", what));
    return record;
}

static inline struct rn_privacy_record privacy_nonprivate_record(uint8_t number)
{
    return (struct rn_privacy_record){.kind = RN_PRIVACY_RECORD_NONPRIVATE,
                                      .as.nonprivate = {.plan = {number, 0xab}, .name = "open"}};
}

#endif
