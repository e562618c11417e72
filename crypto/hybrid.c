/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hybrid.h"

#include "base/guard.h"
#include "crypto/kdf.h"

#include <sodium.h>
#include <string.h>

#define KEY_TAG "rondo/v1 hybrid channel key"
#define COINS_TAG "rondo/v1 hybrid coins"
#define COINS_BYTES 64
#define FIELDS_BYTES (8 + RN_HASH_BYTES)

#ifdef RN_HAVE_XWING
_Static_assert(sizeof(struct rn_hybrid_public) == crypto_kem_xwing_PUBLICKEYBYTES, "public key");
_Static_assert(RN_HYBRID_CIPHERTEXT_BYTES == crypto_kem_xwing_CIPHERTEXTBYTES, "ciphertext");
_Static_assert(RN_SECRET_BYTES == crypto_kem_xwing_SEEDBYTES, "seed");
_Static_assert(RN_SECRET_BYTES == crypto_kem_xwing_SECRETKEYBYTES, "the secret key is the seed");
_Static_assert(RN_SECRET_BYTES == crypto_kem_xwing_SHAREDSECRETBYTES, "shared secret");

bool rn_hybrid_here(void)
{
    return true;
}

static void generate(uint8_t *out_public, const uint8_t *seed)
{
    uint8_t secret[RN_SECRET_BYTES];
    RN_BUG_IF(crypto_kem_xwing_seed_keypair(out_public, secret, seed) != 0);
    rn_secret_wipe(secret, sizeof(secret));
}

static bool encapsulate(uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key,
                        const uint8_t *coins)
{
    return crypto_kem_xwing_enc_deterministic(ciphertext, shared, public_key, coins) == 0;
}

static bool decapsulate(uint8_t *shared, const uint8_t *ciphertext, const uint8_t *seed)
{
    return crypto_kem_xwing_dec(shared, ciphertext, seed) == 0;
}
#else
bool rn_hybrid_here(void)
{
    return false;
}

static void generate(uint8_t *out_public, const uint8_t *seed)
{
    (void)out_public;
    (void)seed;
    RN_BUG_IF(!rn_hybrid_here());
}

static bool encapsulate(uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key,
                        const uint8_t *coins)
{
    (void)ciphertext;
    (void)shared;
    (void)public_key;
    (void)coins;
    RN_BUG_IF(!rn_hybrid_here());
    return false;
}

static bool decapsulate(uint8_t *shared, const uint8_t *ciphertext, const uint8_t *seed)
{
    (void)shared;
    (void)ciphertext;
    (void)seed;
    RN_BUG_IF(!rn_hybrid_here());
    return false;
}
#endif

void rn_hybrid_public_of(const struct rn_secret32 *secret, struct rn_hybrid_public *out_public)
{
    uint8_t bytes[sizeof(*out_public)];
    generate(bytes, secret->bytes);
    memcpy(out_public, bytes, sizeof(bytes));
}

bool rn_hybrid_public_valid(const struct rn_hybrid_public *public_key)
{
    static const uint8_t any_coins[COINS_BYTES] = {8};
    uint8_t ciphertext[RN_HYBRID_CIPHERTEXT_BYTES];
    uint8_t shared[RN_SECRET_BYTES];
    return rn_channel_public_valid(&public_key->curve) &&
           encapsulate(ciphertext, shared, (const uint8_t *)public_key, any_coins);
}

static void write_fields(uint8_t out[static FIELDS_BYTES], const struct rn_channel_context *context)
{
    struct rn_writer writer = rn_writer_to(out, FIELDS_BYTES);
    rn_write_u32(&writer, context->from);
    rn_write_u32(&writer, context->to);
    rn_write_bytes(&writer, context->transcript, RN_HASH_BYTES);
    RN_BUG_IF(!rn_writer_done(&writer));
}

static void derive_key(const struct rn_secret32 *shared, const struct rn_channel_context *context,
                       struct rn_secret32 *out_key)
{
    uint8_t fields[FIELDS_BYTES];
    write_fields(fields, context);
    rn_kdf_sha256(out_key, rn_view_of(shared->bytes, sizeof(shared->bytes)),
                  rn_view_of(context->session, RN_HASH_BYTES), KEY_TAG,
                  rn_view_of(fields, sizeof(fields)));
}

static void derive_coins(const struct rn_secret32 *coins, const struct rn_channel_context *context,
                         uint8_t out[static COINS_BYTES])
{
    uint8_t info[RN_TAG_BYTES + FIELDS_BYTES];
    rn_tag_expand(info, COINS_TAG);
    write_fields(info + RN_TAG_BYTES, context);
    rn_kdf_sha256_long(out, COINS_BYTES, rn_view_of(coins->bytes, sizeof(coins->bytes)),
                       rn_view_of(context->session, RN_HASH_BYTES), rn_view_of(info, sizeof(info)));
}

void rn_hybrid_seal(const struct rn_hybrid_public *peer, const struct rn_secret32 *coins,
                    const struct rn_channel_context *context, struct rn_view plain, uint8_t *out)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 shared = {{0}};
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key = {{0}};
    uint8_t drawn[COINS_BYTES];
    derive_coins(coins, context, drawn);
    RN_BUG_IF(!encapsulate(out, shared.bytes, (const uint8_t *)peer, drawn));
    rn_secret_wipe(drawn, sizeof(drawn));
    derive_key(&shared, context, &key);
    rn_channel_seal_under(&key, context, plain, out + RN_HYBRID_CIPHERTEXT_BYTES);
}

rn_result rn_hybrid_open(const struct rn_secret32 *own_secret,
                         const struct rn_channel_context *context, struct rn_view sealed,
                         uint8_t *out, struct rn_error *err)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 shared = {{0}};
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key = {{0}};
    RN_ENSURE(sealed.length >= RN_HYBRID_OVERHEAD, err, RN_E_PEER_FORMAT,
              "sealed message shorter than its ciphertext of %d bytes and its tag",
              RN_HYBRID_CIPHERTEXT_BYTES);
    RN_ENSURE(sealed.length - RN_HYBRID_OVERHEAD <= RN_CHANNEL_PLAIN_MAX, err, RN_E_PEER_LIMIT,
              "sealed message longer than %zu bytes", RN_CHANNEL_PLAIN_MAX);
    rn_secret_wipe(out, sealed.length - RN_HYBRID_OVERHEAD);
    RN_ENSURE(decapsulate(shared.bytes, sealed.data, own_secret->bytes), err, RN_E_PEER_AUTH,
              "sealed message does not open");
    derive_key(&shared, context, &key);
    return rn_channel_open_under(&key, context,
                                 rn_view_of(sealed.data + RN_HYBRID_CIPHERTEXT_BYTES,
                                            sealed.length - RN_HYBRID_CIPHERTEXT_BYTES),
                                 out, err);
}
