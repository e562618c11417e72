/* SPDX-License-Identifier: Apache-2.0
 *
 * One member's commitment and reveal, and the permutation. The documents of all are in epochset.c.
 */
#include "crypto/secagg/epoch.h"

#include "base/guard.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "crypto/secagg/epochentry.h"

#include <string.h>

#define TAG_SECRET "rondo/v1 secagg epoch secret"
#define TAG_CONTRIBUTION "rondo/v1 epoch contribution"
#define TAG_PERMUTATION "rondo/v1 epoch permutation"
#define TAG_COMMIT "rondo/v1 secagg epoch commit"
#define TAG_REVEAL "rondo/v1 secagg epoch reveal"
#define ATTEMPT_BYTES (2 * RN_HASH_BYTES + 4)
#define COMMIT_BYTES (ATTEMPT_BYTES + 4 + RN_HASH_BYTES)
#define REVEAL_BYTES (RN_HASH_BYTES + 4 + RN_HASH_BYTES)

rn_result rn_sa_epoch_attempt_check(uint32_t attempt, struct rn_error *err)
{
    RN_ENSURE(attempt >= 1 && attempt <= RN_SA_EPOCH_ATTEMPTS_MAX, err, RN_E_PEER_LIMIT,
              "epoch: attempt %u; a plan has 1 to %u", attempt, RN_SA_EPOCH_ATTEMPTS_MAX);
    return rn_ok();
}

static void write_attempt(struct rn_writer *w, const struct rn_sa_epoch_context *context,
                          uint32_t attempt)
{
    rn_write_bytes(w, context->plan_hash, RN_HASH_BYTES);
    rn_write_bytes(w, context->roster_hash, RN_HASH_BYTES);
    rn_write_u32(w, attempt);
}

/* ---- Contribution and commitment */

void rn_sa_epoch_contribution(const struct rn_sa_epoch_context *context,
                              const struct rn_identity *identity, uint32_t attempt,
                              struct rn_secret32 *out)
{
    uint8_t message[ATTEMPT_BYTES];
    uint8_t signature[RN_SIGNATURE_BYTES];
    struct rn_writer w = rn_writer_to(message, sizeof message);
    write_attempt(&w, context, attempt);
    rn_identity_sign(identity, TAG_SECRET, rn_view_of(message, sizeof message), signature);
    rn_kdf_sha256(out, rn_view_of(signature, sizeof signature), rn_view_of(message, sizeof message),
                  TAG_CONTRIBUTION, rn_view_of(NULL, 0));
    rn_secret_wipe(signature, sizeof signature);
}

/* H("epoch commitment", plan, roster, attempt, place, contribution) */
static void commitment_to(const struct rn_sa_epoch_context *context, uint32_t attempt,
                          uint32_t place, const uint8_t contribution[static RN_SECRET_BYTES],
                          uint8_t out[static RN_HASH_BYTES])
{
    uint8_t head[ATTEMPT_BYTES + 4];
    struct rn_writer w = rn_writer_to(head, sizeof head);
    write_attempt(&w, context, attempt);
    rn_write_u32(&w, place);
    const struct rn_view parts[2] = {rn_view_of(head, sizeof head),
                                     rn_view_of(contribution, RN_SECRET_BYTES)};
    rn_sha256(out, "rondo/v1 secagg epoch commitment", parts, 2);
}

/* What is signed of a commitment. */
static void signed_commitment(const struct rn_sa_epoch_context *context, uint32_t attempt,
                              const struct rn_sa_epoch_entry *entry,
                              uint8_t out[static COMMIT_BYTES])
{
    struct rn_writer w = rn_writer_to(out, COMMIT_BYTES);
    write_attempt(&w, context, attempt);
    rn_write_u32(&w, entry->place);
    rn_write_bytes(&w, entry->value, RN_HASH_BYTES);
}

static bool is_own(const struct rn_sa_epoch_context *context, const struct rn_identity *identity,
                   uint32_t place)
{
    return place < context->members &&
           rn_identity_public_equal(rn_identity_public_of(identity), &context->keys[place]);
}

rn_result rn_sa_epoch_commit(const struct rn_sa_epoch_context *context,
                             const struct rn_identity *identity, uint32_t place, uint32_t attempt,
                             uint8_t out[static RN_SA_EPOCH_ENTRY_BYTES], struct rn_error *err)
{
    RN_BUG_IF(!is_own(context, identity, place));
    RN_TRY(rn_sa_epoch_attempt_check(attempt, err));
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 contribution;
    rn_sa_epoch_contribution(context, identity, attempt, &contribution);
    struct rn_sa_epoch_entry entry = {.place = place};
    commitment_to(context, attempt, place, contribution.bytes, entry.value);
    uint8_t message[COMMIT_BYTES];
    signed_commitment(context, attempt, &entry, message);
    rn_identity_sign(identity, TAG_COMMIT, rn_view_of(message, sizeof message), entry.signature);
    rn_sa_epoch_entry_write(&entry, out);
    return rn_ok();
}

rn_result rn_sa_epoch_commitment_read(const struct rn_sa_epoch_context *context, uint32_t attempt,
                                      struct rn_view bytes, struct rn_sa_epoch_entry *out,
                                      struct rn_error *err)
{
    RN_TRY(rn_sa_epoch_attempt_check(attempt, err));
    RN_TRY(rn_sa_epoch_entry_read(bytes, context->members, out, err));
    uint8_t message[COMMIT_BYTES];
    signed_commitment(context, attempt, out, message);
    return rn_identity_verify(&context->keys[out->place], TAG_COMMIT,
                              rn_view_of(message, sizeof message), out->signature, err);
}

