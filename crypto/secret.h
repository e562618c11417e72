/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for secrets: locked (never swapped), left out of core dumps, between guard pages, wiped
 * when freed. Long-lived secrets (keys, shares, seeds) live here and nowhere else. Intermediate
 * values of one function may live on the stack if the function wipes them on every path.
 *
 * Each allocation takes at least one locked page and three more pages of address space: allocate
 * one struct with all secrets of a session, not one allocation per secret.
 */
#ifndef RN_CRYPTO_SECRET_H
#define RN_CRYPTO_SECRET_H

#include "base/guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_SECRET_BYTES 32

/* A 256-bit secret: symmetric key, seed, or encoded Diffie-Hellman result. Embed it in a struct
 * that rn_secret_alloc made, or clean it up with RN_CLEANUP(rn_secret32_clear). */
struct rn_secret32 {
    uint8_t bytes[RN_SECRET_BYTES];
};

/* size zeroed bytes of secret memory, aligned to 16; never NULL. When the system has no more
 * memory that can be locked the process ends with exit code 81, as rn_alloc does. */
void *rn_secret_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Wipes and releases; NULL is fine. Detects writes past the end and aborts on them. */
void rn_secret_free(void *memory);
/* For RN_CLEANUP(rn_secret_free_cleanup) T *p. */
void rn_secret_free_cleanup(void *pointer_to_pointer);

/* Overwrites with zeros; the compiler cannot remove it. */
void rn_secret_wipe(void *memory, size_t size);
/* For RN_CLEANUP(rn_secret32_clear) struct rn_secret32 x. */
void rn_secret32_clear(struct rn_secret32 *secret);

/* Equality in time that depends on size alone. There is no ordering of secrets. */
RN_MUST bool rn_secret_equal(const void *a, const void *b, size_t size);
/* True when all bytes are zero, in time that depends on size alone. */
RN_MUST bool rn_secret_is_zero(const void *memory, size_t size);

#endif
