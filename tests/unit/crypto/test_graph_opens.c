/* SPDX-License-Identifier: Apache-2.0
 *
 * What opens in the sparse graph (PROTOCOL.md, "Sparse graph"): everybody on rings of up to 16
 * positions is corrupt, a survivor, lost or absent in every way there is, and the coordinator uses
 * every share that it can get. The shortcut for larger rings (parts of the ring) is held against
 * linear algebra over what is really sent, on small ones.
 */
#include "crypto/secagg/graph.h"
#include "tests/unit/crypto/vectors.h"

#define SMALL 16

/* A ring and who is what; sets of positions are bit masks. Absent honest members are in no set. */
struct ring {
    uint32_t n;
    uint32_t degree;
    uint32_t near[SMALL]; /* neighbours of each position, by rn_sa_graph_linked */
    uint32_t corrupt;
    uint32_t alive; /* honest members of U3 */
    uint32_t lost;  /* honest members of U2 outside U3 */
};

static void ring_init(struct ring *ring, uint32_t n, uint32_t degree)
{
    static struct rn_sa_graph graph;
    uint32_t permutation[SMALL] = {0};
    const struct rn_sa_graph_sizes sizes = {.degree = degree};
    for (uint32_t p = 0; p < n; p++) {
        permutation[p] = p;
    }
    rn_sa_graph_init(&graph, &sizes, n, permutation);
    *ring = (struct ring){.n = n, .degree = degree};
    for (uint32_t p = 0; p < n; p++) {
        for (uint32_t q = 0; q < n; q++) {
            ring->near[p] |= (uint32_t)rn_sa_graph_linked(&graph, p, q) << q;
        }
    }
}

/* a: the most corrupt members in any degree / 2 consecutive positions. */
static uint32_t corrupt_in_an_arc(const struct ring *ring)
{
    uint32_t most = 0;
    for (uint32_t p = 0; p < ring->n; p++) {
        uint32_t count = 0;
        for (uint32_t d = 0; d < ring->degree / 2; d++) {
            count += ring->corrupt >> (p + d) % ring->n & 1;
        }
        most = count > most ? count : most;
    }
    return most;
}

/* Shares of position's b and s that the coordinator can have: corrupt members give both kinds of
 * everybody; honest ones answer in U3 alone, with the kind that U3 asks for, their own included. */
static uint32_t shares_of_b(const struct ring *ring, uint32_t position)
{
    const uint32_t self = 1u << position;
    const uint32_t honest = ring->alive & self ? (ring->near[position] | self) & ring->alive : 0;
    return (uint32_t)__builtin_popcount((ring->near[position] & ring->corrupt) | honest);
}

static uint32_t shares_of_s(const struct ring *ring, uint32_t position)
{
    const uint32_t honest = ring->alive & 1u << position ? 0 : ring->near[position] & ring->alive;
    return (uint32_t)__builtin_popcount((ring->near[position] & ring->corrupt) | honest);
}

/* ---- Parts of the ring: survivors that pair masks hold together */

static uint32_t part_of(const struct ring *ring, uint32_t first)
{
    uint32_t part = first & -first;
    for (uint32_t edge = part; edge != 0;) {
        const uint32_t p = (uint32_t)__builtin_ctz(edge);
        edge &= edge - 1;
        const uint32_t next = ring->near[p] & ring->alive & ~part;
        part |= next;
        edge |= next;
    }
    return part;
}

/* Every b in the part, and every s that its lost neighbours masked it with. */
static bool part_opens(const struct ring *ring, uint32_t part, uint32_t threshold)
{
    for (uint32_t p = 0; p < ring->n; p++) {
        const bool inside = part >> p & 1;
        if (inside && shares_of_b(ring, p) < threshold) {
            return false;
        }
        if ((ring->lost >> p & 1) && (ring->near[p] & part) && shares_of_s(ring, p) < threshold) {
            return false;
        }
    }
    return true;
}

/* Does any part that is not all of the honest survivors open? */
static bool some_part_opens(const struct ring *ring, uint32_t threshold)
{
    for (uint32_t left = ring->alive; left != 0;) {
        const uint32_t part = part_of(ring, left);
        if (part != ring->alive && part_opens(ring, part, threshold)) {
            return true;
        }
        left &= ~part;
    }
    return false;
}

