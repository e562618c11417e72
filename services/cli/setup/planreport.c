/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/planreport.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/fingerprint.h"
#include "services/cli/setup/joinroster.h"

/* Of those who have not signed, as many as a person reads. */
#define NAMES_BYTES 512

static const char *const matrices_names[] = {"-", "A", "B", "A and B"};

/* Does the file hold it? */
static bool is_there(const struct rn_field *field, const struct rn_plan *plan)
{
    return field->kind != RN_FIELD_SECTION &&
           (rn_plan_is_private(plan) || strncmp(field->path, "privacy.", 8) != 0);
}

/* Every field: path as in the file, value, meaning. What is signed is what is printed. */
static void print_fields(const struct rn_plan *plan, FILE *out)
{
    const struct rn_field_table *table = rn_plan_fields();
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer value = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer meaning = {0};
    (void)fprintf(out, "\n");
    for (size_t i = 0; i < table->count; i++) {
        if (!is_there(&table->fields[i], plan)) {
            continue;
        }
        value.length = 0;
        meaning.length = 0;
        rn_field_put(&table->fields[i], plan, &value);
        rn_field_put_meaning(&table->fields[i], &meaning);
        if (table->fields[i].unit != NULL) {
            rn_buffer_format(&value, " %s", table->fields[i].unit);
        }
        (void)fprintf(out, "  %-31s %-15s  %s\n", table->fields[i].path, rn_buffer_text(&value),
                      rn_buffer_text(&meaning));
    }
    (void)fprintf(out, "\n");
}

/* Is the share graph one that is drawn before round 1 (services/PROTOCOL.md, "The share graph")? */
static bool is_drawn(const struct rn_plan_numbers *n)
{
    return n->neighbours + 1 < n->members;
}

static void print_cohort(const struct rn_plan_view *view, FILE *out)
{
    const struct rn_plan_numbers *n = &view->numbers;
    const struct rn_plan_secagg *secagg = &view->plan->secagg;
    if (view->members == 0) {
        (void)fprintf(out, "  members         not known yet (--members N shows what follows)\n");
        return;
    }
    (void)fprintf(out, "  members         %u, of which %u may collude with the coordinator\n",
                  n->members, secagg->colluding);
    (void)fprintf(out,
                  "  losses          the plan asks for %u a round, this cohort could survive %u\n",
                  secagg->losses, n->losses_max);
    (void)fprintf(out,
                  "  quorum          Q = %u signatures, t = %u shares, floor F = %u survivors\n",
                  n->quorum, n->threshold, n->floor);
    if (is_drawn(n)) {
        (void)fprintf(
            out,
            "  share graph     each shares with %u others, drawn once, by all who are there "
            "before round 1:\n"
            "                  who comes later takes no part in any round of this plan, "
            "only follows,\n"
            "                  and counts against the losses\n",
            n->neighbours);
    }
    (void)fprintf(out, "  masked sum      q = %u bits a value, b = %u bits sent, headroom %.2f\n",
                  n->value_bits, n->sum_bits, n->headroom);
}

/* What every step of every member does to its gradients; what it costs is each member's own to say
 * (rondo policy check). */
static void print_privacy(const struct rn_plan *plan, FILE *out)
{
    const struct rn_plan_privacy *privacy = &plan->privacy;
    if (!rn_plan_is_private(plan)) {
        (void)fprintf(out,
                      "  privacy         no noise: nothing is promised about single records\n");
        return;
    }
    if (rn_plan_is_shared(plan)) {
        (void)fprintf(out,
                      "  privacy         one noisy sum a round: rate %g, noise %g, clip %g, as "
                      "shares that %u honest\n"
                      "                  members reach together; at most %" PRIu64 " sums. What it "
                      "costs a member: rondo policy check\n",
                      privacy->rate, privacy->noise, privacy->clip, plan->secagg.honest,
                      rn_plan_trainings(plan));
        return;
    }
    (void)fprintf(out,
                  "  privacy         DP-SGD at every member: rate %g, noise %g, clip %g; at most "
                  "%" PRIu64 " trainings of\n"
                  "                  %u steps. What it costs a member: rondo policy check\n",
                  privacy->rate, privacy->noise, privacy->clip, rn_plan_trainings(plan),
                  plan->training.steps);
}

