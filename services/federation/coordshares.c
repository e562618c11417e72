/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of shares on their way: each is made when it leaves, and the next leaves when earlier ones
 * are answered, so that not all of them lie in memory and in the streams at once.
 */
#include "base/guard.h"
#include "services/federation/coordinationstate.h"

static uint64_t limit_of(const struct rn_coordination *c)
{
    return c->config.share_bytes == 0 ? RN_COORD_SHARE_BYTES_DEFAULT : c->config.share_bytes;
}

static uint64_t bytes_under_way(const struct rn_coord_shares *shares)
{
    uint64_t bytes = 0;
    for (uint32_t i = rn_sa_set_next(&shares->under_way, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&shares->under_way, i + 1)) {
        bytes += shares->bytes[i];
    }
    return bytes;
}

/* So long an answer is waited for that all sets have left by half the soft time-out, even if nobody
 * answers. */
static uint64_t patience_ms(const struct rn_coordination *c, const struct rn_coord_session *session)
{
    const uint64_t largest = session->shares.largest > 0 ? session->shares.largest : 1;
    const uint64_t at_once = limit_of(c) >= largest ? limit_of(c) / largest : 1;
    const uint64_t turns = rn_sa_set_count(&session->expected) / at_once + 1;
    return session->params.acks.soft_ms / (2 * turns);
}

/* Answered, or nothing to wait for: the stage is over, the member is gone, or it takes too long. */
static bool is_settled(const struct rn_coordination *c, const struct rn_coord_session *session,
                       uint32_t member, uint64_t patience)
{
    return session->stage != RN_SA_STAGE_ACKS || rn_sa_set_has(&session->arrived, member) ||
           c->peers[member].connection == 0 ||
           c->clock_ms - session->shares.sent_ms[member] >= patience;
}

static void settle(const struct rn_coordination *c, struct rn_coord_session *session)
{
    struct rn_coord_shares *shares = &session->shares;
    const uint64_t patience = patience_ms(c, session);
    for (uint32_t i = rn_sa_set_next(&shares->under_way, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&shares->under_way, i + 1)) {
        if (is_settled(c, session, i, patience)) {
            rn_sa_set_remove(&shares->under_way, i);
        }
    }
}

static void send_one(struct rn_coordination *c, struct rn_coord_session *session, uint32_t member)
{
    struct rn_coord_shares *shares = &session->shares;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    if (c->peers[member].connection == 0 ||
        !rn_is_ok(rn_sa_aggregator_share_set(session->machine, member, &message, NULL))) {
        return; /* it asks when it is back */
    }
    rn_effects_send_secagg(c->out, c->peers[member].connection, rn_buffer_view(&message));
    rn_sa_set_add(&shares->under_way, member);
    shares->sent_ms[member] = c->clock_ms;
    shares->bytes[member] = (uint32_t)message.length;
    shares->largest = message.length > shares->largest ? message.length : shares->largest;
    shares->turn = member + 1;
}

/* Whose turn it is: places in a circle, so that those who ask again and again keep nobody waiting.
 * Who has a set under way waits for the next round. RN_SA_MEMBERS_MAX: nobody. */
static uint32_t next_of(const struct rn_coord_shares *shares)
{
    struct rn_sa_set free = shares->due;
    for (uint32_t i = rn_sa_set_next(&shares->under_way, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&shares->under_way, i + 1)) {
        rn_sa_set_remove(&free, i);
    }
    const uint32_t next = rn_sa_set_next(&free, shares->turn);
    return next < RN_SA_MEMBERS_MAX ? next : rn_sa_set_next(&free, 0);
}

void rn_coord_shares_want(struct rn_coord_session *session, const struct rn_sa_set *members)
{
    session->shares.due = rn_sa_set_either(&session->shares.due, members);
}

void rn_coord_shares_send(struct rn_coordination *c, struct rn_coord_session *session)
{
    struct rn_coord_shares *shares = &session->shares;
    if (rn_sa_set_empty(&shares->due) || session->machine == NULL) {
        return;
    }
    if (session->stage >= RN_SA_STAGE_ABORTING) {
        shares->due = (struct rn_sa_set){0}; /* nobody needs them any more */
    }
    settle(c, session);
    uint64_t held = bytes_under_way(shares);
    for (uint32_t i = next_of(shares); i < RN_SA_MEMBERS_MAX; i = next_of(shares)) {
        if (held > 0 && held + shares->largest > limit_of(c)) {
            return;
        }
        rn_sa_set_remove(&shares->due, i);
        send_one(c, session, i);
        held = bytes_under_way(shares);
    }
}
