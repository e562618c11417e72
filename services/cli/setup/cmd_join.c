/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo join: from an invitation to a site's directory and a request; from a welcome to a site
 * that can run.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "crypto/tlspolicy.h"
#include "crypto/x509.h"
#include "policy/bundle.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/enrolproof.h"
#include "services/cli/setup/plansign.h"
#include "services/cli/setup/setuptext.h"
#include "services/host/modelhash.h"

#define DAY_MS (UINT64_C(24) * 3600 * 1000)

struct join_settings {
    const char *directory, *out;
    const char *model, *data, *dev, *text, *label, *data_format;
    const char *address, *listen, *backend, *log, *policy;
    uint64_t threads;
    bool no_header, sign;
};

struct join_job {
    const struct join_settings *settings;
    const char *source; /* path of invitation or welcome */
    struct rn_buffer text;
    struct rn_bundle bundle;
    struct rn_setup_stage stage;
    struct rn_identity *identity;
    struct rn_plan *plan;
    char output[RN_PATH_MAX]; /* the file for the operator */
    char member[RN_NAME_MAX + 1];
    uint32_t signatures;
};

static void job_clear(struct join_job *job)
{
    if (job->text.data != NULL) {
        rn_secret_wipe(job->text.data, job->text.length); /* an invitation holds a token */
    }
    rn_secret_wipe(&job->bundle, sizeof job->bundle);
    rn_buffer_clear(&job->text);
    rn_setup_stage_clear(&job->stage);
    rn_identity_free(job->identity);
    rn_free(job->plan);
}

/* ---- From an invitation. */

static rn_result invite_check(struct join_job *job, struct rn_error *err)
{
    uint32_t expires = 0;
    const struct rn_bundle *bundle = &job->bundle;
    const char *member = rn_bundle_value(bundle, RN_INVITE_MEMBER);
    RN_ENSURE(rn_name_valid(member) && rn_name_valid(rn_bundle_value(bundle, RN_INVITE_FEDERATION)),
              err, RN_E_DATA, "%s: no valid names", job->source);
    (void)rn_text_format(job->member, sizeof job->member, "%s", member);
    RN_ENSURE(rn_date_parse(rn_bundle_value(bundle, RN_INVITE_EXPIRES), &expires), err, RN_E_DATA,
              "%s: no valid expiry date", job->source);
    RN_ENSURE(rn_clock_wall_ms() / DAY_MS <= expires, err, RN_E_CONFIG,
              "%s: expired on %s; ask the operator for a new one, or check this machine's clock",
              job->source, rn_bundle_value(bundle, RN_INVITE_EXPIRES));
    const struct rn_view plan = rn_bundle_file(bundle, RN_INVITE_PLAN);
    RN_TRY(rn_plan_parse(plan, "plan.yaml of the invitation", job->plan, err));
    RN_ENSURE(strcmp(job->plan->federation, rn_bundle_value(bundle, RN_INVITE_FEDERATION)) == 0 &&
                  strcmp(job->plan->roster.coordinator,
                         rn_bundle_value(bundle, RN_INVITE_COORDINATOR)) == 0,
              err, RN_E_DATA, "%s: its plan is for another federation", job->source);
    return rn_ok();
}

static rn_result model_check(struct join_job *job, struct rn_error *err)
{
    uint8_t hash[32];
    char text[65];
    RN_TRY(rn_model_hash(job->settings->model, hash, err));
    rn_hex_encode(text, hash, sizeof hash);
    RN_ENSURE(
        memcmp(hash, job->plan->model_hash, sizeof hash) == 0, err, RN_E_CONFIG,
        "%s: is base model %.16s..., but the federation works on %.16s...; get the same files",
        job->settings->model, text, job->plan->model.hash);
    return rn_ok();
}

