/* SPDX-License-Identifier: Apache-2.0
 *
 * Who survived, and what was voted for. Included by test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

/* ---- R2, R3 */

static bool tell_survivors(struct plot *p, struct face *f, const struct rn_buffer *dones,
                           const struct rn_sa_set *set)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_survivors_write(dones, set, &body);
    return broadcast(p, f, RN_SA_SURVIVORS, rn_sa_survivors_apply, &body);
}

static struct rn_sa_set collect_dones(struct plot *p, struct face *f, bool again,
                                      struct rn_buffer *dones)
{
    const struct rn_sa_set own = rn_sa_set_both(&p->corrupt, &f->t.linked);
    FOR_EACH(c, &own)
    {
        if (again || find_upload(p, c, f->t.t1, NULL) == NULL) {
            sign_upload(p, f, c);
        }
    }
    clear_all(dones);
    return collect(p, RN_SA_DONE, f->t.t1, no_head, &f->t.linked, dones);
}

static void call_off(struct plot *p, struct face *f, uint32_t percent)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    rn_sa_abort_call_write(&f->t, RN_SA_REASON_OPERATOR, chance(p, 10),
                           p->sim->identities[SIM_COORDINATOR], &message);
    (void)write_down(p, SIM_COORDINATOR, rn_buffer_view(&message));
    FOR_EACH(i, &f->told)
    {
        if (chance(p, percent)) {
            (void)hear(p, i, rn_buffer_view(&message));
            saw(p, ABORT_CALL);
        }
    }
}

static void split_survivors(struct plot *p, struct face *f, struct rn_buffer *dones)
{
    struct face *g = fork_face(p, f);
    if (g == NULL) {
        return;
    }
    const bool twice = wants(p, DONE_TWICE);
    const struct rn_sa_set got = collect_dones(p, g, twice, dones);
    const struct rn_sa_set other = twice && chance(p, 60) ? got : without_one(p, g, got);
    g->alive = tell_survivors(p, g, dones, &other);
    p->tally->seen[DONE_TWICE] += twice && g->alive;
    p->tally->seen[SURVIVORS_SPLIT] += g->alive;
}

static void survivors_stage(struct plot *p, struct face *f)
{
    struct rn_buffer dones[PLACES] = {{0}};
    if (wants(p, ABORT_CALL)) {
        call_off(p, f, chance(p, 50) ? 100 : 40);
    }
    if (p->menu[ABORT_CALL] && chance(p, 40)) { /* nothing else is told */
        f->alive = false;
        return;
    }
    struct rn_sa_set got = collect_dones(p, f, false, dones);
    bool told = false;
    if (wants(p, SURVIVORS_FEW)) {
        const struct rn_sa_set few = below_floor(p, &got);
        told = tell_survivors(p, f, dones, &few);
        saw(p, SURVIVORS_FEW);
    }
    if (!told && (wants(p, SURVIVORS_SPLIT) || wants(p, DONE_TWICE))) {
        split_survivors(p, f, dones);
        got = collect_dones(p, f, false, dones);
    }
    if (wants(p, LOSE) && rn_sa_set_count(&got) > rn_sa_floor(&p->sim->params, 0)) {
        rn_sa_set_remove(&got, any_of(p, &got));
        saw(p, LOSE);
    }
    f->alive = told || tell_survivors(p, f, dones, &got);
    clear_all(dones);
}

/* What a vote says: a T2, or ABORT. */
struct ballot {
    uint8_t body[RN_SA_VOTE_BODY];
};

static struct ballot ballot_of(const struct face *f, enum rn_sa_vote vote)
{
    struct ballot ballot = {{(uint8_t)vote}};
    if (vote == RN_SA_VOTE_SURVIVORS) {
        memcpy(ballot.body + 4, f->t.t2, RN_HASH_BYTES);
    }
    return ballot;
}

/* Votes for this as often as asked for: who is missing is replaced by who is there, once more. */
static void forge_votes(struct plot *p, const struct rn_buffer *votes, const struct rn_sa_set *set,
                        struct rn_buffer *out_body)
{
    const uint32_t quorum = rn_sa_quorum(&p->sim->params);
    const uint32_t count = rn_sa_set_count(set);
    const bool repeats = count > 0 && chance(p, 50);
    rn_buffer_u32(out_body, repeats && count < quorum ? quorum : count);
    uint32_t left = repeats && count < quorum ? quorum - count + 1 : 1;
    FOR_EACH(i, set)
    {
        for (; left > 0; left--) {
            rn_buffer_append(out_body, votes[i].data, votes[i].length);
        }
        left = 1;
    }
}

/* How a certificate is forged. */
enum forgery { TOO_FEW, OTHER_T2, OTHER_KIND, FORGERIES };

/* The newest votes of this kind, for whatever, of those whose vote is not there. */
static void add_votes(const struct plot *p, const struct face *f, struct rn_view kind,
                      struct rn_sa_set *set, struct rn_buffer *votes)
{
    const struct rn_sa_set missing = rn_sa_set_minus(&f->t.survivors, set);
    const struct rn_sa_set more = collect(p, RN_SA_VOTE, f->t.t0, kind, &missing, votes);
    *set = rn_sa_set_either(set, &more);
}

