/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs of twelve members on a ring, each linked with six others, whose plan so needs a share graph
 * to be drawn; and messages of its drawing that nobody sent. For test_job_epoch*.c.
 */
#ifndef RN_TESTS_RINGJOB_H
#define RN_TESTS_RINGJOB_H

#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"
#include "tests/simulation/smallring.h"

#define MINUTE_MS UINT64_C(60000)
#define MEMBERS 12u
#define COORDINATOR MEMBERS
#define FLOOR 7u
#define ALL_SIGNED ((2u << MEMBERS) - 1)

static inline struct job_options ring_calm(void)
{
    struct job_options options = job_calm();
    options.members = MEMBERS;
    options.losses = 2;
    options.rounds = 1;
    options.training_ms = 300;
    plant(6, 0);
    return options;
}

static inline struct job *ring_job(void)
{
    const struct job_options options = ring_calm();
    return job_directed(&options);
}

static inline const struct job_watch *watch_of(const struct job *job, uint32_t place)
{
    return job->nodes[place].watch;
}

/* ---- Until */

static inline bool is_drawn(struct job *job)
{
    return job_view(job).graph_drawn;
}

static uint32_t revealed_under; /* attempt */

static inline bool others_revealed(struct job *job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        count += job->nodes[i].revealed.attempt >= revealed_under;
    }
    return count >= MEMBERS - 1;
}

static inline void until_drawn(struct job *job)
{
    assert_true(job_run_until(job, is_drawn, 10 * MINUTE_MS));
}

/* All but one (or all) have revealed, and that has arrived. */
static inline void until_revealed(struct job *job, uint32_t attempt)
{
    revealed_under = attempt;
    assert_true(job_run_until(job, others_revealed, 10 * MINUTE_MS));
    job_pass(job, 200);
}

/* The first round has its sum. */
static inline void goes_on(struct job *job)
{
    job_until_stage(job, 1, RN_SA_STAGE_SUM, 20 * MINUTE_MS);
}

static inline void end_well(struct job *job)
{
    job_until_all_end(job, RN_OK, 20 * MINUTE_MS);
    assert_int_equal(job->sums, job->options.rounds);
}

/* Of a message as if the coordinator had sent it. */
static inline void tell_member(struct job *job, uint32_t member, enum rn_epoch_kind kind,
                               uint32_t attempt, struct rn_view body)
{
    struct rn_effects effects = {0};
    const struct rn_epoch_message message = {kind, attempt, body};
    rn_epoch_message_send(&effects, job->links[member].number, &message);
    job_node_input(&job->nodes[member],
                   (struct rn_input){.kind = RN_INPUT_MESSAGE,
                                     .connection = job->links[member].number,
                                     .peer = RN_SA_COORDINATOR,
                                     .bytes = rn_buffer_view(&effects.items[0].bytes)});
    rn_effects_clear(&effects);
}

static inline const struct rn_part_epoch *epoch_of(const struct job *job, uint32_t member)
{
    return job->nodes[member].participation->epoch;
}

/* The documents of an attempt in which the members of these bits take part, made from their keys;
 * an honest coordinator's where bits are who came. */
static inline void make_set(struct job *job, uint32_t attempt, uint32_t members,
                            struct rn_buffer *out)
{
    uint8_t entries[MEMBERS][RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_view views[MEMBERS] = {{0}};
    struct rn_job_epoch *epoch = rn_job_epoch_new(&job->nodes[0].basis);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if ((members >> i & 1) != 0) {
            assert_true(rn_is_ok(rn_sa_epoch_commit(&epoch->context, job->nodes[i].identity, i,
                                                    attempt, entries[i], NULL)));
            views[i] = rn_view_of(entries[i], sizeof(entries[i]));
        }
    }
    assert_true(rn_is_ok(rn_sa_epoch_set_write(&epoch->context, attempt, views, out, NULL)));
    rn_job_epoch_free(epoch);
}

static inline void on_committed(void *context, uint64_t sequence, rn_result result,
                                const struct rn_error *err)
{
    (void)context;
    (void)sequence;
    (void)err;
    RN_BUG_IF(!rn_is_ok(result));
}

/* As if so many attempts had been void, with nobody to blame. */
static inline void spend_attempts(struct job *job, uint32_t attempts)
{
    const struct rn_store_options options = {.kept_kinds = 0};
    struct rn_store_key key = {.kind = RN_RECORD_EPOCH_VOID, .attempt = attempts};
    struct rn_store_batch batch = {0};
    struct rn_store *store = NULL;
    struct rn_buffer body = {0};
    uint64_t sequence = 0;
    const struct rn_sa_set none = {{0}};
    rn_sa_set_write(&body, &none);
    RN_BUG_IF(
        !rn_is_ok(rn_memory_store_open(job->nodes[COORDINATOR].disk, &options, &store, NULL)));
    rn_store_batch_move(&batch, &key, &body);
    RN_BUG_IF(!rn_is_ok(rn_store_commit(store, &batch, on_committed, NULL, &sequence, NULL)));
    while (rn_memory_store_step(store)) {
    }
    rn_store_close(&store);
}

static inline void say_to_coordinator(struct job *job, uint32_t member,
                                      const struct rn_epoch_message *message)
{
    struct rn_effects effects = {0};
    struct rn_coordination *c = job->nodes[COORDINATOR].coordination;
    rn_epoch_message_send(&effects, c->peers[member].connection, message);
    job_node_input(&job->nodes[COORDINATOR],
                   (struct rn_input){.kind = RN_INPUT_MESSAGE,
                                     .connection = c->peers[member].connection,
                                     .peer = member,
                                     .bytes = rn_buffer_view(&effects.items[0].bytes)});
    rn_effects_clear(&effects);
}

#endif
