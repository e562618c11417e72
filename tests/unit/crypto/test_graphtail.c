/* SPDX-License-Identifier: Apache-2.0
 *
 * Tails of the hypergeometric distribution are those of counting and of Pascal's triangle.
 */
#include "tests/unit/crypto/countedtail.h"

/* case 38 */
static void tails_are_those_of_counting(void **state)
{
    (void)state;
    static const struct rn_sa_rarity rarities[] = {{1, 1}, {2, 1}, {3, 5}, {6, 11}, {44, 16}};
    for (uint32_t total = 0; total <= 12; total++) {
        for (uint32_t marked = 0; marked <= total; marked++) {
            struct counted counted;
            count_subsets(total, marked, &counted);
            for (uint32_t drawn = 0; drawn <= total; drawn++) {
                for (size_t r = 0; r < RN_ARRAY_LENGTH(rarities); r++) {
                    assert_int_equal(rn_sa_tail_quantile(total, marked, drawn, rarities[r]),
                                     counted_quantile(&counted, drawn, rarities[r]));
                }
            }
        }
    }
}

/* case 38. Where numbers outgrow one limb, by Pascal's triangle in 128 bits. */
static void tails_of_two_limbs(void **state)
{
    (void)state;
    static unsigned __int128 choose[73][73];
    static const struct rn_sa_rarity rarities[] = {{1, 1}, {7, 72}, {44, 100}};
    for (uint32_t n = 0; n <= 72; n++) {
        for (uint32_t k = 0; k <= n; k++) {
            choose[n][k] = k == 0 ? 1 : choose[n - 1][k - 1] + choose[n - 1][k];
        }
    }
    for (uint32_t marked = 0; marked <= 72; marked++) {
        for (uint32_t drawn = 0; drawn <= 72; drawn++) {
            for (size_t r = 0; r < RN_ARRAY_LENGTH(rarities); r++) {
                const unsigned __int128 most =
                    (choose[72][drawn] >> rarities[r].bits) / rarities[r].times;
                unsigned __int128 tail = 0;
                uint32_t a = marked < drawn ? marked : drawn;
                while (tail += choose[marked][a] * choose[72 - marked][drawn - a], tail <= most) {
                    a--;
                }
                assert_int_equal(rn_sa_tail_quantile(72, marked, drawn, rarities[r]), a);
            }
        }
    }
}

/* A tail that is exactly as rare as asked: of 4 places 1 marked, 2 drawn, the marked one is among
 * them in 3 of 6 ways. At 1 / 2 none are allowed for, at 1 / 4 one. */
static void exactly_as_rare_is_rare_enough(void **state)
{
    (void)state;
    assert_int_equal(rn_sa_tail_quantile(4, 1, 2, (struct rn_sa_rarity){1, 1}), 0);
    assert_int_equal(rn_sa_tail_quantile(4, 1, 2, (struct rn_sa_rarity){2, 1}), 1);
    /* 1 / C(1024, 512) is about 2^-1019: the largest numbers there are. */
    assert_int_equal(rn_sa_tail_quantile(1024, 512, 512, (struct rn_sa_rarity){64, 1024}), 334);
}

static void beyond_the_total(void)
{
    (void)rn_sa_tail_quantile(RN_SA_TAIL_TOTAL_MAX + 1, 1, 1, (struct rn_sa_rarity){1, 1});
}
static void beyond_the_bits(void)
{
    (void)rn_sa_tail_quantile(4, 1, 1, (struct rn_sa_rarity){RN_SA_TAIL_BITS_MAX + 1, 1});
}
static void certainty(void)
{
    (void)rn_sa_tail_quantile(4, 1, 1, (struct rn_sa_rarity){0, 1});
}
static void beyond_the_times(void)
{
    (void)rn_sa_tail_quantile(4, 1, 1, (struct rn_sa_rarity){1, RN_SA_TAIL_TIMES_MAX + 1});
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(beyond_the_total);
    assert_aborts(beyond_the_bits);
    assert_aborts(certainty);
    assert_aborts(beyond_the_times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tails_are_those_of_counting),
        cmocka_unit_test(tails_of_two_limbs),
        cmocka_unit_test(exactly_as_rare_is_rare_enough),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
