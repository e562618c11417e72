/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobrecords.h"

#include "base/alloc.h"
#include "base/guard.h"

rn_result rn_job_result_latest(const struct rn_job_reader *reader, int64_t round,
                               struct rn_job_result *out, bool *out_found, struct rn_error *err)
{
    struct rn_record_key key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_TRY(reader->latest(reader->context, RN_RECORD_RESULT, round, &key, &body, out_found, err));
    return *out_found ? rn_job_result_read(rn_buffer_view(&body), out, err) : rn_ok();
}

rn_result rn_job_bind_plan(const struct rn_job_basis *basis, struct rn_effects *out,
                           struct rn_error *err)
{
    const struct rn_job_reader *reader = &basis->reader;
    struct rn_record_key key = {.kind = RN_RECORD_PLAN};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer held = {0};
    bool found = false;
    RN_TRY(reader->latest(reader->context, RN_RECORD_PLAN, -1, &key, &held, &found, err));
    const struct rn_view hash = rn_view_of(basis->plan->hash, RN_HASH_BYTES);
    if (!found) {
        key = (struct rn_record_key){.kind = RN_RECORD_PLAN};
        rn_buffer_append(rn_job_batch_write(rn_effects_commit(out), &key), hash.data, hash.length);
        return rn_ok();
    }
    RN_ENSURE(rn_view_equal(rn_buffer_view(&held), hash), err, RN_E_CONFIG,
              "the state directory holds the job of another plan than plan.yaml; `rondo plan "
              "propose` and `rondo join` put it aside when they bring a new plan");
    return rn_ok();
}

static rn_result collect(void *argument, const struct rn_record_key *key, struct rn_view body,
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
    rn_buffer_init(copy, RN_RECORD_BODY_MAX);
    rn_buffer_append(copy, body.data, body.length);
    return rn_ok();
}

rn_result rn_job_records_load(const struct rn_job_reader *reader, enum rn_record_kind kind,
                              const uint8_t session[static RN_HASH_BYTES],
                              struct rn_job_records *out, struct rn_error *err)
{
    *out = (struct rn_job_records){0};
    const rn_result result = reader->scan(reader->context, kind, session, collect, out, err);
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