static rn_result site_fill(struct join_job *job, struct rn_site *site, struct rn_error *err)
{
    const struct join_settings *s = job->settings;
    char path[RN_PATH_MAX];
    site->role = RN_SITE_MEMBER;
    site->log.level = RN_SITE_INFO;
    site->log.format = strcmp(s->log, "json") == 0 ? RN_SITE_LOG_JSON : RN_SITE_LOG_TEXT;
    site->compute.threads = (uint32_t)s->threads;
    site->compute.backend = strcmp(s->backend, "cuda") == 0       ? RN_SITE_CUDA
                            : strcmp(s->backend, "ref") == 0      ? RN_SITE_REF
                            : strcmp(s->backend, "cpu-bf16") == 0 ? RN_SITE_CPU_BF16
                                                                  : RN_SITE_CPU;
    (void)rn_text_format(site->federation, sizeof site->federation, "%s",
                         rn_bundle_value(&job->bundle, RN_INVITE_FEDERATION));
    (void)rn_text_format(site->name, sizeof site->name, "%s", job->member);
    (void)rn_text_format(site->state, sizeof site->state, "state");
    const char *dial =
        s->address == NULL ? rn_bundle_value(&job->bundle, RN_INVITE_ADDRESS) : s->address;
    const bool listens = s->listen != NULL;
    site->network.direction = listens ? RN_SITE_LISTEN : RN_SITE_DIAL;
    RN_ENSURE(rn_text_format(listens ? site->network.listen : site->network.dial,
                             sizeof site->network.dial, "%s", listens ? s->listen : dial),
              err, RN_E_USAGE, "the address is too long");
    RN_TRY(rn_setup_absolute(s->model, path, err));
    (void)rn_text_format(site->model, sizeof site->model, "%s", path);
    RN_TRY(rn_setup_absolute(s->data, path, err));
    (void)rn_text_format(site->data.train, sizeof site->data.train, "%s", path);
    if (s->dev != NULL) {
        RN_TRY(rn_setup_absolute(s->dev, path, err));
        (void)rn_text_format(site->data.dev, sizeof site->data.dev, "%s", path);
    }
    return rn_ok();
}

static rn_result site_write(struct join_job *job, struct rn_error *err)
{
    struct rn_site *site = rn_alloc(1, sizeof *site);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_result result = site_fill(job, site, err);
    if (rn_is_ok(result)) {
        const struct join_settings *given = job->settings;
        const struct rn_setup_columns columns = {given->text, given->label, given->data_format,
                                                 given->no_header};
        result = rn_setup_columns(&columns, &site->data, err);
    }
    if (rn_is_ok(result)) {
        rn_setup_site_text(site, &text);
        result = rn_site_parse(rn_buffer_view(&text), "site.yaml", site, err);
    }
    if (rn_is_ok(result)) {
        result = rn_setup_write(job->stage.partial, "site.yaml", rn_buffer_view(&text), 0644, err);
    }
    rn_free(site);
    return result;
}

/* The member's own policy file, or one around the plan of the invitation. */
static rn_result policy_write(struct join_job *job, struct rn_error *err)
{
    const char *own = job->settings->policy;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_policy *policy = rn_alloc(1, sizeof *policy);
    rn_result result = rn_ok();
    if (own != NULL) {
        result = rn_file_read(own, RN_PLAN_BYTES_MAX, &text, err);
    } else {
        rn_setup_policy_text(job->plan, &text);
    }
    if (rn_is_ok(result)) {
        result =
            rn_policy_parse(rn_buffer_view(&text), own == NULL ? "policy.yaml" : own, policy, err);
    }
    rn_free(policy);
    RN_TRY(result);
    return rn_setup_write(job->stage.partial, "policy.yaml", rn_buffer_view(&text), 0644, err);
}

