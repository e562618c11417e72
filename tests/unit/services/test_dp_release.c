/* SPDX-License-Identifier: Apache-2.0
 *
 * What leaves a step of DP-SGD, with the real noise under fixed keys: whole multiples of the grid
 * without holes, on every tensor the same normal noise, and none of it related to any other: not
 * between coordinates, tensors, steps or parties, nor between a process and its fork. Gates at
 * p = 1e-6 or rarer. RONDO_LONG: 10^7 draws.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/noise.h"
#include "trainer/privacy/dp.h"

#include "tests/unit/trainer/goldenmodel.h"

static const double sigma = 0.8;

static void noise(void *context, size_t n, double deviation, int64_t *out)
{
    rn_noise_draw(context, n, deviation, out);
}

/* A trainer that releases: the factor is 2^-20, so a released value times 2^20 is the whole number
 * before it, as long as that has 24 bits. */
struct releases {
    struct rn_trainer *trainer;
    struct rn_dataset *data;
    struct rn_dp_spec mechanism;
    struct rn_train_spec spec;
    struct rn_noise noise;
    struct rn_dp *dp;
    struct rn_example batch[8];
    size_t count;
};

static void releases_init(struct releases *r, uint8_t key_byte, uint32_t steps)
{
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_secret32 key;
    struct rn_error err;
    memset(key.bytes, key_byte, sizeof(key.bytes));
    rn_noise_init(&r->noise, &key);
    r->mechanism = (struct rn_dp_spec){.clip_norm = 1.0,
                                       .noise_multiplier = sigma,
                                       .denominator = 1.0,
                                       .context = &r->noise,
                                       .noise = noise};
    r->spec = (struct rn_train_spec){.batch = 8, .steps = steps, .dp = &r->mechanism};
    r->trainer = golden_trainer("roberta-24", "cpu", 1, RN_HEAD_LOCAL);
    r->data = golden_data(r->trainer, "roberta-24");
    must(rn_trainer_prepare(r->trainer, true, 0, &err), &err);
    for (size_t i = 0; i < 8; i++) {
        r->batch[i] = rn_dataset_at(r->data, i);
    }
    must(rn_dp_new(&r->trainer->lanes, &r->spec, &active, steps, &r->dp, &err), &err);
    r->count = r->trainer->adapter.count;
}

static void releases_clear(struct releases *r)
{
    rn_dp_free(r->dp);
    rn_trainer_data_close(r->data);
    rn_trainer_close(r->trainer);
    rn_noise_clear(&r->noise);
}

/* One step over so many records: whole numbers, in the order of the flat vector. */
static void release(struct releases *r, uint32_t records, int64_t *out)
{
    struct rn_error err;
    rn_dp_begin_step(r->dp);
    must(rn_dp_gradient(r->dp, r->batch, records, r->trainer->state.gradient, &err), &err);
    for (size_t j = 0; j < r->count; j++) {
        const double scaled = (double)r->trainer->state.gradient[j] * 0x1p20;
        assert_true(scaled == rint(scaled) &&
                    fabs(scaled) < 0x1p24); /* privacy case 22: a lattice */
        out[j] = (int64_t)scaled;
    }
}

/* privacy case 22: with records in the sum as without, every low bit is a fair coin and both
 * parities of every tensor appear alike, whatever the clipped gradients are: no point of the
 * lattice tells one neighbour from the other by its support. */
static void released_values_fill_the_lattice(void **state)
{
    (void)state;
    enum { STEPS = 40, BITS = 12 };
    for (uint32_t records = 0; records <= 8; records += 8) {
        struct releases r;
        releases_init(&r, (uint8_t)(1 + records), STEPS);
        int64_t *x = rn_alloc(r.count, sizeof(*x));
        double bits[BITS] = {0};
        for (int s = 0; s < STEPS; s++) {
            release(&r, records, x);
            for (size_t j = 0; j < r.count; j++) {
                for (int b = 0; b < BITS; b++) {
                    bits[b] += (double)((uint64_t)x[j] >> b & 1);
                }
            }
        }
        const double n = STEPS * (double)r.count;
        for (int b = 0; b < BITS; b++) {
            assert_true(fabs(bits[b] - 0.5 * n) < 2.5 * sqrt(n));
        }
        rn_free(x);
        releases_clear(&r);
    }
}

/* Sums of products of two vectors of noise, in deviations. */
static double together(const int64_t *x, const int64_t *y, size_t n)
{
    double sum = 0.0;
    const double unit = sigma * 0x1p20;
    for (size_t j = 0; j < n; j++) {
        sum += (double)x[j] / unit * ((double)y[j] / unit);
    }
    return sum;
}

