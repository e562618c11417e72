/* SPDX-License-Identifier: Apache-2.0 */
#include "services/simulate/simulation.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/simulate/simmasked.h"
#include "services/simulate/simround.h"

struct run {
    const struct rn_simulation_config *config;
    const struct rn_plan *plan;
    struct rn_sim_world *world;
    struct rn_simulation_report *report;
    uint32_t *members; /* [clients]: of the round */
    uint32_t count;
    uint32_t batches;  /* times that the base is gone through in a round's step */
    uint32_t batch;    /* the running one, from 0 */
    uint32_t last;     /* step that was told last */
    uint64_t begun_ms; /* of the running round */
};

void rn_simulation_report_clear(struct rn_simulation_report *report)
{
    rn_sim_rows_clear(&report->rows);
    *report = (struct rn_simulation_report){0};
}

/* ---- Progress */

static bool on_progress(void *context, const struct rn_train_progress *progress)
{
    struct run *run = context;
    const uint64_t each = (uint64_t)run->plan->training.steps * run->batches;
    run->batch += progress->step <= run->last;
    run->last = progress->step;
    return run->config->progress == NULL ||
           run->config->progress(run->config->context,
                                 run->report->rows.count * each +
                                     (uint64_t)run->batch * run->plan->training.steps +
                                     progress->step,
                                 run->plan->rounds * each, progress->loss);
}

static void begin_progress(struct run *run)
{
    run->batch = 0;
    run->last = 0;
    run->batches = (run->count + RN_TRAINER_CLIENTS_MAX - 1) / RN_TRAINER_CLIENTS_MAX;
}

/* ---- One round */

static rn_result judge(struct run *run, struct rn_sim_row *row, struct rn_error *err)
{
    row->metric = row->dev_loss = (double)NAN;
    const bool due =
        row->round % run->config->evaluate_every == 0 || row->round == run->plan->rounds;
    return run->world->dev != NULL && due
               ? rn_sim_world_evaluate(run->world, &row->metric, &row->dev_loss, err)
               : rn_ok();
}

static uint64_t uplink_of(const struct run *run, uint32_t round)
{
    const struct rn_sim_world *world = run->world;
    struct rn_round_layout layout;
    struct rn_plan_numbers numbers;
    const rn_result feasible = rn_plan_feasible(run->plan, world->clients, &numbers, NULL);
    (void)feasible; /* the numbers stand also where services would refuse so few members */
    const rn_result laid_out =
        rn_round_model_layout(&world->model, run->plan, round, round - 1, &layout, NULL);
    return rn_is_ok(laid_out) ? rn_plan_upload_bytes(&numbers, layout.elements) : 0;
}

static struct rn_sim_row row_of(const struct run *run, const struct rn_job_result *result)
{
    struct rn_sim_row row = {.round = result->round,
                             .active = result->active,
                             .clients = result->included,
                             .loss = result->loss,
                             .examples = result->examples,
                             .clipped = result->clipped,
                             .uplink_bytes = uplink_of(run, result->round)};
    memcpy(row.after, result->after, RN_HASH_BYTES);
    return row;
}

static rn_result write_table(const struct run *run, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csv = {0};
    rn_sim_rows_csv(&run->report->rows, &csv);
    RN_TRY(rn_path_join(path, run->config->directory, "rounds.csv", err));
    return rn_file_write(path, rn_buffer_view(&csv), 0644, err);
}

/* The round has its sum, and the world its adapter. */
static rn_result take_round(struct run *run, const struct rn_job_result *result,
                            struct rn_error *err)
{
    const struct rn_simulation_config *config = run->config;
    struct rn_sim_row row = row_of(run, result);
    RN_TRY(judge(run, &row, err));
    row.milliseconds = rn_clock_monotonic_ms() - run->begun_ms;
    run->begun_ms = rn_clock_monotonic_ms();
    rn_sim_rows_add(&run->report->rows, &row);
    RN_TRY(rn_sim_state_write(config->directory, config->settings, run->world, &run->report->rows,
                              err));
    return write_table(run, err);
}

