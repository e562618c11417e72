/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration with differential privacy: the numbers come from `rondo privacy plan`, what was
 * spent from a member's ledger, and the page at the end from `rondo privacy claims`.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/accountant/accountant.h"
#include "services/cli/run/demo.h"
#include "services/host/siteprivacy.h"

#define COMMAND_LIMIT_MS 120000
#define PART_BYTES_MAX ((size_t)1 << 30)
#define PAGE_BYTES_MAX ((size_t)1 << 20)

static rn_result part_lines(const struct rn_demo *demo, size_t member, uint64_t *out,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_demo_path(demo, path, err, "data/part-%zu.jsonl", member + 1));
    RN_TRY(rn_file_read(path, PART_BYTES_MAX, &text, err));
    *out = 0;
    for (size_t i = 0; i < text.length; i++) {
        *out += text.data[i] == '\n' ? 1 : 0;
    }
    return rn_ok();
}

/* The public bound: all members say the same, the largest part's number of records. */
static rn_result records_bound(const struct rn_demo *demo, uint64_t *out, struct rn_error *err)
{
    *out = 1;
    for (size_t i = 0; i < demo->members; i++) {
        uint64_t lines = 0;
        RN_TRY(part_lines(demo, i, &lines, err));
        *out = lines > *out ? lines : *out;
    }
    return rn_ok();
}

static rn_result read_json(const char *path, json_t **out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_file_read(path, PAGE_BYTES_MAX, &text, err));
    *out = json_loadb(rn_buffer_text(&text), text.length, JSON_DISABLE_EOF_CHECK, NULL);
    RN_ENSURE(*out != NULL, err, RN_E_INTERNAL, "%s: no JSON in it", path);
    return rn_ok();
}

static double number_of(const json_t *root, const char *section, const char *key)
{
    return json_number_value(json_object_get(json_object_get(root, section), key));
}

static void take(const json_t *root, struct rn_demo_privacy *out)
{
    out->rate = number_of(root, "plan", "rate");
    out->noise = number_of(root, "plan", "noise");
    out->denominator = number_of(root, "plan", "denominator");
    out->batch = (uint64_t)number_of(root, "plan", "batch");
    out->delta = number_of(root, "policy", "delta");
    out->order = number_of(root, "policy", "order");
}

rn_result rn_demo_privacy_plan(struct rn_demo *demo, struct rn_error *err)
{
    const struct rn_demo_settings *s = demo->settings;
    char output[RN_PATH_MAX];
    char text[6][40];
    json_t *root = NULL;
    RN_TRY(records_bound(demo, &demo->privacy.records, err));
    RN_TRY(rn_demo_path(demo, output, err, "privacy-plan.json"));
    (void)rn_text_format(text[0], 40, "%llu", (unsigned long long)demo->privacy.records);
    (void)rn_text_format(text[1], 40, "%.17g", s->epsilon);
    (void)rn_text_format(text[2], 40, "%llu", (unsigned long long)s->batch);
    (void)rn_text_format(text[3], 40, "%llu", (unsigned long long)s->rounds);
    (void)rn_text_format(text[4], 40, "%llu", (unsigned long long)s->steps);
    (void)rn_text_format(text[5], 40, "%.17g", s->clip);
    const char *const arguments[] = {
        "privacy", "plan",     "--dp-records", text[0],    "--dp-epsilon",
        text[1],   "--batch",  text[2],        "--rounds", text[3],
        "--steps", text[4],    "--dp-clip",    text[5],    "--dp-retries",
        "2",       "--format", "json",         NULL};
    RN_TRY(rn_child_run("rondo", arguments, output, COMMAND_LIMIT_MS, err));
    RN_TRY(read_json(output, &root, err));
    take(root, &demo->privacy);
    json_decref(root);
    return rn_ok();
}

/* Trainings begun up to this round; later rounds count one each, so a repeated one is here. */
static uint64_t trainings_until(const struct rn_privacy_planstate *state, uint32_t round)
{
    const uint32_t later = state->round > round ? state->round - round : 0;
    return state->begun > later ? state->begun - later : 0;
}

rn_result rn_demo_privacy_spent(const struct rn_demo *demo, uint32_t round, double *out,
                                struct rn_error *err)
{
    char site[RN_PATH_MAX];
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_privacy_ledger_free_cleanup) struct rn_privacy_ledger *ledger = NULL;
    struct rn_privacy_value value;
    RN_TRY(rn_demo_path(demo, site, err, "%s", demo->names[0]));
    RN_TRY(rn_siteprivacy_path(site, "data", path, err));
    RN_TRY(rn_siteprivacy_read(path, &ledger, err));
    RN_ENSURE(ledger->plan_count == 1, err, RN_E_INTERNAL, "%s: not one plan", path);
    const struct rn_privacy_planstate *state = &ledger->plans[0];
    const struct rn_privacy_event event = rn_privacy_plan_event(
        &ledger->terms, &state->plan, trainings_until(state, round) * state->plan.steps);
    RN_TRY(rn_account_epsilon(&event, event.count > 0 ? 1 : 0,
                              rn_privacy_terms_delta(&ledger->terms), RN_ACCOUNTANT_PLD, &value,
                              err));
    *out = value.upper;
    return rn_ok();
}

rn_result rn_demo_privacy_claims(const struct rn_demo *demo, struct rn_buffer *out,
                                 struct rn_error *err)
{
    char site[RN_PATH_MAX];
    char output[RN_PATH_MAX];
    RN_TRY(rn_demo_path(demo, site, err, "%s", demo->names[0]));
    RN_TRY(rn_demo_path(demo, output, err, "claims.md"));
    const char *const arguments[] = {"privacy", "claims", site, NULL};
    RN_TRY(rn_child_run("rondo", arguments, output, COMMAND_LIMIT_MS, err));
    return rn_file_read(output, PAGE_BYTES_MAX, out, err);
}
