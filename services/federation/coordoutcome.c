/* SPDX-License-Identifier: Apache-2.0
 *
 * What a finished or a lost session means for the job. A round ends with a sum, or it is repeated
 * under rule A9 (crypto/secagg/PROTOCOL.md): where no update of it can have been sent, or where an
 * abort certificate covers every one that was; never otherwise. RoLoRA then goes on with the other
 * matrix. The other methods have no other matrix and the job ends; so it does with a federated
 * head, which is part of every round.
 */
#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "services/federation/coordinationstate.h"

void rn_coord_publish(struct rn_coordination *c, const struct rn_round_model *model, uint32_t round,
                      bool final)
{
    struct rn_publish_order *order = rn_effects_publish(c->out, model, round);
    order->final = final;
    /* The round's own order judged the same adapter; so did the one before a round that changes
     * nothing. */
    order->evaluate = !final && round <= c->basis->plan->rounds;
    if (!final && c->publishing == 0) {
        c->unpublished_from = round;
    }
    c->publishing++;
}

/* To the log, the members, and to whoever watches. */
static void report(struct rn_coordination *c, const struct rn_job_result *result)
{
    rn_coord_log_round(c, result);
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
    for (uint32_t i = 0; i < c->peer_count; i++) {
        rn_effects_send(c->out, c->peers[i].connection, &envelope);
    }
    struct rn_job_event event = {.kind = result->outcome == RN_OK ? RN_JOB_ROUND : RN_JOB_SKIPPED,
                                 .round = result->round,
                                 .attempt = result->attempt,
                                 .phase = rn_round_phase_name(result->active),
                                 .included = result->included,
                                 .lost = result->lost,
                                 .loss = result->loss,
                                 .start = result->start,
                                 .bytes = result->uplink_bytes,
                                 .milliseconds = result->milliseconds,
                                 .outcome = (enum rn_code)result->outcome,
                                 .has_hash = true};
    memcpy(event.hash, result->after, sizeof(event.hash));
    rn_effects_event(c->out, event);
    if (result->outcome == RN_OK) {
        rn_job_sum_tell(result, c->basis->plan, &c->course, c->out);
    }
}

/* No sum, and none will come: the adapter stays, the next round has the other matrix. */
static struct rn_job_result record_of_skipped(const struct rn_coordination *c, bool spent)
{
    const struct rn_coord_session *session = &c->session;
    struct rn_job_result result = {.outcome = RN_E_ROUND_ABORTED,
                                   .round = session->round,
                                   .attempt = session->attempt,
                                   .active = session->layout.spec.active,
                                   .spent = spent,
                                   .loss = (double)NAN,
                                   .milliseconds = c->clock_ms - session->began_ms};
    memcpy(result.session, session->id, RN_HASH_BYTES);
    memcpy(result.before, session->before, RN_HASH_BYTES);
    memcpy(result.after, session->before, RN_HASH_BYTES);
    return result;
}

/* Who takes no part in the round by its own word, and why, as the end of a sentence. */
static void name_declined(const struct rn_coordination *c, uint32_t round, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].declined_round == round) {
            (void)rn_text_format(out + used, size - used, "%s%s (%s)",
                                 used == 0 ? "; it was declined by " : ", ",
                                 c->basis->roster->members[i].name, rn_code_name(c->peers[i].why));
            used = strlen(out);
        }
    }
}

/* Two rounds in a row from one adapter: both its matrices are spent, so nobody could join again;
 * nor could anybody after one round of a method that has no other matrix, or with a head that is
 * part of every round and is spent. A round that only measures is the last one anyway, and takes
 * nothing from the adapter. */
static bool is_last(const struct rn_coordination *c, const struct rn_coord_session *session,
                    bool head)
{
    return session->layout.delta_count > 0 &&
           (c->basis->plan->method != RN_METHOD_ROLORA || head || c->row.rounds >= 2);
}

