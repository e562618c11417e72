/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing of a trainer; its facts; its data.
 */
#include "trainer/trainerstate.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/memoryavailable.h"
#include "trainer/safetensors.h"

#include <sched.h>
#include <string.h>

static rn_result check_lora(const struct rn_lora_spec *lora, struct rn_error *err)
{
    RN_ENSURE(lora->rank <= RN_TRAINER_RANK_MAX, err, RN_E_CONFIG,
              "lora: rank %u is above the limit of %d", lora->rank, RN_TRAINER_RANK_MAX);
    RN_ENSURE(lora->rank == 0 || (lora->alpha > 0.0 && lora->alpha <= RN_PEFT_ALPHA_MAX), err,
              RN_E_CONFIG, "lora: alpha must be positive and at most %g", RN_PEFT_ALPHA_MAX);
    RN_ENSURE(lora->target_count <= RN_TRAINER_TARGETS_MAX, err, RN_E_CONFIG,
              "lora: more than %d target modules", RN_TRAINER_TARGETS_MAX);
    RN_ENSURE(lora->layer_count <= RN_TRAINER_LAYERS_MAX, err, RN_E_CONFIG,
              "lora: more than %d layers", RN_TRAINER_LAYERS_MAX);
    return rn_ok();
}

static rn_result check_spec(const struct rn_trainer_spec *spec, struct rn_error *err)
{
    RN_ENSURE(spec->model_dir != NULL, err, RN_E_USAGE, "trainer: no model directory given");
    RN_ENSURE(spec->threads <= RN_TRAINER_THREADS_MAX, err, RN_E_CONFIG,
              "trainer: %u threads; at most %d", spec->threads, RN_TRAINER_THREADS_MAX);
    RN_ENSURE(spec->cache_bytes == 0 || spec->cache_bytes >= RN_CACHE_BYTES_MIN, err, RN_E_CONFIG,
              "trainer: a prefix cache of %llu bytes; at least %llu, or 0 for none",
              (unsigned long long)spec->cache_bytes, (unsigned long long)RN_CACHE_BYTES_MIN);
    RN_ENSURE(spec->label_count <= RN_TRAINER_LABELS_MAX, err, RN_E_CONFIG,
              "trainer: %zu labels; at most %d", spec->label_count, RN_TRAINER_LABELS_MAX);
    if (spec->task == RN_TASK_REGRESSION) {
        RN_ENSURE(spec->label_count <= 1, err, RN_E_CONFIG,
                  "trainer: a regression has no label names");
    } else {
        RN_ENSURE(spec->label_count != 1, err, RN_E_CONFIG,
                  "trainer: a classification needs at least two labels");
    }
    return check_lora(&spec->lora, err);
}

static char *copy_text(const char *text)
{
    return rn_text_copy(text, strlen(text));
}

/* The adapter's configuration as written in the specification. */
static void config_of_spec(const struct rn_trainer_spec *spec, struct rn_peft_config *out)
{
    const struct rn_lora_spec *lora = &spec->lora;
    *out = (struct rn_peft_config){
        .rank = lora->rank, .alpha = lora->alpha, .use_rslora = lora->use_rslora};
    out->all_linear = lora->target_count == 0 ||
                      (lora->target_count == 1 && strcmp(lora->targets[0], "all-linear") == 0);
    if (!out->all_linear) {
        out->targets.names = rn_alloc(lora->target_count, sizeof(char *));
        for (size_t i = 0; i < lora->target_count; i++) {
            out->targets.names[i] = copy_text(lora->targets[i]);
        }
        out->targets.count = lora->target_count;
    }
    if (lora->layer_count != 0) {
        out->layers = rn_alloc(lora->layer_count, sizeof(uint32_t));
        memcpy(out->layers, lora->layers, lora->layer_count * sizeof(uint32_t));
        out->layer_count = lora->layer_count;
    }
    out->base_model = copy_text(spec->model_dir);
}

/* The configuration of the directory to start from, checked against the specification's. */
static rn_result config_of_adapter(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                                   struct rn_peft_config *out, struct rn_error *err)
{
    struct rn_peft peft = {0};
    RN_TRY(rn_peft_open(spec->adapter_dir, &peft, err));
    *out = peft.config;
    peft.config = (struct rn_peft_config){0};
    if (trainer->labels.count == 0 && spec->label_count == 0 &&
        peft.extra.labels.count <= RN_TRAINER_LABELS_MAX) {
        trainer->labels = peft.extra.labels;
        peft.extra.labels = (struct rn_label_list){0};
    }
    if (trainer->max_length == 0) {
        trainer->max_length = peft.extra.max_length;
    }
    rn_peft_close(&peft);
    const struct rn_lora_spec *lora = &spec->lora;
    RN_ENSURE(lora->rank == 0 || (lora->rank == out->rank && lora->alpha == out->alpha &&
                                  lora->use_rslora == out->use_rslora),
              err, RN_E_CONFIG,
              "%s: its rank %u, alpha %g and scaling differ from the wanted rank %u, alpha %g",
              spec->adapter_dir, out->rank, out->alpha, lora->rank, lora->alpha);
    return rn_ok();
}

static void copy_labels(struct rn_trainer *trainer, const struct rn_trainer_spec *spec)
{
    if (spec->labels == NULL || spec->task == RN_TASK_REGRESSION) {
        return;
    }
    trainer->labels.names = rn_alloc(spec->label_count, sizeof(char *));
    for (size_t i = 0; i < spec->label_count; i++) {
        trainer->labels.names[i] = copy_text(spec->labels[i]);
    }
    trainer->labels.count = spec->label_count;
}

