/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens in a job, as one table: each kind's name in the log, its level, the fields it has,
 * the metric that counts it, and how many lines a minute one peer may cause. The machines give
 * events (RN_EFFECT_EVENT); log, metrics, status and `rondo run` all read the same struct.
 */
#ifndef RN_SERVICES_FEDERATION_JOBEVENT_H
#define RN_SERVICES_FEDERATION_JOBEVENT_H

#include "base/result.h"
#include "crypto/secagg/actions.h"
#include "services/round/roundmeasure.h"

enum rn_job_event_kind {
    RN_JOB_STARTED = 0, /* round: the next one; members */
    RN_JOB_MEMBERS,     /* present of members are connected */
    RN_JOB_WAITING,     /* nothing can start yet: present, members */
    RN_JOB_STAGE,       /* a stage of a session began: expected members */
    RN_JOB_NOT_WAITING, /* count members are away, declined or only follow: the stage goes on */
    RN_JOB_OFFER,       /* a session began: present (coordinator) */
    RN_JOB_RESUMED,     /* a session from the journal goes on */
    RN_JOB_NOT_RESUMED,
    RN_JOB_ABORTED,     /* a session ended without a sum: stage, reason */
    RN_JOB_ROUND,       /* a round is over: outcome, included, lost, loss, bytes, ms, hash */
    RN_JOB_SKIPPED,     /* a round is over without a sum: outcome, ms */
    RN_JOB_SUM_REFUSED, /* the sum is nothing that honest updates add up to */
    RN_JOB_EVALUATED,   /* round (0: before the first), metric, loss on development data */
    RN_JOB_WRITTEN,     /* an adapter directory: path */
    RN_JOB_MEASURED,    /* the members together on the adapter after round: metric, loss (means) */
    RN_JOB_STOPPED_EARLY,   /* no better adapter for the plan's patience; round, metric: the best */
    RN_JOB_ENDED,           /* outcome; path of the final adapter or NULL; summed, skipped rounds */
    RN_JOB_INCOMPLETE,      /* the job ends before its last round: detail */
    RN_JOB_FAILED,          /* the process ends by a failure: outcome, detail */
    RN_JOB_DRAINING,        /* count: signals so far */
    RN_JOB_BLAMED,          /* peer was proved faulty */
    RN_JOB_SILENT,          /* by the silence of peer, complained of before, the session ended */
    RN_JOB_EVIDENCE,        /* a contradiction was signed; the record is kept */
    RN_JOB_MESSAGE_REFUSED, /* a peer's message: outcome, detail */
    RN_JOB_SIGNATURES,      /* count more signatures of the plan: present of members have signed */
    RN_JOB_SIGNATURES_REFUSED, /* they are for another plan, or do not hold: outcome, detail */
    RN_JOB_EPOCH_DRAWN,        /* the share graph stands: attempt; present of members are in it */
    RN_JOB_EPOCH_REFUSED,      /* a message of its drawing: outcome, detail */
    RN_JOB_STOPPED,            /* peer, a member, ended the job by its signature: detail: why */
    RN_JOB_STOP_REFUSED,       /* one that peer brought does not hold: outcome, detail */
    /* coordinator */
    RN_JOB_EPOCH_CALLED, /* an attempt at the share graph began: attempt, members */
    RN_JOB_EPOCH_VOID,   /* it gave none: count members did not reveal: detail: who */
    RN_JOB_MEMBER_JOINED,
    RN_JOB_MEMBER_LOST,
    RN_JOB_MEMBER_REFUSED, /* its greeting: outcome, detail */
    RN_JOB_MEMBER_UNREACHABLE,
    RN_JOB_MEMBER_DECLINED, /* it takes no part in this attempt: outcome */
    RN_JOB_MEMBER_WAITS,    /* its policy wants more signatures of the plan: detail: who lacks */
    RN_JOB_MEMBER_READY,    /* it has them now */
    RN_JOB_MEMBER_BEHIND,   /* it misses rounds from `round` on, and is being helped */
    RN_JOB_MEMBER_STRANDED, /* what it misses is not kept any more: detail says the remedy */
    RN_JOB_MEMBER_CLOSING,
    RN_JOB_RECEIPT_DIFFERS,
    RN_JOB_SUMS_DROPPED,   /* up to `round` they are kept no longer, though a member lacks them */
    RN_JOB_CATCHUP_FAILED, /* the records of an old session do not fit: detail */
    RN_JOB_LOG_REPORT_REFUSED, /* what peer says of its copy of the log: outcome, detail */
    /* member */
    RN_JOB_LOG_REFUSED,       /* an update of the log: outcome, detail */
    RN_JOB_POLICY_WAITS,      /* the policy wants more signatures of the plan: detail: which */
    RN_JOB_POLICY_SATISFIED,  /* it has them now */
    RN_JOB_SIGNATURES_UNKEPT, /* they cannot be written down: outcome, detail */
    RN_JOB_TRAINING,          /* step of steps, loss */
    RN_JOB_TRAIN_BEGIN,
    RN_JOB_TRAIN_DONE,
    RN_JOB_TRAIN_FAILED,
    RN_JOB_TRAIN_REUSED,
    RN_JOB_CLIPPED, /* count elements of the update were cut by the scale */
    RN_JOB_UPDATE_REFUSED,
    RN_JOB_UPLOAD_FAILED,
    RN_JOB_FOLLOW, /* no part in this session: reason */
    RN_JOB_OFFER_REFUSED,
    RN_JOB_BEHIND, /* this site misses a sum and asks for it: value: the round it stands at */
    RN_JOB_SUMMARY,
    RN_JOB_ADAPTER_DIFFERS,
    RN_JOB_CONNECTED,
    RN_JOB_DISCONNECTED,
    RN_JOB_UNREACHABLE,
    RN_JOB_WELCOME,
    RN_JOB_CLOSING,
    RN_JOB_CLONE, /* another process has this identity */
    RN_JOB_EVENTS,
};

