/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_safetensors_open: every tensor of a file that it accepts can be read to its last byte.
 */
#include "memoryfile.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rn_safetensors *file = NULL;
    char path[64];

    const int descriptor = memory_file(data, size, path);
    if (descriptor >= 0 && rn_is_ok(rn_safetensors_open(path, &file, NULL))) {
        for (size_t i = 0; i < rn_safetensors_count(file); i++) {
            const struct rn_tensor *tensor = rn_safetensors_at(file, i);
            RN_BUG_IF(rn_safetensors_find(file, tensor->name) != tensor);
            float *values = rn_alloc((size_t)tensor->elements, sizeof *values);
            (void)rn_is_ok(rn_tensor_read(tensor, tensor->dimensions, tensor->shape, values, NULL));
            rn_free(values);
        }
        rn_safetensors_free(file);
    }
    (void)close(descriptor);
    return 0;
}
