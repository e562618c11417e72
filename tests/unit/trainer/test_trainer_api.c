/* SPDX-License-Identifier: Apache-2.0
 *
 * trainer/trainer.h as its users see it: layout, flat vectors, seeds, limits, streams of batches,
 * stopping, saving and loading.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/learn/trainloop.h"

#include "tests/unit/trainer/goldenmodel.h"

static const char *const query_value[] = {"query", "value"};

static rn_result open_with(const char *folder, struct rn_lora_spec lora, uint64_t seed,
                           struct rn_trainer **out, struct rn_error *err)
{
    char model[RN_PATH_MAX];
    static const char *const labels[] = {"0", "1", "2"};
    const struct rn_trainer_spec spec = {.model_dir = golden_path(model, folder, "model"),
                                         .labels = labels,
                                         .label_count = 3,
                                         .lora = lora,
                                         .head = RN_HEAD_FEDERATED,
                                         .seed = seed,
                                         .threads = 2,
                                         .for_training = true};
    return rn_trainer_open(&spec, out, err);
}

static struct rn_lora_spec lora_of(uint32_t rank)
{
    return (struct rn_lora_spec){
        .rank = rank, .alpha = 2.0 * rank, .targets = query_value, .target_count = 2};
}

static float *values_of(struct rn_trainer *trainer, enum rn_matrix matrices, bool head,
                        size_t *out_count)
{
    const struct rn_segment *segments = NULL;
    size_t segment_count = 0;
    struct rn_error err;
    must(rn_trainer_layout(trainer, matrices, head, &segments, &segment_count, out_count), &err);
    float *out = rn_alloc(*out_count, sizeof(float));
    must(rn_trainer_get(trainer, matrices, head, out, *out_count, &err), &err);
    return out;
}

static void layout_is_by_layer_and_module(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *trainer = NULL;
    must(open_with("roberta-24", lora_of(3), 1, &trainer, &err), &err);
    static const char *const names[] = {
        "roberta.encoder.layer.0.attention.self.query.lora_A.weight",
        "roberta.encoder.layer.0.attention.self.query.lora_B.weight",
        "roberta.encoder.layer.0.attention.self.value.lora_A.weight",
        "roberta.encoder.layer.0.attention.self.value.lora_B.weight",
        "roberta.encoder.layer.1.attention.self.query.lora_A.weight",
        "roberta.encoder.layer.1.attention.self.query.lora_B.weight",
        "roberta.encoder.layer.1.attention.self.value.lora_A.weight",
        "roberta.encoder.layer.1.attention.self.value.lora_B.weight",
        "classifier.dense.weight",
        "classifier.dense.bias",
        "classifier.out_proj.weight",
        "classifier.out_proj.bias",
    };
    const struct rn_segment *segments = NULL;
    size_t count = 0;
    size_t elements = 0;
    must(rn_trainer_layout(trainer, RN_MATRIX_AB, true, &segments, &count, &elements), &err);
    assert_int_equal(count, RN_ARRAY_LENGTH(names));
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(segments[i].name, names[i]);
        assert_int_equal(segments[i].offset, at);
        assert_int_equal(segments[i].count, (size_t)segments[i].rows * segments[i].cols);
        at += segments[i].count;
    }
    assert_int_equal(at, elements);
    must(rn_trainer_layout(trainer, RN_MATRIX_B, false, &segments, &count, &elements), &err);
    assert_int_equal(count, 4);
    assert_int_equal(elements, 4 * 24 * 3);
    assert_int_equal(segments[3].offset, 3 * 24 * 3);
    must(rn_trainer_layout(trainer, RN_MATRIX_NONE, false, &segments, &count, &elements), &err);
    assert_int_equal(elements, 0);
    rn_trainer_close(trainer);
}

static void get_and_set(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *trainer = NULL;
    must(open_with("roberta-24", lora_of(2), 1, &trainer, &err), &err);
    size_t count = 0;
    size_t a_count = 0;
    float *b = values_of(trainer, RN_MATRIX_B, false, &count);
    float *a = values_of(trainer, RN_MATRIX_A, false, &a_count);
    for (size_t i = 0; i < count; i++) {
        assert_true(b[i] == 0.0f);
        b[i] = (float)i * 0.5f;
    }
    must(rn_trainer_set(trainer, RN_MATRIX_B, false, b, count, &err), &err);
    float *again = values_of(trainer, RN_MATRIX_B, false, &count);
    assert_memory_equal(b, again, count * sizeof(float));
    float *a_again = values_of(trainer, RN_MATRIX_A, false, &a_count);
    assert_memory_equal(a, a_again, a_count * sizeof(float));
    b[1] = NAN;
    b[0] = 77.0f;
    assert_int_equal(rn_trainer_set(trainer, RN_MATRIX_B, false, b, count, &err).code,
                     RN_E_ROUND_NUMERIC);
    rn_free(again);
    again = values_of(trainer, RN_MATRIX_B, false, &count);
    assert_true(again[0] == 0.0f);
    assert_int_equal(rn_trainer_set(trainer, RN_MATRIX_B, false, again, count - 1, &err).code,
                     RN_E_USAGE);
    assert_int_equal(rn_trainer_get(trainer, RN_MATRIX_B, false, again, count + 1, &err).code,
                     RN_E_USAGE);
    rn_free(a);
    rn_free(a_again);
    rn_free(b);
    rn_free(again);
    rn_trainer_close(trainer);
}

static void start_values_come_from_the_seed(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *one = NULL;
    struct rn_trainer *other = NULL;
    must(open_with("roberta-24", lora_of(3), 9, &one, &err), &err);
    must(open_with("roberta-24", lora_of(3), 10, &other, &err), &err);
    size_t count = 0;
    float *values = values_of(one, RN_MATRIX_AB, true, &count);
    float *different = values_of(other, RN_MATRIX_AB, true, &count);
    assert_memory_not_equal(values, different, count * sizeof(float));
    float expected[3 * 24];
    const struct rn_generator generator =
        rn_generator_of(9, "roberta.encoder.layer.0.attention.self.query.lora_A.weight");
    rn_generator_uniform(&generator, 1.0 / sqrt(24.0), 3 * 24, expected);
    assert_memory_equal(values, expected, sizeof(expected));
    struct rn_trainer_facts facts;
    rn_trainer_facts(one, &facts);
    assert_true(facts.head_from_seed && !facts.pooler_from_seed);
    assert_int_equal(facts.adapter_parameters + facts.head_parameters, count);
    rn_free(values);
    rn_free(different);
    rn_trainer_close(one);
    rn_trainer_close(other);
}

static void limits_and_names(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *trainer = NULL;
    must(open_with("roberta-24", lora_of(RN_TRAINER_RANK_MAX), 1, &trainer, &err), &err);
    rn_trainer_close(trainer);
    assert_int_equal(
        open_with("roberta-24", lora_of(RN_TRAINER_RANK_MAX + 1), 1, &trainer, &err).code,
        RN_E_CONFIG);
    struct rn_lora_spec lora = lora_of(24);
    lora.init = RN_LORA_ORTHONORMAL;
    must(open_with("roberta-24", lora, 1, &trainer, &err), &err);
    rn_trainer_close(trainer);
    lora.rank = 25;
    assert_int_equal(open_with("roberta-24", lora, 1, &trainer, &err).code, RN_E_CONFIG);
    static const char *const wrong[] = {"query", "valeu"};
    lora = lora_of(2);
    lora.targets = wrong;
    assert_int_equal(open_with("roberta-24", lora, 1, &trainer, &err).code, RN_E_CONFIG);
    assert_non_null(strstr(err.text, "valeu"));
    const uint32_t layers[] = {1, 2};
    lora = lora_of(2);
    lora.layers = layers;
    lora.layer_count = 1;
    must(open_with("roberta-24", lora, 1, &trainer, &err), &err);
    assert_int_equal(trainer->adapter.site_count, 2);
    assert_int_equal(trainer->adapter.lowest, 1);
    rn_trainer_close(trainer);
    lora.layer_count = 2;
    assert_int_equal(open_with("roberta-24", lora, 1, &trainer, &err).code, RN_E_CONFIG);
    static const char *const all[] = {"all-linear"};
    lora = lora_of(2);
    lora.targets = all;
    lora.target_count = 1;
    must(open_with("bert-40", lora, 1, &trainer, &err), &err);
    assert_int_equal(trainer->adapter.site_count, 3 * 6 + 1); /* the pooler */
    rn_trainer_close(trainer);
    static const char *const suffix[] = {"output.dense"};
    lora.targets = suffix; /* as in peft: attention.output.dense ends with it too */
    must(open_with("bert-40", lora, 1, &trainer, &err), &err);
    assert_int_equal(trainer->adapter.site_count, 3 * 2);
    rn_trainer_close(trainer);
    assert_int_equal(open_with("missing", lora_of(2), 1, &trainer, &err).code, RN_E_NO_INPUT);
    rn_trainer_close(NULL);
}