static void forge_certificate(struct plot *p, struct face *f, enum forgery how)
{
    struct rn_buffer votes[PLACES] = {{0}};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const struct ballot ballot = ballot_of(f, RN_SA_VOTE_SURVIVORS);
    const struct rn_view head = rn_view_of(ballot.body, RN_SA_VOTE_BODY);
    struct rn_sa_set set = collect(p, RN_SA_VOTE, f->t.t0, head, &f->t.survivors, votes);
    if (how == TOO_FEW) {
        set = some_of(p, set, rn_sa_quorum(&p->sim->params) - 1);
    } else {
        add_votes(p, f, how == OTHER_T2 ? rn_view_of(ballot.body, 1) : no_head, &set, votes);
    }
    forge_votes(p, votes, &set, &body);
    p->tally->seen[CERTIFICATE_FEW] +=
        !broadcast(p, f, RN_SA_CERTIFICATE, rn_sa_certificate_apply, &body);
    clear_all(votes);
}

static void tell_certificate(struct plot *p, struct face *f)
{
    struct rn_buffer votes[PLACES] = {{0}};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const struct ballot ballot = ballot_of(f, RN_SA_VOTE_SURVIVORS);
    const struct rn_sa_set set = collect(
        p, RN_SA_VOTE, f->t.t0, rn_view_of(ballot.body, RN_SA_VOTE_BODY), &f->t.survivors, votes);
    rn_sa_votes_write(votes, &set, &body);
    (void)broadcast(p, f, RN_SA_CERTIFICATE, rn_sa_certificate_apply, &body);
    clear_all(votes);
}

/* Votes for ABORT, of whatever session, for those who cast none in this one. */
static void add_old_votes(struct plot *p, struct rn_sa_set *set, struct rn_buffer *votes)
{
    for (size_t k = 0; k < p->note_count; k++) {
        const struct note *note = &p->notes[k];
        if (note->m.type == RN_SA_VOTE && note->m.body.data[0] == RN_SA_VOTE_ABORT &&
            !rn_sa_set_has(set, note->from)) {
            rn_buffer_append(&votes[note->from], note->bytes.data, note->bytes.length);
            rn_sa_set_add(set, note->from);
        }
    }
}

/* With all votes that there are, to everybody, whatever else was told. True when it is one. */
static bool tell_abort(struct plot *p, struct face *f)
{
    struct rn_buffer votes[PLACES] = {{0}};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const struct ballot ballot = ballot_of(f, RN_SA_VOTE_ABORT);
    struct rn_sa_set set = collect(p, RN_SA_VOTE, f->t.t0, rn_view_of(ballot.body, RN_SA_VOTE_BODY),
                                   &f->t.joined, votes);
    const bool whole = rn_sa_set_count(&set) >= rn_sa_quorum(&p->sim->params);
    if (whole) {
        rn_sa_votes_write(votes, &set, &body);
    } else {
        if (chance(p, 50)) {
            add_old_votes(p, &set, votes);
        }
        forge_votes(p, votes, &set, &body);
    }
    (void)tell(p, f, RN_SA_ABORT_CERTIFICATE, RN_SA_EVERYONE, f->t.t0, rn_buffer_view(&body),
               &p->honest);
    clear_all(votes);
    return whole;
}

/* Corrupt members vote for everything. */
static void votes_stage(struct plot *p, struct face *f)
{
    const struct rn_sa_set own = rn_sa_set_both(&p->corrupt, &f->t.joined);
    FOR_EACH(c, &own)
    {
        if (f->t.level >= RN_SA_LEVEL_SURVIVORS) {
            sign_vote(p, f, c, RN_SA_VOTE_SURVIVORS);
        }
        sign_vote(p, f, c, RN_SA_VOTE_ABORT);
    }
}

static void certificate_stage(struct plot *p, struct face *f)
{
    const bool both = wants(p, CERTIFICATE_BOTH);
    const bool before = chance(p, 50);
    if (wants(p, ABORT_CALL)) {
        const uint32_t first = any_of(p, &f->told);
        if (p->menu[RESTART] && first != SIM_COORDINATOR) {
            site_restart(p, first);
            saw(p, RESTART);
        }
        call_off(p, f, 50);
        votes_stage(p, f);
    }
    if (both && before) {
        (void)tell_abort(p, f);
    }
    if (f->t.level >= RN_SA_LEVEL_SURVIVORS) {
        for (enum forgery how = TOO_FEW; how < FORGERIES; how++) {
            if (f->t.level < RN_SA_LEVEL_CERTIFIED &&
                (wants(p, CERTIFICATE_FEW) || chance(p, 25))) {
                forge_certificate(p, f, how);
            }
        }
        if (f->t.level < RN_SA_LEVEL_CERTIFIED) {
            tell_certificate(p, f);
        }
    }
    if (both && !before) {
        (void)tell_abort(p, f);
    }
    p->tally->seen[CERTIFICATE_BOTH] += both && f->t.level >= RN_SA_LEVEL_CERTIFIED;
    f->alive = f->t.level >= RN_SA_LEVEL_CERTIFIED;
    p->tally->certified += f->alive;
}

/* After everything: an abort certificate, true wherever there is one, told to ledgers too. */
static void late_aborts(struct plot *p, struct face *f)
{
    if (f->t.level < RN_SA_LEVEL_JOINED) {
        return;
    }
    p->tally->aborted += tell_abort(p, f);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    for (size_t k = p->note_count; k-- > p->session_start;) {
        if (p->notes[k].m.type == RN_SA_ABORT_CERTIFICATE &&
            same(p->notes[k].m.session, f->t.session)) {
            rn_buffer_append(&message, p->notes[k].bytes.data, p->notes[k].bytes.length);
            break;
        }
    }
    FOR_EACH(i, &p->honest)
    {
        if (chance(p, 80)) {
            hear_late(p, i, rn_buffer_view(&message));
        }
    }
}
