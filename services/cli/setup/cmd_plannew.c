/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo plan new: a plan.yaml from options, for a federation that is there or for one to be made.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/random.h"
#include "crypto/setup.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/planoptions.h"
#include "services/cli/setup/setupfiles.h"
#include "services/cli/setup/setuptext.h"
#include "services/host/modelhash.h"

struct new_settings {
    struct rn_plan_options plan;
    const char *out, *plan_file, *federation, *model;
};

/* ---- What is not an option of the plan. */

static rn_result model_fill(const char *model, struct rn_plan *plan, struct rn_error *err)
{
    uint8_t hash[32];
    RN_TRY(rn_plan_length_fit(model, plan, err));
    RN_TRY(rn_model_hash(model, hash, err));
    rn_hex_encode(plan->model.hash, hash, sizeof hash);
    return rn_ok();
}

/* Federation, coordinator, roster and model of the operator's directory. */
static rn_result directory_fill(const char *directory, struct rn_plan *plan, uint32_t *out_members,
                                struct rn_error *err)
{
    char model[RN_PATH_MAX];
    uint8_t roster_hash[RN_HASH_BYTES] = {0};
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(rn_setup_begin(directory, &setup, err));
    RN_TRY(rn_setup_load_site(setup, err));
    RN_TRY(rn_setup_load_roster(setup, err));
    RN_ENSURE(setup->site.role == RN_SITE_COORDINATOR, err, RN_E_USAGE,
              "%s is a member's directory; plans come from the operator's", directory);
    RN_TRY(rn_setup_identity(directory, &identity, err));
    if (setup->has_roster) {
        rn_roster_hash(rn_buffer_view(&setup->roster_bytes), roster_hash);
        *out_members = setup->roster.count;
    }
    memcpy(plan->federation, setup->site.federation, sizeof plan->federation);
    rn_hex_encode(plan->roster.hash, roster_hash, sizeof roster_hash);
    rn_hex_encode(plan->roster.coordinator, rn_identity_public_of(identity)->bytes, 32);
    RN_TRY(rn_site_path(model, directory, setup->site.model, err));
    return model_fill(model, plan, err);
}

static rn_result alone_fill(const struct new_settings *s, struct rn_plan *plan,
                            struct rn_error *err)
{
    const bool fresh = s->plan_file == NULL;
    RN_ENSURE(!fresh || (s->federation != NULL && s->model != NULL), err, RN_E_USAGE,
              "name the operator's directory, or give --federation and --model");
    RN_ENSURE(s->federation == NULL ||
                  rn_text_format(plan->federation, sizeof plan->federation, "%s", s->federation),
              err, RN_E_USAGE, "--federation: longer than %d characters", RN_NAME_MAX);
    if (fresh) {
        memset(plan->roster.coordinator, '0', RN_PLAN_HASH_TEXT);
    }
    return s->model == NULL ? rn_ok() : model_fill(s->model, plan, err);
}

static rn_result base_load(const char *path, struct rn_plan *plan, struct rn_error *err)
{
    rn_plan_defaults(plan);
    return path == NULL ? rn_ok() : rn_setup_plan_read(path, plan, err);
}

static rn_result plan_fill(const struct rn_command *command, struct rn_plan *plan,
                           struct rn_error *err)
{
    const struct new_settings *s = command->settings;
    const char *directory = command->operand_count == 0 ? NULL : command->operands[0];
    uint32_t members = 0;
    RN_ENSURE(directory == NULL || (s->federation == NULL && s->model == NULL), err, RN_E_USAGE,
              "--federation and --model are those of %s", directory);
    RN_TRY(base_load(s->plan_file, plan, err));
    RN_TRY(directory == NULL ? alone_fill(s, plan, err)
                             : directory_fill(directory, plan, &members, err));
    if (plan->name[0] == '\0') {
        memcpy(plan->name, plan->federation, sizeof plan->name);
    }
    if (directory != NULL) {
        uint32_t seed = 0; /* of its own: no two jobs of a federation may begin alike (jobs.h) */
        RN_TRY(rn_random_bytes(&seed, sizeof seed, err));
        plan->seed = seed;
    }
    RN_TRY(rn_plan_options_apply(command, &s->plan, plan, err));
    RN_ENSURE(plan->task.kind != RN_PLAN_CLASSIFICATION || plan->task.labels_count > 0, err,
              RN_E_USAGE,
              "--labels is missing: the class names in order, such as negative,positive");
    struct rn_plan_numbers numbers;
    if (members > 0 && s->plan_file == NULL && !rn_command_given(command, "losses") &&
        rn_is_ok(rn_plan_feasible(plan, members, &numbers, NULL))) {
        plan->secagg.losses = numbers.losses_max; /* as many as this roster can survive */
    }
    return rn_ok();
}

