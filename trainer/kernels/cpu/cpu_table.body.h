/* SPDX-License-Identifier: Apache-2.0
 *
 * All bodies for one instruction set, and its tables by element types. The including file names the
 * set (RN_SET_...), the tables (RN_CPU_TABLES; with products in tiles RN_CPU_TILED) and their
 * description (RN_CPU_NAME).
 */
#include "trainer/kernels/cpu/cpu_dp.body.h"
#include "trainer/kernels/cpu/cpu_norm.body.h"
#if defined(RN_SET_BF16)
#include "trainer/kernels/cpu/cpu_attention_dot.body.h"
#include "trainer/kernels/cpu/cpu_fused.body.h"
#else
#include "trainer/kernels/cpu/cpu_attention.body.h"
#include "trainer/kernels/cpu/cpu_product.body.h"
#endif
#include "trainer/kernels/cpu/cpu_thin.body.h"
#include "trainer/kernels/cpu/cpu_tileproduct.body.h"

static const char *describe(const struct rn_device *device)
{
    return device->name != NULL ? device->name : RN_CPU_NAME;
}

/* One operation a line. */
/* clang-format off */
#define RN_CPU_ENTRIES(TYPES_NAME, ACTIVATION, RESIDUAL, OPEN, WEIGHT_NEW, PRODUCT)                \
    .version = RN_KERNELS_VERSION,                                                                 \
    .name = TYPES_NAME,                                                                            \
    .activation = ACTIVATION,                                                                      \
    .residual = RESIDUAL,                                                                          \
    .narrow = RN_F32,                                                                              \
    .block_tokens = (ACTIVATION) == RN_BF16 ? 1024 : 512,                                          \
    .lanes_max = 64,                                                                               \
    .device_open = OPEN,                                                                           \
    .weight_new = WEIGHT_NEW,                                                                      \
    .weight_new_forward = WEIGHT_NEW##_forward,                                                    \
    .device_close = rn_cpu_device_close,                                                           \
    .device_describe = describe,                                                                   \
    .memory_new = rn_host_memory_new,                                                              \
    .memory_free = rn_host_memory_free,                                                            \
    .lane_new = rn_cpu_lane_new,                                                                   \
    .lane_free = rn_cpu_lane_free,                                                                 \
    .sync = rn_host_sync,                                                                          \
    .upload = rn_host_upload,                                                                      \
    .download = rn_host_download,                                                                  \
    .zero = rn_host_zero,                                                                          \
    .read_mat = rn_host_read_mat,                                                                  \
    .weight_free = rn_cpu_weight_free,                                                             \
    .weight_bytes = rn_cpu_weight_bytes,                                                           \
    .linear = PRODUCT,                                                                             \
    .linear_back = PRODUCT##_back,                                                                 \
    .embed = embed,                                                                                \
    .norm = norm,                                                                                  \
    .norm_back = norm_back,                                                                        \
    .attention = attention,                                                                        \
    .attention_back = attention_back,                                                              \
    .gather_rows = rn_host_gather_rows,                                                            \
    .scatter_add_rows = scatter_add_rows,                                                          \
    .zero_mat = rn_host_zero_mat,                                                                  \
    .thin = thin,                                                                                  \
    .thin_transpose = rn_cpu_thin_transpose,                                                       \
    .outer_sum = outer_sum,                                                                        \
    .rows_store = rows_store,                                                                      \
    .clip_add = clip_add,                                                                          \
    .clip_add_outer = clip_add_outer,                                                              \
    .noisy_mean = noisy_mean,                                                                      \
    .dense = dense,                                                                                \
    .dense_back = dense_back,                                                                      \
    .column_sum = rn_cpu_column_sum,                                                               \
    .cross_entropy = rn_cpu_cross_entropy,                                                         \
    .squared_error = rn_cpu_squared_error,                                                         \
    .vector_add = rn_cpu_vector_add,                                                               \
    .vector_scale = rn_cpu_vector_scale,                                                           \
    .vector_square_sum = rn_cpu_vector_square_sum,                                                 \
    .sgd = rn_cpu_sgd,                                                                             \
    .adamw = rn_cpu_adamw

/* Of the two bfloat16 backends. */
#define RN_CPU_PAIR(OPEN, WEIGHT_NEW, PRODUCT)                                                     \
    [RN_CPU_BF16] = {RN_CPU_ENTRIES("cpu-bf16", RN_BF16, RN_BF16, OPEN, WEIGHT_NEW, PRODUCT)},     \
    [RN_CPU_BF16_RESIDUAL_F32] = {                                                                 \
        RN_CPU_ENTRIES("cpu-bf16-residual-f32", RN_BF16, RN_F32, OPEN, WEIGHT_NEW, PRODUCT)}
/* clang-format on */

const struct rn_kernels RN_CPU_TABLES[RN_CPU_TYPES] = {
#if defined(RN_SET_BF16)
    RN_CPU_PAIR(rn_cpu_onednn_device_open, rn_cpu_weight_new_onednn, linear)};
#else
    [RN_CPU_F32] = {RN_CPU_ENTRIES("cpu", RN_F32, RN_F32, rn_cpu_device_open, rn_cpu_weight_new,
                                   linear)},
    RN_CPU_PAIR(rn_cpu_device_open, rn_cpu_weight_new_bf16, linear)};
#endif

const struct rn_kernels RN_CPU_TILED[RN_CPU_TYPES] = {
    RN_CPU_PAIR(tile_plain_open, rn_cpu_weight_new_tiles, tile_linear)};

#if defined(RN_SET_BF16)
const struct rn_kernels rn_cpu_tables_amx[RN_CPU_TYPES] = {
    RN_CPU_PAIR(rn_cpu_amx_device_open, rn_cpu_weight_new_tiles, tile_linear)};
#endif
