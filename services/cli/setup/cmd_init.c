/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo init: the operator's directory with CA, coordinator identity, plan template and
 * invitations.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "crypto/x509.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/planmodel.h"
#include "services/cli/setup/planoptions.h"
#include "services/cli/setup/setuptext.h"
#include "services/host/modelhash.h"

struct init_settings {
    struct rn_plan_options plan;
    const char *federation, *address, *listen, *model, *members, *plan_file, *dev, *log;
    struct rn_setup_columns columns;
    uint64_t threads;
};

struct init_job {
    const struct rn_command *command;
    const struct init_settings *settings;
    struct rn_setup_stage stage;
    struct rn_identity *identity;
    uint8_t model_hash[32];
    struct rn_plan *parsed;
    size_t invited;
    uint64_t now_ms;
};

static void job_clear(struct init_job *job)
{
    rn_setup_stage_clear(&job->stage);
    rn_identity_free(job->identity);
    rn_free(job->parsed);
}

/* Calls each(name) for the comma-separated list. */
static rn_result for_each_name(const char *list,
                               rn_result (*each)(void *, const char *, struct rn_error *),
                               void *context, struct rn_error *err)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        char name[128];
        const size_t length = strcspn(at, ",");
        RN_ENSURE(rn_text_format(name, sizeof name, "%.*s", (int)length, at), err, RN_E_USAGE,
                  "--members: a name is too long");
        RN_TRY(each(context, name, err));
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return rn_ok();
}

static rn_result count_name(void *context, const char *name, struct rn_error *err)
{
    (void)name;
    (void)err;
    ++*(uint32_t *)context;
    return rn_ok();
}

/* ---- The plan. */

/* As many losses as a cohort of this size can survive. */
static void losses_default(struct rn_plan *plan, uint32_t members)
{
    struct rn_plan_numbers numbers;
    if (members > 0 && rn_is_ok(rn_plan_feasible(plan, members, &numbers, NULL))) {
        plan->secagg.losses = numbers.losses_max;
    }
}

static rn_result plan_fill(struct init_job *job, struct rn_plan *plan, struct rn_error *err)
{
    uint32_t members = 0;
    rn_plan_defaults(plan);
    memcpy(plan->federation, job->settings->federation, strlen(job->settings->federation) + 1);
    memcpy(plan->name, plan->federation, sizeof plan->name);
    rn_hex_encode(plan->model.hash, job->model_hash, 32);
    rn_hex_encode(plan->roster.coordinator, rn_identity_public_of(job->identity)->bytes, 32);
    RN_TRY(rn_plan_options_apply(job->command, &job->settings->plan, plan, err));
    RN_ENSURE(plan->task.kind != RN_PLAN_CLASSIFICATION || plan->task.labels_count > 0, err,
              RN_E_USAGE,
              "--labels is missing: the class names in order, such as negative,positive");
    RN_TRY(for_each_name(job->settings->members, count_name, &members, err));
    if (!rn_command_given(job->command, "losses")) {
        losses_default(plan, members);
    }
    if (!rn_command_given(job->command, "max-length")) {
        return rn_plan_length_fit(job->settings->model, plan, err);
    }
    return rn_ok();
}

static rn_result plan_from_options(struct init_job *job, struct rn_buffer *out,
                                   struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *plan = rn_alloc(1, sizeof *plan);
    RN_TRY(plan_fill(job, plan, err));
    rn_setup_plan_text(plan, out);
    return rn_ok();
}

/* An own plan stands as it is written. */
static rn_result plan_options_absent(const struct rn_command *command, struct rn_error *err)
{
    struct rn_option_at at = {.def = command->def};
    while (rn_option_next(&at)) {
        const bool of_plan = rn_plan_option_paths(at.option.name) != NULL;
        RN_ENSURE(
            !of_plan || !command->given[at.number], err, RN_E_USAGE,
            "--%s and --plan exclude each other; rondo plan new --plan changes a plan's fields",
            at.option.name);
    }
    return rn_ok();
}

