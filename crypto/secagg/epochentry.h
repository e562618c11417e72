/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of crypto/secagg/epoch.h: one member's signed entry of either document.
 */
#ifndef RN_CRYPTO_SECAGG_EPOCHENTRY_H
#define RN_CRYPTO_SECAGG_EPOCHENTRY_H

#include "crypto/secagg/epoch.h"

struct rn_sa_epoch_entry {
    uint32_t place;
    uint8_t value[RN_HASH_BYTES]; /* commitment, or contribution */
    uint8_t signature[RN_SIGNATURE_BYTES];
};

void rn_sa_epoch_entry_write(const struct rn_sa_epoch_entry *entry,
                             uint8_t out[static RN_SA_EPOCH_ENTRY_BYTES]);
/* place is below members. */
RN_MUST rn_result rn_sa_epoch_entry_read(struct rn_view bytes, uint32_t members,
                                         struct rn_sa_epoch_entry *out, struct rn_error *err);

RN_MUST rn_result rn_sa_epoch_attempt_check(uint32_t attempt, struct rn_error *err);
/* The checks of rn_sa_epoch_commitment_check and rn_sa_epoch_reveal_check. */
RN_MUST rn_result rn_sa_epoch_commitment_read(const struct rn_sa_epoch_context *context,
                                              uint32_t attempt, struct rn_view bytes,
                                              struct rn_sa_epoch_entry *out, struct rn_error *err);
RN_MUST rn_result rn_sa_epoch_reveal_read(const struct rn_sa_epoch_context *context,
                                          const struct rn_sa_epoch_set *set, struct rn_view bytes,
                                          struct rn_sa_epoch_entry *out, struct rn_error *err);

#endif
