/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/spent.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/spentjournal.h"
#include "crypto/secagg/spentsessions.h"

#include <string.h>

/* The last session that was joined under one plan. */
struct plan {
    uint8_t hash[RN_HASH_BYTES];
    uint64_t round;
    uint32_t attempt;
};

/* Members of one roster that were proven faulty. */
struct blamed {
    uint8_t roster[RN_HASH_BYTES];
    struct rn_sa_set members;
};

struct rn_sa_spent {
    struct blamed *blamed;
    size_t blamed_count;
    struct rn_sa_spent_sessions open;
    struct plan *plans;
    size_t plan_count;
    uint8_t current[RN_HASH_BYTES]; /* session joined last; earlier ones may not upload any more */
};

struct rn_sa_spent *rn_sa_spent_new(void)
{
    return rn_alloc(1, sizeof(struct rn_sa_spent));
}

void rn_sa_spent_free(struct rn_sa_spent *spent)
{
    if (spent != NULL) {
        rn_sa_spent_sessions_clear(&spent->open);
        rn_free(spent->plans);
        rn_free(spent->blamed);
        rn_free(spent);
    }
}

size_t rn_sa_spent_open(const struct rn_sa_spent *spent)
{
    return spent->open.count;
}

bool rn_sa_spent_current(const struct rn_sa_spent *spent,
                         const uint8_t session[static RN_HASH_BYTES])
{
    return memcmp(spent->current, session, RN_HASH_BYTES) == 0;
}

static struct plan *find_plan(const struct rn_sa_spent *spent, const uint8_t *hash)
{
    for (size_t i = 0; i < spent->plan_count; i++) {
        if (memcmp(spent->plans[i].hash, hash, RN_HASH_BYTES) == 0) {
            return &spent->plans[i];
        }
    }
    return NULL;
}

static rn_result load_joined(struct rn_sa_spent *spent, struct rn_sa_record *record,
                             struct rn_error *err)
{
    struct rn_reader *r = &record->body;
    struct plan plan;
    rn_read_copy(r, plan.hash, RN_HASH_BYTES);
    plan.round = rn_read_u64(r);
    plan.attempt = rn_read_u32(r);
    RN_ENSURE(!r->failed, err, RN_E_DATA, "journal: a joined session is cut short");
    struct plan *known = find_plan(spent, plan.hash);
    RN_ENSURE(known != NULL || spent->plan_count < RN_SA_SPENT_PLANS_MAX, err, RN_E_DATA,
              "journal: sessions of more than %u plans", RN_SA_SPENT_PLANS_MAX);
    if (known == NULL) {
        spent->plans = rn_realloc(spent->plans, spent->plan_count, spent->plan_count + 1,
                                  sizeof *spent->plans);
        known = &spent->plans[spent->plan_count++];
    }
    *known = plan;
    memcpy(spent->current, record->session, RN_HASH_BYTES);
    return rn_ok();
}

static rn_result load_spent(struct rn_sa_spent *spent, struct rn_sa_record *record,
                            struct rn_error *err)
{
    struct rn_reader *r = &record->body;
    struct rn_sa_spent_session entry = {0};
    memcpy(entry.session, record->session, RN_HASH_BYTES);
    rn_read_copy(r, entry.base, RN_HASH_BYTES);
    rn_read_copy(r, entry.adapter, RN_HASH_BYTES);
    entry.active = rn_read_u32(r);
    entry.round = rn_read_u64(r);
    rn_read_copy(r, entry.t0, RN_HASH_BYTES);
    entry.quorum = rn_read_u32(r);
    entry.joined = rn_sa_set_read(r);
    RN_ENSURE(!r->failed, err, RN_E_DATA, "journal: a spent update is cut short");
    return rn_sa_spent_sessions_add(&spent->open, &entry, err);
}

static struct blamed *find_blamed(const struct rn_sa_spent *spent, const uint8_t *roster)
{
    for (size_t i = 0; i < spent->blamed_count; i++) {
        if (memcmp(spent->blamed[i].roster, roster, RN_HASH_BYTES) == 0) {
            return &spent->blamed[i];
        }
    }
    return NULL;
}

