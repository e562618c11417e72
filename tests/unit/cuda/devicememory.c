/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for tests that run on a device: pinned memory of the host, which has one address for both.
 */
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *check_memory(size_t count, size_t size);
void check_release(void *memory);

void *check_memory(size_t count, size_t size)
{
    const size_t bytes = count * size > 0 ? count * size : 1;
    void *out = NULL;
    if (cudaHostAlloc(&out, bytes, cudaHostAllocMapped) != cudaSuccess) {
        abort();
    }
    memset(out, 0, bytes);
    return out;
}

void check_release(void *memory)
{
    if (memory != NULL && cudaFreeHost(memory) != cudaSuccess) {
        abort();
    }
}
