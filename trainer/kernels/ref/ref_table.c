/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference backend's table.
 */
#include "trainer/kernels/ref/ref_kernels.h"

#include "base/alloc.h"

struct rn_device {
    int unused;
};

static rn_result device_open(struct rn_device **out, struct rn_error *err)
{
    (void)err;
    *out = rn_alloc(1, sizeof(**out));
    return rn_ok();
}

static void device_close(struct rn_device *device)
{
    rn_free(device);
}

static const char *device_describe(const struct rn_device *device)
{
    (void)device;
    return "float64";
}

static rn_result lane_new(struct rn_device *device, const struct rn_lane_limits *limits,
                          struct rn_lane **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    struct rn_lane *lane = rn_alloc(1, sizeof(*lane));
    lane->scores = rn_alloc(limits->length, sizeof(double));
    *out = lane;
    return rn_ok();
}

static void lane_free(struct rn_lane *lane)
{
    if (lane != NULL) {
        rn_free(lane->scores);
        rn_free(lane);
    }
}

static const struct rn_kernels table = {
    .version = RN_KERNELS_VERSION,
    .name = "ref",
    .activation = RN_F64,
    .residual = RN_F64,
    .narrow = RN_F64,
    .block_tokens = 512,
    .lanes_max = 64,
    .device_open = device_open,
    .device_close = device_close,
    .device_describe = device_describe,
    .memory_new = rn_host_memory_new,
    .memory_free = rn_host_memory_free,
    .lane_new = lane_new,
    .lane_free = lane_free,
    .sync = rn_host_sync,
    .upload = rn_host_upload,
    .download = rn_host_download,
    .zero = rn_host_zero,
    .read_mat = rn_host_read_mat,
    .weight_new = rn_ref_weight_new,
    .weight_free = rn_ref_weight_free,
    .weight_bytes = rn_ref_weight_bytes,
    .linear = rn_ref_linear,
    .linear_back = rn_ref_linear_back,
    .embed = rn_ref_embed,
    .norm = rn_ref_norm,
    .norm_back = rn_ref_norm_back,
    .attention = rn_ref_attention,
    .attention_back = rn_ref_attention_back,
    .gather_rows = rn_host_gather_rows,
    .scatter_add_rows = rn_ref_scatter_add_rows,
    .zero_mat = rn_host_zero_mat,
    .thin = rn_ref_thin,
    .thin_transpose = rn_ref_thin_transpose,
    .outer_sum = rn_ref_outer_sum,
    .rows_store = rn_ref_rows_store,
    .clip_add = rn_ref_clip_add,
    .clip_add_outer = rn_ref_clip_add_outer,
    .noisy_mean = rn_ref_noisy_mean,
    .dense = rn_ref_dense,
    .dense_back = rn_ref_dense_back,
    .column_sum = rn_ref_column_sum,
    .cross_entropy = rn_ref_cross_entropy,
    .squared_error = rn_ref_squared_error,
    .vector_add = rn_ref_vector_add,
    .vector_scale = rn_ref_vector_scale,
    .vector_square_sum = rn_ref_vector_square_sum,
    .sgd = rn_ref_sgd,
    .adamw = rn_ref_adamw,
};

const struct rn_kernels *rn_kernels_ref(void)
{
    return &table;
}
