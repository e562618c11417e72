/* SPDX-License-Identifier: Apache-2.0
 *
 * A trained update, or a noisy sum that is whole already, to the integers of a member's vector, and
 * the integers' sum over the members back to the next adapter. Pure, and bit-identical everywhere:
 * quantising is a function of (delta, key), the mean is one exact division rounded once
 * (crypto/quantise.h), and the step
 *
 *     next = (float)((double)before + (double)mean)
 *
 * rounds once more. Elements of matrices that are not active are never touched.
 */
#ifndef RN_SERVICES_ROUND_ROUNDVECTOR_H
#define RN_SERVICES_ROUND_ROUNDVECTOR_H

#include "crypto/secret.h"
#include "services/round/roundlayout.h"
#include "services/round/roundmeasure.h"

/* What a member brings beside its delta. */
struct rn_round_report {
    uint64_t weight;   /* example count of its data set; 1 with uniform weights */
    uint64_t examples; /* trained on in this round */
    double loss_sum;   /* over those examples; not negative */
    /* Of the adapter that the round starts from, on this member's development set. Not valid: its
     * elements are zero. */
    struct rn_round_measure start;
};

/* One member's vector, made range by range as it is asked for: beside the delta it takes the few
 * elements before the deltas. A plain value; clear it, it holds the key of the rounding. */
#define RN_ROUND_HEAD_MAX (RN_ROUND_FIELDS * RN_ROUND_FIELD_BITS)
struct rn_round_encoder {
    const struct rn_round_layout *layout; /* borrowed, as delta */
    const float *delta;
    const int64_t *whole; /* instead of delta where the round's noise is shared */
    struct rn_secret32 key;
    uint64_t weight;
    uint64_t clipped;                 /* elements of the delta that the scale cuts off */
    uint64_t head[RN_ROUND_HEAD_MAX]; /* weight and metrics: elements before delta_offset */
};

/* delta has layout->delta_count elements; both outlive the encoder. Looks at the whole delta. A new
 * session takes a new key.
 * RN_E_ROUND_NUMERIC for NaN or infinity; RN_E_REFUSED when weight is 0 or above the plan's
 * max_examples. */
RN_MUST rn_result rn_round_encoder_init(struct rn_round_encoder *out,
                                        const struct rn_round_layout *layout,
                                        const struct rn_round_report *report, const float *delta,
                                        const struct rn_secret32 *key, struct rn_error *err);
/* Of a round whose noise is shared: whole numbers with their noise, which are sent as they are.
 * RN_E_ROUND_NUMERIC where one is beyond the spec's reach, which says that it was not made so. */
RN_MUST rn_result rn_round_encoder_init_whole(struct rn_round_encoder *out,
                                              const struct rn_round_layout *layout,
                                              const int64_t *whole, struct rn_error *err);
/* Elements [first, first + count) of the layout->elements, each at most rn_round_value_max. A pure
 * function: any division into ranges, and any repetition, gives the same integers. RN_E_INTERNAL
 * beyond the end. */
RN_MUST rn_result rn_round_encoder_read(const struct rn_round_encoder *encoder, uint64_t first,
                                        uint64_t count, uint64_t *out, struct rn_error *err);
void rn_round_encoder_clear(struct rn_round_encoder *encoder);

/* What the sum says about all members together. */
struct rn_round_total {
    uint64_t weight; /* the divisor: sum of weights; number of members with uniform weights */
    bool has_metrics;
    uint64_t examples;
    double loss; /* mean per example; 0 without examples */
    uint64_t clipped;
    struct rn_round_measure start; /* valid: all members together measured (rn_round_is_measured) */
};

/* RN_E_ROUND_SUM when the sum cannot come from `members` honest vectors (range of an element, of a
 * field, of the weight). */
RN_MUST rn_result rn_round_total_read(const struct rn_round_layout *layout, const uint64_t *sum,
                                      uint32_t members, struct rn_round_total *out_total,
                                      struct rn_error *err);

/* The mean delta in the trainer's flat order of the active selection; out has delta_count. With
 * shared noise the step against the mean gradient: -(K step / n), K the sum without its offset of
 * n reach, n the members: K is exact, and two operations round. */
RN_MUST rn_result rn_round_mean(const struct rn_round_layout *layout, const uint64_t *sum,
                                const struct rn_round_total *total, float *out,
                                struct rn_error *err);

/* The whole shared adapter as one flat vector: rn_trainer_layout(RN_MATRIX_AB, head federated). */
struct rn_round_adapter {
    const struct rn_segment *segments; /* borrowed from the trainer */
    size_t segment_count;
    size_t count;
    float *values;
};

/* delta = after - before of the layout's selection, in the selection's flat order. RN_E_INTERNAL
 * when an element that is not active differs: a frozen matrix has moved. Both vectors are laid out
 * like `shape`. */
RN_MUST rn_result rn_round_delta(const struct rn_round_layout *layout,
                                 const struct rn_round_adapter *shape, const float *before,
                                 const float *after, float *out_delta, struct rn_error *err);

/* In place: adds the mean to the selection; every other element keeps its bytes.
 * RN_E_ROUND_NUMERIC when an element leaves the finite range; nothing is changed then. */
RN_MUST rn_result rn_round_step(const struct rn_round_layout *layout, const float *mean,
                                struct rn_round_adapter *adapter, struct rn_error *err);

#endif
