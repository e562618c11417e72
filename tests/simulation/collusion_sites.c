/* SPDX-License-Identifier: Apache-2.0
 *
 * Honest members: what a service does around their machines. Included by test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

static void act(struct plot *p, uint32_t i, uint32_t which, struct rn_sa_actions *actions);

static void send_upload(struct plot *p, uint32_t i, uint32_t which)
{
    struct site *site = &p->sites[i];
    struct rn_sa_member *m = site->machine[which];
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
    struct upload kept = {.member = i, .at = p->note_count};
    site->bulk[which] = false;
    if (m->state != RN_SA_M_UPLOADING) {
        return;
    }
    for (uint32_t c = 0; c < CHUNKS; c++) {
        assert_true(rn_is_ok(rn_sa_member_chunk(m, c, &kept.chunks[c], NULL)));
        (void)write_down(p, i, rn_buffer_view(&kept.chunks[c]));
    }
    memcpy(kept.session, m->t.session, RN_HASH_BYTES);
    memcpy(kept.t1, m->t.t1, RN_HASH_BYTES);
    memcpy(kept.leaves, m->leaves, sizeof kept.leaves);
    kept.linked = m->t.linked;
    for (uint64_t e = 0; e < ELEMENTS; e++) {
        kept.values[e] = value_of(site->vector[which], e, 65534);
    }
    rn_sa_chunk_root(&m->t, i, m->leaves, kept.root);
    assert_true(rn_is_ok(rn_sa_member_bulk_sent(m, 0, &more, NULL)));
    rn_buffer_append(&kept.done, m->done.data, m->done.length);
    if (m->state == RN_SA_M_DONE) {
        *add_upload(p) = kept;
    } else { /* another session was joined since */
        for (uint32_t c = 0; c < CHUNKS; c++) {
            rn_buffer_clear(&kept.chunks[c]);
        }
        rn_buffer_clear(&kept.done);
    }
    act(p, i, which, &more);
}

static void read_sum(const struct rn_sa_member *m, const uint8_t *before, uint64_t *sum,
                     uint8_t *out_adapter)
{
    assert_true(rn_is_ok(rn_sa_member_sum_read(m, 0, ELEMENTS, sum, NULL)));
    adapter_after(before, sum, out_adapter);
}

/* A Receipt for what the sum gives. */
static void give_word(struct plot *p, uint32_t i, uint32_t which)
{
    struct rn_sa_member *m = p->sites[i].machine[which];
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
    uint64_t sum[ELEMENTS];
    uint8_t follows[RN_HASH_BYTES];
    read_sum(m, m->t.context.adapter_hash, sum, follows);
    assert_true(rn_is_ok(rn_sa_member_adapter(m, follows, 0, &more, NULL)));
    act(p, i, which, &more);
}

/* No honest member takes an adapter that is not made of exactly what was uploaded, and all take the
 * same. */
static void take_adapter(struct plot *p, uint32_t i, uint32_t which)
{
    struct rn_sa_member *m = p->sites[i].machine[which];
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
    struct rn_sa_sum_info info;
    struct seance *seance = find_seance(p, m->t.session);
    uint64_t sum[ELEMENTS];
    uint8_t follows[RN_HASH_BYTES];
    read_sum(m, m->t.context.adapter_hash, sum, follows);
    assert_true(rn_is_ok(rn_sa_member_sum_info(m, &info, NULL)));
    if (same(follows, info.adapter_hash)) {
        const uint64_t mask = ((uint64_t)1 << m->t.layout.bits) - 1;
        for (uint64_t e = 0; e < ELEMENTS; e++) {
            uint64_t plain = 0;
            for (uint32_t k = 0; k < p->sim->params.members; k++) {
                uint8_t root[RN_HASH_BYTES];
                if (rn_sa_set_has(&info.survivors, k)) {
                    rn_sa_done_root(&m->t, k, root);
                    const struct upload *upload = find_upload(p, k, m->t.t1, root);
                    assert_non_null(upload);
                    plain += upload->values[e];
                }
            }
            assert_int_equal(plain & mask, sum[e]);
        }
        assert_true(!seance->taken || same(seance->next, follows));
        seance->taken = true;
        memcpy(seance->next, follows, RN_HASH_BYTES);
        p->tally->finished++;
        memcpy(p->sites[i].adapter, follows, RN_HASH_BYTES);
    }
    assert_true(rn_is_ok(rn_sa_member_applied(m, follows, 0, &more, NULL)));
    act(p, i, which, &more);
}

