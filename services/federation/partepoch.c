/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's part in drawing the share graph. It says nothing before its policy has the signatures
 * that it wants; what it reveals under is durable before the reveal leaves.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/participationstate.h"

static const struct rn_job_basis *basis_of(const struct rn_participation *p)
{
    return p->config.basis;
}

static void say(struct rn_participation *p, enum rn_epoch_kind kind, uint32_t attempt,
                struct rn_view body)
{
    const struct rn_epoch_message message = {kind, attempt, body};
    if (p->greeted) {
        rn_epoch_message_send(p->out, p->connection, &message);
    }
}

/* What it revealed last: the set on its disk, where that lists it. */
static void recall(struct rn_participation *p)
{
    struct rn_part_epoch *epoch = p->epoch;
    const struct rn_sa_epoch_set *set = &epoch->job->set;
    if (epoch->job->has_set && rn_sa_epoch_set_has(set, basis_of(p)->self)) {
        epoch->revealed.attempt = set->attempt;
        memcpy(epoch->revealed.set_hash, set->hash, RN_HASH_BYTES);
    }
}

rn_result rn_part_epoch_start(struct rn_participation *p, struct rn_error *err)
{
    struct rn_job_epoch *job = rn_job_epoch_new(basis_of(p));
    if (job == NULL) {
        return rn_ok();
    }
    p->epoch = rn_alloc(1, sizeof(*p->epoch));
    p->epoch->job = job;
    RN_TRY(rn_job_epoch_load(job, &basis_of(p)->reader, err));
    recall(p);
    return rn_ok();
}

void rn_part_epoch_free(struct rn_participation *p)
{
    if (p->epoch != NULL) {
        rn_job_epoch_free(p->epoch->job);
        rn_free(p->epoch);
        p->epoch = NULL;
    }
}

void rn_part_epoch_ask(struct rn_participation *p)
{
    if (!rn_part_epoch_is_drawn(p) && p->signers.satisfied) {
        say(p, RN_EPOCH_ASK, 0, (struct rn_view){0});
    }
}

/* ---- What it hears */

static rn_result commit(struct rn_participation *p, uint32_t attempt, struct rn_error *err)
{
    const struct rn_job_basis *basis = basis_of(p);
    uint8_t entry[RN_SA_EPOCH_ENTRY_BYTES];
    RN_TRY(rn_sa_epoch_commit(&p->epoch->job->context, basis->identity, basis->self, attempt, entry,
                              err));
    say(p, RN_EPOCH_COMMITMENT, attempt, rn_view_of(entry, sizeof(entry)));
    return rn_ok();
}

static rn_result reveal(struct rn_participation *p, struct rn_view document, struct rn_error *err)
{
    const struct rn_job_basis *basis = basis_of(p);
    struct rn_part_epoch *epoch = p->epoch;
    struct rn_job_epoch *job = epoch->job;
    const struct rn_sa_epoch_revealed before = epoch->revealed;
    uint8_t entry[RN_SA_EPOCH_ENTRY_BYTES];
    RN_TRY(rn_sa_epoch_reveal(&job->context, basis->identity, basis->self, job->scratch,
                              &epoch->revealed, entry, err));
    rn_job_epoch_hold_set(job, document);
    if (epoch->revealed.attempt != before.attempt) {
        rn_job_epoch_keep(job, RN_RECORD_EPOCH_SET, p->out);
    }
    say(p, RN_EPOCH_REVEAL, job->set.attempt, rn_view_of(entry, sizeof(entry)));
    return rn_ok();
}

/* A set without this member is held for the reveals that may follow; it reveals nothing. */
static rn_result take_set(struct rn_participation *p, struct rn_view document, struct rn_error *err)
{
    struct rn_job_epoch *job = p->epoch->job;
    RN_TRY(rn_job_epoch_read_set(job, document, err));
    if (rn_sa_epoch_set_has(job->scratch, basis_of(p)->self)) {
        return reveal(p, document, err);
    }
    rn_job_epoch_hold_set(job, document);
    return rn_ok();
}

static rn_result take_reveals(struct rn_participation *p, struct rn_view document,
                              struct rn_error *err)
{
    struct rn_job_epoch *job = p->epoch->job;
    RN_TRY(rn_job_epoch_take_reveals(job, document, err));
    rn_job_epoch_keep(job, RN_RECORD_EPOCH_SET, p->out);
    rn_job_epoch_keep(job, RN_RECORD_EPOCH_REVEALS, p->out);
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_EPOCH_DRAWN,
                                           .attempt = job->set.attempt,
                                           .present = job->set.count,
                                           .members = basis_of(p)->roster->count});
    return rn_ok();
}

static rn_result take(struct rn_participation *p, const struct rn_epoch_message *message,
                      struct rn_error *err)
{
    switch (message->kind) {
    case RN_EPOCH_CALL:
        return commit(p, message->attempt, err);
    case RN_EPOCH_SET:
        return take_set(p, message->body, err);
    case RN_EPOCH_REVEALS:
        return take_reveals(p, message->body, err);
    case RN_EPOCH_ASK:
    case RN_EPOCH_COMMITMENT:
    case RN_EPOCH_REVEAL:
    case RN_EPOCH_DRAWN:
        break;
    }
    return rn_fail(err, RN_E_PEER_PROTOCOL, "epoch: a member's message from the coordinator");
}

bool rn_part_epoch_hear(struct rn_participation *p, struct rn_view bytes)
{
    struct rn_part_epoch *epoch = p->epoch;
    struct rn_epoch_message message;
    struct rn_error err = {0};
    if (epoch == NULL || !p->signers.satisfied) {
        return false;
    }
    rn_result result = rn_epoch_message_read(bytes, &message, &err);
    if (rn_is_ok(result) && epoch->job->drawn) {
        if (message.kind == RN_EPOCH_CALL) {
            say(p, RN_EPOCH_DRAWN, epoch->job->set.attempt, (struct rn_view){0});
        }
        return false;
    }
    if (rn_is_ok(result)) {
        result = take(p, &message, &err);
    }
    if (!rn_is_ok(result)) {
        rn_part_event_err(
            p, (struct rn_job_event){.kind = RN_JOB_EPOCH_REFUSED, .outcome = result.code}, &err);
    }
    return epoch->job->drawn;
}
