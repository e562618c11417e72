/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of our CUDA kernels and the list of them; shared by the kernels (C11 and CUDA C++) and
 * by the C code that launches them.
 *
 * Every kernel computes each output element in an order that depends neither on the number of rows
 * nor on the launch geometry, without atomic additions.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAARGS_H
#define RN_TRAINER_KERNELS_CUDA_CUDAARGS_H

#include <stdint.h>

struct rn_bf16 {
    uint16_t bits;
};

/* No struct of arguments has padding, so that equal arguments are equal bytes (cudatrace.h). */
#ifndef __CUDACC__
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#endif

/* A row-major matrix of bf16 or float32 elements. data NULL = absent. */
struct rn_cuda_mat {
    void *data;
    int64_t ld;
    int32_t is_bf16;
    int32_t unused;
};

/* as enum rn_activation */
enum { RN_CUDA_NONE = 0, RN_CUDA_GELU = 1, RN_CUDA_TANH = 2, RN_CUDA_RELU = 3 };

/* LayerNorm and its gradient. One warp a row; x, y, dy, dx are bf16 (in _any: either type). */
struct rn_norm_args {
    struct rn_cuda_mat x, y, stats; /* stats[row][2] = mean, 1/deviation */
    const float *gamma, *beta;
    int32_t rows, cols;
    float eps;
    int32_t unused;
};
/* dx may be dy. */
struct rn_norm_back_args {
    struct rn_cuda_mat x, stats, dy, dx;
    const float *gamma;
    int32_t rows, cols;
};
/* Sum of three embedding rows, LayerNorm. One warp a row. */
struct rn_embed_args {
    const float *words, *positions, *types; /* types NULL = none */
    const float *gamma, *beta;
    const int32_t *ids, *type_ids, *position_ids;
    struct rn_cuda_mat y;
    int32_t rows, cols;
    float eps;
    int32_t unused;
};

/* What follows a matrix product, on its result s = source[row][n]: s += bias[n] (NULL: none);
 * s += sum_j h[row][j] b[j][n] with b of the row's owner; s += residual (rn_cuda_epilogue_any
 * alone); pre = f'(s) (GELU) or s; s = f(s); s *= f'(slope) (GELU: `slope` holds f'); y = s. y may
 * be source. */
struct rn_epilogue_args {
    struct rn_cuda_mat source, h, residual, pre, slope, y;
    const float *bias, *b; /* b[rank][cols], one after the other by owner_stride elements */
    const int32_t *owner;  /* [rows]; NULL = all 0 */
    int64_t owner_stride;
    int32_t rows, cols, rank;
    int32_t activation, slope_of;
    int32_t unused;
};

/* Attention over packed sequences; head h is columns h*head .. of every matrix. Block = (tile of
 * queries or keys, head, sequence). first_query: one query row a sequence, row = sequence. */
struct rn_attention_args {
    struct rn_cuda_mat q, k, v, out, lse;
    struct rn_cuda_mat dout, dq, dk, dv;
    float *row_delta; /* backward: [heads][queries], written by _queries, read by _keys */
    const int32_t *cu;
    int32_t queries; /* rows of q */
    int32_t head_dim, first_query;
    float scale;
};

/* h[row][j] = sum_c x[row][c] w[j][c]. A warp computes RN_CUDA_THIN_ROWS rows. rn_cuda_thin wants x
 * in bf16, aligned to 16 bytes, and columns in multiples of 8. */
struct rn_thin_args {
    struct rn_cuda_mat x, h;
    const float *w;
    int32_t rows, cols, rank;
    int32_t unused;
};
enum { RN_CUDA_THIN_ROWS = 4 };
/* out[j][c] = scale * b[c][j] */
struct rn_thin_transpose_args {
    const float *b;
    float *out;
    int32_t n, rank;
    float scale;
    int32_t unused;
};
/* The same for many sites in one launch: block (tile of columns, rank, site). A site whose columns
 * are fewer than the grid's has idle blocks. */
struct rn_cuda_site {
    int64_t b, out;
    int32_t n;
    int32_t unused;
};
enum { RN_CUDA_SITES = 96 };
struct rn_thin_transposes_args {
    const float *b;
    float *out;
    int32_t rank;
    float scale;
    struct rn_cuda_site sites[RN_CUDA_SITES];
};
/* Block (tile of columns, group of 8 ranks, sequence): out[sequence * stride + p * step_p +
 * c * step_c] = scale * sum over the sequence's rows of u[row][p] v[row][c]. cu NULL: sequence i is
 * row i. */
