/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's memory, and the operations that need no vectors.
 */
#include "trainer/kernels/cpu/cpu_features.h"
#include "trainer/kernels/cpu/cpu_kernels.h"
#include "trainer/kernels/cpu/cpu_onednn.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <string.h>

rn_result rn_cpu_device_open(struct rn_device **out, struct rn_error *err)
{
    (void)err;
    *out = rn_alloc(1, sizeof(**out));
    return rn_ok();
}

rn_result rn_cpu_onednn_device_open(struct rn_device **out, struct rn_error *err)
{
    struct rn_device *device = rn_alloc(1, sizeof(*device));
    const rn_result result = rn_onednn_new(&device->onednn, err);
    if (!rn_is_ok(result)) {
        rn_free(device);
        return result;
    }
    device->name = rn_onednn_has_amx() ? "onednn-amx" : NULL;
    *out = device;
    return rn_ok();
}

rn_result rn_cpu_tile_device_open(const struct rn_tile_unit *unit, const char *name,
                                  struct rn_device **out, struct rn_error *err)
{
    (void)err;
    struct rn_device *device = rn_alloc(1, sizeof(*device));
    *device = (struct rn_device){.name = name, .tiles = unit, .tile_cuts = RN_TILE_CUTS_USUAL};
    *out = device;
    return rn_ok();
}

void rn_cpu_device_close(struct rn_device *device)
{
    if (device != NULL) {
        rn_onednn_free(device->onednn);
        rn_free(device);
    }
}

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

size_t rn_cpu_attend_floats(size_t length, size_t head_dim)
{
    const size_t s = round_up(length, 16);
    const size_t d = round_up(head_dim, 16);
    return 2 * d * s + 4 * length * d + RN_ATTEND_ROWS * (2 * s + 3 * d);
}

size_t rn_cpu_dot_halves(size_t length, size_t head_dim)
{
    const size_t s = round_up(length, 32);
    const size_t d = round_up(head_dim, 32);
    return 9 * s * d + 2 * s * s + RN_CPU_DOT_STRIP_MAX * (6 * s + 2 * d) + 4 * s;
}

size_t rn_cpu_block_k(size_t l2)
{
    const size_t held = l2 / 8 * 7 / (sizeof(float) * (RN_CPU_BLOCK_M + RN_CPU_PANEL));
    const size_t whole = held / 128 * 128;
    return whole < RN_CPU_BLOCK_K_MIN   ? RN_CPU_BLOCK_K_MIN
           : whole > RN_CPU_BLOCK_K_MAX ? RN_CPU_BLOCK_K_MAX
                                        : whole;
}

static void lane_add_tiles(struct rn_lane *lane, const struct rn_device *device, size_t rows,
                           size_t width)
{
    lane->tiles = device->tiles;
    lane->tile_cuts = device->tile_cuts;
    lane->tile_left =
        rn_alloc(rn_tile_left_elements(&lane->tile_cuts, rows, width), sizeof(*lane->tile_left));
    lane->tile_sums =
        rn_alloc(rn_tile_sums(&lane->tile_cuts, rows, width), sizeof(*lane->tile_sums));
}

rn_result rn_cpu_lane_new(struct rn_device *device, const struct rn_lane_limits *limits,
                          struct rn_lane **out, struct rn_error *err)
{
    struct rn_lane *lane = rn_alloc(1, sizeof(*lane));
    if (device->onednn != NULL) {
        const rn_result result =
            rn_onednn_lane_new(device->onednn, limits->width, &lane->onednn, err);
        if (!rn_is_ok(result)) {
            rn_free(lane);
            return result;
        }
    }
    if (device->onednn != NULL || device->tiles != NULL) {
        lane->dots =
            rn_alloc(rn_cpu_dot_halves(limits->length, limits->head_dim), sizeof(*lane->dots));
    }
    if (device->tiles != NULL) {
        lane_add_tiles(lane, device, limits->tokens, limits->width);
    }
    lane->block_k = rn_cpu_block_k(rn_cpu_features()->l2);
    lane->packed = rn_alloc(RN_CPU_BLOCK_M * lane->block_k + RN_CPU_PACK_SLACK, sizeof(float));
    lane->sums = rn_alloc(round_up(limits->width, RN_CPU_PANEL) * RN_CPU_BLOCK_M, sizeof(float));
    lane->attend = rn_alloc(rn_cpu_attend_floats(limits->length, limits->head_dim), sizeof(float));
    lane->row = rn_alloc(round_up(limits->width, 16), sizeof(float));
    *out = lane;
    return rn_ok();
}

void rn_cpu_lane_free(struct rn_lane *lane)
{
    if (lane != NULL) {
        rn_free(lane->packed);
        rn_free(lane->sums);
        rn_free(lane->attend);
        rn_free(lane->row);
        rn_free(lane->dots);
        rn_free(lane->tile_left);
        rn_free(lane->tile_sums);
        rn_onednn_lane_free(lane->onednn);
        rn_free(lane);
    }
}

