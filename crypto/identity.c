/* SPDX-License-Identifier: Apache-2.0
 *
 * Ed25519 identities and signatures. The file format is in keyfile.c.
 */
#include "crypto/identity.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/kdf.h"
#include "crypto/keyfile.h"
#include "crypto/random.h"
#include "crypto/tag.h"

#include <sodium.h>
#include <string.h>

_Static_assert(RN_SIGNATURE_BYTES == crypto_sign_ed25519_BYTES, "signature size");
_Static_assert(RN_IDENTITY_PUBLIC_BYTES == crypto_sign_ed25519_PUBLICKEYBYTES, "key size");
_Static_assert(RN_SECRET_BYTES == crypto_sign_ed25519_SEEDBYTES, "seed size");

#define DERIVED_LABEL_MAX 32

struct rn_identity {
    struct rn_secret32 seed;
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES]; /* libsodium's form: seed || public */
    struct rn_identity_public public_key;
};

struct rn_identity *rn_identity_from_seed(const struct rn_secret32 *seed)
{
    struct rn_identity *identity = rn_secret_alloc(sizeof(*identity));
    identity->seed = *seed;
    RN_BUG_IF(crypto_sign_ed25519_seed_keypair(identity->public_key.bytes, identity->secret,
                                               seed->bytes) != 0);
    return identity;
}

rn_result rn_identity_generate(struct rn_identity **out_identity, struct rn_error *err)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 seed = {{0}};
    RN_TRY(rn_random_bytes(seed.bytes, sizeof(seed.bytes), err));
    *out_identity = rn_identity_from_seed(&seed);
    return rn_ok();
}

rn_result rn_identity_load(const char *path, struct rn_identity **out_identity,
                           struct rn_error *err)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 seed = {{0}};
    RN_TRY(rn_keyfile_read(path, &seed, err));
    *out_identity = rn_identity_from_seed(&seed);
    return rn_ok();
}

rn_result rn_identity_save(const struct rn_identity *identity, const char *path,
                           struct rn_error *err)
{
    return rn_keyfile_write(path, &identity->seed, err);
}

void rn_identity_free(struct rn_identity *identity)
{
    rn_secret_free(identity);
}

void rn_identity_free_cleanup(struct rn_identity **identity)
{
    rn_identity_free(*identity);
    *identity = NULL;
}

const struct rn_identity_public *rn_identity_public_of(const struct rn_identity *identity)
{
    return &identity->public_key;
}

bool rn_identity_public_equal(const struct rn_identity_public *a,
                              const struct rn_identity_public *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool rn_identity_public_valid(const struct rn_identity_public *public_key)
{
    return crypto_core_ed25519_is_valid_point(public_key->bytes) == 1;
}

void rn_identity_derive(const struct rn_identity *identity, struct rn_view salt, const char *label,
                        struct rn_secret32 *out)
{
    const struct rn_view text = rn_view_text(label);
    RN_BUG_IF(text.length == 0 || text.length > DERIVED_LABEL_MAX);
    rn_kdf_sha256(out, rn_view_of(identity->seed.bytes, sizeof(identity->seed.bytes)), salt,
                  "rondo/v1 derived key", text);
}

/* tag || message in one piece, as libsodium signs; the owner frees. */
static uint8_t *tagged(const char *tag, struct rn_view message)
{
    uint8_t *bytes = rn_alloc(RN_TAG_BYTES + message.length, 1);
    rn_tag_expand(bytes, tag);
    if (message.length > 0) {
        memcpy(bytes + RN_TAG_BYTES, message.data, message.length);
    }
    return bytes;
}

void rn_identity_sign(const struct rn_identity *identity, const char *tag, struct rn_view message,
                      uint8_t out_signature[static RN_SIGNATURE_BYTES])
{
    RN_BUG_IF(message.length > RN_SIGN_MESSAGE_MAX);
    RN_CLEANUP(rn_free_cleanup) uint8_t *bytes = tagged(tag, message);
    RN_BUG_IF(crypto_sign_ed25519_detached(out_signature, NULL, bytes,
                                           RN_TAG_BYTES + message.length, identity->secret) != 0);
}

rn_result rn_identity_verify(const struct rn_identity_public *public_key, const char *tag,
                             struct rn_view message,
                             const uint8_t signature[static RN_SIGNATURE_BYTES],
                             struct rn_error *err)
{
    RN_ENSURE(message.length <= RN_SIGN_MESSAGE_MAX, err, RN_E_PEER_LIMIT,
              "signed message longer than %zu bytes", RN_SIGN_MESSAGE_MAX);
    RN_CLEANUP(rn_free_cleanup) uint8_t *bytes = tagged(tag, message);
    RN_ENSURE(crypto_sign_ed25519_verify_detached(signature, bytes, RN_TAG_BYTES + message.length,
                                                  public_key->bytes) == 0,
              err, RN_E_PEER_AUTH, "signature over \"%s\" does not hold", tag);
    return rn_ok();
}
