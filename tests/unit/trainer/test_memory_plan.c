/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory plan against what is really taken, which matrices are kept for both ways, and the
 * refusal of what does not fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/base/textfixture.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/savingmodel.h"
#include "trainer/kernels/cpu/cpu_kernels.h"
#include "trainer/learn/learn.h"

/* Memory is handed out in pages of 2 MiB from 4 MiB on: so much more per lane may be taken. */
#define PAGE ((uint64_t)2 << 20)

static struct rn_trainer_spec embedded_spec(char model[static RN_PATH_MAX], const char *backend)
{
    const bool fits = rn_text_format(model, RN_PATH_MAX, "%s/deploy/embedded/model", RN_SOURCE_DIR);
    assert_true(fits);
    struct rn_trainer_spec spec = saving_spec(model, "roberta-24", backend, true);
    (void)rn_text_format(model, RN_PATH_MAX, "%s/deploy/embedded/model", RN_SOURCE_DIR);
    spec.label_count = 2;
    spec.for_training = true;
    return spec;
}

static uint64_t planned(const struct rn_trainer_spec *spec, bool training)
{
    struct rn_memory_plan plan;
    struct rn_error err;
    const struct rn_memory_request request = {.training = training};
    must(rn_trainer_memory_plan(spec, &request, &plan, &err), &err);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan.line_count; i++) {
        sum += plan.lines[i].bytes;
    }
    assert_int_equal(sum, plan.host + plan.accelerator + plan.disk);
    assert_int_equal(plan.accelerator + plan.disk, 0);
    return plan.host - RN_MEMORY_SLACK_BYTES;
}

static uint64_t bytes_in(const struct rn_memory_plan *plan, enum rn_memory_arena arena)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan->line_count; i++) {
        sum += plan->lines[i].arena == arena ? plan->lines[i].bytes : 0;
    }
    return sum;
}

/* Weights as the loaded model counts them; the step by what preparing it takes of rn_alloc, through
 * which all memory of the backends of this machine goes, oneDNN's own apart. */
static void compare(const struct rn_trainer_spec *spec, bool training)
{
    struct rn_memory_plan plan;
    struct rn_error err;
    const struct rn_memory_request request = {.training = training};
    must(rn_trainer_memory_plan(spec, &request, &plan, &err), &err);
    struct rn_trainer *trainer = NULL;
    must(rn_trainer_open(spec, &trainer, &err), &err);
    const size_t before = rn_alloc_thread_bytes();
    must(rn_trainer_prepare(trainer, training, 0, &err), &err);
    const uint64_t taken = rn_alloc_thread_bytes() - before;
    struct rn_trainer_facts facts;
    rn_trainer_facts(trainer, &facts);
    const struct rn_adapter *adapter = &trainer->adapter;
    const uint64_t d = facts.hidden;
    const uint64_t pooler = adapter->pooler == NULL
                                ? 0
                                : trainer->lanes.kernels->weight_bytes(adapter->pooler) +
                                      (d * d + 2 * d) * sizeof(float);
    assert_int_equal(bytes_in(&plan, RN_MEMORY_WEIGHTS), facts.weight_bytes + pooler);
    const uint64_t state = training ? 3 * adapter->count * sizeof(float) : 0;
    const uint64_t step = bytes_in(&plan, RN_MEMORY_STEP) + state;
    const uint64_t small = 16 * 1024; /* of this, rounding to 64 bytes, and the lists of lanes */
    if (taken + small < step || taken > step + small + plan.lanes * PAGE) {
        fail_msg("%s: %llu bytes planned, %llu taken", spec->backend, (unsigned long long)step,
                 (unsigned long long)taken);
    }
    assert_int_equal(bytes_in(&plan, RN_MEMORY_ADAPTER),
                     state + (adapter->count + adapter->transposed_count) * sizeof(float));
    rn_trainer_close(trainer);
}

