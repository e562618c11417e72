/* SPDX-License-Identifier: Apache-2.0
 *
 * Commitments to polynomials: every share of every small scheme fits, nothing else does, and what
 * comes from a peer is refused where it is no group element.
 */
#include "crypto/feldman.h"
#include "crypto/shamir.h"
#include "tests/unit/crypto/vectors.h"

#define SMALL 8

struct scheme {
    size_t threshold;
    struct rn_scalar coefficients[SMALL];
    struct rn_point constant;
    struct rn_point commitments[SMALL];
};

static struct rn_stream stream;

static struct rn_view commitments_of(const struct scheme *s)
{
    return rn_view_of(s->commitments, (s->threshold - 1) * sizeof(s->commitments[0]));
}

static void make(struct scheme *s, size_t threshold)
{
    struct rn_scalar secret;
    rn_scalar_draw(&stream, &secret);
    s->threshold = threshold;
    rn_shamir_draw(&secret, threshold, &stream, s->coefficients);
    rn_feldman_commit(s->coefficients, threshold, s->commitments);
    rn_point_of_scalar(&secret, &s->constant);
}

static bool fits(const struct scheme *s, uint32_t holder, const struct rn_scalar *share)
{
    struct rn_point expected;
    struct rn_point quick;
    assert_ok(rn_feldman_evaluate(&s->constant, commitments_of(s), holder, &expected, NULL));
    assert_ok(rn_feldman_expect(&s->constant, commitments_of(s), &holder, 1, &quick, NULL));
    assert_true(rn_point_equal(&expected, &quick));
    return rn_feldman_matches(&expected, share);
}

/* case 24. All t <= n <= 8: each holder's own share, and no other holder's, nor one beside it, nor
 * that of another polynomial with the same secret, fits. */
static void every_share_of_small_schemes(void **state)
{
    (void)state;
    static const uint32_t holders[SMALL] = {0, 1, 2, 5, 7, 100, 1023, RN_SHAMIR_PLACE_MAX - 1};
    struct rn_scalar one;
    rn_scalar_from_u64(1, &one);
    for (size_t n = 1; n <= SMALL; n++) {
        for (size_t t = 1; t <= n; t++) {
            struct scheme s;
            make(&s, t);
            struct rn_scalar shares[SMALL];
            for (size_t k = 0; k < n; k++) {
                rn_shamir_evaluate(s.coefficients, t, holders[k], &shares[k]);
            }
            for (size_t k = 0; k < n; k++) {
                struct rn_scalar beside;
                rn_scalar_add(&shares[k], &one, &beside);
                assert_false(fits(&s, holders[k], &beside));
                for (size_t m = 0; m < n; m++) {
                    assert_true(fits(&s, holders[k], &shares[m]) == (m == k || t == 1));
                }
            }
        }
    }
}

/* case 24. Another value in place of any one commitment, or of the constant, fits no holder's
 * share. */
static void each_commitment_counts(void **state)
{
    (void)state;
    for (size_t k = 0; k < 5; k++) {
        struct scheme s;
        struct scheme other;
        struct rn_scalar share;
        make(&s, 5);
        make(&other, 5);
        if (k == 4) {
            s.constant = other.constant;
        } else {
            s.commitments[k] = other.commitments[k];
        }
        for (uint32_t holder = 0; holder < SMALL; holder++) {
            rn_shamir_evaluate(s.coefficients, 5, holder, &share);
            assert_false(fits(&s, holder, &share));
        }
    }
}

/* Any t holders whose shares fit rebuild the secret whose point was published. */
static void shares_that_fit_rebuild_the_constant(void **state)
{
    (void)state;
    static const uint32_t holders[3] = {6, 1, 30};
    struct scheme s;
    struct rn_scalar shares[3];
    struct rn_scalar rebuilt;
    make(&s, 3);
    for (unsigned k = 0; k < 3; k++) {
        rn_shamir_evaluate(s.coefficients, 3, holders[k], &shares[k]);
        assert_true(fits(&s, holders[k], &shares[k]));
    }
    assert_ok(rn_shamir_reconstruct(holders, shares, 3, &rebuilt, NULL));
    assert_true(rn_point_matches(&s.constant, &rebuilt));
}

