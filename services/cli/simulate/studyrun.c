/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/simulate/studyrun.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/cli/kit/progress.h"
#include "services/cli/kit/stopflag.h"
#include "services/cli/simulate/simclients.h"
#include "services/host/modelhash.h"

struct job {
    const struct rn_study_config *config;
    const struct rn_study *study;
    uint8_t model_hash[RN_HASH_BYTES];
    uint8_t training_hash[RN_HASH_BYTES], test_hash[RN_HASH_BYTES];
    char training[RN_PATH_MAX], validation[RN_PATH_MAX];
    struct rn_progress progress;
    uint64_t done; /* client steps */
    uint64_t unit; /* of the running simulation: clients */
};

/* One run. */
struct trial {
    const struct rn_study_cell *cell;
    uint32_t rate, seed;
    bool tested; /* on the test data; else on the validation part */
    char directory[RN_PATH_MAX];
    double value;
    bool known;      /* from an earlier start */
    uint32_t points; /* judged rounds */
    double *rounds, *metrics;
};

static void trial_clear(struct trial *trial)
{
    rn_free(trial->rounds);
    rn_free(trial->metrics);
}

void rn_study_outcome_clear(struct rn_study_outcome *outcome)
{
    rn_free(outcome->rounds);
    rn_free(outcome->curve);
    *outcome = (struct rn_study_outcome){0};
}

static uint64_t client_steps(const struct rn_study *study, const struct rn_study_cell *cell)
{
    return (uint64_t)cell->rounds * study->training.steps * cell->clients;
}

static uint32_t runs_of_cell(const struct rn_study *study)
{
    const uint32_t rates = study->grid.rates_count;
    return study->grid.seeds_count + (rates > 1 ? rates : 0);
}

uint64_t rn_study_runs(const struct rn_study_config *config, uint64_t *out_examples)
{
    *out_examples = 0;
    for (uint32_t i = 0; i < config->cell_count; i++) {
        *out_examples += client_steps(config->study, &config->cells[i]) *
                         config->study->training.batch * runs_of_cell(config->study);
    }
    return (uint64_t)config->cell_count * runs_of_cell(config->study);
}

/* ---- Data */

static struct rn_data_spec columns_of(const struct rn_study *study, struct rn_data_columns *columns)
{
    struct rn_data_spec spec = {0};
    *columns = (struct rn_data_columns){
        .path = study->data.train, .text = study->data.text, .label = study->data.label};
    const rn_result result = rn_data_columns_spec(columns, &spec, NULL);
    (void)result; /* what is wrong with it, opening the file says */
    return spec;
}

/* The validation part is one of equal parts; the others are the training data. */
static rn_result join_parts(const struct job *job, char (*paths)[RN_PATH_MAX], struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer all = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer part = {0};
    for (uint32_t i = 0; i < job->study->data.validation; i++) {
        RN_TRY(rn_file_read(paths[i], RN_BUFFER_MAX_DEFAULT, &part, err));
        if (i == 0) {
            RN_TRY(rn_file_write(job->validation, rn_buffer_view(&part), 0600, err));
        } else {
            rn_buffer_append(&all, part.data, part.length);
        }
    }
    RN_ENSURE(!all.failed, err, RN_E_MEMORY, "the training data are too large for a study");
    return rn_file_write(job->training, rn_buffer_view(&all), 0600, err);
}

static rn_result split_data(struct job *job, const char *directory, struct rn_error *err)
{
    const uint32_t parts = job->study->data.validation;
    const char *labels[RN_PLAN_LABELS_MAX];
    size_t counts[100];
    const char *list[100];
    struct rn_data_columns columns;
    RN_CLEANUP(rn_free_cleanup) char(*paths)[RN_PATH_MAX] = rn_alloc(parts, sizeof(*paths));
    struct rn_partition_spec spec = {.data = columns_of(job->study, &columns),
                                     .labels = labels,
                                     .label_count = job->study->data.labels_count,
                                     .out_paths = list,
                                     .parts = parts,
                                     .seed = 1};
    for (uint32_t i = 0; i < spec.label_count; i++) {
        labels[i] = job->study->data.labels[i];
    }
    for (uint32_t i = 0; i < parts; i++) {
        char name[32];
        (void)rn_text_format(name, sizeof(name), "part-%u.jsonl", (unsigned)i);
        RN_TRY(rn_path_join(paths[i], directory, name, err));
        list[i] = paths[i];
    }
    RN_TRY(rn_data_partition(&spec, counts, err));
    return join_parts(job, paths, err);
}

