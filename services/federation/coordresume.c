/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator after a restart: rounds, adapter and the session under way from their records.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/coordinationstate.h"

struct results {
    struct rn_coordination *c;
    struct rn_job_result last;
    struct rn_coord_row before; /* the last one */
};

static rn_result visit_result(void *argument, const struct rn_record_key *key, struct rn_view body,
                              struct rn_error *err)
{
    struct results *results = argument;
    struct rn_coordination *c = results->c;
    (void)key;
    RN_TRY(rn_job_result_read(body, &results->last, err));
    results->before = c->row;
    rn_coord_row_add(c, &results->last);
    if (results->last.outcome == RN_OK) {
        rn_job_course_resume(&c->course, c->basis->plan, &results->last);
        rn_coord_index_add(c, &results->last);
        memcpy(c->blind_hash, results->last.after, sizeof(c->blind_hash));
        c->summed++;
    } else {
        c->skipped++;
    }
    c->round = results->last.round + 1;
    return rn_ok();
}

static rn_result scan(const struct rn_coordination *c, enum rn_record_kind kind,
                      rn_record_visit visit, void *argument, struct rn_error *err)
{
    const struct rn_job_reader *reader = &c->basis->reader;
    return reader->scan(reader->context, kind, NULL, visit, argument, err);
}

static rn_result read_adapter(struct rn_coordination *c, struct rn_error *err)
{
    const struct rn_job_reader *reader = &c->basis->reader;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    struct rn_record_key key;
    bool found = false;
    if (c->round_count == 0 || c->blind) {
        return rn_ok();
    }
    const uint32_t last = c->rounds[c->round_count - 1].round;
    RN_TRY(reader->latest(reader->context, RN_RECORD_ADAPTER, last, &key, &body, &found, err));
    RN_ENSURE(found, err, RN_E_DATA, "journal: the adapter after round %u is missing",
              (unsigned)last);
    return rn_round_model_read(c->model, rn_buffer_view(&body), err);
}

/* ---- Publications that a crash or a stop cut off */

static rn_result visit_metrics(void *argument, const struct rn_record_key *key, struct rn_view body,
                               struct rn_error *err)
{
    int64_t *published = argument;
    (void)body;
    (void)err;
    *published = key->round > *published ? key->round : *published;
    return rn_ok();
}

struct unpublished {
    struct rn_coordination *c;
    int64_t published;
};

static rn_result visit_adapter(void *argument, const struct rn_record_key *key, struct rn_view body,
                               struct rn_error *err)
{
    const struct unpublished *unpublished = argument;
    struct rn_coordination *c = unpublished->c;
    if (key->round <= unpublished->published) {
        return rn_ok();
    }
    struct rn_round_model model = *c->model;
    model.adapter.values = rn_alloc(model.adapter.count, sizeof(float));
    model.local_head =
        model.local_head == NULL ? NULL : rn_alloc(model.local_head_count, sizeof(float));
    const rn_result result = rn_round_model_read(&model, body, err);
    if (rn_is_ok(result)) {
        rn_coord_publish(c, &model, key->round, false);
    }
    rn_round_model_clear(&model);
    return result;
}

/* Before the newest adapter is read: the model is the start's. How good is that? */
static rn_result publish_start_again(struct rn_coordination *c, int64_t *out_published,
                                     struct rn_error *err)
{
    *out_published = -1;
    RN_TRY(scan(c, RN_RECORD_METRICS, visit_metrics, out_published, err));
    if (*out_published < 0 && !c->blind) {
        rn_coord_publish(c, c->model, 0, false);
    }
    return rn_ok();
}

static rn_result publish_again(struct rn_coordination *c, int64_t published, struct rn_error *err)
{
    struct unpublished unpublished = {c, published};
    RN_TRY(scan(c, RN_RECORD_ADAPTER, visit_adapter, &unpublished, err));
    c->unpublished_from = (uint32_t)(published + 1);
    return rn_ok();
}

/* ---- The session under way */

static rn_result visit_attempt(void *argument, const struct rn_record_key *key, struct rn_view body,
                               struct rn_error *err)
{
    struct rn_coord_round *last = argument;
    RN_ENSURE(body.length == RN_HASH_BYTES, err, RN_E_DATA, "journal: an attempt is damaged");
    *last = (struct rn_coord_round){.round = key->round, .attempt = key->attempt};
    memcpy(last->session, key->session, RN_HASH_BYTES);
    memcpy(last->before, body.data, RN_HASH_BYTES);
    return rn_ok();
}

