/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/roundstable.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/round/roundspec.h"

static const char *const METRIC_NAMES[RN_JOB_METRICS] = {"dev_loss", "accuracy", "f1",
                                                         "matthews", "pearson",  "spearman"};

struct row {
    bool has_result;
    bool has_metrics; /* published */
    struct rn_job_result result;
    struct rn_job_metrics metrics;
};

struct rn_roundstable {
    struct rn_roundstable_config config;
    char csv[RN_PATH_MAX];
    char jsonl[RN_PATH_MAX];
    struct row *rows; /* by round, 0 = before the first */
    uint32_t count;
    uint32_t next; /* first row that is not in the files */
};

/* ---- Rows as text */

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

static const char *outcome_of(const struct row *row)
{
    return row->has_result ? rn_code_name((enum rn_code)row->result.outcome) : "start";
}

static double loss_of(const struct row *row)
{
    return row->has_result ? row->result.loss : (double)NAN;
}

static double metric_of(const struct row *row, int metric)
{
    return row->metrics.evaluated ? row->metrics.values[metric] : (double)NAN;
}

/* What the members together measured of the adapter that the round started from. */
static struct rn_round_measure start_of(const struct row *row)
{
    const struct rn_round_measure none = {.metric = (double)NAN, .loss = (double)NAN};
    return row->has_result && row->result.start.valid ? row->result.start : none;
}

static void hash_of(const struct row *row, char out[static 65])
{
    out[0] = '\0';
    if (row->has_result) {
        rn_hex_encode(out, row->result.after, RN_HASH_BYTES);
    }
}

static uint64_t mean_bytes(const struct rn_roundstable *table, const struct row *row)
{
    const struct rn_job_result *result = &row->result;
    if (table->config.own || result->included == 0) {
        return table->config.own ? result->uplink_bytes : 0;
    }
    return result->uplink_bytes / result->included;
}

static void csv_head(struct rn_buffer *out)
{
    rn_buffer_format(out, "round,phase,outcome,attempt,members,lost,loss");
    for (int i = 0; i < RN_JOB_METRICS; i++) {
        rn_buffer_format(out, ",%s", METRIC_NAMES[i]);
    }
    rn_buffer_format(out, ",start_metric,start_dev_loss,examples,clipped,uplink_bytes,uplink_bytes_"
                          "mean,uplink_bytes_lora,"
                          "seconds,adapter\n");
}

static void csv_row(const struct rn_roundstable *table, uint32_t round, struct rn_buffer *out)
{
    const struct row *row = &table->rows[round];
    const struct rn_job_result *result = &row->result;
    char hash[65];
    hash_of(row, hash);
    rn_buffer_format(out, "%u,%s,%s,%u,%u,%u", (unsigned)round, rn_round_phase_name(result->active),
                     outcome_of(row), (unsigned)result->attempt, (unsigned)result->included,
                     (unsigned)result->lost);
    csv_number(out, loss_of(row));
    for (int i = 0; i < RN_JOB_METRICS; i++) {
        csv_number(out, metric_of(row, i));
    }
    csv_number(out, start_of(row).metric);
    csv_number(out, start_of(row).loss);
    rn_buffer_format(
        out, ",%llu,%llu,%llu,%llu,%llu,%.3f,%s\n", (unsigned long long)result->examples,
        (unsigned long long)result->clipped, (unsigned long long)result->uplink_bytes,
        (unsigned long long)mean_bytes(table, row), (unsigned long long)table->config.lora_bytes,
        (double)result->milliseconds / 1000, hash);
}

static void json_row(const struct rn_roundstable *table, uint32_t round, struct rn_buffer *out)
{
    const struct row *row = &table->rows[round];
    const struct rn_job_result *result = &row->result;
    char hash[65];
    hash_of(row, hash);
    rn_buffer_format(out,
                     "{\"round\":%u,\"phase\":\"%s\",\"outcome\":\"%s\",\"attempt\":%u,"
                     "\"members\":%u,\"lost\":%u",
                     (unsigned)round, rn_round_phase_name(result->active), outcome_of(row),
                     (unsigned)result->attempt, (unsigned)result->included, (unsigned)result->lost);
    json_number(out, "loss", loss_of(row));
    for (int i = 0; i < RN_JOB_METRICS; i++) {
        json_number(out, METRIC_NAMES[i], metric_of(row, i));
    }
    json_number(out, "start_metric", start_of(row).metric);
    json_number(out, "start_dev_loss", start_of(row).loss);
    rn_buffer_format(
        out,
        ",\"examples\":%llu,\"clipped\":%llu,\"uplink_bytes\":%llu,\"uplink_bytes_mean\":%llu,"
        "\"uplink_bytes_lora\":%llu,\"seconds\":%.3f,\"adapter\":\"%s\"}\n",
        (unsigned long long)result->examples, (unsigned long long)result->clipped,
        (unsigned long long)result->uplink_bytes, (unsigned long long)mean_bytes(table, row),
        (unsigned long long)table->config.lora_bytes, (double)result->milliseconds / 1000, hash);
}