/* An own plan: its hashes are replaced by those of this federation. */
static rn_result plan_from_file(struct init_job *job, struct rn_buffer *out, struct rn_error *err)
{
    const uint8_t none[32] = {0};
    RN_TRY(plan_options_absent(job->command, err));
    RN_TRY(rn_file_read(job->settings->plan_file, RN_PLAN_BYTES_MAX, out, err));
    RN_TRY(rn_setup_replace_hash(out, "model", "hash", job->model_hash, err));
    RN_TRY(rn_setup_replace_hash(out, "roster", "hash", none, err));
    return rn_setup_replace_hash(out, "roster", "coordinator",
                                 rn_identity_public_of(job->identity)->bytes, err);
}

static rn_result plan_write(struct init_job *job, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const bool own = job->settings->plan_file != NULL;
    RN_TRY(own ? plan_from_file(job, &text, err) : plan_from_options(job, &text, err));
    RN_TRY(rn_plan_parse(rn_buffer_view(&text), own ? job->settings->plan_file : "plan",
                         job->parsed, err));
    RN_ENSURE(strcmp(job->parsed->federation, job->settings->federation) == 0, err, RN_E_CONFIG,
              "%s: is for federation '%s', not '%s'", job->settings->plan_file,
              job->parsed->federation, job->settings->federation);
    return rn_setup_write(job->stage.partial, "plan.yaml", rn_buffer_view(&text), 0644, err);
}

/* ---- Keys and certificates. */

static rn_result identity_write(struct init_job *job, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_identity_generate(&job->identity, err));
    RN_TRY(rn_path_join(path, job->stage.partial, "identity.key", err));
    return rn_identity_save(job->identity, path, err);
}

static rn_result certificates_write(struct init_job *job, struct rn_error *err)
{
    char ca_key[RN_PATH_MAX];
    char tls_key[RN_PATH_MAX];
    char host[256];
    const char *directory = job->stage.partial;
    struct rn_x509_subject subject = {.federation = job->settings->federation};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer certificate = {0};
    RN_TRY(rn_setup_address_reach(job->settings->address, host, err));
    RN_ENSURE(rn_x509_host_valid(host), err, RN_E_USAGE, "--address: '%s' is no host name", host);
    (void)rn_text_format(subject.host, sizeof subject.host, "%s", host);
    RN_TRY(rn_path_join(ca_key, directory, "ca.key", err));
    RN_TRY(rn_path_join(tls_key, directory, "tls.key", err));
    RN_TRY(rn_x509_authority_make(subject.federation, ca_key, job->now_ms, RN_ENROL_CA_DAYS,
                                  &authority, err));
    RN_TRY(rn_x509_key_make(tls_key, err));
    RN_TRY(rn_x509_request_make(tls_key, &subject, &request, err));
    RN_TRY(rn_x509_issue(ca_key, rn_buffer_view(&authority), rn_buffer_view(&request), &subject,
                         job->now_ms, RN_ENROL_DAYS, &certificate, err));
    RN_TRY(rn_setup_write(directory, "ca.crt", rn_buffer_view(&authority), 0644, err));
    RN_TRY(rn_setup_write(directory, "tls.csr", rn_buffer_view(&request), 0644, err));
    return rn_setup_write(directory, "tls.crt", rn_buffer_view(&certificate), 0644, err);
}

/* The coordinator may measure each round's adapter on public data of its own. */
static rn_result dev_fill(const struct init_settings *settings, struct rn_site_data *data,
                          struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_ENSURE(settings->columns.text != NULL && settings->columns.label != NULL, err, RN_E_USAGE,
              "--dev also needs --text and --label, the columns of that file");
    RN_TRY(rn_setup_absolute(settings->dev, path, err));
    (void)rn_text_format(data->dev, sizeof data->dev, "%s", path);
    return rn_setup_columns(&settings->columns, data, err);
}

