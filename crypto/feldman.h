/* SPDX-License-Identifier: Apache-2.0
 *
 * Feldman's verifiable secret sharing (FOCS 1987) on top of crypto/shamir.h: the dealer of
 * f(x) = a_0 + a_1 x + ... + a_(t-1) x^(t-1) publishes A_k = a_k * G for k = 1 .. t-1; A_0 = a_0 *
 * G is published anyway, as a public key. Then everybody can compute f(j + 1) * G, and hence check
 * the share of holder j. What the commitments fix has degree below t whatever the dealer does:
 * there are no more coefficients.
 *
 * The commitments say nothing about a_0 beyond A_0: given A_0 and any t - 1 shares they are
 * determined, by interpolation in the exponent. So a_0 is as hidden as its discrete logarithm.
 */
#ifndef RN_CRYPTO_FELDMAN_H
#define RN_CRYPTO_FELDMAN_H

#include "crypto/group.h"

/* out_commitments[k - 1] = coefficients[k] * G for k = 1 .. threshold - 1; coefficients as from
 * rn_shamir_draw. */
void rn_feldman_commit(const struct rn_scalar *coefficients, size_t threshold,
                       struct rn_point *out_commitments);

/* Encodings of threshold - 1 group elements, none of them the identity. RN_E_PEER_FORMAT. */
RN_MUST rn_result rn_feldman_check(struct rn_view commitments, struct rn_error *err);

/* f(holder + 1) * G from A_0 and the commitments, which may come from anybody: RN_E_PEER_FORMAT
 * when one is no group element or their number is not a whole one. All of it is public. By
 * libsodium's products and sums of encoded elements, about 85 us a commitment: the judge, where
 * somebody is going to be called a liar, and the oracle of the tests for the next one. */
RN_MUST rn_result rn_feldman_evaluate(const struct rn_point *constant, struct rn_view commitments,
                                      uint32_t holder, struct rn_point *out, struct rn_error *err);

/* The same for each of count holders, out[k] of holders[k], by crypto/curvesum.h: what it says is
 * exact, no random combination. Each commitment is decoded once, 6 us, and costs 2 to 5 us a holder
 * for places up to 1024. Places are below RN_SHAMIR_PLACE_MAX. */
RN_MUST rn_result rn_feldman_expect(const struct rn_point *constant, struct rn_view commitments,
                                    const uint32_t *holders, size_t count, struct rn_point *out,
                                    struct rn_error *err);

/* share * G == expected, where both may be zero and the identity: the verdict is public. */
RN_MUST bool rn_feldman_matches(const struct rn_point *expected, const struct rn_scalar *share);

#endif
