/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the aggregator: what its files share.
 */
#ifndef RN_CRYPTO_SECAGG_AGGREGATOR_STATE_H
#define RN_CRYPTO_SECAGG_AGGREGATOR_STATE_H

#include "crypto/secagg/aggregator.h"
#include "crypto/secagg/member.h"
#include "crypto/secagg/messages.h"
#include "crypto/secagg/sarecord.h"

/* One member's upload, from its first chunk until its sum is receipted. */
struct rn_sa_upload {
    bool open;                /* something of it is held */
    struct rn_buffer *chunks; /* [layout.chunks] whole Chunks; NULL: they lie in the spool */
    uint8_t *held;            /* [layout.chunks] */
    uint8_t *leaves;          /* [layout.chunks][32] */
    uint32_t have;
    uint64_t last_ms; /* when its last chunk came */
    bool complete;    /* Done came, its root holds, and it was added to the masked sum */
};

/* Shares that one member revealed, less those that were found false. */
struct rn_sa_answers {
    struct rn_sa_set members;  /* of whom there is a share */
    struct rn_sa_set checked;  /* against the dealers' commitments */
    struct rn_sa_set owed;     /* of whom its Reveal has an entry */
    struct rn_scalar shares[]; /* [|owed|], by place in it */
};

struct rn_sa_aggregator {
    struct rn_sa_aggregator_config config;
    struct rn_sa_transcript t;
    enum rn_sa_stage stage;
    uint64_t stage_since_ms;
    uint64_t retry_at_ms;
    uint64_t now_ms;
    enum rn_sa_reason reason;
    /* First message of each type from each member, whole. Votes: one slot for both kinds. */
    struct rn_buffer *inbox[RN_SA_TYPE_LAST_]; /* [members]; as what follows, if it says so */
    struct rn_sa_set got[RN_SA_TYPE_LAST_];
    struct rn_sa_set caught[RN_SA_TYPE_LAST_]; /* signed two versions: the proof was given */
    /* Own broadcasts, whole; the share sets are made from the dealings each time. */
    struct rn_buffer sent[RN_SA_TYPE_LAST_];
    struct rn_sa_dealing *dealings;            /* [members] */
    struct rn_sa_set for_survivors, for_abort; /* votes */
    struct rn_sa_upload *uploads;              /* [members] */
    struct rn_sa_set complete;                 /* uploads in the masked sum */
    uint64_t spool_bytes;           /* reserved in memory: whole vectors of the uploads under way */
    struct rn_sa_vector vector;     /* masked sum, then the sum */
    bool spoiled;                   /* half an upload is in it, and cannot be taken out again */
    struct rn_sa_answers **answers; /* [members]; NULL: none came */
    struct rn_sa_set tried;         /* Reveals at the last attempt to unmask */
    struct rn_sa_set opened;        /* members whose secret is rebuilt */
    struct rn_scalar *secrets;      /* [members]: of those */
    uint32_t *available;     /* [members]: shares of it that came and are not known to be false */
    struct rn_sa_set blamed; /* revealed a false share */
    uint32_t *blamed_for;    /* [members]: of which dealer */
    struct rn_sa_set silent; /* accused, and gone when that ended the session */
};

typedef rn_result rn_sa_aggregator_handler(struct rn_sa_aggregator *a,
                                           const struct rn_sa_message *message,
                                           struct rn_sa_actions *actions, struct rn_error *err);

/* In which stage which message is taken, and the stage that follows when enough of them came. In
 * earlier stages the message cannot exist; in later ones its sender is told what it missed. */
struct rn_sa_aggregator_rule {
    enum rn_sa_stage stage;
    enum rn_sa_type type;
    rn_sa_aggregator_handler *handle;
    enum rn_sa_stage next;
};
/* Ends with handle == NULL. */
extern const struct rn_sa_aggregator_rule rn_sa_aggregator_rules[];

rn_sa_aggregator_handler rn_sa_aggregator_on_ready, rn_sa_aggregator_on_shares,
    rn_sa_aggregator_on_ack, rn_sa_aggregator_on_chunk, rn_sa_aggregator_on_done,
    rn_sa_aggregator_on_vote, rn_sa_aggregator_on_reveal, rn_sa_aggregator_on_receipt,
    rn_sa_aggregator_on_audit;

/* Keeps the first message of its type. */
void rn_sa_aggregator_keep(struct rn_sa_aggregator *a, const struct rn_sa_message *message);
/* Closes the stage if its rules say so, again and again until they do not. */
void rn_sa_aggregator_advance(struct rn_sa_aggregator *a, struct rn_sa_actions *actions);
/* Calls the session off, for the reason. */
void rn_sa_aggregator_call_off(struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                               struct rn_sa_actions *actions);
/* Says that it ended without a sum, and whether its round may be repeated. */
void rn_sa_aggregator_tell_aborted(const struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                                   struct rn_sa_actions *actions);
/* Ends it without a sum. */
void rn_sa_aggregator_end(struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                          struct rn_sa_actions *actions);

