/* SPDX-License-Identifier: Apache-2.0
 *
 * The roster's exact text. The parser compares every byte with the only one that may stand there,
 * which makes the text of a roster unique.
 */
#include "crypto/roster.h"

#include "base/guard.h"

#include <string.h>

#define WORD_MAX 80 /* longer than any word; a key has 64 characters */

bool rn_name_valid(const char *name)
{
    size_t length = 0;
    for (; name[length] != '\0'; length++) {
        const char c = name[length];
        const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!allowed || length >= RN_NAME_MAX) {
            return false;
        }
    }
    return length > 0;
}

struct parser {
    struct rn_reader reader;
    unsigned line;
};

/* Reads up to the byte `end` and past it. The word may be empty; no other space or line end is in
 * it. */
static rn_result read_word(struct parser *parser, char end, char out[static WORD_MAX],
                           struct rn_error *err)
{
    size_t length = 0;
    for (;;) {
        const char c = (char)rn_read_u8(&parser->reader);
        RN_ENSURE(!parser->reader.failed, err, RN_E_DATA, "roster line %u: ends too early",
                  parser->line);
        if (c == end) {
            out[length] = '\0';
            return rn_ok();
        }
        RN_ENSURE(c > ' ' && c <= '~', err, RN_E_DATA,
                  "roster line %u: words are printable ASCII, one space between words, one line "
                  "feed after the last",
                  parser->line);
        RN_ENSURE(length + 1 < WORD_MAX, err, RN_E_DATA, "roster line %u: a word is too long",
                  parser->line);
        out[length++] = c;
    }
}

static rn_result expect_word(struct parser *parser, char end, const char *wanted,
                             struct rn_error *err)
{
    char word[WORD_MAX];
    RN_TRY(read_word(parser, end, word, err));
    RN_ENSURE(strcmp(word, wanted) == 0, err, RN_E_DATA, "roster line %u: \"%s\" must stand here",
              parser->line, wanted);
    return rn_ok();
}

static rn_result read_name(struct parser *parser, char end, char out[static RN_NAME_MAX + 1],
                           struct rn_error *err)
{
    char word[WORD_MAX];
    RN_TRY(read_word(parser, end, word, err));
    RN_ENSURE(rn_name_valid(word), err, RN_E_DATA,
              "roster line %u: a name has 1 to %d of the characters a-z, 0-9 and -", parser->line,
              RN_NAME_MAX);
    (void)rn_text_format(out, RN_NAME_MAX + 1, "%s", word);
    return rn_ok();
}

static rn_result read_key(struct parser *parser, char end, struct rn_identity_public *out,
                          struct rn_error *err)
{
    char word[WORD_MAX];
    char again[2 * RN_IDENTITY_PUBLIC_BYTES + 1] = "";
    RN_TRY(expect_word(parser, ' ', "ed25519", err));
    RN_TRY(read_word(parser, end, word, err));
    const bool hex = rn_hex_decode(out->bytes, sizeof(out->bytes), word);
    if (hex) {
        rn_hex_encode(again, out->bytes, sizeof(out->bytes));
    }
    RN_ENSURE(hex && strcmp(word, again) == 0, err, RN_E_DATA,
              "roster line %u: a key has %d lower-case hex digits", parser->line,
              2 * RN_IDENTITY_PUBLIC_BYTES);
    RN_ENSURE(rn_identity_public_valid(out), err, RN_E_DATA,
              "roster line %u: the key is not a valid Ed25519 public key", parser->line);
    return rn_ok();
}

static rn_result read_member(struct parser *parser, struct rn_roster *roster, struct rn_error *err)
{
    RN_ENSURE(roster->count < RN_ROSTER_MEMBERS_MAX, err, RN_E_DATA,
              "roster line %u: more than %d members", parser->line, RN_ROSTER_MEMBERS_MAX);
    struct rn_roster_member *member = &roster->members[roster->count];
    char place[WORD_MAX];
    (void)rn_text_format(place, sizeof(place), "%u", roster->count);
    RN_TRY(expect_word(parser, ' ', "member", err));
    RN_TRY(expect_word(parser, ' ', place, err));
    RN_TRY(read_name(parser, ' ', member->name, err));
    RN_TRY(read_key(parser, '\n', &member->key, err));
    roster->count++;
    return rn_ok();
}

/* The rules that concern more than one word; the same for parsing and writing. */
static rn_result check_entries(const struct rn_roster *roster, struct rn_error *err)
{
    RN_ENSURE(roster->count >= 1, err, RN_E_DATA, "roster: has no members");
    for (uint32_t k = 0; k < roster->count; k++) {
        const struct rn_roster_member *member = &roster->members[k];
        RN_ENSURE(!rn_identity_public_equal(&member->key, &roster->coordinator), err, RN_E_DATA,
                  "roster member %u: has the coordinator's key", k);
        RN_ENSURE(rn_roster_find_name(roster, member->name) == (int)k, err, RN_E_DATA,
                  "roster member %u: its name is taken by an earlier member", k);
        RN_ENSURE(rn_roster_find_key(roster, &member->key) == (int)k, err, RN_E_DATA,
                  "roster member %u: its key is taken by an earlier member", k);
    }
    return rn_ok();
}