static void plan_is_what_is_taken(void **state)
{
    (void)state;
    static const char *const folders[] = {"embedded", "roberta-24", "bert-40"};
    for (size_t i = 0; i < SAVING_BACKENDS * 9; i++) {
        const char *backend = saving_backends[i / 9];
        const char *folder = folders[i % 9 / 3];
        char model[RN_PATH_MAX];
        if (cpu_class_leaves_out(backend)) {
            continue;
        }
        struct rn_trainer_spec spec = folder[0] == 'e' ? embedded_spec(model, backend)
                                                       : saving_spec(model, folder, backend, false);
        spec.threads = i % 3 == 2 ? 1 : 2;
        spec.for_training = i % 3 != 0;
        compare(&spec, spec.for_training);
    }
}

static void cache_is_planned(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = embedded_spec(model, "cpu");
    const uint64_t without = planned(&spec, true);
    spec.cache_bytes = (uint64_t)1 << 30;
    const uint64_t with = planned(&spec, true);
    assert_in_range(with - without, (uint64_t)1 << 30, ((uint64_t)1 << 30) + ((uint64_t)64 << 20));
    spec.lora.layer_count = 0; /* nothing below the lowest adapted layer */
    const uint64_t whole = planned(&spec, true);
    assert_true(whole < (uint64_t)1 << 30);
}

static void noise(void *context, size_t n, double deviation, int64_t *out)
{
    (void)context;
    (void)deviation;
    memset(out, 0, n * sizeof(*out));
}

/* What DP-SGD takes in a call is within its line. */
static void dp_is_planned(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = saving_spec(model, "bert-40", "cpu", false);
    struct rn_memory_plan plan;
    struct rn_error err;
    const struct rn_memory_request request = {.training = true, .dp = true};
    must(rn_trainer_memory_plan(&spec, &request, &plan, &err), &err);
    struct rn_trainer *trainer = saving_open(&spec);
    struct rn_dataset *data = golden_data(trainer, "bert-40");
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    const struct rn_dp_spec dp = {
        .clip_norm = 1, .noise_multiplier = 1, .denominator = 6, .noise = noise};
    const struct rn_train_spec train = {
        .active = RN_MATRIX_AB, .lr_a = 1e-3, .lr_b = 1e-3, .batch = 6, .steps = 9, .dp = &dp};
    const size_t before = rn_alloc_thread_bytes();
    must(rn_trainer_train(trainer, data, &train, NULL, NULL, NULL, &err), &err);
    const uint64_t taken = rn_alloc_thread_bytes() - before;
    const uint64_t line = bytes_in(&plan, RN_MEMORY_EXAMPLES);
    const uint64_t pool = RN_DP_POOL_BYTES_MAX - 9 * trainer->adapter.count * sizeof(int64_t);
    assert_in_range(taken, (line - pool) * 9 / 10, line - pool + 64 * 1024 + plan.lanes * PAGE);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

/* Clients at once: their states, a copy of their values, passes with a gradient for each piece. */
static void clients_are_planned(void **state)
{
    (void)state;
    enum { CLIENTS = 3 };
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = saving_spec(model, "bert-40", "cpu", false);
    struct rn_memory_plan plan;
    struct rn_error err;
    const struct rn_memory_request request = {.training = true, .clients = CLIENTS};
    must(rn_trainer_memory_plan(&spec, &request, &plan, &err), &err);
    struct rn_trainer *trainer = saving_open(&spec);
    struct rn_dataset *data = golden_data(trainer, "bert-40");
    struct rn_client clients[CLIENTS];
    size_t count = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] =
            (struct rn_client){.data = data, .seed = i, .values = saving_values(trainer, &count)};
    }
    const struct rn_train_spec train = {
        .active = RN_MATRIX_AB, .lr_a = 1e-3, .lr_b = 1e-3, .batch = 6, .steps = 2};
    const size_t before = rn_alloc_thread_bytes();
    must(rn_trainer_train_clients(trainer, clients, CLIENTS, &train, NULL, NULL, &err), &err);
    const uint64_t taken = rn_alloc_thread_bytes() - before;
    const uint64_t had = (count + trainer->adapter.transposed_count) * sizeof(float);
    const uint64_t want =
        bytes_in(&plan, RN_MEMORY_STEP) + bytes_in(&plan, RN_MEMORY_ADAPTER) - had;
    assert_in_range(taken, want - 16 * 1024, want + 64 * 1024 + plan.lanes * PAGE);
    for (size_t i = 0; i < CLIENTS; i++) {
        rn_free(clients[i].values);
    }
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

