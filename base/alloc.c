/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain memory; the only file that calls the C library's allocator.
 */
#include "base/alloc.h"

#include "base/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 64
#define LARGE ((size_t)4 << 20)      /* bytes from which large pages pay */
#define LARGE_PAGE ((size_t)2 << 20) /* and their size */

static _Noreturn void out_of_memory(size_t bytes)
{
    (void)fprintf(
        stderr,
        "rondo: out of memory (%zu bytes wanted); close other programs or lower the batch size\n",
        bytes);
    _exit(rn_exit_code((rn_result){RN_E_MEMORY}));
}

static size_t rounded(size_t count, size_t size)
{
    size_t bytes = 0;
    if (!rn_size_mul(count, size, &bytes) || !rn_size_add(bytes, LARGE_PAGE, &bytes)) {
        out_of_memory(SIZE_MAX);
    }
    bytes -= LARGE_PAGE;
    const size_t unit = bytes >= LARGE ? LARGE_PAGE : ALIGNMENT;
    return bytes == 0 ? ALIGNMENT : (bytes + unit - 1) / unit * unit;
}

static _Thread_local size_t thread_bytes;

size_t rn_alloc_thread_bytes(void)
{
    return thread_bytes;
}

void *rn_alloc(size_t count, size_t size)
{
    const size_t bytes = rounded(count, size);
    const bool large = bytes >= LARGE;
    thread_bytes += bytes;
    void *memory = aligned_alloc(large ? LARGE_PAGE : ALIGNMENT, bytes);
    if (memory == NULL) {
        out_of_memory(bytes);
    }
    if (large) { /* before the first touch; a wish, which the system may refuse */
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    }
    return memset(memory, 0, bytes);
}

void *rn_realloc(void *memory, size_t old_count, size_t new_count, size_t size)
{
    void *grown = rn_alloc(new_count, size);
    if (memory != NULL) {
        const size_t kept = old_count < new_count ? old_count : new_count;
        memcpy(grown, memory, kept * size);
        rn_free(memory);
    }
    return grown;
}

void rn_free(void *memory)
{
    free(memory);
}

char *rn_text_copy(const char *text, size_t length)
{
    size_t bytes = 0;
    RN_BUG_IF(!rn_size_add(length, 1, &bytes));
    char *copy = rn_alloc(bytes, 1);
    if (length > 0) {
        memcpy(copy, text, length);
    }
    return copy;
}

void rn_free_cleanup(void *pointer_to_pointer)
{
    void *memory = NULL;
    memcpy(&memory, pointer_to_pointer, sizeof(memory));
    free(memory);
}

bool rn_size_add(size_t a, size_t b, size_t *out)
{
    size_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

bool rn_size_mul(size_t a, size_t b, size_t *out)
{
    size_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}