/* Who sees what, and what has to be there before round 1. */
static void print_blind(const struct rn_plan_view *view, FILE *out)
{
    if (!rn_plan_is_blind(view->plan)) {
        return;
    }
    (void)fprintf(out,
                  "  blind           members alone see sums and the adapter, and publish it; the "
                  "coordinator\n"
                  "                  learns hashes, sizes and who took part\n");
    if (rn_plan_is_hybrid(view->plan)) {
        (void)fprintf(out, "                  recorded uploads stay closed when X25519 falls: the "
                           "group key is sealed by ML-KEM-768 too\n");
    }
    if (view->roster != NULL) {
        const bool there = view->signers != NULL && view->signers->group;
        (void)fprintf(out, "  group key       %s %s\n",
                      there ? "is here, made by"
                            : "not here yet: all members have to sign, then it is made by",
                      view->roster->members[RN_GROUP_MAKER].name);
    }
}

static void print_cost(const struct rn_plan_view *view, FILE *out)
{
    if (!view->has_cost) {
        return;
    }
    for (unsigned matrices = 1; matrices < 4; matrices++) {
        if (view->cost.elements[matrices] != 0) {
            (void)fprintf(
                out, "  upload          round of %s: %" PRIu64 " elements, %" PRIu64 " bytes\n",
                matrices_names[matrices], view->cost.elements[matrices],
                view->cost.bytes[matrices]);
        }
    }
    (void)fprintf(out, "                  (both matrices every round: %" PRIu64 " bytes)\n",
                  view->cost.bytes_lora);
}

static void print_signers(const struct rn_plan_view *view, FILE *out)
{
    if (view->signers == NULL || view->roster == NULL) {
        return;
    }
    char names[NAMES_BYTES];
    rn_signatures_missing(view->signers, view->roster, names, sizeof names);
    (void)fprintf(out, "  signatures      coordinator %s; %u of %u members%s%s\n",
                  view->signers->coordinator ? "yes" : "no", view->signers->member_count,
                  view->roster->count, names[0] == '\0' ? "" : ", not ", names);
}

static void print_roster(const struct rn_plan_view *view, bool all_fields, FILE *out)
{
    char roster[RN_FINGERPRINT_ROSTER_TEXT];
    if (view->roster == NULL) {
        return;
    }
    rn_fingerprint_roster(view->roster, roster);
    (void)fprintf(out, "  roster          %s\n", roster);
    for (uint32_t i = 0; all_fields && i < view->roster->count; i++) {
        char key[RN_FINGERPRINT_KEY_TEXT];
        rn_fingerprint_key(&view->roster->members[i].key, key);
        (void)fprintf(out, "                  %s %s\n", key, view->roster->members[i].name);
    }
}

void rn_plan_print_text(const struct rn_plan_view *view, bool all_fields, FILE *out)
{
    char hash[65];
    const struct rn_plan *plan = view->plan;
    rn_hex_encode(hash, plan->hash, sizeof plan->hash);
    (void)fprintf(out, "Plan %s of %s\n  hash            %s\n", plan->name, plan->federation, hash);
    if (all_fields) {
        print_fields(plan, out);
    }
    print_cohort(view, out);
    print_cost(view, out);
    (void)fprintf(out, "  longest attempt %" PRIu64 " s\n",
                  rn_plan_attempt_seconds(plan, view->members, view->cost.bytes_max));
    print_signers(view, out);
    print_blind(view, out);
    print_privacy(plan, out);
    print_roster(view, all_fields, out);
    if (view->policy != NULL) {
        (void)fprintf(out, "  policy          %s%s%s\n", view->policy,
                      view->policy_detail[0] == '\0' ? "" : ": ", view->policy_detail);
    }
    if (view->members != 0) {
        (void)fprintf(out, view->feasible ? "The plan holds.\n" : "The plan does not hold: %s.\n",
                      view->reason);
    }
}

