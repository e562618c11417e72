/* SPDX-License-Identifier: Apache-2.0
 *
 * The drawing of the share graph at the coordinator: it calls for commitments, writes the set down
 * and sends it, asks for the reveals, writes them down and sends them. Whoever misses a step is out
 * for the whole plan, so each waits for everybody as long as a stage may last.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/transcript.h"
#include "services/federation/coordinationstate.h"

#define NAMES_MAX (RN_ERROR_TEXT_MAX / 2)

static uint32_t least(const struct rn_coordination *c)
{
    return c->epoch->job->context.least;
}

/* ---- From the records */

static rn_result visit_void(void *argument, const struct rn_record_key *key, struct rn_view body,
                            struct rn_error *err)
{
    struct rn_coord_epoch *epoch = argument;
    struct rn_reader r = rn_reader_of(body);
    epoch->left_out = rn_sa_set_read(&r);
    epoch->attempt = key->attempt;
    RN_ENSURE(rn_reader_done(&r), err, RN_E_DATA,
              "journal: a void attempt at the share graph is "
              "damaged");
    return rn_ok();
}

static void begin_step(struct rn_coordination *c, enum rn_coord_epoch_step step,
                       const struct rn_sa_set *expected)
{
    struct rn_coord_epoch *epoch = c->epoch;
    epoch->step = step;
    epoch->since_ms = c->clock_ms;
    epoch->expected = *expected;
    epoch->arrived = (struct rn_sa_set){{0}};
    epoch->spoilt = (struct rn_sa_set){{0}};
    for (uint32_t i = 0; i < c->peer_count; i++) {
        c->peers[i].wants_epoch = true;
    }
}

static void collect_reveals(struct rn_coordination *c)
{
    const struct rn_sa_set listed = rn_job_epoch_listed(c->epoch->job);
    c->epoch->attempt = c->epoch->job->set.attempt;
    begin_step(c, RN_COORD_EPOCH_REVEALS, &listed);
}

rn_result rn_coord_epoch_start(struct rn_coordination *c, struct rn_error *err)
{
    const struct rn_job_reader *reader = &c->basis->reader;
    struct rn_job_epoch *job = rn_job_epoch_new(c->basis);
    if (job == NULL) {
        return rn_ok();
    }
    struct rn_coord_epoch *epoch = c->epoch = rn_alloc(1, sizeof(*epoch));
    epoch->job = job;
    epoch->entries = rn_alloc(c->peer_count, sizeof(*epoch->entries));
    RN_TRY(rn_job_epoch_load(job, reader, err));
    RN_TRY(reader->scan(reader->context, RN_RECORD_EPOCH_VOID, NULL, visit_void, epoch, err));
    if (!job->drawn && job->has_set && job->set.attempt > epoch->attempt) {
        collect_reveals(c);
    }
    return rn_ok();
}

void rn_coord_epoch_free(struct rn_coordination *c)
{
    if (c->epoch != NULL) {
        rn_job_epoch_free(c->epoch->job);
        rn_free(c->epoch->entries);
        rn_free(c->epoch);
        c->epoch = NULL;
    }
}

/* Blamed, or left out of this round for its silence in an earlier session. */
static struct rn_sa_set left_out_for_deeds(const struct rn_coordination *c)
{
    struct rn_sa_set out = c->blamed;
    for (uint32_t i = 0; i < c->peer_count && !c->takes_silent; i++) {
        if (c->peers[i].out_until >= c->round) {
            rn_sa_set_add(&out, i);
        }
    }
    return out;
}

struct rn_sa_set rn_coord_left_out(const struct rn_coordination *c)
{
    const struct rn_sa_set deeds = left_out_for_deeds(c);
    if (c->epoch == NULL || !c->epoch->job->drawn) {
        return deeds;
    }
    const struct rn_sa_set all = rn_sa_set_first(c->peer_count);
    const struct rn_sa_set listed = rn_job_epoch_listed(c->epoch->job);
    const struct rn_sa_set outside = rn_sa_set_minus(&all, &listed);
    return rn_sa_set_either(&deeds, &outside);
}

/* ---- What it says */

