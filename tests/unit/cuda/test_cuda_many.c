/* SPDX-License-Identifier: Apache-2.0
 *
 * Several operations in one leave what they leave one by one, bit for bit: an upload of many parts,
 * every site's transpose, a whole step of the optimiser, issued and recorded.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

struct bench {
    const struct rn_kernels *k;
    struct rn_kernels single; /* the same table without them */
    struct rn_device *device;
    struct rn_lane *lane;
};

static void open_bench(struct bench *b)
{
    *b = (struct bench){.k = rn_kernels_cuda_table()};
    b->single = *b->k;
    b->single.upload_many = NULL;
    b->single.thin_transposes = NULL;
    b->single.update = NULL;
    assert_non_null(b->k->upload_many);
    assert_non_null(b->k->thin_transposes);
    assert_non_null(b->k->update);
    assert_true(rn_is_ok(b->k->device_open(&b->device, NULL)));
    assert_true(rn_is_ok(b->k->lane_new(b->device, &check_limits, &b->lane, NULL)));
}

static void close_bench(struct bench *b)
{
    struct rn_error err;
    if (!rn_is_ok(b->k->sync(b->lane, &err))) {
        fail_msg("%s", err.text);
    }
    b->k->lane_free(b->lane);
    b->k->device_close(b->device);
}

/* ---- uploads ---- */

enum { WORDS = 4 * 512 + 5 * 64 + 2 }; /* most that go together with check_limits */

/* Parts of these sizes, twice with other contents and without a wait between; what the host holds
 * changes as soon as they return. Nothing is written beside them. */
static void send(const uint32_t *bytes, size_t count)
{
    enum { ROUNDS = 2, BETWEEN = 16 };
    struct bench b;
    struct rn_upload parts[ROUNDS][20];
    uint8_t *wanted[ROUNDS][20];
    open_bench(&b);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            uint8_t *host = rn_alloc(bytes[i] + 1, 1), *to = check_memory(bytes[i] + BETWEEN, 1);
            wanted[round][i] = rn_alloc(bytes[i] + 1, 1);
            for (size_t j = 0; j < bytes[i]; j++) {
                host[j] = wanted[round][i][j] =
                    (uint8_t)(1 + (j * 7 + i * 31 + (size_t)round * 101) % 255);
            }
            parts[round][i] = (struct rn_upload){to, host, bytes[i]};
        }
        rn_kernels_upload(b.k, b.lane, parts[round], count);
        for (size_t i = 0; i < count; i++) {
            memset((void *)(uintptr_t)parts[round][i].from_host, 0, bytes[i]);
        }
    }
    assert_true(rn_is_ok(b.k->sync(b.lane, NULL)));
    static const uint8_t zeros[BETWEEN] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            uint8_t *to = parts[round][i].to_device;
            assert_memory_equal(to, wanted[round][i], bytes[i]);
            assert_memory_equal(to + bytes[i], zeros, BETWEEN);
            rn_free((void *)(uintptr_t)parts[round][i].from_host);
            rn_free(wanted[round][i]);
            check_release(to);
        }
    }
    close_bench(&b);
}

static void an_upload_of_many_parts(void **state)
{
    (void)state;
    static const uint32_t few[] = {2048, 2048, 4, 0, 1028, 256};
    static const uint32_t most[] = {4 * (WORDS - 3), 4, 8};
    static const uint32_t too_long[] = {4 * (WORDS - 3), 4, 12}; /* one by one */
    static const uint32_t odd[] = {12, 7, 8};
    uint32_t many[17];
    send(few, RN_ARRAY_LENGTH(few));
    send(most, RN_ARRAY_LENGTH(most));
    send(too_long, RN_ARRAY_LENGTH(too_long));
    send(odd, RN_ARRAY_LENGTH(odd));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(many); i++) {
        many[i] = 4 * (uint32_t)(i + 1);
    }
    send(many, RN_CUDA_PARTS);
    send(many, RN_CUDA_PARTS + 1);
}

/* ---- transposes ---- */

struct sites {
    struct rn_transpose sites[RN_CUDA_SITES + 1];
    size_t count, b_count, out_count;
    uint32_t rank;
    float *b, *out;
    bool single;
};

static void transposes(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    struct sites *s = context;
    struct rn_kernels k = *kernels;
    if (s->single) {
        k.thin_transposes = NULL;
    }
    rn_kernels_thin_transposes(&k, lane, s->sites, s->count, s->rank, 0.25f, s->b, s->out);
}

