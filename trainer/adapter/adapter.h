/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that can train, as one flat float32 vector on the device: LoRA matrices and the head,
 * with its layout, its start values, and a gradient of the same layout. In device memory all A
 * stand first, then all B, then the head, each in the order of the layout, so that what trains in a
 * round is one or two runs of elements; `places` maps the layout's segments to it.
 *
 * The head of a RoBERTa classifier is classifier.dense (tanh) and classifier.out_proj; of a BERT
 * classifier it is `classifier`, above the pooler (dense, tanh), whose
 * own weights never train; of rondo-mlp it is `classifier` without bias, read by nothing else. A
 * pooler or head that the checkpoint lacks comes from the seed: weights normal with the deviation
 * 0.02 (initializer_range of the families), biases zero; stream = the tensor's name. A site's A
 * comes from the stream "<module>.lora_A.weight"; B is zero but on a base of zero, where it comes
 * from "<module>.lora_B.weight" (mlp.c).
 */
#ifndef RN_TRAINER_ADAPTER_H
#define RN_TRAINER_ADAPTER_H

#include "trainer/adapter/peftfile.h"
#include "trainer/adapter/state.h"
#include "trainer/model/encoder.h"

#define RN_HEAD_DEVIATION 0.02

/* The one linear module above the layers that LoRA may adapt: the pooler of BERT. */
#define RN_POOLER_NAME "bert.pooler.dense"

/* One adapted module. Offsets are elements of the device vector. */
struct rn_site {
    uint32_t layer;
    uint32_t module;   /* row of the layer's block */
    bool pooler;       /* then layer and module mean nothing */
    uint32_t n, k;     /* outputs, inputs */
    size_t a;          /* [rank][k] */
    size_t b;          /* [n][rank] */
    size_t transposed; /* [rank][n] = scale B^T in `transposed` memory */
};

/* Offsets of the head in the device vector; SIZE_MAX = not there. */
struct rn_head_places {
    size_t dense_w, dense_b;           /* RoBERTa: [d][d], [d] */
    size_t classifier_w, classifier_b; /* [labels][d], [labels] (not of rondo-mlp) */
};

struct rn_adapter {
    const struct rn_encoder *encoder;
    struct rn_peft_config config; /* rank 0 = no sites */
    float scale;
    uint32_t label_count;
    struct rn_site *sites; /* by layer, then module */
    size_t site_count;
    int32_t (*site_of)[RN_MODULES_MAX]; /* [layers]: index into sites or -1 */
    uint32_t lowest;                    /* lowest adapted layer; layers when none */
    struct rn_segment *segments;        /* of the whole vector, in order */
    size_t segment_count;
    size_t *places;    /* of each segment in device memory */
    size_t count;      /* elements */
    size_t head_first; /* the head is elements head_first .. count-1 */
    size_t transposed_count;
    struct rn_head_places head;
    struct rn_weight *pooler; /* BERT, else NULL */
    float *pooler_b;          /* device [d] */
    float *pooler_host;       /* host [d][d], [d]: what the two above hold */
    int32_t pooler_site;      /* number of its site, or -1 */
    bool pooler_back;         /* `pooler` serves linear_back too */
    bool head_from_seed;
    bool pooler_from_seed;
    bool pooler_loaded; /* with an adapter */
};

/* Where start values come from. */
struct rn_adapter_start {
    enum rn_lora_init init;
    uint64_t seed;
    bool new_head; /* not the checkpoint's head, even where it has one */
    bool back;     /* the pooler's product is taken backwards too (rn_adapter_below) */
};

/* Finds the sites, lays the vector out, fills the values of out_state from the seed and the
 * checkpoint. Takes config over (also on failure). RN_E_CONFIG when a target or layer matches
 * nothing, or the checkpoint's head has another number of classes. */
RN_MUST rn_result rn_adapter_init(struct rn_adapter *out, const struct rn_encoder *encoder,
                                  struct rn_peft_config *config, uint32_t label_count,
                                  const struct rn_adapter_start *start,
                                  const struct rn_safetensors *tensors, struct rn_state *out_state,
                                  struct rn_error *err);
