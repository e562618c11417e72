/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4), always under a domain tag (crypto/tag.h):
 *
 *     hash = SHA-256(tag padded to 32 bytes || data)
 *
 * Data made of several parts is a plain concatenation. Every part but the last has a fixed width or
 * its length in front of it, or the hash is ambiguous: that is the caller's duty.
 *
 * The one exception is a file's hash, which is the untagged SHA-256 that `sha256sum` prints, so
 * that people can compare it with what a model's publisher states.
 */
#ifndef RN_CRYPTO_SHA256_H
#define RN_CRYPTO_SHA256_H

#include "base/bytes.h"
#include "crypto/tag.h"

#define RN_HASH_BYTES 32

/* A hash as a value; compare with rn_hash_equal. */
struct rn_hash {
    uint8_t bytes[RN_HASH_BYTES];
};

bool rn_hash_equal(const struct rn_hash *a, const struct rn_hash *b);

/* Of count views one after another; views may be NULL when count is 0. */
void rn_sha256(uint8_t out[static RN_HASH_BYTES], const char *tag, const struct rn_view *views,
               size_t count);

/* The same piece by piece. init; update as often as wanted; then final (which clears) or clear. */
struct rn_sha256 {
    struct evp_md_ctx_st *context; /* private */
};
void rn_sha256_init(struct rn_sha256 *out_state, const char *tag);
void rn_sha256_update(struct rn_sha256 *state, const void *data, size_t length);
void rn_sha256_final(struct rn_sha256 *state, uint8_t out[static RN_HASH_BYTES]);
/* Abandons; fine on a zeroed, cleared or finished state. For RN_CLEANUP(rn_sha256_clear). */
void rn_sha256_clear(struct rn_sha256 *state);

/* Untagged: what `sha256sum` prints. Only for bytes whose plain hash is known outside Rondo. */
void rn_sha256_plain(uint8_t out[static RN_HASH_BYTES], struct rn_view data);
/* Of count views one after another, for formats of others that separate their domains themselves
 * (RFC 6962's prefixes). */
void rn_sha256_plain_parts(uint8_t out[static RN_HASH_BYTES], const struct rn_view *views,
                           size_t count);
/* Untagged, of a whole file of any size, in constant memory. RN_E_NO_INPUT when it cannot be
 * opened, RN_E_IO when reading fails. */
RN_MUST rn_result rn_sha256_file(const char *path, uint8_t out[static RN_HASH_BYTES],
                                 struct rn_error *err);

#endif
