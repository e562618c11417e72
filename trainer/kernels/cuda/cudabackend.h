/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of the CUDA backend; contracts in trainer/kernels/kernels.h.
 *
 * Wide activations and the residual stream are bf16; matrices of few columns, the head, sums,
 * softmax, adapters and the optimiser float32 (losses and the gradient's norm float64). Frozen
 * weights are bf16, and so is what they are multiplied with. One lane: one stream.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDABACKEND_H
#define RN_TRAINER_KERNELS_CUDA_CUDABACKEND_H

#include "trainer/kernels/cuda/cudagraph.h"
#include "trainer/kernels/cuda/cudaport.h"
#include "trainer/kernels/kernels.h"

struct rn_device {
    struct rn_port *port;
    double *square_parts; /* device [RN_CUDA_SQUARE_PARTS], and on the host */
    double *square_parts_host;
};

struct rn_lane {
    struct rn_port *port;
    struct rn_lane_limits limits;
    struct rn_cuda_graphs *graphs;
    float *partial; /* gradients of some sequences, before they are added */
    size_t partial_count;
    float *row_delta; /* [heads][rows] between the two kernels of attention's gradient */
    double *square_parts, *square_parts_host; /* the device's */
    struct rn_bf16 *bias;    /* [width] a bias in the form that the products want */
    struct rn_bf16 *rounded; /* rows of a float32 matrix, likewise */
    size_t rounded_count;
    double *clip_squares; /* [RN_CUDA_CLIP_PIECES], of clip_add; lengths twice as many */
    uint64_t *clip_lengths;
    double *clip_factor; /* [RN_CUDA_CLIP_EXAMPLES] */
    float *read;         /* read_mat: rows in float32 */
    size_t read_count;
    struct rn_port_staging *staging; /* upload_many: of staged_count words, and on the device */
    uint32_t *staged;
    size_t staged_count;
    struct rn_cuda_rates *rates; /* device; of update */
    struct rn_cuda_norm *norm;
};

/* Partial gradients are kept for as many sequences as fit into this, at least for one. */
#define RN_CUDA_PARTIAL_BYTES ((size_t)64 << 20)
/* Elements that read_mat moves at a time, at least one row. */
#define RN_CUDA_READ_COUNT ((size_t)65536)
/* clip_add: most pieces of RN_CUDA_CLIP_PIECE elements of one gradient, and of a group of examples
 * that goes through the kernels together; most examples of a group; the greatest grid. */
#define RN_CUDA_CLIP_PIECES ((size_t)1 << 16)
#define RN_CUDA_CLIP_EXAMPLES ((size_t)4096)
#define RN_CUDA_CLIP_GRID_MAX 0x1p31
/* Blocks of one square-sum launch. */
#define RN_CUDA_SQUARE_PARTS 65536

struct rn_cuda_mat rn_cuda_view(struct rn_mat m);
struct rn_mat rn_cuda_rows(struct rn_mat m, uint32_t first, uint32_t count);
/* Whether rows of m can be read eight bf16 at a time. */
bool rn_cuda_vectors(struct rn_mat m);
/* Whether a product can write to m, or add it: aligned bf16 or float32. */
bool rn_cuda_product_fits(struct rn_mat m);
/* A kernel that wants one thread per element of a vector. */
void rn_cuda_launch_elements(struct rn_lane *lane, enum rn_cuda_kernel kernel, size_t n,
                             const void *args);
/* A kernel with one warp a row. */
void rn_cuda_launch_warps(struct rn_lane *lane, enum rn_cuda_kernel kernel, uint32_t rows,
                          const void *args);
/* A kernel with block (row, tile of columns). */
void rn_cuda_launch_rows(struct rn_lane *lane, enum rn_cuda_kernel kernel, uint32_t rows,
                         uint32_t cols, const void *args);
/* Threads of a block everywhere but in attention. */
enum { RN_CUDA_THREADS = 256, RN_CUDA_WARPS = RN_CUDA_THREADS / 32 };

/* cudalinear.c */
rn_result rn_cuda_weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                             struct rn_weight **out, struct rn_error *err);
void rn_cuda_weight_free(struct rn_device *device, struct rn_weight *weight);
size_t rn_cuda_weight_bytes(const struct rn_weight *weight);
void rn_cuda_linear_op(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                       const struct rn_epilogue *epilogue, struct rn_mat y);
void rn_cuda_linear_back_op(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                            const struct rn_epilogue *epilogue, struct rn_mat dx);
void rn_cuda_thin_op(struct rn_lane *lane, struct rn_mat x, const float *a, struct rn_mat h);
void rn_cuda_thin_transpose_op(struct rn_lane *lane, const float *b, uint32_t n, uint32_t r,
                               float scale, float *out);
