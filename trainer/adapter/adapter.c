/* SPDX-License-Identifier: Apache-2.0
 *
 * Sites, layout and start values of the adapter and the head.
 */
#include "trainer/adapter/adapter.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/model/modelclasses.h"

#include <math.h>
#include <string.h>

bool rn_segment_chosen(const struct rn_segment *segment, enum rn_matrix matrices, bool with_head)
{
    switch (segment->kind) {
    case RN_SEGMENT_A:
        return ((unsigned)matrices & RN_MATRIX_A) != 0;
    case RN_SEGMENT_B:
        return ((unsigned)matrices & RN_MATRIX_B) != 0;
    case RN_SEGMENT_HEAD:
        return with_head;
    }
    return false;
}

/* Appends a segment; returns its offset. */
static size_t add_segment(struct rn_adapter *adapter, enum rn_segment_kind kind, uint32_t rows,
                          uint32_t cols, const char *module, const char *suffix)
{
    adapter->segments = rn_realloc(adapter->segments, adapter->segment_count,
                                   adapter->segment_count + 1, sizeof(*adapter->segments));
    struct rn_segment *segment = &adapter->segments[adapter->segment_count++];
    *segment = (struct rn_segment){.rows = rows,
                                   .cols = cols,
                                   .kind = kind,
                                   .offset = adapter->count,
                                   .count = (size_t)rows * cols};
    const bool fits = rn_text_format(segment->name, sizeof(segment->name), "%s.%s", module, suffix);
    RN_BUG_IF(!fits);
    adapter->count += segment->count;
    return segment->offset;
}

/* Appends a site with both its matrices; returns its number. */
static int32_t add_site(struct rn_adapter *adapter, const char *name, struct rn_site site)
{
    adapter->sites = rn_realloc(adapter->sites, adapter->site_count, adapter->site_count + 1,
                                sizeof(*adapter->sites));
    const uint32_t rank = adapter->config.rank;
    site.transposed = adapter->transposed_count;
    site.a = add_segment(adapter, RN_SEGMENT_A, rank, site.k, name, "lora_A.weight");
    site.b = add_segment(adapter, RN_SEGMENT_B, site.n, rank, name, "lora_B.weight");
    adapter->transposed_count += (size_t)rank * site.n;
    adapter->sites[adapter->site_count] = site;
    return (int32_t)adapter->site_count++;
}

static void site_name(char out[static RN_MODULE_NAME_MAX], const struct rn_adapter *adapter,
                      const struct rn_site *site)
{
    if (site->pooler) {
        const bool fits = rn_text_format(out, RN_MODULE_NAME_MAX, "%s", RN_POOLER_NAME);
        RN_BUG_IF(!fits);
        return;
    }
    rn_module_name(out, &adapter->encoder->config, site->layer, site->module);
}

#define MODULES_TEXT_MAX 256

/* The layer's modules, for an error sentence. */
static void list_modules(const struct rn_adapter *adapter, char out[static MODULES_TEXT_MAX])
{
    const struct rn_block *block = adapter->encoder->config.family->layer;
    size_t used = 0;
    for (uint32_t i = 0; i < block->module_count; i++) {
        const char *before = i == 0 ? "" : i + 1 == block->module_count ? " and " : ", ";
        const bool fits = rn_text_format(out + used, MODULES_TEXT_MAX - used, "%s%s", before,
                                         block->modules[i].path);
        RN_BUG_IF(!fits);
        used = strlen(out);
    }
}

/* Every listed target must adapt something: a misspelt name is an error here, though peft lets it
 * pass when another one matches. */
static rn_result check_targets(const struct rn_adapter *adapter, struct rn_error *err)
{
    const struct rn_peft_config *config = &adapter->config;
    char known[MODULES_TEXT_MAX];
    list_modules(adapter, known);
    for (size_t i = 0; i < config->layer_count; i++) {
        RN_ENSURE(config->layers[i] < adapter->encoder->config.layers, err, RN_E_CONFIG,
                  "lora: layer %u does not exist; the model has layers 0 to %u", config->layers[i],
                  adapter->encoder->config.layers - 1);
    }
    for (size_t i = 0; i < config->targets.count; i++) {
        const char *target = config->targets.names[i];
        const size_t length = strlen(target);
        /* A list that peft wrote may also name parts of a head that modules_to_save takes out. */
        bool used = config->saved.count != 0;
        for (size_t j = 0; j < adapter->site_count && !used; j++) {
            char name[RN_MODULE_NAME_MAX];
            site_name(name, adapter, &adapter->sites[j]);
            const size_t full = strlen(name);
            used = full >= length && strcmp(name + full - length, target) == 0 &&
                   (full == length || name[full - length - 1] == '.');
        }
        RN_ENSURE(used, err, RN_E_CONFIG,
                  "lora: target module %s matches no linear module of the model's layers; the "
                  "modules are %s",
                  target, known);
    }
    RN_ENSURE(adapter->site_count > 0, err, RN_E_CONFIG,
              "lora: the targets match no linear module of the model's layers");
    return rn_ok();
}

