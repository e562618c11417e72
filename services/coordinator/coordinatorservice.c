/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator's service from start to end.
 */
#include "services/coordinator/coordinatorservice.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/random.h"
#include "services/coordinator/coordinatorstate.h"

#define TICK_MS 200
#define GRACE_MS 3000

uint64_t rn_coordinator_now(const struct rn_coordinator *coordinator)
{
    return rn_clock_monotonic_ms() + coordinator->skew_ms;
}

void rn_coordinator_tell(struct rn_coordinator *coordinator, struct rn_job_event event)
{
    event.rounds = coordinator->site->plan.rounds;
    if (coordinator->listener.on_event != NULL) {
        coordinator->listener.on_event(coordinator->listener.context, &event);
    }
}

void rn_coordinator_end(struct rn_coordinator *coordinator, rn_result result,
                        const struct rn_error *err)
{
    if (!rn_is_ok(result) && rn_is_ok(coordinator->result)) {
        coordinator->result = result;
        coordinator->err = *err;
        rn_log(RN_LOG_ERROR, "service.failed", RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err->text));
    }
    if (coordinator->stopped) {
        return;
    }
    const bool done = coordinator->phase == RN_COORDINATOR_LINGER;
    coordinator->stopped = true;
    coordinator->phase = RN_COORDINATOR_ENDED;
    const struct rn_wire_envelope envelope = {
        .body = RN_WIRE_CLOSING,
        .as.closing = {.reason =
                           done ? (uint32_t)coordinator->result.code : (uint32_t)RN_E_UNAVAILABLE,
                       .retry_after_ms = done ? 0 : 5000,
                       .job_done = done}};
    rn_coordinator_broadcast(coordinator, &envelope);
    rn_rpc_stop(coordinator->rpc, GRACE_MS);
}

/* A session past Ready is worth finishing; anything else can be resumed as well. */
static bool is_busy(const struct rn_coordinator *coordinator)
{
    return coordinator->phase == RN_COORDINATOR_SESSION && !coordinator->session.over &&
           coordinator->session.stage > RN_SA_STAGE_READY;
}

static void on_signal(void *context, unsigned count)
{
    struct rn_coordinator *coordinator = context;
    rn_log(RN_LOG_INFO, "signal", RN_LOG_NUMBER(RN_F_COUNT, count));
    coordinator->draining = true;
    if (count > 1 || !is_busy(coordinator)) {
        rn_coordinator_end(coordinator, rn_ok(), NULL);
    }
    if (count > 1) {
        rn_rpc_stop(coordinator->rpc, 0);
    }
}

static void on_tick(void *argument)
{
    struct rn_coordinator *coordinator = argument;
    if (coordinator->stopped) {
        return;
    }
    rn_coordinator_round_tick(coordinator);
    (void)rn_rpc_timer(coordinator->rpc, TICK_MS, on_tick, coordinator);
}

static rn_result open_journal(struct rn_coordinator *coordinator, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer binding = {0};
    RN_TRY(rn_journal_open(coordinator->site->state, &coordinator->journal, err));
    rn_site_files_binding(coordinator->site, &binding);
    return rn_journal_bind(coordinator->journal, rn_buffer_view(&binding), "identity or plan", err);
}

static rn_result open_network(struct rn_coordinator *coordinator, struct rn_error *err)
{
    struct rn_rpc_config config;
    rn_site_files_rpc(coordinator->site, &config);
    rn_coordinator_callbacks(coordinator, &config.callbacks);
    RN_TRY(rn_random_bytes(coordinator->incarnation, sizeof(coordinator->incarnation), err));
    const rn_result opened = rn_rpc_open(&config, &coordinator->rpc, err);
    RN_TRY(rn_is_ok(opened) ? opened
                            : rn_fail_context(err, opened, "%s: tls.key, tls.crt and ca.crt",
                                              coordinator->site->directory));
    RN_TRY(rn_worker_new(coordinator->rpc, &coordinator->worker, err));
    const struct rn_credwatch_options watch = {.directory = coordinator->site->directory,
                                               .on_event = rn_credwatch_log};
    coordinator->credentials = rn_credwatch_new(coordinator->rpc, &watch);
    RN_TRY(rn_sigwatch_new(coordinator->rpc, on_signal, coordinator, &coordinator->signals, err));
    rn_sigwatch_on_hangup(coordinator->signals, rn_credwatch_reload, coordinator->credentials);
    return rn_ok();
}

