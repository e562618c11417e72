/* SPDX-License-Identifier: Apache-2.0
 *
 * Which algorithm computes a product. A device that offers algorithms with every way of losing a
 * row's bits: none of them is taken, whatever the plan file says; where no other is offered the
 * shape is refused, and nothing is multiplied. Then the products of the device at hand: a row alone
 * has the bits that it has among others.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

#ifndef RN_CHECK_DEVICE
#include "base/file.h"
#include "trainer/kernels/cuda/cudachoice.h"

#include <unistd.h>

/* ---- a device of plain loops ---- */

enum { ROWS = 24 };

/* What an algorithm does to a row's sum; the number is its first byte. */
enum kind {
    GOOD,
    GOOD_BACKWARDS, /* another order, the same for every row */
    SPLIT_ALONE,    /* the sum in two parts when the row is alone */
    SPLIT_IN_ALL,   /* when all rows are there */
    BY_PLACE,       /* every fifth row backwards */
    AT_ONE_PLACE,   /* row 8 of many rows: no product of few has it there */
    BY_COMPANY,     /* backwards beside a row that begins with a negative number */
    UNSTABLE,       /* every third product backwards */
    FORGETS,        /* leaves the last column */
    REFUSES_ONE,    /* does not take one row */
    CANNOT,         /* says that it takes all, and fails */
    KINDS
};

struct fake {
    enum kind offers[RN_CUDA_CANDIDATES];
    int offered;
    float times[RN_CUDA_CANDIDATES + KINDS]; /* by kind */
    unsigned products, asked, timed;
};

static float value_of(const void *matrix, int64_t at, int wide)
{
    return wide ? ((const float *)matrix)[at] : rn_from_bf16(((const struct rn_bf16 *)matrix)[at]);
}

static float sum_of(const struct rn_port_product *p, int64_t row, int64_t n, int64_t from,
                    int64_t to, bool backwards)
{
    float sum = 0.0f;
    for (int64_t i = from; i < to; i++) {
        const int64_t k = backwards ? to - 1 - (i - from) : i;
        const int64_t at = p->by_rows ? n * p->ldb + k : k * p->ldb + n;
        sum = fmaf(value_of(p->a, row * p->lda + k, 0), value_of(p->b, at, 0), sum);
    }
    return sum;
}

static bool turns(const struct fake *f, enum kind kind, const struct rn_port_product *p,
                  int64_t row)
{
    const int64_t beside = row > 0 ? row - 1 : p->m - 1;
    return kind == GOOD_BACKWARDS || (kind == BY_PLACE && row % 5 == 4) ||
           (kind == AT_ONE_PLACE && row == 8 && p->m > 8) ||
           (kind == BY_COMPANY && value_of(p->a, beside * p->lda, 0) < 0.0f) ||
           (kind == UNSTABLE && f->products % 3 == 0);
}

static bool splits(enum kind kind, const struct rn_port_product *p)
{
    return (kind == SPLIT_ALONE && p->m == 1) || (kind == SPLIT_IN_ALL && p->m == ROWS);
}

static void store(const struct rn_port_product *p, int64_t row, int64_t n, float sum)
{
    sum += p->bias != NULL ? value_of(p->bias, n, p->wide) : 0.0f;
    sum += p->c != NULL ? value_of(p->c, row * p->ldc + n, p->wide) : 0.0f;
    if (p->wide) {
        ((float *)p->d)[row * p->ldd + n] = sum;
    } else {
        ((struct rn_bf16 *)p->d)[row * p->ldd + n] = rn_to_bf16(sum);
    }
}

static bool fake_multiply(void *context, const struct rn_port_product *p, const uint8_t *algorithm)
{
    struct fake *f = context;
    const enum kind kind = (enum kind)algorithm[0];
    f->products++;
    for (int64_t row = 0; row < p->m; row++) {
        const bool backwards = turns(f, kind, p, row);
        for (int64_t n = 0; n < p->n; n++) {
            if (kind == FORGETS && n == p->n - 1) {
                continue;
            }
            const int64_t middle = splits(kind, p) ? p->k / 2 + 1 : p->k;
            store(p, row, n,
                  sum_of(p, row, n, 0, middle, backwards) + sum_of(p, row, n, middle, p->k, false));
        }
    }
    return kind != CANNOT;
}