static rn_result plan_write(const char *path, struct rn_plan *plan, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_ENSURE(!rn_file_exists(path), err, RN_E_USAGE,
              "%s exists already: choose another name, or remove it first", path);
    rn_setup_plan_text(plan, &text);
    RN_TRY(rn_plan_parse(rn_buffer_view(&text), "the plan", plan, err));
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

static rn_result report(const struct rn_command *command, const struct rn_plan *plan,
                        struct rn_error *err)
{
    const struct new_settings *s = command->settings;
    const char *directory = command->operand_count == 0 ? NULL : command->operands[0];
    char hash[65];
    rn_hex_encode(hash, plan->hash, sizeof plan->hash);
    if (command->json) {
        return rn_json_print(
            json_pack("{s:s, s:s, s:s}", "file", s->out, "name", plan->name, "hash", hash), err);
    }
    if (!command->quiet) {
        printf("Wrote plan '%s' to %s.\n\nNext:\n  1. read it and change what you want\n",
               plan->name, s->out);
        char words[2][RN_SHELL_WORD_MAX];
        const char *file = rn_shell_word(s->out, words[0]);
        if (directory == NULL) {
            printf("  2. rondo init DIR --plan %s ...\n", file);
        } else {
            directory = rn_shell_word(directory, words[1]);
            printf("  2. rondo plan diff %s %s\n  3. rondo plan propose %s %s\n", directory, file,
                   directory, file);
        }
    }
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct new_settings *s = command->settings;
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *plan = rn_alloc(1, sizeof *plan);
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(plan_fill(command, plan, err));
    RN_TRY(plan_write(s->out, plan, err));
    return report(command, plan, err);
}

static const struct rn_option options[] = {
    {"out", RN_OPT_FILE(struct new_settings, out), .required = true,
     .help = "where the plan is written; never over a file"},
    {"plan", RN_OPT_FILE(struct new_settings, plan_file),
     .help = "start from this plan: only the options that are given change it"},
    {"federation", RN_OPT_TEXT(struct new_settings, federation, "NAME"),
     .help = "its name, without DIR"},
    {"model", RN_OPT_DIRECTORY(struct new_settings, model), .help = "base model, without DIR"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"File", options, 0}, RN_PLAN_OPTION_GROUPS(offsetof(struct new_settings, plan)), {NULL}};

const struct rn_command_def rn_cmd_plan_new = {
    .name = "plan new",
    .summary = "write a plan from options, such as a federation's second one",
    .groups = groups,
    .settings_size = sizeof(struct new_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 0, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 78, 80),
    .detail =
        "DIR is the operator's directory: federation, coordinator, roster and base model are "
        "its own, and the seed is drawn anew unless --seed says one: no two jobs of a federation "
        "may begin alike. Nothing in DIR changes before the plan is proposed.",
    .examples = "  rondo plan new consortium --out longer.yaml --plan consortium/plan.yaml \\\n"
                "      --name longer --rounds 40\n"
                "  rondo plan new --out plan.yaml --federation clinics --model encoder \\\n"
                "      --labels negative,positive\n"
                "  rondo plan new consortium --out blind.yaml --coordinator blind",
    .run = run,
};
