/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/jobrecords.h"
#include "services/federation/participationstate.h"
#include "services/round/roundsession.h"

void rn_part_session_clear(struct rn_participation *p)
{
    if (p->session.machine != NULL) {
        rn_part_forget_upload(p);
        rn_sa_member_free(p->session.machine);
    }
    p->session = (struct rn_part_session){0};
}

static rn_result read_input(void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    const struct rn_participation *p = context;
    const struct rn_part_session *session = &p->session;
    RN_ENSURE(session->encoder.layout != NULL && p->update.valid, err, RN_E_INTERNAL,
              "the update of round %u is not here", (unsigned)session->round);
    return rn_round_encoder_read(&session->encoder, first, count, out, err);
}

/* All hashes are this site's own. */
static rn_result machine_config(struct rn_participation *p, uint32_t round, uint32_t attempt,
                                const uint8_t before[static RN_HASH_BYTES],
                                struct rn_secret32 *seed, struct rn_sa_member_config *out,
                                struct rn_error *err)
{
    const struct rn_job_basis *basis = p->config.basis;
    *out = (struct rn_sa_member_config){
        .identity = basis->identity,
        .self = basis->self,
        .local_minimum = p->config.survivors_min,
        .threshold_min = p->config.policy->cohort.threshold_min,
        .spent = p->spent,
        .seed = seed,
        .group = p->signers.group,
        .input = {read_input, p},
        .parallel = basis->parallel,
    };
    RN_TRY(basis->random(basis->random_context, seed->bytes, sizeof(seed->bytes), err));
    RN_TRY(rn_round_session(p->config.model, basis->plan, basis->roster, basis->base_hash, round,
                            attempt, rn_part_start_of(p, round), before, &out->params,
                            &out->context, err));
    rn_round_session_graph(rn_job_epoch_seed(p->epoch == NULL ? NULL : p->epoch->job),
                           &out->context);
    rn_round_session_blind(basis->plan, &p->signers.set, &out->context);
    return rn_ok();
}

/* ---- Offers and other messages */

static void refuse_offer(struct rn_participation *p, const struct rn_sa_offer *offer,
                         rn_result result, const struct rn_error *err)
{
    rn_part_event_err(p,
                      (struct rn_job_event){.kind = RN_JOB_OFFER_REFUSED,
                                            .round = (uint32_t)offer->round,
                                            .attempt = offer->attempt,
                                            .outcome = result.code},
                      err);
    static const struct rn_budget_rate rate = {RN_PART_REFUSALS_BURST, RN_PART_REFUSALS_EVERY_MS};
    if (rn_budget_take(&p->refusals, &rate, p->now.monotonic_ms)) {
        rn_part_send_status(p, &(struct rn_wire_status){.round = offer->round,
                                                        .attempt = offer->attempt,
                                                        .stage = RN_SA_STAGE_OFFER,
                                                        .reason = (uint32_t)result.code});
    }
}

static void ask_for_missed(struct rn_participation *p, const struct rn_sa_offer *offer)
{
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_BEHIND,
                                           .round = (uint32_t)offer->round,
                                           .attempt = offer->attempt,
                                           .value = p->next_round});
    rn_part_send_ask(p);
}

/* Attempts only go up: what is said again of an earlier one, for the sake of its abort certificate,
 * takes nobody out of the session it is in. */
static bool is_older(const struct rn_participation *p, const struct rn_sa_offer *offer)
{
    const struct rn_part_session *session = &p->session;
    return session->machine != NULL &&
           (offer->round < session->round ||
            (offer->round == session->round && offer->attempt < session->attempt));
}

/* An offer that this member can use starts from the adapter it holds. One that starts from a later
 * adapter says that this member has missed a sum: it asks for it. */
