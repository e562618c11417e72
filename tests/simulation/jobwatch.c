/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulation/jobwatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "tests/simulation/jobparts.h"

/* ---- What was seen */

void job_watch_effect(struct job_node *node, const struct rn_effect *effect)
{
    struct job_watch *watch = node->watch;
    if (effect->kind == RN_EFFECT_EVENT) {
        const enum rn_job_event_kind kind = effect->event.kind;
        watch->events[kind]++;
        watch->at_ms[kind] = node->job->now;
        watch->last[kind] = effect->event;
        memcpy(watch->text[kind], effect->err.text, sizeof(watch->text[kind]));
    } else if (effect->kind == RN_EFFECT_CLOSE) {
        watch->closes++;
        watch->closed = effect->connection;
        watch->closed_why = effect->result.code;
    } else if (effect->kind == RN_EFFECT_SEND && effect->connection >= JOB_FORGED_FROM &&
               effect->connection < JOB_FORGED_FROM + JOB_FORGED) {
        watch->sends[effect->connection - JOB_FORGED_FROM]++;
    } else if (effect->kind == RN_EFFECT_BULK && node->place == node->job->coordinator) {
        for (uint32_t i = 0; i < effect->chunks; i++) {
            watch->bulk_chunks[effect->peer] += effect->bytes.data[i / 8] >> (i % 8) & 1u;
        }
    } else if (effect->kind == RN_EFFECT_END) {
        memcpy(watch->end_text, effect->err.text, sizeof(watch->end_text));
        watch->end_ms = node->job->now;
    }
}

void job_watch_published(struct job_node *node, const struct rn_publish_order *order)
{
    struct job_watch *watch = node->watch;
    watch->finals += order->final;
    watch->published[order->round] += !order->final && !order->best;
}

/* ---- Worlds */

static const char *test_name = "*";

/* Set up for each test: its name is its initial state. */
static int note_test(void **state)
{
    test_name = *state;
    return 0;
}

const char *job_test_name(void)
{
    return test_name;
}

int job_run_tests(struct CMUnitTest *tests, size_t count)
{
    const char *pattern = getenv("RONDO_JOB_TEST");
    for (size_t i = 0; i < count; i++) {
        tests[i].setup_func = note_test;
        tests[i].initial_state = (char *)(uintptr_t)tests[i].name;
    }
    if (pattern != NULL) {
        cmocka_set_test_filter(pattern);
    }
    return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}

struct job_options job_calm(void)
{
    return (struct job_options){
        .seed = 1,
        .members = 4,
        .losses = 1,
        .colluding = 1,
        .honest = 2,
        .method = RN_METHOD_ROLORA,
        .head = RN_PLAN_HEAD_FROZEN,
        .rounds = 4,
        .attempts = 3,
        .delay_ms = 50,
        .commit_ms = 30,
        .training_ms = 2000,
        .publish_ms = 500,
    };
}

struct job *job_directed(const struct job_options *options)
{
    struct job *job = job_new(options);
    job->directed = true;
    for (uint32_t i = 0; i <= options->members; i++) {
        job->nodes[i].start_at = 100;
    }
    return job;
}

void job_declines(struct job *job, uint32_t member)
{
    struct job_node *node = &job->nodes[member];
    node->watch->plan = job->plan;
    node->watch->plan.secagg.attempts = 0;
    node->basis.plan = &node->watch->plan;
}

/* ---- Waiting */

static uint32_t wanted_round;
static enum rn_sa_stage wanted_stage;
static enum rn_coordination_phase wanted_phase;
static uint32_t wanted_place;

static bool in_round(struct job *job)
{
    const struct rn_coordination_view view = job_view(job);
    const bool told =
        job->nodes[job->coordinator].queue_count == 0; /* and everybody who is there */
    return (told && view.round >= wanted_round) || view.phase >= RN_COORDINATION_LINGER;
}

static bool in_stage(struct job *job)
{
    const struct rn_coordination_view view = job_view(job);
    return view.phase == RN_COORDINATION_SESSION && view.round == wanted_round &&
           view.stage >= wanted_stage;
}

static bool in_phase(struct job *job)
{
    return job_is_up(job, job->coordinator) && job_view(job).phase == wanted_phase;
}

static bool is_down(struct job *job)
{
    return !job_is_up(job, wanted_place);
}

static bool never(struct job *job)
{
    (void)job;
    return false;
}

static void until(struct job *job, bool (*holds)(struct job *job), uint64_t limit_ms,
                  const char *what)
{
    if (!job_run_until(job, holds, limit_ms)) {
        job_fail(job, "%s: not within %llu ms", what, (unsigned long long)limit_ms);
    }
}

