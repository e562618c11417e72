/* SPDX-License-Identifier: Apache-2.0
 *
 * case 53. A coordinator with two faces. A session is run twice from one seed, so that both runs
 * are one to the byte, up to the point where the coordinator begins to say different things to two
 * halves of the honest members; from there each half lives in its own run only, and the colluders
 * in both. What one half says is of no use in the other's run; masks of the two do not cancel; and
 * at most one of the two gets a sum, over the members that this face names.
 */
#include "tests/simulation/simulator.c"

#include "crypto/maskkey.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* The message of members on which the first different broadcast is built: T0, the share sets, T1
 * and T2 differ. */
static const enum rn_sa_type splits[] = {RN_SA_READY, RN_SA_SHARES, RN_SA_ACK, RN_SA_DONE};

/* Honest members 0 .. half - 1 see face 0, those up to n_max - n_c see face 1, the rest is corrupt
 * and sees both. */
struct split {
    uint32_t members, colluding, half;
    enum rn_sa_type at;
    /* Both faces hear that message from everybody, but face 1 leaves out member 0: the sets are as
     * large, and as alike, as can be. Else each face hears its own half and the colluders. */
    bool alike;
    /* Face 1 leaves out nobody, but the last member signs another message for it (Shares, or an Ack
     * that keeps U2 as it is). */
    bool two_versions;
};

static uint32_t honest(const struct split *s)
{
    return s->members - s->colluding;
}

static bool sees(const struct split *s, uint32_t face, uint32_t member)
{
    return member >= honest(s) || (member < s->half) == (face == 0);
}

static uint32_t seen_by(const struct split *s, uint32_t face)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->members; i++) {
        count += sees(s, face, i);
    }
    return count;
}

static enum rn_sa_type message_after(enum rn_sa_type type)
{
    return type == RN_SA_READY    ? RN_SA_SHARES
           : type == RN_SA_SHARES ? RN_SA_ACK
           : type == RN_SA_ACK    ? RN_SA_CHUNK
                                  : RN_SA_VOTE;
}

/* The coordinator's own machine does not mind how few there are; sizes of messages are those of the
 * true threshold. */
static bool content(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)from;
    (void)to;
    (void)message;
    if (sim->aggregator->t.level >= RN_SA_LEVEL_JOINED) {
        sim->aggregator->t.quorum = rn_sa_quorum(&sim->params);
    }
    return true;
}

/* Its entry for member 0 is another. */
static void deal_again(struct sim *sim, const struct rn_sa_message *m, struct rn_buffer *out)
{
    const struct rn_sa_transcript *t = &sim->aggregator->t;
    uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    struct rn_sa_shares_hashes hashes;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m->body.data, m->body.length);
    body.data[2 * rn_sa_coefficient_bytes(t)] ^= 1;
    rn_sa_shares_hash(t, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(t, m->sender, &hashes, root);
    sim_sign_again(sim, m, rn_buffer_view(&body), NULL, root, out);
    rn_buffer_clear(&sim->members[m->sender]->shares); /* it stands by what it sent */
    rn_buffer_append(&sim->members[m->sender]->shares, out->data, out->length);
}

/* It complains about the other colluder: once, which costs nobody a place. */
static void acknowledge_again(struct sim *sim, const struct rn_sa_message *m, struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const uint32_t other = m->sender - 1;
    rn_buffer_append(&body, m->body.data, m->body.length);
    body.data[other / 8] &= (uint8_t) ~(1u << (other % 8));
    sim_sign_again(sim, m, rn_buffer_view(&body), NULL, NULL, out);
    rn_secret_wipe(&sim->members[m->sender]->vault->session.slots[other],
                   sizeof(struct rn_sa_slot));
}

