/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations of the reference backend: plain loops, every activation and every sum in float64.
 * Their contracts stand in trainer/kernels/kernels.h.
 */
#ifndef RN_TRAINER_KERNELS_REF_REF_KERNELS_H
#define RN_TRAINER_KERNELS_REF_REF_KERNELS_H

#include "trainer/kernels/host.h"

struct rn_weight {
    uint32_t n;
    uint32_t k;
    float *w; /* [n][k] */
};

struct rn_lane {
    double *scores; /* [length] attention probabilities of one row */
};

/* f and f' of an activation at x; derivative of TANH from its output. */
double rn_ref_activate(enum rn_activation f, double x);
double rn_ref_slope(enum rn_activation f, double kept);

rn_result rn_ref_weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            struct rn_weight **out, struct rn_error *err);
void rn_ref_weight_free(struct rn_device *device, struct rn_weight *weight);
size_t rn_ref_weight_bytes(const struct rn_weight *weight);
void rn_ref_linear(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                   const struct rn_epilogue *epilogue, struct rn_mat y);
void rn_ref_linear_back(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                        const struct rn_epilogue *epilogue, struct rn_mat dx);
void rn_ref_thin(struct rn_lane *lane, struct rn_mat x, const float *a, struct rn_mat h);
void rn_ref_thin_transpose(struct rn_lane *lane, const float *b, uint32_t n, uint32_t r,
                           float scale, float *out);
void rn_ref_outer_sum(struct rn_lane *lane, const struct rn_sequences *sequences, struct rn_mat u,
                      struct rn_mat v, float scale, bool transposed, size_t per_sequence,
                      float *out);
void rn_ref_dense(struct rn_lane *lane, struct rn_mat x, const float *w, const float *bias,
                  enum rn_activation activation, struct rn_mat y);
void rn_ref_dense_back(struct rn_lane *lane, struct rn_mat dy, const float *w, struct rn_mat kept,
                       enum rn_activation slope_of, struct rn_mat dx);
void rn_ref_column_sum(struct rn_lane *lane, struct rn_mat m, float *out);

void rn_ref_rows_store(struct rn_lane *lane, struct rn_mat m, size_t stride, float *out);
void rn_ref_clip_add(struct rn_lane *lane, uint32_t count, size_t n, const float *grads,
                     size_t stride, const struct rn_clip *clip, int64_t *sum, double *norms);
void rn_ref_clip_add_outer(struct rn_lane *lane, uint32_t count, const struct rn_example_rows *rows,
                           const struct rn_clip *clip, int64_t *sum, double *norms);
void rn_ref_noisy_mean(struct rn_lane *lane, size_t n, const int64_t *sum, const int64_t *noise,
                       double factor, float *g);

void rn_ref_embed(struct rn_lane *lane, const struct rn_embedding *e, const int32_t *ids,
                  const int32_t *type_ids, const int32_t *position_ids, struct rn_mat y);
void rn_ref_norm(struct rn_lane *lane, struct rn_mat x, const float *gamma, const float *beta,
                 float eps, struct rn_mat y, struct rn_mat stats);
void rn_ref_norm_back(struct rn_lane *lane, struct rn_mat x, struct rn_mat stats,
                      const float *gamma, struct rn_mat dy, struct rn_mat dx);
void rn_ref_attention(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                      struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse);
void rn_ref_attention_back(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                           struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse,
                           struct rn_mat dout, struct rn_mat dq, struct rn_mat dk,
                           struct rn_mat dv);
void rn_ref_scatter_add_rows(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                             struct rn_mat y);

void rn_ref_cross_entropy(struct rn_lane *lane, struct rn_mat logits, const int32_t *labels,
                          float scale, struct rn_mat dlogits, double *loss);
void rn_ref_squared_error(struct rn_lane *lane, struct rn_mat logits, const float *targets,
                          float scale, struct rn_mat dlogits, double *loss);
void rn_ref_vector_add(struct rn_lane *lane, size_t n, const float *x, float *y);
void rn_ref_vector_scale(struct rn_lane *lane, size_t n, float factor, float *x);
double rn_ref_vector_square_sum(struct rn_lane *lane, size_t n, const float *x);
void rn_ref_sgd(struct rn_lane *lane, size_t n, float lr, float weight_decay, const float *g,
                float *p);
void rn_ref_adamw(struct rn_lane *lane, size_t n, const struct rn_adamw *o, const float *g,
                  float *m, float *v, float *p);

#endif
