/* SPDX-License-Identifier: Apache-2.0
 *
 * Thousands of sessions in which the coordinator and n_c members are one adversary (collusion.h):
 * whatever it tells whom, the privacy claim and the sum check of crypto/secagg/PROTOCOL.md hold for
 * every honest member. Sessions come in sequences over one ledger, so that rule A9 is at work.
 *
 *     RONDO_CORRUPT_SEED=n    one sequence alone
 *     RONDO_CORRUPT_COUNT=n   so many sessions instead
 *     RONDO_LONG=1            half a million of each shard
 */
#include "tests/simulation/simulator.c"

#include "crypto/maskkey.h"
#include "crypto/secagg/member_state.h"
#include "crypto/secagg/openmasks.h"
#include "crypto/shamir.h"

#include "tests/simulation/collusion.h"

#include "tests/simulation/collusion_notes.c"

#include "tests/simulation/collusion_sites.c"

#include "tests/simulation/collusion_puppets.c"

#include "tests/simulation/collusion_faces.c"

#include "tests/simulation/collusion_rounds.c"

#include "tests/simulation/collusion_votes.c"

#include "tests/simulation/collusion_results.c"

#include "tests/simulation/collusion_sum.c"

#include "tests/simulation/collusion_check.c"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SESSIONS_OF_SHARD 600u
#else
#define SESSIONS_OF_SHARD 10500u /* of each of the two shards */
#endif
#define SESSIONS_LONG 500000u

/* ---- at any time */

/* A message of the adversary's choice to a member of its choice. */
static void make_noise(struct plot *p)
{
    const uint32_t to = any_of(p, &p->honest);
    if (wants(p, NOISE) && p->note_count > p->session_start) {
        const size_t count = p->note_count - p->session_start;
        const struct note *note = &p->notes[p->session_start + below(p, (uint32_t)count)];
        (void)hear(p, to, note->m.whole);
        saw(p, NOISE);
    }
    if (wants(p, CROSS) && p->session_start > 0) {
        const struct note *note = &p->notes[below(p, (uint32_t)p->session_start)];
        const struct rn_sa_member *m = p->sites[to].machine[p->sites[to].current];
        if (m != NULL && note->from == SIM_COORDINATOR) { /* as it is, and into the session */
            struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
            struct rn_sa_message other = note->m;
            memcpy(other.session, m->t.session, RN_HASH_BYTES);
            other.round = m->t.context.round;
            (void)hear(p, to, note->m.whole);
            sim_sign_again(p->sim, &other, other.body, NULL, NULL, &forged);
            (void)hear(p, to, rn_buffer_view(&forged));
            saw(p, CROSS);
        }
    }
    if (p->menu[RESTART] && chance(p, 15)) {
        site_restart(p, to);
        saw(p, RESTART);
    }
}

/* Uploads that waited go out, now or never. */
static void hurry(struct plot *p)
{
    FOR_EACH(i, &p->honest)
    {
        for (uint32_t slot = 0; slot < 2; slot++) {
            if (p->sites[i].bulk[slot] && chance(p, 12)) {
                saw(p, SLOW);
                send_upload(p, i, slot);
            }
        }
    }
}

/* ---- a session */

typedef void stage(struct plot *p, struct face *f);

static void each_face(struct plot *p, stage *run, enum rn_sa_level level, bool dead_too)
{
    struct face *faces[FACES];
    memcpy(faces, p->faces, sizeof faces); /* those that are new have been told */
    for (uint32_t k = 0; k < FACES; k++) {
        if (faces[k] != NULL && (faces[k]->alive || dead_too) && faces[k]->t.level >= level) {
            run(p, faces[k]);
            make_noise(p);
        }
    }
    hurry(p);
}

static void draw_menu(struct plot *p)
{
    const uint32_t kind = below(p, 10);
    const uint32_t percent = kind < 4 ? 0 : kind < 8 ? 10 : 30;
    for (uint32_t k = 0; k < ITEMS; k++) {
        p->menu[k] = chance(p, percent);
    }
    for (uint32_t k = 0; k < kind % 4; k++) { /* none, or up to three for sure */
        p->menu[below(p, ITEMS)] = true;
    }
    p->slow = (struct rn_sa_set){{0}};
    if (p->menu[SLOW]) {
        rn_sa_set_add(&p->slow, any_of(p, &p->honest));
    }
}

/* Another round, another attempt, or a round that is about the same part. */
static void choose_round(struct plot *p)
{
    const bool again = wants(p, OFFER_RERUN) || chance(p, 25);
    if (!again || p->round == 0) {
        p->round++;
        p->attempt = 1;
        return;
    }
    p->tally->seen[OFFER_RERUN] += p->seance_count > 0;
    if (chance(p, 60)) {
        p->attempt++;
    } else {
        p->round += 2;
        p->attempt = 1;
    }
}

static void run_session(struct plot *p)
{
    draw_menu(p);
    choose_round(p);
    p->session_start = p->note_count;
    open_session(p);
    make_noise(p);
    each_face(p, ready_stage, RN_SA_LEVEL_SESSION, false);
    each_face(p, shares_stage, RN_SA_LEVEL_JOINED, false);
    each_face(p, acks_stage, RN_SA_LEVEL_JOINED, false);
    each_face(p, survivors_stage, RN_SA_LEVEL_LINKED, false);
    each_face(p, votes_stage, RN_SA_LEVEL_JOINED, true);
    each_face(p, certificate_stage, RN_SA_LEVEL_JOINED, true);
    each_face(p, result_stage, RN_SA_LEVEL_CERTIFIED, false);
    each_face(p, receipts_stage, RN_SA_LEVEL_RESULT, false);
    each_face(p, late_aborts, RN_SA_LEVEL_JOINED, true);
    check_all(p);
    for (uint32_t k = 0; k < FACES; k++) {
        free_face(RN_TAKE(p->faces[k]));
    }
    p->tally->sessions++;
}

