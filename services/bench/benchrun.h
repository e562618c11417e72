/* SPDX-License-Identifier: Apache-2.0
 *
 * Measuring one setting: Rondo and its peers in turns, each in a process of its own, several times.
 */
#ifndef RN_SERVICES_BENCH_BENCHRUN_H
#define RN_SERVICES_BENCH_BENCHRUN_H

#include "services/bench/benchpeer.h"
#include "services/bench/benchplace.h"
#include "services/bench/benchsetting.h"
#include "services/cli/kit/progress.h"

#define RN_BENCH_SIDES_MAX (RN_BENCH_VARIANTS_MAX + 2)
#define RN_BENCH_RANK 4

/* What the user chose, the same for all settings. */
struct rn_bench_choice {
    const char *backend; /* of Rondo */
    uint32_t threads;    /* settled: at least 1 */
    uint32_t batch;
    uint32_t steps;    /* batches a pass; 0: the shape's */
    uint32_t repeats;  /* 0: the shape's */
    uint64_t limit_ms; /* of one measurement */
    bool cache;
    bool quiet;
};

/* One contestant. Rates are of its fastest repeat. */
struct rn_bench_side {
    char name[32];       /* "rondo", "rondo plain", "rondo frozen", "peft bf16", ... */
    const char *variant; /* of the peer; NULL: Rondo */
    bool reference;      /* Rondo's second run */
    char detail[64];     /* "cpu avx512", "torch 2.15.0" */
    char note[160];
    char failure[RN_ERROR_TEXT_MAX]; /* "" when it was measured */
    double seconds;                  /* of the first pass */
    double later_seconds;            /* of the fastest later pass; 0: none was made */
    uint64_t peak_bytes;             /* greatest resident set */
    double others; /* share of the machine that other work took during its worst repeat; NaN */
};

struct rn_bench_result {
    struct rn_bench_setting setting;
    uint32_t batch, steps, repeats;
    uint64_t tokens; /* of one pass, real ones */
    uint64_t padded; /* each batch as long as its longest text */
    double gemm;     /* G, before or after the sides: fastest product of a layer on Rondo's backend,
                        operations a second */
    double gemm_layer;
    struct rn_bench_side sides[RN_BENCH_SIDES_MAX]; /* the first is Rondo */
    size_t side_count;
    /* Formed at the end; NaN where a side is missing. */
    int best_peer; /* index of the fastest peer, or -1 */
    double ratio, ratio_later, ratio_memory;
    double overhead; /* time over the reference's, minus 1 */
};

/* Which sides a setting has, without measuring. */
void rn_bench_sides_plan(const struct rn_bench_setting *setting,
                         const struct rn_bench_choice *choice, const struct rn_bench_peer *peer,
                         struct rn_bench_result *out);

/* Steps that the planned result will take, for progress. */
uint64_t rn_bench_steps_of(const struct rn_bench_result *planned);

/* Measures a planned result. A side's failure is written down and is no failure of the call;
 * RN_E_ROUND_ABORTED when a signal came. *done counts steps. */
RN_MUST rn_result rn_bench_run(const struct rn_bench_place *place, const struct rn_bench_peer *peer,
                               const struct rn_bench_choice *choice, struct rn_progress *progress,
                               uint64_t *done, struct rn_bench_result *result,
                               struct rn_error *err);

/* Tokens and texts a second, model rate (operations a second); later: of the later passes. 0 when
 * not measured. */
double rn_bench_tokens_rate(const struct rn_bench_result *result, const struct rn_bench_side *side,
                            bool later);
double rn_bench_samples_rate(const struct rn_bench_result *result, const struct rn_bench_side *side,
                             bool later);
double rn_bench_model_rate(const struct rn_bench_result *result, const struct rn_bench_side *side,
                           bool later);

#endif
