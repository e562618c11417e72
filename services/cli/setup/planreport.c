/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/planreport.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const matrices_names[] = {"-", "A", "B", "A and B"};

static void print_fields(const struct rn_plan *plan)
{
    const struct rn_plan_training *training = &plan->training;
    printf("  base model      %.16s..., %u tokens\n", plan->model.hash, plan->model.max_length);
    printf("  method          %s, weights %s, metrics %s\n", rn_plan_method_name(plan->method),
           rn_plan_weights_name(plan->weights),
           plan->metrics == RN_METRICS_SUMMED ? "summed" : "home");
    printf("  adapter         rank %u, alpha %g, head %s, modules", plan->lora.rank,
           plan->lora.alpha, rn_plan_head_name(plan->lora.head));
    for (uint32_t i = 0; i < plan->lora.targets_count; i++) {
        printf("%s %s", i == 0 ? "" : ",", plan->lora.targets[i]);
    }
    printf("\n  training        %u rounds of %u steps of %u examples; learning rates A %g, B %g, "
           "head %g\n",
           plan->rounds, training->steps, training->batch, training->lr_a, training->lr_b,
           training->lr_head);
}

static void print_cohort(const struct rn_plan_view *view)
{
    const struct rn_plan_numbers *n = &view->numbers;
    const struct rn_plan_secagg *secagg = &view->plan->secagg;
    if (view->members == 0) {
        printf("  members         not known yet (--members N shows what follows)\n");
        return;
    }
    printf("  members         %u, of which %u may collude with the coordinator\n", n->members,
           secagg->colluding);
    printf("  losses          the plan asks for %u a round, this cohort could survive %u\n",
           secagg->losses, n->losses_max);
    printf("  quorum          Q = %u signatures, t = %u shares, floor F = %u survivors\n",
           n->quorum, n->threshold, n->floor);
    printf("  masked sum      q = %u bits a value, b = %u bits sent, headroom %.2f\n",
           n->value_bits, n->sum_bits, n->headroom);
}

static void print_cost(const struct rn_plan_view *view)
{
    if (!view->has_cost) {
        return;
    }
    for (unsigned matrices = 1; matrices < 4; matrices++) {
        if (view->cost.elements[matrices] != 0) {
            printf("  upload          round of %s: %" PRIu64 " elements, %" PRIu64 " bytes\n",
                   matrices_names[matrices], view->cost.elements[matrices],
                   view->cost.bytes[matrices]);
        }
    }
    printf("                  (both matrices every round: %" PRIu64 " bytes)\n",
           view->cost.bytes_lora);
}

static void print_signers(const struct rn_plan_view *view)
{
    if (view->signers == NULL || view->roster == NULL) {
        return;
    }
    printf("  signatures      coordinator %s; %u of %u members",
           view->signers->coordinator ? "yes" : "no", view->signers->member_count,
           view->roster->count);
    for (uint32_t i = 0; i < view->roster->count; i++) {
        if (!view->signers->members[i]) {
            printf(", not %s", view->roster->members[i].name);
        }
    }
    printf("\n");
}

void rn_plan_print_text(const struct rn_plan_view *view, bool all_fields)
{
    char hash[65];
    const struct rn_plan *plan = view->plan;
    rn_hex_encode(hash, plan->hash, sizeof plan->hash);
    printf("Plan %s of %s\n  hash            %s\n", plan->name, plan->federation, hash);
    if (all_fields) {
        print_fields(plan);
    }
    print_cohort(view);
    print_cost(view);
    printf("  longest attempt %" PRIu64 " s\n",
           rn_plan_attempt_seconds(plan, view->cost.bytes_max));
    print_signers(view);
    if (view->policy != NULL) {
        printf("  policy          %s%s%s\n", view->policy,
               view->policy_detail[0] == '\0' ? "" : ": ", view->policy_detail);
    }
    if (view->members != 0) {
        printf(view->feasible ? "The plan holds.\n" : "The plan does not hold: %s.\n",
               view->reason);
    }
}

static json_t *cohort_json(const struct rn_plan_view *view)
{
    const struct rn_plan_numbers *n = &view->numbers;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:s}", "members",
                     (json_int_t)n->members, "quorum", (json_int_t)n->quorum, "threshold",
                     (json_int_t)n->threshold, "floor", (json_int_t)n->floor, "losses_asked",
                     (json_int_t)view->plan->secagg.losses, "losses_max", (json_int_t)n->losses_max,
                     "value_bits", (json_int_t)n->value_bits, "sum_bits", (json_int_t)n->sum_bits,
                     "headroom", n->headroom, "feasible", view->feasible ? 1 : 0, "reason",
                     view->reason);
}

static json_t *cost_json(const struct rn_plan_view *view)
{
    json_t *rounds = json_object();
    for (unsigned matrices = 1; matrices < 4; matrices++) {
        if (view->cost.elements[matrices] != 0) {
            static const char *const keys[] = {"", "A", "B", "AB"};
            (void)json_object_set_new(rounds, keys[matrices],
                                      json_pack("{s:I, s:I}", "elements",
                                                (json_int_t)view->cost.elements[matrices], "bytes",
                                                (json_int_t)view->cost.bytes[matrices]));
        }
    }
    return json_pack("{s:o, s:I, s:I}", "rounds", rounds, "bytes_max",
                     (json_int_t)view->cost.bytes_max, "bytes_lora",
                     (json_int_t)view->cost.bytes_lora);
}

static json_t *signers_json(const struct rn_plan_view *view)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < view->roster->count; i++) {
        if (view->signers->members[i]) {
            (void)json_array_append_new(names, json_string(view->roster->members[i].name));
        }
    }
    return json_pack("{s:b, s:o}", "coordinator", view->signers->coordinator ? 1 : 0, "members",
                     names);
}

void rn_plan_print_json(const struct rn_plan_view *view)
{
    char hash[65];
    const struct rn_plan *plan = view->plan;
    rn_hex_encode(hash, plan->hash, sizeof plan->hash);
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:s, s:I}", "hash", hash, "federation",
        plan->federation, "name", plan->name, "rounds", (json_int_t)plan->rounds, "method",
        rn_plan_method_name(plan->method), "weights", rn_plan_weights_name(plan->weights), "rank",
        (json_int_t)plan->lora.rank, "model_hash", plan->model.hash, "attempt_seconds",
        (json_int_t)rn_plan_attempt_seconds(plan, view->cost.bytes_max));
    if (view->members != 0) {
        (void)json_object_set_new(root, "cohort", cohort_json(view));
    }
    if (view->has_cost) {
        (void)json_object_set_new(root, "upload", cost_json(view));
    }
    if (view->signers != NULL && view->roster != NULL) {
        (void)json_object_set_new(root, "signed_by", signers_json(view));
    }
    if (view->policy != NULL) {
        (void)json_object_set_new(
            root, "policy",
            json_pack("{s:s, s:s}", "reason", view->policy, "detail", view->policy_detail));
    }
    (void)json_dumpf(root, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(root);
}
