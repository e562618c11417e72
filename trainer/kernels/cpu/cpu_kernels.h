/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backends: `cpu` in float32, `cpu-bf16` and `cpu-bf16-residual-f32` with bfloat16 storage
 * and float32 arithmetic. Each instruction set (AVX-512, AVX2 with FMA, scalar) compiles the same
 * bodies (cpu_table.body.h and the files that it includes) over its own 16-lane vector type
 * (cpu_vector.body.h) into a table of its own. All give the same bits: every sum is one chain of
 * fused multiply-adds in rising index, or sixteen such chains added in one fixed tree. On top of
 * that the bfloat16 backends multiply with frozen weights by what is fastest (cpu_choice.h): in
 * tiles (cpu_tiles.h), by oneDNN (cpu_onednn.h), each with sums in an order of its own, or as said.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_KERNELS_H
#define RN_TRAINER_KERNELS_CPU_CPU_KERNELS_H

#include "trainer/kernels/cpu/cpu_class.h"
#include "trainer/kernels/cpu/cpu_tiles.h"
#include "trainer/kernels/host.h"

#define RN_CPU_PANEL 32      /* columns of a weight panel */
#define RN_CPU_BLOCK_M 192   /* rows packed at once; a multiple of every tile height */
#define RN_CPU_PACK_SLACK 16 /* floats behind the packed rows */
/* k per pass over packed rows, sums going on across passes, so that no bit depends on it: as many
 * as let a block of packed rows and a panel's part have seven eighths of the second-level cache. */
#define RN_CPU_BLOCK_K_MIN 256
#define RN_CPU_BLOCK_K_MAX 2048
size_t rn_cpu_block_k(size_t l2);

struct rn_onednn;
struct rn_onednn_matrix;
struct rn_onednn_lane;

struct rn_device {
    const char *name;                 /* of what multiplies; static. NULL: the set's */
    struct rn_onednn *onednn;         /* NULL unless oneDNN computes */
    const struct rn_tile_unit *tiles; /* NULL unless tiles do */
    struct rn_tile_cuts tile_cuts;    /* of them */
};

/* A frozen matrix in panels of `type`: panel j holds columns 32j .. of the right factor, row after
 * row; columns beyond the last are zero. plain is there for OpenBLAS alone; with oneDNN its own two
 * packings are there instead of the panels; tiled panels are those of cpu_tiles.h. A matrix for
 * `linear` alone has no backward one. */
struct rn_weight {
    uint32_t n, k;
    enum rn_element type;
    bool tiled;
    void *forward;  /* right factor W^T: [ceil(n/32)][k][32] */
    void *backward; /* right factor W:   [ceil(k/32)][n][32] */
    float *plain;   /* [n][k], NULL unless OpenBLAS computes */
    struct rn_onednn_matrix *onednn_forward, *onednn_backward;
};

struct rn_lane {
    size_t block_k; /* rn_cpu_block_k */
    float *packed;  /* [block_k][rows of a tile] per tile, BLOCK_M rows; slack */
    float *sums;    /* [panels][BLOCK_M][32]; the first panel's alone where k is one pass */
    float *attend;  /* attention scratch, see cpu_attention.body.h */
    float *row;     /* [width] */
    uint16_t *dots; /* scratch of cpu_attention_dot.body.h; there with oneDNN and tiles */
    struct rn_onednn_lane *onednn;
    const struct rn_tile_unit *tiles; /* of the device */
    struct rn_tile_cuts tile_cuts;
    uint16_t *tile_left; /* a part of a strip, packed: rn_tile_left_elements */
    float *tile_sums;    /* blocks, one after the other: rn_tile_sums */
};

#define RN_ATTEND_ROWS ((size_t)4) /* query rows at once */
/* Floats of attention scratch for a sequence length and head width. */
size_t rn_cpu_attend_floats(size_t length, size_t head_dim);

#define RN_CPU_DOT_STRIP_MAX RN_TILE_BLOCK /* rows of a left factor at once, at most */
/* Elements of two bytes for attention in dot products. */
size_t rn_cpu_dot_halves(size_t length, size_t head_dim);

/* The table with its products by OpenBLAS. */
const struct rn_kernels *rn_cpu_with_openblas(const struct rn_kernels *table);