static rn_result prepare_data(struct job *job, struct rn_error *err)
{
    char directory[RN_PATH_MAX];
    RN_TRY(rn_path_join(directory, job->config->out, "data", err));
    RN_TRY(rn_directory_make(directory, 0700, err));
    RN_TRY(rn_path_join(job->training, directory, "training.jsonl", err));
    RN_TRY(rn_path_join(job->validation, directory, "validation.jsonl", err));
    RN_TRY(rn_model_hash(job->study->model, job->model_hash, err));
    RN_TRY(split_data(job, directory, err));
    RN_TRY(rn_sha256_file(job->training, job->training_hash, err));
    return rn_sha256_file(job->study->data.test, job->test_hash, err);
}

/* ---- Results */

static rn_result result_path(const struct trial *trial, char out[static RN_PATH_MAX],
                             struct rn_error *err)
{
    return rn_path_join(out, trial->directory, "result.json", err);
}

static rn_result write_result(const struct trial *trial,
                              const uint8_t settings[static RN_HASH_BYTES], struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char hash[2 * RN_HASH_BYTES + 1];
    rn_hex_encode(hash, settings, RN_HASH_BYTES);
    json_t *curve = json_array();
    for (uint32_t i = 0; i < trial->points; i++) {
        (void)json_array_append_new(curve,
                                    json_pack("[f, f]", trial->rounds[i], trial->metrics[i]));
    }
    json_t *value = isfinite(trial->value) ? json_real(trial->value) : json_null();
    json_t *root = json_pack("{s:s, s:o, s:o}", "settings", hash, "value", value, "curve", curve);
    const size_t size = json_dumpb(root, NULL, 0, JSON_COMPACT);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    uint8_t *place = rn_buffer_grow(&text, size);
    if (place != NULL) {
        (void)json_dumpb(root, (char *)place, size, JSON_COMPACT);
    }
    json_decref(root);
    RN_ENSURE(size > 0 && place != NULL, err, RN_E_INTERNAL, "a result is no JSON");
    RN_TRY(result_path(trial, path, err));
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

static void take_curve(const json_t *curve, struct trial *trial)
{
    const size_t count = json_array_size(curve);
    trial->points = count < RN_STUDY_POINTS_MAX ? (uint32_t)count : RN_STUDY_POINTS_MAX;
    trial->rounds = rn_alloc(trial->points, sizeof(double));
    trial->metrics = rn_alloc(trial->points, sizeof(double));
    for (uint32_t i = 0; i < trial->points; i++) {
        const json_t *point = json_array_get(curve, i);
        trial->rounds[i] = json_number_value(json_array_get(point, 0));
        trial->metrics[i] = json_number_value(json_array_get(point, 1));
    }
}

/* *out_found: the run is over, and its values are in trial. */
static rn_result read_result(struct trial *trial, const uint8_t settings[static RN_HASH_BYTES],
                             bool *out_found, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char hash[2 * RN_HASH_BYTES + 1];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_hex_encode(hash, settings, RN_HASH_BYTES);
    RN_TRY(result_path(trial, path, err));
    *out_found = rn_file_exists(path);
    if (!*out_found) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, 16u << 20, &text, err));
    json_t *root = json_loadb(rn_buffer_text(&text), text.length, 0, NULL);
    const char *of = json_string_value(json_object_get(root, "settings"));
    const bool same = of != NULL && strcmp(of, hash) == 0;
    const json_t *value = json_object_get(root, "value");
    trial->value = json_is_number(value) ? json_number_value(value) : (double)NAN;
    take_curve(same ? json_object_get(root, "curve") : NULL, trial);
    json_decref(root);
    RN_ENSURE(same, err, RN_E_USAGE,
              "%s is of another study, model or data; name a new folder for this one", path);
    return rn_ok();
}

/* ---- One run */

static bool on_progress(void *context, uint64_t done, uint64_t total, double loss)
{
    struct job *job = context;
    char note[32];
    (void)total;
    (void)rn_text_format(note, sizeof(note), "loss %.4f", loss);
    rn_progress_show(&job->progress, job->done + done * job->unit, note);
    return !rn_stopped();
}

