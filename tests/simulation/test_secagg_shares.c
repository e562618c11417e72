/* SPDX-License-Identifier: Apache-2.0
 *
 * case 16, case 25. Sealed shares that go to the wrong place: reflected to their author, swapped
 * between two holders, from another session, with any field of theirs changed, cut or left out. The
 * coordinator alone cannot do any of it, since a dealer signs every entry; a dealer that does gets
 * complaints, and whoever complains holds nothing of it.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

#define MEMBERS 5u
#define DEALER 2u
#define HOLDER 1u

static uint8_t *entry_at(const struct rn_sa_transcript *t, uint8_t *body, uint32_t holder)
{
    return body + 2 * rn_sa_coefficient_bytes(t) + holder * (size_t)RN_SA_SEALED_BYTES;
}

/* ---- the coordinator alone ---- */

struct swapped {
    bool done;
};

/* In the honest share set, the entry for the holder is another: each other entry of the dealer, the
 * same dealer's one with each byte changed, another dealer's. */
static bool swap_entries(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct swapped *swapped = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)from;
    if (m.type != RN_SA_SHARES_SET || to != HOLDER || swapped->done) {
        return true;
    }
    swapped->done = true;
    const struct rn_sa_aggregator *a = sim->aggregator;
    const size_t part = (m.body.length - 4) / MEMBERS;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    uint8_t *entry = body.data + 4 + (DEALER + 1) * part - RN_SA_SEALED_BYTES;
    uint8_t honest[RN_SA_SEALED_BYTES];
    memcpy(honest, entry, sizeof honest);
    for (uint32_t dealer = 0; dealer < MEMBERS; dealer++) {
        for (uint32_t holder = 0; holder < MEMBERS; holder++) {
            uint8_t *other = a->dealings[dealer].message.data + RN_SA_ENVELOPE_BYTES;
            memcpy(entry, entry_at(&a->t, other, holder), sizeof honest);
            if (memcmp(entry, honest, sizeof honest) != 0) {
                lie_refused(sim, HOLDER, &m, rn_buffer_view(&body),
                            "the entry is not the one that member 2 signed");
            }
        }
    }
    for (size_t at = 0; at < sizeof honest; at++) {
        memcpy(entry, honest, sizeof honest);
        entry[at] ^= 0x10;
        lie_refused(sim, HOLDER, &m, rn_buffer_view(&body), "the entry is not the one");
    }
    memcpy(entry, honest, sizeof honest);
    /* whole parts: twice, in another order, one too few or too many bytes */
    uint8_t *const first = body.data + 4;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) parts = {0};
    rn_buffer_append(&parts, body.data, body.length);
    memcpy(first + part, parts.data + 4, part);
    lie_refused(sim, HOLDER, &m, rn_buffer_view(&body), "dealers repeat or are out of order");
    memcpy(first, parts.data + 4 + part, part);
    lie_refused(sim, HOLDER, &m, rn_buffer_view(&body), "dealers repeat or are out of order");
    lie_refused(sim, HOLDER, &m, rn_view_of(parts.data, parts.length - 1), "wrong length");
    lie_refused(sim, HOLDER, &m, rn_view_of(parts.data, parts.length - RN_SA_SEALED_BYTES),
                "wrong length");
    rn_buffer_u8(&parts, 0);
    lie_refused(sim, HOLDER, &m, rn_buffer_view(&parts), "wrong length");
    return true;
}

/* case 16 */
static void test_entries_are_signed(void **state)
{
    (void)state;
    struct swapped swapped = {false};
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 160,
                                        .tamper = swap_entries,
                                        .tamper_context = &swapped};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_true(swapped.done);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    sim_free(sim);
}

/* ---- with a dealer that signs it ---- */

/* What the dealer puts into its entry for the holder. */
enum misplaced {
    REFLECTED,     /* what the holder sealed for the dealer */
    ANOTHERS,      /* what it sealed for another holder */
    OTHER_SESSION, /* sealed under the context of another session */
    OTHER_T0,
    OTHER_WAY,    /* sealed as from the holder to the dealer */
    FIELD_DEALER, /* sealed well, one field of the plain text changed ... */
    FIELD_HOLDER,
    FIELD_SESSION,
    FIELD_S,
    FIELD_B,
    NOT_CANONICAL_S, /* ... to a scalar that is none */
    NOT_CANONICAL_B,
    MISPLACED,
};

struct bad_entry {
    enum misplaced kind;
    size_t flip; /* or, above kinds: a byte of the sealed text */
};

/* Seals the dealer's plain text for the holder again, with a change. */
static void seal_again(struct sim *sim, enum misplaced kind, uint8_t *sealed)
{
    static const size_t at[MISPLACED] = {
        [FIELD_DEALER] = 0, [FIELD_HOLDER] = 4,          [FIELD_SESSION] = 8 + 31,   [FIELD_S] = 40,
        [FIELD_B] = 72,     [NOT_CANONICAL_S] = 40 + 31, [NOT_CANONICAL_B] = 72 + 31};
    const struct rn_sa_transcript *t = &sim->members[DEALER]->t;
    const struct rn_sa_secrets *mine = &sim->members[DEALER]->vault->session;
    const struct rn_sa_secrets *theirs = &sim->members[HOLDER]->vault->session;
    struct rn_channel_context context = {.from = DEALER, .to = HOLDER};
    uint8_t plain[RN_SA_SEALED_BYTES - RN_CHANNEL_OVERHEAD];
    memcpy(context.session, t->session, RN_HASH_BYTES);
    memcpy(context.transcript, t->t0, RN_HASH_BYTES);
    assert_true(rn_is_ok(rn_channel_open(&theirs->channel, &t->peers[DEALER].channel, &context,
                                         rn_view_of(sealed, RN_SA_SEALED_BYTES), plain, NULL)));
    context.session[0] ^= kind == OTHER_SESSION;
    context.transcript[0] ^= kind == OTHER_T0;
    context.from = kind == OTHER_WAY ? HOLDER : DEALER;
    context.to = kind == OTHER_WAY ? DEALER : HOLDER;
    if (kind >= FIELD_DEALER) {
        plain[at[kind]] ^= kind >= NOT_CANONICAL_S ? 0x80 : 1;
    }
    assert_true(rn_is_ok(rn_channel_seal(&mine->channel, &t->peers[HOLDER].channel, &context,
                                         rn_view_of(plain, sizeof plain), sealed, NULL)));
}