void job_until_round(struct job *job, uint32_t round, uint64_t limit_ms)
{
    wanted_round = round;
    until(job, in_round, limit_ms, "the round");
}

void job_until_stage(struct job *job, uint32_t round, enum rn_sa_stage stage, uint64_t limit_ms)
{
    wanted_round = round;
    wanted_stage = stage;
    until(job, in_stage, limit_ms, "the stage");
}

void job_until_phase(struct job *job, enum rn_coordination_phase phase, uint64_t limit_ms)
{
    wanted_phase = phase;
    until(job, in_phase, limit_ms, "the phase");
}

void job_until_down(struct job *job, uint32_t place, uint64_t limit_ms)
{
    wanted_place = place;
    until(job, is_down, limit_ms, "the end of a node");
}

void job_pass(struct job *job, uint64_t ms)
{
    (void)job_run_until(job, never, ms);
}

void job_until_all_end(struct job *job, enum rn_code code, uint64_t limit_ms)
{
    if (!job_run(job, limit_ms)) {
        job_fail(job, "somebody still runs after %llu ms", (unsigned long long)limit_ms);
    }
    for (uint32_t i = 0; i <= job->options.members; i++) {
        const struct job_node *node = &job->nodes[i];
        if (node->starts > 0 && node->result.code != code) {
            job_fail(job, "node %u ends with %s, not %s: %s", (unsigned)i,
                     rn_code_name(node->result.code), rn_code_name(code), node->watch->end_text);
        }
        const bool publishes = i < job->options.members || !job->options.blind;
        if (node->starts > 0 && code == RN_OK && publishes &&
            (!node->final_published ||
             memcmp(node->final_hash, job->truth[job->newest].after, RN_HASH_BYTES) != 0)) {
            job_fail(job, "node %u has not published the newest adapter", (unsigned)i);
        }
    }
    job_check_end(job);
}

/* ---- Disks */

struct rn_memory_disk *job_backup(struct job *job, uint32_t place)
{
    return rn_memory_disk_copy(job->nodes[place].disk);
}

void job_restore(struct job *job, uint32_t place, const struct rn_memory_disk *backup)
{
    struct job_node *node = &job->nodes[place];
    RN_BUG_IF(node->store != NULL);
    rn_memory_disk_free(&node->disk);
    node->disk = rn_memory_disk_copy(backup);
    node->rounds_done = 0;
    node->lost_state++;
}

/* ---- Forged */

struct rn_wire_hello job_hello(const struct job *job, uint32_t member, uint32_t next_round)
{
    struct rn_wire_hello hello = {.protocol = RN_WIRE_PROTOCOL, .next_round = next_round};
    (void)rn_text_format(hello.name, sizeof(hello.name), "%s", job->roster.members[member].name);
    (void)rn_text_format(hello.software, sizeof(hello.software), "forged");
    hello.plan_hash.present = hello.roster_hash.present = hello.adapter_hash.present = true;
    memcpy(hello.plan_hash.bytes, job->plan.hash, RN_HASH_BYTES);
    memcpy(hello.roster_hash.bytes, job->plan.roster_hash, RN_HASH_BYTES);
    memset(hello.incarnation, (int)(1 + member), sizeof(hello.incarnation));
    return hello;
}

void job_forge(struct job *job, uint32_t member, uint64_t connection,
               const struct rn_wire_envelope *envelope)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    RN_BUG_IF(!rn_is_ok(rn_wire_envelope_encode(envelope, &bytes, NULL)));
    job_node_input(&job->nodes[job->coordinator],
                   (struct rn_input){.kind = RN_INPUT_MESSAGE,
                                     .connection = connection,
                                     .peer = member,
                                     .bytes = rn_buffer_view(&bytes)});
}

void job_forge_opened(struct job *job, uint32_t member, uint64_t connection)
{
    job_node_input(
        &job->nodes[job->coordinator],
        (struct rn_input){.kind = RN_INPUT_OPENED, .connection = connection, .peer = member});
}

void job_forge_gone(struct job *job, uint32_t member, uint64_t connection)
{
    job_node_input(
        &job->nodes[job->coordinator],
        (struct rn_input){.kind = RN_INPUT_GONE, .connection = connection, .peer = member});
}

void job_forge_hello(struct job *job, uint32_t member, uint64_t connection,
                     const struct rn_wire_hello *hello)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_HELLO, .as.hello = *hello};
    job_forge_opened(job, member, connection);
    job_forge(job, member, connection, &envelope);
}
