/* SPDX-License-Identifier: Apache-2.0
 *
 * DP-SGD as rn_trainer_train runs it: batches that are empty, of one, cut, and of zero gradients
 * all end as noise of the same form; frozen matrices keep their bytes; the same noise gives the
 * same bits on any number of threads; the noise arrives with its size; the report keeps the data to
 * itself; limits.
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
#include "trainer/ground/generator.h"
#include "trainer/privacy/dp.h"

#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/goldenmodel.h"

static const char *const backends[] = {"ref", "cpu", "cpu-bf16", "cpu-bf16-residual-f32"};

/* A test's source: normal noise of a seed, or a constant; uniform words of a seed, or a constant.
 * Counts what was asked for. */
struct source {
    uint64_t seed;
    bool constant_words;
    uint64_t word;
    bool order_matters; /* fail when uniform words come before the noise of the first step */
    uint64_t noise_calls, noise_count, word_count;
    double deviation;
};

static void noise(void *context, size_t n, double deviation, int64_t *out)
{
    struct source *source = context;
    const struct rn_generator generator = {source->seed, source->noise_calls++};
    float *z = rn_alloc(n, sizeof(float));
    assert_true(!source->order_matters || source->word_count == 0);
    rn_generator_normal(&generator, 1.0, n, z);
    for (size_t i = 0; i < n; i++) {
        out[i] = llround((double)z[i] * deviation);
    }
    source->noise_count += n;
    source->deviation = deviation;
    rn_free(z);
}

static void uniform(void *context, size_t n, uint64_t *out)
{
    struct source *source = context;
    const struct rn_generator generator = rn_generator_of(source->seed, "uniform");
    for (size_t i = 0; i < n; i++) {
        uint32_t four[4];
        rn_generator_words(&generator, source->word_count++, 0, four);
        out[i] = source->constant_words ? source->word : (uint64_t)four[0] << 32 | four[1];
    }
}

static struct rn_dp_spec mechanism(struct source *source)
{
    return (struct rn_dp_spec){.clip_norm = 0.7,
                               .noise_multiplier = 0.8,
                               .denominator = 6.0,
                               .context = source,
                               .noise = noise,
                               .uniform = uniform};
}

static struct rn_train_spec training(const struct rn_dp_spec *dp)
{
    return (struct rn_train_spec){.active = RN_MATRIX_AB,
                                  .optimizer = RN_OPTIMIZER_SGD,
                                  .lr_a = 0.5,
                                  .lr_b = 0.5,
                                  .batch = 7,
                                  .steps = 4,
                                  .shuffle = true,
                                  .seed = 5,
                                  .dp = dp};
}

/* One training from the golden adapter: the values after it, [count]; the caller frees. */
static float *trained(const char *backend, uint32_t threads, const struct rn_train_spec *spec,
                      enum rn_head_mode head, float **out_before,
                      struct rn_train_report *out_report, size_t *out_count)
{
    struct rn_trainer *trainer = golden_trainer("roberta-24", backend, threads, head);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_error err;
    const size_t count = trainer->adapter.count;
    float *before = rn_alloc(count, sizeof(float));
    float *after = rn_alloc(count, sizeof(float));
    memcpy(before, trainer->state.values, count * sizeof(float));
    must(rn_trainer_train(trainer, data, spec, NULL, NULL, out_report, &err), &err);
    memcpy(after, trainer->state.values, count * sizeof(float));
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    if (out_before != NULL) {
        *out_before = before;
    } else {
        rn_free(before);
    }
    *out_count = count;
    return after;
}

/* Where the noise of everything that trains goes. */
static struct rn_pass_examples plan_of(const char *backend)
{
    struct rn_trainer *trainer = golden_trainer("roberta-24", backend, 1, RN_HEAD_LOCAL);
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_pass_examples plan;
    rn_dp_plan(&trainer->adapter, &active, false, &plan);
    rn_trainer_close(trainer);
    return plan;
}

/* privacy case 16. No record is drawn: the step is the noise times clip / (grid denominator), to
 * the bit. */
