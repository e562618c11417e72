/* SPDX-License-Identifier: Apache-2.0
 *
 * The noisy sum of a round whose noise is shared: the very step of DP-SGD before it is a step, in
 * the layout's order; bounded; the noise before the records; nothing moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/privacy/dp.h"

#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/goldenmodel.h"

#define GRID (1u << 20)

/* Noise that is a function of its place, and every record or none. */
struct source {
    uint64_t word;
    bool drawn; /* the noise */
};

static void noise(void *context, size_t n, double deviation, int64_t *out)
{
    struct source *source = context;
    for (size_t i = 0; i < n; i++) {
        out[i] = (int64_t)(deviation * (double)(int)(i * 7919 % 13 - 6) / 3);
    }
    source->drawn = true;
}

static void uniform(void *context, size_t n, uint64_t *out)
{
    const struct source *source = context;
    assert_true(source->drawn);
    for (size_t i = 0; i < n; i++) {
        out[i] = source->word;
    }
}

static struct rn_dp_spec mechanism(struct source *source)
{
    source->drawn = false;
    return (struct rn_dp_spec){.clip_norm = 0.7,
                               .noise_multiplier = 0.5,
                               .grid = GRID,
                               .denominator = 6.0,
                               .sampling = RN_DP_POISSON,
                               .threshold = 1000,
                               .context = source,
                               .noise = noise,
                               .uniform = uniform};
}

static struct rn_train_spec training(const struct rn_dp_spec *dp, enum rn_matrix active)
{
    return (struct rn_train_spec){.active = active,
                                  .optimizer = RN_OPTIMIZER_SGD,
                                  .lr_a = 0.5,
                                  .lr_b = 0.25,
                                  .lr_head = 0.125,
                                  .batch = 64,
                                  .steps = 1,
                                  .dp = dp};
}

struct world {
    struct rn_trainer *trainer;
    struct rn_dataset *data;
    const struct rn_segment *segments;
    size_t segment_count, count;
    float *before, *after;
    int64_t *sum;
};

static void world_open(struct world *world, const char *backend, enum rn_matrix active)
{
    struct rn_error err;
    world->trainer = golden_trainer("roberta-24", backend, 2, RN_HEAD_LOCAL);
    world->data = golden_data(world->trainer, "roberta-24");
    must(rn_trainer_layout(world->trainer, active, true, &world->segments, &world->segment_count,
                           &world->count),
         &err);
    world->before = rn_alloc(world->count, sizeof(float));
    world->after = rn_alloc(world->count, sizeof(float));
    world->sum = rn_alloc(world->count, sizeof(int64_t));
    must(rn_trainer_get(world->trainer, active, true, world->before, world->count, &err), &err);
}

static void world_close(struct world *world)
{
    rn_trainer_data_close(world->data);
    rn_trainer_close(world->trainer);
    rn_free(world->before);
    rn_free(world->after);
    rn_free(world->sum);
}

static double rate_of(const struct rn_train_spec *spec, enum rn_segment_kind kind)
{
    return kind == RN_SEGMENT_A ? spec->lr_a : kind == RN_SEGMENT_B ? spec->lr_b : spec->lr_head;
}

/* What the trainer's own step makes of the same sum: two roundings of a float32 apart. */
static void assert_is_step(const struct world *world, const struct rn_train_spec *spec)
{
    for (size_t s = 0; s < world->segment_count; s++) {
        const struct rn_segment *segment = &world->segments[s];
        const double factor =
            rate_of(spec, segment->kind) * spec->dp->clip_norm / (GRID * spec->dp->denominator);
        for (size_t i = segment->offset; i < segment->offset + segment->count; i++) {
            const double step = (double)world->sum[i] * factor;
            const double want = (double)world->before[i] - step;
            assert_true(fabs((double)world->after[i] - want) <=
                        0x1p-23 * (fabs(want) + 2 * fabs(step)));
        }
    }
}

