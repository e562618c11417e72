/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and notes. Checkpoints are in notecheckpoint.c.
 */
#include "policy/tlog/note.h"

#include "base/guard.h"
#include "crypto/base64.h"

#include <string.h>

#define DASH "\xe2\x80\x94 "
#define ID_BYTES 4u
#define TIME_BYTES 8u

/* ---- Keys ---- */

bool rn_note_name_valid(const char *name)
{
    const size_t length = strnlen(name, RN_NOTE_NAME_MAX + 1);
    for (size_t k = 0; k < length; k++) {
        if (name[k] <= ' ' || name[k] > '~' || name[k] == '+') {
            return false;
        }
    }
    return length > 0 && length <= RN_NOTE_NAME_MAX;
}

void rn_note_key_id(const struct rn_note_key *key, uint8_t out[static 4])
{
    const uint8_t middle[2] = {'\n', (uint8_t)key->type};
    const struct rn_view parts[] = {rn_view_text(key->name), rn_view_of(middle, sizeof middle),
                                    rn_view_of(key->public_key.bytes, RN_IDENTITY_PUBLIC_BYTES)};
    uint8_t hash[RN_HASH_BYTES];
    rn_sha256_plain_parts(hash, parts, RN_ARRAY_LENGTH(parts));
    memcpy(out, hash, ID_BYTES);
}

void rn_note_key_write(const struct rn_note_key *key, struct rn_buffer *out)
{
    uint8_t id[ID_BYTES];
    char hex[2 * ID_BYTES + 1];
    uint8_t material[1 + RN_IDENTITY_PUBLIC_BYTES] = {(uint8_t)key->type};
    rn_note_key_id(key, id);
    rn_hex_encode(hex, id, sizeof id);
    memcpy(material + 1, key->public_key.bytes, RN_IDENTITY_PUBLIC_BYTES);
    rn_buffer_format(out, "%s+%s+", key->name, hex);
    rn_base64_write(out, rn_view_of(material, sizeof material));
}

/* What stands before the next '+', which is passed over; the rest where there is none. */
static struct rn_view part_take(struct rn_view *text)
{
    const uint8_t *plus = text->length == 0 ? NULL : memchr(text->data, '+', text->length);
    const size_t length = plus == NULL ? text->length : (size_t)(plus - text->data);
    const struct rn_view part = rn_view_of(text->data, length);
    const size_t passed = length + (plus != NULL);
    *text = rn_view_of(text->data + passed, text->length - passed);
    return part;
}

static bool key_parse(struct rn_view text, struct rn_note_key *out)
{
    uint8_t material[1 + RN_IDENTITY_PUBLIC_BYTES];
    size_t length = 0;
    const struct rn_view name = part_take(&text);
    const struct rn_view id = part_take(&text);
    if (!rn_text_format(out->name, sizeof out->name, "%.*s", (int)name.length,
                        name.length == 0 ? "" : (const char *)name.data) ||
        !rn_note_name_valid(out->name) || id.length != 2 * (size_t)ID_BYTES ||
        !rn_base64_read(text, material, sizeof material, &length) || length != sizeof material) {
        return false;
    }
    out->type = material[0] == RN_NOTE_ED25519 ? RN_NOTE_ED25519 : RN_NOTE_COSIGNATURE;
    memcpy(out->public_key.bytes, material + 1, RN_IDENTITY_PUBLIC_BYTES);
    return material[0] == (uint8_t)out->type && rn_identity_public_valid(&out->public_key);
}

rn_result rn_note_key_read(struct rn_view text, struct rn_note_key *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    const bool good = text.length < 2 * (size_t)RN_NOTE_NAME_MAX && key_parse(text, out);
    if (good) {
        rn_note_key_write(out, &again); /* one text a key, its id included */
    }
    RN_ENSURE(good && rn_view_equal(rn_buffer_view(&again), text), err, RN_E_DATA,
              "This is no verifier key for notes or cosignatures (NAME+ID+KEY, Ed25519).");
    return rn_ok();
}

/* ---- Notes ---- */

/* The next line without its end; false at the end of the text. */
static bool line_take(struct rn_view *text, struct rn_view *out)
{
    const uint8_t *end = text->length == 0 ? NULL : memchr(text->data, '\n', text->length);
    if (end == NULL) {
        return false;
    }
    *out = rn_view_of(text->data, (size_t)(end - text->data));
    *text = rn_view_of(end + 1, text->length - out->length - 1);
    return true;
}

struct signature {
    struct rn_view name; /* borrowed */
    size_t length;       /* of bytes: id and what follows */
    uint8_t bytes[RN_NOTE_SIGNATURE_MAX];
};

/* "— name base64", the signature at least one byte. */
static bool signature_parse(struct rn_view line, struct signature *out)
{
    const size_t dash = strlen(DASH);
    if (line.length < dash || memcmp(line.data, DASH, dash) != 0) {
        return false;
    }
    const uint8_t *name = line.data + dash;
    const uint8_t *space = memchr(name, ' ', line.length - dash);
    if (space == NULL || space == name) {
        return false;
    }
    out->name = rn_view_of(name, (size_t)(space - name));
    const struct rn_view text = rn_view_of(space + 1, line.length - dash - out->name.length - 1);
    return rn_base64_read(text, out->bytes, sizeof out->bytes, &out->length) &&
           out->length > ID_BYTES;
}

static bool text_printable(struct rn_view text)
{
    for (size_t k = 0; k < text.length; k++) {
        if (text.data[k] != '\n' && (text.data[k] < ' ' || text.data[k] > '~')) {
            return false;
        }
    }
    return true;
}

