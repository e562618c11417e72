/* SPDX-License-Identifier: Apache-2.0
 *
 * The group key of a blind job: 32 bytes G that every member of the roster has and the coordinator
 * does not (crypto/secagg/PROTOCOL.md, "Blind coordinator"). It travels in one public document,
 * made and signed by one member, the maker, which holds G sealed to each member's group public key.
 *
 * Nothing has to be kept. Each member's X25519 pair, and the maker's G, follow from its identity
 * and the plan, so the maker writes the same document as often as it is asked to:
 *
 *     secret of member i = rn_identity_derive(identity of i, salt = plan hash, "group member")
 *     G                  = rn_identity_derive(identity of the maker, salt = plan hash, "group key")
 *
 * Document, little-endian:
 *
 *     "RNGK" | version u32, 2 | plan hash 32 | keys hash 32 | commitment 32 | maker u32 | count u32
 *     | boxes, one for each place | Ed25519 64 by the maker over all before it
 *
 *     keys hash  = SHA-256("rondo/v1 group keys", the public keys by place)
 *     commitment = HKDF(ikm = G, salt = plan hash, info = "rondo/v1 group commitment",
 *                  padded to 32 bytes): whoever opens a box knows
 *                  that all others that opened theirs have the same G
 *     box j      = crypto/channel from the maker to j, 48 bytes; session: plan hash, transcript:
 *                  keys hash
 *
 * In a plan with `secagg.kem: hybrid` a member's secret, labelled "hybrid group member", is one of
 * crypto/hybrid, its public key has 1216 bytes, the document's version is 3, the keys hash is
 * SHA-256("rondo/v1 hybrid group keys", the public keys by place), and a box is crypto/hybrid's,
 * 1168 bytes, with coins rn_identity_derive(maker, plan hash, "group coins").
 */
#ifndef RN_CRYPTO_GROUPKEY_H
#define RN_CRYPTO_GROUPKEY_H

#include "crypto/hybrid.h"
#include "crypto/roster.h"

/* The member that makes the document: the roster's first. The roster's hash stands in the plan, so
 * everybody agrees on who it is. */
#define RN_GROUP_MAKER 0u
#define RN_GROUP_BOX_BYTES (RN_SECRET_BYTES + RN_CHANNEL_OVERHEAD)
#define RN_GROUP_FIXED_BYTES (4u + 4u + 3u * RN_HASH_BYTES + 4u + 4u + RN_SIGNATURE_BYTES)
#define RN_GROUP_DOCUMENT_BYTES(members) (RN_GROUP_FIXED_BYTES + (members)*RN_GROUP_BOX_BYTES)
/* The same of a hybrid plan, whose keys are so long that a roster has at most so many members. */
#define RN_GROUP_HYBRID_MEMBERS_MAX 64u
#define RN_GROUP_HYBRID_BOX_BYTES (RN_SECRET_BYTES + RN_HYBRID_OVERHEAD)
#define RN_GROUP_HYBRID_DOCUMENT_BYTES(members) \
    (RN_GROUP_FIXED_BYTES + (members)*RN_GROUP_HYBRID_BOX_BYTES)
#define RN_GROUP_DOCUMENT_MAX RN_GROUP_HYBRID_DOCUMENT_BYTES(RN_GROUP_HYBRID_MEMBERS_MAX)
_Static_assert(RN_GROUP_DOCUMENT_BYTES(RN_ROSTER_MEMBERS_MAX) <= RN_GROUP_DOCUMENT_MAX,
               "the document of the largest roster fits too");

/* The members' group public keys by place; all of them passed rn_channel_public_valid, or of a
 * hybrid plan, of which count is at most RN_GROUP_HYBRID_MEMBERS_MAX, rn_hybrid_public_valid. */
struct rn_group_keys {
    bool hybrid;
    uint32_t count;
    struct rn_channel_public keys[RN_ROSTER_MEMBERS_MAX];
    struct rn_hybrid_lattice lattices[RN_GROUP_HYBRID_MEMBERS_MAX]; /* the rest of hybrid ones */
};

/* The member's own pair for this plan. */
void rn_group_member_key(const struct rn_identity *identity,
                         const uint8_t plan_hash[static RN_HASH_BYTES],
                         struct rn_secret32 *out_secret, struct rn_channel_public *out_public);
/* The same for a hybrid plan. */
void rn_group_member_hybrid_key(const struct rn_identity *identity,
                                const uint8_t plan_hash[static RN_HASH_BYTES],
                                struct rn_secret32 *out_secret,
                                struct rn_hybrid_public *out_public);

/* By the maker: replaces out's content. The same arguments give the same bytes. */
void rn_group_document_write(const struct rn_identity *maker, const struct rn_group_keys *keys,
                             const uint8_t plan_hash[static RN_HASH_BYTES], struct rn_buffer *out);
/* Is it one by the roster's maker for this plan and these keys? Needs no secret. RN_E_PEER_FORMAT
 * (length, magic, version), RN_E_PEER_AUTH (signature), RN_E_PEER_PROTOCOL (another plan, keys or
 * maker). */
RN_MUST rn_result rn_group_document_check(struct rn_view document, const struct rn_roster *roster,
                                          const struct rn_group_keys *keys,
                                          const uint8_t plan_hash[static RN_HASH_BYTES],
                                          struct rn_error *err);
/* G, from a document that passed the check. RN_E_PEER_AUTH when the box of this member does not
 * open, or holds another key than the document commits to: the maker is faulty. *out is zero
 * then. */
RN_MUST rn_result rn_group_document_open(struct rn_view document, const struct rn_group_keys *keys,
                                         const struct rn_identity *identity, uint32_t self,
                                         struct rn_secret32 *out, struct rn_error *err);
/* What the session id binds. */
void rn_group_document_hash(struct rn_view document, uint8_t out[static RN_HASH_BYTES]);

#endif
