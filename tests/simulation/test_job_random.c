/* SPDX-License-Identifier: Apache-2.0
 *
 * Thousands of whole jobs under random trouble: safety at every moment (jobsim.h), and liveness:
 * once the network heals and enough members are there, every process ends, and ends well unless a
 * round was lost for good. Of all rounds that were asked for, a floor must have been summed. One
 * job in a hundred has twelve members on a ring of six neighbours each, which is drawn first.
 *
 *     RONDO_JOB_SEED=n    one seed alone; with RONDO_JOB_TRACE=1 a line an event
 *     RONDO_JOB_COUNT=n   that many seeds
 *     RONDO_LONG=1        twenty times as many
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "crypto/secagg/params.h"
#include "tests/simulation/jobsim.h"
#include "tests/simulation/smallring.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JOBS 200u
#else
#define JOBS 2500u /* of each of the two shards */
#endif
#define FIRST_SEED 1000u
/* Simulated: the longest hard time-outs, several times over. */
#define LIMIT_MS 7200000u

struct tally {
    uint64_t jobs, rounds, sums, skips, ended_well, stopped, starts, few;
};

/* Draws without touching the job's own stream. */
static uint32_t pick(uint64_t *state, uint32_t bound)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % bound);
}

static bool is_ring(uint64_t seed)
{
    return seed % 100 == 37;
}

static struct job_options draw(uint64_t seed, uint64_t *s)
{
    const uint32_t few = 3 + pick(s, 3);
    const uint32_t members = is_ring(seed) ? JOB_MEMBERS_MAX : few;
    if (is_ring(seed)) {
        plant(6, 0);
    } else {
        planted.degree = 0;
    }
    struct job_options options = {
        .seed = seed,
        .members = members,
        .losses = members > 3 ? 1 : 0,
        .colluding = 1,
        .honest = 2,
        .method = pick(s, 3) > 0 ? RN_METHOD_ROLORA : (enum rn_plan_method)pick(s, 3),
        .head = (enum rn_plan_head)pick(s, 3),
        .weights = (enum rn_plan_weights)pick(s, 2),
        .rounds = 2 + pick(s, 3),
        .attempts = 1 + pick(s, 3),
        .delay_ms = 1 + pick(s, 400),
        .commit_ms = pick(s, 3) == 0 ? pick(s, 2500) : pick(s, 60),
        .training_ms = 1 + pick(s, 4000),
        .publish_ms = 1 + pick(s, 3000),
        .trouble_ms = pick(s, 4) == 0 ? 0 : 1000 * pick(s, 90),
        .break_percent = pick(s, 2) * pick(s, 12),
        .crash_percent = pick(s, 2) * pick(s, 8),
        .write_percent = pick(s, 3) == 0 ? pick(s, 5) : 0,
        .jump_percent = pick(s, 3) == 0 ? pick(s, 5) : 0,
        .drain_percent = pick(s, 4) == 0 ? pick(s, 4) : 0,
        .train_percent = pick(s, 4) == 0 ? pick(s, 20) : 0,
    };
    options.own_signatures = seed / 2 % 2 == 0;
    options.collect_ms = seed % 3 == 0 ? 1 + seed % 40 * 1000 : 0;
    uint64_t measures = seed * 91;
    options.evaluation = pick(&measures, 2) == 1;
    options.keep_best = options.evaluation && pick(&measures, 2) == 1;
    options.patience = options.evaluation ? pick(&measures, 4) : 0;
    options.blind = !options.evaluation && pick(&measures, 2) == 1;
    uint64_t shares = seed * 73;
    options.share_bytes = pick(&shares, 3) == 0 ? 1 + pick(&shares, 8000) : 0;
    return options;
}

static void set_moods(struct job *job, uint64_t *s)
{
    const uint32_t members = job->options.members;
    job->restart_at_vote = pick(s, 6) == 0;
    if (members > 3 && pick(s, 5) == 0) {
        const enum job_mood mood = (enum job_mood)(1 + pick(s, 3));
        struct job_node *node = &job->nodes[pick(s, members)];
        /* Without the maker there is no group key, and no blind job. */
        const bool needed = job->options.blind && node->place == RN_GROUP_MAKER;
        node->mood = needed ? JOB_REFUSES : mood;
        node->start_at = node->mood == JOB_NEVER_THERE ? JOB_NEVER : node->start_at;
    }
    const struct rn_sa_params params = {
        .members = members, .colluding = job->options.colluding, .honest = job->options.honest};
    job->vote_limit = pick(s, 6) == 0 ? rn_sa_quorum(&params) : 0;
    job->few_round = pick(s, 6) == 0 ? 1 + pick(s, job->options.rounds) : 0;
    job->few_limit = rn_sa_floor(&params, 0);
}

