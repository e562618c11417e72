/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/policywords.h"

#include <inttypes.h>
#include <string.h>

#define LIST_TEXT 256

/* Appends ", word", or "..." once there is no room left. */
static void list_add(char out[static LIST_TEXT], const char *word)
{
    static const char more[] = ", ...";
    const size_t used = strlen(out);
    if (used + strlen(word) + 2 * sizeof more < LIST_TEXT) {
        (void)rn_text_format(out + used, LIST_TEXT - used, "%s%s", used == 0 ? "" : ", ", word);
    } else if (strcmp(out + used - (sizeof more - 1), more) != 0) {
        (void)rn_text_format(out + used, LIST_TEXT - used, "%s", more);
    }
}

static void plan_words(const struct rn_policy_plan *plan, char *out)
{
    char names[LIST_TEXT] = "";
    for (uint32_t i = 0; i < plan->signed_by_count; i++) {
        list_add(names, plan->signed_by[i]);
    }
    (void)rn_text_format(out, RN_POLICY_CLAUSE_TEXT, "%s that at least %u members signed%s%s",
                         plan->hashes_count == 0 ? "any plan within these bounds"
                                                 : "the plans pinned by their hash",
                         plan->signers, names[0] == '\0' ? "" : ", among them ", names);
}

static void cohort_words(const struct rn_policy_cohort *cohort, char *out)
{
    char floor[64] = "";
    if (cohort->survivors_min != 0) {
        (void)rn_text_format(floor, sizeof floor, " and not under %u", cohort->survivors_min);
    }
    (void)rn_text_format(out, RN_POLICY_CLAUSE_TEXT,
                         "%u to %u members, %u or more assumed to collude, %u or more honest; at "
                         "most %u absent or lost in a round, never a sum over fewer than the floor "
                         "of the roster%s",
                         cohort->members_min, cohort->members_max, cohort->colluding_min,
                         cohort->honest_min, cohort->losses_max, floor);
}

static void method_words(const struct rn_policy_method *method, char *out)
{
    char methods[LIST_TEXT] = "";
    char weights[LIST_TEXT] = "";
    char heads[LIST_TEXT] = "";
    for (unsigned i = 0; i < 32; i++) {
        if ((method->allowed & RN_POLICY_BIT(i)) != 0) {
            list_add(methods, rn_plan_method_name((enum rn_plan_method)i));
        }
        if ((method->weights & RN_POLICY_BIT(i)) != 0) {
            list_add(weights, rn_plan_weights_name((enum rn_plan_weights)i));
        }
        if ((method->heads & RN_POLICY_BIT(i)) != 0) {
            list_add(heads, rn_plan_head_name((enum rn_plan_head)i));
        }
    }
    (void)rn_text_format(out, RN_POLICY_CLAUSE_TEXT, "%s; weights %s%s; head %s", methods, weights,
                         (method->weights & RN_POLICY_BIT(RN_WEIGHTS_EXAMPLES)) != 0
                             ? " (this site's example count enters the masked sum)"
                             : "",
                         heads);
}

static void metrics_words(const struct rn_policy_method *method, char *out)
{
    const bool summed = (method->metrics & RN_POLICY_BIT(RN_METRICS_SUMMED)) != 0;
    (void)rn_text_format(
        out, RN_POLICY_CLAUSE_TEXT, "%s; %s",
        summed ? "SUMMED: this site's losses and example counts enter the masked sum, of which the "
                 "operator reads the total"
               : "home: losses and example counts stay at this site",
        method->evaluation
            ? "EVALUATION: so do the results of every round on its development set, of which "
              "everybody reads the mean"
            : "no results on its development set leave it");
}

static void lora_words(const struct rn_policy_lora *lora, char *out)
{
    char targets[LIST_TEXT] = "";
    for (uint32_t i = 0; i < lora->targets_count; i++) {
        list_add(targets, lora->targets[i]);
    }
    (void)rn_text_format(out, RN_POLICY_CLAUSE_TEXT, "rank up to %u on %s", lora->rank_max,
                         targets);
}

static void privacy_words(const struct rn_policy_privacy *privacy, char *out)
{
    char person[64] = "record";
    if (privacy->epsilon == 0) {
        (void)rn_text_format(out, RN_POLICY_CLAUSE_TEXT,
                             "none promised: plans add no noise, and no plan with noise runs");
        return;
    }
    if (privacy->unit == RN_POLICY_UNIT_PERSON) {
        (void)rn_text_format(person, sizeof person, "person (up to %u records)", privacy->rows);
    }
    (void)rn_text_format(out, RN_POLICY_CLAUSE_TEXT,
                         "all plans ever run over '%s' together cost each %s at most epsilon %g at "
                         "delta %g, one plan at most %g, with up to %" PRIu64
                         " records; plans without noise %s",
                         privacy->lineage, person, privacy->epsilon, privacy->delta,
                         privacy->epsilon_plan, privacy->records_max,
                         privacy->required ? "are refused" : "MAY RUN, after which no claim holds");
}

void rn_policy_words(const struct rn_policy *policy,
                     struct rn_policy_clause out[static RN_POLICY_CLAUSES])
{
    static const char *const names[RN_POLICY_CLAUSES] = {
        "plan", "cohort", "method", "metrics", "model", "lora", "training", "upload", "privacy"};
    for (size_t i = 0; i < RN_POLICY_CLAUSES; i++) {
        out[i].name = names[i];
    }
    plan_words(&policy->plan, out[0].text);
    cohort_words(&policy->cohort, out[1].text);
    method_words(&policy->method, out[2].text);
    metrics_words(&policy->method, out[3].text);
    (void)rn_text_format(
        out[4].text, RN_POLICY_CLAUSE_TEXT, "base model %.16s...%s, up to %u tokens of a record",
        policy->model.hashes[0], policy->model.hashes_count > 1 ? " and others" : "",
        policy->model.max_length_max);
    lora_words(&policy->lora, out[5].text);
    (void)rn_text_format(out[6].text, RN_POLICY_CLAUSE_TEXT,
                         "up to %u rounds of %u steps of %u examples", policy->training.rounds_max,
                         policy->training.steps_max, policy->training.batch_max);
    (void)rn_text_format(
        out[7].text, RN_POLICY_CLAUSE_TEXT,
        "up to %" PRIu64 " bytes a round, %u attempts at it, in %u job(s) over one "
        "base model; an update that was sent is never encoded again without a "
        "certified abort",
        policy->upload.bytes_max, policy->upload.attempts_max, policy->upload.jobs_max);
    privacy_words(&policy->privacy, out[8].text);
}
