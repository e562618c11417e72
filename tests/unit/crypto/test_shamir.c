/* SPDX-License-Identifier: Apache-2.0
 *
 * Sharing: every subset of every small scheme, the limits, wrong shares, and that fewer than the
 * threshold fit every secret.
 */
#include "crypto/shamir.h"
#include "tests/unit/crypto/vectors.h"

#define SMALL 8

static struct rn_stream stream_of(unsigned fill)
{
    const struct rn_secret32 key = key_of(fill);
    struct rn_stream stream;
    rn_stream_init(&stream, &key);
    return stream;
}

/* The members of the bit set, their shares beside them; returns how many. */
static size_t pick(unsigned set, const uint32_t *holders, const struct rn_scalar *shares,
                   uint32_t *out_holders, struct rn_scalar *out_shares)
{
    size_t count = 0;
    for (unsigned k = 0; k < SMALL; k++) {
        if (set >> k & 1) {
            out_holders[count] = holders[k];
            out_shares[count++] = shares[k];
        }
    }
    return count;
}

/* case 35. All t <= n <= 8 and all subsets: of t members gives the secret, of another size
 * something else (fewer), or the secret again (more). */
static void every_subset_of_small_schemes(void **state)
{
    (void)state;
    static const uint32_t holders[SMALL] = {0, 1, 2, 5, 7, 100, 1023, RN_SHAMIR_PLACE_MAX - 1};
    struct rn_stream stream = stream_of(1);
    for (size_t n = 1; n <= SMALL; n++) {
        for (size_t t = 1; t <= n; t++) {
            struct rn_scalar secret;
            struct rn_scalar shares[SMALL];
            rn_scalar_draw(&stream, &secret);
            assert_ok(rn_shamir_share(&secret, t, holders, n, &stream, shares, NULL));
            for (unsigned set = 1; set < 1u << n; set++) {
                uint32_t some[SMALL];
                struct rn_scalar held[SMALL];
                struct rn_scalar rebuilt;
                const size_t count = pick(set, holders, shares, some, held);
                assert_ok(rn_shamir_reconstruct(some, held, count, &rebuilt, NULL));
                assert_true(rn_scalar_equal(&rebuilt, &secret) == (count >= t));
            }
        }
    }
}

static void order_of_holders_does_not_matter(void **state)
{
    (void)state;
    const uint32_t holders[4] = {3, 0, 9, 4};
    const uint32_t turned[3] = {9, 3, 0};
    struct rn_stream stream = stream_of(2);
    struct rn_scalar secret;
    struct rn_scalar shares[4];
    struct rn_scalar rebuilt;
    rn_scalar_draw(&stream, &secret);
    assert_ok(rn_shamir_share(&secret, 3, holders, 4, &stream, shares, NULL));
    const struct rn_scalar held[3] = {shares[2], shares[0], shares[1]};
    assert_ok(rn_shamir_reconstruct(turned, held, 3, &rebuilt, NULL));
    assert_true(rn_scalar_equal(&rebuilt, &secret));
}

/* By the formula, factor by factor: places near and far, in any order, up to the last. */
static void weights_are_products(void **state)
{
    (void)state;
    static const uint32_t far[] = {RN_SHAMIR_PLACE_MAX - 1, 0, RN_SHAMIR_PLACE_MAX - 2, 1, 524288};
    uint32_t holders[140];
    struct rn_scalar weights[140];
    for (uint32_t count = 1; count <= 140; count += count < 12 ? 1 : 32) {
        for (uint32_t k = 0; k < count; k++) {
            holders[k] = count % 2 == 0 && k < 5 ? far[k] : 1 + (k * 677 + 13) % 1021 + k / 1021;
        }
        assert_ok(rn_shamir_weights(holders, count, weights, NULL));
        for (uint32_t k = 0; k < count; k++) { /* weight * product of (x_m - x_k) is that of x_m */
            struct rn_scalar left = weights[k];
            struct rn_scalar right, x, xk;
            rn_scalar_from_u64(1, &right);
            rn_scalar_from_u64((uint64_t)holders[k] + 1, &xk);
            for (uint32_t m = 0; m < count; m++) {
                struct rn_scalar difference;
                rn_scalar_from_u64((uint64_t)holders[m] + 1, &x);
                rn_scalar_sub(&x, &xk, &difference);
                if (m != k) {
                    rn_scalar_mul(&left, &difference, &left);
                    rn_scalar_mul(&right, &x, &right);
                }
            }
            assert_true(rn_scalar_equal(&left, &right));
        }
    }
}

