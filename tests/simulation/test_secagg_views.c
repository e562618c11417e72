/* SPDX-License-Identifier: Apache-2.0
 *
 * case 53. A coordinator that shows two views of the cohort, of the shares, of the links or of the
 * survivors: at most one of the two gets a sum, over the members that this view names, and masks of
 * the two do not cancel.
 */
#include "tests/simulation/simulator.c"

#include "crypto/maskkey.h"
#include "tests/simulation/faces.h"

/* The message of members on which the first different broadcast is built: T0, the share sets, T1
 * and T2 differ. */
static const enum rn_sa_type splits[] = {RN_SA_READY, RN_SA_SHARES, RN_SA_ACK, RN_SA_DONE};

/* ---- at most one sum ---- */

/* What both faces together brought about. */
static void two_faces(const struct split *s)
{
    uint8_t sessions[2][RN_HASH_BYTES];
    uint32_t sums = 0;
    for (uint32_t face = 0; face < 2; face++) {
        struct sim *sim = face_new(s, face);
        rn_sa_aggregator_session(sim->aggregator, sessions[face]);
        sim_run(sim, 400000);
        /* of a set that is as good as whole only the votes are its own half's */
        const bool votes = s->alike && s->at == RN_SA_DONE;
        const bool enough =
            seen_by(s, face) >= (votes ? rn_sa_quorum(&sim->params) : rn_sa_floor(&sim->params, 0));
        /* too few before anybody uploads: then nobody does */
        const bool early = !enough && (s->at < RN_SA_ACK || (s->at == RN_SA_ACK && !s->alike));
        const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
        assert_int_equal(coordinator->summed, enough);
        const uint32_t summed = sim_check_sums(sim); /* each is the plain sum over U3 ... */
        assert_int_equal(summed, enough ? seen_by(s, face) : 0);
        for (uint32_t i = 0; i < s->members; i++) {
            const struct sim_node *node = &sim->nodes[i];
            assert_true((node->reveal != NULL) == (enough && sees(s, face, i)));
            assert_true(!early || node->done_count == 0);
            /* ... and U3 is this face's own: nobody in it that did not upload to it */
            const bool uploaded =
                sees(s, face, i) || (s->alike && s->at == RN_SA_DONE && (face == 0 || i != 0));
            assert_true(!enough || rn_sa_set_has(&coordinator->survivors, i) == uploaded);
        }
        sums += enough;
        sim_free(sim);
    }
    assert_memory_equal(sessions[0], sessions[1], RN_HASH_BYTES);
    assert_true(sums <= 1);
}

/* case 53 */
static void test_one_sum_at_most(void **state)
{
    (void)state;
    /* with h_min = 4 the floor stands above the quorum */
    static const uint32_t cohorts[][3] = {{4, 1, 2}, {5, 1, 2}, {7, 2, 2}, {7, 2, 4}};
    for (size_t c = 0; c < RN_ARRAY_LENGTH(cohorts); c++) {
        for (size_t k = 0; k < RN_ARRAY_LENGTH(splits); k++) {
            struct split s = {cohorts[c][0], cohorts[c][1], 0,    cohorts[c][2],
                              splits[k],     false,         false};
            for (s.half = 1; s.half < honest(&s); s.half++) {
                for (uint32_t mode = 0; mode < (splits[k] == RN_SA_SHARES ? 3u : 2u); mode++) {
                    s.alike = mode > 0;
                    s.two_versions = mode > 1;
                    two_faces(&s);
                }
            }
        }
    }
}

/* ---- masks ---- */

/* Everything that honest members uploaded, whichever face they saw. */
struct uploads {
    const struct split *split;
    struct rn_sa_vector sum;
    uint32_t face;
    uint32_t seen[SIM_MEMBERS]; /* chunks, a bit each */
};
static struct uploads collected; /* the tap has its context already */

/* Takes off what an attacker could at the very best: the self mask, as if b were opened, and the
 * pair masks with the colluders. */
