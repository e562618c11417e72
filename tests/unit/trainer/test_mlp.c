/* SPDX-License-Identifier: Apache-2.0
 *
 * The family rondo-mlp against torch (tests/parity/make_mlp_golden.py): logits, gradients, ten
 * steps, clipped sums; and what every family keeps: a row's bits whatever is beside it, several
 * clients as each alone, savings without a trace, start values by the seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "tests/unit/base/textfixture.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/mlpmodel.h"
#include "trainer/privacy/dp.h"

/* Relative errors of a vector. A row of d products in float32 is off by at most d 2^-24 of the sum
 * of their sizes, 2e-6 here; three such products, and ten steps, stay below 1e-4. With stored
 * values of 8 bits (2^-8 at the nearest 2^-9) three roundings a row give below 2 %, and no more
 * after ten steps, for the parameters themselves are float32. */
static const struct {
    const char *backend;
    double tolerance;
} arithmetics[] = {
    {"ref", 2e-6}, {"cpu", 1e-4}, {"cpu-bf16", 0.02}, {"cpu-bf16-residual-f32", 0.02}};

static void check(const struct golden_bench *b, const char *prefix, const char *name,
                  const float *found, size_t count, double tolerance)
{
    char full[RN_SEGMENT_NAME_MAX + 16];
    float *wanted = rn_alloc(count, sizeof(float));
    assert_true(
        rn_text_format(full, sizeof(full), "%s%s%s", prefix, *name == '\0' ? "" : ".", name));
    golden_read(b, full, count, wanted);
    const double error = bf16_relative_error(found, wanted, count);
    rn_free(wanted);
    if (!(error <= tolerance)) {
        fail_msg("%s: relative error %g", full, error);
    }
}

/* Values in the order of the device's vector. */
static void check_vector(const struct golden_bench *b, const char *prefix, const float *found,
                         double tolerance)
{
    const struct rn_adapter *adapter = &b->trainer->adapter;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        check(b, prefix, segment->name, found + adapter->places[i], segment->count, tolerance);
    }
}

/* ---- Against torch ---- */

static bool keep_logits(void *context, const struct rn_prediction *prediction)
{
    float *logits = context;
    memcpy(logits + prediction->index * MLP_CLASSES, prediction->logits,
           MLP_CLASSES * sizeof(float));
    return true;
}

static void check_gradients(struct golden_bench *b, double tolerance)
{
    struct rn_pass *pass = &b->trainer->lanes.passes[0];
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_example examples[4];
    struct rn_error err;
    for (size_t i = 0; i < 4; i++) {
        examples[i] = rn_dataset_at(b->data, i);
    }
    rn_pass_load(pass, examples, 4);
    rn_pass_forward(pass);
    rn_pass_loss(pass, b->c->task, 0.25f, true);
    rn_pass_backward(pass, &active);
    must(rn_pass_losses(pass, &err), &err);
    check_vector(b, "gradient", pass->gradient, tolerance);
}

static void logits_and_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(arithmetics); i++) {
        if (cpu_class_leaves_out(arithmetics[i].backend)) {
            continue;
        }
        char model[RN_PATH_MAX];
        struct golden_bench b;
        struct rn_error err;
        float logits[MLP_RECORDS * MLP_CLASSES];
        const struct rn_trainer_spec spec =
            mlp_spec(model, arithmetics[i].backend, RN_HEAD_FEDERATED);
        mlp_open(&b, &spec);
        must(rn_trainer_prepare(b.trainer, true, 0, &err), &err);
        check_gradients(&b, arithmetics[i].tolerance);
        must(rn_trainer_predict(b.trainer, b.data, keep_logits, logits, &err), &err);
        check(&b, "logits", "", logits, RN_ARRAY_LENGTH(logits), arithmetics[i].tolerance);
        golden_close(&b);
    }
}

static struct rn_train_spec ten_steps(void)
{
    return (struct rn_train_spec){.active = RN_MATRIX_AB,
                                  .optimizer = RN_OPTIMIZER_SGD,
                                  .lr_a = 0.05,
                                  .lr_b = 0.05,
                                  .clip = 0.75,
                                  .batch = 6,
                                  .steps = 10};
}