/* ---- a sequence: one roster, one adversary, one ledger each */

static struct sim_options draw_options(uint64_t seed)
{
    static const uint32_t cohorts[][3] = {{3, 1, 0}, {4, 1, 1}, {4, 1, 1}, {5, 1, 1},
                                          {5, 1, 1}, {6, 1, 2}, {6, 1, 2}, {7, 2, 2}};
    const uint32_t *cohort = cohorts[seed * 0x9e3779b97f4a7c15u >> 61];
    return (struct sim_options){.members = cohort[0],
                                .colluding = cohort[1],
                                .losses = cohort[2],
                                .elements = ELEMENTS,
                                .chunk_elements = 4,
                                .seed = seed};
}

static void end_sequence(struct plot *p)
{
    for (size_t k = 0; k < p->note_count; k++) {
        rn_buffer_clear(&p->notes[k].bytes);
    }
    for (size_t k = 0; k < p->upload_count; k++) {
        rn_buffer_clear(&p->uploads[k].done);
        for (uint32_t c = 0; c < CHUNKS; c++) {
            rn_buffer_clear(&p->uploads[k].chunks[c]);
        }
    }
    for (uint32_t i = 0; i < PLACES; i++) {
        rn_sa_member_free(p->sites[i].machine[0]);
        rn_sa_member_free(p->sites[i].machine[1]);
    }
    clear_all(p->asks);
    rn_free(p->notes);
    rn_free(p->uploads);
    sim_free(p->sim);
    rn_free(p);
}

static void run_sequence(uint64_t seed, struct tally *tally)
{
    const struct sim_options options = draw_options(seed);
    struct plot *p = rn_alloc(1, sizeof *p);
    p->tally = tally;
    p->sim = sim_new(&options);
    p->honest = rn_sa_set_first(options.members);
    for (uint32_t k = 0; k < options.colluding; k++) {
        const uint32_t c = any_of(p, &p->honest);
        rn_sa_set_remove(&p->honest, c);
        rn_sa_set_add(&p->corrupt, c);
    }
    for (uint32_t i = 0; i < PLACES; i++) {
        p->sites[i].adapter[0] = 3;
        p->sites[i].vector[0] = p->sites[i].vector[1] = sim_random(p->sim);
    }
    const uint32_t sessions = 2 + below(p, 3);
    for (uint32_t k = 0; k < sessions; k++) {
        run_session(p);
    }
    tally->sequences++;
    end_sequence(p);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void print_tally(const struct tally *t, uint64_t first, uint64_t step)
{
    static const char *const names[ITEMS] = {
#define X(name) #name,
        MENU(X)
#undef X
    };
    (void)printf("%llu sessions in %llu sequences (seeds %llu, %llu, ...): %llu certified, %llu "
                 "opened, %llu adapters taken, %llu abort certificates, %llu updates encoded again "
                 "after one, %llu proofs, %llu messages refused\n",
                 (unsigned long long)t->sessions, (unsigned long long)t->sequences,
                 (unsigned long long)first, (unsigned long long)(first + step),
                 (unsigned long long)t->certified, (unsigned long long)t->opened,
                 (unsigned long long)t->finished, (unsigned long long)t->aborted,
                 (unsigned long long)t->encoded_again, (unsigned long long)t->evidence,
                 (unsigned long long)t->refused);
    for (uint32_t k = 0; k < ITEMS; k++) {
        (void)printf("%s %llu%s", names[k], (unsigned long long)t->seen[k],
                     k + 1 == ITEMS ? "\n" : ", ");
    }
}

static void test_corrupt_together(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (getenv("RONDO_CORRUPT_SEED") != NULL) {
        run_sequence(number("RONDO_CORRUPT_SEED", 0), &tally);
        print_tally(&tally, number("RONDO_CORRUPT_SEED", 0), 0);
        return;
    }
    const uint64_t shard = number("RONDO_CORRUPT_SHARD", 0);
    const uint64_t sessions =
        number("RONDO_CORRUPT_COUNT", sim_is_long() ? SESSIONS_LONG : SESSIONS_OF_SHARD);
    for (uint64_t seed = 1 + shard; tally.sessions < sessions; seed += 2) {
        if (getenv("RONDO_CORRUPT_TRACE") != NULL) {
            (void)printf("seed %llu\n", (unsigned long long)seed);
            (void)fflush(stdout);
        }
        run_sequence(seed, &tally);
    }
    print_tally(&tally, 1 + shard, 2);
    for (uint32_t k = 0; k < ITEMS && sessions >= 500; k++) {
        assert_true(tally.seen[k] > 0);
    }
    /* and the adversary got as far as it may: nothing above holds because nothing happened */
    assert_true(tally.opened * 3 >= tally.sessions && tally.finished >= tally.opened);
    assert_true(sessions < 500 || (tally.aborted > 0 && tally.encoded_again > 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corrupt_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
