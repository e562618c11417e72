/* SPDX-License-Identifier: Apache-2.0
 *
 * What both services write to the journal about a round, and the helpers to read a session's
 * records back.
 */
#ifndef RN_SERVICES_FEDERATION_JOBRECORD_H
#define RN_SERVICES_FEDERATION_JOBRECORD_H

#include "crypto/sha256.h"
#include "services/store/journal.h"

/* Outcome of one round (RN_JOURNAL_RESULT). */
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
    uint64_t uplink_bytes; /* coordinator: received from all members in this round */
};
#define RN_JOB_RESULT_BYTES 205

void rn_job_result_write(const struct rn_job_result *result, struct rn_buffer *out);
RN_MUST rn_result rn_job_result_read(struct rn_view bytes, struct rn_job_result *out,
                                     struct rn_error *err);
/* The newest, or of one round (round < 0: any); out_found false when there is none. */
RN_MUST rn_result rn_job_result_latest(struct rn_journal *journal, int64_t round,
                                       struct rn_job_result *out, bool *out_found,
                                       struct rn_error *err);

/* All records of one session, copied, in order. */
struct rn_job_records {
    struct rn_view *views;
    struct rn_buffer *bodies;
    size_t count;
    size_t capacity;
};
RN_MUST rn_result rn_job_records_load(struct rn_journal *journal, enum rn_journal_kind kind,
                                      const uint8_t session[static 32], struct rn_job_records *out,
                                      struct rn_error *err);
void rn_job_records_clear(struct rn_job_records *records);

#endif