static void ten_steps_of_sgd(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * RN_ARRAY_LENGTH(arithmetics); i++) {
        const char *backend = arithmetics[i / 2].backend;
        if (cpu_class_leaves_out(backend)) {
            continue;
        }
        char model[RN_PATH_MAX];
        struct golden_bench b;
        struct rn_error err;
        const bool head = i % 2 == 1;
        const struct rn_train_spec train = ten_steps();
        const struct rn_trainer_spec spec =
            mlp_spec(model, backend, head ? RN_HEAD_LOCAL : RN_HEAD_FROZEN);
        mlp_open(&b, &spec);
        must(rn_trainer_train(b.trainer, b.data, &train, NULL, NULL, NULL, &err), &err);
        check_vector(&b, head ? "both" : "adapter", b.trainer->state.values,
                     arithmetics[i / 2].tolerance);
        golden_close(&b);
    }
}

/* The golden sum in the order of the compact vector, and the found one against it. */
static void check_sum(const struct golden_bench *b, const struct rn_pass_examples *plan,
                      const int64_t *sum, double clip, double tolerance)
{
    const struct rn_adapter *adapter = &b->trainer->adapter;
    float *found = rn_alloc(adapter->count, sizeof(float));
    for (size_t r = 0; r < plan->run_count; r++) {
        for (size_t j = 0; j < plan->runs[r].count; j++) {
            found[plan->runs[r].place + j] =
                (float)((double)sum[plan->runs[r].compact + j] * clip / RN_DP_GRID_MAX);
        }
    }
    check_vector(b, "sum", found, tolerance);
    rn_free(found);
}

/* Both ways to keep an example's gradient of W: as two factors, and whole. */
static void clipped_sums(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu", "ref", "cpu"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(backends); i++) {
        if (cpu_class_leaves_out(backends[i])) {
            continue;
        }
        char model[RN_PATH_MAX];
        struct golden_bench b;
        struct rn_error err;
        struct rn_example examples[MLP_RECORDS];
        struct rn_dp *dp = NULL;
        struct rn_dp_diagnostics seen = {0};
        float clip = 0.0f;
        struct rn_trainer_spec spec = mlp_spec(model, backends[i], RN_HEAD_FEDERATED);
        spec.switches.whole_examples = i == 2;
        mlp_open(&b, &spec);
        golden_read(&b, "clip", 1, &clip);
        const struct rn_dp_spec mechanism = {.clip_norm = (double)clip,
                                             .grid = RN_DP_GRID_MAX,
                                             .denominator = 1.0,
                                             .diagnostics = &seen};
        const struct rn_train_spec train = {.batch = MLP_RECORDS, .steps = 1, .dp = &mechanism};
        const struct rn_pass_active active = {RN_MATRIX_AB, true};
        must(rn_trainer_prepare(b.trainer, true, 0, &err), &err);
        must(rn_dp_new(&b.trainer->lanes, &train, &active, 1, &dp, &err), &err);
        const struct rn_pass_examples *plan = &b.trainer->lanes.passes[0].each;
        assert_int_equal(plan->part_count, spec.switches.whole_examples ? 0 : 1);
        int64_t *sum = rn_alloc(rn_dp_elements(dp), sizeof(int64_t));
        for (size_t j = 0; j < MLP_RECORDS; j++) {
            examples[j] = rn_dataset_at(b.data, j);
        }
        must(rn_dp_sum(dp, examples, MLP_RECORDS, sum, &err), &err);
        check_sum(&b, plan, sum, (double)clip, 1e-4);
        rn_free(sum);
        rn_dp_free(dp);
        golden_close(&b);
    }
}

/* ---- What every family keeps ---- */

/* A record alone, and among others in every place of a block. */
static void a_row_keeps_its_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(arithmetics); i++) {
        char model[RN_PATH_MAX];
        struct golden_bench b;
        struct rn_error err;
        float alone[MLP_RECORDS][MLP_CLASSES];
        const struct rn_trainer_spec spec = mlp_spec(model, arithmetics[i].backend, RN_HEAD_FROZEN);
        mlp_open(&b, &spec);
        must(rn_trainer_prepare(b.trainer, false, 0, &err), &err);
        struct rn_pass *pass = &b.trainer->lanes.passes[0];
        struct rn_example examples[MLP_RECORDS];
        for (size_t j = 0; j < MLP_RECORDS; j++) {
            examples[j] = rn_dataset_at(b.data, j);
            rn_pass_load(pass, &examples[j], 1);
            rn_pass_forward(pass);
            must(rn_pass_logits(pass, &err), &err);
            memcpy(alone[j], pass->host_logits, sizeof(alone[j]));
        }
        for (uint32_t first = 0; first < MLP_RECORDS; first++) {
            const uint32_t count = MLP_RECORDS - first;
            rn_pass_load(pass, examples + first, count);
            rn_pass_forward(pass);
            must(rn_pass_logits(pass, &err), &err);
            assert_memory_equal(pass->host_logits, alone[first], count * sizeof(alone[0]));
        }
        golden_close(&b);
    }
}

