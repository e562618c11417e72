/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation's log at a member. What it says of rounds that this site has records of must be
 * what these say; then the driver takes it into this site's copy, if it continues that and the log
 * signed it, and cosigns. A coordinator that shows another log than before, or other outcomes than
 * this site saw, has broken its word: this site ends there, with what proves it on its disk.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/jobrecords.h"
#include "services/federation/participationstate.h"

static bool same_hash(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, RN_HASH_BYTES) == 0;
}

/* A site that came to a session late, or again, may not have heard how many began it. */
static bool agrees(const struct rn_job_result *claim, const struct rn_job_result *own)
{
    return claim->outcome == own->outcome && claim->included == own->included &&
           (own->lost == 0 || claim->lost == own->lost) &&
           same_hash(claim->session, own->session) && same_hash(claim->sum_hash, own->sum_hash) &&
           same_hash(claim->before, own->before) && same_hash(claim->after, own->after);
}

static struct rn_job_result claim_of(const struct rn_tlog_entry *entry)
{
    struct rn_job_result claim = {.outcome = (uint32_t)entry->outcome,
                                  .round = entry->round,
                                  .attempt = entry->attempt,
                                  .included = entry->included,
                                  .lost = entry->lost};
    memcpy(claim.session, entry->session, RN_HASH_BYTES);
    memcpy(claim.sum_hash, entry->sum, RN_HASH_BYTES);
    memcpy(claim.before, entry->before, RN_HASH_BYTES);
    memcpy(claim.after, entry->after, RN_HASH_BYTES);
    return claim;
}

/* Of a round without a sum this site may have no record, nor ever get one. */
static rn_result check_claim(const struct rn_participation *p, const struct rn_job_result *claim,
                             struct rn_error *err)
{
    struct rn_job_result own;
    bool found = false;
    RN_TRY(rn_job_result_latest(&p->config.basis->reader, claim->round, &own, &found, err));
    RN_ENSURE(!found || agrees(claim, &own), err, RN_E_PEER_PROTOCOL,
              "the federation's log says of round %u what this site did not see: the coordinator "
              "is not to be trusted with it. This site stops and cosigns no more of it. Tell the "
              "other members",
              (unsigned)claim->round);
    return rn_ok();
}

static bool is_claim(const struct rn_participation *p, struct rn_view text,
                     struct rn_job_result *out)
{
    struct rn_tlog_entry entry;
    struct rn_error ignored;
    if (!rn_is_ok(rn_tlog_entry_read(text, &entry, &ignored)) || entry.kind != RN_TLOG_ROUND ||
        !same_hash(entry.plan, p->config.basis->plan->hash)) {
        return false;
    }
    *out = claim_of(&entry);
    return true;
}

/* What this site has no record of yet: looked at again when it has. Rounds go up in the log, so
 * there are at most as many as the plan has. */
static void remember(struct rn_part_log *log, const struct rn_job_result *claim)
{
    if (log->count == log->capacity) {
        const size_t capacity = log->capacity == 0 ? 16 : 2 * log->capacity;
        log->claims = rn_realloc(log->claims, log->capacity, capacity, sizeof *log->claims);
        log->capacity = capacity;
    }
    log->claims[log->count++] = *claim;
}

/* Entries that are in this site's copy. */
static void take_claims(struct rn_participation *p, struct rn_view entries)
{
    struct rn_reader reader = rn_reader_of(entries);
    struct rn_view text;
    struct rn_job_result claim;
    while (rn_tlog_bundle_next(&reader, &text)) {
        if (is_claim(p, text, &claim) && claim.round > p->log.round) {
            p->log.round = claim.round;
            remember(&p->log, &claim);
        }
    }
}

rn_result rn_part_log_start(struct rn_participation *p, struct rn_error *err)
{
    p->log.size = p->config.log_size;
    take_claims(p, p->config.log_rounds);
    return rn_part_log_tick(p, err);
}

rn_result rn_part_log_tick(struct rn_participation *p, struct rn_error *err)
{
    struct rn_part_log *log = &p->log;
    size_t kept = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct rn_job_result claim = log->claims[i];
        if (claim.round >= p->next_round) {
            log->claims[kept++] = claim;
        } else {
            RN_TRY(check_claim(p, &claim, err));
        }
    }
    log->count = kept;
    return rn_ok();
}

