/* SPDX-License-Identifier: Apache-2.0
 *
 * The sparse graph: its sizes are those that whole numbers give, by counting subsets of small
 * rosters one by one and by the published table of larger ones (tests/parity/graph_sizes.py tries a
 * grid); the graph is regular, symmetric, and what the permutation says.
 */
#include "crypto/random.h"
#include "crypto/secagg/graph.h"
#include "tests/unit/crypto/countedtail.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static struct rn_stream stream;

static void shuffled(uint32_t members, uint32_t out[])
{
    for (uint32_t p = 0; p < members; p++) {
        out[p] = p;
    }
    for (uint32_t p = members; p-- > 1;) {
        const uint32_t q = (uint32_t)rn_stream_below(&stream, (uint64_t)p + 1);
        const uint32_t kept = out[p];
        out[p] = out[q];
        out[q] = kept;
    }
}

/* ---- Sizes */

/* The rule of PROTOCOL.md, "Sparse graph", word for word: every k, every t. */
static bool counted_find(uint32_t n, uint32_t colluding, uint32_t losses,
                         struct rn_sa_graph_sizes *out)
{
    struct counted corrupt;
    struct counted lost;
    count_subsets(n, colluding, &corrupt);
    count_subsets(n - 1, losses, &lost);
    for (uint32_t k = 2; k <= n / 2; k += 2) {
        const uint32_t a = counted_quantile(&corrupt, k / 2, (struct rn_sa_rarity){44, n});
        const uint32_t left = counted_quantile(&lost, k, (struct rn_sa_rarity){20, n});
        for (uint32_t t = 1; t <= k; t++) {
            if (t >= k / 2 + 2 + a && left <= k - t) {
                *out = (struct rn_sa_graph_sizes){false, k, t, a};
                return true;
            }
        }
    }
    return false;
}

static void assert_sizes(const struct rn_sa_graph_sizes *got,
                         const struct rn_sa_graph_sizes *wanted)
{
    assert_int_equal(got->complete, wanted->complete);
    assert_int_equal(got->degree, wanted->degree);
    assert_int_equal(got->threshold, wanted->threshold);
    assert_int_equal(got->corrupt_max, wanted->corrupt_max);
}

/* case 38 */
static void small_rosters_by_counting(void **state)
{
    (void)state;
    unsigned sparse = 0;
    for (uint32_t n = 3; n <= SMALL; n++) {
        for (uint32_t colluding = 0; colluding < n; colluding++) {
            for (uint32_t losses = 0; losses < n; losses++) {
                struct rn_sa_graph_sizes wanted;
                struct rn_sa_graph_sizes got;
                const bool found = counted_find(n, colluding, losses, &wanted);
                assert_int_equal(rn_sa_graph_find(n, colluding, losses, &got), found);
                if (found) {
                    assert_sizes(&got, &wanted);
                    sparse++;
                }
            }
        }
    }
    assert_true(sparse >= 20);
}

/* case 38. Shares of 5, 10 and 20 percent, rounded down. */
static void larger_rosters(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, colluding, losses, degree, threshold, corrupt_max;
    } rows[] = {
        {129, 6, 6, 28, 22, 6},         {200, 10, 10, 44, 34, 10},
        {300, 15, 15, 58, 45, 14},      {500, 25, 25, 66, 51, 16},
        {1000, 50, 50, 78, 60, 19},     {129, 12, 6, 40, 34, 12},
        {200, 20, 10, 60, 50, 18},      {300, 30, 15, 74, 60, 21},
        {500, 50, 25, 86, 69, 24},      {1000, 100, 50, 98, 78, 27},
        {129, 12, 12, 52, 40, 12},      {200, 20, 20, 80, 61, 19},
        {300, 30, 30, 98, 74, 23},      {500, 50, 50, 120, 90, 28},
        {1000, 100, 100, 140, 104, 32}, {129, 25, 12, 128, 78, 0},
        {200, 40, 20, 199, 121, 0},     {300, 60, 30, 138, 110, 39},
        {500, 100, 50, 170, 134, 47},   {1000, 200, 100, 208, 162, 56},
        {129, 5, 15, 44, 29, 5}, /* 42, 28 if a member could be its own neighbour */
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        struct rn_sa_graph_sizes got;
        assert_ok(rn_sa_graph_plan(rows[k].members, rows[k].colluding, rows[k].losses, &got, NULL));
        const struct rn_sa_graph_sizes wanted = {rows[k].degree == rows[k].members - 1,
                                                 rows[k].degree, rows[k].threshold,
                                                 rows[k].corrupt_max};
        assert_sizes(&got, &wanted);
    }
}

