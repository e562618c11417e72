/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/simulate/studyreport.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/cli/kit/svgbars.h"
#include "services/cli/kit/svgplot.h"

/* Quantile 0.975 of Student's t by degrees of freedom, from 1. */
static const double student[RN_STUDY_LIST_MAX - 1] = {
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004,
    2.262157,  2.228139, 2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905,
    2.109816,  2.100922, 2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899,
    2.059539,  2.055529, 2.051831, 2.048407, 2.045230, 2.042272, 2.039513};

void rn_study_mean(const double *values, uint32_t count, double *out_mean, double *out_half)
{
    double mean = 0;
    double squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        mean += values[i] / count;
    }
    for (uint32_t i = 0; i < count; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    *out_mean = isfinite(mean) ? mean : (double)NAN;
    *out_half = count < 2 || !isfinite(mean)
                    ? (double)NAN
                    : student[count - 2] * sqrt(squares / (count - 1) / count);
}

static rn_result write(const struct rn_study_config *config, const char *name,
                       const struct rn_buffer *content, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, config->out, name, err));
    return rn_file_write(path, rn_buffer_view(content), 0644, err);
}

/* ---- Figures */

static rn_result write_bars(const struct rn_study_config *config,
                            const struct rn_study_outcome *outcomes, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup)
    struct rn_bar *bars = rn_alloc(config->cell_count, sizeof(*bars));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer svg = {0};
    for (uint32_t i = 0; i < config->cell_count; i++) {
        double mean = 0;
        double half = 0;
        rn_study_mean(outcomes[i].values, config->study->grid.seeds_count, &mean, &half);
        bars[i].value = isfinite(mean) ? 100 * fmax(mean, 0) : 0;
        bars[i].low = isfinite(half) ? 100 * (mean - half) : 0;
        bars[i].high = isfinite(half) ? 100 * (mean + half) : 0;
        bars[i].group = (unsigned)config->cells[i].method;
        (void)rn_text_format(bars[i].label, sizeof(bars[i].label), "%.79s", config->cells[i].label);
    }
    const struct rn_bars all = {.title = config->study->name,
                                .unit = " %",
                                .note =
                                    "accuracy on the test data: mean of the seeds, 95 % interval",
                                .bars = bars,
                                .count = config->cell_count};
    RN_TRY(rn_bars_write(&all, &svg, err));
    return write(config, "bars.svg", &svg, err);
}

static rn_result write_rounds(const struct rn_study_config *config,
                              const struct rn_study_outcome *outcomes, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer svg = {0};
    struct rn_plot plot = {.title = config->study->name, .x_label = "round", .y_label = "accuracy"};
    for (uint32_t i = 0; i < config->cell_count && plot.series_count < RN_PLOT_SERIES_MAX; i++) {
        plot.series[plot.series_count++] = (struct rn_plot_series){
            config->cells[i].label, outcomes[i].rounds, outcomes[i].curve, outcomes[i].points};
    }
    const rn_result drawn = rn_plot_write(&plot, &svg, err);
    if (drawn.code == RN_E_DATA) { /* every cell left the finite numbers: the table says so */
        return rn_ok();
    }
    RN_TRY(drawn);
    return write(config, "rounds.svg", &svg, err);
}

/* Of the first rank, layers and partition: where it stands in the grid. */
static bool is_first(const struct rn_study *study, const struct rn_study_cell *cell)
{
    return cell->rank == study->grid.ranks[0] && cell->layers == study->grid.layers[0] &&
           cell->partition == study->grid.partitions[0];
}