void rn_cuda_outer_sum_op(struct rn_lane *lane, const struct rn_sequences *sequences,
                          struct rn_mat u, struct rn_mat v, float scale, bool transposed,
                          size_t per_sequence, float *out);

/* cudaencoder.c */
void rn_cuda_embed_op(struct rn_lane *lane, const struct rn_embedding *e, const int32_t *ids,
                      const int32_t *type_ids, const int32_t *position_ids, struct rn_mat y);
void rn_cuda_norm_op(struct rn_lane *lane, struct rn_mat x, const float *gamma, const float *beta,
                     float eps, struct rn_mat y, struct rn_mat stats);
void rn_cuda_norm_back_op(struct rn_lane *lane, struct rn_mat x, struct rn_mat stats,
                          const float *gamma, struct rn_mat dy, struct rn_mat dx);
void rn_cuda_attention_op(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                          struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse);
void rn_cuda_attention_back_op(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                               struct rn_mat k, struct rn_mat v, struct rn_mat out,
                               struct rn_mat lse, struct rn_mat dout, struct rn_mat dq,
                               struct rn_mat dk, struct rn_mat dv);
void rn_cuda_gather_rows_op(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                            struct rn_mat out);
void rn_cuda_scatter_add_rows_op(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                                 struct rn_mat y);
void rn_cuda_zero_mat_op(struct rn_lane *lane, struct rn_mat m);
void rn_cuda_read_mat_op(struct rn_lane *lane, struct rn_mat m, float *to_host);

/* cudadp.c */
void rn_cuda_rows_store_op(struct rn_lane *lane, struct rn_mat m, size_t stride, float *out);
void rn_cuda_clip_add_op(struct rn_lane *lane, uint32_t count, size_t n, const float *grads,
                         size_t stride, const struct rn_clip *clip, int64_t *sum, double *norms);
void rn_cuda_noisy_mean_op(struct rn_lane *lane, size_t n, const int64_t *sum, const int64_t *noise,
                           double factor, float *g);

/* cudahead.c */
void rn_cuda_dense_op(struct rn_lane *lane, struct rn_mat x, const float *w, const float *bias,
                      enum rn_activation activation, struct rn_mat y);
void rn_cuda_dense_back_op(struct rn_lane *lane, struct rn_mat dy, const float *w,
                           struct rn_mat kept, enum rn_activation slope_of, struct rn_mat dx);
void rn_cuda_column_sum_op(struct rn_lane *lane, struct rn_mat m, float *out);
void rn_cuda_cross_entropy_op(struct rn_lane *lane, struct rn_mat logits, const int32_t *labels,
                              float scale, struct rn_mat dlogits, double *loss);
void rn_cuda_squared_error_op(struct rn_lane *lane, struct rn_mat logits, const float *targets,
                              float scale, struct rn_mat dlogits, double *loss);
void rn_cuda_vector_add_op(struct rn_lane *lane, size_t n, const float *x, float *y);
void rn_cuda_vector_scale_op(struct rn_lane *lane, size_t n, float factor, float *x);
double rn_cuda_vector_square_sum_op(struct rn_lane *lane, size_t n, const float *x);
void rn_cuda_sgd_op(struct rn_lane *lane, size_t n, float lr, float weight_decay, const float *g,
                    float *p);
void rn_cuda_adamw_op(struct rn_lane *lane, size_t n, const struct rn_adamw *o, const float *g,
                      float *m, float *v, float *p);

/* cudamany.c */
void rn_cuda_upload_many_op(struct rn_lane *lane, const struct rn_upload *parts, size_t count);
void rn_cuda_thin_transposes_op(struct rn_lane *lane, const struct rn_transpose *sites,
                                size_t count, uint32_t r, float scale, const float *b, float *out);
bool rn_cuda_update_op(struct rn_lane *lane, const struct rn_update *update, double *out_square);

/* What the shared object exports; NULL when no device answers. */
__attribute__((visibility("default"))) const struct rn_kernels *rn_kernels_cuda_table(void);

#endif
