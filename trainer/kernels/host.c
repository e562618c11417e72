/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory operations of the backends in host memory.
 */
#include "trainer/kernels/host.h"

#include "base/alloc.h"

#include <string.h>

rn_result rn_host_memory_new(struct rn_device *device, size_t bytes, void **out,
                             struct rn_error *err)
{
    (void)device;
    (void)err;
    *out = rn_alloc(bytes, 1);
    return rn_ok();
}

void rn_host_memory_free(struct rn_device *device, void *memory)
{
    (void)device;
    rn_free(memory);
}

rn_result rn_host_sync(struct rn_lane *lane, struct rn_error *err)
{
    (void)lane;
    (void)err;
    return rn_ok();
}

void rn_host_upload(struct rn_lane *lane, void *to_device, const void *from_host, size_t bytes)
{
    (void)lane;
    memcpy(to_device, from_host, bytes);
}

void rn_host_download(struct rn_lane *lane, void *to_host, const void *from_device, size_t bytes)
{
    (void)lane;
    memcpy(to_host, from_device, bytes);
}

void rn_host_zero(struct rn_lane *lane, void *device_memory, size_t bytes)
{
    (void)lane;
    memset(device_memory, 0, bytes);
}

void rn_host_read_mat(struct rn_lane *lane, struct rn_mat m, float *to_host)
{
    (void)lane;
    for (size_t i = 0; i < m.rows; i++) {
        for (size_t c = 0; c < m.cols; c++) {
            to_host[i * m.cols + c] = m.type == RN_F64 ? (float)rn_row_f64(m, i)[c]
                                      : m.type == RN_BF16
                                          ? rn_bf16_value(((const uint16_t *)rn_row(m, i))[c])
                                          : rn_row_f32(m, i)[c];
        }
    }
}

void rn_host_zero_mat(struct rn_lane *lane, struct rn_mat m)
{
    (void)lane;
    const size_t size = rn_element_size(m.type);
    for (size_t i = 0; i < m.rows; i++) {
        memset((uint8_t *)m.data + i * m.ld * size, 0, m.cols * size);
    }
}

void rn_host_gather_rows(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                         struct rn_mat out)
{
    (void)lane;
    const size_t size = rn_element_size(x.type);
    for (size_t i = 0; i < out.rows; i++) {
        memcpy((uint8_t *)out.data + i * out.ld * size,
               (const uint8_t *)x.data + (size_t)index[i] * x.ld * size, x.cols * size);
    }
}
