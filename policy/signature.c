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
#define HYBRID_SIGNATURE_TAG "rondo/v1 hybrid plan signature"
#define HYBRID_HEAD_LINE "rondo-signatures 3"
#define DOCUMENT_WORD "group "
#define LINE_MAX_BYTES (2 * RN_GROUP_DOCUMENT_MAX + 16)

_Static_assert(RN_SIGNATURES_MAX *RN_SIGNATURES_LINE_MAX + LINE_MAX_BYTES + 128 <=
                   RN_SIGNATURES_BYTES_MAX,
               "the signatures of the largest roster fit, those of a blind plan too");
_Static_assert(RN_SIGNATURES_HYBRID_MAX *RN_SIGNATURES_HYBRID_LINE_MAX + LINE_MAX_BYTES + 128 <=
                   RN_SIGNATURES_BYTES_MAX,
               "and those of a hybrid one");

/* Room for signatures, which of a hybrid plan is less. */
static uint32_t room_of(const struct rn_plan_signatures *signatures)
{
    return signatures->hybrid ? RN_SIGNATURES_HYBRID_MAX : RN_SIGNATURES_MAX;
}

/* What stands beside an entry of the set, which of a plan that is not hybrid is nothing. */
static const struct rn_hybrid_lattice *lattice_of(const struct rn_plan_signatures *signatures,
                                                  uint32_t index)
{
    static const struct rn_hybrid_lattice none;
    return signatures->hybrid ? &signatures->lattices[index] : &none;
}

void rn_signatures_init(struct rn_plan_signatures *out, const struct rn_plan *plan)
{
    *out = (struct rn_plan_signatures){.blind = rn_plan_is_blind(plan),
                                       .hybrid = rn_plan_is_hybrid(plan)};
    memcpy(out->plan_hash, plan->hash, sizeof out->plan_hash);
}

/* What a signer signs: the plan, and in a blind one a member's group key. */
struct statement {
    const char *tag;
    uint8_t bytes[32 + sizeof(struct rn_hybrid_public)];
    size_t length;
};

static bool has_group(const struct rn_plan_signature *entry)
{
    return !rn_secret_is_zero(entry->group.bytes, sizeof entry->group.bytes);
}

static bool has_lattice(const struct rn_hybrid_lattice *lattice)
{
    return !rn_secret_is_zero(lattice->bytes, sizeof lattice->bytes);
}

static struct statement statement_of(const struct rn_plan_signature *entry,
                                     const struct rn_hybrid_lattice *lattice,
                                     const uint8_t plan_hash[static 32])
{
    struct statement out = {.tag = SIGNATURE_TAG, .length = 32};
    memcpy(out.bytes, plan_hash, 32);
    if (has_group(entry)) {
        out.tag = BLIND_SIGNATURE_TAG;
        memcpy(out.bytes + 32, entry->group.bytes, sizeof entry->group.bytes);
        out.length = 32 + sizeof entry->group;
    }
    if (has_lattice(lattice)) {
        out.tag = HYBRID_SIGNATURE_TAG;
        memcpy(out.bytes + out.length, lattice->bytes, sizeof lattice->bytes);
        out.length += sizeof lattice->bytes;
    }
    return out;
}

/* Its index; count when there is none. */
static uint32_t entry_find(const struct rn_plan_signatures *signatures,
                           const struct rn_identity_public *key)
{
    uint32_t i = 0;
    while (i < signatures->count && !rn_identity_public_equal(&signatures->entries[i].key, key)) {
        i++;
    }
    return i;
}

static void add_group_key(struct rn_plan_signatures *signatures, uint32_t index,
                          const struct rn_plan *plan, const struct rn_identity *identity)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 secret = {{0}};
    struct rn_plan_signature *entry = &signatures->entries[index];
    struct rn_hybrid_public hybrid;
    if (!signatures->hybrid) {
        rn_group_member_key(identity, plan->hash, &secret, &entry->group);
        return;
    }
    rn_group_member_hybrid_key(identity, plan->hash, &secret, &hybrid);
    entry->group = hybrid.curve;
    signatures->lattices[index] = hybrid.lattice;
}

