/* SPDX-License-Identifier: Apache-2.0
 *
 * The roster: who belongs to a federation. An exact byte text that every member countersigns and
 * whose hash stands in the plan. There is one text for one roster: parsing accepts nothing else, so
 * rn_roster_write(rn_roster_parse(bytes)) gives back the bytes.
 *
 *     rondo-roster 2
 *     federation NAME
 *     coordinator ed25519 KEY
 *     member 0 NAME ed25519 KEY
 *     member 1 NAME ed25519 KEY
 *
 * One space between words, LF after every line, nothing after the last. NAME is [a-z0-9-]{1,63};
 * KEY is 64 lower-case hex digits and a valid Ed25519 key. The number after `member` is the place,
 * by which the protocol names members; places count from 0 without gaps. Names are pairwise
 * distinct, and so are all keys, the coordinator's included: one organisation, one entry, one key.
 *
 * There are no dates here: the roster's hash is part of what a plan binds, and a member stays the
 * same member when its certificate is renewed. Certificates bound a member's access in time.
 */
#ifndef RN_CRYPTO_ROSTER_H
#define RN_CRYPTO_ROSTER_H

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/sha256.h"

#define RN_NAME_MAX 63 /* characters of a federation's or member's name */
#define RN_ROSTER_MEMBERS_MAX 1024
#define RN_ROSTER_BYTES_MAX ((size_t)160 << 10) /* more than 1024 members can fill */
#define RN_ROSTER_HASH_TAG "rondo/v1 roster"

struct rn_roster_member {
    char name[RN_NAME_MAX + 1];
    struct rn_identity_public key;
};

/* Plain data, about 100 KB: no ownership, copy with =. */
struct rn_roster {
    char federation[RN_NAME_MAX + 1];
    struct rn_identity_public coordinator;
    uint32_t count;
    struct rn_roster_member members[RN_ROSTER_MEMBERS_MAX];
};

/* RN_E_DATA with the line and what is wrong with it. *out_roster is zeroed unless RN_OK. */
RN_MUST rn_result rn_roster_parse(struct rn_view bytes, struct rn_roster *out_roster,
                                  struct rn_error *err);
/* Replaces out's content with the exact text. RN_E_DATA when the roster breaks a rule above. */
RN_MUST rn_result rn_roster_write(const struct rn_roster *roster, struct rn_buffer *out,
                                  struct rn_error *err);
/* SHA-256 of the exact bytes under RN_ROSTER_HASH_TAG. */
void rn_roster_hash(struct rn_view bytes, uint8_t out[static RN_HASH_BYTES]);
/* The same of a roster that came from rn_roster_parse: its text is formed again, not its checks. */
void rn_roster_hash_of(const struct rn_roster *roster, uint8_t out[static RN_HASH_BYTES]);

/* The place of a member, or -1. */
int rn_roster_find_name(const struct rn_roster *roster, const char *name);
int rn_roster_find_key(const struct rn_roster *roster, const struct rn_identity_public *key);

/* "east, west and 3 more": the members whose place is set in listed ([roster->count]), in roster
 * order, as many names as fit with the count of the others; "" when none is. size: at least
 * RN_ROSTER_NAMES_MIN, where the longest name fits. */
#define RN_ROSTER_NAMES_MIN 80
void rn_roster_names(const struct rn_roster *roster, const bool *listed, char *out, size_t size);

/* [a-z0-9-]{1,63} */
RN_MUST bool rn_name_valid(const char *name);

#endif
