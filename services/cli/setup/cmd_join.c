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
#include "crypto/fingerprint.h"
#include "crypto/setup.h"
#include "policy/accountant/privacyevent.h"
#include "policy/mailtext.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/joinjob.h"
#include "services/cli/setup/joinroster.h"
#include "services/cli/setup/policywords.h"

static const char *const step_names[] = {[RN_JOIN_INVITED] = "an invitation",
                                         [RN_JOIN_WELCOMED] = "a welcome",
                                         [RN_JOIN_RENEWED] = "a renewal"};

static void job_clear(struct rn_join_job *job)
{
    rn_bundle_text_clear(&job->text);
    rn_bundle_clear(&job->bundle);
    rn_setup_stage_clear(&job->stage);
    rn_identity_free(job->identity);
    rn_free(job->plan);
    rn_free(job->policy);
    rn_free(job->roster);
}

/* What an option does only in another step would be lost without a word. */
static rn_result options_check(const struct rn_command *command, enum rn_join_step step,
                               struct rn_error *err)
{
    struct rn_option_at at = {.def = command->def};
    while (rn_option_next(&at)) {
        const char *name = at.option.name;
        const bool welcome = strcmp(name, "sign") == 0 || strcmp(name, "roster") == 0;
        const bool fits = at.common || strcmp(name, "dir") == 0 ||
                          (strcmp(name, "out") == 0 && step != RN_JOIN_RENEWED) ||
                          (welcome ? step == RN_JOIN_WELCOMED : step == RN_JOIN_INVITED);
        RN_ENSURE(fits || !command->given[at.number], err, RN_E_USAGE,
                  "--%s goes with %s, %s is %s", name, welcome ? "a welcome" : "an invitation",
                  command->operands[0], step_names[step]);
    }
    return rn_ok();
}

static rn_result join_run(const struct rn_command *command, struct rn_join_job *job,
                          struct rn_error *err)
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
            RN_TRY(options_check(command, job->step, err));
            return steps[i].run(job, err);
        }
    }
    const char *kind = rn_mailtext_kind(text);
    return rn_fail(err, RN_E_DATA, "%s: neither an invitation nor a welcome nor a renewal%s%s",
                   job->source, kind == NULL ? "" : ", but ", kind == NULL ? "" : kind);
}

static rn_result report_json(const struct rn_join_job *job, const struct rn_policy_clause *clauses,
                             struct rn_error *err)
{
    char key[RN_FINGERPRINT_KEY_TEXT];
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "directory", job->settings->directory, "member",
                  job->member, "step", strchr(step_names[job->step], ' ') + 1, "output",
                  job->output, "certificate_until", job->until, "kept", job->kept);
    if (job->step == RN_JOIN_INVITED) {
        json_t *policy = json_object();
        for (size_t i = 0; i < RN_POLICY_CLAUSES; i++) {
            (void)json_object_set_new(policy, clauses[i].name, json_string(clauses[i].text));
        }
        (void)json_object_set_new(root, "policy", policy);
        (void)json_object_set_new(root, "warning", rn_json_sentence(job->warning.text));
        rn_fingerprint_key(rn_identity_public_of(job->identity), key);
        (void)json_object_set_new(root, "fingerprint", json_string(key));
    }
    if (job->step == RN_JOIN_WELCOMED) {
        (void)json_object_set_new(root, "roster", rn_roster_json(job->roster));
        (void)json_object_set_new(root, "taken", json_true());
    }
    return rn_json_print(root, err);
}

static void report_invited(const struct rn_join_job *job, const struct rn_policy_clause *clauses)
{
    char words[2][RN_SHELL_WORD_MAX];
    const char *directory = rn_shell_word(job->settings->directory, words[0]);
    char key[RN_FINGERPRINT_KEY_TEXT];
    rn_fingerprint_key(rn_identity_public_of(job->identity), key);
    printf("Made %s with this site's keys. Fingerprint of its key:\n  %s\n\n"
           "%s %s/policy.yaml %s. It allows:\n",
           directory, key, job->settings->policy == NULL ? "No policy was given, so" : "The policy",
           directory,
           job->settings->policy == NULL ? "just holds the plan of the invitation"
                                         : "is the one that was given");
    for (size_t i = 0; i < RN_POLICY_CLAUSES; i++) {
        printf("  %-9s %s\n", clauses[i].name, clauses[i].text);
    }
    printf("\nNext:\n"
           "  1. read %s/policy.yaml and narrow it\n"
           "  2. send %s to the operator\n"
           "  3. rondo join %s.welcome --dir %s   (it shows the roster's fingerprint)\n"
           "  4. compare that with the other organisations, not through the operator\n"
           "  5. rondo join %s.welcome --dir %s --sign --roster FINGERPRINT\n",
           directory, rn_shell_word(job->output, words[1]), job->member, directory, job->member,
           directory);
}

