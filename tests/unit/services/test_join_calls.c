/* SPDX-License-Identifier: Apache-2.0
 *
 * How many members are called to compare a wide roster, and which.
 */
#include "services/cli/setup/joincalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/setup.h"

static struct rn_roster roster;

static struct rn_identity *identity_of(uint32_t number)
{
    const struct rn_secret32 seed = {{(uint8_t)number, (uint8_t)(number >> 8), 7}};
    return rn_identity_from_seed(&seed);
}

static void make_roster(uint32_t members)
{
    roster = (struct rn_roster){.federation = "clinics", .count = members};
    roster.coordinator.bytes[31] = 1;
    for (uint32_t i = 0; i < members; i++) {
        (void)rn_text_format(roster.members[i].name, RN_NAME_MAX + 1, "m%u", i);
        roster.members[i].key.bytes[0] = (uint8_t)i;
        roster.members[i].key.bytes[1] = (uint8_t)(i >> 8);
    }
}

/* log2 of C(n, k). */
static double log_choose(uint32_t n, uint32_t k)
{
    return k > n ? -INFINITY
                 : (lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma((double)(n - k) + 1.0)) / log(2.0);
}

/* By the formula of the header in another form: as many as needed, and not one more. */
static void as_many_as_needed(void **state)
{
    (void)state;
    for (uint32_t members = RN_JOIN_CALLS_ALL_MAX + 1; members <= 1024; members += 31) {
        for (uint32_t colluding = 1; colluding + 2 <= members; colluding += 1 + colluding / 3) {
            const uint32_t others = members - 1;
            const uint32_t invented = colluding / 2 + 1;
            const uint32_t calls = rn_join_calls_count(members, colluding);
            const double miss = log_choose(others - invented, calls) - log_choose(others, calls);
            const double one_less =
                log_choose(others - invented, calls - 1) - log_choose(others, calls - 1);
            assert_true(calls <= others && (miss <= -20 + 1e-6));
            assert_true(one_less > -20 - 1e-6);
        }
    }
    assert_int_equal(rn_join_calls_count(1000, 1), 999); /* one invented member would be too many */
    assert_true(rn_join_calls_count(1000, 200) < 140);
}

static void small_rosters_call_everybody(void **state)
{
    (void)state;
    bool called[RN_ROSTER_MEMBERS_MAX];
    struct rn_identity *identity = identity_of(1);
    make_roster(RN_JOIN_CALLS_ALL_MAX);
    assert_int_equal(rn_join_calls_draw(identity, &roster, 3, 20, called),
                     RN_JOIN_CALLS_ALL_MAX - 1);
    assert_false(called[3]);
    make_roster(RN_JOIN_CALLS_ALL_MAX + 1);
    assert_true(rn_join_calls_draw(identity, &roster, 3, 20, called) < RN_JOIN_CALLS_ALL_MAX);
    rn_identity_free(identity);
}

/* The same at each look, other ones with another key or another roster, never oneself, and every
 * member about as often as any other. */
static void drawn_at_the_site(void **state)
{
    (void)state;
    enum { MEMBERS = 130, COLLUDING = 40, SITES = 400 };
    static uint32_t times[MEMBERS];
    bool called[RN_ROSTER_MEMBERS_MAX];
    bool again[RN_ROSTER_MEMBERS_MAX];
    make_roster(MEMBERS);
    const uint32_t count = rn_join_calls_count(MEMBERS, COLLUDING);
    for (uint32_t site = 0; site < SITES; site++) {
        struct rn_identity *identity = identity_of(site);
        assert_int_equal(rn_join_calls_draw(identity, &roster, 5, COLLUDING, called), count);
        uint32_t drawn = 0;
        for (uint32_t i = 0; i < RN_ROSTER_MEMBERS_MAX; i++) {
            assert_false(called[i] && (i == 5 || i >= MEMBERS));
            drawn += called[i];
            times[i < MEMBERS ? i : 0] += called[i];
        }
        assert_int_equal(drawn, count);
        (void)rn_join_calls_draw(identity, &roster, 5, COLLUDING, again);
        assert_memory_equal(called, again, sizeof called);
        roster.members[7].key.bytes[9] ^= 1;
        (void)rn_join_calls_draw(identity, &roster, 5, COLLUDING, again);
        assert_memory_not_equal(called, again, sizeof called);
        roster.members[7].key.bytes[9] ^= 1;
        rn_identity_free(identity);
    }
    const double each = (double)SITES * count / (MEMBERS - 1);
    for (uint32_t i = 0; i < MEMBERS; i++) { /* six standard deviations */
        assert_true(i == 5 || fabs(times[i] - each) < 6 * sqrt(each));
    }
}

static int set_up(void **state)
{
    (void)state;
    return rn_is_ok(rn_crypto_setup(NULL)) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_needed),
        cmocka_unit_test(small_rosters_call_everybody),
        cmocka_unit_test(drawn_at_the_site),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