/* peft adapts the pooler of BERT where a target matches it. A pooler from the seed travels whole
 * instead (modules_to_save), which peft never adapts. */
static rn_result find_pooler_site(struct rn_adapter *adapter, struct rn_error *err)
{
    const struct rn_model_config *model = &adapter->encoder->config;
    adapter->pooler_site = -1;
    if (adapter->config.rank == 0 || model->family->head != RN_HEAD_POOLER ||
        adapter->pooler_from_seed) {
        return rn_ok();
    }
    bool match = false;
    RN_TRY(rn_peft_target_match(&adapter->config, RN_POOLER_NAME, &match, err));
    if (match) {
        const struct rn_site site = {.pooler = true, .n = model->hidden, .k = model->hidden};
        adapter->pooler_site = add_site(adapter, RN_POOLER_NAME, site);
    }
    return rn_ok();
}

static rn_result find_sites(struct rn_adapter *adapter, struct rn_error *err)
{
    const struct rn_model_config *model = &adapter->encoder->config;
    adapter->lowest = model->layers;
    adapter->site_of = rn_alloc(model->layers, sizeof(*adapter->site_of));
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        for (uint32_t module = 0; module < RN_MODULES_MAX; module++) {
            adapter->site_of[layer][module] = -1;
            if (adapter->config.rank == 0 || module >= model->family->layer->module_count) {
                continue;
            }
            char name[RN_MODULE_NAME_MAX];
            rn_module_name(name, model, layer, module);
            bool match = false;
            RN_TRY(rn_peft_target_match(&adapter->config, name, &match, err));
            if (match) {
                struct rn_site site = {.layer = layer, .module = module};
                rn_module_shape(model, site.module, &site.n, &site.k);
                adapter->site_of[layer][module] = add_site(adapter, name, site);
                adapter->lowest = layer < adapter->lowest ? layer : adapter->lowest;
            }
        }
    }
    RN_TRY(find_pooler_site(adapter, err));
    return adapter->config.rank == 0 ? rn_ok() : check_targets(adapter, err);
}

