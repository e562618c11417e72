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

static bool agrees(const struct rn_job_result *claim, const struct rn_job_result *own)
{
    return claim->outcome == own->outcome && claim->included == own->included &&
           claim->lost == own->lost && same_hash(claim->session, own->session) &&
           same_hash(claim->sum_hash, own->sum_hash) && same_hash(claim->before, own->before) &&
           same_hash(claim->after, own->after);
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
              "is not to be trusted with it. This site stops; state/log holds what it signed. Tell "
              "the other members",
              (unsigned)claim->round);
    return rn_ok();
}

/* The log may be ahead of this site: looked at again when its own record is there. */
static void remember(struct rn_part_log *log, const struct rn_job_result *claim)
{
    if (log->count == RN_PART_LOG_CLAIMS_MAX) {
        memmove(log->claims, log->claims + 1, --log->count * sizeof *log->claims);
    }
    if (log->count == log->capacity) {
        const size_t capacity = log->capacity == 0 ? 16 : 2 * log->capacity;
        log->claims = rn_realloc(log->claims, log->capacity, capacity, sizeof *log->claims);
        log->capacity = capacity;
    }
    log->claims[log->count++] = *claim;
}

static rn_result check_entry(struct rn_participation *p, const struct rn_tlog_entry *entry,
                             struct rn_error *err)
{
    if (entry->kind != RN_TLOG_ROUND || !same_hash(entry->plan, p->config.basis->plan->hash)) {
        return rn_ok();
    }
    const struct rn_job_result claim = claim_of(entry);
    if (claim.round >= p->next_round) {
        remember(&p->log, &claim);
        return rn_ok();
    }
    return check_claim(p, &claim, err);
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
    p->log = (struct rn_part_log){0};
}

static rn_result check(struct rn_participation *p, struct rn_view bytes,
                       struct rn_tlog_update *update, struct rn_error *err)
{
    RN_TRY(rn_tlog_update_read(bytes, update, err));
    struct rn_reader entries = rn_reader_of(update->entries);
    struct rn_view text;
    while (rn_tlog_bundle_next(&entries, &text)) {
        struct rn_tlog_entry entry;
        const rn_result read = rn_tlog_entry_read(text, &entry, err);
        if (rn_is_ok(read)) {
            RN_TRY(check_entry(p, &entry, err));
        } else if (read.code != RN_E_UNSUPPORTED) { /* of a later version: hashed all the same */
            return rn_fail(err, RN_E_PEER_FORMAT, "the log has an entry that is malformed");
        }
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

rn_result rn_part_log_hear(struct rn_participation *p, struct rn_view bytes, struct rn_error *err)
{
    struct rn_tlog_update update;
    if (!p->config.log || p->log.busy) {
        return rn_ok();
    }
    const rn_result result = check(p, bytes, &update, err);
    if (rn_is_ok(result)) {
        struct rn_effect *effect = rn_effects_add(p->out, RN_EFFECT_LOG_MIRROR);
        rn_buffer_append(&effect->bytes, bytes.data, bytes.length);
        p->log.busy = true;
    }
    return settle(p, result, err);
}

void rn_part_log_ask(struct rn_participation *p)
{
    if (p->config.log && !p->log.busy) {
        (void)rn_effects_add(p->out, RN_EFFECT_LOG_MIRROR); /* without an update: how it stands */
        p->log.busy = true;
    }
}

rn_result rn_part_log_mirrored(struct rn_participation *p, const struct rn_input *input,
                               struct rn_error *err)
{
    p->log.busy = false;
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
