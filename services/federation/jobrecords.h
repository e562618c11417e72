/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading back what a job wrote: the records of one session, copied, in order.
 */
#ifndef RN_SERVICES_FEDERATION_JOBRECORDS_H
#define RN_SERVICES_FEDERATION_JOBRECORDS_H

#include "services/federation/effects.h"
#include "services/federation/jobbasis.h"

struct rn_job_records {
    struct rn_view *views;
    struct rn_buffer *bodies;
    size_t count;
    size_t capacity;
};
RN_MUST rn_result rn_job_records_load(const struct rn_job_reader *reader, enum rn_record_kind kind,
                                      const uint8_t session[static RN_HASH_BYTES],
                                      struct rn_job_records *out, struct rn_error *err);
void rn_job_records_clear(struct rn_job_records *records);

/* The job of these records is that of the basis' plan: the first call writes its hash (a COMMIT),
 * later ones compare. RN_E_CONFIG when they are of another plan. */
RN_MUST rn_result rn_job_bind_plan(const struct rn_job_basis *basis, struct rn_effects *out,
                                   struct rn_error *err);

/* The outcome of a round (round < 0: the newest); out_found false when there is none. */
RN_MUST rn_result rn_job_result_latest(const struct rn_job_reader *reader, int64_t round,
                                       struct rn_job_result *out, bool *out_found,
                                       struct rn_error *err);

#endif