/* The rule of Survivors: does every honest member of U2 keep t of its holders in U3? */
static bool allowed(const struct ring *ring, uint32_t threshold)
{
    for (uint32_t p = 0; p < ring->n; p++) {
        const uint32_t holders = (ring->near[p] | 1u << p) & (ring->alive | ring->corrupt);
        if (((ring->alive | ring->lost) >> p & 1) &&
            (uint32_t)__builtin_popcount(holders) < threshold) {
            return false;
        }
    }
    return true;
}

/* Fewer than t corrupt neighbours: no s of a survivor, no b of one that is lost. */
static bool secrets_hold(const struct ring *ring, uint32_t threshold)
{
    for (uint32_t p = 0; p < ring->n; p++) {
        if ((ring->alive >> p & 1 && shares_of_s(ring, p) >= threshold) ||
            (ring->lost >> p & 1 && shares_of_b(ring, p) >= threshold)) {
            return false;
        }
    }
    return true;
}

/* ---- What linear algebra says */

#define PRIME 251
#define COLUMNS (SMALL + SMALL * SMALL) /* masks first: b by position, pairs; then inputs */
#define ROWS (3 * SMALL + SMALL * SMALL)

struct knowledge {
    uint32_t rows;
    uint8_t at[ROWS][COLUMNS + SMALL];
};

static uint32_t pair_column(uint32_t p, uint32_t q)
{
    return SMALL + (p < q ? p * SMALL + q : q * SMALL + p);
}

/* Uploads, and what t shares open. */
static void learn(const struct ring *ring, uint32_t threshold, struct knowledge *out)
{
    memset(out, 0, sizeof *out);
    const uint32_t linked = ring->alive | ring->lost;
    for (uint32_t p = 0; p < ring->n; p++) {
        if (!(linked >> p & 1)) {
            continue;
        }
        uint8_t *upload = out->at[out->rows++];
        upload[COLUMNS + p] = 1;
        upload[p] = 1;
        for (uint32_t q = 0; q < ring->n; q++) {
            if (ring->near[p] & linked & 1u << q) {
                upload[pair_column(p, q)] = p < q ? 1 : PRIME - 1;
                if (shares_of_s(ring, p) >= threshold) {
                    out->at[out->rows++][pair_column(p, q)] = 1;
                }
            }
        }
        if (shares_of_b(ring, p) >= threshold) {
            out->at[out->rows++][p] = 1;
        }
    }
}

static void subtract(uint8_t *row, const uint8_t *pivot, unsigned times)
{
    for (uint32_t c = 0; c < COLUMNS + SMALL; c++) {
        row[c] = (uint8_t)((row[c] + (PRIME - times) * pivot[c]) % PRIME);
    }
}

static unsigned inverse(unsigned value)
{
    unsigned power = 1;
    for (unsigned k = 0; k < PRIME - 2; k++) {
        power = power * value % PRIME;
    }
    return power;
}

/* Eliminates the masks; rows from the returned one on are equations of inputs alone. */
static uint32_t eliminate(struct knowledge *known)
{
    uint32_t done = 0;
    for (uint32_t c = 0; c < COLUMNS && done < known->rows; c++) {
        uint32_t pivot = done;
        while (pivot < known->rows && known->at[pivot][c] == 0) {
            pivot++;
        }
        if (pivot == known->rows) {
            continue;
        }
        uint8_t kept[COLUMNS + SMALL];
        memcpy(kept, known->at[pivot], sizeof kept);
        memcpy(known->at[pivot], known->at[done], sizeof kept);
        memcpy(known->at[done], kept, sizeof kept);
        for (uint32_t r = done + 1; r < known->rows; r++) {
            if (known->at[r][c] != 0) {
                subtract(known->at[r], kept, known->at[r][c] * inverse(kept[c]) % PRIME);
            }
        }
        done++;
    }
    return done;
}