/* The last member says another thing to face 1. */
static bool say_again(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct split *s = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)content(sim, from, to, message);
    if (m.type != s->at || from != sim->params.members - 1) {
        return true;
    }
    struct rn_buffer forged = {0};
    (s->at == RN_SA_SHARES ? deal_again : acknowledge_again)(sim, &m, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static struct sim *face_new(const struct split *s, uint32_t face)
{
    const struct sim_options options = {.members = s->members,
                                        .colluding = s->colluding,
                                        .seed = 5300,
                                        .tamper =
                                            s->two_versions && face == 1 ? say_again : content,
                                        .tamper_context = (void *)(uintptr_t)s};
    struct sim *sim = sim_new(&options);
    sim_run(sim, TICK_MS); /* the offer is out */
    sim->aggregator->t.params.members = RN_SA_MEMBERS_MIN;
    sim->aggregator->t.params.colluding = 1;
    for (uint32_t i = 0; i < s->members; i++) {
        if (!sees(s, face, i)) {
            const bool heard = s->alike && (i != 0 || s->two_versions);
            sim->nodes[i].silent_from = heard ? message_after(s->at) : s->at;
        }
    }
    return sim;
}

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
        const bool enough = seen_by(s, face) >= rn_sa_floor(&sim->params, 0);
        const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
        assert_int_equal(coordinator->summed, enough);
        const uint32_t summed = sim_check_sums(sim); /* each is the plain sum over U3 ... */
        assert_int_equal(summed, enough ? seen_by(s, face) : 0);
        for (uint32_t i = 0; i < s->members; i++) {
            const struct sim_node *node = &sim->nodes[i];
            assert_true((node->reveal != NULL) == (enough && sees(s, face, i)));
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
    static const uint32_t cohorts[][2] = {{4, 1}, {5, 1}, {7, 2}};
    for (size_t c = 0; c < RN_ARRAY_LENGTH(cohorts); c++) {
        for (size_t k = 0; k < RN_ARRAY_LENGTH(splits); k++) {
            struct split s = {cohorts[c][0], cohorts[c][1], 0, splits[k], false, false};
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

/* ---- nothing crosses ---- */

/* Face 0, of five members that see it, has run to its sum; face 1 has four, and is where the next
 * broadcast is due. */
struct pair {
    struct split split;
    struct sim *sim[2];
    uint32_t receiver; /* honest, sees face 1 */
};

static void pair_open(struct pair *pair, enum rn_sa_type at, bool two_versions)
{
    static const enum rn_sa_stage due[RN_SA_TYPE_LAST_] = {
        [RN_SA_READY] = RN_SA_STAGE_SHARES,
        [RN_SA_SHARES] = RN_SA_STAGE_ACKS,
        [RN_SA_ACK] = RN_SA_STAGE_UPLOAD,
        [RN_SA_DONE] = RN_SA_STAGE_VOTE,
    };
    pair->split = (struct split){7, 2, 3, at, true, two_versions};
    pair->receiver = 3;
    pair->sim[0] = face_new(&pair->split, 0);
    sim_run(pair->sim[0], 400000);
    assert_int_equal(sim_check_sums(pair->sim[0]), 5);
    pair->sim[1] = face_new(&pair->split, 1);
    struct sim *sim = pair->sim[1];
    for (uint32_t k = 0; k < 200 && rn_sa_aggregator_stage(sim->aggregator) < due[at]; k++) {
        sim_run(sim, TICK_MS);
    }
    sim_run(sim, 4000); /* below any time-out: the half has answered */
    assert_int_equal(rn_sa_aggregator_stage(sim->aggregator), due[at]);
    sim->aggregator->t.params = sim->params; /* its arithmetic is the members' again */
}

static void pair_close(struct pair *pair)
{
    sim_free(pair->sim[0]);
    sim_free(pair->sim[1]);
}

/* A message of the coordinator to the receiver, to be filled. */
static struct rn_sa_message draft(const struct pair *pair, enum rn_sa_type type)
{
    const struct rn_sa_transcript *t = &pair->sim[1]->aggregator->t;
    struct rn_sa_message m = {.type = type,
                              .round = t->context.round,
                              .sender = RN_SA_COORDINATOR,
                              .recipient =
                                  type == RN_SA_SHARES_SET ? pair->receiver : RN_SA_EVERYONE};
    memcpy(m.session, t->session, RN_HASH_BYTES);
    memcpy(m.transcript, rn_sa_transcript_hash(t), RN_HASH_BYTES);
    return m;
}

/* What face 1 has of this type from its own half and the colluders, without and with what members 1
 * and 2 said to face 0: enough by number, refused for whose it is. */
static void mix(const struct pair *pair, enum rn_sa_type type, enum rn_sa_type broadcast,
                const char *few, const char *crossed)
{
    const struct rn_sa_aggregator *own = pair->sim[1]->aggregator;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer inbox[RN_SA_MEMBERS_MAX];
    struct rn_sa_set set = own->got[type];
    const struct rn_sa_message m = draft(pair, broadcast);
    memcpy(inbox, own->inbox[type], sizeof inbox);
    for (uint32_t with = 0; with < 2; with++) {
        for (uint32_t i = 1; with != 0 && i < 3; i++) {
            inbox[i] = pair->sim[0]->aggregator->inbox[type][i];
            assert_true(inbox[i].length > 0);
            rn_sa_set_add(&set, i);
        }
        rn_buffer_clear(&body);
        if (broadcast == RN_SA_ACK_SET) {
            rn_sa_ack_set_write(&own->t, inbox, &set, &body);
        } else {
            rn_sa_votes_write(inbox, &set, &body); /* lists of whole messages are alike */
        }
        lie_refused(pair->sim[1], pair->receiver, &m, rn_buffer_view(&body),
                    with != 0 ? crossed : few);
    }
}

/* case 53. Two T0: an envelope of face 0 in a share set of face 1. */
static void test_no_share_crosses(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, RN_SA_READY, false);
    const struct rn_sa_aggregator *own = pair.sim[1]->aggregator;
    const struct rn_sa_aggregator *other = pair.sim[0]->aggregator;
    assert_memory_not_equal(own->t.t0, other->t.t0, RN_HASH_BYTES);
    assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_DEALT);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const struct rn_sa_set *dealers = &own->got[RN_SA_SHARES];
    rn_sa_shares_set_write(&own->t, own->dealings, dealers, pair.receiver, &body);
    const size_t part = (body.length - 4) / rn_sa_set_count(dealers);
    for (uint32_t dealer = 0; dealer < 7; dealer++) { /* the colluders' and one's own, too */
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) crossed = {0};
        const struct rn_sa_message m = draft(&pair, RN_SA_SHARES_SET);
        if (other->dealings[dealer].message.length == 0) {
            continue;
        }
        rn_buffer_append(&crossed, body.data, body.length);
        memcpy(crossed.data + 4 + part, other->dealings[dealer].message.data, RN_SA_ENVELOPE_BYTES);
        lie_refused(pair.sim[1], pair.receiver, &m, rn_buffer_view(&crossed),
                    "shares: follows another transcript");
    }
    pair_close(&pair);
}

/* case 53. Two views of R1: one dealer fewer, or the same dealers with two versions of one's
 * shares. (Four holders are below t, so that of one's own half alone nobody is left.) */
static void test_no_ack_crosses(void **state)
{
    (void)state;
    for (uint32_t versions = 0; versions < 2; versions++) {
        struct pair pair;
        pair_open(&pair, RN_SA_SHARES, versions != 0);
        assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_ACKED);
        mix(&pair, RN_SA_ACK, RN_SA_ACK_SET, "0 members are left, below 5",
            versions != 0 ? "ack: member 1 was shown other shares"
                          : "ack: member 1 names a dealer that sent no shares");
        pair_close(&pair);
    }
}