struct rn_outer_args {
    struct rn_cuda_mat u, v;
    const int32_t *cu;
    float *out;
    int64_t stride, step_p, step_c;
    int32_t first; /* sequence of blockIdx.z = 0 */
    int32_t rank, cols;
    float scale;
};
enum { RN_CUDA_OUTER_RANKS = 8, RN_CUDA_OUTER_TOKENS = 32 };
/* out[p * step_p + c * step_c] += scale * u[0][p] v[0][c] + ... over the rows in order */
struct rn_outer_rows_args {
    struct rn_cuda_mat u, v;
    float *out;
    int64_t step_p, step_c;
    int32_t rows, cols;
    float scale;
    int32_t unused;
};
/* out[i] = out[i] + part[0][i] + part[1][i] + ... in this order */
struct rn_outer_sum_args {
    const float *part;
    float *out;
    int64_t n;
    int32_t count;
    int32_t unused;
};

/* y[row][n] = f(sum_k x[row][k] w[n][k] + bias[n]): block (n), a warp a row. */
struct rn_dense_args {
    struct rn_cuda_mat x, y;
    const float *w, *bias;
    int32_t rows, n, k, activation;
};
/* dx[row][k] = f'(slope) * sum_n dy[row][n] w[n][k]: block (8 rows, tile of k) */
struct rn_dense_back_args {
    struct rn_cuda_mat dy, slope, dx;
    const float *w;
    int32_t rows, n, k, slope_of;
};
enum { RN_CUDA_DENSE_ROWS = 8 };
/* out[c] += sum of column c */
struct rn_column_sum_args {
    struct rn_cuda_mat m;
    float *out;
    int32_t rows, cols;
};
/* Cross entropy: a warp a row; squared error: a thread a row. dlogits.data NULL: loss alone. labels
 * or targets. */
struct rn_loss_args {
    struct rn_cuda_mat logits, dlogits;
    const int32_t *labels;
    const float *targets;
    double *loss;
    int32_t rows, cols;
    float scale;
    int32_t unused;
};

/* out[i] = x[index[i]] */
struct rn_rows_args {
    struct rn_cuda_mat x, out;
    const int32_t *index;
    int32_t rows, cols;
};
struct rn_vector_args {
    const float *x;
    float *y;
    int64_t n;
    float factor;
    int32_t unused;
};
/* to[i] = bf16 of x[i] */
struct rn_narrow_args {
    const float *x;
    struct rn_bf16 *to;
    int64_t n;
};
/* Partial sums of squares in float64, one a block, over a fixed stretch of elements. */
struct rn_square_sum_args {
    const float *x;
    double *part;
    int64_t n;
};
enum { RN_CUDA_SQUARE_STRETCH = 4096 };
struct rn_sgd_args {
    const float *g;
    float *p;
    int64_t n;
    float lr, weight_decay;
};
struct rn_adamw_args {
    const float *g;
    float *m, *v, *p;
    int64_t n;
    float beta1, beta2, eps;
    float decay;      /* 1 - lr * weight_decay */
    float step;       /* lr / correction1 */
    float root_scale; /* 1 / sqrt(correction2) */
};

/* Words of one upload to where they belong: block (tile of words, part). */
struct rn_cuda_part {
    uint32_t *to;
    int64_t from, words;
};
enum { RN_CUDA_PARTS = 16 };
struct rn_spread_args {
    const uint32_t *from;
    struct rn_cuda_part parts[RN_CUDA_PARTS];
};

/* A clipped step of the optimiser (kernels.h, struct rn_update). What differs from step to step
 * lies in device memory, so that the step can be recorded. */
enum { RN_CUDA_UPDATE_RANGES = 4 };
struct rn_cuda_rates {
    float lr[RN_CUDA_UPDATE_RANGES];    /* sgd */
    float decay[RN_CUDA_UPDATE_RANGES]; /* adamw, as in rn_adamw_args */
    float step[RN_CUDA_UPDATE_RANGES];
    float root_scale;
    float unused;
};
struct rn_cuda_norm {
    double square; /* of the gradient */
    float factor;  /* that clips it; 1 = it fits */
    int32_t good;  /* square is finite */
};
/* The ranges' sums of squares lie one after the other in `part`: parts[i] of range i. */
struct rn_update_norm_args {
    const double *part;
    struct rn_cuda_norm *out;
    double clip;
    int32_t parts[RN_CUDA_UPDATE_RANGES];
};
/* Block (tile of elements, range). m NULL: sgd. */
struct rn_update_args {
    const float *g;
    float *m, *v, *p;
    const struct rn_cuda_rates *rates;
    const struct rn_cuda_norm *norm;
    int64_t offset[RN_CUDA_UPDATE_RANGES], count[RN_CUDA_UPDATE_RANGES];
    float beta1, beta2, eps, weight_decay;
};

