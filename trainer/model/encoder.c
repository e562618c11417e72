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

static const char *const module_paths[RN_MODULE_COUNT] = {
    [RN_MODULE_QUERY] = "attention.self.query",
    [RN_MODULE_KEY] = "attention.self.key",
    [RN_MODULE_VALUE] = "attention.self.value",
    [RN_MODULE_ATTENTION_OUTPUT] = "attention.output.dense",
    [RN_MODULE_INTERMEDIATE] = "intermediate.dense",
    [RN_MODULE_OUTPUT] = "output.dense",
};

void rn_module_shape(const struct rn_model_config *config, enum rn_module module, uint32_t *out_n,
                     uint32_t *out_k)
{
    *out_n = module == RN_MODULE_INTERMEDIATE ? config->intermediate : config->hidden;
    *out_k = module == RN_MODULE_OUTPUT ? config->intermediate : config->hidden;
}

void rn_module_name(char out[static RN_MODULE_NAME_MAX], const struct rn_model_config *config,
                    uint32_t layer, enum rn_module module)
{
    const bool fits =
        rn_text_format(out, RN_MODULE_NAME_MAX, "%s.encoder.layer.%u.%s",
                       rn_modelconfig_family_name(config->family), layer, module_paths[module]);
    RN_BUG_IF(!fits);
}

rn_result rn_encoder_tensor(const struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                            const char *rest, uint32_t rows, uint32_t cols, float *out,
                            struct rn_error *err)
{
    const char *family = rn_modelconfig_family_name(encoder->config.family);
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

static rn_result load_named(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                            uint32_t layer, const char *rest, uint32_t rows, float **out,
                            struct rn_error *err)
{
    char name[RN_MODULE_NAME_MAX];
    const bool fits = rn_text_format(name, sizeof(name), "encoder.layer.%u.%s", layer, rest);
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

static rn_result load_module(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                             uint32_t layer, enum rn_module module, bool back, struct rn_error *err)
{
    char name[RN_MODULE_NAME_MAX];
    uint32_t n = 0;
    uint32_t k = 0;
    rn_module_shape(&encoder->config, module, &n, &k);
    bool fits = rn_text_format(name, sizeof(name), "encoder.layer.%u.%s.weight", layer,
                               module_paths[module]);
    RN_BUG_IF(!fits);
    const size_t count = (size_t)n * k;
    RN_CLEANUP(rn_free_cleanup) float *host = rn_alloc(count, sizeof(float));
    RN_TRY(rn_encoder_tensor(encoder, tensors, name, n, k, host, err));
    add_checksum(encoder, host, count);
    struct rn_encoder_layer *target = &encoder->layers[layer];
    RN_TRY(rn_encoder_pack(encoder, host, n, k, back, &target->weight[module], err));
    encoder->parameters += count;
    encoder->bytes += encoder->kernels->weight_bytes(target->weight[module]);
    fits = rn_text_format(name, sizeof(name), "%s.bias", module_paths[module]);
    RN_BUG_IF(!fits);
    return load_named(encoder, tensors, layer, name, n, &target->bias[module], err);
}

static rn_result load_layer(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                            uint32_t layer, const bool *back, struct rn_error *err)
{
    for (int module = 0; module < RN_MODULE_COUNT; module++) {
        RN_TRY(load_module(encoder, tensors, layer, (enum rn_module)module,
                           back != NULL && back[module], err));
    }
    struct rn_encoder_layer *target = &encoder->layers[layer];
    const uint32_t d = encoder->config.hidden;
    RN_TRY(load_named(encoder, tensors, layer, "attention.output.LayerNorm.weight", d,
                      &target->gamma1, err));
    RN_TRY(load_named(encoder, tensors, layer, "attention.output.LayerNorm.bias", d, &target->beta1,
                      err));
    RN_TRY(load_named(encoder, tensors, layer, "output.LayerNorm.weight", d, &target->gamma2, err));
    return load_named(encoder, tensors, layer, "output.LayerNorm.bias", d, &target->beta2, err);
}

static rn_result load_embedding(struct rn_encoder *encoder, const struct rn_safetensors *tensors,
                                struct rn_error *err)
{
    const struct rn_model_config *c = &encoder->config;
    float *table[5] = {NULL};
    const struct {
        const char *name;
        uint32_t rows;
        uint32_t cols;
    } part[5] = {
        {"embeddings.word_embeddings.weight", c->vocabulary, c->hidden},
        {"embeddings.position_embeddings.weight", c->positions, c->hidden},
        {"embeddings.token_type_embeddings.weight", c->types, c->hidden},
        {"embeddings.LayerNorm.weight", c->hidden, 0},
        {"embeddings.LayerNorm.bias", c->hidden, 0},
    };
    rn_result result = rn_ok();
    for (size_t i = 0; i < RN_ARRAY_LENGTH(part) && rn_is_ok(result); i++) {
        result = load(encoder, tensors, part[i].name, part[i].rows, part[i].cols, &table[i], err);
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
                          const bool (*back)[RN_MODULE_COUNT], struct rn_error *err)
{
    *out =
        (struct rn_encoder){.kernels = kernels, .device = device, .lane = lane, .config = *config};
    out->below = checksums ? rn_alloc(config->layers, sizeof(*out->below)) : NULL;
    out->layers = rn_alloc(config->layers, sizeof(*out->layers));
    rn_result result = load_embedding(out, tensors, err);
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
        for (int module = 0; module < RN_MODULE_COUNT; module++) {
            encoder->kernels->weight_free(encoder->device, layer->weight[module]);
            release(encoder, layer->bias[module]);
        }
        release(encoder, layer->gamma1);
        release(encoder, layer->beta1);
        release(encoder, layer->gamma2);
        release(encoder, layer->beta2);
    }
    rn_free(encoder->layers);
    rn_free(encoder->below);
    *encoder = (struct rn_encoder){0};
}
