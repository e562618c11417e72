/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator of the adversary: Ready sets, shares, Acks. Included by
 * test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

/* ---- R0 */

static bool tell_readys(struct plot *p, struct face *f, const struct rn_buffer *readys,
                        const struct rn_sa_set *set)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_ready_set_write(readys, set, &body);
    return broadcast(p, f, RN_SA_READY_SET, rn_sa_ready_set_apply, &body);
}

/* Another Ready in an honest member's place: of another session, or with keys of the adversary's
 * under another's signature. */
static bool forge_ready(struct plot *p, struct face *f, struct rn_buffer *readys,
                        const struct rn_sa_set *got)
{
    const struct rn_sa_set honest = rn_sa_set_both(got, &p->honest);
    const uint32_t victim = any_of(p, &honest);
    if (victim == SIM_COORDINATOR) {
        return false;
    }
    struct rn_buffer kept = readys[victim];
    readys[victim] = (struct rn_buffer){0};
    for (size_t k = 0; k < p->session_start && chance(p, 50); k++) {
        if (p->notes[k].from == victim && p->notes[k].m.type == RN_SA_READY) {
            rn_buffer_append(&readys[victim], p->notes[k].bytes.data, p->notes[k].bytes.length);
            break;
        }
    }
    if (readys[victim].length == 0) {
        struct rn_sa_secrets *own = rn_alloc(1, sizeof *own);
        const struct rn_secret32 seed = {{(uint8_t)below(p, 256), 77}};
        rn_sa_secrets_draw(own, &seed, f->t.session);
        rn_sa_ready_write(&f->t, victim, own, p->sim->identities[rn_sa_set_next(&p->corrupt, 0)],
                          &readys[victim]);
        rn_free(own);
    }
    saw(p, READY_FORGED);
    const bool taken = tell_readys(p, f, readys, got);
    FOR_EACH(i, &f->told)
    { /* nobody deals to keys that their owner did not sign for this session */
        assert_true(!taken || find(p, i, RN_SA_SHARES, f->t.t0, no_head) == NULL);
    }
    rn_buffer_clear(&readys[victim]);
    readys[victim] = kept;
    return taken;
}

static void ready_stage(struct plot *p, struct face *f)
{
    struct rn_buffer readys[PLACES] = {{0}};
    const struct rn_sa_set all = everybody(p);
    struct rn_sa_set got = collect(p, RN_SA_READY, f->t.session, no_head, &all, readys);
    bool told = false;
    if (wants(p, READY_FEW)) {
        const struct rn_sa_set few = below_floor(p, &got);
        told = tell_readys(p, f, readys, &few);
        saw(p, READY_FEW);
    }
    if (!told && wants(p, READY_FORGED)) {
        told = forge_ready(p, f, readys, &got);
    }
    struct face *g = !told && wants(p, READY_SPLIT) ? fork_face(p, f) : NULL;
    if (g != NULL) {
        const struct rn_sa_set other = without_one(p, g, got);
        g->alive = tell_readys(p, g, readys, &other);
        got = chance(p, 50) ? without_one(p, f, got) : got;
    }
    f->alive = told || tell_readys(p, f, readys, &got);
    p->tally->seen[READY_SPLIT] += g != NULL && g->alive && f->alive;
    clear_all(readys);
}

/* ---- R1 */

static bool show_shares(struct plot *p, struct face *f, const struct rn_sa_dealing *dealings,
                        const struct rn_sa_set *dealers)
{
    FOR_EACH(h, &f->told)
    {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        if (rn_sa_set_has(&f->t.joined, h)) {
            const struct rn_sa_set only = rn_sa_set_only(h);
            rn_sa_shares_set_write(&f->t, dealings, dealers, h, &body);
            (void)tell(p, f, RN_SA_SHARES_SET, h, f->t.t0, rn_buffer_view(&body), &only);
        }
    }
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) next = rn_sa_transcript_copy(&f->t);
    bool ok = true;
    const struct rn_sa_set own = rn_sa_set_both(&p->corrupt, &f->t.joined);
    FOR_EACH(c, &own)
    {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        rn_sa_shares_set_write(&f->t, dealings, dealers, c, &body);
        ok = ok &&
             rn_is_ok(rn_sa_shares_set_apply(
                 &next, rn_buffer_view(&body), c, &f->secrets[c],
                 rn_view_of(dealings[c].message.data, RN_SA_ENVELOPE_BYTES), &f->valid[c], NULL));
    }
    ok = ok && !rn_sa_set_empty(&own);
    if (ok) {
        rn_sa_transcript_become(&f->t, &next);
    }
    return ok;
}

