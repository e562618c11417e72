/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures over a plan's hash and their text file.
 */
#include "policy/signature.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/fingerprint.h"
#include "policy/groupsign.h"

#define SIGNATURE_TAG "rondo/v1 plan signature"
#define BLIND_SIGNATURE_TAG "rondo/v1 blind plan signature"
#define HEAD_LINE "rondo-signatures 1"
#define BLIND_HEAD_LINE "rondo-signatures 2"
#define DOCUMENT_WORD "group "
#define LINE_MAX_BYTES (2 * RN_GROUP_DOCUMENT_MAX + 16)

_Static_assert(RN_SIGNATURES_MAX *RN_SIGNATURES_LINE_MAX + LINE_MAX_BYTES + 128 <=
                   RN_SIGNATURES_BYTES_MAX,
               "the signatures of the largest roster fit, those of a blind plan too");

void rn_signatures_init(struct rn_plan_signatures *out, const struct rn_plan *plan)
{
    *out = (struct rn_plan_signatures){.blind = rn_plan_is_blind(plan)};
    memcpy(out->plan_hash, plan->hash, sizeof out->plan_hash);
}

/* What a signer signs: the plan, and in a blind one a member's group key. */
struct statement {
    const char *tag;
    uint8_t bytes[32 + RN_CHANNEL_PUBLIC_BYTES];
    size_t length;
};

static bool has_group(const struct rn_plan_signature *entry)
{
    return !rn_secret_is_zero(entry->group.bytes, sizeof entry->group.bytes);
}

static struct statement statement_of(const struct rn_plan_signature *entry,
                                     const uint8_t plan_hash[static 32])
{
    struct statement out = {.tag = SIGNATURE_TAG, .length = 32};
    memcpy(out.bytes, plan_hash, 32);
    if (has_group(entry)) {
        out.tag = BLIND_SIGNATURE_TAG;
        memcpy(out.bytes + 32, entry->group.bytes, sizeof entry->group.bytes);
        out.length = sizeof out.bytes;
    }
    return out;
}

static struct rn_plan_signature *entry_find(struct rn_plan_signatures *signatures,
                                            const struct rn_identity_public *key)
{
    for (uint32_t i = 0; i < signatures->count; i++) {
        if (rn_identity_public_equal(&signatures->entries[i].key, key)) {
            return &signatures->entries[i];
        }
    }
    return NULL;
}

static void sign(struct rn_plan_signature *entry, const struct rn_plan *plan,
                 const struct rn_identity *identity)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 secret = {{0}};
    entry->group = (struct rn_channel_public){{0}};
    if (rn_plan_is_blind(plan) && memcmp(entry->key.bytes, plan->coordinator_key, 32) != 0) {
        rn_group_member_key(identity, plan->hash, &secret, &entry->group);
    }
    const struct statement statement = statement_of(entry, plan->hash);
    rn_identity_sign(identity, statement.tag, rn_view_of(statement.bytes, statement.length),
                     entry->bytes);
}

rn_result rn_signatures_add(struct rn_plan_signatures *signatures, const struct rn_plan *plan,
                            const struct rn_identity *identity, struct rn_error *err)
{
    const struct rn_identity_public *key = rn_identity_public_of(identity);
    struct rn_plan_signature *entry = entry_find(signatures, key);
    if (entry == NULL) {
        RN_ENSURE(signatures->count < RN_SIGNATURES_MAX, err, RN_E_CONFIG,
                  "the plan carries %d signatures already", RN_SIGNATURES_MAX);
        entry = &signatures->entries[signatures->count++];
        entry->key = *key;
    }
    RN_BUG_IF(memcmp(signatures->plan_hash, plan->hash, 32) != 0);
    sign(entry, plan, identity);
    return rn_ok();
}

