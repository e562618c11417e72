/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobrecord.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#define RESULT_VERSION 2
#define END_VERSION 1
#define END_TAG "rondo/v1 job end"

static uint64_t bits_of(double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double double_of(uint64_t bits)
{
    double value = 0;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

void rn_job_result_write(const struct rn_job_result *result, struct rn_buffer *out)
{
    rn_buffer_u32(out, RESULT_VERSION);
    rn_buffer_u32(out, result->outcome);
    rn_buffer_u32(out, result->round);
    rn_buffer_u32(out, result->attempt);
    rn_buffer_u32(out, result->active);
    rn_buffer_u32(out, result->included);
    rn_buffer_u32(out, result->lost);
    rn_buffer_u8(out, result->spent);
    rn_buffer_append(out, result->session, RN_HASH_BYTES);
    rn_buffer_append(out, result->before, RN_HASH_BYTES);
    rn_buffer_append(out, result->after, RN_HASH_BYTES);
    rn_buffer_append(out, result->sum_hash, RN_HASH_BYTES);
    rn_buffer_u64(out, bits_of(result->loss));
    rn_buffer_u64(out, result->examples);
    rn_buffer_u64(out, result->clipped);
    rn_buffer_u64(out, result->weight);
    rn_buffer_u64(out, result->milliseconds);
    rn_buffer_u64(out, result->uplink_bytes);
    rn_buffer_u8(out, result->start.valid);
    rn_buffer_u64(out, bits_of(result->start.metric));
    rn_buffer_u64(out, bits_of(result->start.loss));
}

rn_result rn_job_result_read(struct rn_view bytes, struct rn_job_result *out, struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    struct rn_job_result result = {0};
    RN_ENSURE(rn_read_u32(&reader) == RESULT_VERSION, err, RN_E_UNSUPPORTED,
              "journal: a round was written by another version of Rondo: end this job with that "
              "version, or begin another plan (`rondo plan propose`)");
    result.outcome = rn_read_u32(&reader);
    result.round = rn_read_u32(&reader);
    result.attempt = rn_read_u32(&reader);
    result.active = rn_read_u32(&reader);
    result.included = rn_read_u32(&reader);
    result.lost = rn_read_u32(&reader);
    result.spent = rn_read_u8(&reader) != 0;
    rn_read_copy(&reader, result.session, RN_HASH_BYTES);
    rn_read_copy(&reader, result.before, RN_HASH_BYTES);
    rn_read_copy(&reader, result.after, RN_HASH_BYTES);
    rn_read_copy(&reader, result.sum_hash, RN_HASH_BYTES);
    result.loss = double_of(rn_read_u64(&reader));
    result.examples = rn_read_u64(&reader);
    result.clipped = rn_read_u64(&reader);
    result.weight = rn_read_u64(&reader);
    result.milliseconds = rn_read_u64(&reader);
    result.uplink_bytes = rn_read_u64(&reader);
    result.start.valid = rn_read_u8(&reader) != 0;
    result.start.metric = double_of(rn_read_u64(&reader));
    result.start.loss = double_of(rn_read_u64(&reader));
    RN_ENSURE(rn_reader_done(&reader), err, RN_E_DATA, "journal: the record of a round is damaged");
    *out = result;
    return rn_ok();
}

void rn_job_metrics_write(const struct rn_job_metrics *metrics, struct rn_buffer *out)
{
    for (size_t i = 0; i < RN_JOB_METRICS && metrics->evaluated; i++) {
        rn_buffer_u64(out, bits_of(metrics->values[i]));
    }
}

rn_result rn_job_metrics_read(struct rn_view bytes, struct rn_job_metrics *out,
                              struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    struct rn_job_metrics metrics = {.evaluated = bytes.length > 0};
    for (size_t i = 0; i < RN_JOB_METRICS && metrics.evaluated; i++) {
        metrics.values[i] = double_of(rn_read_u64(&reader));
    }
    RN_ENSURE(rn_reader_done(&reader), err, RN_E_DATA, "journal: a row of metrics is damaged");
    *out = metrics;
    return rn_ok();
}

static void signed_bytes(const struct rn_job_end *end, const uint8_t *plan_hash, uint32_t round,
                         struct rn_buffer *out)
{
    rn_buffer_append(out, plan_hash, RN_HASH_BYTES);
    rn_buffer_u32(out, round);
    rn_buffer_u32(out, end->code);
    rn_buffer_blob(out, rn_view_text(end->text));
}

void rn_job_end_sign(struct rn_job_end *end, const struct rn_identity *identity,
                     const uint8_t plan_hash[static RN_HASH_BYTES], uint32_t round)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    signed_bytes(end, plan_hash, round, &bytes);
    rn_identity_sign(identity, END_TAG, rn_buffer_view(&bytes), end->signature);
}

rn_result rn_job_end_verify(const struct rn_job_end *end,
                            const struct rn_identity_public *coordinator,
                            const uint8_t plan_hash[static RN_HASH_BYTES], uint32_t round,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    signed_bytes(end, plan_hash, round, &bytes);
    return rn_identity_verify(coordinator, END_TAG, rn_buffer_view(&bytes), end->signature, err);
}

void rn_job_end_write(const struct rn_job_end *end, struct rn_buffer *out)
{
    rn_buffer_u32(out, END_VERSION);
    rn_buffer_u32(out, end->code);
    rn_buffer_blob(out, rn_view_text(end->text));
    rn_buffer_append(out, end->signature, sizeof(end->signature));
}

rn_result rn_job_end_read(struct rn_view bytes, struct rn_job_end *out, struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    struct rn_job_end end = {.code = RN_OK};
    RN_ENSURE(rn_read_u32(&reader) == END_VERSION, err, RN_E_UNSUPPORTED,
              "journal: the job's end was written by another version of Rondo");
    end.code = (enum rn_code)rn_read_u32(&reader);
    const struct rn_view text = rn_read_blob(&reader, sizeof(end.text) - 1);
    rn_read_copy(&reader, end.signature, sizeof(end.signature));
    RN_ENSURE(rn_reader_done(&reader), err, RN_E_DATA, "journal: the job's end is damaged");
    memcpy(end.text, text.data, text.length);
    *out = end;
    return rn_ok();
}

/* ---- Batches */

void rn_job_batch_clear(struct rn_job_batch *batch)
{
    for (size_t i = 0; i < batch->write_count; i++) {
        rn_buffer_clear(&batch->writes[i].body);
    }
    rn_free(batch->writes);
    rn_free(batch->prunes);
    *batch = (struct rn_job_batch){0};
}

struct rn_buffer *rn_job_batch_write(struct rn_job_batch *batch, const struct rn_record_key *key)
{
    if (batch->write_count == batch->write_capacity) {
        const size_t capacity = batch->write_capacity == 0 ? 4 : 2 * batch->write_capacity;
        batch->writes =
            rn_realloc(batch->writes, batch->write_capacity, capacity, sizeof(*batch->writes));
        batch->write_capacity = capacity;
    }
    struct rn_job_write *write = &batch->writes[batch->write_count++];
    *write = (struct rn_job_write){.key = *key};
    rn_buffer_init(&write->body, RN_RECORD_BODY_MAX);
    return &write->body;
}

void rn_job_batch_prune(struct rn_job_batch *batch, enum rn_record_kind kind,
                        uint32_t first_kept_round)
{
    RN_BUG_IF(kind == RN_RECORD_SPENT); /* the ledger outlives every session */
    if (batch->prune_count == batch->prune_capacity) {
        const size_t capacity = batch->prune_capacity == 0 ? 4 : 2 * batch->prune_capacity;
        batch->prunes =
            rn_realloc(batch->prunes, batch->prune_capacity, capacity, sizeof(*batch->prunes));
        batch->prune_capacity = capacity;
    }
    batch->prunes[batch->prune_count++] = (struct rn_job_prune){kind, first_kept_round};
}
