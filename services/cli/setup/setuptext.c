/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/setuptext.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/filter.h"
#include "policy/privacyquote.h"
#include "policy/rules.h"

/* ---- plan.yaml. */

static bool plan_wants(const struct rn_field *field, const void *data)
{
    const struct rn_plan *plan = data;
    if (strcmp(field->path, "max_examples") == 0) {
        return plan->max_examples != 0;
    }
    if (strncmp(field->path, "privacy.", 8) == 0) {
        return rn_plan_is_private(plan);
    }
    return strcmp(field->path, "task.labels") != 0 || plan->task.labels_count != 0;
}

void rn_setup_plan_text(const struct rn_plan *plan, struct rn_buffer *out)
{
    out->length = 0;
    rn_buffer_format(out,
                     "# The plan: what all members compute together. Its exact bytes are hashed "
                     "and signed; after any\n# change everybody signs again. Check it with `rondo "
                     "plan check`.\n");
    rn_field_put_file(rn_plan_fields(), plan, plan_wants, out);
}

/* ---- policy.yaml. */

static bool policy_wants(const struct rn_field *field, const void *data)
{
    const struct rn_policy *policy = data;
    if (strncmp(field->path, "privacy.", 8) == 0) {
        return policy->privacy.epsilon > 0;
    }
    return strcmp(field->path, "cohort.survivors_min") != 0 || policy->cohort.survivors_min != 0;
}

/* Bounds that just hold the plan, around what the member promises. The order of the filter is the
 * best for programmes such as this plan. */
static void privacy_fill(const struct rn_plan *plan, const struct rn_policy_privacy *promise,
                         struct rn_policy_privacy *out)
{
    *out = *promise;
    out->required = true;
    out->epsilon_plan = out->epsilon_plan > 0 ? out->epsilon_plan : out->epsilon;
    if (!rn_plan_is_private(plan)) {
        out->noise_min = out->rate_max = out->clip_max = 1;
        return;
    }
    out->noise_min = plan->privacy.noise;
    out->rate_max = plan->privacy.rate;
    out->clip_max = plan->privacy.clip;
    if (out->order == 0) {
        struct rn_privacy_terms terms;
        struct rn_privacy_plan recorded;
        rn_privacy_terms_of(out, &terms);
        rn_privacy_plan_of(plan, &recorded);
        const struct rn_privacy_event event =
            rn_privacy_plan_event(&terms, &recorded, (uint64_t)recorded.trainings * recorded.steps);
        out->order =
            rn_filter_order(&event, 1, out->epsilon, (1.0 - RN_PRIVACY_APART) * out->delta);
    }
}

static void policy_fill(const struct rn_plan *plan, const struct rn_policy_privacy *promise,
                        struct rn_policy *policy)
{
    *policy = (struct rn_policy){
        .version = RN_POLICY_VERSION,
        .plan = {.signers = 3},
        .cohort = {.members_min = 3,
                   .members_max = RN_PLAN_MEMBERS_MAX,
                   .colluding_min = 1,
                   .honest_min = 2,
                   .losses_max = plan->secagg.losses,
                   .threshold_min = 3},
        .method = {.allowed = RN_POLICY_BIT(plan->method),
                   .weights = RN_POLICY_BIT(plan->weights),
                   .metrics = RN_POLICY_BIT(plan->metrics),
                   .evaluation = plan->evaluation.federated,
                   .heads = RN_POLICY_BIT(plan->lora.head)},
        .model = {.hashes_count = 1, .max_length_max = plan->model.max_length},
        .lora = {.targets_count = plan->lora.targets_count, .rank_max = plan->lora.rank},
        .training = {.rounds_max = plan->rounds,
                     .steps_max = plan->training.steps,
                     .batch_max = plan->training.batch},
        .upload = {.bytes_max = 268435456, .attempts_max = plan->secagg.attempts, .jobs_max = 1},
    };
    memcpy(policy->federation, plan->federation, sizeof policy->federation);
    memcpy(policy->coordinator, plan->roster.coordinator, sizeof policy->coordinator);
    memcpy(policy->model.hashes[0], plan->model.hash, sizeof policy->model.hashes[0]);
    memcpy(policy->lora.targets, plan->lora.targets, sizeof policy->lora.targets);
    if (promise->epsilon > 0) {
        privacy_fill(plan, promise, &policy->privacy);
    }
}

void rn_setup_policy_text(const struct rn_plan *plan, const struct rn_policy_privacy *promise,
                          struct rn_buffer *out)
{
    struct rn_policy *policy = rn_alloc(1, sizeof *policy);
    policy_fill(plan, promise, policy);
    out->length = 0;
    rn_buffer_format(out,
                     "# What this organisation lets any plan do. No coordinator can override it; a "
                     "plan outside these\n# bounds is refused before data is touched. The bounds "
                     "below just hold the plan of the\n# invitation: read them, narrow them.\n");
    rn_field_put_file(rn_policy_fields(), policy, policy_wants, out);
    rn_free(policy);
}

/* ---- site.yaml. */

static bool site_wants(const struct rn_field *field, const void *data)
{
    const struct rn_site *site = data;
    const bool coordinator = site->role == RN_SITE_COORDINATOR;
    if (strcmp(field->path, "network.peers") == 0) {
        return coordinator;
    }
    if (strncmp(field->path, "data.", 5) == 0 && coordinator && site->data.dev[0] == '\0') {
        return false;
    }
    if (field->kind == RN_FIELD_BYTES) {
        return *(const uint64_t *)((const char *)data + field->offset) != 0;
    }
    if (strcmp(field->path, "limits") == 0) {
        return site->limits.upload_memory != 0 || site->limits.kept_sums != 0;
    }
    return field->kind != RN_FIELD_TEXT || ((const char *)data)[field->offset] != '\0';
}

void rn_setup_site_text(const struct rn_site *site, struct rn_buffer *out)
{
    out->length = 0;
    rn_buffer_format(out, "# This service's own configuration; nothing here changes what a round "
                          "computes.\n# Relative paths start at this file's directory.\n");
    struct rn_site *current = rn_alloc(1, sizeof *current);
    *current = *site;
    current->version = RN_SITE_VERSION;
    rn_field_put_file(rn_site_fields(), current, site_wants, out);
    rn_free(current);
}

rn_result rn_setup_columns(const struct rn_setup_columns *columns, struct rn_site_data *data,
                           struct rn_error *err)
{
    const size_t first = strcspn(columns->text, ",");
    const char *second = columns->text[first] == ',' ? columns->text + first + 1 : "";
    RN_ENSURE(strchr(second, ',') == NULL, err, RN_E_USAGE,
              "--text: at most two columns, the text and its pair");
    RN_ENSURE(
        first > 0 &&
            rn_text_format(data->text, sizeof data->text, "%.*s", (int)first, columns->text) &&
            rn_text_format(data->pair, sizeof data->pair, "%s", second) &&
            rn_text_format(data->label, sizeof data->label, "%s", columns->label),
        err, RN_E_USAGE, "--text or --label: the column's name is empty or too long");
    data->header = !columns->no_header;
    RN_ENSURE(rn_site_format_find(columns->format, &data->format), err, RN_E_USAGE,
              "--data-format: not known");
    RN_ENSURE(rn_site_encoding_find(columns->encoding, &data->encoding), err, RN_E_USAGE,
              "--encoding: not known");
    return rn_ok();
}
