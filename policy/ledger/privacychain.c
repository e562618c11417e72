/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ledger/privacychain.h"

#include <string.h>

#include "base/guard.h"
#include "crypto/sha256.h"

#define LEDGER_TAG "rondo/v1 privacy ledger"

/* Lower-case digits alone. */
static bool hex_take(struct rn_reader *reader, uint8_t *out, size_t length)
{
    char text[2 * RN_SIGNATURE_BYTES + 1];
    const struct rn_view view = rn_read_view(reader, 2 * length);
    if (reader->failed) {
        return false;
    }
    memcpy(text, view.data, 2 * length);
    text[2 * length] = '\0';
    if (!rn_hex_decode(out, length, text)) {
        return false;
    }
    rn_hex_encode(text, out, length);
    return memcmp(text, view.data, 2 * length) == 0;
}

static bool word_take(struct rn_reader *reader, const char *word)
{
    return rn_view_equal(rn_read_view(reader, strlen(word)), rn_view_text(word));
}

bool rn_privacy_line_split(struct rn_view line, struct rn_privacy_line *out)
{
    if (line.length < RN_PRIVACY_SEAL_BYTES) {
        return false;
    }
    struct rn_reader reader = rn_reader_of(line);
    out->text = rn_read_view(&reader, line.length - RN_PRIVACY_SEAL_BYTES);
    return word_take(&reader, " chain ") && hex_take(&reader, out->chain, sizeof out->chain) &&
           word_take(&reader, " sign ") &&
           hex_take(&reader, out->signature, sizeof out->signature) && rn_reader_done(&reader);
}

void rn_privacy_chain_next(const uint8_t before[static 32], struct rn_view text,
                           uint8_t out[static 32])
{
    const struct rn_view parts[] = {rn_view_of(before, 32), text};
    rn_sha256(out, LEDGER_TAG, parts, RN_ARRAY_LENGTH(parts));
}

rn_result rn_privacy_chain_verify(const uint8_t identity[static 32],
                                  const struct rn_privacy_line *line, struct rn_error *err)
{
    struct rn_identity_public key;
    memcpy(key.bytes, identity, sizeof key.bytes);
    return rn_identity_verify(&key, LEDGER_TAG, rn_view_of(line->chain, sizeof line->chain),
                              line->signature, err);
}

void rn_privacy_line_write(const uint8_t before[static 32], struct rn_view text,
                           const struct rn_identity *identity, struct rn_buffer *out)
{
    uint8_t chain[32];
    uint8_t signature[RN_SIGNATURE_BYTES];
    char hex[2 * RN_SIGNATURE_BYTES + 1];
    rn_privacy_chain_next(before, text, chain);
    rn_identity_sign(identity, LEDGER_TAG, rn_view_of(chain, sizeof chain), signature);
    rn_buffer_append(out, text.data, text.length);
    rn_hex_encode(hex, chain, sizeof chain);
    rn_buffer_format(out, " chain %s", hex);
    rn_hex_encode(hex, signature, sizeof signature);
    rn_buffer_format(out, " sign %s\n", hex);
}