static rn_result keys_write(struct join_job *job, struct rn_buffer *out_csr, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    struct rn_x509_subject subject = {
        .federation = rn_bundle_value(&job->bundle, RN_INVITE_FEDERATION), .member = job->member};
    if (job->settings->listen != NULL) {
        char host[256];
        char port[8];
        const char *reach =
            job->settings->address == NULL ? job->settings->listen : job->settings->address;
        RN_TRY(rn_setup_address_split(reach, host, port, err));
        RN_ENSURE(rn_x509_host_valid(host), err, RN_E_USAGE, "'%s' is no host name", host);
        (void)rn_text_format(subject.host, sizeof subject.host, "%s", host);
    }
    RN_TRY(rn_identity_generate(&job->identity, err));
    RN_TRY(rn_path_join(path, job->stage.partial, "identity.key", err));
    RN_TRY(rn_identity_save(job->identity, path, err));
    RN_TRY(rn_path_join(path, job->stage.partial, "tls.key", err));
    RN_TRY(rn_x509_key_make(path, err));
    RN_TRY(rn_x509_request_make(path, &subject, out_csr, err));
    return rn_setup_write(job->stage.partial, "ca.crt",
                          rn_bundle_file(&job->bundle, RN_INVITE_AUTHORITY), 0644, err);
}

static rn_result request_build(struct join_job *job, struct rn_view csr, struct rn_buffer *out,
                               struct rn_error *err)
{
    char hex[2 * RN_SIGNATURE_BYTES + 1];
    uint8_t signature[RN_SIGNATURE_BYTES];
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) token = {{0}};
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) proof = {{0}};
    const struct join_settings *s = job->settings;
    RN_ENSURE(rn_hex_decode(token.bytes, sizeof token.bytes,
                            rn_bundle_value(&job->bundle, RN_INVITE_TOKEN)),
              err, RN_E_DATA, "%s: the token is damaged", job->source);
    const char *reach = s->listen == NULL ? "-" : s->address == NULL ? s->listen : s->address;
    rn_bundle_begin(out, RN_BUNDLE_REQUEST);
    rn_bundle_put(out, "federation", rn_bundle_value(&job->bundle, RN_INVITE_FEDERATION));
    rn_bundle_put(out, "member", job->member);
    rn_bundle_put(out, "address", reach);
    rn_hex_encode(hex, rn_identity_public_of(job->identity)->bytes, RN_IDENTITY_PUBLIC_BYTES);
    rn_bundle_put(out, "key", hex);
    rn_bundle_put_file(out, "tls.csr", csr);
    rn_join_proof(&proof, &token, rn_buffer_view(out));
    rn_hex_encode(hex, proof.bytes, sizeof proof.bytes);
    rn_bundle_put(out, "proof", hex);
    rn_identity_sign(job->identity, RN_JOIN_REQUEST_TAG, rn_buffer_view(out), signature);
    rn_hex_encode(hex, signature, sizeof signature);
    rn_bundle_put(out, "signature", hex);
    rn_bundle_end(out);
    return rn_ok();
}

static rn_result join_invited(struct join_job *job, struct rn_error *err)
{
    const struct join_settings *s = job->settings;
    char path[RN_PATH_MAX];
    char file[RN_NAME_MAX + 16];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csr = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_ENSURE(s->model != NULL && s->data != NULL && s->text != NULL && s->label != NULL, err,
              RN_E_USAGE, "with an invitation, --model, --data, --text and --label are needed");
    RN_TRY(rn_bundle_parse(rn_buffer_view(&job->text), job->source, RN_BUNDLE_INVITE,
                           rn_invite_items, RN_INVITE_ITEMS, &job->bundle, err));
    RN_TRY(invite_check(job, err));
    RN_TRY(model_check(job, err));
    RN_TRY(rn_setup_stage_begin(&job->stage, s->directory, err));
    RN_TRY(rn_path_join(path, job->stage.partial, "state", err));
    RN_TRY(rn_directory_make(path, 0700, err));
    RN_TRY(keys_write(job, &csr, err));
    RN_TRY(site_write(job, err));
    RN_TRY(policy_write(job, err));
    RN_TRY(request_build(job, rn_buffer_view(&csr), &request, err));
    (void)rn_text_format(file, sizeof file, "%s.request", job->member);
    RN_TRY(rn_setup_write(job->stage.partial, file, rn_buffer_view(&request), 0644, err));
    RN_TRY(rn_setup_stage_commit(&job->stage, err));
    if (s->out == NULL) {
        return rn_path_join(job->output, s->directory, file, err);
    }
    RN_ENSURE(rn_text_format(job->output, sizeof job->output, "%s", s->out), err, RN_E_USAGE,
              "--out: the path is too long");
    return rn_file_write(s->out, rn_buffer_view(&request), 0644, err);
}

