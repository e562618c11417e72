/* SPDX-License-Identifier: Apache-2.0
 *
 * Secret memory over libsodium's guarded allocator.
 */
#include "crypto/secret.h"

#include "base/alloc.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ALIGNMENT 16

static _Noreturn void out_of_secret_memory(size_t size)
{
    (void)fprintf(stderr,
                  "rondo: no memory left for %zu bytes of keys; raise the locked-memory limit "
                  "(ulimit -l, LimitMEMLOCK=)\n",
                  size);
    _exit(rn_exit_code((rn_result){RN_E_MEMORY}));
}

void *rn_secret_alloc(size_t size)
{
    RN_BUG_IF(sodium_init() < 0);
    size_t rounded = 0;
    /* libsodium puts the end of the block against a guard page, so the size fixes the alignment. */
    RN_BUG_IF(!rn_size_add(size, ALIGNMENT - 1, &rounded));
    rounded = rounded < ALIGNMENT ? ALIGNMENT : rounded / ALIGNMENT * ALIGNMENT;
    void *memory = sodium_malloc(rounded);
    if (memory == NULL) {
        out_of_secret_memory(size);
    }
    /* sodium_malloc does not report a failed lock; asking again is cheap and does. */
    if (sodium_mlock(memory, rounded) != 0) {
        out_of_secret_memory(size);
    }
    return memset(memory, 0, rounded);
}

void rn_secret_free(void *memory)
{
    sodium_free(memory);
}

void rn_secret_free_cleanup(void *pointer_to_pointer)
{
    void *memory = NULL;
    memcpy(&memory, pointer_to_pointer, sizeof(memory));
    rn_secret_free(memory);
}

void rn_secret_wipe(void *memory, size_t size)
{
    sodium_memzero(memory, size);
}

void rn_secret32_clear(struct rn_secret32 *secret)
{
    sodium_memzero(secret, sizeof(*secret));
}

bool rn_secret_equal(const void *a, const void *b, size_t size)
{
    return sodium_memcmp(a, b, size) == 0;
}

bool rn_secret_is_zero(const void *memory, size_t size)
{
    return sodium_is_zero(memory, size) == 1;
}