static rn_result parse(struct rn_view bytes, struct rn_roster *roster, struct rn_error *err)
{
    RN_ENSURE(bytes.length <= RN_ROSTER_BYTES_MAX, err, RN_E_DATA,
              "roster: larger than the limit of %zu bytes", RN_ROSTER_BYTES_MAX);
    struct parser parser = {rn_reader_of(bytes), 1};
    RN_TRY(expect_word(&parser, ' ', "rondo-roster", err));
    RN_TRY(expect_word(&parser, '\n', "2", err));
    parser.line++;
    RN_TRY(expect_word(&parser, ' ', "federation", err));
    RN_TRY(read_name(&parser, '\n', roster->federation, err));
    parser.line++;
    RN_TRY(expect_word(&parser, ' ', "coordinator", err));
    RN_TRY(read_key(&parser, '\n', &roster->coordinator, err));
    while (rn_reader_left(&parser.reader) > 0) {
        parser.line++;
        RN_TRY(read_member(&parser, roster, err));
    }
    return check_entries(roster, err);
}

rn_result rn_roster_parse(struct rn_view bytes, struct rn_roster *out_roster, struct rn_error *err)
{
    memset(out_roster, 0, sizeof(*out_roster));
    const rn_result result = parse(bytes, out_roster, err);
    if (!rn_is_ok(result)) {
        memset(out_roster, 0, sizeof(*out_roster));
    }
    return result;
}

static rn_result check_words(const struct rn_roster *roster, struct rn_error *err)
{
    RN_ENSURE(roster->count <= RN_ROSTER_MEMBERS_MAX, err, RN_E_DATA,
              "roster: more than %d members", RN_ROSTER_MEMBERS_MAX);
    RN_ENSURE(rn_name_valid(roster->federation), err, RN_E_DATA,
              "roster: the federation's name has 1 to %d of the characters a-z, 0-9 and -",
              RN_NAME_MAX);
    RN_ENSURE(rn_identity_public_valid(&roster->coordinator), err, RN_E_DATA,
              "roster: the coordinator's key is not a valid Ed25519 public key");
    for (uint32_t k = 0; k < roster->count; k++) {
        const struct rn_roster_member *member = &roster->members[k];
        RN_ENSURE(rn_name_valid(member->name), err, RN_E_DATA,
                  "roster member %u: a name has 1 to %d of the characters a-z, 0-9 and -", k,
                  RN_NAME_MAX);
        RN_ENSURE(rn_identity_public_valid(&member->key), err, RN_E_DATA,
                  "roster member %u: the key is not a valid Ed25519 public key", k);
    }
    return rn_ok();
}

static void format(const struct rn_roster *roster, struct rn_buffer *out)
{
    char key[2 * RN_IDENTITY_PUBLIC_BYTES + 1];
    rn_buffer_clear(out);
    rn_buffer_init(out, RN_ROSTER_BYTES_MAX);
    rn_hex_encode(key, roster->coordinator.bytes, sizeof(roster->coordinator.bytes));
    rn_buffer_format(out, "rondo-roster 2\nfederation %s\ncoordinator ed25519 %s\n",
                     roster->federation, key);
    for (uint32_t k = 0; k < roster->count; k++) {
        const struct rn_roster_member *member = &roster->members[k];
        rn_hex_encode(key, member->key.bytes, sizeof(member->key.bytes));
        rn_buffer_format(out, "member %u %s ed25519 %s\n", k, member->name, key);
    }
    RN_BUG_IF(out->failed);
}

rn_result rn_roster_write(const struct rn_roster *roster, struct rn_buffer *out,
                          struct rn_error *err)
{
    RN_TRY(check_words(roster, err));
    RN_TRY(check_entries(roster, err));
    format(roster, out);
    return rn_ok();
}

void rn_roster_hash(struct rn_view bytes, uint8_t out[static RN_HASH_BYTES])
{
    rn_sha256(out, RN_ROSTER_HASH_TAG, &bytes, 1);
}

void rn_roster_hash_of(const struct rn_roster *roster, uint8_t out[static RN_HASH_BYTES])
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) text = {0};
    format(roster, &text);
    rn_roster_hash(rn_buffer_view(&text), out);
}

int rn_roster_find_name(const struct rn_roster *roster, const char *name)
{
    for (uint32_t k = 0; k < roster->count; k++) {
        if (strcmp(roster->members[k].name, name) == 0) {
            return (int)k;
        }
    }
    return -1;
}

int rn_roster_find_key(const struct rn_roster *roster, const struct rn_identity_public *key)
{
    for (uint32_t k = 0; k < roster->count; k++) {
        if (rn_identity_public_equal(&roster->members[k].key, key)) {
            return (int)k;
        }
    }
    return -1;
}

void rn_roster_names(const struct rn_roster *roster, const bool *listed, char *out, size_t size)
{
    static const size_t more = sizeof(" and 1024 more");
    uint32_t left = 0;
    size_t used = 0;
    RN_BUG_IF(size < RN_ROSTER_NAMES_MIN);
    out[0] = '\0';
    for (uint32_t k = 0; k < roster->count; k++) {
        left += listed[k];
    }
    for (uint32_t k = 0; k < roster->count; k++) {
        const char *name = roster->members[k].name;
        const char *comma = used == 0 ? "" : ", ";
        if (!listed[k]) {
            continue;
        }
        if (used + strlen(comma) + strlen(name) + (left > 1 ? more : 1) > size) {
            (void)rn_text_format(out + used, size - used, " and %u more", left);
            return;
        }
        (void)rn_text_format(out + used, size - used, "%s%s", comma, name);
        used += strlen(out + used);
        left--;
    }
}
