/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation's log in a process: the coordinator's own, and a member's copy. On the executor's
 * thread; entries and cosignatures of a tick become durable together.
 */
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/host/jobhost.h"

rn_result rn_jobhost_tlog_open(struct rn_jobhost *host, struct rn_error *err)
{
    const struct rn_site_files *site = host->site;
    if (host->program->role == RN_SITE_MEMBER) {
        return rn_tlog_mirror_open(site->state, &site->roster, site->self, site->identity,
                                   &host->tlog_mirror, err);
    }
    struct rn_tlog_writer_config config = {.state = site->state,
                                           .roster = &site->roster,
                                           .identity = site->identity,
                                           .quorum = site->numbers.quorum};
    memcpy(config.plan_hash, site->plan.hash, sizeof config.plan_hash);
    return rn_tlog_writer_open(&config, &host->tlog_writer, err);
}

void rn_jobhost_tlog_free(struct rn_jobhost *host)
{
    rn_tlog_writer_free(host->tlog_writer);
    rn_tlog_mirror_free(host->tlog_mirror);
}

static void fail(struct rn_jobhost *host, rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result)) {
        rn_executor_fail(host->executor, result, err);
    }
}

void rn_jobhost_tlog_add(struct rn_jobhost *host, const struct rn_effect *effect)
{
    struct rn_error err = {0};
    host->tlog_added++;
    fail(
        host,
        rn_tlog_writer_add(host->tlog_writer, effect->number, rn_buffer_view(&effect->bytes), &err),
        &err);
}

void rn_jobhost_tlog_report(struct rn_jobhost *host, const struct rn_effect *effect)
{
    struct rn_error err = {0};
    const rn_result result = rn_tlog_writer_report(host->tlog_writer, effect->peer,
                                                   rn_buffer_view(&effect->bytes), &err);
    if (rn_class_of(result) == RN_CLASS_PEER) {
        const struct rn_job_event event = {
            .kind = RN_JOB_LOG_REPORT_REFUSED, .peer = effect->peer + 1, .outcome = result.code};
        rn_eventsink_take(host->events, &event, &err, rn_clock_monotonic_ms());
        return;
    }
    fail(host, result, &err);
}

void rn_jobhost_tlog_send(struct rn_jobhost *host, const struct rn_effect *effect)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer update = {0};
    struct rn_buffer bytes = {0}; /* the stream takes it over */
    struct rn_error err = {0};
    rn_result result = rn_tlog_writer_update(host->tlog_writer, effect->number, &update, &err);
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_LOG,
                                              .as.log = rn_buffer_view(&update)};
    if (rn_is_ok(result)) {
        result = rn_wire_envelope_encode(&envelope, &bytes, &err);
    }
    if (rn_is_ok(result)) {
        rn_peerstreams_send(host->streams, effect->connection, &bytes);
    }
    rn_buffer_clear(&bytes);
    fail(host, result, &err);
}

void rn_jobhost_tlog_mirror(struct rn_jobhost *host, const struct rn_effect *effect)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer report = {0};
    struct rn_error err = {0};
    rn_result result = rn_ok();
    if (effect->bytes.length > 0) {
        result = rn_tlog_mirror_take(host->tlog_mirror, rn_buffer_view(&effect->bytes),
                                     rn_clock_wall_ms() / 1000, &err);
    }
    rn_tlog_mirror_report(host->tlog_mirror, &report); /* what stands, whatever came of it */
    const struct rn_input input = {.kind = RN_INPUT_MIRRORED,
                                   .code = result.code,
                                   .text = rn_is_ok(result) ? NULL : err.text,
                                   .number = rn_tlog_mirror_size(host->tlog_mirror),
                                   .bytes = rn_buffer_view(&report)};
    (void)rn_executor_post(host->executor, &input);
}

void rn_jobhost_tlog_tick(struct rn_jobhost *host)
{
    struct rn_error err = {0};
    bool grown = false;
    if (host->tlog_writer == NULL) {
        return;
    }
    const rn_result result = rn_tlog_writer_publish(host->tlog_writer, &grown, &err);
    if (!rn_is_ok(result)) {
        fail(host, result, &err);
        return;
    }
    if (grown || host->tlog_added > 0 || !host->tlog_told) {
        const struct rn_input input = {.kind = RN_INPUT_LOGGED,
                                       .number = rn_tlog_writer_size(host->tlog_writer),
                                       .count = host->tlog_added};
        (void)rn_executor_post(host->executor, &input);
        host->tlog_added = 0;
        host->tlog_told = true;
    }
}