static void small_rosters_are_complete(void **state)
{
    (void)state;
    for (uint32_t n = 3; n <= RN_SA_GRAPH_COMPLETE_MAX; n++) {
        struct rn_sa_graph_sizes got;
        assert_ok(rn_sa_graph_plan(n, 1, 0, &got, NULL));
        assert_sizes(&got, &(struct rn_sa_graph_sizes){true, n - 1, (n + 1) / 2 + 1, 0});
    }
    struct rn_sa_graph_sizes got;
    assert_ok(rn_sa_graph_plan(RN_SA_GRAPH_COMPLETE_MAX + 1, 1, 0, &got, NULL));
    assert_false(got.complete);
}

static void limits(void **state)
{
    (void)state;
    struct rn_sa_graph_sizes got;
    assert_ok(rn_sa_graph_plan(3, 1, 2, &got, NULL));
    assert_code(rn_sa_graph_plan(2, 1, 0, &got, NULL), RN_E_CONFIG);
    assert_ok(rn_sa_graph_plan(RN_SA_GRAPH_MEMBERS_MAX, 100, 100, &got, NULL));
    assert_code(rn_sa_graph_plan(RN_SA_GRAPH_MEMBERS_MAX + 1, 100, 100, &got, NULL), RN_E_CONFIG);
    assert_code(rn_sa_graph_plan(UINT32_MAX, 100, 100, &got, NULL), RN_E_CONFIG);
    assert_ok(rn_sa_graph_plan(200, 199, 199, &got, NULL));
    assert_true(got.complete);
    assert_code(rn_sa_graph_plan(200, 0, 1, &got, NULL), RN_E_CONFIG);
    assert_code(rn_sa_graph_plan(200, 200, 1, &got, NULL), RN_E_CONFIG);
    assert_code(rn_sa_graph_plan(200, 1, 200, &got, NULL), RN_E_CONFIG);
}

/* ---- Graph */

static void check_graph(const struct rn_sa_graph *graph, const uint32_t *permutation)
{
    uint32_t out[RN_SA_GRAPH_MEMBERS_MAX];
    const uint32_t n = graph->members;
    for (uint32_t p = 0; p < n; p++) {
        bool wanted[RN_SA_GRAPH_MEMBERS_MAX] = {false}; /* by walking the ring */
        for (uint32_t d = 1; d <= graph->sizes.degree / 2; d++) {
            wanted[permutation[(p + d) % n]] = true;
            wanted[permutation[(p + n - d) % n]] = true;
        }
        const uint32_t member = permutation[p];
        assert_int_equal(rn_sa_graph_neighbours(graph, member, out), graph->sizes.degree);
        uint32_t at = 0;
        for (uint32_t other = 0; other < n; other++) {
            assert_int_equal(rn_sa_graph_linked(graph, member, other), wanted[other]);
            assert_int_equal(rn_sa_graph_linked(graph, other, member), wanted[other]);
            assert_int_equal(rn_sa_graph_holds(graph, other, member),
                             wanted[other] || other == member);
            if (wanted[other]) {
                assert_int_equal(out[at++], other);
            }
        }
    }
}

/* case 38 */
static void regular_and_symmetric(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, degree;
    } shapes[] = {{5, 2}, {8, 4}, {9, 4}, {129, 28}, {200, 100}, {1024, 78}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(shapes); k++) {
        static struct rn_sa_graph graph;
        uint32_t permutation[RN_SA_GRAPH_MEMBERS_MAX];
        shuffled(shapes[k].members, permutation);
        const struct rn_sa_graph_sizes sizes = {.degree = shapes[k].degree};
        rn_sa_graph_init(&graph, &sizes, shapes[k].members, permutation);
        check_graph(&graph, permutation);
    }
}

static void everybody_in_a_complete_graph(void **state)
{
    (void)state;
    static struct rn_sa_graph graph;
    struct rn_sa_graph_sizes sizes;
    uint32_t out[8];
    assert_ok(rn_sa_graph_plan(8, 2, 1, &sizes, NULL));
    rn_sa_graph_init(&graph, &sizes, 8, NULL);
    for (uint32_t member = 0; member < 8; member++) {
        assert_int_equal(rn_sa_graph_neighbours(&graph, member, out), 7);
        for (uint32_t k = 0; k < 7; k++) {
            assert_int_equal(out[k], k < member ? k : k + 1);
        }
        assert_false(rn_sa_graph_linked(&graph, member, member));
        assert_true(rn_sa_graph_holds(&graph, member, member));
    }
}

