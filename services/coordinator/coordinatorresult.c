/* SPDX-License-Identifier: Apache-2.0
 *
 * What a round leaves behind: the next adapter, its record, its PEFT directory, and a row for
 * people in rounds.csv and rounds.jsonl.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/coordinator/coordinatorstate.h"
#include "services/coordinator/roundstable.h"

/* ---- Sum to adapter */

rn_result rn_coordinator_journal_result(struct rn_coordinator *coordinator,
                                        const struct rn_job_result *result, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer record = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer adapter = {0};
    struct rn_journal_key key = {
        .kind = RN_JOURNAL_RESULT, .round = result->round, .attempt = result->attempt};
    memcpy(key.session, result->session, sizeof(key.session));
    rn_job_result_write(result, &record);
    rn_site_model_write(coordinator->model, &adapter);
    RN_ENSURE(!adapter.failed, err, RN_E_MEMORY, "the adapter is too large for the journal");
    RN_TRY(rn_journal_begin(coordinator->journal, err));
    RN_TRY(rn_journal_append(coordinator->journal, &key, rn_buffer_view(&record), err));
    key.kind = RN_JOURNAL_ADAPTER;
    RN_TRY(rn_journal_append(coordinator->journal, &key, rn_buffer_view(&adapter), err));
    RN_TRY(rn_journal_prune(coordinator->journal, RN_JOURNAL_ADAPTER, result->round, err));
    return rn_journal_commit(coordinator->journal, err);
}

static rn_result read_sum(const struct rn_coordinator_session *session, uint64_t *out,
                          struct rn_error *err)
{
    for (uint64_t first = 0; first < session->layout.elements;) {
        const uint64_t left = session->layout.elements - first;
        const uint32_t count = left < (1u << 16) ? (uint32_t)left : 1u << 16;
        RN_TRY(rn_sa_aggregator_sum_read(session->machine, first, count, out + first, err));
        first += count;
    }
    return rn_ok();
}

static uint64_t uplink_of_round(const struct rn_coordinator *coordinator)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        const struct rn_coordinator_peer *peer = &coordinator->peers[i];
        bytes += rn_coordinator_received(peer) - peer->received_at_start;
    }
    return bytes;
}

static rn_result apply(struct rn_coordinator *coordinator, struct rn_error *err)
{
    const struct rn_coordinator_session *session = &coordinator->session;
    struct rn_sa_sum_info info;
    struct rn_round_total total = {0};
    RN_TRY(rn_sa_aggregator_sum_info(session->machine, &info, err));
    uint64_t *sum = rn_alloc(session->layout.elements, sizeof(*sum));
    rn_result result = read_sum(session, sum, err);
    if (rn_is_ok(result)) {
        result = rn_site_model_apply(coordinator->model, &session->layout, sum, info.contributors,
                                     &total, err);
    }
    rn_free(sum);
    RN_TRY(result);
    const uint32_t joined = rn_sa_set_count(&session->joined);
    struct rn_job_result record = {
        .round = session->round,
        .attempt = session->attempt,
        .active = session->layout.spec.active,
        .included = info.contributors,
        .lost = joined > info.contributors ? joined - info.contributors : 0,
        .loss = total.has_metrics && total.examples > 0 ? total.loss : (double)NAN,
        .examples = total.examples,
        .clipped = total.clipped,
        .weight = total.weight,
        .milliseconds = rn_clock_monotonic_ms() - session->began_ms,
        .uplink_bytes = uplink_of_round(coordinator),
    };
    memcpy(record.session, session->id, RN_HASH_BYTES);
    memcpy(record.before, session->before, RN_HASH_BYTES);
    memcpy(record.after, coordinator->model->adapter_hash, RN_HASH_BYTES);
    memcpy(record.sum_hash, info.sum_hash, RN_HASH_BYTES);
    return rn_coordinator_journal_result(coordinator, &record, err);
}

void rn_coordinator_take_sum(struct rn_coordinator *coordinator)
{
    struct rn_coordinator_session *session = &coordinator->session;
    struct rn_job_result known;
    struct rn_error err = {0};
    bool found = false;
    rn_result result =
        rn_job_result_latest(coordinator->journal, session->round, &known, &found, &err);
    if (rn_is_ok(result) && !found) {
        result = apply(coordinator, &err);
        if (rn_is_ok(result)) {
            rn_coordinator_publish(coordinator, session->round, false);
        }
    }
    if (rn_class_of(result) == RN_CLASS_ROUND) {
        /* Within the range of a sum, but nothing that honest updates add up to: some member's
         * upload was wrong, and nobody can say whose. Every site finds the same and keeps its
         * adapter. */
        session->refused = true;
        rn_log(RN_LOG_ERROR, "sum.refused", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err.text));
    } else if (!rn_is_ok(result)) {
        rn_coordinator_end(coordinator, result, &err);
    }
}