static void take_off(struct uploads *uploads, const struct rn_sa_member *m, uint32_t self)
{
    struct rn_mask_context context;
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    struct rn_mask_set *RN_CLEANUP(rn_mask_set_free_cleanup) masks =
        rn_mask_set_new(rn_sa_set_count(&m->t.linked));
    memcpy(context.session, m->t.session, RN_HASH_BYTES);
    memcpy(context.transcript, m->t.t1, RN_HASH_BYTES);
    rn_mask_key_self(&context, &m->vault->session.self_seed, self, &key);
    assert_true(rn_is_ok(rn_mask_set_insert(masks, &key, -1, NULL)));
    for (uint32_t k = honest(uploads->split); k < uploads->split->members; k++) {
        assert_true(rn_is_ok(rn_mask_key_pair(&context, &m->vault->session.mask_secret, self,
                                              &m->t.peers[k].mask, k, &key, NULL)));
        assert_true(rn_is_ok(rn_mask_set_insert(masks, &key, -rn_mask_sign(self, k), NULL)));
    }
    assert_true(rn_is_ok(rn_sa_vector_mask(&uploads->sum, masks, NULL)));
}

static bool collect(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct uploads *uploads = &collected;
    const struct rn_sa_message m = sim_parse(message);
    if (!(uploads->face == 0 ? content : say_again)(sim, from, to, message)) {
        return false;
    }
    if (m.type != RN_SA_CHUNK || from >= honest(uploads->split) ||
        !sees(uploads->split, uploads->face, from)) {
        return true;
    }
    struct rn_sa_chunk chunk;
    const struct rn_sa_member *member = sim->members[from];
    assert_true(rn_is_ok(rn_sa_chunk_read(&member->t, m.body, &chunk, NULL)));
    if (uploads->seen[from] == 0) {
        take_off(uploads, member, from);
    }
    if ((uploads->seen[from] >> chunk.chunk & 1) == 0) { /* it may be asked for again */
        assert_true(rn_is_ok(rn_sa_vector_add(&uploads->sum, chunk.chunk, chunk.packed, NULL)));
        uploads->seen[from] |= 1u << chunk.chunk;
    }
    return true;
}

/* Elements of the honest members' plain sum that come out of both halves' uploads together. */
static uint32_t elements_bare(bool split)
{
    /* one U2 in both: all that makes the masks differ is the T1 in their keys */
    const struct split two = {7, 2, 3, 2, RN_SA_ACK, true, true};
    const struct split one = {7, 2, 5, 2, RN_SA_ACK, true, true}; /* one face, all in its half */
    collected = (struct uploads){.split = split ? &two : &one};
    uint32_t bare = 0;
    for (collected.face = 0; collected.face < (split ? 2u : 1u); collected.face++) {
        struct sim *sim = face_new(collected.split, collected.face);
        if (collected.face == 0) {
            rn_sa_vector_init(&collected.sum, &sim->members[0]->t.layout);
        }
        sim->options.tamper = collect;
        sim_run(sim, 20000);
        if (collected.face == (split ? 1u : 0u)) {
            rn_sa_vector_reduce(&collected.sum);
            for (uint32_t e = 0; e < sim->context.elements; e++) {
                uint64_t plain = 0;
                uint64_t lane = 0;
                for (uint32_t i = 0; i < 5; i++) {
                    assert_int_equal(collected.seen[i], 7); /* three chunks */
                    plain += sim_value(sim, i, e);
                }
                rn_sa_vector_read(&collected.sum, e, 1, &lane);
                bare += lane == plain;
            }
            assert_int_equal(rn_sa_vector_in_range(&collected.sum, 5 * sim->params.value_max),
                             !split);
        }
        sim_free(sim);
    }
    rn_sa_vector_clear(&collected.sum);
    return bare;
}

/* case 53 */
static void test_masks_do_not_cancel(void **state)
{
    (void)state;
    assert_int_equal(elements_bare(false), 11); /* the test can take masks off */
    assert_int_equal(elements_bare(true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_sum_at_most),
        cmocka_unit_test(test_masks_do_not_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
