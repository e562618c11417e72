/* SPDX-License-Identifier: Apache-2.0
 *
 * Results and what members are given to replay them, true and false. Included by
 * test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

static const struct upload *upload_in(const struct plot *p, const struct face *f, uint32_t i)
{
    uint8_t root[RN_HASH_BYTES];
    rn_sa_done_root(&f->t, i, root);
    return find_upload(p, i, f->t.t1, root);
}

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
    rn_sa_result_write(&f->t, root, f->opened, &(struct rn_sa_proofs){0}, &body);
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

/* A Reveal that the corrupt member signs with the other secret's share of this dealer. */
static void sign_false_reveal(struct plot *p, const struct face *f, uint32_t c, uint32_t dealer)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) truth = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_sa_slot slots[PLACES];
    struct rn_sa_secrets secrets = f->secrets[c];
    memcpy(slots, f->slots[c], sizeof slots);
    secrets.slots = slots;
    rn_sa_slots_choose(&f->t, &secrets);
    rn_sa_reveal_write(&f->t, c, &secrets, p->sim->identities[c], &truth);
    const struct rn_sa_message m = sim_parse(&truth);
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        body.data[at + 8] ^= body.data[at] == dealer ? 1 : 0;
    }
    sim_sign_again(p->sim, &m, rn_buffer_view(&body), NULL, NULL, &message);
    (void)write_down(p, c, rn_buffer_view(&message));
}

/* A Result that blames: a corrupt member for a share that is false, or an honest one for its true
 * answer, which nobody may believe. */
static void tell_blame(struct plot *p, struct face *f, const uint8_t *root)
{
    struct rn_sa_proofs proofs = {.count = 1};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_sa_dealing dealing = {{0}, rn_alloc(f->t.n, RN_HASH_BYTES)};
    const uint32_t holder = any_of(p, &f->t.survivors);
    const uint32_t dealer = any_of(p, &f->t.linked);
    if (rn_sa_set_has(&p->corrupt, holder)) {
        sign_false_reveal(p, f, holder, dealer);
    }
    const struct note *reveal = find(p, holder, RN_SA_REVEAL, f->t.t2, no_head);
    const struct note *shares = find(p, dealer, RN_SA_SHARES, f->t.t0, no_head);
    if (reveal != NULL && rn_is_ok(rn_sa_shares_check(&f->t, &shares->m, dealing.leaves, NULL))) {
        rn_buffer_append(&dealing.message, shares->bytes.data, shares->bytes.length);
        rn_sa_blame_write(&f->t, dealer, &dealing, reveal->m.whole, &proofs.bytes);
        rn_sa_result_write(&f->t, root, f->opened, &proofs, &body);
        (void)broadcast(p, f, RN_SA_RESULT, rn_sa_result_apply, &body);
        const struct rn_sa_set honest = rn_sa_set_both(&f->t.blamed, &p->honest);
        assert_true(rn_sa_set_empty(&honest));
        saw(p, BLAME_FALSE);
    }
    rn_buffer_clear(&proofs.bytes);
    rn_buffer_clear(&dealing.message);
    rn_free(dealing.leaves);
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