static void report_welcomed(const struct rn_join_job *job)
{
    char words[2][RN_SHELL_WORD_MAX];
    const char *directory = rn_shell_word(job->settings->directory, words[0]);
    const char *output = rn_shell_word(job->output, words[1]);
    char fingerprint[RN_FINGERPRINT_ROSTER_TEXT];
    rn_fingerprint_roster(job->roster, fingerprint);
    printf("'%s' has its certificate (until %s), the roster and the plan.\n"
           "Fingerprint of the roster: %s\n",
           job->member, job->until, fingerprint);
    if (job->kept[0] != '\0') {
        printf("The job of the plan before is kept in %s.\n", job->kept);
    }
    printf("\nNext:\n");
    if (job->settings->sign) {
        printf("  1. send %s to the operator\n"
               "  2. rondo doctor %s\n"
               "  3. rondo run %s   (it trains when the others have signed too)\n",
               output, directory, directory);
    } else {
        printf("  1. rondo plan show %s\n  2. rondo plan sign %s\n", directory, directory);
    }
}

static rn_result report(const struct rn_command *command, const struct rn_join_job *job,
                        struct rn_error *err)
{
    struct rn_policy_clause clauses[RN_POLICY_CLAUSES];
    rn_policy_words(job->policy, clauses);
    if (command->json) {
        return report_json(job, clauses, err);
    }
    if (job->warning.text[0] != '\0') { /* an error soon: told under --quiet, too */
        (void)fprintf(stderr, "rondo join: warning: %s\n", job->warning.text);
    }
    if (command->quiet) {
        return rn_ok();
    }
    if (job->step == RN_JOIN_INVITED) {
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
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct rn_join_job RN_CLEANUP(job_clear)
        job = {.settings = command->settings, .source = command->operands[0]};
    job.plan = rn_alloc(1, sizeof *job.plan);
    job.policy = rn_alloc(1, sizeof *job.policy);
    job.roster = rn_alloc(1, sizeof *job.roster);
    job.talks = !command->json && !command->quiet;
    job.json = command->json;
    RN_TRY(join_run(command, &job, err));
    return report(command, &job, err);
}

static const struct rn_option site_options[] = {
    {"dir", RN_OPT_DIRECTORY(struct rn_join_settings, directory), .required = true,
     .help = "this site's directory; made from an invitation, completed by a welcome"},
    {"roster", RN_OPT_TEXT(struct rn_join_settings, roster, "FINGERPRINT"),
     .help = "with a welcome: the roster's fingerprint, as the other organisations read it out"},
    {"sign", RN_OPT_FLAG(struct rn_join_settings, sign),
     .help = "with a welcome: sign the plan if the policy allows it"},
    {"out", RN_OPT_FILE(struct rn_join_settings, out),
     .help = "where the file for the operator goes (DIR/NAME.request, DIR/NAME.signature)"},
    {"policy", RN_OPT_FILE(struct rn_join_settings, policy),
     .help = "this organisation's own policy instead of a template"},
    {"model", RN_OPT_DIRECTORY(struct rn_join_settings, model),
     .help = "base model, a Hugging Face directory"},
    {"backend", RN_OPT_CHOICE(struct rn_join_settings, backend, "cpu|cpu-bf16|ref|cuda"),
     .fallback = "cpu",
     .help = "what computes; cpu-bf16 is about twice as fast on processors with bfloat16, and "
             "rounds activations to 8 bits"},
    {"threads", RN_OPT_COUNT(struct rn_join_settings, threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "0: one per core"},
    {"log-format", RN_OPT_CHOICE(struct rn_join_settings, log, RN_CHOICES_LOG_FORMAT),
     .fallback = "text", .help = "of the service's log lines"},
    {NULL}};

static const struct rn_option data_options[] = {
    {"data", RN_OPT_FILE(struct rn_join_settings, data),
     .help = "training data: TSV, CSV or JSONL"},
    {"dev", RN_OPT_FILE(struct rn_join_settings, dev), .help = "data to measure on, never sent"},
    {"text", RN_OPT_TEXT(struct rn_join_settings, text, "COL[,COL]"),
     .help = "column of the text, or of the two texts of a pair"},
    {"label", RN_OPT_TEXT(struct rn_join_settings, label, "COL"),
     .help = "column of the label or target"},
    {"data-format", RN_OPT_CHOICE(struct rn_join_settings, data_format, RN_CHOICES_DATA_FORMAT),
     .help = "when the file's name does not tell"},
    {"encoding", RN_OPT_CHOICE(struct rn_join_settings, encoding, RN_CHOICES_ENCODING),
     .help = "of TSV and CSV; without: utf-8"},
    {"no-header", RN_OPT_FLAG(struct rn_join_settings, no_header),
     .help = "the data has no header: columns are numbers from 0"},
    {NULL}};

static const struct rn_option privacy_options[] = {
    {"dp-epsilon", RN_OPT_NUMBER(struct rn_join_settings, epsilon, "E"), .least = 0x1p-10,
     .most = 100,
     .help = "most that everything ever released over this data may cost; needed where the plan "
             "is private"},
    {"dp-records", RN_OPT_COUNT(struct rn_join_settings, records, "N"), .least = 1, .most = 1e9,
     .help = "public bound on the number of records, for ever"},
    {"dp-delta", RN_OPT_NUMBER(struct rn_join_settings, delta, "D"), .least = 1e-30, .most = 0.1,
     .help = "without: N to the power of -1.1"},
    {"dp-order", RN_OPT_NUMBER(struct rn_join_settings, order, "A"), .least = 1.02, .most = 30000,
     .help = "of the filter over all plans; without: the best for plans like this one"},
    {"dp-lineage", RN_OPT_TEXT(struct rn_join_settings, lineage, "NAME"), .fallback = "data",
     .help = "name of this data, whose plans share one ledger"},
    {"dp-unit", RN_OPT_CHOICE(struct rn_join_settings, unit, "record|person"), .fallback = "record",
     .help = "whose influence is bounded"},
    {"dp-rows", RN_OPT_COUNT(struct rn_join_settings, rows, "K"), .fallback = "1", .least = 1,
     .most = RN_PRIVACY_GROUP_MAX, .help = "with person: most records of one"},
    {"dp-shared-honest", RN_OPT_COUNT(struct rn_join_settings, shared_honest, "N"), .most = 1023,
     .help = "plans may count on the noise of N honest members, this one included; without: on "
             "one's own alone"},
    {NULL}};

static const struct rn_option network_options[] = {
    {"listen", RN_OPT_TEXT(struct rn_join_settings, listen, "HOST:PORT"),
     .help = "listen here and let the coordinator dial, instead of dialling"},
    {"address", RN_OPT_TEXT(struct rn_join_settings, address, "HOST:PORT"),
     .help = "with --listen: where the coordinator reaches this site; without: where the "
             "coordinator is, if not as the invitation says"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Site", site_options, 0},
    {"Data", data_options, 0},
    {"Network", network_options, 0},
    {"Promise (policy.yaml, privacy)", privacy_options, 0},
    {NULL}};

static const struct rn_option_renamed renamed[] = {{"log", "log-format"}, {NULL, NULL}};

const struct rn_command_def rn_cmd_join = {
    .name = "join",
    .summary = "join with an invitation, then a welcome; take over a renewed certificate",
    .groups = groups,
    .settings_size = sizeof(struct rn_join_settings),
    .operands = {{"FILE", RN_OPTION_FILE, 1, 1}},
    .renamed = renamed,
    .exits = RN_EXITS(65, 66, 69, 71, 75, 76, 77, 78, 79, 80),
    .detail =
        "All keys are made in DIR and never leave it. Nothing is left behind when it fails.\n"
        "The roster of a welcome comes from the operator, who could have invented its members: "
        "without --roster it is shown, nothing is taken over, and the exit code is 79 where "
        "policy.yaml does not pin these members yet. Compare its fingerprint with the "
        "other organisations over a channel that is not the operator's; what they read out "
        "goes after --roster, and policy.yaml keeps their keys. Later welcomes with the same "
        "members need no --roster.",
    .examples = "  rondo join north.invite --dir north --model encoder --data train.tsv \\\n"
                "      --text sentence --label label\n"
                "  rondo join north.invite --dir north ... --dp-epsilon 8 --dp-records 100000\n"
                "  rondo join north.welcome --dir north       # shows the roster's fingerprint\n"
                "  rondo join north.welcome --dir north --sign --roster '68250 81024 ...'\n"
                "  rondo join north.renewal --dir north",
    .run = run,
};