/* Sites and layout alone, without values, from the model's configuration: nothing on the device.
 * Takes config over as rn_adapter_init does. */
RN_MUST rn_result rn_adapter_shape(struct rn_adapter *out, const struct rn_encoder *encoder,
                                   struct rn_peft_config *config, uint32_t label_count,
                                   bool pooler_from_seed, struct rn_error *err);
/* Whether the checkpoint lacks the pooler that a model of this family needs. */
bool rn_adapter_pooler_missing(const struct rn_model_config *config,
                               const struct rn_safetensors *tensors);
void rn_adapter_clear(struct rn_adapter *adapter);

/* The slots of a layer's program whose gradients depend on what trains: its input when something
 * below the layer does, or `full` (but a row of numbers: nothing is below it), and whatever is
 * computed from an adapted module. */
void rn_adapter_wanted(const struct rn_adapter *adapter, bool full, uint32_t layer,
                       const struct rn_program *program, bool out[static RN_SLOTS_MAX]);
/* Whether backward goes below each of the layer's modules, that is, forms its input's gradient. */
void rn_adapter_below(const struct rn_adapter *adapter, bool full, uint32_t layer,
                      bool out[static RN_MODULES_MAX]);
/* Whether it goes below the head at all. */
bool rn_adapter_below_head(const struct rn_adapter *adapter, bool full);

/* Replaces the pooler's weight [d][d] and bias [d] (host memory). */
RN_MUST rn_result rn_adapter_set_pooler(struct rn_adapter *adapter, const float *w, const float *b,
                                        struct rn_error *err);

/* Brings scale * B^T up to date; needed after any change of values. */
void rn_adapter_refresh(const struct rn_adapter *adapter, const struct rn_state *state,
                        struct rn_lane *lane);

/* Whether a segment belongs to a selection. */
bool rn_segment_chosen(const struct rn_segment *segment, enum rn_matrix matrices, bool with_head);

/* ---- The vector as a flat one of a selection, in the order of the layout (adapterflat.c) ---- */

/* Between host memory and a vector on the device (the values, a moment). Both leave their work in
 * the lane. */
void rn_adapter_download(const struct rn_adapter *adapter, struct rn_lane *lane,
                         enum rn_matrix matrices, bool with_head, const float *vector, float *out);
void rn_adapter_upload(const struct rn_adapter *adapter, struct rn_lane *lane,
                       enum rn_matrix matrices, bool with_head, float *vector, const float *values);
/* RN_E_ROUND_NUMERIC, with the number of the first value that is not finite. */
RN_MUST rn_result rn_adapter_check_finite(const float *values, size_t count, struct rn_error *err);
/* Reads and replaces the values of a state; both wait. set refuses what is not finite and then
 * changes nothing. */
RN_MUST rn_result rn_adapter_get(const struct rn_adapter *adapter, const struct rn_state *state,
                                 struct rn_lane *lane, enum rn_matrix matrices, bool with_head,
                                 float *out_values, struct rn_error *err);
RN_MUST rn_result rn_adapter_set(const struct rn_adapter *adapter, struct rn_state *state,
                                 struct rn_lane *lane, enum rn_matrix matrices, bool with_head,
                                 const float *values, size_t count, struct rn_error *err);

/* ---- As a PEFT directory (adapterpeft.c) ---- */

/* extra: what goes into rondo.json. RN_E_USAGE without an adapter. */
RN_MUST rn_result rn_adapter_save(const struct rn_adapter *adapter, const struct rn_state *state,
                                  struct rn_lane *lane, const struct rn_peft_extra *extra,
                                  const char *dir, const char *provenance, struct rn_error *err);
RN_MUST rn_result rn_adapter_load(struct rn_adapter *adapter, struct rn_state *state,
                                  struct rn_lane *lane, const char *dir, struct rn_error *err);

#endif
