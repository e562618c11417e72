/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients trained together against each one alone, bit for bit, on every backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/base/textfixture.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/savingmodel.h"

#define MOST 8

struct bench {
    struct rn_trainer *trainer;
    struct rn_dataset *data[MOST];
    float *start[MOST], *together[MOST];
    size_t count;
};

/* Client i has the first 18, 5, 11, ... examples of the folder's data. */
static struct rn_dataset *data_of(struct rn_trainer *trainer, const char *folder, size_t i)
{
    char path[RN_PATH_MAX];
    struct rn_error err;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    must(rn_file_read(golden_path(path, folder, "data.tsv"), 1 << 20, &text, &err), &err);
    const size_t lines = 1 + (i == 0 ? 18 : 1 + (i * 5 + 4) % 14);
    size_t length = 0;
    for (size_t line = 0; line < lines && length < text.length; length++) {
        line += text.data[length] == '\n' ? 1 : 0;
    }
    const char *file = fixture_file("client.tsv", (struct rn_view){text.data, length});
    const struct rn_data_spec spec = {
        .path = file, .text_column = "text", .pair_column = "pair", .label_column = "label"};
    struct rn_dataset *data = NULL;
    must(rn_trainer_data_open(trainer, &spec, &data, &err), &err);
    return data;
}

static struct bench bench_of(const struct rn_trainer_spec *spec, const char *folder, size_t clients)
{
    struct bench b = {.trainer = saving_open(spec)};
    for (size_t i = 0; i < clients; i++) {
        b.data[i] = data_of(b.trainer, folder, i);
        b.start[i] = saving_values(b.trainer, &b.count);
        for (size_t j = 0; j < b.count; j++) {
            b.start[i][j] *= 1.0f + 0.125f * (float)((i + j) % 5);
        }
        b.together[i] = rn_alloc(b.count, sizeof(float));
        memcpy(b.together[i], b.start[i], b.count * sizeof(float));
    }
    return b;
}

static void bench_clear(struct bench *b)
{
    for (size_t i = 0; i < MOST; i++) {
        rn_trainer_data_close(b->data[i]);
        rn_free(b->start[i]);
        rn_free(b->together[i]);
    }
    rn_trainer_close(b->trainer);
}

static struct rn_train_spec training(enum rn_matrix active)
{
    return (struct rn_train_spec){.active = active,
                                  .optimizer = RN_OPTIMIZER_ADAMW,
                                  .lr_a = 3e-3,
                                  .lr_b = 5e-3,
                                  .weight_decay = 0.1,
                                  .schedule = RN_SCHEDULE_LINEAR,
                                  .clip = 0.5,
                                  .batch = 6,
                                  .epochs = 2,
                                  .shuffle = true};
}

static void assert_alone(struct bench *b, const struct rn_client *client, size_t i,
                         const struct rn_train_spec *spec)
{
    struct rn_error err;
    struct rn_train_report report;
    struct rn_train_spec own = *spec;
    own.seed = client->seed;
    own.stream_offset = client->stream_offset;
    must(rn_trainer_set(b->trainer, RN_MATRIX_AB, true, b->start[i], b->count, &err), &err);
    must(rn_trainer_train(b->trainer, client->data, &own, NULL, NULL, &report, &err), &err);
    size_t count = 0;
    float *alone = saving_values(b->trainer, &count);
    assert_memory_equal(alone, b->together[i], count * sizeof(float));
    assert_memory_not_equal(alone, b->start[i], count * sizeof(float));
    assert_int_equal(report.steps, client->report.steps);
    assert_int_equal(report.tokens, client->report.tokens);
    assert_true(report.loss_sum == client->report.loss_sum);
    assert_true(report.loss_last == client->report.loss_last);
    rn_free(alone);
}

static void compare(const struct rn_trainer_spec *spec, const char *folder, size_t clients,
                    enum rn_matrix active)
{
    struct bench b = bench_of(spec, folder, clients);
    const struct rn_train_spec train = training(active);
    struct rn_client list[MOST];
    for (size_t i = 0; i < clients; i++) {
        list[i] = (struct rn_client){
            .data = b.data[i], .seed = 40 + i, .stream_offset = i % 3, .values = b.together[i]};
    }
    struct rn_error err;
    size_t count = 0;
    float *before = saving_values(b.trainer, &count);
    must(rn_trainer_train_clients(b.trainer, list, clients, &train, NULL, NULL, &err), &err);
    float *after = saving_values(b.trainer, &count);
    assert_memory_equal(before, after, count * sizeof(float));
    assert_false(b.trainer->state.head_changed);
    assert_null(b.trainer->lanes.passes); /* the gradients of pieces are given back */
    rn_free(before);
    rn_free(after);
    for (size_t i = 0; i < clients; i++) {
        assert_alone(&b, &list[i], i, &train);
    }
    bench_clear(&b);
}

