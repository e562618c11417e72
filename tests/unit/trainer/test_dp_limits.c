/* SPDX-License-Identifier: Apache-2.0
 *
 * DP-SGD beyond its memory limits, which are made small here: noise that does not fit the pool is
 * drawn anew for every step, a block that does not fit the gradients' memory is cut, an allocation
 * of too many records is refused; and a grid that is not the default one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/privacy/dp.h"

#undef RN_DP_POOL_BYTES_MAX
#define RN_DP_POOL_BYTES_MAX ((size_t)16)
#undef RN_DP_GRADIENTS_BYTES_MAX
#define RN_DP_GRADIENTS_BYTES_MAX gradients_bytes
static size_t gradients_bytes = (size_t)64 << 20;

#undef RN_DP_ALLOCATION_PICKS_MAX
#define RN_DP_ALLOCATION_PICKS_MAX ((uint64_t)4096)

#include "trainer/privacy/dpsample.c"
#include "trainer/privacy/dpstep.c"

#include "tests/unit/trainer/goldenmodel.h"

/* Every call has its own constant, so that a call left out or used twice shows. */
struct source {
    int64_t calls;
    double deviation;
};

static void noise(void *context, size_t n, double deviation, int64_t *out)
{
    struct source *source = context;
    for (size_t i = 0; i < n; i++) {
        out[i] = INT64_C(1) << (2 * source->calls);
    }
    source->calls++;
    source->deviation = deviation;
}

static void no_record(void *context, size_t n, uint64_t *out)
{
    (void)context;
    for (size_t i = 0; i < n; i++) {
        out[i] = UINT64_MAX;
    }
}

static void every_step_has_noise_of_its_own(void **state)
{
    (void)state;
    struct source source = {0};
    const struct rn_dp_spec dp = {.clip_norm = 0.5,
                                  .noise_multiplier = 1.5,
                                  .grid = 4096,
                                  .denominator = 4.0,
                                  .sampling = RN_DP_POISSON,
                                  .threshold = 1,
                                  .context = &source,
                                  .noise = noise,
                                  .uniform = no_record};
    const struct rn_train_spec spec = {.active = RN_MATRIX_AB,
                                       .optimizer = RN_OPTIMIZER_SGD,
                                       .lr_a = 1.0,
                                       .lr_b = 1.0,
                                       .batch = 4,
                                       .steps = 5,
                                       .dp = &dp};
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 1, RN_HEAD_LOCAL);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    const size_t count = trainer->adapter.count;
    struct rn_error err;
    float *before = rn_alloc(count, sizeof(float));
    memcpy(before, trainer->state.values, count * sizeof(float));
    must(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err), &err);
    assert_int_equal(source.calls, 5);
    assert_true(source.deviation == 1.5 * 4096);
    const double want = (1 + 4 + 16 + 64 + 256) * 0.5 / (4096 * 4.0);
    for (size_t j = 0; j < count; j++) {
        assert_true(fabs((double)before[j] - (double)trainer->state.values[j] - want) < 1e-5);
    }
    rn_free(before);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

/* privacy case 21. Two sums under one noise: the process ends before the second is formed. */
static void noise_is_never_added_twice(void **state)
{
    (void)state;
    struct source source = {0};
    const struct rn_dp_spec dp = {.clip_norm = 0.5,
                                  .noise_multiplier = 1.0,
                                  .denominator = 4.0,
                                  .context = &source,
                                  .noise = noise};
    const struct rn_train_spec spec = {.batch = 4, .steps = 1, .dp = &dp};
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 1, RN_HEAD_LOCAL);
    struct rn_dp *state_of = NULL;
    struct rn_error err;
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    must(rn_dp_new(&trainer->lanes, &spec, &active, 1, &state_of, &err), &err);
    rn_dp_begin_step(state_of);
    must(rn_dp_gradient(state_of, NULL, 0, trainer->state.gradient, &err), &err);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        (void)!rn_is_ok(rn_dp_gradient(state_of, NULL, 0, trainer->state.gradient, &err));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    rn_dp_begin_step(state_of);
    must(rn_dp_gradient(state_of, NULL, 0, trainer->state.gradient, &err), &err);
    rn_dp_free(state_of);
    rn_trainer_close(trainer);
}