static void tell_resumed(struct rn_coordination *c, const struct rn_coord_round *key)
{
    rn_effects_event(c->out,
                     (struct rn_job_event){.kind = RN_JOB_RESUMED,
                                           .round = key->round,
                                           .attempt = key->attempt,
                                           .stage = rn_sa_aggregator_stage(c->session.machine)});
}

/* Its journal may end with its end; then the machine says so at once. */
static void resume_session(struct rn_coordination *c, struct rn_sa_actions *actions,
                           struct rn_coord_outcome *out_outcome)
{
    c->phase = RN_COORDINATION_SESSION;
    *out_outcome = rn_coord_execute(c, &c->session, actions);
}

static rn_result load_attempt(struct rn_coordination *c, const struct rn_coord_round *last,
                              struct rn_coord_outcome *out_outcome, struct rn_error *err)
{
    struct rn_sa_actions actions = {0};
    struct rn_error reason = {0};
    const rn_result loaded = rn_coord_session_load(c, last, &c->session, &actions, &reason);
    if (rn_is_ok(loaded)) {
        c->attempt = last->attempt;
        tell_resumed(c, last);
        resume_session(c, &actions, out_outcome);
        return rn_ok();
    }
    /* Pruned, since every member has a receipt: nobody needs it any more. */
    const bool done = c->session.summed && loaded.code == RN_E_NO_INPUT;
    rn_coord_session_clear(&c->session);
    if (done) {
        return rn_ok();
    }
    if (rn_class_of(loaded) == RN_CLASS_STOP && loaded.code != RN_E_NO_INPUT &&
        loaded.code != RN_E_DATA) {
        *err = reason;
        return loaded;
    }
    rn_effects_event_err(c->out,
                         (struct rn_job_event){.kind = RN_JOB_NOT_RESUMED,
                                               .round = last->round,
                                               .attempt = last->attempt},
                         &reason);
    return rn_ok();
}

/* The last attempt may be of the round that is next (under way), or of the last summed one, whose
 * sum members may still need: then the round steps back until it is finished. */
static rn_result resume_attempt(struct rn_coordination *c, const struct results *results,
                                struct rn_coord_outcome *out_outcome, struct rn_error *err)
{
    const struct rn_job_result *result = &results->last;
    struct rn_coord_round last = {0};
    RN_TRY(scan(c, RN_RECORD_ATTEMPT, visit_attempt, &last, err));
    if (last.round == c->round && last.round > 0) {
        c->attempt = last.attempt;
        return load_attempt(c, &last, out_outcome, err);
    }
    const bool summed = result->outcome == RN_OK && result->round == last.round && last.round > 0;
    if (!summed || memcmp(result->session, last.session, RN_HASH_BYTES) != 0) {
        return rn_ok(); /* between rounds */
    }
    c->session.summed = true;
    c->session.result = *result;
    RN_TRY(load_attempt(c, &last, out_outcome, err));
    if (c->session.machine != NULL) {
        c->round = last.round;
        c->summed--; /* both are counted when it is finished */
        c->row = results->before;
    }
    return rn_ok();
}

static rn_result read_end(struct rn_coordination *c, struct rn_error *err)
{
    const struct rn_job_reader *reader = &c->basis->reader;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    struct rn_record_key key;
    struct rn_job_end end;
    bool found = false;
    RN_TRY(reader->latest(reader->context, RN_RECORD_END, -1, &key, &body, &found, err));
    if (found) {
        RN_TRY(rn_job_end_read(rn_buffer_view(&body), &end, err));
        RN_TRY(rn_job_end_verify(&end, &c->basis->roster->coordinator, c->basis->plan->hash,
                                 key.round, err));
        c->result = rn_fail(&c->err, end.code, "%s", end.text);
    }
    return rn_ok();
}

rn_result rn_coord_resume(struct rn_coordination *c, struct rn_coord_outcome *out_outcome,
                          struct rn_error *err)
{
    struct results results = {.c = c};
    int64_t published = -1;
    c->round = 1;
    RN_TRY(scan(c, RN_RECORD_RESULT, visit_result, &results, err));
    RN_TRY(publish_start_again(c, &published, err));
    RN_TRY(read_adapter(c, err));
    RN_TRY(publish_again(c, published, err));
    RN_TRY(rn_job_course_resume_best(&c->course, c->basis->plan, &c->basis->reader, err));
    RN_TRY(read_end(c, err));
    RN_TRY(scan(c, RN_RECORD_BLAMED, rn_coord_read_blamed, c, err));
    RN_TRY(scan(c, RN_RECORD_SILENT, rn_coord_read_silent, c, err));
    return resume_attempt(c, &results, out_outcome, err);
}