static rn_result load_blamed(struct rn_sa_spent *spent, struct rn_sa_record *record,
                             struct rn_error *err)
{
    struct rn_reader *r = &record->body;
    struct blamed entry = {0};
    rn_read_copy(r, entry.roster, RN_HASH_BYTES);
    entry.members = rn_sa_set_read(r);
    RN_ENSURE(!r->failed, err, RN_E_DATA, "journal: a proof of blame is cut short");
    struct blamed *known = find_blamed(spent, entry.roster);
    RN_ENSURE(known != NULL || spent->blamed_count < RN_SA_SPENT_PLANS_MAX, err, RN_E_DATA,
              "journal: blame under more than %u rosters", RN_SA_SPENT_PLANS_MAX);
    if (known == NULL) {
        spent->blamed = rn_realloc(spent->blamed, spent->blamed_count, spent->blamed_count + 1,
                                   sizeof *spent->blamed);
        spent->blamed[spent->blamed_count++] = entry;
        return rn_ok();
    }
    known->members = rn_sa_set_either(&known->members, &entry.members);
    return rn_ok();
}

rn_result rn_sa_spent_load(struct rn_sa_spent *spent, struct rn_view bytes, struct rn_error *err)
{
    struct rn_sa_record record;
    RN_TRY(rn_sa_record_read(bytes, &record, err));
    switch (record.kind) {
    case RN_SA_RECORD_JOINED:
        return load_joined(spent, &record, err);
    case RN_SA_RECORD_SPENT:
        return load_spent(spent, &record, err);
    case RN_SA_RECORD_CLOSED: /* verified before it was written */
        rn_sa_spent_sessions_remove(&spent->open, record.session);
        return rn_ok();
    case RN_SA_RECORD_BLAMED:
        return load_blamed(spent, &record, err);
    default:
        return rn_ok();
    }
}

rn_result rn_sa_spent_check_order(const struct rn_sa_spent *spent,
                                  const struct rn_sa_context *context, struct rn_error *err)
{
    const struct plan *plan = find_plan(spent, context->plan_hash);
    RN_ENSURE(plan != NULL || spent->plan_count < RN_SA_SPENT_PLANS_MAX, err, RN_E_ROUND_SPENT,
              "this journal has sessions of %u plans, and takes no more", RN_SA_SPENT_PLANS_MAX);
    RN_ENSURE(plan == NULL || context->round > plan->round ||
                  (context->round == plan->round && context->attempt > plan->attempt),
              err, RN_E_ROUND_STALE, "round and attempt do not go up under this plan");
    return rn_ok();
}

static rn_result room_check(const struct rn_sa_spent *spent, struct rn_error *err)
{
    RN_ENSURE(spent->open.count < RN_SA_SPENT_MAX, err, RN_E_ROUND_SPENT,
              "more than %u sessions without an end", RN_SA_SPENT_MAX);
    return rn_ok();
}

rn_result rn_sa_spent_check(const struct rn_sa_spent *spent, const struct rn_sa_context *context,
                            struct rn_error *err)
{
    const struct rn_sa_spent_session *entry = rn_sa_spent_sessions_of(
        &spent->open, context->base_hash, context->adapter_hash, context->active);
    RN_ENSURE(entry == NULL, err, RN_E_ROUND_SPENT,
              "this update was uploaded in a session of round %llu that ended without an abort "
              "certificate; it may not be sent again",
              (unsigned long long)entry->round);
    RN_TRY(room_check(spent, err)); /* before the member trains for it */
    return rn_sa_spent_check_order(spent, context, err);
}

rn_result rn_sa_spent_receive(struct rn_sa_spent *spent, const struct rn_roster *roster,
                              struct rn_view bytes, struct rn_sa_actions *out_actions,
                              struct rn_error *err)
{
    struct rn_sa_message message;
    RN_TRY(rn_sa_message_parse(bytes, &message, err));
    RN_ENSURE(message.type == RN_SA_ABORT_CERTIFICATE && message.sender == RN_SA_COORDINATOR, err,
              RN_E_PEER_PROTOCOL, "not an abort certificate");
    const struct rn_sa_spent_session *entry =
        rn_sa_spent_sessions_find(&spent->open, message.session);
    if (entry == NULL) {
        return rn_ok();
    }
    RN_TRY(rn_sa_message_verify(&message, &roster->coordinator, err));
    struct rn_sa_abort_claim claim = {
        .roster = roster,
        .round = entry->round,
        .joined = entry->joined,
        .quorum = entry->quorum,
    };
    memcpy(claim.session, entry->session, RN_HASH_BYTES);
    memcpy(claim.t0, entry->t0, RN_HASH_BYTES);
    RN_TRY(rn_sa_abort_certificate_check(&claim, message.body, err));
    rn_sa_spent_close(spent, message.session, bytes, out_actions);
    return rn_ok();
}