static void shares_stage(struct plot *p, struct face *f)
{
    struct rn_sa_dealing dealings[PLACES] = {{{0}, NULL}};
    struct rn_sa_set dealers = {{0}};
    FOR_EACH(i, &f->t.joined)
    {
        if (rn_sa_set_has(&p->corrupt, i)) {
            sign_shares(p, f, i);
        }
        const struct note *note = find(p, i, RN_SA_SHARES, f->t.t0, no_head);
        if (note != NULL) {
            dealings[i].leaves = rn_alloc(f->t.n, RN_HASH_BYTES);
            assert_true(rn_is_ok(rn_sa_shares_check(&f->t, &note->m, dealings[i].leaves, NULL)));
            rn_buffer_append(&dealings[i].message, note->bytes.data, note->bytes.length);
            rn_sa_set_add(&dealers, i);
        }
    }
    struct face *g = wants(p, SHARES_SPLIT) ? fork_face(p, f) : NULL;
    if (g != NULL) {
        const struct rn_sa_set fewer = without_one(p, g, dealers);
        g->alive = show_shares(p, g, dealings, &fewer);
        p->tally->seen[SHARES_SPLIT] += !rn_sa_set_equal(&fewer, &dealers);
    }
    f->alive = show_shares(p, f, dealings, &dealers);
    for (uint32_t i = 0; i < PLACES; i++) {
        rn_buffer_clear(&dealings[i].message);
        rn_free(dealings[i].leaves);
    }
}

static bool tell_acks(struct plot *p, struct face *f, const struct rn_buffer *acks,
                      const struct rn_sa_set *set)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_ack_set_write(&f->t, acks, set, &body);
    return broadcast(p, f, RN_SA_ACK_SET, rn_sa_ack_set_apply, &body);
}

/* Those that saw the same Shares as the corrupt members did in this face. */
static struct rn_sa_set of_one_view(const struct plot *p, const struct rn_buffer *acks,
                                    struct rn_sa_set set)
{
    const struct rn_sa_set corrupt = rn_sa_set_both(&p->corrupt, &set);
    const size_t seen = RN_SA_ENVELOPE_BYTES + RN_SA_SET_BYTES;
    const uint8_t *own = acks[rn_sa_set_next(&corrupt, 0)].data + seen;
    FOR_EACH(i, &set)
    {
        if (!same(acks[i].data + seen, own)) {
            rn_sa_set_remove(&set, i);
        }
    }
    return set;
}

static void acks_stage(struct plot *p, struct face *f)
{
    struct rn_buffer acks[PLACES] = {{0}};
    const struct rn_sa_set own = rn_sa_set_both(&p->corrupt, &f->t.joined);
    FOR_EACH(c, &own)
    {
        sign_ack(p, f, c);
    }
    const struct rn_sa_set any = collect(p, RN_SA_ACK, f->t.t0, no_head, &f->t.joined, acks);
    struct rn_sa_set got = of_one_view(p, acks, any);
    bool told = false;
    if (wants(p, ACKS_FEW)) {
        const struct rn_sa_set few = below_floor(p, &got);
        told = tell_acks(p, f, acks, rn_sa_set_equal(&any, &got) ? &few : &any);
        saw(p, ACKS_FEW);
    }
    struct face *g = !told && wants(p, ACKS_SPLIT) ? fork_face(p, f) : NULL;
    if (g != NULL) {
        const struct rn_sa_set other = without_one(p, g, got);
        g->alive = tell_acks(p, g, acks, &other);
        p->tally->seen[ACKS_SPLIT] += g->alive && !rn_sa_set_equal(&other, &got);
    }
    f->alive = told || tell_acks(p, f, acks, &got);
    clear_all(acks);
}