static void clients_together_are_each_alone(void **state)
{
    (void)state;
    enum { CLIENTS = 4 };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(arithmetics); i++) {
        char model[RN_PATH_MAX];
        struct golden_bench b;
        struct rn_error err;
        struct rn_client clients[CLIENTS];
        size_t count = 0;
        struct rn_train_spec train = ten_steps();
        train.shuffle = true;
        const struct rn_trainer_spec spec = mlp_spec(model, arithmetics[i].backend, RN_HEAD_LOCAL);
        mlp_open(&b, &spec);
        float *start = mlp_values(b.trainer, &count);
        for (size_t j = 0; j < CLIENTS; j++) {
            clients[j] = (struct rn_client){
                .data = b.data, .seed = 7 + j, .values = mlp_values(b.trainer, &count)};
        }
        must(rn_trainer_train_clients(b.trainer, clients, CLIENTS, &train, NULL, NULL, &err), &err);
        for (size_t j = 0; j < CLIENTS; j++) {
            train.seed = clients[j].seed;
            must(rn_trainer_set(b.trainer, RN_MATRIX_AB, true, start, count, &err), &err);
            must(rn_trainer_train(b.trainer, b.data, &train, NULL, NULL, NULL, &err), &err);
            float *alone = mlp_values(b.trainer, &count);
            assert_memory_equal(alone, clients[j].values, count * sizeof(float));
            assert_memory_not_equal(alone, start, count * sizeof(float));
            rn_free(alone);
            rn_free(clients[j].values);
        }
        rn_free(start);
        golden_close(&b);
    }
}

static float *trained_with(const struct rn_trainer_spec *spec, enum rn_matrix active,
                           size_t *out_count)
{
    struct golden_bench b;
    struct rn_error err;
    struct rn_train_spec train = ten_steps();
    train.active = active;
    mlp_open(&b, spec);
    must(rn_trainer_train(b.trainer, b.data, &train, NULL, NULL, NULL, &err), &err);
    float *values = mlp_values(b.trainer, out_count);
    golden_close(&b);
    return values;
}

/* Nothing is below a row: the way down to an embedding is no way at all. */
static void savings_change_nothing(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    size_t count = 0;
    struct rn_trainer_spec spec = mlp_spec(model, "cpu", RN_HEAD_LOCAL);
    for (int active = RN_MATRIX_A; active <= RN_MATRIX_AB; active++) {
        spec.switches = (struct rn_trainer_switches){0};
        float *saving = trained_with(&spec, (enum rn_matrix)active, &count);
        spec.switches = (struct rn_trainer_switches){
            .plain_last_layer = true, .full_backward = true, .all_gradients = true};
        float *plain = trained_with(&spec, (enum rn_matrix)active, &count);
        assert_memory_equal(saving, plain, count * sizeof(float));
        rn_free(saving);
        rn_free(plain);
    }
}

/* ---- Start values ---- */

/* The greatest of n uniform values is below 0.9 of the bound with a chance of 0.9^n: 1e-5 for the
 * 111 of A and B. */
static void assert_uniform(const float *values, size_t count, double bound)
{
    double most = 0.0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)values[i]));
    }
    assert_true(most <= bound && most >= 0.9 * bound);
}

static void start_values_by_the_seed(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    static const char *const all[] = {"all-linear"};
    struct rn_error err;
    const size_t matrix = (size_t)MLP_RANK * MLP_WIDTH;
    struct rn_trainer *trainer = NULL;
    size_t count = 0;
    struct rn_trainer_spec spec = mlp_spec(model, "cpu", RN_HEAD_FROZEN);
    spec.lora =
        (struct rn_lora_spec){.rank = MLP_RANK, .alpha = 6, .targets = all, .target_count = 1};
    spec.new_head = true;
    spec.seed = 5;
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    assert_false(rn_trainer_b_is_zero(trainer));
    float *values = mlp_values(trainer, &count);
    assert_int_equal(count, 2 * matrix + MLP_CLASSES * MLP_WIDTH);
    assert_uniform(values, matrix, 1.0 / sqrt(MLP_RANK));
    assert_uniform(values + matrix, matrix, 1.0 / sqrt(MLP_WIDTH));
    assert_uniform(values + 2 * matrix, MLP_CLASSES * MLP_WIDTH, 1.0 / sqrt(MLP_CLASSES));
    rn_trainer_close(trainer);

    spec.lora.init = RN_LORA_ORTHONORMAL;
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    float *other = mlp_values(trainer, &count);
    double square = 0.0;
    for (size_t i = 0; i < MLP_WIDTH; i++) {
        square += (double)other[i] * (double)other[i];
    }
    assert_true(fabs(square - 1.0) < 1e-5);
    assert_memory_equal(other + matrix, values + matrix, (count - matrix) * sizeof(float));
    rn_trainer_close(trainer);
    rn_free(values);
    rn_free(other);
}

