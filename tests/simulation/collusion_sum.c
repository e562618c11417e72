/* SPDX-License-Identifier: Apache-2.0
 *
 * From the shares to the sum, and the receipts for it. Included by test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

/* ---- R4: all that honest members let out, and all that corrupt ones hold */

static const struct rn_scalar *own_secret(const struct face *f, uint32_t c)
{
    return rn_sa_kind_due(&f->t, c) == RN_SA_KIND_S ? &f->secrets[c].mask_secret
                                                    : &f->secrets[c].self_seed;
}

static bool open_one(const struct plot *p, struct face *f, uint32_t i,
                     struct rn_sa_revealed (*answers)[PLACES])
{
    const bool of_s = rn_sa_kind_due(&f->t, i) == RN_SA_KIND_S;
    uint32_t holders[PLACES];
    struct rn_scalar shares[PLACES];
    uint32_t count = 0;
    for (uint32_t j = 0; j < PLACES && count < f->t.quorum; j++) {
        const struct rn_sa_slot *slot = &f->secrets[j].slots[i];
        if (rn_sa_set_has(&p->corrupt, j) && slot->state == RN_SA_SLOT_BOTH) {
            holders[count] = j;
            shares[count++] = of_s ? slot->share_s : slot->share_b;
        } else if (rn_sa_set_has(&p->honest, j) && answers[j][i].held) {
            holders[count] = j;
            shares[count++] = answers[j][i].share;
        }
    }
    return count == f->t.quorum &&
           rn_is_ok(rn_shamir_reconstruct(holders, shares, count, &f->opened[i], NULL)) &&
           rn_sa_secret_matches(&f->t, i, &f->opened[i]);
}

static bool open_all(const struct plot *p, struct face *f)
{
    struct rn_sa_revealed(*answers)[PLACES] = rn_alloc(PLACES, sizeof *answers);
    bool all = true;
    FOR_EACH(j, &p->honest)
    {
        const struct note *note = find(p, j, RN_SA_REVEAL, f->t.t2, no_head);
        if (note != NULL) {
            assert_true(rn_is_ok(rn_sa_reveal_read(&f->t, j, note->m.body, answers[j], NULL)));
        }
    }
    FOR_EACH(i, &f->t.linked)
    {
        if (rn_sa_set_has(&p->corrupt, i)) {
            f->opened[i] = *own_secret(f, i);
        } else {
            all = open_one(p, f, i, answers) && all;
        }
    }
    rn_free(answers);
    return all;
}

/* The sum of U3, as any coordinator computes it. */
static void unmask(const struct plot *p, const struct face *f, struct rn_sa_vector *out)
{
    struct rn_sa_open_masks *RN_CLEANUP(rn_sa_open_masks_free_cleanup) masks = NULL;
    rn_sa_vector_init(out, &f->t.layout);
    FOR_EACH(i, &f->t.survivors)
    {
        const struct upload *u = upload_in(p, f, i);
        for (uint32_t c = 0; c < CHUNKS; c++) {
            const struct rn_sa_message m = sim_parse(&u->chunks[c]);
            struct rn_sa_chunk part;
            assert_true(rn_is_ok(rn_sa_chunk_read(&f->t, m.body, &part, NULL)));
            assert_true(rn_is_ok(rn_sa_vector_add(out, c, part.packed, NULL)));
        }
    }
    assert_true(rn_is_ok(rn_sa_open_masks_new(&f->t, f->opened, NULL, &masks, NULL)));
    assert_true(rn_is_ok(rn_sa_open_masks_take(masks, out->lanes, f->t.layout.lane_bytes, 0,
                                               f->t.layout.lanes, NULL)));
    rn_sa_vector_reduce(out);
}

/* ---- R5 */

