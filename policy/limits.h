/* SPDX-License-Identifier: Apache-2.0
 *
 * One row per number that a YAML file may hold: where it stands, its least and its largest value.
 * Parser, error sentences, FORMATS.md and the tests (at the limit and one beyond) all come from
 * these tables, so a range is written down once.
 */
#ifndef RN_POLICY_LIMITS_H
#define RN_POLICY_LIMITS_H

#include <stddef.h>

enum rn_limit_kind {
    RN_LIMIT_U32, /* whole number in a uint32_t */
    RN_LIMIT_U64, /* whole number in a uint64_t, at most 2^53 */
    RN_LIMIT_REAL /* decimal number in a double */
};

struct rn_limit {
    const char *field; /* dotted path as in YAML, such as "lora.rank" */
    enum rn_limit_kind kind;
    size_t offset; /* of the value in its struct */
    double least, most;
};

#endif