static struct rn_train_spec sgd_steps(uint32_t steps, uint64_t offset)
{
    return (struct rn_train_spec){.active = RN_MATRIX_AB,
                                  .optimizer = RN_OPTIMIZER_SGD,
                                  .lr_a = 0.05,
                                  .lr_b = 0.05,
                                  .batch = 5,
                                  .steps = steps,
                                  .shuffle = true,
                                  .seed = 3,
                                  .stream_offset = offset};
}

/* Rounds of 3 steps with offsets go through the same batches as one run of 9. */
static void rounds_continue_the_stream(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *whole = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_FEDERATED);
    struct rn_trainer *parts = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_FEDERATED);
    struct rn_dataset *data = golden_data(whole, "roberta-24");
    const struct rn_train_spec nine = sgd_steps(9, 0);
    struct rn_train_report report;
    must(rn_trainer_train(whole, data, &nine, NULL, NULL, &report, &err), &err);
    assert_int_equal(report.examples, 18 + 18 + 5); /* 4 batches an epoch, the last of 3 */
    for (uint64_t round = 0; round < 3; round++) {
        const struct rn_train_spec three = sgd_steps(3, 3 * round);
        must(rn_trainer_train(parts, data, &three, NULL, NULL, NULL, &err), &err);
    }
    size_t count = 0;
    float *a = values_of(whole, RN_MATRIX_AB, true, &count);
    float *b = values_of(parts, RN_MATRIX_AB, true, &count);
    assert_memory_equal(a, b, count * sizeof(float));
    rn_free(a);
    rn_free(b);
    rn_trainer_data_close(data);
    rn_trainer_close(whole);
    rn_trainer_close(parts);
}

