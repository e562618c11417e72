/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's secure-aggregation session: which offers it takes, and how the machine's actions are
 * executed.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/random.h"
#include "services/trainer/memberstate.h"

/* The vector is this site's plain update: gone as soon as nobody may ask for it again. */
static void forget_vector(struct rn_member_session *session)
{
    if (session->vector != NULL) {
        rn_secret_wipe(session->vector, session->layout.elements * sizeof(*session->vector));
        rn_free(session->vector);
        session->vector = NULL;
    }
}

void rn_member_session_clear(struct rn_member *member)
{
    struct rn_member_session *session = &member->session;
    rn_sa_member_free(session->machine);
    forget_vector(session);
    rn_stream_bulk_clear(&session->upload);
    *session = (struct rn_member_session){0};
    if (member->training != NULL) {
        atomic_store(&member->training->cancel, true);
        member->discard_training = true;
    }
}

static rn_result read_input(void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    const struct rn_member *member = context;
    const struct rn_member_session *session = &member->session;
    RN_ENSURE(session->vector != NULL && first <= session->layout.elements &&
                  count <= session->layout.elements - first,
              err, RN_E_INTERNAL, "the update of round %u is not here", (unsigned)session->round);
    memcpy(out, session->vector + first, count * sizeof(*out));
    return rn_ok();
}

static rn_result machine_config(struct rn_member *member, uint32_t round, uint32_t attempt,
                                const uint8_t before[static 32], const struct rn_secret32 *seed,
                                struct rn_sa_member_config *out, struct rn_error *err)
{
    *out = (struct rn_sa_member_config){
        .identity = member->site->identity,
        .self = member->site->self,
        .local_minimum = member->site->policy.cohort.survivors_min,
        .spent = member->spent,
        .seed = seed,
        .input = {read_input, member},
    };
    return rn_site_model_context(member->model, round, attempt, before, &out->params, &out->context,
                                 err);
}

/* ---- Actions */

static rn_result persist(struct rn_member *member, const struct rn_sa_action *action,
                         struct rn_error *err)
{
    struct rn_journal_key key = {.kind = RN_JOURNAL_MEMBER,
                                 .round = member->session.round,
                                 .attempt = member->session.attempt};
    memcpy(key.session, member->session.id, sizeof(key.session));
    if (!action->keep) {
        return rn_journal_append(member->journal, &key, rn_buffer_view(&action->bytes), err);
    }
    RN_TRY(rn_journal_begin(member->journal, err));
    RN_TRY(rn_journal_append(member->journal, &key, rn_buffer_view(&action->bytes), err));
    key.kind = RN_JOURNAL_SPENT;
    RN_TRY(rn_journal_append(member->journal, &key, rn_buffer_view(&action->bytes), err));
    return rn_journal_commit(member->journal, err);
}

/* Logged before anything of the stage is sent, so that whoever watches the log sees it first. */
static void log_stages(struct rn_member *member, const struct rn_sa_actions *actions)
{
    struct rn_member_session *session = &member->session;
    for (size_t i = 0; i < actions->count; i++) {
        const struct rn_sa_action *action = &actions->items[i];
        if (action->kind != RN_SA_STAGE || action->stage == session->stage) {
            continue;
        }
        session->stage = action->stage;
        rn_log(RN_LOG_INFO, "stage.enter", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_NUMBER(RN_F_ATTEMPT, session->attempt),
               RN_LOG_TEXT(RN_F_STAGE, rn_job_stage_code(action->stage)));
        rn_member_tell(
            member, (struct rn_job_event){.kind = RN_JOB_STAGE,
                                          .round = session->round,
                                          .attempt = session->attempt,
                                          .phase = rn_round_phase_name(session->layout.spec.active),
                                          .stage = action->stage});
    }
}

