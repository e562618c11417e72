/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/fingerprint.h"

#include "base/guard.h"

#include <string.h>

/* Group g is the g-th little-endian u32 of H(tag, 0, value) || H(tag, 1, value), modulo 100000: no
 * digit is likelier than another by more than 1 in 42949. */
static void groups_write(const char *tag, struct rn_view value, uint32_t groups, char *out)
{
    uint8_t stream[2 * RN_HASH_BYTES];
    for (uint8_t block = 0; block < 2; block++) {
        const struct rn_view parts[] = {rn_view_of(&block, 1), value};
        rn_sha256(stream + (size_t)block * RN_HASH_BYTES, tag, parts, RN_ARRAY_LENGTH(parts));
    }
    struct rn_reader reader = rn_reader_of(rn_view_of(stream, sizeof stream));
    for (uint32_t g = 0; g < groups; g++) {
        const uint32_t digits = rn_read_u32(&reader) % 100000;
        RN_BUG_IF(!rn_text_format(out + (size_t)g * 6, 6, "%05u", digits));
        out[g * 6 + 5] = g + 1 == groups ? '\0' : ' ';
    }
}

void rn_fingerprint_roster(const struct rn_roster *roster,
                           char out[static RN_FINGERPRINT_ROSTER_TEXT])
{
    uint8_t hash[RN_HASH_BYTES];
    rn_roster_hash_of(roster, hash);
    groups_write("rondo/v1 roster fingerprint", rn_view_of(hash, sizeof hash),
                 RN_FINGERPRINT_ROSTER_GROUPS, out);
}

void rn_fingerprint_key(const struct rn_identity_public *key,
                        char out[static RN_FINGERPRINT_KEY_TEXT])
{
    groups_write("rondo/v1 key fingerprint", rn_view_of(key->bytes, sizeof key->bytes),
                 RN_FINGERPRINT_KEY_GROUPS, out);
}

static const char *next_digit(const char *text)
{
    return text + strspn(text, " -,\t");
}

bool rn_fingerprint_equal(const char *given, const char *fingerprint)
{
    given = next_digit(given);
    fingerprint = next_digit(fingerprint);
    while (*given != '\0' && *given == *fingerprint) {
        given = next_digit(given + 1);
        fingerprint = next_digit(fingerprint + 1);
    }
    return *given == '\0' && *fingerprint == '\0';
}