static bool never(void *context)
{
    ++*(atomic_uint *)context;
    return false;
}

static bool always(void *context)
{
    ++*(atomic_uint *)context;
    return true;
}

static void evaluation_stops(void **state)
{
    (void)state;
    struct rn_error err = {{0}};
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_FEDERATED);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_metrics metrics = {.count = 77};
    atomic_uint asked = 0;
    assert_int_equal(rn_trainer_evaluate(trainer, data, never, &asked, &metrics, &err).code,
                     RN_E_ROUND_ABORTED);
    assert_true(asked > 0);
    assert_int_equal(metrics.count, 77);
    must(rn_trainer_evaluate(trainer, data, always, &asked, &metrics, &err), &err);
    assert_int_equal(metrics.count, rn_trainer_data_count(data));
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

static bool stop_at_two(void *context, const struct rn_train_progress *progress)
{
    uint32_t *seen = context;
    *seen = progress->step;
    assert_int_equal(progress->steps, 6);
    return progress->step < 2;
}

static void training_stops_and_refuses(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_FEDERATED);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_train_spec spec = sgd_steps(6, 0);
    struct rn_train_report report;
    uint32_t seen = 0;
    assert_int_equal(rn_trainer_train(trainer, data, &spec, stop_at_two, &seen, &report, &err).code,
                     RN_E_ROUND_ABORTED);
    assert_int_equal(seen, 2);
    assert_int_equal(report.steps, 2);
    size_t count = 0;
    float *before = values_of(trainer, RN_MATRIX_AB, true, &count);
    spec.batch = RN_TRAINER_BATCH_MAX + 1;
    assert_int_equal(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err).code,
                     RN_E_CONFIG);
    spec.batch = RN_TRAINER_BATCH_MAX;
    spec.steps = 0;
    assert_int_equal(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err).code,
                     RN_E_CONFIG);
    spec.steps = 1;
    spec.lr_a = -1.0;
    assert_int_equal(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err).code,
                     RN_E_CONFIG);
    float *after = values_of(trainer, RN_MATRIX_AB, true, &count);
    assert_memory_equal(before, after, count * sizeof(float));
    spec.lr_a = 1e30; /* overflows within two steps */
    spec.lr_b = 1e30;
    spec.steps = 5;
    assert_int_equal(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err).code,
                     RN_E_ROUND_NUMERIC);
    rn_free(before);
    rn_free(after);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