/* Sites of different widths, not in the order of the vectors, with gaps that stay as they were. */
static void every_site(size_t count, uint32_t rank)
{
    static const uint32_t widths[] = {24, 300, 8, 257, 64};
    struct sites s = {.count = count, .rank = rank};
    for (size_t i = 0; i < count; i++) {
        const uint32_t n = widths[i % RN_ARRAY_LENGTH(widths)];
        s.sites[count - 1 - i] = (struct rn_transpose){s.b_count + 3, s.out_count + 5, n};
        s.b_count += n * rank + 3;
        s.out_count += n * rank + 5;
    }
    s.b = check_floats(s.b_count, 1.0f, 0.0f);
    s.out = check_memory(s.out_count, sizeof(float));
    float *wanted = rn_alloc(s.out_count, sizeof(float));
    const struct check_out out = {s.out, s.out_count * sizeof(float), NULL};
    s.single = true;
    memset(s.out, 0xff, out.bytes);
    check_run(rn_kernels_cuda_table(), transposes, &s);
    memcpy(wanted, s.out, out.bytes);
    s.single = false;
    check_orders(transposes, &s, &out, 1);
    assert_memory_equal(wanted, s.out, out.bytes);
    rn_free(wanted);
    check_release(s.b);
    check_release(s.out);
}

static void every_site_in_one_launch(void **state)
{
    (void)state;
    every_site(1, 4);
    every_site(7, 5);
    every_site(RN_CUDA_SITES, 2); /* at the limit of one launch, and one more */
    every_site(RN_CUDA_SITES + 1, 2);
}

/* ---- the optimiser ---- */

enum {
    LAST = 2 * RN_CUDA_SQUARE_STRETCH + 300,
    SIZE = 4 * RN_CUDA_SQUARE_STRETCH + 700,
    STEPS = 4
};

/* Values, moments and gradient of two copies. */
struct vectors {
    float *g, *p, *m, *v;
};

static struct vectors make_vectors(uint64_t seed)
{
    *check_state() = seed;
    return (struct vectors){.g = check_floats(SIZE, 1.0f, 0.0f),
                            .p = check_floats(SIZE, 1.0f, 0.0f),
                            .m = check_floats(SIZE, 0.1f, 0.0f),
                            .v = check_floats(SIZE, 0.1f, 0.2f)};
}

static void clear_vectors(struct vectors *v)
{
    check_release(v->g);
    check_release(v->p);
    check_release(v->m);
    check_release(v->v);
}

/* Ranges: of several parts, empty, of several parts again; what lies between belongs to none. */
static struct rn_update update_of(const struct vectors *v, bool adamw, double clip, uint32_t step)
{
    const float lr = 1e-2f / (float)(step + 1);
    return (struct rn_update){.gradient = v->g,
                              .values = v->p,
                              .moment1 = adamw ? v->m : NULL,
                              .moment2 = adamw ? v->v : NULL,
                              .ranges = {{1, 2 * RN_CUDA_SQUARE_STRETCH + 77, lr},
                                         {2 * RN_CUDA_SQUARE_STRETCH + 90, 0, lr},
                                         {2 * RN_CUDA_SQUARE_STRETCH + 100, LAST, 3.0f * lr}},
                              .range_count = 3,
                              .clip = clip,
                              .optimizer = {.beta1 = 0.9f,
                                            .beta2 = 0.999f,
                                            .eps = 1e-8f,
                                            .weight_decay = 0.05f,
                                            .correction1 = 1.0 - pow(0.9, step + 1.0),
                                            .correction2 = 1.0 - pow(0.999, step + 1.0)}};
}

static void same_vectors(const struct vectors *a, const struct vectors *b)
{
    assert_memory_equal(a->p, b->p, SIZE * sizeof(float));
    assert_memory_equal(a->m, b->m, SIZE * sizeof(float));
    assert_memory_equal(a->v, b->v, SIZE * sizeof(float));
}

/* Some steps by one operation, against the operations. */
static void steps_are_the_same(const char *mode, bool adamw, double clip)
{
    struct bench b;
    assert_int_equal(setenv("RONDO_CUDA_GRAPHS", mode, 1), 0);
    open_bench(&b);
    struct vectors one = make_vectors(11), many = make_vectors(11);
    for (uint32_t step = 0; step < STEPS; step++) {
        float *fresh = check_floats(SIZE, 0.3f + (float)step, 0.0f);
        memcpy(one.g, fresh, SIZE * sizeof(float));
        memcpy(many.g, fresh, SIZE * sizeof(float));
        check_release(fresh);
        const struct rn_update by_one = update_of(&one, adamw, clip, step);
        const struct rn_update by_many = update_of(&many, adamw, clip, step);
        const double square = rn_kernels_update(b.k, b.lane, &by_one);
        const double wanted = rn_kernels_update(&b.single, b.lane, &by_many);
        assert_true(rn_is_ok(b.k->sync(b.lane, NULL)));
        assert_true(square == wanted && square > 1.0);
        same_vectors(&one, &many);
    }
    clear_vectors(&one);
    clear_vectors(&many);
    close_bench(&b);
    assert_int_equal(unsetenv("RONDO_CUDA_GRAPHS"), 0);
}