/* Tables of the sets by element types (x86-64 has all of them). */
extern const struct rn_kernels rn_cpu_tables_scalar[RN_CPU_TYPES];
extern const struct rn_kernels rn_cpu_tables_avx2[RN_CPU_TYPES];
extern const struct rn_kernels rn_cpu_tables_avx512[RN_CPU_TYPES];
extern const struct rn_kernels rn_cpu_tables_avx512bf16[RN_CPU_TYPES]; /* the first is empty */
/* The same with products in tiles, by the set's stand-in; the first of each is empty. */
extern const struct rn_kernels rn_cpu_tiled_scalar[RN_CPU_TYPES];
extern const struct rn_kernels rn_cpu_tiled_avx2[RN_CPU_TYPES];
extern const struct rn_kernels rn_cpu_tiled_avx512[RN_CPU_TYPES];
extern const struct rn_kernels rn_cpu_tiled_avx512bf16[RN_CPU_TYPES];
extern const struct rn_kernels rn_cpu_tables_amx[RN_CPU_TYPES]; /* by AMX */

/* Operations that are the same for every set. */
rn_result rn_cpu_device_open(struct rn_device **out, struct rn_error *err);
rn_result rn_cpu_onednn_device_open(struct rn_device **out, struct rn_error *err);
rn_result rn_cpu_amx_device_open(struct rn_device **out, struct rn_error *err);
rn_result rn_cpu_tile_device_open(const struct rn_tile_unit *unit, const char *name,
                                  struct rn_device **out, struct rn_error *err);
void rn_cpu_device_close(struct rn_device *device);
rn_result rn_cpu_lane_new(struct rn_device *device, const struct rn_lane_limits *limits,
                          struct rn_lane **out, struct rn_error *err);
void rn_cpu_lane_free(struct rn_lane *lane);
rn_result rn_cpu_weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            struct rn_weight **out, struct rn_error *err);
rn_result rn_cpu_weight_new_bf16(struct rn_device *device, const float *host_w, uint32_t n,
                                 uint32_t k, struct rn_weight **out, struct rn_error *err);
rn_result rn_cpu_weight_new_onednn(struct rn_device *device, const float *host_w, uint32_t n,
                                   uint32_t k, struct rn_weight **out, struct rn_error *err);
rn_result rn_cpu_weight_new_tiles(struct rn_device *device, const float *host_w, uint32_t n,
                                  uint32_t k, struct rn_weight **out, struct rn_error *err);
/* For `linear` alone. */
rn_result rn_cpu_weight_new_forward(struct rn_device *device, const float *host_w, uint32_t n,
                                    uint32_t k, struct rn_weight **out, struct rn_error *err);
rn_result rn_cpu_weight_new_bf16_forward(struct rn_device *device, const float *host_w, uint32_t n,
                                         uint32_t k, struct rn_weight **out, struct rn_error *err);
rn_result rn_cpu_weight_new_onednn_forward(struct rn_device *device, const float *host_w,
                                           uint32_t n, uint32_t k, struct rn_weight **out,
                                           struct rn_error *err);
rn_result rn_cpu_weight_new_tiles_forward(struct rn_device *device, const float *host_w, uint32_t n,
                                          uint32_t k, struct rn_weight **out, struct rn_error *err);
void rn_cpu_weight_free(struct rn_device *device, struct rn_weight *weight);
size_t rn_cpu_weight_bytes(const struct rn_weight *weight);
void rn_cpu_thin_transpose(struct rn_lane *lane, const float *b, uint32_t n, uint32_t r,
                           float scale, float *out);
void rn_cpu_column_sum(struct rn_lane *lane, struct rn_mat m, float *out);
void rn_cpu_cross_entropy(struct rn_lane *lane, struct rn_mat logits, const int32_t *labels,
                          float scale, struct rn_mat dlogits, double *loss);
void rn_cpu_squared_error(struct rn_lane *lane, struct rn_mat logits, const float *targets,
                          float scale, struct rn_mat dlogits, double *loss);
void rn_cpu_vector_add(struct rn_lane *lane, size_t n, const float *x, float *y);
void rn_cpu_vector_scale(struct rn_lane *lane, size_t n, float factor, float *x);
double rn_cpu_vector_square_sum(struct rn_lane *lane, size_t n, const float *x);
void rn_cpu_sgd(struct rn_lane *lane, size_t n, float lr, float weight_decay, const float *g,
                float *p);
void rn_cpu_adamw(struct rn_lane *lane, size_t n, const struct rn_adamw *o, const float *g,
                  float *m, float *v, float *p);

#endif
