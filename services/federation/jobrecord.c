/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobrecord.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#define RESULT_VERSION 1

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
}

rn_result rn_job_result_read(struct rn_view bytes, struct rn_job_result *out, struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    struct rn_job_result result = {0};
    RN_ENSURE(rn_read_u32(&reader) == RESULT_VERSION, err, RN_E_UNSUPPORTED,
              "journal: a round was written by another version of Rondo");
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
    RN_ENSURE(rn_reader_done(&reader), err, RN_E_DATA, "journal: the record of a round is damaged");
    *out = result;
    return rn_ok();
}

rn_result rn_job_result_latest(struct rn_journal *journal, int64_t round, struct rn_job_result *out,
                               bool *out_found, struct rn_error *err)
{
    struct rn_journal_key key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_TRY(rn_journal_latest(journal, RN_JOURNAL_RESULT, round, &key, &body, out_found, err));
    return *out_found ? rn_job_result_read(rn_buffer_view(&body), out, err) : rn_ok();
}

static rn_result collect(void *argument, const struct rn_journal_key *key, struct rn_view body,
                         struct rn_error *err)
{
    struct rn_job_records *records = argument;
    (void)key;
    (void)err;
    if (records->count == records->capacity) {
        const size_t capacity = records->capacity == 0 ? 64 : 2 * records->capacity;
        records->bodies =
            rn_realloc(records->bodies, records->capacity, capacity, sizeof(*records->bodies));
        records->capacity = capacity;
    }
    struct rn_buffer *copy = &records->bodies[records->count++];
    rn_buffer_init(copy, RN_JOURNAL_BODY_MAX);
    rn_buffer_append(copy, body.data, body.length);
    return rn_ok();
}

rn_result rn_job_records_load(struct rn_journal *journal, enum rn_journal_kind kind,
                              const uint8_t session[static 32], struct rn_job_records *out,
                              struct rn_error *err)
{
    *out = (struct rn_job_records){0};
    const rn_result result = rn_journal_scan(journal, kind, session, collect, out, err);
    if (!rn_is_ok(result)) {
        rn_job_records_clear(out);
        return result;
    }
    out->views = rn_alloc(out->count, sizeof(*out->views));
    for (size_t i = 0; i < out->count; i++) {
        out->views[i] = rn_buffer_view(&out->bodies[i]);
    }
    return rn_ok();
}

void rn_job_records_clear(struct rn_job_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        rn_buffer_clear(&records->bodies[i]);
    }
    rn_free(records->bodies);
    rn_free(records->views);
    *records = (struct rn_job_records){0};
}