/* f(x) = 5 + 3x + 2x^2 by hand: the coefficients are read off the weights' side. */
static void weights_are_lagranges(void **state)
{
    (void)state;
    const uint32_t holders[3] = {0, 1, 2}; /* x = 1, 2, 3; weights 3, -3, 1 */
    struct rn_scalar weights[3];
    struct rn_scalar three;
    struct rn_scalar one;
    struct rn_scalar sum;
    rn_scalar_from_u64(3, &three);
    rn_scalar_from_u64(1, &one);
    assert_ok(rn_shamir_weights(holders, 3, weights, NULL));
    assert_true(rn_scalar_equal(&weights[0], &three));
    assert_true(rn_scalar_equal(&weights[2], &one));
    rn_scalar_add(&weights[1], &three, &sum);
    assert_true(rn_scalar_is_zero(&sum));
    struct rn_scalar shares[3];
    struct rn_scalar secret;
    struct rn_scalar five;
    rn_scalar_from_u64(5 + 3 + 2, &shares[0]);
    rn_scalar_from_u64(5 + 6 + 8, &shares[1]);
    rn_scalar_from_u64(5 + 9 + 18, &shares[2]);
    rn_scalar_from_u64(5, &five);
    rn_shamir_combine(weights, shares, 3, &secret);
    assert_true(rn_scalar_equal(&secret, &five));
}

/* case 35. Whatever secret one guesses, t - 1 shares are consistent with it: the t-1 shares and (0,
 * guess) always lie on a polynomial, whose value elsewhere merely differs. */
static void fewer_than_threshold_fit_every_secret(void **state)
{
    (void)state;
    const uint32_t holders[3] = {0, 1, 2};
    struct rn_stream stream = stream_of(3);
    struct rn_scalar secret;
    struct rn_scalar shares[3];
    struct rn_scalar weights[3];
    rn_scalar_draw(&stream, &secret);
    assert_ok(rn_shamir_share(&secret, 3, holders, 3, &stream, shares, NULL));
    assert_ok(rn_shamir_weights(holders, 3, weights, NULL));
    for (unsigned k = 0; k < 10; k++) {
        struct rn_scalar guess;
        struct rn_scalar rest;
        struct rn_scalar third[3] = {shares[0], shares[1], shares[2]};
        rn_scalar_draw(&stream, &guess);
        rn_shamir_combine(weights, shares, 2, &rest);
        rn_scalar_sub(&guess, &rest, &rest);
        rn_scalar_invert(&weights[2], &third[2]);
        rn_scalar_mul(&rest, &third[2], &third[2]);
        rn_shamir_combine(weights, third, 3, &rest);
        assert_true(rn_scalar_equal(&rest, &guess));
    }
}

/* case 35. The low byte of one share of a fixed secret over many sharings is uniform: chi-square
 * with 255 degrees of freedom, mean 255, standard deviation 22.6. */
static void single_shares_are_uniform(void **state)
{
    (void)state;
    const uint32_t holders[2] = {0, 1};
    struct rn_stream stream = stream_of(4);
    struct rn_scalar secret;
    unsigned seen[256] = {0};
    rn_scalar_from_u64(1, &secret);
    for (unsigned k = 0; k < 25600; k++) {
        struct rn_scalar shares[2];
        assert_ok(rn_shamir_share(&secret, 2, holders, 2, &stream, shares, NULL));
        seen[shares[1].bytes[0]]++;
    }
    double chi_square = 0;
    for (unsigned k = 0; k < 256; k++) {
        const double off = (double)seen[k] - 100.0;
        chi_square += off * off / 100.0;
    }
    assert_true(chi_square > 255 - 5 * 22.6 && chi_square < 255 + 5 * 22.6);
}

