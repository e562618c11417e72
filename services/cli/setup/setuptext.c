/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/setuptext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "policy/rules.h"

void rn_setup_quote(struct rn_buffer *out, const char *text)
{
    rn_buffer_append(out, "\"", 1);
    for (; *text != '\0'; text++) {
        const char plain = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
        if (plain == '"' || plain == '\\') {
            rn_buffer_append(out, "\\", 1);
        }
        rn_buffer_append(out, &plain, 1);
    }
    rn_buffer_append(out, "\"", 1);
}

/* The shortest decimal text that reads back as the same double. */
static void put_real(struct rn_buffer *out, const char *key, double value)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        (void)rn_text_format(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    rn_buffer_format(out, "  %s: %s\n", key, text);
}

/* "a,b" as ["a", "b"]. */
static void put_list(struct rn_buffer *out, const char *key, const char *list)
{
    rn_buffer_format(out, "  %s: [", key);
    for (const char *at = list; at != NULL && *at != '\0';) {
        char entry[RN_SITE_PATH_MAX + 1];
        const size_t length = strcspn(at, ",");
        (void)rn_text_format(entry, sizeof entry, "%.*s", (int)length, at);
        rn_buffer_format(out, "%s", at == list ? "" : ", ");
        rn_setup_quote(out, entry);
        at += length + (at[length] == ',' ? 1 : 0);
    }
    rn_buffer_format(out, "]\n");
}

static void plan_task_text(const struct rn_plan_template *plan, struct rn_buffer *out)
{
    rn_buffer_format(out,
                     "model:\n"
                     "  hash: %s   # rondo model hash DIR\n"
                     "  max_length: %" PRIu64 "   # tokens per example\n\n"
                     "task:\n  kind: %s\n",
                     plan->model_hash, plan->max_length, plan->task);
    if (strcmp(plan->task, "classification") == 0) {
        put_list(out, "labels", plan->labels);
    }
    rn_buffer_format(out, "  metric: %s\n\nlora:\n  rank: %" PRIu64 "\n", plan->metric, plan->rank);
    put_real(out, "alpha", plan->alpha);
    rn_buffer_format(out, "  rslora: %s\n  init: %s\n", plan->rslora ? "true" : "false",
                     plan->init);
    put_list(out, "targets", plan->targets);
    rn_buffer_format(out, "  layers: []   # every layer\n  head: %s\n\n", plan->head);
}

static void plan_training_text(const struct rn_plan_template *plan, struct rn_buffer *out)
{
    rn_buffer_format(out, "training:   # of one round at one member\n  optimizer: %s\n",
                     plan->optimizer);
    put_real(out, "lr_a", plan->lr_a);
    put_real(out, "lr_b", plan->lr_b);
    put_real(out, "lr_head", plan->lr_head);
    put_real(out, "weight_decay", plan->weight_decay);
    rn_buffer_format(out, "  schedule: %s\n  warmup_steps: %" PRIu64 "\n", plan->schedule,
                     plan->warmup_steps);
    put_real(out, "clip", plan->clip);
    rn_buffer_format(out, "  batch: %" PRIu64 "\n  steps: %" PRIu64 "\n\n", plan->batch,
                     plan->steps);
}

static void plan_secagg_text(const struct rn_plan_template *plan, struct rn_buffer *out)
{
    rn_buffer_format(out,
                     "secagg:\n"
                     "  colluding: %" PRIu64 "   # members that may work with the coordinator\n"
                     "  losses: %" PRIu64 "      # losses that a round survives\n"
                     "  honest: %" PRIu64 "      # honest contributors that must remain\n"
                     "  bits: %" PRIu64 "        # of one quantised value\n",
                     plan->colluding, plan->losses, plan->honest, plan->bits);
    put_real(out, "scale_a", plan->scale);
    put_real(out, "scale_b", plan->scale);
    put_real(out, "scale_head", plan->scale);
    rn_buffer_format(out,
                     "  train_soft_s: %" PRIu64
                     "   # after this a round goes on without stragglers\n"
                     "  train_hard_s: %" PRIu64 "   # after this it is aborted\n"
                     "  stage_soft_s: %" PRIu64 "\n"
                     "  stage_hard_s: %" PRIu64 "\n"
                     "  upload_rate: %" PRIu64 "   # bytes per second that every member can send\n"
                     "  attempts: %" PRIu64 "\n\n",
                     plan->train_soft, plan->train_hard, plan->stage_soft, plan->stage_hard,
                     plan->upload_rate, plan->attempts);
}

