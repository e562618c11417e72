/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo join with a welcome or a renewed certificate. A renewal brings nothing but the certificate,
 * so it cannot change who belongs to the federation or what runs; a welcome is checked whole before
 * anything is written.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/tlspolicy.h"
#include "crypto/x509.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/setup/enrolproof.h"
#include "services/cli/setup/jobs.h"
#include "services/cli/setup/joinjob.h"
#include "services/cli/setup/joinroster.h"
#include "services/cli/setup/plansign.h"

/* A member's directory, held until *out_lock is unlocked, that the file is for. */
static rn_result member_open(struct rn_join_job *job, const char *federation, const char *member,
                             int *out_lock, struct rn_setup **out, struct rn_error *err)
{
    const char *directory = job->settings->directory;
    RN_TRY(rn_setup_lock(directory, out_lock, err));
    RN_TRY(rn_setup_open(directory, out, err));
    const struct rn_site *site = &(*out)->site;
    RN_ENSURE(site->role == RN_SITE_MEMBER, err, RN_E_USAGE,
              "%s is the operator's directory; this file is for a member's", directory);
    RN_ENSURE(strcmp(federation, site->federation) == 0 && strcmp(member, site->name) == 0, err,
              RN_E_CONFIG, "%s: is for another member than '%s' of '%s'", job->source, site->name,
              site->federation);
    memcpy(job->member, site->name, sizeof job->member);
    return rn_ok();
}

/* ---- The certificate. */

/* It is for this site's key and name, under the CA of the invitation. */
static rn_result certificate_check(const struct rn_setup *setup, struct rn_view certificate,
                                   struct rn_tls_leaf *leaf, struct rn_error *err)
{
    char expected[RN_X509_URI_MAX];
    struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) key = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority = {0};
    const struct rn_x509_subject subject = {.federation = setup->site.federation,
                                            .member = setup->site.name};
    RN_TRY(rn_setup_read_key(setup->directory, "tls.key", &key, err));
    RN_TRY(rn_setup_read(setup->directory, "ca.crt", RN_SETUP_PEM_MAX, &authority, err));
    RN_TRY(rn_tls_material_check(rn_buffer_view(&key), certificate, rn_buffer_view(&authority),
                                 rn_clock_wall_ms(), leaf, err));
    rn_x509_uri(&subject, expected);
    RN_ENSURE(strcmp(leaf->uri, expected) == 0, err, RN_E_IDENTITY,
              "its certificate is for %s, this site is %s", leaf->uri, expected);
    return rn_ok();
}

/* Whether the site holds a certificate that is good and runs longer: an old welcome must not put an
 * older one back. */
static bool held_is_longer(const struct rn_setup *setup, const struct rn_tls_leaf *fresh,
                           struct rn_tls_leaf *held)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    return rn_is_ok(rn_setup_read(setup->directory, "tls.crt", RN_SETUP_PEM_MAX, &text, NULL)) &&
           rn_is_ok(certificate_check(setup, rn_buffer_view(&text), held, NULL)) &&
           held->not_after_ms > fresh->not_after_ms;
}

/* Checks it and says which one is to be used from now on. */
static rn_result certificate_choose(struct rn_join_job *job, const struct rn_setup *setup,
                                    struct rn_view certificate, struct rn_error *err)
{
    struct rn_tls_leaf fresh;
    struct rn_tls_leaf held;
    const rn_result result = certificate_check(setup, certificate, &fresh, err);
    if (!rn_is_ok(result)) {
        return rn_fail_context(err, result, "%s", job->source);
    }
    job->certificate_kept = held_is_longer(setup, &fresh, &held);
    const uint64_t end_ms = job->certificate_kept ? held.not_after_ms : fresh.not_after_ms;
    const uint64_t days = end_ms / RN_DAY_MS;
    rn_date_format(job->until, days < RN_DATE_MAX ? (uint32_t)days : RN_DATE_MAX);
    return rn_ok();
}

static rn_result certificate_write(const struct rn_join_job *job, struct rn_view certificate,
                                   struct rn_error *err)
{
    return job->certificate_kept
               ? rn_ok()
               : rn_setup_write(job->settings->directory, "tls.crt", certificate, 0644, err);
}

rn_result rn_join_renewed(struct rn_join_job *job, struct rn_error *err)
{
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_TRY(rn_bundle_parse(rn_buffer_view(&job->text), job->source, RN_BUNDLE_RENEWAL,
                           rn_renewal_items, RN_RENEWAL_ITEMS, &job->bundle, err));
    const struct rn_view certificate = rn_bundle_file(&job->bundle, RN_RENEWAL_CERTIFICATE);
    RN_TRY(member_open(job, rn_bundle_value(&job->bundle, RN_RENEWAL_FEDERATION),
                       rn_bundle_value(&job->bundle, RN_RENEWAL_MEMBER), &lock, &setup, err));
    RN_TRY(certificate_choose(job, setup, certificate, err));
    return certificate_write(job, certificate, err);
}

/* ---- The rest of a welcome. */

/* Signatures that the site has collected for the same plan stay beside the welcome's. */
static rn_result signatures_take(const struct rn_join_job *job, struct rn_setup *setup,
                                 struct rn_plan_signatures *fresh, struct rn_error *err)
{
    struct rn_plan_signers signers;
    RN_TRY(rn_signatures_parse(rn_bundle_file(&job->bundle, RN_WELCOME_SIGNATURES), job->source,
                               fresh, err));
    RN_TRY(rn_signatures_verify(fresh, &setup->plan, &setup->roster, &signers, err));
    RN_ENSURE(signers.coordinator, err, RN_E_PEER_AUTH,
              "%s: the coordinator has not signed the plan", job->source);
    struct rn_plan_signatures *held = &setup->signatures;
    const bool merged =
        memcmp(held->plan_hash, fresh->plan_hash, sizeof held->plan_hash) == 0 &&
        rn_is_ok(rn_signatures_merge(held, fresh, NULL)) &&
        rn_is_ok(rn_signatures_verify(held, &setup->plan, &setup->roster, &signers, NULL));
    if (!merged) {
        *held = *fresh;
    }
    return rn_ok();
}

