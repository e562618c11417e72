/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/jobhost.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/random.h"
#include "services/store/sqlitestore.h"

#define LOG_FLUSH_MS 1000
/* For tests, which hold a process at a line of its log. */
#define LOG_WAIT_VARIABLE "RONDO_LOG_WAIT"

/* ---- Start */

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

static void setup_log(const struct rn_jobhost *host, bool quiet)
{
    const struct rn_site_log *log = &host->site->site.log;
    rn_log_setup(host->program->name, quiet ? RN_LOG_WARN : (enum rn_log_level)log->level,
                 log->format == RN_SITE_LOG_JSON && !quiet);
    rn_log_wait(is_set(LOG_WAIT_VARIABLE));
}

/* What stood on stderr is often gone when somebody asks. */
static rn_result open_log_file(const struct rn_jobhost *host, const char *name,
                               struct rn_error *err)
{
    const struct rn_site_log *log = &host->site->site.log;
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, host->site->state, "service.log", err));
    return rn_log_file(name == NULL ? path : name, (enum rn_log_level)log->level,
                       log->format == RN_SITE_LOG_JSON, err);
}

static rn_result open_store(struct rn_jobhost *host, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer binding = {0};
    struct rn_executor_config config;
    rn_jobhost_executor(host, &config);
    host->executor = rn_executor_new(&config);
    rn_site_files_binding(host->site, &binding);
    const struct rn_store_options options = {
        .post = rn_executor_store_post,
        .user = host->executor,
        .binding = rn_buffer_view(&binding),
        .binding_what = "identity",
        .kept_kinds = (UINT64_C(1) << RN_RECORD_SPENT) | (UINT64_C(1) << RN_RECORD_PLAN) |
                      (UINT64_C(1) << RN_RECORD_EVIDENCE) | (UINT64_C(1) << RN_RECORD_STOP) |
                      (UINT64_C(1) << RN_RECORD_TLOG),
    };
    RN_TRY(rn_sqlite_store_open(host->site->state, &options, &host->store, err));
    rn_executor_set_store(host->executor, host->store);
    return rn_ok();
}

static rn_result record_found(void *argument, const struct rn_record_key *key, struct rn_view body,
                              struct rn_error *err)
{
    (void)key;
    (void)body;
    (void)err;
    *(bool *)argument = true;
    return rn_ok();
}

/* After the store, whose state it has to fit; before anything is sent. */
static rn_result open_ledger(struct rn_jobhost *host, struct rn_error *err)
{
    struct rn_siteledger_state state = {0};
    const struct rn_site_files *site = host->site;
    if (host->program->role != RN_SITE_MEMBER) {
        return rn_ok();
    }
    const struct rn_job_reader reader = rn_executor_reader(host->executor);
    RN_TRY(reader.scan(reader.context, RN_RECORD_PLAN, NULL, record_found, &state.bound, err));
    RN_TRY(reader.scan(reader.context, RN_RECORD_SPENT, NULL, record_found, &state.spent, err));
    const struct rn_siteledger_place place = {site->directory, site->state,
                                              rn_identity_public_of(site->identity)};
    return rn_siteledger_open(&place, &site->plan, site->policy.upload.jobs_max, state,
                              &host->ledger, err);
}

/* Rounds in which this member's update was encoded. */
struct encoded {
    uint32_t rounds, last;
};

static rn_result encoded_count(void *argument, const struct rn_record_key *key, struct rn_view body,
                               struct rn_error *err)
{
    struct encoded *encoded = argument;
    (void)body;
    (void)err;
    if (key->round > encoded->last) { /* in the order of rounds */
        encoded->rounds++;
        encoded->last = key->round;
    }
    return rn_ok();
}

/* Before data is opened: the plan's whole cost is reserved. */
static rn_result open_privacy(struct rn_jobhost *host, struct rn_error *err)
{
    struct encoded encoded = {0};
    if (host->program->role != RN_SITE_MEMBER) {
        return rn_ok();
    }
    const struct rn_job_reader reader = rn_executor_reader(host->executor);
    RN_TRY(reader.scan(reader.context, RN_RECORD_SPENT, NULL, encoded_count, &encoded, err));
    return rn_round_privacy_open(host->site, encoded.rounds, encoded.last, &host->privacy, err);
}

static rn_result open_model(struct rn_jobhost *host, struct rn_error *err)
{
    const bool train = host->program->role == RN_SITE_MEMBER;
    RN_TRY(rn_site_model_open(host->site, train, &host->model, err));
    if (host->program->check != NULL) {
        RN_TRY(host->program->check(host, err));
    }
    RN_TRY(rn_site_model_open_data(host->model, train, err));
    return rn_round_privacy_records_check(host->privacy, host->model->train_count, err);
}

