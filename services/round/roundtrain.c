/* SPDX-License-Identifier: Apache-2.0 */
#include "services/round/roundtrain.h"

#include "base/alloc.h"
#include "base/guard.h"

_Static_assert((int)RN_PLAN_HEAD_FEDERATED == (int)RN_HEAD_FEDERATED &&
                   (int)RN_PLAN_HEAD_LOCAL == (int)RN_HEAD_LOCAL,
               "head modes are passed through");

/* ---- Opening */

void rn_round_trainer_spec(const struct rn_plan *plan, struct rn_round_names *names,
                           struct rn_trainer_spec *out_spec)
{
    const bool regression = plan->task.kind == RN_PLAN_REGRESSION;
    for (uint32_t i = 0; i < plan->task.labels_count; i++) {
        names->labels[i] = plan->task.labels[i];
    }
    for (uint32_t i = 0; i < plan->lora.targets_count; i++) {
        names->targets[i] = plan->lora.targets[i];
    }
    *out_spec = (struct rn_trainer_spec){
        .max_length = plan->model.max_length,
        .task = regression ? RN_TASK_REGRESSION : RN_TASK_CLASSIFICATION,
        .labels = regression ? NULL : names->labels,
        .label_count = regression ? 1 : plan->task.labels_count,
        .lora = {.rank = plan->lora.rank,
                 .alpha = plan->lora.alpha,
                 .use_rslora = plan->lora.rslora,
                 .init = plan->lora.init == RN_PLAN_INIT_ORTHONORMAL ? RN_LORA_ORTHONORMAL
                                                                     : RN_LORA_KAIMING,
                 .targets = names->targets,
                 .target_count = plan->lora.targets_count,
                 .layers = plan->lora.layers,
                 .layer_count = plan->lora.layers_count},
        .head = (enum rn_head_mode)plan->lora.head,
        .seed = plan->seed,
        .cache_bytes = RN_CACHE_AUTO, /* in memory: rounds come back to the same records */
    };
}

static rn_result read_start(struct rn_trainer *trainer, struct rn_round_model *model,
                            struct rn_error *err)
{
    struct rn_round_adapter *adapter = &model->adapter;
    RN_TRY(rn_trainer_layout(trainer, RN_MATRIX_AB, model->shared_head, &adapter->segments,
                             &adapter->segment_count, &adapter->count));
    RN_ENSURE(adapter->count > 0 && adapter->count <= RN_ROUND_ELEMENTS_MAX, err, RN_E_CONFIG,
              "the adapter has %zu elements, the limit is %zu", adapter->count,
              RN_ROUND_ELEMENTS_MAX);
    adapter->values = rn_alloc(adapter->count, sizeof(float));
    RN_TRY(rn_trainer_get(trainer, RN_MATRIX_AB, model->shared_head, adapter->values,
                          adapter->count, err));
    rn_round_model_hash(model);
    if (model->shared_head) {
        return rn_ok();
    }
    const struct rn_segment *segments = NULL;
    size_t count = 0;
    RN_TRY(rn_trainer_layout(trainer, RN_MATRIX_NONE, true, &segments, &count,
                             &model->local_head_count));
    model->local_head = rn_alloc(model->local_head_count, sizeof(float));
    return rn_trainer_get(trainer, RN_MATRIX_NONE, true, model->local_head, model->local_head_count,
                          err);
}

rn_result rn_round_model_open(struct rn_trainer *trainer, const struct rn_plan *plan,
                              struct rn_round_model *out_model, struct rn_error *err)
{
    const enum rn_plan_head head = plan->lora.head;
    *out_model = (struct rn_round_model){.shared_head = head != RN_PLAN_HEAD_LOCAL};
    for (unsigned matrices = 1; matrices < 4; matrices++) {
        struct rn_round_selection *selection = &out_model->selections[matrices];
        RN_TRY(rn_trainer_layout(trainer, (enum rn_matrix)matrices, head == RN_PLAN_HEAD_FEDERATED,
                                 &selection->segments, &selection->segment_count,
                                 &selection->count));
    }
    return read_start(trainer, out_model, err);
}

/* ---- Training */

struct rn_train_spec rn_round_train_spec(const struct rn_plan *plan, uint32_t member,
                                         uint32_t round)
{
    const struct rn_plan_training *training = &plan->training;
    const uint64_t before = (uint64_t)(round - 1) * training->steps;
    return (struct rn_train_spec){
        .active = (enum rn_matrix)rn_plan_active(plan, round),
        .optimizer = training->optimizer == RN_PLAN_SGD ? RN_OPTIMIZER_SGD : RN_OPTIMIZER_ADAMW,
        .lr_a = training->lr_a,
        .lr_b = training->lr_b,
        .lr_head = training->lr_head,
        .weight_decay = training->weight_decay,
        .schedule = training->schedule == RN_PLAN_SCHEDULE_COSINE ? RN_SCHEDULE_COSINE
                                                                  : RN_SCHEDULE_CONSTANT,
        .warmup_steps = training->warmup_steps,
        .clip = training->clip,
        .batch = training->batch,
        .steps = training->steps,
        .shuffle = true,
        .seed = plan->seed + UINT64_C(0x9e3779b97f4a7c15) * ((uint64_t)member + 1),
        .stream_offset = before,
    };
}

double rn_plan_metric_value(const struct rn_plan *plan, const struct rn_metrics *metrics)
{
    switch (plan->task.metric) {
    case RN_PLAN_METRIC_F1:
        return metrics->f1;
    case RN_PLAN_METRIC_MATTHEWS:
        return metrics->matthews;
    case RN_PLAN_METRIC_PEARSON:
        return metrics->pearson;
    case RN_PLAN_METRIC_SPEARMAN:
        return metrics->spearman;
    default:
        return metrics->accuracy;
    }
}