static void lay_out_head(struct rn_adapter *adapter)
{
    const uint32_t d = adapter->encoder->config.hidden;
    const uint32_t labels = adapter->label_count;
    struct rn_head_places *head = &adapter->head;
    *head = (struct rn_head_places){SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    adapter->head_first = adapter->count;
    const char *last = "classifier";
    const bool plain = adapter->encoder->config.family->head == RN_HEAD_PLAIN;
    if (adapter->encoder->config.family->head == RN_HEAD_DENSE) {
        head->dense_w = add_segment(adapter, RN_SEGMENT_HEAD, d, d, "classifier.dense", "weight");
        head->dense_b = add_segment(adapter, RN_SEGMENT_HEAD, 1, d, "classifier.dense", "bias");
        last = "classifier.out_proj";
    }
    head->classifier_w = add_segment(adapter, RN_SEGMENT_HEAD, labels, d, last, "weight");
    if (!plain) {
        head->classifier_b = add_segment(adapter, RN_SEGMENT_HEAD, 1, labels, last, "bias");
    }
}

static bool is_bias(const struct rn_segment *segment)
{
    const size_t length = strlen(segment->name);
    return length > 5 && strcmp(segment->name + length - 5, ".bias") == 0;
}

/* Device places: all A, all B, the head. Offsets of sites become places. The head keeps its own. */
static void settle_places(struct rn_adapter *adapter)
{
    adapter->places = rn_alloc(adapter->segment_count, sizeof(*adapter->places));
    size_t at = 0;
    for (int kind = RN_SEGMENT_A; kind <= RN_SEGMENT_HEAD; kind++) {
        for (size_t i = 0; i < adapter->segment_count; i++) {
            if ((int)adapter->segments[i].kind == kind) {
                adapter->places[i] = at;
                at += adapter->segments[i].count;
            }
        }
    }
    for (size_t i = 0; i < adapter->site_count; i++) {
        adapter->sites[i].a = adapter->places[2 * i];
        adapter->sites[i].b = adapter->places[2 * i + 1];
    }
}

/* The checkpoint's own head must be one of as many classes. */
static rn_result check_head(const struct rn_adapter *adapter, const struct rn_safetensors *tensors,
                            struct rn_error *err)
{
    const uint32_t outputs = rn_head_outputs(tensors, "");

    RN_ENSURE(
        outputs == 0 || outputs == adapter->label_count, err, RN_E_CONFIG,
        "%s: its head has %u classes, but %u are wanted: name as many as it has, in its order "
        "(--labels), or let `rondo train --new-head` begin with a new head",
        rn_safetensors_file(tensors, 0), outputs, adapter->label_count);
    return rn_ok();
}

static rn_result fill_head_tensor(const struct rn_adapter *adapter, size_t segment_number,
                                  uint64_t seed, const struct rn_safetensors *tensors,
                                  float *values, struct rn_error *err)
{
    const struct rn_segment *segment = &adapter->segments[segment_number];
    float *out = values + adapter->places[segment_number];

    if (!adapter->head_from_seed) {
        const struct rn_tensor *tensor = rn_safetensors_find(tensors, segment->name);
        const uint64_t shape[2] = {is_bias(segment) ? segment->cols : segment->rows, segment->cols};
        RN_ENSURE(tensor != NULL, err, RN_E_DATA, "%s: tensor %s is missing",
                  rn_safetensors_file(tensors, 0), segment->name);
        return rn_tensor_read_finite(tensor, is_bias(segment) ? 1 : 2, shape, out, err);
    }
    const struct rn_generator generator = rn_generator_of(seed, segment->name);
    if (adapter->encoder->config.family->head == RN_HEAD_PLAIN) {
        rn_generator_uniform(&generator, 1.0 / sqrt((double)segment->rows), segment->count, out);
    } else if (!is_bias(segment)) {
        rn_generator_normal(&generator, RN_HEAD_DEVIATION, segment->count, out);
    }
    return rn_ok();
}

/* Whether the checkpoint holds any tensor of the head: then it must hold all. */
static bool has_head(const struct rn_adapter *adapter, const struct rn_safetensors *tensors)
{
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (segment->kind == RN_SEGMENT_HEAD &&
            rn_safetensors_find(tensors, segment->name) != NULL) {
            return true;
        }
    }
    return false;
}

/* The head from the checkpoint, or, when it is not there or not wanted, from the seed. */
static rn_result fill_head(struct rn_adapter *adapter, const struct rn_adapter_start *start,
                           const struct rn_safetensors *tensors, float *values,
                           struct rn_error *err)
{
    if (!start->new_head) {
        RN_TRY(check_head(adapter, tensors, err));
    }
    adapter->head_from_seed = start->new_head || !has_head(adapter, tensors);
    for (size_t i = 0; i < adapter->segment_count; i++) {
        if (adapter->segments[i].kind == RN_SEGMENT_HEAD) {
            RN_TRY(fill_head_tensor(adapter, i, start->seed, tensors, values, err));
        }
    }
    return rn_ok();
}

/* B is zero, and A within 1/sqrt(inputs); on a base of zero both are as mlp.c says. */
static void fill_site(const struct rn_adapter *adapter, size_t number, bool zero_base,
                      enum rn_lora_init init, uint64_t seed, float *values)
{
    const struct rn_segment *a = &adapter->segments[2 * number];
    const struct rn_segment *b = &adapter->segments[2 * number + 1];
    const struct rn_generator of_a = rn_generator_of(seed, a->name);
    const struct rn_generator of_b = rn_generator_of(seed, b->name);
    const double inputs = (double)(zero_base ? a->rows : a->cols);
    if (init == RN_LORA_ORTHONORMAL) {
        rn_generator_orthonormal(&of_a, a->rows, a->cols, values + adapter->places[2 * number]);
    } else {
        rn_generator_uniform(&of_a, 1.0 / sqrt(inputs), a->count,
                             values + adapter->places[2 * number]);
    }
    if (zero_base) {
        rn_generator_uniform(&of_b, 1.0 / sqrt((double)b->rows), b->count,
                             values + adapter->places[2 * number + 1]);
    }
}

static void fill_sites(const struct rn_adapter *adapter, enum rn_lora_init init, uint64_t seed,
                       float *values)
{
    const struct rn_block *block = adapter->encoder->config.family->layer;
    for (size_t i = 0; i < adapter->site_count; i++) {
        const struct rn_site *site = &adapter->sites[i];
        const bool zero_base = !site->pooler && block->modules[site->module].zero;
        fill_site(adapter, i, zero_base, init, seed, values);
    }
}

