/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's service from start to end.
 */
#include "services/trainer/memberservice.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/random.h"
#include "services/trainer/memberstate.h"

#define TICK_MS 200
#define GRACE_MS 2000

void rn_member_tell(struct rn_member *member, struct rn_job_event event)
{
    event.rounds = member->site->plan.rounds;
    if (member->listener.on_event != NULL) {
        member->listener.on_event(member->listener.context, &event);
    }
}

void rn_member_end(struct rn_member *member, rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result) && rn_is_ok(member->result)) {
        member->result = result;
        member->err = *err;
        rn_log(RN_LOG_ERROR, "service.failed", RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err->text));
    }
    if (!member->stopped) {
        member->stopped = true;
        if (member->training != NULL) {
            atomic_store(&member->training->cancel, true);
        }
        rn_member_send_closing(member, member->result.code);
        rn_rpc_stop(member->rpc, GRACE_MS);
    }
}

/* A session between Ready and the sum is worth waiting for; anything else ends at once. */
static void drain_step(struct rn_member *member)
{
    const struct rn_member_session *session = &member->session;
    const bool busy = session->machine != NULL && !session->over && member->training == NULL &&
                      session->stage > RN_SA_STAGE_READY;
    if (member->draining && !busy && !member->ending) {
        rn_member_end(member, rn_ok(), NULL);
    }
}

static void on_signal(void *context, unsigned count)
{
    struct rn_member *member = context;
    rn_log(RN_LOG_INFO, "signal", RN_LOG_NUMBER(RN_F_COUNT, count));
    member->draining = true;
    if (count > 1) {
        rn_member_end(member, rn_ok(), NULL);
        rn_rpc_stop(member->rpc, 0);
        return;
    }
    drain_step(member);
}

static void on_tick(void *argument)
{
    struct rn_member *member = argument;
    if (member->stopped) {
        return;
    }
    rn_member_session_tick(member);
    rn_member_train_tick(member);
    drain_step(member);
    member->timer = rn_rpc_timer(member->rpc, TICK_MS, on_tick, member);
}

static rn_result load_spent(void *argument, const struct rn_journal_key *key, struct rn_view body,
                            struct rn_error *err)
{
    (void)key;
    return rn_sa_spent_load(argument, body, err);
}

/* The policy's bound on the upload needs the adapter's size, which needs the model. */
static rn_result check_upload(struct rn_member *member, struct rn_error *err)
{
    uint64_t bytes = 0;
    enum rn_policy_reason reason = RN_POLICY_ACCEPTED;
    RN_TRY(rn_site_model_upload_bytes(member->model, &bytes, err));
    const rn_result result = rn_policy_check_upload(&member->site->policy, bytes, &reason, err);
    return rn_is_ok(result)
               ? result
               : rn_fail_context(err, result, "policy.yaml (%s)", rn_policy_reason_name(reason));
}

static rn_result open_journal(struct rn_member *member, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer binding = {0};
    RN_TRY(rn_journal_open(member->site->state, &member->journal, err));
    rn_site_files_binding(member->site, &binding);
    RN_TRY(rn_journal_bind(member->journal, rn_buffer_view(&binding), "identity or plan", err));
    member->spent = rn_sa_spent_new();
    return rn_journal_scan(member->journal, RN_JOURNAL_SPENT, NULL, load_spent, member->spent, err);
}

static rn_result open_network(struct rn_member *member, struct rn_error *err)
{
    struct rn_rpc_config config;
    rn_site_files_rpc(member->site, &config);
    rn_member_callbacks(member, &config.callbacks);
    RN_TRY(rn_random_bytes(member->incarnation, sizeof(member->incarnation), err));
    const rn_result opened = rn_rpc_open(&config, &member->rpc, err);
    RN_TRY(rn_is_ok(opened) ? opened
                            : rn_fail_context(err, opened, "%s: tls.key, tls.crt and ca.crt",
                                              member->site->directory));
    RN_TRY(rn_worker_new(member->rpc, &member->worker, err));
    const struct rn_credwatch_options watch = {.directory = member->site->directory,
                                               .on_event = rn_credwatch_log};
    member->credentials = rn_credwatch_new(member->rpc, &watch);
    RN_TRY(rn_sigwatch_new(member->rpc, on_signal, member, &member->signals, err));
    rn_sigwatch_on_hangup(member->signals, rn_credwatch_reload, member->credentials);
    return rn_ok();
}

static rn_result start(struct rn_member *member, const struct rn_service_options *options,
                       struct rn_error *err)
{
    RN_TRY(rn_site_files_open(options->directory, RN_SITE_MEMBER, &member->site, err));
    const struct rn_site_log *log = &member->site->site.log;
    rn_log_setup("rondo-trainer", options->quiet_log ? RN_LOG_WARN : (enum rn_log_level)log->level,
                 log->format == RN_SITE_LOG_JSON && !options->quiet_log);
    RN_TRY(open_journal(member, err));
    RN_TRY(rn_site_model_open(member->site, true, &member->model, err));
    RN_TRY(check_upload(member, err));
    RN_TRY(rn_site_model_open_data(member->model, true, err));
    RN_TRY(rn_member_restore(member, err));
    RN_TRY(open_network(member, err));
    RN_TRY(rn_member_resume(member, err));
    RN_TRY(rn_member_connect(member, err));
    char hash[65];
    rn_hex_encode(hash, member->model->adapter_hash, 32);
    rn_log(RN_LOG_INFO, "service.start", RN_LOG_TEXT(RN_F_MEMBER, member->site->site.name),
           RN_LOG_TEXT(RN_F_VERSION, RN_VERSION), RN_LOG_NUMBER(RN_F_ROUND, member->next_round),
           RN_LOG_NUMBER(RN_F_COUNT, member->model->train_count), RN_LOG_TEXT(RN_F_HASH, hash));
    rn_member_tell(member,
                   (struct rn_job_event){.kind = RN_JOB_STARTED, .round = member->next_round});
    return rn_ok();
}

static void clear(struct rn_member *member)
{
    member->stopped = true;
    rn_sigwatch_stop(member->signals);
    rn_worker_stop(member->worker);
    rn_rpc_close(member->rpc);
    rn_worker_free(member->worker);
    rn_sigwatch_free(member->signals);
    rn_credwatch_free(member->credentials);
    rn_member_session_clear(member);
    rn_free(member->update.delta);
    rn_sa_spent_free(member->spent);
    rn_journal_close(&member->journal);
    rn_site_model_free(member->model);
    rn_site_files_free(member->site);
    rn_free(member);
}

rn_result rn_member_service_run(const struct rn_service_options *options, struct rn_error *err)
{
    struct rn_member *member = rn_alloc(1, sizeof(*member));
    member->listener = options->listener;
    rn_result result = start(member, options, err);
    if (rn_is_ok(result)) {
        on_tick(member);
        rn_rpc_run(member->rpc);
        result = member->result;
        if (err != NULL) {
            *err = member->err;
        }
        rn_log(RN_LOG_INFO, "service.end", RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)));
    }
    clear(member);
    return result;
}
