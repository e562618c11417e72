/* SPDX-License-Identifier: Apache-2.0
 *
 * The public transcript of a session: what every member, every follower and the coordinator agree
 * on, level by level. Each level is entered by one broadcast of the coordinator, checked here in
 * full (signatures, order, quorum, floors), by the same code on both sides. A failed step leaves
 * the transcript as it was.
 */
#ifndef RN_CRYPTO_SECAGG_TRANSCRIPT_H
#define RN_CRYPTO_SECAGG_TRANSCRIPT_H

#include "crypto/channel.h"
#include "crypto/group.h"
#include "crypto/secagg/actions.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/graph.h"
#include "crypto/secagg/params.h"

enum rn_sa_level {
    RN_SA_LEVEL_NONE = 0,
    RN_SA_LEVEL_SESSION,   /* session id fixed by the offer */
    RN_SA_LEVEL_JOINED,    /* T0 */
    RN_SA_LEVEL_LINKED,    /* T1 */
    RN_SA_LEVEL_SURVIVORS, /* T2 */
    RN_SA_LEVEL_CERTIFIED,
    RN_SA_LEVEL_RESULT,
    RN_SA_LEVEL_RECEIPTED, /* the adapter is fixed */
};

/* What is public about one member. */
struct rn_sa_peer {
    struct rn_channel_public channel;
    struct rn_point mask;                          /* S_i = s_i * G */
    struct rn_point self;                          /* B_i = b_i * G */
    uint8_t shares_envelope[RN_SA_ENVELOPE_BYTES]; /* its R1, where dealers has it */
    struct rn_sa_set holders;                      /* who acknowledged its share */
    uint8_t done[RN_SA_DONE_BYTES];                /* its signed Done, where survivors has it */
    struct rn_scalar opened;                       /* b_i or s_i, once Result opened it */
};

/* It owns the peers, and nothing else: a copy with = shares them. */
struct rn_sa_transcript {
    struct rn_sa_params params;
    struct rn_sa_context context;
    struct rn_sa_layout layout;
    uint8_t roster_hash[RN_HASH_BYTES];
    enum rn_sa_level level;
    uint8_t session[RN_HASH_BYTES];
    uint8_t t0[RN_HASH_BYTES];
    uint8_t t1[RN_HASH_BYTES];
    uint8_t t2[RN_HASH_BYTES];
    uint32_t n;                 /* |T0| */
    uint32_t quorum;            /* Q */
    uint32_t threshold;         /* t */
    struct rn_sa_graph graph;   /* over the roster: who holds whose shares, who masks with whom */
    struct rn_sa_set joined;    /* T0 */
    struct rn_sa_set dealing;   /* those of T0 who have t holders in it, and so may deal */
    struct rn_sa_set handed;    /* whose R1, if any, was shown here: a member's circle, or T0 */
    struct rn_sa_set dealers;   /* sent R1: of those, until the Ack set says all */
    struct rn_sa_set linked;    /* U2 */
    struct rn_sa_set accused;   /* those of U2 about whose shares somebody complained */
    struct rn_sa_set survivors; /* U3 */
    uint8_t sum_root[RN_HASH_BYTES];
    uint8_t adapter[RN_HASH_BYTES]; /* that follows from the sum, by a quorum of receipts */
    struct rn_sa_set blamed;
    struct rn_sa_peer *peers; /* [graph.members] */
};

/* params and context have passed their checks. The owner clears. */
void rn_sa_transcript_init(struct rn_sa_transcript *transcript, const struct rn_sa_params *params,
                           const struct rn_sa_context *context);
/* Frees the peers; for RN_CLEANUP too. */
void rn_sa_transcript_clear(struct rn_sa_transcript *transcript);
/* A second one with peers of its own, to go on with or to come back to. The owner clears. */
struct rn_sa_transcript rn_sa_transcript_copy(const struct rn_sa_transcript *transcript);
/* Gives up what transcript has and takes over the other, which is left empty. */
void rn_sa_transcript_become(struct rn_sa_transcript *transcript, struct rn_sa_transcript *other);
/* Enters RN_SA_LEVEL_SESSION. */
void rn_sa_transcript_start(struct rn_sa_transcript *transcript, const uint8_t nonce[static 32]);

/* The last hash of the chain at the current level: session id, T0, T1 or T2. */
const uint8_t *rn_sa_transcript_hash(const struct rn_sa_transcript *transcript);
/* The member and its neighbours in the graph: who may hold its shares, and whose it may hold. In
 * the complete graph everybody. */
struct rn_sa_set rn_sa_transcript_circle(const struct rn_sa_transcript *transcript,
                                         uint32_t member);
/* Those of them who are in T0: for whom its Shares have an entry each. Itself has to be. */
struct rn_sa_set rn_sa_transcript_holders(const struct rn_sa_transcript *transcript,
                                          uint32_t dealer);

/* Public key of a roster place or of RN_SA_COORDINATOR; NULL for others. */
const struct rn_identity_public *rn_sa_transcript_key(const struct rn_sa_transcript *transcript,
                                                      uint32_t sender);

/* Is this nested message of the type, by that sender, of this session and round, under that
 * transcript hash, to the coordinator, and validly signed? */
RN_MUST rn_result rn_sa_transcript_nested(const struct rn_sa_transcript *transcript,
                                          const struct rn_sa_message *message, enum rn_sa_type type,
                                          const uint8_t *hash, struct rn_error *err);

/* Writes a message of this session. */
struct rn_sa_draft {
    enum rn_sa_type type;
    uint32_t sender;
    uint32_t recipient;
    const uint8_t *hash; /* transcript hash of the header */
    struct rn_view body;
    const uint8_t *body_hash; /* NULL: hash of the body */
};
void rn_sa_transcript_write(const struct rn_sa_transcript *transcript,
                            const struct rn_sa_draft *draft, const struct rn_identity *identity,
                            struct rn_buffer *out);

/* A set as RN_SA_SET_BYTES bytes. */
void rn_sa_set_write(struct rn_buffer *out, const struct rn_sa_set *set);
struct rn_sa_set rn_sa_set_read(struct rn_reader *reader);

#endif
