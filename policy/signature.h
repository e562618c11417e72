/* SPDX-License-Identifier: Apache-2.0
 *
 * Detached signatures over a plan (FORMATS.md, "plan.yaml.sigs"): the coordinator and the members
 * each sign the plan's hash with their Ed25519 identity; the plan holds the roster's hash, so one
 * signature covers both files. The file is text with one line per signer, in roster order, the
 * coordinator first, so that the same set of signatures has one byte form. Sans-I/O.
 *
 * In a blind plan each member signs its group public key with the plan (of a hybrid one, that of
 * crypto/hybrid.h), and the set may hold one
 * more thing: the document that brings every member the group key (crypto/groupkey.h), which counts
 * only beside the signatures of all members (groupsign.h).
 */
#ifndef RN_POLICY_SIGNATURE_H
#define RN_POLICY_SIGNATURE_H

#include "base/bytes.h"
#include "crypto/groupkey.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "policy/plan.h"

#define RN_SIGNATURES_MAX (RN_ROSTER_MEMBERS_MAX + 1)
/* A line of a blind plan's: name, key, signature and group key in hex, and what stands between. */
#define RN_SIGNATURES_LINE_MAX (RN_NAME_MAX + 64 + 2 * RN_SIGNATURE_BYTES + 64 + 4)
#define RN_SIGNATURES_BYTES_MAX ((size_t)512 * 1024)
#define RN_SIGNATURES_COORDINATOR "coordinator"

/* One word more in a line of a hybrid plan's: the lattice key in hex. */
#define RN_SIGNATURES_HYBRID_MAX (RN_GROUP_HYBRID_MEMBERS_MAX + 1)
#define RN_SIGNATURES_HYBRID_LINE_MAX (RN_SIGNATURES_LINE_MAX + 1 + 2 * RN_HYBRID_LATTICE_BYTES)

/* No padding: entries are compared as bytes. */
struct rn_plan_signature {
    struct rn_identity_public key;
    uint8_t bytes[RN_SIGNATURE_BYTES];
    struct rn_channel_public group; /* a member's, in a blind plan; else zero, which is no key */
};

struct rn_plan_signatures {
    uint8_t plan_hash[32];
    bool blind;
    bool hybrid; /* then blind, with RN_SIGNATURES_HYBRID_MAX entries at most */
    uint32_t count;
    struct rn_plan_signature entries[RN_SIGNATURES_MAX];
    /* Of a hybrid plan, beside each entry: the rest of a member's group public key; else zero. */
    struct rn_hybrid_lattice lattices[RN_SIGNATURES_HYBRID_MAX];
    uint32_t document_bytes; /* 0: there is none */
    uint8_t document[RN_GROUP_DOCUMENT_MAX];
};

/* Who has signed, after verification. */
struct rn_plan_signers {
    bool coordinator;
    bool members[RN_ROSTER_MEMBERS_MAX]; /* by place in the roster */
    uint32_t member_count;
    bool group; /* the group key document of a blind plan is there */
};

/* An empty set for a plan. */
void rn_signatures_init(struct rn_plan_signatures *out, const struct rn_plan *plan);

/* Signs the plan, which the set is for, and adds; an earlier signature of the same key is replaced.
 * RN_E_CONFIG when full. */
RN_MUST rn_result rn_signatures_add(struct rn_plan_signatures *signatures,
                                    const struct rn_plan *plan, const struct rn_identity *identity,
                                    struct rn_error *err);

/* Takes every signature of from that is not there yet, and its document. RN_E_DATA when from is for
 * another plan, or has another document. */
RN_MUST rn_result rn_signatures_merge(struct rn_plan_signatures *into,
                                      const struct rn_plan_signatures *from, struct rn_error *err);

/* Checks every signature against the roster: an unknown key, a wrong signature or another plan's
 * hash, a group key in an open plan or none in a blind one is RN_E_PEER_AUTH. A document fails as
 * rn_group_document_check, or because not all members' keys are there (RN_E_PEER_PROTOCOL). */
RN_MUST rn_result rn_signatures_verify(const struct rn_plan_signatures *signatures,
                                       const struct rn_plan *plan, const struct rn_roster *roster,
                                       struct rn_plan_signers *out_signers, struct rn_error *err);

/* Takes over what a text holds beyond into's: every signature in it is checked first, as by
 * rn_signatures_verify with into's plan. What into holds has passed that with this roster: it is
 * empty, or was verified, or came through here. *out_new says how many came, the document too,
 * *out_signers who has signed now. A failure changes nothing; a second, different document is
 * RN_E_DATA. */
RN_MUST rn_result rn_signatures_take(struct rn_view text, const char *source,
                                     const struct rn_roster *roster,
                                     struct rn_plan_signatures *into, uint32_t *out_new,
                                     struct rn_plan_signers *out_signers, struct rn_error *err);

/* "east, west and 3 more": the members that have not signed, as rn_roster_names. */
void rn_signatures_missing(const struct rn_plan_signers *signers, const struct rn_roster *roster,
                           char *out, size_t size);

/* Text to struct and back. RN_E_DATA with the line. */
RN_MUST rn_result rn_signatures_parse(struct rn_view text, const char *source,
                                      struct rn_plan_signatures *out, struct rn_error *err);
RN_MUST rn_result rn_signatures_write(const struct rn_plan_signatures *signatures,
                                      const struct rn_roster *roster, struct rn_buffer *out,
                                      struct rn_error *err);

#endif