/* ---- From a welcome. */

/* The certificate is for this site's key and name, under the CA of the invitation. */
static rn_result certificate_check(struct join_job *job, const struct rn_setup *setup,
                                   struct rn_error *err)
{
    char expected[RN_X509_URI_MAX];
    struct rn_tls_leaf leaf;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer key = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority = {0};
    const struct rn_x509_subject subject = {.federation = setup->site.federation,
                                            .member = setup->site.name};
    RN_TRY(rn_setup_read(job->settings->directory, "tls.key", RN_SETUP_PEM_MAX, &key, err));
    rn_result result =
        rn_setup_read(job->settings->directory, "ca.crt", RN_SETUP_PEM_MAX, &authority, err);
    if (rn_is_ok(result)) {
        result = rn_tls_material_check(rn_buffer_view(&key),
                                       rn_bundle_file(&job->bundle, RN_WELCOME_CERTIFICATE),
                                       rn_buffer_view(&authority), rn_clock_wall_ms(), &leaf, err);
    }
    rn_secret_wipe(key.data, key.length);
    if (!rn_is_ok(result)) {
        return rn_fail_context(err, result, "%s", job->source);
    }
    rn_x509_uri(&subject, expected);
    RN_ENSURE(strcmp(leaf.uri, expected) == 0, err, RN_E_IDENTITY,
              "%s: its certificate is for %s, this site is %s", job->source, leaf.uri, expected);
    return rn_ok();
}

/* Plan, roster and signatures fit each other and this site; setup takes them over. */
static rn_result welcome_take(struct join_job *job, struct rn_setup *setup, struct rn_error *err)
{
    const struct rn_view plan = rn_bundle_file(&job->bundle, RN_WELCOME_PLAN);
    const struct rn_view roster = rn_bundle_file(&job->bundle, RN_WELCOME_ROSTER);
    struct rn_plan_signers signers;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    RN_TRY(rn_plan_parse(plan, "plan.yaml of the welcome", &setup->plan, err));
    RN_TRY(rn_roster_parse(roster, &setup->roster, err));
    RN_ENSURE(setup->has_policy &&
                  strcmp(setup->plan.roster.coordinator, setup->policy.coordinator) == 0,
              err, RN_E_PEER_AUTH, "%s: its plan is by another coordinator than the policy's",
              job->source);
    setup->has_roster = true;
    rn_buffer_clear(&setup->plan_bytes);
    rn_buffer_append(&setup->plan_bytes, plan.data, plan.length);
    rn_buffer_clear(&setup->roster_bytes);
    rn_buffer_append(&setup->roster_bytes, roster.data, roster.length);
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    RN_TRY(rn_plan_parties_check(setup, identity, err));
    RN_TRY(rn_signatures_parse(rn_bundle_file(&job->bundle, RN_WELCOME_SIGNATURES), job->source,
                               &setup->signatures, err));
    RN_TRY(
        rn_signatures_verify(&setup->signatures, setup->plan.hash, &setup->roster, &signers, err));
    RN_ENSURE(signers.coordinator, err, RN_E_PEER_AUTH,
              "%s: the coordinator has not signed the plan", job->source);
    return rn_ok();
}