/* privacy case 19. */
static void noise_of_a_tensor_is_its_own(void **state)
{
    (void)state;
    enum { TENSORS_MAX = 64 };
    struct releases r;
    struct releases peer;
    releases_init(&r, 21, 1u << 20);
    releases_init(&peer, 22, 1u << 20);
    const struct rn_adapter *adapter = &r.trainer->adapter;
    const size_t wanted = getenv("RONDO_LONG") != NULL ? 10000000 : 1000000;
    const size_t steps = wanted / r.count + 1;
    int64_t *x = rn_alloc(r.count, sizeof(*x));
    int64_t *before = rn_alloc(r.count, sizeof(*x));
    int64_t *theirs = rn_alloc(r.count, sizeof(*x));
    double sum[TENSORS_MAX] = {0};
    double square[TENSORS_MAX] = {0};
    double lag[5] = {
        0}; /* next coordinate, next tensor, next step, other party, same step's mirror */
    assert_true(adapter->segment_count <= TENSORS_MAX);
    for (size_t s = 0; s < steps; s++) {
        release(&r, 0, x);
        release(&peer, 0, theirs);
        for (size_t t = 0; t < adapter->segment_count; t++) {
            const int64_t *from = x + adapter->places[t];
            const size_t n = adapter->segments[t].count;
            for (size_t j = 0; j < n; j++) {
                sum[t] += (double)from[j] / (sigma * 0x1p20);
            }
            square[t] += together(from, from, n);
            if (t > 0) {
                const size_t m = adapter->segments[t - 1].count;
                lag[1] += together(from, x + adapter->places[t - 1], m < n ? m : n);
            }
        }
        lag[0] += together(x, x + 1, r.count - 1);
        lag[2] += s > 0 ? together(x, before, r.count) : 0.0;
        lag[3] += together(x, theirs, r.count);
        lag[4] += together(x, x + r.count / 2, r.count - r.count / 2 - 1);
        memcpy(before, x, r.count * sizeof(*x));
    }
    for (size_t t = 0; t < adapter->segment_count; t++) {
        const double n = (double)(steps * adapter->segments[t].count);
        assert_true(fabs(sum[t]) < 5.5 * sqrt(n));
        assert_true(fabs(square[t] - n) <
                    5.5 * sqrt(2.0 * n) + 20.0); /* + skewness of short ones */
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(lag); i++) { /* at most one product a draw */
        assert_true(fabs(lag[i]) < 5.5 * sqrt((double)(steps * r.count)));
    }
    rn_free(x);
    rn_free(before);
    rn_free(theirs);
    releases_clear(&r);
    releases_clear(&peer);
}

/* privacy case 21: noise is not drawn again in a fork, which holds the same key; with a key of its
 * own the fork's noise is another's. */
static void a_fork_does_not_repeat_noise(void **state)
{
    (void)state;
    enum { DRAWS = 64 };
    int64_t mine[DRAWS];
    int64_t theirs[DRAWS];
    int pipes[2];
    struct rn_noise parents;
    struct rn_secret32 key;
    struct rn_error err;
    assert_true(rn_is_ok(rn_random_bytes(key.bytes, sizeof(key.bytes), &err)));
    rn_noise_init(&parents, &key);
    assert_int_equal(pipe(pipes), 0);
    for (int fresh = 0; fresh < 2; fresh++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)signal(SIGABRT, SIG_DFL);
            (void)close(STDERR_FILENO);
            if (fresh == 1) {
                if (!rn_is_ok(rn_random_bytes(key.bytes, sizeof(key.bytes), &err))) {
                    _exit(1);
                }
                rn_noise_init(&parents, &key);
            }
            rn_noise_draw(&parents, DRAWS, 0x1p20, theirs);
            _exit(write(pipes[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (fresh == 0) {
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        } else {
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
    }
    assert_int_equal(read(pipes[0], theirs, sizeof(theirs)), sizeof(theirs));
    rn_noise_draw(&parents, DRAWS, 0x1p20, mine);
    size_t equal = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        equal += mine[i] == theirs[i];
    }
    assert_true(equal < 3); /* each with probability below 2^-20 */
    rn_noise_clear(&parents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(released_values_fill_the_lattice),
        cmocka_unit_test(noise_of_a_tensor_is_its_own),
        cmocka_unit_test(a_fork_does_not_repeat_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
