/* SPDX-License-Identifier: Apache-2.0
 *
 * What a trainer refuses before it computes: data that another trainer opened, a tokenizer that
 * gives token types the model has not, names that no adapter file can hold, and values that an
 * update made useless. And that a pooler from the seed is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"

#include "tests/unit/trainer/goldenmodel.h"

static const struct rn_train_spec one_step = {
    .active = RN_MATRIX_AB, .lr_a = 0.1, .lr_b = 0.1, .batch = 4, .steps = 1};

/* Every job on the data is refused; prediction needs no labels. */
static void assert_refused(struct rn_trainer *trainer, const struct rn_dataset *data, bool labels)
{
    struct rn_error err;
    struct rn_metrics metrics;
    assert_int_equal(rn_trainer_train(trainer, data, &one_step, NULL, NULL, NULL, &err).code,
                     RN_E_DATA);
    assert_int_equal(rn_trainer_evaluate(trainer, data, NULL, NULL, &metrics, &err).code,
                     RN_E_DATA);
    if (!labels) {
        assert_int_equal(rn_trainer_predict(trainer, data, NULL, NULL, &err).code, RN_E_DATA);
    }
}

/* A classifier's data at a regression and the other way round, and classes that the head has not.
 */
static void labels_of_another_trainer(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    char path[RN_PATH_MAX];
    struct rn_trainer_spec spec = {.model_dir = golden_path(model, "roberta-24", "model"),
                                   .label_count = 3,
                                   .head = RN_HEAD_LOCAL,
                                   .threads = 1,
                                   .for_training = true};
    const struct rn_data_spec file = {.path = golden_path(path, "roberta-24", "data.tsv"),
                                      .text_column = "text",
                                      .pair_column = "pair",
                                      .label_column = "label"};
    struct rn_trainer *trainers[3] = {NULL};
    struct rn_dataset *data[3] = {NULL};
    struct rn_error err;
    for (int i = 0; i < 3; i++) {
        spec.task = i == 2 ? RN_TASK_REGRESSION : RN_TASK_CLASSIFICATION;
        spec.label_count = i == 0 ? 3 : i == 1 ? 2 : 1;
        must(rn_trainer_open(&spec, &trainers[i], &err), &err);
        if (i != 1) {
            must(rn_trainer_data_open(trainers[i], &file, &data[i], &err), &err);
        }
    }
    assert_refused(trainers[1], data[0], true); /* class 2 of 2 */
    assert_refused(trainers[0], data[2], true);
    assert_refused(trainers[2], data[0], true);
    struct rn_metrics metrics;
    must(rn_trainer_evaluate(trainers[0], data[0], NULL, NULL, &metrics, &err), &err);
    must(rn_trainer_evaluate(trainers[2], data[2], NULL, NULL, &metrics, &err), &err);
    for (int i = 0; i < 3; i++) {
        rn_trainer_data_close(data[i]);
        rn_trainer_close(trainers[i]);
    }
}

/* Copies a file, with one text in it replaced by another. */
static void copy_changed(const char *from, const char *dir, const char *name, const char *old,
                         const char *new)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer changed = {0};
    char path[RN_PATH_MAX];
    struct rn_error err;
    must(rn_file_read(from, 1u << 24, &bytes, &err), &err);
    const char *text = rn_buffer_text(&bytes);
    for (const char *hit; (hit = strstr(text, old)) != NULL; text = hit + strlen(old)) {
        rn_buffer_append(&changed, text, (size_t)(hit - text));
        rn_buffer_append(&changed, new, strlen(new));
    }
    rn_buffer_append(&changed, text, strlen(text));
    must(rn_path_join(path, dir, name, &err), &err);
    must(rn_file_write(path, rn_buffer_view(&changed), 0600, &err), &err);
}

static void link_in(const char *dir, const char *name)
{
    char from[RN_PATH_MAX];
    char folder[RN_PATH_MAX];
    char to[RN_PATH_MAX];
    golden_path(folder, "bert-40", "model");
    assert_true(rn_is_ok(rn_path_join(from, folder, name, NULL)));
    assert_true(rn_is_ok(rn_path_join(to, dir, name, NULL)));
    assert_int_equal(symlink(from, to), 0);
}