static rn_result upload_new(const struct rn_adapter *adapter, const float *host, size_t count,
                            float **out, struct rn_error *err)
{
    const struct rn_encoder *encoder = adapter->encoder;
    void *memory = NULL;
    RN_TRY(encoder->kernels->memory_new(encoder->device, count * sizeof(float), &memory, err));
    *out = memory;
    if (host != NULL) {
        encoder->kernels->upload(encoder->lane, memory, host, count * sizeof(float));
    }
    return rn_ok();
}

rn_result rn_adapter_set_pooler(struct rn_adapter *adapter, const float *w, const float *b,
                                struct rn_error *err)
{
    const struct rn_encoder *encoder = adapter->encoder;
    const uint32_t d = encoder->config.hidden;
    struct rn_weight *packed = NULL;
    RN_TRY(rn_encoder_pack(encoder, w, d, d, adapter->pooler_back, &packed, err));
    encoder->kernels->weight_free(encoder->device, adapter->pooler);
    adapter->pooler = packed;
    memmove(adapter->pooler_host, w, (size_t)d * d * sizeof(float));
    memmove(adapter->pooler_host + (size_t)d * d, b, d * sizeof(float));
    encoder->kernels->upload(encoder->lane, adapter->pooler_b, b, d * sizeof(float));
    return encoder->kernels->sync(encoder->lane, err);
}

static rn_result load_pooler(struct rn_adapter *adapter, uint64_t seed,
                             const struct rn_safetensors *tensors, struct rn_error *err)
{
    const uint32_t d = adapter->encoder->config.hidden;
    const size_t square = (size_t)d * d;
    adapter->pooler_host = rn_alloc(square + d, sizeof(float));
    float *w = adapter->pooler_host;
    if (adapter->pooler_from_seed) {
        const struct rn_generator generator = rn_generator_of(seed, RN_POOLER_NAME ".weight");
        rn_generator_normal(&generator, RN_HEAD_DEVIATION, square, w);
    } else {
        RN_TRY(rn_encoder_tensor(adapter->encoder, tensors, "pooler.dense.weight", d, d, w, err));
        RN_TRY(rn_encoder_tensor(adapter->encoder, tensors, "pooler.dense.bias", d, 0, w + square,
                                 err));
    }
    RN_TRY(upload_new(adapter, w + square, d, &adapter->pooler_b, err));
    return rn_adapter_set_pooler(adapter, w, w + square, err);
}

bool rn_adapter_pooler_missing(const struct rn_model_config *config,
                               const struct rn_safetensors *tensors)
{
    return config->family->head == RN_HEAD_POOLER &&
           rn_safetensors_find_prefixed(tensors, config->family->model_type,
                                        "pooler.dense.weight") == NULL;
}

/* Fields, sites and layout. */
static rn_result shape(struct rn_adapter *out, const struct rn_encoder *encoder,
                       struct rn_peft_config *config, uint32_t label_count, bool pooler_from_seed,
                       struct rn_error *err)
{
    *out = (struct rn_adapter){.encoder = encoder,
                               .config = *config,
                               .label_count = label_count,
                               .pooler_from_seed = pooler_from_seed};
    *config = (struct rn_peft_config){0};
    out->scale = out->config.rank == 0 ? 0.0f : (float)rn_peft_scale(&out->config);
    RN_TRY(find_sites(out, err));
    lay_out_head(out);
    settle_places(out);
    return rn_ok();
}

static rn_result build(struct rn_adapter *adapter, const struct rn_adapter_start *start,
                       const struct rn_safetensors *tensors, struct rn_state *state,
                       struct rn_error *err)
{
    const uint32_t rank = adapter->config.rank;
    for (size_t i = 0; i < adapter->site_count && start->init == RN_LORA_ORTHONORMAL; i++) {
        RN_ENSURE(rank <= adapter->sites[i].k, err, RN_E_CONFIG,
                  "lora: rank %u is greater than a module's %u inputs, so its rows cannot be "
                  "orthonormal",
                  rank, adapter->sites[i].k);
    }
    RN_CLEANUP(rn_free_cleanup) float *values = rn_alloc(adapter->count, sizeof(float));
    RN_TRY(fill_head(adapter, start, tensors, values, err));
    fill_sites(adapter, start->init, start->seed, values);
    RN_TRY(upload_new(adapter, values, adapter->count, &state->values, err));
    RN_TRY(upload_new(adapter, NULL, adapter->transposed_count, &state->transposed, err));
    adapter->pooler_back = start->back;
    if (adapter->encoder->config.family->head == RN_HEAD_POOLER) {
        RN_TRY(load_pooler(adapter, start->seed, tensors, err));
    }
    rn_adapter_refresh(adapter, state, adapter->encoder->lane);
    return adapter->encoder->kernels->sync(adapter->encoder->lane, err);
}

