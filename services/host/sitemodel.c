/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/sitemodel.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#define STATE_VERSION 1

_Static_assert(RN_ROUND_A == RN_MATRIX_A && RN_ROUND_B == RN_MATRIX_B, "one meaning of the bits");
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

static rn_result read_layouts(struct rn_site_model *model, struct rn_error *err)
{
    const enum rn_plan_head head = model->site->plan.lora.head;
    model->shared_head = head != RN_PLAN_HEAD_LOCAL;
    for (unsigned matrices = 1; matrices < 4; matrices++) {
        struct rn_site_selection *selection = &model->selections[matrices];
        RN_TRY(rn_trainer_layout(model->trainer, (enum rn_matrix)matrices,
                                 head == RN_PLAN_HEAD_FEDERATED, &selection->segments,
                                 &selection->segment_count, &selection->count));
    }
    struct rn_round_adapter *adapter = &model->adapter;
    RN_TRY(rn_trainer_layout(model->trainer, RN_MATRIX_AB, model->shared_head, &adapter->segments,
                             &adapter->segment_count, &adapter->count));
    RN_ENSURE(adapter->count > 0 && adapter->count <= RN_ROUND_ELEMENTS_MAX, err, RN_E_CONFIG,
              "the adapter has %zu elements, the limit is %zu", adapter->count,
              RN_ROUND_ELEMENTS_MAX);
    adapter->values = rn_alloc(adapter->count, sizeof(float));
    RN_TRY(rn_trainer_get(model->trainer, RN_MATRIX_AB, model->shared_head, adapter->values,
                          adapter->count, err));
    if (!model->shared_head) {
        const struct rn_segment *segments = NULL;
        size_t count = 0;
        RN_TRY(rn_trainer_layout(model->trainer, RN_MATRIX_NONE, true, &segments, &count,
                                 &model->local_head_count));
        model->local_head = rn_alloc(model->local_head_count, sizeof(float));
        RN_TRY(rn_trainer_get(model->trainer, RN_MATRIX_NONE, true, model->local_head,
                              model->local_head_count, err));
    }
    rn_round_adapter_hash(adapter->segments, adapter->segment_count, adapter->values,
                          model->adapter_hash);
    return rn_ok();
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
    rn_free(model->adapter.values);
    rn_free(model->local_head);
    rn_free(model);
}

rn_result rn_site_model_layout(const struct rn_site_model *model, uint32_t round,
                               struct rn_round_layout *out_layout, struct rn_error *err)
{
    struct rn_round_spec spec;
    RN_TRY(rn_round_spec_derive(&model->site->plan, round, &spec, err));
    const struct rn_site_selection *selection = &model->selections[spec.active];
    return rn_round_layout_init(&spec, selection->segments, selection->segment_count, out_layout,
                                err);
}

rn_result rn_site_model_context(const struct rn_site_model *model, uint32_t round, uint32_t attempt,
                                const uint8_t adapter_hash[static 32],
                                struct rn_sa_params *out_params, struct rn_sa_context *out_context,
                                struct rn_error *err)
{
    struct rn_round_layout layout;
    RN_TRY(rn_site_model_layout(model, round, &layout, err));
    struct rn_sa_context context = {
        .roster = &model->site->roster,
        .round = round,
        .attempt = attempt,
        .active = rn_round_parts(&layout.spec),
        .elements = layout.elements,
    };
    memcpy(context.plan_hash, model->site->plan.hash, RN_HASH_BYTES);
    memcpy(context.base_hash, model->site->base_hash, RN_HASH_BYTES);
    memcpy(context.adapter_hash, adapter_hash, RN_HASH_BYTES);
    rn_round_layout_hash(&layout, context.layout_hash);
    rn_round_spec_hash(&layout.spec, context.scales_hash);
    struct rn_sa_params params;
    rn_site_files_params(model->site, rn_round_value_max(&layout.spec), layout.elements, &params);
    RN_TRY(rn_sa_params_check(&params, err));
    RN_TRY(rn_sa_context_check(&params, &context, err));
    *out_params = params;
    *out_context = context;
    return rn_ok();
}

