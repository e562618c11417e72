/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of `rondo-bench train`: a shape of encoder, lengths of texts, and which layers are
 * adapted. A name is SHAPE-SETTING, such as large-all-128.
 */
#ifndef RN_SERVICES_BENCH_BENCHSETTING_H
#define RN_SERVICES_BENCH_BENCHSETTING_H

#include "base/result.h"
#include "trainer/trainer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_BENCH_NAME_MAX 48
#define RN_BENCH_SETTINGS_MAX 64

struct rn_bench_shape {
    const char *name;
    uint32_t layers, hidden, heads, intermediate;
    uint32_t steps, repeats; /* measured steps a pass and repeats, unless the user says otherwise */
    const char *gemm_seconds; /* for each product when G is measured */
};

/* NULL when there is none of this name. "large" is RoBERTa-large, "base" RoBERTa-base, "small" for
 * trying out. */
const struct rn_bench_shape *rn_bench_shape_find(const char *name);

/* What a second run of our own is there for. */
enum rn_bench_reference { RN_BENCH_NO_REFERENCE, RN_BENCH_PLAIN, RN_BENCH_FROZEN };

struct rn_bench_setting {
    char name[RN_BENCH_NAME_MAX];
    const struct rn_bench_shape *shape;
    const char *summary;
    bool standard; /* measured when no setting is named */
    bool glue;     /* lengths as in GLUE; otherwise all RN_RANDOM_LENGTH_MOST */
    uint32_t first_layer;
    bool later_epochs; /* also the epochs after the first, whose frozen layers are cached */
    enum rn_matrix active;
    bool head; /* trains too */
    bool dp;
    enum rn_bench_reference reference; /* PLAIN: without dp; FROZEN: one adapter of rank 1 at the
                                          bottom, a pass through frozen layers otherwise */
    bool peer;                         /* has a counterpart in peft */
};

/* All settings of a shape; at most RN_BENCH_SETTINGS_MAX. Returns how many. */
size_t rn_bench_settings_of(const struct rn_bench_shape *shape,
                            struct rn_bench_setting out[RN_BENCH_SETTINGS_MAX]);

/* Settings by a list of names "large-all-128,large-all-glue"; a name without its shape is the given
 * shape's; NULL: the shape's standard ones. RN_E_USAGE for an unknown name, with the nearest. */
RN_MUST rn_result rn_bench_settings_parse(const char *names, const struct rn_bench_shape *shape,
                                          struct rn_bench_setting out[RN_BENCH_SETTINGS_MAX],
                                          size_t *out_count, struct rn_error *err);

/* The model of a shape, from the benchmark's seed. */
struct rn_random_model rn_bench_model(const struct rn_bench_shape *shape);

/* Operations of the products that one token needs, forward through all layers and backward through
 * the adapted ones: 2 P (L + m) / L. What any trainer must compute, no credit for less. */
double rn_bench_token_operations(const struct rn_bench_setting *setting);

#endif
