/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two backends in host memory share: "device" memory is plain memory, copies are memcpy,
 * and every operation is done when it returns.
 */
#ifndef RN_TRAINER_KERNELS_HOST_H
#define RN_TRAINER_KERNELS_HOST_H

#include "trainer/kernels/kernels.h"

#include <string.h>

rn_result rn_host_memory_new(struct rn_device *device, size_t bytes, void **out,
                             struct rn_error *err);
void rn_host_memory_free(struct rn_device *device, void *memory);
rn_result rn_host_sync(struct rn_lane *lane, struct rn_error *err);
void rn_host_upload(struct rn_lane *lane, void *to_device, const void *from_host, size_t bytes);
void rn_host_download(struct rn_lane *lane, void *to_host, const void *from_device, size_t bytes);
void rn_host_zero(struct rn_lane *lane, void *device_memory, size_t bytes);
void rn_host_read_mat(struct rn_lane *lane, struct rn_mat m, float *to_host);
void rn_host_zero_mat(struct rn_lane *lane, struct rn_mat m);
void rn_host_gather_rows(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                         struct rn_mat out);

/* Row i of a matrix of the named element type. */
static inline float *rn_row_f32(struct rn_mat m, size_t i)
{
    return (float *)m.data + i * m.ld;
}
static inline double *rn_row_f64(struct rn_mat m, size_t i)
{
    return (double *)m.data + i * m.ld;
}

/* Row i of a matrix of float32 or bfloat16. */
static inline void *rn_row(struct rn_mat m, size_t i)
{
    return (uint8_t *)m.data + i * m.ld * rn_element_size(m.type);
}

/* bfloat16 to float32, and back to the nearest, ties to even; a NaN stays one. */
static inline float rn_bf16_value(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float out;
    memcpy(&out, &bits, sizeof(out));
    return out;
}
static inline uint16_t rn_bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    if (x != x) {
        return (uint16_t)((bits | 0x400000u) >> 16);
    }
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* The rank update's right factor for row t. */
static inline const float *rn_epilogue_b(const struct rn_epilogue *e, size_t t)
{
    return e->owner == NULL ? e->rank_b : e->rank_b + (size_t)e->owner[t] * e->owner_stride;
}

#endif
