/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the tests of the CUDA backend: matrices in the backend's form and in the reference's,
 * runs in several thread orders, comparison element by element.
 */
#ifndef RN_TESTS_UNIT_CUDA_CUDACHECK_H
#define RN_TESTS_UNIT_CUDA_CUDACHECK_H

#include "base/alloc.h"
#include "trainer/kernels/cuda/cudabackend.h"
#include "trainer/kernels/cuda/cudakernel.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Zeroed memory that kernels may read and write: plain on the CPU; on a device (RN_CHECK_DEVICE)
 * memory of the host at the same address for both. */
#ifdef RN_CHECK_DEVICE
void *check_memory(size_t count, size_t size);
void check_release(void *memory);
#else
static inline void *check_memory(size_t count, size_t size)
{
    return rn_alloc(count, size);
}
static inline void check_release(void *memory)
{
    rn_free(memory);
}
#endif

static inline void *check_copy(const void *from, size_t bytes)
{
    void *out = check_memory(bytes, 1);
    memcpy(out, from, bytes);
    return out;
}

static inline uint64_t *check_state(void)
{
    static uint64_t state = 88172645463325252u;
    return &state;
}

/* Uniform in -1 .. 1. */
static inline float check_random(void)
{
    uint64_t *state = check_state();
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*state >> 40) / (double)(1 << 23) - 1.0);
}

/* The same matrix for both backends: bf16 or float32, and float64. ld may be greater than cols. */
struct check_pair {
    struct rn_mat cuda, ref;
};

static inline struct check_pair check_empty_type(uint32_t rows, uint32_t cols, size_t ld,
                                                 enum rn_element type)
{
    struct check_pair p;
    const size_t bytes = (size_t)rows * ld * rn_element_size(type);
    p.cuda = (struct rn_mat){check_memory(bytes, 1), rows, cols, ld, type};
    p.ref = (struct rn_mat){rn_alloc((size_t)rows * ld, 8), rows, cols, ld, RN_F64};
    memset(p.cuda.data, 0xff, bytes);
    return p;
}

static inline struct check_pair check_empty_ld(uint32_t rows, uint32_t cols, size_t ld)
{
    return check_empty_type(rows, cols, ld, RN_BF16);
}

static inline struct check_pair check_empty(uint32_t rows, uint32_t cols)
{
    return check_empty_ld(rows, cols, cols);
}

/* A matrix of few columns: float32. */
static inline struct check_pair check_narrow(uint32_t rows, uint32_t cols)
{
    return check_empty_type(rows, cols, cols, RN_F32);
}

static inline float check_got(struct check_pair p, size_t row, size_t column)
{
    const size_t at = row * p.cuda.ld + column;
    return p.cuda.type == RN_F32 ? ((const float *)p.cuda.data)[at]
                                 : rn_from_bf16(((const struct rn_bf16 *)p.cuda.data)[at]);
}

static inline void check_set(struct check_pair p, size_t row, size_t column, float value)
{
    const size_t at = row * p.cuda.ld + column;
    if (p.cuda.type == RN_F32) {
        ((float *)p.cuda.data)[at] = value;
    } else {
        ((struct rn_bf16 *)p.cuda.data)[at] = rn_to_bf16(value);
    }
    ((double *)p.ref.data)[row * p.ref.ld + column] = (double)check_got(p, row, column);
}

static inline struct check_pair check_fill(struct check_pair p, float scale, float offset)
{
    for (size_t i = 0; i < p.cuda.rows; i++) {
        for (size_t c = 0; c < p.cuda.cols; c++) {
            check_set(p, i, c, scale * check_random() + offset);
        }
    }
    return p;
}

static inline struct check_pair check_filled_ld(uint32_t rows, uint32_t cols, size_t ld,
                                                float scale, float offset)
{
    return check_fill(check_empty_ld(rows, cols, ld), scale, offset);
}

static inline struct check_pair check_filled(uint32_t rows, uint32_t cols, float scale)
{
    return check_filled_ld(rows, cols, cols, scale, 0.0f);
}

static inline struct check_pair check_narrow_filled(uint32_t rows, uint32_t cols, float scale)
{
    return check_fill(check_narrow(rows, cols), scale, 0.0f);
}

static inline void check_free(struct check_pair p)
{
    check_release(p.cuda.data);
    rn_free(p.ref.data);
}

static inline float *check_floats(size_t n, float scale, float offset)
{
    float *out = check_memory(n, sizeof(float));
    for (size_t i = 0; i < n; i++) {
        out[i] = scale * check_random() + offset;
    }
    return out;
}

/* ---- runs ---- */

/* What an operation writes. start: its content before (NULL: poison). */
struct check_out {
    void *data;
    size_t bytes;
    const void *start;
};

static inline struct check_out check_out_mat(struct rn_mat m)
{
    return (struct check_out){m.data, m.rows * m.ld * rn_element_size(m.type), NULL};
}

typedef void check_op(const struct rn_kernels *kernels, struct rn_lane *lane, void *context);

static const struct rn_lane_limits check_limits = {512, 64, 512, 2304, 16, 128, 16};