static void together_equals_alone(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 8};
    for (size_t i = 0; i < SAVING_BACKENDS * 4; i++) {
        const char *backend = saving_backends[i / 4];
        char model[RN_PATH_MAX];
        if (cpu_class_leaves_out(backend)) {
            continue;
        }
        struct rn_trainer_spec spec = saving_spec(model, "roberta-24", backend, false);
        spec.threads = i % 2 == 0 ? 2 : 1;
        compare(&spec, "roberta-24", counts[i % 4], RN_MATRIX_AB);
    }
}

/* Every module and BERT's pooler; one matrix alone; a frozen head; a prefix from the cache. */
static void other_shapes_too(void **state)
{
    (void)state;
    for (size_t b = 0; b < SAVING_BACKENDS; b++) {
        if (cpu_class_leaves_out(saving_backends[b])) {
            continue;
        }
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec = saving_spec(model, "bert-40", saving_backends[b], false);
        spec.lora.target_count = 0;
        compare(&spec, "bert-40", 3, RN_MATRIX_AB);
        spec.switches.plain_last_layer = true;
        spec.head = RN_HEAD_FROZEN;
        compare(&spec, "bert-40", 2, RN_MATRIX_A);
        spec = saving_spec(model, "bert-40", saving_backends[b], true);
        spec.cache_bytes = 3 * RN_CACHE_BYTES_MIN;
        compare(&spec, "bert-40", 8, RN_MATRIX_B);
    }
}

/* The second client's last update overflows, which no loss sees: an A of 1e38 above a B of 0 grows
 * by its decay alone. */
static void give_up_at_the_end(struct bench *b)
{
    const struct rn_segment *segments = NULL;
    size_t segment_count = 0;
    size_t count = 0;
    struct rn_error err = {{0}};
    must(rn_trainer_layout(b->trainer, RN_MATRIX_AB, true, &segments, &segment_count, &count),
         &err);
    float *values[2];
    struct rn_client list[2];
    for (size_t i = 0; i < 2; i++) {
        values[i] = saving_values(b->trainer, &count);
        list[i] = (struct rn_client){.data = b->data[i], .values = values[i]};
    }
    float *before = saving_values(b->trainer, &count);
    assert_true(segments[0].kind == RN_SEGMENT_A && segments[1].kind == RN_SEGMENT_B);
    values[1][segments[0].offset] = 1e38f;
    memset(values[1] + segments[1].offset, 0, segments[1].count * sizeof(float));
    const struct rn_train_spec train = {.active = RN_MATRIX_AB,
                                        .optimizer = RN_OPTIMIZER_SGD,
                                        .lr_a = 1.0,
                                        .lr_b = 1e-3,
                                        .weight_decay = 9.0,
                                        .batch = 4,
                                        .steps = 1};
    assert_failure(rn_trainer_train_clients(b->trainer, list, 2, &train, NULL, NULL, &err),
                   RN_E_ROUND_NUMERIC, &err, "a trained value");
    assert_memory_equal(values[0], before, count * sizeof(float));
    rn_free(before);
    rn_free(values[0]);
    rn_free(values[1]);
}

static void limits_and_failures(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = saving_spec(model, "roberta-24", "cpu", false);
    struct bench b = bench_of(&spec, "roberta-24", 2);
    struct rn_client list[RN_TRAINER_CLIENTS_MAX + 1];
    for (size_t i = 0; i <= RN_TRAINER_CLIENTS_MAX; i++) {
        list[i] = (struct rn_client){.data = b.data[0], .values = b.together[i % 2]};
    }
    struct rn_train_spec train = training(RN_MATRIX_AB);
    train.epochs = 1;
    struct rn_error err = {{0}};
    assert_failure(rn_trainer_train_clients(b.trainer, list, 0, &train, NULL, NULL, &err),
                   RN_E_CONFIG, &err, "0 clients");
    assert_failure(rn_trainer_train_clients(b.trainer, list, RN_TRAINER_CLIENTS_MAX + 1, &train,
                                            NULL, NULL, &err),
                   RN_E_CONFIG, &err, "257 clients");
    must(
        rn_trainer_train_clients(b.trainer, list, RN_TRAINER_CLIENTS_MAX, &train, NULL, NULL, &err),
        &err);
    const float kept = b.together[1][3];
    list[0].values = b.start[0];
    b.start[0][5] = NAN;
    assert_failure(rn_trainer_train_clients(b.trainer, list, 2, &train, NULL, NULL, &err),
                   RN_E_ROUND_NUMERIC, &err, "finite");
    assert_true(b.together[1][3] == kept);
    /* One that comes to nothing at its end takes no other's result along. */
    give_up_at_the_end(&b);
    /* The trainer goes on with its own adapter. */
    must(rn_trainer_train(b.trainer, b.data[0], &train, NULL, NULL, NULL, &err), &err);
    bench_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(together_equals_alone),
        cmocka_unit_test(other_shapes_too),
        cmocka_unit_test(limits_and_failures),
    };
    return run_in_classes(CPU_CLASSES_UNLIKE,
                          &(struct class_tests){"clients", tests, RN_ARRAY_LENGTH(tests),
                                                fixture_setup, fixture_remove});
}