static rn_result fill_random(void *context, void *out, size_t length, struct rn_error *err)
{
    (void)context;
    return rn_random_bytes(out, length, err);
}

static void fill_basis(struct rn_jobhost *host)
{
    host->parallel = rn_parallel_threads(0);
    host->basis = (struct rn_job_basis){
        .plan = &host->site->plan,
        .roster = &host->site->roster,
        .identity = host->site->identity,
        .self = host->site->self,
        .reader = rn_executor_reader(host->executor),
        .random = fill_random,
        .parallel = &host->parallel,
    };
    memcpy(host->basis.base_hash, host->site->base_hash, sizeof(host->basis.base_hash));
}

/* What plain LoRA (both matrices every round) would send from one member, in the same coding. */
static uint64_t lora_bytes(const struct rn_jobhost *host)
{
    struct rn_round_layout layout;
    const struct rn_round_model *round = &host->model->round;
    if (!rn_is_ok(rn_round_model_layout(round, &host->site->plan, 1, 0, &layout, NULL))) {
        return 0;
    }
    return rn_plan_upload_bytes(&host->site->numbers,
                                layout.delta_offset +
                                    round->selections[RN_ROUND_A | RN_ROUND_B].count);
}

static rn_result open_reports(struct rn_jobhost *host, const struct rn_service_options *options,
                              struct rn_error *err)
{
    const bool coordinator = host->program->role == RN_SITE_COORDINATOR;
    const struct rn_eventsink_config events = {.roster = &host->site->roster,
                                               .rounds = rn_plan_last_round(&host->site->plan),
                                               .names_missing = coordinator,
                                               .listener = options->listener};
    const struct rn_roundstable_config table = {.state = host->site->state,
                                                .rounds = rn_plan_last_round(&host->site->plan),
                                                .judged = coordinator,
                                                .own = !coordinator,
                                                .lora_bytes = lora_bytes(host)};
    host->events = rn_eventsink_new(&events);
    RN_TRY(rn_model_jobs_new(host->model, host->executor, host->privacy, &host->jobs, err));
    return rn_roundstable_open(&table, &host->basis.reader, &host->table, err);
}

static int find_peer(void *context, const struct rn_peer *peer)
{
    struct rn_jobhost *host = context;
    return host->program->find(host, peer);
}

rn_result rn_jobhost_open_rpc(struct rn_jobhost *host, const struct rn_rpc_callbacks *callbacks,
                              struct rn_error *err)
{
    struct rn_rpc_config config;
    rn_site_files_rpc(host->site, &config);
    config.callbacks = *callbacks;
    const rn_result opened = rn_rpc_open(&config, &host->rpc, err);
    rn_credfiles_clear(&host->site->credentials); /* rpc has its own copy, in secret memory */
    return rn_is_ok(opened) ? opened
                            : rn_fail_context(err, opened, "%s: tls.key, tls.crt and ca.crt",
                                              host->site->directory);
}

static rn_result open_network(struct rn_jobhost *host, struct rn_error *err)
{
    const bool coordinator = host->program->role == RN_SITE_COORDINATOR;
    const struct rn_peerstreams_config streams = {
        .executor = host->executor,
        .meter = &host->meter,
        .peers = coordinator ? host->site->roster.count : 1,
        .newest = host->program->newest_bulk,
        .content = host->program->content,
        .sender = host->site->self,
        .find = find_peer,
        .context = host,
    };
    struct rn_rpc_callbacks callbacks;
    host->streams = rn_peerstreams_new(&streams);
    rn_jobhost_callbacks(host, &callbacks);
    RN_TRY(rn_jobhost_open_rpc(host, &callbacks, err));
    rn_peerstreams_set_rpc(host->streams, host->rpc);
    const struct rn_credwatch_options watch = {.directory = host->site->directory,
                                               .on_event = rn_credwatch_log};
    host->credentials = rn_credwatch_new(host->rpc, &watch);
    rn_jobhost_watch_signatures(host);
    RN_TRY(rn_sigwatch_new(host->rpc, rn_jobhost_signal, host, &host->signals, err));
    rn_sigwatch_on_hangup(host->signals, rn_jobhost_hangup, host);
    return rn_ok();
}

