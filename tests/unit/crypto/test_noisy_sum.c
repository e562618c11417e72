/* SPDX-License-Identifier: Apache-2.0
 *
 * case 39. Sums of rounded Gaussian noise that members draw for themselves: the sum has the
 * distribution of the survivors' noise, no less than the floor of a plan allows, also behind masks
 * modulo 2^b; where the ring is too narrow for it the sum wraps as often as the tails say. Today
 * members add noise while they train and not to the sum: this is about the parts. Fixed keys; gates
 * at p = 1e-6 or rarer.
 */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "crypto/noise.h"
#include "crypto/secagg/lanevector.h"
#include "tests/unit/crypto/vectors.h"

#define N ((size_t)1 << 18)

static void draw(unsigned member, size_t n, double deviation, int64_t *out)
{
    const struct rn_secret32 key = key_of(39 + member);
    RN_CLEANUP(rn_noise_clear) struct rn_noise noise;
    rn_noise_init(&noise, &key);
    rn_noise_draw(&noise, n, deviation, out);
}

static double upper_tail(double z)
{
    return 0.5 * erfc(z * sqrt(0.5));
}

/* Noise of `members` together, element by element. */
static int64_t *summed(unsigned members, double deviation)
{
    int64_t *sum = rn_alloc(N, sizeof *sum);
    int64_t *one = rn_alloc(N, sizeof *one);
    for (unsigned m = 0; m < members; m++) {
        draw(m, N, deviation, one);
        for (size_t i = 0; i < N; i++) {
            sum[i] += one[i];
        }
    }
    rn_free(one);
    return sum;
}

/* ---- Distribution */

enum { REACH = 80 };

/* Of one draw at [k + REACH], then of as many together, by convolution. */
static void cells_of(unsigned members, double deviation, double out[2 * REACH + 1])
{
    double one[2 * REACH + 1];
    for (int k = -REACH; k <= REACH; k++) {
        one[k + REACH] =
            upper_tail((abs(k) - 0.5) / deviation) - upper_tail((abs(k) + 0.5) / deviation);
        out[k + REACH] = k == 0;
    }
    for (unsigned m = 0; m < members; m++) {
        double next[2 * REACH + 1] = {0};
        for (int k = -REACH; k <= REACH; k++) {
            for (int l = -REACH; l <= REACH; l++) {
                next[k + REACH] +=
                    k - l >= -REACH && k - l <= REACH ? out[l + REACH] * one[k - l + REACH] : 0.0;
            }
        }
        memcpy(out, next, sizeof next);
    }
}

/* Wilson and Hilferty: the normal deviate of a chi-square value. */
static double chi_deviate(double chi, double freedom)
{
    const double spread = 2.0 / (9.0 * freedom);
    return (cbrt(chi / freedom) - (1.0 - spread)) / sqrt(spread);
}

static void sums_have_their_probabilities(void **state)
{
    (void)state;
    static const struct {
        unsigned members;
        double deviation;
    } rows[] = {{2, 0.5}, {3, 0.7}, {5, 1.3}, {9, 2.0}};
    for (size_t r = 0; r < RN_ARRAY_LENGTH(rows); r++) {
        double wanted[2 * REACH + 1];
        double seen[2 * REACH + 1] = {0};
        double chi = 0.0;
        double cells = -1.0;
        cells_of(rows[r].members, rows[r].deviation, wanted);
        int64_t *sum = summed(rows[r].members, rows[r].deviation);
        for (size_t i = 0; i < N; i++) {
            assert_true(sum[i] >= -REACH && sum[i] <= REACH);
            seen[sum[i] + REACH] += 1.0;
        }
        for (int k = 0; k <= 2 * REACH; k++) {
            const double want = (double)N * wanted[k];
            if (want >= 20.0) {
                chi += pow(seen[k] - want, 2.0) / want;
                cells += 1.0;
            }
        }
        assert_true(fabs(chi_deviate(chi, cells)) < 5.0);
        rn_free(sum);
    }
}

/* What each member of ten has to draw so that the honest survivors of a floor of seven, of whom
 * three are corrupt and draw nothing, still bring a deviation of `target`: more survivors bring
 * more, and one fewer would bring less. */
static void survivors_bring_the_target(void **state)
{
    (void)state;
    static const double targets[] = {1.5, 0x1p20};
    static const unsigned survivors[] = {3, 4, 10};
    const unsigned least = 7 - 3;
    for (size_t r = 0; r < RN_ARRAY_LENGTH(targets); r++) {
        const double each = targets[r] / sqrt(least);
        for (size_t k = 0; k < RN_ARRAY_LENGTH(survivors); k++) {
            const unsigned honest = survivors[k];
            int64_t *sum = summed(honest, each);
            double squares = 0.0;
            for (size_t i = 0; i < N; i++) {
                squares += (double)sum[i] * (double)sum[i];
            }
            const double ratio = squares / (double)N / (targets[r] * targets[r]);
            const double slack = 5.0 * sqrt(2.0 / (double)N) * honest / least;
            const double rounding = honest / (12.0 * targets[r] * targets[r]);
            assert_true(fabs(ratio - (double)honest / least - rounding) < slack);
            assert_true((ratio >= 1.0 - slack) == (honest >= least));
            rn_free(sum);
        }
    }
}