/* Clipping of `count` examples with n elements each (cuda_dp.cu). */
struct rn_clip_args {
    const float *grads;
    int64_t n, stride;
    double clip_norm, gamma;
    double unit;       /* grid / clip_norm */
    double grid;       /* a whole number, at most 2^31 */
    double *squares;   /* [count][pieces] sums of squares */
    uint64_t *lengths; /* [count][pieces][2] exact sums of v^2, low word first */
    double *factor;    /* [count]; 0 = contributes nothing */
    double *norms;     /* [count]; NULL = not wanted */
    int64_t *sum;
    int32_t count, pieces;
};
enum { RN_CUDA_CLIP_PIECE = 4096, RN_CUDA_CLIP_THREADS = 256 };
/* g[j] = (float)((sum[j] + noise[j]) * factor) */
struct rn_noisy_mean_args {
    const int64_t *sum, *noise;
    float *g;
    int64_t n;
    double factor;
};

#ifndef __CUDACC__
#pragma GCC diagnostic pop
#endif

/* X(name, argument struct): every kernel. Attention comes once a head size. */
#define RN_CUDA_ATTENTION_KERNELS(X, head)                             \
    X(rn_cuda_attention_##head, struct rn_attention_args)              \
    X(rn_cuda_attention_back_queries_##head, struct rn_attention_args) \
    X(rn_cuda_attention_back_keys_##head, struct rn_attention_args)
#define RN_CUDA_KERNELS(X)                                     \
    X(rn_cuda_norm_1024, struct rn_norm_args)                  \
    X(rn_cuda_norm_2048, struct rn_norm_args)                  \
    X(rn_cuda_norm_any, struct rn_norm_args)                   \
    X(rn_cuda_norm_back_1024, struct rn_norm_back_args)        \
    X(rn_cuda_norm_back_2048, struct rn_norm_back_args)        \
    X(rn_cuda_norm_back_any, struct rn_norm_back_args)         \
    X(rn_cuda_embed, struct rn_embed_args)                     \
    X(rn_cuda_epilogue, struct rn_epilogue_args)               \
    X(rn_cuda_epilogue_any, struct rn_epilogue_args)           \
    RN_CUDA_ATTENTION_KERNELS(X, 16)                           \
    RN_CUDA_ATTENTION_KERNELS(X, 32)                           \
    RN_CUDA_ATTENTION_KERNELS(X, 64)                           \
    RN_CUDA_ATTENTION_KERNELS(X, 96)                           \
    RN_CUDA_ATTENTION_KERNELS(X, 128)                          \
    RN_CUDA_ATTENTION_KERNELS(X, any)                          \
    X(rn_cuda_thin, struct rn_thin_args)                       \
    X(rn_cuda_thin_any, struct rn_thin_args)                   \
    X(rn_cuda_thin_transpose, struct rn_thin_transpose_args)   \
    X(rn_cuda_thin_transposes, struct rn_thin_transposes_args) \
    X(rn_cuda_spread, struct rn_spread_args)                   \
    X(rn_cuda_update_norm, struct rn_update_norm_args)         \
    X(rn_cuda_update, struct rn_update_args)                   \
    X(rn_cuda_outer, struct rn_outer_args)                     \
    X(rn_cuda_outer_sum, struct rn_outer_sum_args)             \
    X(rn_cuda_outer_rows, struct rn_outer_rows_args)           \
    X(rn_cuda_clip_squares, struct rn_clip_args)               \
    X(rn_cuda_clip_factor, struct rn_clip_args)                \
    X(rn_cuda_clip_lengths, struct rn_clip_args)               \
    X(rn_cuda_clip_check, struct rn_clip_args)                 \
    X(rn_cuda_clip_sum, struct rn_clip_args)                   \
    X(rn_cuda_noisy_mean, struct rn_noisy_mean_args)           \
    X(rn_cuda_dense, struct rn_dense_args)                     \
    X(rn_cuda_dense_back, struct rn_dense_back_args)           \
    X(rn_cuda_column_sum, struct rn_column_sum_args)           \
    X(rn_cuda_cross_entropy, struct rn_loss_args)              \
    X(rn_cuda_squared_error, struct rn_loss_args)              \
    X(rn_cuda_gather_rows, struct rn_rows_args)                \
    X(rn_cuda_scatter_add_rows, struct rn_rows_args)           \
    X(rn_cuda_zero_mat, struct rn_rows_args)                   \
    X(rn_cuda_read_mat, struct rn_rows_args)                   \
    X(rn_cuda_vector_add, struct rn_vector_args)               \
    X(rn_cuda_vector_scale, struct rn_vector_args)             \
    X(rn_cuda_narrow, struct rn_narrow_args)                   \
    X(rn_cuda_square_sum, struct rn_square_sum_args)           \
    X(rn_cuda_sgd, struct rn_sgd_args)                         \
    X(rn_cuda_adamw, struct rn_adamw_args)

#define RN_CUDA_KERNEL_ID(name, type) RN_ID_##name,
enum rn_cuda_kernel { RN_CUDA_KERNELS(RN_CUDA_KERNEL_ID) RN_CUDA_KERNEL_COUNT };

#endif