static enum rn_coord_next skip_round(struct rn_coordination *c, bool spent)
{
    const struct rn_coord_session *session = &c->session;
    const struct rn_job_result result = record_of_skipped(c, spent);
    const bool head = spent && session->layout.spec.with_head;
    rn_coord_row_add(c, &result);
    c->skipped++;
    c->round++;
    c->attempt = 0;
    rn_coord_write_skipped(c, &result);
    const bool last = is_last(c, session, head);
    if (last && rn_is_ok(c->result)) { /* else the operator has ended it already */
        char declined[RN_ERROR_TEXT_MAX / 2];
        name_declined(c, result.round, declined, sizeof(declined));
        c->result =
            rn_fail(&c->err, RN_E_INCOMPLETE,
                    "round %u was lost%s and %s; the adapter of the rounds before is kept%s",
                    (unsigned)result.round, spent ? " after updates were sent" : "",
                    head ? "the federated head, which is part of every round, may not be "
                           "sent again from the same start"
                         : "the plan has no other matrix to go on with",
                    declined);
        rn_coord_write_end(c, c->result, &c->err);
    }
    report(c, &result);
    return last ? RN_COORD_END_ROUNDS : RN_COORD_NEXT;
}

/* Who is about to have this round behind it; whoever arrived at another adapter is an alarm. */
static void take_receipts(struct rn_coordination *c, const struct rn_coord_session *session)
{
    struct rn_sa_set agreeing;
    struct rn_sa_set differing;
    rn_sa_aggregator_receipts(session->machine, session->result.after, &agreeing, &differing);
    for (uint32_t i = 0; i < c->peer_count; i++) {
        if (rn_sa_set_has(&differing, i)) {
            rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_RECEIPT_DIFFERS,
                                                           .round = session->round,
                                                           .peer = i + 1});
        }
        if (rn_sa_set_has(&agreeing, i)) {
            c->peers[i].receipted = session->round;
        }
    }
}

/* A sum that moved nothing: its updates are in it, and from the same adapter they may go into no
 * other (rule A9). What cannot be offered ends the job here and not after attempts that all
 * decline; what can be is: the matrix of a round before that was skipped unspent. */
static enum rn_coord_next stand_still(struct rn_coordination *c)
{
    const struct rn_coord_session *session = &c->session;
    const bool head = session->layout.spec.with_head;
    const unsigned next = rn_plan_active(c->basis->plan, c->round);
    if (next == 0 || (!head && (next & c->row.spent) == 0)) {
        return RN_COORD_NEXT; /* what follows sums nothing, or another part */
    }
    if (rn_is_ok(c->result)) { /* else the operator has ended it already */
        c->result = rn_fail(&c->err, RN_E_INCOMPLETE,
                            "the sum of round %u changed nothing, and from the same adapter no "
                            "update may be sent twice: %s; the adapter stays as it is",
                            (unsigned)session->round,
                            head ? "the federated head is part of every round"
                                 : "the plan has no other matrix to go on with");
        rn_coord_write_end(c, c->result, &c->err);
    }
    return RN_COORD_END_ROUNDS;
}

static enum rn_coord_next finished(struct rn_coordination *c)
{
    if (c->session.refused) {
        return skip_round(c, true);
    }
    take_receipts(c, &c->session);
    c->summed++;
    c->round = c->session.round + 1;
    c->attempt = 0;
    rn_coord_row_add(c, &c->session.result);
    const enum rn_coord_next next = c->row.rounds == 0 ? RN_COORD_NEXT : stand_still(c);
    report(c, &c->session.result);
    rn_coord_prune(c);
    return next;
}

static enum rn_coord_next aborted(struct rn_coordination *c, const struct rn_coord_outcome *outcome)
{
    const struct rn_coord_session *session = &c->session;
    const bool spent = !outcome->certified && session->reached >= RN_SA_STAGE_UPLOAD;
    struct rn_error err = {0};
    (void)rn_text_format(err.text, sizeof(err.text), "%s", spent ? "not repeatable" : "repeatable");
    rn_effects_event_err(c->out,
                         (struct rn_job_event){.kind = RN_JOB_ABORTED,
                                               .round = session->round,
                                               .attempt = session->attempt,
                                               .stage = session->reached,
                                               .reason = rn_sa_reason_name(outcome->reason)},
                         &err);
    if (spent || c->attempt >= c->basis->plan->secagg.attempts) {
        return skip_round(c, spent);
    }
    return RN_COORD_NEXT;
}

enum rn_coord_next rn_coord_conclude(struct rn_coordination *c,
                                     const struct rn_coord_outcome *outcome)
{
    if (!rn_is_ok(outcome->failed)) {
        return RN_COORD_FAIL;
    }
    if (outcome->sum && !c->blind) {
        rn_coord_publish(c, c->model, c->session.round, false);
    }
    if (!outcome->finished && !outcome->aborted) {
        return RN_COORD_GO_ON;
    }
    c->session.over = true;
    return outcome->finished ? finished(c) : aborted(c, outcome);
}