static void sign(struct rn_plan_signatures *signatures, uint32_t index, const struct rn_plan *plan,
                 const struct rn_identity *identity)
{
    struct rn_plan_signature *entry = &signatures->entries[index];
    entry->group = (struct rn_channel_public){{0}};
    if (rn_plan_is_blind(plan) && memcmp(entry->key.bytes, plan->coordinator_key, 32) != 0) {
        add_group_key(signatures, index, plan, identity);
    }
    const struct statement statement =
        statement_of(entry, lattice_of(signatures, index), plan->hash);
    rn_identity_sign(identity, statement.tag, rn_view_of(statement.bytes, statement.length),
                     entry->bytes);
}

rn_result rn_signatures_add(struct rn_plan_signatures *signatures, const struct rn_plan *plan,
                            const struct rn_identity *identity, struct rn_error *err)
{
    const struct rn_identity_public *key = rn_identity_public_of(identity);
    const uint32_t index = entry_find(signatures, key);
    if (index == signatures->count) {
        RN_ENSURE(signatures->count < room_of(signatures), err, RN_E_CONFIG,
                  "the plan carries %u signatures already", (unsigned)room_of(signatures));
        signatures->entries[signatures->count++].key = *key;
    }
    RN_BUG_IF(memcmp(signatures->plan_hash, plan->hash, 32) != 0);
    sign(signatures, index, plan, identity);
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
static rn_result same_group(const struct rn_plan_signatures *held, uint32_t at,
                            const struct rn_plan_signatures *other, uint32_t index,
                            struct rn_error *err)
{
    const struct rn_plan_signature *entry = &held->entries[at];
    char key[RN_FINGERPRINT_KEY_TEXT];
    rn_fingerprint_key(&entry->key, key);
    RN_ENSURE(memcmp(&entry->group, &other->entries[index].group, sizeof entry->group) == 0 &&
                  memcmp(lattice_of(held, at), lattice_of(other, index),
                         sizeof(struct rn_hybrid_lattice)) == 0,
              err, RN_E_DATA, "the member with key %s signed two group keys for this plan", key);
    return rn_ok();
}

rn_result rn_signatures_merge(struct rn_plan_signatures *into,
                              const struct rn_plan_signatures *from, struct rn_error *err)
{
    RN_ENSURE(memcmp(into->plan_hash, from->plan_hash, sizeof into->plan_hash) == 0 &&
                  into->blind == from->blind && into->hybrid == from->hybrid,
              err, RN_E_DATA, "the signatures are for another plan");
    RN_TRY(merge_document(into, from, err));
    for (uint32_t i = 0; i < from->count; i++) {
        const uint32_t at = entry_find(into, &from->entries[i].key);
        if (at < into->count) {
            RN_TRY(same_group(into, at, from, i, err));
            continue;
        }
        RN_ENSURE(into->count < room_of(into), err, RN_E_DATA, "more than %u signatures",
                  (unsigned)room_of(into));
        if (into->hybrid) {
            into->lattices[into->count] = from->lattices[i];
        }
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
                          const struct rn_plan_signatures *signatures, uint32_t index)
{
    const struct rn_plan_signature *entry = &signatures->entries[index];
    for (uint32_t i = 0; verified != NULL && i < verified->count; i++) {
        if (memcmp(&verified->entries[i], entry, sizeof *entry) == 0 &&
            memcmp(lattice_of(verified, i), lattice_of(signatures, index),
                   sizeof(struct rn_hybrid_lattice)) == 0) {
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

/* Members of a hybrid plan bring a lattice key beside it, and nobody else does. */
static rn_result check_lattice(const struct rn_plan_signatures *signatures, uint32_t index,
                               bool wanted, const char *name, struct rn_error *err)
{
    const struct rn_hybrid_lattice *lattice = lattice_of(signatures, index);
    RN_ENSURE(has_lattice(lattice) == wanted, err, RN_E_PEER_AUTH,
              wanted ? "the plan signature of '%s' brings no ML-KEM key, which a plan with "
                       "secagg.kem: hybrid needs: sign it again with `rondo plan sign`"
                     : "the plan signature of '%s' brings an ML-KEM key, which is a member's",
              name);
    if (wanted) {
        const struct rn_hybrid_public key = {*lattice, signatures->entries[index].group};
        RN_ENSURE(rn_hybrid_public_valid(&key), err, RN_E_PEER_AUTH,
                  "the ML-KEM key of '%s' is not canonical", name);
    }
    return rn_ok();
}

static bool signature_holds(const struct rn_plan_signatures *signatures, uint32_t index,
                            const uint8_t plan_hash[static 32])
{
    const struct rn_plan_signature *entry = &signatures->entries[index];
    const struct statement statement =
        statement_of(entry, lattice_of(signatures, index), plan_hash);
    return rn_is_ok(rn_identity_verify(&entry->key, statement.tag,
                                       rn_view_of(statement.bytes, statement.length), entry->bytes,
                                       NULL));
}

/* What stands in verified, which is for the same plan and roster, is not verified again. */
static rn_result verify(const struct rn_plan_signatures *signatures,
                        const struct rn_plan_signatures *verified,
                        const uint8_t plan_hash[static 32], bool blind, bool hybrid,
                        const struct rn_roster *roster, struct rn_error *err)
{
    RN_ENSURE(memcmp(signatures->plan_hash, plan_hash, 32) == 0, err, RN_E_PEER_AUTH,
              "the signatures are for another plan: sign this one with `rondo plan sign`");
    RN_ENSURE(signatures->blind == blind, err, RN_E_PEER_AUTH,
              blind ? "the signatures are those of an open plan, and this one is blind"
                    : "the signatures are those of a blind plan, and this one is open");
    RN_ENSURE(signatures->hybrid == hybrid, err, RN_E_PEER_AUTH,
              "the signatures are those of a plan with another secagg.kem");
    for (uint32_t i = 0; i < signatures->count; i++) {
        const struct rn_plan_signature *entry = &signatures->entries[i];
        const int place = signer_place(roster, &entry->key);
        RN_ENSURE(place >= 0, err, RN_E_PEER_AUTH, "signature %u is by a key outside the roster",
                  i + 1);
        RN_TRY(check_group(entry, blind && place > 0, signer_name(roster, place), err));
        RN_TRY(check_lattice(signatures, i, hybrid && place > 0, signer_name(roster, place), err));
        const bool holds =
            holds_already(verified, signatures, i) || signature_holds(signatures, i, plan_hash);
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
    RN_TRY(verify(signatures, NULL, plan->hash, rn_plan_is_blind(plan), rn_plan_is_hybrid(plan),
                  roster, err));
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
    rn_result result = verify(fresh, into, into->plan_hash, into->blind, into->hybrid, roster, err);
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
 *
 * and of a hybrid one the same, but
 *
 *     rondo-signatures 3
 *     NAME KEY SIGNATURE GROUP-KEY LATTICE-KEY
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

/* The group key, and in a hybrid plan the lattice key behind it. */
static bool group_parse(char *group, bool hybrid, struct rn_plan_signature *out,
                        struct rn_hybrid_lattice *out_lattice)
{
    char *lattice = strchr(group, ' ');
    if ((lattice != NULL) != hybrid) {
        return false;
    }
    if (lattice != NULL) {
        *lattice++ = '\0';
        if (!hex_lower(lattice, 2 * sizeof out_lattice->bytes) ||
            strlen(lattice) != 2 * sizeof out_lattice->bytes ||
            !rn_hex_decode(out_lattice->bytes, sizeof out_lattice->bytes, lattice) ||
            !has_lattice(out_lattice)) {
            return false;
        }
    }
    return hex_lower(group, 64) && rn_hex_decode(out->group.bytes, 32, group) && has_group(out);
}

static bool entry_parse(char *line, bool hybrid, struct rn_plan_signature *out,
                        struct rn_hybrid_lattice *out_lattice)
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
        if (!group_parse(group, hybrid, out, out_lattice)) {
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
    out->hybrid = headed && strcmp(line, HYBRID_HEAD_LINE) == 0;
    out->blind = out->hybrid || (headed && strcmp(line, BLIND_HEAD_LINE) == 0);
    RN_ENSURE(out->blind || (headed && strcmp(line, HEAD_LINE) == 0), err, RN_E_DATA,
              "%s:1: expected '" HEAD_LINE "', or '" BLIND_HEAD_LINE "' of a blind plan", source);
    RN_ENSURE(line_next(text, &at, line) && strncmp(line, "plan ", 5) == 0 &&
                  hex_lower(line + 5, 64) && rn_hex_decode(out->plan_hash, 32, line + 5),
              err, RN_E_DATA, "%s:2: expected 'plan' and 64 lower-case hex digits", source);
    while (at < text.length) {
        struct rn_plan_signature entry = {.bytes = {0}};
        struct rn_hybrid_lattice lattice = {{0}};
        const unsigned number = out->count + 3;
        const bool whole = line_next(text, &at, line);
        if (whole && document_parse(line, out)) {
            RN_ENSURE(at == text.length, err, RN_E_DATA, "%s:%u: the group key's line is not last",
                      source, number);
            return rn_ok();
        }
        RN_ENSURE(out->count < room_of(out), err, RN_E_DATA, "%s:%u: more than %u signatures",
                  source, number, (unsigned)room_of(out));
        RN_ENSURE(whole && entry_parse(line, out->hybrid, &entry, &lattice), err, RN_E_DATA,
                  "%s:%u: expected a name, a key and a signature", source, number);
        RN_ENSURE(entry_find(out, &entry.key) == out->count, err, RN_E_DATA,
                  "%s:%u: a second signature by the same key", source, number);
        if (out->hybrid) {
            out->lattices[out->count] = lattice;
        }
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

static void entry_write(const struct rn_plan_signature *entry,
                        const struct rn_hybrid_lattice *lattice, const char *name,
                        struct rn_buffer *out)
{
    char hex[2 * RN_HYBRID_LATTICE_BYTES + 1];
    char key[2 * RN_IDENTITY_PUBLIC_BYTES + 1];
    char bytes[2 * RN_SIGNATURE_BYTES + 1];
    rn_hex_encode(key, entry->key.bytes, sizeof entry->key.bytes);
    rn_hex_encode(bytes, entry->bytes, sizeof entry->bytes);
    rn_buffer_format(out, "%s %s %s", name, key, bytes);
    if (has_group(entry)) {
        rn_hex_encode(key, entry->group.bytes, sizeof entry->group.bytes);
        rn_buffer_format(out, " %s", key);
    }
    if (has_lattice(lattice)) {
        rn_hex_encode(hex, lattice->bytes, sizeof lattice->bytes);
        rn_buffer_append(out, " ", 1);
        rn_buffer_append(out, hex, strlen(hex));
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
    rn_buffer_format(out, "%s\nplan %s\n",
                     signatures->hybrid  ? HYBRID_HEAD_LINE
                     : signatures->blind ? BLIND_HEAD_LINE
                                         : HEAD_LINE,
                     hash);
    uint32_t by_place[RN_SIGNATURES_MAX] = {0}; /* index + 1; 0: has not signed */
    for (uint32_t i = 0; i < signatures->count; i++) {
        const int place = signer_place(roster, &signatures->entries[i].key);
        RN_ENSURE(place >= 0, err, RN_E_DATA, "a signature is by a key outside the roster");
        by_place[place] = i + 1;
    }
    for (int place = 0; place <= (int)roster->count; place++) {
        if (by_place[place] > 0) {
            const uint32_t i = by_place[place] - 1;
            entry_write(&signatures->entries[i], lattice_of(signatures, i),
                        signer_name(roster, place), out);
        }
    }
    document_write(signatures, out);
    return rn_ok();
}
