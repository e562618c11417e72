/* SPDX-License-Identifier: Apache-2.0
 *
 * case 22. What a coordinator and n_c members together can compute, as linear algebra over a small
 * prime field: unknowns are the honest inputs and masks, rows are what they see. For every set of
 * colluders, of uploads and of survivors that the rules allow, all that follows about the honest
 * inputs is the sum over the honest survivors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "crypto/maskkey.h"

#define P 101u /* a field; that masks are uniform in it is all that counts */
#define N 6u
#define PAIRS (N * (N - 1) / 2)
/* Masks first: eliminated from the left, what is left speaks of inputs alone. */
#define MASKS (N + PAIRS)
#define COLUMNS (MASKS + N)
#define ROWS (3 * N + 2 * PAIRS)

struct view {
    uint32_t rows[ROWS][COLUMNS];
    uint32_t count;
};

struct world {
    uint32_t n;
    uint32_t colluders, uploads, survivors; /* bits */
    bool both;                              /* a fault: a lost member's self mask is opened too */
};

static uint32_t self_column(uint32_t i)
{
    return i;
}

static uint32_t input_column(uint32_t i)
{
    return MASKS + i;
}

static uint32_t pair_column(uint32_t i, uint32_t k)
{
    const uint32_t low = i < k ? i : k;
    const uint32_t high = i < k ? k : i;
    return N + high * (high - 1) / 2 + low;
}

static bool in(uint32_t set, uint32_t i)
{
    return (set >> i & 1) != 0;
}

static void knows(struct view *view, uint32_t column)
{
    view->rows[view->count++][column] = 1;
}

/* The masked input of member i: its input, its self mask, and a pair mask with every other upload,
 * with the sign of the code. */
static void sees_upload(struct view *view, const struct world *world, uint32_t i)
{
    uint32_t *row = view->rows[view->count++];
    row[input_column(i)] = 1;
    row[self_column(i)] = 1;
    for (uint32_t k = 0; k < world->n; k++) {
        if (k != i && in(world->uploads, k)) {
            row[pair_column(i, k)] = rn_mask_sign(i, k) > 0 ? 1 : P - 1;
        }
    }
}

static void knows_pairs_of(struct view *view, const struct world *world, uint32_t i)
{
    for (uint32_t k = 0; k < world->n; k++) {
        if (k != i) {
            knows(view, pair_column(i, k));
        }
    }
}

static void look(const struct world *world, struct view *view)
{
    memset(view, 0, sizeof(*view));
    for (uint32_t i = 0; i < world->n; i++) {
        const bool lost = in(world->uploads, i) && !in(world->survivors, i);
        if (in(world->uploads, i)) {
            sees_upload(view, world, i); /* a lost one's may have come late */
        }
        if (in(world->colluders, i)) {
            knows(view, input_column(i));
        }
        if (in(world->colluders, i) || in(world->survivors, i) || (lost && world->both)) {
            knows(view, self_column(i));
        }
        if (in(world->colluders, i) || lost) {
            knows_pairs_of(view, world, i);
        }
    }
}

static uint32_t inverse(uint32_t a)
{
    uint32_t power = 1;
    for (uint32_t i = 0; i < P - 2; i++) {
        power = power * a % P;
    }
    return power;
}

static void swap_rows(struct view *view, uint32_t a, uint32_t b)
{
    uint32_t row[COLUMNS];
    memcpy(row, view->rows[a], sizeof(row));
    memcpy(view->rows[a], view->rows[b], sizeof(row));
    memcpy(view->rows[b], row, sizeof(row));
}

static void eliminate(struct view *view, uint32_t pivot, uint32_t column)
{
    const uint32_t scale = inverse(view->rows[pivot][column]);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        view->rows[pivot][c] = view->rows[pivot][c] * scale % P;
    }
    for (uint32_t r = 0; r < view->count; r++) {
        const uint32_t factor = view->rows[r][column];
        for (uint32_t c = 0; c < COLUMNS && r != pivot && factor != 0; c++) {
            view->rows[r][c] = (view->rows[r][c] + (P - factor) * view->rows[pivot][c]) % P;
        }
    }
}

