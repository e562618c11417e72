/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold for honest members after every session, computed from what they sent and what the
 * adversary's own members hold; no machine is asked. Included by test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

/* What honest members let out in one session. */
struct let_out {
    const struct seance *seance;
    struct rn_sa_set of_s[PLACES]; /* who gave its share of this member's s */
    struct rn_sa_set of_b[PLACES];
    uint8_t t2[RN_HASH_BYTES]; /* under which */
    bool any;
    uint32_t shares; /* that corrupt members hold of each secret, at most */
};

static bool is_of(const struct plot *p, const struct note *note, enum rn_sa_type type,
                  const struct seance *seance)
{
    return rn_sa_set_has(&p->honest, note->from) && note->m.type == type &&
           same(note->m.session, seance->id);
}

/* Honest members whose vote said this before note number end, and all corrupt ones. */
static uint32_t count_votes(const struct plot *p, const struct seance *seance, uint8_t kind,
                            const uint8_t *t2, size_t end)
{
    struct rn_sa_set voters = p->corrupt;
    for (size_t k = 0; k < end; k++) {
        const struct note *note = &p->notes[k];
        if (is_of(p, note, RN_SA_VOTE, seance) && note->m.body.data[0] == kind &&
            (t2 == NULL || same(note->m.body.data + 4, t2))) {
            rn_sa_set_add(&voters, note->from);
        }
    }
    return rn_sa_set_count(&voters);
}

static void read_reveal(const struct plot *p, const struct note *note, struct let_out *out)
{
    struct rn_reader r = rn_reader_of(note->m.body);
    for (uint32_t left = rn_read_u32(&r); left > 0; left--) {
        const uint32_t place = rn_read_u32(&r);
        const uint32_t kind = rn_read_u32(&r);
        (void)rn_read_view(&r, 32);
        assert_true(place < PLACES);
        if (kind != RN_SA_KIND_NONE) {
            rn_sa_set_add(kind == RN_SA_KIND_S ? &out->of_s[place] : &out->of_b[place], note->from);
        }
        /* never both of one peer */
        assert_false(rn_sa_set_has(&out->of_s[place], note->from) &&
                     rn_sa_set_has(&out->of_b[place], note->from));
    }
    assert_true(rn_reader_done(&r));
    /* only under a certificate, and under one only */
    assert_true(count_votes(p, out->seance, RN_SA_VOTE_SURVIVORS, note->m.transcript,
                            (size_t)(note - p->notes)) >= rn_sa_quorum(&p->sim->params));
    assert_true(!out->any || same(out->t2, note->m.transcript));
    out->any = true;
    memcpy(out->t2, note->m.transcript, RN_HASH_BYTES);
}

/* A member signs one thing once: Ready, Shares, Ack, each chunk, Done, Vote, Receipt. */
static void check_signed_once(const struct plot *p, size_t at)
{
    const struct note *note = &p->notes[at];
    const enum rn_sa_type type = note->m.type;
    if (type == RN_SA_FOLLOW || type == RN_SA_AUDIT) {
        return;
    }
    for (size_t k = 0; k < at; k++) {
        const struct note *other = &p->notes[k];
        const bool alike =
            other->from == note->from && other->m.type == type &&
            same(other->m.session, note->m.session) &&
            (type != RN_SA_CHUNK || memcmp(other->m.body.data, note->m.body.data, 8) == 0);
        assert_true(!alike || memcmp(other->m.envelope.data, note->m.envelope.data,
                                     RN_SA_ENVELOPE_BYTES) == 0);
    }
}

static bool is_open(const struct let_out *out, const struct rn_sa_set *shares, uint32_t quorum)
{
    return rn_sa_set_count(shares) + out->shares >= quorum;
}

/* What can be computed of the uploads under one T1: masks of a pair are known when one side's s is
 * open. So a member whose s is open stands alone, and all others stand together. */