rn_result rn_sa_epoch_commitment_check(const struct rn_sa_epoch_context *context, uint32_t attempt,
                                       struct rn_view bytes, uint32_t *out_place,
                                       struct rn_error *err)
{
    struct rn_sa_epoch_entry entry;
    RN_TRY(rn_sa_epoch_commitment_read(context, attempt, bytes, &entry, err));
    *out_place = entry.place;
    return rn_ok();
}

/* ---- Reveal */

static void signed_reveal(const struct rn_sa_epoch_set *set, const struct rn_sa_epoch_entry *entry,
                          uint8_t out[static REVEAL_BYTES])
{
    struct rn_writer w = rn_writer_to(out, REVEAL_BYTES);
    rn_write_bytes(&w, set->hash, RN_HASH_BYTES);
    rn_write_u32(&w, entry->place);
    rn_write_bytes(&w, entry->value, RN_HASH_BYTES);
}

/* Does the set list place with a commitment to contribution? */
static bool is_committed(const struct rn_sa_epoch_context *context,
                         const struct rn_sa_epoch_set *set, uint32_t place,
                         const uint8_t contribution[static RN_SECRET_BYTES])
{
    uint8_t commitment[RN_HASH_BYTES];
    commitment_to(context, set->attempt, place, contribution, commitment);
    for (uint32_t k = 0; k < set->count; k++) {
        if (set->places[k] == place) {
            return memcmp(set->commitments[k], commitment, sizeof commitment) == 0;
        }
    }
    return false;
}

/* One set an attempt, and attempts only go up. */
static bool may_reveal(const struct rn_sa_epoch_revealed *revealed,
                       const struct rn_sa_epoch_set *set)
{
    return set->attempt > revealed->attempt ||
           (set->attempt == revealed->attempt &&
            memcmp(set->hash, revealed->set_hash, RN_HASH_BYTES) == 0);
}

rn_result rn_sa_epoch_reveal(const struct rn_sa_epoch_context *context,
                             const struct rn_identity *identity, uint32_t place,
                             const struct rn_sa_epoch_set *set,
                             struct rn_sa_epoch_revealed *revealed,
                             uint8_t out[static RN_SA_EPOCH_ENTRY_BYTES], struct rn_error *err)
{
    RN_BUG_IF(!is_own(context, identity, place));
    RN_ENSURE(may_reveal(revealed, set), err, RN_E_PEER_REPLAY,
              "epoch: attempt %u again, or other commitments for it", set->attempt);
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 contribution;
    rn_sa_epoch_contribution(context, identity, set->attempt, &contribution);
    RN_ENSURE(is_committed(context, set, place, contribution.bytes), err, RN_E_PEER_PROTOCOL,
              "epoch: the set does not have this member's commitment");
    struct rn_sa_epoch_entry entry = {.place = place};
    memcpy(entry.value, contribution.bytes, sizeof entry.value);
    uint8_t message[REVEAL_BYTES];
    signed_reveal(set, &entry, message);
    rn_identity_sign(identity, TAG_REVEAL, rn_view_of(message, sizeof message), entry.signature);
    rn_sa_epoch_entry_write(&entry, out);
    revealed->attempt = set->attempt;
    memcpy(revealed->set_hash, set->hash, RN_HASH_BYTES);
    return rn_ok();
}

rn_result rn_sa_epoch_reveal_read(const struct rn_sa_epoch_context *context,
                                  const struct rn_sa_epoch_set *set, struct rn_view bytes,
                                  struct rn_sa_epoch_entry *out, struct rn_error *err)
{
    RN_TRY(rn_sa_epoch_entry_read(bytes, context->members, out, err));
    RN_ENSURE(rn_sa_epoch_set_has(set, out->place), err, RN_E_PEER_PROTOCOL,
              "epoch: a reveal of member %u, who is not in the set", out->place);
    uint8_t message[REVEAL_BYTES];
    signed_reveal(set, out, message);
    RN_TRY(rn_identity_verify(&context->keys[out->place], TAG_REVEAL,
                              rn_view_of(message, sizeof message), out->signature, err));
    RN_ENSURE(is_committed(context, set, out->place, out->value), err, RN_E_PEER_PROTOCOL,
              "epoch: member %u reveals another contribution than it committed to", out->place);
    return rn_ok();
}

rn_result rn_sa_epoch_reveal_check(const struct rn_sa_epoch_context *context,
                                   const struct rn_sa_epoch_set *set, struct rn_view bytes,
                                   uint32_t *out_place, struct rn_error *err)
{
    struct rn_sa_epoch_entry entry;
    RN_TRY(rn_sa_epoch_reveal_read(context, set, bytes, &entry, err));
    *out_place = entry.place;
    return rn_ok();
}

/* ---- Permutation */

void rn_sa_epoch_permutation(const uint8_t seed[static RN_HASH_BYTES], uint32_t members,
                             uint32_t out[])
{
    struct rn_secret32 key;
    struct rn_stream stream;
    rn_kdf_sha256(&key, rn_view_of(seed, RN_HASH_BYTES), rn_view_of(NULL, 0), TAG_PERMUTATION,
                  rn_view_of(NULL, 0));
    rn_stream_init(&stream, &key);
    for (uint32_t p = 0; p < members; p++) {
        out[p] = p;
    }
    for (uint32_t p = members; p-- > 1;) {
        const uint32_t q = (uint32_t)rn_stream_below(&stream, (uint64_t)p + 1);
        const uint32_t member = out[p];
        out[p] = out[q];
        out[q] = member;
    }
}
