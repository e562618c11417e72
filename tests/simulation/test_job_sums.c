/* SPDX-License-Identifier: Apache-2.0
 *
 * Trouble while a sum is replayed and receipted, at random: crashes at every point, broken
 * connections, signals, members that come late, one that lies, uploads that are gone. Whatever of
 * it happens, everybody ends, at the newest sum unless the coordinator says why not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/federation/coordinationstate.h"
#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SCHEDULES 8u
#else
#define SCHEDULES 50u
#endif

static bool all_down(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        if (job_is_up(job, i) || job->nodes[i].start_at != JOB_NEVER) {
            return false;
        }
    }
    return true;
}

static bool sum_or_end(struct job *job)
{
    const struct rn_coordination *c = job->nodes[job->coordinator].coordination;
    return all_down(job) || (c != NULL && c->phase == RN_COORDINATION_SESSION &&
                             c->session.stage == RN_SA_STAGE_SUM && !c->session.over);
}

static void trouble_one(struct job *job, uint32_t place)
{
    static const uint64_t times[] = {20, 300, 3000, 12000, 40000};
    struct job_node *node = &job->nodes[place];
    const uint64_t again = times[job_below(job, RN_ARRAY_LENGTH(times))];
    const uint32_t dice = job_below(job, 100);
    if (dice < 15) {
        job_crash(job, place, again);
    } else if (dice < 40) {
        node->crash_in = job_below(job, 8);
        node->crash_after_commit = job_below(job, 2) == 1;
        node->away_ms = again;
    } else if (dice < 50 && place < job->coordinator) {
        job_break(job, place, again);
    } else if (dice < 56) {
        job_signal(job, place);
    } else if (dice < 60 && place == job->coordinator) {
        memory_spool_forget(&node->spool);
    }
}

static void trouble(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        if (job_is_up(job, i)) {
            trouble_one(job, i);
        } else if (job->nodes[i].start_at == JOB_NEVER && job_below(job, 100) < 60) {
            job->nodes[i].start_at = job->now + job_below(job, 500);
        }
    }
}

/* Some are not there at first; in every fifth job one lies. */
static struct job *begin(uint64_t seed)
{
    struct job_options options = job_calm();
    options.seed = seed;
    options.members = 4 + (uint32_t)(seed % 3);
    options.losses = options.members == 6 ? 2 : 1;
    struct job *job = job_directed(&options);
    for (uint32_t i = 0; i < options.losses; i++) {
        const uint32_t member = job_below(job, options.members);
        job->nodes[member].start_at = job_below(job, 100) < 70 ? JOB_NEVER : 100;
    }
    if (seed % 5 == 0) {
        job->nodes[job_below(job, options.members)].mood = JOB_LIES;
    }
    return job;
}

/* Nothing goes wrong any more; whoever is down without the end is started, the coordinator with
 * them. */
static bool all_end(struct job *job)
{
    bool ended = false;
    for (uint32_t times = 0; times < 4 && !ended; times++) {
        for (uint32_t i = 0; i <= job->options.members; i++) {
            job->nodes[i].crash_in = JOB_NEVER;
            if (!job_is_up(job, i) && (!job->nodes[i].final_published || i == job->coordinator)) {
                job_start_node(job, i);
            }
        }
        ended = job_run(job, 240 * MINUTE_MS);
    }
    return ended;
}

static void one_job(uint64_t seed)
{
    struct job *job = begin(seed);
    for (uint32_t k = 0; k < 12 && job_run_until(job, sum_or_end, 60 * MINUTE_MS); k++) {
        if (all_down(job)) {
            break;
        }
        job_pass(job, job_below(job, 400));
        trouble(job);
        job_pass(job, 200 + job_below(job, 2000));
    }
    const bool ended = all_end(job);
    const bool incomplete = job->nodes[job->coordinator].result.code == RN_E_INCOMPLETE;
    for (uint32_t i = 0; i <= job->options.members && !incomplete; i++) {
        if (!ended || job->nodes[i].result.code != RN_OK) {
            job_fail(job, "node %u does not end well: %s", (unsigned)i,
                     job->nodes[i].watch->end_text);
        }
    }
    if (!incomplete) {
        job_check_end(job);
    }
    job_free(job);
}

static void test_trouble_while_a_sum_is_checked(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        one_job(seed);
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trouble_while_a_sum_is_checked),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
