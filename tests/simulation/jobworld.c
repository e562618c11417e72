/* SPDX-License-Identifier: Apache-2.0
 *
 * Plan, roster, a model of a few elements, and training as a function.
 */
#include "tests/simulation/jobparts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#define MODULES 2
#define RANK 1u
#define INPUTS 3u
#define OUTPUTS 2u
#define CLASSES 2u

uint64_t job_random(struct job *job)
{
    uint64_t z = (job->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t job_below(struct job *job, uint32_t bound)
{
    return bound == 0 ? 0 : (uint32_t)(job_random(job) % bound);
}

static void add_segment(struct rn_round_selection *selection, struct rn_segment *segments,
                        const char *name, enum rn_segment_kind kind, uint32_t rows, uint32_t cols)
{
    struct rn_segment *segment = &segments[selection->segment_count++];
    *segment = (struct rn_segment){.rows = rows,
                                   .cols = cols,
                                   .kind = kind,
                                   .offset = selection->count,
                                   .count = (size_t)rows * cols};
    (void)rn_text_format(segment->name, sizeof(segment->name), "%s", name);
    selection->count += segment->count;
}

static struct rn_round_selection select_segments(unsigned active, bool with_head,
                                                 struct rn_segment *segments)
{
    static const char *const names[MODULES][2] = {{"q.lora_A", "q.lora_B"},
                                                  {"v.lora_A", "v.lora_B"}};
    struct rn_round_selection selection = {.segments = segments};
    for (size_t m = 0; m < MODULES; m++) {
        if ((active & RN_ROUND_A) != 0) {
            add_segment(&selection, segments, names[m][0], RN_SEGMENT_A, RANK, INPUTS);
        }
        if ((active & RN_ROUND_B) != 0) {
            add_segment(&selection, segments, names[m][1], RN_SEGMENT_B, OUTPUTS, RANK);
        }
    }
    if (with_head) {
        add_segment(&selection, segments, "classifier", RN_SEGMENT_HEAD, CLASSES, INPUTS);
    }
    return selection;
}

void job_model_init(struct job *job, struct rn_round_model *model)
{
    const enum rn_plan_head head = job->plan.lora.head;
    *model = (struct rn_round_model){.shared_head = head != RN_PLAN_HEAD_LOCAL};
    for (unsigned active = 1; active < 4; active++) {
        model->selections[active] =
            select_segments(active, head == RN_PLAN_HEAD_FEDERATED, job->segments[active]);
    }
    const struct rn_round_selection all =
        select_segments(RN_ROUND_A | RN_ROUND_B, model->shared_head, job->segments[0]);
    model->adapter = (struct rn_round_adapter){
        .segments = all.segments, .segment_count = all.segment_count, .count = all.count};
    model->adapter.values = rn_alloc(all.count, sizeof(float));
    for (size_t s = 0; s < all.segment_count; s++) {
        const struct rn_segment *segment = &all.segments[s];
        for (size_t i = 0; i < segment->count && segment->kind != RN_SEGMENT_B; i++) {
            model->adapter.values[segment->offset + i] = 0.25f + (float)i / 16;
        }
    }
    if (!model->shared_head) {
        model->local_head_count = CLASSES * INPUTS;
        model->local_head = rn_alloc(model->local_head_count, sizeof(float));
    }
    rn_round_model_hash(model);
}

static float change(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15u + a * 0xbf58476d1ce4e5b9u + b;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (float)((double)((z ^ (z >> 31)) % 4096) / 4096 - 0.5) / 8;
}

void job_train(struct job *job, uint32_t member, const struct rn_train_order *order, float *after,
               float *local_head)
{
    const struct rn_round_adapter *adapter = &job->nodes[member].model.adapter;
    const unsigned active = rn_plan_active(&job->plan, order->round);
    const bool trains = order->round <= job->plan.rounds;
    memcpy(after, order->values, order->count * sizeof(*after));
    for (size_t s = 0; s < adapter->segment_count; s++) {
        const struct rn_segment *segment = &adapter->segments[s];
        const bool moves = segment->kind == RN_SEGMENT_HEAD
                               ? trains && job->plan.lora.head == RN_PLAN_HEAD_FEDERATED
                           : segment->kind == RN_SEGMENT_A ? (active & RN_ROUND_A) != 0
                                                           : (active & RN_ROUND_B) != 0;
        const bool still = (job->options.still >> order->round & 1) != 0;
        for (size_t i = 0; i < segment->count && moves && !still; i++) {
            after[segment->offset + i] +=
                change(job->options.seed, order->round * 64u + member, segment->offset + i);
        }
    }
    for (size_t i = 0; i < order->local_head_count; i++) {
        local_head[i] = order->local_head[i] + (trains ? change(order->round, member, i) : 0);
    }
}

static void make_plan(struct job *job)
{
    const struct job_options *o = &job->options;
    job->plan = (struct rn_plan){
        .version = 1,
        .federation = "simulation",
        .name = "job",
        .seed = 7,
        .rounds = o->rounds,
        .method = o->method,
        .weights = o->weights,
        .max_examples = o->weights == RN_WEIGHTS_EXAMPLES ? 100 : 0,
        .metrics = RN_METRICS_SUMMED,
        .coordinator = o->blind ? RN_PLAN_COORDINATOR_BLIND : RN_PLAN_COORDINATOR_OPEN,
        .lora = {.rank = RANK, .head = o->head},
        .evaluation = {.federated = o->evaluation,
                       .keep_best = o->keep_best,
                       .early_stop = {.patience = o->patience, .min_delta = 0.01}},
        .secagg = {.colluding = o->colluding,
                   .losses = o->losses,
                   .honest = o->honest,
                   .bits = 16,
                   .scale_a = 0.125,
                   .scale_b = 0.125,
                   .scale_head = 0.125,
                   .kem = o->hybrid ? RN_PLAN_KEM_HYBRID : RN_PLAN_KEM_NONE,
                   .train_soft_s = 20,
                   .train_hard_s = 120,
                   .stage_soft_s = 5,
                   .stage_hard_s = 30,
                   .upload_rate = 1000000,
                   .attempts = o->attempts},
        .hash = {1},
        .roster_hash = {2},
    };
}

static struct rn_identity *make_identity(uint32_t place)
{
    struct rn_secret32 seed = {{0}};
    seed.bytes[0] = (uint8_t)place;
    seed.bytes[1] = 9;
    return rn_identity_from_seed(&seed);
}

void job_world_init(struct job *job)
{
    const uint32_t members = job->options.members;
    make_plan(job);
    job->coordinator = members;
    (void)rn_text_format(job->roster.federation, sizeof(job->roster.federation), "simulation");
    job->roster.count = members;
    for (uint32_t i = 0; i <= members; i++) {
        job->nodes[i].identity = make_identity(i);
        if (i == members) {
            job->roster.coordinator = *rn_identity_public_of(job->nodes[i].identity);
            memcpy(job->plan.coordinator_key, job->roster.coordinator.bytes, 32);
        } else {
            (void)rn_text_format(job->roster.members[i].name, sizeof(job->roster.members[i].name),
                                 "site-%u", (unsigned)i);
            job->roster.members[i].key = *rn_identity_public_of(job->nodes[i].identity);
        }
    }
    struct rn_round_model start;
    job_model_init(job, &start);
    job->truth[0].known = true;
    job->best_round = UINT32_MAX;
    memcpy(job->truth[0].values, start.adapter.values, start.adapter.count * sizeof(float));
    memcpy(job->truth[0].after, start.adapter_hash, RN_HASH_BYTES);
    rn_round_model_clear(&start);
}

void job_world_clear(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        rn_identity_free(job->nodes[i].identity);
    }
}