static inline void check_run(const struct rn_kernels *kernels, check_op *op, void *context)
{
    struct rn_device *device = NULL;
    struct rn_lane *lane = NULL;
    struct rn_error err = {{0}};
    assert_true(rn_is_ok(kernels->device_open(&device, &err)));
    assert_true(rn_is_ok(kernels->lane_new(device, &check_limits, &lane, &err)));
    op(kernels, lane, context);
    const rn_result result = kernels->sync(lane, &err);
    if (!rn_is_ok(result)) {
        fail_msg("%s", err.text);
    }
    kernels->lane_free(lane);
    kernels->device_close(device);
}

/* Runs the operation on the CUDA backend with the threads in several orders, from the same start;
 * every order must leave the same bits. */
static inline void check_orders(check_op *op, void *context, const struct check_out *outs,
                                size_t count)
{
    static const char *const orders[] = {"0", "1", "2", "3", "4"};
    void *first[8] = {NULL};
    assert_true(count <= 8);
    for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
        assert_int_equal(setenv("RONDO_CUDA_HOST_ORDER", orders[o], 1), 0);
        for (size_t i = 0; i < count; i++) {
            if (outs[i].start != NULL) {
                memcpy(outs[i].data, outs[i].start, outs[i].bytes);
            } else {
                memset(outs[i].data, 0xff, outs[i].bytes);
            }
        }
        check_run(rn_kernels_cuda_table(), op, context);
        for (size_t i = 0; i < count; i++) {
            if (o == 0) {
                first[i] = rn_alloc(outs[i].bytes, 1);
                memcpy(first[i], outs[i].data, outs[i].bytes);
            } else if (memcmp(first[i], outs[i].data, outs[i].bytes) != 0) {
                fail_msg("output %zu depends on the order of the threads (order %s)", i, orders[o]);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        rn_free(first[i]);
    }
}

/* Runs the tests; skipped where no device answers. */
static inline int check_main(const char *name, const struct CMUnitTest *tests, size_t count)
{
    if (rn_kernels_cuda_table() == NULL) {
        printf("skipped: no device answers\n");
        return 77;
    }
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

/* ---- comparison ---- */

/* Place of a bf16 among all bf16 in order. */
static inline int check_ordinal(struct rn_bf16 v)
{
    return (v.bits & 0x8000) != 0 ? -(int)(v.bits & 0x7fff) : (int)v.bits;
}

/* Every element within `ulps` units in the last place of the rounded reference (float32: within
 * 2^-21 of it, a few units), or within `slack` of the reference; NaN never passes. Padding between
 * rows must be untouched poison. */
static inline bool check_near(struct check_pair p, size_t row, size_t column, double wanted,
                              int ulps, double slack)
{
    const float got = check_got(p, row, column);
    const double error = fabs((double)got - wanted);
    if (error <= slack) {
        return true;
    }
    if (p.cuda.type == RN_F32) {
        return error <= ldexp(fabs(wanted), -21);
    }
    return error == error &&
           abs(check_ordinal(rn_to_bf16(got)) - check_ordinal(rn_to_bf16((float)wanted))) <= ulps;
}

static inline void check_close(const char *what, struct check_pair p, int ulps, double slack)
{
    const size_t size = rn_element_size(p.cuda.type);
    static const uint8_t poison[4] = {0xff, 0xff, 0xff, 0xff};
    for (size_t i = 0; i < p.cuda.rows; i++) {
        for (size_t c = 0; c < p.cuda.ld; c++) {
            const uint8_t *bytes = (const uint8_t *)p.cuda.data + (i * p.cuda.ld + c) * size;
            if (c >= p.cuda.cols) {
                if (memcmp(bytes, poison, size) != 0) {
                    fail_msg("%s: wrote between the rows, at row %zu column %zu", what, i, c);
                }
                continue;
            }
            const double wanted = ((const double *)p.ref.data)[i * p.ref.ld + c];
            if (!check_near(p, i, c, wanted, ulps, slack)) {
                fail_msg("%s: row %zu column %zu is %.9g, wanted %.9g", what, i, c,
                         (double)check_got(p, i, c), wanted);
            }
        }
    }
}

/* Greatest magnitude of the reference. */
static inline double check_peak(struct check_pair p)
{
    double peak = 0.0;
    for (size_t i = 0; i < p.ref.rows; i++) {
        for (size_t c = 0; c < p.ref.cols; c++) {
            peak = fmax(peak, fabs(((const double *)p.ref.data)[i * p.ref.ld + c]));
        }
    }
    return peak;
}

/* ||cuda - ref|| / ||ref|| */
static inline double check_relative(struct check_pair p)
{
    double error = 0.0, norm = 0.0;
    for (size_t i = 0; i < p.ref.rows; i++) {
        for (size_t c = 0; c < p.ref.cols; c++) {
            const double wanted = ((const double *)p.ref.data)[i * p.ref.ld + c];
            const double difference = (double)check_got(p, i, c) - wanted;
            error += difference * difference;
            norm += wanted * wanted;
        }
    }
    return sqrt(error / norm);
}

static inline void check_close_floats(const char *what, const float *got, const float *wanted,
                                      size_t n, double relative, double slack)
{
    for (size_t i = 0; i < n; i++) {
        const double error = fabs((double)got[i] - (double)wanted[i]);
        if (!(error <= relative * fabs((double)wanted[i]) + slack)) {
            fail_msg("%s: element %zu is %.9g, wanted %.9g", what, i, (double)got[i],
                     (double)wanted[i]);
        }
    }
}

#endif