static bool is_usable(struct rn_participation *p, const struct rn_sa_offer *offer)
{
    const struct rn_plan *plan = p->config.basis->plan;
    struct rn_error err;
    if (offer->round < p->next_round || offer->round > rn_plan_last_round(plan) ||
        is_older(p, offer)) {
        return false; /* done here, of no plan of this site, or left behind */
    }
    if (rn_job_course_is_over(&p->course, plan, (uint32_t)offer->round)) {
        refuse_offer(p, offer,
                     rn_fail(&err, RN_E_REFUSED,
                             "the job is over by this site's own sums, with round %u",
                             (unsigned)p->last.round),
                     &err);
        return false;
    }
    /* The plan's bound, which the policy agreed to; the coordinator does not choose it. */
    if (offer->attempt < 1 || offer->attempt > plan->secagg.attempts) {
        refuse_offer(p, offer,
                     rn_fail(&err, RN_E_PEER_PROTOCOL, "attempt %u of a round that may have %u",
                             (unsigned)offer->attempt, (unsigned)plan->secagg.attempts),
                     &err);
        return false;
    }
    if (offer->round >= p->heard.round) { /* one that is said again is no news */
        rn_part_heard(p, offer->round, offer->adapter_hash);
    }
    if (!p->signers.satisfied) {
        refuse_offer(p, offer, (rn_result){RN_E_REFUSED}, &p->signers.missing);
        return false;
    }
    if (!rn_part_epoch_is_drawn(p)) {
        refuse_offer(p, offer,
                     rn_fail(&err, RN_E_REFUSED, "the share graph is not drawn at this site"),
                     &err);
        rn_part_epoch_ask(p);
        return false;
    }
    if (memcmp(offer->adapter_hash, p->config.model->adapter_hash, RN_HASH_BYTES) != 0) {
        ask_for_missed(p, offer);
        return false;
    }
    return !p->draining;
}

bool rn_part_is_late(const struct rn_participation *p, uint32_t round, uint32_t attempt)
{
    const struct rn_wire_welcome *welcome = &p->welcome;
    return rn_part_is_stopped(p) || !rn_part_epoch_takes_part(p) || round < welcome->round ||
           (round == welcome->round && attempt <= welcome->attempt && welcome->joined_late);
}

/* A machine that has taken the offer, and what it wants done first. */
static rn_result take_offer(struct rn_participation *p, const struct rn_sa_offer *offer,
                            struct rn_view message, struct rn_sa_member **out,
                            struct rn_sa_actions *out_actions, struct rn_error *err)
{
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) seed = {{0}};
    struct rn_sa_member_config config;
    RN_TRY(machine_config(p, (uint32_t)offer->round, offer->attempt, p->config.model->adapter_hash,
                          &seed, &config, err));
    config.follows = rn_part_is_late(p, (uint32_t)offer->round, offer->attempt);
    RN_TRY(rn_sa_member_new(&config, out, err));
    const rn_result taken =
        rn_sa_member_receive(*out, message, p->now.monotonic_ms, out_actions, err);
    if (!rn_is_ok(taken)) {
        rn_sa_member_free(RN_TAKE(*out));
        rn_sa_actions_clear(out_actions);
    }
    return taken;
}

/* An update of an earlier round is asked for by nobody any more: attempts only go up. */
static void forget_older_update(struct rn_participation *p)
{
    if (p->update.valid && !rn_round_update_fits(&p->update, p->session.round, p->session.before)) {
        rn_round_update_clear(&p->update);
    }
}

static rn_result set_session(struct rn_participation *p, struct rn_sa_member *machine,
                             const struct rn_record_key *key,
                             const uint8_t before[static RN_HASH_BYTES], struct rn_error *err)
{
    rn_part_session_clear(p);
    struct rn_part_session *session = &p->session;
    session->machine = machine;
    memcpy(session->id, key->session, sizeof(session->id));
    memcpy(session->before, before, sizeof(session->before));
    session->round = key->round;
    session->attempt = key->attempt;
    session->began_ms = session->stage_since_ms = session->beat_ms = p->now.monotonic_ms;
    session->sent_before = p->sent;
    return rn_round_model_layout(p->config.model, p->config.basis->plan, key->round,
                                 rn_part_start_of(p, key->round), &session->layout, err);
}