static void take_report(const struct rn_simulation_report *report, struct trial *trial)
{
    const struct rn_sim_rows *rows = &report->rows;
    trial->rounds = rn_alloc(rows->count, sizeof(double));
    trial->metrics = rn_alloc(rows->count, sizeof(double));
    for (uint32_t i = 0; i < rows->count; i++) {
        if (isfinite(rows->items[i].metric)) {
            trial->rounds[trial->points] = rows->items[i].round;
            trial->metrics[trial->points++] = rows->items[i].metric;
        }
    }
    trial->value = rows->items[rows->count - 1].metric;
}

/* A rate that is too high ends in numbers that are none: that is its result. */
static rn_result simulate(const struct rn_simulation_config *config, struct trial *trial,
                          struct rn_error *err)
{
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report report = {0};
    const rn_result result = rn_simulation_run(config, &report, err);
    if (rn_is_ok(result)) {
        take_report(&report, trial);
    } else if (result.code == RN_E_ROUND_NUMERIC) {
        trial->value = (double)NAN;
        return rn_ok();
    }
    return result;
}

/* All that a run depends on; who has which records follows from partition, seed and training data.
 */
static void trial_settings(const struct job *job, const struct rn_plan *plan,
                           const struct trial *trial, struct rn_buffer *text)
{
    rn_buffer_append(text, plan->hash, sizeof(plan->hash));
    rn_buffer_append(text, job->training_hash, sizeof(job->training_hash));
    rn_buffer_append(text, job->test_hash, sizeof(job->test_hash));
    rn_buffer_format(text, "%s %u %u %u %s", trial->cell->partition, (unsigned)trial->cell->clients,
                     (unsigned)job->study->training.evaluate_every, trial->tested ? 1u : 0u,
                     job->config->backend);
}

static rn_result run_open(struct job *job, struct trial *trial, const struct rn_plan *plan,
                          const struct rn_sim_clients *clients, struct rn_error *err)
{
    const struct rn_study *study = job->study;
    struct rn_data_columns columns;
    struct rn_data_spec dev = clients->specs[0]; /* the columns of the parts */
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    dev.path = job->validation;
    if (trial->tested) {
        dev = columns_of(study, &columns);
        dev.path = study->data.test;
    }
    struct rn_simulation_config config = {
        .world = {.plan = plan,
                  .model_dir = study->model,
                  .backend = job->config->backend,
                  .threads = job->config->threads,
                  .data = clients->specs,
                  .clients = (uint32_t)clients->count,
                  .dev = &dev},
        .evaluate_every = study->training.evaluate_every,
        .directory = trial->directory,
        .resume = true,
        .provenance = "Made by `rondo simulate study`.",
        .progress = on_progress,
        .context = job,
    };
    trial_settings(job, plan, trial, &text);
    const struct rn_view view = rn_buffer_view(&text);
    rn_sha256(config.settings, "rondo/v1 study run", &view, 1);
    RN_TRY(read_result(trial, config.settings, &trial->known, err));
    if (trial->known) {
        return rn_ok();
    }
    job->unit = clients->count;
    RN_TRY(simulate(&config, trial, err));
    return write_result(trial, config.settings, err);
}

static rn_result write_plan(const struct trial *trial, const struct rn_buffer *text,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_directory_make(trial->directory, 0755, err));
    RN_TRY(rn_path_join(path, trial->directory, "plan.yaml", err));
    return rn_file_write(path, rn_buffer_view(text), 0644, err);
}

static rn_result make_clients(struct job *job, const struct trial *trial,
                              const struct rn_plan *plan, struct rn_sim_data_settings *settings,
                              struct rn_sim_clients *clients, struct rn_error *err)
{
    const bool pair = strchr(job->study->data.text, ',') != NULL;
    *settings = (struct rn_sim_data_settings){
        .columns = {.path = job->training, .text = pair ? "text,pair" : "text", .label = "label"},
        .partition = trial->cell->partition,
        .clients = trial->cell->clients,
        .seed = trial->seed};
    return rn_sim_clients_make(settings, plan, NULL, 0, trial->directory, clients, err);
}