/* panels of the right factor with element [i][c] = w[i * step_i + c * step_c]. */
static void *pack(enum rn_element type, const float *w, size_t depth, size_t columns, size_t step_i,
                  size_t step_c)
{
    const size_t panels = round_up(columns, RN_CPU_PANEL) / RN_CPU_PANEL;
    void *out = rn_alloc(panels * depth * RN_CPU_PANEL, rn_element_size(type));
    for (size_t j = 0; j < panels; j++) {
        const size_t left = columns - j * RN_CPU_PANEL;
        const size_t width = left < RN_CPU_PANEL ? left : RN_CPU_PANEL;
        for (size_t i = 0; i < depth; i++) {
            const size_t to = (j * depth + i) * RN_CPU_PANEL;
            for (size_t c = 0; c < width; c++) {
                const float value = w[i * step_i + (j * RN_CPU_PANEL + c) * step_c];
                if (type == RN_BF16) {
                    ((uint16_t *)out)[to + c] = rn_bf16_of(value);
                } else {
                    ((float *)out)[to + c] = value;
                }
            }
        }
    }
    return out;
}

static rn_result panels_new(enum rn_element type, const float *host_w, uint32_t n, uint32_t k,
                            bool back, struct rn_weight **out)
{
    struct rn_weight *weight = rn_alloc(1, sizeof(*weight));
    *weight = (struct rn_weight){.n = n, .k = k, .type = type};
    weight->forward = pack(type, host_w, k, n, 1, k);
    weight->backward = back ? pack(type, host_w, n, k, k, 1) : NULL;
    *out = weight;
    return rn_ok();
}

rn_result rn_cpu_weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            struct rn_weight **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    return panels_new(RN_F32, host_w, n, k, true, out);
}

rn_result rn_cpu_weight_new_forward(struct rn_device *device, const float *host_w, uint32_t n,
                                    uint32_t k, struct rn_weight **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    return panels_new(RN_F32, host_w, n, k, false, out);
}

rn_result rn_cpu_weight_new_bf16(struct rn_device *device, const float *host_w, uint32_t n,
                                 uint32_t k, struct rn_weight **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    return panels_new(RN_BF16, host_w, n, k, true, out);
}

rn_result rn_cpu_weight_new_bf16_forward(struct rn_device *device, const float *host_w, uint32_t n,
                                         uint32_t k, struct rn_weight **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    return panels_new(RN_BF16, host_w, n, k, false, out);
}

static rn_result onednn_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            bool back, struct rn_weight **out, struct rn_error *err)
{
    struct rn_weight *weight = rn_alloc(1, sizeof(*weight));
    *weight = (struct rn_weight){.n = n, .k = k, .type = RN_BF16};
    rn_result result =
        rn_onednn_matrix_new(device->onednn, host_w, k, n, 1, k, &weight->onednn_forward, err);
    if (rn_is_ok(result) && back) {
        result =
            rn_onednn_matrix_new(device->onednn, host_w, n, k, k, 1, &weight->onednn_backward, err);
    }
    if (!rn_is_ok(result)) {
        rn_cpu_weight_free(device, weight);
        return result;
    }
    *out = weight;
    return rn_ok();
}

rn_result rn_cpu_weight_new_onednn(struct rn_device *device, const float *host_w, uint32_t n,
                                   uint32_t k, struct rn_weight **out, struct rn_error *err)
{
    return onednn_new(device, host_w, n, k, true, out, err);
}

rn_result rn_cpu_weight_new_onednn_forward(struct rn_device *device, const float *host_w,
                                           uint32_t n, uint32_t k, struct rn_weight **out,
                                           struct rn_error *err)
{
    return onednn_new(device, host_w, n, k, false, out, err);
}

rn_result rn_cpu_weight_new_tiles_forward(struct rn_device *device, const float *host_w, uint32_t n,
                                          uint32_t k, struct rn_weight **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    struct rn_weight *weight = rn_alloc(1, sizeof(*weight));
    *weight = (struct rn_weight){.n = n, .k = k, .type = RN_BF16, .tiled = true};
    weight->forward = rn_tile_pack(host_w, k, n, 1, k);
    *out = weight;
    return rn_ok();
}

rn_result rn_cpu_weight_new_tiles(struct rn_device *device, const float *host_w, uint32_t n,
                                  uint32_t k, struct rn_weight **out, struct rn_error *err)
{
    RN_TRY(rn_cpu_weight_new_tiles_forward(device, host_w, n, k, out, err));
    (*out)->backward = rn_tile_pack(host_w, n, k, k, 1);
    return rn_ok();
}

void rn_cpu_weight_free(struct rn_device *device, struct rn_weight *weight)
{
    (void)device;
    if (weight != NULL) {
        rn_onednn_matrix_free(weight->onednn_forward);
        rn_onednn_matrix_free(weight->onednn_backward);
        rn_free(weight->forward);
        rn_free(weight->backward);
        rn_free(weight->plain);
        rn_free(weight);
    }
}

