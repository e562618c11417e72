/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing of a trainer; its facts; its data.
 */
#include "trainer/trainerstate.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/memoryavailable.h"
#include "trainer/ground/safetensors.h"
#include "trainer/model/family.h"

static rn_result open_tokenizer(struct rn_trainer *trainer, struct rn_error *err)
{
    const uint32_t embeddings = trainer->settled.model.vocabulary;
    if (trainer->settled.model.family->rows) {
        return rn_ok();
    }
    RN_TRY(rn_tokenizer_open(trainer->settled.model_dir, &trainer->tokenizer, err));
    const uint32_t ids = rn_tokenizer_vocabulary(trainer->tokenizer);
    RN_ENSURE(ids <= embeddings, err, RN_E_DATA,
              "%s/tokenizer.json: ids up to %u, but the model has %u embeddings",
              trainer->settled.model_dir, ids - 1, embeddings);
    return rn_ok();
}

static rn_result refuse_memory(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                               const struct rn_safetensors *tensors, struct rn_error *err)
{
    struct rn_memory_plan plan;
    const struct rn_memory_request request = {
        .training = spec->for_training, .dp = spec->for_dp, .clients = spec->for_clients};
    RN_TRY(rn_memory_plan_of(&trainer->settled, tensors, &request, spec->memory_limit, &plan, err));
    return rn_memory_plan_check(&plan, err);
}

/* Everything that a settled trainer still lacks. */
static rn_result fill(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                      struct rn_error *err)
{
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    struct rn_settled *settled = &trainer->settled;
    struct rn_lanes *lanes = &trainer->lanes;
    const struct rn_pass_options options = rn_settled_options(settled, false);
    RN_TRY(open_tokenizer(trainer, err));
    RN_TRY(rn_model_files_list(spec->model_dir, &trainer->files, &trainer->file_count, err));
    RN_TRY(rn_safetensors_open_model(spec->model_dir, &tensors, err));
    RN_TRY(refuse_memory(trainer, spec, tensors, err));
    RN_TRY(rn_lanes_init(lanes, settled->kernels, settled->device, settled->threads, &options,
                         settled->task, err));
    RN_CLEANUP(rn_free_cleanup) bool(*back)[RN_MODULES_MAX] = NULL;
    struct rn_adapter_start start = {
        .init = spec->lora.init, .seed = spec->seed, .new_head = settled->new_head};
    RN_TRY(rn_settled_back(settled, tensors, &back, &start.back, err));
    RN_TRY(rn_encoder_init(&trainer->encoder, settled->kernels, settled->device, lanes->lane,
                           &settled->model, tensors, settled->cache_keep,
                           (const bool(*)[RN_MODULES_MAX])back, err));
    RN_TRY(rn_adapter_init(&trainer->adapter, &trainer->encoder, &settled->config,
                           settled->label_count, &start, tensors, &trainer->state, err));
    lanes->adapter = &trainer->adapter;
    if (spec->adapter_dir == NULL) {
        return rn_ok();
    }
    return rn_adapter_load(&trainer->adapter, &trainer->state, lanes->lane, spec->adapter_dir, err);
}

rn_result rn_trainer_open(const struct rn_trainer_spec *spec, struct rn_trainer **out,
                          struct rn_error *err)
{
    struct rn_trainer *trainer = rn_alloc(1, sizeof(*trainer));
    rn_result result = rn_settle(spec, &trainer->settled, err);
    if (rn_is_ok(result)) {
        result = fill(trainer, spec, err);
    }
    if (!rn_is_ok(result)) {
        rn_trainer_close(trainer);
        return result;
    }
    *out = trainer;
    return rn_ok();
}

static uint64_t cache_budget(const struct rn_trainer *trainer)
{
    const struct rn_settled *settled = &trainer->settled;
    if (settled->cache_bytes != RN_CACHE_AUTO) {
        return settled->cache_bytes;
    }
    const struct rn_pass_options options = rn_settled_options(settled, true);
    const uint64_t step = settled->threads * (uint64_t)rn_pass_bytes(&trainer->adapter, &options);
    const uint64_t left = rn_memory_available();
    return rn_settled_cache_auto(settled, left > step ? left - step : 0);
}

/* Opens the cache where one is wanted and there is something below the lowest adapted layer. */
static rn_result open_cache(struct rn_trainer *trainer, struct rn_error *err)
{
    const struct rn_encoder *encoder = &trainer->encoder;
    const struct rn_settled *settled = &trainer->settled;
    const struct rn_kernels *kernels = settled->kernels;
    const uint32_t lowest = trainer->adapter.lowest;
    if (trainer->cache != NULL || !rn_settled_caches(settled, lowest)) {
        return rn_ok();
    }
    struct rn_prefix_spec spec = {
        .key = {.weights = encoder->below != NULL ? encoder->below[lowest] : 0,
                .layer = lowest,
                .row_bytes =
                    (uint32_t)(encoder->config.hidden * rn_element_size(kernels->residual)),
                .max_length = settled->max_length,
                .kernels_version = kernels->version,
                .family = encoder->config.family->number,
                .heads = encoder->config.heads,
                .pad_id = encoder->config.pad_id,
                .intermediate = encoder->config.intermediate,
                .layer_norm_epsilon = encoder->config.layer_norm_epsilon,
                .program = RN_VERSION},
        .bytes = cache_budget(trainer),
        .dir = settled->cache_dir,
        .keep = settled->cache_keep};
    const bool fits = rn_text_format(spec.key.kernels, sizeof(spec.key.kernels), "%.20s %.40s",
                                     kernels->name, kernels->device_describe(settled->device));
    RN_BUG_IF(!fits);
    if (rn_settled_on_host(settled)) {
        rn_kernels_cpu_libraries(spec.key.libraries);
    }
    return rn_prefixcache_open(&spec, &trainer->cache, err);
}