enum { VALUE = 2, MODULES = 6 }; /* rows of the encoders' modules */

static bool goes_back(const struct rn_weight *weight)
{
    return weight->backward != NULL || weight->onednn_backward != NULL;
}

/* Adapted are query, value and output.dense of layer 1, or of both: below the lowest query no
 * gradient is formed, so that its layer's query, key and value and all below go forward alone. */
static void check_ways(const struct rn_trainer *trainer, uint32_t lowest, bool full, bool training)
{
    for (uint32_t layer = 0; layer < trainer->encoder.config.layers; layer++) {
        for (uint32_t module = 0; module < MODULES; module++) {
            const bool above = layer > lowest || (layer == lowest && module > VALUE);
            assert_int_equal(goes_back(trainer->encoder.layers[layer].weight[module]),
                             training && (full || above));
        }
    }
    assert_int_equal(goes_back(trainer->adapter.pooler), training);
}

static void matrices_are_kept_both_ways_above_the_lowest_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < 16; i++) {
        const bool training = i % 2 == 1;
        const bool top = i / 2 % 2 == 1;
        const bool full = i / 4 % 2 == 1;
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec =
            saving_spec(model, "bert-40", i < 8 ? "cpu" : "cpu-bf16", top);
        spec.for_training = training;
        spec.switches.full_backward = full;
        struct rn_trainer *trainer = saving_open(&spec);
        check_ways(trainer, top ? 1 : 0, full, training);
        rn_trainer_close(trainer);
    }
}

/* The same logits; training is refused and leaves the trainer as it was. */
static void evaluation_alone_does_not_train(void **state)
{
    (void)state;
    float *logits[2];
    size_t count = 0;
    for (int training = 0; training < 2; training++) {
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec = saving_spec(model, "roberta-24", "cpu-bf16", false);
        spec.for_training = training == 1;
        struct rn_trainer *trainer = saving_open(&spec);
        struct rn_dataset *data = golden_data(trainer, "roberta-24");
        struct rn_error err = {{0}};
        const struct rn_train_spec train = {
            .active = RN_MATRIX_AB, .lr_a = 1e-30, .lr_b = 1e-30, .batch = 6, .steps = 1};
        const rn_result result = rn_trainer_train(trainer, data, &train, NULL, NULL, NULL, &err);
        if (training == 0) {
            assert_failure(result, RN_E_USAGE, &err, "for_training");
        } else {
            must(result, &err);
        }
        logits[training] = saving_predict(trainer, data, &count);
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
    }
    assert_memory_equal(logits[0], logits[1], count * sizeof(float));
    rn_free(logits[0]);
    rn_free(logits[1]);
}

/* What opening is told to be for is counted: one byte less is refused. */
static void opening_counts_what_it_is_for(void **state)
{
    (void)state;
    for (int dp = 0; dp < 2; dp++) {
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec = saving_spec(model, "roberta-24", "cpu", false);
        struct rn_memory_plan plan;
        struct rn_error err = {{0}};
        const struct rn_memory_request request = {
            .training = true, .dp = dp == 1, .clients = dp == 1 ? 0 : 5};
        struct rn_trainer *trainer = NULL;
        must(rn_trainer_memory_plan(&spec, &request, &plan, &err), &err);
        spec.memory_limit = plan.host - 1;
        must(rn_trainer_open(&spec, &trainer, &err), &err);
        rn_trainer_close(trainer);
        spec.for_dp = request.dp;
        spec.for_clients = request.clients;
        assert_failure(rn_trainer_open(&spec, &trainer, &err), RN_E_MEMORY, &err, "needed");
        spec.memory_limit = plan.host;
        must(rn_trainer_open(&spec, &trainer, &err), &err);
        rn_trainer_close(trainer);
    }
}

