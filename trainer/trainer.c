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

#include <string.h>

static rn_result open_tokenizer(struct rn_trainer *trainer, const struct rn_model_config *config,
                                struct rn_error *err)
{
    RN_TRY(rn_tokenizer_open(trainer->model_dir, &trainer->tokenizer, err));
    const uint32_t ids = rn_tokenizer_vocabulary(trainer->tokenizer);
    RN_ENSURE(ids <= config->vocabulary, err, RN_E_DATA,
              "%s/tokenizer.json: ids up to %u, but the model has %u embeddings",
              trainer->model_dir, ids - 1, config->vocabulary);
    return rn_ok();
}

/* Everything that a settled trainer still lacks. */
static rn_result fill(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                      const struct rn_model_config *model, struct rn_safetensors **tensors,
                      struct rn_peft_config *config, struct rn_error *err)
{
    RN_TRY(open_tokenizer(trainer, model, err));
    RN_TRY(rn_model_files_list(spec->model_dir, &trainer->files, &trainer->file_count, err));
    RN_TRY(rn_safetensors_open_model(spec->model_dir, tensors, err));
    RN_TRY(rn_memory_refuse(trainer, spec, model, config, *tensors, err));
    const struct rn_lane_limits limits = {1, 1, 1, 1, 1, 1, 1};
    RN_TRY(trainer->kernels->lane_new(trainer->device, &limits, &trainer->lane, err));
    RN_TRY(rn_team_new(trainer->threads, &trainer->team, err));
    RN_TRY(rn_encoder_init(&trainer->encoder, trainer->kernels, trainer->device, trainer->lane,
                           model, *tensors, spec->cache_dir != NULL && spec->cache_keep, err));
    const struct rn_adapter_start start = {
        .init = spec->lora.init, .seed = spec->seed, .new_head = trainer->new_head};
    RN_TRY(rn_adapter_init(&trainer->adapter, &trainer->encoder, config, trainer->label_count,
                           &start, *tensors, err));
    return spec->adapter_dir != NULL ? rn_trainer_load(trainer, spec->adapter_dir, err) : rn_ok();
}

rn_result rn_trainer_open(const struct rn_trainer_spec *spec, struct rn_trainer **out,
                          struct rn_error *err)
{
    struct rn_trainer *trainer = NULL;
    struct rn_peft_config config = {0};
    struct rn_model_config model;
    RN_TRY(rn_trainer_settle(spec, &trainer, &config, &model, err));
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    const rn_result result = fill(trainer, spec, &model, &tensors, &config, err);
    rn_peft_config_clear(&config);
    if (!rn_is_ok(result)) {
        rn_trainer_close(trainer);
        return result;
    }
    *out = trainer;
    return rn_ok();
}

void rn_trainer_release(struct rn_trainer *trainer)
{
    for (uint32_t i = 0; trainer->passes != NULL && i < trainer->threads; i++) {
        rn_pass_clear(&trainer->passes[i]);
    }
    rn_free(trainer->passes);
    trainer->passes = NULL;
    trainer->kernels->memory_free(trainer->device, trainer->gradient);
    trainer->kernels->memory_free(trainer->device, trainer->moment1);
    trainer->kernels->memory_free(trainer->device, trainer->moment2);
    trainer->gradient = NULL;
    trainer->moment1 = NULL;
    trainer->moment2 = NULL;
}

static rn_result take_vector(struct rn_trainer *trainer, float **out, struct rn_error *err)
{
    void *memory = NULL;
    RN_TRY(trainer->kernels->memory_new(trainer->device, trainer->adapter.count * sizeof(float),
                                        &memory, err));
    *out = memory;
    return rn_ok();
}

struct rn_pass_options rn_trainer_pass_options(const struct rn_trainer *trainer, bool training)
{
    const uint32_t tokens = rn_blocks_tokens_max(trainer);
    return (struct rn_pass_options){
        .tokens = tokens,
        .sequences = tokens < RN_BLOCK_SEQUENCES_MAX ? tokens : RN_BLOCK_SEQUENCES_MAX,
        .length = trainer->max_length,
        .training = training,
        .pieces = training ? trainer->pieces : 0,
        .switches = trainer->switches,
        .cache = trainer->cache};
}

uint64_t rn_trainer_cache_auto(uint64_t left, bool on_disk)
{
    const uint64_t half = on_disk ? UINT64_MAX : left / 2;
    const uint64_t bytes = half < RN_CACHE_AUTO_BYTES ? half : RN_CACHE_AUTO_BYTES;
    return bytes > RN_CACHE_BYTES_MIN ? bytes : RN_CACHE_BYTES_MIN;
}

