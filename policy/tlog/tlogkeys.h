/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose keys sign a federation's log. The coordinator signs checkpoints, members cosign them, each
 * with a key for that alone (crypto/rolekey.h) under a name of its own:
 *
 *     rondo/FEDERATION           the log, which is also its origin
 *     rondo/FEDERATION/MEMBER    a member as witness
 *
 * Which key that is, its holder's identity says once, in a statement: the text
 *
 *     rondo-role-key 1
 *     key VKEY
 *
 * signed under RN_TLOG_STATEMENT_TAG by the identity in the roster. VKEY has name and role in it.
 */
#ifndef RN_POLICY_TLOGKEYS_H
#define RN_POLICY_TLOGKEYS_H

#include "crypto/roster.h"
#include "policy/tlog/note.h"

#define RN_TLOG_STATEMENT_TAG "rondo/v1 role key"
#define RN_TLOG_KEY_TEXT_MAX 255u      /* of a VKEY */
#define RN_TLOG_COORDINATOR UINT32_MAX /* in the place of a member's number */

/* The role key of `place`, by its identity. The owner frees. */
struct rn_rolekey *rn_tlog_key_derive(const struct rn_roster *roster, uint32_t place,
                                      const struct rn_identity *identity);
/* Name and type that the key of `place` has; its public part is left alone. */
void rn_tlog_key_name(const struct rn_roster *roster, uint32_t place, struct rn_note_key *out);
void rn_tlog_key_public(const struct rn_roster *roster, uint32_t place,
                        const struct rn_rolekey *secret, struct rn_note_key *out);

void rn_tlog_statement_sign(const struct rn_note_key *key, const struct rn_identity *identity,
                            uint8_t out[static RN_SIGNATURE_BYTES]);
/* RN_E_PEER_AUTH unless the identity of `place` says that the key with this text is its own for the
 * role of its place. */
RN_MUST rn_result rn_tlog_statement_verify(const struct rn_roster *roster, uint32_t place,
                                           struct rn_view key_text,
                                           const uint8_t signature[static RN_SIGNATURE_BYTES],
                                           struct rn_note_key *out, struct rn_error *err);

/* Appends the file `federation.policy` (C2SP tlog-policy): the log, every witness with a key
 * (keys[place], name "" where it has none yet), and that `quorum` of them, at least 1 and at most
 * as many as there are, have to have cosigned. */
void rn_tlog_policy_write(const struct rn_note_key *log, const struct rn_note_key *keys,
                          uint32_t count, uint32_t quorum, struct rn_buffer *out);

#endif
