/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's randomness, and ChaCha20 streams.
 */
#include "crypto/random.h"

#include "base/guard.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>

#define BLOCK 64

rn_result rn_random_bytes(void *out, size_t length, struct rn_error *err)
{
    uint8_t *at = out;
    size_t left = length;
    while (left > 0) {
        const ssize_t got = getrandom(at, left, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            rn_secret_wipe(out, length);
            return rn_fail(err, RN_E_SYSTEM, "the system gives no randomness: %s", strerror(errno));
        }
        at += got;
        left -= (size_t)got;
    }
    return rn_ok();
}

void rn_stream_init(struct rn_stream *out_stream, const struct rn_secret32 *key)
{
    out_stream->key = *key;
    out_stream->position = 0;
}

void rn_stream_clear(struct rn_stream *stream)
{
    rn_secret_wipe(stream, sizeof(*stream));
}

void rn_stream_seek(struct rn_stream *stream, uint64_t position)
{
    stream->position = position;
}

/* Key stream from the start of a block. */
static void expand(const struct rn_secret32 *key, uint64_t block, uint8_t *out, size_t length)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    memset(out, 0, length);
    RN_BUG_IF(crypto_stream_chacha20_xor_ic(out, out, length, nonce, block, key->bytes) != 0);
}

void rn_stream_read(struct rn_stream *stream, void *out, size_t length)
{
    uint8_t *at = out;
    size_t left = length;
    RN_BUG_IF(stream->position > UINT64_MAX - length);
    const size_t inside = (size_t)(stream->position % BLOCK);
    if (inside != 0 && left > 0) {
        uint8_t block[BLOCK];
        const size_t taken = left < BLOCK - inside ? left : BLOCK - inside;
        expand(&stream->key, stream->position / BLOCK, block, BLOCK);
        memcpy(at, block + inside, taken);
        rn_secret_wipe(block, sizeof(block));
        stream->position += taken;
        at += taken;
        left -= taken;
    }
    if (left > 0) {
        expand(&stream->key, stream->position / BLOCK, at, left);
        stream->position += left;
    }
}

void rn_stream_words(struct rn_stream *stream, uint64_t *out, size_t count)
{
    rn_stream_read(stream, out, count * sizeof(*out));
    for (size_t k = 0; k < count; k++) {
        out[k] = le64toh(out[k]);
    }
}

uint64_t rn_stream_u64(struct rn_stream *stream)
{
    uint64_t word = 0;
    rn_stream_words(stream, &word, 1);
    return word;
}

uint64_t rn_stream_below(struct rn_stream *stream, uint64_t bound)
{
    RN_BUG_IF(bound == 0);
    /* 2^64 mod bound: the words below it would make small results more likely. */
    const uint64_t rejected = (UINT64_MAX - bound + 1) % bound;
    for (;;) {
        const uint64_t word = rn_stream_u64(stream);
        if (word >= rejected) {
            return word % bound;
        }
    }
}
