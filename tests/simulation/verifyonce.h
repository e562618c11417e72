/* SPDX-License-Identifier: Apache-2.0
 *
 * For many members in one process, where each of them checks what all the others signed: what was
 * found valid once is not computed again. Nothing else changes: what is not valid is computed and
 * refused each time, and what is remembered is SHA-256 of all that the answer depends on, so that
 * no other key, tag, message or signature is taken for it. The program is linked with --wrap for
 * the functions below, which are a program's own (this header in one of its files), or those of
 * verifyonce.c.
 */
#ifndef RN_TESTS_VERIFYONCE_H
#define RN_TESTS_VERIFYONCE_H

#include "crypto/channel.h"
#include "crypto/group.h"
#include "crypto/identity.h"
#include "crypto/sha256.h"

#include <string.h>

#define VERIFIED_PLACES ((size_t)1 << 20)
#define VERIFIED_TRIES 8u
static uint8_t verified[VERIFIED_PLACES][RN_HASH_BYTES];

/* The place of what these parts are, whose hash is written out: it holds that hash, or is free, or
 * held one of what is now forgotten. */
static uint8_t *verified_place(const char *tag, const struct rn_view *parts, size_t count,
                               uint8_t hash[static RN_HASH_BYTES])
{
    static const uint8_t none[RN_HASH_BYTES] = {0};
    rn_sha256(hash, tag, parts, count);
    const size_t first = (size_t)hash[0] | (size_t)hash[1] << 8 | (size_t)(hash[2] & 15) << 16;
    for (size_t k = 0; k < VERIFIED_TRIES; k++) {
        uint8_t *place = verified[(first + k) % VERIFIED_PLACES];
        if (memcmp(place, hash, RN_HASH_BYTES) == 0 || memcmp(place, none, RN_HASH_BYTES) == 0) {
            return place;
        }
    }
    return verified[first];
}

rn_result __real_rn_identity_verify(const struct rn_identity_public *public_key, const char *tag,
                                    struct rn_view message,
                                    const uint8_t signature[static RN_SIGNATURE_BYTES],
                                    struct rn_error *err);
rn_result __wrap_rn_identity_verify(const struct rn_identity_public *public_key, const char *tag,
                                    struct rn_view message,
                                    const uint8_t signature[static RN_SIGNATURE_BYTES],
                                    struct rn_error *err);
rn_result __wrap_rn_identity_verify(const struct rn_identity_public *public_key, const char *tag,
                                    struct rn_view message,
                                    const uint8_t signature[static RN_SIGNATURE_BYTES],
                                    struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    const struct rn_view parts[] = {rn_view_of(public_key->bytes, sizeof public_key->bytes),
                                    rn_view_of(signature, RN_SIGNATURE_BYTES), message};
    uint8_t *place = verified_place(tag, parts, 3, hash);
    if (memcmp(place, hash, RN_HASH_BYTES) == 0) {
        return rn_ok();
    }
    RN_TRY(__real_rn_identity_verify(public_key, tag, message, signature, err));
    memcpy(place, hash, RN_HASH_BYTES);
    return rn_ok();
}

rn_result __real_rn_point_parse(const uint8_t bytes[static RN_POINT_BYTES], struct rn_point *out,
                                struct rn_error *err);
rn_result __wrap_rn_point_parse(const uint8_t bytes[static RN_POINT_BYTES], struct rn_point *out,
                                struct rn_error *err);
rn_result __wrap_rn_point_parse(const uint8_t bytes[static RN_POINT_BYTES], struct rn_point *out,
                                struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    const struct rn_view view = rn_view_of(bytes, RN_POINT_BYTES);
    uint8_t *place = verified_place("group element", &view, 1, hash);
    if (memcmp(place, hash, RN_HASH_BYTES) == 0) {
        memcpy(out->bytes, bytes, RN_POINT_BYTES);
        return rn_ok();
    }
    RN_TRY(__real_rn_point_parse(bytes, out, err));
    memcpy(place, hash, RN_HASH_BYTES);
    return rn_ok();
}

bool __real_rn_channel_public_valid(const struct rn_channel_public *key);
bool __wrap_rn_channel_public_valid(const struct rn_channel_public *key);
bool __wrap_rn_channel_public_valid(const struct rn_channel_public *key)
{
    uint8_t hash[RN_HASH_BYTES];
    const struct rn_view view = rn_view_of(key->bytes, sizeof key->bytes);
    uint8_t *place = verified_place("channel key", &view, 1, hash);
    if (memcmp(place, hash, RN_HASH_BYTES) != 0 && __real_rn_channel_public_valid(key)) {
        memcpy(place, hash, RN_HASH_BYTES);
    }
    return memcmp(place, hash, RN_HASH_BYTES) == 0;
}

#endif
