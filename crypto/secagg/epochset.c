/* SPDX-License-Identifier: Apache-2.0
 *
 * The two documents of an attempt: all commitments, and all reveals, which give the seed.
 */
#include "base/guard.h"
#include "crypto/secagg/epochentry.h"

#include <string.h>

#define SET_MAGIC 0x43454e52u     /* "RNEC" */
#define REVEALS_MAGIC 0x52454e52u /* "RNER" */
#define VERSION 2u

/* ---- Entries */

void rn_sa_epoch_entry_write(const struct rn_sa_epoch_entry *entry,
                             uint8_t out[static RN_SA_EPOCH_ENTRY_BYTES])
{
    struct rn_writer w = rn_writer_to(out, RN_SA_EPOCH_ENTRY_BYTES);
    rn_write_u32(&w, entry->place);
    rn_write_bytes(&w, entry->value, sizeof entry->value);
    rn_write_bytes(&w, entry->signature, sizeof entry->signature);
    RN_BUG_IF(!rn_writer_done(&w));
}

rn_result rn_sa_epoch_entry_read(struct rn_view bytes, uint32_t members,
                                 struct rn_sa_epoch_entry *out, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(bytes);
    out->place = rn_read_u32(&r);
    rn_read_copy(&r, out->value, sizeof out->value);
    rn_read_copy(&r, out->signature, sizeof out->signature);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "epoch: an entry of wrong length");
    RN_ENSURE(out->place < members, err, RN_E_PEER_PROTOCOL, "epoch: an entry of no member");
    return rn_ok();
}

static void write_frame(struct rn_buffer *out, uint32_t magic)
{
    rn_buffer_u32(out, magic);
    rn_buffer_u16(out, VERSION);
    rn_buffer_u16(out, 0);
}

static rn_result read_frame(struct rn_reader *r, uint32_t magic, struct rn_error *err)
{
    RN_ENSURE(rn_read_u32(r) == magic && rn_read_u16(r) == VERSION && rn_read_u16(r) == 0, err,
              RN_E_PEER_FORMAT, "epoch: not such a document, or of another version");
    return rn_ok();
}

/* ---- Commitments */

rn_result rn_sa_epoch_set_write(const struct rn_sa_epoch_context *context, uint32_t attempt,
                                const struct rn_view *entries, struct rn_buffer *out,
                                struct rn_error *err)
{
    RN_TRY(rn_sa_epoch_attempt_check(attempt, err));
    uint32_t count = 0;
    for (uint32_t i = 0; i < context->members; i++) {
        count += entries[i].length > 0 ? 1 : 0;
    }
    RN_ENSURE(count >= context->least, err, RN_E_ROUND_QUORUM,
              "epoch: %u of %u members committed; it takes %u", count, context->members,
              context->least);
    write_frame(out, SET_MAGIC);
    rn_buffer_append(out, context->plan_hash, RN_HASH_BYTES);
    rn_buffer_append(out, context->roster_hash, RN_HASH_BYTES);
    rn_buffer_u32(out, attempt);
    rn_buffer_u32(out, count);
    for (uint32_t i = 0; i < context->members; i++) {
        rn_buffer_append(out, entries[i].data, entries[i].length);
    }
    return rn_ok();
}

static rn_result read_set_head(const struct rn_sa_epoch_context *context, struct rn_reader *r,
                               struct rn_sa_epoch_set *out, struct rn_error *err)
{
    uint8_t plan[RN_HASH_BYTES];
    uint8_t roster[RN_HASH_BYTES];
    RN_TRY(read_frame(r, SET_MAGIC, err));
    rn_read_copy(r, plan, sizeof plan);
    rn_read_copy(r, roster, sizeof roster);
    out->attempt = rn_read_u32(r);
    out->count = rn_read_u32(r);
    RN_ENSURE(!r->failed && memcmp(plan, context->plan_hash, sizeof plan) == 0 &&
                  memcmp(roster, context->roster_hash, sizeof roster) == 0,
              err, RN_E_PEER_PROTOCOL, "epoch: commitments for another plan or roster");
    RN_TRY(rn_sa_epoch_attempt_check(out->attempt, err));
    RN_ENSURE(out->count >= context->least && out->count <= context->members, err,
              RN_E_PEER_PROTOCOL, "epoch: a set of %u members; it takes %u to %u", out->count,
              context->least, context->members);
    RN_ENSURE(rn_reader_left(r) == (size_t)out->count * RN_SA_EPOCH_ENTRY_BYTES, err,
              RN_E_PEER_FORMAT, "epoch: a set of wrong length");
    return rn_ok();
}