static void say(struct plot *p, uint32_t i, const struct rn_sa_action *action)
{
    const struct note *note = write_down(p, i, rn_buffer_view(&action->bytes));
    if (note->m.type == RN_SA_AUDIT) {
        rn_buffer_clear(&p->asks[i]);
        rn_buffer_append(&p->asks[i], note->bytes.data, note->bytes.length);
    } else if (note->m.type != RN_SA_FOLLOW && note->m.type != RN_SA_SHARES &&
               note->m.type != RN_SA_ACK) {
        assert_true(in_journal(&p->sim->nodes[i], note->m.whole)); /* durable before it is sent */
    }
}

static void act_one(struct plot *p, uint32_t i, uint32_t which, const struct rn_sa_action *action)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
    struct rn_sa_evidence proof;
    switch (action->kind) {
    case RN_SA_PERSIST:
        persist(&p->sim->nodes[i], rn_buffer_view(&action->bytes));
        break;
    case RN_SA_SEND:
        say(p, i, action);
        break;
    case RN_SA_SEND_BULK:
        p->sites[i].bulk[which] = true;
        if (!rn_sa_set_has(&p->slow, i)) {
            send_upload(p, i, which);
        }
        break;
    case RN_SA_WANT_INPUT:
        assert_true(rn_is_ok(rn_sa_member_input(p->sites[i].machine[which], 0, &more, NULL)));
        act(p, i, which, &more);
        break;
    case RN_SA_SUM:
        give_word(p, i, which);
        break;
    case RN_SA_APPLY:
        take_adapter(p, i, which);
        break;
    case RN_SA_EVIDENCE:
        proof = sim_prove(p->sim, action);
        p->tally->evidence++;
        proof.members = rn_sa_set_both(&proof.members, &p->honest);
        assert_true(
            rn_sa_set_empty(&proof.members)); /* nothing proves a lie of one who tells none */
        break;
    default:
        break;
    }
}

static void act(struct plot *p, uint32_t i, uint32_t which, struct rn_sa_actions *actions)
{
    for (size_t k = 0; k < actions->count; k++) {
        act_one(p, i, which, &actions->items[k]);
    }
}

/* ---- what comes in */

static struct rn_sa_member_config site_config(struct plot *p, uint32_t i, uint32_t slot,
                                              const struct rn_sa_context *context,
                                              struct rn_secret32 *seed)
{
    for (size_t k = 0; k < sizeof seed->bytes; k += 8) {
        const uint64_t word = sim_random(p->sim);
        memcpy(seed->bytes + k, &word, 8);
    }
    return (struct rn_sa_member_config){
        .identity = p->sim->identities[i],
        .self = i,
        .params = p->sim->params,
        .context = *context,
        .spent = p->sim->spent[i],
        .seed = seed,
        .input = {read_vector, &p->sites[i].vector[slot]},
    };
}

/* The adapter is its own, the active part follows from the round; for the rest it goes along. */
static struct rn_sa_context context_of(const struct plot *p, const uint8_t *start, uint64_t round,
                                       uint32_t attempt)
{
    struct rn_sa_context context = p->sim->context;
    context.round = round;
    context.attempt = attempt;
    context.active = round % 2 == 0 ? 1 : 2;
    memcpy(context.adapter_hash, start, RN_HASH_BYTES);
    return context;
}

