/* SPDX-License-Identifier: Apache-2.0
 *
 * From the shares to the receipts. Included by test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

/* ---- R4: all that honest members let out, and all that corrupt ones hold */

static const struct rn_scalar *own_secret(const struct face *f, uint32_t c)
{
    return rn_sa_kind_due(&f->t, c) == RN_SA_KIND_S ? &f->secrets[c].mask : &f->secrets[c].self;
}

static bool open_one(const struct plot *p, struct face *f, uint32_t i,
                     struct rn_sa_revealed (*answers)[RN_SA_MEMBERS_MAX])
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
    struct rn_sa_revealed(*answers)[RN_SA_MEMBERS_MAX] = rn_alloc(PLACES, sizeof *answers);
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

static const struct upload *upload_in(const struct plot *p, const struct face *f, uint32_t i)
{
    uint8_t root[RN_HASH_BYTES];
    rn_sa_done_root(&f->t, i, root);
    return find_upload(p, i, f->t.t1, root);
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
    assert_true(rn_is_ok(rn_sa_open_masks_new(&f->t, f->opened, &masks, NULL)));
    assert_true(rn_is_ok(rn_sa_open_masks_take(masks, out->lanes, f->t.layout.lane_bytes, 0,
                                               f->t.layout.lanes, NULL)));
    rn_sa_vector_reduce(out);
}

/* ---- R5 */

/* Signs the sum's chunks, and gives their root. */
static void sign_sum(struct plot *p, const struct face *f, const struct rn_sa_vector *sum,
                     struct rn_buffer *chunks, uint8_t *out_root)
{
    uint8_t leaves[CHUNKS * RN_HASH_BYTES];
    for (uint32_t c = 0; c < CHUNKS; c++) {
        uint8_t packed[512];
        const size_t size = rn_sa_layout_chunk_bytes(&f->t.layout, c);
        rn_sa_vector_pack(sum, c, packed);
        const struct rn_sa_chunk part = {c, rn_view_of(packed, size)};
        rn_sa_chunk_leaf(&f->t, RN_SA_COORDINATOR, &part, leaves + (size_t)c * RN_HASH_BYTES);
        rn_sa_chunk_write(&f->t, RN_SA_COORDINATOR, c, part.packed,
                          p->sim->identities[SIM_COORDINATOR], &chunks[c]);
    }
    rn_sa_chunk_root(&f->t, RN_SA_COORDINATOR, leaves, out_root);
}

static bool tell_result(struct plot *p, struct face *f, const uint8_t *root)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_result_write(&f->t, root, f->opened, no_head, &body);
    return broadcast(p, f, RN_SA_RESULT, rn_sa_result_apply, &body);
}

static void tell_false_secret(struct plot *p, struct face *f, const uint8_t *root)
{
    const uint32_t victim = any_of(p, &f->t.linked);
    const struct rn_scalar kept = f->opened[victim];
    f->opened[victim].bytes[0] ^= 1;
    saw(p, SECRET_FALSE);
    if (!tell_result(p, f, root)) {
        f->opened[victim] = kept;
    }
}

/* An answer to a replay that is wrong: another byte, under the signature that the adversary has. */
static void lie(struct plot *p, uint32_t to, const struct rn_buffer *truth, size_t at)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const struct rn_sa_message m = sim_parse(truth);
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[at + below(p, (uint32_t)(body.length - at))] ^= 1;
    struct rn_sa_message signer = m;
    if (m.sender < PLACES && rn_sa_set_has(&p->honest, m.sender)) { /* another's place */
        signer.sender = rn_sa_set_next(&p->corrupt, 0);
    }
    sim_sign_again(p->sim, &signer, rn_buffer_view(&body), NULL, NULL, &forged);
    (void)hear(p, to, rn_buffer_view(&forged));
    saw(p, REPLAY_LIES);
}

static void serve_one(struct plot *p, const struct face *f, uint32_t to, uint32_t member,
                      const struct rn_sa_audit_request *request)
{
    const struct upload *u = upload_in(p, f, member);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) truth = {0};
    if (request->leaves) {
        rn_sa_leaves_write(&f->t, member, u->leaves, p->sim->identities[SIM_COORDINATOR], &truth);
    } else {
        rn_buffer_append(&truth, u->chunks[request->chunk].data, u->chunks[request->chunk].length);
    }
    if (wants(p, REPLAY_LIES)) {
        lie(p, to, &truth, request->leaves ? 4 : RN_SA_CHUNK_HEAD);
    }
    (void)hear(p, to, rn_buffer_view(&truth));
}

static void serve_replays(struct plot *p, struct face *f)
{
    for (bool busy = true; busy;) {
        busy = false;
        FOR_EACH(i, &f->told)
        {
            struct rn_sa_audit_request request;
            if (p->asks[i].length == 0 || rn_sa_set_has(&f->deaf, i)) {
                continue;
            }
            const struct rn_sa_message m = sim_parse(&p->asks[i]);
            const bool ours = same(m.transcript, f->t.t2) &&
                              rn_is_ok(rn_sa_audit_read(&f->t, m.body, &request, NULL));
            rn_buffer_clear(&p->asks[i]);
            if (!ours) {
                continue;
            }
            busy = true;
            if (wants(p, REPLAY_WITHHELD) && chance(p, 20)) {
                rn_sa_set_add(&f->deaf, i);
                saw(p, REPLAY_WITHHELD);
                continue;
            }
            FOR_EACH(k, &request.members)
            {
                serve_one(p, f, i, k, &request);
            }
        }
    }
}

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