struct rn_job_event {
    enum rn_job_event_kind kind;
    uint32_t peer; /* place in the roster + 1; 0: of nobody */
    uint32_t round, rounds, attempt;
    const char *phase; /* "B", "A", "AB"; static */
    enum rn_sa_stage stage;
    uint32_t present, members, included, lost;
    uint32_t summed, skipped; /* ENDED: rounds */
    uint32_t step, steps;
    double loss;                         /* NaN when unknown */
    double metric;                       /* the plan's own, on development data */
    struct rn_round_measure start;       /* ROUND: of the adapter it started from, by all members */
    struct rn_round_judgement judgement; /* ENDED */
    const char *metric_name;             /* static */
    uint64_t count, limit, value;
    uint64_t bytes; /* up, of all members together (coordinator) or of this one */
    uint64_t milliseconds;
    enum rn_code outcome;
    const char *reason;  /* static; NULL: the name of outcome */
    bool head_untrained; /* ENDED: each member keeps a head of its own; the one written here is the
                            start */
    bool blind;          /* ENDED, at a coordinator: members hold the adapter */
    bool has_hash;
    uint8_t hash[32];
    /* Filled by the driver, which alone knows them; NULL elsewhere. */
    const char *path;
    const char *detail; /* the sentence beside the event (the effect's err) */
    const char *name;   /* of the peer */
};

/* Which fields a kind's line has. */
enum rn_job_field {
    RN_JOB_F_ROUND = 1 << 0,
    RN_JOB_F_ATTEMPT = 1 << 1,
    RN_JOB_F_STAGE = 1 << 2,
    RN_JOB_F_PHASE = 1 << 3,
    RN_JOB_F_PEER = 1 << 4,
    RN_JOB_F_PRESENT = 1 << 5,
    RN_JOB_F_MEMBERS = 1 << 6,
    RN_JOB_F_INCLUDED = 1 << 7,
    RN_JOB_F_LOST = 1 << 8,
    RN_JOB_F_COUNT = 1 << 9,
    RN_JOB_F_LIMIT = 1 << 10,
    RN_JOB_F_VALUE = 1 << 11,
    RN_JOB_F_BYTES = 1 << 12,
    RN_JOB_F_MILLISECONDS = 1 << 13,
    RN_JOB_F_REASON = 1 << 14,
    RN_JOB_F_DETAIL = 1 << 15,
    RN_JOB_F_HASH = 1 << 16,
    RN_JOB_F_PATH = 1 << 17,
};

enum rn_job_level { RN_JOB_QUIET, RN_JOB_DEBUG, RN_JOB_INFO, RN_JOB_WARN, RN_JOB_ERROR };

struct rn_job_event_row {
    const char *name;        /* in the log: lower-case, dotted; stable */
    enum rn_job_level level; /* QUIET: no line */
    const char *metric;      /* counter, without the prefix "rondo_"; NULL: not counted */
    unsigned fields;
    uint32_t lines_per_minute; /* of one peer; 0: no limit */
    const char *text;          /* for people, in status and `rondo run`; NULL: not shown */
};

/* Indexed by kind; every row is filled. */
const struct rn_job_event_row *rn_job_event_row(enum rn_job_event_kind kind);

/* Lines of one kind and peer within the last minute. Zero-initialise. */
struct rn_job_event_limit {
    struct {
        uint64_t since_ms;
        uint32_t lines, dropped;
    } peers[RN_JOB_EVENTS][RN_SA_MEMBERS_MAX + 1]; /* 0: of nobody */
};

/* May this line be written? Always true for kinds without a limit. *out_dropped: lines that were
 * kept back since the last one that was written, to be said with it. */
bool rn_job_event_admit(struct rn_job_event_limit *limit, const struct rn_job_event *event,
                        uint64_t now_ms, uint32_t *out_dropped);

struct rn_job_listener {
    void (*on_event)(void *context, const struct rn_job_event *event); /* NULL: nobody listens */
    void *context;
};

/* R0 .. R5 of PROTOCOL.md, for logs. */
const char *rn_job_stage_code(enum rn_sa_stage stage);

#endif
