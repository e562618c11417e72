/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo join: from an invitation to a site's directory and a request; from a welcome to a site
 * that can run; from a renewal to one that can go on.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "policy/mailtext.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"
#include "services/cli/setup/joinjob.h"
#include "services/cli/setup/policywords.h"

static void job_clear(struct rn_join_job *job)
{
    rn_bundle_text_clear(&job->text);
    rn_bundle_clear(&job->bundle);
    rn_setup_stage_clear(&job->stage);
    rn_identity_free(job->identity);
    rn_free(job->plan);
    rn_free(job->policy);
}

static rn_result join_run(struct rn_join_job *job, struct rn_error *err)
{
    static const struct {
        const char *kind;
        rn_result (*run)(struct rn_join_job *, struct rn_error *);
    } steps[] = {[RN_JOIN_INVITED] = {RN_BUNDLE_INVITE, rn_join_invited},
                 [RN_JOIN_WELCOMED] = {RN_BUNDLE_WELCOME, rn_join_welcomed},
                 [RN_JOIN_RENEWED] = {RN_BUNDLE_RENEWAL, rn_join_renewed}};
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_file_read(job->source, RN_BUNDLE_BYTES_MAX, &job->text, err));
    RN_TRY(rn_bundle_mend(&job->text, job->source, err));
    const struct rn_view text = rn_buffer_view(&job->text);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(steps); i++) {
        if (rn_bundle_is(text, steps[i].kind)) {
            job->step = (enum rn_join_step)i;
            return steps[i].run(job, err);
        }
    }
    const char *kind = rn_mailtext_kind(text);
    return rn_fail(err, RN_E_DATA, "%s: neither an invitation nor a welcome nor a renewal%s%s",
                   job->source, kind == NULL ? "" : ", but ", kind == NULL ? "" : kind);
}

static void report_json(const struct rn_join_job *job, const struct rn_policy_clause *clauses)
{
    static const char *const steps[] = {"invitation", "welcome", "renewal"};
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s}", "directory", job->settings->directory,
                             "member", job->member, "step", steps[job->step], "output", job->output,
                             "certificate_until", job->until);
    if (job->step == RN_JOIN_INVITED) {
        json_t *policy = json_object();
        for (size_t i = 0; i < RN_POLICY_CLAUSES; i++) {
            (void)json_object_set_new(policy, clauses[i].name, json_string(clauses[i].text));
        }
        (void)json_object_set_new(root, "policy", policy);
        (void)json_object_set_new(root, "warning", json_string(job->warning.text));
    }
    (void)json_dumpf(root, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(root);
}

static void report_invited(const struct rn_join_job *job, const struct rn_policy_clause *clauses)
{
    const char *directory = job->settings->directory;
    printf("Made %s with this site's keys.\n\n%s %s/policy.yaml %s. It allows:\n", directory,
           job->settings->policy == NULL ? "No policy was given, so" : "The policy", directory,
           job->settings->policy == NULL ? "just holds the plan of the invitation"
                                         : "is the one that was given");
    for (size_t i = 0; i < RN_POLICY_CLAUSES; i++) {
        printf("  %-9s %s\n", clauses[i].name, clauses[i].text);
    }
    printf("\nNext:\n"
           "  1. read %s/policy.yaml and narrow it\n"
           "  2. send %s to the operator\n"
           "  3. rondo join %s.welcome --dir %s --sign\n",
           directory, job->output, job->member, directory);
}

static void report_welcomed(const struct rn_join_job *job)
{
    const char *directory = job->settings->directory;
    printf("'%s' has its certificate (until %s), the roster and the plan.\n\nNext:\n", job->member,
           job->until);
    if (job->settings->sign) {
        printf("  1. send %s to the operator\n"
               "  2. rondo plan sign %s plan.yaml.sigs   (the operator's collection)\n"
               "  3. rondo doctor %s\n"
               "  4. rondo run %s\n",
               job->output, directory, directory, directory);
    } else {
        printf("  1. rondo plan show %s\n  2. rondo plan sign %s\n", directory, directory);
    }
}