void rn_sa_spent_close(struct rn_sa_spent *spent, const uint8_t session[static RN_HASH_BYTES],
                       struct rn_view certificate, struct rn_sa_actions *out_actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(out_actions, RN_SA_PERSIST);
    action->keep = true;
    rn_sa_record_begin(&action->bytes, RN_SA_RECORD_CLOSED, session);
    rn_buffer_blob(&action->bytes, certificate);
    rn_sa_spent_sessions_remove(&spent->open, session);
}

void rn_sa_spent_join(struct rn_sa_spent *spent, const struct rn_sa_transcript *transcript,
                      struct rn_view offer, struct rn_view ready, struct rn_sa_actions *out_actions)
{
    const struct rn_sa_context *context = &transcript->context;
    struct rn_sa_action *action = rn_sa_actions_add(out_actions, RN_SA_PERSIST);
    action->keep = true;
    struct rn_buffer *record = &action->bytes;
    rn_sa_record_begin(record, RN_SA_RECORD_JOINED, transcript->session);
    rn_buffer_append(record, context->plan_hash, RN_HASH_BYTES);
    rn_buffer_u64(record, context->round);
    rn_buffer_u32(record, context->attempt);
    rn_buffer_blob(record, offer);
    rn_buffer_blob(record, ready);
    const rn_result loaded = rn_sa_spent_load(spent, rn_buffer_view(record), NULL);
    RN_BUG_IF(!rn_is_ok(loaded));
}

rn_result rn_sa_spent_spend(struct rn_sa_spent *spent, const struct rn_sa_transcript *transcript,
                            struct rn_view done, struct rn_sa_actions *out_actions,
                            struct rn_error *err)
{
    const struct rn_sa_context *context = &transcript->context;
    RN_TRY(room_check(spent, err));
    struct rn_sa_action *action = rn_sa_actions_add(out_actions, RN_SA_PERSIST);
    action->keep = true;
    struct rn_buffer *record = &action->bytes;
    rn_sa_record_begin(record, RN_SA_RECORD_SPENT, transcript->session);
    rn_buffer_append(record, context->base_hash, RN_HASH_BYTES);
    rn_buffer_append(record, context->adapter_hash, RN_HASH_BYTES);
    rn_buffer_u32(record, context->active);
    rn_buffer_u64(record, context->round);
    rn_buffer_append(record, transcript->t0, RN_HASH_BYTES);
    rn_buffer_u32(record, transcript->quorum);
    rn_sa_set_write(record, &transcript->joined);
    rn_buffer_append(record, transcript->t1, RN_HASH_BYTES);
    rn_buffer_blob(record, done);
    const rn_result loaded = rn_sa_spent_load(spent, rn_buffer_view(record), NULL);
    RN_BUG_IF(!rn_is_ok(loaded));
    return rn_ok();
}

void rn_sa_spent_blame(struct rn_sa_spent *spent, const struct rn_sa_transcript *transcript,
                       struct rn_view result, struct rn_sa_actions *out_actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(out_actions, RN_SA_PERSIST);
    action->keep = true;
    struct rn_buffer *record = &action->bytes;
    rn_sa_record_begin(record, RN_SA_RECORD_BLAMED, transcript->session);
    rn_buffer_append(record, transcript->roster_hash, RN_HASH_BYTES);
    rn_sa_set_write(record, &transcript->blamed);
    rn_buffer_blob(record, result);
    const rn_result loaded = rn_sa_spent_load(spent, rn_buffer_view(record), NULL);
    RN_BUG_IF(!rn_is_ok(loaded));
}

struct rn_sa_set rn_sa_spent_blamed(const struct rn_sa_spent *spent,
                                    const uint8_t roster_hash[static RN_HASH_BYTES])
{
    const struct blamed *known = find_blamed(spent, roster_hash);
    return known == NULL ? (struct rn_sa_set){{0}} : known->members;
}
