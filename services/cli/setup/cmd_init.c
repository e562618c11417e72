/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo init: the operator's directory with CA, coordinator identity, plan template and
 * invitations.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "crypto/x509.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/planmodel.h"
#include "services/cli/setup/setuptext.h"
#include "services/host/modelhash.h"
#include "trainer/trainer.h"

struct init_settings {
    struct rn_plan_template plan;
    const char *address, *listen, *model, *members, *plan_file, *dev, *log;
    struct rn_setup_columns columns;
    uint64_t threads;
    double lr;
    bool losses_given, length_given;
};

struct init_job {
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

/* Records are cut at 128 tokens, or where the model ends; a length that was asked for is checked
 * against the model instead. */
static rn_result length_default(struct rn_plan_template *plan, const char *model,
                                struct rn_error *err)
{
    struct rn_model_facts facts;
    RN_TRY(rn_model_facts_read(model, &facts, err));
    if (facts.length_max > 0 && facts.length_max < plan->max_length) {
        plan->max_length = facts.length_max;
    }
    return rn_ok();
}

/* As many losses as a cohort of this size can survive. */
static rn_result losses_default(struct rn_plan_template *plan, uint32_t members)
{
    const struct rn_plan shape = {.secagg = {.colluding = (uint32_t)plan->colluding,
                                             .honest = (uint32_t)plan->honest,
                                             .bits = (uint32_t)plan->bits}};
    struct rn_plan_numbers numbers;
    if (members > 0 && rn_is_ok(rn_plan_feasible(&shape, members, &numbers, NULL))) {
        plan->losses = numbers.losses_max;
    }
    return rn_ok();
}

static rn_result plan_from_options(struct init_job *job, struct rn_buffer *out,
                                   struct rn_error *err)
{
    struct rn_plan_template plan = job->settings->plan;
    char model_hash[65];
    char coordinator[65];
    uint32_t members = 0;
    rn_hex_encode(model_hash, job->model_hash, 32);
    rn_hex_encode(coordinator, rn_identity_public_of(job->identity)->bytes, 32);
    RN_ENSURE(strcmp(plan.task, "classification") != 0 || plan.labels != NULL, err, RN_E_USAGE,
              "--labels is missing: the class names in order, such as negative,positive");
    RN_TRY(for_each_name(job->settings->members, count_name, &members, err));
    if (!job->settings->losses_given) {
        RN_TRY(losses_default(&plan, members));
    }
    if (!job->settings->length_given) {
        RN_TRY(length_default(&plan, job->settings->model, err));
    }
    plan.model_hash = model_hash;
    plan.coordinator = coordinator;
    plan.name = plan.name == NULL ? plan.federation : plan.name;
    rn_setup_plan_text(&plan, out);
    return rn_ok();
}

/* An own plan: its hashes are replaced by those of this federation. */
static rn_result plan_from_file(struct init_job *job, struct rn_buffer *out, struct rn_error *err)
{
    const uint8_t none[32] = {0};
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
    RN_ENSURE(strcmp(job->parsed->federation, job->settings->plan.federation) == 0, err,
              RN_E_CONFIG, "%s: is for federation '%s', not '%s'", job->settings->plan_file,
              job->parsed->federation, job->settings->plan.federation);
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
    struct rn_x509_subject subject = {.federation = job->settings->plan.federation};
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
        (void)rn_text_format(site->federation, sizeof site->federation, "%s",
                             settings->plan.federation);
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
    RN_ENSURE(rn_name_valid(job->settings->plan.federation), err, RN_E_USAGE,
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

static void report(const struct rn_command *command, const struct init_job *job)
{
    char model[65];
    const char *directory = job->stage.final_path;
    rn_hex_encode(model, job->model_hash, 32);
    if (command->json) {
        json_t *root = json_pack("{s:s, s:s, s:s, s:I}", "directory", directory, "federation",
                                 job->parsed->federation, "model_hash", model, "invitations",
                                 (json_int_t)job->invited);
        (void)json_dumpf(root, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(root);
        return;
    }
    if (command->quiet) {
        return;
    }
    printf("Made %s: certificate authority, coordinator, plan and %zu invitation(s).\n"
           "Base model %.16s...\n\nNext:\n"
           "  1. read %s/plan.yaml; after a change: rondo invite %s, so that the invitations "
           "follow it\n",
           directory, job->invited, model, directory, directory);
    printf(job->invited == 0 ? "  2. rondo invite %s NAME...\n"
                             : "  2. send each member its file of %s/invitations\n",
           directory);
    printf("  3. rondo invite %s --accept NAME.request...\n", directory);
}

int rn_cmd_init(int argc, char **argv)
{
    struct init_settings s = {
        .plan = {.seed = 1,
                 .rounds = 8,
                 .method = "rolora",
                 .weights = "uniform",
                 .metrics = "home",
                 .max_length = 128,
                 .task = "classification",
                 .metric = "accuracy",
                 .rank = 4,
                 .alpha = 8,
                 .init = "kaiming",
                 .targets = "query,value",
                 .head = "federated",
                 .optimizer = "adamw",
                 .lr_a = -1,
                 .lr_b = -1,
                 .lr_head = 1e-3,
                 .weight_decay = 0,
                 .schedule = "constant",
                 .clip = 1,
                 .batch = 32,
                 .steps = 50,
                 .colluding = 1,
                 .honest = 2,
                 .bits = 16,
                 .scale = 0.125,
                 .train_soft = 1800,
                 .train_hard = 7200,
                 .stage_soft = 30,
                 .stage_hard = 120,
                 .upload_rate = 1000000,
                 .attempts = 3},
        .lr = 1e-3,
        .log = "text",
    };
    const struct rn_option options[] = {
        {"federation", "NAME", RN_OPTION_TEXT, &s.plan.federation, .required = true,
         .help = "its name: a-z, 0-9 and '-'"},
        {"address", "HOST:PORT", RN_OPTION_TEXT, &s.address, .required = true,
         .help = "where members reach the coordinator"},
        {"listen", "HOST:PORT", RN_OPTION_TEXT, &s.listen,
         .help = "where the coordinator listens, when that is not --address (0.0.0.0:PORT)"},
        {"model", "DIR", RN_OPTION_TEXT, &s.model, .required = true,
         .help = "base model, a Hugging Face directory"},
        {"members", "NAME,...", RN_OPTION_TEXT, &s.members,
         .help = "members to invite at once; others with rondo invite"},
        {"dev", "FILE", RN_OPTION_TEXT, &s.dev,
         .help = "public data on which the coordinator measures each round's adapter"},
        {"text", "COL[,COL]", RN_OPTION_TEXT, &s.columns.text, .help = "text column(s) of --dev"},
        {"label", "COL", RN_OPTION_TEXT, &s.columns.label, .help = "label column of --dev"},
        {"data-format", NULL, RN_OPTION_CHOICE, &s.columns.format, .choices = "tsv|csv|jsonl",
         .help = "of --dev, when its name does not tell"},
        {"no-header", NULL, RN_OPTION_FLAG, &s.columns.no_header,
         .help = "--dev has no header: columns are numbers from 0"},
        {"threads", "N", RN_OPTION_COUNT, &s.threads, .most = 64, .help = "0: one per core"},
        {"log", NULL, RN_OPTION_CHOICE, &s.log, .choices = "text|json", .help = "log format"},
        {"plan", "FILE", RN_OPTION_TEXT, &s.plan_file,
         .help = "start from this plan instead of the options below"},
        {"name", "NAME", RN_OPTION_TEXT, &s.plan.name, .help = "the plan's name"},
        {"labels", "NAME,...", RN_OPTION_TEXT, &s.plan.labels, .help = "class names in order"},
        {"task", NULL, RN_OPTION_CHOICE, &s.plan.task, .choices = "classification|regression",
         .help = "what the head does"},
        {"metric", NULL, RN_OPTION_CHOICE, &s.plan.metric,
         .choices = "accuracy|f1|matthews|pearson|spearman", .help = "what is reported"},
        {"rounds", "N", RN_OPTION_COUNT, &s.plan.rounds, .least = 1, .most = 100000,
         .help = "rounds"},
        {"method", NULL, RN_OPTION_CHOICE, &s.plan.method, .choices = "rolora|ffa-lora|fedavg-lora",
         .help = "which matrices a round trains"},
        {"weights", NULL, RN_OPTION_CHOICE, &s.plan.weights, .choices = "uniform|examples",
         .help = "how members weigh in the mean"},
        {"max-examples", "N", RN_OPTION_COUNT, &s.plan.max_examples, .least = 1, .most = 0x1p31,
         .help = "with --weights examples: most that a member may claim"},
        {"metrics", NULL, RN_OPTION_CHOICE, &s.plan.metrics, .choices = "home|summed",
         .help = "whether losses and counts are summed inside the masked vector"},
        {"seed", "N", RN_OPTION_COUNT, &s.plan.seed, .help = "seed of adapter, head and batches"},
        {"max-length", "N", RN_OPTION_COUNT, &s.plan.max_length, .least = 8, .most = 32768,
         .help = "tokens per example"},
        {"rank", "N", RN_OPTION_COUNT, &s.plan.rank, .least = 1, .most = 512, .help = "LoRA rank"},
        {"alpha", "X", RN_OPTION_NUMBER, &s.plan.alpha, .least = 0x1p-10, .most = 0x1p14,
         .help = "LoRA alpha"},
        {"rslora", NULL, RN_OPTION_FLAG, &s.plan.rslora, .help = "scale by alpha / sqrt(rank)"},
        {"init", NULL, RN_OPTION_CHOICE, &s.plan.init, .choices = "kaiming|orthonormal",
         .help = "how A starts"},
        {"targets", "NAME,...", RN_OPTION_TEXT, &s.plan.targets,
         .help = "modules to adapt, or all-linear"},
        {"head", NULL, RN_OPTION_CHOICE, &s.plan.head, .choices = "frozen|federated|local",
         .help = "what happens to the classifier"},
        {"optimizer", NULL, RN_OPTION_CHOICE, &s.plan.optimizer, .choices = "adamw|sgd",
         .help = "of the local steps"},
        {"lr", "X", RN_OPTION_NUMBER, &s.lr, .least = 0, .most = 100,
         .help = "learning rate of A, B and head"},
        {"lr-head", "X", RN_OPTION_NUMBER, &s.plan.lr_head, .least = 0, .most = 100,
         .help = "learning rate of the head (as --lr)"},
        {"weight-decay", "X", RN_OPTION_NUMBER, &s.plan.weight_decay, .least = 0, .most = 1,
         .help = "weight decay"},
        {"schedule", NULL, RN_OPTION_CHOICE, &s.plan.schedule, .choices = "constant|cosine",
         .help = "learning rate over a round"},
        {"warmup-steps", "N", RN_OPTION_COUNT, &s.plan.warmup_steps, .help = "of each round"},
        {"clip", "X", RN_OPTION_NUMBER, &s.plan.clip, .least = 0, .most = 1000000,
         .help = "gradient norm; 0: no clipping"},
        {"batch", "N", RN_OPTION_COUNT, &s.plan.batch, .least = 1, .most = 4096,
         .help = "examples a step"},
        {"steps", "N", RN_OPTION_COUNT, &s.plan.steps, .least = 1, .most = 1000000,
         .help = "local steps a round"},
        {"colluding", "N", RN_OPTION_COUNT, &s.plan.colluding, .least = 1, .most = 126,
         .help = "members that may work with the coordinator"},
        {"losses", "N", RN_OPTION_COUNT, &s.plan.losses, .most = 125,
         .help = "losses that a round survives (as many as --members allows)"},
        {"honest", "N", RN_OPTION_COUNT, &s.plan.honest, .least = 2, .most = 127,
         .help = "honest contributors that must remain"},
        {"bits", "N", RN_OPTION_COUNT, &s.plan.bits, .least = 4, .most = 24,
         .help = "of one quantised value"},
        {"scale", "X", RN_OPTION_NUMBER, &s.plan.scale, .least = 0x1p-30, .most = 0x1p20,
         .help = "largest change of one element in a round, a power of two"},
        {"train-soft", "S", RN_OPTION_COUNT, &s.plan.train_soft, .least = 1, .most = 604800,
         .help = "seconds of training after which stragglers are left behind"},
        {"train-hard", "S", RN_OPTION_COUNT, &s.plan.train_hard, .least = 1, .most = 604800,
         .help = "and after which a round is given up"},
        {"stage-soft", "S", RN_OPTION_COUNT, &s.plan.stage_soft, .least = 1, .most = 86400,
         .help = "the same for every other stage"},
        {"stage-hard", "S", RN_OPTION_COUNT, &s.plan.stage_hard, .least = 1, .most = 86400,
         .help = "and its end"},
        {"attempts", "N", RN_OPTION_COUNT, &s.plan.attempts, .least = 1, .most = 100,
         .help = "sessions per round before the job stops"},
    };
    const struct rn_command_text text = {
        .name = "init",
        .summary = "Make an operator's directory: CA, coordinator, plan, invitations.",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .operands = "DIR",
        .operands_least = 1,
        .operands_most = 1,
        .detail = "The keys are made here and stay here; keep DIR/ca.key where only operators "
                  "read. Nothing is\nleft behind when it fails.",
        .examples = "  rondo init consortium --federation clinics --address fed.example.org:8443 "
                    "\\\n      --model encoder --labels negative,positive --members north,south,"
                    "east,west"};
    struct rn_command command;
    struct rn_error err = {{0}};
    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    s.plan.lr_a = s.plan.lr_b = s.lr;
    s.plan.lr_head = rn_command_given(&command, "lr-head") ? s.plan.lr_head : s.lr;
    s.losses_given = rn_command_given(&command, "losses");
    s.length_given = rn_command_given(&command, "max-length");
    struct init_job RN_CLEANUP(job_clear)
        job = {.settings = &s, .now_ms = rn_clock_wall_ms(), .parsed = NULL};
    job.parsed = rn_alloc(1, sizeof *job.parsed);
    const rn_result result = init_run(&job, command.operands[0], &err);
    if (rn_is_ok(result)) {
        report(&command, &job);
    }
    return rn_command_end(&command, result, &err);
}
