/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the member machine: its states, and what its files share.
 */
#ifndef RN_CRYPTO_SECAGG_MEMBER_STATE_H
#define RN_CRYPTO_SECAGG_MEMBER_STATE_H

#include "crypto/secagg/audit.h"
#include "crypto/secagg/member.h"
#include "crypto/secagg/messages.h"
#include "crypto/secagg/sarecord.h"
#include "crypto/secagg/spentjournal.h"

enum rn_sa_member_state {
    RN_SA_M_IDLE,      /* waits for the Offer */
    RN_SA_M_TRAINING,  /* waits for the service: rn_sa_member_input */
    RN_SA_M_READY,     /* sent Ready, waits for the Ready set */
    RN_SA_M_DEALT,     /* sent Shares, waits for the share set */
    RN_SA_M_ACKED,     /* sent Ack, waits for the Ack set */
    RN_SA_M_UPLOADING, /* waits for the service: rn_sa_member_bulk_sent */
    RN_SA_M_DONE,      /* sent Done, waits for Survivors */
    RN_SA_M_VOTED,     /* sent Vote, waits for the certificate */
    RN_SA_M_REVEALED,  /* sent Reveal, waits for the Result */
    RN_SA_M_FOLLOWING, /* has no part any more, follows the public transcript */
    RN_SA_M_FETCHING,  /* collects the chunks of the sum */
    RN_SA_M_AUDITING,  /* replays its part of the sum */
    RN_SA_M_SUMMED,    /* waits for the service: rn_sa_member_adapter, or _applied */
    RN_SA_M_RECEIPTED, /* sent Receipt, waits for a quorum of them */
    RN_SA_M_FINISHED,
    RN_SA_M_ABORTING, /* voted ABORT after Done, waits for the abort certificate */
    RN_SA_M_ABORTED,
    RN_SA_M_LAST_,
};

/* As in PROTOCOL.md. */
const char *rn_sa_member_state_name(enum rn_sa_member_state state);

/* In secret memory. */
struct rn_sa_vault {
    struct rn_secret32 seed;
    struct rn_sa_secrets session;
    struct rn_sa_slot slots[]; /* of the session */
};

struct rn_sa_member {
    struct rn_sa_member_config config;
    struct rn_sa_transcript t;
    enum rn_sa_member_state state;
    enum rn_sa_member_state next; /* of the message being handled */
    struct rn_sa_vault *vault;    /* NULL once erased */
    enum rn_sa_vote vote;
    bool input_failed;
    bool joined;                   /* the session is in the journal */
    bool spent;                    /* Done is in the journal */
    bool revealed;                 /* Reveal is in the journal */
    bool closed;                   /* an abort certificate came */
    bool ignored;                  /* the handler had no use for the message: it may come again */
    uint8_t own_t1[RN_HASH_BYTES]; /* when spent */
    uint8_t own_t2[RN_HASH_BYTES]; /* when revealed */
    bool receipted;                /* Receipt is in the journal */
    struct rn_sa_set valid;        /* dealers whose shares opened */
    struct rn_buffer shares;       /* own, whole */
    struct rn_buffer done;
    struct rn_buffer reveal;
    struct rn_buffer receipt;
    struct rn_buffer certificate; /* whole, of survivors or an abort: the first that was accepted */
    struct rn_buffer outbox;      /* last message sent: sent again until it is answered */
    struct rn_mask_set *masks;
    uint8_t *leaves;   /* [chunks][32] of the upload */
    uint8_t *leaf_set; /* [chunks] */
    bool sending;      /* chunks that were needed again are with the transport: Done follows them */
    struct rn_sa_vector sum; /* blinded until all of it came */
    bool out_of_range;       /* blind: the sum is none, which the coordinator cannot see */
    uint8_t *sum_leaves;     /* [chunks][32] */
    uint8_t *sum_bits;       /* chunks still wanted */
    uint32_t sum_left;
    struct rn_sa_audit *audit; /* while AUDITING */
    uint64_t deadline_ms;      /* 0: none */
    uint64_t retry_at_ms;
    uint64_t now_ms;
    /* First broadcast of each type that was accepted: a different second one is evidence. */
    uint8_t seen[RN_SA_TYPE_LAST_][RN_SA_ENVELOPE_BYTES];
    bool seen_set[RN_SA_TYPE_LAST_];
    /* What makes the transcript, whole: the offer for the journal, all for a proof of the sum. */
    struct rn_buffer heard[RN_SA_TYPE_LAST_];
    bool caught[RN_SA_TYPE_LAST_]; /* contradicted: the proof was given */
};

typedef rn_result rn_sa_member_handler(struct rn_sa_member *m, const struct rn_sa_message *message,
                                       struct rn_sa_actions *actions, struct rn_error *err);

/* What a state does with a message, and the state after it if the handler does not decide
 * otherwise. */
struct rn_sa_member_rule {
    enum rn_sa_member_state state;
    enum rn_sa_type type;
    rn_sa_member_handler *handle;
    enum rn_sa_member_state next;
};
/* Ends with handle == NULL. */
extern const struct rn_sa_member_rule rn_sa_member_rules[];

rn_sa_member_handler rn_sa_member_on_offer, rn_sa_member_on_ready_set, rn_sa_member_on_shares_set,
    rn_sa_member_on_ack_set, rn_sa_member_on_need, rn_sa_member_on_survivors,
    rn_sa_member_on_certificate, rn_sa_member_on_result, rn_sa_member_on_sum_chunk,
    rn_sa_member_on_leaves, rn_sa_member_on_upload_chunk, rn_sa_member_on_receipts,
    rn_sa_member_on_follow, rn_sa_member_on_abort_call, rn_sa_member_on_abort_certificate,
    rn_sa_member_on_late_abort;

/* Erases every secret of the session, the mask streams too. */
void rn_sa_member_erase(struct rn_sa_member *m);
/* Emits SEND and remembers the message for resends. */
void rn_sa_member_send(struct rn_sa_member *m, const struct rn_buffer *message,
                       struct rn_sa_actions *actions);
/* Emits PERSIST of kind with one message as its body. */
void rn_sa_member_persist(const struct rn_sa_member *m, enum rn_sa_record_kind kind,
                          const struct rn_buffer *message, struct rn_sa_actions *actions);
/* Gives up the own part: erases, asks the coordinator for the rest of the transcript. */
void rn_sa_member_go_following(struct rn_sa_member *m, enum rn_sa_reason reason,
                               struct rn_sa_actions *actions);
void rn_sa_member_go_aborted(struct rn_sa_member *m, enum rn_sa_reason reason, bool certified,
                             struct rn_sa_actions *actions);
/* Enters a state: progress, deadlines. */
void rn_sa_member_enter(struct rn_sa_member *m, enum rn_sa_member_state state,
                        struct rn_sa_actions *actions);
/* Keeps a certificate that was accepted. */
void rn_sa_member_keep_certificate(struct rn_sa_member *m, const struct rn_sa_message *message);
/* first is the envelope of that type that was accepted before. Once per type: one proof is enough,
 * and more of them shall not fill the journal. */
void rn_sa_member_give_evidence(struct rn_sa_member *m, enum rn_sa_type type, struct rn_view second,
                                struct rn_sa_actions *actions);
/* Sends Follow, or Audit, for what is missing. */
void rn_sa_member_ask(struct rn_sa_member *m, struct rn_sa_actions *actions);

#endif
