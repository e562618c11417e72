/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA backend's table, its device, lanes and memory.
 */
#include "trainer/kernels/cuda/cudabackend.h"

#include "base/alloc.h"
#include "base/guard.h"

/* Tokens that fill a large device; the trainer's buffers grow with it. */
enum { BLOCK_TOKENS = 8192 };
/* Rounding of a recorded pass: few enough keys, little enough waste; the attention's greatest tile.
 */
enum { GRAPH_TOKENS = 128, GRAPH_LENGTH = 64 };

static void device_close(struct rn_device *device)
{
    if (device != NULL) {
        rn_port_release(device->port, device->square_parts);
        rn_free(device->square_parts_host);
        rn_port_close(device->port);
        rn_free(device);
    }
}

static rn_result device_open(struct rn_device **out, struct rn_error *err)
{
    struct rn_port *port = NULL;
    RN_TRY(rn_port_open(&port, err));
    struct rn_device *device = rn_alloc(1, sizeof(*device));
    device->port = port;
    device->square_parts_host = rn_alloc(RN_CUDA_SQUARE_PARTS, sizeof(double));
    void *parts = NULL;
    const rn_result result =
        rn_port_alloc(port, RN_CUDA_SQUARE_PARTS * sizeof(double), &parts, err);
    device->square_parts = parts;
    if (!rn_is_ok(result)) {
        device_close(device);
        return result;
    }
    *out = device;
    return result;
}

static const char *device_describe(const struct rn_device *device)
{
    return rn_port_describe(device->port);
}

static rn_result memory_new(struct rn_device *device, size_t bytes, void **out,
                            struct rn_error *err)
{
    return rn_port_alloc(device->port, bytes, out, err);
}

static void memory_free(struct rn_device *device, void *memory)
{
    rn_port_release(device->port, memory);
}

static uint64_t memory_left(struct rn_device *device)
{
    return rn_port_left(device->port);
}

static void lane_free(struct rn_lane *lane)
{
    if (lane == NULL) {
        return;
    }
    rn_cuda_graphs_free(lane->graphs);
    rn_port_release(lane->port, lane->partial);
    rn_port_release(lane->port, lane->row_delta);
    rn_port_release(lane->port, lane->bias);
    rn_port_release(lane->port, lane->rounded);
    rn_port_release(lane->port, lane->clip_squares);
    rn_port_release(lane->port, lane->clip_lengths);
    rn_port_release(lane->port, lane->clip_factor);
    rn_port_release(lane->port, lane->read);
    rn_port_staging_free(lane->port, lane->staging);
    rn_port_release(lane->port, lane->staged);
    rn_port_release(lane->port, lane->rates);
    rn_port_release(lane->port, lane->norm);
    rn_free(lane);
}

static rn_result lane_memory(struct rn_lane *lane, size_t count, size_t size, void *out_pointer,
                             struct rn_error *err)
{
    return rn_port_alloc(lane->port, count * size, (void **)out_pointer, err);
}

static rn_result lane_allocate(struct rn_lane *lane, struct rn_error *err)
{
    const struct rn_lane_limits *l = &lane->limits;
    const size_t rows = l->tokens > l->sequences ? l->tokens : l->sequences;
    const size_t gradient = (size_t)l->width * l->rank;
    const size_t fit = RN_CUDA_PARTIAL_BYTES / sizeof(float) / gradient;
    const size_t sequences = fit > l->sequences ? l->sequences : fit < 1 ? 1 : fit;
    lane->partial_count = sequences * gradient;
    RN_TRY(lane_memory(lane, lane->partial_count, sizeof(float), &lane->partial, err));
    RN_TRY(lane_memory(lane, rows * l->heads, sizeof(float), &lane->row_delta, err));
    RN_TRY(lane_memory(lane, l->width, sizeof(struct rn_bf16), &lane->bias, err));
    lane->rounded_count = (size_t)l->sequences * l->width;
    RN_TRY(lane_memory(lane, lane->rounded_count, sizeof(struct rn_bf16), &lane->rounded, err));
    RN_TRY(lane_memory(lane, RN_CUDA_CLIP_PIECES, sizeof(double), &lane->clip_squares, err));
    RN_TRY(lane_memory(lane, RN_CUDA_CLIP_PIECES, 2 * sizeof(uint64_t), &lane->clip_lengths, err));
    RN_TRY(lane_memory(lane, RN_CUDA_CLIP_EXAMPLES, sizeof(double), &lane->clip_factor, err));
    /* ids, types, positions and owners of tokens; five numbers of a sequence; bounds */
    lane->staged_count = 4 * (size_t)l->tokens + 5 * (size_t)l->sequences + 2;
    RN_TRY(rn_port_staging_new(lane->port, lane->staged_count * sizeof(uint32_t), &lane->staging,
                               err));
    RN_TRY(lane_memory(lane, lane->staged_count, sizeof(uint32_t), &lane->staged, err));
    RN_TRY(lane_memory(lane, 1, sizeof(struct rn_cuda_rates), &lane->rates, err));
    RN_TRY(lane_memory(lane, 1, sizeof(struct rn_cuda_norm), &lane->norm, err));
    lane->read_count = l->width > RN_CUDA_READ_COUNT ? l->width : RN_CUDA_READ_COUNT;
    return lane_memory(lane, lane->read_count, sizeof(float), &lane->read, err);
}

