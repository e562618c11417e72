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

/* A product of small numbers: as many as fit a word are multiplied in it. */
struct product {
    struct rn_scalar whole;
    uint64_t held;
};
#define HELD_BITS 43 /* below 2^43 there is room for one more factor, of at most 2^20 */
_Static_assert(RN_SHAMIR_PLACE_MAX <= (1u << 20), "factors are at most 2^20");

static void take_in(struct product *product)
{
    struct rn_scalar held;
    rn_scalar_from_u64(product->held, &held);
    rn_scalar_mul(&product->whole, &held, &product->whole);
    product->held = 1;
}

static struct product product_of_none(void)
{
    struct product product = {.held = 1};
    rn_scalar_from_u64(1, &product.whole);
    return product;
}

static void multiply(struct product *product, uint32_t factor)
{
    if (product->held >> HELD_BITS != 0) {
        take_in(product);
    }
    product->held *= factor;
}

/* x_k times the product over m != k of x_m - x_k. */
static void denominator(const uint32_t *holders, size_t count, size_t k, struct rn_scalar *out)
{
    struct product product = product_of_none();
    bool negative = false;
    multiply(&product, holders[k] + 1);
    for (size_t m = 0; m < count; m++) {
        const bool below = holders[m] < holders[k];
        if (m != k) {
            multiply(&product, below ? holders[k] - holders[m] : holders[m] - holders[k]);
            negative ^= below;
        }
    }
    take_in(&product);
    rn_scalar_from_u64(0, out);
    if (negative) {
        rn_scalar_sub(out, &product.whole, out);
    } else {
        *out = product.whole;
    }
}

static void product_of_all(const uint32_t *holders, size_t count, struct rn_scalar *out)
{
    struct product product = product_of_none();
    for (size_t m = 0; m < count; m++) {
        multiply(&product, holders[m] + 1);
    }
    take_in(&product);
    *out = product.whole;
}

/* Product over m != k of x_m / (x_m - x_k), as that of all x_m over the denominator, of which all
 * are inverted with one inversion (Montgomery 1987). All of it is public. */
static void weights_at_zero(const uint32_t *holders, size_t count, struct rn_scalar *out_weights)
{
    struct rn_scalar below[RN_SHAMIR_HOLDERS_MAX];
    struct rn_scalar inverse; /* of the denominators up to k; times the product of all x_m */
    struct rn_scalar all;
    for (size_t k = 0; k < count; k++) {
        denominator(holders, count, k, &below[k]);
        out_weights[k] = below[k]; /* the product of those up to k */
        if (k > 0) {
            rn_scalar_mul(&out_weights[k - 1], &below[k], &out_weights[k]);
        }
    }
    product_of_all(holders, count, &all);
    rn_scalar_invert(&out_weights[count - 1], &inverse);
    rn_scalar_mul(&inverse, &all, &inverse);
    for (size_t k = count - 1; k > 0; k--) {
        rn_scalar_mul(&inverse, &out_weights[k - 1], &out_weights[k]);
        rn_scalar_mul(&inverse, &below[k], &inverse);
    }
    out_weights[0] = inverse;
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
