/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan's signatures: what each site has of them on its disk, and whether that is enough for its
 * policy.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "tests/simulation/jobparts.h"

static void sign(struct job *job, uint32_t signers, struct rn_plan_signatures *out)
{
    rn_signatures_init(out, &job->plan);
    for (uint32_t i = 0; i <= job->options.members; i++) {
        if ((signers >> i & 1u) != 0) {
            RN_BUG_IF(!rn_is_ok(rn_signatures_add(out, &job->plan, job->nodes[i].identity, NULL)));
        }
    }
}

void job_signatures_text(struct job *job, uint32_t signers, struct rn_buffer *out)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) set = rn_alloc(1, sizeof(*set));
    sign(job, signers, set);
    RN_BUG_IF(!rn_is_ok(rn_signatures_write(set, &job->roster, out, NULL)));
}

/* Read as anybody would who finds the file: nothing of the machine's own judgement. */
static bool is_enough(const struct job_node *node, const struct rn_plan_signatures *set)
{
    const struct job *job = node->job;
    struct rn_plan_signers who;
    if (!rn_is_ok(rn_signatures_verify(set, &job->plan, &job->roster, &who, NULL))) {
        job_fail(job, "site %u holds a signature that does not hold", (unsigned)node->place);
    }
    bool enough = who.coordinator && who.members[node->place] &&
                  who.member_count >= node->policy.plan.signers &&
                  (!job->options.blind || who.group);
    for (uint32_t i = 0; i < node->policy.plan.signed_by_count; i++) {
        const int place = rn_roster_find_name(&job->roster, node->policy.plan.signed_by[i]);
        enough = enough && who.members[place];
    }
    return enough;
}

void job_held(const struct job_node *node, struct rn_plan_signatures *out)
{
    RN_BUG_IF(!rn_is_ok(
        rn_signatures_parse(rn_buffer_view(&node->signatures), "plan.yaml.sigs", out, NULL)));
}

void job_keep(struct job_node *node, struct rn_view text)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) before = rn_alloc(1, sizeof(*before));
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) after = rn_alloc(1, sizeof(*after));
    rn_signatures_init(before, &node->job->plan);
    if (node->signatures.length > 0) {
        job_held(node, before);
    }
    rn_buffer_clear(&node->signatures);
    rn_buffer_append(&node->signatures, text.data, text.length);
    job_held(node, after);
    const uint32_t count = after->count;
    RN_BUG_IF(!rn_is_ok(rn_signatures_merge(after, before, NULL)));
    if (after->count != count) {
        job_fail(node->job, "site %u lost a signature", (unsigned)node->place);
    }
    node->signed_enough = is_enough(node, after);
}

void job_sign(struct job *job, uint32_t place, uint32_t signers)
{
    struct job_node *node = &job->nodes[place];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    job_signatures_text(job, signers, &text);
    rn_buffer_clear(&node->signatures);
    job_keep(node, rn_buffer_view(&text));
}

void job_tell_signatures(struct job *job, uint32_t place, struct rn_view text)
{
    job_node_input(&job->nodes[place],
                   (struct rn_input){.kind = RN_INPUT_SIGNATURES, .bytes = text});
}

/* The policy of `rondo join`: as many as there are may be asked for. */
void job_sign_init(struct job *job)
{
    const uint32_t members = job->options.members;
    for (uint32_t i = 0; i <= members; i++) {
        const bool own = job->options.own_signatures && i < members;
        const bool none = job->options.collect_ms > 0 && i == members;
        job->nodes[i].policy.plan.signers = members;
        job_sign(job, i, own || none ? 1u << i | 1u << members : (2u << members) - 1);
    }
    job->collected = job->options.collect_ms == 0;
}