static bool check_openings(const struct plot *p, const struct let_out *out, const uint8_t *t1,
                           const struct rn_sa_set *linked)
{
    const uint32_t quorum = rn_sa_quorum(&p->sim->params);
    uint32_t together = 0;
    bool all = true;
    const struct rn_sa_set honest = rn_sa_set_both(linked, &p->honest);
    FOR_EACH(i, &honest)
    {
        const bool bare =
            find_upload(p, i, t1, NULL) != NULL && is_open(out, &out->of_b[i], quorum);
        if (is_open(out, &out->of_s[i], quorum)) {
            assert_false(bare); /* its vector alone */
        } else {
            together++;
            all = all && bare;
        }
    }
    if (together == 0 || !all) {
        return false;
    }
    assert_true(together >= p->sim->params.honest);
    return true;
}

static void check_seance(struct plot *p, struct seance *seance)
{
    struct let_out *out = rn_alloc(1, sizeof *out);
    out->seance = seance;
    out->shares = rn_sa_set_count(&p->corrupt);
    for (size_t k = 0; k < p->note_count; k++) {
        if (is_of(p, &p->notes[k], RN_SA_REVEAL, seance)) {
            read_reveal(p, &p->notes[k], out);
        }
    }
    const bool before = seance->opened;
    uint8_t opened[RN_HASH_BYTES];
    bool one = false;
    for (size_t k = 0; k < p->upload_count; k++) {
        const struct upload *u = &p->uploads[k];
        if (same(u->session, seance->id) && rn_sa_set_has(&p->honest, u->member) &&
            check_openings(p, out, u->t1, &u->linked)) {
            assert_true(!one || same(opened, u->t1));
            one = seance->opened = true;
            memcpy(opened, u->t1, RN_HASH_BYTES);
        }
    }
    p->tally->opened += seance->opened && !before;
    rn_free(out);
}

/* Rule A9: one update, encoded twice, has an abort certificate for the first time in between; and
 * one of the sums at most is ever open. */
static void check_spent(struct plot *p)
{
    for (size_t k = 0; k < p->upload_count; k++) {
        for (size_t j = 0; j < k; j++) {
            const struct upload *first = &p->uploads[j];
            const struct upload *second = &p->uploads[k];
            const struct seance *a = find_seance(p, first->session);
            const struct seance *b = find_seance(p, second->session);
            if (first->member != second->member || a == b ||
                !rn_sa_set_has(&p->honest, first->member) || (a->active & b->active) == 0 ||
                !same(a->adapter, b->adapter)) {
                continue;
            }
            assert_true(count_votes(p, a, RN_SA_VOTE_ABORT, NULL, second->at) >=
                        rn_sa_quorum(&p->sim->params));
            assert_false(a->opened && b->opened);
            p->tally->encoded_again++;
        }
    }
}

/* One session of a round and attempt; and what was joined before is closed. */
static void check_joined(struct plot *p, size_t at)
{
    const struct note *note = &p->notes[at];
    const struct seance *here = find_seance(p, note->m.session);
    if (note->m.type != RN_SA_READY && note->m.type != RN_SA_DONE) {
        return;
    }
    for (size_t k = 0; k < at; k++) {
        const struct note *other = &p->notes[k];
        if (other->from != note->from || other->m.type != RN_SA_READY ||
            same(other->m.session, note->m.session)) {
            continue;
        }
        const struct seance *there = find_seance(p, other->m.session);
        assert_true(here->round > there->round ||
                    (here->round == there->round && here->attempt > there->attempt));
    }
}

static void check_all(struct plot *p)
{
    for (uint32_t k = 0; k < p->seance_count; k++) {
        check_seance(p, &p->seances[k]);
    }
    for (size_t k = p->session_start; k < p->note_count; k++) {
        if (rn_sa_set_has(&p->honest, p->notes[k].from)) {
            check_signed_once(p, k);
            check_joined(p, k);
        }
    }
    check_spent(p);
}
