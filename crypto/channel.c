/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed messages between two members of a session.
 */
#include "crypto/channel.h"

#include "base/guard.h"
#include "crypto/kdf.h"

#include <sodium.h>

#define AAD_TAG "rondo/v1 channel"
#define AAD_BYTES (RN_TAG_BYTES + 2 * RN_HASH_BYTES + 8)

#define KEY_TAG "rondo/v1 channel key"
#define FIELDS_BYTES (8 + RN_HASH_BYTES)

static const uint8_t zero_nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

_Static_assert(RN_CHANNEL_OVERHEAD == crypto_aead_xchacha20poly1305_ietf_ABYTES, "AEAD tag size");

void rn_channel_generate(struct rn_stream *stream, struct rn_secret32 *out_secret,
                         struct rn_channel_public *out_public)
{
    rn_stream_read(stream, out_secret->bytes, sizeof(out_secret->bytes));
    rn_channel_public_of(out_secret, out_public);
}

void rn_channel_public_of(const struct rn_secret32 *secret, struct rn_channel_public *out_public)
{
    RN_BUG_IF(crypto_scalarmult_curve25519_base(out_public->bytes, secret->bytes) != 0);
}

/* Below 2^255 - 19, which is ed ff .. ff 7f in little-endian. */
static bool canonical(const uint8_t bytes[static RN_CHANNEL_PUBLIC_BYTES])
{
    if (bytes[31] != 0x7f) {
        return bytes[31] < 0x7f;
    }
    for (unsigned k = 1; k < 31; k++) {
        if (bytes[k] != 0xff) {
            return true;
        }
    }
    return bytes[0] < 0xed;
}

bool rn_channel_public_valid(const struct rn_channel_public *public_key)
{
    /* Any clamped scalar is a multiple of the cofactor and sends low-order points to zero, which
     * libsodium reports. */
    static const uint8_t any_scalar[RN_SECRET_BYTES] = {8};
    uint8_t product[RN_SECRET_BYTES];
    return canonical(public_key->bytes) &&
           crypto_scalarmult_curve25519(product, any_scalar, public_key->bytes) == 0;
}

static rn_result derive_key(const struct rn_secret32 *own_secret,
                            const struct rn_channel_public *peer,
                            const struct rn_channel_context *context, struct rn_secret32 *out_key,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 shared;
    RN_ENSURE(canonical(peer->bytes) &&
                  crypto_scalarmult_curve25519(shared.bytes, own_secret->bytes, peer->bytes) == 0,
              err, RN_E_PEER_FORMAT, "channel key of the peer is of low order or not canonical");
    uint8_t fields[FIELDS_BYTES];
    struct rn_writer writer = rn_writer_to(fields, sizeof(fields));
    rn_write_u32(&writer, context->from);
    rn_write_u32(&writer, context->to);
    rn_write_bytes(&writer, context->transcript, RN_HASH_BYTES);
    RN_BUG_IF(!rn_writer_done(&writer));
    rn_kdf_sha256(out_key, rn_view_of(shared.bytes, sizeof(shared.bytes)),
                  rn_view_of(context->session, RN_HASH_BYTES), KEY_TAG,
                  rn_view_of(fields, sizeof(fields)));
    return rn_ok();
}

static void write_aad(uint8_t out[static AAD_BYTES], const struct rn_channel_context *context)
{
    rn_tag_expand(out, AAD_TAG);
    struct rn_writer writer = rn_writer_to(out + RN_TAG_BYTES, AAD_BYTES - RN_TAG_BYTES);
    rn_write_bytes(&writer, context->session, RN_HASH_BYTES);
    rn_write_bytes(&writer, context->transcript, RN_HASH_BYTES);
    rn_write_u32(&writer, context->from);
    rn_write_u32(&writer, context->to);
    RN_BUG_IF(!rn_writer_done(&writer));
}

void rn_channel_seal_under(const struct rn_secret32 *key, const struct rn_channel_context *context,
                           struct rn_view plain, uint8_t *out)
{
    RN_BUG_IF(plain.length > RN_CHANNEL_PLAIN_MAX);
    uint8_t aad[AAD_BYTES];
    write_aad(aad, context);
    RN_BUG_IF(crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain.data, plain.length, aad,
                                                         sizeof(aad), NULL, zero_nonce,
                                                         key->bytes) != 0);
}

rn_result rn_channel_open_under(const struct rn_secret32 *key,
                                const struct rn_channel_context *context, struct rn_view sealed,
                                uint8_t *out, struct rn_error *err)
{
    RN_BUG_IF(sealed.length < RN_CHANNEL_OVERHEAD);
    uint8_t aad[AAD_BYTES];
    write_aad(aad, context);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.data, sealed.length, aad,
                                                   sizeof(aad), zero_nonce, key->bytes) != 0) {
        rn_secret_wipe(out, sealed.length - RN_CHANNEL_OVERHEAD);
        return rn_fail(err, RN_E_PEER_AUTH, "sealed message does not open");
    }
    return rn_ok();
}

rn_result rn_channel_seal(const struct rn_secret32 *own_secret,
                          const struct rn_channel_public *peer,
                          const struct rn_channel_context *context, struct rn_view plain,
                          uint8_t *out, struct rn_error *err)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key;
    RN_TRY(derive_key(own_secret, peer, context, &key, err));
    rn_channel_seal_under(&key, context, plain, out);
    return rn_ok();
}

rn_result rn_channel_open(const struct rn_secret32 *own_secret,
                          const struct rn_channel_public *peer,
                          const struct rn_channel_context *context, struct rn_view sealed,
                          uint8_t *out, struct rn_error *err)
{
    RN_ENSURE(sealed.length >= RN_CHANNEL_OVERHEAD, err, RN_E_PEER_FORMAT,
              "sealed message shorter than its %d-byte tag", RN_CHANNEL_OVERHEAD);
    RN_ENSURE(sealed.length - RN_CHANNEL_OVERHEAD <= RN_CHANNEL_PLAIN_MAX, err, RN_E_PEER_LIMIT,
              "sealed message longer than %zu bytes", RN_CHANNEL_PLAIN_MAX);
    rn_secret_wipe(out, sealed.length - RN_CHANNEL_OVERHEAD);
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key;
    RN_TRY(derive_key(own_secret, peer, context, &key, err));
    return rn_channel_open_under(&key, context, sealed, out, err);
}