rn_result rn_adapter_init(struct rn_adapter *out, const struct rn_encoder *encoder,
                          struct rn_peft_config *config, uint32_t label_count,
                          const struct rn_adapter_start *start,
                          const struct rn_safetensors *tensors, struct rn_state *out_state,
                          struct rn_error *err)
{
    rn_result result = shape(out, encoder, config, label_count,
                             rn_adapter_pooler_missing(&encoder->config, tensors), err);
    if (rn_is_ok(result)) {
        result = build(out, start, tensors, out_state, err);
    }
    if (!rn_is_ok(result)) {
        rn_state_clear(out_state, out);
        rn_adapter_clear(out);
    }
    return result;
}

rn_result rn_adapter_shape(struct rn_adapter *out, const struct rn_encoder *encoder,
                           struct rn_peft_config *config, uint32_t label_count,
                           bool pooler_from_seed, struct rn_error *err)
{
    const rn_result result = shape(out, encoder, config, label_count, pooler_from_seed, err);
    if (!rn_is_ok(result)) {
        rn_adapter_clear(out);
    }
    return result;
}

void rn_adapter_clear(struct rn_adapter *adapter)
{
    if (adapter == NULL || adapter->encoder == NULL) {
        return;
    }
    const struct rn_encoder *encoder = adapter->encoder;
    encoder->kernels->weight_free(encoder->device, adapter->pooler);
    encoder->kernels->memory_free(encoder->device, adapter->pooler_b);
    rn_peft_config_clear(&adapter->config);
    rn_free(adapter->pooler_host);
    rn_free(adapter->sites);
    rn_free(adapter->site_of);
    rn_free(adapter->segments);
    rn_free(adapter->places);
    *adapter = (struct rn_adapter){0};
}

void rn_adapter_wanted(const struct rn_adapter *adapter, bool full, uint32_t layer,
                       const struct rn_program *program, bool out[static RN_SLOTS_MAX])
{
    const bool below = !adapter->encoder->config.family->rows; /* an embedding */
    out[RN_SLOT_IN] = (full && below) || layer > adapter->lowest;
    for (unsigned i = 0; i < program->step_count; i++) {
        const struct rn_step *step = &program->steps[i];
        uint8_t read[3];
        const unsigned count = rn_step_reads(step, read);
        bool wanted = step->op == RN_OP_LINEAR && adapter->site_of[layer][step->module] >= 0;
        for (unsigned j = 0; j < count; j++) {
            wanted = wanted || out[read[j]];
        }
        out[step->out] = wanted;
    }
}

void rn_adapter_below(const struct rn_adapter *adapter, bool full, uint32_t layer,
                      bool out[static RN_MODULES_MAX])
{
    struct rn_program program;
    bool wanted[RN_SLOTS_MAX];
    memset(out, 0, RN_MODULES_MAX * sizeof(*out));
    rn_program_whole(adapter->encoder->config.family->layer, &program);
    rn_adapter_wanted(adapter, full, layer, &program, wanted);
    for (unsigned i = 0; i < program.step_count; i++) {
        const struct rn_step *step = &program.steps[i];
        if (step->op == RN_OP_LINEAR) {
            out[step->module] = wanted[step->in];
        }
    }
}

bool rn_adapter_below_head(const struct rn_adapter *adapter, bool full)
{
    return full || adapter->lowest < adapter->encoder->config.layers;
}

void rn_adapter_refresh(const struct rn_adapter *adapter, const struct rn_state *state,
                        struct rn_lane *lane)
{
    struct rn_transpose some[96];
    for (size_t first = 0; first < adapter->site_count; first += RN_ARRAY_LENGTH(some)) {
        size_t count = 0;
        for (; count < RN_ARRAY_LENGTH(some) && first + count < adapter->site_count; count++) {
            const struct rn_site *site = &adapter->sites[first + count];
            some[count] = (struct rn_transpose){site->b, site->transposed, site->n};
        }
        rn_kernels_thin_transposes(adapter->encoder->kernels, lane, some, count,
                                   adapter->config.rank, adapter->scale, state->values,
                                   state->transposed);
    }
}
