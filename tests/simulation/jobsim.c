/* SPDX-License-Identifier: Apache-2.0
 *
 * The world's clock, and trouble drawn by the seed.
 */
#include "tests/simulation/jobparts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#define TICK_MS 250u
#define SECOND_MS 1000u
#define OPERATOR_MS 30000u
/* An operator who starts a process this often gives up on it. */
#define STARTS_MAX 60u

struct job *job_new(const struct job_options *options)
{
    struct job *job = rn_alloc(1, sizeof(*job));
    job->options = *options;
    job->random = options->seed;
    RN_BUG_IF(options->members > JOB_MEMBERS_MAX || options->rounds > JOB_ROUNDS_MAX);
    job_world_init(job);
    for (uint32_t i = 0; i <= options->members; i++) {
        job_node_init(job, i);
    }
    job_sign_init(job);
    for (uint32_t i = 0; i < options->members; i++) {
        job->links[i] = (struct job_link){
            .break_at = JOB_NEVER, .gone_at = {JOB_NEVER, JOB_NEVER}, .dial_at = 0};
    }
    job_check_encoding(job);
    return job;
}

void job_free(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        job_node_clear(&job->nodes[i]);
    }
    for (size_t i = 0; i < job->packet_count; i++) {
        rn_buffer_clear(&job->packets[i].bytes);
    }
    job_world_clear(job);
    job_check_encoding(NULL);
    rn_free(job->packets);
    rn_free(job->vectors);
    rn_free(job->survivors);
    rn_free(job);
}

/* ---- Trouble */

static bool strikes(struct job *job, uint32_t percent)
{
    return percent > 0 && job_below(job, 100) < percent;
}

static void trouble_of_node(struct job *job, struct job_node *node)
{
    const struct job_options *o = &job->options;
    if (node->store == NULL) {
        return;
    }
    if (strikes(job, o->crash_percent) && node->crash_in == JOB_NEVER) {
        node->crash_in = job_below(job, 12);
        node->crash_after_commit = job_below(job, 2) == 0;
    }
    if (strikes(job, o->write_percent)) {
        rn_memory_disk_fail(node->disk, 1 + job_below(job, 3));
    }
    if (strikes(job, o->jump_percent)) {
        node->asleep_until = job->now + job_below(job, 20000);
        node->wall_offset += (int64_t)job_below(job, 7200000) - 3600000;
        node->mono_offset += job_below(job, 2) == 0 ? job_below(job, 600000) : 0;
    }
    if (strikes(job, o->drain_percent)) {
        job_signal(job, node->place);
    }
}

/* Random trouble at this moment, by the options. */
static void trouble(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        trouble_of_node(job, &job->nodes[i]);
    }
    for (uint32_t i = 0; i < job->options.members; i++) {
        if (strikes(job, job->options.break_percent)) {
            job_net_lose(job, i, job_below(job, 4000), job_below(job, 8000), job_below(job, 6000));
        }
    }
}

/* The network heals, disks have room, and operators start what has ended. */
static void heal(struct job *job)
{
    job->healed = true;
    for (uint32_t i = 0; i <= job->options.members; i++) {
        struct job_node *node = &job->nodes[i];
        rn_memory_disk_fail(node->disk, 0);
        node->crash_in = node->crash_in == 0 ? 0 : JOB_NEVER;
        node->asleep_until = node->asleep_until > job->now ? job->now : node->asleep_until;
        if (node->store == NULL && node->mood != JOB_NEVER_THERE && node->start_at == JOB_NEVER) {
            node->start_at = job->now + job_below(job, 2000);
        }
    }
    job->options.break_percent = job->options.crash_percent = 0;
    job->options.train_percent = job->options.drain_percent = 0;
}

/* After the trouble: who still runs needs a coordinator, and who ended without the last sums is
 * started once more, as its last words say. */
static void operators(struct job *job)
{
    struct job_node *coordinator = &job->nodes[job->coordinator];
    bool start = false;
    for (uint32_t i = 0; i < job->options.members; i++) {
        struct job_node *node = &job->nodes[i];
        const bool missed = node->store == NULL && node->ended && !rn_is_ok(node->result) &&
                            rn_is_ok(coordinator->result) && node->rounds_done < job->newest;
        if (missed && node->start_at == JOB_NEVER && node->starts < STARTS_MAX) {
            node->start_at = job->now + 1000;
        }
        start = start || missed || node->store != NULL;
    }
    if (start && coordinator->store == NULL && coordinator->start_at == JOB_NEVER &&
        coordinator->starts < STARTS_MAX) {
        coordinator->start_at = job->now + 1000;
    }
}

/* ---- Time */

static void due(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        job_node_due(&job->nodes[i]);
    }
    job_net_due(job);
}

