/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's input: a model that opens and trains, lengths and texts that are what they say;
 * and that rates of the machine come out (their size is no verdict).
 */
#include "base/bytes.h"
#include "base/file.h"
#include "trainer/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXTS 12

static const struct rn_random_model model = {
    .layers = 2, .hidden = 32, .heads = 2, .intermediate = 64, .seed = 3};

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_path_join(path, folder, name, NULL)));
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/rondo-random-XXXXXX", 25);
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"model.safetensors", "tokenizer.json", "config.json",
                                        "texts.tsv"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        (void)unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

struct expected {
    const uint32_t *lengths;
    size_t seen;
};

static rn_result check_ids(void *context, size_t index, const uint32_t *ids, size_t count,
                           struct rn_error *err)
{
    struct expected *expected = context;
    (void)err;
    assert_int_equal(count, expected->lengths[index]);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[count - 1], 2);
    for (size_t i = 1; i + 1 < count; i++) {
        assert_true(ids[i] >= 4 && ids[i] < 4 + RN_RANDOM_WORDS);
    }
    expected->seen++;
    return rn_ok();
}

static void write_all(uint32_t lengths[TEXTS])
{
    struct rn_error err = {{0}};
    const rn_result written = rn_random_model_write(&model, folder, NULL, NULL, &err);
    assert_string_equal(err.text, "");
    assert_true(rn_is_ok(written));
    rn_random_lengths(5, TEXTS, lengths);
    assert_true(rn_is_ok(rn_random_texts_write(6, lengths, TEXTS, path_of("texts.tsv"), &err)));
}

static void texts_have_their_lengths(void **state)
{
    uint32_t lengths[TEXTS];
    struct expected expected = {.lengths = lengths};
    struct rn_error err = {{0}};
    (void)state;
    write_all(lengths);
    const struct rn_data_spec data = {
        .path = path_of("texts.tsv"), .format = "tsv", .text_column = "text"};
    assert_true(rn_is_ok(rn_text_tokenize(folder, &data, 0, check_ids, &expected, &err)));
    assert_int_equal(expected.seen, TEXTS);
}

static void the_model_trains(void **state)
{
    static const char *const labels[] = {"0", "1"};
    uint32_t lengths[TEXTS];
    struct rn_trainer *trainer = NULL;
    struct rn_dataset *data = NULL;
    struct rn_train_report report;
    struct rn_error err = {{0}};
    (void)state;
    write_all(lengths);
    const struct rn_trainer_spec spec = {.model_dir = folder,
                                         .labels = labels,
                                         .label_count = 2,
                                         .lora = {.rank = 4, .alpha = 8},
                                         .head = RN_HEAD_FROZEN,
                                         .threads = 1,
                                         .for_training = true};
    const rn_result opened = rn_trainer_open(&spec, &trainer, &err);
    assert_string_equal(err.text, "");
    assert_true(rn_is_ok(opened));
    struct rn_trainer_facts facts;
    rn_trainer_facts(trainer, &facts);
    assert_false(facts.head_from_seed); /* the checkpoint has one */
    assert_int_equal((facts.parameters + facts.head_parameters) * sizeof(float),
                     rn_random_model_bytes(&model));
    const struct rn_data_spec texts = {.path = path_of("texts.tsv"),
                                       .format = "tsv",
                                       .text_column = "text",
                                       .label_column = "label"};
    assert_true(rn_is_ok(rn_trainer_data_open(trainer, &texts, &data, &err)));
    const struct rn_train_spec train = {.active = RN_MATRIX_AB,
                                        .optimizer = RN_OPTIMIZER_ADAMW,
                                        .lr_a = 1e-4,
                                        .lr_b = 1e-4,
                                        .batch = 5,
                                        .epochs = 1};
    assert_true(rn_is_ok(rn_trainer_train(trainer, data, &train, NULL, NULL, &report, &err)));
    uint64_t tokens = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        tokens += lengths[i];
    }
    assert_int_equal(report.tokens, tokens);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

