/* SPDX-License-Identifier: Apache-2.0
 *
 * R4 at the coordinator. The first t shares of a secret are taken as they are, and the secret is
 * checked against the point that its member published. Only where it does not match is every share
 * checked against its dealer's commitments: a false one blames the holder that signed it, and the
 * others go on. What is opened stays opened; nothing is computed twice.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/feldman.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/openmasks.h"
#include "crypto/shamir.h"

#include <string.h>

static struct rn_sa_answers *keep_answers(struct rn_sa_aggregator *a, uint32_t holder,
                                          const struct rn_sa_revealed *revealed)
{
    const struct rn_sa_set owed = rn_sa_reveal_members(&a->t, holder);
    struct rn_sa_answers *answers =
        rn_alloc(1, sizeof *answers + rn_sa_set_count(&owed) * sizeof answers->shares[0]);
    answers->owed = owed;
    uint32_t place = 0;
    for (uint32_t i = rn_sa_set_next(&owed, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&owed, i + 1)) {
        answers->shares[place++] = revealed[i].share;
        if (revealed[i].held) {
            rn_sa_set_add(&answers->members, i);
            a->available[i]++;
        }
    }
    return answers;
}

/* The share of this member that the holder revealed; NULL: none, or a false one. */
static const struct rn_scalar *answer_of(const struct rn_sa_aggregator *a, uint32_t holder,
                                         uint32_t member)
{
    const struct rn_sa_answers *answers = a->answers[holder];
    return answers != NULL && rn_sa_set_has(&answers->members, member)
               ? &answers->shares[rn_sa_set_rank(&answers->owed, member)]
               : NULL;
}

rn_result rn_sa_aggregator_on_reveal(struct rn_sa_aggregator *a,
                                     const struct rn_sa_message *message,
                                     struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    const uint32_t holder = message->sender;
    RN_ENSURE(rn_sa_set_has(&a->t.survivors, holder), err, RN_E_PEER_PROTOCOL,
              "reveal: its sender is not among the survivors");
    struct rn_sa_revealed *RN_CLEANUP(rn_free_cleanup) revealed =
        rn_alloc(a->t.graph.members, sizeof *revealed);
    RN_TRY(rn_sa_reveal_read(&a->t, holder, message->body, revealed, err));
    a->answers[holder] = keep_answers(a, holder, revealed);
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

/* The first t shares that are not known to be false, of which there are as many. */
static void gather(const struct rn_sa_aggregator *a, uint32_t member, struct combination *out)
{
    const struct rn_sa_set *holders = &a->t.peers[member].holders;
    uint32_t count = 0;
    for (uint32_t j = rn_sa_set_next(holders, 0); j < RN_SA_MEMBERS_MAX && count < a->t.threshold;
         j = rn_sa_set_next(holders, j + 1)) {
        const struct rn_scalar *share = answer_of(a, j, member);
        if (share != NULL) {
            out->holders[count] = j;
            out->shares[count++] = *share;
        }
    }
    RN_BUG_IF(count != a->t.threshold);
}

static void combine(const struct rn_sa_aggregator *a, struct combination *c, struct rn_scalar *out)
{
    const size_t t = a->t.threshold;
    if (!c->has_weights || memcmp(c->holders, c->weighted, t * sizeof c->holders[0]) != 0) {
        const rn_result weighed = rn_shamir_weights(c->holders, t, c->weights, NULL);
        RN_BUG_IF(!rn_is_ok(weighed));
        memcpy(c->weighted, c->holders, sizeof c->holders);
        c->has_weights = true;
    }
    rn_shamir_combine(c->weights, c->shares, t, out);
}

/* The shares of one secret that were not checked yet. */
struct doubts {
    uint32_t count;
    uint32_t holders[RN_SA_MEMBERS_MAX];
    struct rn_point expected[RN_SA_MEMBERS_MAX];
};

static void find_doubts(const struct rn_sa_aggregator *a, uint32_t member, struct doubts *out)
{
    const struct rn_sa_set *holders = &a->t.peers[member].holders;
    out->count = 0;
    for (uint32_t j = rn_sa_set_next(holders, 0); j < RN_SA_MEMBERS_MAX;
         j = rn_sa_set_next(holders, j + 1)) {
        if (answer_of(a, j, member) != NULL && !rn_sa_set_has(&a->answers[j]->checked, member)) {
            out->holders[out->count++] = j;
        }
    }
}

/* expected: quickly computed; NULL: it could not be. Who is to be blamed is judged again, once; of
 * those who are the other false shares only go. */
static bool is_false(const struct rn_sa_aggregator *a, uint32_t member, uint32_t holder,
                     const struct rn_point *expected, struct rn_view coefficients)
{
    const struct rn_scalar *share = answer_of(a, holder, member);
    if (expected != NULL && rn_feldman_matches(expected, share)) {
        return false;
    }
    return (expected != NULL && rn_sa_set_has(&a->blamed, holder)) ||
           !rn_is_ok(rn_sa_share_check(&a->t, rn_sa_kind_due(&a->t, member), member, holder,
                                       coefficients, share, NULL));
}

static void drop_share(struct rn_sa_aggregator *a, uint32_t member, uint32_t holder)
{
    rn_sa_set_remove(&a->answers[holder]->members, member); /* it acknowledged another share */
    a->available[member]--;
    if (!rn_sa_set_has(&a->blamed, holder)) {
        rn_sa_set_add(&a->blamed, holder);
        a->blamed_for[holder] = member;
    }
}

/* Checks every share of one secret that was not checked yet; false when all of them are right. */
static bool sort_out(struct rn_sa_aggregator *a, uint32_t member)
{
    const enum rn_sa_kind kind = rn_sa_kind_due(&a->t, member);
    const struct rn_view coefficients =
        rn_sa_dealing_coefficients(&a->t, &a->dealings[member], kind);
    struct doubts *RN_CLEANUP(rn_free_cleanup) doubts = rn_alloc(1, sizeof *doubts);
    find_doubts(a, member, doubts);
    const bool quick = rn_is_ok(rn_sa_shares_expected(
        &a->t, kind, member, coefficients, doubts->holders, doubts->count, doubts->expected, NULL));
    bool found = false;
    for (uint32_t k = 0; k < doubts->count; k++) {
        const uint32_t holder = doubts->holders[k];
        rn_sa_set_add(&a->answers[holder]->checked, member);
        const struct rn_point *expected = quick ? &doubts->expected[k] : NULL;
        if (is_false(a, member, holder, expected, coefficients)) {
            found = true;
            drop_share(a, member, holder);
        }
    }
    return found;
}

/* False while there are fewer than t right shares. */
static bool open_secret(struct rn_sa_aggregator *a, uint32_t member, struct combination *c)
{
    while (a->available[member] >= a->t.threshold) {
        gather(a, member, c);
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
    RN_TRY(rn_sa_open_masks_new(&a->t, a->secrets, a->config.parallel, &masks, NULL));
    return rn_sa_open_masks_take(masks, a->vector.lanes, a->t.layout.lane_bytes, 0,
                                 a->t.layout.lanes, NULL);
}

enum rn_sa_unmask rn_sa_aggregator_unmask(struct rn_sa_aggregator *a)
{
    const struct rn_sa_set *got = &a->got[RN_SA_REVEAL];
    if (rn_sa_set_count(got) < a->t.threshold || rn_sa_set_equal(got, &a->tried)) {
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