static void an_empty_batch_is_noise(void **state)
{
    (void)state;
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        if (cpu_class_leaves_out(backends[b])) {
            continue;
        }
        struct source source = {.seed = 1, .constant_words = true, .word = UINT64_MAX};
        struct rn_dp_diagnostics seen;
        struct rn_dp_spec dp = mechanism(&source);
        dp.sampling = RN_DP_POISSON;
        dp.threshold = 5;
        dp.diagnostics = &seen;
        struct rn_train_spec spec = training(&dp);
        spec.steps = 1;
        float *before = NULL;
        size_t count = 0;
        float *after = trained(backends[b], 2, &spec, RN_HEAD_LOCAL, &before, NULL, &count);
        assert_int_equal(seen.empty_batches, 1);
        assert_int_equal(seen.examples, 0);
        assert_int_equal(source.noise_count, count);
        assert_true(source.deviation == 0.8 * 0x1p20);
        struct source again = {.seed = 1};
        int64_t *z = rn_alloc(count, sizeof(int64_t));
        noise(&again, count, source.deviation, z);
        const struct rn_pass_examples plan = plan_of(backends[b]);
        assert_int_equal(plan.count, count);
        for (size_t r = 0; r < plan.run_count; r++) {
            const struct rn_pass_run *run = &plan.runs[r];
            for (size_t j = 0; j < run->count; j++) {
                const float g = (float)((double)z[run->compact + j] * (0.7 / (0x1p20 * 6.0)));
                const float from = before[run->place + j];
                assert_true(fabsf(after[run->place + j] - (from - 0.5f * g)) <=
                            1e-6f * fabsf(from) + 1e-9f);
            }
        }
        rn_free(z);
        rn_free(before);
        rn_free(after);
    }
}

/* privacy case 16. Every record is drawn and the batch cut to one, and to the cap; the flow stays
 * the same. */
static void single_and_cut_batches(void **state)
{
    (void)state;
    static const uint32_t caps[] = {1, 7, 18, 19};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(caps); i++) {
        struct source source = {.seed = 2, .order_matters = true};
        struct rn_dp_diagnostics seen;
        struct rn_dp_spec dp = mechanism(&source);
        dp.sampling = RN_DP_POISSON;
        dp.threshold = UINT64_MAX;
        dp.diagnostics = &seen;
        struct rn_train_spec spec = training(&dp);
        spec.batch = caps[i];
        spec.steps = 3;
        size_t count = 0;
        rn_free(trained("cpu", 2, &spec, RN_HEAD_LOCAL, NULL, NULL, &count));
        const uint32_t cut = caps[i] < 18 ? caps[i] : 18;
        assert_int_equal(seen.examples, 3 * cut);
        assert_int_equal(seen.cut_batches, caps[i] < 18 ? 3 : 0);
        assert_int_equal(source.noise_count, 3 * count);
        assert_int_equal(seen.not_finite, 0);
        assert_true(isfinite(seen.loss_first) && isfinite(seen.loss_last) && seen.norm_sum > 0.0);
    }
}

/* Noise is drawn before any record is chosen, for all steps when they fit the pool. */
static void noise_comes_first(void **state)
{
    (void)state;
    struct source source = {.seed = 3, .order_matters = true};
    struct rn_dp_spec dp = mechanism(&source);
    dp.sampling = RN_DP_POISSON;
    dp.threshold = UINT64_MAX / 3;
    struct rn_train_spec spec = training(&dp);
    spec.batch = 18; /* never cut */
    size_t count = 0;
    rn_free(trained("cpu", 1, &spec, RN_HEAD_LOCAL, NULL, NULL, &count));
    assert_int_equal(source.noise_calls, 4);
    assert_int_equal(source.word_count, 4 * 18);
}

/* Random allocation through a whole training: 18 records, each in as many steps as told, the noise
 * before any of it is drawn; the cut at the cap is counted. */