/* The maker signs one document a plan; which one is held stays. */
static rn_result merge_document(struct rn_plan_signatures *into,
                                const struct rn_plan_signatures *from, struct rn_error *err)
{
    if (from->document_bytes == 0) {
        return rn_ok();
    }
    RN_ENSURE(into->document_bytes == 0 ||
                  (into->document_bytes == from->document_bytes &&
                   memcmp(into->document, from->document, from->document_bytes) == 0),
              err, RN_E_DATA,
              "a second, different group key document of one plan: its maker signed two");
    memcpy(into->document, from->document, sizeof into->document);
    into->document_bytes = from->document_bytes;
    return rn_ok();
}

/* A group key follows from the signer's identity and the plan: an honest signer has one. */
static rn_result same_group(const struct rn_plan_signature *held,
                            const struct rn_plan_signature *other, struct rn_error *err)
{
    char key[RN_FINGERPRINT_KEY_TEXT];
    rn_fingerprint_key(&held->key, key);
    RN_ENSURE(memcmp(&held->group, &other->group, sizeof held->group) == 0, err, RN_E_DATA,
              "the member with key %s signed two group keys for this plan", key);
    return rn_ok();
}

rn_result rn_signatures_merge(struct rn_plan_signatures *into,
                              const struct rn_plan_signatures *from, struct rn_error *err)
{
    RN_ENSURE(memcmp(into->plan_hash, from->plan_hash, sizeof into->plan_hash) == 0 &&
                  into->blind == from->blind,
              err, RN_E_DATA, "the signatures are for another plan");
    RN_TRY(merge_document(into, from, err));
    for (uint32_t i = 0; i < from->count; i++) {
        const struct rn_plan_signature *held = entry_find(into, &from->entries[i].key);
        RN_TRY(held != NULL ? same_group(held, &from->entries[i], err) : rn_ok());
        if (held != NULL) {
            continue;
        }
        RN_ENSURE(into->count < RN_SIGNATURES_MAX, err, RN_E_DATA, "more than %d signatures",
                  RN_SIGNATURES_MAX);
        into->entries[into->count++] = from->entries[i];
    }
    return rn_ok();
}

/* Place in the file's order: the coordinator is 0, member i is i + 1; -1 for a stranger. */
static int signer_place(const struct rn_roster *roster, const struct rn_identity_public *key)
{
    if (rn_identity_public_equal(&roster->coordinator, key)) {
        return 0;
    }
    const int member = rn_roster_find_key(roster, key);
    return member < 0 ? -1 : member + 1;
}

static const char *signer_name(const struct rn_roster *roster, int place)
{
    return place == 0 ? RN_SIGNATURES_COORDINATOR : roster->members[place - 1].name;
}

static bool holds_already(const struct rn_plan_signatures *verified,
                          const struct rn_plan_signature *entry)
{
    for (uint32_t i = 0; verified != NULL && i < verified->count; i++) {
        if (memcmp(&verified->entries[i], entry, sizeof *entry) == 0) {
            return true;
        }
    }
    return false;
}

/* Members of a blind plan bring a group key, and nobody else does. */
static rn_result check_group(const struct rn_plan_signature *entry, bool wanted, const char *name,
                             struct rn_error *err)
{
    RN_ENSURE(has_group(entry) == wanted, err, RN_E_PEER_AUTH,
              wanted ? "the plan signature of '%s' brings no group key, which a blind plan needs: "
                       "sign it again with `rondo plan sign`"
                     : "the plan signature of '%s' brings a group key, which is a member's in a "
                       "blind plan",
              name);
    RN_ENSURE(!wanted || rn_channel_public_valid(&entry->group), err, RN_E_PEER_AUTH,
              "the group key of '%s' is of low order or not canonical", name);
    return rn_ok();
}

static bool signature_holds(const struct rn_plan_signature *entry,
                            const uint8_t plan_hash[static 32])
{
    const struct statement statement = statement_of(entry, plan_hash);
    return rn_is_ok(rn_identity_verify(&entry->key, statement.tag,
                                       rn_view_of(statement.bytes, statement.length), entry->bytes,
                                       NULL));
}