/* The operator is done collecting; a coordinator that runs sees its file change. */
static void collect(struct job *job)
{
    const uint32_t all = (2u << job->options.members) - 1;
    job->collected = true;
    job_sign(job, job->coordinator, all);
    job_tell_signatures(job, job->coordinator,
                        rn_buffer_view(&job->nodes[job->coordinator].signatures));
}

static void ticks(struct job *job)
{
    if (!job->collected && job->now >= job->options.collect_ms) {
        collect(job);
    }
    for (uint32_t i = 0; i <= job->options.members; i++) {
        job_node_tick(&job->nodes[i]);
    }
    if (job->healed && job->now % OPERATOR_MS == 0) {
        operators(job);
    }
    if (job->now % SECOND_MS != 0 || job->healed || job->directed) {
        return;
    }
    if (job->now < job->options.trouble_ms) {
        trouble(job);
    } else {
        heal(job);
    }
}

static uint64_t next_time(const struct job *job)
{
    uint64_t next = job->now - job->now % TICK_MS + TICK_MS;
    for (uint32_t i = 0; i <= job->options.members; i++) {
        const uint64_t at = job_node_next(&job->nodes[i]);
        next = at < next ? at : next;
    }
    const uint64_t net = job_net_next(job);
    next = net < next ? net : next;
    return next > job->now ? next : job->now + 1;
}

static bool all_ended(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        const struct job_node *node = &job->nodes[i];
        if (node->store != NULL || node->start_at != JOB_NEVER) {
            return false;
        }
    }
    return job->healed || job->directed;
}

bool job_run_until(struct job *job, bool (*holds)(struct job *job), uint64_t limit_ms)
{
    const uint64_t end = job->now + limit_ms;
    while (job->now < end) {
        due(job);
        if (holds(job)) {
            return true;
        }
        job->now = next_time(job);
        if (job->now % TICK_MS == 0) {
            ticks(job);
        }
    }
    return false;
}

bool job_run(struct job *job, uint64_t limit_ms)
{
    return job_run_until(job, all_ended, limit_ms);
}

/* ---- What tests do */

void job_start_node(struct job *job, uint32_t place)
{
    job->nodes[place].start_at = job->now;
}

void job_crash(struct job *job, uint32_t place, uint64_t restart_in_ms)
{
    struct job_node *node = &job->nodes[place];
    if (node->store != NULL) {
        job_node_stop(node);
        job_net_node_down(node, false);
    }
    node->start_at = restart_in_ms == JOB_NEVER ? JOB_NEVER : job->now + restart_in_ms;
}

void job_empty_disk(struct job *job, uint32_t place)
{
    struct job_node *node = &job->nodes[place];
    RN_BUG_IF(node->store != NULL);
    rn_memory_disk_free(&node->disk);
    node->disk = rn_memory_disk_new();
    memory_spool_forget(&node->spool);
    node->rounds_done = 0;
    node->lost_state++;
}

void job_signal(struct job *job, uint32_t place)
{
    struct job_node *node = &job->nodes[place];
    if (node->store != NULL) {
        node->signals++;
        job_node_input(node, (struct rn_input){.kind = RN_INPUT_DRAIN, .count = node->signals});
    }
}

void job_break(struct job *job, uint32_t member, uint64_t redial_in_ms)
{
    job_net_lose(job, member, 0, 0, redial_in_ms);
}

void job_abort(struct job *job, const char *text)
{
    job_node_input(&job->nodes[job->coordinator],
                   (struct rn_input){.kind = RN_INPUT_ABORT, .text = text});
}

void job_stop(struct job *job, uint32_t member, const char *text)
{
    job_node_input(&job->nodes[member], (struct rn_input){.kind = RN_INPUT_ABORT, .text = text});
}

void job_tell(struct job *job, uint32_t place, uint32_t from, struct rn_view bytes)
{
    const bool up = place == job->coordinator;
    job_node_input(&job->nodes[place],
                   (struct rn_input){.kind = RN_INPUT_MESSAGE,
                                     .connection = job->links[up ? from : place].number,
                                     .peer = up ? from : RN_SA_COORDINATOR,
                                     .bytes = bytes});
}

bool job_is_up(const struct job *job, uint32_t place)
{
    return job->nodes[place].store != NULL;
}

struct rn_coordination_view job_view(struct job *job)
{
    struct rn_coordination_view view = {0};
    struct job_node *node = &job->nodes[job->coordinator];
    if (node->coordination != NULL) {
        rn_coordination_view(node->coordination, job_now(node), &view);
    }
    return view;
}

struct rn_participation_view job_member_view(struct job *job, uint32_t member)
{
    struct rn_participation_view view = {0};
    struct job_node *node = &job->nodes[member];
    if (node->participation != NULL) {
        rn_participation_view(node->participation, job_now(node), &view);
    }
    return view;
}
