/* SPDX-License-Identifier: Apache-2.0
 *
 * What directed tests see of a job and do to it: every event of every node, what was published, the
 * last words; a calm world to begin with.
 */
#ifndef RN_TESTS_JOBWATCH_H
#define RN_TESTS_JOBWATCH_H

#include "tests/simulation/jobsim.h"

struct CMUnitTest;

/* Connections of processes that are none of the world. */
#define JOB_FORGED_FROM UINT64_C(1000000)
#define JOB_FORGED 8u

/* One node's, over all its processes. */
struct job_watch {
    uint32_t events[RN_JOB_EVENTS];
    uint64_t at_ms[RN_JOB_EVENTS]; /* of the newest */
    struct rn_job_event last[RN_JOB_EVENTS];
    char text[RN_JOB_EVENTS][RN_ERROR_TEXT_MAX];
    uint32_t published[JOB_ROUNDS_MAX + 1]; /* publications of a round's adapter that succeeded */
    uint32_t finals;
    uint32_t closes; /* streams that it closed; the newest one */
    uint64_t closed;
    enum rn_code closed_why;
    uint32_t sends[JOB_FORGED]; /* to streams of forged numbers, from JOB_FORGED_FROM on */
    uint32_t bulk_chunks[JOB_MEMBERS_MAX]; /* of sums, asked of the coordinator's driver */
    char end_text[RN_ERROR_TEXT_MAX];      /* of the newest END */
    uint64_t end_ms;
    struct rn_plan plan; /* its own, of job_declines */
    uint64_t points;     /* effects and commits so far: places where it might have crashed */
};

/* ---- For the driver (jobnode.c) */
void job_watch_effect(struct job_node *node, const struct rn_effect *effect);
void job_watch_published(struct job_node *node, const struct rn_publish_order *order);

/* ---- For tests */

/* Runs the tests as cmocka_run_group_tests does; RONDO_JOB_TEST=pattern: only those. They have no
 * set-up of their own. */
int job_run_tests(struct CMUnitTest *tests, size_t count);
/* Of the test that runs. */
const char *job_test_name(void);
/* Four members, any one of which may be lost; four rounds; nothing goes wrong. */
struct job_options job_calm(void);
/* A job in which nobody starts, restarts or heals anything but the test. Everybody starts at 100 ms
 * (who is JOB_NEVER_THERE is to be set before time passes). */
struct job *job_directed(const struct job_options *options);
/* Until the coordinator is in this round (or past it, or its rounds are over). */
void job_until_round(struct job *job, uint32_t round, uint64_t limit_ms);
/* Until the round's session is in this stage or later. */
void job_until_stage(struct job *job, uint32_t round, enum rn_sa_stage stage, uint64_t limit_ms);
void job_until_phase(struct job *job, enum rn_coordination_phase phase, uint64_t limit_ms);
void job_until_down(struct job *job, uint32_t place, uint64_t limit_ms);
/* Lets so much time pass. */
void job_pass(struct job *job, uint64_t ms);
/* Everybody ends; all with this code; who ended well has the newest adapter published. */
void job_until_all_end(struct job *job, enum rn_code code, uint64_t limit_ms);
/* The member refuses every offer from now on: by its own plan a round has no attempts. */
void job_declines(struct job *job, uint32_t member);
/* A copy of a node's disk, and a node that is down getting such a copy for its disk. */
struct rn_memory_disk *job_backup(struct job *job, uint32_t place);
void job_restore(struct job *job, uint32_t place, const struct rn_memory_disk *backup);
/* As if a member's process that is none of this world had opened a connection and greeted (with
 * these fields) or sent the message. */
void job_forge_hello(struct job *job, uint32_t member, uint64_t connection,
                     const struct rn_wire_hello *hello);
struct rn_wire_hello job_hello(const struct job *job, uint32_t member, uint32_t next_round);
void job_forge_opened(struct job *job, uint32_t member, uint64_t connection);
void job_forge_gone(struct job *job, uint32_t member, uint64_t connection);
/* The message with another body, signed by the identity of the node. */
void job_sign_again(const struct job_node *node, const struct rn_sa_message *m, struct rn_view body,
                    struct rn_buffer *out);
void job_forge(struct job *job, uint32_t member, uint64_t connection,
               const struct rn_wire_envelope *envelope);

#endif
