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
#include "services/cli/kit/bounds.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/setuptext.h"
#include "services/host/modelhash.h"

#define UPLOAD_RATE 1000000 /* bytes a second that a member's line is expected to carry */

struct init_settings {
    struct rn_plan_template plan;
    const char *address, *listen, *model, *members, *plan_file, *dev, *log;
    struct rn_setup_columns columns;
    uint64_t threads;
    double lr;
    bool losses_given;
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
    char port[8];
    const char *directory = job->stage.partial;
    struct rn_x509_subject subject = {.federation = job->settings->plan.federation};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer certificate = {0};
    RN_TRY(rn_setup_address_split(job->settings->address, host, port, err));
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
        result = rn_setup_write(job->stage.partial, "site.yaml", rn_buffer_view(&text), 0644, err);
    }
    rn_free(site);
    return result;
}

static rn_result invite_name(void *context, const char *name, struct rn_error *err)
{
    struct init_job *job = context;
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
           "  1. read %s/plan.yaml and change what you want\n",
           directory, job->invited, model, directory);
    printf(job->invited == 0 ? "  2. rondo invite %s NAME...\n"
                             : "  2. send each member its file of %s/invitations\n",
           directory);
    printf("  3. rondo invite %s --accept NAME.request...\n", directory);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct init_settings *s = command->settings;
    s->plan.lr_a = s->plan.lr_b = s->lr;
    s->plan.lr_head = rn_command_given(command, "lr-head") ? s->plan.lr_head : s->lr;
    s->plan.upload_rate = UPLOAD_RATE;
    s->losses_given = rn_command_given(command, "losses");
    struct init_job RN_CLEANUP(job_clear)
        job = {.settings = s, .now_ms = rn_clock_wall_ms(), .parsed = NULL};
    job.parsed = rn_alloc(1, sizeof *job.parsed);
    RN_TRY(init_run(&job, command->operands[0], err));
    report(command, &job);
    return rn_ok();
}