/* What stands in verified, which is for the same plan and roster, is not verified again. */
static rn_result verify(const struct rn_plan_signatures *signatures,
                        const struct rn_plan_signatures *verified,
                        const uint8_t plan_hash[static 32], bool blind,
                        const struct rn_roster *roster, struct rn_error *err)
{
    RN_ENSURE(memcmp(signatures->plan_hash, plan_hash, 32) == 0, err, RN_E_PEER_AUTH,
              "the signatures are for another plan: sign this one with `rondo plan sign`");
    RN_ENSURE(signatures->blind == blind, err, RN_E_PEER_AUTH,
              blind ? "the signatures are those of an open plan, and this one is blind"
                    : "the signatures are those of a blind plan, and this one is open");
    for (uint32_t i = 0; i < signatures->count; i++) {
        const struct rn_plan_signature *entry = &signatures->entries[i];
        const int place = signer_place(roster, &entry->key);
        RN_ENSURE(place >= 0, err, RN_E_PEER_AUTH, "signature %u is by a key outside the roster",
                  i + 1);
        RN_TRY(check_group(entry, blind && place > 0, signer_name(roster, place), err));
        const bool holds = holds_already(verified, entry) || signature_holds(entry, plan_hash);
        RN_ENSURE(holds, err, RN_E_PEER_AUTH, "the plan signature of '%s' does not hold",
                  signer_name(roster, place));
    }
    return rn_ok();
}

/* Whose signatures these are, which were verified with this roster. */
static struct rn_plan_signers signers_of(const struct rn_plan_signatures *verified,
                                         const struct rn_roster *roster)
{
    struct rn_plan_signers signers = {.group = verified->document_bytes != 0};
    for (uint32_t i = 0; i < verified->count; i++) {
        const int place = signer_place(roster, &verified->entries[i].key);
        RN_BUG_IF(place < 0);
        if (place == 0) {
            signers.coordinator = true;
        } else if (!signers.members[place - 1]) {
            signers.members[place - 1] = true;
            signers.member_count++;
        }
    }
    return signers;
}

rn_result rn_signatures_verify(const struct rn_plan_signatures *signatures,
                               const struct rn_plan *plan, const struct rn_roster *roster,
                               struct rn_plan_signers *out_signers, struct rn_error *err)
{
    *out_signers = (struct rn_plan_signers){0};
    RN_TRY(verify(signatures, NULL, plan->hash, rn_plan_is_blind(plan), roster, err));
    RN_TRY(rn_signatures_group_check(signatures, roster, err));
    *out_signers = signers_of(signatures, roster);
    return rn_ok();
}

/* merged is room for the outcome, into stays. */
static rn_result take(struct rn_view text, const char *source, const struct rn_roster *roster,
                      const struct rn_plan_signatures *into, struct rn_plan_signatures *fresh,
                      struct rn_plan_signatures *merged, struct rn_error *err)
{
    RN_TRY(rn_signatures_parse(text, source, fresh, err));
    rn_result result = verify(fresh, into, into->plan_hash, into->blind, roster, err);
    *merged = *into;
    if (rn_is_ok(result)) {
        /* One signature of each key of the roster at most: there is room. */
        result = rn_signatures_merge(merged, fresh, err);
    }
    if (rn_is_ok(result) && into->document_bytes == 0) {
        result = rn_signatures_group_check(merged, roster, err);
    }
    return rn_is_ok(result) ? result : rn_fail_context(err, result, "%s", source);
}

rn_result rn_signatures_take(struct rn_view text, const char *source,
                             const struct rn_roster *roster, struct rn_plan_signatures *into,
                             uint32_t *out_new, struct rn_plan_signers *out_signers,
                             struct rn_error *err)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) both = rn_alloc(2, sizeof *both);
    RN_TRY(take(text, source, roster, into, &both[0], &both[1], err));
    *out_new = both[1].count - into->count;
    *out_new += both[1].document_bytes != 0 && into->document_bytes == 0;
    *into = both[1];
    *out_signers = signers_of(into, roster);
    return rn_ok();
}

