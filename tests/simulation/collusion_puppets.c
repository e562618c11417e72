/* SPDX-License-Identifier: Apache-2.0
 *
 * What the adversary signs for its members and its coordinator, and what it can look up. Included
 * by test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

#define FOR_EACH(i, set)                                               \
    for (uint32_t i = rn_sa_set_next((set), 0); i < RN_SA_MEMBERS_MAX; \
         i = rn_sa_set_next((set), i + 1))

static struct rn_sa_set everybody(const struct plot *p)
{
    return rn_sa_set_either(&p->honest, &p->corrupt);
}

/* One of them, or SIM_COORDINATOR when there is none. */
static uint32_t any_of(struct plot *p, const struct rn_sa_set *set)
{
    const uint32_t count = rn_sa_set_count(set);
    uint32_t skip = count == 0 ? 0 : below(p, count);
    FOR_EACH(i, set)
    {
        if (skip-- == 0) {
            return i;
        }
    }
    return SIM_COORDINATOR;
}

/* The newest of that type under the transcript hash; head: how its body has to begin. */
static const struct note *find(const struct plot *p, uint32_t from, enum rn_sa_type type,
                               const uint8_t *hash, struct rn_view head)
{
    for (size_t k = p->note_count; k-- > 0;) {
        const struct note *note = &p->notes[k];
        if (note->from == from && note->m.type == type && same(note->m.transcript, hash) &&
            note->m.body.length >= head.length &&
            memcmp(note->m.body.data, head.data, head.length) == 0) {
            return note;
        }
    }
    return NULL;
}

/* Copies what there is of one type; which members have it. */
static struct rn_sa_set collect(const struct plot *p, enum rn_sa_type type, const uint8_t *hash,
                                struct rn_view head, const struct rn_sa_set *of,
                                struct rn_buffer *out)
{
    struct rn_sa_set got = {{0}};
    FOR_EACH(i, of)
    {
        const struct note *note = find(p, i, type, hash, head);
        if (note != NULL) {
            rn_buffer_append(&out[i], note->bytes.data, note->bytes.length);
            rn_sa_set_add(&got, i);
        }
    }
    return got;
}

static void clear_all(struct rn_buffer *buffers)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        rn_buffer_clear(&buffers[i]);
    }
}

static const struct rn_view no_head = {(const uint8_t *)"", 0};

/* The coordinator's message to some; how many did not refuse it. */
static uint32_t tell(struct plot *p, const struct face *f, enum rn_sa_type type, uint32_t recipient,
                     const uint8_t *hash, struct rn_view body, const struct rn_sa_set *to)
{
    const struct rn_sa_outgoing outgoing = {
        .type = type,
        .session = f->t.session,
        .round = f->t.context.round,
        .sender = RN_SA_COORDINATOR,
        .recipient = recipient,
        .transcript = hash,
        .body = body,
    };
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    rn_sa_message_write(&outgoing, p->sim->identities[SIM_COORDINATOR], &message);
    (void)write_down(p, SIM_COORDINATOR, rn_buffer_view(&message));
    uint32_t heard = 0;
    FOR_EACH(i, to)
    {
        heard += hear(p, i, rn_buffer_view(&message));
    }
    return heard;
}

typedef rn_result apply_body(struct rn_sa_transcript *transcript, struct rn_view body,
                             struct rn_error *err);

/* A broadcast to those of the face. What the product's own check lets through changes the face;
 * what it does not is told all the same. */
static bool broadcast(struct plot *p, struct face *f, enum rn_sa_type type, apply_body *apply,
                      const struct rn_buffer *body)
{
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) next = rn_sa_transcript_copy(&f->t);
    const bool ok = rn_is_ok(apply(&next, rn_buffer_view(body), NULL));
    const struct rn_sa_set others = rn_sa_set_minus(&p->honest, &f->told);
    const uint8_t *hash = rn_sa_transcript_hash(&next);
    (void)tell(p, f, type, RN_SA_EVERYONE, hash, rn_buffer_view(body), &f->told);
    if (chance(p, 25)) { /* and to those who were told another story */
        (void)tell(p, f, type, RN_SA_EVERYONE, hash, rn_buffer_view(body), &others);
    }
    if (ok) {
        rn_sa_transcript_become(&f->t, &next);
    }
    return ok;
}

/* ---- corrupt members */

static void sign_ready(struct plot *p, struct face *f, uint32_t c, const struct rn_secret32 *seed)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    rn_sa_secrets_draw(&f->secrets[c], seed, f->t.session);
    rn_sa_ready_write(&f->t, c, &f->secrets[c], p->sim->identities[c], &message);
    (void)write_down(p, c, rn_buffer_view(&message));
}