static bool fake_takes(void *context, const struct rn_port_product *p, const uint8_t *algorithm)
{
    (void)context;
    return algorithm[0] != REFUSES_ONE || p->m != 1;
}

static int fake_candidates(void *context, const struct rn_port_product *p,
                           uint8_t out[RN_CUDA_CANDIDATES][RN_CUDA_ALGORITHM_BYTES])
{
    struct fake *f = context;
    (void)p;
    f->asked++;
    for (int i = 0; i < f->offered; i++) {
        memset(out[i], 0, RN_CUDA_ALGORITHM_BYTES);
        out[i][0] = (uint8_t)f->offers[i];
    }
    return f->offered;
}

static float fake_time(void *context, const struct rn_port_product *p, const uint8_t *algorithm)
{
    struct fake *f = context;
    (void)p;
    f->timed++;
    return f->times[algorithm[0]];
}

static struct rn_cuda_engine engine_of(struct fake *f)
{
    return (struct rn_cuda_engine){f, ROWS, fake_candidates, fake_takes, fake_multiply, fake_time};
}

struct bench {
    struct rn_port *port;
    struct rn_cuda_choice *choice;
    struct fake fake;
};

static void open_bench(struct bench *b, const char *file)
{
    *b = (struct bench){.choice = rn_alloc(1, sizeof(*b->choice))};
    assert_true(rn_is_ok(rn_port_open(&b->port, NULL)));
    memcpy(b->choice->plans.owner, "a device", sizeof("a device"));
    rn_cuda_choice_open(b->choice, file);
}

static void close_bench(struct bench *b)
{
    rn_port_close(b->port);
    rn_free(b->choice);
}

static const int present = 1;
static const struct rn_port_product shapes[] = {
    {.n = 24, .k = 48, .by_rows = 1},
    {.n = 24, .k = 48, .by_rows = 1, .bias = &present},
    {.n = 8, .k = 32, .by_rows = 1, .bias = &present, .c = &present},
    {.n = 40, .k = 64, .c = &present},
    {.n = 16, .k = 72, .wide = 1, .bias = &present},
};

/* The kind that is taken when these are offered; -1 when the shape is refused. */
static int taken(struct bench *b, const struct rn_port_product *shape, bool recording)
{
    const struct rn_cuda_engine engine = engine_of(&b->fake);
    const uint8_t *algorithm = NULL;
    struct rn_error err = {{0}};
    const rn_result result =
        rn_cuda_choice_find(b->choice, b->port, &engine, shape, recording, &algorithm, &err);
    if (!rn_is_ok(result)) {
        assert_int_equal(result.code, recording ? RN_E_INTERNAL : RN_E_UNSUPPORTED);
        assert_non_null(strstr(err.text, "product"));
        return -1;
    }
    return algorithm[0];
}

static void offer(struct bench *b, int count, const enum kind *kinds)
{
    b->fake.offered = count;
    memcpy(b->fake.offers, kinds, (size_t)count * sizeof(*kinds));
}

static void one_that_keeps_the_bits_is_taken(void **state)
{
    (void)state;
    for (size_t s = 0; s < RN_ARRAY_LENGTH(shapes); s++) {
        for (enum kind kind = GOOD; kind <= GOOD_BACKWARDS; kind++) {
            struct bench b;
            open_bench(&b, NULL);
            offer(&b, 1, &kind);
            assert_int_equal(taken(&b, &shapes[s], false), kind);
            close_bench(&b);
        }
    }
}

/* Alone it is refused; before a good one it is passed over. */
static void one_that_loses_bits_is_never_taken(void **state)
{
    (void)state;
    for (size_t s = 0; s < RN_ARRAY_LENGTH(shapes); s++) {
        for (enum kind kind = SPLIT_ALONE; kind < KINDS; kind++) {
            const enum kind two[] = {kind, GOOD_BACKWARDS};
            for (int count = 1; count <= 2; count++) {
                struct bench b;
                open_bench(&b, NULL);
                offer(&b, count, two);
                if (taken(&b, &shapes[s], false) != (count == 2 ? (int)GOOD_BACKWARDS : -1)) {
                    fail_msg("shape %zu: an algorithm of kind %d passed", s, (int)kind);
                }
                close_bench(&b);
            }
        }
    }
}

static void no_algorithm_is_a_refusal(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, NULL);
    assert_int_equal(taken(&b, &shapes[0], false), -1);
    close_bench(&b);
}

