/* SPDX-License-Identifier: Apache-2.0
 *
 * What a store keeps, as plain data: records and batches of changes. No file, clock or thread, so
 * that code which decides what to persist can build a batch and hand it on.
 *
 * A record is a key (kind, round, attempt, session) and a body. Records of equal keys live side by
 * side, in the order in which they were appended. A store does not know what a kind means: it is a
 * number from 1 to RN_STORE_KIND_MAX.
 *
 * A batch is what becomes durable together or not at all: first its prune rules delete, then its
 * records are appended (so that a batch can replace what it deletes). Building never fails at once:
 * a batch that went over a limit is `failed`, takes no more, and rn_store_commit refuses it.
 *
 * Life cycle: zero-initialise -> append/prune... -> rn_store_commit (which leaves it empty) or
 * rn_store_batch_clear.
 */
#ifndef RN_SERVICES_STORE_STOREBATCH_H
#define RN_SERVICES_STORE_STOREBATCH_H

#include "base/bytes.h"
#include "base/result.h"

#define RN_STORE_KIND_MAX 63
#define RN_STORE_SESSION_BYTES 32
/* Longest body of one record: an adapter of 2^28 float32 elements does not fit, and is refused by
 * the plan's limits before it comes here. */
#define RN_STORE_BODY_MAX ((size_t)900 << 20)
#define RN_STORE_BATCH_RECORDS_MAX 1024
#define RN_STORE_BATCH_PRUNES_MAX 64
/* Bodies of one batch together. */
#define RN_STORE_BATCH_BYTES_MAX ((size_t)1 << 30)

/* What identifies a record beside its body. session is all zero where there is none. */
struct rn_store_key {
    uint32_t kind;
    uint32_t round;
    uint32_t attempt;
    uint8_t session[RN_STORE_SESSION_BYTES];
};

struct rn_store_record {
    uint64_t position; /* grows with every record of a store; 0 before it was stored */
    struct rn_store_key key;
    struct rn_buffer body;
};

enum rn_store_prune_rule {
    RN_STORE_PRUNE_BEFORE = 1,  /* records of the kind with (round, attempt) below the given */
    RN_STORE_PRUNE_SESSION = 2, /* records of the kind with the given session */
};

struct rn_store_prune {
    enum rn_store_prune_rule rule;
    struct rn_store_key key; /* what the rule does not name is not looked at */
};

struct rn_store_batch {
    struct rn_store_record *records;
    size_t record_count;
    struct rn_store_prune *prunes;
    size_t prune_count;
    size_t bytes; /* of all bodies */
    bool failed;
};

/* Copies the body. */
void rn_store_batch_append(struct rn_store_batch *batch, const struct rn_store_key *key,
                           struct rn_view body);
/* Takes the body over and leaves an empty buffer behind, also when the batch failed. */
void rn_store_batch_move(struct rn_store_batch *batch, const struct rn_store_key *key,
                         struct rn_buffer *body);

/* Deletes records of the kind with round < first_kept_round, or that round and attempt <
 * first_kept_attempt (0: the whole round stays). */
void rn_store_batch_prune_before(struct rn_store_batch *batch, uint32_t kind,
                                 uint32_t first_kept_round, uint32_t first_kept_attempt);
void rn_store_batch_prune_session(struct rn_store_batch *batch, uint32_t kind,
                                  const uint8_t session[static RN_STORE_SESSION_BYTES]);

/* Frees everything and zeroes the struct; use with RN_CLEANUP(rn_store_batch_clear). */
void rn_store_batch_clear(struct rn_store_batch *batch);

/* Records that were read. */
struct rn_store_records {
    struct rn_store_record *items;
    size_t count;
    size_t bytes; /* of all bodies */
    bool more;    /* the query's limit was reached: ask again after the last item's position */
};
/* Copies the body. */
void rn_store_records_add(struct rn_store_records *records, uint64_t position,
                          const struct rn_store_key *key, struct rn_view body);
/* Frees everything and zeroes the struct. */
void rn_store_records_clear(struct rn_store_records *records);

#endif
