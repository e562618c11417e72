/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/feldman.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/curvesum.h"
#include "crypto/shamir.h"

#include <string.h>

void rn_feldman_commit(const struct rn_scalar *coefficients, size_t threshold,
                       struct rn_point *out_commitments)
{
    for (size_t k = 1; k < threshold; k++) {
        rn_point_of_scalar(&coefficients[k], &out_commitments[k - 1]);
    }
}

static rn_result read_commitments(struct rn_view commitments, size_t *out_count,
                                  struct rn_error *err)
{
    RN_ENSURE(commitments.length % RN_POINT_BYTES == 0, err, RN_E_PEER_FORMAT,
              "commitments to coefficients: wrong length");
    *out_count = commitments.length / RN_POINT_BYTES;
    return rn_ok();
}

rn_result rn_feldman_check(struct rn_view commitments, struct rn_error *err)
{
    size_t count = 0;
    RN_TRY(read_commitments(commitments, &count, err));
    for (size_t k = 0; k < count; k++) {
        struct rn_point point;
        RN_TRY(rn_point_parse(commitments.data + k * RN_POINT_BYTES, &point, err));
    }
    return rn_ok();
}

rn_result rn_feldman_evaluate(const struct rn_point *constant, struct rn_view commitments,
                              uint32_t holder, struct rn_point *out, struct rn_error *err)
{
    size_t count = 0;
    RN_TRY(read_commitments(commitments, &count, err));
    struct rn_scalar x;
    rn_scalar_from_u64((uint64_t)holder + 1, &x);
    struct rn_point value = {{0}}; /* the identity */
    for (size_t k = count; k > 0; k--) {
        struct rn_point coefficient;
        memcpy(coefficient.bytes, commitments.data + (k - 1) * RN_POINT_BYTES, RN_POINT_BYTES);
        RN_TRY(rn_point_add(&value, &coefficient, &value, err));
        RN_TRY(rn_point_multiply(&x, &value, &value, err));
    }
    return rn_point_add(&value, constant, out, err);
}

/* A_0 and the commitments, as points; the caller frees them. */
static rn_result decode_all(const struct rn_point *constant, struct rn_view commitments,
                            size_t count, struct rn_curve_point **out, struct rn_error *err)
{
    struct rn_curve_point *RN_CLEANUP(rn_free_cleanup) points = rn_alloc(count + 1, sizeof *points);
    bool good = rn_curve_decode(constant->bytes, &points[0]);
    for (size_t k = 0; k < count && good; k++) {
        good = rn_curve_decode(commitments.data + k * RN_POINT_BYTES, &points[k + 1]);
    }
    RN_ENSURE(good, err, RN_E_PEER_FORMAT, "group element is not a canonical encoding");
    *out = RN_TAKE(points);
    return rn_ok();
}

rn_result rn_feldman_expect(const struct rn_point *constant, struct rn_view commitments,
                            const uint32_t *holders, size_t count, struct rn_point *out,
                            struct rn_error *err)
{
    size_t degree = 0;
    RN_TRY(read_commitments(commitments, &degree, err));
    struct rn_curve_point *RN_CLEANUP(rn_free_cleanup) points = NULL;
    RN_TRY(decode_all(constant, commitments, degree, &points, err));
    for (size_t j = 0; j < count; j++) {
        RN_BUG_IF(holders[j] >= RN_SHAMIR_PLACE_MAX);
        struct rn_curve_point value = points[degree];
        for (size_t k = degree; k > 0; k--) {
            rn_curve_times(&value, holders[j] + 1, &value);
            rn_curve_add(&value, &points[k - 1], &value);
        }
        rn_curve_encode(&value, &out[j]);
    }
    return rn_ok();
}

bool rn_feldman_matches(const struct rn_point *expected, const struct rn_scalar *share)
{
    struct rn_point computed;
    rn_point_commit(share, &computed);
    const bool same = rn_secret_equal(computed.bytes, expected->bytes, RN_POINT_BYTES);
    rn_secret_wipe(&computed, sizeof computed);
    return same;
}