/* True when it takes part. */
static bool hear_offer(struct plot *p, uint32_t i, struct rn_view bytes)
{
    struct site *site = &p->sites[i];
    const uint32_t slot = 1 - site->current;
    struct rn_sa_offer offer;
    struct rn_secret32 seed;
    struct rn_sa_member *m = NULL;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    assert_true(rn_is_ok(rn_sa_offer_read(bytes, &p->sim->roster, &offer, NULL)));
    const struct rn_sa_context context = context_of(p, site->adapter, offer.round, offer.attempt);
    const struct rn_sa_member_config config = site_config(p, i, slot, &context, &seed);
    assert_true(rn_is_ok(rn_sa_member_new(&config, &m, NULL)));
    if (!rn_is_ok(rn_sa_member_receive(m, bytes, 0, &actions, NULL)) ||
        m->state != RN_SA_M_TRAINING) {
        rn_sa_member_free(m);
        p->tally->refused++;
        return false;
    }
    rn_sa_member_free(site->machine[slot]);
    site->machine[slot] = m;
    site->bulk[slot] = false;
    if (chance(p, 50)) { /* trained again, or the very same update */
        site->vector[slot] = sim_random(p->sim);
    } else {
        site->vector[slot] = site->vector[site->current];
    }
    site->current = slot;
    act(p, i, slot, &actions);
    return true;
}

/* False when it was refused, or nobody is there for it. */
static bool hear(struct plot *p, uint32_t i, struct rn_view bytes)
{
    uint8_t session[RN_HASH_BYTES];
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    if (!rn_sa_set_has(&p->honest, i) || !rn_sa_message_session(bytes, session)) {
        return false;
    }
    for (uint32_t slot = 0; slot < 2; slot++) {
        struct rn_sa_member *m = p->sites[i].machine[slot];
        if (m != NULL && same(m->t.session, session)) {
            const bool ok = rn_is_ok(rn_sa_member_receive(m, bytes, 0, &actions, NULL));
            p->tally->refused += !ok;
            act(p, i, slot, &actions);
            return ok;
        }
    }
    return false;
}

/* An abort certificate for a session whose machine is gone. */
static void hear_late(struct plot *p, uint32_t i, struct rn_view bytes)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    (void)!rn_is_ok(rn_sa_spent_receive(p->sim->spent[i], &p->sim->roster, bytes, &actions, NULL));
    act(p, i, p->sites[i].current, &actions);
}

/* The process ends, and starts again from its journal. */
static void site_restart(struct plot *p, uint32_t i)
{
    struct site *site = &p->sites[i];
    const struct sim_node *node = &p->sim->nodes[i];
    struct rn_sa_member *old = site->machine[site->current];
    struct rn_view *RN_CLEANUP(rn_free_cleanup) records =
        rn_alloc(node->records + 1, sizeof *records);
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    size_t count = 0;
    if (old == NULL) {
        return;
    }
    rn_sa_spent_free(p->sim->spent[i]);
    p->sim->spent[i] = rn_sa_spent_new();
    for (size_t r = 0; r < node->records; r++) {
        const struct rn_view record = rn_buffer_view(&node->journal[r]);
        assert_true(rn_is_ok(rn_sa_spent_load(p->sim->spent[i], record, NULL)));
        if (same(record.data + 8, old->t.session)) {
            records[count++] = record;
        }
    }
    struct rn_secret32 seed;
    const struct rn_sa_context context = old->t.context;
    const struct rn_sa_member_config config = site_config(p, i, site->current, &context, &seed);
    rn_sa_member_free(RN_TAKE(site->machine[0]));
    rn_sa_member_free(RN_TAKE(site->machine[1]));
    memset(site->bulk, 0, sizeof site->bulk);
    rn_buffer_clear(&p->asks[i]);
    struct rn_error err = {{0}};
    if (count > 0 && !rn_is_ok(rn_sa_member_resume(&config, records, count, 0, &actions,
                                                   &site->machine[site->current], &err))) {
        fail_msg("resume: %s", err.text);
    }
    act(p, i, site->current, &actions);
}