static rn_result one_round(struct run *run, uint32_t round, struct rn_error *err)
{
    const struct rn_simulation_config *config = run->config;
    struct rn_job_result result;
    run->count =
        rn_sim_sample(run->world, config->sample, config->sample_seed, round, run->members);
    begin_progress(run);
    RN_TRY(
        rn_sim_round(run->world, round, run->members, run->count, on_progress, run, &result, err));
    return take_round(run, &result, err);
}

static rn_result on_summed(void *context, const struct rn_job_result *result, struct rn_error *err)
{
    struct run *run = context;
    RN_TRY(take_round(run, result, err));
    begin_progress(run);
    return rn_ok();
}

/* ---- The job */

/* Values, their transposed copy, gradient and two moments in the trainer; values here; a head. */
static uint64_t member_bytes(const struct rn_sim_world *world)
{
    return (6 * world->value_count + (world->heads == NULL ? 0 : world->head_count)) *
           sizeof(float);
}

static rn_result finish(struct run *run, struct rn_error *err)
{
    struct rn_simulation_report *report = run->report;
    char path[RN_PATH_MAX];
    report->clients = run->world->clients;
    report->member_bytes = member_bytes(run->world);
    memcpy(report->adapter_hash, run->world->model.adapter_hash, RN_HASH_BYTES);
    for (uint32_t i = 0; i < report->rows.count; i++) {
        report->seconds += (double)report->rows.items[i].milliseconds / 1000.0;
    }
    RN_TRY(rn_path_join(path, run->config->directory, "adapter", err));
    return rn_sim_world_save(run->world, path, run->config->provenance, err);
}

static rn_result run_masked(struct run *run, struct rn_error *err)
{
    run->count = run->world->clients;
    begin_progress(run);
    RN_TRY(rn_sim_masked(run->world, on_progress, on_summed, run, err));
    RN_ENSURE(run->report->rows.count == run->plan->rounds, err, RN_E_INCOMPLETE,
              "the simulated federation ended after %u of %u rounds",
              (unsigned)run->report->rows.count, (unsigned)run->plan->rounds);
    return finish(run, err);
}

static rn_result run_rounds(struct run *run, struct rn_error *err)
{
    bool found = false;
    if (run->config->resume) {
        RN_TRY(rn_sim_state_read(run->config->directory, run->config->settings, run->world,
                                 &run->report->rows, &found, err));
        run->report->resumed = run->report->rows.count;
    }
    for (uint32_t round = run->report->rows.count + 1; round <= run->plan->rounds; round++) {
        RN_TRY(one_round(run, round, err));
    }
    return finish(run, err);
}

static rn_result check(const struct rn_simulation_config *config, struct rn_error *err)
{
    RN_ENSURE(config->sample <= config->world.clients, err, RN_E_USAGE,
              "a round cannot have %u of %u clients", (unsigned)config->sample,
              (unsigned)config->world.clients);
    RN_ENSURE(!config->masked || config->sample == 0 || config->sample == config->world.clients,
              err, RN_E_USAGE, "with secure aggregation every client is in every round: no sample");
    RN_ENSURE(!config->masked || !config->resume, err, RN_E_USAGE,
              "a simulation with secure aggregation is not resumed; begin anew");
    return rn_ok();
}

rn_result rn_simulation_run(const struct rn_simulation_config *config,
                            struct rn_simulation_report *out_report, struct rn_error *err)
{
    struct run run = {.config = config, .plan = config->world.plan, .report = out_report};
    *out_report = (struct rn_simulation_report){0};
    RN_TRY(check(config, err));
    RN_TRY(rn_sim_world_open(&config->world, &run.world, err));
    run.members = rn_alloc(run.world->clients, sizeof(*run.members));
    run.begun_ms = rn_clock_monotonic_ms();
    const rn_result result = config->masked ? run_masked(&run, err) : run_rounds(&run, err);
    rn_free(run.members);
    rn_sim_world_close(run.world);
    return result;
}
