/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator with two faces. A session is run twice from one seed, so that both runs are one to
 * the byte, up to the point where the coordinator begins to say different things to two halves of
 * the honest members; from there each half lives in its own run only, and the colluders in both.
 * Included after simulator.c.
 */
#ifndef RN_TESTS_FACES_H
#define RN_TESTS_FACES_H

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* Honest members 0 .. half - 1 see face 0, those up to n_max - n_c see face 1, the rest is corrupt
 * and sees both. */
struct split {
    uint32_t members, colluding, half;
    uint32_t least;     /* h_min; 0: 2 */
    enum rn_sa_type at; /* the message on which the first different broadcast is built */
    /* Both faces hear that message from everybody, but face 1 leaves out member 0: the sets are as
     * large, and as alike, as can be. Else each face hears its own half and the colluders. */
    bool alike;
    /* Face 1 leaves out nobody, but the last member signs another message for it (Shares, or an Ack
     * that keeps U2 as it is). */
    bool two_versions;
};

static inline uint32_t honest(const struct split *s)
{
    return s->members - s->colluding;
}

static inline bool sees(const struct split *s, uint32_t face, uint32_t member)
{
    return member >= honest(s) || (member < s->half) == (face == 0);
}

static inline uint32_t seen_by(const struct split *s, uint32_t face)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->members; i++) {
        count += sees(s, face, i);
    }
    return count;
}

static inline enum rn_sa_type message_after(enum rn_sa_type type)
{
    return type == RN_SA_READY    ? RN_SA_SHARES
           : type == RN_SA_SHARES ? RN_SA_ACK
           : type == RN_SA_ACK    ? RN_SA_CHUNK
                                  : RN_SA_VOTE;
}

/* The coordinator's own machine does not mind how few there are; sizes of messages are those of the
 * true threshold. */
static inline bool content(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
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
static inline void deal_again(struct sim *sim, const struct rn_sa_message *m, struct rn_buffer *out)
{
    const struct rn_sa_transcript *t = &sim->aggregator->t;
    uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    struct rn_sa_shares_hashes hashes;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m->body.data, m->body.length);
    body.data[2 * rn_sa_coefficient_bytes(t)] ^= 1;
    rn_sa_shares_hash(t, m->sender, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(t, m->sender, &hashes, root);
    sim_sign_again(sim, m, rn_buffer_view(&body), NULL, root, out);
    rn_buffer_clear(&sim->members[m->sender]->shares); /* it stands by what it sent */
    rn_buffer_append(&sim->members[m->sender]->shares, out->data, out->length);
}

/* It complains about the other colluder: once, which costs nobody a place. */
static inline void acknowledge_again(struct sim *sim, const struct rn_sa_message *m,
                                     struct rn_buffer *out)
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
static inline bool say_again(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
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

static inline struct sim *face_new(const struct split *s, uint32_t face)
{
    const struct sim_options options = {.members = s->members,
                                        .colluding = s->colluding,
                                        .honest = s->least,
                                        .seed = 5300,
                                        .tamper =
                                            s->two_versions && face == 1 ? say_again : content,
                                        .tamper_context = (void *)(uintptr_t)s};
    struct sim *sim = sim_new(&options);
    sim_run(sim, TICK_MS); /* the offer is out */
    sim->aggregator->t.params.members = RN_SA_MEMBERS_MIN;
    sim->aggregator->t.params.colluding = 1;
    sim->aggregator->t.params.honest = 2;
    for (uint32_t i = 0; i < s->members; i++) {
        if (!sees(s, face, i)) {
            const bool heard = s->alike && (i != 0 || s->two_versions);
            sim->nodes[i].silent_from = heard ? message_after(s->at) : s->at;
        }
    }
    return sim;
}

#endif