static void empty_folder(const char *dir)
{
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json"};
    char path[RN_PATH_MAX];
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        assert_true(rn_is_ok(rn_path_join(path, dir, names[i], NULL)));
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

/* The template's second part has type 1; a model of two types takes it, one past the last it must
 * not, since the type is a row of a table. */
static void token_types_beyond_the_model(void **state)
{
    (void)state;
    static const char *const types[] = {"\"type_id\": 1", "\"type_id\": 2", "\"type_id\": 15"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(types); i++) {
        char dir[] = "/tmp/rondo-types.XXXXXX";
        char path[RN_PATH_MAX];
        assert_non_null(mkdtemp(dir));
        link_in(dir, "config.json");
        link_in(dir, "model.safetensors");
        copy_changed(golden_path(path, "bert-40", "model/tokenizer.json"), dir, "tokenizer.json",
                     "\"type_id\": 1", types[i]);
        const struct rn_trainer_spec spec = {
            .model_dir = dir, .label_count = 2, .head = RN_HEAD_LOCAL, .threads = 1};
        struct rn_error err;
        struct rn_trainer *trainer = NULL;
        must(rn_trainer_open(&spec, &trainer, &err), &err);
        struct rn_dataset *data = golden_data(trainer, "bert-40");
        struct rn_metrics metrics;
        if (i == 0) {
            must(rn_trainer_evaluate(trainer, data, NULL, NULL, &metrics, &err), &err);
        } else {
            assert_refused(trainer, data, false);
        }
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
        empty_folder(dir);
    }
}

/* A checkpoint without the pooler that its family needs gets one from the seed, which is told until
 * an adapter brings another: training does not reach it. */
static void a_random_pooler_is_told(void **state)
{
    (void)state;
    static const uint8_t name[] = "bert.pooler.dense.";
    char dir[] = "/tmp/rondo-pooler.XXXXXX";
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer weights = {0};
    struct rn_error err = {{0}};
    assert_non_null(mkdtemp(dir));
    link_in(dir, "config.json");
    link_in(dir, "tokenizer.json");
    must(rn_file_read(golden_path(path, "bert-40", "model/model.safetensors"), 1 << 24, &weights,
                      &err),
         &err);
    uint8_t *at = weights.data;
    while ((at = memmem(at, (size_t)(weights.data + weights.length - at), name,
                        sizeof(name) - 1)) != NULL) {
        at[5] = 'P'; /* a tensor that nothing asks for */
    }
    must(rn_path_join(path, dir, "model.safetensors", &err), &err);
    must(rn_file_write(path, rn_buffer_view(&weights), 0600, &err), &err);
    const char *const models[] = {golden_path(path, "bert-40", "model"), dir};
    for (size_t i = 0; i < 2; i++) {
        const struct rn_trainer_spec spec = {.model_dir = models[i],
                                             .label_count = 2,
                                             .lora = {.rank = 2, .alpha = 2},
                                             .head = RN_HEAD_LOCAL,
                                             .threads = 1,
                                             .for_training = true};
        struct rn_trainer *trainer = NULL;
        struct rn_trainer_facts facts;
        must(rn_trainer_open(&spec, &trainer, &err), &err);
        struct rn_dataset *data = golden_data(trainer, "bert-40");
        const struct rn_train_spec train = {
            .active = RN_MATRIX_AB, .lr_a = 1e-3, .lr_b = 1e-3, .batch = 6, .steps = 1};
        must(rn_trainer_train(trainer, data, &train, NULL, NULL, NULL, &err), &err);
        rn_trainer_facts(trainer, &facts);
        assert_true(!facts.head_random);
        assert_int_equal(facts.pooler_from_seed, i);
        assert_int_equal(facts.pooler_random, i);
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
    }
    empty_folder(dir);
}

/* Refused at open: after the training it would be too late. */
static void names_that_no_adapter_file_holds(void **state)
{
    (void)state;
    char good[RN_PATH_MAX];
    char parent[] = "/tmp/rondo-names.XXXXXX";
    char bad[RN_PATH_MAX];
    static const char *const labels[] = {"no", "y\xe9s"};
    static const char *const targets[] = {"query", "v\xe9lue"};
    golden_path(good, "bert-40", "model");
    assert_non_null(mkdtemp(parent));
    assert_true(rn_is_ok(rn_path_join(bad, parent, "mod\xe8le", NULL)));
    assert_int_equal(symlink(good, bad), 0);
    for (int i = 0; i < 4; i++) {
        const struct rn_trainer_spec spec = {
            .model_dir = i == 1 ? bad : good,
            .labels = i == 2 ? labels : NULL,
            .label_count = 2,
            .lora = {.rank = 2, .alpha = 2, .targets = targets, .target_count = i == 3 ? 2 : 1},
            .threads = 1};
        struct rn_error err;
        struct rn_trainer *trainer = NULL;
        const rn_result result = rn_trainer_open(&spec, &trainer, &err);
        assert_int_equal(result.code, i == 0 ? RN_OK : RN_E_CONFIG);
        assert_true(i == 0 || strstr(err.text, "UTF-8") != NULL);
        rn_trainer_close(trainer);
    }
    assert_int_equal(unlink(bad), 0);
    assert_int_equal(rmdir(parent), 0);
}

/* The one update is the last: no loss is formed at what it made. */
static void values_after_the_last_update(void **state)
{
    (void)state;
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 1, RN_HEAD_LOCAL);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_train_spec spec = one_step;
    struct rn_error err;
    struct rn_train_report report;
    const size_t count = trainer->adapter.count;
    float *values = rn_alloc(count, sizeof(float));
    must(rn_trainer_get(trainer, RN_MATRIX_AB, true, values, count, &err), &err);
    must(rn_trainer_train(trainer, data, &spec, NULL, NULL, &report, &err), &err);
    must(rn_trainer_set(trainer, RN_MATRIX_AB, true, values, count, &err), &err);
    spec.lr_a = spec.lr_b = spec.lr_head = 3e38;
    spec.weight_decay = 1e30;
    assert_int_equal(rn_trainer_train(trainer, data, &spec, NULL, NULL, &report, &err).code,
                     RN_E_ROUND_NUMERIC);
    struct rn_client client = {.data = data, .values = values};
    float *before = rn_alloc(count, sizeof(float));
    memcpy(before, values, count * sizeof(float));
    assert_int_equal(rn_trainer_train_clients(trainer, &client, 1, &spec, NULL, NULL, &err).code,
                     RN_E_ROUND_NUMERIC);
    assert_memory_equal(before, values, count * sizeof(float));
    rn_free(before);
    rn_free(values);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_of_another_trainer),
        cmocka_unit_test(token_types_beyond_the_model),
        cmocka_unit_test(a_random_pooler_is_told),
        cmocka_unit_test(names_that_no_adapter_file_holds),
        cmocka_unit_test(values_after_the_last_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
