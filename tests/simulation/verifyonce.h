/* SPDX-License-Identifier: Apache-2.0
 *
 * For sessions of a thousand members in one process, where each of them checks what a thousand
 * signed: what was found valid once is not computed again. Nothing else changes: invalid signatures
 * and keys are refused each time. The program is linked with --wrap for the functions below.
 */
#ifndef RN_TESTS_VERIFYONCE_H
#define RN_TESTS_VERIFYONCE_H

#include "crypto/channel.h"
#include "crypto/group.h"
#include "crypto/identity.h"
#include "crypto/sha256.h"

#define VERIFIED_PLACES ((size_t)1 << 20)
static uint8_t verified[VERIFIED_PLACES][RN_HASH_BYTES];

/* The place of this hash, or the free one where it belongs; the table is never full. */
static uint8_t *place_of_hash(const uint8_t hash[static RN_HASH_BYTES])
{
    static const uint8_t none[RN_HASH_BYTES] = {0};
    size_t at = (size_t)hash[0] | (size_t)hash[1] << 8 | (size_t)(hash[2] & 15) << 16;
    while (memcmp(verified[at], hash, RN_HASH_BYTES) != 0 &&
           memcmp(verified[at], none, RN_HASH_BYTES) != 0) {
        at = (at + 1) % VERIFIED_PLACES;
    }
    return verified[at];
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
    rn_sha256(hash, tag, parts, 3);
    uint8_t *place = place_of_hash(hash);
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
    uint8_t *place = place_of_hash(bytes);
    if (memcmp(place, bytes, RN_POINT_BYTES) == 0) {
        memcpy(out->bytes, bytes, RN_POINT_BYTES);
        return rn_ok();
    }
    RN_TRY(__real_rn_point_parse(bytes, out, err));
    memcpy(place, bytes, RN_POINT_BYTES);
    return rn_ok();
}

bool __real_rn_channel_public_valid(const struct rn_channel_public *key);
bool __wrap_rn_channel_public_valid(const struct rn_channel_public *key);
bool __wrap_rn_channel_public_valid(const struct rn_channel_public *key)
{
    uint8_t hash[RN_HASH_BYTES];
    const struct rn_view view = rn_view_of(key->bytes, sizeof key->bytes);
    rn_sha256(hash, "channel key", &view, 1);
    uint8_t *place = place_of_hash(hash);
    if (memcmp(place, hash, RN_HASH_BYTES) != 0 && __real_rn_channel_public_valid(key)) {
        memcpy(place, hash, RN_HASH_BYTES);
    }
    return memcmp(place, hash, RN_HASH_BYTES) == 0;
}

#endif