static bool lines_good(struct rn_view lines)
{
    struct rn_view line;
    struct signature signature;
    size_t count = 0;
    while (lines.length > 0) {
        if (!line_take(&lines, &line) || ++count > RN_NOTE_SIGNATURES_MAX ||
            !signature_parse(line, &signature)) {
            return false;
        }
    }
    return count > 0;
}

/* Where the signatures begin: after the last empty line; 0 where there is none. */
static size_t lines_begin(struct rn_view bytes)
{
    for (size_t k = bytes.length; k >= 2; k--) {
        if (bytes.data[k - 1] == '\n' && bytes.data[k - 2] == '\n') {
            return k;
        }
    }
    return 0;
}

rn_result rn_note_split(struct rn_view bytes, struct rn_note *out, struct rn_error *err)
{
    RN_ENSURE(bytes.length <= RN_NOTE_BYTES_MAX, err, RN_E_PEER_LIMIT,
              "A signed note of %zu bytes is too long.", bytes.length);
    const size_t begin = lines_begin(bytes);
    RN_ENSURE(begin > 0, err, RN_E_PEER_FORMAT,
              "A signed note has an empty line before its signatures.");
    out->text = rn_view_of(bytes.data, begin - 1);
    out->lines = rn_view_of(bytes.data + begin, bytes.length - begin);
    RN_ENSURE(text_printable(out->text) && lines_good(out->lines), err, RN_E_PEER_FORMAT,
              "The bytes are no signed note.");
    return rn_ok();
}

/* ---- Signatures ---- */

static void signed_bytes(const struct rn_note_key *key, struct rn_view text, uint64_t seconds,
                         struct rn_buffer *out)
{
    if (key->type == RN_NOTE_COSIGNATURE) {
        rn_buffer_format(out, "cosignature/v1\ntime %llu\n", (unsigned long long)seconds);
    }
    rn_buffer_append(out, text.data, text.length);
}

static uint64_t time_read(const uint8_t bytes[static TIME_BYTES])
{
    uint64_t seconds = 0;
    for (uint32_t k = 0; k < TIME_BYTES; k++) {
        seconds = seconds << 8 | bytes[k];
    }
    return seconds;
}

static bool signature_holds(const struct signature *signature, const struct rn_note_key *key,
                            struct rn_view text, uint64_t *out_time)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    const size_t before = ID_BYTES + (key->type == RN_NOTE_COSIGNATURE ? TIME_BYTES : 0);
    if (signature->length != before + RN_SIGNATURE_BYTES) {
        return false;
    }
    *out_time = key->type == RN_NOTE_COSIGNATURE ? time_read(signature->bytes + ID_BYTES) : 0;
    signed_bytes(key, text, *out_time, &message);
    return *out_time <= INT64_MAX &&
           rn_rolekey_verify(&key->public_key, rn_buffer_view(&message), signature->bytes + before);
}

static bool is_of(const struct signature *signature, const struct rn_note_key *key)
{
    uint8_t id[ID_BYTES];
    rn_note_key_id(key, id);
    return memcmp(signature->bytes, id, ID_BYTES) == 0 &&
           rn_view_equal(signature->name, rn_view_text(key->name));
}

bool rn_note_line_find(const struct rn_note *note, const struct rn_note_key *key,
                       struct rn_buffer *out)
{
    struct rn_view rest = note->lines;
    struct rn_view line;
    struct signature signature;
    uint64_t seconds = 0;
    while (line_take(&rest, &line)) {
        if (signature_parse(line, &signature) && is_of(&signature, key) &&
            signature_holds(&signature, key, note->text, &seconds)) {
            rn_buffer_append(out, line.data, line.length);
            rn_buffer_u8(out, '\n');
            return true;
        }
    }
    return false;
}

rn_result rn_note_verify(const struct rn_note *note, const struct rn_note_key *key,
                         uint64_t *out_time, struct rn_error *err)
{
    struct rn_view rest = note->lines;
    struct rn_view line;
    struct signature signature;
    uint64_t seconds = 0;
    bool found = false;
    while (line_take(&rest, &line)) {
        if (!signature_parse(line, &signature) || !is_of(&signature, key)) {
            continue;
        }
        RN_ENSURE(signature_holds(&signature, key, note->text, &seconds), err, RN_E_PEER_AUTH,
                  "The signature of %s does not hold.", key->name);
        found = true;
    }
    RN_ENSURE(found, err, RN_E_PEER_AUTH, "There is no signature of %s.", key->name);
    if (out_time != NULL) {
        *out_time = seconds;
    }
    return rn_ok();
}

void rn_note_sign(struct rn_view text, const struct rn_note_key *key,
                  const struct rn_rolekey *secret, uint64_t seconds, struct rn_buffer *out)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    uint8_t id[ID_BYTES];
    uint8_t signature[RN_SIGNATURE_BYTES];
    RN_BUG_IF(seconds > INT64_MAX);
    rn_note_key_id(key, id);
    rn_buffer_append(&bytes, id, sizeof id);
    for (uint32_t k = 0; key->type == RN_NOTE_COSIGNATURE && k < TIME_BYTES; k++) {
        rn_buffer_u8(&bytes, (uint8_t)(seconds >> (56 - 8 * k)));
    }
    signed_bytes(key, text, seconds, &message);
    rn_rolekey_sign(secret, rn_buffer_view(&message), signature);
    rn_buffer_append(&bytes, signature, sizeof signature);
    rn_buffer_format(out, DASH "%s ", key->name);
    rn_base64_write(out, rn_buffer_view(&bytes));
    rn_buffer_u8(out, '\n');
}
