/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a privacy ledger: a record's text with its place in the chain and its signature
 * (privacyledger.h has the formulas). A line's end has a fixed width, so where the text ends
 * depends on nothing in it.
 */
#ifndef RN_POLICY_PRIVACYCHAIN_H
#define RN_POLICY_PRIVACYCHAIN_H

#include "crypto/identity.h"

/* " chain ", 64 digits, " sign ", 128 digits. */
#define RN_PRIVACY_SEAL_BYTES (7 + 64 + 6 + 128)

struct rn_privacy_line {
    struct rn_view text; /* borrowed */
    uint8_t chain[32];
    uint8_t signature[RN_SIGNATURE_BYTES];
};

/* line: without its end. False where it does not end as a line does. */
RN_MUST bool rn_privacy_line_split(struct rn_view line, struct rn_privacy_line *out);
/* Chain after a text that follows `before`. */
void rn_privacy_chain_next(const uint8_t before[static 32], struct rn_view text,
                           uint8_t out[static 32]);
RN_MUST rn_result rn_privacy_chain_verify(const uint8_t identity[static 32],
                                          const struct rn_privacy_line *line, struct rn_error *err);
/* Appends the whole line, its end too. */
void rn_privacy_line_write(const uint8_t before[static 32], struct rn_view text,
                           const struct rn_identity *identity, struct rn_buffer *out);

#endif
