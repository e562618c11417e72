/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan's signatures at the coordinator, which the operator collects and every member judges for
 * itself. Here nothing hangs on them: a member that waits for more is not counted on.
 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/coordinationstate.h"

#define NAMES_MAX (RN_ERROR_TEXT_MAX / 2)

/* Every session of a blind job hangs on the document, so it is in the journal before anybody gets
 * it from here: the operator's file may be replaced. */
static void write_group(struct rn_coordination *c)
{
    const struct rn_record_key key = {.kind = RN_RECORD_GROUP};
    struct rn_buffer *body = rn_job_batch_write(rn_effects_commit(c->out), &key);
    RN_BUG_IF(!rn_is_ok(rn_signatures_write(&c->signatures, c->basis->roster, body, NULL)));
}

/* The journal's document is the one; another in the file is no better than a second one. */
static rn_result read_group(struct rn_coordination *c, bool *out_found, struct rn_error *err)
{
    const struct rn_job_reader *reader = &c->basis->reader;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_record_key key;
    uint32_t fresh = 0;
    RN_TRY(reader->latest(reader->context, RN_RECORD_GROUP, -1, &key, &text, out_found, err));
    if (!*out_found) {
        return rn_ok();
    }
    c->signatures.document_bytes = 0;
    return rn_signatures_take(rn_buffer_view(&text), "journal", c->basis->roster, &c->signatures,
                              &fresh, &c->signers, err);
}

rn_result rn_coord_signers_start(struct rn_coordination *c, struct rn_error *err)
{
    bool found = false;
    c->signatures = *c->config.signatures;
    RN_TRY(
        rn_signatures_verify(&c->signatures, c->basis->plan, c->basis->roster, &c->signers, err));
    if (c->blind) {
        RN_TRY(read_group(c, &found, err));
    }
    if (c->signers.group && !found) {
        write_group(c);
    }
    return rn_ok();
}

/* What is new goes to everybody. */
static void take(struct rn_coordination *c, struct rn_view text, const char *source)
{
    struct rn_error err = {0};
    uint32_t fresh = 0;
    const bool had = c->signers.group;
    const rn_result result = rn_signatures_take(text, source, c->basis->roster, &c->signatures,
                                                &fresh, &c->signers, &err);
    if (!rn_is_ok(result)) {
        rn_effects_event_err(
            c->out,
            (struct rn_job_event){.kind = RN_JOB_SIGNATURES_REFUSED, .outcome = result.code}, &err);
        return;
    }
    if (fresh == 0) {
        return;
    }
    if (c->signers.group && !had) {
        write_group(c);
    }
    rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_SIGNATURES,
                                                   .count = fresh,
                                                   .present = c->signers.member_count,
                                                   .members = c->peer_count});
    for (uint32_t i = 0; i < c->peer_count; i++) {
        c->peers[i].wants_signatures = true;
    }
}

void rn_coord_signers_take(struct rn_coordination *c, struct rn_view text)
{
    take(c, text, "plan.yaml.sigs");
}

void rn_coord_signers_hear(struct rn_coordination *c, uint32_t index, struct rn_view text)
{
    static const struct rn_budget_rate rate = {RN_COORD_DOCUMENTS_BURST,
                                               RN_COORD_DOCUMENTS_EVERY_MS};
    if (c->blind && index == RN_GROUP_MAKER &&
        rn_budget_take(&c->peers[index].documents, &rate, c->clock_ms)) {
        take(c, text, "the group key's maker");
    }
}

void rn_coord_signers_send(struct rn_coordination *c)
{
    static const struct rn_budget_rate rate = {RN_COORD_TEXTS_BURST, RN_COORD_TEXTS_EVERY_MS};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    for (uint32_t i = 0; i < c->peer_count; i++) {
        struct rn_coord_peer *peer = &c->peers[i];
        if (!peer->wants_signatures || peer->connection == 0) {
            continue;
        }
        if (!rn_budget_take(&c->texts, &rate, c->clock_ms)) {
            return; /* a later step, the next tick's at the latest, goes on */
        }
        if (text.length == 0) {
            RN_BUG_IF(
                !rn_is_ok(rn_signatures_write(&c->signatures, c->basis->roster, &text, NULL)));
        }
        const struct rn_wire_envelope envelope = {.body = RN_WIRE_SIGNATURES,
                                                  .as.signatures = rn_buffer_view(&text)};
        rn_effects_send(c->out, peer->connection, &envelope);
        peer->wants_signatures = false;
    }
}

/* Whom the operator has no signature of. */
static void name_uncollected(const struct rn_coordination *c, struct rn_error *out)
{
    char names[NAMES_MAX];
    rn_signatures_missing(&c->signers, c->basis->roster, names, sizeof(names));
    const size_t used = strlen(out->text);
    (void)rn_text_format(out->text + used, sizeof(out->text) - used, "%s%s",
                         names[0] == '\0' ? "all are collected" : "not collected yet: ", names);
    const size_t end = strlen(out->text);
    if (c->blind && !c->signers.group) {
        (void)rn_text_format(out->text + end, sizeof(out->text) - end,
                             "; of this blind plan '%s' makes the group key, once all have signed "
                             "and it is here",
                             c->basis->roster->members[RN_GROUP_MAKER].name);
    }
}

bool rn_coord_signers_waiting(const struct rn_coordination *c, struct rn_error *out)
{
    char names[NAMES_MAX / 2];
    struct rn_plan_signers others = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const bool waits = c->peers[i].connection != 0 && c->peers[i].waits;
        others.members[i] = !waits;
        count += waits;
    }
    rn_signatures_missing(&others, c->basis->roster, names, sizeof(names));
    (void)rn_text_format(out->text, sizeof(out->text), "%s %s for signatures of the plan; ", names,
                         count == 1 ? "waits" : "wait");
    name_uncollected(c, out);
    return count > 0;
}

void rn_coord_signers_waits(struct rn_coordination *c, uint32_t index, bool waits)
{
    struct rn_coord_peer *peer = &c->peers[index];
    const bool was = peer->waits;
    const bool all = c->signers.member_count == c->peer_count &&
                     rn_coord_signers_ready(c); /* it will not wait for long */
    struct rn_job_event event = {.peer = index + 1};
    struct rn_error detail = {0};
    peer->waits = waits;
    if (waits && !all) {
        event.kind = RN_JOB_MEMBER_WAITS;
        name_uncollected(c, &detail);
        rn_effects_event_err(c->out, event, &detail);
    } else if (was && !waits) {
        event.kind = RN_JOB_MEMBER_READY;
        rn_effects_event(c->out, event);
    }
}
