/* SPDX-License-Identifier: Apache-2.0
 *
 * Study files, the grid that they span, and the interval of a mean.
 */
#include "services/cli/simulate/studyreport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"

#define TEXT                                                                              \
    "version: 1\nname: tiny\nmeaning: \"a test\"\nmodel: model\ndata:\n  train: a.tsv\n"  \
    "  test: /b.tsv\n  text: text\n  label: label\n  labels: [\"0\", \"1\"]\n"            \
    "  validation: 10\ntraining:\n  client_rounds: 20\n  steps: 5\n  batch: 4\n"          \
    "  max_length: 32\n  evaluate_every: 1\n  alpha: 8\n  clip: 1\n  scale: 0.125\n"      \
    "  head: frozen\n  optimizer: sgd\n  targets: [\"query\"]\ngrid:\n"                   \
    "  methods: [rolora, fedavg-lora]\n  ranks: [2, 4]\n  layers: [\"all\", \"1,3\"]\n"   \
    "  clients: [3, 8, 50]\n  partitions: [\"uniform\"]\n  rates: [\"1e-3\", \"0.01\"]\n" \
    "  seeds: [1, 2, 3, 4]\n"

static char folder[] = "/tmp/rondo-study-XXXXXX";
static char path[RN_PATH_MAX];
static struct rn_study *study;
static struct rn_error error;

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)rn_text_format(path, sizeof(path), "%s/study.yaml", folder);
    study = rn_alloc(1, sizeof(*study));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rn_free(study);
    (void)unlink(path);
    return rmdir(folder);
}

/* The file with `old` replaced by `new`. */
static rn_result read_with(const char *old, const char *new)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const char *at = strstr(TEXT, old);
    assert_non_null(at);
    rn_buffer_append(&text, TEXT, (size_t)(at - TEXT));
    rn_buffer_append(&text, new, strlen(new));
    rn_buffer_append(&text, at + strlen(old), strlen(at + strlen(old)));
    assert_true(rn_is_ok(rn_file_write(path, rn_buffer_view(&text), 0600, &error)));
    return rn_study_read(path, study, &error);
}

static void a_file_becomes_a_study(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    assert_true(rn_is_ok(read_with("batch: 4", "batch: 4")));
    (void)rn_text_format(model, sizeof(model), "%s/model", folder);
    assert_string_equal(study->model, model); /* beside the file */
    assert_string_equal(study->data.test, "/b.tsv");
    assert_int_equal(study->training.optimizer, RN_PLAN_SGD);
    assert_int_equal(study->grid.seeds_count, 4);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"batch: 4", "batch: 4097"},
        {"batch: 4", "bach: 4"},
        {"validation: 10", "validation: 1"},
        {"validation: 10", "validation: 101"},
        {"client_rounds: 20", "rounds: 20\n  client_rounds: 20"},
        {"  client_rounds: 20\n", ""},
        {"\"0.01\"", "\"much\""},
        {"\"0.01\"", "\"-1\""},
        {"clients: [3, 8, 50]", "clients: [0, 3]"},
        {"clients: [3, 8, 50]", "clients: [3, 1025]"},
        {"[rolora, fedavg-lora]", "[rolora, lora]"}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(changes); i++) {
        if (read_with(changes[i][0], changes[i][1]).code != RN_E_CONFIG) {
            fail_msg("%s was taken", changes[i][1]);
        }
    }
    assert_true(rn_is_ok(read_with("clients: [3, 8, 50]", "clients: [1, 1024]")));
}

static void the_grid_holds_every_combination_once(void **state)
{
    (void)state;
    RN_CLEANUP(rn_free_cleanup)
    struct rn_study_cell *cells = rn_alloc(RN_STUDY_CELLS_MAX, sizeof(*cells));
    assert_true(rn_is_ok(read_with("batch: 4", "batch: 4")));
    const uint32_t count = rn_study_cells(study, cells);
    assert_int_equal(count, 2 * 2 * 2 * 3);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            assert_string_not_equal(cells[i].label, cells[k].label);
        }
        assert_int_equal(cells[i].rounds, cells[i].clients == 3   ? 6
                                          : cells[i].clients == 8 ? 2
                                                                  : 1);
    }
    rn_study_quick(study);
    assert_int_equal(rn_study_cells(study, cells), 2 * 2);
    assert_int_equal(cells[0].clients, 3);
    assert_int_equal(cells[2].clients, 50);
    assert_int_equal(study->grid.seeds_count, 3);
}

static void a_run_has_the_cells_plan(void **state)
{
    (void)state;
    RN_CLEANUP(rn_free_cleanup)
    struct rn_study_cell *cells = rn_alloc(RN_STUDY_CELLS_MAX, sizeof(*cells));
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *plan = rn_alloc(1, sizeof(*plan));
    static const uint8_t model[32] = {7};
    assert_true(rn_is_ok(read_with("batch: 4", "batch: 4")));
    const uint32_t count = rn_study_cells(study, cells);
    for (uint32_t i = 0; i < count; i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        assert_true(rn_is_ok(rn_study_plan(study, &cells[i], 0.01, 9, model, &text, plan, &error)));
        assert_int_equal(plan->method, cells[i].method);
        assert_int_equal(plan->lora.rank, cells[i].rank);
        assert_int_equal(plan->lora.layers_count, strcmp(cells[i].layers, "all") == 0 ? 0 : 2);
        assert_int_equal(plan->rounds, cells[i].rounds);
        assert_int_equal(plan->seed, 9);
        assert_true(plan->training.lr_a == 0.01 && plan->training.lr_b == 0.01);
        assert_memory_equal(plan->model_hash, model, sizeof(model));
    }
    cells[0].layers = "1;3";
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    assert_int_equal(rn_study_plan(study, &cells[0], 0.01, 9, model, &text, plan, &error).code,
                     RN_E_CONFIG);
}

static void the_interval_is_students(void **state)
{
    (void)state;
    static const double values[] = {1, 2, 3, 4, 5}; /* s^2 = 2.5; t(0.975, 4) = 2.776445 */
    double mean = 0;
    double half = 0;
    rn_study_mean(values, 5, &mean, &half);
    assert_true(fabs(mean - 3) < 1e-12);
    assert_true(fabs(half - 2.776445 * sqrt(0.5)) < 1e-6);
    rn_study_mean(values, 2, &mean, &half); /* t(0.975, 1) = 12.706205, s / sqrt 2 = 1/2 */
    assert_true(fabs(mean - 1.5) < 1e-12 && fabs(half - 12.706205 / 2) < 1e-6);
    rn_study_mean(values, 1, &mean, &half);
    assert_true(mean == 1 && isnan(half));
    const double lost[] = {1, (double)NAN};
    rn_study_mean(lost, 2, &mean, &half);
    assert_true(isnan(mean) && isnan(half));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_becomes_a_study),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(the_grid_holds_every_combination_once),
        cmocka_unit_test(a_run_has_the_cells_plan),
        cmocka_unit_test(the_interval_is_students),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