static rn_result join_welcomed(struct join_job *job, struct rn_error *err)
{
    static const struct {
        const char *name;
        enum rn_welcome_item item;
    } files[] = {{"tls.crt", RN_WELCOME_CERTIFICATE},
                 {"roster", RN_WELCOME_ROSTER},
                 {"plan.yaml", RN_WELCOME_PLAN},
                 {"plan.yaml.sigs", RN_WELCOME_SIGNATURES}};
    struct rn_plan_signers signers;
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(rn_bundle_parse(rn_buffer_view(&job->text), job->source, RN_BUNDLE_WELCOME,
                           rn_welcome_items, RN_WELCOME_ITEMS, &job->bundle, err));
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_TRY(rn_setup_lock(job->settings->directory, &lock, err));
    RN_TRY(rn_setup_open(job->settings->directory, &setup, err));
    RN_ENSURE(setup->site.role == RN_SITE_MEMBER, err, RN_E_USAGE,
              "%s is the operator's directory; a welcome is for a member's",
              job->settings->directory);
    RN_ENSURE(
        strcmp(rn_bundle_value(&job->bundle, RN_WELCOME_FEDERATION), setup->site.federation) == 0 &&
            strcmp(rn_bundle_value(&job->bundle, RN_WELCOME_MEMBER), setup->site.name) == 0,
        err, RN_E_CONFIG, "%s: is for another member than '%s' of '%s'", job->source,
        setup->site.name, setup->site.federation);
    memcpy(job->member, setup->site.name, sizeof job->member);
    RN_TRY(certificate_check(job, setup, err));
    RN_TRY(welcome_take(job, setup, err));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(files); i++) {
        RN_TRY(rn_setup_write(job->settings->directory, files[i].name,
                              rn_bundle_file(&job->bundle, files[i].item), 0644, err));
    }
    if (!job->settings->sign) {
        return rn_ok();
    }
    RN_TRY(rn_plan_sign(setup, NULL, 0, &signers, err));
    job->signatures = signers.member_count;
    char file[RN_NAME_MAX + 16];
    (void)rn_text_format(file, sizeof file, "%s.signature", job->member);
    RN_TRY(rn_path_join(job->output, job->settings->directory, file, err));
    if (job->settings->out != NULL) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        RN_TRY(rn_file_read(job->output, RN_SIGNATURES_BYTES_MAX, &text, err));
        RN_TRY(rn_file_write(job->settings->out, rn_buffer_view(&text), 0644, err));
        (void)rn_text_format(job->output, sizeof job->output, "%s", job->settings->out);
    }
    return rn_ok();
}

/* ---- The command. */

static rn_result join_run(struct join_job *job, bool *out_welcome, struct rn_error *err)
{
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_file_read(job->source, RN_BUNDLE_BYTES_MAX, &job->text, err));
    const struct rn_view text = rn_buffer_view(&job->text);
    *out_welcome = rn_bundle_is(text, RN_BUNDLE_WELCOME);
    if (*out_welcome) {
        return join_welcomed(job, err);
    }
    RN_ENSURE(rn_bundle_is(text, RN_BUNDLE_INVITE), err, RN_E_DATA,
              "%s: neither an invitation nor a welcome", job->source);
    return join_invited(job, err);
}