static void on_aborted(struct rn_member *member, const struct rn_sa_action *action)
{
    struct rn_member_session *session = &member->session;
    session->over = true;
    forget_vector(session);
    rn_log(RN_LOG_WARN, "round.aborted", RN_LOG_NUMBER(RN_F_ROUND, session->round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, session->attempt),
           RN_LOG_TEXT(RN_F_REASON, rn_sa_reason_name(action->reason)),
           RN_LOG_TEXT(RN_F_DETAIL, action->certified ? "certified" : "not certified"));
}

static void want_input(struct rn_member *member)
{
    const struct rn_member_session *session = &member->session;
    const struct rn_wire_welcome *welcome = &member->welcome;
    const bool past = session->round < welcome->round ||
                      (session->round == welcome->round && session->attempt <= welcome->attempt &&
                       welcome->joined_late);
    if (past || member->draining) {
        rn_log(RN_LOG_INFO, "round.follow", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_REASON, past ? "late" : "draining"));
        rn_member_session_follow(member);
    } else {
        rn_member_train(member);
    }
}

/* So that nobody waits for this member in this session. */
static void tell_following(struct rn_member *member)
{
    const struct rn_member_session *session = &member->session;
    if (session->following && member->greeted) {
        rn_member_send_status(member, session->round, session->attempt, session->stage, 0, 0,
                              RN_E_ROUND_ABORTED);
    }
}

static rn_result execute_one(struct rn_member *member, const struct rn_sa_action *action,
                             struct rn_sa_actions *more, struct rn_error *err)
{
    struct rn_member_session *session = &member->session;
    switch (action->kind) {
    case RN_SA_PERSIST:
        return persist(member, action, err);
    case RN_SA_SEND:
        /* Lost when nobody is connected; said again after the next welcome. */
        (void)rn_stream_send_secagg(member->greeted ? member->session_stream : NULL,
                                    rn_buffer_view(&action->bytes));
        return rn_ok();
    case RN_SA_SEND_BULK:
        rn_stream_bulk_add(&session->upload, session->id, action);
        session->uploading = true;
        rn_log(RN_LOG_DEBUG, "upload.asked", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_NUMBER(RN_F_COUNT, session->upload.left));
        return rn_ok();
    case RN_SA_WANT_INPUT:
        want_input(member);
        return rn_ok();
    case RN_SA_FOLLOWING:
        forget_vector(session);
        rn_log(RN_LOG_INFO, "round.following", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_REASON, rn_sa_reason_name(action->reason)));
        session->following = true;
        tell_following(member);
        return rn_ok();
    case RN_SA_SUM:
        rn_member_take_sum(member, more);
        return rn_ok();
    case RN_SA_FINISHED:
        session->over = true;
        forget_vector(session);
        return rn_ok();
    case RN_SA_ABORTED:
        on_aborted(member, action);
        return rn_ok();
    case RN_SA_EVIDENCE: {
        struct rn_journal_key key = {.kind = RN_JOURNAL_EVIDENCE, .round = session->round};
        memcpy(key.session, session->id, sizeof(key.session));
        rn_log(RN_LOG_ERROR, "alarm.evidence", RN_LOG_NUMBER(RN_F_ROUND, session->round));
        return rn_journal_append(member->journal, &key, rn_buffer_view(&action->bytes), err);
    }
    case RN_SA_STAGE:
        return rn_ok();
    }
    return rn_ok();
}

void rn_member_execute(struct rn_member *member, struct rn_sa_actions *actions)
{
    struct rn_sa_actions more = {0};
    struct rn_error err = {0};
    log_stages(member, actions);
    for (size_t i = 0; i < actions->count; i++) {
        const rn_result result = execute_one(member, &actions->items[i], &more, &err);
        if (!rn_is_ok(result)) {
            /* What could not be made durable must not be acted on: stop here, like a crash. */
            rn_member_session_clear(member);
            rn_member_end(member, result, &err);
            break;
        }
    }
    rn_sa_actions_clear(actions);
    if (more.count > 0) {
        rn_member_execute(member, &more);
    }
    rn_sa_actions_clear(&more);
    rn_member_upload_pump(member);
}

