/* SPDX-License-Identifier: Apache-2.0
 *
 * What both programs write down about a job, and how a round's outcome stands in a record. A record
 * is a key (kind, session, round, attempt) and a body; a batch of them becomes durable together or
 * not at all. Where records lie is the store's business (services/store/store.h), which takes a
 * kind for a number.
 */
#ifndef RN_SERVICES_FEDERATION_JOBRECORD_H
#define RN_SERVICES_FEDERATION_JOBRECORD_H

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/sha256.h"
#include "services/round/roundmeasure.h"

/* Longest body of one record. */
#define RN_RECORD_BODY_MAX ((size_t)900 << 20)

/* The numbers are stored: never reuse one (5, 8 and 9 were never written). */
enum rn_record_kind {
    RN_RECORD_BINDING = 1,    /* whose state this is */
    RN_RECORD_MEMBER = 2,     /* of the member machine (crypto/secagg/sarecord.h) */
    RN_RECORD_AGGREGATOR = 3, /* of the aggregator machine */
    RN_RECORD_SPENT = 4,      /* of the ledger of spent updates (rule A9); never pruned */
    RN_RECORD_ADAPTER = 6,    /* rn_round_model_write: the adapter after a round */
    RN_RECORD_RESULT = 7,     /* rn_job_result_write: outcome of a round */
    RN_RECORD_ATTEMPT = 10,   /* before hash: an attempt at a round began, the number is used up */
    RN_RECORD_EVIDENCE = 11,  /* crypto/secagg/evidence.h: who broke the protocol; never pruned */
    RN_RECORD_METRICS = 12,   /* rn_job_metrics_write: round's adapter was published */
    RN_RECORD_PLAN = 13,      /* hash of the plan whose job this is; never pruned */
    RN_RECORD_END = 14,       /* rn_job_end_write: the job ended for good, and why */
    RN_RECORD_BEST = 15,      /* rn_round_model_write: the adapter that measured best so far */
    RN_RECORD_BLAMED = 16,    /* set of members that were proven faulty; never pruned */
    RN_RECORD_GROUP = 17,     /* text of all signatures of a blind plan, with the document of its
                                 group key, at the coordinator; never pruned */
    RN_RECORD_SILENT = 21,    /* set of members whose silence ended a session; never pruned */
    RN_RECORD_EPOCH_SET = 18, /* commitments for the share graph, before they are sent, or
                                 revealed under; attempt: the epoch's; never pruned */
    RN_RECORD_EPOCH_REVEALS = 19, /* the reveals under the newest of them; never pruned */
    RN_RECORD_EPOCH_VOID = 20,    /* set of the members that are out of the epoch from that attempt
                                     on, at the coordinator; never pruned */
    RN_RECORD_STOP = 22,          /* jobstop.h: a member ended the job; never pruned */
    RN_RECORD_TLOG = 23,          /* policy/tlog/tlogentry.h: in the federation's log, or about to
                                     be; at the coordinator; never pruned */
};

struct rn_record_key {
    enum rn_record_kind kind;
    uint8_t session[RN_HASH_BYTES]; /* zero where there is none */
    uint32_t round;
    uint32_t attempt;
};

typedef rn_result (*rn_record_visit)(void *argument, const struct rn_record_key *key,
                                     struct rn_view body, struct rn_error *err);

/* ---- Batches */

struct rn_job_write {
    struct rn_record_key key;
    struct rn_buffer body; /* owned */
};

/* Before the writes, in the same transaction: the records of a kind whose round is below go. */
struct rn_job_prune {
    enum rn_record_kind kind;
    uint32_t first_kept_round;
};

/* Zero-initialise. */
struct rn_job_batch {
    struct rn_job_write *writes;
    size_t write_count, write_capacity;
    struct rn_job_prune *prunes;
    size_t prune_count, prune_capacity;
};

void rn_job_batch_clear(struct rn_job_batch *batch);
/* Appends a write with an empty body, to be filled at once (valid until the next call). */
struct rn_buffer *rn_job_batch_write(struct rn_job_batch *batch, const struct rn_record_key *key);
void rn_job_batch_prune(struct rn_job_batch *batch, enum rn_record_kind kind,
                        uint32_t first_kept_round);

/* ---- Bodies */

/* Outcome of one round (RN_RECORD_RESULT). */
struct rn_job_result {
    uint32_t outcome; /* RN_OK: summed; else the enum rn_code why it was skipped */
    uint32_t round;
    uint32_t attempt;
    uint32_t active;
    uint32_t included; /* members in the sum */
    uint32_t lost;     /* members of the session that are not in the sum */
    bool spent;        /* skipped, and some update of it counts as sent (rule A9) */
    uint8_t session[RN_HASH_BYTES];
    uint8_t before[RN_HASH_BYTES]; /* adapter hash the round started from */
    uint8_t after[RN_HASH_BYTES];
    uint8_t sum_hash[RN_HASH_BYTES];
    double loss; /* mean per example over all members; NaN when not summed */
    uint64_t examples;
    uint64_t clipped;
    uint64_t weight;
    uint64_t milliseconds;
    uint64_t uplink_bytes;         /* coordinator: received from all members in this round */
    struct rn_round_measure start; /* of the adapter it started from, by all its members */
};
#define RN_JOB_RESULT_BYTES 222

void rn_job_result_write(const struct rn_job_result *result, struct rn_buffer *out);
RN_MUST rn_result rn_job_result_read(struct rn_view bytes, struct rn_job_result *out,
                                     struct rn_error *err);

/* What development data said of an adapter (RN_RECORD_METRICS). */
#define RN_JOB_METRICS 6
struct rn_job_metrics {
    bool evaluated;                /* false: the body is empty */
    double values[RN_JOB_METRICS]; /* loss, accuracy, f1, matthews, pearson, spearman */
};
void rn_job_metrics_write(const struct rn_job_metrics *metrics, struct rn_buffer *out);
RN_MUST rn_result rn_job_metrics_read(struct rn_view bytes, struct rn_job_metrics *out,
                                      struct rn_error *err);

/* Why a job is over before its last round (RN_RECORD_END): remembered, so that a restarted
 * coordinator ends with the same word and offers no spent round. */
struct rn_job_end {
    enum rn_code code;
    char text[RN_ERROR_TEXT_MAX];
    uint8_t signature[RN_SIGNATURE_BYTES]; /* the coordinator's, over plan, round, code, text */
};
void rn_job_end_sign(struct rn_job_end *end, const struct rn_identity *identity,
                     const uint8_t plan_hash[static RN_HASH_BYTES], uint32_t round);
RN_MUST rn_result rn_job_end_verify(const struct rn_job_end *end,
                                    const struct rn_identity_public *coordinator,
                                    const uint8_t plan_hash[static RN_HASH_BYTES], uint32_t round,
                                    struct rn_error *err);
void rn_job_end_write(const struct rn_job_end *end, struct rn_buffer *out);
RN_MUST rn_result rn_job_end_read(struct rn_view bytes, struct rn_job_end *out,
                                  struct rn_error *err);

#endif