/* Device memory that is not the host's has a limit of its own. */
static void the_accelerators_lines_count(void **state)
{
    (void)state;
    struct rn_memory_plan plan = {
        .host = 5, .available = 5, .accelerator = 7, .accelerator_available = 7};
    struct rn_error err = {{0}};
    must(rn_memory_plan_check(&plan, &err), &err);
    plan.accelerator_available = 6;
    assert_failure(rn_memory_plan_check(&plan, &err), RN_E_MEMORY, &err, "accelerator");
    plan.accelerator_available = 0; /* not known */
    must(rn_memory_plan_check(&plan, &err), &err);
    plan.available = 4;
    assert_failure(rn_memory_plan_check(&plan, &err), RN_E_MEMORY, &err, "weights alone");
}

static void too_little_memory_is_refused(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = embedded_spec(model, "cpu");
    struct rn_memory_plan plan;
    struct rn_error err = {{0}};
    const struct rn_memory_request request = {.training = true};
    struct rn_trainer *trainer = NULL;
    must(rn_trainer_memory_plan(&spec, &request, &plan, &err), &err);
    spec.memory_limit = plan.host;
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    rn_trainer_close(trainer);
    spec.memory_limit = plan.host - 1;
    assert_failure(rn_trainer_open(&spec, &trainer, &err), RN_E_MEMORY, &err, "--threads");
    spec.for_training = false; /* evaluation fits */
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    rn_trainer_close(trainer);
    spec.memory_limit = 1;
    assert_failure(rn_trainer_open(&spec, &trainer, &err), RN_E_MEMORY, &err, "weights alone");
    spec.memory_limit = plan.host + ((uint64_t)8 << 20);
    spec.cache_bytes = (uint64_t)1 << 24;
    spec.for_training = true;
    assert_failure(rn_trainer_open(&spec, &trainer, &err), RN_E_MEMORY, &err, "--prefix-cache");
    spec.cache_bytes = RN_CACHE_AUTO; /* takes what is left */
    spec.memory_limit = plan.host + ((uint64_t)8 << 20);
    must(rn_trainer_memory_plan(&spec, &request, &plan, &err), &err);
}

/* A model that fits nowhere is planned as fast as any other: no weights are there at all. */
static void configuration_is_enough(void **state)
{
    (void)state;
    const char *config = fixture_text(
        "config.json",
        "{\"model_type\": \"roberta\", \"num_hidden_layers\": 96, \"num_attention_heads\": 16, "
        "\"hidden_size\": 1024, \"intermediate_size\": 4096, \"vocab_size\": 50265, "
        "\"max_position_embeddings\": 514, \"type_vocab_size\": 1, \"pad_token_id\": 1, "
        "\"layer_norm_eps\": 1e-05, \"hidden_act\": \"gelu\"}");
    (void)config;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = saving_spec(model, "roberta-24", "cpu", false);
    spec.model_dir = fixture_folder;
    spec.memory_limit = (uint64_t)4 << 30;
    struct rn_memory_plan plan;
    struct rn_error err = {{0}};
    const struct rn_memory_request request = {
        .training = true, .data_records = 10, .data_tokens = 100};
    must(rn_trainer_memory_plan(&spec, &request, &plan, &err), &err);
    assert_true(plan.host > (uint64_t)96 * 12 * 1024 * 1024 * 4 * 2);
    assert_int_equal(plan.max_length, 512);
    assert_failure(rn_memory_plan_check(&plan, &err), RN_E_MEMORY, &err, "4.00 are available");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_is_what_is_taken),
        cmocka_unit_test(cache_is_planned),
        cmocka_unit_test(dp_is_planned),
        cmocka_unit_test(clients_are_planned),
        cmocka_unit_test(matrices_are_kept_both_ways_above_the_lowest_alone),
        cmocka_unit_test(evaluation_alone_does_not_train),
        cmocka_unit_test(opening_counts_what_it_is_for),
        cmocka_unit_test(the_accelerators_lines_count),
        cmocka_unit_test(too_little_memory_is_refused),
        cmocka_unit_test(configuration_is_enough),
    };
    return run_in_classes(CPU_CLASSES_UNLIKE,
                          &(struct class_tests){"memory plan", tests, RN_ARRAY_LENGTH(tests),
                                                fixture_setup, fixture_remove});
}
