/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading of the frozen base model.
 */
#include "trainer/model/encoder.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/checksum.h"
#include "trainer/ground/safetensors.h"

#include <string.h>

void rn_module_shape(const struct rn_model_config *config, uint32_t module, uint32_t *out_n,
                     uint32_t *out_k)
{
    const struct rn_module_row *row = &config->family->layer->modules[module];
    *out_n = rn_modelconfig_dim(config, row->n);
    *out_k = rn_modelconfig_dim(config, row->k);
}

void rn_module_name(char out[static RN_MODULE_NAME_MAX], const struct rn_model_config *config,
                    uint32_t layer, uint32_t module)
{
    const struct rn_family *family = config->family;
    const bool fits = rn_text_format(out, RN_MODULE_NAME_MAX, "%s.%s.%u.%s", family->model_type,
                                     family->layers, layer, family->layer->modules[module].path);
    RN_BUG_IF(!fits);
}

rn_result rn_encoder_tensor(const struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                            const char *rest, uint32_t rows, uint32_t cols, float *out,
                            struct rn_error *err)
{
    const char *family = encoder->config.family->model_type;
    const struct rn_tensor *tensor = rn_safetensors_find_prefixed(tensors, family, rest);
    RN_ENSURE(tensor != NULL, err, RN_E_DATA, "%s: tensor %s.%s is missing",
              rn_safetensors_file(tensors, 0), family, rest);
    const uint64_t shape[2] = {rows, cols};
    return rn_tensor_read_finite(tensor, cols == 0 ? 1 : 2, shape, out, err);
}

static void add_checksum(struct rn_encoder *encoder, const float *host, size_t count)
{
    if (encoder->below != NULL) {
        encoder->checksum = rn_checksum(encoder->checksum, host, count * sizeof(float));
    }
}

/* Reads a tensor into new device memory. */
static rn_result load(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                      const char *rest, uint32_t rows, uint32_t cols, float **out,
                      struct rn_error *err)
{
    const size_t count = (size_t)rows * (cols == 0 ? 1 : cols);
    RN_CLEANUP(rn_free_cleanup) float *host = rn_alloc(count, sizeof(float));
    RN_TRY(rn_encoder_tensor(encoder, tensors, rest, rows, cols, host, err));
    add_checksum(encoder, host, count);
    void *memory = NULL;
    RN_TRY(encoder->kernels->memory_new(encoder->device, count * sizeof(float), &memory, err));
    *out = memory;
    encoder->kernels->upload(encoder->lane, memory, host, count * sizeof(float));
    encoder->parameters += count;
    encoder->bytes += count * sizeof(float);
    return rn_ok();
}

/* A vector of a module or norm of a layer. */
static rn_result load_vector(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                             uint32_t layer, const char *path, const char *ending, uint32_t rows,
                             float **out, struct rn_error *err)
{
    char name[RN_MODULE_NAME_MAX];
    const bool fits = rn_text_format(name, sizeof(name), "%s.%u.%s.%s",
                                     encoder->config.family->layers, layer, path, ending);
    RN_BUG_IF(!fits);
    return load(encoder, tensors, name, rows, 0, out, err);
}

rn_result rn_encoder_pack(const struct rn_encoder *encoder, const float *host_w, uint32_t n,
                          uint32_t k, bool back, struct rn_weight **out, struct rn_error *err)
{
    const struct rn_kernels *kernels = encoder->kernels;
    return back || kernels->weight_new_forward == NULL
               ? kernels->weight_new(encoder->device, host_w, n, k, out, err)
               : kernels->weight_new_forward(encoder->device, host_w, n, k, out, err);
}

/* A module without a weight of its own. */
static rn_result make_zero(struct rn_encoder *encoder, uint32_t layer, uint32_t module,
                           struct rn_error *err)
{
    struct rn_encoder_layer *target = &encoder->layers[layer];
    uint32_t n = 0;
    uint32_t k = 0;
    rn_module_shape(&encoder->config, module, &n, &k);
    const uint32_t columns = rn_zero_columns(k);
    RN_CLEANUP(rn_free_cleanup) float *zeros = rn_alloc((size_t)n * columns, sizeof(float));
    RN_TRY(rn_encoder_pack(encoder, zeros, n, columns, false, &target->weight[module], err));
    encoder->bytes += encoder->kernels->weight_bytes(target->weight[module]);
    return rn_ok();
}

static rn_result load_module(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                             uint32_t layer, uint32_t module, bool back, struct rn_error *err)
{
    const struct rn_family *family = encoder->config.family;
    const struct rn_module_row *row = &family->layer->modules[module];
    char name[RN_MODULE_NAME_MAX];
    uint32_t n = 0;
    uint32_t k = 0;
    rn_module_shape(&encoder->config, module, &n, &k);
    const bool fits =
        rn_text_format(name, sizeof(name), "%s.%u.%s.weight", family->layers, layer, row->path);
    RN_BUG_IF(!fits);
    const size_t count = (size_t)n * k;
    RN_CLEANUP(rn_free_cleanup) float *host = rn_alloc(count, sizeof(float));
    RN_TRY(rn_encoder_tensor(encoder, tensors, name, n, k, host, err));
    add_checksum(encoder, host, count);
    struct rn_encoder_layer *target = &encoder->layers[layer];
    RN_TRY(rn_encoder_pack(encoder, host, n, k, back, &target->weight[module], err));
    encoder->parameters += count;
    encoder->bytes += encoder->kernels->weight_bytes(target->weight[module]);
    return row->bias ? load_vector(encoder, tensors, layer, row->path, "bias", n,
                                   &target->bias[module], err)
                     : rn_ok();
}