static struct rn_epoch_message news(const struct rn_coord_epoch *epoch)
{
    const struct rn_job_epoch *job = epoch->job;
    if (job->drawn || epoch->step == RN_COORD_EPOCH_REVEALS) {
        return (struct rn_epoch_message){RN_EPOCH_SET, job->set.attempt,
                                         rn_buffer_view(&job->document)};
    }
    return (struct rn_epoch_message){.kind = RN_EPOCH_CALL, .attempt = epoch->attempt};
}

static void tell(struct rn_coordination *c, uint64_t connection)
{
    const struct rn_job_epoch *job = c->epoch->job;
    const struct rn_epoch_message first = news(c->epoch);
    rn_epoch_message_send(c->out, connection, &first);
    if (job->drawn) {
        const struct rn_epoch_message second = {RN_EPOCH_REVEALS, job->set.attempt,
                                                rn_buffer_view(&job->reveals)};
        rn_epoch_message_send(c->out, connection, &second);
    }
}

void rn_coord_epoch_send(struct rn_coordination *c)
{
    static const struct rn_budget_rate rate = {RN_COORD_EPOCH_BURST, RN_COORD_EPOCH_EVERY_MS};
    const struct rn_coord_epoch *epoch = c->epoch;
    if (epoch == NULL || (!epoch->job->drawn && epoch->step == RN_COORD_EPOCH_IDLE)) {
        return;
    }
    for (uint32_t i = 0; i < c->peer_count; i++) {
        struct rn_coord_peer *peer = &c->peers[i];
        if (peer->wants_epoch && peer->connection != 0 &&
            rn_budget_take(&peer->epoch, &rate, c->clock_ms)) {
            tell(c, peer->connection);
            peer->wants_epoch = false;
        }
    }
}

/* ---- What it hears */

static void refuse(struct rn_coordination *c, uint32_t index, rn_result result,
                   const struct rn_error *err)
{
    const struct rn_job_event event = {
        .kind = RN_JOB_EPOCH_REFUSED, .peer = index + 1, .outcome = result.code};
    rn_effects_event_err(c->out, event, err);
}

static rn_result check_entry(const struct rn_coord_epoch *epoch,
                             const struct rn_epoch_message *message, uint32_t index,
                             struct rn_error *err)
{
    const struct rn_job_epoch *job = epoch->job;
    uint32_t place = 0;
    RN_TRY(message->kind == RN_EPOCH_COMMITMENT
               ? rn_sa_epoch_commitment_check(&job->context, epoch->attempt, message->body, &place,
                                              err)
               : rn_sa_epoch_reveal_check(&job->context, &job->set, message->body, &place, err));
    RN_ENSURE(place == index, err, RN_E_PEER_AUTH, "epoch: an entry of another member");
    return rn_ok();
}

/* The first one of each counts: it is the same bytes whenever a member says it. A reveal that its
 * member signed and that is wrong voids the attempt at once. */
static void take_entry(struct rn_coordination *c, uint32_t index,
                       const struct rn_epoch_message *message)
{
    struct rn_coord_epoch *epoch = c->epoch;
    struct rn_error err = {0};
    const enum rn_coord_epoch_step step =
        message->kind == RN_EPOCH_COMMITMENT ? RN_COORD_EPOCH_COMMITMENTS : RN_COORD_EPOCH_REVEALS;
    if (step != epoch->step || message->attempt != epoch->attempt ||
        !rn_sa_set_has(&epoch->expected, index) || rn_sa_set_has(&epoch->arrived, index)) {
        return; /* late, or said again */
    }
    const rn_result result = check_entry(epoch, message, index, &err);
    if (rn_is_ok(result)) {
        memcpy(epoch->entries[index], message->body.data, RN_SA_EPOCH_ENTRY_BYTES);
        rn_sa_set_add(&epoch->arrived, index);
        return;
    }
    refuse(c, index, result, &err);
    if (message->kind == RN_EPOCH_REVEAL && result.code == RN_E_PEER_PROTOCOL) {
        rn_sa_set_add(&epoch->spoilt, index);
    }
}

void rn_coord_epoch_hear(struct rn_coordination *c, uint32_t index, struct rn_view bytes)
{
    struct rn_epoch_message message;
    struct rn_error err = {0};
    if (c->epoch == NULL) {
        return;
    }
    const rn_result result = rn_epoch_message_read(bytes, &message, &err);
    if (!rn_is_ok(result)) {
        refuse(c, index, result, &err);
    } else if (message.kind == RN_EPOCH_ASK) {
        c->peers[index].wants_epoch = true;
    } else if (message.kind == RN_EPOCH_DRAWN) {
        c->peers[index].ahead |= !c->epoch->job->drawn;
    } else if (message.kind == RN_EPOCH_COMMITMENT || message.kind == RN_EPOCH_REVEAL) {
        take_entry(c, index, &message);
    }
}