void rn_part_log_clear(struct rn_participation *p)
{
    rn_free(p->log.claims);
    rn_buffer_clear(&p->log.update);
    p->log = (struct rn_part_log){0};
}

/* Before anything of it is taken over: entries that can be read, rounds of this plan in order, each
 * once, and none that this site saw otherwise. */
static rn_result check(const struct rn_participation *p, const struct rn_tlog_update *update,
                       struct rn_error *err)
{
    struct rn_reader entries = rn_reader_of(update->entries);
    struct rn_view text;
    uint32_t last = p->log.round;
    while (rn_tlog_bundle_next(&entries, &text)) {
        struct rn_tlog_entry entry;
        struct rn_job_result claim;
        const rn_result read = rn_tlog_entry_read(text, &entry, err);
        RN_ENSURE(rn_is_ok(read) || read.code == RN_E_UNSUPPORTED, err, RN_E_PEER_FORMAT,
                  "the log has an entry that is malformed"); /* of a later version: hashed */
        if (!is_claim(p, text, &claim)) {
            continue;
        }
        RN_ENSURE(claim.round > last && claim.round <= rn_plan_last_round(p->config.basis->plan),
                  err, RN_E_PEER_FORMAT, "the log's rounds are not in order");
        last = claim.round;
        RN_TRY(check_claim(p, &claim, err));
    }
    return rn_ok();
}

static rn_result settle(struct rn_participation *p, rn_result result, struct rn_error *err)
{
    if (rn_is_ok(result) || result.code == RN_E_PEER_PROTOCOL ||
        rn_class_of(result) == RN_CLASS_STOP) {
        return result;
    }
    rn_part_event_err(p, (struct rn_job_event){.kind = RN_JOB_LOG_REFUSED, .outcome = result.code},
                      err);
    return rn_ok();
}

static void mirror(struct rn_participation *p, struct rn_view bytes)
{
    struct rn_effect *effect = rn_effects_add(p->out, RN_EFFECT_LOG_MIRROR);
    rn_buffer_append(&effect->bytes, bytes.data, bytes.length);
    rn_buffer_clear(&p->log.update);
    rn_buffer_append(&p->log.update, bytes.data, bytes.length);
    p->log.busy = true;
}

rn_result rn_part_log_hear(struct rn_participation *p, struct rn_view bytes, struct rn_error *err)
{
    struct rn_tlog_update update;
    if (!p->config.log || p->log.busy) {
        return rn_ok();
    }
    rn_result result = rn_tlog_update_read(bytes, &update, err);
    /* One that begins elsewhere than this copy ends is not taken over. */
    if (rn_is_ok(result) && update.from == p->log.size) {
        result = check(p, &update, err);
    }
    if (rn_is_ok(result)) {
        mirror(p, bytes);
    }
    return settle(p, result, err);
}

void rn_part_log_ask(struct rn_participation *p)
{
    if (p->config.log && !p->log.busy) {
        mirror(p, rn_view_of(NULL, 0)); /* without an update: how it stands */
    }
}

/* The copy has grown by what was sent. */
static void take_grown(struct rn_participation *p, uint64_t size)
{
    struct rn_tlog_update update;
    struct rn_error ignored;
    if (size > p->log.size &&
        rn_is_ok(rn_tlog_update_read(rn_buffer_view(&p->log.update), &update, &ignored))) {
        take_claims(p, update.entries);
    }
    p->log.size = size;
    rn_buffer_clear(&p->log.update);
}

rn_result rn_part_log_mirrored(struct rn_participation *p, const struct rn_input *input,
                               struct rn_error *err)
{
    p->log.busy = false;
    take_grown(p, input->number);
    if (p->greeted && input->bytes.length > 0) {
        const struct rn_wire_envelope envelope = {.body = RN_WIRE_LOG_REPORT,
                                                  .as.log_report = input->bytes};
        rn_effects_send(p->out, p->connection, &envelope);
    }
    if (input->code == RN_OK) {
        return rn_ok();
    }
    (void)rn_text_format(err->text, sizeof err->text, "%s", input->text);
    return settle(p, (rn_result){input->code}, err);
}