void rn_signatures_missing(const struct rn_plan_signers *signers, const struct rn_roster *roster,
                           char *out, size_t size)
{
    bool missing[RN_ROSTER_MEMBERS_MAX];
    for (uint32_t i = 0; i < roster->count; i++) {
        missing[i] = !signers->members[i];
    }
    rn_roster_names(roster, missing, out, size);
}

/* ---- Text:
 *
 *     rondo-signatures 1
 *     plan HASH
 *     NAME KEY SIGNATURE       one line per signer; NAME is for people, KEY counts
 *
 * and of a blind plan:
 *
 *     rondo-signatures 2
 *     plan HASH
 *     coordinator KEY SIGNATURE
 *     NAME KEY SIGNATURE GROUP-KEY
 *     group DOCUMENT           two words: no signer's line
 */

static bool line_next(struct rn_view text, size_t *at, char out[static LINE_MAX_BYTES])
{
    const uint8_t *end =
        *at < text.length ? memchr(text.data + *at, '\n', text.length - *at) : NULL;
    const size_t length = end == NULL ? 0 : (size_t)(end - (text.data + *at));
    if (end == NULL || length >= LINE_MAX_BYTES || memchr(text.data + *at, '\0', length) != NULL) {
        return false;
    }
    memcpy(out, text.data + *at, length);
    out[length] = '\0';
    *at += length + 1;
    return true;
}

static bool hex_lower(const char *text, size_t digits)
{
    return strspn(text, "0123456789abcdef") == digits;
}

static bool entry_parse(char *line, struct rn_plan_signature *out)
{
    char *key = strchr(line, ' ');
    if (key == NULL) {
        return false;
    }
    *key++ = '\0';
    char *bytes = strchr(key, ' ');
    if (bytes == NULL) {
        return false;
    }
    *bytes++ = '\0';
    char *group = strchr(bytes, ' ');
    if (group != NULL) {
        *group++ = '\0';
        if (!hex_lower(group, 64) || !rn_hex_decode(out->group.bytes, 32, group) ||
            !has_group(out)) {
            return false;
        }
    }
    return rn_name_valid(line) && hex_lower(key, 64) && hex_lower(bytes, 128) &&
           rn_hex_decode(out->key.bytes, 32, key) &&
           rn_hex_decode(out->bytes, sizeof out->bytes, bytes);
}

/* The last line: two words, which no signer's has. */
static bool document_parse(const char *line, struct rn_plan_signatures *out)
{
    const char *hex = line + strlen(DOCUMENT_WORD);
    if (!out->blind || strncmp(line, DOCUMENT_WORD, strlen(DOCUMENT_WORD)) != 0 ||
        strchr(hex, ' ') != NULL) {
        return false;
    }
    const size_t bytes = strlen(hex) / 2;
    if (bytes == 0 || bytes > sizeof out->document || !hex_lower(hex, 2 * bytes) ||
        !rn_hex_decode(out->document, bytes, hex)) {
        return false;
    }
    out->document_bytes = (uint32_t)bytes;
    return true;
}