static void init_peers(struct rn_coordinator *coordinator)
{
    coordinator->peer_count = coordinator->site->roster.count;
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        coordinator->peers[i].index = i;
        coordinator->peers[i].next_round = 1;
        coordinator->peers[i].absent_since_ms = rn_clock_monotonic_ms();
    }
}

static rn_result start(struct rn_coordinator *coordinator, const struct rn_service_options *options,
                       struct rn_error *err)
{
    RN_TRY(rn_site_files_open(options->directory, RN_SITE_COORDINATOR, &coordinator->site, err));
    const struct rn_site_log *log = &coordinator->site->site.log;
    rn_log_setup("rondo-coordinator",
                 options->quiet_log ? RN_LOG_WARN : (enum rn_log_level)log->level,
                 log->format == RN_SITE_LOG_JSON && !options->quiet_log);
    RN_TRY(open_journal(coordinator, err));
    RN_TRY(rn_site_model_open(coordinator->site, false, &coordinator->model, err));
    RN_TRY(rn_site_model_open_data(coordinator->model, false, err));
    RN_TRY(open_network(coordinator, err));
    init_peers(coordinator);
    RN_TRY(rn_coordinator_restore(coordinator, err));
    rn_coordinator_tell(coordinator, (struct rn_job_event){.kind = RN_JOB_STARTED,
                                                           .round = coordinator->round,
                                                           .members = coordinator->peer_count});
    RN_TRY(rn_coordinator_connect(coordinator, err));
    char hash[65];
    rn_hex_encode(hash, coordinator->model->adapter_hash, 32);
    rn_log(RN_LOG_INFO, "service.start", RN_LOG_TEXT(RN_F_VERSION, RN_VERSION),
           RN_LOG_NUMBER(RN_F_ROUND, coordinator->round),
           RN_LOG_NUMBER(RN_F_MEMBERS, coordinator->peer_count), RN_LOG_TEXT(RN_F_HASH, hash));
    coordinator->first_session = true;
    RN_TRY(rn_coordinator_resume(coordinator, err));
    if (coordinator->phase == RN_COORDINATOR_GATHER) {
        rn_coordinator_gather(coordinator);
    }
    return rn_ok();
}

static void clear(struct rn_coordinator *coordinator)
{
    coordinator->stopped = true;
    rn_sigwatch_stop(coordinator->signals);
    rn_worker_stop(coordinator->worker);
    rn_rpc_close(coordinator->rpc);
    rn_worker_free(coordinator->worker);
    rn_sigwatch_free(coordinator->signals);
    rn_credwatch_free(coordinator->credentials);
    rn_coordinator_session_clear(&coordinator->session);
    for (size_t i = 0; i < RN_COORDINATOR_PAST_MAX; i++) {
        rn_coordinator_session_clear(&coordinator->past[i]);
    }
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        rn_stream_bulk_clear(&coordinator->peers[i].bulk);
    }
    rn_journal_close(&coordinator->journal);
    rn_site_model_free(coordinator->model);
    rn_site_files_free(coordinator->site);
    rn_free(coordinator);
}

rn_result rn_coordinator_service_run(const struct rn_service_options *options, struct rn_error *err)
{
    struct rn_coordinator *coordinator = rn_alloc(1, sizeof(*coordinator));
    coordinator->listener = options->listener;
    rn_result result = start(coordinator, options, err);
    if (rn_is_ok(result)) {
        on_tick(coordinator);
        rn_rpc_run(coordinator->rpc);
        result = coordinator->result;
        if (err != NULL) {
            *err = coordinator->err;
        }
        rn_log(RN_LOG_INFO, "service.end", RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)));
    }
    clear(coordinator);
    return result;
}