static void report(const struct rn_command *command, const struct join_job *job, bool welcome)
{
    const char *directory = job->settings->directory;
    if (command->json) {
        json_t *root =
            json_pack("{s:s, s:s, s:s, s:s}", "directory", directory, "member", job->member, "step",
                      welcome ? "welcome" : "invitation", "output", job->output);
        (void)json_dumpf(root, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(root);
        return;
    }
    if (command->quiet) {
        return;
    }
    if (!welcome) {
        printf("Made %s with this site's keys.\n\nNext:\n"
               "  1. read %s/policy.yaml and narrow it\n"
               "  2. send %s to the operator\n"
               "  3. rondo join %s.welcome --dir %s --sign\n",
               directory, directory, job->output, job->member, directory);
        return;
    }
    printf("'%s' has its certificate, the roster and the plan.\n\nNext:\n", job->member);
    if (job->settings->sign) {
        printf("  1. send %s to the operator\n"
               "  2. rondo plan sign %s plan.yaml.sigs   (the operator's collection)\n"
               "  3. rondo run %s\n",
               job->output, directory, directory);
    } else {
        printf("  1. rondo plan show %s\n  2. rondo plan sign %s\n", directory, directory);
    }
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    bool welcome = false;
    struct join_job RN_CLEANUP(job_clear)
        job = {.settings = command->settings, .source = command->operands[0]};
    job.plan = rn_alloc(1, sizeof *job.plan);
    RN_TRY(join_run(&job, &welcome, err));
    report(command, &job, welcome);
    return rn_ok();
}

static const struct rn_option site_options[] = {
    {"dir", RN_OPT_DIRECTORY(struct join_settings, directory), .required = true,
     .help = "this site's directory; made from an invitation, completed by a welcome"},
    {"sign", RN_OPT_FLAG(struct join_settings, sign),
     .help = "with a welcome: sign the plan if the policy allows it"},
    {"out", RN_OPT_FILE(struct join_settings, out),
     .help = "where the file for the operator goes (DIR/NAME.request, DIR/NAME.signature)"},
    {"policy", RN_OPT_FILE(struct join_settings, policy),
     .help = "this organisation's own policy instead of a template"},
    {"model", RN_OPT_DIRECTORY(struct join_settings, model),
     .help = "base model, a Hugging Face directory"},
    {"backend", RN_OPT_CHOICE(struct join_settings, backend, "cpu|cpu-bf16|ref|cuda"),
     .fallback = "cpu",
     .help = "what computes; cpu-bf16 is about twice as fast on processors with bfloat16, and "
             "rounds activations to 8 bits"},
    {"threads", RN_OPT_COUNT(struct join_settings, threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "0: one per core"},
    {"log-format", RN_OPT_CHOICE(struct join_settings, log, RN_CHOICES_LOG_FORMAT),
     .fallback = "text", .help = "of the service's log lines"},
    {NULL}};

static const struct rn_option data_options[] = {
    {"data", RN_OPT_FILE(struct join_settings, data), .help = "training data: TSV, CSV or JSONL"},
    {"dev", RN_OPT_FILE(struct join_settings, dev), .help = "data to measure on, never sent"},
    {"text", RN_OPT_TEXT(struct join_settings, text, "COL[,COL]"),
     .help = "column of the text, or of the two texts of a pair"},
    {"label", RN_OPT_TEXT(struct join_settings, label, "COL"),
     .help = "column of the label or target"},
    {"data-format", RN_OPT_CHOICE(struct join_settings, data_format, RN_CHOICES_DATA_FORMAT),
     .help = "when the file's name does not tell"},
    {"no-header", RN_OPT_FLAG(struct join_settings, no_header),
     .help = "the data has no header: columns are numbers from 0"},
    {NULL}};

static const struct rn_option network_options[] = {
    {"listen", RN_OPT_TEXT(struct join_settings, listen, "HOST:PORT"),
     .help = "listen here and let the coordinator dial, instead of dialling"},
    {"address", RN_OPT_TEXT(struct join_settings, address, "HOST:PORT"),
     .help = "with --listen: where the coordinator reaches this site; without: where the "
             "coordinator is, if not as the invitation says"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Site", site_options, 0}, {"Data", data_options, 0}, {"Network", network_options, 0}, {NULL}};

static const struct rn_option_renamed renamed[] = {{"log", "log-format"}, {NULL, NULL}};

const struct rn_command_def rn_cmd_join = {
    .name = "join",
    .summary = "join a federation with an invitation, then with a welcome",
    .groups = groups,
    .settings_size = sizeof(struct join_settings),
    .operands = {{"FILE", RN_OPTION_FILE, 1, 1}},
    .renamed = renamed,
    .exits = RN_EXITS(65, 66, 69, 71, 75, 76, 77, 78, 79, 80),
    .detail = "All keys are made in DIR and never leave it. Nothing is left behind when it fails.",
    .examples = "  rondo join north.invite --dir north --model encoder --data train.tsv \\\n"
                "      --text sentence --label label\n"
                "  rondo join north.welcome --dir north --sign",
    .run = run,
};
