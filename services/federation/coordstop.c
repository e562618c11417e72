/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's signed stop at the coordinator, which believes it for its signature alone: whoever
 * brings it. The first one ends the job; it is handed to everybody.
 */
#include "base/guard.h"
#include "services/federation/coordinationstate.h"

rn_result rn_coord_stop_start(struct rn_coordination *c, struct rn_error *err)
{
    return rn_job_stop_load(c->basis, &c->stop, err);
}

static rn_result take(struct rn_coordination *c, struct rn_view bytes, struct rn_error *err)
{
    struct rn_job_stop stop;
    RN_TRY(rn_job_stop_read(bytes, c->basis, &stop, err));
    RN_ENSURE(rn_is_ok(c->result) && c->phase < RN_COORDINATION_LINGER, err, RN_E_ROUND_STALE,
              "the job has ended already");
    c->stop = stop;
    return rn_ok();
}

bool rn_coord_stop_hear(struct rn_coordination *c, uint32_t index, struct rn_view bytes)
{
    struct rn_error err = {0};
    if (c->stop.length > 0) { /* said again, or another one: the first counts */
        c->peers[index].wants_stop = true;
        return false;
    }
    const rn_result result = take(c, bytes, &err);
    if (!rn_is_ok(result)) {
        rn_effects_event_err(c->out,
                             (struct rn_job_event){.kind = RN_JOB_STOP_REFUSED,
                                                   .peer = index + 1,
                                                   .outcome = result.code},
                             &err);
        return false;
    }
    rn_job_stop_write(&c->stop, c->round, c->out);
    c->result = rn_job_stop_result(&c->stop, c->basis->roster, &c->err);
    for (uint32_t i = 0; i < c->peer_count; i++) {
        c->peers[i].wants_stop = true;
    }
    return true;
}

void rn_coord_stop_send(struct rn_coordination *c)
{
    for (uint32_t i = 0; i < c->peer_count && c->stop.length > 0; i++) {
        struct rn_coord_peer *peer = &c->peers[i];
        if (peer->wants_stop && peer->connection != 0) {
            rn_job_stop_send(&c->stop, peer->connection, c->out);
            peer->wants_stop = false;
        }
    }
}