/* One sum to those of the face, with its replay. */
static void announce(struct plot *p, struct face *f, const struct rn_sa_vector *sum)
{
    struct rn_buffer chunks[CHUNKS] = {{0}};
    uint8_t root[RN_HASH_BYTES];
    sign_sum(p, f, sum, chunks, root);
    rn_sa_vector_read(sum, 0, ELEMENTS, f->sum);
    if (wants(p, SECRET_FALSE)) {
        tell_false_secret(p, f, root);
    }
    if (f->t.level < RN_SA_LEVEL_RESULT && wants(p, BLAME_FALSE)) {
        tell_blame(p, f, root);
    }
    if (f->t.level < RN_SA_LEVEL_RESULT) {
        f->alive = tell_result(p, f, root);
    }
    for (uint32_t c = 0; c < CHUNKS; c++) {
        (void)write_down(p, SIM_COORDINATOR, rn_buffer_view(&chunks[c]));
        FOR_EACH(i, &f->told)
        {
            (void)hear(p, i, rn_buffer_view(&chunks[c]));
        }
        rn_buffer_clear(&chunks[c]);
    }
    serve_replays(p, f);
}

static void forge_lanes(struct plot *p, struct rn_sa_vector *sum)
{
    uint32_t *lanes = sum->lanes;
    const uint64_t lane = below(p, 4);
    lanes[lane] += lanes[lane] > 0 ? UINT32_MAX : 1; /* one unit: within its range */
}

static void result_stage(struct plot *p, struct face *f)
{
    struct rn_sa_vector sum = {0};
    f->alive = open_all(p, f);
    if (!f->alive) {
        return;
    }
    unmask(p, f, &sum);
    struct face *g = wants(p, SUM_SPLIT) ? fork_face(p, f) : NULL;
    if (wants(p, SUM_FORGED)) {
        forge_lanes(p, &sum);
        saw(p, SUM_FORGED);
    }
    announce(p, f, &sum);
    if (g != NULL) {
        forge_lanes(p, &sum);
        announce(p, g, &sum);
        p->tally->seen[SUM_SPLIT] += f->alive && g->alive;
    }
    rn_sa_vector_clear(&sum);
}

/* ---- receipts */

static bool tell_receipts(struct plot *p, struct face *f, const struct rn_buffer *body)
{
    return broadcast(p, f, RN_SA_RECEIPTS, rn_sa_receipts_apply, body);
}

static void receipts_stage(struct plot *p, struct face *f)
{
    struct rn_buffer receipts[PLACES] = {{0}};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    uint8_t says[2 * RN_HASH_BYTES];
    const struct rn_sa_set all = everybody(p);
    memcpy(says, f->t.sum_root, RN_HASH_BYTES);
    adapter_after(f->t.context.adapter_hash, f->sum, says + RN_HASH_BYTES);
    FOR_EACH(c, &p->corrupt)
    {
        sign_receipt(p, f, c, says + RN_HASH_BYTES);
    }
    const struct rn_sa_set right =
        collect(p, RN_SA_RECEIPT, f->t.t2, rn_view_of(says, sizeof says), &all, receipts);
    const struct rn_sa_set honest = rn_sa_set_both(&right, &p->honest);
    p->tally->seen[RECEIPTS_FORGED] += rn_sa_set_empty(&honest);
    if (wants(p, RECEIPTS_FEW)) {
        const struct rn_sa_set few = some_of(p, right, rn_sa_quorum(&p->sim->params) - 1);
        forge_votes(p, receipts, &few, &body);
        (void)tell_receipts(p, f, &body);
        rn_buffer_clear(&body);
        saw(p, RECEIPTS_FEW);
    }
    if (f->t.level < RN_SA_LEVEL_RECEIPTED && chance(p, 50)) { /* those for another sum too */
        clear_all(receipts);
        const struct rn_sa_set any = collect(p, RN_SA_RECEIPT, f->t.t2, no_head, &all, receipts);
        rn_sa_receipts_write(receipts, &any, &body);
        (void)tell_receipts(p, f, &body);
        rn_buffer_clear(&body);
    }
    if (f->t.level < RN_SA_LEVEL_RECEIPTED) {
        clear_all(receipts);
        const struct rn_sa_set again =
            collect(p, RN_SA_RECEIPT, f->t.t2, rn_view_of(says, sizeof says), &all, receipts);
        rn_sa_receipts_write(receipts, &again, &body);
        (void)tell_receipts(p, f, &body);
    }
    clear_all(receipts);
}