static void misplace(struct sim *sim, const struct bad_entry *bad, struct rn_buffer *body)
{
    const struct rn_sa_transcript *t = &sim->members[DEALER]->t;
    uint8_t *entry = entry_at(t, body->data, HOLDER);
    if (bad->kind == MISPLACED) {
        entry[bad->flip] ^= 1;
    } else if (bad->kind == REFLECTED) { /* members answer in roster order: it is there */
        uint8_t *theirs = sim->members[HOLDER]->shares.data + RN_SA_ENVELOPE_BYTES;
        memcpy(entry, entry_at(t, theirs, DEALER), RN_SA_SEALED_BYTES);
    } else if (bad->kind == ANOTHERS) {
        memcpy(entry, entry_at(t, body->data, HOLDER + 2), RN_SA_SEALED_BYTES);
    } else {
        seal_again(sim, bad->kind, entry);
    }
}

static bool deal(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (m.type != RN_SA_SHARES || from != DEALER) {
        return true;
    }
    uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    struct rn_sa_shares_hashes hashes;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    misplace(sim, sim->options.tamper_context, &body);
    rn_sa_shares_hash(&sim->aggregator->t, from, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(&sim->aggregator->t, from, &hashes, root);
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, root, &forged);
    rn_buffer_clear(&sim->members[DEALER]->shares); /* it stands by what it sent */
    rn_buffer_append(&sim->members[DEALER]->shares, forged.data, forged.length);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* The one holder complains, holds nothing, and answers with nothing for that dealer; the session
 * gets its sum, for which t others hold the shares. */
static void check_misplaced(const struct bad_entry *bad)
{
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 161,
                                        .tamper = deal,
                                        .tamper_context = (void *)(uintptr_t)bad};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_true(rn_sa_set_has(&sim->members[i]->valid, DEALER) == (i != HOLDER));
    }
    assert_false(rn_sa_set_has(&sim->aggregator->t.peers[DEALER].holders, HOLDER));
    assert_non_null(sim->nodes[HOLDER].reveal);
    const uint8_t *answer =
        sim->nodes[HOLDER].reveal + RN_SA_ENVELOPE_BYTES + 4 + DEALER * RN_SA_REVEAL_ENTRY;
    static const uint8_t nothing[32] = {0};
    assert_int_equal(lie_u32(answer), DEALER);
    assert_int_equal(lie_u32(answer + 4), RN_SA_KIND_NONE);
    assert_memory_equal(answer + 8, nothing, sizeof nothing);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    sim_free(sim);
}

/* case 16 */
static void test_misplaced_entries(void **state)
{
    (void)state;
    for (enum misplaced kind = REFLECTED; kind < MISPLACED; kind++) {
        const struct bad_entry bad = {.kind = kind};
        check_misplaced(&bad);
    }
    for (size_t at = 0; at < RN_SA_SEALED_BYTES; at += sim_is_long() ? 1 : 7) {
        const struct bad_entry bad = {MISPLACED, at};
        check_misplaced(&bad);
    }
}

/* ---- lengths ---- */

/* Shares with an entry or a commitment too few or too many, with nothing, or with half of one. */
static bool deal_lengths(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (m.type != RN_SA_SHARES || from != DEALER) {
        return true;
    }
    static const int changes[] = {-(int)RN_SA_SEALED_BYTES,
                                  (int)RN_SA_SEALED_BYTES,
                                  -(int)RN_POINT_BYTES,
                                  (int)RN_POINT_BYTES,
                                  2 * (int)RN_POINT_BYTES,
                                  -1,
                                  1,
                                  -(int)RN_SA_SEALED_BYTES / 2};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    rn_buffer_append(&body, m.body.data, RN_SA_SEALED_BYTES);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(changes); k++) {
        const size_t length = (size_t)((long)m.body.length + changes[k]);
        sim_sign_again(sim, &m, rn_view_of(body.data, length), NULL, m.body_hash, &forged);
        lie_bytes_refused(sim, SIM_COORDINATOR, rn_buffer_view(&forged),
                          "not t - 1 commitments to each secret and one entry per holder");
    }
    sim_sign_again(sim, &m, rn_view_of(body.data, 0), NULL, m.body_hash, &forged);
    sim_expect_refused(sim, from, SIM_COORDINATOR, rn_buffer_view(&forged));
    return true;
}

/* case 25 */
static void test_lengths(void **state)
{
    (void)state;
    const struct sim_options options = {
        .members = MEMBERS, .colluding = 1, .losses = 1, .seed = 162, .tamper = deal_lengths};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_signed),
        cmocka_unit_test(test_misplaced_entries),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
