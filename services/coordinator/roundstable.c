/* SPDX-License-Identifier: Apache-2.0 */
#include "services/coordinator/roundstable.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#define METRIC_COUNT 6

static const char *const METRIC_NAMES[METRIC_COUNT] = {"dev_loss", "accuracy", "f1",
                                                       "matthews", "pearson",  "spearman"};

/* One line of the table while it is put together. */
struct line {
    bool has_result;
    bool has_metrics;
    struct rn_job_result result;
    double metrics[METRIC_COUNT];
};

struct table {
    struct line *lines; /* by round, 0 = before the first */
    uint32_t count;
};

static void write_double(struct rn_buffer *out, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    rn_buffer_u64(out, bits);
}

static double read_double(struct rn_reader *reader)
{
    const uint64_t bits = rn_read_u64(reader);
    double value = 0;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static rn_result visit_result(void *argument, const struct rn_journal_key *key, struct rn_view body,
                              struct rn_error *err)
{
    struct table *table = argument;
    if (key->round >= table->count) {
        return rn_ok();
    }
    struct line *line = &table->lines[key->round];
    line->has_result = true;
    return rn_job_result_read(body, &line->result, err);
}

static rn_result visit_metrics(void *argument, const struct rn_journal_key *key,
                               struct rn_view body, struct rn_error *err)
{
    struct table *table = argument;
    struct rn_reader reader = rn_reader_of(body);
    if (key->round >= table->count || body.length == 0) {
        return rn_ok();
    }
    struct line *line = &table->lines[key->round];
    for (int i = 0; i < METRIC_COUNT; i++) {
        line->metrics[i] = read_double(&reader);
    }
    line->has_metrics = true;
    RN_ENSURE(rn_reader_done(&reader), err, RN_E_DATA, "journal: a row of metrics is damaged");
    return rn_ok();
}

/* A cell that is empty where there is no number. */
static void csv_number(struct rn_buffer *out, double value)
{
    if (isfinite(value)) {
        rn_buffer_format(out, ",%.6g", value);
    } else {
        rn_buffer_format(out, ",");
    }
}

static void json_number(struct rn_buffer *out, const char *name, double value)
{
    if (isfinite(value)) {
        rn_buffer_format(out, ",\"%s\":%.9g", name, value);
    } else {
        rn_buffer_format(out, ",\"%s\":null", name);
    }
}

static const char *outcome_of(const struct line *line)
{
    return line->has_result ? rn_code_name((enum rn_code)line->result.outcome) : "start";
}

static void csv_line(struct rn_buffer *out, uint32_t round, const struct line *line,
                     uint64_t lora_bytes)
{
    const struct rn_job_result *result = &line->result;
    char hash[65] = "";
    if (line->has_result) {
        rn_hex_encode(hash, result->after, 32);
    }
    rn_buffer_format(out, "%u,%s,%s,%u,%u,%u", (unsigned)round, rn_round_phase_name(result->active),
                     outcome_of(line), (unsigned)result->attempt, (unsigned)result->included,
                     (unsigned)result->lost);
    csv_number(out, line->has_result ? result->loss : (double)NAN);
    for (int i = 0; i < METRIC_COUNT; i++) {
        csv_number(out, line->has_metrics ? line->metrics[i] : (double)NAN);
    }
    const uint64_t mean = result->included == 0 ? 0 : result->uplink_bytes / result->included;
    rn_buffer_format(out, ",%llu,%llu,%llu,%llu,%llu,%.3f,%s\n",
                     (unsigned long long)result->examples, (unsigned long long)result->clipped,
                     (unsigned long long)result->uplink_bytes, (unsigned long long)mean,
                     (unsigned long long)lora_bytes, (double)result->milliseconds / 1000, hash);
}

static void json_line(struct rn_buffer *out, uint32_t round, const struct line *line,
                      uint64_t lora_bytes)
{
    const struct rn_job_result *result = &line->result;
    char hash[65] = "";
    if (line->has_result) {
        rn_hex_encode(hash, result->after, 32);
    }
    rn_buffer_format(out,
                     "{\"round\":%u,\"phase\":\"%s\",\"outcome\":\"%s\",\"attempt\":%u,"
                     "\"members\":%u,\"lost\":%u",
                     (unsigned)round, rn_round_phase_name(result->active), outcome_of(line),
                     (unsigned)result->attempt, (unsigned)result->included, (unsigned)result->lost);
    json_number(out, "loss", line->has_result ? result->loss : (double)NAN);
    for (int i = 0; i < METRIC_COUNT; i++) {
        json_number(out, METRIC_NAMES[i], line->has_metrics ? line->metrics[i] : (double)NAN);
    }
    const uint64_t mean = result->included == 0 ? 0 : result->uplink_bytes / result->included;
    rn_buffer_format(out,
                     ",\"examples\":%llu,\"clipped\":%llu,\"uplink_bytes\":%llu,"
                     "\"uplink_bytes_mean\":%llu,\"uplink_bytes_lora\":%llu,\"seconds\":%.3f,"
                     "\"adapter\":\"%s\"}\n",
                     (unsigned long long)result->examples, (unsigned long long)result->clipped,
                     (unsigned long long)result->uplink_bytes, (unsigned long long)mean,
                     (unsigned long long)lora_bytes, (double)result->milliseconds / 1000, hash);
}

/* What plain LoRA (both matrices every round) would send from one member, in the same coding. */
static uint64_t lora_bytes(const struct rn_coordinator *coordinator)
{
    struct rn_round_layout layout;
    if (!rn_is_ok(rn_site_model_layout(coordinator->model, 1, &layout, NULL))) {
        return 0;
    }
    const size_t both = coordinator->model->selections[RN_ROUND_A | RN_ROUND_B].count;
    return rn_plan_upload_bytes(&coordinator->site->numbers, layout.delta_offset + both);
}

static rn_result write_files(const struct rn_coordinator *coordinator, const struct table *table,
                             struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csv = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer jsonl = {0};
    char path[RN_PATH_MAX];
    const uint64_t lora = lora_bytes(coordinator);
    rn_buffer_format(&csv, "round,phase,outcome,attempt,members,lost,loss");
    for (int i = 0; i < METRIC_COUNT; i++) {
        rn_buffer_format(&csv, ",%s", METRIC_NAMES[i]);
    }
    rn_buffer_format(&csv, ",examples,clipped,uplink_bytes,uplink_bytes_mean,uplink_bytes_lora,"
                           "seconds,adapter\n");
    for (uint32_t round = 0; round < table->count; round++) {
        const struct line *line = &table->lines[round];
        if (line->has_result || line->has_metrics) {
            csv_line(&csv, round, line, lora);
            json_line(&jsonl, round, line, lora);
        }
    }
    RN_TRY(rn_path_join(path, coordinator->site->state, "rounds.csv", err));
    RN_TRY(rn_file_write(path, rn_buffer_view(&csv), 0644, err));
    RN_TRY(rn_path_join(path, coordinator->site->state, "rounds.jsonl", err));
    return rn_file_write(path, rn_buffer_view(&jsonl), 0644, err);
}

rn_result rn_rounds_table_add(struct rn_coordinator *coordinator, uint32_t round,
                              const struct rn_round_row *row, struct rn_error *err)
{
    const struct rn_journal_key key = {.kind = RN_JOURNAL_METRICS, .round = round};
    const struct rn_metrics *m = &row->metrics;
    const double values[METRIC_COUNT] = {m->loss,     m->accuracy, m->f1,
                                         m->matthews, m->pearson,  m->spearman};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    for (int i = 0; i < METRIC_COUNT && row->evaluated; i++) {
        write_double(&body, values[i]);
    }
    RN_TRY(rn_journal_append(coordinator->journal, &key, rn_buffer_view(&body), err));
    struct table table = {.count = coordinator->site->plan.rounds + 1};
    table.lines = rn_alloc(table.count, sizeof(*table.lines));
    rn_result result =
        rn_journal_scan(coordinator->journal, RN_JOURNAL_RESULT, NULL, visit_result, &table, err);
    if (rn_is_ok(result)) {
        result = rn_journal_scan(coordinator->journal, RN_JOURNAL_METRICS, NULL, visit_metrics,
                                 &table, err);
    }
    if (rn_is_ok(result)) {
        result = write_files(coordinator, &table, err);
    }
    rn_free(table.lines);
    return result;
}