static rn_result lane_new(struct rn_device *device, const struct rn_lane_limits *limits,
                          struct rn_lane **out, struct rn_error *err)
{
    struct rn_lane *lane = rn_alloc(1, sizeof(*lane));
    lane->port = device->port;
    lane->graphs = rn_cuda_graphs_new(device->port);
    lane->square_parts = device->square_parts;
    lane->square_parts_host = device->square_parts_host;
    lane->limits = *limits;
    /* An operation with no adapters still adds head gradients, one row a sequence. */
    lane->limits.rank = limits->rank > 0 ? limits->rank : 1;
    const rn_result result = lane_allocate(lane, err);
    if (!rn_is_ok(result)) {
        lane_free(lane);
        return result;
    }
    *out = lane;
    return rn_ok();
}

static rn_result lane_sync(struct rn_lane *lane, struct rn_error *err)
{
    return rn_port_sync(lane->port, err);
}

static void upload(struct rn_lane *lane, void *to_device, const void *from_host, size_t bytes)
{
    rn_port_upload(lane->port, to_device, from_host, bytes);
}

static void download(struct rn_lane *lane, void *to_host, const void *from_device, size_t bytes)
{
    rn_port_download(lane->port, to_host, from_device, bytes);
}

static void zero(struct rn_lane *lane, void *device_memory, size_t bytes)
{
    rn_port_zero(lane->port, device_memory, bytes);
}

struct rn_cuda_mat rn_cuda_view(struct rn_mat m)
{
    RN_BUG_IF(m.data != NULL && m.type != RN_BF16 && m.type != RN_F32);
    return (struct rn_cuda_mat){.data = m.data, .ld = (int64_t)m.ld, .is_bf16 = m.type == RN_BF16};
}

bool rn_cuda_vectors(struct rn_mat m)
{
    return m.type == RN_BF16 && m.cols % 8 == 0 && m.ld % 8 == 0 && (uintptr_t)m.data % 16 == 0;
}

bool rn_cuda_product_fits(struct rn_mat m)
{
    return rn_cuda_vectors(m) ||
           (m.type == RN_F32 && m.cols % 8 == 0 && m.ld % 4 == 0 && (uintptr_t)m.data % 16 == 0);
}

struct rn_mat rn_cuda_rows(struct rn_mat m, uint32_t first, uint32_t count)
{
    m.data = (uint8_t *)m.data + first * m.ld * rn_element_size(m.type);
    m.rows = count;
    return m;
}

void rn_cuda_launch_elements(struct rn_lane *lane, enum rn_cuda_kernel kernel, size_t n,
                             const void *args)
{
    if (n > 0) {
        const size_t blocks = (n + RN_CUDA_THREADS - 1) / RN_CUDA_THREADS;
        RN_BUG_IF(blocks > INT32_MAX);
        rn_port_launch(lane->port, kernel,
                       (struct rn_port_grid){(unsigned)blocks, 1, 1, RN_CUDA_THREADS}, args);
    }
}

