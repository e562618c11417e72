/* SPDX-License-Identifier: Apache-2.0
 *
 * R4 at the coordinator. The first t shares of a secret are taken as they are, and the secret is
 * checked against the point that its member published. Only where it does not match is every share
 * checked against its dealer's commitments: a false one blames the holder that signed it, and the
 * others go on. What is opened stays opened; nothing is computed twice.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/openmasks.h"
#include "crypto/shamir.h"

#include <string.h>

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
    a->answers[holder] = RN_TAKE(answers);
    rn_sa_aggregator_keep(a, message);
    return rn_ok();
}

/* t shares of one secret, and Lagrange's weights for their holders, which mostly are the same for
 * all secrets. */
struct combination {
    uint32_t holders[RN_SA_MEMBERS_MAX];
    uint32_t weighted[RN_SA_MEMBERS_MAX]; /* whose weights these are */
    struct rn_scalar weights[RN_SA_MEMBERS_MAX];
    struct rn_scalar shares[RN_SA_MEMBERS_MAX];
    bool has_weights;
};

/* The first t shares that are not known to be false; false when there are fewer. */
static bool gather(const struct rn_sa_aggregator *a, uint32_t member, struct combination *out)
{
    uint32_t count = 0;
    for (uint32_t j = 0; j < RN_SA_MEMBERS_MAX && count < a->t.quorum; j++) {
        if (a->answers[j] != NULL && a->answers[j]->of[member].held) {
            out->holders[count] = j;
            out->shares[count++] = a->answers[j]->of[member].share;
        }
    }
    return count == a->t.quorum;
}

static void combine(const struct rn_sa_aggregator *a, struct combination *c, struct rn_scalar *out)
{
    const size_t t = a->t.quorum;
    if (!c->has_weights || memcmp(c->holders, c->weighted, t * sizeof c->holders[0]) != 0) {
        const rn_result weighed = rn_shamir_weights(c->holders, t, c->weights, NULL);
        RN_BUG_IF(!rn_is_ok(weighed));
        memcpy(c->weighted, c->holders, sizeof c->holders);
        c->has_weights = true;
    }
    rn_shamir_combine(c->weights, c->shares, t, out);
}

/* Checks every share of one secret that was not checked yet; false when all of them are right. */
static bool sort_out(struct rn_sa_aggregator *a, uint32_t member)
{
    const enum rn_sa_kind kind = rn_sa_kind_due(&a->t, member);
    const struct rn_view coefficients =
        rn_sa_dealing_coefficients(&a->t, &a->dealings[member], kind);
    bool found = false;
    for (uint32_t j = 0; j < RN_SA_MEMBERS_MAX; j++) {
        struct rn_sa_answers *answers = a->answers[j];
        if (answers == NULL || !answers->of[member].held ||
            rn_sa_set_has(&answers->checked, member)) {
            continue;
        }
        rn_sa_set_add(&answers->checked, member);
        if (!rn_is_ok(rn_sa_share_check(&a->t, kind, member, j, coefficients,
                                        &answers->of[member].share, NULL))) {
            found = true;
            answers->of[member].held = false; /* it acknowledged another share */
            if (!rn_sa_set_has(&a->blamed, j)) {
                rn_sa_set_add(&a->blamed, j);
                a->blamed_for[j] = member;
            }
        }
    }
    return found;
}

/* False while there are fewer than t right shares. */
static bool open_secret(struct rn_sa_aggregator *a, uint32_t member, struct combination *c)
{
    while (gather(a, member, c)) {
        combine(a, c, &a->secrets[member]);
        if (rn_sa_secret_matches(&a->t, member, &a->secrets[member])) {
            rn_sa_set_add(&a->opened, member);
            return true;
        }
        /* t right shares lie on one polynomial, and its value at 0 is the published point's. */
        RN_BUG_IF(!sort_out(a, member));
    }
    return false;
}

static bool open_secrets(struct rn_sa_aggregator *a)
{
    struct combination *RN_CLEANUP(rn_free_cleanup) c = rn_alloc(1, sizeof *c);
    bool all = true;
    for (uint32_t i = rn_sa_set_next(&a->t.linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&a->t.linked, i + 1)) {
        all = (rn_sa_set_has(&a->opened, i) || open_secret(a, i, c)) && all;
    }
    return all;
}

static rn_result take_masks_off(struct rn_sa_aggregator *a)
{
    struct rn_sa_open_masks *RN_CLEANUP(rn_sa_open_masks_free_cleanup) masks = NULL;
    RN_TRY(rn_sa_open_masks_new(&a->t, a->secrets, &masks, NULL));
    return rn_sa_open_masks_take(masks, a->vector.lanes, a->t.layout.lane_bytes, 0,
                                 a->t.layout.lanes, NULL);
}

enum rn_sa_unmask rn_sa_aggregator_unmask(struct rn_sa_aggregator *a)
{
    const struct rn_sa_set *got = &a->got[RN_SA_REVEAL];
    if (rn_sa_set_count(got) < a->t.quorum || rn_sa_set_equal(got, &a->tried)) {
        return RN_SA_UNMASK_WAIT; /* nothing new: a tick computes nothing */
    }
    a->tried = *got;
    if (!open_secrets(a)) {
        return RN_SA_UNMASK_WAIT;
    }
    const rn_result off = take_masks_off(a);
    RN_BUG_IF(!rn_is_ok(off)); /* all keys were checked; the cipher does not fail */
    rn_sa_vector_reduce(&a->vector);
    if (a->t.context.blind) {
        return RN_SA_UNMASK_DONE; /* every lane is random here: the members look at the range */
    }
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