static void the_sum_is_the_step(void **state)
{
    (void)state;
    static const char *const backends[] = {"ref", "cpu"};
    static const enum rn_matrix matrices[] = {RN_MATRIX_A, RN_MATRIX_B, RN_MATRIX_AB};
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        for (size_t m = 0; m < RN_ARRAY_LENGTH(matrices) && !cpu_class_leaves_out(backends[b]);
             m++) {
            struct world world;
            struct source source = {.word = 0};
            struct rn_dp_spec dp = mechanism(&source);
            const struct rn_train_spec spec = training(&dp, matrices[m]);
            struct rn_error err;
            world_open(&world, backends[b], matrices[m]);
            must(rn_trainer_noisy_sum(world.trainer, world.data, &spec, world.sum, world.count,
                                      &err),
                 &err);
            must(rn_trainer_get(world.trainer, matrices[m], true, world.after, world.count, &err),
                 &err);
            assert_memory_equal(world.before, world.after, world.count * sizeof(float));
            must(rn_trainer_train(world.trainer, world.data, &spec, NULL, NULL, NULL, &err), &err);
            must(rn_trainer_get(world.trainer, matrices[m], true, world.after, world.count, &err),
                 &err);
            assert_is_step(&world, &spec);
            world_close(&world);
        }
    }
}

/* privacy cases 14 and 16. Nobody is drawn: noise alone. All are: no further from it than each one
 * moves it, in the norm of all values together. */
static void the_sum_is_bounded(void **state)
{
    (void)state;
    struct world world;
    struct rn_error err;
    struct source nobody = {.word = UINT64_MAX};
    struct source everybody = {.word = 0};
    struct rn_dp_spec dp = mechanism(&nobody);
    struct rn_train_spec spec = training(&dp, RN_MATRIX_AB);
    world_open(&world, "cpu", RN_MATRIX_AB);
    int64_t *alone = rn_alloc(world.count, sizeof *alone);
    must(rn_trainer_noisy_sum(world.trainer, world.data, &spec, alone, world.count, &err), &err);
    dp = mechanism(&everybody);
    must(rn_trainer_noisy_sum(world.trainer, world.data, &spec, world.sum, world.count, &err),
         &err);
    double square = 0;
    double noise_seen = 0;
    for (size_t i = 0; i < world.count; i++) {
        const double far = (double)(world.sum[i] - alone[i]);
        square += far * far;
        noise_seen = fmax(noise_seen, fabs((double)alone[i]));
    }
    const double records = (double)rn_trainer_data_count(world.data);
    assert_true(square > 0 && sqrt(square) <= records * GRID * (1 + 1e-12));
    assert_true(noise_seen == 0.5 * GRID * 2); /* the largest of a period of 13 */
    rn_free(alone);
    world_close(&world);
}

static void what_is_no_step_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct rn_error err;
    struct source source = {.word = 0};
    struct rn_dp_spec dp = mechanism(&source);
    struct rn_train_spec spec = training(&dp, RN_MATRIX_B);
    world_open(&world, "cpu", RN_MATRIX_B);
#define ASKED(count_) \
    (rn_trainer_noisy_sum(world.trainer, world.data, &spec, world.sum, (count_), &err).code)
    assert_int_equal(ASKED(world.count - 1), RN_E_USAGE);
    assert_int_equal(ASKED(world.count + 1), RN_E_USAGE);
    assert_int_equal(ASKED(world.count), RN_OK);
    spec.steps = 2;
    assert_int_equal(ASKED(world.count), RN_E_CONFIG);
    spec.steps = 1;
    spec.dp = NULL;
    assert_int_equal(ASKED(world.count), RN_E_CONFIG);
    spec.dp = &dp;
    dp.sampling = RN_DP_BATCHES;
    assert_int_equal(ASKED(world.count), RN_E_CONFIG);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_the_step),
        cmocka_unit_test(the_sum_is_bounded),
        cmocka_unit_test(what_is_no_step_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