static void a_kept_directory_is_recognised(void **state)
{
    uint32_t lengths[TEXTS];
    struct rn_random_model other = model;
    (void)state;
    write_all(lengths);
    assert_true(rn_random_model_matches(&model, folder));
    other.seed++;
    assert_false(rn_random_model_matches(&other, folder));
    assert_int_equal(truncate(path_of("model.safetensors"), 100), 0);
    assert_false(rn_random_model_matches(&model, folder));
}

static void same_seed_same_bytes(void **state)
{
    uint32_t lengths[TEXTS];
    struct rn_buffer first = {0};
    struct rn_buffer second = {0};
    (void)state;
    write_all(lengths);
    assert_true(rn_is_ok(rn_file_read(path_of("model.safetensors"), 1 << 24, &first, NULL)));
    write_all(lengths);
    assert_true(rn_is_ok(rn_file_read(path_of("model.safetensors"), 1 << 24, &second, NULL)));
    assert_true(rn_view_equal(rn_buffer_view(&first), rn_buffer_view(&second)));
    rn_buffer_clear(&first);
    rn_buffer_clear(&second);
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    assert_true(done <= total);
    return false;
}

static void sizes_and_stopping(void **state)
{
    struct rn_error err = {{0}};
    struct rn_random_model wrong = model;
    (void)state;
    wrong.heads = 3;
    assert_int_equal(rn_random_model_write(&wrong, folder, NULL, NULL, &err).code, RN_E_CONFIG);
    wrong = model;
    wrong.layers = RN_TRAINER_LAYERS_MAX + 1;
    assert_int_equal(rn_random_model_write(&wrong, folder, NULL, NULL, &err).code, RN_E_CONFIG);
    assert_int_equal(rn_random_model_write(&model, folder, stop_at_once, NULL, &err).code,
                     RN_E_ROUND_ABORTED);
    assert_false(rn_random_model_matches(&model, folder)); /* whole only with config.json */
}

/* Median 24, sigma 0.7: 400 draws put the median within 4 and some at either end. */
static void lengths_as_in_glue(void **state)
{
    enum { COUNT = 400 };
    uint32_t lengths[COUNT];
    size_t below = 0;
    (void)state;
    rn_random_lengths(1, COUNT, lengths);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(lengths[i] >= RN_RANDOM_LENGTH_LEAST && lengths[i] <= RN_RANDOM_LENGTH_MOST);
        below += lengths[i] < 24;
    }
    assert_true(below > COUNT * 2 / 5 && below < COUNT * 3 / 5);
}

static void rates_come_out(void **state)
{
    struct rn_measure_spec spec = {
        .backend = "cpu", .threads = 2, .hidden = 48, .intermediate = 96, .rows = 100};
    struct rn_product_rates rates;
    struct rn_instruction_peak peaks[RN_MEASURE_PEAKS_MAX];
    struct rn_cpu_facts cpu;
    struct rn_error err = {{0}};
    size_t count = 0;
    (void)state;
    assert_true(rn_is_ok(rn_measure_products(&spec, &rates, &err)));
    assert_int_equal(rates.products[1].n, 144);
    assert_true(isfinite(rates.best) && rates.best > 0.0 && rates.layer <= rates.best * 1.0001);
    assert_true(rn_is_ok(rn_measure_peaks(1, 0.0, peaks, &count, &err)));
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(peaks[i].rate) && peaks[i].rate > 0.0);
    }
    rn_measure_cpu(&cpu);
    assert_true(cpu.cores >= 1 && cpu.class[0] != '\0');
    assert_true(count > 0 || strcmp(cpu.class, "other") == 0);
    spec.rows = RN_MEASURE_ROWS_MAX + 1;
    assert_int_equal(rn_measure_products(&spec, &rates, &err).code, RN_E_CONFIG);
    spec.rows = 0;
    spec.hidden = RN_MEASURE_WIDTH_MAX + 1;
    assert_int_equal(rn_measure_products(&spec, &rates, &err).code, RN_E_CONFIG);
    spec.backend = "none";
    spec.hidden = 48;
    assert_int_equal(rn_measure_products(&spec, &rates, &err).code, RN_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_have_their_lengths, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_model_trains, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_kept_directory_is_recognised, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(same_seed_same_bytes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(sizes_and_stopping, make_folder, remove_folder),
        cmocka_unit_test(lengths_as_in_glue),
        cmocka_unit_test(rates_come_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