static rn_result settle_labels(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                               const struct rn_model_config *config, struct rn_error *err)
{
    if (trainer->task == RN_TASK_REGRESSION) {
        trainer->label_count = 1;
        return rn_ok();
    }
    trainer->label_count = (uint32_t)(trainer->labels.count != 0 ? trainer->labels.count
                                      : spec->label_count != 0   ? spec->label_count
                                                                 : config->label_count);
    RN_ENSURE(trainer->label_count >= 2, err, RN_E_CONFIG,
              "trainer: the number of labels is not stated; give label names");
    return rn_ok();
}

static rn_result settle_length(struct rn_trainer *trainer, const struct rn_model_config *config,
                               struct rn_error *err)
{
    const uint32_t most = rn_modelconfig_length_max(config);
    RN_ENSURE(trainer->max_length <= most, err, RN_E_CONFIG,
              "trainer: maximum length %u is above the model's %u", trainer->max_length, most);
    if (trainer->max_length == 0) {
        trainer->max_length = most;
    }
    return rn_ok();
}

static uint32_t settle_threads(const struct rn_trainer_spec *spec, const struct rn_kernels *kernels)
{
    cpu_set_t allowed;
    const bool known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
    const uint32_t cores = known ? (uint32_t)CPU_COUNT(&allowed) : 1;
    uint32_t threads = spec->threads != 0 ? spec->threads : cores;
    threads = threads > RN_TRAINER_THREADS_MAX ? RN_TRAINER_THREADS_MAX : threads;
    return threads > kernels->lanes_max ? kernels->lanes_max : threads;
}

static rn_result open_device(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                             struct rn_error *err)
{
    RN_TRY(rn_kernels_find(spec->backend, &trainer->kernels, err));
    RN_TRY(trainer->kernels->device_open(&trainer->device, err));
    const struct rn_lane_limits limits = {1, 1, 1, 1, 1, 1, 1};
    RN_TRY(trainer->kernels->lane_new(trainer->device, &limits, &trainer->lane, err));
    trainer->threads = settle_threads(spec, trainer->kernels);
    return rn_team_new(trainer->threads, &trainer->team, err);
}

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

/* Everything after the checks; the caller closes a half-open trainer on failure. */
static rn_result fill(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                      struct rn_safetensors **tensors, struct rn_peft_config *config,
                      struct rn_error *err)
{
    struct rn_model_config model;
    RN_TRY(rn_modelconfig_read(spec->model_dir, &model, err));
    copy_labels(trainer, spec);
    if (spec->adapter_dir != NULL) {
        RN_TRY(config_of_adapter(trainer, spec, config, err));
    } else {
        config_of_spec(spec, config);
    }
    RN_TRY(settle_labels(trainer, spec, &model, err));
    RN_TRY(settle_length(trainer, &model, err));
    RN_TRY(open_tokenizer(trainer, &model, err));
    RN_TRY(rn_model_files_list(spec->model_dir, &trainer->files, &trainer->file_count, err));
    RN_TRY(rn_safetensors_open_model(spec->model_dir, tensors, err));
    RN_TRY(open_device(trainer, spec, err));
    RN_TRY(rn_encoder_init(&trainer->encoder, trainer->kernels, trainer->device, trainer->lane,
                           &model, *tensors, spec->cache_dir != NULL && spec->cache_keep, err));
    RN_TRY(rn_adapter_init(&trainer->adapter, &trainer->encoder, config, spec->lora.init,
                           trainer->label_count, spec->seed, *tensors, err));
    return spec->adapter_dir != NULL ? rn_trainer_load(trainer, spec->adapter_dir, err) : rn_ok();
}

rn_result rn_trainer_open(const struct rn_trainer_spec *spec, struct rn_trainer **out,
                          struct rn_error *err)
{
    RN_TRY(check_spec(spec, err));
    struct rn_trainer *trainer = rn_alloc(1, sizeof(*trainer));
    trainer->model_dir = copy_text(spec->model_dir);
    trainer->task = spec->task;
    trainer->head_mode = spec->head;
    trainer->max_length = spec->max_length;
    trainer->switches = spec->switches;
    trainer->cache_bytes = spec->cache_bytes;
    trainer->cache_dir = spec->cache_dir != NULL ? copy_text(spec->cache_dir) : NULL;
    trainer->cache_keep = spec->cache_dir != NULL && spec->cache_keep;
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    struct rn_peft_config config = {0};
    const rn_result result = fill(trainer, spec, &tensors, &config, err);
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

static struct rn_pass_options pass_options(const struct rn_trainer *trainer, bool training)
{
    const uint32_t tokens = rn_blocks_tokens_max(trainer);
    return (struct rn_pass_options){
        .tokens = tokens,
        .sequences = tokens < RN_BLOCK_SEQUENCES_MAX ? tokens : RN_BLOCK_SEQUENCES_MAX,
        .length = trainer->max_length,
        .training = training,
        .switches = trainer->switches,
        .cache = trainer->cache};
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
        const uint64_t half = spec.dir != NULL ? UINT64_MAX : rn_memory_available() / 2;
        spec.bytes = half < RN_CACHE_AUTO_BYTES ? half : RN_CACHE_AUTO_BYTES;
        spec.bytes = spec.bytes > RN_CACHE_BYTES_MIN ? spec.bytes : RN_CACHE_BYTES_MIN;
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
    const struct rn_pass_options options = pass_options(trainer, training);
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
    if (trainer->passes != NULL && (trainer->passes_train || !training)) {
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
    const struct rn_pass_options options = pass_options(trainer, true);
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
        .pooler_from_seed = trainer->adapter.pooler_from_seed,
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
