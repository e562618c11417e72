/* SPDX-License-Identifier: Apache-2.0
 *
 * Shamir sharing. Places are public; everything that depends on shares or coefficients goes through
 * the constant-time scalar functions.
 */
#include "crypto/shamir.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <stdlib.h>
#include <string.h>

static int order_u32(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a;
    const uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static rn_result check_holders(const uint32_t *holders, size_t count, enum rn_code code,
                               struct rn_error *err)
{
    RN_ENSURE(count >= 1 && count <= RN_SHAMIR_HOLDERS_MAX, err, code,
              "%zu holders of shares, allowed are 1 to %d", count, RN_SHAMIR_HOLDERS_MAX);
    uint32_t sorted[RN_SHAMIR_HOLDERS_MAX];
    memcpy(sorted, holders, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), order_u32);
    RN_ENSURE(sorted[count - 1] < RN_SHAMIR_PLACE_MAX, err, code, "a holder's place is above %u",
              RN_SHAMIR_PLACE_MAX - 1);
    for (size_t k = 1; k < count; k++) {
        RN_ENSURE(sorted[k] != sorted[k - 1], err, code, "holder %u is named twice", sorted[k]);
    }
    return rn_ok();
}

static void abscissa(uint32_t holder, struct rn_scalar *out)
{
    rn_scalar_from_u64((uint64_t)holder + 1, out);
}

void rn_shamir_draw(const struct rn_scalar *secret, size_t threshold, struct rn_stream *stream,
                    struct rn_scalar *out_coefficients)
{
    out_coefficients[0] = *secret;
    for (size_t k = 1; k < threshold; k++) {
        rn_scalar_draw(stream, &out_coefficients[k]);
    }
}

void rn_shamir_evaluate(const struct rn_scalar *coefficients, size_t threshold, uint32_t holder,
                        struct rn_scalar *out_share)
{
    struct rn_scalar x;
    abscissa(holder, &x);
    *out_share = coefficients[threshold - 1];
    for (size_t k = threshold - 1; k > 0; k--) {
        rn_scalar_mul(out_share, &x, out_share);
        rn_scalar_add(out_share, &coefficients[k - 1], out_share);
    }
}

rn_result rn_shamir_share(const struct rn_scalar *secret, size_t threshold, const uint32_t *holders,
                          size_t count, struct rn_stream *stream, struct rn_scalar *out_shares,
                          struct rn_error *err)
{
    RN_TRY(check_holders(holders, count, RN_E_CONFIG, err));
    RN_ENSURE(threshold >= 1 && threshold <= count, err, RN_E_CONFIG,
              "threshold %zu is not between 1 and %zu holders", threshold, count);
    RN_CLEANUP(rn_secret_free_cleanup)
    struct rn_scalar *coefficients = rn_secret_alloc(threshold * sizeof(*coefficients));
    rn_shamir_draw(secret, threshold, stream, coefficients);
    for (size_t j = 0; j < count; j++) {
        rn_shamir_evaluate(coefficients, threshold, holders[j], &out_shares[j]);
    }
    return rn_ok();
}

/* Product over m != k of x_m / (x_m - x_k). All of it is public. */
static void weights_at_zero(const uint32_t *holders, size_t count, struct rn_scalar *out_weights)
{
    for (size_t k = 0; k < count; k++) {
        struct rn_scalar xk;
        struct rn_scalar above;
        struct rn_scalar below;
        abscissa(holders[k], &xk);
        rn_scalar_from_u64(1, &above);
        below = above;
        for (size_t m = 0; m < count; m++) {
            if (m == k) {
                continue;
            }
            struct rn_scalar xm;
            struct rn_scalar factor;
            abscissa(holders[m], &xm);
            rn_scalar_mul(&above, &xm, &above);
            rn_scalar_sub(&xm, &xk, &factor);
            rn_scalar_mul(&below, &factor, &below);
        }
        rn_scalar_invert(&below, &below);
        rn_scalar_mul(&above, &below, &out_weights[k]);
    }
}

rn_result rn_shamir_weights(const uint32_t *holders, size_t count, struct rn_scalar *out_weights,
                            struct rn_error *err)
{
    RN_TRY(check_holders(holders, count, RN_E_PEER_FORMAT, err));
    weights_at_zero(holders, count, out_weights);
    return rn_ok();
}

void rn_shamir_combine(const struct rn_scalar *weights, const struct rn_scalar *shares,
                       size_t count, struct rn_scalar *out_secret)
{
    RN_CLEANUP(rn_scalar_clear) struct rn_scalar sum;
    RN_CLEANUP(rn_scalar_clear) struct rn_scalar term;
    rn_scalar_from_u64(0, &sum);
    for (size_t k = 0; k < count; k++) {
        rn_scalar_mul(&weights[k], &shares[k], &term);
        rn_scalar_add(&sum, &term, &sum);
    }
    *out_secret = sum;
}

rn_result rn_shamir_reconstruct(const uint32_t *holders, const struct rn_scalar *shares,
                                size_t count, struct rn_scalar *out_secret, struct rn_error *err)
{
    struct rn_scalar weights[RN_SHAMIR_HOLDERS_MAX];
    RN_TRY(rn_shamir_weights(holders, count, weights, err));
    rn_shamir_combine(weights, shares, count, out_secret);
    return rn_ok();
}
