/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of operations that the trainer's arithmetic goes through. Implementations:
 *
 *   ref   scalar, every activation and sum in float64: the oracle
 *   cpu   float32, AVX-512, AVX2 or scalar chosen at run time, the same bits from each
 *   cpu-bf16, cpu-bf16-residual-f32
 *         bfloat16 activations, and the stream between layers in bfloat16 or float32
 *   cuda  a shared object opened at run time (rn_kernels_cuda)
 *
 * A backend names the element types of three roles of matrix: `activation` for the wide ones (q, k,
 * v, attention's output, the feed-forward's inside, and their gradients), `residual` for the stream
 * between layers and its gradient (x, y1, x1, y2, cls, dx, dy), `narrow` for few columns
 * (statistics, lse, h, dh, z, logits). An operation takes each matrix in the type of its role;
 * products with frozen weights and `thin` take any of them on either side.
 *
 * Ideas
 * - Token-packed: an activation is a matrix of T rows, one per token, the tokens of sequence i are
 *   rows cu[i] .. cu[i+1]-1. There is no padding and no mask.
 * - A lane is one independent stream of work: a thread with its scratch memory on the CPU, a stream
 *   on a device. The trainer gives each lane whole blocks of sequences and never lets two lanes
 *   write one buffer. Operations on one lane happen in order; on a device they may be asynchronous
 *   until `sync`, `download` or an operation that returns a number.
 * - Batch invariance: each output row (for gradients: each segment's contribution) is computed in
 *   an order that does not depend on the number of rows, on the row's place, or on the other
 *   sequences. Packed equals one by one, bit for bit.
 * - Parameters that train (adapters, head), their gradients and the optimiser's state are flat
 *   float32 vectors in device memory; activations have the backend's own element type.
 * - Memory: everything is allocated when the trainer opens or a plan starts; no operation
 * allocates. lane_new is told the largest shapes it will see.
 *
 * Conventions: outputs last; every operation overwrites its output unless its text says "adds";
 * an output may not overlap an input unless the text allows it; d-prefix = gradient of the loss.
 * Operations cannot fail on good arguments; wrong arguments are bugs of the caller (RN_BUG_IF).
 * A device failure is sticky in the lane and reported by the next `sync`.
 */
#ifndef RN_TRAINER_KERNELS_KERNELS_H
#define RN_TRAINER_KERNELS_KERNELS_H

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_KERNELS_VERSION 4u
#define RN_GRAPH_KEY_MAX 192

enum rn_element { RN_F32 = 0, RN_F64 = 1, RN_BF16 = 2 };

/* Bytes of one element. */
static inline size_t rn_element_size(enum rn_element type)
{
    return type == RN_F64 ? 8 : type == RN_F32 ? 4 : 2;
}

/* A row-major activation matrix in device memory: rows x cols elements, ld elements from one row to
 * the next (ld >= cols). Passed by value; does not own its memory. */
struct rn_mat {
    void *data;
    uint32_t rows;
    uint32_t cols;
    size_t ld;
    enum rn_element type;
};

/* Rows first .. first+count-1 of m. */
struct rn_mat rn_mat_rows(struct rn_mat m, uint32_t first, uint32_t count);
/* Columns first .. first+count-1 of m. */
struct rn_mat rn_mat_cols(struct rn_mat m, uint32_t first, uint32_t count);

struct rn_device; /* of the backend: threads' settings, a GPU */
struct rn_lane;   /* of the backend */
struct rn_weight; /* of the backend: a frozen matrix in its packed form */

/* The largest shapes that a lane will meet. */
struct rn_lane_limits {
    uint32_t tokens;    /* rows of an activation */
    uint32_t sequences; /* in one block */
    uint32_t length;    /* tokens of one sequence */
    uint32_t width;     /* greatest of hidden, intermediate, label count */
    uint32_t heads;
    uint32_t head_dim;
    uint32_t rank;
};

enum rn_activation {
    RN_ACTIVATION_NONE,
    RN_ACTIVATION_GELU,
    RN_ACTIVATION_TANH,
    RN_ACTIVATION_RELU
};

/* What happens to the sum s = (row of X) . (row of W) before it is stored, in this order:
 *   s += bias[n]
 *   s += rank_h[t][0] * b[0][n] + ... + rank_h[t][rank-1] * b[rank-1][n],
 *        b = rank_b + owner[t] * owner_stride: rows of several adapters in one product
 *   s += residual[t][n]
 *   pre != none:  pre[t][n] = what `slope` will need: s, or at once f'(s), as the backend likes
 *   activation:   s = f(s)                    (erf-GELU: x/2 (1 + erf(x / sqrt 2)))
 *   slope != none: s *= f'(slope)             GELU: slope holds the stored `pre`
 *                                             TANH: slope holds tanh's output y, f' = 1 - y^2
 *                                             RELU: `pre` or the output, f' = 1 above 0, else 0
 * A zeroed struct does nothing. residual may be the output matrix itself. */
struct rn_epilogue {
    const float *bias;      /* device, [cols of the output] */
    struct rn_mat rank_h;   /* [T, rank]; rank = rank_h.cols, 0 = none */
    const float *rank_b;    /* device, [rank][cols of the output] */
    const int32_t *owner;   /* device, [T]; NULL = all 0 */
    size_t owner_stride;    /* elements from one adapter's b to the next */
    struct rn_mat residual; /* data NULL = none */
    struct rn_mat pre;      /* data NULL = none */
    enum rn_activation activation;
    struct rn_mat slope; /* data NULL = none */
    enum rn_activation slope_of;
};

/* Sequences of a packed block. Both arrays are device memory. */
struct rn_sequences {
    uint32_t count;
    uint32_t tokens;        /* = cu[count], or more: rows of no sequence (graph_tokens) */
    uint32_t longest;       /* of the block, or more */
    const int32_t *cu;      /* device, [count + 1], cu[0] = 0 */
    const int32_t *cu_host; /* the same on the host */
};

/* Shape of an attention call. first_query: only the first token of each sequence asks, so q, out,
 * lse and their gradients have `sequences.count` rows instead of `tokens`. scale = 1/sqrt(head_dim)
 * multiplies q.k. Head h is columns h*head_dim .. of q, k, v, out. */
struct rn_attention {
    struct rn_sequences sequences;
    uint32_t heads;
    uint32_t head_dim;
    float scale;
    bool first_query;
};

/* Embedding tables (device, float32 row-major, read-only) and the LayerNorm after them. */
struct rn_embedding {
    const float *words;     /* [vocabulary][hidden] */
    const float *positions; /* [most positions][hidden] */
    const float *types;     /* [type vocabulary][hidden]; NULL = none */
    const float *gamma;     /* [hidden] */
    const float *beta;      /* [hidden] */
    float eps;
};

/* A part of an example's gradient that is a product of two rows, as that of a linear module which
 * sees one row of each example: element [p][c] is u[p] * v[c], exactly. */
struct rn_outer_part {
    size_t u, v; /* places of u [rows] and v [cols] in the example's row */
    uint32_t rows, cols;
};
/* Gradients of examples, a row each. An example's vector is the first `stored` numbers of its row,
 * then the elements of each part, row-major, one part after the other. */
struct rn_example_rows {
    const float *rows; /* device */
    size_t stride;     /* from one example to the next */
    size_t stored;
    const struct rn_outer_part *parts; /* host */
    size_t part_count;
};

/* How a record's gradient is made no longer than `norm` before it becomes whole numbers of
 * norm / grid: by the factor min(1, norm / |g|) where gamma is 0, else by norm / (|g| + gamma). */
struct rn_clip {
    double norm; /* above 0 */
    double grid; /* a whole number, 1..2^31 */
    double gamma;
};

struct rn_adamw {
    float lr, beta1, beta2, eps, weight_decay;
    /* 1 - beta1^step and 1 - beta2^step, formed in double by the caller */
    double correction1, correction2;
};

/* A part of an upload of many. */
struct rn_upload {
    void *to_device;
    const void *from_host;
    size_t bytes;
};

/* A site of thin_transposes: places in the two vectors, rows of B. */
struct rn_transpose {
    size_t b, out;
    uint32_t n;
};

/* One step of an optimiser over a few ranges of the flat vectors. */
#define RN_UPDATE_RANGES 4
struct rn_update_range {
    size_t offset, count;
    float lr;
};
struct rn_update {
    float *gradient; /* device, with the three below: the flat vectors */
    float *values;
    float *moment1, *moment2; /* NULL: sgd, which reads of `optimizer` weight_decay alone */
    struct rn_update_range ranges[RN_UPDATE_RANGES];
    size_t range_count;
    double clip;               /* most global norm of the ranges' gradient; 0 = not clipped */
    struct rn_adamw optimizer; /* its lr is not read */
};

struct rn_kernels {
    uint32_t version;           /* RN_KERNELS_VERSION */
    const char *name;           /* "ref", "cpu", "cpu-bf16", ... */
    enum rn_element activation; /* element types by role, see above */
    enum rn_element residual;
    enum rn_element narrow;
    uint32_t block_tokens; /* tokens per block that this backend likes (a block is never less
                              than one sequence) */
    uint32_t lanes_max;    /* most lanes that help */
    /* With graph_begin: multiples that a block's tokens and longest are best rounded up to. */
    uint32_t graph_tokens;
    uint32_t graph_length;

    /* ---- Device, lanes, memory. Device memory is zeroed and 64-byte aligned. ---- */
    rn_result (*device_open)(struct rn_device **out, struct rn_error *err);
    void (*device_close)(struct rn_device *device); /* accepts NULL */
    /* "avx512", "avx2", "scalar", or a device name; static until close */
    const char *(*device_describe)(const struct rn_device *device);
    rn_result (*memory_new)(struct rn_device *device, size_t bytes, void **out,
                            struct rn_error *err);
    void (*memory_free)(struct rn_device *device, void *memory); /* accepts NULL */
    /* Bytes of device memory that are free now; NULL: device memory is the process's own. */
    uint64_t (*memory_left)(struct rn_device *device);
    rn_result (*lane_new)(struct rn_device *device, const struct rn_lane_limits *limits,
                          struct rn_lane **out, struct rn_error *err);
    void (*lane_free)(struct rn_lane *lane); /* accepts NULL */
    /* Waits for the lane's work; a device failure since the last sync comes back here. */
    rn_result (*sync)(struct rn_lane *lane, struct rn_error *err);
    /* Bytes to and from device memory, in the lane's order; the host memory may be reused on
     * return. */
    void (*upload)(struct rn_lane *lane, void *to_device, const void *from_host, size_t bytes);
    void (*download)(struct rn_lane *lane, void *to_host, const void *from_device, size_t bytes);
    void (*zero)(struct rn_lane *lane, void *device_memory, size_t bytes);
    /* An activation matrix as host float32, row-major without gaps. */
    void (*read_mat)(struct rn_lane *lane, struct rn_mat m, float *to_host);

    /* ---- Frozen weights ---- */
    /* host_w is float32 [n][k] row-major on the host (a linear layer's weight: n outputs). */
    rn_result (*weight_new)(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            struct rn_weight **out, struct rn_error *err);
    /* The same for `linear` alone, in less memory: linear_back with it is a bug. NULL: one form
     * serves both ways, weight_new's. */
    rn_result (*weight_new_forward)(struct rn_device *device, const float *host_w, uint32_t n,
                                    uint32_t k, struct rn_weight **out, struct rn_error *err);
    void (*weight_free)(struct rn_device *device, struct rn_weight *weight); /* accepts NULL */
    size_t (*weight_bytes)(const struct rn_weight *weight);
    /* y[T][n] = x[T][k] W^T, then the epilogue */
    void (*linear)(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                   const struct rn_epilogue *epilogue, struct rn_mat y);
    /* dx[T][k] = dy[T][n] W, then the epilogue */
    void (*linear_back)(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                        const struct rn_epilogue *epilogue, struct rn_mat dx);

    /* ---- Encoder ---- */
    /* y = LayerNorm(words[ids] + types[type_ids] + positions[position_ids]); ids are device int32
     * [y.rows] and checked by the caller. */
    void (*embed)(struct rn_lane *lane, const struct rn_embedding *e, const int32_t *ids,
                  const int32_t *type_ids, const int32_t *position_ids, struct rn_mat y);
    /* y = (x - mean) rstd gamma + beta per row, biased variance; stats[T][2] = mean, rstd */
    void (*norm)(struct rn_lane *lane, struct rn_mat x, const float *gamma, const float *beta,
                 float eps, struct rn_mat y, struct rn_mat stats);
    /* dx of norm: rstd (g - mean(g) - xhat mean(g xhat)), g = dy gamma, xhat = (x - mean) rstd.
     * dx may be dy. */
    void (*norm_back)(struct rn_lane *lane, struct rn_mat x, struct rn_mat stats,
                      const float *gamma, struct rn_mat dy, struct rn_mat dx);
    /* out = softmax(scale q k^T) v per sequence and head; lse[row][head] = log sum exp */
    void (*attention)(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                      struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse);
    void (*attention_back)(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                           struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse,
                           struct rn_mat dout, struct rn_mat dq, struct rn_mat dk,
                           struct rn_mat dv);
    /* out[i] = x[index[i]]; index device int32 [out.rows] */
    void (*gather_rows)(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                        struct rn_mat out);
    /* adds: y[index[i]] += x[i]; the indices differ */
    void (*scatter_add_rows)(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                             struct rn_mat y);
    /* every element of m becomes 0 */
    void (*zero_mat)(struct rn_lane *lane, struct rn_mat m);

    /* ---- LoRA: thin products with float32 parameters in device memory ---- */
    /* h[T][r] = x[T][k] a^T, a = [r][k] */
    void (*thin)(struct rn_lane *lane, struct rn_mat x, const float *a, struct rn_mat h);
    /* out[r][n] = scale * b[n][r]: B in the form that `thin` and rank_b want */
    void (*thin_transpose)(struct rn_lane *lane, const float *b, uint32_t n, uint32_t r,
                           float scale, float *out);
    /* Gradient of a parameter as a sum of outer products: for each sequence i in order
     *     g_i[p][c] = scale * sum over its rows t in order of u[t][p] * v[t][c]
     * (u[T][r], v[T][n]); out gets g_0 + g_1 + ... added, in this order. transposed: out[c][p].
     * per_sequence != 0: instead of adding, g_i is stored at out + i * per_sequence (elements).
     * For rows that are one per sequence (heads) pass sequences = NULL: each row is a sequence. The
     * sequences may be a later part of a block: then cu[0] is their first row of u and v. */
    void (*outer_sum)(struct rn_lane *lane, const struct rn_sequences *sequences, struct rn_mat u,
                      struct rn_mat v, float scale, bool transposed, size_t per_sequence,
                      float *out);

    /* ---- Gradients of examples: differential privacy (DP-SGD) ---- */
    /* out[i * stride + c] = m[i][c] as float32, m of the role `narrow` or `residual`: each row is
     * one example's gradient of a bias, or a factor of one of a matrix */
    void (*rows_store)(struct rn_lane *lane, struct rn_mat m, size_t stride, float *out);
    /* For each example i < count with the gradient g = grads + i * stride, n elements: the norm in
     * float64; v_j = trunc(f g_j clip->grid / clip->norm), f the factor that struct rn_clip speaks
     * of, a gradient that is not finite counting as zero; while the exact sum of v_j^2 is above
     * grid^2, f is made smaller by 2^-20 and v formed again; sum[j] += v_j. norms[i] (device, may
     * be NULL) = |g|. The bits of v depend on g alone. */
    void (*clip_add)(struct rn_lane *lane, uint32_t count, size_t n, const float *grads,
                     size_t stride, const struct rn_clip *clip, int64_t *sum, double *norms);
    /* clip_add of vectors with parts; NULL: the backend wants every element stored. sum has the
     * vector's elements. Nothing of a part is rounded before trunc but f grid / norm and its
     * products with the two factors, in float64; the norm is the root of the stored numbers' sum of
     * squares plus |u|^2 |v|^2 of each part; not finite is a vector with a factor or stored number
     * that is not. The bits of v depend on the example's row alone. */
    void (*clip_add_outer)(struct rn_lane *lane, uint32_t count, const struct rn_example_rows *rows,
                           const struct rn_clip *clip, int64_t *sum, double *norms);
    /* g[j] = (float)((sum[j] + noise[j]) * factor), the integers added exactly */
    void (*noisy_mean)(struct rn_lane *lane, size_t n, const int64_t *sum, const int64_t *noise,
                       double factor, float *g);

    /* ---- Head: few rows, unpacked float32 parameters that may train ---- */
    /* y[S][n] = act(x[S][k] w^T + bias), w = [n][k]; bias NULL = none */
    void (*dense)(struct rn_lane *lane, struct rn_mat x, const float *w, const float *bias,
                  enum rn_activation activation, struct rn_mat y);
    /* dx[S][k] = (dy[S][n] w) * f'; slope as in rn_epilogue (data NULL = none) */
    void (*dense_back)(struct rn_lane *lane, struct rn_mat dy, const float *w, struct rn_mat slope,
                       enum rn_activation slope_of, struct rn_mat dx);
    /* adds: out[c] += sum over rows, in order, of m[t][c] */
    void (*column_sum)(struct rn_lane *lane, struct rn_mat m, float *out);
    /* Cross entropy of logits[S][C]: loss[i] = log sum exp - logit of labels[i] (device float64),
     * dlogits = scale (softmax - one hot). dlogits.data NULL: loss alone. */
    void (*cross_entropy)(struct rn_lane *lane, struct rn_mat logits, const int32_t *labels,
                          float scale, struct rn_mat dlogits, double *loss);
    /* logits[S][1]: loss[i] = (logit - target[i])^2, dlogits = 2 scale (logit - target) */
    void (*squared_error)(struct rn_lane *lane, struct rn_mat logits, const float *targets,
                          float scale, struct rn_mat dlogits, double *loss);

    /* ---- Flat float32 vectors: gradients and optimiser ---- */
    /* adds: y[i] += x[i] */
    void (*vector_add)(struct rn_lane *lane, size_t n, const float *x, float *y);
    /* x[i] *= factor */
    void (*vector_scale)(struct rn_lane *lane, size_t n, float factor, float *x);
    /* sum of squares in float64 to the host (waits); not finite when any element is not */
    double (*vector_square_sum)(struct rn_lane *lane, size_t n, const float *x);
    /* p -= lr (g + weight_decay p) */
    void (*sgd)(struct rn_lane *lane, size_t n, float lr, float weight_decay, const float *g,
                float *p);
    /* torch.optim.AdamW: p *= 1 - lr wd; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
     * p -= lr/correction1 * m / (sqrt(v)/sqrt(correction2) + eps) */
    void (*adamw)(struct rn_lane *lane, size_t n, const struct rn_adamw *o, const float *g,
                  float *m, float *v, float *p);

    /* ---- Recorded operations: NULL where issuing them one by one costs nothing ---- */
    /* A run of operations that comes again and again with the same arguments:
     *
     *     if (k->graph_begin == NULL || !k->graph_begin(lane, &key, sizeof(key))) {
     *         ... the operations ...
     *         if (k->graph_end != NULL)
     *             k->graph_end(lane);
     *     }
     *
     * graph_begin is true when the backend has done them all from its record. Between the calls
     * there may be no upload, download, read_mat, sync, vector_square_sum, update, memory or
     * weight; and every argument (pointers, shapes, counts, factors) must follow from the key's
     * bytes: a block's data lies in device memory and is uploaded before. So that few keys suffice,
     * a block's rows and its longest may be rounded up (graph_tokens, graph_length): rows from
     * cu[count] on are then computed from whatever is there, belong to no sequence, and change no
     * other row's bits. Key of 1 .. RN_GRAPH_KEY_MAX bytes, without padding. */
    bool (*graph_begin)(struct rn_lane *lane, const void *key, size_t bytes);
    void (*graph_end)(struct rn_lane *lane);

    /* ---- Several operations in one; NULL where that gains nothing. Callers go through the
     * functions below, which then do them one by one. The bits are the same. ---- */
    void (*upload_many)(struct rn_lane *lane, const struct rn_upload *parts, size_t count);
    void (*thin_transposes)(struct rn_lane *lane, const struct rn_transpose *sites, size_t count,
                            uint32_t r, float scale, const float *b, float *out);
    /* False, and nothing done, when it has no room for so many elements. */
    bool (*update)(struct rn_lane *lane, const struct rn_update *update, double *out_square);
};

/* upload of each part, in order. */
void rn_kernels_upload(const struct rn_kernels *k, struct rn_lane *lane,
                       const struct rn_upload *parts, size_t count);
/* thin_transpose of each site: out + site.out from b + site.b. */
void rn_kernels_thin_transposes(const struct rn_kernels *k, struct rn_lane *lane,
                                const struct rn_transpose *sites, size_t count, uint32_t r,
                                float scale, const float *b, float *out);
/* The gradient's sum of squares over the ranges, in float64 (waits). Where it is finite: the
 * gradient, times the float32 of clip / (sqrt(sum) + 1e-6) if that is less than 1 and clip is not
 * 0 (torch.nn.utils.clip_grad_norm_), goes into the optimiser; else nothing changes. The gradient
 * is not to be read after it. */
double rn_kernels_update(const struct rn_kernels *k, struct rn_lane *lane,
                         const struct rn_update *update);
/* The optimiser alone: no norm, no clip, nothing waited for. */
void rn_kernels_step(const struct rn_kernels *k, struct rn_lane *lane,
                     const struct rn_update *update);

/* The backends of this build. cpu, cpu-bf16 and ref always work. */
const struct rn_kernels *rn_kernels_ref(void);
const struct rn_kernels *rn_kernels_cpu(void);
/* Libraries whose versions the bits of cpu and cpu-bf16 may depend on: "oneDNN 2.6.3". */
#define RN_LIBRARIES_TEXT_MAX 64
void rn_kernels_cpu_libraries(char out[static RN_LIBRARIES_TEXT_MAX]);
/* Activations in bfloat16, the stream between layers in bfloat16 or float32. Products with frozen
 * weights by whatever is fastest on this machine and keeps a row's bits, measured once a process:
 * AMX, oneDNN, or own float32 products over bfloat16 storage. */
const struct rn_kernels *rn_kernels_cpu_bf16(bool residual_f32);
/* For backends.c: those of rn_kernels_find_by that are named, and the text of rn_kernels_measured.
 */
RN_MUST rn_result rn_kernels_cpu_bf16_named(const char *products, bool residual_f32,
                                            const struct rn_kernels **out, struct rn_error *err);
/* `cpu` with the products of frozen weights from OpenBLAS, to compare: a row's bits depend on the
 * batch, so there is no differential privacy. No program offers it. */
const struct rn_kernels *rn_kernels_cpu_openblas(void);
/* For tests: the shared object that rn_kernels_cuda opens from now on; NULL = the ordinary one. The
 * text stays. No program takes a path from its environment: what the object holds runs in it. */
void rn_kernels_cuda_library(const char *path);
/* Opens the shared object (librondo-cuda.so beside the program or on the loader's path), which
 * exports `const struct rn_kernels *rn_kernels_cuda_table(void)`. RN_E_UNSUPPORTED with the reason
 * when there is none, its version differs, or no device answers.
 */
RN_MUST rn_result rn_kernels_cuda(const struct rn_kernels **out, struct rn_error *err);
/* By name: "cpu", "cpu-openblas", "cpu-bf16", "cpu-bf16-residual-f32", "ref", "cuda"; NULL = "cpu".
 * RN_E_USAGE for any other. */
RN_MUST rn_result rn_kernels_find(const char *name, const struct rn_kernels **out,
                                  struct rn_error *err);
/* The same, where the bfloat16 backends do not measure but take what is named: "amx", "onednn" or
 * "float32"; NULL or "auto" measures. RN_E_UNSUPPORTED where the machine lacks it, or where it does
 * not keep a row's bits; RN_E_USAGE for another name, or with a backend that has no choice. */
RN_MUST rn_result rn_kernels_find_by(const char *name, const char *products,
                                     const struct rn_kernels **out, struct rn_error *err);
/* What was measured, as "amx 1031, onednn 655, float32 102 GFLOP/s a thread"; empty where nothing
 * was. */
#define RN_KERNELS_MEASURED_MAX 96
void rn_kernels_measured(const struct rn_kernels *kernels, char out[RN_KERNELS_MEASURED_MAX]);
void rn_kernels_cpu_measured(char out[RN_KERNELS_MEASURED_MAX]);

#endif