static struct rn_train_spec adamw_steps(uint32_t first)
{
    struct rn_train_spec spec = sgd_steps(6, 0);
    spec.optimizer = RN_OPTIMIZER_ADAMW;
    spec.schedule = RN_SCHEDULE_COSINE;
    spec.warmup_steps = 3;
    spec.weight_decay = 0.1;
    spec.first_step = first;
    return spec;
}

/* A training that was stopped goes on in another trainer to the bits of one that was not. */
static void a_stopped_call_goes_on(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *whole = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_FEDERATED);
    struct rn_trainer *first = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_FEDERATED);
    struct rn_trainer *second = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_FEDERATED);
    struct rn_dataset *data = golden_data(whole, "roberta-24");
    struct rn_train_spec spec = adamw_steps(0);
    struct rn_train_report report;
    uint32_t seen = 0;
    must(rn_trainer_train(whole, data, &spec, NULL, NULL, NULL, &err), &err);
    assert_int_equal(rn_trainer_train(first, data, &spec, stop_at_two, &seen, NULL, &err).code,
                     RN_E_ROUND_ABORTED);
    size_t count = 0;
    float *values = values_of(first, RN_MATRIX_AB, true, &count);
    float *moments = rn_alloc(2 * count, sizeof(*moments));
    must(rn_trainer_optimizer_get(first, moments, moments + count, count, &err), &err);
    must(rn_trainer_set(second, RN_MATRIX_AB, true, values, count, &err), &err);
    must(rn_trainer_optimizer_set(second, moments, moments + count, count, &err), &err);
    spec = adamw_steps(2);
    must(rn_trainer_train(second, data, &spec, NULL, NULL, &report, &err), &err);
    assert_int_equal(report.steps, 6);
    assert_int_equal(report.examples, 5 + 3 + 5 + 5); /* an epoch is 5 + 5 + 5 + 3 */
    float *a = values_of(whole, RN_MATRIX_AB, true, &count);
    float *b = values_of(second, RN_MATRIX_AB, true, &count);
    assert_memory_equal(a, b, count * sizeof(float));
    assert_int_equal(
        rn_trainer_optimizer_set(second, moments, moments + count, count - 1, &err).code,
        RN_E_USAGE);
    assert_int_equal(
        rn_trainer_optimizer_get(second, moments, moments + count, count + 1, &err).code,
        RN_E_USAGE);
    moments[2 * count - 1] = -1e-30f; /* Adam's second moment is a mean of squares */
    assert_int_equal(rn_trainer_optimizer_set(second, moments, moments + count, count, &err).code,
                     RN_E_ROUND_NUMERIC);
    moments[2 * count - 1] = NAN;
    assert_int_equal(rn_trainer_optimizer_set(second, moments, moments + count, count, &err).code,
                     RN_E_ROUND_NUMERIC);
    spec = adamw_steps(6);
    must(rn_trainer_train(second, data, &spec, NULL, NULL, &report, &err), &err);
    assert_int_equal(report.examples, 0);
    spec = adamw_steps(7);
    assert_int_equal(rn_trainer_train(second, data, &spec, NULL, NULL, NULL, &err).code,
                     RN_E_CONFIG);
    rn_free(a);
    rn_free(b);
    rn_free(values);
    rn_free(moments);
    rn_trainer_data_close(data);
    rn_trainer_close(whole);
    rn_trainer_close(first);
    rn_trainer_close(second);
}