/* Opens the cache where one is wanted and there is something below the lowest adapted layer. */
static rn_result open_cache(struct rn_trainer *trainer, struct rn_error *err)
{
    const struct rn_encoder *encoder = &trainer->encoder;
    const uint32_t lowest = trainer->adapter.lowest;
    if (trainer->cache_bytes == 0 || trainer->cache != NULL || lowest == 0 ||
        lowest >= encoder->config.layers || trainer->switches.full_backward) {
        return rn_ok();
    }
    struct rn_prefix_spec spec = {
        .key = {.weights = encoder->below != NULL ? encoder->below[lowest] : 0,
                .layer = lowest,
                .row_bytes = (uint32_t)(encoder->config.hidden *
                                        rn_element_size(trainer->kernels->residual)),
                .max_length = trainer->max_length,
                .kernels_version = trainer->kernels->version},
        .bytes = trainer->cache_bytes,
        .dir = trainer->cache_dir,
        .keep = trainer->cache_keep};
    if (spec.bytes == RN_CACHE_AUTO) {
        const struct rn_pass_options options = rn_trainer_pass_options(trainer, true);
        const uint64_t step =
            trainer->threads * (uint64_t)rn_pass_bytes(&trainer->adapter, &options);
        const uint64_t left = rn_memory_available();
        spec.bytes = rn_trainer_cache_auto(left > step ? left - step : 0, spec.dir != NULL);
    }
    const bool fits =
        rn_text_format(spec.key.kernels, sizeof(spec.key.kernels), "%.20s %.40s",
                       trainer->kernels->name, trainer->kernels->device_describe(trainer->device));
    RN_BUG_IF(!fits);
    return rn_prefixcache_open(&spec, &trainer->cache, err);
}

static rn_result prepare(struct rn_trainer *trainer, bool training, struct rn_error *err)
{
    RN_TRY(open_cache(trainer, err));
    const struct rn_pass_options options = rn_trainer_pass_options(trainer, training);
    trainer->passes = rn_alloc(trainer->threads, sizeof(*trainer->passes));
    for (uint32_t i = 0; i < trainer->threads; i++) {
        RN_TRY(
            rn_pass_init(&trainer->passes[i], &trainer->adapter, trainer->device, &options, err));
    }
    if (training) {
        RN_TRY(take_vector(trainer, &trainer->gradient, err));
        RN_TRY(take_vector(trainer, &trainer->moment1, err));
        RN_TRY(take_vector(trainer, &trainer->moment2, err));
    }
    trainer->passes_train = training;
    return rn_ok();
}

rn_result rn_trainer_prepare(struct rn_trainer *trainer, bool training, struct rn_error *err)
{
    const bool enough = trainer->passes != NULL && (trainer->passes_train || !training) &&
                        (!training || trainer->passes[0].piece_max >= trainer->pieces);
    if (enough) {
        return rn_ok();
    }
    rn_trainer_release(trainer);
    const rn_result result = prepare(trainer, training, err);
    if (!rn_is_ok(result)) {
        rn_trainer_release(trainer);
    }
    return result;
}

void rn_trainer_close(struct rn_trainer *trainer)
{
    if (trainer == NULL) {
        return;
    }
    if (trainer->kernels != NULL) {
        rn_trainer_release(trainer);
        rn_adapter_clear(&trainer->adapter);
        rn_encoder_clear(&trainer->encoder);
        rn_team_free(trainer->team);
        trainer->kernels->lane_free(trainer->lane);
        trainer->kernels->device_close(trainer->device);
    }
    rn_prefixcache_close(trainer->cache);
    rn_free(trainer->cache_dir);
    rn_tokenizer_free(trainer->tokenizer);
    rn_label_list_clear(&trainer->labels);
    for (size_t i = 0; i < trainer->file_count; i++) {
        rn_free(trainer->files[i]);
    }
    rn_free(trainer->files);
    for (size_t i = 0; i < RN_LAYOUT_COUNT; i++) {
        rn_free(trainer->layouts[i].segments);
    }
    rn_free(trainer->model_dir);
    rn_free(trainer);
}

void rn_trainer_facts(const struct rn_trainer *trainer, struct rn_trainer_facts *out)
{
    const struct rn_model_config *c = &trainer->encoder.config;
    const struct rn_pass_options options = rn_trainer_pass_options(trainer, true);
    *out = (struct rn_trainer_facts){
        .family = rn_modelconfig_family_name(c->family),
        .backend = trainer->kernels->name,
        .kernels = trainer->kernels->device_describe(trainer->device),
        .hidden = c->hidden,
        .layers = c->layers,
        .heads = c->heads,
        .intermediate = c->intermediate,
        .vocabulary = c->vocabulary,
        .max_length = trainer->max_length,
        .label_count = trainer->label_count,
        .rank = trainer->adapter.config.rank,
        .parameters = trainer->encoder.parameters,
        .adapter_parameters = trainer->adapter.head_first,
        .head_parameters = trainer->adapter.count - trainer->adapter.head_first,
        .weight_bytes = trainer->encoder.bytes,
        .step_bytes = trainer->threads * rn_pass_bytes(&trainer->adapter, &options),
        .adapter_bytes =
            (4 * trainer->adapter.count + trainer->adapter.transposed_count) * sizeof(float),
        .threads = trainer->threads,
        .head_from_seed = trainer->adapter.head_from_seed,
        .head_random = trainer->adapter.head_from_seed && !trainer->head_changed,
        .pooler_from_seed = trainer->adapter.pooler_from_seed,
        .pooler_random = trainer->adapter.pooler_from_seed && !trainer->pooler_loaded,
    };
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
        .task = trainer->task,
        .names = (const char *const *)trainer->labels.names,
        .count = trainer->labels.count != 0 ? trainer->labels.count : trainer->label_count};
    return rn_dataset_load(trainer->tokenizer, spec, &labels, trainer->max_length, out, err);
}

void rn_trainer_data_close(struct rn_dataset *data)
{
    rn_dataset_free(data);
}

size_t rn_trainer_data_count(const struct rn_dataset *data)
{
    return rn_dataset_count(data);
}
