/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/sitemodel.h"

#include "base/alloc.h"
#include "base/guard.h"

_Static_assert((int)RN_PLAN_HEAD_FEDERATED == (int)RN_HEAD_FEDERATED &&
                   (int)RN_PLAN_HEAD_LOCAL == (int)RN_HEAD_LOCAL,
               "head modes are passed through");

static rn_result open_trainer(struct rn_site_model *model, bool with_train, struct rn_error *err)
{
    const struct rn_plan *plan = &model->site->plan;
    const struct rn_site *site = &model->site->site;
    const char *labels[RN_PLAN_LABELS_MAX];
    const char *targets[RN_PLAN_TARGETS_MAX];
    for (uint32_t i = 0; i < plan->task.labels_count; i++) {
        labels[i] = plan->task.labels[i];
    }
    for (uint32_t i = 0; i < plan->lora.targets_count; i++) {
        targets[i] = plan->lora.targets[i];
    }
    const bool regression = plan->task.kind == RN_PLAN_REGRESSION;
    const struct rn_trainer_spec spec = {
        .model_dir = model->site->model,
        .max_length = plan->model.max_length,
        .task = regression ? RN_TASK_REGRESSION : RN_TASK_CLASSIFICATION,
        .labels = regression ? NULL : labels,
        .label_count = regression ? 1 : plan->task.labels_count,
        .lora = {.rank = plan->lora.rank,
                 .alpha = plan->lora.alpha,
                 .use_rslora = plan->lora.rslora,
                 .init = plan->lora.init == RN_PLAN_INIT_ORTHONORMAL ? RN_LORA_ORTHONORMAL
                                                                     : RN_LORA_KAIMING,
                 .targets = targets,
                 .target_count = plan->lora.targets_count,
                 .layers = plan->lora.layers,
                 .layer_count = plan->lora.layers_count},
        .head = (enum rn_head_mode)plan->lora.head,
        .seed = plan->seed,
        .backend = rn_site_backend_name(site->compute.backend),
        .kernels = rn_site_kernels_name(site->compute.kernels),
        .threads = site->compute.threads,
        .for_training = with_train,
        .cache_bytes = RN_CACHE_AUTO, /* in memory: rounds come back to the same records */
    };
    return rn_trainer_open(&spec, &model->trainer, err);
}

static rn_result open_data(struct rn_site_model *model, const char *file, struct rn_dataset **out,
                           struct rn_error *err)
{
    const struct rn_site_data *data = &model->site->site.data;
    char path[RN_PATH_MAX];
    RN_TRY(rn_site_path(path, model->site->directory, file, err));
    const struct rn_data_spec spec = {
        .path = path,
        .format = rn_site_format_name(data->format),
        .encoding = rn_site_encoding_name(data->encoding),
        .text_column = data->text,
        .pair_column = data->pair[0] == '\0' ? NULL : data->pair,
        .label_column = data->label,
        .no_header = !data->header,
    };
    const rn_result result = rn_trainer_data_open(model->trainer, &spec, out, err);
    /* What is an option at a desk is a key of site.yaml here. */
    return result.code == RN_E_USAGE
               ? rn_fail_context(err, (rn_result){RN_E_CONFIG}, "site.yaml, data")
               : result;
}

static rn_result read_start(struct rn_site_model *model, struct rn_error *err)
{
    struct rn_round_model *round = &model->round;
    struct rn_round_adapter *adapter = &round->adapter;
    RN_TRY(rn_trainer_layout(model->trainer, RN_MATRIX_AB, round->shared_head, &adapter->segments,
                             &adapter->segment_count, &adapter->count));
    RN_ENSURE(adapter->count > 0 && adapter->count <= RN_ROUND_ELEMENTS_MAX, err, RN_E_CONFIG,
              "the adapter has %zu elements, the limit is %zu", adapter->count,
              RN_ROUND_ELEMENTS_MAX);
    adapter->values = rn_alloc(adapter->count, sizeof(float));
    RN_TRY(rn_trainer_get(model->trainer, RN_MATRIX_AB, round->shared_head, adapter->values,
                          adapter->count, err));
    rn_round_model_hash(round);
    if (round->shared_head) {
        return rn_ok();
    }
    const struct rn_segment *segments = NULL;
    size_t count = 0;
    RN_TRY(rn_trainer_layout(model->trainer, RN_MATRIX_NONE, true, &segments, &count,
                             &round->local_head_count));
    round->local_head = rn_alloc(round->local_head_count, sizeof(float));
    return rn_trainer_get(model->trainer, RN_MATRIX_NONE, true, round->local_head,
                          round->local_head_count, err);
}

static rn_result read_layouts(struct rn_site_model *model, struct rn_error *err)
{
    const enum rn_plan_head head = model->site->plan.lora.head;
    model->round.shared_head = head != RN_PLAN_HEAD_LOCAL;
    for (unsigned matrices = 1; matrices < 4; matrices++) {
        struct rn_round_selection *selection = &model->round.selections[matrices];
        RN_TRY(rn_trainer_layout(model->trainer, (enum rn_matrix)matrices,
                                 head == RN_PLAN_HEAD_FEDERATED, &selection->segments,
                                 &selection->segment_count, &selection->count));
    }
    return read_start(model, err);
}

rn_result rn_site_model_open(const struct rn_site_files *site, bool with_train,
                             struct rn_site_model **out, struct rn_error *err)
{
    struct rn_site_model *model = rn_alloc(1, sizeof(*model));
    model->site = site;
    rn_result result = open_trainer(model, with_train, err);
    if (rn_is_ok(result)) {
        result = read_layouts(model, err);
    }
    if (!rn_is_ok(result)) {
        rn_site_model_free(model);
        return result;
    }
    *out = model;
    return rn_ok();
}

rn_result rn_site_model_open_data(struct rn_site_model *model, bool with_train,
                                  struct rn_error *err)
{
    const struct rn_site_data *data = &model->site->site.data;
    if (with_train) {
        RN_ENSURE(data->train[0] != '\0', err, RN_E_CONFIG, "%s/site.yaml: data.train is missing",
                  model->site->directory);
        RN_TRY(open_data(model, data->train, &model->train, err));
        model->train_count = rn_trainer_data_count(model->train);
        RN_TRY(rn_plan_examples_check(&model->site->plan, model->train_count, err));
    }
    RN_ENSURE(
        !with_train || data->dev[0] != '\0' || !model->site->plan.evaluation.federated, err,
        RN_E_CONFIG,
        "%s/site.yaml: data.dev is missing, and the plan measures every round on the members' "
        "development sets",
        model->site->directory);
    if (data->dev[0] != '\0') {
        RN_TRY(open_data(model, data->dev, &model->dev, err));
    }
    return rn_ok();
}

void rn_site_model_free(struct rn_site_model *model)
{
    if (model == NULL) {
        return;
    }
    rn_trainer_data_close(model->train);
    rn_trainer_data_close(model->dev);
    rn_trainer_close(model->trainer);
    rn_round_model_clear(&model->round);
    rn_free(model);
}
