/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulated jobs of a small random model: with secure aggregation and without it, stopped and gone
 * on with, everybody or a sample, the adapters are what they must be.
 */
#include "services/simulate/simulation.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/simulate/simround.h"

#define CLIENTS 4
#define RECORDS 12

static char folder[] = "/tmp/rondo-simulate-XXXXXX";
static char data[CLIENTS][RN_PATH_MAX];
static struct rn_data_spec specs[CLIENTS];
static struct rn_plan *plan;
static struct rn_error error;

static void must(rn_result result)
{
    if (!rn_is_ok(result)) {
        fail_msg("%s", error.text);
    }
}

static void fill_plan(void)
{
    plan = rn_alloc(1, sizeof(*plan));
    rn_plan_defaults(plan);
    plan->rounds = 3;
    plan->seed = 5;
    plan->metrics = RN_METRICS_SUMMED;
    plan->model.max_length = 16;
    plan->task.labels_count = 2;
    memcpy(plan->task.labels[0], "0", 2);
    memcpy(plan->task.labels[1], "1", 2);
    plan->lora.rank = 2;
    plan->lora.head = RN_PLAN_HEAD_FEDERATED;
    plan->training.batch = 3;
    plan->training.steps = 2;
    plan->secagg.losses = 0;
    memset(plan->hash, 1, sizeof(plan->hash));
    memcpy(plan->federation, "simulation", sizeof("simulation"));
}

static int set_up(void **state)
{
    (void)state;
    const struct rn_random_model model = {
        .layers = 1, .hidden = 8, .heads = 2, .intermediate = 8, .seed = 1};
    uint32_t lengths[RECORDS];
    must(rn_crypto_setup(&error));
    assert_non_null(mkdtemp(folder));
    must(rn_random_model_write(&model, folder, NULL, NULL, &error));
    for (uint32_t i = 0; i < CLIENTS; i++) {
        for (uint32_t k = 0; k < RECORDS; k++) {
            lengths[k] = 5 + (i + k) % 7;
        }
        (void)rn_text_format(data[i], RN_PATH_MAX, "%s/client-%u.tsv", folder, (unsigned)i);
        must(rn_random_texts_write(i, lengths, RECORDS - i, data[i], &error));
        specs[i] =
            (struct rn_data_spec){.path = data[i], .text_column = "text", .label_column = "label"};
    }
    fill_plan();
    return 0;
}

/* In a fresh folder unless it goes on. */
static struct rn_simulation_config config_of(const char *name)
{
    static char out[RN_PATH_MAX];
    must(rn_path_join(out, folder, name, &error));
    must(rn_directory_make(out, 0700, &error));
    return (struct rn_simulation_config){.world = {.plan = plan,
                                                   .model_dir = folder,
                                                   .backend = "ref",
                                                   .threads = 1,
                                                   .data = specs,
                                                   .clients = CLIENTS,
                                                   .dev = &specs[0]},
                                         .evaluate_every = 1,
                                         .directory = out};
}

static void run(const struct rn_simulation_config *config, struct rn_simulation_report *report)
{
    must(rn_simulation_run(config, report, &error));
    assert_int_equal(report->rows.count, plan->rounds);
}

static void assert_same(const struct rn_simulation_report *a, const struct rn_simulation_report *b)
{
    for (uint32_t i = 0; i < plan->rounds; i++) {
        const struct rn_sim_row *one = &a->rows.items[i];
        const struct rn_sim_row *other = &b->rows.items[i];
        assert_memory_equal(one->after, other->after, RN_HASH_BYTES);
        assert_memory_equal(&one->loss, &other->loss, sizeof(double));
        assert_memory_equal(&one->metric, &other->metric, sizeof(double));
        assert_int_equal(one->examples, other->examples);
        assert_int_equal(one->clipped, other->clipped);
        assert_int_equal(one->uplink_bytes, other->uplink_bytes);
    }
}

static void masks_change_nothing(void **state)
{
    (void)state;
    static const enum rn_plan_head heads[] = {RN_PLAN_HEAD_FROZEN, RN_PLAN_HEAD_FEDERATED,
                                              RN_PLAN_HEAD_LOCAL};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(heads); i++) {
        RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report off = {0};
        RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report on = {0};
        plan->lora.head = heads[i];
        plan->weights = i == 1 ? RN_WEIGHTS_EXAMPLES : RN_WEIGHTS_UNIFORM;
        plan->max_examples = i == 1 ? RECORDS : 0;
        struct rn_simulation_config config = config_of("masks");
        run(&config, &off);
        config.masked = true;
        run(&config, &on);
        assert_same(&off, &on);
        assert_memory_not_equal(off.rows.items[0].after, off.rows.items[1].after, RN_HASH_BYTES);
    }
    plan->lora.head = RN_PLAN_HEAD_FEDERATED;
    plan->weights = RN_WEIGHTS_UNIFORM;
    plan->max_examples = 0;
}

