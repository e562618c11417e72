/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor's side: the machine's steps with what hangs on them, and where its effects go.
 */
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/host/jobhost.h"

/* ---- Effects */

static void take_event(struct rn_jobhost *host, const struct rn_effect *effect)
{
    struct rn_job_event event = effect->event;
    if (effect->bytes.length > 0) {
        event.path = (const char *)effect->bytes.data;
    }
    rn_eventsink_take(host->events, &event, &effect->err, rn_clock_monotonic_ms());
}

/* On this thread, which fsync may hold for a moment: a few times in a job. */
static void keep_signatures(struct rn_jobhost *host, const struct rn_effect *effect)
{
    struct rn_error err = {0};
    const rn_result result = rn_site_signatures_keep(host->site->directory, &host->site->roster,
                                                     rn_buffer_view(&effect->bytes), &err);
    const struct rn_input input = {
        .kind = RN_INPUT_KEPT, .code = result.code, .text = rn_is_ok(result) ? NULL : err.text};
    (void)rn_executor_post(host->executor, &input);
}

static void take_end(struct rn_jobhost *host, const struct rn_effect *effect)
{
    if (rn_is_ok(host->result)) {
        host->result = effect->result;
        host->err = effect->err;
    }
    rn_model_jobs_hurry(host->jobs);
    rn_peerstreams_stop(host->streams, effect->now ? 0 : host->program->grace_ms);
}

static void carry(void *context, struct rn_effect *effect)
{
    struct rn_jobhost *host = context;
    switch (effect->kind) {
    case RN_EFFECT_SEND:
        rn_peerstreams_send(host->streams, effect->connection, &effect->bytes);
        break;
    case RN_EFFECT_CLOSE:
        rn_peerstreams_close(host->streams, effect->connection, effect->result);
        break;
    case RN_EFFECT_TRAIN:
        rn_model_jobs_train(host->jobs, &effect->train);
        break;
    case RN_EFFECT_TRAIN_CANCEL:
        rn_model_jobs_cancel(host->jobs);
        break;
    case RN_EFFECT_PUBLISH:
        rn_model_jobs_publish(host->jobs, &effect->publish);
        break;
    case RN_EFFECT_KEEP:
        keep_signatures(host, effect);
        break;
    case RN_EFFECT_LOG:
        rn_jobhost_tlog_add(host, effect);
        break;
    case RN_EFFECT_LOG_SEND:
        rn_jobhost_tlog_send(host, effect);
        break;
    case RN_EFFECT_LOG_REPORT:
        rn_jobhost_tlog_report(host, effect);
        break;
    case RN_EFFECT_LOG_MIRROR:
        rn_jobhost_tlog_mirror(host, effect);
        break;
    case RN_EFFECT_EVENT:
        take_event(host, effect);
        break;
    case RN_EFFECT_END:
        take_end(host, effect);
        break;
    case RN_EFFECT_COMMIT:
    case RN_EFFECT_BULK:
    case RN_EFFECT_BULK_STOP:
        break; /* the executor's own */
    }
}

static void take_chunk(void *context, struct rn_executor_chunk *chunk)
{
    rn_peerstreams_chunk(((struct rn_jobhost *)context)->streams, chunk);
}

static void resume(void *context, uint32_t peer)
{
    rn_peerstreams_resume(((struct rn_jobhost *)context)->streams, peer);
}

void rn_jobhost_snapshot(struct rn_jobhost *host, struct rn_now now)
{
    host->spare.length = 0;
    atomic_store(&host->serving, host->program->status(host, now, &host->spare));
    rn_buffer_format(&host->spare, ",");
    rn_eventsink_status(host->events, &host->spare);
    rn_statusboard_swap(&host->board, &host->spare, now.monotonic_ms);
}

void rn_jobhost_write_best(const struct rn_round_judgement *judgement, struct rn_buffer *out)
{
    if (judgement->measured) {
        rn_buffer_format(out, "\"best\":{\"round\":%u,\"metric\":%.9g}",
                         (unsigned)judgement->best_round, judgement->best_metric);
    } else {
        rn_buffer_format(out, "\"best\":null");
    }
}

static void write_names(const struct rn_roster *roster, const struct rn_sa_set *members,
                        const char *between, struct rn_buffer *out)
{
    for (uint32_t i = rn_sa_set_next(members, 0); i < roster->count;
         i = rn_sa_set_next(members, i + 1)) {
        rn_buffer_format(out, "%s\"%s\"", between, roster->members[i].name);
        between = ",";
    }
}