rn_result rn_site_model_apply(struct rn_site_model *model, const struct rn_round_layout *layout,
                              const uint64_t *sum, uint32_t members,
                              struct rn_round_total *out_total, struct rn_error *err)
{
    RN_TRY(rn_round_total_read(layout, sum, members, out_total, err));
    float *mean = rn_alloc(layout->delta_count, sizeof(float));
    rn_result result = rn_round_mean(layout, sum, out_total, mean, err);
    if (rn_is_ok(result)) {
        result = rn_round_step(layout, mean, &model->adapter, err);
    }
    rn_free(mean);
    RN_TRY(result);
    rn_round_adapter_hash(model->adapter.segments, model->adapter.segment_count,
                          model->adapter.values, model->adapter_hash);
    return rn_ok();
}

static void write_floats(struct rn_buffer *out, const float *values, size_t count)
{
    rn_buffer_u64(out, count);
    uint8_t *bytes = rn_buffer_grow(out, count * sizeof(float));
    struct rn_writer writer = rn_writer_to(bytes, bytes == NULL ? 0 : count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        uint32_t word = 0;
        memcpy(&word, &values[i], sizeof(word));
        rn_write_u32(&writer, word);
    }
}

/* Leaves out untouched unless the count is the expected one. */
static bool read_floats(struct rn_reader *reader, float *out, size_t count)
{
    if (rn_read_u64(reader) != count || rn_reader_left(reader) < count * sizeof(float)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t word = rn_read_u32(reader);
        memcpy(&out[i], &word, sizeof(word));
    }
    return true;
}

void rn_site_model_write(const struct rn_site_model *model, struct rn_buffer *out)
{
    rn_buffer_u32(out, STATE_VERSION);
    rn_buffer_append(out, model->adapter_hash, RN_HASH_BYTES);
    write_floats(out, model->adapter.values, model->adapter.count);
    write_floats(out, model->local_head, model->local_head_count);
}

rn_result rn_site_model_read(struct rn_site_model *model, struct rn_view bytes,
                             struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    uint8_t hash[RN_HASH_BYTES];
    uint8_t found[RN_HASH_BYTES];
    RN_ENSURE(rn_read_u32(&reader) == STATE_VERSION, err, RN_E_UNSUPPORTED,
              "journal: the adapter was written by another version of Rondo");
    rn_read_copy(&reader, hash, sizeof(hash));
    const bool read = read_floats(&reader, model->adapter.values, model->adapter.count) &&
                      read_floats(&reader, model->local_head, model->local_head_count);
    RN_ENSURE(read && rn_reader_done(&reader), err, RN_E_DATA,
              "journal: the stored adapter is of another shape than the plan's");
    rn_round_adapter_hash(model->adapter.segments, model->adapter.segment_count,
                          model->adapter.values, found);
    RN_ENSURE(memcmp(hash, found, sizeof(hash)) == 0, err, RN_E_DATA,
              "journal: the stored adapter does not have its own hash; the journal is damaged");
    memcpy(model->adapter_hash, hash, sizeof(hash));
    return rn_ok();
}

rn_result rn_site_model_upload_bytes(const struct rn_site_model *model, uint64_t *out_bytes,
                                     struct rn_error *err)
{
    uint64_t most = 0;
    const uint32_t rounds = model->site->plan.rounds < 2 ? model->site->plan.rounds : 2;
    for (uint32_t round = 1; round <= rounds; round++) {
        struct rn_sa_params params;
        struct rn_sa_context context;
        struct rn_sa_layout layout;
        RN_TRY(rn_site_model_context(model, round, 1, model->adapter_hash, &params, &context, err));
        rn_sa_layout_init(&layout, &params, &context);
        const uint64_t bytes = rn_sa_layout_vector_bytes(&layout);
        most = bytes > most ? bytes : most;
    }
    *out_bytes = most;
    return rn_ok();
}