/* As kill -9 in the round after: what is on the disk is what was there. */
static bool stop_in_round_two(void *context, uint64_t done, uint64_t total, double loss)
{
    (void)context;
    (void)total;
    (void)loss;
    return done <= plan->training.steps;
}

static void a_stopped_job_goes_on_to_the_same_adapter(void **state)
{
    (void)state;
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report whole = {0};
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report cut = {0};
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report rest = {0};
    plan->lora.head = RN_PLAN_HEAD_LOCAL; /* which the state must hold for every member */
    struct rn_simulation_config config = config_of("whole");
    run(&config, &whole);
    config = config_of("cut");
    config.progress = stop_in_round_two;
    assert_int_equal(rn_simulation_run(&config, &cut, &error).code, RN_E_ROUND_ABORTED);
    config.progress = NULL;
    config.resume = true;
    run(&config, &rest);
    assert_int_equal(rest.resumed, 1);
    assert_same(&whole, &rest);
    plan->lora.head = RN_PLAN_HEAD_FEDERATED;
}

static void a_damaged_state_is_refused(void **state)
{
    (void)state;
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report report = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    char path[RN_PATH_MAX];
    struct rn_simulation_config config = config_of("damaged");
    run(&config, &report);
    must(rn_path_join(path, config.directory, RN_SIM_STATE, &error));
    must(rn_file_read(path, 1 << 20, &bytes, &error));
    config.resume = true;
    const size_t length = bytes.length;
    for (size_t at = 0; at < length; at += 7) {
        rn_simulation_report_clear(&report);
        bytes.data[at] ^= 1;
        must(rn_file_write(path, rn_buffer_view(&bytes), 0600, &error));
        assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_DATA);
        bytes.data[at] ^= 1;
    }
    must(rn_file_write(path, rn_view_of(bytes.data, length - 1), 0600, &error));
    assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_DATA);
    must(rn_file_write(path, rn_buffer_view(&bytes), 0600, &error));
    config.settings[0] = 1;
    assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_USAGE);
}

static void a_sample_is_drawn_anew_each_round(void **state)
{
    (void)state;
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report report = {0};
    struct rn_sim_world world = {.clients = 100};
    uint32_t members[100];
    unsigned taken[100] = {0};
    for (uint32_t round = 1; round <= 50; round++) {
        assert_int_equal(rn_sim_sample(&world, 10, 1, round, members), 10);
        for (uint32_t i = 0; i < 10; i++) {
            assert_true(members[i] < 100 && (i == 0 || members[i] > members[i - 1]));
            taken[members[i]]++;
        }
    }
    unsigned never = 0;
    for (uint32_t i = 0; i < 100; i++) {
        never += taken[i] == 0;
    }
    assert_true(never < 10); /* 100 * 0.9^50 = 0.5 on average */
    assert_int_equal(rn_sim_sample(&world, 0, 1, 1, members), 100);
    struct rn_simulation_config config = config_of("sample");
    config.sample = 2;
    run(&config, &report);
    assert_int_equal(report.rows.items[0].clients, 2);
    assert_int_equal(report.rows.items[0].examples,
                     2 * plan->training.batch * plan->training.steps);
    config.sample = CLIENTS + 1;
    rn_simulation_report_clear(&report);
    assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_USAGE);
}

static void what_is_not_simulated_is_refused(void **state)
{
    (void)state;
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report report = {0};
    struct rn_simulation_config config = config_of("refused");
    plan->privacy.rate = 0.1;
    assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_UNSUPPORTED);
    plan->privacy.rate = 0;
    plan->evaluation.federated = true;
    assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_UNSUPPORTED);
    plan->evaluation.federated = false;
    config.masked = true;
    config.sample = 2;
    assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_USAGE);
    config.sample = 0;
    config.world.clients = 2; /* three members are the fewest */
    assert_int_equal(rn_simulation_run(&config, &report, &error).code, RN_E_CONFIG);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    rn_free(plan);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_change_nothing),
        cmocka_unit_test(a_stopped_job_goes_on_to_the_same_adapter),
        cmocka_unit_test(a_damaged_state_is_refused),
        cmocka_unit_test(a_sample_is_drawn_anew_each_round),
        cmocka_unit_test(what_is_not_simulated_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