static rn_result run_trial(struct job *job, struct trial *trial, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *plan = rn_alloc(1, sizeof(*plan));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_sim_clients_clear) struct rn_sim_clients clients = {0};
    struct rn_sim_data_settings settings;
    const double rate = strtod(job->study->grid.rates[trial->rate], NULL);
    RN_TRY(rn_study_plan(job->study, trial->cell, rate, trial->seed, job->model_hash, &text, plan,
                         err));
    RN_TRY(write_plan(trial, &text, err));
    RN_TRY(make_clients(job, trial, plan, &settings, &clients, err));
    const rn_result result = run_open(job, trial, plan, &clients, err);
    if (trial->known) { /* it says nothing of the time that the others take */
        job->progress.total -= client_steps(job->study, trial->cell);
    } else {
        job->done += client_steps(job->study, trial->cell);
    }
    return rn_is_ok(result) ? result : rn_fail_context(err, result, "%s", trial->cell->label);
}

/* ---- A cell */

static rn_result name_trial(const struct job *job, uint32_t cell, struct trial *trial,
                            struct rn_error *err)
{
    RN_ENSURE(rn_text_format(trial->directory, sizeof(trial->directory),
                             "%s/runs/cell-%03u-%s-%u-%u", job->config->out, (unsigned)cell,
                             trial->tested ? "test" : "try", (unsigned)trial->rate,
                             (unsigned)trial->seed),
              err, RN_E_USAGE, "%s: path too long", job->config->out);
    return rn_ok();
}

static rn_result try_rates(struct job *job, uint32_t cell, struct rn_study_outcome *outcome,
                           struct rn_error *err)
{
    double best = -INFINITY;
    for (uint32_t r = 0; job->study->grid.rates_count > 1 && r < job->study->grid.rates_count;
         r++) {
        RN_CLEANUP(trial_clear)
        struct trial trial = {
            .cell = &job->config->cells[cell], .rate = r, .seed = job->study->grid.seeds[0]};
        RN_TRY(name_trial(job, cell, &trial, err));
        RN_TRY(run_trial(job, &trial, err));
        outcome->tried[r] = trial.value;
        if (trial.value > best) {
            best = trial.value;
            outcome->rate = r;
        }
    }
    return rn_ok();
}

static void add_curve(const struct trial *trial, uint32_t seeds, struct rn_study_outcome *outcome)
{
    if (outcome->rounds == NULL) {
        outcome->points = trial->points;
        outcome->rounds = rn_alloc(trial->points, sizeof(double));
        outcome->curve = rn_alloc(trial->points, sizeof(double));
    }
    for (uint32_t i = 0; i < outcome->points; i++) {
        const bool there = i < trial->points;
        outcome->rounds[i] = there ? trial->rounds[i] : outcome->rounds[i];
        outcome->curve[i] += (there ? trial->metrics[i] : (double)NAN) / seeds;
    }
}

static rn_result run_seeds(struct job *job, uint32_t cell, struct rn_study_outcome *outcome,
                           struct rn_error *err)
{
    for (uint32_t s = 0; s < job->study->grid.seeds_count; s++) {
        RN_CLEANUP(trial_clear)
        struct trial trial = {.cell = &job->config->cells[cell],
                              .rate = outcome->rate,
                              .seed = job->study->grid.seeds[s],
                              .tested = true};
        RN_TRY(name_trial(job, cell, &trial, err));
        RN_TRY(run_trial(job, &trial, err));
        outcome->values[s] = trial.value;
        add_curve(&trial, job->study->grid.seeds_count, outcome);
    }
    return rn_ok();
}

static rn_result run_cells(struct job *job, struct rn_study_outcome *outcomes, struct rn_error *err)
{
    for (uint32_t i = 0; i < job->config->cell_count; i++) {
        RN_TRY(try_rates(job, i, &outcomes[i], err));
        RN_TRY(run_seeds(job, i, &outcomes[i], err));
    }
    return rn_ok();
}

rn_result rn_study_run(const struct rn_study_config *config, struct rn_study_outcome *outcomes,
                       struct rn_error *err)
{
    struct job job = {.config = config, .study = config->study};
    uint64_t total = 0;
    for (uint32_t i = 0; i < config->cell_count; i++) {
        total += client_steps(config->study, &config->cells[i]) * runs_of_cell(config->study);
    }
    RN_TRY(prepare_data(&job, err));
    rn_progress_init(&job.progress, "study", total, config->quiet);
    const rn_result result = run_cells(&job, outcomes, err);
    rn_progress_done(&job.progress);
    return result;
}