/* ---- Which rows are due */

static bool is_complete(const struct rn_roundstable *table, const struct row *row)
{
    const bool summed = row->has_result && row->result.outcome == RN_OK;
    return row->has_metrics || (row->has_result && (!summed || !table->config.judged));
}

/* Rows from `next` on, up to the first that something is still to come for. */
static void add_due(struct rn_roundstable *table, struct rn_buffer *csv, struct rn_buffer *jsonl)
{
    for (; table->next < table->count; table->next++) {
        const struct row *row = &table->rows[table->next];
        /* Nothing is known of the start where nobody judges it. */
        const bool empty = table->next == 0 && !row->has_metrics && !table->config.judged;
        if (!empty && !is_complete(table, row)) {
            return;
        }
        if (!empty) {
            csv_row(table, table->next, csv);
            json_row(table, table->next, jsonl);
        }
    }
}

static rn_result append(const char *path, const struct rn_buffer *text, struct rn_error *err)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const bool written =
        file >= 0 && write(file, text->data, text->length) == (ssize_t)text->length;
    const int failure = errno;
    if (file >= 0) {
        (void)close(file);
    }
    RN_ENSURE(written, err, RN_E_IO, "%s: cannot write: %s", path, strerror(failure));
    return rn_ok();
}

static rn_result append_both(const struct rn_roundstable *table, const struct rn_buffer *csv,
                             const struct rn_buffer *jsonl, struct rn_error *err)
{
    if (csv->length == 0) {
        return rn_ok();
    }
    RN_TRY(append(table->csv, csv, err));
    return append(table->jsonl, jsonl, err);
}

/* ---- Records */

static rn_result take_record(struct rn_roundstable *table, const struct rn_record_key *key,
                             struct rn_view body, struct rn_error *err)
{
    if (key->round >= table->count) {
        return rn_ok();
    }
    struct row *row = &table->rows[key->round];
    if (key->kind == RN_RECORD_RESULT) {
        row->has_result = true;
        return rn_job_result_read(body, &row->result, err);
    }
    if (key->kind == RN_RECORD_METRICS) {
        row->has_metrics = true;
        return rn_job_metrics_read(body, &row->metrics, err);
    }
    return rn_ok();
}

static rn_result visit(void *argument, const struct rn_record_key *key, struct rn_view body,
                       struct rn_error *err)
{
    return take_record(argument, key, body, err);
}

static rn_result rewrite(struct rn_roundstable *table, const struct rn_job_reader *reader,
                         struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csv = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer jsonl = {0};
    RN_TRY(reader->scan(reader->context, RN_RECORD_RESULT, NULL, visit, table, err));
    RN_TRY(reader->scan(reader->context, RN_RECORD_METRICS, NULL, visit, table, err));
    RN_TRY(rn_path_join(table->csv, table->config.state, "rounds.csv", err));
    RN_TRY(rn_path_join(table->jsonl, table->config.state, "rounds.jsonl", err));
    csv_head(&csv);
    add_due(table, &csv, &jsonl);
    RN_TRY(rn_file_write(table->csv, rn_buffer_view(&csv), 0644, err));
    return rn_file_write(table->jsonl, rn_buffer_view(&jsonl), 0644, err);
}

rn_result rn_roundstable_open(const struct rn_roundstable_config *config,
                              const struct rn_job_reader *reader, struct rn_roundstable **out,
                              struct rn_error *err)
{
    struct rn_roundstable *table = rn_alloc(1, sizeof(*table));
    table->config = *config;
    table->count = config->rounds + 1;
    table->rows = rn_alloc(table->count, sizeof(*table->rows));
    const rn_result result = rewrite(table, reader, err);
    table->config.state = NULL;
    if (!rn_is_ok(result)) {
        rn_free(table->rows);
        rn_free(table);
        return result;
    }
    *out = table;
    return rn_ok();
}

rn_result rn_roundstable_take(struct rn_roundstable *table, const struct rn_job_batch *batch,
                              struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csv = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer jsonl = {0};
    for (size_t i = 0; i < batch->write_count; i++) {
        const struct rn_job_write *write = &batch->writes[i];
        RN_TRY(take_record(table, &write->key, rn_buffer_view(&write->body), err));
    }
    add_due(table, &csv, &jsonl);
    return append_both(table, &csv, &jsonl, err);
}

void rn_roundstable_close(struct rn_roundstable *table)
{
    if (table == NULL) {
        return;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csv = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer jsonl = {0};
    for (; table->next < table->count; table->next++) {
        if (table->rows[table->next].has_result) {
            csv_row(table, table->next, &csv);
            json_row(table, table->next, &jsonl);
        }
    }
    (void)append_both(table, &csv, &jsonl, NULL);
    rn_free(table->rows);
    rn_free(table);
}
