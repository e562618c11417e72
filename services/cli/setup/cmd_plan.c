/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo plan check|show|sign.
 */
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/planmodel.h"
#include "services/cli/setup/planreport.h"
#include "services/cli/setup/plansign.h"

struct plan_settings {
    uint64_t members;
    const char *model;
};

/* A plan file alone, or a whole directory. */
struct plan_job {
    const struct plan_settings *settings;
    struct rn_setup *setup;
    struct rn_plan *file_plan;
    struct rn_plan_signers signers;
    struct rn_plan_view view;
    char model[RN_PATH_MAX]; /* "" unknown */
    struct rn_error reason;
    struct rn_error policy_reason;
    rn_result verdict; /* feasible and, at a member, accepted */
};

static void job_clear(struct plan_job *job)
{
    rn_setup_free(job->setup);
    rn_free(job->file_plan);
}

static bool is_directory(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static rn_result load_file(struct plan_job *job, const char *path, struct rn_error *err)
{
    job->file_plan = rn_alloc(1, sizeof *job->file_plan);
    RN_TRY(rn_setup_plan_read(path, job->file_plan, err));
    job->view.plan = job->file_plan;
    return rn_ok();
}

static rn_result load_directory(struct plan_job *job, const char *path, struct rn_error *err)
{
    RN_TRY(rn_setup_open(path, &job->setup, err));
    const struct rn_setup *setup = job->setup;
    RN_ENSURE(setup->plan_bytes.length > 0, err, RN_E_NO_INPUT,
              "%s has no plan.yaml yet: the operator's welcome brings it (rondo join)", path);
    job->view.plan = &setup->plan;
    RN_TRY(rn_site_path(job->model, path, setup->site.model, err));
    if (!setup->has_roster) {
        return rn_ok();
    }
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    RN_TRY(rn_setup_identity(path, &identity, err));
    RN_TRY(rn_plan_parties_check(setup, identity, err));
    job->view.roster = &setup->roster;
    job->view.members = setup->roster.count;
    RN_TRY(
        rn_signatures_verify(&setup->signatures, &setup->plan, &setup->roster, &job->signers, err));
    job->view.signers = &job->signers;
    return rn_ok();
}

static rn_result judge_cohort(struct plan_job *job)
{
    struct rn_plan_view *view = &job->view;
    if (job->settings->members != 0) {
        view->members = (uint32_t)job->settings->members;
    }
    if (view->members == 0) {
        return rn_ok();
    }
    const rn_result result =
        rn_plan_feasible(view->plan, view->members, &view->numbers, &job->reason);
    view->feasible = rn_is_ok(result);
    view->reason = job->reason.text;
    return result;
}

static rn_result judge_model(struct plan_job *job, struct rn_error *err)
{
    uint8_t hash[32];
    struct rn_plan_view *view = &job->view;
    if (job->model[0] == '\0' || view->members == 0 || !view->feasible) {
        return rn_ok();
    }
    RN_TRY(rn_plan_base_check(view->plan, job->model, hash, err));
    RN_TRY(rn_plan_cost_compute(view->plan, &view->numbers, job->model, &view->cost, err));
    view->has_cost = true;
    if (job->setup == NULL || !job->setup->has_policy || view->roster == NULL) {
        return rn_ok();
    }
    rn_result result = rn_plan_policy_check(job->setup, hash, &view->policy, &job->policy_reason);
    if (rn_is_ok(result)) {
        enum rn_policy_reason reason;
        result = rn_policy_check_upload(&job->setup->policy, view->cost.bytes_max, &reason,
                                        &job->policy_reason);
        view->policy = rn_policy_reason_name(reason);
    }
    view->policy_detail = job->policy_reason.text;
    job->verdict = result;
    return rn_ok();
}

static rn_result plan_judge(struct plan_job *job, const char *path, struct rn_error *err)
{
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(is_directory(path) ? load_directory(job, path, err) : load_file(job, path, err));
    if (job->settings->model != NULL) {
        RN_ENSURE(rn_text_format(job->model, sizeof job->model, "%s", job->settings->model), err,
                  RN_E_USAGE, "--model: the path is too long");
    }
    job->verdict = judge_cohort(job);
    return judge_model(job, err);
}

/* check and show differ in how much is printed and in what the exit code says. */
static rn_result judge(struct rn_command *command, bool show, struct rn_error *err)
{
    struct plan_job RN_CLEANUP(job_clear)
        job = {.settings = command->settings, .view = {.reason = "", .policy_detail = ""}};
    RN_TRY(plan_judge(&job, command->operands[0], err));
    if (command->json) {
        RN_TRY(rn_json_print(rn_plan_json(&job.view), err));
    } else if (show || !command->quiet) {
        rn_plan_print_text(&job.view, show, stdout);
    }
    if (!show && !rn_is_ok(job.verdict)) {
        *err = job.reason.text[0] != '\0' ? job.reason : job.policy_reason;
        return job.verdict;
    }
    return rn_ok();
}

static rn_result check_run(struct rn_command *command, struct rn_error *err)
{
    return judge(command, false, err);
}

static rn_result show_run(struct rn_command *command, struct rn_error *err)
{
    return judge(command, true, err);
}

static const struct rn_option judge_options[] = {
    {"members", RN_OPT_COUNT(struct plan_settings, members, "N"), RN_BOUNDS_MEMBERS,
     .help = "size of the cohort; without: the roster's"},
    {"model", RN_OPT_DIRECTORY(struct plan_settings, model),
     .help = "base model, to check its hash and to show bytes; without: the site's"},
    {NULL}};

static const struct rn_option_group judge_groups[] = {{"Plan", judge_options, 0}, {NULL}};

const struct rn_command_def rn_cmd_plan_check = {
    .name = "plan check",
    .summary = "check a plan: schema, ranges, cohort, base model, own policy",
    .groups = judge_groups,
    .settings_size = sizeof(struct plan_settings),
    .operands = {{"FILE|DIR", RN_OPTION_FILE, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 76, 77, 78, 79, 80),
    .detail = "Given a site's directory it also checks roster, signatures and policy. Exit code "
              "78: the plan is wrong; 79: this member's policy refuses it.",
    .examples = "  rondo plan check plan.yaml --members 4\n  rondo plan check north",
    .run = check_run,
};

const struct rn_command_def rn_cmd_plan_show = {
    .name = "plan show",
    .summary = "show a plan and what follows from it: bits, quorum, losses, bytes, times",
    .groups = judge_groups,
    .settings_size = sizeof(struct plan_settings),
    .operands = {{"FILE|DIR", RN_OPTION_FILE, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 76, 77, 78, 80),
    .examples = "  rondo plan show consortium\n"
                "  rondo plan show plan.yaml --members 10 --format json",
    .run = show_run,
};

static rn_result sign_run(const struct rn_command *command, struct rn_setup **out_setup,
                          struct rn_plan_signers *out_signers, struct rn_error *err)
{
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_setup_lock(command->operands[0], &lock, err));
    RN_TRY(rn_setup_open(command->operands[0], out_setup, err));
    return rn_plan_sign(*out_setup, command->operands + 1, command->operand_count - 1, out_signers,
                        err);
}

static rn_result sign_report(const struct rn_command *command, const struct rn_setup *setup,
                             const struct rn_plan_signers *signers, struct rn_error *err)
{
    char hash[65];
    struct rn_plan_numbers numbers;
    char word[RN_SHELL_WORD_MAX];
    const char *directory = rn_shell_word(command->operands[0], word);
    const bool coordinator = setup->site.role == RN_SITE_COORDINATOR;
    rn_hex_encode(hash, setup->plan.hash, sizeof setup->plan.hash);
    (void)rn_is_ok(rn_plan_feasible(&setup->plan, setup->roster.count, &numbers, NULL));
    const bool enough = signers->member_count >= numbers.quorum;
    if (command->json) {
        return rn_json_print(json_pack("{s:s, s:I, s:I, s:I, s:b}", "plan", hash, "members_signed",
                                       (json_int_t)signers->member_count, "members",
                                       (json_int_t)setup->roster.count, "needed",
                                       (json_int_t)numbers.quorum, "enough", enough ? 1 : 0),
                             err);
    }
    if (command->quiet) {
        return rn_ok();
    }
    printf("Plan %.16s... carries the signatures of %u of %u members; %u must sign.\n", hash,
           signers->member_count, setup->roster.count, numbers.quorum);
    if (enough || coordinator) {
        printf("%srondo run %s\n",
               enough ? "Ready: " : "The members wait for the others. Next: ", directory);
    } else {
        printf("Send %s/%s.signature to the operator; `rondo run %s` trains when the others have "
               "signed too.\n",
               directory, setup->site.name, directory);
    }
    return rn_ok();
}

static rn_result sign_command(struct rn_command *command, struct rn_error *err)
{
    struct rn_plan_signers signers = {0};
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(sign_run(command, &setup, &signers, err));
    return sign_report(command, setup, &signers, err);
}

const struct rn_command_def rn_cmd_plan_sign = {
    .name = "plan sign",
    .summary = "sign the plan, and take over others' signatures",
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}, {"FILE", RN_OPTION_FILE, 0, RN_OPERANDS_MAX}},
    .exits = RN_EXITS(65, 66, 71, 75, 76, 77, 78, 79, 80),
    .detail = "A member's policy is asked first. Files are NAME.signature or plan.yaml.sigs; every "
              "signature in them is verified. A running coordinator sends what its directory "
              "collects to the members; a member may also take it over as a file.",
    .examples = "  rondo plan sign consortium north.signature south.signature east.signature\n"
                "  rondo plan sign north",
    .run = sign_command,
};