static void allocated_records_are_seen_as_often_as_told(void **state)
{
    (void)state;
    for (uint32_t picks = 1; picks <= 4; picks++) {
        struct source source = {.seed = 20 + picks, .order_matters = true};
        struct rn_dp_diagnostics seen;
        struct rn_dp_spec dp = mechanism(&source);
        dp.sampling = RN_DP_ALLOCATION;
        dp.picks = picks;
        dp.diagnostics = &seen;
        struct rn_train_spec spec = training(&dp);
        spec.batch = 18;
        size_t count = 0;
        rn_free(trained("cpu", 2, &spec, RN_HEAD_LOCAL, NULL, NULL, &count));
        assert_int_equal(seen.examples, 18 * picks);
        assert_int_equal(seen.cut_batches, 0);
        assert_int_equal(source.noise_count, 4 * count);
        source.word_count = 0;
        spec.batch = 1;
        rn_free(trained("cpu", 2, &spec, RN_HEAD_LOCAL, NULL, NULL, &count));
        assert_true(seen.examples <= 4 && seen.cut_batches > 0);
    }
}

/* The least number at either end is seen, and the zero that is negative is none. */
static void check_b_is_zero(struct rn_trainer *trainer)
{
    const struct rn_segment *segments = NULL;
    size_t segment_count = 0;
    size_t count = 0;
    struct rn_error err;
    must(rn_trainer_layout(trainer, RN_MATRIX_B, false, &segments, &segment_count, &count), &err);
    float *b = rn_alloc(count, sizeof(float));
    const size_t places[] = {0, count / 2, count - 1};
    for (size_t i = 0; i < 3; i++) {
        b[places[i]] = 0x1p-149f;
        must(rn_trainer_set(trainer, RN_MATRIX_B, false, b, count, &err), &err);
        assert_false(rn_trainer_b_is_zero(trainer));
        b[places[i]] = -0.0f;
        must(rn_trainer_set(trainer, RN_MATRIX_B, false, b, count, &err), &err);
        assert_true(rn_trainer_b_is_zero(trainer));
    }
    rn_free(b);
}

/* A fresh adapter has B = 0, so the gradient of A is zero: every element of A still gets noise, and
 * the caller can know it beforehand. privacy cases 16 and 17 */
static void zero_gradients_get_noise(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct source source = {.seed = 4};
    struct rn_dp_diagnostics seen;
    struct rn_dp_spec dp = mechanism(&source);
    dp.diagnostics = &seen;
    struct rn_train_spec spec = training(&dp);
    spec.active = RN_MATRIX_A;
    spec.steps = 1;
    static const char *const labels[] = {"0", "1", "2"};
    const struct rn_trainer_spec fresh = {.model_dir = golden_path(model, "roberta-24", "model"),
                                          .labels = labels,
                                          .label_count = 3,
                                          .lora = {.rank = 3, .alpha = 3},
                                          .head = RN_HEAD_FROZEN,
                                          .seed = 1,
                                          .threads = 1,
                                          .for_training = true};
    struct rn_error err;
    struct rn_trainer *trainer = NULL;
    must(rn_trainer_open(&fresh, &trainer, &err), &err);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    const size_t count = trainer->adapter.count;
    float *before = rn_alloc(count, sizeof(float));
    memcpy(before, trainer->state.values, count * sizeof(float));
    assert_true(rn_trainer_b_is_zero(trainer));
    must(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err), &err);
    assert_true(rn_trainer_b_is_zero(trainer)); /* frozen */
    assert_true(seen.norm_sum == 0.0 && seen.examples == 7);
    size_t changed = 0;
    for (size_t j = 0; j < source.noise_count; j++) {
        changed += before[j] != trainer->state.values[j];
    }
    assert_true(source.noise_count > 100 && changed > source.noise_count - 3);
    assert_memory_equal(before + source.noise_count, trainer->state.values + source.noise_count,
                        (count - source.noise_count) * sizeof(float));
    check_b_is_zero(trainer);
    rn_free(before);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