static rn_result site_write(struct init_job *job, struct rn_error *err)
{
    const struct init_settings *settings = job->settings;
    struct rn_site *site = rn_alloc(1, sizeof *site);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char model[RN_PATH_MAX];
    site->role = RN_SITE_COORDINATOR;
    site->log.level = RN_SITE_INFO;
    site->log.format = strcmp(settings->log, "json") == 0 ? RN_SITE_LOG_JSON : RN_SITE_LOG_TEXT;
    site->compute.threads = (uint32_t)settings->threads;
    site->network.direction = RN_SITE_LISTEN;
    rn_result result = rn_setup_absolute(settings->model, model, err);
    if (rn_is_ok(result) && settings->dev != NULL) {
        result = dev_fill(settings, &site->data, err);
    }
    if (rn_is_ok(result)) {
        (void)rn_text_format(site->federation, sizeof site->federation, "%s", settings->federation);
        (void)rn_text_format(site->name, sizeof site->name, RN_SIGNATURES_COORDINATOR);
        (void)rn_text_format(site->network.listen, sizeof site->network.listen, "%s",
                             settings->listen == NULL ? settings->address : settings->listen);
        (void)rn_text_format(site->state, sizeof site->state, "state");
        (void)rn_text_format(site->model, sizeof site->model, "%s", model);
        rn_setup_site_text(site, &text);
        result = rn_site_parse(rn_buffer_view(&text), "site.yaml", site, err);
    }
    if (rn_is_ok(result)) {
        struct rn_plan_examples found;
        result = rn_plan_site_check(job->parsed, model, "", &site->data, &found, err);
    }
    if (rn_is_ok(result)) {
        result = rn_setup_write(job->stage.partial, "site.yaml", rn_buffer_view(&text), 0644, err);
    }
    rn_free(site);
    return result;
}

static rn_result invite_name(void *context, const char *name, struct rn_error *err)
{
    struct init_job *job = context;
    char file[128];
    RN_ENSURE(!rn_name_valid(name) ||
                  !rn_text_format(file, sizeof file, "invitations/%s.invite", name) ||
                  !rn_setup_has(job->stage.partial, file),
              err, RN_E_USAGE, "--members: '%s' is named twice", name);
    job->invited++;
    return rn_enrol_invite(job->stage.partial, job->parsed, NULL, name, job->settings->address,
                           job->now_ms, err);
}

static rn_result directories_make(struct init_job *job, struct rn_error *err)
{
    static const char *const names[] = {"state", "invitations", "members", "welcome"};
    char path[RN_PATH_MAX];
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        RN_TRY(rn_path_join(path, job->stage.partial, names[i], err));
        RN_TRY(rn_directory_make(path, 0700, err));
    }
    return rn_ok();
}

static rn_result init_run(struct init_job *job, const char *directory, struct rn_error *err)
{
    RN_ENSURE(rn_name_valid(job->settings->federation), err, RN_E_USAGE,
              "--federation: use a-z, 0-9 and '-', at most %d characters", RN_NAME_MAX);
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_model_hash(job->settings->model, job->model_hash, err));
    RN_TRY(rn_setup_stage_begin(&job->stage, directory, err));
    RN_TRY(directories_make(job, err));
    RN_TRY(identity_write(job, err));
    RN_TRY(certificates_write(job, err));
    RN_TRY(plan_write(job, err));
    RN_TRY(site_write(job, err));
    RN_TRY(for_each_name(job->settings->members, invite_name, job, err));
    return rn_setup_stage_commit(&job->stage, err);
}

static rn_result report(const struct rn_command *command, const struct init_job *job,
                        struct rn_error *err)
{
    char model[65];
    const char *directory = job->stage.final_path;
    rn_hex_encode(model, job->model_hash, 32);
    if (command->json) {
        return rn_json_print(json_pack("{s:s, s:s, s:s, s:I}", "directory", directory, "federation",
                                       job->parsed->federation, "model_hash", model, "invitations",
                                       (json_int_t)job->invited),
                             err);
    }
    if (command->quiet) {
        return rn_ok();
    }
    const char *raw = directory;
    char word[RN_SHELL_WORD_MAX];
    const struct init_settings *settings = job->settings;
    directory = rn_shell_word(raw, word);
    printf("Made %s: certificate authority, coordinator, plan and %zu invitation(s).\n"
           "Base model %.16s...\n"
           "The coordinator will listen on %s; members dial %s.\n\nNext:\n"
           "  1. read %s/plan.yaml; after a change: rondo invite %s, so that the invitations "
           "follow it\n",
           raw, job->invited, model,
           settings->listen == NULL ? settings->address : settings->listen, settings->address,
           directory, directory);
    printf(job->invited == 0 ? "  2. rondo invite %s NAME...\n"
                             : "  2. send each member its file of %s/invitations\n",
           directory);
    printf("  3. rondo invite %s --accept NAME.request...\n", directory);
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct init_settings *s = command->settings;
    struct init_job RN_CLEANUP(job_clear)
        job = {.command = command, .settings = s, .now_ms = rn_clock_wall_ms(), .parsed = NULL};
    job.parsed = rn_alloc(1, sizeof *job.parsed);
    RN_TRY(init_run(&job, command->operands[0], err));
    if (s->dev != NULL && job.parsed->lora.head == RN_PLAN_HEAD_LOCAL) {
        rn_command_note(command, "with a local head each member keeps its own, so the coordinator "
                                 "has no adapter to measure: --dev is not used");
    }
    return report(command, &job, err);
}

