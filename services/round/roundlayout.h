/* SPDX-License-Identifier: Apache-2.0
 *
 * The vector of one round, element by element: first the member's weight and metrics, each an
 * integer cut into limbs so that one range rule fits every element, then the deltas of the active
 * matrices (and of a federated head) in the trainer's order.
 *
 *     [ weight ]? [ examples | loss | clipped ]? [ metric | development loss ]? [ deltas, flat ]
 *
 * A limb holds q - 1 bits, the lowest first; a field holds RN_ROUND_FIELD_BITS bits. Limbs are
 * summed like everything else: the sum of a field is the sum of limb sums times their places.
 */
#ifndef RN_SERVICES_ROUND_ROUNDLAYOUT_H
#define RN_SERVICES_ROUND_ROUNDLAYOUT_H

#include "services/round/roundspec.h"
#include "trainer/trainer.h"

#include <stddef.h>

#define RN_ROUND_FIELD_BITS 44u /* a member's field is below 2^44; 1024 members' sum below 2^54 */
#define RN_ROUND_SEGMENTS_MAX 8192u
/* Deltas in one vector; more would not fit the journal's record of an adapter. */
#define RN_ROUND_ELEMENTS_MAX ((size_t)1 << 27)

enum rn_round_field {
    RN_ROUND_WEIGHT = 0, /* only with example-count weights */
    RN_ROUND_EXAMPLES,   /* examples trained on in this round (with repetition) */
    RN_ROUND_LOSS,       /* sum of the examples' losses, units of 2^-16 */
    RN_ROUND_CLIPPED,    /* elements of the delta that the scale cut off */
    RN_ROUND_METRIC,     /* of the round's start on development data, plus 1; units of 2^-10 */
    RN_ROUND_DEV_LOSS,   /* mean per example there, units of 2^-16 */
    RN_ROUND_FIELDS,
};

struct rn_round_layout {
    struct rn_round_spec spec;
    const struct rn_segment *segments; /* borrowed from the trainer */
    size_t segment_count;
    size_t delta_count;                    /* elements of the segments */
    uint32_t limb_bits;                    /* q - 1 */
    uint32_t limbs;                        /* per field */
    int32_t field_offset[RN_ROUND_FIELDS]; /* first limb; -1 where the field is absent */
    size_t delta_offset;                   /* first delta = number of limbs before it */
    size_t elements;                       /* of the whole vector */
};

/* segments: rn_trainer_layout of the round's active matrices, with_head as in spec. RN_E_CONFIG
 * when there is nothing to sum or a limit is exceeded. No segments: a round that only measures. */
RN_MUST rn_result rn_round_layout_init(const struct rn_round_spec *spec,
                                       const struct rn_segment *segments, size_t segment_count,
                                       struct rn_round_layout *out_layout, struct rn_error *err);

/* Hash of the vector's meaning: fields, limbs, and each segment's name, kind, rows and columns. */
void rn_round_layout_hash(const struct rn_round_layout *layout, uint8_t out_hash[static 32]);

/* Name, kind, rows, cols and float32 bytes (little-endian) of every segment: the adapter hash. Two
 * sites whose hashes agree hold the same bits. */
void rn_round_adapter_hash(const struct rn_segment *segments, size_t segment_count,
                           const float *values, uint8_t out_hash[static 32]);

#endif