/* ---- Upload */

static rn_result pull_chunk(void *context, uint32_t chunk, struct rn_buffer *out,
                            struct rn_error *err)
{
    struct rn_member *member = context;
    return rn_sa_member_chunk(member->session.machine, chunk, out, err);
}

void rn_member_upload_pump(struct rn_member *member)
{
    struct rn_member_session *session = &member->session;
    if (!session->uploading || session->machine == NULL || !member->greeted ||
        member->bulk_stream == NULL) {
        return;
    }
    struct rn_error err = {0};
    rn_result result =
        rn_stream_bulk_pump(&session->upload, member->bulk_stream, RN_WIRE_MASKED_INPUT,
                            member->site->self, pull_chunk, member, &err);
    if (rn_is_ok(result) && session->upload.left > 0) {
        return;
    }
    session->uploading = false;
    rn_log(RN_LOG_DEBUG, "upload.handed-over", RN_LOG_NUMBER(RN_F_ROUND, session->round));
    struct rn_sa_actions actions = {0};
    if (rn_is_ok(result)) {
        result = rn_sa_member_bulk_sent(session->machine, rn_clock_monotonic_ms(), &actions, &err);
    }
    if (!rn_is_ok(result)) {
        rn_log(RN_LOG_ERROR, "upload.failed", RN_LOG_TEXT(RN_F_DETAIL, err.text));
        rn_sa_member_decline(session->machine, &actions); /* the others go on without this one */
    }
    rn_member_execute(member, &actions);
}

/* ---- Offers and other messages */

/* An offer that this member can use starts from the adapter it holds. One that starts from a later
 * adapter says that this member has missed a sum: it asks for it. */
static bool is_usable(struct rn_member *member, const struct rn_sa_offer *offer)
{
    if (offer->round < 1 || offer->round > member->site->plan.rounds) {
        return false;
    }
    if (offer->round < member->next_round) {
        return false; /* done here */
    }
    /* The plan's bound, which the policy agreed to; the coordinator does not choose it. */
    if (offer->attempt > member->site->plan.secagg.attempts) {
        rn_log(RN_LOG_WARN, "round.refused", RN_LOG_NUMBER(RN_F_ROUND, offer->round),
               RN_LOG_NUMBER(RN_F_ATTEMPT, offer->attempt),
               RN_LOG_NUMBER(RN_F_LIMIT, member->site->plan.secagg.attempts));
        return false;
    }
    if (memcmp(offer->adapter_hash, member->model->adapter_hash, RN_HASH_BYTES) != 0) {
        rn_log(RN_LOG_WARN, "round.behind", RN_LOG_NUMBER(RN_F_ROUND, offer->round),
               RN_LOG_NUMBER(RN_F_VALUE, member->next_round));
        rn_member_send_status(member, member->next_round, 0, RN_SA_STAGE_OFFER, 0, 0,
                              RN_E_ROUND_STALE);
        return false;
    }
    return true;
}

/* A machine that has taken the offer, and what it wants done first. */
static rn_result take_offer(struct rn_member *member, const struct rn_sa_offer *offer,
                            struct rn_view message, struct rn_sa_member **out,
                            struct rn_sa_actions *out_actions, struct rn_error *err)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 seed = {{0}};
    struct rn_sa_member_config config;
    RN_TRY(rn_random_bytes(seed.bytes, sizeof(seed.bytes), err));
    RN_TRY(machine_config(member, (uint32_t)offer->round, offer->attempt,
                          member->model->adapter_hash, &seed, &config, err));
    RN_TRY(rn_sa_member_new(&config, out, err));
    const rn_result taken =
        rn_sa_member_receive(*out, message, rn_clock_monotonic_ms(), out_actions, err);
    if (!rn_is_ok(taken)) {
        rn_sa_member_free(RN_TAKE(*out));
        rn_sa_actions_clear(out_actions);
    }
    return taken;
}