/* Each shape by itself, once. */
static void a_shape_is_tried_once(void **state)
{
    (void)state;
    struct bench b;
    const enum kind good = GOOD, bad = BY_PLACE;
    open_bench(&b, NULL);
    for (size_t s = 0; s < RN_ARRAY_LENGTH(shapes); s++) {
        offer(&b, 1, s % 2 == 0 ? &good : &bad);
        unsigned products = 0;
        for (int again = 0; again < 3; again++) {
            assert_int_equal(taken(&b, &shapes[s], false), s % 2 == 0 ? (int)GOOD : -1);
            assert_int_equal(b.fake.asked, s + 1);
            products = again == 0 ? b.fake.products : products;
            assert_int_equal(b.fake.products, products);
        }
    }
    const unsigned products = b.fake.products;
    assert_int_equal(taken(&b, &shapes[0], true), GOOD); /* known: also while recording */
    assert_int_equal(b.fake.products, products);
    close_bench(&b);
}

static void nothing_is_tried_while_recording(void **state)
{
    (void)state;
    struct bench b;
    const enum kind good = GOOD;
    open_bench(&b, NULL);
    offer(&b, 1, &good);
    assert_int_equal(taken(&b, &shapes[0], true), -1);
    assert_int_equal(b.fake.products, 0);
    assert_int_equal(taken(&b, &shapes[0], false), GOOD);
    close_bench(&b);
}

/* ---- with a file ---- */