void rn_jobhost_write_evidence(const struct rn_roster *roster,
                               const struct rn_job_evidence *evidence, struct rn_buffer *out)
{
    if (evidence->documents == 0) {
        rn_buffer_format(out, "\"evidence\":null");
        return;
    }
    rn_buffer_format(out, "\"evidence\":{\"documents\":%u,\"round\":%u,\"against\":[%s",
                     (unsigned)evidence->documents, (unsigned)evidence->round,
                     evidence->coordinator ? "\"coordinator\"" : "");
    write_names(roster, &evidence->members, evidence->coordinator ? "," : "", out);
    rn_buffer_format(out, "],\"one_of\":[");
    write_names(roster, &evidence->one_of, "", out);
    rn_buffer_format(out, "]}");
}

/* A reason is printable ASCII: two of its characters mean something in JSON. */
static void write_text(const char *text, struct rn_buffer *out)
{
    for (; *text != '\0'; text++) {
        rn_buffer_format(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
}

void rn_jobhost_write_stop(const struct rn_roster *roster, const struct rn_job_stop *stop,
                           struct rn_buffer *out)
{
    if (stop->length == 0) {
        rn_buffer_format(out, "\"stop\":null");
        return;
    }
    rn_buffer_format(out, "\"stop\":{\"member\":\"%s\",\"reason\":\"",
                     roster->members[stop->place].name);
    write_text(stop->reason, out);
    rn_buffer_format(out, "\"}");
}

static void tick(void *context, struct rn_input *input, struct rn_now now)
{
    struct rn_jobhost *host = context;
    rn_model_jobs_progress(host->jobs, input);
    rn_jobhost_tlog_tick(host);
    rn_jobhost_snapshot(host, now);
}

/* The first record of a session in this plan: the plan goes into the identity's ledger before. */
static rn_result charge(void *context, const struct rn_job_batch *batch, struct rn_error *err)
{
    struct rn_jobhost *host = context;
    for (size_t i = 0; host->ledger != NULL && i < batch->write_count; i++) {
        if (batch->writes[i].key.kind == RN_RECORD_SPENT) {
            return rn_siteledger_charge(host->ledger, err);
        }
    }
    return rn_ok();
}

void rn_jobhost_executor(struct rn_jobhost *host, struct rn_executor_config *out_config)
{
    *out_config = (struct rn_executor_config){
        .outlet =
            {.context = host, .carry = carry, .chunk = take_chunk, .resume = resume, .tick = tick},
        .before = charge,
        .peers = host->program->role == RN_SITE_COORDINATOR ? host->site->roster.count : 1,
    };
}

/* ---- Steps */

/* A row for people is not worth stopping a federation for. */
static void take_batch(struct rn_jobhost *host, const struct rn_job_batch *batch)
{
    struct rn_error err = {0};
    if (!host->table_failed && !rn_is_ok(rn_roundstable_take(host->table, batch, &err))) {
        host->table_failed = true;
        rn_log(RN_LOG_WARN, "rounds.unwritten", RN_LOG_TEXT(RN_F_DETAIL, err.text));
    }
}

void rn_jobhost_take_commits(struct rn_jobhost *host, const struct rn_effects *effects,
                             size_t first)
{
    for (size_t i = first; i < effects->count; i++) {
        if (effects->items[i].kind == RN_EFFECT_COMMIT) {
            take_batch(host, &effects->items[i].batch);
        }
    }
}

static void step(void *context, const struct rn_input *input, struct rn_now now,
                 struct rn_effects *out_effects)
{
    struct rn_jobhost *host = context;
    const size_t first = out_effects->count;
    host->program->step(host->machine, input, now, out_effects);
    rn_jobhost_take_commits(host, out_effects, first);
}

static rn_result chunk(void *context, const uint8_t session[static RN_HASH_BYTES], uint32_t number,
                       struct rn_buffer *out, struct rn_error *err)
{
    struct rn_jobhost *host = context;
    return host->program->chunk(host->machine, session, number, out, err);
}

void rn_jobhost_machine(struct rn_jobhost *host, struct rn_executor_machine *out_machine)
{
    *out_machine = (struct rn_executor_machine){.context = host, .step = step, .chunk = chunk};
}
