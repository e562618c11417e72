/* SPDX-License-Identifier: Apache-2.0
 *
 * The peer of `rondo-bench train`: a Python with torch, transformers and peft, and the script that
 * it runs (services/bench/bench_peer.py, carried inside the program).
 */
#ifndef RN_SERVICES_BENCH_BENCHPEER_H
#define RN_SERVICES_BENCH_BENCHPEER_H

#include "services/bench/benchplace.h"

#define RN_BENCH_VARIANTS_MAX 8

extern const char rn_bench_peer_text[];

struct rn_bench_peer {
    const char *python; /* NULL: there is none; note says why */
    char script[RN_PATH_MAX];
    char versions[128]; /* "torch 2.15.0, transformers 5.23.0, peft 0.21.2" */
    char note[256];     /* "" when there is nothing to say */
    const char *variants[RN_BENCH_VARIANTS_MAX]; /* static names */
    size_t variant_count;
};

/* Names of variants in the order of the help: "bf16|float32|bf16-compiled|..." */
extern const char rn_bench_variant_names[];

/* Puts the script into the place and asks python ("none": no peer; borrowed) what it can import. A
 * python that is missing or lacks a package is no failure: the note says so. */
RN_MUST rn_result rn_bench_peer_find(const char *python, const struct rn_bench_place *place,
                                     struct rn_bench_peer *out, struct rn_error *err);

/* The variants to measure: names is a list of them, NULL for the usual ones (without the compiled
 * ones when quick). precision "float32" or "bf16" leaves only those. RN_E_USAGE for an unknown
 * name. */
RN_MUST rn_result rn_bench_peer_choose(struct rn_bench_peer *peer, const char *names,
                                       const char *precision, bool quick, struct rn_error *err);

#endif