void rn_cuda_launch_warps(struct rn_lane *lane, enum rn_cuda_kernel kernel, uint32_t rows,
                          const void *args)
{
    if (rows > 0) {
        const unsigned blocks = (rows + RN_CUDA_WARPS - 1) / RN_CUDA_WARPS;
        rn_port_launch(lane->port, kernel, (struct rn_port_grid){blocks, 1, 1, RN_CUDA_THREADS},
                       args);
    }
}

void rn_cuda_launch_rows(struct rn_lane *lane, enum rn_cuda_kernel kernel, uint32_t rows,
                         uint32_t cols, const void *args)
{
    if (rows > 0 && cols > 0) {
        const unsigned tiles = (cols + RN_CUDA_THREADS - 1) / RN_CUDA_THREADS;
        rn_port_launch(lane->port, kernel, (struct rn_port_grid){rows, tiles, 1, RN_CUDA_THREADS},
                       args);
    }
}

static bool graph_begin(struct rn_lane *lane, const void *key, size_t bytes)
{
    return rn_cuda_graphs_begin(lane->graphs, key, bytes);
}

static void graph_end(struct rn_lane *lane)
{
    rn_cuda_graphs_end(lane->graphs);
}

static const struct rn_kernels table = {
    .version = RN_KERNELS_VERSION,
    .name = "cuda",
    .activation = RN_BF16,
    .residual = RN_BF16,
    .narrow = RN_F32,
    .block_tokens = BLOCK_TOKENS,
    .lanes_max = 1,
    .graph_tokens = GRAPH_TOKENS,
    .graph_length = GRAPH_LENGTH,
    .device_open = device_open,
    .device_close = device_close,
    .device_describe = device_describe,
    .memory_new = memory_new,
    .memory_free = memory_free,
    .memory_left = memory_left,
    .lane_new = lane_new,
    .lane_free = lane_free,
    .sync = lane_sync,
    .upload = upload,
    .download = download,
    .zero = zero,
    .read_mat = rn_cuda_read_mat_op,
    .weight_new = rn_cuda_weight_new,
    .weight_free = rn_cuda_weight_free,
    .weight_bytes = rn_cuda_weight_bytes,
    .linear = rn_cuda_linear_op,
    .linear_back = rn_cuda_linear_back_op,
    .embed = rn_cuda_embed_op,
    .norm = rn_cuda_norm_op,
    .norm_back = rn_cuda_norm_back_op,
    .attention = rn_cuda_attention_op,
    .attention_back = rn_cuda_attention_back_op,
    .gather_rows = rn_cuda_gather_rows_op,
    .scatter_add_rows = rn_cuda_scatter_add_rows_op,
    .zero_mat = rn_cuda_zero_mat_op,
    .thin = rn_cuda_thin_op,
    .thin_transpose = rn_cuda_thin_transpose_op,
    .outer_sum = rn_cuda_outer_sum_op,
    .rows_store = rn_cuda_rows_store_op,
    .clip_add = rn_cuda_clip_add_op,
    .noisy_mean = rn_cuda_noisy_mean_op,
    .dense = rn_cuda_dense_op,
    .dense_back = rn_cuda_dense_back_op,
    .column_sum = rn_cuda_column_sum_op,
    .cross_entropy = rn_cuda_cross_entropy_op,
    .squared_error = rn_cuda_squared_error_op,
    .vector_add = rn_cuda_vector_add_op,
    .vector_scale = rn_cuda_vector_scale_op,
    .vector_square_sum = rn_cuda_vector_square_sum_op,
    .sgd = rn_cuda_sgd_op,
    .adamw = rn_cuda_adamw_op,
    .graph_begin = graph_begin,
    .graph_end = graph_end,
    .upload_many = rn_cuda_upload_many_op,
    .thin_transposes = rn_cuda_thin_transposes_op,
    .update = rn_cuda_update_op,
};

/* The device answers, or there is no table. */
const struct rn_kernels *rn_kernels_cuda_table(void)
{
    struct rn_port *port = NULL;
    const bool answers = rn_is_ok(rn_port_open(&port, NULL));
    rn_port_close(port);
    return answers ? &table : NULL;
}