static rn_result load_layer(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                            uint32_t layer, const bool *back, struct rn_error *err)
{
    const struct rn_block *block = encoder->config.family->layer;
    const uint32_t d = encoder->config.hidden;
    for (uint32_t module = 0; module < block->module_count; module++) {
        const bool both = back != NULL && back[module];
        RN_TRY(block->modules[module].zero
                   ? make_zero(encoder, layer, module, err)
                   : load_module(encoder, tensors, layer, module, both, err));
    }
    for (uint32_t i = 0; i < block->norm_count; i++) {
        struct rn_encoder_norm *norm = &encoder->layers[layer].norm[i];
        RN_TRY(
            load_vector(encoder, tensors, layer, block->norms[i], "weight", d, &norm->gamma, err));
        RN_TRY(load_vector(encoder, tensors, layer, block->norms[i], "bias", d, &norm->beta, err));
    }
    return rn_ok();
}

static rn_result load_embedding(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                                struct rn_error *err)
{
    const struct rn_model_config *c = &encoder->config;
    const struct rn_family *family = c->family;
    float *table[5] = {NULL};
    const struct {
        const char *path;
        const char *ending;
        uint32_t rows;
        uint32_t cols;
    } part[5] = {
        {family->words, "weight", c->vocabulary, c->hidden},
        {family->positions, "weight", c->positions, c->hidden},
        {family->types, "weight", c->types, c->hidden},
        {family->embedding_norm, "weight", c->hidden, 0},
        {family->embedding_norm, "bias", c->hidden, 0},
    };
    rn_result result = rn_ok();
    for (size_t i = 0; i < RN_ARRAY_LENGTH(part) && rn_is_ok(result); i++) {
        char name[RN_MODULE_NAME_MAX];
        const bool fits = rn_text_format(name, sizeof(name), "%s.%s", part[i].path, part[i].ending);
        RN_BUG_IF(!fits);
        result = load(encoder, tensors, name, part[i].rows, part[i].cols, &table[i], err);
    }
    encoder->embedding = (struct rn_embedding){.words = table[0],
                                               .positions = table[1],
                                               .types = table[2],
                                               .gamma = table[3],
                                               .beta = table[4],
                                               .eps = c->layer_norm_epsilon};
    return result;
}

rn_result rn_encoder_init(struct rn_encoder *out, const struct rn_kernels *kernels,
                          struct rn_device *device, struct rn_lane *lane,
                          const struct rn_model_config *config,
                          const struct rn_safetensors *tensors, bool checksums,
                          const bool (*back)[RN_MODULES_MAX], struct rn_error *err)
{
    *out =
        (struct rn_encoder){.kernels = kernels, .device = device, .lane = lane, .config = *config};
    out->below = checksums ? rn_alloc(config->layers, sizeof(*out->below)) : NULL;
    out->layers = rn_alloc(config->layers, sizeof(*out->layers));
    rn_result result = config->family->rows ? rn_ok() : load_embedding(out, tensors, err);
    for (uint32_t layer = 0; layer < config->layers && rn_is_ok(result); layer++) {
        if (checksums) {
            out->below[layer] = out->checksum;
        }
        result = load_layer(out, tensors, layer, back != NULL ? back[layer] : NULL, err);
    }
    if (rn_is_ok(result)) {
        result = kernels->sync(lane, err);
    }
    if (!rn_is_ok(result)) {
        rn_encoder_clear(out);
    }
    return result;
}

static void release(const struct rn_encoder *encoder, const float *memory)
{
    encoder->kernels->memory_free(encoder->device, (void *)(uintptr_t)memory);
}

void rn_encoder_clear(struct rn_encoder *encoder)
{
    if (encoder == NULL || encoder->kernels == NULL) {
        return;
    }
    release(encoder, encoder->embedding.words);
    release(encoder, encoder->embedding.positions);
    release(encoder, encoder->embedding.types);
    release(encoder, encoder->embedding.gamma);
    release(encoder, encoder->embedding.beta);
    for (uint32_t i = 0; encoder->layers != NULL && i < encoder->config.layers; i++) {
        struct rn_encoder_layer *layer = &encoder->layers[i];
        for (size_t module = 0; module < RN_MODULES_MAX; module++) {
            encoder->kernels->weight_free(encoder->device, layer->weight[module]);
            release(encoder, layer->bias[module]);
        }
        for (size_t norm = 0; norm < RN_NORMS_MAX; norm++) {
            release(encoder, layer->norm[norm].gamma);
            release(encoder, layer->norm[norm].beta);
        }
    }
    rn_free(encoder->layers);
    rn_free(encoder->below);
    *encoder = (struct rn_encoder){0};
}
