/* SPDX-License-Identifier: Apache-2.0
 *
 * From a specification to what a trainer will be: checks, configuration, labels, lengths, backend.
 */
#include "trainer/settled.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/model/family.h"
#include "trainer/model/modelclasses.h"
#include "trainer/pass/lanes.h"
#include "trainer/text/unicodetext.h"

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

/* The names go into JSON files with the adapter, after the training. */
static rn_result check_utf8(const char *text, const char *what, struct rn_error *err)
{
    RN_ENSURE(text == NULL || rn_utf8_valid(rn_view_text(text), NULL), err, RN_E_CONFIG,
              "trainer: %s is not valid UTF-8", what);
    return rn_ok();
}

static rn_result check_names(const struct rn_trainer_spec *spec, struct rn_error *err)
{
    RN_TRY(check_utf8(spec->model_dir, "the path of the model directory", err));
    for (size_t i = 0; spec->labels != NULL && i < spec->label_count; i++) {
        RN_TRY(check_utf8(spec->labels[i], "a label", err));
    }
    for (size_t i = 0; i < spec->lora.target_count; i++) {
        RN_TRY(check_utf8(spec->lora.targets[i], "a target module", err));
    }
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
    RN_TRY(check_lora(&spec->lora, err));
    return check_names(spec, err);
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
static rn_result config_of_adapter(struct rn_settled *settled, const struct rn_trainer_spec *spec,
                                   struct rn_error *err)
{
    struct rn_peft_config *out = &settled->config;
    struct rn_peft peft = {0};
    RN_TRY(rn_peft_open(spec->adapter_dir, &peft, err));
    *out = peft.config;
    peft.config = (struct rn_peft_config){0};
    if (settled->labels.count == 0 && spec->label_count == 0 &&
        peft.extra.labels.count <= RN_TRAINER_LABELS_MAX) {
        settled->labels = peft.extra.labels;
        peft.extra.labels = (struct rn_label_list){0};
    }
    if (settled->max_length == 0) {
        settled->max_length = peft.extra.max_length;
    }
    settled->new_head = settled->new_head || rn_head_outputs(peft.tensors, "base_model.model.") > 0;
    rn_peft_close(&peft);
    const struct rn_lora_spec *lora = &spec->lora;
    RN_ENSURE(lora->rank == 0 || (lora->rank == out->rank && lora->alpha == out->alpha &&
                                  lora->use_rslora == out->use_rslora),
              err, RN_E_CONFIG,
              "%s: its rank %u, alpha %g and scaling differ from the wanted rank %u, alpha %g",
              spec->adapter_dir, out->rank, out->alpha, lora->rank, lora->alpha);
    return rn_ok();
}

static void copy_labels(struct rn_settled *settled, const struct rn_trainer_spec *spec)
{
    if (spec->labels == NULL || spec->task == RN_TASK_REGRESSION) {
        return;
    }
    settled->labels.names = rn_alloc(spec->label_count, sizeof(char *));
    for (size_t i = 0; i < spec->label_count; i++) {
        settled->labels.names[i] = copy_text(spec->labels[i]);
    }
    settled->labels.count = spec->label_count;
}

static rn_result settle_labels(struct rn_settled *settled, const struct rn_trainer_spec *spec,
                               struct rn_error *err)
{
    if (settled->task == RN_TASK_REGRESSION) {
        settled->label_count = 1;
        return rn_ok();
    }
    settled->label_count = (uint32_t)(settled->labels.count != 0 ? settled->labels.count
                                      : spec->label_count != 0   ? spec->label_count
                                                                 : settled->model.label_count);
    RN_ENSURE(settled->label_count >= 2, err, RN_E_CONFIG,
              "trainer: the number of labels is not stated; give label names");
    return rn_ok();
}

/* A head for other things than the wanted task would be read as if it were for this one. */
static rn_result check_task(const struct rn_settled *settled, struct rn_error *err)
{
    RN_ENSURE(!settled->model.multi_label || settled->new_head, err, RN_E_UNSUPPORTED,
              "%s/config.json: problem_type multi_label_classification: several classes a record, "
              "and Rondo trains one; `rondo train --new-head` begins with a new head",
              settled->model_dir);
    return rn_ok();
}

/* Without another wish: what the position table holds, or less where tokenizer_config.json says so.
 */
static rn_result settle_length(struct rn_settled *settled, struct rn_error *err)
{
    const uint32_t most = rn_modelconfig_length_max(&settled->model);
    uint32_t stated = 0;

    if (settled->model.family->rows) {
        settled->max_length = 1;
        return rn_ok();
    }
    RN_TRY(rn_tokenizer_length_max(settled->model_dir, &stated, err));
    RN_ENSURE(settled->max_length <= most, err, RN_E_CONFIG,
              "trainer: maximum length %u is above the model's %u", settled->max_length, most);
    if (settled->max_length == 0) {
        settled->max_length = stated > 0 && stated < most ? stated : most;
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

/* What the directories and the specification together say. */
static rn_result settle(struct rn_settled *settled, const struct rn_trainer_spec *spec,
                        struct rn_error *err)
{
    RN_TRY(rn_modelconfig_read(spec->model_dir, &settled->model, err));
    copy_labels(settled, spec);
    if (spec->adapter_dir != NULL) {
        RN_TRY(config_of_adapter(settled, spec, err));
    } else {
        config_of_spec(spec, &settled->config);
    }
    RN_TRY(check_task(settled, err));
    RN_TRY(settle_labels(settled, spec, err));
    RN_TRY(settle_length(settled, err));
    RN_TRY(rn_kernels_find_by(spec->backend, spec->kernels, &settled->kernels, err));
    settled->threads = settle_threads(spec, settled->kernels);
    return settled->kernels->device_open(&settled->device, err);
}

rn_result rn_settle(const struct rn_trainer_spec *spec, struct rn_settled *out,
                    struct rn_error *err)
{
    *out = (struct rn_settled){0};
    RN_TRY(check_spec(spec, err));
    out->model_dir = copy_text(spec->model_dir);
    out->task = spec->task;
    out->head_mode = spec->head;
    out->new_head = spec->new_head;
    out->max_length = spec->max_length;
    out->switches = spec->switches;
    out->cache_bytes = spec->cache_bytes;
    out->cache_dir = spec->cache_dir != NULL ? copy_text(spec->cache_dir) : NULL;
    out->cache_keep = spec->cache_dir != NULL && spec->cache_keep;
    out->for_training = spec->for_training;
    const rn_result result = settle(out, spec, err);
    if (!rn_is_ok(result)) {
        rn_settled_clear(out);
    }
    return result;
}

void rn_settled_clear(struct rn_settled *settled)
{
    if (settled->device != NULL) {
        settled->kernels->device_close(settled->device);
    }
    rn_peft_config_clear(&settled->config);
    rn_label_list_clear(&settled->labels);
    rn_free(settled->cache_dir);
    rn_free(settled->model_dir);
    *settled = (struct rn_settled){0};
}

rn_result rn_settled_shape(struct rn_settled *settled, const struct rn_safetensors *tensors,
                           struct rn_encoder *encoder, struct rn_adapter *out, struct rn_error *err)
{
    *encoder = (struct rn_encoder){
        .kernels = settled->kernels, .device = settled->device, .config = settled->model};
    return rn_adapter_shape(out, encoder, &settled->config, settled->label_count,
                            tensors != NULL && rn_adapter_pooler_missing(&settled->model, tensors),
                            err);
}

void rn_settled_unshape(struct rn_settled *settled, struct rn_adapter *adapter)
{
    settled->config = adapter->config;
    adapter->config = (struct rn_peft_config){0};
    rn_adapter_clear(adapter);
}

rn_result rn_settled_back(struct rn_settled *settled, const struct rn_safetensors *tensors,
                          bool (**out)[RN_MODULES_MAX], bool *out_head, struct rn_error *err)
{
    struct rn_encoder encoder;
    struct rn_adapter adapter;
    const bool full = settled->switches.full_backward;
    const uint32_t layers = settled->model.layers;
    RN_TRY(rn_settled_shape(settled, tensors, &encoder, &adapter, err));
    *out = rn_alloc(layers, sizeof(**out));
    *out_head = settled->for_training && rn_adapter_below_head(&adapter, full);
    for (uint32_t layer = full ? 0 : adapter.lowest; layer < layers; layer++) {
        if (settled->for_training) {
            rn_adapter_below(&adapter, full, layer, (*out)[layer]);
        }
    }
    rn_settled_unshape(settled, &adapter);
    return rn_ok();
}

struct rn_pass_options rn_settled_options(const struct rn_settled *settled, bool training)
{
    struct rn_pass_options options =
        rn_pass_options_for(settled->kernels, settled->max_length, &settled->switches);
    options.training = training;
    return options;
}

bool rn_settled_caches(const struct rn_settled *settled, uint32_t lowest)
{
    return settled->cache_bytes != 0 && lowest > 0 && lowest < settled->model.layers &&
           !settled->switches.full_backward;
}

uint64_t rn_settled_cache_auto(const struct rn_settled *settled, uint64_t left)
{
    const uint64_t half = settled->cache_dir != NULL ? UINT64_MAX : left / 2;
    const uint64_t bytes = half < RN_CACHE_AUTO_BYTES ? half : RN_CACHE_AUTO_BYTES;
    return bytes > RN_CACHE_BYTES_MIN ? bytes : RN_CACHE_BYTES_MIN;
}

bool rn_settled_on_host(const struct rn_settled *settled)
{
    return strcmp(settled->kernels->name, "cuda") != 0;
}