/* ---- Steps */

static void views_of(const struct rn_coordination *c, struct rn_view *out)
{
    const struct rn_coord_epoch *epoch = c->epoch;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        out[i] = rn_sa_set_has(&epoch->arrived, i)
                     ? rn_view_of(epoch->entries[i], RN_SA_EPOCH_ENTRY_BYTES)
                     : (struct rn_view){0};
    }
}

static void begin_attempt(struct rn_coordination *c)
{
    struct rn_coord_epoch *epoch = c->epoch;
    const struct rn_sa_set all = rn_sa_set_first(c->peer_count);
    const struct rn_sa_set expected = rn_sa_set_minus(&all, &epoch->left_out);
    epoch->attempt++;
    begin_step(c, RN_COORD_EPOCH_COMMITMENTS, &expected);
    rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_EPOCH_CALLED,
                                                   .attempt = epoch->attempt,
                                                   .members = rn_sa_set_count(&expected)});
}

/* The set is in the journal before anybody gets it: a restart shows no other one for the attempt.
 */
static void close_commitments(struct rn_coordination *c)
{
    struct rn_coord_epoch *epoch = c->epoch;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer document = {0};
    struct rn_view *RN_CLEANUP(rn_free_cleanup) entries = rn_alloc(c->peer_count, sizeof(*entries));
    views_of(c, entries);
    RN_BUG_IF(!rn_is_ok(
        rn_sa_epoch_set_write(&epoch->job->context, epoch->attempt, entries, &document, NULL)));
    RN_BUG_IF(!rn_is_ok(rn_job_epoch_take_set(epoch->job, rn_buffer_view(&document), NULL)));
    rn_job_epoch_keep(epoch->job, RN_RECORD_EPOCH_SET, c->out);
    collect_reveals(c);
}

static void tell_drawn(struct rn_coordination *c)
{
    const struct rn_job_epoch *job = c->epoch->job;
    const struct rn_sa_set all = rn_sa_set_first(c->peer_count);
    const struct rn_sa_set listed = rn_job_epoch_listed(job);
    const struct rn_sa_set outside = rn_sa_set_minus(&all, &listed);
    struct rn_error detail = {0};
    char names[NAMES_MAX];
    rn_job_epoch_names(c->basis->roster, &outside, names, sizeof(names));
    (void)rn_text_format(detail.text, sizeof(detail.text), "%s%s",
                         names[0] == '\0' ? "all members are in it"
                                          : "they only follow, since they were not there: ",
                         names);
    const struct rn_job_event event = {.kind = RN_JOB_EPOCH_DRAWN,
                                       .attempt = job->set.attempt,
                                       .present = job->set.count,
                                       .members = c->peer_count};
    rn_effects_event_err(c->out, event, &detail);
}

static enum rn_coord_next draw(struct rn_coordination *c)
{
    struct rn_coord_epoch *epoch = c->epoch;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer document = {0};
    struct rn_view *RN_CLEANUP(rn_free_cleanup) entries = rn_alloc(c->peer_count, sizeof(*entries));
    uint32_t missing = 0;
    views_of(c, entries);
    RN_BUG_IF(!rn_is_ok(rn_sa_epoch_reveals_write(&epoch->job->context, &epoch->job->set, entries,
                                                  &document, &missing, NULL)));
    RN_BUG_IF(!rn_is_ok(rn_job_epoch_take_reveals(epoch->job, rn_buffer_view(&document), NULL)));
    rn_job_epoch_keep(epoch->job, RN_RECORD_EPOCH_REVEALS, c->out);
    begin_step(c, RN_COORD_EPOCH_IDLE, &(struct rn_sa_set){{0}});
    tell_drawn(c);
    return RN_COORD_NEXT;
}

