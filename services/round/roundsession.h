/* SPDX-License-Identifier: Apache-2.0
 *
 * What fixes the secure-aggregation session of a round, from plan, roster and adapter: the same at
 * every site. Pure.
 */
#ifndef RN_SERVICES_ROUND_ROUNDSESSION_H
#define RN_SERVICES_ROUND_ROUNDSESSION_H

#include "crypto/roster.h"
#include "crypto/secagg/params.h"
#include "policy/signature.h"
#include "services/round/roundmodel.h"

/* Numbers and time-outs for a vector of `elements` elements of at most value_max. */
void rn_round_params(const struct rn_plan *plan, uint32_t members, uint64_t value_max,
                     uint64_t elements, struct rn_sa_params *out_params);

/* Parameters and context of a session at (round, attempt) that starts from adapter_hash, which the
 * sum of start_round made (rn_round_is_measured). Checked:
 * RN_E_CONFIG when the plan is infeasible. roster is borrowed by the context. */
RN_MUST rn_result rn_round_session(const struct rn_round_model *model, const struct rn_plan *plan,
                                   const struct rn_roster *roster,
                                   const uint8_t base_hash[static RN_HASH_BYTES], uint32_t round,
                                   uint32_t attempt, uint32_t start_round,
                                   const uint8_t adapter_hash[static RN_HASH_BYTES],
                                   struct rn_sa_params *out_params,
                                   struct rn_sa_context *out_context, struct rn_error *err);

/* What a blind plan adds to a session's context: that it is blind, and by which group key document;
 * nothing in an open one. The signatures were verified. */
void rn_round_session_blind(const struct rn_plan *plan, const struct rn_plan_signatures *signatures,
                            struct rn_sa_context *context);

/* Largest vector of any round of the plan as packed bytes: what one member sends. */
RN_MUST rn_result rn_round_upload_bytes(const struct rn_round_model *model,
                                        const struct rn_plan *plan, const struct rn_roster *roster,
                                        uint64_t *out_bytes, struct rn_error *err);

#endif
