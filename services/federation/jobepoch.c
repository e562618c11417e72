/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobepoch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/round/roundsession.h"

struct rn_job_epoch *rn_job_epoch_new(const struct rn_job_basis *basis)
{
    const struct rn_roster *roster = basis->roster;
    if (!rn_round_needs_epoch(basis->plan, roster->count)) {
        return NULL;
    }
    struct rn_job_epoch *epoch = rn_alloc(1, sizeof(*epoch));
    epoch->keys = rn_alloc(roster->count, sizeof(*epoch->keys));
    epoch->scratch = rn_alloc(1, sizeof(*epoch->scratch));
    for (uint32_t i = 0; i < roster->count; i++) {
        epoch->keys[i] = roster->members[i].key;
    }
    epoch->context =
        (struct rn_sa_epoch_context){.members = roster->count,
                                     .least = rn_plan_floor(basis->plan, roster->count, 0),
                                     .keys = epoch->keys};
    memcpy(epoch->context.plan_hash, basis->plan->hash, RN_HASH_BYTES);
    memcpy(epoch->context.roster_hash, basis->plan->roster_hash, RN_HASH_BYTES);
    return epoch;
}

void rn_job_epoch_free(struct rn_job_epoch *epoch)
{
    if (epoch != NULL) {
        rn_buffer_clear(&epoch->document);
        rn_buffer_clear(&epoch->reveals);
        rn_free(epoch->scratch);
        rn_free(epoch->keys);
        rn_free(epoch);
    }
}

/* ---- Documents */

static void replace(struct rn_buffer *held, struct rn_view document)
{
    rn_buffer_clear(held);
    rn_buffer_append(held, document.data, document.length);
}

rn_result rn_job_epoch_read_set(struct rn_job_epoch *epoch, struct rn_view document,
                                struct rn_error *err)
{
    return rn_sa_epoch_set_read(&epoch->context, document, epoch->scratch, err);
}

void rn_job_epoch_hold_set(struct rn_job_epoch *epoch, struct rn_view document)
{
    RN_BUG_IF(epoch->drawn);
    epoch->set = *epoch->scratch;
    epoch->has_set = true;
    replace(&epoch->document, document);
}

rn_result rn_job_epoch_take_set(struct rn_job_epoch *epoch, struct rn_view document,
                                struct rn_error *err)
{
    RN_TRY(rn_job_epoch_read_set(epoch, document, err));
    rn_job_epoch_hold_set(epoch, document);
    return rn_ok();
}

rn_result rn_job_epoch_take_reveals(struct rn_job_epoch *epoch, struct rn_view document,
                                    struct rn_error *err)
{
    uint8_t seed[RN_HASH_BYTES];
    RN_ENSURE(epoch->has_set, err, RN_E_PEER_PROTOCOL, "epoch: reveals before commitments");
    RN_TRY(rn_sa_epoch_seed(&epoch->context, &epoch->set, document, seed, err));
    memcpy(epoch->seed, seed, sizeof(seed));
    epoch->drawn = true;
    replace(&epoch->reveals, document);
    return rn_ok();
}

/* ---- Records */

void rn_job_epoch_keep(const struct rn_job_epoch *epoch, enum rn_record_kind kind,
                       struct rn_effects *out)
{
    const struct rn_record_key key = {.kind = kind, .attempt = epoch->set.attempt};
    const struct rn_buffer *bytes =
        kind == RN_RECORD_EPOCH_SET ? &epoch->document : &epoch->reveals;
    rn_buffer_append(rn_job_batch_write(rn_effects_commit(out), &key), bytes->data, bytes->length);
}

static rn_result load(const struct rn_job_reader *reader, enum rn_record_kind kind,
                      struct rn_job_epoch *epoch, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    struct rn_record_key key;
    struct rn_error why = {0};
    bool found = false;
    RN_TRY(reader->latest(reader->context, kind, -1, &key, &body, &found, err));
    if (!found) {
        return rn_ok();
    }
    const struct rn_view document = rn_buffer_view(&body);
    const rn_result taken = kind == RN_RECORD_EPOCH_SET
                                ? rn_job_epoch_take_set(epoch, document, &why)
                                : rn_job_epoch_take_reveals(epoch, document, &why);
    RN_ENSURE(rn_is_ok(taken), err, RN_E_DATA,
              "journal: a document of the share graph does not hold (%s)", why.text);
    return rn_ok();
}

rn_result rn_job_epoch_load(struct rn_job_epoch *epoch, const struct rn_job_reader *reader,
                            struct rn_error *err)
{
    RN_TRY(load(reader, RN_RECORD_EPOCH_SET, epoch, err));
    return load(reader, RN_RECORD_EPOCH_REVEALS, epoch, err);
}

/* ---- What follows */

const uint8_t *rn_job_epoch_seed(const struct rn_job_epoch *epoch)
{
    return epoch == NULL || !epoch->drawn ? NULL : epoch->seed;
}

bool rn_job_epoch_has(const struct rn_job_epoch *epoch, uint32_t place)
{
    return epoch == NULL || (epoch->drawn && rn_sa_epoch_set_has(&epoch->set, place));
}

struct rn_sa_set rn_job_epoch_listed(const struct rn_job_epoch *epoch)
{
    struct rn_sa_set listed = {{0}};
    for (uint32_t k = 0; epoch->has_set && k < epoch->set.count; k++) {
        rn_sa_set_add(&listed, epoch->set.places[k]);
    }
    return listed;
}

void rn_job_epoch_names(const struct rn_roster *roster, const struct rn_sa_set *members, char *out,
                        size_t size)
{
    bool listed[RN_SA_MEMBERS_MAX];
    for (uint32_t i = 0; i < roster->count; i++) {
        listed[i] = rn_sa_set_has(members, i);
    }
    rn_roster_names(roster, listed, out, size);
}
