/* SPDX-License-Identifier: Apache-2.0
 *
 * R4 at the coordinator. Every share is checked against its dealer's commitment, every rebuilt
 * secret against what its member published; only then are masks taken off. A wrong answer blames
 * its sender, a wrong secret its dealer.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/maskkey.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/shamir.h"

#include <string.h>

/* The dealer's signed commitment to the share that the certificate opens. */
static const uint8_t *commitment_of(const struct rn_sa_aggregator *a, uint32_t dealer,
                                    uint32_t holder)
{
    const bool survivor = rn_sa_set_has(&a->t.survivors, dealer);
    const size_t entry = (size_t)rn_sa_transcript_place(&a->t, holder) * RN_SA_ENTRY_BYTES;
    return a->dealings[dealer].message.data + RN_SA_ENVELOPE_BYTES + entry + RN_SA_SEALED_BYTES +
           (survivor ? RN_HASH_BYTES : 0);
}

rn_result rn_sa_aggregator_on_reveal(struct rn_sa_aggregator *a,
                                     const struct rn_sa_message *message,
                                     struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    const uint32_t holder = message->sender;
    RN_ENSURE(rn_sa_set_has(&a->t.survivors, holder), err, RN_E_PEER_PROTOCOL,
              "reveal: its sender is not among the survivors");
    struct rn_sa_answers *RN_CLEANUP(rn_free_cleanup) answers = rn_alloc(1, sizeof *answers);
    RN_TRY(rn_sa_reveal_read(&a->t, holder, message->body, answers->of, err));
    for (uint32_t i = 0; i < RN_SA_MEMBERS_MAX; i++) {
        struct rn_sa_revealed *one = &answers->of[i];
        if (!one->held) {
            continue;
        }
        const bool survivor = rn_sa_set_has(&a->t.survivors, i);
        uint8_t hash[RN_HASH_BYTES];
        rn_sa_share_commit(&a->t, survivor ? RN_SA_KIND_B : RN_SA_KIND_S, i, holder, &one->share,
                           one->opening, hash);
        if (memcmp(hash, commitment_of(a, i, holder), RN_HASH_BYTES) != 0) {
            one->held = false; /* it acknowledged another share */
            rn_sa_set_add(&a->blamed, holder);
        }
    }
    a->answers[holder] = RN_TAKE(answers);
    rn_sa_aggregator_keep(a, message);
    return rn_ok();
}

/* The secret of one member from the first t valid shares; false while there are fewer. */
static bool rebuild(const struct rn_sa_aggregator *a, uint32_t member, struct rn_scalar *out)
{
    uint32_t holders[RN_SA_MEMBERS_MAX];
    struct rn_scalar shares[RN_SA_MEMBERS_MAX];
    uint32_t count = 0;
    for (uint32_t j = 0; j < RN_SA_MEMBERS_MAX && count < a->t.quorum; j++) {
        if (a->answers[j] != NULL && a->answers[j]->of[member].held) {
            holders[count] = j;
            shares[count++] = a->answers[j]->of[member].share;
        }
    }
    return count == a->t.quorum &&
           rn_is_ok(rn_shamir_reconstruct(holders, shares, count, out, NULL));
}

/* Adds a key, and applies the set first when it is full. */
static rn_result add_key(struct rn_sa_aggregator *a, struct rn_mask_set **masks,
                         const struct rn_secret32 *key, int sign)
{
    if (rn_mask_set_count(*masks) == RN_MASK_SET_MAX) {
        RN_TRY(rn_sa_vector_mask(&a->vector, *masks, NULL));
        rn_mask_set_free(*masks);
        *masks = rn_mask_set_new(RN_MASK_SET_MAX);
    }
    return rn_mask_set_insert(*masks, key, sign, NULL);
}

static rn_result add_keys_of(struct rn_sa_aggregator *a, uint32_t member,
                             const struct rn_scalar *secret, struct rn_mask_set **masks)
{
    struct rn_mask_context context;
    memcpy(context.session, a->t.session, RN_HASH_BYTES);
    memcpy(context.transcript, a->t.t1, RN_HASH_BYTES);
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    const struct rn_sa_set *survivors = &a->t.survivors;
    if (rn_sa_set_has(survivors, member)) {
        rn_mask_key_self(&context, secret, member, &key);
        return add_key(a, masks, &key, -1);
    }
    for (uint32_t j = rn_sa_set_next(survivors, 0); j < RN_SA_MEMBERS_MAX;
         j = rn_sa_set_next(survivors, j + 1)) {
        RN_TRY(rn_mask_key_pair(&context, secret, member, &a->t.peers[j].mask, j, &key, NULL));
        RN_TRY(add_key(a, masks, &key, -rn_mask_sign(j, member)));
    }
    return rn_ok();
}

static rn_result take_masks_off(struct rn_sa_aggregator *a, const struct rn_scalar *secrets)
{
    struct rn_mask_set *RN_CLEANUP(rn_mask_set_free_cleanup) masks =
        rn_mask_set_new(RN_MASK_SET_MAX);
    for (uint32_t i = rn_sa_set_next(&a->t.linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&a->t.linked, i + 1)) {
        RN_TRY(add_keys_of(a, i, &secrets[i], &masks));
    }
    return rn_sa_vector_mask(&a->vector, masks, NULL);
}

enum rn_sa_unmask rn_sa_aggregator_unmask(struct rn_sa_aggregator *a,
                                          struct rn_scalar secrets[static RN_SA_MEMBERS_MAX])
{
    bool bad_dealer = false;
    for (uint32_t i = rn_sa_set_next(&a->t.linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&a->t.linked, i + 1)) {
        if (!rebuild(a, i, &secrets[i])) {
            return RN_SA_UNMASK_WAIT;
        }
        if (!rn_sa_secret_matches(&a->t, i, &secrets[i])) {
            rn_sa_set_add(&a->blamed, i);
            bad_dealer = true;
        }
    }
    if (bad_dealer) {
        return RN_SA_UNMASK_DEALER;
    }
    const rn_result off = take_masks_off(a, secrets);
    RN_BUG_IF(!rn_is_ok(off)); /* all keys were checked; the cipher does not fail */
    rn_sa_vector_reduce(&a->vector);
    const uint64_t largest = rn_sa_set_count(&a->t.survivors) * a->config.params.value_max;
    return rn_sa_vector_in_range(&a->vector, largest) ? RN_SA_UNMASK_DONE : RN_SA_UNMASK_RANGE;
}

void rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a, uint8_t out[static RN_HASH_BYTES])
{
    const uint32_t chunks = a->t.layout.chunks;
    uint8_t *RN_CLEANUP(rn_free_cleanup) leaves = rn_alloc(chunks, RN_HASH_BYTES);
    for (uint32_t i = 0; i < chunks; i++) {
        const size_t size = rn_sa_layout_chunk_bytes(&a->t.layout, i);
        uint8_t *RN_CLEANUP(rn_free_cleanup) packed = rn_alloc(size, 1);
        rn_sa_vector_pack(&a->vector, i, packed);
        const struct rn_sa_chunk part = {i, rn_view_of(packed, size)};
        rn_sa_chunk_leaf(&a->t, RN_SA_COORDINATOR, &part, leaves + (size_t)i * RN_HASH_BYTES);
    }
    rn_sa_chunk_root(&a->t, RN_SA_COORDINATOR, leaves, out);
}
