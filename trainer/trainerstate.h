/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of struct rn_trainer, for the files that are the face. The rooms behind them know parts of
 * it alone, each handed to a call: what is settled, the model, the adapter's layout, the state that
 * training changes, the lanes that work.
 */
#ifndef RN_TRAINER_TRAINERSTATE_H
#define RN_TRAINER_TRAINERSTATE_H

#include "trainer/adapter/adapter.h"
#include "trainer/pass/lanes.h"
#include "trainer/settled.h"
#include "trainer/text/tokenizer.h"

/* One cached answer of rn_trainer_layout per selection (matrices, with_head). */
struct rn_layout {
    struct rn_segment *segments;
    size_t segment_count;
    size_t element_count;
};
#define RN_LAYOUT_COUNT 8

struct rn_trainer {
    struct rn_settled settled;
    char **files; /* rn_trainer_model_files */
    size_t file_count;
    struct rn_tokenizer *tokenizer;
    struct rn_encoder encoder;
    struct rn_adapter adapter;
    struct rn_state state;
    struct rn_lanes lanes;
    struct rn_prefix_cache *cache; /* NULL until first needed */
    struct rn_layout layouts[RN_LAYOUT_COUNT];
};

/* Lanes for a job, bound to the trainer's state; training: its gradient and moments too. pieces:
 * most of one block, 0 = 1. */
RN_MUST rn_result rn_trainer_prepare(struct rn_trainer *trainer, bool training, uint32_t pieces,
                                     struct rn_error *err);

#endif
