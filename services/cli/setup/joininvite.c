/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo join with an invitation: keys, configuration, policy and the request. The facts that the
 * plan and this site's files decide are checked first, while nothing has been made.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/x509.h"
#include "policy/privacyquote.h"
#include "services/cli/setup/enrolproof.h"
#include "services/cli/setup/joinjob.h"
#include "services/cli/setup/setuptext.h"

static rn_result invite_check(struct rn_join_job *job, struct rn_error *err)
{
    uint32_t expires = 0;
    const struct rn_bundle *bundle = &job->bundle;
    const char *member = rn_bundle_value(bundle, RN_INVITE_MEMBER);
    RN_ENSURE(rn_name_valid(member) && rn_name_valid(rn_bundle_value(bundle, RN_INVITE_FEDERATION)),
              err, RN_E_DATA, "%s: no valid names", job->source);
    (void)rn_text_format(job->member, sizeof job->member, "%s", member);
    RN_ENSURE(rn_date_parse(rn_bundle_value(bundle, RN_INVITE_EXPIRES), &expires), err, RN_E_DATA,
              "%s: no valid expiry date", job->source);
    RN_ENSURE(
        rn_clock_wall_ms() / RN_DAY_MS <= expires, err, RN_E_CONFIG,
        "%s: expired on %s; ask the operator for a new one (rondo invite DIR %s there), or check "
        "this machine's clock",
        job->source, rn_bundle_value(bundle, RN_INVITE_EXPIRES), job->member);
    const struct rn_view plan = rn_bundle_file(bundle, RN_INVITE_PLAN);
    RN_TRY(rn_plan_parse(plan, "plan.yaml of the invitation", job->plan, err));
    RN_ENSURE(strcmp(job->plan->federation, rn_bundle_value(bundle, RN_INVITE_FEDERATION)) == 0 &&
                  strcmp(job->plan->roster.coordinator,
                         rn_bundle_value(bundle, RN_INVITE_COORDINATOR)) == 0,
              err, RN_E_DATA, "%s: its plan is for another federation", job->source);
    return rn_ok();
}

