/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded passes: a replay leaves the bits that issuing leaves, whatever the device memory holds
 * by then; another key, released memory and too many keys are recorded anew; a key that does not
 * say all is found out. The host version replays what it recorded, with the arguments as they were.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"
#include "base/result.h"

enum { ROWS = 24, COLS = 64, RANK = 4 };

struct bench {
    const struct rn_kernels *k;
    struct rn_device *device;
    struct rn_lane *lane;
    struct rn_weight *weight;
    struct check_pair x, h, y, z, stats;
    float *a, *b, *gamma, *sum;
    float factor;
};

static void open_bench(struct bench *b, const char *mode)
{
    float *w = check_floats(COLS * COLS, 0.2f, 0.0f);
    if (mode != NULL) {
        assert_int_equal(setenv("RONDO_CUDA_GRAPHS", mode, 1), 0);
    } else {
        assert_int_equal(unsetenv("RONDO_CUDA_GRAPHS"), 0);
    }
    *b = (struct bench){.k = rn_kernels_cuda_table(), .factor = 0.5f};
    assert_true(rn_is_ok(b->k->device_open(&b->device, NULL)));
    assert_true(rn_is_ok(b->k->lane_new(b->device, &check_limits, &b->lane, NULL)));
    assert_true(rn_is_ok(b->k->weight_new(b->device, w, COLS, COLS, &b->weight, NULL)));
    b->x = check_filled(ROWS, COLS, 1.0f);
    b->h = check_narrow(ROWS, RANK);
    b->y = check_empty(ROWS, COLS);
    b->z = check_empty(ROWS, COLS);
    b->stats = check_narrow(ROWS, 2);
    b->a = check_floats(RANK * COLS, 1.0f, 0.0f);
    b->b = check_floats(RANK * COLS, 1.0f, 0.0f);
    b->gamma = check_floats(COLS, 0.1f, 1.0f);
    b->sum = check_floats(COLS, 1.0f, 0.0f);
    check_release(w);
}

static void close_bench(struct bench *b)
{
    b->k->weight_free(b->device, b->weight);
    b->k->lane_free(b->lane);
    b->k->device_close(b->device);
    check_free(b->x);
    check_free(b->h);
    check_free(b->y);
    check_free(b->z);
    check_free(b->stats);
    check_release(b->a);
    check_release(b->b);
    check_release(b->gamma);
    check_release(b->sum);
    assert_int_equal(unsetenv("RONDO_CUDA_GRAPHS"), 0);
}

static void must_sync(struct bench *b)
{
    struct rn_error err;
    if (!rn_is_ok(b->k->sync(b->lane, &err))) {
        fail_msg("%s", err.text);
    }
}

/* A little of everything: kernels, a product, zeroed memory that is then added to. */
static void operations(struct bench *b, uint32_t rows)
{
    const struct rn_mat x = rn_mat_rows(b->x.cuda, 0, rows), h = rn_mat_rows(b->h.cuda, 0, rows);
    const struct rn_mat y = rn_mat_rows(b->y.cuda, 0, rows), z = rn_mat_rows(b->z.cuda, 0, rows);
    const struct rn_epilogue e = {.rank_h = h, .rank_b = b->b, .bias = b->gamma, .residual = x};
    b->k->zero(b->lane, b->sum, COLS * sizeof(float));
    b->k->thin(b->lane, x, b->a, h);
    b->k->linear(b->lane, b->weight, x, &e, y);
    b->k->norm(b->lane, y, b->gamma, b->gamma, 1e-5f, z, rn_mat_rows(b->stats.cuda, 0, rows));
    b->k->column_sum(b->lane, z, b->sum);
    b->k->vector_scale(b->lane, COLS, b->factor, b->sum);
}

/* The operations under a key; true when they came from the record. */
static bool pass(struct bench *b, uint32_t key, uint32_t rows)
{
    const uint32_t bytes[4] = {key, 7, 7, 7};
    const bool replayed = b->k->graph_begin(b->lane, bytes, sizeof(bytes));
    if (!replayed) {
        operations(b, rows);
        b->k->graph_end(b->lane);
    }
    must_sync(b);
    return replayed;
}

static void new_contents(struct bench *b)
{
    check_fill(b->x, 1.0f, 0.1f);
    for (size_t i = 0; i < RANK * COLS; i++) {
        b->a[i] = check_random();
        b->b[i] = check_random();
    }
    memset(b->y.cuda.data, 0xff, ROWS * COLS * 2);
    memset(b->z.cuda.data, 0xff, ROWS * COLS * 2);
    memset(b->h.cuda.data, 0xff, ROWS * RANK * sizeof(float));
}

struct bits {
    uint8_t y[ROWS * COLS * 2], z[ROWS * COLS * 2], h[ROWS * RANK * 4], sum[COLS * 4];
};

static void keep(const struct bench *b, struct bits *out)
{
    memcpy(out->y, b->y.cuda.data, sizeof(out->y));
    memcpy(out->z, b->z.cuda.data, sizeof(out->z));
    memcpy(out->h, b->h.cuda.data, sizeof(out->h));
    memcpy(out->sum, b->sum, sizeof(out->sum));
}

/* What the key gave, against the same operations issued, from the same contents. */
static void same_as_issued(struct bench *b, uint32_t rows)
{
    static struct bits got, wanted;
    keep(b, &got);
    memset(b->y.cuda.data, 0xff, ROWS * COLS * 2);
    memset(b->z.cuda.data, 0xff, ROWS * COLS * 2);
    memset(b->h.cuda.data, 0xff, ROWS * RANK * sizeof(float));
    operations(b, rows);
    must_sync(b);
    keep(b, &wanted);
    assert_memory_equal(&got, &wanted, sizeof(got));
}