/* The session before ends with an offer that is taken, not with one that is refused. */
static void begin(struct rn_member *member, const struct rn_sa_offer *offer, struct rn_view message)
{
    struct rn_member_session *session = &member->session;
    struct rn_sa_member *machine = NULL;
    struct rn_round_layout layout;
    struct rn_sa_actions actions = {0};
    struct rn_error err = {0};
    rn_result result = rn_site_model_layout(member->model, (uint32_t)offer->round, &layout, &err);
    if (rn_is_ok(result)) {
        result = take_offer(member, offer, message, &machine, &actions, &err);
    }
    if (!rn_is_ok(result)) {
        rn_log(RN_LOG_WARN, "round.refused", RN_LOG_NUMBER(RN_F_ROUND, offer->round),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err.text));
        rn_member_send_status(member, (uint32_t)offer->round, offer->attempt, RN_SA_STAGE_OFFER, 0,
                              0, result.code);
        return;
    }
    rn_member_session_clear(member);
    session->machine = machine;
    session->layout = layout;
    memcpy(session->id, offer->session, sizeof(session->id));
    memcpy(session->before, member->model->adapter_hash, sizeof(session->before));
    session->round = (uint32_t)offer->round;
    session->attempt = offer->attempt;
    session->began_ms = rn_clock_monotonic_ms();
    session->traffic_before = rn_member_bytes_sent(member);
    rn_log(RN_LOG_INFO, "round.offer", RN_LOG_NUMBER(RN_F_ROUND, session->round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, session->attempt),
           RN_LOG_TEXT(RN_F_PHASE, rn_round_phase_name(session->layout.spec.active)));
    rn_member_execute(member, &actions);
}

/* No machine for it: an offer of a new session, or an abort certificate of an old one. */
static void take_unknown(struct rn_member *member, struct rn_view message)
{
    struct rn_sa_offer offer;
    struct rn_error err = {0};
    if (rn_is_ok(rn_sa_offer_read(message, &member->site->roster, &offer, &err))) {
        if (is_usable(member, &offer)) {
            begin(member, &offer, message);
        }
        return;
    }
    struct rn_sa_actions actions = {0};
    if (rn_is_ok(
            rn_sa_spent_receive(member->spent, &member->site->roster, message, &actions, &err)) &&
        actions.count > 0) {
        for (size_t i = 0; i < actions.count; i++) {
            struct rn_journal_key key = {.kind = RN_JOURNAL_SPENT};
            (void)rn_sa_message_session(message, key.session);
            const rn_result result = rn_journal_append(
                member->journal, &key, rn_buffer_view(&actions.items[i].bytes), &err);
            if (!rn_is_ok(result)) {
                rn_member_end(member, result, &err);
                break;
            }
        }
    }
    rn_sa_actions_clear(&actions);
}

void rn_member_secagg(struct rn_member *member, struct rn_view message)
{
    struct rn_member_session *session = &member->session;
    uint8_t id[RN_HASH_BYTES];
    if (!rn_sa_message_session(message, id) || member->ending) {
        return;
    }
    if (session->machine == NULL || memcmp(id, session->id, sizeof(id)) != 0) {
        take_unknown(member, message);
        return;
    }
    struct rn_sa_actions actions = {0};
    struct rn_error err = {0};
    const rn_result result =
        rn_sa_member_receive(session->machine, message, rn_clock_monotonic_ms(), &actions, &err);
    if (!rn_is_ok(result)) {
        rn_log(RN_LOG_WARN, "message.refused", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err.text));
    }
    rn_member_execute(member, &actions);
}

/* ---- What the rest of the service asks for */

void rn_member_session_follow(struct rn_member *member)
{
    struct rn_sa_actions actions = {0};
    rn_sa_member_follow(member->session.machine, rn_clock_monotonic_ms(), &actions);
    rn_member_execute(member, &actions);
}

