/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger of jobs of one identity: into which plans its updates went, over which base model. It
 * lies beside the identity key, whatever plan, state directory or certificate a site has, and is
 * charged before the first session of a plan is joined; within a plan, the ledger of spent updates
 * (crypto/secagg/spent.h) says what may be sent.
 *
 * Why: two jobs from one base model begin with about the same updates, whatever their seeds and
 * however little their starts differ; the difference of a sum of one and a sum of the other, over
 * other members, is this member's contribution up to training noise. So a plan over a base model
 * that another plan used counts against the policy's upload.jobs_max, and one with the same seed is
 * refused always. Text, FORMATS.md "jobs.ledger". Sans-I/O.
 */
#ifndef RN_POLICY_JOBLEDGER_H
#define RN_POLICY_JOBLEDGER_H

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/identity.h"
#include "policy/plan.h"

#define RN_JOB_LEDGER_MAX 1000u /* plans of one identity */
#define RN_JOB_LEDGER_BYTES_MAX ((size_t)256 << 10)

struct rn_job_entry {
    uint8_t plan_hash[32];
    uint8_t model_hash[32]; /* of the base model */
    uint64_t seed;
};

struct rn_job_ledger {
    struct rn_identity_public identity;
    struct rn_job_entry entries[RN_JOB_LEDGER_MAX]; /* as charged */
    uint32_t count;
};

/* An empty one. */
void rn_job_ledger_init(struct rn_job_ledger *ledger, const struct rn_identity_public *identity);
/* RN_E_DATA for anything that rn_job_ledger_write does not write; RN_E_IDENTITY when it is another
 * identity's. source names the file in sentences. */
RN_MUST rn_result rn_job_ledger_parse(struct rn_view text, const char *source,
                                      const struct rn_identity_public *identity,
                                      struct rn_job_ledger *out, struct rn_error *err);
/* Replaces out. */
void rn_job_ledger_write(const struct rn_job_ledger *ledger, struct rn_buffer *out);

/* Jobs over one base model, for those who look. */
struct rn_job_model {
    uint8_t hash[32];
    uint32_t jobs;
};
/* The next base model in the order first charged; *at is 0 before the first. False after the last.
 */
bool rn_job_ledger_next_model(const struct rn_job_ledger *ledger, uint32_t *at,
                              struct rn_job_model *out);

bool rn_job_ledger_has(const struct rn_job_ledger *ledger, const uint8_t plan_hash[static 32]);

/* May updates go into this plan? jobs_max: plans over one base model, this one too. RN_E_REFUSED
 * with the earlier plan and what to change, or when the ledger is full; RN_OK for a plan that is
 * charged already. */
RN_MUST rn_result rn_job_ledger_check(const struct rn_job_ledger *ledger,
                                      const struct rn_plan *plan, uint32_t jobs_max,
                                      struct rn_error *err);
/* Appends the plan if it is not there. RN_E_REFUSED when the ledger is full. */
RN_MUST rn_result rn_job_ledger_charge(struct rn_job_ledger *ledger, const struct rn_plan *plan,
                                       struct rn_error *err);
/* Appends what another copy has and this one lacks: a charge is never taken back. */
RN_MUST rn_result rn_job_ledger_merge(struct rn_job_ledger *ledger,
                                      const struct rn_job_ledger *copy, struct rn_error *err);

#endif
