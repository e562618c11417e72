/* SPDX-License-Identifier: Apache-2.0
 *
 * Process-wide preparation for handling secrets. Call once at the start of main, before threads.
 */
#ifndef RN_CRYPTO_SETUP_H
#define RN_CRYPTO_SETUP_H

#include "base/result.h"

/* Initialises libsodium (which picks its fast implementations only then), raises the locked-memory
 * limit as far as the system allows and proves that memory can be locked, and forbids core dumps
 * and debugger attachment, so that no secret reaches a disk. Checks that OpenSSL offers SHA-256 and
 * AES-256-CTR and that the operating system gives randomness.
 *
 * Returns RN_E_SYSTEM with a sentence naming the limit or facility that is missing. Calling it
 * again is harmless. */
RN_MUST rn_result rn_crypto_setup(struct rn_error *err);

/* "1.0.18": the libsodium of this process. */
const char *rn_crypto_sodium_version(void);

#endif