static rn_result encode(struct rn_member *member, struct rn_error *err)
{
    struct rn_member_session *session = &member->session;
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key = {{0}};
    RN_TRY(rn_random_bytes(key.bytes, sizeof(key.bytes), err));
    uint64_t clipped = 0;
    forget_vector(session);
    session->vector = rn_alloc(session->layout.elements, sizeof(*session->vector));
    RN_TRY(rn_round_encode(&session->layout, &member->update.report, member->update.delta, &key,
                           session->vector, &clipped, err));
    if (clipped > 0) {
        rn_log(RN_LOG_INFO, "update.clipped", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_NUMBER(RN_F_COUNT, clipped));
    }
    return rn_ok();
}

void rn_member_session_ready(struct rn_member *member)
{
    struct rn_sa_actions actions = {0};
    struct rn_error err = {0};
    rn_result result = encode(member, &err);
    if (rn_is_ok(result)) {
        result =
            rn_sa_member_input(member->session.machine, rn_clock_monotonic_ms(), &actions, &err);
    }
    if (!rn_is_ok(result)) {
        rn_log(RN_LOG_ERROR, "update.refused", RN_LOG_NUMBER(RN_F_ROUND, member->session.round),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err.text));
        rn_sa_actions_clear(&actions);
        rn_member_session_follow(member);
        return;
    }
    rn_member_execute(member, &actions);
}

void rn_member_session_tick(struct rn_member *member)
{
    if (member->session.machine == NULL) {
        return;
    }
    struct rn_sa_actions actions = {0};
    rn_sa_member_tick(member->session.machine, rn_clock_monotonic_ms(), &actions);
    rn_member_execute(member, &actions);
}

void rn_member_session_resend(struct rn_member *member)
{
    if (member->session.machine == NULL) {
        return;
    }
    struct rn_sa_actions actions = {0};
    tell_following(member);
    rn_sa_member_resend(member->session.machine, rn_clock_monotonic_ms(), &actions);
    rn_member_execute(member, &actions);
}

/* ---- Restart */

rn_result rn_member_resume(struct rn_member *member, struct rn_error *err)
{
    struct rn_member_session *session = &member->session;
    struct rn_journal_key key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    bool found = false;
    RN_TRY(rn_journal_latest(member->journal, RN_JOURNAL_MEMBER, -1, &key, &body, &found, err));
    if (!found || key.round + 1 < member->next_round) {
        return rn_ok();
    }
    memcpy(session->before, member->model->adapter_hash, sizeof(session->before));
    if (key.round + 1 == member->next_round) {
        struct rn_job_result done;
        RN_TRY(rn_job_result_latest(member->journal, key.round, &done, &found, err));
        if (!found || memcmp(done.session, key.session, sizeof(done.session)) != 0) {
            return rn_ok();
        }
        memcpy(session->before, done.before, sizeof(session->before));
    }
    struct rn_job_records records;
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 seed = {{0}};
    struct rn_sa_member_config config;
    RN_TRY(rn_random_bytes(seed.bytes, sizeof(seed.bytes), err));
    RN_TRY(machine_config(member, key.round, key.attempt, session->before, &seed, &config, err));
    RN_TRY(rn_site_model_layout(member->model, key.round, &session->layout, err));
    RN_TRY(rn_job_records_load(member->journal, RN_JOURNAL_MEMBER, key.session, &records, err));
    struct rn_sa_actions actions = {0};
    const rn_result result =
        rn_sa_member_resume(&config, records.views, records.count, rn_clock_monotonic_ms(),
                            &actions, &session->machine, err);
    rn_job_records_clear(&records);
    RN_TRY(result);
    memcpy(session->id, key.session, sizeof(session->id));
    session->round = key.round;
    session->attempt = key.attempt;
    session->began_ms = rn_clock_monotonic_ms();
    rn_log(RN_LOG_INFO, "round.resumed", RN_LOG_NUMBER(RN_F_ROUND, key.round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, key.attempt));
    rn_member_execute(member, &actions);
    return rn_ok();
}