static json_t *cohort_json(const struct rn_plan_view *view)
{
    const struct rn_plan_numbers *n = &view->numbers;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:f, s:b, s:s}", "members",
                     (json_int_t)n->members, "quorum", (json_int_t)n->quorum, "threshold",
                     (json_int_t)n->threshold, "neighbours", (json_int_t)n->neighbours,
                     "graph_drawn", is_drawn(n) ? 1 : 0, "floor", (json_int_t)n->floor,
                     "losses_asked", (json_int_t)view->plan->secagg.losses, "losses_max",
                     (json_int_t)n->losses_max, "value_bits", (json_int_t)n->value_bits, "sum_bits",
                     (json_int_t)n->sum_bits, "headroom", n->headroom, "feasible",
                     view->feasible ? 1 : 0, "reason", view->reason);
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
    return json_pack("{s:b, s:o, s:b}", "coordinator", view->signers->coordinator ? 1 : 0,
                     "members", names, "group_key", view->signers->group ? 1 : 0);
}

static json_t *entry_json(const struct rn_field *field, const void *data, uint32_t at)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer value = {0};
    rn_field_put_entry(field, data, at, &value);
    const char *text = rn_buffer_text(&value);
    const bool text_kind = field->kind == RN_FIELD_TEXT || field->kind == RN_FIELD_TEXTS;
    const bool plain = field->kind <= RN_FIELD_SWITCH || field->kind == RN_FIELD_NUMBERS;
    return text_kind || plain ? json_loads(text, JSON_DECODE_ANY, NULL) : json_string(text);
}

json_t *rn_plan_field_json(const struct rn_field *field, const void *data)
{
    if (!rn_field_is_list(field)) {
        return entry_json(field, data, 0);
    }
    json_t *list = json_array();
    for (uint32_t i = 0; i < rn_field_count(field, data); i++) {
        (void)json_array_append_new(list, entry_json(field, data, i));
    }
    return list;
}

/* The plan as it is nested in the file. */
static json_t *fields_json(const struct rn_plan *plan)
{
    const struct rn_field_table *table = rn_plan_fields();
    json_t *root = json_object();
    for (size_t i = 0; i < table->count; i++) {
        if (!is_there(&table->fields[i], plan)) {
            continue;
        }
        const char *key = table->fields[i].path;
        json_t *section = root;
        for (const char *dot = strchr(key, '.'); dot != NULL; dot = strchr(key, '.')) {
            json_t *inner = json_object_getn(section, key, (size_t)(dot - key));
            if (inner == NULL) {
                inner = json_object();
                (void)json_object_setn_new(section, key, (size_t)(dot - key), inner);
            }
            section = inner;
            key = dot + 1;
        }
        (void)json_object_set_new(section, key, rn_plan_field_json(&table->fields[i], plan));
    }
    return root;
}

json_t *rn_plan_json(const struct rn_plan_view *view)
{
    char hash[65];
    const struct rn_plan *plan = view->plan;
    rn_hex_encode(hash, plan->hash, sizeof plan->hash);
    json_t *root =
        json_pack("{s:s, s:o, s:I}", "hash", hash, "plan", fields_json(plan), "attempt_seconds",
                  (json_int_t)rn_plan_attempt_seconds(plan, view->members, view->cost.bytes_max));
    if (view->members != 0) {
        (void)json_object_set_new(root, "cohort", cohort_json(view));
    }
    if (view->has_cost) {
        (void)json_object_set_new(root, "upload", cost_json(view));
    }
    if (view->signers != NULL && view->roster != NULL) {
        (void)json_object_set_new(root, "signed_by", signers_json(view));
    }
    if (view->roster != NULL) {
        (void)json_object_set_new(root, "roster", rn_roster_json(view->roster));
    }
    if (view->policy != NULL) {
        (void)json_object_set_new(
            root, "policy",
            json_pack("{s:s, s:s}", "reason", view->policy, "detail", view->policy_detail));
    }
    return root;
}
