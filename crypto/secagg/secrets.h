/* SPDX-License-Identifier: Apache-2.0
 *
 * What one member keeps secret in one session, and the never-both rule over it (PROTOCOL.md, "Never
 * both"): one slot for each peer, with one state, that only ever loses a share. All of it lies in
 * secret memory. Whoever wants to know what can leave a member reads this file and msg_reveal.c.
 */
#ifndef RN_CRYPTO_SECAGG_SECRETS_H
#define RN_CRYPTO_SECAGG_SECRETS_H

#include "crypto/group.h"
#include "crypto/random.h"
#include "crypto/secagg/transcript.h"
#include "crypto/secret.h"

/* none -> both -> one of the kept ones; wiped: none. Never back. */
enum rn_sa_slot_state {
    RN_SA_SLOT_NONE = 0, /* no valid share, or erased */
    RN_SA_SLOT_BOTH,
    RN_SA_SLOT_KEPT_S, /* share_b is erased */
    RN_SA_SLOT_KEPT_B, /* share_s is erased */
};
struct rn_sa_slot {
    enum rn_sa_slot_state state;
    struct rn_scalar share_s;
    struct rn_scalar share_b;
};
struct rn_sa_secrets {
    struct rn_secret32 channel;
    struct rn_scalar mask_secret; /* s: pair masks follow from it */
    struct rn_scalar self_seed;   /* b: the self mask follows from it */
    struct rn_stream stream;
    struct rn_sa_set circle;  /* whose shares may be held: the own circle in the graph */
    struct rn_sa_slot *slots; /* [|circle|], by place in it; beside this, in secret memory too */
};

/* slots: as many zeroed ones as the circle has members. */
void rn_sa_secrets_init(struct rn_sa_secrets *secrets, const struct rn_sa_set *circle,
                        struct rn_sa_slot *slots);
/* The member is of the circle. */
struct rn_sa_slot *rn_sa_secrets_slot(const struct rn_sa_secrets *secrets, uint32_t member);
/* Keys and self seed of one session, from the member's 32 fresh bytes and the session id. */
void rn_sa_secrets_draw(struct rn_sa_secrets *secrets, const struct rn_secret32 *seed,
                        const uint8_t session[static RN_HASH_BYTES]);

/* Which secret a share is of. */
enum rn_sa_kind { RN_SA_KIND_NONE = 0, RN_SA_KIND_S = 1, RN_SA_KIND_B = 2 };
/* Of the two, what the certificate opens of this member: b of a survivor, s of a lost one. */
enum rn_sa_kind rn_sa_kind_due(const struct rn_sa_transcript *transcript, uint32_t member);
/* Under a certificate alone: keeps in every slot the kind that U3 dictates and erases the other,
 * and all of members outside U2. */
void rn_sa_slots_choose(const struct rn_sa_transcript *transcript, struct rn_sa_secrets *secrets);

#endif