static rn_result start_machine(struct rn_jobhost *host, struct rn_error *err)
{
    RN_CLEANUP(rn_effects_clear) struct rn_effects first = {0};
    struct rn_executor_machine machine;
    const struct rn_now now = {rn_clock_monotonic_ms(), rn_clock_wall_ms()};
    RN_TRY(host->program->build(host, now, &first, &host->machine, err));
    rn_jobhost_take_commits(host, &first, 0); /* a lost session may end a round at the start */
    rn_jobhost_snapshot(host, now);
    RN_TRY(rn_site_files_listen(host->site, host->rpc, err));
    if (host->site->site.network.direction != RN_SITE_LISTEN) {
        RN_TRY(host->program->dial(host, err));
    }
    host->program->log_start(host);
    rn_jobhost_machine(host, &machine);
    return rn_executor_start(host->executor, &machine, &first, err);
}

static rn_result start(struct rn_jobhost *host, const struct rn_service_options *options,
                       struct rn_error *err)
{
    RN_TRY(rn_site_files_open(options->directory, host->program->role, &host->site, err));
    setup_log(host, options->quiet_log);
    RN_TRY(open_store(host, err));
    RN_TRY(open_log_file(host, options->log_file, err));
    RN_TRY(open_ledger(host, err));
    RN_TRY(rn_jobhost_tlog_open(host, err));
    RN_TRY(open_privacy(host, err));
    RN_TRY(open_model(host, err));
    fill_basis(host);
    RN_TRY(open_reports(host, options, err));
    RN_TRY(open_network(host, err));
    return start_machine(host, err);
}

/* ---- End */

/* No signal, training or step from here on. */
static void stop_work(struct rn_jobhost *host)
{
    rn_sigwatch_stop(host->signals);
    rn_model_jobs_hurry(host->jobs);
    rn_executor_stop(host->executor);
}

/* What a job that is over needs no more. Who calls whom ends first: nothing is posted to what is
 * gone. The store, which holds the state directory, may still be committing; it posts to the
 * executor, and what waits there belongs to the jobs. */
static void end_job(struct rn_jobhost *host)
{
    stop_work(host);
    rn_model_jobs_stop(host->jobs);
    rn_rpc_close(host->rpc); /* what was posted still runs, and looks at it */
    host->rpc = NULL;
    if (host->machine != NULL) {
        host->program->free(RN_TAKE(host->machine));
    }
    rn_roundstable_close(RN_TAKE(host->table));
    rn_site_model_free(RN_TAKE(host->model));
}

static void clear(struct rn_jobhost *host)
{
    end_job(host);
    rn_store_close(&host->store);
    rn_executor_free(host->executor);
    rn_jobhost_tlog_free(host);
    rn_round_privacy_free(host->privacy);
    rn_siteledger_free(host->ledger);
    rn_model_jobs_free(host->jobs);
    rn_peerstreams_free(host->streams);
    rn_sigwatch_free(host->signals);
    rn_credwatch_free(host->credentials);
    rn_site_signatures_watch_free(host->signatures);
    rn_eventsink_free(host->events);
    rn_statusboard_clear(&host->board);
    rn_buffer_clear(&host->spare);
    rn_site_files_free(host->site);
    (void)rn_log_flush(LOG_FLUSH_MS);
    rn_free(host);
}

/* The loop has ended: how, and whether the process stays all the same. */
static rn_result finish(struct rn_jobhost *host, bool stay, struct rn_error *err)
{
    stop_work(host);
    rn_result result = host->result;
    if (err != NULL) {
        *err = host->err;
    }
    if (rn_is_ok(result) && rn_sigwatch_taken(host->signals) == 0) {
        rn_model_jobs_stop(host->jobs); /* a training may still be ending */
        result = rn_round_privacy_close(host->privacy, err);
    }
    if (stay && rn_is_ok(result) && rn_sigwatch_taken(host->signals) == 0) {
        rn_jobhost_snapshot(host, (struct rn_now){rn_clock_monotonic_ms(), rn_clock_wall_ms()});
        end_job(host);
        result = rn_jobhost_stay(host, err);
    }
    rn_log(RN_LOG_INFO, "service.end", RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)));
    return result;
}

rn_result rn_jobhost_run(const struct rn_jobhost_program *program,
                         const struct rn_service_options *options, struct rn_error *err)
{
    struct rn_jobhost *host = rn_alloc(1, sizeof(*host));
    host->program = program;
    rn_statusboard_init(&host->board);
    rn_result result = start(host, options, err);
    if (rn_is_ok(result)) {
        rn_rpc_run(host->rpc);
        result = finish(host, options->stay, err);
    }
    clear(host);
    return result;
}