/* A lost round ends a job where the method has no other matrix; else every round must be summed or
 * skipped, and everybody who was there ends with the newest adapter. */
static void check(struct job *job, bool ended, struct tally *tally)
{
    const struct job_node *coordinator = &job->nodes[job->coordinator];
    if (!ended) {
        job_fail(job, "the job does not end: %u of %u rounds summed, coordinator %s, round %u",
                 (unsigned)job->sums, (unsigned)job->options.rounds,
                 coordinator->store != NULL ? "runs" : "is down", (unsigned)job_view(job).round);
    }
    job_check_end(job);
    job->skips = job_records(job, job->coordinator, RN_RECORD_RESULT) - job->sums;
    if (rn_is_ok(coordinator->result) && job->stopped_round == 0 &&
        job->sums + job->skips < job->options.rounds) {
        job_fail(job, "%u rounds summed and %u skipped of %u, and the coordinator ends well",
                 (unsigned)job->sums, (unsigned)job->skips, (unsigned)job->options.rounds);
    }
    /* Sixteen void attempts, or too many members outside, end a job before its first round. */
    const bool undrawn = is_ring(job->options.seed) &&
                         job_records(job, job->coordinator, RN_RECORD_EPOCH_REVEALS) == 0;
    if (!rn_is_ok(coordinator->result) && job->skips == 0 && !undrawn) {
        job_fail(job, "the job ends with %s though no round was lost",
                 rn_code_name(coordinator->result.code));
    }
    for (uint32_t i = 0; i < job->options.members && rn_is_ok(coordinator->result); i++) {
        const struct job_node *node = &job->nodes[i];
        if (node->mood != JOB_NEVER_THERE && (!rn_is_ok(node->result) || !node->final_published)) {
            job_fail(job, "the job ends well, and member %u with %s", (unsigned)i,
                     rn_code_name(node->result.code));
        }
    }
    tally->jobs++;
    const uint32_t stopped = job->stopped_round;
    tally->rounds += stopped != 0 ? stopped : rn_plan_last_round(&job->plan);
    tally->stopped += stopped != 0;
    tally->sums += job->sums;
    tally->skips += job->skips;
    tally->few += job->few_dropped;
    tally->ended_well += rn_is_ok(coordinator->result);
    for (uint32_t i = 0; i <= job->options.members; i++) {
        tally->starts += job->nodes[i].starts;
    }
}

static void run_one(uint64_t seed, struct tally *tally)
{
    uint64_t stream = seed * 77;
    const struct job_options options = draw(seed, &stream);
    struct job *job = job_new(&options);
    set_moods(job, &stream);
    check(job, job_run(job, LIMIT_MS), tally);
    job_free(job);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* case 42 */
static void test_random(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (getenv("RONDO_JOB_SEED") != NULL) {
        run_one(number("RONDO_JOB_SEED", 0), &tally);
        return;
    }
    const uint64_t shard = number("RONDO_JOB_SHARD", 0);
    const uint64_t jobs = number("RONDO_JOB_COUNT", JOBS * (getenv("RONDO_LONG") ? 20u : 1u));
    for (uint64_t i = 0; i < jobs; i++) {
        run_one(FIRST_SEED + 2 * i + shard, &tally);
    }
    (void)printf("%llu jobs, %llu starts of processes: %llu of %llu rounds summed, %llu skipped, "
                 "%llu jobs ended well, %llu of them early; %llu votes and members were more than "
                 "needed, and taken away\n",
                 (unsigned long long)tally.jobs, (unsigned long long)tally.starts,
                 (unsigned long long)tally.sums, (unsigned long long)tally.rounds,
                 (unsigned long long)tally.skips, (unsigned long long)tally.ended_well,
                 (unsigned long long)tally.stopped, (unsigned long long)tally.few);
    assert_true(jobs < 100 || (tally.few > 0 && tally.stopped > 0));
    assert_true(tally.sums * 10 >= tally.rounds * 7); /* about 76 of 100 in these seeds */
    assert_true(tally.ended_well * 10 >= tally.jobs * 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
