/* SPDX-License-Identifier: Apache-2.0
 *
 * All bodies for one instruction set, and its table. The including file names the set (RN_SET_...),
 * the table (RN_CPU_TABLE) and its description (RN_CPU_NAME).
 */
#include "trainer/kernels/cpu/cpu_attention.h"
#include "trainer/kernels/cpu/cpu_dp.h"
#include "trainer/kernels/cpu/cpu_norm.h"
#include "trainer/kernels/cpu/cpu_product.h"
#include "trainer/kernels/cpu/cpu_thin.h"

static const char *describe(const struct rn_device *device)
{
    (void)device;
    return RN_CPU_NAME;
}

_Static_assert(RN_CPU_BLOCK_M % RN_TILE_ROWS == 0, "a block holds whole tiles");

const struct rn_kernels RN_CPU_TABLE = {
    .version = RN_KERNELS_VERSION,
    .name = "cpu",
    .activation = RN_F32,
    .residual = RN_F32,
    .narrow = RN_F32,
    .block_tokens = 512,
    .lanes_max = 64,
    .device_open = rn_cpu_device_open,
    .device_close = rn_cpu_device_close,
    .device_describe = describe,
    .memory_new = rn_host_memory_new,
    .memory_free = rn_host_memory_free,
    .lane_new = rn_cpu_lane_new,
    .lane_free = rn_cpu_lane_free,
    .sync = rn_host_sync,
    .upload = rn_host_upload,
    .download = rn_host_download,
    .zero = rn_host_zero,
    .read_mat = rn_host_read_mat,
    .weight_new = rn_cpu_weight_new,
    .weight_free = rn_cpu_weight_free,
    .weight_bytes = rn_cpu_weight_bytes,
    .linear = linear,
    .linear_back = linear_back,
    .embed = embed,
    .norm = norm,
    .norm_back = norm_back,
    .attention = attention,
    .attention_back = attention_back,
    .gather_rows = rn_host_gather_rows,
    .scatter_add_rows = scatter_add_rows,
    .zero_mat = rn_host_zero_mat,
    .thin = thin,
    .thin_transpose = rn_cpu_thin_transpose,
    .outer_sum = outer_sum,
    .rows_store = rows_store,
    .clip_add = clip_add,
    .noisy_mean = noisy_mean,
    .dense = dense,
    .dense_back = dense_back,
    .column_sum = rn_cpu_column_sum,
    .cross_entropy = rn_cpu_cross_entropy,
    .squared_error = rn_cpu_squared_error,
    .vector_add = rn_cpu_vector_add,
    .vector_scale = rn_cpu_vector_scale,
    .vector_square_sum = rn_cpu_vector_square_sum,
    .sgd = rn_cpu_sgd,
    .adamw = rn_cpu_adamw,
};
