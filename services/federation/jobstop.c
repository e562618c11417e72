/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobstop.h"

#include <string.h>

#include "base/guard.h"

#define STOP_TAG "rondo/v1 job stop"

_Static_assert(RN_JOB_STOP_BYTES_MAX == RN_WIRE_STOP_MAX, "the longest stop fits the wire");

rn_result rn_abort_text_check(struct rn_view reason, struct rn_error *err)
{
    RN_ENSURE(reason.length >= 1 && reason.length <= RN_ABORT_TEXT_MAX, err, RN_E_PEER_LIMIT,
              "a reason has 1 to %d printable ASCII characters: every member reads it",
              RN_ABORT_TEXT_MAX);
    for (size_t i = 0; i < reason.length; i++) {
        RN_ENSURE(reason.data[i] >= 0x20 && reason.data[i] <= 0x7e, err, RN_E_PEER_FORMAT,
                  "a reason has printable ASCII characters alone: every member reads it");
    }
    return rn_ok();
}

rn_result rn_job_stop_sign(const struct rn_job_basis *basis, const char *reason,
                           struct rn_job_stop *out, struct rn_error *err)
{
    const struct rn_view text = rn_view_text(reason);
    RN_BUG_IF(basis->self >= basis->roster->count);
    RN_TRY(rn_abort_text_check(text, err));
    *out = (struct rn_job_stop){.place = basis->self};
    memcpy(out->reason, text.data, text.length);
    out->length = RN_HASH_BYTES + 4 + 4 + text.length + RN_SIGNATURE_BYTES;
    struct rn_writer writer = rn_writer_to(out->bytes, sizeof(out->bytes));
    rn_write_bytes(&writer, basis->plan->hash, RN_HASH_BYTES);
    rn_write_u32(&writer, out->place);
    rn_write_blob(&writer, text);
    RN_BUG_IF(!rn_writer_done(&writer));
    const size_t head = out->length - RN_SIGNATURE_BYTES;
    rn_identity_sign(basis->identity, STOP_TAG, rn_view_of(out->bytes, head), out->bytes + head);
    return rn_ok();
}

static rn_result check_signature(const struct rn_job_stop *stop, const struct rn_roster *roster,
                                 struct rn_error *err)
{
    RN_ENSURE(stop->place < roster->count, err, RN_E_PEER_AUTH,
              "a stop of nobody in the roster (place %u of %u)", (unsigned)stop->place,
              (unsigned)roster->count);
    const size_t head = stop->length - RN_SIGNATURE_BYTES;
    const rn_result result =
        rn_identity_verify(&roster->members[stop->place].key, STOP_TAG,
                           rn_view_of(stop->bytes, head), stop->bytes + head, err);
    return rn_is_ok(result) ? result
                            : rn_fail(err, result.code, "a stop that '%s' has not signed",
                                      roster->members[stop->place].name);
}

rn_result rn_job_stop_read(struct rn_view bytes, const struct rn_job_basis *basis,
                           struct rn_job_stop *out, struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    struct rn_job_stop stop = {.length = bytes.length};
    RN_ENSURE(bytes.length <= sizeof(stop.bytes), err, RN_E_PEER_LIMIT,
              "a stop of %zu bytes (limit %d)", bytes.length, (int)RN_JOB_STOP_BYTES_MAX);
    const struct rn_view plan_hash = rn_read_view(&reader, RN_HASH_BYTES);
    stop.place = rn_read_u32(&reader);
    const struct rn_view reason = rn_read_blob(&reader, RN_ABORT_TEXT_MAX);
    (void)rn_read_view(&reader, RN_SIGNATURE_BYTES);
    RN_ENSURE(rn_reader_done(&reader), err, RN_E_PEER_FORMAT, "a stop is malformed");
    RN_ENSURE(rn_view_equal(plan_hash, rn_view_of(basis->plan->hash, RN_HASH_BYTES)), err,
              RN_E_PEER_REPLAY, "a stop of another plan");
    RN_TRY(rn_abort_text_check(reason, err));
    memcpy(stop.reason, reason.data, reason.length);
    memcpy(stop.bytes, bytes.data, bytes.length);
    RN_TRY(check_signature(&stop, basis->roster, err));
    *out = stop;
    return rn_ok();
}

bool rn_job_stop_equal(const struct rn_job_stop *stop, struct rn_view bytes)
{
    return stop->length > 0 && rn_view_equal(rn_view_of(stop->bytes, stop->length), bytes);
}

void rn_job_stop_write(const struct rn_job_stop *stop, uint32_t round, struct rn_effects *out)
{
    const struct rn_record_key key = {.kind = RN_RECORD_STOP, .round = round};
    rn_buffer_append(rn_job_batch_write(rn_effects_commit(out), &key), stop->bytes, stop->length);
}

rn_result rn_job_stop_load(const struct rn_job_basis *basis, struct rn_job_stop *out,
                           struct rn_error *err)
{
    const struct rn_job_reader *reader = &basis->reader;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    struct rn_record_key key;
    bool found = false;
    *out = (struct rn_job_stop){0};
    RN_TRY(reader->latest(reader->context, RN_RECORD_STOP, -1, &key, &body, &found, err));
    RN_ENSURE(!found || rn_is_ok(rn_job_stop_read(rn_buffer_view(&body), basis, out, NULL)), err,
              RN_E_DATA, "journal: the stop of the job is damaged");
    return rn_ok();
}

void rn_job_stop_send(const struct rn_job_stop *stop, uint64_t connection, struct rn_effects *out)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_STOP,
                                              .as.stop = rn_view_of(stop->bytes, stop->length)};
    rn_effects_send(out, connection, &envelope);
}

void rn_job_stop_tell(const struct rn_job_stop *stop, uint32_t round, struct rn_effects *out)
{
    struct rn_error detail = {0};
    (void)rn_text_format(detail.text, sizeof(detail.text), "%s", stop->reason);
    rn_effects_event_err(
        out, (struct rn_job_event){.kind = RN_JOB_STOPPED, .round = round, .peer = stop->place + 1},
        &detail);
}

rn_result rn_job_stop_result(const struct rn_job_stop *stop, const struct rn_roster *roster,
                             struct rn_error *err)
{
    return rn_fail(err, RN_E_INCOMPLETE, "stopped by '%s': %s", roster->members[stop->place].name,
                   stop->reason);
}
