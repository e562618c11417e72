/* SPDX-License-Identifier: Apache-2.0
 *
 * The group key of a blind plan, as the set of the plan's signatures carries it (FORMATS.md,
 * "plan.yaml.sigs"): each member's public key under its signature, and the maker's document, which
 * is made once all members have signed. Sans-I/O.
 */
#ifndef RN_POLICY_GROUPSIGN_H
#define RN_POLICY_GROUPSIGN_H

#include "policy/signature.h"

/* The members' group public keys; false while one has not signed. The set was verified. */
bool rn_signatures_group_keys(const struct rn_plan_signatures *signatures,
                              const struct rn_roster *roster, struct rn_group_keys *out);

/* RN_OK where there is no document. RN_E_PEER_PROTOCOL when not all members' keys are there, or as
 * rn_group_document_check. */
RN_MUST rn_result rn_signatures_group_check(const struct rn_plan_signatures *signatures,
                                            const struct rn_roster *roster, struct rn_error *err);

/* By the maker: puts its document in the set. False, with nothing done, where there is one, the
 * plan is open, a member has not signed, or `self` is not the maker's place. */
bool rn_signatures_group_make(struct rn_plan_signatures *signatures, const struct rn_roster *roster,
                              const struct rn_identity *identity, uint32_t self);

/* G. RN_E_NO_INPUT where there is no document, else as rn_group_document_open. */
RN_MUST rn_result rn_signatures_group_open(const struct rn_plan_signatures *signatures,
                                           const struct rn_roster *roster,
                                           const struct rn_identity *identity, uint32_t self,
                                           struct rn_secret32 *out, struct rn_error *err);

/* Of the document; zero without one. */
void rn_signatures_group_hash(const struct rn_plan_signatures *signatures,
                              uint8_t out[static RN_HASH_BYTES]);

#endif
