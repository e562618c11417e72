/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's choice of instruction set, its memory, and the operations that need no vectors.
 */
#include "trainer/kernels/cpu/cpu_kernels.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rn_device {
    int unused;
};

rn_result rn_cpu_device_open(struct rn_device **out, struct rn_error *err)
{
    (void)err;
    *out = rn_alloc(1, sizeof(**out));
    return rn_ok();
}

void rn_cpu_device_close(struct rn_device *device)
{
    rn_free(device);
}

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

size_t rn_cpu_attend_floats(size_t length, size_t head_dim)
{
    const size_t s = round_up(length, 16);
    const size_t d = round_up(head_dim, 16);
    return 2 * d * s + 4 * length * d + 2 * s + 3 * d;
}

rn_result rn_cpu_lane_new(struct rn_device *device, const struct rn_lane_limits *limits,
                          struct rn_lane **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    struct rn_lane *lane = rn_alloc(1, sizeof(*lane));
    lane->packed = rn_alloc((size_t)RN_CPU_BLOCK_M * RN_CPU_BLOCK_K, sizeof(float));
    lane->sums = rn_alloc(round_up(limits->width, RN_CPU_PANEL) * RN_CPU_BLOCK_M, sizeof(float));
    lane->attend = rn_alloc(rn_cpu_attend_floats(limits->length, limits->head_dim), sizeof(float));
    *out = lane;
    return rn_ok();
}

void rn_cpu_lane_free(struct rn_lane *lane)
{
    if (lane != NULL) {
        rn_free(lane->packed);
        rn_free(lane->sums);
        rn_free(lane->attend);
        rn_free(lane);
    }
}

/* panels of the right factor with element [i][c] = w[i * step_i + c * step_c]. */
static float *pack(const float *w, size_t depth, size_t columns, size_t step_i, size_t step_c)
{
    const size_t panels = round_up(columns, RN_CPU_PANEL) / RN_CPU_PANEL;
    float *out = rn_alloc(panels * depth * RN_CPU_PANEL, sizeof(float));
    for (size_t j = 0; j < panels; j++) {
        const size_t left = columns - j * RN_CPU_PANEL;
        const size_t width = left < RN_CPU_PANEL ? left : RN_CPU_PANEL;
        for (size_t i = 0; i < depth; i++) {
            float *to = out + (j * depth + i) * RN_CPU_PANEL;
            for (size_t c = 0; c < width; c++) {
                to[c] = w[i * step_i + (j * RN_CPU_PANEL + c) * step_c];
            }
        }
    }
    return out;
}

rn_result rn_cpu_weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            struct rn_weight **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    struct rn_weight *weight = rn_alloc(1, sizeof(*weight));
    *weight = (struct rn_weight){.n = n, .k = k};
    weight->forward = pack(host_w, k, n, 1, k);
    weight->backward = pack(host_w, n, k, k, 1);
    *out = weight;
    return rn_ok();
}

void rn_cpu_weight_free(struct rn_device *device, struct rn_weight *weight)
{
    (void)device;
    if (weight != NULL) {
        rn_free(weight->forward);
        rn_free(weight->backward);
        rn_free(weight->plain);
        rn_free(weight);
    }
}

size_t rn_cpu_weight_bytes(const struct rn_weight *weight)
{
    const size_t forward = round_up(weight->n, RN_CPU_PANEL) * weight->k;
    const size_t backward = round_up(weight->k, RN_CPU_PANEL) * weight->n;
    const size_t plain = weight->plain != NULL ? (size_t)weight->n * weight->k : 0;
    return (forward + backward + plain) * sizeof(float);
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
            out[c] += rn_row_f32(m, t)[c];
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

const struct rn_kernels *rn_kernels_cpu_of(enum rn_cpu_set set)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (set == RN_CPU_AVX512) {
        return avx512 ? &rn_cpu_table_avx512 : NULL;
    }
    if (set == RN_CPU_AVX2) {
        return avx2 ? &rn_cpu_table_avx2 : NULL;
    }
#endif
    return set == RN_CPU_SCALAR ? &rn_cpu_table_scalar : NULL;
}

static const struct rn_kernels *best_set(void)
{
    static const struct {
        const char *name;
        enum rn_cpu_set set;
    } sets[] = {{"avx512", RN_CPU_AVX512}, {"avx2", RN_CPU_AVX2}, {"scalar", RN_CPU_SCALAR}};
    const char *wanted = getenv("RONDO_CPU_KERNELS");
    for (size_t i = 0; i < 3 && wanted != NULL; i++) {
        const struct rn_kernels *table = rn_kernels_cpu_of(sets[i].set);
        if (strcmp(wanted, sets[i].name) == 0 && table != NULL) {
            return table;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        const struct rn_kernels *table = rn_kernels_cpu_of(sets[i].set);
        if (table != NULL) {
            return table;
        }
    }
    return &rn_cpu_table_scalar;
}

const struct rn_kernels *rn_kernels_cpu(void)
{
    const char *gemm = getenv("RONDO_CPU_GEMM");
    const struct rn_kernels *table = best_set();
    return gemm != NULL && strcmp(gemm, "openblas") == 0 ? rn_cpu_with_openblas(table) : table;
}
