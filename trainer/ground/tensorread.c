/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors to float32.
 */
#include "base/bytes.h"
#include "base/guard.h"
#include "trainer/ground/safetensors.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* IEEE half to single; every half is a single, so this is exact. */
static uint32_t single_of_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1f;
    uint32_t fraction = half & 0x3ffu;

    if (exponent == 0x1f) {
        return sign | 0x7f800000u | fraction << 13;
    }
    if (exponent != 0) {
        return sign | (exponent + 112) << 23 | fraction << 13;
    }
    if (fraction == 0) {
        return sign;
    }
    for (exponent = 113; (fraction & 0x400u) == 0; exponent--) {
        fraction <<= 1; /* subnormal: shift until the leading one is implied */
    }
    return sign | exponent << 23 | (fraction & 0x3ffu) << 13;
}

static void convert(const struct rn_tensor *tensor, float *out)
{
    const uint8_t *from = tensor->data;

    if (tensor->dtype == RN_DTYPE_F32) {
        if (tensor->bytes > 0) {
            memcpy(out, from, tensor->bytes); /* every supported machine is little-endian */
        }
        return;
    }
    for (uint64_t i = 0; i < tensor->elements; i++) {
        const uint16_t bits = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);
        const uint32_t single =
            tensor->dtype == RN_DTYPE_BF16 ? (uint32_t)bits << 16 : single_of_half(bits);
        memcpy(&out[i], &single, sizeof single);
    }
}

/* A checkpoint of a run that diverged, or of a head initialised in half precision, holds NaN: it
 * would go through every product and make one class of all records. */
static rn_result check_finite(const struct rn_tensor *tensor, const float *values,
                              struct rn_error *err)
{
    bool finite = true;

    for (uint64_t i = 0; i < tensor->elements; i++) {
        finite = finite && isfinite(values[i]);
    }
    RN_ENSURE(finite, err, RN_E_DATA,
              "%s: tensor %.200s holds a value that is not a finite number (NaN or infinity)",
              tensor->path, tensor->name);
    return rn_ok();
}

/* The pages that lie in this tensor alone leave the process's resident set: they come back from the
 * file if anybody looks again. Without this a whole checkpoint stands in memory beside its packed
 * weights while a model opens. */
static void release_pages(const struct rn_tensor *tensor)
{
    const long size = sysconf(_SC_PAGESIZE);
    const uintptr_t page = size > 0 ? (uintptr_t)size : 4096;
    const uintptr_t begin = ((uintptr_t)tensor->data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)tensor->data + tensor->bytes) / page * page;

    if (begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

static void describe_shape(const uint64_t *shape, unsigned dimensions, char *out, size_t capacity)
{
    size_t at = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < dimensions && at < capacity; i++) {
        (void)rn_text_format(out + at, capacity - at, "%s%llu", i == 0 ? "" : ",",
                             (unsigned long long)shape[i]);
        at += strlen(out + at);
    }
}

rn_result rn_tensor_read(const struct rn_tensor *tensor, unsigned dimensions, const uint64_t *shape,
                         float *out, struct rn_error *err)
{
    char wanted[96];
    char actual[96];
    bool same = tensor->dimensions == dimensions;

    for (unsigned i = 0; same && i < dimensions; i++) {
        same = tensor->shape[i] == shape[i];
    }
    if (!same) {
        describe_shape(shape, dimensions, wanted, sizeof wanted);
        describe_shape(tensor->shape, tensor->dimensions, actual, sizeof actual);
        return rn_fail(err, RN_E_DATA, "%s: tensor %.200s has shape [%s], expected [%s]",
                       tensor->path, tensor->name, actual, wanted);
    }
    RN_ENSURE(tensor->dtype != RN_DTYPE_OTHER, err, RN_E_UNSUPPORTED,
              "%s: tensor %.200s has dtype %s; F32, F16 and BF16 can be read", tensor->path,
              tensor->name, tensor->dtype_text);
    convert(tensor, out);
    release_pages(tensor);
    return rn_ok();
}

rn_result rn_tensor_read_finite(const struct rn_tensor *tensor, unsigned dimensions,
                                const uint64_t *shape, float *out, struct rn_error *err)
{
    RN_TRY(rn_tensor_read(tensor, dimensions, shape, out, err));
    return check_finite(tensor, out, err);
}

rn_result rn_safetensors_read(const struct rn_safetensors *file, const char *name, uint64_t rows,
                              uint64_t columns, float *out, struct rn_error *err)
{
    const struct rn_tensor *tensor = rn_safetensors_find(file, name);
    const uint64_t shape[2] = {rows, columns};

    RN_ENSURE(tensor != NULL, err, RN_E_DATA, "%s: tensor %.200s is missing",
              rn_safetensors_file(file, 0), name);
    return rn_tensor_read(tensor, columns == 0 ? 1 : 2, shape, out, err);
}