static void replayed_equals_issued(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, NULL);
    for (int round = 0; round < 6; round++) {
        new_contents(&b);
        assert_int_equal(pass(&b, 1, ROWS), round >= 2); /* run, recorded, replayed */
        same_as_issued(&b, ROWS);
        new_contents(&b);
        assert_int_equal(pass(&b, 2, 10), round >= 2); /* another shape, another key */
        same_as_issued(&b, 10);
    }
    close_bench(&b);
}

/* Rows may be rounded up: what lies beyond changes no other row's bits. */
static void rows_beyond_change_nothing(void **state)
{
    (void)state;
    struct bench b;
    uint8_t rows[13 * COLS * 2];
    open_bench(&b, NULL);
    operations(&b, 13);
    must_sync(&b);
    memcpy(rows, b.z.cuda.data, sizeof(rows));
    for (size_t i = 13; i < ROWS; i++) {
        for (size_t c = 0; c < COLS; c++) {
            check_set(b.x, i, c, i % 2 == 0 ? NAN : INFINITY);
        }
    }
    for (int round = 0; round < 3; round++) {
        (void)pass(&b, 1, ROWS);
        assert_memory_equal(rows, b.z.cuda.data, sizeof(rows));
    }
    close_bench(&b);
}

/* Keys of one length that differ in one byte, and of another length. */
static void keys_are_compared_whole(void **state)
{
    (void)state;
    struct bench b;
    uint8_t key[RN_GRAPH_KEY_MAX] = {0};
    open_bench(&b, NULL);
    for (int round = 0; round < 3; round++) {
        for (size_t length = RN_GRAPH_KEY_MAX - 1; length <= RN_GRAPH_KEY_MAX; length++) {
            for (uint8_t last = 0; last < 2; last++) {
                key[length - 1] = last;
                const bool replayed = b.k->graph_begin(b.lane, key, length);
                assert_int_equal(replayed, round == 2);
                if (!replayed) {
                    operations(&b, ROWS);
                    b.k->graph_end(b.lane);
                }
                key[length - 1] = 0;
            }
        }
    }
    must_sync(&b);
    close_bench(&b);
}

static void released_memory_ends_a_record(void **state)
{
    (void)state;
    struct bench b;
    void *memory = NULL;
    open_bench(&b, NULL);
    assert_true(rn_is_ok(b.k->memory_new(b.device, 64, &memory, NULL)));
    assert_false(pass(&b, 1, ROWS));
    assert_false(pass(&b, 1, ROWS));
    assert_true(pass(&b, 1, ROWS));
    b.k->memory_free(b.device, NULL); /* nothing */
    assert_true(pass(&b, 1, ROWS));
    b.k->memory_free(b.device, memory);
    assert_false(pass(&b, 1, ROWS)); /* recorded anew */
    assert_true(pass(&b, 1, ROWS));
    same_as_issued(&b, ROWS);
    close_bench(&b);
}

/* At the limit every key stays; one more takes the place of the one longest unused. */
static void keys_make_room(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, NULL);
    for (int round = 0; round < 3; round++) {
        for (uint32_t key = 0; key < RN_CUDA_GRAPHS_MAX; key++) {
            assert_int_equal(pass(&b, key, 3), round == 2);
        }
    }
    assert_true(pass(&b, 0, 3));
    assert_false(pass(&b, RN_CUDA_GRAPHS_MAX, 3)); /* instead of key 1 */
    assert_true(pass(&b, 0, 3));
    assert_true(pass(&b, 2, 3));
    assert_false(pass(&b, 1, 3));
    close_bench(&b);
}

static void nothing_is_recorded_when_off(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, "off");
    for (int round = 0; round < 4; round++) {
        assert_false(pass(&b, 1, ROWS));
    }
    same_as_issued(&b, ROWS);
    close_bench(&b);
}

/* With =check every operation is issued; other arguments, fewer or more operations under the same
 * key fail the next sync. */
static void a_key_that_does_not_say_all_is_found(void **state)
{
    (void)state;
    struct bench b;
    for (int fault = 0; fault < 4; fault++) {
        const uint32_t key = 5;
        open_bench(&b, "check");
        for (int round = 0; round < 3; round++) {
            assert_false(pass(&b, key, ROWS));
            same_as_issued(&b, ROWS);
        }
        assert_false(b.k->graph_begin(b.lane, &key, sizeof(key))); /* a key of its own */
        operations(&b, ROWS);
        b.k->graph_end(b.lane);
        must_sync(&b);
        b.factor = fault == 1 ? 0.25f : 0.5f;
        assert_false(b.k->graph_begin(b.lane, &key, sizeof(key)));
        operations(&b, fault == 2 ? ROWS - 1 : ROWS);
        if (fault == 3) {
            b.k->zero(b.lane, b.sum, 4);
        }
        b.k->graph_end(b.lane);
        assert_int_equal(rn_is_ok(b.k->sync(b.lane, NULL)), fault == 0);
        close_bench(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_equals_issued),
        cmocka_unit_test(rows_beyond_change_nothing),
        cmocka_unit_test(keys_are_compared_whole),
        cmocka_unit_test(released_memory_ends_a_record),
        cmocka_unit_test(keys_make_room),
        cmocka_unit_test(nothing_is_recorded_when_off),
        cmocka_unit_test(a_key_that_does_not_say_all_is_found),
    };
    return check_main("graph", tests, RN_ARRAY_LENGTH(tests));
}