static void somebody_twice(void)
{
    static struct rn_sa_graph graph;
    const struct rn_sa_graph_sizes sizes = {.degree = 2};
    rn_sa_graph_init(&graph, &sizes, 5, (const uint32_t[]){0, 1, 2, 3, 3});
}
static void nobody(void)
{
    static struct rn_sa_graph graph;
    const struct rn_sa_graph_sizes sizes = {.degree = 2};
    rn_sa_graph_init(&graph, &sizes, 5, (const uint32_t[]){0, 1, 2, 3, 5});
}
static void no_permutation(void)
{
    static struct rn_sa_graph graph;
    const struct rn_sa_graph_sizes sizes = {.degree = 2};
    rn_sa_graph_init(&graph, &sizes, 5, NULL);
}

static void only_permutations(void **state)
{
    (void)state;
    assert_aborts(somebody_twice);
    assert_aborts(nobody);
    assert_aborts(no_permutation);
}

/* ---- Losses */

/* Fewest neighbours on the ring that are left to any position. */
static uint32_t fewest_left(const bool *lost, uint32_t n, uint32_t degree)
{
    uint32_t left = 0; /* in the window of degree + 1 around position p, p included */
    uint32_t fewest = degree;
    for (uint32_t d = 0; d <= degree; d++) {
        left += !lost[(n - degree / 2 + d) % n];
    }
    for (uint32_t p = 0; p < n; p++) {
        const uint32_t others = left - !lost[p];
        fewest = others < fewest ? others : fewest;
        left += !lost[(p + degree / 2 + 1) % n];
        left -= !lost[(p + n - degree / 2) % n];
    }
    return fewest;
}

/* As many of `count` at random; 10^5 times, the fewest that are left to anybody. */
static uint32_t fewest_of_many(const struct rn_sa_graph_sizes *sizes, uint32_t n, uint32_t count)
{
    uint32_t fewest = sizes->degree;
    for (unsigned trial = 0; trial < 100000; trial++) {
        bool lost[RN_SA_GRAPH_MEMBERS_MAX] = {false};
        for (unsigned k = 0; k < count;) {
            bool *one = &lost[rn_stream_below(&stream, n)];
            k += !*one;
            *one = true;
        }
        const uint32_t left = fewest_left(lost, n, sizes->degree);
        fewest = left < fewest ? left : fewest;
    }
    return fewest;
}

/* case 38. D members at random are lost, 10^5 times: t neighbours are left to everybody. The bound
 * is 2^-20 a time; a threshold four higher fails in these draws. */
static void random_losses_leave_enough(void **state)
{
    (void)state;
    struct rn_sa_graph_sizes sizes;
    assert_ok(rn_sa_graph_plan(200, 10, 10, &sizes, NULL));
    const uint32_t fewest = fewest_of_many(&sizes, 200, 10);
    assert_true(fewest >= sizes.threshold);
    assert_true(fewest < sizes.threshold + 4);
}

/* case 38. A plan that shall survive n_c corrupt members that go silent, beside D others, counts
 * them as losses; then n_c + D at random leave t neighbours to everybody. */
static void silent_colluders_are_losses(void **state)
{
    (void)state;
    struct rn_sa_graph_sizes sizes;
    assert_ok(rn_sa_graph_plan(200, 10, 10 + 10, &sizes, NULL));
    const uint32_t fewest = fewest_of_many(&sizes, 200, 10 + 10);
    assert_true(fewest >= sizes.threshold);
    assert_true(fewest < sizes.threshold + 4);
}

/* P(more than `most` of `drawn` places are marked), in extended precision: an oracle of its own. */
static double tail_of(uint32_t total, uint32_t marked, uint32_t drawn, uint32_t most)
{
    long double tail = 0;
    for (uint32_t i = most + 1; i <= marked && i <= drawn; i++) {
        const uint32_t plain = total - marked;
        tail += drawn - i > plain
                    ? 0
                    : expl(lgammal(marked + 1) - lgammal(i + 1) - lgammal(marked - i + 1) +
                           lgammal(plain + 1) - lgammal(drawn - i + 1) -
                           lgammal(plain - drawn + i + 1) - lgammal(total + 1) +
                           lgammal(drawn + 1) + lgammal(total - drawn + 1));
    }
    return (double)tail;
}