/* privacy case 34, its frozen matrix */
static void frozen_bytes_stay(void **state)
{
    (void)state;
    static const enum rn_matrix active[] = {RN_MATRIX_A, RN_MATRIX_B, RN_MATRIX_NONE};
    for (size_t i = 0; i < 6; i++) {
        const bool none = active[i / 2] == RN_MATRIX_NONE;
        struct source source = {.seed = i};
        const struct rn_dp_spec dp = mechanism(&source);
        struct rn_train_spec spec = training(&dp);
        spec.active = active[i / 2];
        spec.optimizer = i % 2 == 0 ? RN_OPTIMIZER_ADAMW : RN_OPTIMIZER_SGD;
        spec.weight_decay = 0.1;
        struct rn_trainer *trainer =
            golden_trainer("roberta-24", "cpu", 2, none ? RN_HEAD_LOCAL : RN_HEAD_FROZEN);
        struct rn_dataset *data = golden_data(trainer, "roberta-24");
        const struct rn_adapter *adapter = &trainer->adapter;
        float *before = rn_alloc(adapter->count, sizeof(float));
        memcpy(before, trainer->state.values, adapter->count * sizeof(float));
        struct rn_error err;
        must(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err), &err);
        for (size_t s = 0; s < adapter->segment_count; s++) {
            const int same =
                memcmp(before + adapter->places[s], trainer->state.values + adapter->places[s],
                       adapter->segments[s].count * sizeof(float));
            assert_int_equal(same != 0,
                             rn_segment_chosen(&adapter->segments[s], spec.active, none));
        }
        /* The same trainer, plainly: nothing of the other mode is left behind. */
        spec.dp = NULL;
        must(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err), &err);
        rn_free(before);
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
    }
}

static void same_noise_same_bits(void **state)
{
    (void)state;
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        if (cpu_class_leaves_out(backends[b])) {
            continue;
        }
        float *first = NULL;
        for (uint32_t threads = 1; threads <= 4; threads++) {
            struct source source = {.seed = 8};
            struct rn_dp_spec dp = mechanism(&source);
            dp.sampling = RN_DP_POISSON;
            dp.threshold = UINT64_MAX / 2;
            struct rn_train_spec spec = training(&dp);
            spec.optimizer = RN_OPTIMIZER_ADAMW;
            size_t count = 0;
            float *after = trained(backends[b], threads, &spec, RN_HEAD_LOCAL, NULL, NULL, &count);
            if (first == NULL) {
                first = after;
                continue;
            }
            assert_memory_equal(first, after, count * sizeof(float));
            rn_free(after);
        }
        rn_free(first);
    }
}

/* What 40 steps of SGD add to each value beyond the clipped gradients is noise of the deviation
 * lr sigma clip / denominator: two runs that differ in the noise alone, frozen learning else. */
static void noise_has_its_size(void **state)
{
    (void)state;
    struct source source = {.seed = 9, .constant_words = true, .word = UINT64_MAX};
    struct rn_dp_spec dp = mechanism(&source);
    dp.sampling = RN_DP_POISSON;
    dp.threshold = 1; /* never */
    struct rn_train_spec spec = training(&dp);
    spec.steps = 40;
    float *before = NULL;
    size_t count = 0;
    float *after = trained("cpu", 1, &spec, RN_HEAD_LOCAL, &before, NULL, &count);
    double square = 0.0;
    for (size_t j = 0; j < count; j++) {
        square += pow((double)after[j] - (double)before[j], 2.0);
    }
    const double want = 40.0 * pow(0.5 * 0.8 * 0.7 / 6.0, 2.0);
    assert_true(fabs(square / (double)count / want - 1.0) < 5.0 * sqrt(2.0 / (double)count));
    rn_free(before);
    rn_free(after);
}

static bool look(void *context, const struct rn_train_progress *progress)
{
    uint32_t *calls = context;
    (*calls)++;
    assert_true(isnan(progress->loss) && progress->tokens == 0);
    return true;
}

static void report_keeps_the_data_to_itself(void **state)
{
    (void)state;
    struct source source = {.seed = 1};
    struct rn_dp_diagnostics seen;
    struct rn_dp_spec dp = mechanism(&source);
    dp.diagnostics = &seen;
    const struct rn_train_spec spec = training(&dp);
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 1, RN_HEAD_LOCAL);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_train_report report = {.examples = 9};
    struct rn_error err;
    uint32_t calls = 0;
    must(rn_trainer_train(trainer, data, &spec, look, &calls, &report, &err), &err);
    assert_int_equal(calls, 4);
    assert_int_equal(report.steps, 4);
    assert_true(isnan(report.loss_sum) && isnan(report.loss_first) && isnan(report.loss_last));
    assert_true(report.examples == 0 && report.tokens == 0 && report.seconds == 0.0);
    assert_true(seen.examples == 7 + 7 + 4 + 7 && seen.tokens > 25 && seen.seconds > 0.0);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