/* Does any equation of inputs follow but multiples of the sum over all honest survivors? */
static bool more_than_the_sum(const struct ring *ring, uint32_t threshold)
{
    static struct knowledge known;
    learn(ring, threshold, &known);
    for (uint32_t r = eliminate(&known); r < known.rows; r++) {
        const uint8_t *inputs = known.at[r] + COLUMNS;
        const uint8_t factor = ring->alive == 0 ? 0 : inputs[__builtin_ctz(ring->alive)];
        for (uint32_t p = 0; p < ring->n; p++) {
            if (inputs[p] != (ring->alive >> p & 1 ? factor : 0)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- The tests */

/* Sets everybody by the digits of state: corrupt, alive, absent, lost. */
static void set_all(struct ring *ring, uint32_t state, uint32_t kinds)
{
    ring->corrupt = ring->alive = ring->lost = 0;
    for (uint32_t p = 0; p < ring->n; p++) {
        const uint32_t kind = state % kinds;
        state /= kinds;
        ring->corrupt |= (uint32_t)(kind == 0) << p;
        ring->alive |= (uint32_t)(kind == 1) << p;
        ring->lost |= (uint32_t)(kind == 3) << p;
    }
}

static uint32_t power(uint32_t base, uint32_t exponent)
{
    uint32_t value = 1;
    while (exponent-- > 0) {
        value *= base;
    }
    return value;
}

/* case 38. The parts of the ring say what linear algebra says, at and below the threshold, for
 * everybody in each of the four roles. */
static void parts_are_what_can_be_computed(void **state)
{
    (void)state;
    static const uint32_t shapes[][3] = {{4, 2, 1}, {5, 2, 1}, {6, 2, 1}, {8, 4, 13}};
    for (size_t s = 0; s < RN_ARRAY_LENGTH(shapes); s++) {
        struct ring ring;
        ring_init(&ring, shapes[s][0], shapes[s][1]);
        unsigned opened = 0;
        for (uint32_t k = 0; k < power(4, ring.n); k += shapes[s][2]) {
            set_all(&ring, k, 4);
            const uint32_t t = ring.degree / 2 + 2 + corrupt_in_an_arc(&ring);
            for (uint32_t threshold = t - 1; threshold <= t; threshold++) {
                const bool opens = some_part_opens(&ring, threshold);
                assert_int_equal(opens || !secrets_hold(&ring, threshold),
                                 more_than_the_sum(&ring, threshold));
                opened += opens;
            }
        }
        assert_true(opened > 0);
    }
}

/* case 38. Every corrupt set with every set of lost and of absent honest members. And no U3 that
 * honest members vote for has two parts, whoever would answer. */
static void whole_sum_or_nothing(void **state)
{
    (void)state;
    for (uint32_t n = 4; n <= 10; n++) {
        for (uint32_t degree = 2; degree <= n / 2; degree += 2) {
            struct ring ring;
            ring_init(&ring, n, degree);
            bool below = false;
            bool below_allowed = false;
            for (uint32_t k = 0; k < power(4, n); k++) {
                set_all(&ring, k, 4);
                const uint32_t t = degree / 2 + 2 + corrupt_in_an_arc(&ring);
                assert_false(some_part_opens(&ring, t));
                assert_true(secrets_hold(&ring, t));
                const bool one = part_of(&ring, ring.alive) == ring.alive;
                assert_true(one || !allowed(&ring, t));
                below = below || some_part_opens(&ring, t - 1);
                below_allowed = below_allowed || (!one && allowed(&ring, t - 1));
            }
            assert_true(below && below_allowed);
        }
    }
}

/* case 38. Larger rings, turned so that position 0 holds the first survivor after a gap of degree /
 * 2 positions without one: where there is no such gap there is one part. A member that is lost
 * opens nothing that it would not open if it were absent, so there are no lost ones here. By a,
 * too: one share fewer opens a part wherever the arcs leave room for a second part. */
static void whole_sum_or_nothing_on_larger_rings(void **state)
{
    (void)state;
    for (uint32_t n = 11; n <= SMALL; n++) {
        for (uint32_t degree = 2; degree <= n / 2; degree += 2) {
            struct ring ring;
            ring_init(&ring, n, degree);
            bool below[SMALL / 4 + 1] = {false};
            const uint32_t free = n - 1 - degree / 2;
            for (uint32_t k = 0; k < power(3, free) << degree / 2; k++) {
                set_all(&ring, k >> degree / 2, 3);
                const uint32_t gap = k & ((1u << degree / 2) - 1);
                ring.corrupt = (ring.corrupt & ((1u << free) - 1)) << 1 | gap << (free + 1);
                ring.alive = (ring.alive & ((1u << free) - 1)) << 1 | 1;
                const uint32_t a = corrupt_in_an_arc(&ring);
                assert_false(some_part_opens(&ring, degree / 2 + 2 + a));
                assert_true(secrets_hold(&ring, degree / 2 + 2 + a));
                below[a] = below[a] || some_part_opens(&ring, degree / 2 + 1 + a);
            }
            for (uint32_t a = 0; a <= degree / 2; a++) {
                assert_true(below[a]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_what_can_be_computed),
        cmocka_unit_test(whole_sum_or_nothing),
        cmocka_unit_test(whole_sum_or_nothing_on_larger_rings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