void rn_setup_plan_text(const struct rn_plan_template *plan, struct rn_buffer *out)
{
    out->length = 0;
    rn_buffer_format(
        out,
        "# The plan: what all members compute together. Its exact bytes are hashed and\n"
        "# signed; after any change everybody signs again. Fields and ranges:\n"
        "# policy/FORMATS.md. Check with `rondo plan check`.\n"
        "version: 1\nfederation: %s\nname: %s\nseed: %" PRIu64 "\nrounds: %" PRIu64
        "\nmethod: %s   # rolora, ffa-lora, fedavg-lora\n"
        "weights: %s   # uniform, examples\n",
        plan->federation, plan->name, plan->seed, plan->rounds, plan->method, plan->weights);
    if (plan->max_examples != 0) {
        rn_buffer_format(out, "max_examples: %" PRIu64 "\n", plan->max_examples);
    }
    rn_buffer_format(out, "metrics: %s   # home, summed (inside the masked vector)\n\n",
                     plan->metrics);
    plan_task_text(plan, out);
    plan_training_text(plan, out);
    plan_secagg_text(plan, out);
    rn_buffer_format(out,
                     "roster:   # filled in by `rondo invite --accept`\n"
                     "  hash: %064d\n  coordinator: %s\n",
                     0, plan->coordinator);
}

void rn_setup_policy_text(const struct rn_plan *plan, struct rn_buffer *out)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    out->length = 0;
    rn_buffer_format(
        out,
        "# What this organisation lets any plan do. No coordinator can override it; a plan "
        "outside\n"
        "# these bounds is refused before data is touched. The bounds below just hold the plan of\n"
        "# the invitation: read them, narrow them. Meaning: policy/FORMATS.md.\n"
        "version: 1\nfederation: %s\ncoordinator: %s   # its Ed25519 key\n\n"
        "plan:\n  hashes: []      # pin exact plans here, or leave empty for any plan in bounds\n"
        "  signers: 3      # members who must have signed\n"
        "  signed_by: []   # and these among them\n\n"
        "cohort:\n  members_min: 3\n  members_max: %d\n  colluding_min: 1\n  honest_min: 2\n"
        "  losses_max: %u\n  threshold_min: 3\n  survivors_min: 3\n\n",
        plan->federation, plan->roster.coordinator, RN_PLAN_MEMBERS_MAX, secagg->losses);
    rn_buffer_format(out,
                     "method:\n  allowed: [%s]\n  weights: [%s]\n  metrics: [%s]\n  heads: [%s]\n\n"
                     "model:\n  hashes: [%s]\n  max_length_max: %u\n\n"
                     "lora:\n  targets: [",
                     rn_plan_method_name(plan->method), rn_plan_weights_name(plan->weights),
                     plan->metrics == RN_METRICS_SUMMED ? "summed" : "home",
                     rn_plan_head_name(plan->lora.head), plan->model.hash, plan->model.max_length);
    for (uint32_t i = 0; i < plan->lora.targets_count; i++) {
        rn_buffer_format(out, "%s", i == 0 ? "" : ", ");
        rn_setup_quote(out, plan->lora.targets[i]);
    }
    rn_buffer_format(out,
                     "]\n  rank_max: %u\n\n"
                     "training:\n  rounds_max: %u\n  steps_max: %u   # local steps of one round\n"
                     "  batch_max: %u\n\n"
                     "upload:\n  bytes_max: 268435456   # of one round\n  attempts_max: %u\n"
                     "  repeats_max: 0   # encodings of an update that was sent before\n",
                     plan->lora.rank, plan->rounds, plan->training.steps, plan->training.batch,
                     secagg->attempts);
}