static rn_result site_fill(struct rn_join_job *job, struct rn_site *site, struct rn_error *err)
{
    const struct rn_join_settings *s = job->settings;
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

static rn_result site_write(struct rn_join_job *job, struct rn_error *err)
{
    struct rn_site *site = rn_alloc(1, sizeof *site);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_plan_examples found;
    rn_result result = site_fill(job, site, err);
    if (rn_is_ok(result)) {
        const struct rn_join_settings *given = job->settings;
        const struct rn_setup_columns columns = {.text = given->text,
                                                 .label = given->label,
                                                 .format = given->data_format,
                                                 .encoding = given->encoding,
                                                 .no_header = given->no_header};
        result = rn_setup_columns(&columns, &site->data, err);
    }
    if (rn_is_ok(result)) {
        rn_setup_site_text(site, &text);
        result = rn_site_parse(rn_buffer_view(&text), "site.yaml", site, err);
    }
    if (rn_is_ok(result)) {
        result = rn_setup_write(job->stage.partial, "site.yaml", rn_buffer_view(&text), 0644, err);
    }
    if (rn_is_ok(result)) {
        result = rn_plan_site_check(job->plan, site->model, "", &site->data, &found, err);
    }
    if (rn_is_ok(result)) {
        /* Plan and file may still change before the plan is signed, where this is a refusal. */
        (void)rn_is_ok(rn_plan_examples_check(job->plan, found.train, &job->warning));
    }
    rn_free(site);
    return result;
}

/* What the options say about the data, for the policy's section `privacy`. */
static rn_result promise_take(const struct rn_join_job *job, struct rn_policy_privacy *out,
                              struct rn_error *err)
{
    const struct rn_join_settings *s = job->settings;
    *out = (struct rn_policy_privacy){0};
    RN_ENSURE(s->epsilon > 0 || !rn_plan_is_private(job->plan), err, RN_E_USAGE,
              "the plan of the invitation spends a privacy budget: say what this organisation "
              "promises with --dp-epsilon and --dp-records, or give a --policy");
    RN_ENSURE(
        (s->epsilon > 0) == (s->records > 0), err, RN_E_USAGE,
        "--dp-epsilon and --dp-records go together: the records are a public bound, above all "
        "that this data will ever have");
    if (s->epsilon == 0) {
        return rn_ok();
    }
    out->unit = strcmp(s->unit, "person") == 0 ? RN_POLICY_UNIT_PERSON : RN_POLICY_UNIT_RECORD;
    out->rows = (uint32_t)s->rows;
    out->records_max = s->records;
    out->shared_honest = (uint32_t)s->shared_honest;
    out->epsilon = s->epsilon;
    out->order = s->order;
    out->delta = s->delta > 0 ? s->delta : rn_privacy_delta_default(s->records);
    RN_ENSURE(rn_text_format(out->lineage, sizeof out->lineage, "%s", s->lineage), err, RN_E_USAGE,
              "--dp-lineage is too long");
    return rn_ok();
}

/* The member's own policy file, or one around the plan of the invitation. */
static rn_result policy_write(struct rn_join_job *job, struct rn_error *err)
{
    const char *own = job->settings->policy;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    if (own != NULL) {
        RN_TRY(rn_file_read(own, RN_POLICY_BYTES_MAX, &text, err));
    } else {
        struct rn_policy_privacy promise;
        RN_TRY(promise_take(job, &promise, err));
        rn_setup_policy_text(job->plan, &promise, &text);
    }
    RN_TRY(rn_policy_parse(rn_buffer_view(&text), own == NULL ? "policy.yaml" : own, job->policy,
                           err));
    return rn_setup_write(job->stage.partial, "policy.yaml", rn_buffer_view(&text), 0644, err);
}

static rn_result keys_write(struct rn_join_job *job, struct rn_buffer *out_csr,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    struct rn_x509_subject subject = {
        .federation = rn_bundle_value(&job->bundle, RN_INVITE_FEDERATION), .member = job->member};
    if (job->settings->listen != NULL) {
        char host[256];
        const char *reach =
            job->settings->address == NULL ? job->settings->listen : job->settings->address;
        RN_TRY(rn_setup_address_reach(reach, host, err));
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

static rn_result request_build(struct rn_join_job *job, struct rn_view csr, struct rn_buffer *out,
                               struct rn_error *err)
{
    char hex[2 * RN_SIGNATURE_BYTES + 1];
    uint8_t signature[RN_SIGNATURE_BYTES];
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) token = {{0}};
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) proof = {{0}};
    const struct rn_join_settings *s = job->settings;
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

rn_result rn_join_invited(struct rn_join_job *job, struct rn_error *err)
{
    const struct rn_join_settings *s = job->settings;
    char path[RN_PATH_MAX];
    char file[RN_NAME_MAX + 16];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csr = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_ENSURE(s->model != NULL && s->data != NULL && s->text != NULL && s->label != NULL, err,
              RN_E_USAGE, "with an invitation, --model, --data, --text and --label are needed");
    RN_TRY(rn_bundle_parse(rn_buffer_view(&job->text), job->source, RN_BUNDLE_INVITE,
                           rn_invite_items, RN_INVITE_ITEMS, &job->bundle, err));
    RN_TRY(invite_check(job, err));
    RN_TRY(rn_plan_base_check(job->plan, s->model, NULL, err));
    RN_TRY(rn_setup_stage_begin(&job->stage, s->directory, err));
    RN_TRY(rn_path_join(path, job->stage.partial, "state", err));
    RN_TRY(rn_directory_make(path, 0700, err));
    RN_TRY(site_write(job, err));
    RN_TRY(policy_write(job, err));
    RN_TRY(keys_write(job, &csr, err));
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