/* Reduced row echelon form; returns the first row whose masks are all 0. */
static uint32_t reduce(struct view *view, uint32_t *out_rank)
{
    uint32_t rank = 0;
    uint32_t first = 0;
    for (uint32_t column = 0; column < COLUMNS; column++) {
        first = column == MASKS ? rank : first;
        uint32_t r = rank;
        while (r < view->count && view->rows[r][column] == 0) {
            r++;
        }
        if (r < view->count) {
            swap_rows(view, rank, r);
            eliminate(view, rank, column);
            rank++;
        }
    }
    *out_rank = rank;
    return first;
}

/* What of the honest inputs follows: rows beyond the colluders' own inputs. */
static uint32_t honest_rows(const struct world *world, struct view *view, uint32_t *out_row)
{
    uint32_t rank = 0;
    uint32_t count = 0;
    look(world, view);
    for (uint32_t r = reduce(view, &rank); r < rank; r++) {
        bool honest = false;
        for (uint32_t i = 0; i < world->n; i++) {
            honest |= !in(world->colluders, i) && view->rows[r][input_column(i)] != 0;
        }
        count += honest;
        *out_row = honest ? r : *out_row;
    }
    return count;
}

static uint32_t honest_survivors(const struct world *world)
{
    return world->survivors & ~world->colluders;
}

static void check_only_the_sum(const struct world *world)
{
    static struct view view;
    uint32_t row = 0;
    assert_int_equal(honest_rows(world, &view, &row), 1);
    for (uint32_t i = 0; i < world->n; i++) {
        if (!in(world->colluders, i)) {
            assert_int_equal(view.rows[row][input_column(i)], in(honest_survivors(world), i));
        }
    }
}

/* Every colluder set of n_c, every upload set, every set of survivors with h_min honest ones. */
static uint32_t for_all(uint32_t n, uint32_t colluding, void (*check)(const struct world *))
{
    uint32_t worlds = 0;
    const uint32_t all = (1u << n) - 1;
    for (uint32_t c = 0; c <= all; c++) {
        for (uint32_t u = 0; u <= all && (uint32_t)__builtin_popcount(c) == colluding; u++) {
            for (uint32_t s = u; s != 0; s = (s - 1) & u) {
                const struct world world = {.n = n, .colluders = c, .uploads = u, .survivors = s};
                if ((uint32_t)__builtin_popcount(s) >= colluding + 2) {
                    check(&world);
                    worlds++;
                }
            }
        }
    }
    return worlds;
}

/* case 22 */
static void test_nothing_but_the_sum(void **state)
{
    (void)state;
    assert_int_equal(for_all(3, 1, check_only_the_sum), 3);
    assert_true(for_all(4, 1, check_only_the_sum) > 30);
    assert_true(for_all(5, 2, check_only_the_sum) > 50);
    assert_true(for_all(6, 1, check_only_the_sum) > 1000);
    assert_true(for_all(6, 3, check_only_the_sum) > 100);
}

/* case 22. The test sees what it must: both masks of one member opened show its input ... */
static void test_both_masks_show_an_input(void **state)
{
    (void)state;
    static struct view view;
    const struct world world = {
        .n = 5, .colluders = 1, .uploads = 31, .survivors = 15, .both = true};
    uint32_t row = 0;
    assert_int_equal(honest_rows(&world, &view, &row), 2);
}

/* case 22. ... and so does a sum with one honest contributor. */
static void test_one_honest_survivor_is_bare(void **state)
{
    (void)state;
    static struct view view;
    const struct world world = {.n = 4, .colluders = 6, .uploads = 15, .survivors = 14};
    uint32_t row = 0;
    assert_int_equal(honest_rows(&world, &view, &row), 1);
    assert_int_equal(view.rows[row][input_column(3)], 1);
    assert_int_equal(view.rows[row][input_column(0)], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_but_the_sum),
        cmocka_unit_test(test_both_masks_show_an_input),
        cmocka_unit_test(test_one_honest_survivor_is_bare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