static void schedules(void **state)
{
    (void)state;
    const double cosine = 0.5 * (1.0 + cos(M_PI * 0.25));
    assert_true(rn_schedule_factor(RN_SCHEDULE_CONSTANT, 5, 0, 10) == 1.0);
    assert_true(rn_schedule_factor(RN_SCHEDULE_LINEAR, 0, 4, 10) == 0.0);
    assert_true(rn_schedule_factor(RN_SCHEDULE_LINEAR, 1, 4, 10) == 0.25);
    assert_true(rn_schedule_factor(RN_SCHEDULE_LINEAR, 7, 4, 10) == 0.5);
    assert_true(rn_schedule_factor(RN_SCHEDULE_LINEAR, 10, 4, 10) == 0.0);
    assert_true(rn_schedule_factor(RN_SCHEDULE_LINEAR, 11, 4, 10) == 0.0);
    assert_true(fabs(rn_schedule_factor(RN_SCHEDULE_COSINE, 4, 2, 10) - cosine) < 1e-15);
    assert_true(rn_schedule_factor(RN_SCHEDULE_COSINE, 10, 2, 10) == 0.0);
    assert_true(rn_schedule_factor(RN_SCHEDULE_COSINE, 3, 3, 3) == 1.0);
}

static void save_and_load(const char *folder)
{
    struct rn_error err;
    char dir[] = "/tmp/rondo-adapter-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct rn_trainer *trained = golden_trainer(folder, "cpu", 2, RN_HEAD_LOCAL);
    struct rn_dataset *data = golden_data(trained, folder);
    const struct rn_train_spec spec = sgd_steps(4, 0);
    must(rn_trainer_train(trained, data, &spec, NULL, NULL, NULL, &err), &err);
    must(rn_trainer_save(trained, dir, "made by a test", &err), &err);
    size_t count = 0;
    float *saved = values_of(trained, RN_MATRIX_AB, true, &count);
    /* into a trainer with other values */
    struct rn_trainer *other = golden_trainer(folder, "cpu", 2, RN_HEAD_LOCAL);
    must(rn_trainer_load(other, dir, &err), &err);
    float *loaded = values_of(other, RN_MATRIX_AB, true, &count);
    assert_memory_equal(saved, loaded, count * sizeof(float));
    rn_free(loaded);
    rn_trainer_close(other);
    /* as the start of a new one that knows nothing but the directory */
    char model[RN_PATH_MAX];
    const struct rn_trainer_spec fresh = {.model_dir = golden_path(model, folder, "model"),
                                          .adapter_dir = dir};
    must(rn_trainer_open(&fresh, &other, &err), &err);
    loaded = values_of(other, RN_MATRIX_AB, true, &count);
    assert_memory_equal(saved, loaded, count * sizeof(float));
    assert_int_equal(other->settled.label_count, trained->settled.label_count);
    rn_free(loaded);
    rn_trainer_close(other);
    /* a directory of another rank is refused and changes nothing */
    must(open_with(folder[0] == 'b' ? "bert-40" : "roberta-24", lora_of(7), 1, &other, &err), &err);
    float *before = values_of(other, RN_MATRIX_AB, true, &count);
    assert_int_equal(rn_trainer_load(other, dir, &err).code, RN_E_DATA);
    loaded = values_of(other, RN_MATRIX_AB, true, &count);
    assert_memory_equal(before, loaded, count * sizeof(float));
    rn_free(before);
    rn_free(loaded);
    rn_free(saved);
    rn_trainer_close(other);
    rn_trainer_data_close(data);
    rn_trainer_close(trained);
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors",
                                        "README.md", "rondo.json"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(files); i++) {
        char path[RN_PATH_MAX];
        must(rn_path_join(path, dir, files[i], &err), &err);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void saved_adapters_load(void **state)
{
    (void)state;
    save_and_load("roberta-24");
    save_and_load("bert-40");
}

static void model_files(void **state)
{
    (void)state;
    struct rn_trainer *trainer = golden_trainer("bert-40", "cpu", 1, RN_HEAD_FROZEN);
    const char *const *names = NULL;
    size_t count = 0;
    struct rn_error err;
    must(rn_trainer_model_files(trainer, &names, &count), &err);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "config.json");
    assert_string_equal(names[1], "model.safetensors");
    assert_string_equal(names[2], "tokenizer.json");
    rn_trainer_close(trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_by_layer_and_module),
        cmocka_unit_test(get_and_set),
        cmocka_unit_test(start_values_come_from_the_seed),
        cmocka_unit_test(limits_and_names),
        cmocka_unit_test(rounds_continue_the_stream),
        cmocka_unit_test(evaluation_stops),
        cmocka_unit_test(training_stops_and_refuses),
        cmocka_unit_test(a_stopped_call_goes_on),
        cmocka_unit_test(schedules),
        cmocka_unit_test(saved_adapters_load),
        cmocka_unit_test(model_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
