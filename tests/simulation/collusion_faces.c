/* SPDX-License-Identifier: Apache-2.0
 *
 * Stories: where they begin and where they part. Included by
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

/* The corrupt members hold what there is for each other too, in the face. */
static void hold_slots(struct face *f, uint32_t members)
{
    const struct rn_sa_set circle = rn_sa_set_first(members);
    for (uint32_t c = 0; c < PLACES; c++) {
        rn_sa_secrets_init(&f->secrets[c], &circle, f->slots[c]);
    }
}

static void free_face(struct face *f)
{
    if (f != NULL) {
        rn_sa_transcript_clear(&f->t);
    }
    rn_free(f);
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
    g->t = rn_sa_transcript_copy(&f->t);
    hold_slots(g, g->t.params.members);
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

/* ---- offers */

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
    hold_slots(f, p->sim->params.members);
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
