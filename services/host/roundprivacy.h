/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's promise in a federated job: the plan's `privacy` section kept by the trainer, charged
 * to the ledger of the policy's lineage (siteprivacy.h).
 *
 *     start of the service, before data is opened   rn_round_privacy_open: the plan is reserved
 *     each training, before its first gradient      rn_round_privacy_begin: intent, durable
 *     each training, when it is over                rn_round_privacy_end: what came of it
 *     end of the job                                rn_round_privacy_close: the rest is given back
 *
 * A plan without noise under a policy that has promises but does not require them is marked in the
 * ledger, which can claim nothing from then on. A ledger beside the identity, or in the state,
 * whose policy has lost its promises is refused: nobody would know what to charge.
 *
 * Threads: begin and end on the worker's, one training at a time; the rest where nothing trains.
 */
#ifndef RN_SERVICES_HOST_ROUNDPRIVACY_H
#define RN_SERVICES_HOST_ROUNDPRIVACY_H

#include "services/host/dpsource.h"
#include "services/host/sitefiles.h"

struct rn_round_privacy;

/* What the ledger of the policy's lineage has without this plan, the larger of its two copies; 0
 * where there is none yet. For rn_policy_facts, by those who look: `rondo policy
 * check`, signing, the start. */
RN_MUST rn_result rn_round_privacy_spent(const char *directory, const char *state,
                                         const struct rn_policy *policy, const struct rn_plan *plan,
                                         struct rn_policy_spent *out, struct rn_error *err);

/* rounds: in how many the journal says that this member's update was encoded (spent.h), the last of
 * them `round`; a ledger that knows of fewer trainings is an old copy (RN_E_DATA). *out is NULL
 * where neither plan nor policy speaks of privacy. site is borrowed. */
RN_MUST rn_result rn_round_privacy_open(const struct rn_site_files *site, uint32_t rounds,
                                        uint32_t round, struct rn_round_privacy **out,
                                        struct rn_error *err);
/* NULL is fine. */
void rn_round_privacy_free(struct rn_round_privacy *privacy);

/* RN_E_REFUSED where the data has more records than the policy's public bound; before anything is
 * sent. */
RN_MUST rn_result rn_round_privacy_records_check(const struct rn_round_privacy *privacy,
                                                 uint64_t records, struct rn_error *err);

/* Does the job train with noise? NULL: no. */
bool rn_round_privacy_on(const struct rn_round_privacy *privacy);

/* Charges one training of `round` from the adapter of this hash and fills what the trainer needs;
 * out_spec borrows the source. RN_E_REFUSED when the plan's trainings are used up. */
RN_MUST rn_result rn_round_privacy_begin(struct rn_round_privacy *privacy, uint32_t round,
                                         const uint8_t adapter_hash[static 32],
                                         struct rn_dp_source *source, struct rn_dp_spec *out_spec,
                                         struct rn_error *err);
/* bytes: of the trained values, or of the noisy sum where the noise is shared; the ledger keeps
 * their hash. NULL: the training gave none. */
RN_MUST rn_result rn_round_privacy_end(struct rn_round_privacy *privacy,
                                       const struct rn_view *bytes, struct rn_error *err);
/* The job is over. */
RN_MUST rn_result rn_round_privacy_close(struct rn_round_privacy *privacy, struct rn_error *err);

/* Appends the object "privacy" of `rondo status`; null where there is nothing. Any thread. */
void rn_round_privacy_json(const struct rn_round_privacy *privacy, struct rn_buffer *out);

#endif