/* f(x) = 2 - x^2 + ...: a share may be zero, and so may a value on the way there. */
static void zeros_on_the_way(void **state)
{
    (void)state;
    struct scheme s = {.threshold = 3};
    struct rn_scalar zero;
    rn_scalar_from_u64(0, &zero);
    rn_scalar_from_u64(2, &s.coefficients[0]); /* f(x) = 2 - 3x + x^2: f(1) = f(2) = 0 */
    rn_scalar_from_u64(3, &s.coefficients[1]);
    rn_scalar_sub(&zero, &s.coefficients[1], &s.coefficients[1]);
    rn_scalar_from_u64(1, &s.coefficients[2]);
    rn_feldman_commit(s.coefficients, 3, s.commitments);
    rn_point_of_scalar(&s.coefficients[0], &s.constant);
    for (uint32_t holder = 0; holder < 6; holder++) { /* at holder 2 the inner sum x - 3 is 0 */
        struct rn_scalar share;
        rn_shamir_evaluate(s.coefficients, 3, holder, &share);
        assert_true(rn_scalar_is_zero(&share) == (holder < 2));
        assert_true(fits(&s, holder, &share));
        assert_true(fits(&s, holder, &zero) == (holder < 2));
    }
}

/* Many holders at once give what one by one give, whatever points the commitments are: here no
 * dealer could have made them. */
static void many_holders_at_once(void **state)
{
    (void)state;
    static const uint32_t holders[] = {0, 1, 2, 62, 63, 1022, 1023, RN_SHAMIR_PLACE_MAX - 1};
    for (size_t t = 1; t <= SMALL; t++) {
        struct scheme s = {.threshold = t};
        struct rn_point out[RN_ARRAY_LENGTH(holders)];
        for (size_t k = 0; k + 1 < t; k++) {
            struct rn_scalar scalar;
            rn_scalar_draw(&stream, &scalar);
            rn_point_of_scalar(&scalar, k % 3 == 2 ? &s.commitments[k - 1] : &s.commitments[k]);
            s.commitments[k] = k % 3 == 2 ? s.commitments[k - 1] : s.commitments[k];
        }
        assert_ok(rn_feldman_expect(&s.constant, commitments_of(&s), holders,
                                    RN_ARRAY_LENGTH(holders), out, NULL));
        for (size_t j = 0; j < RN_ARRAY_LENGTH(holders); j++) {
            struct rn_point one;
            assert_ok(rn_feldman_evaluate(&s.constant, commitments_of(&s), holders[j], &one, NULL));
            assert_true(rn_point_equal(&one, &out[j]));
        }
    }
}

static void beyond_the_last_place(void)
{
    static const uint32_t beyond = RN_SHAMIR_PLACE_MAX;
    struct rn_point out;
    (void)!rn_feldman_expect(&(struct rn_point){{0}}, (struct rn_view){0}, &beyond, 1, &out, NULL)
        .code;
}

static void places_end(void **state)
{
    (void)state;
    assert_aborts(beyond_the_last_place);
}

static void what_is_no_commitment(void **state)
{
    (void)state;
    struct scheme s;
    struct rn_point out;
    make(&s, 4);
    assert_ok(rn_feldman_check(commitments_of(&s), NULL));
    assert_ok(rn_feldman_check(rn_view_of(NULL, 0), NULL));
    const uint32_t holder = 1;
    const struct rn_view cut = rn_view_of(s.commitments, 2 * RN_POINT_BYTES + 31);
    assert_code(rn_feldman_expect(&s.constant, cut, &holder, 1, &out, NULL), RN_E_PEER_FORMAT);
    assert_code(rn_feldman_check(cut, NULL), RN_E_PEER_FORMAT);
    assert_code(rn_feldman_evaluate(&s.constant, cut, 1, &out, NULL), RN_E_PEER_FORMAT);
    for (unsigned k = 0; k < 3; k++) {
        const struct rn_point kept = s.commitments[k];
        s.commitments[k].bytes[0] ^= 1; /* negative, hence not canonical */
        assert_code(rn_feldman_check(commitments_of(&s), NULL), RN_E_PEER_FORMAT);
        assert_code(rn_feldman_evaluate(&s.constant, commitments_of(&s), 1, &out, NULL),
                    RN_E_PEER_FORMAT);
        assert_code(rn_feldman_expect(&s.constant, commitments_of(&s), &holder, 1, &out, NULL),
                    RN_E_PEER_FORMAT);
        memset(&s.commitments[k], 0, sizeof(s.commitments[k])); /* the identity */
        assert_code(rn_feldman_check(commitments_of(&s), NULL), RN_E_PEER_FORMAT);
        s.commitments[k] = kept;
    }
    s.constant.bytes[0] ^= 1;
    assert_code(rn_feldman_expect(&s.constant, commitments_of(&s), &holder, 1, &out, NULL),
                RN_E_PEER_FORMAT);
}

int main(void)
{
    const struct rn_secret32 key = key_of(77);
    rn_stream_init(&stream, &key);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_share_of_small_schemes),
        cmocka_unit_test(each_commitment_counts),
        cmocka_unit_test(shares_that_fit_rebuild_the_constant),
        cmocka_unit_test(zeros_on_the_way),
        cmocka_unit_test(many_holders_at_once),
        cmocka_unit_test(places_end),
        cmocka_unit_test(what_is_no_commitment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