/* A written model is read, and its W is the head of the same seed. */
static void a_new_model_is_one_of_its_seed(void **state)
{
    (void)state;
    static const char *const all[] = {"all-linear"};
    struct rn_new_mlp model = {.inputs = MLP_WIDTH,
                               .classes = MLP_CLASSES,
                               .divisor = 255.0,
                               .mean = 0.1307,
                               .deviation = 0.3081,
                               .seed = 9};
    struct rn_trainer_spec spec = {
        .model_dir = fixture_folder,
        .label_count = MLP_CLASSES,
        .lora = {.rank = MLP_RANK, .alpha = 6, .targets = all, .target_count = 1},
        .seed = 9};
    struct rn_trainer *trainer = NULL;
    struct rn_error err;
    size_t count = 0;
    must(rn_new_mlp_write(&model, fixture_folder, &err), &err);
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    float *of_file = mlp_values(trainer, &count);
    rn_trainer_close(trainer);
    spec.new_head = true;
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    float *of_seed = mlp_values(trainer, &count);
    const char *const *files = NULL;
    size_t file_count = 0;
    must(rn_trainer_model_files(trainer, &files, &file_count), &err);
    assert_int_equal(file_count, 2);
    rn_trainer_close(trainer);
    assert_memory_equal(of_file, of_seed, count * sizeof(float));
    rn_free(of_file);
    rn_free(of_seed);
    model.classes = 1;
    assert_failure(rn_new_mlp_write(&model, fixture_folder, &err), RN_E_CONFIG, &err, "2 to 1024");
    model.classes = 1025;
    assert_failure(rn_new_mlp_write(&model, fixture_folder, &err), RN_E_CONFIG, &err, "1025");
    model.classes = 1024;
    model.inputs = 16385;
    assert_failure(rn_new_mlp_write(&model, fixture_folder, &err), RN_E_CONFIG, &err, "16385");
    model.inputs = 16384;
    must(rn_new_mlp_write(&model, fixture_folder, &err), &err);
}

/* ---- Memory ---- */

static void the_plan_counts_what_is_taken(void **state)
{
    (void)state;
    static const char *const backends[] = {"ref", "cpu", "cpu-bf16"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(backends); i++) {
        char model[RN_PATH_MAX];
        struct golden_bench b;
        struct rn_error err;
        struct rn_memory_plan plan;
        struct rn_trainer_facts facts;
        const struct rn_memory_request request = {.training = true};
        struct rn_trainer_spec spec = mlp_spec(model, backends[i], RN_HEAD_LOCAL);
        mlp_open(&b, &spec);
        char adapter[RN_PATH_MAX];
        spec.adapter_dir = golden_path(adapter, "mlp-37", "adapter");
        must(rn_trainer_memory_plan(&spec, &request, &plan, &err), &err);
        rn_trainer_facts(b.trainer, &facts);
        uint64_t weights = 0;
        for (uint32_t j = 0; j < plan.line_count; j++) {
            weights += plan.lines[j].arena == RN_MEMORY_WEIGHTS ? plan.lines[j].bytes : 0;
        }
        assert_true(facts.weight_bytes > 0);
        assert_int_equal(weights, facts.weight_bytes);
        assert_int_equal(facts.max_length, 1);
        golden_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_and_gradients),
        cmocka_unit_test(ten_steps_of_sgd),
        cmocka_unit_test(clipped_sums),
        cmocka_unit_test(a_row_keeps_its_bits),
        cmocka_unit_test(clients_together_are_each_alone),
        cmocka_unit_test(savings_change_nothing),
        cmocka_unit_test(start_values_by_the_seed),
        cmocka_unit_test(a_new_model_is_one_of_its_seed),
        cmocka_unit_test(the_plan_counts_what_is_taken),
    };
    return run_in_classes(
        CPU_CLASSES_ALL,
        &(struct class_tests){"mlp", tests, RN_ARRAY_LENGTH(tests), fixture_setup, fixture_remove});
}
