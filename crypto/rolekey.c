/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/rolekey.h"

#include "base/guard.h"

#include <sodium.h>

struct rn_rolekey {
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES]; /* libsodium's form: seed || public */
    struct rn_identity_public public_key;
};

struct rn_rolekey *rn_rolekey_derive(const struct rn_identity *identity, struct rn_view context,
                                     const char *label)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 seed = {{0}};
    rn_identity_derive(identity, context, label, &seed);
    struct rn_rolekey *key = rn_secret_alloc(sizeof(*key));
    RN_BUG_IF(crypto_sign_ed25519_seed_keypair(key->public_key.bytes, key->secret, seed.bytes) !=
              0);
    return key;
}

void rn_rolekey_free(struct rn_rolekey *key)
{
    rn_secret_free(key);
}

void rn_rolekey_free_cleanup(struct rn_rolekey **key)
{
    rn_rolekey_free(*key);
    *key = NULL;
}

const struct rn_identity_public *rn_rolekey_public_of(const struct rn_rolekey *key)
{
    return &key->public_key;
}

void rn_rolekey_sign(const struct rn_rolekey *key, struct rn_view message,
                     uint8_t out_signature[static RN_SIGNATURE_BYTES])
{
    RN_BUG_IF(message.length > RN_SIGN_MESSAGE_MAX);
    RN_BUG_IF(crypto_sign_ed25519_detached(out_signature, NULL, message.data, message.length,
                                           key->secret) != 0);
}

bool rn_rolekey_verify(const struct rn_identity_public *key, struct rn_view message,
                       const uint8_t signature[static RN_SIGNATURE_BYTES])
{
    return message.length <= RN_SIGN_MESSAGE_MAX &&
           crypto_sign_ed25519_verify_detached(signature, message.data, message.length,
                                               key->bytes) == 0;
}
