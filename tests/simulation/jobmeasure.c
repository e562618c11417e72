/* SPDX-License-Identifier: Apache-2.0
 *
 * Federated evaluation in the simulated world: what each member's development set says, and an
 * oracle that adds it up from the members themselves, without vectors, sums or records.
 */
#include "tests/simulation/jobparts.h"

#include <math.h>
#include <string.h>

#include "base/guard.h"

#define METRIC_UNIT 0x1p-10
#define LOSS_UNIT 0x1p-16

struct rn_round_measure job_measure(const struct job *job, uint32_t member, uint32_t round)
{
    uint64_t z = job->options.seed * 0x9e3779b97f4a7c15u + round * 64u + member;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (struct rn_round_measure){
        .valid = true, .metric = (double)(z % 512) / 256 - 1, .loss = (double)(z % 64) / 16};
}

uint32_t job_start_of(const struct job *job, const uint8_t before[static RN_HASH_BYTES],
                      uint32_t round)
{
    for (uint32_t i = 0; i < round; i++) {
        if (job->truth[i].known && memcmp(job->truth[i].after, before, RN_HASH_BYTES) == 0) {
            return i;
        }
    }
    return 0;
}

static void add_up(struct job *job, uint32_t round, uint32_t members, struct rn_round_measure *out)
{
    const uint32_t count = (uint32_t)__builtin_popcount(members);
    *out = (struct rn_round_measure){.valid = true};
    for (uint32_t i = 0; i < job->options.members; i++) {
        const struct rn_round_measure own = job_measure(job, i, round - 1);
        out->metric += (members >> i & 1) != 0 ? own.metric / count : 0;
        out->loss += (members >> i & 1) != 0 ? own.loss / count : 0;
    }
}

/* The rules once more, over the whole history. */
static void judge(struct job *job)
{
    const struct rn_plan_early_stop *stop = &job->plan.evaluation.early_stop;
    uint32_t since = 0;
    job->best_round = UINT32_MAX;
    job->stopped_round = 0;
    double best = 0;
    for (uint32_t round = 1; round <= job->newest; round++) {
        const struct rn_round_measure *start = &job->truth[round].start;
        if (!start->valid) {
            continue;
        }
        if (job->best_round == UINT32_MAX || start->metric - best > stop->min_delta) {
            job->best_round = round - 1;
            best = start->metric;
            since = 0;
        } else if (++since == stop->patience) {
            job->stopped_round = round;
        }
    }
}

void job_measure_truth(struct job *job, uint32_t round, uint32_t members)
{
    if (job->stopped_round != 0) {
        job_fail(job, "round %u is summed after round %u ended the job early", (unsigned)round,
                 (unsigned)job->stopped_round);
    }
    if (job->options.evaluation && (round == 1 || job->truth[round - 1].known)) {
        add_up(job, round, members, &job->truth[round].start);
    }
    judge(job);
}

/* What was measured last when the round's sum came is what the sum says. */
static void keep_best_head(struct job_node *node, uint32_t round)
{
    const struct job *job = node->job;
    if (node->place == job->coordinator || !job->truth[round].start.valid ||
        job->best_round + 1 != round) {
        return;
    }
    node->has_best_head = node->measured_round == round;
    memcpy(node->best_head, node->measured_head, sizeof(node->best_head));
}

void job_measure_check(struct job_node *node, const struct rn_job_result *result)
{
    const struct rn_round_measure *truth = &node->job->truth[result->round].start;
    const struct rn_round_measure *start = &result->start;
    if (start->valid != truth->valid ||
        (truth->valid && (fabs(start->metric - truth->metric) > METRIC_UNIT ||
                          fabs(start->loss - truth->loss) > LOSS_UNIT))) {
        job_fail(node->job, "node %u reads %s %.7f %.7f from round %u, which is %s %.7f %.7f",
                 (unsigned)node->place, start->valid ? "measure" : "no measure", start->metric,
                 start->loss, (unsigned)result->round, truth->valid ? "measure" : "no measure",
                 truth->metric, truth->loss);
    }
    keep_best_head(node, result->round);
}

void job_measure_check_order(struct job_node *node, const struct rn_train_order *order)
{
    struct job *job = node->job;
    const struct job_truth *before = &job->truth[order->round - 1];
    if (order->measure &&
        (!job->options.evaluation || !before->known ||
         memcmp(before->values, order->values, order->count * sizeof(float)) != 0)) {
        job_fail(job, "member %u measures another adapter than that of round %u",
                 (unsigned)node->place, (unsigned)(order->round - 1));
    }
    if (order->measure && order->local_head != NULL) {
        node->measured_round = order->round;
        memcpy(node->measured_head, order->local_head, order->local_head_count * sizeof(float));
    }
}

void job_measure_check_best(struct job_node *node, const struct rn_publish_order *order)
{
    const struct job *job = node->job;
    if (!job->options.evaluation || !job->options.keep_best || order->round != job->best_round ||
        order->round == 0) {
        job_fail(job, "node %u publishes round %u as the best, which is %d", (unsigned)node->place,
                 (unsigned)order->round, (int)job->best_round);
    }
    if (order->local_head != NULL && node->has_best_head &&
        memcmp(order->local_head, node->best_head, order->local_head_count * sizeof(float)) != 0) {
        job_fail(job, "member %u publishes the best adapter with another head than it measured",
                 (unsigned)node->place);
    }
}

void job_measure_check_offer(struct job *job, uint32_t round)
{
    if (job->stopped_round != 0 && round > job->stopped_round) {
        job_fail(job, "round %u is offered after round %u ended the job early", (unsigned)round,
                 (unsigned)job->stopped_round);
    }
}

void job_measure_check_end(const struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        const struct job_node *node = &job->nodes[i];
        const bool newest = node->final_published && rn_is_ok(node->result) && node->ended;
        const bool kept =
            job->options.keep_best && job->best_round != UINT32_MAX && job->best_round != 0;
        if (newest && kept && !node->best_published) {
            job_fail(job, "node %u ends well without the best adapter, of round %u", (unsigned)i,
                     (unsigned)job->best_round);
        }
    }
}