static rn_result write_clients(const struct rn_study_config *config,
                               const struct rn_study_outcome *outcomes, struct rn_error *err)
{
    double x[3][RN_STUDY_LIST_MAX];
    double y[3][RN_STUDY_LIST_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer svg = {0};
    struct rn_plot plot = {
        .title = config->study->name, .x_label = "clients", .y_label = "accuracy"};
    for (unsigned method = 0; method < 3; method++) {
        size_t count = 0;
        for (uint32_t i = 0; i < config->cell_count; i++) {
            double half = 0;
            if (config->cells[i].method == method && is_first(config->study, &config->cells[i])) {
                x[method][count] = config->cells[i].clients;
                rn_study_mean(outcomes[i].values, config->study->grid.seeds_count,
                              &y[method][count++], &half);
            }
        }
        if (count > 0) {
            plot.series[plot.series_count++] = (struct rn_plot_series){
                rn_plan_method_name((enum rn_plan_method)method), x[method], y[method], count};
        }
    }
    const rn_result drawn = rn_plot_write(&plot, &svg, err);
    if (drawn.code == RN_E_DATA) {
        return rn_ok();
    }
    RN_TRY(drawn);
    return write(config, "clients.svg", &svg, err);
}

/* ---- The page */

static void say_percent(struct rn_buffer *out, double value)
{
    if (isfinite(value)) {
        rn_buffer_format(out, "%.2f", 100 * value);
    } else {
        rn_buffer_format(out, "-");
    }
}

static void say_cell(const struct rn_study_config *config, const struct rn_study_cell *cell,
                     const struct rn_study_outcome *outcome, struct rn_buffer *out)
{
    const struct rn_study *study = config->study;
    double mean = 0;
    double half = 0;
    rn_study_mean(outcome->values, study->grid.seeds_count, &mean, &half);
    rn_buffer_format(out, "| %s | %u | %s | %u | %u | %s | %s | ",
                     rn_plan_method_name(cell->method), (unsigned)cell->rank, cell->layers,
                     (unsigned)cell->clients, (unsigned)cell->rounds, cell->partition,
                     study->grid.rates[outcome->rate]);
    say_percent(out, mean);
    rn_buffer_format(out, " ± ");
    say_percent(out, half);
    rn_buffer_format(out, " |");
    for (uint32_t s = 0; s < study->grid.seeds_count; s++) {
        rn_buffer_format(out, " ");
        say_percent(out, outcome->values[s]);
    }
    rn_buffer_format(out, " |");
    for (uint32_t r = 0; study->grid.rates_count > 1 && r < study->grid.rates_count; r++) {
        rn_buffer_format(out, " %s: ", study->grid.rates[r]);
        say_percent(out, outcome->tried[r]);
    }
    rn_buffer_format(out, " |\n");
}

static void say_setting(const struct rn_study_config *config, bool quick, struct rn_buffer *out)
{
    const struct rn_study *study = config->study;
    uint64_t examples = 0;
    const uint64_t runs = rn_study_runs(config, &examples);
    rn_buffer_format(out, "# Study '%s'%s\n\n%s\n\n", study->name, quick ? " (quick)" : "",
                     study->meaning);
    rn_buffer_format(out,
                     "Local steps %u of %u records, alpha %g, gradient norm at most %g, head %s, "
                     "%s, backend %s; %llu runs over %llu examples in all. The adapters are those "
                     "that services give (`rondo simulate`).\n\n",
                     (unsigned)study->training.steps, (unsigned)study->training.batch,
                     study->training.alpha, study->training.clip,
                     rn_plan_head_name((enum rn_plan_head)study->training.head),
                     study->training.optimizer == RN_PLAN_SGD ? "SGD" : "AdamW", config->backend,
                     (unsigned long long)runs, (unsigned long long)examples);
    if (study->grid.rates_count > 1) {
        rn_buffer_format(out,
                         "Each cell's learning rate is the best of %u, tried with seed %u on one "
                         "record in %u of the training data, which no run trains on; the test data "
                         "had no part in it.\n\n",
                         (unsigned)study->grid.rates_count, (unsigned)study->grid.seeds[0],
                         (unsigned)study->data.validation);
    }
}

static rn_result write_page(const struct rn_study_config *config,
                            const struct rn_study_outcome *outcomes, bool quick,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer page = {0};
    say_setting(config, quick, &page);
    rn_buffer_format(&page,
                     "Accuracy on the test data after the last round, in percent: mean over %u "
                     "seeds ± half the 95 %% interval (Student's t); `-`: numbers that are not "
                     "finite, or no interval from one seed.\n\n"
                     "| method | rank | layers | clients | rounds | partition | rate | accuracy | "
                     "by seed | tried, on validation data |\n"
                     "|---|---|---|---|---|---|---|---|---|---|\n",
                     (unsigned)config->study->grid.seeds_count);
    for (uint32_t i = 0; i < config->cell_count; i++) {
        say_cell(config, &config->cells[i], &outcomes[i], &page);
    }
    rn_buffer_format(&page, "\n![bars](bars.svg)\n\n![rounds](rounds.svg)\n");
    if (config->study->grid.clients_count > 1) {
        rn_buffer_format(&page, "\n![clients](clients.svg)\n");
    }
    return write(config, "report.md", &page, err);
}

rn_result rn_study_report(const struct rn_study_config *config,
                          const struct rn_study_outcome *outcomes, bool quick, struct rn_error *err)
{
    RN_TRY(write_bars(config, outcomes, err));
    RN_TRY(write_rounds(config, outcomes, err));
    if (config->study->grid.clients_count > 1) {
        RN_TRY(write_clients(config, outcomes, err));
    }
    return write_page(config, outcomes, quick, err);
}