/* case 53 */
static void test_no_upload_crosses(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, RN_SA_ACK, false);
    assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_DONE);
    mix(&pair, RN_SA_DONE, RN_SA_SURVIVORS, "4 members are below 5", "follows another transcript");
    pair_close(&pair);
}

/* case 53 */
static void test_no_vote_crosses(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, RN_SA_DONE, false);
    assert_int_equal(pair.sim[1]->members[3]->state, RN_SA_M_VOTED);
    mix(&pair, RN_SA_VOTE, RN_SA_CERTIFICATE, "4 votes, 5 are needed", "neither for these");
    /* what face 0's members reveal names its T2 */
    const struct rn_buffer *reveal = &pair.sim[0]->aggregator->inbox[RN_SA_REVEAL][1];
    assert_true(reveal->length > 0);
    lie_bytes_refused(pair.sim[1], SIM_COORDINATOR, rn_buffer_view(reveal),
                      "follows another transcript");
    pair_close(&pair);
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
    rn_mask_key_self(&context, &m->vault->session.self, self, &key);
    assert_true(rn_is_ok(rn_mask_set_insert(masks, &key, -1, NULL)));
    for (uint32_t k = honest(uploads->split); k < uploads->split->members; k++) {
        assert_true(rn_is_ok(rn_mask_key_pair(&context, &m->vault->session.mask, self,
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
    const struct split two = {7, 2, 3, RN_SA_ACK, true, true};
    const struct split one = {7, 2, 5, RN_SA_ACK, true, true}; /* one face, all in its half */
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
        cmocka_unit_test(test_one_sum_at_most), cmocka_unit_test(test_no_share_crosses),
        cmocka_unit_test(test_no_ack_crosses),  cmocka_unit_test(test_no_upload_crosses),
        cmocka_unit_test(test_no_vote_crosses), cmocka_unit_test(test_masks_do_not_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
