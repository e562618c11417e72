/* SPDX-License-Identifier: Apache-2.0
 *
 * The frozen base model: the embedding and the layers of a family (family.h), its weights on a
 * device in the backend's form, and the names of its modules and tensors.
 */
#ifndef RN_TRAINER_ENCODER_H
#define RN_TRAINER_ENCODER_H

#include "trainer/kernels/kernels.h"
#include "trainer/model/family.h"

struct rn_safetensors;

/* Of a module whose base is zero, the weight is a zero matrix for its first inputs alone, so many:
 * the product costs nothing, and its epilogue is all. */
#define RN_ZERO_COLUMNS 16u
static inline uint32_t rn_zero_columns(uint32_t columns)
{
    return columns < RN_ZERO_COLUMNS ? columns : RN_ZERO_COLUMNS;
}

/* Device float32 vectors and packed weights of one layer, by the rows of its block. */
struct rn_encoder_norm {
    float *gamma, *beta; /* [hidden] */
};
struct rn_encoder_layer {
    struct rn_weight *weight[RN_MODULES_MAX];
    float *bias[RN_MODULES_MAX]; /* NULL without */
    struct rn_encoder_norm norm[RN_NORMS_MAX];
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
                                  const bool (*back)[RN_MODULES_MAX], struct rn_error *err);
void rn_encoder_clear(struct rn_encoder *encoder);

/* A frozen matrix [n][k] in the backend's form, for `linear` or for both ways. */
RN_MUST rn_result rn_encoder_pack(const struct rn_encoder *encoder, const float *host_w, uint32_t n,
                                  uint32_t k, bool back, struct rn_weight **out,
                                  struct rn_error *err);

/* Outputs n and inputs k of a module: a row of the layer's block. */
void rn_module_shape(const struct rn_model_config *config, uint32_t module, uint32_t *out_n,
                     uint32_t *out_k);

#define RN_MODULE_NAME_MAX 128
/* "roberta.encoder.layer.3.attention.self.query" */
void rn_module_name(char out[static RN_MODULE_NAME_MAX], const struct rn_model_config *config,
                    uint32_t layer, uint32_t module);

/* Host float32 copy of a tensor in device memory of the encoder's device; RN_E_DATA when missing or
 * of another shape. rest is the name without "bert." or "roberta."; cols 0: a vector. */
RN_MUST rn_result rn_encoder_tensor(const struct rn_encoder *encoder,
                                    const struct rn_safetensors *tensors, const char *rest,
                                    uint32_t rows, uint32_t cols, float *out, struct rn_error *err);

#endif