static void limits(void **state)
{
    (void)state;
    static uint32_t holders[RN_SHAMIR_HOLDERS_MAX + 1];
    static struct rn_scalar shares[RN_SHAMIR_HOLDERS_MAX + 1];
    static struct rn_scalar weights[RN_SHAMIR_HOLDERS_MAX + 1];
    struct rn_stream stream = stream_of(6);
    struct rn_scalar secret;
    struct rn_scalar rebuilt;
    rn_scalar_draw(&stream, &secret);
    for (uint32_t k = 0; k <= RN_SHAMIR_HOLDERS_MAX; k++) {
        holders[k] = k;
    }
    assert_code(
        rn_shamir_share(&secret, 2, holders, RN_SHAMIR_HOLDERS_MAX + 1, &stream, shares, NULL),
        RN_E_CONFIG);
    assert_code(rn_shamir_weights(holders, RN_SHAMIR_HOLDERS_MAX + 1, weights, NULL),
                RN_E_PEER_FORMAT);
    assert_ok(rn_shamir_share(&secret, 2, holders, RN_SHAMIR_HOLDERS_MAX, &stream, shares, NULL));
    assert_ok(rn_shamir_reconstruct(holders + RN_SHAMIR_HOLDERS_MAX - 2,
                                    shares + RN_SHAMIR_HOLDERS_MAX - 2, 2, &rebuilt, NULL));
    assert_true(rn_scalar_equal(&rebuilt, &secret));

    assert_code(rn_shamir_share(&secret, 0, holders, 3, &stream, shares, NULL), RN_E_CONFIG);
    assert_code(rn_shamir_share(&secret, 4, holders, 3, &stream, shares, NULL), RN_E_CONFIG);
    assert_code(rn_shamir_share(&secret, 1, holders, 0, &stream, shares, NULL), RN_E_CONFIG);
    assert_code(rn_shamir_reconstruct(holders, shares, 0, &rebuilt, NULL), RN_E_PEER_FORMAT);
    holders[2] = holders[0];
    assert_code(rn_shamir_share(&secret, 2, holders, 3, &stream, shares, NULL), RN_E_CONFIG);
    assert_code(rn_shamir_reconstruct(holders, shares, 3, &rebuilt, NULL), RN_E_PEER_FORMAT);
    holders[2] = RN_SHAMIR_PLACE_MAX;
    assert_code(rn_shamir_share(&secret, 2, holders, 3, &stream, shares, NULL), RN_E_CONFIG);
    assert_code(rn_shamir_reconstruct(holders, shares, 3, &rebuilt, NULL), RN_E_PEER_FORMAT);
    holders[2] = UINT32_MAX; /* x would wrap to 0, where the secret is */
    assert_code(rn_shamir_share(&secret, 2, holders, 3, &stream, shares, NULL), RN_E_CONFIG);
}

/* case 35 */
static void roster_of_128(void **state)
{
    (void)state;
    uint32_t holders[128];
    struct rn_scalar shares[128];
    struct rn_stream stream = stream_of(7);
    struct rn_scalar secret;
    struct rn_scalar rebuilt;
    struct rn_point public_key;
    for (uint32_t k = 0; k < 128; k++) {
        holders[k] = k;
    }
    rn_scalar_draw(&stream, &secret);
    rn_point_of_scalar(&secret, &public_key);
    assert_ok(rn_shamir_share(&secret, 86, holders, 128, &stream, shares, NULL));
    assert_ok(rn_shamir_reconstruct(holders + 42, shares + 42, 86, &rebuilt, NULL));
    assert_true(rn_point_matches(&public_key, &rebuilt));
    shares[100].bytes[0] ^= 1;
    assert_ok(rn_shamir_reconstruct(holders + 42, shares + 42, 86, &rebuilt, NULL));
    assert_false(rn_point_matches(&public_key, &rebuilt));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subset_of_small_schemes),
        cmocka_unit_test(order_of_holders_does_not_matter),
        cmocka_unit_test(weights_are_lagranges),
        cmocka_unit_test(weights_are_products),
        cmocka_unit_test(fewer_than_threshold_fit_every_secret),
        cmocka_unit_test(single_shares_are_uniform),
        cmocka_unit_test(limits),
        cmocka_unit_test(roster_of_128),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