static void a_step_of_the_optimiser(void **state)
{
    (void)state;
    static const char *const modes[] = {"off", "check", "on"};
    static const double clips[] = {0.0, 1.0, 1e6}; /* none; always less; never reached */
    for (size_t mode = 0; mode < RN_ARRAY_LENGTH(modes); mode++) {
        for (size_t c = 0; c < RN_ARRAY_LENGTH(clips); c++) {
            steps_are_the_same(modes[mode], true, clips[c]);
            steps_are_the_same(modes[mode], false, clips[c]);
        }
    }
}

static void one_update(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct rn_update update = update_of(context, true, 1.0, 0);
    (void)rn_kernels_update(kernels, lane, &update);
}

static void a_step_in_every_order_of_threads(void **state)
{
    (void)state;
    struct vectors v = make_vectors(5), start = make_vectors(5);
    const struct check_out outs[] = {{v.p, SIZE * sizeof(float), start.p},
                                     {v.m, SIZE * sizeof(float), start.m},
                                     {v.v, SIZE * sizeof(float), start.v}};
    check_orders(one_update, &v, outs, RN_ARRAY_LENGTH(outs));
    assert_true(memcmp(v.p, start.p, SIZE * sizeof(float)) != 0);
    clear_vectors(&v);
    clear_vectors(&start);
}

/* A gradient that is not finite, in the first element of the first range or the last of the last:
 * the sum shows it, and nothing has changed. */
static void a_bad_gradient_changes_nothing(void **state)
{
    (void)state;
    static const size_t places[] = {1, 2 * RN_CUDA_SQUARE_STRETCH + 100 + LAST - 1};
    static const float bad[] = {NAN, INFINITY};
    struct bench b;
    open_bench(&b);
    for (size_t i = 0; i < 2; i++) {
        struct vectors v = make_vectors(9), start = make_vectors(9);
        v.g[places[i]] = bad[i];
        for (uint32_t step = 0; step < STEPS; step++) {
            const struct rn_update update = update_of(&v, true, 1.0, step);
            assert_false(isfinite(rn_kernels_update(b.k, b.lane, &update)));
            same_vectors(&v, &start);
        }
        v.g[places[i]] = 0.5f;
        v.g[0] = NAN; /* of no range */
        const struct rn_update update = update_of(&v, true, 1.0, 0);
        assert_true(isfinite(rn_kernels_update(b.k, b.lane, &update)));
        assert_true(memcmp(v.p, start.p, SIZE * sizeof(float)) != 0);
        clear_vectors(&v);
        clear_vectors(&start);
    }
    close_bench(&b);
}

/* Whatever of an update changes beside learning rates and corrections: under =check a key that left
 * it out would fail the sync. */
static void a_recorded_step_is_known_by_all_it_does(void **state)
{
    (void)state;
    struct bench b;
    assert_int_equal(setenv("RONDO_CUDA_GRAPHS", "check", 1), 0);
    open_bench(&b);
    struct vectors v = make_vectors(3), other = make_vectors(4);
    for (uint32_t round = 0; round < 2; round++) {
        for (int change = 0; change < 10; change++) {
            struct rn_update u =
                update_of(change == 1 ? &other : &v, change != 2, change == 3 ? 0.5 : 1.0, round);
            u.gradient = change == 4 ? other.g : u.gradient;
            u.range_count = change == 5 ? 2 : u.range_count;
            u.ranges[2].offset += change == 6;
            u.ranges[0].count -= change == 7;
            u.optimizer.beta2 = change == 8 ? 0.99f : u.optimizer.beta2;
            u.optimizer.eps = change == 9 ? 1e-6f : u.optimizer.eps;
            (void)rn_kernels_update(b.k, b.lane, &u);
            struct rn_error err;
            if (!rn_is_ok(b.k->sync(b.lane, &err))) {
                fail_msg("round %u, change %d: %s", round, change, err.text);
            }
        }
    }
    clear_vectors(&v);
    clear_vectors(&other);
    close_bench(&b);
    assert_int_equal(unsetenv("RONDO_CUDA_GRAPHS"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_of_many_parts),
        cmocka_unit_test(every_site_in_one_launch),
        cmocka_unit_test(a_step_of_the_optimiser),
        cmocka_unit_test(a_step_in_every_order_of_threads),
        cmocka_unit_test(a_bad_gradient_changes_nothing),
        cmocka_unit_test(a_recorded_step_is_known_by_all_it_does),
    };
    return check_main("many", tests, RN_ARRAY_LENGTH(tests));
}