static const struct rn_option site_options[] = {
    {"federation", RN_OPT_TEXT(struct init_settings, plan.federation, "NAME"), .required = true,
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
    {"no-header", RN_OPT_FLAG(struct init_settings, columns.no_header),
     .help = "it has no header: columns are numbers from 0"},
    {NULL}};

static const struct rn_option plan_options[] = {
    {"plan", RN_OPT_FILE(struct init_settings, plan_file),
     .help = "start from this plan instead of the options below"},
    {"name", RN_OPT_TEXT(struct init_settings, plan.name, "NAME"), .help = "the plan's name"},
    {"labels", RN_OPT_TEXT(struct init_settings, plan.labels, "NAME,..."),
     .help = "class names in order"},
    {"task", RN_OPT_CHOICE(struct init_settings, plan.task, RN_CHOICES_TASK),
     .fallback = "classification", .help = "what the label column holds"},
    {"metric",
     RN_OPT_CHOICE(struct init_settings, plan.metric, "accuracy|f1|matthews|pearson|spearman"),
     .fallback = "accuracy", .help = "what is reported"},
    {"rounds", RN_OPT_COUNT(struct init_settings, plan.rounds, "N"), .fallback = "8",
     RN_BOUNDS_ROUNDS, .help = "rounds of the job"},
    {"method", RN_OPT_CHOICE(struct init_settings, plan.method, RN_CHOICES_METHOD),
     .fallback = "rolora", .help = "which matrices a round trains"},
    {"weights", RN_OPT_CHOICE(struct init_settings, plan.weights, RN_CHOICES_WEIGHTS),
     .fallback = "uniform", .help = "how members weigh in the mean"},
    {"max-examples", RN_OPT_COUNT(struct init_settings, plan.max_examples, "N"), .least = 1,
     .most = 0x1p31, .help = "with --weights examples: most that a member may claim"},
    {"metrics", RN_OPT_CHOICE(struct init_settings, plan.metrics, "home|summed"),
     .fallback = "summed", .help = "whether losses and counts are summed inside the masked vector"},
    {"seed", RN_OPT_COUNT(struct init_settings, plan.seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "seed of adapter, head and batches"},
    {"max-length", RN_OPT_COUNT(struct init_settings, plan.max_length, "N"), .fallback = "128",
     RN_BOUNDS_LENGTH, .help = "tokens per record, special ones included"},
    {NULL}};

static const struct rn_option adapter_options[] = {
    {"rank", RN_OPT_COUNT(struct init_settings, plan.rank, "N"), .fallback = "4", RN_BOUNDS_RANK,
     .help = "of the LoRA matrices"},
    {"alpha", RN_OPT_NUMBER(struct init_settings, plan.alpha, "X"), .fallback = "8",
     RN_BOUNDS_ALPHA, .help = "scaling is alpha / rank"},
    {"rslora", RN_OPT_FLAG(struct init_settings, plan.rslora),
     .help = "scaling is alpha / sqrt(rank)"},
    {"init", RN_OPT_CHOICE(struct init_settings, plan.init, RN_CHOICES_INIT), .fallback = "kaiming",
     .help = "start of A; B starts at zero"},
    {"targets", RN_OPT_TEXT(struct init_settings, plan.targets, "NAME,..."),
     .fallback = "query,value", .help = "modules to adapt, as in peft, or all-linear"},
    {"head", RN_OPT_CHOICE(struct init_settings, plan.head, "frozen|federated|local"),
     .fallback = "federated", .help = "what happens to the classifier"},
    {NULL}};

static const struct rn_option training_options[] = {
    {"optimizer", RN_OPT_CHOICE(struct init_settings, plan.optimizer, RN_CHOICES_OPTIMIZER),
     .fallback = "adamw", .help = "update rule of the local steps"},
    {"lr", RN_OPT_NUMBER(struct init_settings, lr, "X"), .fallback = "0.001", RN_BOUNDS_RATE,
     .help = "learning rate of A, B and head"},
    {"lr-head", RN_OPT_NUMBER(struct init_settings, plan.lr_head, "X"), RN_BOUNDS_RATE,
     .help = "of the head, where it differs"},
    {"weight-decay", RN_OPT_NUMBER(struct init_settings, plan.weight_decay, "X"), .fallback = "0",
     RN_BOUNDS_DECAY, .help = "decoupled for adamw"},
    {"schedule", RN_OPT_CHOICE(struct init_settings, plan.schedule, "constant|cosine"),
     .fallback = "constant", .help = "of the learning rate, over a round"},
    {"warmup-steps", RN_OPT_COUNT(struct init_settings, plan.warmup_steps, "N"), .fallback = "0",
     RN_BOUNDS_WARMUP, .help = "of each round, in which the rate rises"},
    {"clip", RN_OPT_NUMBER(struct init_settings, plan.clip, "X"), .fallback = "1", RN_BOUNDS_CLIP,
     .help = "bound of the gradient's norm; 0: none"},
    {"batch", RN_OPT_COUNT(struct init_settings, plan.batch, "N"), .fallback = "32",
     RN_BOUNDS_BATCH, .help = "records per step"},
    {"steps", RN_OPT_COUNT(struct init_settings, plan.steps, "N"), .fallback = "50",
     RN_BOUNDS_STEPS, .help = "local steps a round"},
    {NULL}};

static const struct rn_option secagg_options[] = {
    {"colluding", RN_OPT_COUNT(struct init_settings, plan.colluding, "N"), .fallback = "1",
     .least = 1, .most = 126, .help = "members that may work with the coordinator"},
    {"losses", RN_OPT_COUNT(struct init_settings, plan.losses, "N"), .most = 125,
     .help = "losses that a round survives; without: as many as --members allows"},
    {"honest", RN_OPT_COUNT(struct init_settings, plan.honest, "N"), .fallback = "2", .least = 2,
     .most = 127, .help = "honest contributors that must remain"},
    {"bits", RN_OPT_COUNT(struct init_settings, plan.bits, "N"), .fallback = "16", .least = 4,
     .most = 24, .help = "of one quantised value"},
    {"scale", RN_OPT_NUMBER(struct init_settings, plan.scale, "X"), .fallback = "0.125",
     RN_BOUNDS_SCALE, .help = "largest change of one element in a round, a power of two"},
    {"train-soft", RN_OPT_COUNT(struct init_settings, plan.train_soft, "S"), .fallback = "1800",
     .least = 1, .most = 604800,
     .help = "seconds of training after which stragglers are left behind"},
    {"train-hard", RN_OPT_COUNT(struct init_settings, plan.train_hard, "S"), .fallback = "7200",
     .least = 1, .most = 604800, .help = "and after which a round is given up"},
    {"stage-soft", RN_OPT_COUNT(struct init_settings, plan.stage_soft, "S"), .fallback = "30",
     .least = 1, .most = 86400, .help = "the same for every other stage"},
    {"stage-hard", RN_OPT_COUNT(struct init_settings, plan.stage_hard, "S"), .fallback = "120",
     .least = 1, .most = 86400, .help = "and its end"},
    {"attempts", RN_OPT_COUNT(struct init_settings, plan.attempts, "N"), .fallback = "3",
     .least = 1, .most = 100, .help = "sessions per round before the job stops"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Site", site_options, 0},
                                                {"Development data", dev_options, 0},
                                                {"Plan", plan_options, 0},
                                                {"Plan: adapter", adapter_options, 0},
                                                {"Plan: training", training_options, 0},
                                                {"Plan: secure aggregation", secagg_options, 0},
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
