/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation's log at the coordinator: what goes into it is a record of the job first and an
 * entry of the log after that commit, so a restart puts in what is missing, and nothing twice.
 * Members get what is new to them and report how far their copy goes; the driver keeps the files.
 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/coordinationstate.h"

#define NAMES_BYTES ((size_t)60 << 10) /* of an entry */

static void order(struct rn_coordination *c, uint64_t number, struct rn_view entry)
{
    struct rn_effect *effect = rn_effects_add(c->out, RN_EFFECT_LOG);
    effect->number = number;
    c->log.under_way++;
    rn_buffer_append(&effect->bytes, entry.data, entry.length);
}

/* entry: plan and number are filled in here. */
static void add(struct rn_coordination *c, struct rn_tlog_entry *entry)
{
    const struct rn_record_key key = {
        .kind = RN_RECORD_TLOG, .round = entry->round, .attempt = entry->attempt};
    if (!c->config.log) {
        return;
    }
    entry->number = c->log.entries++;
    memcpy(entry->plan, c->basis->plan->hash, RN_HASH_BYTES);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_tlog_entry_write(entry, &text);
    struct rn_buffer *body = rn_job_batch_write(rn_effects_commit(c->out), &key);
    rn_buffer_append(body, text.data, text.length);
    order(c, entry->number, rn_buffer_view(&text));
}

static void add_plan(struct rn_coordination *c)
{
    const struct rn_plan *plan = c->basis->plan;
    struct rn_tlog_entry entry = {.kind = RN_TLOG_PLAN, .rounds = rn_plan_last_round(plan)};
    (void)rn_text_format(entry.name, sizeof entry.name, "%s", plan->name);
    (void)rn_text_format(entry.method, sizeof entry.method, "%s",
                         rn_plan_method_name(plan->method));
    memcpy(entry.roster, plan->roster_hash, RN_HASH_BYTES);
    memcpy(entry.base, plan->model_hash, RN_HASH_BYTES);
    memcpy(entry.after, rn_coord_adapter_hash(c), RN_HASH_BYTES);
    add(c, &entry);
}

static rn_result take_record(void *coordination, const struct rn_record_key *key,
                             struct rn_view body, struct rn_error *err)
{
    struct rn_coordination *c = coordination;
    struct rn_tlog_entry entry;
    (void)key;
    RN_TRY(rn_tlog_entry_read(body, &entry, err));
    RN_ENSURE(entry.number == c->log.entries, err, RN_E_DATA,
              "journal: the log's entries have a gap at %u", (unsigned)c->log.entries);
    if (entry.kind == RN_TLOG_ROUND) {
        c->log.round = entry.round;
    }
    c->log.ended |= entry.kind == RN_TLOG_END;
    order(c, c->log.entries++, body);
    return rn_ok();
}

rn_result rn_coord_log_start(struct rn_coordination *c, struct rn_error *err)
{
    const struct rn_job_reader *reader = &c->basis->reader;
    if (!c->config.log) {
        return rn_ok();
    }
    RN_TRY(reader->scan(reader->context, RN_RECORD_TLOG, NULL, take_record, c, err));
    if (c->log.entries == 0 && c->summed + c->skipped == 0) {
        add_plan(c);
    }
    return rn_ok();
}

void rn_coord_log_round(struct rn_coordination *c, const struct rn_job_result *result)
{
    struct rn_tlog_entry entry = {.kind = RN_TLOG_ROUND,
                                  .round = result->round,
                                  .attempt = result->attempt,
                                  .outcome = (enum rn_code)result->outcome,
                                  .included = result->included,
                                  .lost = result->lost};
    if (result->round <= c->log.round) {
        return;
    }
    c->log.round = result->round;
    memcpy(entry.session, result->session, RN_HASH_BYTES);
    memcpy(entry.sum, result->sum_hash, RN_HASH_BYTES);
    memcpy(entry.before, result->before, RN_HASH_BYTES);
    memcpy(entry.after, result->after, RN_HASH_BYTES);
    add(c, &entry);
}

void rn_coord_log_blamed(struct rn_coordination *c, const struct rn_coord_session *session,
                         const struct rn_sa_set *blamed)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer names = {0};
    for (uint32_t i = rn_sa_set_next(blamed, 0); i < c->peer_count && names.length < NAMES_BYTES;
         i = rn_sa_set_next(blamed, i + 1)) {
        rn_buffer_format(&names, "%s%s", names.length > 0 ? "," : "",
                         c->basis->roster->members[i].name);
    }
    struct rn_tlog_entry entry = {.kind = RN_TLOG_BLAME,
                                  .round = session->round,
                                  .attempt = session->attempt,
                                  .members = rn_buffer_view(&names)};
    if (names.length > 0) {
        add(c, &entry);
    }
}

void rn_coord_log_end(struct rn_coordination *c)
{
    struct rn_tlog_entry entry = {
        .kind = RN_TLOG_END, .round = c->round, .outcome = c->result.code};
    if (c->log.ended) {
        return;
    }
    c->log.ended = true;
    memcpy(entry.after, rn_coord_adapter_hash(c), RN_HASH_BYTES);
    add(c, &entry);
}

/* ---- Members ---- */

void rn_coord_log_hear(struct rn_coordination *c, uint32_t index, struct rn_view bytes)
{
    struct rn_coord_peer *peer = &c->peers[index];
    struct rn_tlog_report report;
    struct rn_error err = {0};
    if (!c->config.log || (peer->log_known && !peer->log_sent)) {
        return; /* one after the greeting, and one after each update */
    }
    const rn_result result = rn_tlog_report_read(bytes, &report, &err);
    if (!rn_is_ok(result)) {
        rn_effects_event_err(c->out,
                             (struct rn_job_event){.kind = RN_JOB_LOG_REPORT_REFUSED,
                                                   .peer = index + 1,
                                                   .outcome = result.code},
                             &err);
        return;
    }
    if (peer->log_known && report.size < peer->log_size) {
        return; /* a copy does not shrink: it gets no more until it greets again */
    }
    peer->log_known = true;
    peer->log_sent = false;
    peer->log_size = report.size;
    struct rn_effect *effect = rn_effects_add(c->out, RN_EFFECT_LOG_REPORT);
    effect->peer = index;
    rn_buffer_append(&effect->bytes, bytes.data, bytes.length);
}

void rn_coord_log_grown(struct rn_coordination *c, const struct rn_input *input)
{
    c->log.size = input->number;
    c->log.under_way -= input->count;
}

bool rn_coord_log_waits(const struct rn_coordination *c)
{
    bool waits = c->log.under_way > 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const struct rn_coord_peer *peer = &c->peers[i];
        waits |= peer->connection != 0 && peer->log_known && peer->log_size < c->log.size;
    }
    return waits;
}

void rn_coord_log_send(struct rn_coordination *c)
{
    static const struct rn_budget_rate rate = {RN_COORD_LOGS_BURST, RN_COORD_LOGS_EVERY_MS};
    for (uint32_t i = 0; i < c->peer_count; i++) {
        struct rn_coord_peer *peer = &c->peers[i];
        if (peer->connection != 0 && peer->log_known && !peer->log_sent &&
            peer->log_size < c->log.size && rn_budget_take(&peer->logs, &rate, c->clock_ms)) {
            struct rn_effect *effect = rn_effects_add(c->out, RN_EFFECT_LOG_SEND);
            effect->connection = peer->connection;
            effect->number = peer->log_size;
            peer->log_sent = true;
        }
    }
}
