/* SPDX-License-Identifier: Apache-2.0
 *
 * HKDF-SHA256 over libsodium's HMAC. Names follow RFC 5869, section 2.
 */
#include "crypto/kdf.h"

#include "base/guard.h"

#include <sodium.h>
#include <string.h>

#define BLOCK crypto_auth_hmacsha256_BYTES

/* libsodium's pointers must not be NULL, a view of nothing may be. */
static const uint8_t *data_of(struct rn_view view)
{
    static const uint8_t nothing[1];
    return view.length > 0 ? view.data : nothing;
}

static void extract(uint8_t prk[static BLOCK], struct rn_view salt, struct rn_view ikm)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, data_of(salt), salt.length);
    crypto_auth_hmacsha256_update(&state, data_of(ikm), ikm.length);
    crypto_auth_hmacsha256_final(&state, prk);
    rn_secret_wipe(&state, sizeof(state));
}

/* T(index) = HMAC(PRK, T(index - 1) || info || index), in place. */
static void expand_block(uint8_t t[static BLOCK], const uint8_t prk[static BLOCK],
                         struct rn_view info, uint8_t index)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, prk, BLOCK);
    if (index > 1) {
        crypto_auth_hmacsha256_update(&state, t, BLOCK);
    }
    crypto_auth_hmacsha256_update(&state, data_of(info), info.length);
    crypto_auth_hmacsha256_update(&state, &index, 1);
    crypto_auth_hmacsha256_final(&state, t);
    rn_secret_wipe(&state, sizeof(state));
}

void rn_kdf_sha256_long(uint8_t *out, size_t length, struct rn_view ikm, struct rn_view salt,
                        struct rn_view info)
{
    RN_BUG_IF(length > RN_KDF_LENGTH_MAX);
    uint8_t prk[BLOCK];
    uint8_t t[BLOCK];
    extract(prk, salt, ikm);
    size_t done = 0;
    for (unsigned index = 1; done < length; index++) {
        expand_block(t, prk, info, (uint8_t)index);
        for (size_t k = 0; k < BLOCK && done < length; k++) {
            out[done++] = t[k];
        }
    }
    rn_secret_wipe(prk, sizeof(prk));
    rn_secret_wipe(t, sizeof(t));
}

void rn_kdf_sha256(struct rn_secret32 *out_key, struct rn_view ikm, struct rn_view salt,
                   const char *tag, struct rn_view fields)
{
    static const char prefix[] = "rondo/v1 ";
    uint8_t info[RN_TAG_BYTES + RN_KDF_FIELDS_MAX];
    RN_BUG_IF(strncmp(tag, prefix, sizeof(prefix) - 1) != 0 || fields.length > RN_KDF_FIELDS_MAX);
    rn_tag_expand(info, tag);
    if (fields.length > 0) {
        memcpy(info + RN_TAG_BYTES, fields.data, fields.length);
    }
    rn_kdf_sha256_long(out_key->bytes, sizeof(out_key->bytes), ikm, salt,
                       rn_view_of(info, RN_TAG_BYTES + fields.length));
}