void rn_coordinator_report(struct rn_coordinator *coordinator, const struct rn_job_result *result)
{
    char hash[65];
    rn_hex_encode(hash, result->after, 32);
    const bool summed = result->outcome == RN_OK;
    rn_log(RN_LOG_INFO, summed ? "round.done" : "round.skipped",
           RN_LOG_NUMBER(RN_F_ROUND, result->round), RN_LOG_NUMBER(RN_F_ATTEMPT, result->attempt),
           RN_LOG_TEXT(RN_F_PHASE, rn_round_phase_name(result->active)),
           RN_LOG_NUMBER(RN_F_MEMBERS, result->included), RN_LOG_NUMBER(RN_F_COUNT, result->lost),
           RN_LOG_NUMBER(RN_F_MILLISECONDS, result->milliseconds),
           RN_LOG_NUMBER(RN_F_BYTES, result->uplink_bytes), RN_LOG_TEXT(RN_F_HASH, hash));
    struct rn_wire_envelope envelope = {.body = RN_WIRE_SUMMARY,
                                        .as.summary = {.round = result->round,
                                                       .attempt = result->attempt,
                                                       .phase = result->active,
                                                       .outcome = result->outcome,
                                                       .included = result->included,
                                                       .lost = result->lost,
                                                       .adapter_hash.present = true,
                                                       .milliseconds = result->milliseconds}};
    memcpy(envelope.as.summary.adapter_hash.bytes, result->after, RN_HASH_BYTES);
    rn_coordinator_broadcast(coordinator, &envelope);
    rn_coordinator_tell(coordinator,
                        (struct rn_job_event){.kind = RN_JOB_ROUND,
                                              .round = result->round,
                                              .attempt = result->attempt,
                                              .phase = rn_round_phase_name(result->active),
                                              .included = result->included,
                                              .lost = result->lost,
                                              .loss = result->loss,
                                              .bytes = result->uplink_bytes,
                                              .milliseconds = result->milliseconds,
                                              .outcome = (enum rn_code)result->outcome});
}

/* ---- Publishing */

static void tell_evaluated(struct rn_coordinator *coordinator, const struct rn_publish_job *job)
{
    rn_coordinator_tell(
        coordinator, (struct rn_job_event){
                         .kind = RN_JOB_EVALUATED,
                         .round = job->round,
                         .loss = job->metrics.loss,
                         .metric = rn_plan_metric_value(&coordinator->site->plan, &job->metrics),
                         .metric_name = rn_plan_metric_name(coordinator->site->plan.task.metric)});
}

static void publish_done(void *argument)
{
    struct rn_publish_job *job = argument;
    struct rn_coordinator *coordinator = job->owner;
    struct rn_error err = job->err;
    rn_result result = job->result;
    if (rn_is_ok(result) && !job->final) {
        struct rn_round_row row = {.evaluated = job->evaluate, .metrics = job->metrics};
        result = rn_rounds_table_add(coordinator, job->round, &row, &err);
    }
    if (rn_is_ok(result)) {
        if (job->directory[0] != '\0') {
            rn_log(RN_LOG_INFO, "adapter.written", RN_LOG_NUMBER(RN_F_ROUND, job->round),
                   RN_LOG_TEXT(RN_F_PATH, job->directory));
        }
        if (job->evaluate) {
            tell_evaluated(coordinator, job);
        }
        if (job->final) {
            rn_coordinator_tell(coordinator,
                                (struct rn_job_event){.kind = RN_JOB_ENDED,
                                                      .round = job->round,
                                                      .outcome = coordinator->result.code,
                                                      .path = job->directory});
        }
    } else if (!coordinator->stopped) {
        rn_coordinator_end(coordinator, result, &err);
    }
    rn_publish_job_free(job);
}

void rn_coordinator_publish(struct rn_coordinator *coordinator, uint32_t round, bool final)
{
    struct rn_publish_job *job = rn_publish_job_new(coordinator->model, round);
    job->owner = coordinator;
    job->final = final;
    job->evaluate = job->evaluate && !final; /* the round's own job judged the same adapter */
    char hash[65];
    rn_hex_encode(hash, coordinator->model->adapter_hash, 32);
    bool fits = rn_text_format(job->provenance, sizeof(job->provenance),
                               "Federation %s, plan %s, after round %u of %u. Adapter hash %s.",
                               coordinator->site->roster.federation, coordinator->site->plan.name,
                               (unsigned)round, (unsigned)coordinator->site->plan.rounds, hash);
    if (final) {
        fits = fits && rn_text_format(job->directory, sizeof(job->directory), "%s/adapters/final",
                                      coordinator->site->state);
    } else if (round > 0) {
        fits =
            fits && rn_text_format(job->directory, sizeof(job->directory), "%s/adapters/round-%04u",
                                   coordinator->site->state, (unsigned)round);
    }
    RN_BUG_IF(!fits);
    rn_publish_job_submit(job, coordinator->worker, publish_done);
}

/* ---- Start */

rn_result rn_coordinator_restore(struct rn_coordinator *coordinator, struct rn_error *err)
{
    struct rn_job_result last = {0};
    struct rn_journal_key key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    bool found = false;
    coordinator->round = 1;
    RN_TRY(rn_job_result_latest(coordinator->journal, -1, &last, &found, err));
    if (found) {
        RN_TRY(rn_journal_latest(coordinator->journal, RN_JOURNAL_ADAPTER, last.round, &key, &body,
                                 &found, err));
        RN_ENSURE(found, err, RN_E_DATA, "journal: the adapter after round %u is missing",
                  (unsigned)last.round);
        RN_TRY(rn_site_model_read(coordinator->model, rn_buffer_view(&body), err));
        coordinator->round = last.round + 1;
        coordinator->lost_in_row = last.outcome == RN_OK ? 0 : 1;
    }
    /* A crash between the record and its files: write them now. */
    RN_TRY(rn_journal_latest(coordinator->journal, RN_JOURNAL_METRICS, last.round, &key, &body,
                             &found, err));
    if (!found && (last.round == 0 || last.outcome == RN_OK)) {
        rn_coordinator_publish(coordinator, last.round, false);
    }
    return rn_ok();
}
