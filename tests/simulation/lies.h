/* SPDX-License-Identifier: Apache-2.0
 *
 * What a lying coordinator has to do so that its lie is looked at and not its arithmetic: after any
 * change to a broadcast that defines T0, T1 or T2 it computes that hash anew and signs. Included
 * after simulator.c by the tests that lie.
 */
#ifndef RN_TESTS_LIES_H
#define RN_TESTS_LIES_H

#include "crypto/secagg/messages.h"

#define LIE_SENDER_AT 52u

static inline uint32_t lie_u32(const uint8_t *at)
{
    struct rn_reader r = rn_reader_of(rn_view_of(at, 4));
    return rn_read_u32(&r);
}

/* U2 as an Ack set says it, be its signatures good or bad: with a broken form, nobody. */
static inline struct rn_sa_set lie_linked(const struct rn_sa_params *params, struct rn_view body)
{
    struct rn_reader r = rn_reader_of(body);
    struct rn_sa_set dealers = {{0}}, ackers = {{0}}, linked = {{0}};
    const uint32_t members = params->members;
    struct rn_sa_set valid[RN_SA_MEMBERS_MAX] = {{{0}}};
    const uint32_t count = rn_read_u32(&r);
    const struct rn_view envelopes = rn_read_view(&r, (size_t)count * RN_SA_ENVELOPE_BYTES);
    const uint32_t acks = rn_read_u32(&r);
    const struct rn_view whole = rn_read_view(&r, (size_t)acks * RN_SA_ACK_BYTES);
    for (uint32_t k = 0; !r.failed && k < count; k++) {
        rn_sa_set_add(&dealers, lie_u32(envelopes.data + k * RN_SA_ENVELOPE_BYTES + LIE_SENDER_AT) %
                                    RN_SA_MEMBERS_MAX);
    }
    for (uint32_t k = 0; !r.failed && k < acks; k++) {
        const uint8_t *ack = whole.data + k * (size_t)RN_SA_ACK_BYTES;
        const uint32_t sender = lie_u32(ack + LIE_SENDER_AT) % RN_SA_MEMBERS_MAX;
        struct rn_reader set =
            rn_reader_of(rn_view_of(ack + RN_SA_ENVELOPE_BYTES, RN_SA_SET_BYTES));
        valid[sender] = rn_sa_set_read(&set);
        rn_sa_set_add(&ackers, sender);
    }
    for (uint32_t i = 0; i < members; i++) {
        uint32_t holders = 0;
        for (uint32_t j = 0; j < members; j++) {
            holders += rn_sa_set_has(&ackers, j) && rn_sa_set_has(&valid[j], i);
        }
        if (rn_sa_set_has(&dealers, i) && rn_sa_set_has(&ackers, i) &&
            holders >= rn_sa_quorum(params) &&
            rn_sa_set_count(&ackers) - holders <= params->colluding) {
            rn_sa_set_add(&linked, i);
        }
    }
    return linked;
}

/* The transcript hash that a broadcast with this body has to bear. before: as the receiver knows
 * it. */
static inline void lie_hash(const struct rn_sa_transcript *before, const struct rn_sa_message *m,
                            struct rn_view body, uint8_t out[static RN_HASH_BYTES])
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) set = {0};
    const struct rn_view session = rn_view_of(before->session, RN_HASH_BYTES);
    if (m->type == RN_SA_READY_SET) {
        const struct rn_view parts[] = {session, body};
        rn_sha256(out, "rondo/v1 secagg T0", parts, 2);
    } else if (m->type == RN_SA_ACK_SET) {
        const struct rn_sa_set linked = lie_linked(&before->params, body);
        rn_sa_set_write(&set, &linked);
        const struct rn_view parts[] = {rn_view_of(before->t0, RN_HASH_BYTES), rn_buffer_view(&set),
                                        body};
        rn_sha256(out, "rondo/v1 secagg T1", parts, 3);
    } else if (m->type == RN_SA_SURVIVORS) {
        const struct rn_view parts[] = {rn_view_of(before->t1, RN_HASH_BYTES), body};
        rn_sha256(out, "rondo/v1 secagg T2", parts, 2);
    } else {
        memcpy(out, m->transcript, RN_HASH_BYTES);
    }
}

/* The coordinator's broadcast with another body: hashed and signed as it has to be. */
static inline void lie_write(struct sim *sim, const struct rn_sa_transcript *before,
                             const struct rn_sa_message *m, struct rn_view body,
                             struct rn_buffer *out)
{
    uint8_t hash[RN_HASH_BYTES];
    lie_hash(before, m, body, hash);
    sim_sign_again(sim, m, body, hash, NULL, out);
}

/* The member refuses these bytes, with these words among its reasons; it does nothing. */
static inline void lie_bytes_refused(struct sim *sim, uint32_t to, struct rn_view bytes,
                                     const char *reason)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_error err = {{0}};
    const rn_result result =
        to == SIM_COORDINATOR
            ? rn_sa_aggregator_receive(sim->aggregator, lie_u32(bytes.data + LIE_SENDER_AT), bytes,
                                       sim->now, &actions, &err)
            : rn_sa_member_receive(sim->members[to], bytes, sim->now, &actions, &err);
    if (rn_is_ok(result) || strstr(err.text, reason) == NULL) {
        fail_msg("node %u should say \"%s\", and says \"%s\"", to, reason,
                 rn_is_ok(result) ? "yes" : err.text);
    }
    assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
    assert_int_equal(actions.count, 0);
}

/* The member refuses the broadcast with this body, for this reason. */
static inline void lie_refused(struct sim *sim, uint32_t to, const struct rn_sa_message *m,
                               struct rn_view body, const char *reason)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    lie_write(sim, &sim->members[to]->t, m, body, &forged);
    lie_bytes_refused(sim, to, rn_buffer_view(&forged), reason);
}

/* Members below this number answer with a false share of `of`, or of everybody. */
struct lie_answers {
    uint32_t count;
    uint32_t of; /* SIM_COORDINATOR: of everybody */
};

static inline bool lie_answer(struct sim *sim, uint32_t from, uint32_t to,
                              struct rn_buffer *message)
{
    (void)to;
    const struct lie_answers *liars = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_REVEAL || from >= liars->count) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        if (liars->of == SIM_COORDINATOR || body.data[at] == liars->of) {
            body.data[at + 8] ^= (uint8_t)(1u << from); /* errors that do not cancel */
        }
    }
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

#endif