size_t rn_cpu_weight_bytes(const struct rn_weight *weight)
{
    if (weight->onednn_forward != NULL) {
        const struct rn_onednn_matrix *back = weight->onednn_backward;
        return rn_onednn_matrix_bytes(weight->onednn_forward) +
               (back != NULL ? rn_onednn_matrix_bytes(back) : 0);
    }
    const bool both = weight->backward != NULL;
    if (weight->tiled) {
        return (rn_tile_elements(weight->k, weight->n) +
                (both ? rn_tile_elements(weight->n, weight->k) : 0)) *
               sizeof(uint16_t);
    }
    const size_t forward = round_up(weight->n, RN_CPU_PANEL) * weight->k;
    const size_t backward = both ? round_up(weight->k, RN_CPU_PANEL) * weight->n : 0;
    const size_t plain = weight->plain != NULL ? (size_t)weight->n * weight->k : 0;
    return (forward + backward) * rn_element_size(weight->type) + plain * sizeof(float);
}

void rn_cpu_thin_transpose(struct rn_lane *lane, const float *b, uint32_t n, uint32_t r,
                           float scale, float *out)
{
    (void)lane;
    for (size_t i = 0; i < r; i++) {
        for (size_t c = 0; c < n; c++) {
            out[i * n + c] = scale * b[c * r + i];
        }
    }
}

void rn_cpu_column_sum(struct rn_lane *lane, struct rn_mat m, float *out)
{
    (void)lane;
    for (size_t t = 0; t < m.rows; t++) {
        for (size_t c = 0; c < m.cols; c++) {
            out[c] += m.type == RN_BF16 ? rn_bf16_value(((const uint16_t *)rn_row(m, t))[c])
                                        : rn_row_f32(m, t)[c];
        }
    }
}

void rn_cpu_cross_entropy(struct rn_lane *lane, struct rn_mat logits, const int32_t *labels,
                          float scale, struct rn_mat dlogits, double *loss)
{
    (void)lane;
    for (size_t i = 0; i < logits.rows; i++) {
        const float *row = rn_row_f32(logits, i);
        double most = (double)row[0];
        for (size_t c = 1; c < logits.cols; c++) {
            most = (double)row[c] > most ? (double)row[c] : most;
        }
        double sum = 0.0;
        for (size_t c = 0; c < logits.cols; c++) {
            sum += exp((double)row[c] - most);
        }
        const double log_sum = most + log(sum);
        loss[i] = log_sum - (double)row[labels[i]];
        for (size_t c = 0; dlogits.data != NULL && c < logits.cols; c++) {
            const double one = c == (size_t)labels[i] ? 1.0 : 0.0;
            rn_row_f32(dlogits, i)[c] =
                (float)((double)scale * (exp((double)row[c] - log_sum) - one));
        }
    }
}

void rn_cpu_squared_error(struct rn_lane *lane, struct rn_mat logits, const float *targets,
                          float scale, struct rn_mat dlogits, double *loss)
{
    (void)lane;
    for (size_t i = 0; i < logits.rows; i++) {
        const double difference = (double)rn_row_f32(logits, i)[0] - (double)targets[i];
        loss[i] = difference * difference;
        if (dlogits.data != NULL) {
            rn_row_f32(dlogits, i)[0] = (float)(2.0 * (double)scale * difference);
        }
    }
}

void rn_cpu_vector_add(struct rn_lane *lane, size_t n, const float *x, float *y)
{
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

void rn_cpu_vector_scale(struct rn_lane *lane, size_t n, float factor, float *x)
{
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

double rn_cpu_vector_square_sum(struct rn_lane *lane, size_t n, const float *x)
{
    (void)lane;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sum;
}

void rn_cpu_sgd(struct rn_lane *lane, size_t n, float lr, float weight_decay, const float *g,
                float *p)
{
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        p[i] -= lr * (g[i] + weight_decay * p[i]);
    }
}

void rn_cpu_adamw(struct rn_lane *lane, size_t n, const struct rn_adamw *o, const float *g,
                  float *m, float *v, float *p)
{
    (void)lane;
    const float decay = (float)(1.0 - (double)o->lr * (double)o->weight_decay);
    const float rest1 = (float)(1.0 - (double)o->beta1);
    const float rest2 = (float)(1.0 - (double)o->beta2);
    const float root2 = (float)sqrt(o->correction2);
    const float step = (float)((double)o->lr / o->correction1);
    for (size_t i = 0; i < n; i++) {
        m[i] = m[i] + rest1 * (g[i] - m[i]);
        v[i] = o->beta2 * v[i] + rest2 * g[i] * g[i];
        p[i] = p[i] * decay - step * (m[i] / (sqrtf(v[i]) / root2 + o->eps));
    }
}