static enum rn_coord_next give_up(struct rn_coordination *c)
{
    char names[NAMES_MAX];
    rn_job_epoch_names(c->basis->roster, &c->epoch->left_out, names, sizeof(names));
    c->result =
        rn_fail(&c->err, RN_E_INCOMPLETE,
                "the share graph was not drawn in %u attempt(s): %s did not reveal what "
                "they had committed to, and it takes %u of %u members; set up a new plan, "
                "without them or when they can be relied on",
                (unsigned)c->epoch->attempt, names, (unsigned)least(c), (unsigned)c->peer_count);
    rn_coord_write_end(c, c->result, &c->err);
    return RN_COORD_END_ROUNDS;
}

/* Written down before the next attempt begins: its number and who is out are not forgotten. */
static void void_attempt(struct rn_coordination *c, const struct rn_sa_set *missing)
{
    struct rn_coord_epoch *epoch = c->epoch;
    const struct rn_record_key key = {.kind = RN_RECORD_EPOCH_VOID, .attempt = epoch->attempt};
    struct rn_error detail = {0};
    char names[NAMES_MAX];
    epoch->left_out = rn_sa_set_either(&epoch->left_out, missing);
    rn_sa_set_write(rn_job_batch_write(rn_effects_commit(c->out), &key), &epoch->left_out);
    rn_job_epoch_names(c->basis->roster, missing, names, sizeof(names));
    (void)rn_text_format(detail.text, sizeof(detail.text), "no reveal of %s", names);
    const struct rn_job_event event = {
        .kind = RN_JOB_EPOCH_VOID, .attempt = epoch->attempt, .count = rn_sa_set_count(missing)};
    rn_effects_event_err(c->out, event, &detail);
    begin_step(c, RN_COORD_EPOCH_IDLE, &(struct rn_sa_set){{0}});
}

/* No further attempt can give a graph. */
static bool is_hopeless(const struct rn_coordination *c)
{
    const struct rn_coord_epoch *epoch = c->epoch;
    return epoch->attempt >= RN_SA_EPOCH_ATTEMPTS_MAX ||
           c->peer_count - rn_sa_set_count(&epoch->left_out) < least(c);
}

/* Enough that may take part are here, with the signatures that they want. */
static bool may_begin(const struct rn_coordination *c)
{
    uint32_t present = 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        present += c->peers[i].connection != 0 && !c->peers[i].waits &&
                   !rn_sa_set_has(&c->epoch->left_out, i);
    }
    return present >= least(c);
}

enum rn_coord_next rn_coord_epoch_tick(struct rn_coordination *c)
{
    struct rn_coord_epoch *epoch = c->epoch;
    const struct rn_sa_set missing = rn_sa_set_minus(&epoch->expected, &epoch->arrived);
    const bool all = rn_sa_set_empty(&missing);
    const bool late =
        c->clock_ms - epoch->since_ms >= c->basis->plan->secagg.stage_hard_s * UINT64_C(1000);
    switch (epoch->step) {
    case RN_COORD_EPOCH_IDLE:
        if (is_hopeless(c)) {
            return give_up(c);
        }
        if (may_begin(c)) {
            begin_attempt(c);
        }
        break;
    case RN_COORD_EPOCH_COMMITMENTS: /* below F nothing was spent: it waits on */
        if (all || (late && rn_sa_set_count(&epoch->arrived) >= least(c))) {
            close_commitments(c);
        }
        break;
    case RN_COORD_EPOCH_REVEALS:
        if (all) {
            return draw(c);
        }
        if (late || !rn_sa_set_empty(&epoch->spoilt)) { /* others may have been about to reveal */
            void_attempt(c, late ? &missing : &epoch->spoilt);
        }
        break;
    }
    return RN_COORD_GO_ON;
}

bool rn_coord_epoch_waiting(const struct rn_coordination *c, struct rn_error *out)
{
    const struct rn_coord_epoch *epoch = c->epoch;
    char names[NAMES_MAX];
    if (epoch == NULL || epoch->job->drawn || epoch->step == RN_COORD_EPOCH_IDLE) {
        return false;
    }
    const struct rn_sa_set missing = rn_sa_set_minus(&epoch->expected, &epoch->arrived);
    rn_job_epoch_names(c->basis->roster, &missing, names, sizeof(names));
    (void)rn_text_format(out->text, sizeof(out->text),
                         "drawing the graph, attempt %u: waits for the %s of %s",
                         (unsigned)epoch->attempt,
                         epoch->step == RN_COORD_EPOCH_REVEALS ? "reveals" : "commitments", names);
    return true;
}