/* Makes sent[type] from a body under the current transcript hash. */
void rn_sa_aggregator_broadcast(struct rn_sa_aggregator *a, enum rn_sa_type type,
                                struct rn_view body);
void rn_sa_aggregator_send(const struct rn_sa_aggregator *a, enum rn_sa_type type,
                           const struct rn_sa_set *to, struct rn_sa_actions *actions);
void rn_sa_aggregator_send_shares(const struct rn_sa_aggregator *a, uint32_t member,
                                  struct rn_sa_actions *actions);
/* What follows on a message of this type, if it is there already. */
void rn_sa_aggregator_reply(const struct rn_sa_aggregator *a, enum rn_sa_type type, uint32_t member,
                            struct rn_sa_actions *actions);
void rn_sa_aggregator_send_need(const struct rn_sa_aggregator *a, uint32_t member,
                                struct rn_sa_actions *actions);

/* What it holds in memory; the spool keeps its own, for a restart. */
void rn_sa_upload_free(struct rn_sa_aggregator *a, uint32_t member);
/* The spool's too. */
void rn_sa_upload_clear(struct rn_sa_aggregator *a, uint32_t member);
/* Of all members; the next session's lie in the same places, so only while it is this one's turn: a
 * session that is over, and takes a late vote, touches them no more. */
void rn_sa_uploads_forget(struct rn_sa_aggregator *a);
/* A chunk of a complete upload, whole, as its member sent it, in place of what out holds; its leaf
 * is the signed one. RN_E_BUSY when it is not there any more. */
RN_MUST rn_result rn_sa_upload_fetch(const struct rn_sa_aggregator *a, uint32_t member,
                                     uint32_t chunk, struct rn_buffer *out, struct rn_error *err);
/* After a restart: finds a survivor's upload in the spool again. RN_E_BUSY when what lies there is
 * not what its Done signs. */
RN_MUST rn_result rn_sa_upload_find(struct rn_sa_aggregator *a, uint32_t member,
                                    struct rn_error *err);

/* ---- aggregator_progress.c */
void rn_sa_aggregator_enter(struct rn_sa_aggregator *a, enum rn_sa_stage stage,
                            struct rn_sa_actions *actions);
void rn_sa_aggregator_progress(const struct rn_sa_aggregator *a, struct rn_sa_actions *actions);
/* Who must answer in this stage, and who has. */
struct rn_sa_set rn_sa_aggregator_expected(const struct rn_sa_aggregator *a);
/* Who is offered the session: all but the excluded. */
struct rn_sa_set rn_sa_aggregator_expected_ready(const struct rn_sa_aggregator *a);
struct rn_sa_set rn_sa_aggregator_arrived(const struct rn_sa_aggregator *a);

/* ---- aggregator_blame.c */
/* Proofs against those who were blamed, as many as the message takes; the others were not proven
 * false then, and are not blamed any more. */
void rn_sa_aggregator_write_blame(struct rn_sa_aggregator *a, struct rn_sa_proofs *out);
/* The same proofs, each in a document for whoever has the roster: EVIDENCE, at most
 * RN_SA_REVEAL_EVIDENCE_MAX. From stage UNMASK on. */
void rn_sa_aggregator_prove(const struct rn_sa_aggregator *a, struct rn_sa_actions *actions);
/* Dealers of whose secret fewer than t holders are left when the session ends for this reason,
 * because some of them complained and the dealer itself is gone (PROTOCOL.md, "Dealers that fall
 * silent"). */
struct rn_sa_set rn_sa_aggregator_silent(const struct rn_sa_aggregator *a,
                                         enum rn_sa_reason reason);

/* ---- aggregator_audit.c: replay and receipts */
/* What rn_sa_aggregator_chunk gives beyond the chunks of the sum. RN_E_USAGE once there is an
 * adapter. */
RN_MUST rn_result rn_sa_aggregator_piece(struct rn_sa_aggregator *a, uint32_t piece,
                                         struct rn_buffer *out, struct rn_error *err);
/* Members whose receipts agree on one adapter: the largest such set. */
struct rn_sa_set rn_sa_receipts_agreeing(const struct rn_sa_aggregator *a);
/* Fixes the adapter that these receipts name: record, APPLY, broadcast. */
void rn_sa_receipts_close(struct rn_sa_aggregator *a, const struct rn_sa_set *agreeing,
                          struct rn_sa_actions *actions);

/* R4: rebuilds every secret, takes the masks off, checks the range. */
enum rn_sa_unmask {
    RN_SA_UNMASK_WAIT, /* shares are missing */
    RN_SA_UNMASK_DONE, /* secrets and vector are the result's */
    RN_SA_UNMASK_RANGE,
};
enum rn_sa_unmask rn_sa_aggregator_unmask(struct rn_sa_aggregator *a);
/* Root over the chunks of the sum. */
void rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a, uint8_t out[static RN_HASH_BYTES]);

/* Starts a PERSIST action; the caller appends the body. */
struct rn_buffer *rn_sa_aggregator_record(const struct rn_sa_aggregator *a,
                                          enum rn_sa_record_kind kind,
                                          struct rn_sa_actions *actions);

#endif