/* case 38. What Lemma 11 does not promise: under losses = D, n_c + D at random leave a member
 * without t neighbours as often as the same tail says, once in some hundred sessions. */
static void more_losses_fail_as_often_as_computed(void **state)
{
    (void)state;
    struct rn_sa_graph_sizes sizes;
    assert_ok(rn_sa_graph_plan(200, 10, 10, &sizes, NULL));
    const double trials = 100000.0;
    const uint32_t spare = sizes.degree - sizes.threshold;
    const double want = trials * tail_of(199, 20, sizes.degree, spare);
    double failed = 0;
    for (unsigned trial = 0; trial < (unsigned)trials; trial++) {
        bool lost[200] = {false};
        uint32_t near = 0;
        for (unsigned k = 0; k < 20;) { /* position 0 is not lost */
            const uint32_t p = 1 + (uint32_t)rn_stream_below(&stream, 199);
            near += !lost[p] && (p <= sizes.degree / 2 || p >= 200 - sizes.degree / 2);
            k += !lost[p];
            lost[p] = true;
        }
        failed += near > spare;
    }
    assert_true(want > 50.0 && fabs(failed - want) < 5.0 * sqrt(want));
    assert_true(200 * tail_of(199, 10, sizes.degree, spare) <= 0x1p-20); /* D alone */
}

/* case 38. The conditions of Bell et al. 2020, by which FCP's rule finds its sizes: all over, no
 * member has t corrupt neighbours but for 2^-40, or fewer than t living ones but for 2^-20. The
 * sizes here satisfy them, and exceed those that FCP's rule gives, which takes losses as random
 * where Lemma 9 lets the coordinator choose them. */
static void conditions_of_bell_et_al_hold(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, colluding, losses;
        uint32_t degree, threshold; /* of FCP's rule */
    } rows[] = {
        {200, 10, 10, 30, 21},   {300, 15, 15, 38, 27},      {500, 25, 25, 44, 31},
        {1000, 50, 50, 52, 37},  {200, 20, 20, 54, 38},      {300, 30, 30, 66, 46},
        {500, 50, 50, 80, 56},   {1000, 100, 100, 96, 67},   {300, 60, 30, 92, 69},
        {500, 100, 50, 114, 85}, {1000, 200, 100, 140, 104},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        const uint32_t n = rows[k].members;
        struct rn_sa_graph_sizes got;
        assert_ok(rn_sa_graph_plan(n, rows[k].colluding, rows[k].losses, &got, NULL));
        assert_false(got.complete);
        assert_true(n * tail_of(n - 1, rows[k].colluding, got.degree, got.threshold - 1) <=
                    0x1p-40);
        assert_true(n * tail_of(n - 1, rows[k].losses, got.degree, got.degree - got.threshold) <=
                    0x1p-20);
        assert_true(got.degree >= rows[k].degree && got.threshold >= rows[k].threshold);
    }
}

/* For tests/parity/graph_sizes.py: reads "n n_c D" lines, prints k, t and a_max, or "complete". */
static int print_sizes(void)
{
    uint32_t n, colluding, losses;
    while (scanf("%" SCNu32 " %" SCNu32 " %" SCNu32, &n, &colluding, &losses) == 3) {
        struct rn_sa_graph_sizes sizes;
        if (rn_sa_graph_find(n, colluding, losses, &sizes)) {
            printf("%u %u %u\n", sizes.degree, sizes.threshold, sizes.corrupt_max);
        } else {
            printf("complete\n");
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--sizes") == 0) {
        return print_sizes();
    }
    const struct rn_secret32 key = key_of(38);
    rn_stream_init(&stream, &key);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_rosters_by_counting),
        cmocka_unit_test(larger_rosters),
        cmocka_unit_test(small_rosters_are_complete),
        cmocka_unit_test(limits),
        cmocka_unit_test(regular_and_symmetric),
        cmocka_unit_test(everybody_in_a_complete_graph),
        cmocka_unit_test(only_permutations),
        cmocka_unit_test(random_losses_leave_enough),
        cmocka_unit_test(silent_colluders_are_losses),
        cmocka_unit_test(more_losses_fail_as_often_as_computed),
        cmocka_unit_test(conditions_of_bell_et_al_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
