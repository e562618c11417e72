/* SPDX-License-Identifier: Apache-2.0
 *
 * A checked sum becomes the next adapter and the round's outcome, and what it says of the adapter
 * before goes into the job's course (roundmeasure.h): the same at both programs.
 */
#ifndef RN_SERVICES_FEDERATION_JOBSUM_H
#define RN_SERVICES_FEDERATION_JOBSUM_H

#include "crypto/secagg/member.h"
#include "services/federation/effects.h"
#include "services/federation/jobbasis.h"
#include "services/round/roundmodel.h"

/* What the sums so far say of the job. Zero-initialise. */
struct rn_job_course {
    struct rn_round_judgement judgement;
    uint32_t start_round;  /* whose sum made the adapter as it stands (rn_round_is_measured) ... */
    uint32_t last_start;   /* ... and the one that the newest summed round started from */
    struct rn_buffer best; /* rn_round_model_write of the best adapter; empty: none is kept */
};

void rn_job_course_clear(struct rn_job_course *course);

struct rn_job_sum {
    const struct rn_plan *plan;
    const struct rn_round_layout *layout;
    struct rn_round_sum sum;
    const uint8_t *sum_hash;
    uint32_t joined;   /* members of the session */
    float *start_head; /* the local head that was measured; NULL: the model's, or none */
};

/* result holds round, attempt, session, before and the costs; the rest is filled in. model and
 * course change on success alone. Fails as rn_round_model_apply. */
RN_MUST rn_result rn_job_sum_take(const struct rn_job_sum *in, struct rn_round_model *model,
                                  struct rn_job_course *course, struct rn_job_result *result,
                                  struct rn_error *err);

/* The same at a blind coordinator, which has the receipts' word for the adapter and no sum to read:
 * nothing is measured and no model moves. */
void rn_job_sum_take_blind(const struct rn_round_layout *layout, const struct rn_sa_sum_info *info,
                           uint32_t joined, struct rn_job_course *course,
                           struct rn_job_result *result);

/* The records of a summed round: outcome, adapter, and the best adapter if that is new. RN_E_MEMORY
 * when the adapter is too large for a record. */
RN_MUST rn_result rn_job_sum_write(const struct rn_job_result *result,
                                   const struct rn_round_model *model,
                                   const struct rn_job_course *course, struct rn_job_batch *batch,
                                   struct rn_error *err);
/* What was measured in the round, and whether the job ends early by it. */
void rn_job_sum_tell(const struct rn_job_result *result, const struct rn_plan *plan,
                     const struct rn_job_course *course, struct rn_effects *out);

/* At a restart: each summed round's record in order, then the best adapter. RN_E_DATA when that is
 * missing. */
void rn_job_course_resume(struct rn_job_course *course, const struct rn_plan *plan,
                          const struct rn_job_result *result);
RN_MUST rn_result rn_job_course_resume_best(struct rn_job_course *course,
                                            const struct rn_plan *plan,
                                            const struct rn_job_reader *reader,
                                            struct rn_error *err);

/* Is `round` beyond the job's last one, by the plan or by an early end? One that only measures is
 * none where the round before it changed nothing or was lost. */
bool rn_job_course_is_over(const struct rn_job_course *course, const struct rn_plan *plan,
                           uint32_t round);

/* The order to write the best adapter, where one is kept; false: none. */
RN_MUST rn_result rn_job_course_publish(const struct rn_job_course *course,
                                        const struct rn_round_model *model, struct rn_effects *out,
                                        bool *out_published, struct rn_error *err);

#endif
