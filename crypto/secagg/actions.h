/* SPDX-License-Identifier: Apache-2.0
 *
 * What a state machine wants done. A call to a machine appends actions to a list; the service
 * executes them IN ORDER. When one fails (a record cannot be made durable), it executes none of
 * the later ones, frees the machine, and resumes it from the journal: that is a crash, and crashes
 * are safe at every action.
 */
#ifndef RN_CRYPTO_SECAGG_ACTIONS_H
#define RN_CRYPTO_SECAGG_ACTIONS_H

#include "base/bytes.h"
#include "crypto/secagg/memberset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The coordinator as sender or recipient; members are their place in the roster. */
#define RN_SA_COORDINATOR 0xfffffffeu
#define RN_SA_EVERYONE 0xffffffffu

enum rn_sa_action_kind {
    /* bytes is a journal record: append it to the journal of this session and make it durable.
     * With keep set the record must outlive the session: it is also the ledger's (spent.h). */
    RN_SA_PERSIST = 1,
    /* bytes is one message: aggregator: to every member of `to`; member: to the coordinator. */
    RN_SA_SEND,
    /* Upload (member); sum, or with audit set what its replay needs (aggregator, to the members in
     * `to`): pull the pieces for which rn_sa_action_wants is true, one by one, with
     * rn_sa_member_chunk / rn_sa_aggregator_chunk, and send each as one message on the bulk stream.
     * Pull on demand: nothing is copied before. A member's service then calls
     * rn_sa_member_bulk_sent. */
    RN_SA_SEND_BULK,
    /* Member: the offer is acceptable; train, then call rn_sa_member_input (or follow). */
    RN_SA_WANT_INPUT,
    /* Member: the session goes on without this member's update or help (reason says why); the
     * machine follows the public transcript and delivers the sum like any other. */
    RN_SA_FOLLOWING,
    /* Progress: stage, expected, arrived. Nothing needs to be done. */
    RN_SA_STAGE,
    /* Member: the sum is there and was replayed: read it with rn_sa_member_sum_read, compute which
     * adapter would follow, and call rn_sa_member_adapter with its hash. Nothing moves yet. */
    RN_SA_SUM,
    /* A certificate of receipts stands: read the sum with rn_sa_*_sum_read and take the adapter
     * that follows, if it is the one of rn_sa_*_sum_info. A member's service then calls
     * rn_sa_member_applied. */
    RN_SA_APPLY,
    /* The session is over, well. Free the machine when you like; until then it answers members that
     * are behind. */
    RN_SA_FINISHED,
    /* The session is over without a sum: reason, blamed, silent. */
    RN_SA_ABORTED,
    /* bytes proves that somebody signed two contradicting things; keep it, show it to a person. */
    RN_SA_EVIDENCE,
};

enum rn_sa_stage {
    RN_SA_STAGE_OFFER = 0,
    RN_SA_STAGE_READY,    /* R0: waiting for Ready */
    RN_SA_STAGE_SHARES,   /* R1 */
    RN_SA_STAGE_ACKS,     /* R1, second half */
    RN_SA_STAGE_UPLOAD,   /* R2 */
    RN_SA_STAGE_VOTE,     /* R3 */
    RN_SA_STAGE_UNMASK,   /* R4 */
    RN_SA_STAGE_SUM,      /* R5: sum, replay and receipts */
    RN_SA_STAGE_FINISHED, /* over, with a sum */
    RN_SA_STAGE_ABORTING, /* collecting ABORT votes */
    RN_SA_STAGE_ABORTED,  /* over, without one */
    RN_SA_STAGE_LAST_,
};
/* Static lower-case text, such as "upload". */
const char *rn_sa_stage_name(enum rn_sa_stage stage);

/* Why a session ended without a sum. */
enum rn_sa_reason {
    RN_SA_REASON_NONE = 0,
    RN_SA_REASON_READY_QUORUM,  /* too few members were ready */
    RN_SA_REASON_SHARES_QUORUM, /* too few members shared their secrets */
    RN_SA_REASON_ACKS_QUORUM,   /* too few members left after the acknowledgements */
    RN_SA_REASON_UPLOAD_QUORUM, /* too few uploads, or a lost member's secrets out of reach */
    RN_SA_REASON_VOTE_QUORUM,   /* no certificate in time */
    RN_SA_REASON_UNMASK_QUORUM, /* too few valid answers to unmask; the round stays spent */
    RN_SA_REASON_RANGE,         /* the sum left its range or a canary is not 0 */
    RN_SA_REASON_OPERATOR,      /* rn_sa_aggregator_abort */
    RN_SA_REASON_COORDINATOR,   /* member: the coordinator called the session off */
    RN_SA_REASON_EXCLUDED,      /* member: the session goes on without this member */
    RN_SA_REASON_POLICY,        /* member: fewer members than its own minimum */
    RN_SA_REASON_RESTART,       /* member: the secrets of the session ended with the old process */
    RN_SA_REASON_TIMEOUT,       /* member: the coordinator fell silent before the upload was done */
    RN_SA_REASON_DECLINED,      /* member: rn_sa_member_follow, or another session was joined */
    RN_SA_REASON_INPUT,         /* member: the input callback failed or gave a value > value_max */
    RN_SA_REASON_SPOOL,         /* the coordinator's place for uploads broke while it was read */
    RN_SA_REASON_RECEIPT_QUORUM,  /* too few receipts for one adapter; the round stays spent */
    RN_SA_REASON_SUM_FORGED,      /* member: the announced sum is not that of the uploads */
    RN_SA_REASON_ADAPTER_DIFFERS, /* member: another adapter follows here than the others agreed on
                                   */
    RN_SA_REASON_LAST_,
};
/* Static lower-case text, such as "upload-quorum". */
const char *rn_sa_reason_name(enum rn_sa_reason reason);

struct rn_sa_action {
    enum rn_sa_action_kind kind;
    struct rn_sa_set to;       /* SEND, SEND_BULK of an aggregator */
    struct rn_buffer bytes;    /* PERSIST, SEND, EVIDENCE; SEND_BULK: the wanted chunks as bits */
    uint32_t chunks;           /* SEND_BULK: pieces that there are */
    bool audit;                /* SEND_BULK: for a replay */
    bool keep;                 /* PERSIST */
    bool certified;            /* ABORTED: with an abort certificate, so the update is not spent */
    enum rn_sa_stage stage;    /* STAGE */
    struct rn_sa_set expected; /* STAGE: who must answer for the stage to end at once */
    struct rn_sa_set arrived;  /* STAGE: who has answered */
    enum rn_sa_reason reason;  /* ABORTED, FOLLOWING */
    struct rn_sa_set blamed;   /* ABORTED, FINISHED (aggregator): members proven faulty */
    struct rn_sa_set silent;   /* ABORTED (aggregator): not proven: their shares were complained of,
                                  and by their silence the session ended */
};

/* A list; zero-initialise it. */
struct rn_sa_actions {
    struct rn_sa_action *items;
    size_t count;
    size_t capacity;
};

/* Frees and empties the list; use with RN_CLEANUP or between calls. */
void rn_sa_actions_clear(struct rn_sa_actions *actions);
/* SEND_BULK: is this chunk wanted? */
bool rn_sa_action_wants(const struct rn_sa_action *action, uint32_t chunk);

/* For the machines: appends a zeroed action of the kind and returns it, valid until the next
 * append. */
struct rn_sa_action *rn_sa_actions_add(struct rn_sa_actions *actions, enum rn_sa_action_kind kind);

#endif
