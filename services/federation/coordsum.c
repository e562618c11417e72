/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's sum becomes the next adapter and the round's record, in one commit with the sum's
 * own: before anybody gets the sum from here.
 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/coordinationstate.h"

static rn_result read_sum(const void *context, uint64_t first, uint32_t count, uint64_t *out,
                          struct rn_error *err)
{
    return rn_sa_aggregator_sum_read(context, first, count, out, err);
}

static uint64_t uplink_of_round(const struct rn_coordination *c)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        bytes += c->peers[i].received - c->peers[i].received_at_start;
    }
    return bytes;
}

/* Of a blind job the receipts say which adapter follows: Q of them over one root and one adapter,
 * and this coordinator can look at neither. Where they name the adapter as it is, nothing followed
 * from the sum. */
static rn_result take_blind(struct rn_coordination *c, struct rn_coord_session *session,
                            const struct rn_sa_sum_info *info, struct rn_error *err)
{
    struct rn_job_result *result = &session->result;
    RN_ENSURE(memcmp(info->adapter_hash, session->before, RN_HASH_BYTES) != 0, err, RN_E_ROUND_SUM,
              "round %u: no adapter follows from its sum, say the members that replayed it",
              (unsigned)session->round);
    rn_job_sum_take_blind(&session->layout, info, rn_sa_set_count(&session->joined), &c->course,
                          result);
    memcpy(c->blind_hash, result->after, RN_HASH_BYTES);
    return rn_ok();
}

static rn_result take_open(struct rn_coordination *c, struct rn_coord_session *session,
                           const struct rn_sa_sum_info *info, struct rn_error *err)
{
    const struct rn_job_sum sum = {.plan = c->basis->plan,
                                   .layout = &session->layout,
                                   .sum = {read_sum, session->machine, info->contributors},
                                   .sum_hash = info->sum_hash,
                                   .joined = rn_sa_set_count(&session->joined)};
    RN_TRY(rn_job_sum_take(&sum, c->model, &c->course, &session->result, err));
    RN_ENSURE(memcmp(session->result.after, info->adapter_hash, RN_HASH_BYTES) == 0, err,
              RN_E_INTERNAL,
              "round %u: another adapter follows here than the members agreed on: is this the "
              "plan's base model, and one version of Rondo everywhere?",
              (unsigned)session->round);
    return rn_ok();
}

static rn_result apply(struct rn_coordination *c, struct rn_coord_session *session,
                       struct rn_error *err)
{
    struct rn_sa_sum_info info;
    RN_TRY(rn_sa_aggregator_sum_info(session->machine, &info, err));
    struct rn_job_result *result = &session->result;
    *result = (struct rn_job_result){.round = session->round,
                                     .attempt = session->attempt,
                                     .milliseconds = c->clock_ms - session->began_ms,
                                     .uplink_bytes = uplink_of_round(c)};
    memcpy(result->session, session->id, RN_HASH_BYTES);
    memcpy(result->before, session->before, RN_HASH_BYTES);
    RN_TRY(c->blind ? take_blind(c, session, &info, err) : take_open(c, session, &info, err));
    RN_TRY(rn_coord_write_sum(c, result, err));
    rn_coord_index_add(c, result);
    return rn_ok();
}

/* A sum of class ROUND is within the range of one, but nothing that honest updates add up to: some
 * member's upload was wrong, and nobody can say whose. Every site finds the same and keeps its
 * adapter. */
rn_result rn_coord_take_sum(struct rn_coordination *c, struct rn_coord_session *session)
{
    struct rn_error err = {0};
    const rn_result result = apply(c, session, &err);
    session->summed = rn_is_ok(result);
    session->refused = rn_class_of(result) == RN_CLASS_ROUND;
    if (session->refused) {
        rn_effects_event_err(c->out,
                             (struct rn_job_event){.kind = RN_JOB_SUM_REFUSED,
                                                   .round = session->round,
                                                   .outcome = result.code},
                             &err);
        return rn_ok();
    }
    if (!rn_is_ok(result)) {
        c->err = err;
    }
    return result;
}