static void report(const struct rn_command *command, const struct rn_join_job *job)
{
    struct rn_policy_clause clauses[RN_POLICY_CLAUSES];
    rn_policy_words(job->policy, clauses);
    if (job->warning.text[0] != '\0' && !command->json) {
        (void)fprintf(stderr, "rondo join: warning: %s\n", job->warning.text);
    }
    if (command->json) {
        report_json(job, clauses);
    } else if (command->quiet) {
        return;
    } else if (job->step == RN_JOIN_INVITED) {
        report_invited(job, clauses);
    } else if (job->step == RN_JOIN_WELCOMED) {
        report_welcomed(job);
    } else {
        printf("'%s' has %s, valid until %s. Plan, roster and state stay as they are.\n",
               job->member,
               job->certificate_kept ? "a certificate already that runs longer"
                                     : "its new certificate",
               job->until);
    }
}

int rn_cmd_join(int argc, char **argv)
{
    struct rn_join_settings s = {.backend = "cpu", .log = "text"};
    const struct rn_option options[] = {
        {"dir", "DIR", RN_OPTION_TEXT, &s.directory, .required = true,
         .help = "this site's directory; made from an invitation, completed by a welcome"},
        {"model", "DIR", RN_OPTION_TEXT, &s.model, .help = "base model, a Hugging Face directory"},
        {"data", "FILE", RN_OPTION_TEXT, &s.data, .help = "training data: TSV, CSV or JSONL"},
        {"dev", "FILE", RN_OPTION_TEXT, &s.dev, .help = "data to measure on, never sent"},
        {"text", "COL[,COL]", RN_OPTION_TEXT, &s.text,
         .help = "column of the text, or of the two texts of a pair"},
        {"label", "COL", RN_OPTION_TEXT, &s.label, .help = "column of the label or target"},
        {"data-format", NULL, RN_OPTION_CHOICE, &s.data_format, .choices = "tsv|csv|jsonl",
         .help = "when the file's name does not tell"},
        {"no-header", NULL, RN_OPTION_FLAG, &s.no_header,
         .help = "the data has no header: columns are numbers from 0"},
        {"policy", "FILE", RN_OPTION_TEXT, &s.policy,
         .help = "this organisation's own policy instead of a template"},
        {"listen", "HOST:PORT", RN_OPTION_TEXT, &s.listen,
         .help = "listen here and let the coordinator dial, instead of dialling"},
        {"address", "HOST:PORT", RN_OPTION_TEXT, &s.address,
         .help = "with --listen: where the coordinator reaches this site; without: where\n"
                 "the coordinator is, if not as the invitation says"},
        {"backend", NULL, RN_OPTION_CHOICE, &s.backend, .choices = "cpu|cpu-bf16|ref|cuda",
         .help = "what computes; cpu-bf16 is about twice as fast on processors with bfloat16,\n"
                 "and rounds activations to 8 bits"},
        {"threads", "N", RN_OPTION_COUNT, &s.threads, .least = 0, .most = 64,
         .help = "0: one per core"},
        {"log", NULL, RN_OPTION_CHOICE, &s.log, .choices = "text|json", .help = "log format"},
        {"sign", NULL, RN_OPTION_FLAG, &s.sign,
         .help = "with a welcome: sign the plan if the policy allows it"},
        {"out", "FILE", RN_OPTION_TEXT, &s.out,
         .help = "where the file for the operator goes (DIR/NAME.request, DIR/NAME.signature)"},
    };
    const struct rn_command_text text = {
        .name = "join",
        .summary = "Join a federation with an invitation, then a welcome; take over a renewed "
                   "certificate.",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .operands = "FILE",
        .operands_least = 1,
        .operands_most = 1,
        .detail = "All keys are made in DIR and never leave it. Nothing is left behind when it "
                  "fails.",
        .examples = "  rondo join north.invite --dir north --model encoder --data train.tsv \\\n"
                    "      --text sentence --label label\n"
                    "  rondo join north.welcome --dir north --sign\n"
                    "  rondo join north.renewal --dir north"};
    struct rn_command command;
    struct rn_error err = {{0}};
    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    struct rn_join_job RN_CLEANUP(job_clear) job = {.settings = &s, .source = command.operands[0]};
    job.plan = rn_alloc(1, sizeof *job.plan);
    job.policy = rn_alloc(1, sizeof *job.policy);
    const rn_result result = join_run(&job, &err);
    if (rn_is_ok(result)) {
        report(&command, &job);
    }
    return rn_command_end(&command, result, &err);
}