static void garble_entries(struct plot *p, struct face *f, uint32_t c, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    uint8_t leaves[PLACES * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    struct rn_sa_shares_hashes hashes;
    rn_buffer_append(&body, m.body.data, m.body.length);
    uint8_t *entries = body.data + 2 * rn_sa_coefficient_bytes(&f->t);
    FOR_EACH(h, &f->t.joined)
    {
        if (h != c && chance(p, 40)) {
            entries[rn_sa_set_rank(&f->t.joined, h) * (size_t)RN_SA_SEALED_BYTES] ^= 1;
            saw(p, DEAL_FALSE);
        }
    }
    rn_sa_shares_hash(&f->t, c, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(&f->t, c, &hashes, root);
    sim_sign_again(p->sim, &m, rn_buffer_view(&body), NULL, root, &forged);
    rn_buffer_clear(message);
    *message = forged;
}

static void sign_shares(struct plot *p, struct face *f, uint32_t c)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    assert_true(rn_is_ok(
        rn_sa_shares_write(&f->t, c, &f->secrets[c], p->sim->identities[c], &message, NULL)));
    if (wants(p, DEAL_FALSE)) {
        garble_entries(p, f, c, &message);
    }
    (void)write_down(p, c, rn_buffer_view(&message));
}

static void sign_ack(struct plot *p, struct face *f, uint32_t c)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    struct rn_sa_set valid = f->valid[c];
    if (wants(p, COMPLAIN)) {
        const uint32_t victim = any_of(p, &p->honest);
        if (rn_sa_set_has(&valid, victim)) {
            rn_sa_set_remove(&valid, victim);
            saw(p, COMPLAIN);
        }
    }
    rn_sa_ack_write(&f->t, c, &valid, p->sim->identities[c], &message);
    (void)write_down(p, c, rn_buffer_view(&message));
}

static struct rn_mask_set *puppet_masks(const struct face *f, uint32_t c)
{
    struct rn_mask_context context;
    struct rn_secret32 key;
    memcpy(context.session, f->t.session, RN_HASH_BYTES);
    memcpy(context.transcript, f->t.t1, RN_HASH_BYTES);
    struct rn_mask_set *masks = rn_mask_set_new(rn_sa_set_count(&f->t.linked));
    FOR_EACH(i, &f->t.linked)
    {
        if (i == c) {
            rn_mask_key_self(&context, &f->secrets[c].self_seed, i, &key);
        } else {
            assert_true(rn_is_ok(rn_mask_key_pair(&context, &f->secrets[c].mask_secret, c,
                                                  &f->t.peers[i].mask, i, &key, NULL)));
        }
        assert_true(
            rn_is_ok(rn_mask_set_insert(masks, &key, i == c ? 1 : rn_mask_sign(c, i), NULL)));
    }
    return masks;
}

/* Values as it likes: in range; far outside; or two outside that cancel. */
static void choose_values(struct plot *p, const struct face *f, uint32_t c, uint64_t *values)
{
    const uint64_t mask = ((uint64_t)1 << f->t.layout.bits) - 1;
    const uint64_t vector = sim_random(p->sim);
    const bool poisons = wants(p, UPLOAD_POISON);
    const bool cancels = chance(p, 60);
    for (uint64_t e = 0; e < ELEMENTS; e++) {
        values[e] = value_of(vector, e, 65534);
        if (poisons) {
            const uint64_t far = cancels ? UINT64_C(40000) : UINT64_C(1) << (f->t.layout.bits - 1);
            values[e] =
                (c == rn_sa_set_next(&p->corrupt, 0) ? values[e] + far : values[e] - far) & mask;
        }
    }
    if (poisons) {
        saw(p, UPLOAD_POISON);
    }
}

static void sign_upload(struct plot *p, struct face *f, uint32_t c)
{
    struct rn_mask_set *RN_CLEANUP(rn_mask_set_free_cleanup) masks = puppet_masks(f, c);
    struct upload *u = add_upload(p);
    u->member = c;
    u->linked = f->t.linked;
    memcpy(u->session, f->t.session, RN_HASH_BYTES);
    memcpy(u->t1, f->t.t1, RN_HASH_BYTES);
    choose_values(p, f, c, u->values);
    for (uint32_t k = 0; k < CHUNKS; k++) {
        uint8_t packed[512];
        const size_t size = rn_sa_layout_chunk_bytes(&f->t.layout, k);
        assert_true(size <= sizeof packed);
        assert_true(rn_is_ok(rn_sa_chunk_mask(&f->t.layout, k,
                                              u->values + (size_t)k * f->t.layout.chunk_elements,
                                              masks, packed, NULL)));
        const struct rn_sa_chunk part = {k, rn_view_of(packed, size)};
        rn_sa_chunk_leaf(&f->t, c, &part, u->leaves + (size_t)k * RN_HASH_BYTES);
        rn_sa_chunk_write(&f->t, c, k, part.packed, p->sim->identities[c], &u->chunks[k]);
    }
    rn_sa_chunk_root(&f->t, c, u->leaves, u->root);
    rn_sa_done_write(&f->t, c, u->root, p->sim->identities[c], &u->done);
    (void)write_down(p, c, rn_buffer_view(&u->done));
}

static void sign_vote(struct plot *p, struct face *f, uint32_t c, enum rn_sa_vote vote)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    rn_sa_vote_write(&f->t, c, vote, p->sim->identities[c], &message);
    (void)write_down(p, c, rn_buffer_view(&message));
}

static void sign_receipt(struct plot *p, struct face *f, uint32_t c, const uint8_t *follows)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    rn_sa_receipt_write(&f->t, c, follows, p->sim->identities[c], &message);
    (void)write_down(p, c, rn_buffer_view(&message));
}
