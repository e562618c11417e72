/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing safetensors: tensors in name order, the header padded with spaces to 8 bytes, as the
 * format's own library does.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *left, const void *right)
{
    const struct rn_tensor_out *const *a = left;
    const struct rn_tensor_out *const *b = right;

    return strcmp((*a)->name, (*b)->name);
}

static bool tensor_bytes(const struct rn_tensor_out *tensor, size_t *out)
{
    size_t elements = 0;

    return rn_size_mul((size_t)tensor->rows, tensor->columns == 0 ? 1 : (size_t)tensor->columns,
                       &elements) &&
           rn_size_mul(elements, sizeof(float), out);
}

/* "name":{"dtype":"F32","shape":[r,c],"data_offsets":[a,b]} */
static rn_result append_entry(const struct rn_tensor_out *tensor, size_t *offset,
                              struct rn_buffer *header, struct rn_error *err)
{
    char name[RN_SAFETENSORS_NAME_MAX * 6 + 8];
    size_t bytes = 0;
    size_t end = 0;
    json_t *text = json_string(tensor->name);

    const size_t length = text == NULL ? 0 : json_dumpb(text, name, sizeof name, JSON_ENCODE_ANY);
    json_decref(text);
    RN_ENSURE(length > 0 && length <= sizeof name && tensor_bytes(tensor, &bytes) &&
                  rn_size_add(*offset, bytes, &end),
              err, RN_E_USAGE, "a tensor's name or size cannot be written");
    rn_buffer_format(header, ",%.*s:{\"dtype\":\"F32\",\"shape\":[%llu", (int)length, name,
                     (unsigned long long)tensor->rows);
    if (tensor->columns != 0) {
        rn_buffer_format(header, ",%llu", (unsigned long long)tensor->columns);
    }
    rn_buffer_format(header, "],\"data_offsets\":[%zu,%zu]}", *offset, end);
    *offset = end;
    return rn_ok();
}

static rn_result encode(const struct rn_tensor_out **sorted, size_t count, struct rn_buffer *out,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer header = {0};
    size_t offset = 0;

    rn_buffer_format(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        RN_ENSURE(i == 0 || strcmp(sorted[i - 1]->name, sorted[i]->name) != 0, err, RN_E_USAGE,
                  "tensor %.200s is written twice", sorted[i]->name);
        RN_TRY(append_entry(sorted[i], &offset, &header, err));
    }
    rn_buffer_u8(&header, '}');
    while (header.length % 8 != 0) {
        rn_buffer_u8(&header, ' ');
    }
    out->length = 0;
    rn_buffer_u64(out, header.length);
    rn_buffer_append(out, header.data, header.length);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = 0;
        RN_BUG_IF(!tensor_bytes(sorted[i], &bytes));
        rn_buffer_append(out, sorted[i]->data, bytes);
    }
    RN_ENSURE(!header.failed && !out->failed, err, RN_E_MEMORY,
              "the tensors take more than %zu bytes", RN_BUFFER_MAX_DEFAULT);
    return rn_ok();
}

rn_result rn_safetensors_encode(const struct rn_tensor_out *tensors, size_t count,
                                struct rn_buffer *out, struct rn_error *err)
{
    RN_ENSURE(count <= RN_SAFETENSORS_TENSORS_MAX, err, RN_E_USAGE, "more than %d tensors",
              RN_SAFETENSORS_TENSORS_MAX);
    RN_CLEANUP(rn_free_cleanup)
    const struct rn_tensor_out **sorted = rn_alloc(count, sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &tensors[i];
    }
    if (count > 1) {
        qsort(sorted, count, sizeof *sorted, compare_names);
    }
    return encode(sorted, count, out, err);
}

rn_result rn_safetensors_write(const char *path, const struct rn_tensor_out *tensors, size_t count,
                               struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};

    RN_TRY(rn_safetensors_encode(tensors, count, &bytes, err));
    return rn_file_write(path, rn_buffer_view(&bytes), 0644, err);
}
