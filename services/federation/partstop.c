/* SPDX-License-Identifier: Apache-2.0
 *
 * The stop of the job at a member: by this site's own operator, or signed by another member. From
 * then on this site is as after a restart, without the secrets of its session, and takes part in no
 * other: it can neither finish an upload, nor vote for a sum, nor help to unmask one. It still
 * follows, and votes to call off what it has not voted on. A session whose survivors are certified
 * here has all that it gets from this site, and is left to bring its sum.
 */
#include "base/guard.h"
#include "services/federation/participationstate.h"

/* Nobody has the stop yet, or nobody is there: then this site ends by itself. */
#define ALONE_MS 10000u
/* The coordinator has it, and its word that the job is over takes so long at most: what it waits
 * for at its end, and more. */
#define ANSWERED_MS 300000u

rn_result rn_part_stop_start(struct rn_participation *p, struct rn_error *err)
{
    p->stop.since_ms = p->now.monotonic_ms;
    return rn_job_stop_load(p->config.basis, &p->stop.held, err);
}

static rn_result leave_session(struct rn_participation *p, struct rn_error *err)
{
    struct rn_part_session *session = &p->session;
    rn_part_train_cancel(p);
    if (session->machine == NULL || session->over || session->stage >= RN_SA_STAGE_UNMASK) {
        return rn_ok();
    }
    RN_TRY(rn_part_session_follow(p, err));
    if (!session->following) { /* its update has left: too late for that */
        rn_part_session_clear(p);
        RN_TRY(rn_part_session_resume(p, err));
    }
    rn_round_update_clear(&p->update);
    return rn_ok();
}

static rn_result hold(struct rn_participation *p, const struct rn_job_stop *stop,
                      struct rn_error *err)
{
    p->stop.held = *stop;
    p->stop.since_ms = p->now.monotonic_ms;
    rn_job_stop_write(stop, p->next_round, p->out);
    rn_job_stop_tell(stop, p->next_round, p->out);
    return leave_session(p, err);
}

static void refuse(struct rn_participation *p, rn_result result, const struct rn_error *err)
{
    rn_part_event_err(p, (struct rn_job_event){.kind = RN_JOB_STOP_REFUSED, .outcome = result.code},
                      err);
}

rn_result rn_part_stop_own(struct rn_participation *p, const char *reason, struct rn_error *err)
{
    struct rn_job_stop stop;
    if (rn_part_is_stopped(p)) {
        return rn_ok(); /* the first counts */
    }
    const rn_result result = rn_job_stop_sign(p->config.basis, reason, &stop, err);
    if (!rn_is_ok(result)) {
        refuse(p, result, err);
        return rn_ok();
    }
    RN_TRY(hold(p, &stop, err));
    rn_part_stop_say(p);
    return rn_ok();
}

rn_result rn_part_stop_hear(struct rn_participation *p, struct rn_view bytes, struct rn_error *err)
{
    struct rn_job_stop stop;
    if (rn_job_stop_equal(&p->stop.held, bytes)) {
        p->stop.answered = true;
        return rn_ok();
    }
    const rn_result result = rn_job_stop_read(bytes, p->config.basis, &stop, err);
    if (!rn_is_ok(result)) {
        refuse(p, result, err);
        return rn_ok();
    }
    p->stop.answered = true;
    return rn_part_is_stopped(p) ? rn_ok() : hold(p, &stop, err);
}

void rn_part_stop_say(struct rn_participation *p)
{
    if (rn_part_is_stopped(p) && p->greeted) {
        rn_job_stop_send(&p->stop.held, p->connection, p->out);
    }
}

bool rn_part_stop_is_over(const struct rn_participation *p)
{
    const struct rn_part_stop *stop = &p->stop;
    const bool gone = !p->greeted && p->alone_since_ms > stop->since_ms;
    const uint64_t since_ms = gone ? p->alone_since_ms : stop->since_ms;
    const uint64_t patience = p->greeted && stop->answered ? ANSWERED_MS : ALONE_MS;
    return rn_part_is_stopped(p) && p->now.monotonic_ms - since_ms >= patience;
}