/* The session before ends with an offer that is taken, not with one that is refused. */
static rn_result begin(struct rn_participation *p, const struct rn_sa_offer *offer,
                       struct rn_view message, struct rn_error *err)
{
    struct rn_sa_member *machine = NULL;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    const rn_result result = take_offer(p, offer, message, &machine, &actions, err);
    if (!rn_is_ok(result)) {
        refuse_offer(p, offer, result, err);
        return rn_class_of(result) == RN_CLASS_STOP ? result : rn_ok();
    }
    struct rn_record_key key = {.round = (uint32_t)offer->round, .attempt = offer->attempt};
    memcpy(key.session, offer->session, sizeof(key.session));
    RN_TRY(set_session(p, machine, &key, p->config.model->adapter_hash, err));
    forget_older_update(p);
    rn_part_event(p, rn_part_session_event(p, RN_JOB_OFFER));
    return rn_part_execute(p, &actions, err);
}

/* No machine for it: an offer of a new session, or an abort certificate of an old one. */
static rn_result receive_unknown(struct rn_participation *p, struct rn_view message,
                                 struct rn_error *err)
{
    const struct rn_roster *roster = p->config.basis->roster;
    struct rn_sa_offer offer;
    if (rn_is_ok(rn_sa_offer_read(message, roster, &offer, err))) {
        return is_usable(p, &offer) ? begin(p, &offer, message, err) : rn_ok();
    }
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_record_key key = {.kind = RN_RECORD_SPENT};
    (void)rn_sa_message_session(message, key.session);
    if (rn_is_ok(rn_sa_spent_receive(p->spent, roster, message, &actions, err))) {
        for (size_t i = 0; i < actions.count; i++) {
            rn_part_commit(p, &key, &actions.items[i].bytes);
        }
    }
    return rn_ok();
}

rn_result rn_part_session_receive(struct rn_participation *p, struct rn_view message,
                                  struct rn_error *err)
{
    struct rn_part_session *session = &p->session;
    uint8_t id[RN_HASH_BYTES];
    if (!rn_sa_message_session(message, id)) {
        return rn_ok();
    }
    if (session->machine == NULL || memcmp(id, session->id, sizeof(id)) != 0) {
        return receive_unknown(p, message, err);
    }
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    const rn_result result =
        rn_sa_member_receive(session->machine, message, p->now.monotonic_ms, &actions, err);
    if (!rn_is_ok(result)) {
        struct rn_job_event event = rn_part_session_event(p, RN_JOB_MESSAGE_REFUSED);
        event.outcome = result.code;
        rn_part_event_err(p, event, err);
    }
    return rn_part_execute(p, &actions, err);
}

/* ---- What the other parts ask for */

rn_result rn_part_session_follow(struct rn_participation *p, struct rn_error *err)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    p->session.wants_input = false;
    rn_sa_member_follow(p->session.machine, p->now.monotonic_ms, &actions);
    return rn_part_execute(p, &actions, err);
}

static rn_result rounding_key(const struct rn_participation *p, struct rn_secret32 *out,
                              struct rn_error *err)
{
    const struct rn_job_basis *basis = p->config.basis;
    if (p->config.rounding == NULL) {
        return basis->random(basis->random_context, out->bytes, sizeof(out->bytes), err);
    }
    p->config.rounding(p->config.rounding_context, p->session.round, out);
    return rn_ok();
}

static rn_result encode(struct rn_participation *p, struct rn_error *err)
{
    struct rn_part_session *session = &p->session;
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    RN_TRY(rounding_key(p, &key, err));
    rn_part_forget_upload(p);
    RN_TRY(rn_round_update_encode(&p->update, &session->layout, &key, &session->encoder, err));
    if (session->encoder.clipped > 0) {
        struct rn_job_event event = rn_part_session_event(p, RN_JOB_CLIPPED);
        event.count = session->encoder.clipped;
        rn_part_event(p, event);
    }
    return rn_ok();
}

rn_result rn_part_session_ready(struct rn_participation *p, struct rn_error *err)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    p->session.wants_input = false;
    rn_result result = encode(p, err);
    if (rn_is_ok(result)) {
        result = rn_sa_member_input(p->session.machine, p->now.monotonic_ms, &actions, err);
    }
    if (rn_is_ok(result)) {
        return rn_part_execute(p, &actions, err);
    }
    struct rn_job_event event = rn_part_session_event(p, RN_JOB_UPDATE_REFUSED);
    event.outcome = result.code;
    rn_part_event_err(p, event, err);
    return rn_class_of(result) == RN_CLASS_STOP ? result : rn_part_session_follow(p, err);
}