static const struct rn_option site_options[] = {
    {"federation", RN_OPT_TEXT(struct init_settings, federation, "NAME"), .required = true,
     .help = "its name: a-z, 0-9 and '-'"},
    {"address", RN_OPT_TEXT(struct init_settings, address, "HOST:PORT"), .required = true,
     .help = "where members reach the coordinator"},
    {"listen", RN_OPT_TEXT(struct init_settings, listen, "HOST:PORT"),
     .help = "where the coordinator listens, when that is not --address (0.0.0.0:PORT)"},
    {"model", RN_OPT_DIRECTORY(struct init_settings, model), .required = true,
     .help = "base model, a Hugging Face directory"},
    {"members", RN_OPT_TEXT(struct init_settings, members, "NAME,..."),
     .help = "members to invite at once; others with rondo invite"},
    {"threads", RN_OPT_COUNT(struct init_settings, threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "0: one per core"},
    {"log-format", RN_OPT_CHOICE(struct init_settings, log, RN_CHOICES_LOG_FORMAT),
     .fallback = "text", .help = "of the service's log lines"},
    {NULL}};

static const struct rn_option dev_options[] = {
    {"dev", RN_OPT_FILE(struct init_settings, dev),
     .help = "public data on which the coordinator measures each round's adapter"},
    {"text", RN_OPT_TEXT(struct init_settings, columns.text, "COL[,COL]"),
     .help = "column of its text, or of the two texts of a pair"},
    {"label", RN_OPT_TEXT(struct init_settings, columns.label, "COL"),
     .help = "column of its label or target"},
    {"data-format", RN_OPT_CHOICE(struct init_settings, columns.format, RN_CHOICES_DATA_FORMAT),
     .help = "when its name does not tell"},
    {"encoding", RN_OPT_CHOICE(struct init_settings, columns.encoding, RN_CHOICES_ENCODING),
     .help = "of TSV and CSV; without: utf-8"},
    {"no-header", RN_OPT_FLAG(struct init_settings, columns.no_header),
     .help = "it has no header: columns are numbers from 0"},
    {NULL}};

static const struct rn_option file_options[] = {
    {"plan", RN_OPT_FILE(struct init_settings, plan_file),
     .help = "start from this plan instead of the options below"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Site", site_options, 0},
    {"Development data", dev_options, 0},
    {"Plan", file_options, 0},
    RN_PLAN_OPTION_GROUPS(offsetof(struct init_settings, plan)),
    {NULL}};

static const struct rn_option_renamed renamed[] = {
    {"log", "log-format"}, {"target", "targets"}, {"warmup", "warmup-steps"}, {NULL, NULL}};

const struct rn_command_def rn_cmd_init = {
    .name = "init",
    .summary = "make the operator's directory: CA, coordinator, plan, invitations",
    .groups = groups,
    .settings_size = sizeof(struct init_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .renamed = renamed,
    .exits = RN_EXITS(65, 66, 69, 71, 77, 78, 80),
    .detail = "The keys are made here and stay here; keep DIR/ca.key where only operators read. "
              "Nothing is left behind when it fails.",
    .examples = "  rondo init consortium --federation clinics \\\n"
                "      --address fed.example.org:8443 --model encoder \\\n"
                "      --labels negative,positive --members north,south,east,west",
    .run = run,
};
