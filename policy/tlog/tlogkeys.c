/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/tlog/tlogkeys.h"

#include "base/guard.h"

#include <string.h>

static const struct rn_identity_public *identity_of(const struct rn_roster *roster, uint32_t place)
{
    return place == RN_TLOG_COORDINATOR ? &roster->coordinator : &roster->members[place].key;
}

struct rn_rolekey *rn_tlog_key_derive(const struct rn_roster *roster, uint32_t place,
                                      const struct rn_identity *identity)
{
    return rn_rolekey_derive(identity, rn_view_text(roster->federation),
                             place == RN_TLOG_COORDINATOR ? "log" : "log witness");
}

void rn_tlog_key_name(const struct rn_roster *roster, uint32_t place, struct rn_note_key *out)
{
    const bool log = place == RN_TLOG_COORDINATOR;
    out->type = log ? RN_NOTE_ED25519 : RN_NOTE_COSIGNATURE;
    _Static_assert(sizeof "rondo//" + 2 * RN_NAME_MAX <= sizeof out->name + 1, "names fit");
    RN_BUG_IF(!rn_text_format(out->name, sizeof out->name, "rondo/%s%s%s", roster->federation,
                              log ? "" : "/", log ? "" : roster->members[place].name));
}

void rn_tlog_key_public(const struct rn_roster *roster, uint32_t place,
                        const struct rn_rolekey *secret, struct rn_note_key *out)
{
    rn_tlog_key_name(roster, place, out);
    out->public_key = *rn_rolekey_public_of(secret);
}

static void statement_write(struct rn_view key_text, struct rn_buffer *out)
{
    rn_buffer_format(out, "rondo-role-key 1\nkey ");
    rn_buffer_append(out, key_text.data, key_text.length);
    rn_buffer_u8(out, '\n');
}

void rn_tlog_statement_sign(const struct rn_note_key *key, const struct rn_identity *identity,
                            uint8_t out[static RN_SIGNATURE_BYTES])
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer statement = {0};
    rn_note_key_write(key, &text);
    statement_write(rn_buffer_view(&text), &statement);
    rn_identity_sign(identity, RN_TLOG_STATEMENT_TAG, rn_buffer_view(&statement), out);
}

rn_result rn_tlog_statement_verify(const struct rn_roster *roster, uint32_t place,
                                   struct rn_view key_text,
                                   const uint8_t signature[static RN_SIGNATURE_BYTES],
                                   struct rn_note_key *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer statement = {0};
    struct rn_note_key wanted = {0};
    rn_tlog_key_name(roster, place, &wanted);
    RN_ENSURE(rn_is_ok(rn_note_key_read(key_text, out, err)) && out->type == wanted.type &&
                  strcmp(out->name, wanted.name) == 0,
              err, RN_E_PEER_AUTH, "This is no key for the log of %s.", wanted.name);
    statement_write(key_text, &statement);
    const rn_result result = rn_identity_verify(identity_of(roster, place), RN_TLOG_STATEMENT_TAG,
                                                rn_buffer_view(&statement), signature, err);
    return rn_is_ok(result) ? result : rn_fail_context(err, result, "key of %s", wanted.name);
}

static void group_write(const struct rn_note_key *keys, uint32_t count, uint32_t quorum,
                        struct rn_buffer *out)
{
    rn_buffer_format(out, "group quorum-of-members %u", quorum);
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].name[0] != '\0') {
            rn_buffer_format(out, " %s", keys[i].name);
        }
    }
    rn_buffer_format(out, "\nquorum quorum-of-members\n");
}

void rn_tlog_policy_write(const struct rn_note_key *log, const struct rn_note_key *keys,
                          uint32_t count, uint32_t quorum, struct rn_buffer *out)
{
    rn_buffer_format(out, "log ");
    rn_note_key_write(log, out);
    rn_buffer_u8(out, '\n');
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].name[0] != '\0') {
            rn_buffer_format(out, "witness %s ", keys[i].name);
            rn_note_key_write(&keys[i], out);
            rn_buffer_u8(out, '\n');
        }
    }
    group_write(keys, count, quorum, out);
}
