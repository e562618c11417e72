/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory. Plain memory comes zeroed and never fails: when the system is out of memory the process
 * ends with exit code 81, because no state in memory outlives the journal on disk. Sizes that a
 * peer or a file chose are checked against their named limit BEFORE they come here. Secrets do not
 * live in plain memory: crypto/secret.h.
 */
#ifndef RN_BASE_ALLOC_H
#define RN_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* count * size zeroed bytes, aligned to 64; never NULL, also for 0 bytes. The owner frees with
 * rn_free. */
void *rn_alloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* Grows or shrinks (not zeroed beyond old_count); the old pointer is gone. */
void *rn_realloc(void *memory, size_t old_count, size_t new_count, size_t size)
    __attribute__((returns_nonnull));

/* Bytes that the calling thread has ever taken with the two above: a difference says what a call
 * took. */
size_t rn_alloc_thread_bytes(void);

/* NULL is fine. */
void rn_free(void *memory);

/* Copies length bytes plus a closing NUL; the owner frees. */
char *rn_text_copy(const char *text, size_t length) __attribute__((malloc, returns_nonnull));

/* Cleanup for `RN_CLEANUP(rn_free_cleanup) T *p`. */
void rn_free_cleanup(void *pointer_to_pointer);

/* Checked size arithmetic: false on overflow, *out untouched then. */
bool rn_size_add(size_t a, size_t b, size_t *out);
bool rn_size_mul(size_t a, size_t b, size_t *out);

#endif