rn_result rn_part_session_bulk_sent(struct rn_participation *p, const uint8_t *id,
                                    enum rn_code code, struct rn_error *err)
{
    struct rn_part_session *session = &p->session;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    if (!session->uploading || memcmp(id, session->id, RN_HASH_BYTES) != 0) {
        return rn_ok();
    }
    session->uploading = false;
    rn_result result = {code};
    if (rn_is_ok(result)) {
        result = rn_sa_member_bulk_sent(session->machine, p->now.monotonic_ms, &actions, err);
    } else {
        (void)rn_fail(err, code, "a chunk of the update could not be made");
    }
    if (!rn_is_ok(result)) {
        struct rn_job_event event = rn_part_session_event(p, RN_JOB_UPLOAD_FAILED);
        event.outcome = result.code;
        rn_part_event_err(p, event, err);
        /* The others go on without this one. */
        rn_sa_member_follow(session->machine, p->now.monotonic_ms, &actions);
    }
    return rn_part_execute(p, &actions, err);
}

rn_result rn_part_session_tick(struct rn_participation *p, struct rn_error *err)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    if (p->session.machine == NULL) {
        return rn_ok();
    }
    rn_sa_member_tick(p->session.machine, p->now.monotonic_ms, &actions);
    return rn_part_execute(p, &actions, err);
}

rn_result rn_part_session_resend(struct rn_participation *p, struct rn_error *err)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    if (p->session.machine == NULL) {
        return rn_ok();
    }
    rn_part_tell_following(p);
    rn_sa_member_resend(p->session.machine, p->now.monotonic_ms, &actions);
    return rn_part_execute(p, &actions, err);
}

/* ---- Restart */

static rn_result resume_machine(struct rn_participation *p, const struct rn_record_key *key,
                                const uint8_t before[static RN_HASH_BYTES],
                                struct rn_sa_actions *out_actions, struct rn_sa_member **out,
                                struct rn_error *err)
{
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) seed = {{0}};
    struct rn_job_records RN_CLEANUP(rn_job_records_clear) records = {0};
    struct rn_sa_member_config config;
    RN_TRY(machine_config(p, key->round, key->attempt, before, &seed, &config, err));
    RN_TRY(rn_job_records_load(&p->config.basis->reader, RN_RECORD_MEMBER, key->session, &records,
                               err));
    return rn_sa_member_resume(&config, records.views, records.count, p->now.monotonic_ms,
                               out_actions, out, err);
}

/* The newest session: of a round that is not done here, or the one whose sum was taken last, which
 * its coordinator may still ask about. */
static rn_result find_session(struct rn_participation *p, struct rn_record_key *out_key,
                              const uint8_t **out_before, bool *out_found, struct rn_error *err)
{
    const struct rn_job_reader *reader = &p->config.basis->reader;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    RN_TRY(reader->latest(reader->context, RN_RECORD_MEMBER, -1, out_key, &body, out_found, err));
    if (*out_found && out_key->round >= p->next_round) {
        *out_before = p->config.model->adapter_hash;
        return rn_ok();
    }
    *out_found = *out_found && p->last.round != 0 && out_key->round == p->last.round &&
                 memcmp(out_key->session, p->last.session, RN_HASH_BYTES) == 0;
    *out_before = p->last.before;
    return rn_ok();
}

rn_result rn_part_session_resume(struct rn_participation *p, struct rn_error *err)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_record_key key;
    const uint8_t *before = NULL;
    struct rn_sa_member *machine = NULL;
    bool found = false;
    RN_TRY(find_session(p, &key, &before, &found, err));
    if (!found) {
        return rn_ok();
    }
    RN_TRY(resume_machine(p, &key, before, &actions, &machine, err));
    RN_TRY(set_session(p, machine, &key, before, err));
    rn_part_event(p, rn_part_session_event(p, RN_JOB_RESUMED));
    return rn_part_execute(p, &actions, err);
}
