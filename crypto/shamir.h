/* SPDX-License-Identifier: Apache-2.0
 *
 * Shamir's secret sharing over the scalars of ristretto255 (crypto/group.h).
 *
 * A secret a_0 is shared by f(x) = a_0 + a_1 x + ... + a_(t-1) x^(t-1) with uniform a_1..a_(t-1).
 * The holder at roster place j has the share f(j + 1); any t shares give f(0), t - 1 give nothing.
 * Holders' places are public and distinct; shares and the secret are never branched on.
 *
 * A share is wrong either because its holder changed it or because the dealer did. Neither is
 * visible in one share: crypto/feldman.h makes both so.
 */
#ifndef RN_CRYPTO_SHAMIR_H
#define RN_CRYPTO_SHAMIR_H

#include "crypto/group.h"

#define RN_SHAMIR_HOLDERS_MAX 1024
#define RN_SHAMIR_PLACE_MAX ((uint32_t)1 << 20) /* exclusive */

/* The polynomial alone: out_coefficients[0] = secret, threshold - 1 uniform ones from the stream
 * (64 bytes each). Secret: keep them in secret memory. */
void rn_shamir_draw(const struct rn_scalar *secret, size_t threshold, struct rn_stream *stream,
                    struct rn_scalar *out_coefficients);
/* f(holder + 1). */
void rn_shamir_evaluate(const struct rn_scalar *coefficients, size_t threshold, uint32_t holder,
                        struct rn_scalar *out_share);

/* Shares secret among count holders so that threshold of them can rebuild it. Coefficients are read
 * from the stream (64 * (threshold - 1) bytes). out_shares[k] belongs to holders[k].
 *
 * RN_E_CONFIG unless 1 <= threshold <= count <= RN_SHAMIR_HOLDERS_MAX and the holders' places are
 * distinct and below RN_SHAMIR_PLACE_MAX. */
RN_MUST rn_result rn_shamir_share(const struct rn_scalar *secret, size_t threshold,
                                  const uint32_t *holders, size_t count, struct rn_stream *stream,
                                  struct rn_scalar *out_shares, struct rn_error *err);

/* The public weights w_k with f(0) = sum of w_k f(holders[k] + 1): one computation serves every
 * secret that the same holders rebuild. count is the threshold. RN_E_PEER_FORMAT when places
 * repeat, are out of range, or count is 0 or above the limit. */
RN_MUST rn_result rn_shamir_weights(const uint32_t *holders, size_t count,
                                    struct rn_scalar *out_weights, struct rn_error *err);
/* out_secret = sum of weights[k] * shares[k]. */
void rn_shamir_combine(const struct rn_scalar *weights, const struct rn_scalar *shares,
                       size_t count, struct rn_scalar *out_secret);

/* Both in one; count is exactly the threshold (more shares than that are redundant: give the first
 * threshold). Wrong shares give a wrong secret, not an error. */
RN_MUST rn_result rn_shamir_reconstruct(const uint32_t *holders, const struct rn_scalar *shares,
                                        size_t count, struct rn_scalar *out_secret,
                                        struct rn_error *err);

#endif
