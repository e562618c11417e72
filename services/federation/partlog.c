/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation's log at a member. What it says of rounds that this site has records of must be
 * what these say; then the driver takes it into this site's copy, if it continues that and the log
 * signed it, and cosigns. A coordinator that shows another log than before, or other outcomes than
 * this site saw, has broken its word: this site ends there, with what proves it on its disk.
 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/jobrecords.h"
#include "services/federation/participationstate.h"

static bool same_hash(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, RN_HASH_BYTES) == 0;
}

static bool agrees(const struct rn_tlog_entry *entry, const struct rn_job_result *own)
{
    return entry->outcome == (enum rn_code)own->outcome && entry->included == own->included &&
           entry->lost == own->lost && same_hash(entry->session, own->session) &&
           same_hash(entry->sum, own->sum_hash) && same_hash(entry->before, own->before) &&
           same_hash(entry->after, own->after);
}

static rn_result refuse(const struct rn_tlog_entry *entry, struct rn_error *err)
{
    return rn_fail(err, RN_E_PEER_PROTOCOL,
                   "the federation's log says of round %u what this site did not see: the "
                   "coordinator is not to be trusted with it. This site stops; state/log holds the "
                   "log as it was before. Tell the other members",
                   (unsigned)entry->round);
}

/* Of a round without a sum, or one that this site was away for, it may know nothing. */
static rn_result check_round(const struct rn_participation *p, const struct rn_tlog_entry *entry,
                             struct rn_error *err)
{
    const struct rn_job_basis *basis = p->config.basis;
    struct rn_job_result own;
    bool found = false;
    if (entry->kind != RN_TLOG_ROUND || !same_hash(entry->plan, basis->plan->hash)) {
        return rn_ok();
    }
    RN_TRY(rn_job_result_latest(&basis->reader, entry->round, &own, &found, err));
    return !found || agrees(entry, &own) ? rn_ok() : refuse(entry, err);
}

static rn_result check(const struct rn_participation *p, struct rn_view bytes,
                       struct rn_tlog_update *update, struct rn_error *err)
{
    RN_TRY(rn_tlog_update_read(bytes, update, err));
    struct rn_reader entries = rn_reader_of(update->entries);
    struct rn_view text;
    while (rn_tlog_bundle_next(&entries, &text)) {
        struct rn_tlog_entry entry;
        const rn_result read = rn_tlog_entry_read(text, &entry, err);
        if (rn_is_ok(read)) {
            RN_TRY(check_round(p, &entry, err));
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
    if (!p->config.log || p->log_busy) {
        return rn_ok();
    }
    const rn_result result = check(p, bytes, &update, err);
    if (rn_is_ok(result)) {
        struct rn_effect *effect = rn_effects_add(p->out, RN_EFFECT_LOG_MIRROR);
        rn_buffer_append(&effect->bytes, bytes.data, bytes.length);
        p->log_busy = true;
    }
    return settle(p, result, err);
}

void rn_part_log_ask(struct rn_participation *p)
{
    if (p->config.log && !p->log_busy) {
        (void)rn_effects_add(p->out, RN_EFFECT_LOG_MIRROR); /* without an update: how it stands */
        p->log_busy = true;
    }
}

rn_result rn_part_log_mirrored(struct rn_participation *p, const struct rn_input *input,
                               struct rn_error *err)
{
    p->log_busy = false;
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
