/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness: the operating system's generator, and deterministic streams expanded from a 32-byte
 * key.
 *
 * Sans-I/O code (crypto/secagg, policy) never asks the operating system: the program draws one
 * 32-byte key and hands it in, and everything random in the session is read from a stream. So the
 * same code runs under a seeded simulator, and a message made twice has the same bytes.
 *
 * A stream is ChaCha20 with a zero nonce and 64-bit block counter (the original construction by
 * Bernstein), keyed by exactly one purpose: derive a key per purpose with rn_kdf_sha256. Byte p of
 * the stream depends on (key, p) alone. It is NOT the mask stream, which is crypto/maskstream.h.
 */
#ifndef RN_CRYPTO_RANDOM_H
#define RN_CRYPTO_RANDOM_H

#include "base/result.h"
#include "crypto/secret.h"

/* length bytes from the operating system. RN_E_SYSTEM when it has none; out is zeroed then. */
RN_MUST rn_result rn_random_bytes(void *out, size_t length, struct rn_error *err);

/* Holds a secret key: keep it in secret memory or clean it up with RN_CLEANUP(rn_stream_clear). */
struct rn_stream {
    struct rn_secret32 key;
    uint64_t position; /* of the next byte */
};

void rn_stream_init(struct rn_stream *out_stream, const struct rn_secret32 *key);
/* Wipes. */
void rn_stream_clear(struct rn_stream *stream);
void rn_stream_seek(struct rn_stream *stream, uint64_t position);
/* The next length bytes; advances. Reading past 2^64 - 1 bytes is a bug. */
void rn_stream_read(struct rn_stream *stream, void *out, size_t length);
/* The next 8 * count bytes as little-endian words. */
void rn_stream_words(struct rn_stream *stream, uint64_t *out, size_t count);
/* The next 8 bytes as a little-endian word. */
uint64_t rn_stream_u64(struct rn_stream *stream);
/* Uniform in [0, bound) by rejection, bound > 0. Time depends on the stream: not for secrets. */
uint64_t rn_stream_below(struct rn_stream *stream, uint64_t bound);

#endif