/* Whatever number of records came: the sum and the noise over the public number, to the bit. */
static void the_denominator_is_the_public_one(void **state)
{
    (void)state;
    struct source source = {0};
    const struct rn_dp_spec dp = {.clip_norm = 0.5,
                                  .noise_multiplier = 1.0,
                                  .grid = 1000,
                                  .denominator = 7.0,
                                  .context = &source,
                                  .noise = noise};
    const struct rn_train_spec spec = {.batch = 18, .steps = 1, .dp = &dp};
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_LOCAL);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_example batch[18];
    struct rn_dp *dp_state = NULL;
    struct rn_error err;
    gradients_bytes = (size_t)64 << 20;
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    for (size_t i = 0; i < 18; i++) {
        batch[i] = rn_dataset_at(data, i);
    }
    must(rn_dp_new(&trainer->lanes, &spec, &active, 1, &dp_state, &err), &err);
    const size_t n = rn_dp_elements(dp_state);
    int64_t *sum = rn_alloc(n, sizeof(int64_t));
    for (uint32_t count = 0; count <= 18; count += 6) {
        const int64_t drawn = INT64_C(1) << (2 * source.calls);
        must(rn_dp_sum(dp_state, batch, count, sum, &err), &err);
        rn_dp_begin_step(dp_state);
        must(rn_dp_gradient(dp_state, batch, count, trainer->state.gradient, &err), &err);
        size_t seen = 0; /* everything trains: every place once */
        for (size_t i = 0; i < dp_state->plan.run_count; i++) {
            const struct rn_pass_run *run = &dp_state->plan.runs[i];
            for (size_t j = 0; j < run->count; j++, seen++) {
                assert_true(
                    trainer->state.gradient[run->place + j] ==
                    (float)((double)(sum[run->compact + j] + drawn) * (0.5 / (1000.0 * 7.0))));
            }
        }
        assert_int_equal(seen, n);
    }
    rn_free(sum);
    rn_dp_free(dp_state);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

/* Sums of a batch with room for so many examples' gradients at once; the caller frees. */
static int64_t *sum_with_room(uint32_t room, uint32_t threads, size_t *out_count)
{
    const struct rn_dp_spec dp = {.clip_norm = 0.5, .grid = 1000, .denominator = 4.0};
    const struct rn_train_spec spec = {.batch = 18, .steps = 1, .dp = &dp};
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", threads, RN_HEAD_LOCAL);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_example batch[18];
    struct rn_dp *state = NULL;
    struct rn_error err;
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    for (size_t i = 0; i < 18; i++) {
        batch[i] = rn_dataset_at(data, i);
    }
    struct rn_pass_examples plan;
    rn_dp_plan(&trainer->adapter, &active, false, &plan);
    gradients_bytes = room * plan.stride * sizeof(float);
    must(rn_dp_new(&trainer->lanes, &spec, &active, 1, &state, &err), &err);
    assert_int_equal(state->block_examples, room == 0 ? 1 : room);
    int64_t *sum = rn_alloc(rn_dp_elements(state), sizeof(int64_t));
    must(rn_dp_sum(state, batch, 18, sum, &err), &err);
    *out_count = rn_dp_elements(state);
    rn_dp_free(state);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    return sum;
}

static void blocks_are_cut_to_the_memory(void **state)
{
    (void)state;
    size_t n = 0;
    int64_t *want = sum_with_room(40, 1, &n);
    for (uint32_t room = 0; room <= 4; room++) {
        int64_t *got = sum_with_room(room, 1 + room % 2, &n);
        assert_memory_equal(got, want, n * sizeof(int64_t));
        rn_free(got);
    }
    rn_free(want);
}

static void greatest_words(void *context, size_t n, uint64_t *out)
{
    uint64_t *calls = context;
    (*calls)++;
    memset(out, 0xff, n * sizeof(*out));
}

/* Records times picks at the limit and one record beyond it, before anything is drawn. */
static void allocations_have_a_limit(void **state)
{
    (void)state;
    static const uint32_t picks[] = {1, 3, 64};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(picks); i++) {
        uint64_t calls = 0;
        const struct rn_dp_spec spec = {
            .picks = picks[i], .context = &calls, .uniform = greatest_words};
        const size_t most = (size_t)RN_DP_ALLOCATION_PICKS_MAX / picks[i];
        struct rn_dp_allocation out;
        struct rn_error err;
        assert_int_equal(rn_dp_allocation_draw(&spec, most + 1, 64, &out, &err).code, RN_E_CONFIG);
        assert_int_equal(calls, 0);
        rn_dp_allocation_clear(&out); /* nothing to free, and well */
        must(rn_dp_allocation_draw(&spec, most, 64, &out, &err), &err);
        assert_int_equal(out.first[64], most * picks[i]);
        rn_dp_allocation_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_has_noise_of_its_own),
        cmocka_unit_test(noise_is_never_added_twice),
        cmocka_unit_test(the_denominator_is_the_public_one),
        cmocka_unit_test(blocks_are_cut_to_the_memory),
        cmocka_unit_test(allocations_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