/* ---- Wrap */

#define MEMBERS 4u
#define CHUNK ((uint32_t)1 << 16)

static struct rn_sa_layout layout_of(uint32_t bits)
{
    return (struct rn_sa_layout){.elements = N,
                                 .chunk_elements = CHUNK,
                                 .chunks = N / CHUNK,
                                 .bits = bits,
                                 .lane_bytes = bits <= 32 ? 4 : 8,
                                 .lanes = N + N / CHUNK * RN_SA_CANARIES};
}

/* One member's noise, centred in Z_2^b, masked with a key of its own, into the sum. */
static void upload(struct rn_sa_vector *to, unsigned member, const int64_t *noise)
{
    const struct rn_sa_layout *layout = &to->layout;
    const struct rn_secret32 key = key_of(139 + member);
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *masks = rn_mask_set_new(1);
    uint64_t *values = rn_alloc(CHUNK, sizeof *values);
    uint8_t *packed = rn_alloc(rn_sa_layout_chunk_bytes(layout, 0), 1);
    assert_ok(rn_mask_set_insert(masks, &key, 1, NULL));
    for (uint32_t c = 0; c < layout->chunks; c++) {
        for (uint32_t e = 0; e < CHUNK; e++) {
            values[e] = (uint64_t)noise[(size_t)c * CHUNK + e] & UINT64_MAX >> (64 - layout->bits);
        }
        assert_ok(rn_sa_chunk_mask(layout, c, values, masks, packed, NULL));
        const struct rn_view view = rn_view_of(packed, rn_sa_layout_chunk_bytes(layout, c));
        assert_ok(rn_sa_vector_add(to, c, view, NULL));
    }
    rn_free(values);
    rn_free(packed);
}

static void unmask(struct rn_sa_vector *vector)
{
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *masks = rn_mask_set_new(MEMBERS);
    for (unsigned m = 0; m < MEMBERS; m++) {
        const struct rn_secret32 key = key_of(139 + m);
        assert_ok(rn_mask_set_insert(masks, &key, -1, NULL));
    }
    assert_ok(rn_sa_vector_mask(vector, masks, NULL));
    rn_sa_vector_reduce(vector);
}

/* How many elements come out of the ring otherwise than they went in; each of them by a multiple of
 * 2^b. */
static size_t wrapped(uint32_t bits, double deviation)
{
    const struct rn_sa_layout layout = layout_of(bits);
    const int64_t size = (int64_t)1 << bits;
    struct rn_sa_vector vector;
    int64_t *one = rn_alloc(N, sizeof *one);
    uint64_t *got = rn_alloc(N, sizeof *got);
    int64_t *sum = summed(MEMBERS, deviation);
    size_t count = 0;
    rn_sa_vector_init(&vector, &layout);
    for (unsigned m = 0; m < MEMBERS; m++) {
        draw(m, N, deviation, one);
        upload(&vector, m, one);
    }
    unmask(&vector);
    rn_sa_vector_read(&vector, 0, N, got);
    for (size_t i = 0; i < N; i++) {
        const int64_t centred = (int64_t)got[i] - (got[i] >= (uint64_t)size / 2 ? size : 0);
        assert_true((centred - sum[i]) % size == 0);
        count += centred != sum[i];
    }
    rn_sa_vector_clear(&vector);
    rn_free(one);
    rn_free(got);
    rn_free(sum);
    return count;
}

/* From one element in a hundred to none that is expected in 2^18, in both widths of lanes. */
static void a_sum_wraps_as_often_as_its_tails_say(void **state)
{
    (void)state;
    static const struct {
        uint32_t bits;
        double deviation; /* of one member */
    } rows[] = {{10, 100.0}, {10, 64.0}, {20, 0x1p16}, {33, 0x1p29 * 1.5}, {10, 32.0}};
    for (size_t r = 0; r < RN_ARRAY_LENGTH(rows); r++) {
        const double edge = ldexp(1.0, (int)rows[r].bits - 1);
        const double whole = sqrt(MEMBERS * (pow(rows[r].deviation, 2.0) + 1.0 / 12.0));
        const double want =
            (double)N * (upper_tail((edge - 0.5) / whole) + upper_tail((edge + 0.5) / whole));
        const double got = (double)wrapped(rows[r].bits, rows[r].deviation);
        assert_true(fabs(got - want) < 5.0 * sqrt(want) + 1e-3);
        assert_true(r + 1 < RN_ARRAY_LENGTH(rows) ? got > 0 : got == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_have_their_probabilities),
        cmocka_unit_test(survivors_bring_the_target),
        cmocka_unit_test(a_sum_wraps_as_often_as_its_tails_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