static rn_result text_parse(struct rn_view text, const char *source, struct rn_plan_signatures *out,
                            struct rn_error *err)
{
    char line[LINE_MAX_BYTES];
    size_t at = 0;
    RN_ENSURE(text.length <= RN_SIGNATURES_BYTES_MAX, err, RN_E_DATA, "%s: larger than %zu bytes",
              source, RN_SIGNATURES_BYTES_MAX);
    const bool headed = line_next(text, &at, line);
    out->blind = headed && strcmp(line, BLIND_HEAD_LINE) == 0;
    RN_ENSURE(out->blind || (headed && strcmp(line, HEAD_LINE) == 0), err, RN_E_DATA,
              "%s:1: expected '" HEAD_LINE "', or '" BLIND_HEAD_LINE "' of a blind plan", source);
    RN_ENSURE(line_next(text, &at, line) && strncmp(line, "plan ", 5) == 0 &&
                  hex_lower(line + 5, 64) && rn_hex_decode(out->plan_hash, 32, line + 5),
              err, RN_E_DATA, "%s:2: expected 'plan' and 64 lower-case hex digits", source);
    while (at < text.length) {
        struct rn_plan_signature entry = {.bytes = {0}};
        const unsigned number = out->count + 3;
        const bool whole = line_next(text, &at, line);
        if (whole && document_parse(line, out)) {
            RN_ENSURE(at == text.length, err, RN_E_DATA, "%s:%u: the group key's line is not last",
                      source, number);
            return rn_ok();
        }
        RN_ENSURE(out->count < RN_SIGNATURES_MAX, err, RN_E_DATA, "%s:%u: more than %d signatures",
                  source, number, RN_SIGNATURES_MAX);
        RN_ENSURE(whole && entry_parse(line, &entry), err, RN_E_DATA,
                  "%s:%u: expected a name, a key and a signature", source, number);
        RN_ENSURE(entry_find(out, &entry.key) == NULL, err, RN_E_DATA,
                  "%s:%u: a second signature by the same key", source, number);
        out->entries[out->count++] = entry;
    }
    return rn_ok();
}

rn_result rn_signatures_parse(struct rn_view text, const char *source,
                              struct rn_plan_signatures *out, struct rn_error *err)
{
    *out = (struct rn_plan_signatures){0};
    const rn_result result = text_parse(text, source, out, err);
    if (!rn_is_ok(result)) {
        *out = (struct rn_plan_signatures){0};
    }
    return result;
}

static void entry_write(const struct rn_plan_signature *entry, const char *name,
                        struct rn_buffer *out)
{
    char key[2 * RN_IDENTITY_PUBLIC_BYTES + 1];
    char bytes[2 * RN_SIGNATURE_BYTES + 1];
    rn_hex_encode(key, entry->key.bytes, sizeof entry->key.bytes);
    rn_hex_encode(bytes, entry->bytes, sizeof entry->bytes);
    rn_buffer_format(out, "%s %s %s", name, key, bytes);
    if (has_group(entry)) {
        rn_hex_encode(key, entry->group.bytes, sizeof entry->group.bytes);
        rn_buffer_format(out, " %s", key);
    }
    rn_buffer_format(out, "\n");
}

static void document_write(const struct rn_plan_signatures *signatures, struct rn_buffer *out)
{
    char hex[2 * RN_GROUP_DOCUMENT_MAX + 1];
    if (signatures->document_bytes > 0) {
        rn_hex_encode(hex, signatures->document, signatures->document_bytes);
        rn_buffer_append(out, DOCUMENT_WORD, strlen(DOCUMENT_WORD));
        rn_buffer_append(out, hex, strlen(hex));
        rn_buffer_append(out, "\n", 1);
    }
}

rn_result rn_signatures_write(const struct rn_plan_signatures *signatures,
                              const struct rn_roster *roster, struct rn_buffer *out,
                              struct rn_error *err)
{
    char hash[65];
    rn_hex_encode(hash, signatures->plan_hash, sizeof signatures->plan_hash);
    out->length = 0;
    rn_buffer_format(out, "%s\nplan %s\n", signatures->blind ? BLIND_HEAD_LINE : HEAD_LINE, hash);
    const struct rn_plan_signature *by_place[RN_SIGNATURES_MAX] = {NULL};
    for (uint32_t i = 0; i < signatures->count; i++) {
        const int place = signer_place(roster, &signatures->entries[i].key);
        RN_ENSURE(place >= 0, err, RN_E_DATA, "a signature is by a key outside the roster");
        by_place[place] = &signatures->entries[i];
    }
    for (int place = 0; place <= (int)roster->count; place++) {
        if (by_place[place] != NULL) {
            entry_write(by_place[place], signer_name(roster, place), out);
        }
    }
    document_write(signatures, out);
    return rn_ok();
}