static void limits(void **state)
{
    (void)state;
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 1, RN_HEAD_LOCAL);
    struct rn_error err;
    for (int wrong = 0; wrong < 30; wrong++) {
        struct source source = {.seed = 1};
        struct rn_dp_spec dp = mechanism(&source);
        struct rn_train_spec spec = training(&dp);
        bool good = false;
        switch (wrong) {
        case 0:
            good = true;
            break;
        case 1:
            dp.clip_norm = RN_DP_CLIP_MIN;
            good = true;
            break;
        case 2:
            dp.clip_norm = nextafter(RN_DP_CLIP_MIN, 0.0);
            break;
        case 3:
            dp.clip_norm = RN_DP_CLIP_MAX;
            good = true;
            break;
        case 4:
            dp.clip_norm = nextafter(RN_DP_CLIP_MAX, INFINITY);
            break;
        case 5:
            dp.clip_norm = NAN;
            break;
        case 6:
            dp.noise_multiplier = RN_DP_NOISE_MAX;
            good = true;
            break;
        case 7:
            dp.noise_multiplier = nextafter(RN_DP_NOISE_MAX, INFINITY);
            break;
        case 8:
            dp.noise_multiplier = -1e-9;
            break;
        case 9:
            dp.noise_multiplier = NAN;
            break;
        case 10:
            dp.grid = RN_DP_GRID_MAX;
            good = true;
            break;
        case 11:
            dp.grid = RN_DP_GRID_MAX + 1;
            break;
        case 12:
            dp.denominator = 1.0;
            good = true;
            break;
        case 13:
            dp.denominator = nextafter(1.0, 0.0);
            break;
        case 14:
            dp.denominator = nextafter(RN_DP_DENOMINATOR_MAX, INFINITY);
            break;
        case 15:
            dp.noise = NULL;
            break;
        case 16:
            dp.sampling = RN_DP_POISSON;
            break; /* threshold 0 */
        case 17:
            dp.sampling = RN_DP_POISSON;
            dp.threshold = 1;
            dp.uniform = NULL;
            break;
        case 18:
            dp.sampling = RN_DP_POISSON;
            dp.threshold = 1;
            spec.steps = 0;
            spec.epochs = 1;
            break;
        case 19:
            dp.clipping = RN_DP_CLIP_AUTOMATIC;
            good = true;
            break;
        case 20:
            dp.clipping = (enum rn_dp_clipping)2;
            break;
        case 21:
            dp.sampling = (enum rn_dp_sampling)3;
            break;
        case 22:
        case 23:
        case 24:
            dp.sampling = RN_DP_ALLOCATION;
            dp.picks = (uint32_t[]){0, 4, 5}[wrong - 22]; /* of 4 steps */
            good = wrong == 23;
            break;
        case 25:
        case 26:
            dp.sampling = RN_DP_ALLOCATION;
            dp.picks = 1;
            spec.steps = RN_DP_ALLOCATION_STEPS_MAX + (wrong == 26);
            good = wrong == 25;
            break;
        case 27:
            dp.sampling = RN_DP_ALLOCATION;
            dp.picks = 1;
            dp.uniform = NULL;
            break;
        case 28:
            dp.sampling = RN_DP_ALLOCATION;
            dp.picks = 1;
            spec.steps = 0;
            spec.epochs = 9;
            break;
        default:
            spec.clip = 1.0;
            break;
        }
        assert_int_equal(
            rn_is_ok(rn_dp_check(trainer->lanes.kernels,
                                 trainer->settled.head_mode != RN_HEAD_FROZEN, &spec, &err)),
            good);
    }
    rn_trainer_close(trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_batch_is_noise),
        cmocka_unit_test(single_and_cut_batches),
        cmocka_unit_test(noise_comes_first),
        cmocka_unit_test(allocated_records_are_seen_as_often_as_told),
        cmocka_unit_test(zero_gradients_get_noise),
        cmocka_unit_test(frozen_bytes_stay),
        cmocka_unit_test(same_noise_same_bits),
        cmocka_unit_test(noise_has_its_size),
        cmocka_unit_test(report_keeps_the_data_to_itself),
        cmocka_unit_test(limits),
    };
    return RUN_IN_CLASSES(CPU_CLASSES_UNLIKE, "training with differential privacy", tests);
}
