/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 through OpenSSL, which uses the processor's SHA instructions.
 */
#include "crypto/sha256.h"

#include "base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#define FILE_PIECE ((size_t)64 << 10)

bool rn_hash_equal(const struct rn_hash *a, const struct rn_hash *b)
{
    return memcmp(a->bytes, b->bytes, RN_HASH_BYTES) == 0;
}

/* rn_crypto_setup proved that OpenSSL has SHA-256; what can fail after that is memory. */
static void init_plain(struct rn_sha256 *state)
{
    state->context = EVP_MD_CTX_new();
    RN_BUG_IF(state->context == NULL);
    RN_BUG_IF(EVP_DigestInit_ex(state->context, EVP_sha256(), NULL) != 1);
}

void rn_sha256_init(struct rn_sha256 *out_state, const char *tag)
{
    uint8_t padded[RN_TAG_BYTES];
    rn_tag_expand(padded, tag);
    init_plain(out_state);
    rn_sha256_update(out_state, padded, sizeof(padded));
}

void rn_sha256_update(struct rn_sha256 *state, const void *data, size_t length)
{
    RN_BUG_IF(state->context == NULL);
    if (length > 0) {
        RN_BUG_IF(EVP_DigestUpdate(state->context, data, length) != 1);
    }
}

void rn_sha256_final(struct rn_sha256 *state, uint8_t out[static RN_HASH_BYTES])
{
    RN_BUG_IF(state->context == NULL);
    RN_BUG_IF(EVP_DigestFinal_ex(state->context, out, NULL) != 1);
    rn_sha256_clear(state);
}

void rn_sha256_clear(struct rn_sha256 *state)
{
    EVP_MD_CTX_free(state->context); /* wipes its state; NULL is fine */
    state->context = NULL;
}

void rn_sha256(uint8_t out[static RN_HASH_BYTES], const char *tag, const struct rn_view *views,
               size_t count)
{
    struct rn_sha256 state;
    rn_sha256_init(&state, tag);
    for (size_t k = 0; k < count; k++) {
        rn_sha256_update(&state, views[k].data, views[k].length);
    }
    rn_sha256_final(&state, out);
}

void rn_sha256_plain_parts(uint8_t out[static RN_HASH_BYTES], const struct rn_view *views,
                           size_t count)
{
    struct rn_sha256 state;
    init_plain(&state);
    for (size_t k = 0; k < count; k++) {
        rn_sha256_update(&state, views[k].data, views[k].length);
    }
    rn_sha256_final(&state, out);
}

void rn_sha256_plain(uint8_t out[static RN_HASH_BYTES], struct rn_view data)
{
    rn_sha256_plain_parts(out, &data, 1);
}

static void close_cleanup(const int *descriptor)
{
    if (*descriptor >= 0) {
        (void)close(*descriptor);
    }
}

rn_result rn_sha256_file(const char *path, uint8_t out[static RN_HASH_BYTES], struct rn_error *err)
{
    RN_CLEANUP(close_cleanup) const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    RN_ENSURE(descriptor >= 0, err, RN_E_NO_INPUT, "%s: %s", path, strerror(errno));
    RN_CLEANUP(rn_sha256_clear) struct rn_sha256 state;
    init_plain(&state);
    uint8_t piece[FILE_PIECE];
    for (;;) {
        const ssize_t got = read(descriptor, piece, sizeof(piece));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(got >= 0, err, RN_E_IO, "%s: cannot read: %s", path, strerror(errno));
        if (got == 0) {
            break;
        }
        rn_sha256_update(&state, piece, (size_t)got);
    }
    rn_sha256_final(&state, out);
    return rn_ok();
}