static char folder[] = "/tmp/rondo-products-XXXXXX";
static char path[RN_PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || !rn_text_format(path, sizeof(path), "%s/plans", folder);
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

/* The fastest of those that pass, not the fastest; the next process takes it without timing. */
static void the_fastest_that_passes_is_kept(void **state)
{
    (void)state;
    static const enum kind kinds[] = {GOOD, BY_PLACE, GOOD_BACKWARDS};
    struct bench b;
    open_bench(&b, path);
    offer(&b, 3, kinds);
    b.fake.times[GOOD] = 3.0f;
    b.fake.times[BY_PLACE] = 1.0f;
    b.fake.times[GOOD_BACKWARDS] = 2.0f;
    assert_int_equal(taken(&b, &shapes[0], false), GOOD_BACKWARDS);
    assert_int_equal(b.fake.timed, 2);
    close_bench(&b);
    open_bench(&b, path);
    assert_int_equal(taken(&b, &shapes[0], false), GOOD_BACKWARDS);
    assert_true(b.fake.products > 0); /* tried again: this is another process */
    assert_int_equal(b.fake.asked + b.fake.timed, 0);
    close_bench(&b);
}

/* One that cannot be timed is not taken. */
static void a_negative_time_is_none(void **state)
{
    (void)state;
    static const enum kind kinds[] = {GOOD, GOOD_BACKWARDS};
    struct bench b;
    (void)unlink(path);
    open_bench(&b, path);
    offer(&b, 2, kinds);
    b.fake.times[GOOD] = -1.0f;
    b.fake.times[GOOD_BACKWARDS] = 9.0f;
    assert_int_equal(taken(&b, &shapes[0], false), GOOD_BACKWARDS);
    close_bench(&b);
}

/* A file whose algorithm loses bits here is worth nothing; a refusal is not written. */
static void a_plan_of_the_file_is_tried(void **state)
{
    (void)state;
    const enum kind good = GOOD, bad = SPLIT_ALONE;
    struct bench b;
    uint8_t algorithm[RN_CUDA_ALGORITHM_BYTES] = {SPLIT_ALONE};
    struct rn_cuda_plan_key key = {.rows = ROWS, .n = 24, .k = 48, .exact = 1, .by_rows = 1};
    (void)unlink(path);
    open_bench(&b, path);
    (void)rn_cuda_plans_put(&b.choice->plans, &key, algorithm);
    assert_true(rn_is_ok(rn_cuda_plans_save(&b.choice->plans, path, NULL)));
    close_bench(&b);
    for (int offers = 0; offers < 2; offers++) {
        open_bench(&b, path);
        assert_int_equal(b.choice->plans.count, 1);
        offer(&b, 1, offers == 0 ? &bad : &good);
        assert_int_equal(taken(&b, &shapes[0], false), offers == 0 ? -1 : (int)GOOD);
        if (offers == 0) {
            assert_int_equal(taken(&b, &shapes[1], false), -1);
            assert_true(rn_is_ok(rn_cuda_plans_save(&b.choice->plans, path, NULL)));
            assert_true(rn_cuda_plans_load(&b.choice->plans, path));
            assert_int_equal(b.choice->plans.count, 0);
            (void)rn_cuda_plans_put(&b.choice->plans, &key, algorithm);
            assert_true(rn_is_ok(rn_cuda_plans_save(&b.choice->plans, path, NULL)));
        }
        close_bench(&b);
    }
}
#endif

/* ---- the device at hand ---- */

struct alone {
    struct rn_weight *weight;
    struct check_pair x, residual, y;
    const float *bias;
    bool back;
};

static void multiply(const struct rn_kernels *k, struct rn_lane *lane, struct alone *p,
                     uint32_t first, uint32_t count, struct rn_mat y)
{
    struct rn_epilogue e = {.bias = p->bias};
    if (p->residual.cuda.data != NULL) {
        e.residual = rn_mat_rows(p->residual.cuda, first, count);
    }
    const struct rn_mat x = rn_mat_rows(p->x.cuda, first, count);
    (p->back ? k->linear_back : k->linear)(lane, p->weight, x, &e, y);
}

static void a_row_alone(const struct rn_kernels *k, struct rn_device *device, struct rn_lane *lane,
                        uint32_t n, uint32_t depth, int kind)
{
    enum { MANY = 131 };
    static const uint32_t counts[] = {1, 2, 8, 64, 130};
    float *w = check_floats((size_t)n * depth, 0.2f, 0.0f), *bias = check_floats(n, 1.0f, 0.0f);
    struct alone p = {.back = kind == 3};
    const uint32_t in = p.back ? n : depth, out = p.back ? depth : n;
    assert_true(rn_is_ok(k->weight_new(device, w, n, depth, &p.weight, NULL)));
    p.x = check_filled(MANY, in, 1.0f);
    p.residual = kind >= 2 ? check_filled(MANY, out, 1e-3f) : (struct check_pair){0};
    p.bias = kind == 1 || kind == 2 ? bias : NULL;
    const struct check_pair all = check_empty(MANY, out), some = check_empty(MANY, out);
    multiply(k, lane, &p, 0, MANY, all.cuda);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(counts); i++) {
        const uint32_t first = MANY - counts[i];
        multiply(k, lane, &p, first, counts[i], rn_mat_rows(some.cuda, 0, counts[i]));
        assert_true(rn_is_ok(k->sync(lane, NULL)));
        assert_memory_equal(some.cuda.data, rn_mat_rows(all.cuda, first, counts[i]).data,
                            (size_t)counts[i] * out * sizeof(struct rn_bf16));
    }
    k->weight_free(device, p.weight);
    check_free(p.x);
    check_free(p.residual);
    check_free(all);
    check_free(some);
    check_release(w);
    check_release(bias);
}

static void a_row_keeps_its_bits_in_company(void **state)
{
    (void)state;
    const struct rn_kernels *k = rn_kernels_cuda_table();
    struct rn_device *device = NULL;
    struct rn_lane *lane = NULL;
    assert_true(rn_is_ok(k->device_open(&device, NULL)));
    assert_true(rn_is_ok(k->lane_new(device, &check_limits, &lane, NULL)));
    for (int kind = 0; kind < 4; kind++) {
        a_row_alone(k, device, lane, 64, 96, kind);
        a_row_alone(k, device, lane, 96, 32, kind);
    }
    k->lane_free(lane);
    k->device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_keeps_its_bits_in_company),
#ifndef RN_CHECK_DEVICE
        cmocka_unit_test(one_that_keeps_the_bits_is_taken),
        cmocka_unit_test(one_that_loses_bits_is_never_taken),
        cmocka_unit_test(no_algorithm_is_a_refusal),
        cmocka_unit_test(a_shape_is_tried_once),
        cmocka_unit_test(nothing_is_tried_while_recording),
        cmocka_unit_test_setup_teardown(the_fastest_that_passes_is_kept, make_folder, NULL),
        cmocka_unit_test(a_negative_time_is_none),
        cmocka_unit_test_setup_teardown(a_plan_of_the_file_is_tried, NULL, remove_folder),
#endif
    };
    return check_main("products", tests, RN_ARRAY_LENGTH(tests));
}