static void put_text(struct rn_buffer *out, const char *key, const char *value)
{
    if (value[0] != '\0') {
        rn_buffer_format(out, "  %s: ", key);
        rn_setup_quote(out, value);
        rn_buffer_format(out, "\n");
    }
}

static void site_network_text(const struct rn_site *site, struct rn_buffer *out)
{
    static const char *const directions[] = {"dial", "listen", "both"};
    const bool coordinator = site->role == RN_SITE_COORDINATOR;
    rn_buffer_format(out, "network:\n  direction: %s   # dial, listen, both: who opens\n",
                     directions[site->network.direction]);
    put_text(out, "listen", site->network.listen);
    put_text(out, "dial", site->network.dial);
    put_text(out, "status", site->network.status);
    if (coordinator) {
        rn_buffer_format(out, "  peers: []   # members that listen; `rondo invite --accept` adds "
                              "them\n");
    }
}

static void site_data_text(const struct rn_site_data *data, struct rn_buffer *out)
{
    const char *format = rn_site_format_name(data->format);
    rn_buffer_format(out, "\ndata:\n");
    put_text(out, "train", data->train);
    put_text(out, "dev", data->dev);
    rn_buffer_format(out, "  format: %s   # auto (by file name), tsv, csv, jsonl\n",
                     format == NULL ? "auto" : format);
    put_text(out, "text", data->text);
    put_text(out, "pair", data->pair);
    put_text(out, "label", data->label);
    rn_buffer_format(out, "  header: %s\n", data->header ? "true" : "false");
}

void rn_setup_site_text(const struct rn_site *site, struct rn_buffer *out)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const bool coordinator = site->role == RN_SITE_COORDINATOR;
    out->length = 0;
    rn_buffer_format(out,
                     "# This service's own configuration; nothing here changes what a round "
                     "computes.\n# Relative paths start at this file's directory. Meaning: "
                     "policy/FORMATS.md.\n"
                     "version: 1\nrole: %s\nfederation: %s\nname: %s\n\n",
                     coordinator ? "coordinator" : "member", site->federation, site->name);
    site_network_text(site, out);
    rn_buffer_format(out, "\nstate: ");
    rn_setup_quote(out, site->state);
    rn_buffer_format(out, "\nmodel: ");
    rn_setup_quote(out, site->model);
    rn_buffer_format(out, "\n");
    if (!coordinator || site->data.dev[0] != '\0') {
        site_data_text(&site->data, out);
    }
    rn_buffer_format(out,
                     "\ncompute:\n  backend: %s\n  threads: %u   # 0: one per core\n\n"
                     "log:\n  format: %s\n  level: %s\n",
                     rn_site_backend_name(site->compute.backend), site->compute.threads,
                     site->log.format == RN_SITE_LOG_JSON ? "json" : "text",
                     levels[site->log.level]);
}

rn_result rn_setup_columns(const struct rn_setup_columns *columns, struct rn_site_data *data,
                           struct rn_error *err)
{
    const size_t first = strcspn(columns->text, ",");
    const char *second = columns->text[first] == ',' ? columns->text + first + 1 : "";
    const char *format = columns->format;
    RN_ENSURE(strchr(second, ',') == NULL, err, RN_E_USAGE,
              "--text: at most two columns, the text and its pair");
    RN_ENSURE(
        first > 0 &&
            rn_text_format(data->text, sizeof data->text, "%.*s", (int)first, columns->text) &&
            rn_text_format(data->pair, sizeof data->pair, "%s", second) &&
            rn_text_format(data->label, sizeof data->label, "%s", columns->label),
        err, RN_E_USAGE, "--text or --label: the column's name is empty or too long");
    data->header = !columns->no_header;
    data->format = format == NULL               ? RN_SITE_FORMAT_AUTO
                   : strcmp(format, "tsv") == 0 ? RN_SITE_FORMAT_TSV
                   : strcmp(format, "csv") == 0 ? RN_SITE_FORMAT_CSV
                                                : RN_SITE_FORMAT_JSONL;
    return rn_ok();
}