rn_result rn_sa_epoch_set_read(const struct rn_sa_epoch_context *context, struct rn_view bytes,
                               struct rn_sa_epoch_set *out, struct rn_error *err)
{
    RN_BUG_IF(context->members > RN_SA_GRAPH_MEMBERS_MAX);
    struct rn_reader r = rn_reader_of(bytes);
    RN_TRY(read_set_head(context, &r, out, err));
    uint32_t least = 0;
    for (uint32_t k = 0; k < out->count; k++) {
        struct rn_sa_epoch_entry entry;
        RN_TRY(rn_sa_epoch_commitment_read(context, out->attempt,
                                           rn_read_view(&r, RN_SA_EPOCH_ENTRY_BYTES), &entry, err));
        RN_ENSURE(entry.place >= least, err, RN_E_PEER_PROTOCOL,
                  "epoch: members repeat or are out of order");
        least = entry.place + 1;
        out->places[k] = entry.place;
        memcpy(out->commitments[k], entry.value, RN_HASH_BYTES);
    }
    rn_sha256(out->hash, "rondo/v1 secagg epoch set", &bytes, 1);
    return rn_ok();
}

bool rn_sa_epoch_set_has(const struct rn_sa_epoch_set *set, uint32_t place)
{
    for (uint32_t k = 0; k < set->count; k++) {
        if (set->places[k] == place) {
            return true;
        }
    }
    return false;
}

/* ---- Reveals */

rn_result rn_sa_epoch_reveals_write(const struct rn_sa_epoch_context *context,
                                    const struct rn_sa_epoch_set *set,
                                    const struct rn_view *entries, struct rn_buffer *out,
                                    uint32_t *out_missing, struct rn_error *err)
{
    for (uint32_t k = 0; k < set->count; k++) {
        const uint32_t place = set->places[k];
        RN_BUG_IF(place >= context->members);
        *out_missing = place;
        RN_ENSURE(entries[place].length > 0, err, RN_E_ROUND_QUORUM,
                  "epoch: member %u did not reveal; attempt %u is void", place, set->attempt);
    }
    write_frame(out, REVEALS_MAGIC);
    rn_buffer_append(out, set->hash, RN_HASH_BYTES);
    rn_buffer_u32(out, set->count);
    for (uint32_t k = 0; k < set->count; k++) {
        const struct rn_view entry = entries[set->places[k]];
        rn_buffer_append(out, entry.data, entry.length);
    }
    return rn_ok();
}

static rn_result read_reveals_head(const struct rn_sa_epoch_set *set, struct rn_reader *r,
                                   struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    RN_TRY(read_frame(r, REVEALS_MAGIC, err));
    rn_read_copy(r, hash, sizeof hash);
    const uint32_t count = rn_read_u32(r);
    RN_ENSURE(!r->failed && memcmp(hash, set->hash, sizeof hash) == 0, err, RN_E_PEER_PROTOCOL,
              "epoch: reveals under another set");
    RN_ENSURE(count == set->count && rn_reader_left(r) == (size_t)count * RN_SA_EPOCH_ENTRY_BYTES,
              err, RN_E_PEER_FORMAT, "epoch: %u reveals, or of wrong length, for a set of %u",
              count, set->count);
    return rn_ok();
}

/* H("epoch seed", hash of the set, contributions of its members by place) */
rn_result rn_sa_epoch_seed(const struct rn_sa_epoch_context *context,
                           const struct rn_sa_epoch_set *set, struct rn_view bytes,
                           uint8_t out_seed[static RN_HASH_BYTES], struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(bytes);
    RN_TRY(read_reveals_head(set, &r, err));
    RN_CLEANUP(rn_sha256_clear) struct rn_sha256 hash = {0};
    rn_sha256_init(&hash, "rondo/v1 secagg epoch seed");
    rn_sha256_update(&hash, set->hash, RN_HASH_BYTES);
    for (uint32_t k = 0; k < set->count; k++) {
        struct rn_sa_epoch_entry entry;
        RN_TRY(rn_sa_epoch_reveal_read(context, set, rn_read_view(&r, RN_SA_EPOCH_ENTRY_BYTES),
                                       &entry, err));
        RN_ENSURE(entry.place == set->places[k], err, RN_E_PEER_PROTOCOL,
                  "epoch: reveals repeat or are out of order");
        rn_sha256_update(&hash, entry.value, sizeof entry.value);
    }
    rn_sha256_final(&hash, out_seed);
    return rn_ok();
}