rn_result rn_trainer_prepare(struct rn_trainer *trainer, bool training, uint32_t pieces,
                             struct rn_error *err)
{
    struct rn_state *state = &trainer->state;
    RN_ENSURE(!training || trainer->settled.for_training, err, RN_E_USAGE,
              "training: the trainer was opened for evaluation alone (for_training)");
    if (!rn_lanes_ready(&trainer->lanes, training, pieces)) {
        RN_TRY(open_cache(trainer, err));
        RN_TRY(rn_lanes_prepare(&trainer->lanes, training, pieces, trainer->cache, err));
    }
    rn_lanes_bind(&trainer->lanes, state->values, state->transposed);
    return training ? rn_state_take_training(state, &trainer->adapter, err) : rn_ok();
}

void rn_trainer_close(struct rn_trainer *trainer)
{
    if (trainer == NULL) {
        return;
    }
    rn_lanes_release(&trainer->lanes);
    rn_state_clear(&trainer->state, &trainer->adapter);
    rn_adapter_clear(&trainer->adapter);
    rn_encoder_clear(&trainer->encoder);
    rn_lanes_clear(&trainer->lanes);
    rn_prefixcache_close(trainer->cache);
    rn_tokenizer_free(trainer->tokenizer);
    for (size_t i = 0; i < trainer->file_count; i++) {
        rn_free(trainer->files[i]);
    }
    rn_free(trainer->files);
    for (size_t i = 0; i < RN_LAYOUT_COUNT; i++) {
        rn_free(trainer->layouts[i].segments);
    }
    rn_settled_clear(&trainer->settled);
    rn_free(trainer);
}

void rn_trainer_facts(const struct rn_trainer *trainer, struct rn_trainer_facts *out)
{
    const struct rn_model_config *c = &trainer->encoder.config;
    const struct rn_settled *settled = &trainer->settled;
    const struct rn_pass_options options = rn_settled_options(settled, true);
    *out = (struct rn_trainer_facts){
        .family = c->family->model_type,
        .backend = settled->kernels->name,
        .kernels = settled->kernels->device_describe(settled->device),
        .hidden = c->hidden,
        .layers = c->layers,
        .heads = c->heads,
        .intermediate = c->intermediate,
        .vocabulary = c->vocabulary,
        .max_length = settled->max_length,
        .label_count = settled->label_count,
        .rank = trainer->adapter.config.rank,
        .parameters = trainer->encoder.parameters,
        .adapter_parameters = trainer->adapter.head_first,
        .head_parameters = trainer->adapter.count - trainer->adapter.head_first,
        .weight_bytes = trainer->encoder.bytes,
        .step_bytes = settled->threads * rn_pass_bytes(&trainer->adapter, &options),
        .adapter_bytes =
            (4 * trainer->adapter.count + trainer->adapter.transposed_count) * sizeof(float),
        .threads = settled->threads,
        .head_from_seed = trainer->adapter.head_from_seed,
        .head_random = trainer->adapter.head_from_seed && !trainer->state.head_changed,
        .pooler_from_seed = trainer->adapter.pooler_from_seed,
        .pooler_random = trainer->adapter.pooler_from_seed && !trainer->adapter.pooler_loaded,
    };
    _Static_assert(sizeof(out->measured) == RN_KERNELS_MEASURED_MAX, "as the kernels say it");
    rn_kernels_measured(settled->kernels, out->measured);
    if (trainer->cache != NULL) {
        struct rn_prefix_facts cache;
        rn_prefixcache_facts(trainer->cache, &cache);
        out->cache_bytes = cache.used;
        out->cache_examples = cache.examples;
        out->cache_hits = cache.hits;
        out->cache_misses = cache.misses;
    }
}

rn_result rn_trainer_data_open(struct rn_trainer *trainer, const struct rn_data_spec *spec,
                               struct rn_dataset **out, struct rn_error *err)
{
    const struct rn_label_spec labels = {
        .task = trainer->settled.task,
        .names = (const char *const *)trainer->settled.labels.names,
        .count = trainer->settled.labels.count != 0 ? trainer->settled.labels.count
                                                    : trainer->settled.label_count};
    const struct rn_model_config *model = &trainer->settled.model;
    if (model->family->rows) {
        return rn_dataset_load_rows(&model->row, model->hidden, spec, &labels, out, err);
    }
    return rn_dataset_load(trainer->tokenizer, spec, &labels, trainer->settled.max_length, out,
                           err);
}

void rn_trainer_data_close(struct rn_dataset *data)
{
    rn_dataset_free(data);
}

size_t rn_trainer_data_count(const struct rn_dataset *data)
{
    return rn_dataset_count(data);
}

rn_result rn_trainer_model_files(const struct rn_trainer *trainer, const char *const **out_names,
                                 size_t *out_count)
{
    *out_names = (const char *const *)trainer->files;
    *out_count = trainer->file_count;
    return rn_ok();
}
