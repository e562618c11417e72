/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model directory says of its classes: their number by the head's shape, their names and
 * order by id2label of config.json. Part of trainer/trainer.h.
 */
#ifndef RN_TRAINER_MODELCLASSES_H
#define RN_TRAINER_MODELCLASSES_H

#include "base/result.h"
#include "trainer/data/labellist.h"

/* Free with rn_model_classes_clear. */
struct rn_model_classes {
    enum rn_task task; /* by problem_type, or by a single label */
    bool multi_label;  /* several classes a record */
    bool has_head;     /* the checkpoint holds a classifier */
    uint32_t count;    /* the head's outputs; without a head those of id2label or num_labels;
                          0: not stated */
    struct rn_label_list names; /* id2label by the numbers that are its keys; empty where nobody
                                   named the classes, or other than count of them */
};
RN_MUST rn_result rn_model_classes_read(const char *model_dir, struct rn_model_classes *out,
                                        struct rn_error *err);
void rn_model_classes_clear(struct rn_model_classes *classes);

struct rn_safetensors;
/* The outputs of the head among the tensors; 0 when there is none. prefix: what stands before
 * "classifier" in their names ("" in a model, "base_model.model." in an adapter). */
uint32_t rn_head_outputs(const struct rn_safetensors *tensors, const char *prefix);

#endif