/* Plan, roster and signatures fit each other and this site; setup takes them over. */
static rn_result welcome_take(struct rn_join_job *job, struct rn_setup *setup, struct rn_error *err)
{
    const struct rn_view plan = rn_bundle_file(&job->bundle, RN_WELCOME_PLAN);
    const struct rn_view roster = rn_bundle_file(&job->bundle, RN_WELCOME_ROSTER);
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
    struct rn_plan_signatures *fresh = rn_alloc(1, sizeof *fresh);
    const rn_result result = signatures_take(job, setup, fresh, err);
    rn_free(fresh);
    return result;
}

/* What would refuse the plan of this welcome once its roster is confirmed: known before anybody is
 * called. */
static void plan_warn(const struct rn_setup *setup)
{
    struct rn_plan_examples found;
    struct rn_error unfit = {{0}};
    if (!rn_is_ok(rn_plan_setup_check(setup, &found, &unfit))) {
        (void)fprintf(stderr, "rondo join: warning: %s\n", unfit.text);
    }
}

static rn_result roster_show(const struct rn_join_job *job, const struct rn_setup *setup,
                             struct rn_error *err)
{
    json_t *calls = NULL;
    if (job->talks) {
        rn_roster_print(setup, stdout);
        return rn_roster_calls_print(setup, stdout, err);
    }
    if (!job->json) {
        return rn_ok();
    }
    RN_TRY(rn_roster_calls_json(setup, &calls, err));
    return rn_json_print(json_pack("{s:b, s:o, s:o}", "taken", 0, "roster",
                                   rn_roster_json(&setup->roster), "calls", calls),
                         err);
}

/* Says who is in the roster where it is refused: that is what has to be compared. */
static rn_result roster_confirm(const struct rn_join_job *job, const struct rn_setup *setup,
                                struct rn_buffer *out_policy, struct rn_error *err)
{
    const rn_result result = rn_roster_confirm(setup, job->settings->roster, out_policy, err);
    if (rn_is_ok(result)) {
        return result;
    }
    plan_warn(setup);
    struct rn_error unprinted;
    const rn_result shown = roster_show(job, setup, &unprinted);
    return rn_is_ok(shown) ? result : shown;
}

/* The pins before the roster: a site that stops in between holds more than it may run. */
static rn_result pins_write(struct rn_setup *setup, const struct rn_buffer *policy,
                            struct rn_error *err)
{
    if (policy->length == 0) {
        return rn_ok();
    }
    RN_TRY(rn_policy_parse(rn_buffer_view(policy), "policy.yaml", &setup->policy, err));
    return rn_setup_write(setup->directory, "policy.yaml", rn_buffer_view(policy), 0644, err);
}

static rn_result welcome_write(struct rn_join_job *job, const struct rn_setup *setup,
                               struct rn_error *err)
{
    const char *directory = job->settings->directory;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer signatures = {0};
    RN_TRY(rn_signatures_write(&setup->signatures, &setup->roster, &signatures, err));
    RN_TRY(rn_job_switch(directory, &setup->site, setup->plan.hash, job->kept, err));
    RN_TRY(certificate_write(job, rn_bundle_file(&job->bundle, RN_WELCOME_CERTIFICATE), err));
    RN_TRY(rn_setup_write(directory, "roster", rn_buffer_view(&setup->roster_bytes), 0644, err));
    RN_TRY(rn_setup_write(directory, "plan.yaml", rn_buffer_view(&setup->plan_bytes), 0644, err));
    return rn_setup_write(directory, "plan.yaml.sigs", rn_buffer_view(&signatures), 0644, err);
}

static rn_result plan_sign(struct rn_join_job *job, struct rn_setup *setup, struct rn_error *err)
{
    char file[RN_NAME_MAX + 16];
    struct rn_plan_signers signers;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_plan_sign(setup, NULL, 0, &signers, err));
    (void)rn_text_format(file, sizeof file, "%s.signature", job->member);
    RN_TRY(rn_path_join(job->output, job->settings->directory, file, err));
    if (job->settings->out == NULL) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(job->output, RN_SIGNATURES_BYTES_MAX, &text, err));
    (void)rn_text_format(job->output, sizeof job->output, "%s", job->settings->out);
    return rn_file_write(job->settings->out, rn_buffer_view(&text), 0644, err);
}

rn_result rn_join_welcomed(struct rn_join_job *job, struct rn_error *err)
{
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer policy = {0};
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_TRY(rn_bundle_parse(rn_buffer_view(&job->text), job->source, RN_BUNDLE_WELCOME,
                           rn_welcome_items, RN_WELCOME_ITEMS, &job->bundle, err));
    RN_TRY(member_open(job, rn_bundle_value(&job->bundle, RN_WELCOME_FEDERATION),
                       rn_bundle_value(&job->bundle, RN_WELCOME_MEMBER), &lock, &setup, err));
    RN_TRY(
        certificate_choose(job, setup, rn_bundle_file(&job->bundle, RN_WELCOME_CERTIFICATE), err));
    RN_TRY(welcome_take(job, setup, err));
    RN_TRY(roster_confirm(job, setup, &policy, err));
    *job->roster = setup->roster;
    RN_TRY(pins_write(setup, &policy, err));
    RN_TRY(welcome_write(job, setup, err));
    return job->settings->sign ? plan_sign(job, setup, err) : rn_ok();
}
