/* SPDX-License-Identifier: Apache-2.0
 *
 * The frozen base model: a post-LayerNorm encoder of the BERT family, its weights on a device in
 * the backend's form, and the names of its modules and tensors.
 *
 * Per layer, for the tokens x [T, d] (f = intermediate):
 *   q, k, v = x Wq^T + bq, ...        [T, d]
 *   o  = attention(q, k, v)           [T, d]
 *   y1 = o Wo^T + bo + x              [T, d]
 *   x1 = LayerNorm(y1)                [T, d]
 *   u  = x1 Wi^T + bi                 [T, f]
 *   y2 = gelu(u) Wf^T + bf + x1       [T, d]
 *   x' = LayerNorm(y2)                [T, d]
 */
#ifndef RN_TRAINER_ENCODER_H
#define RN_TRAINER_ENCODER_H

#include "trainer/kernels/kernels.h"
#include "trainer/model/modelconfig.h"

struct rn_safetensors;

/* The linear modules of a layer, in the model's own order. */
enum rn_module {
    RN_MODULE_QUERY,
    RN_MODULE_KEY,
    RN_MODULE_VALUE,
    RN_MODULE_ATTENTION_OUTPUT,
    RN_MODULE_INTERMEDIATE,
    RN_MODULE_OUTPUT,
    RN_MODULE_COUNT,
};

/* Device float32 vectors and packed weights of one layer. */
struct rn_encoder_layer {
    struct rn_weight *weight[RN_MODULE_COUNT];
    float *bias[RN_MODULE_COUNT];
    float *gamma1, *beta1, *gamma2, *beta2; /* [d] */
};

struct rn_encoder {
    const struct rn_kernels *kernels;
    struct rn_device *device;
    struct rn_lane *lane; /* borrowed; for uploads while nothing else runs */
    struct rn_model_config config;
    struct rn_embedding embedding;
    struct rn_encoder_layer *layers; /* [config.layers] */
    uint64_t parameters;             /* elements read */
    uint64_t bytes;                  /* device memory held */
    uint64_t *below; /* [config.layers]: checksum of the float32 values of the embedding and of all
                        layers below; NULL unless asked for */
    uint64_t checksum; /* of what is read so far */
};

/* Loads embeddings and layers. back [config.layers][modules]: which matrices serve linear_back too;
 * NULL: none. RN_E_DATA when a tensor is missing or of another shape. On failure out is cleared. */
RN_MUST rn_result rn_encoder_init(struct rn_encoder *out, const struct rn_kernels *kernels,
                                  struct rn_device *device, struct rn_lane *lane,
                                  const struct rn_model_config *config,
                                  const struct rn_safetensors *tensors, bool checksums,
                                  const bool (*back)[RN_MODULE_COUNT], struct rn_error *err);
void rn_encoder_clear(struct rn_encoder *encoder);

/* A frozen matrix [n][k] in the backend's form, for `linear` or for both ways. */
RN_MUST rn_result rn_encoder_pack(const struct rn_encoder *encoder, const float *host_w, uint32_t n,
                                  uint32_t k, bool back, struct rn_weight **out,
                                  struct rn_error *err);

/* Outputs n and inputs k of a module. */
void rn_module_shape(const struct rn_model_config *config, enum rn_module module, uint32_t *out_n,
                     uint32_t *out_k);

#define RN_MODULE_NAME_MAX 128
/* "roberta.encoder.layer.3.attention.self.query" */
void rn_module_name(char out[static RN_MODULE_NAME_MAX], const struct rn_model_config *config,
                    uint32_t layer, enum rn_module module);

/* Host float32 copy of a tensor in device memory of the encoder's device; RN_E_DATA when missing or
 * of another shape. rest is the name without "bert." or "roberta."; cols 0: a vector. */
RN_MUST rn_result rn_encoder_tensor(const struct rn_encoder *encoder,
                                    const struct rn_safetensors *tensors, const char *rest,
                                    uint32_t rows, uint32_t cols, float *out, struct rn_error *err);

#endif
