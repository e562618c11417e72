/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator of the adversary from the offer to the certificate. Included by
 * test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

static struct face *new_face(struct plot *p)
{
    for (uint32_t k = 0; k < FACES; k++) {
        if (p->faces[k] == NULL) {
            p->faces[k] = rn_alloc(1, sizeof(struct face));
            p->faces[k]->alive = true;
            return p->faces[k];
        }
    }
    return NULL;
}

/* Some members are told another story from here on; NULL when there are too few, or too many
 * stories. */
static struct face *fork_face(struct plot *p, struct face *f)
{
    const uint32_t count = rn_sa_set_count(&f->told);
    struct face *g = count < 2 ? NULL : new_face(p);
    if (g == NULL) {
        return NULL;
    }
    *g = *f;
    g->told = (struct rn_sa_set){{0}};
    const uint32_t moved = chance(p, 50) ? 1 : 1 + below(p, count - 1);
    for (uint32_t k = 0; k < moved; k++) {
        const uint32_t i = any_of(p, &f->told);
        rn_sa_set_remove(&f->told, i);
        rn_sa_set_add(&g->told, i);
    }
    return g;
}

/* So many of a set. */
static struct rn_sa_set some_of(struct plot *p, struct rn_sa_set set, uint32_t count)
{
    while (rn_sa_set_count(&set) > count) {
        rn_sa_set_remove(&set, any_of(p, &set));
    }
    return set;
}

/* Without one that is not told this story. */
static struct rn_sa_set without_one(struct plot *p, const struct face *f, struct rn_sa_set set)
{
    const struct rn_sa_set others = rn_sa_set_minus(&p->honest, &f->told);
    const struct rn_sa_set left = rn_sa_set_both(&others, &set);
    rn_sa_set_remove(&set, any_of(p, &left));
    return set;
}

static struct rn_sa_set below_floor(struct plot *p, const struct rn_sa_set *set)
{
    const uint32_t floor = rn_sa_floor(&p->sim->params, 0);
    return some_of(p, *set, floor - 1 - (chance(p, 30) && floor > 2));
}

/* ---- R0 */

/* Offers a session; the face holds those that take part, NULL when nobody does. */
static struct face *offer(struct plot *p, const struct rn_sa_context *context,
                          const struct rn_sa_set *to)
{
    struct face *f = p->seance_count < SESSIONS ? new_face(p) : NULL;
    if (f == NULL) {
        return NULL;
    }
    uint8_t nonce[32];
    struct rn_secret32 seed;
    for (size_t k = 0; k < sizeof nonce; k += 8) {
        const uint64_t words[2] = {sim_random(p->sim), sim_random(p->sim)};
        memcpy(nonce + k, &words[0], 8);
        memcpy(seed.bytes + k, &words[1], 8);
    }
    rn_sa_transcript_init(&f->t, &p->sim->params, context);
    rn_sa_transcript_start(&f->t, nonce);
    struct seance *seance = &p->seances[p->seance_count++];
    *seance = (struct seance){
        .round = context->round, .attempt = context->attempt, .active = context->active};
    memcpy(seance->id, f->t.session, RN_HASH_BYTES);
    memcpy(seance->adapter, context->adapter_hash, RN_HASH_BYTES);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    rn_sa_offer_write(&f->t, nonce, p->sim->identities[SIM_COORDINATOR], &message);
    (void)write_down(p, SIM_COORDINATOR, rn_buffer_view(&message));
    FOR_EACH(i, to)
    {
        if (hear_offer(p, i, rn_buffer_view(&message))) {
            rn_sa_set_add(&f->told, i);
        }
    }
    FOR_EACH(c, &p->corrupt)
    {
        sign_ready(p, f, c, &seed);
    }
    f->alive = !rn_sa_set_empty(&f->told);
    return f;
}

static void open_session(struct plot *p)
{
    const uint8_t *start = p->sites[any_of(p, &p->honest)].adapter;
    const struct rn_sa_context context = context_of(p, start, p->round, p->attempt);
    struct rn_sa_set first = p->honest;
    if (wants(p, OFFER_TWO)) {
        first = some_of(p, first, 1 + below(p, rn_sa_set_count(&first) - 1));
    }
    const struct rn_sa_set second = rn_sa_set_minus(&p->honest, &first);
    struct face *f = offer(p, &context, &first);
    if (!rn_sa_set_empty(&second)) {
        const struct face *g = offer(p, &context, &second);
        p->tally->seen[OFFER_TWO] += f != NULL && g != NULL && f->alive && g->alive;
    }
    if (wants(p, OFFER_AGAIN) && f != NULL && f->alive) {
        const struct rn_sa_set joined = f->told;
        (void)offer(p, &context, &joined);
        saw(p, OFFER_AGAIN);
    }
}

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
        rn_sa_ready_write(&f->t, victim, own,
                          p->sim->identities[rn_sa_set_next(&p->corrupt, 0)], &readys[victim]);
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
    struct rn_sa_transcript *next = rn_alloc(1, sizeof *next);
    bool ok = true;
    const struct rn_sa_set own = rn_sa_set_both(&p->corrupt, &f->t.joined);
    FOR_EACH(c, &own)
    {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        *next = f->t;
        rn_sa_shares_set_write(&f->t, dealings, dealers, c, &body);
        ok = ok && rn_is_ok(rn_sa_shares_set_apply(
                       next, rn_buffer_view(&body), c, &f->secrets[c],
                       rn_view_of(dealings[c].message.data, RN_SA_ENVELOPE_BYTES), &f->valid[c],
                       NULL));
    }
    ok = ok && !rn_sa_set_empty(&own);
    if (ok) {
        f->t = *next;
    }
    rn_free(next);
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
