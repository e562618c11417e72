/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be checked without the network.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/fingerprint.h"
#include "crypto/tlspolicy.h"
#include "crypto/x509.h"
#include "services/cli/run/doctor.h"
#include "services/cli/setup/planmodel.h"
#include "services/cli/setup/plansign.h"
#include "services/wire/wire.h"

#define EXPIRY_WARNING_DAYS 14
#define FREE_BYTES_MIN (UINT64_C(256) << 20)

void rn_doctor_add(struct rn_doctor *doctor, const char *name, enum rn_finding_state state,
                   const char *format, ...)
{
    if (doctor->count == RN_FINDINGS_MAX) {
        return;
    }
    struct rn_finding *finding = &doctor->findings[doctor->count++];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
    (void)rn_text_format(finding->name, sizeof finding->name, "%s", name);
    finding->state = state;
}

bool rn_doctor_judge(struct rn_doctor *doctor, const char *name, rn_result result,
                     const struct rn_error *err, const char *format, ...)
{
    char text[RN_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const bool good = rn_is_ok(result);
    rn_doctor_add(doctor, name, good ? RN_FINDING_OK : RN_FINDING_FAILED, "%s",
                  good ? text : err->text);
    if (!good && rn_is_ok(doctor->first_failure)) {
        doctor->first_failure = result;
    }
    return good;
}

/* ---- Files. */

static void check_configuration(struct rn_doctor *doctor)
{
    struct rn_error err = {{0}};
    const struct rn_site *site = &doctor->setup->site;
    const rn_result result = rn_setup_load_site(doctor->setup, &err);
    doctor->has_site = rn_doctor_judge(doctor, "configuration", result, &err, "%s '%s' of %s",
                                       site->role == RN_SITE_MEMBER ? "member" : "coordinator",
                                       site->name, site->federation);
}

static void check_version(struct rn_doctor *doctor)
{
    rn_doctor_add(doctor, "version", RN_FINDING_OK,
                  "rondo %s, wire protocol %u, plan version %d, policy version %d", RN_VERSION,
                  (unsigned)RN_WIRE_PROTOCOL, RN_PLAN_VERSION, RN_POLICY_VERSION);
}

static void check_identity(struct rn_doctor *doctor)
{
    char hex[65];
    struct rn_error err = {{0}};
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    const rn_result result = rn_setup_identity(doctor->setup->directory, &identity, &err);
    hex[0] = '\0';
    if (rn_is_ok(result)) {
        rn_hex_encode(hex, rn_identity_public_of(identity)->bytes, 32);
    }
    (void)rn_doctor_judge(doctor, "identity", result, &err, "Ed25519 key %.16s...", hex);
}

static rn_result material_check(struct rn_doctor *doctor, struct rn_tls_leaf *leaf,
                                struct rn_error *err)
{
    char expected[RN_X509_URI_MAX];
    const struct rn_site *site = &doctor->setup->site;
    const struct rn_x509_subject subject = {
        .federation = site->federation, .member = site->role == RN_SITE_MEMBER ? site->name : NULL};
    RN_TRY(rn_credfiles_read(doctor->setup->directory, &doctor->credentials, err));
    const struct rn_rpc_material own = rn_credfiles_material(&doctor->credentials);
    RN_TRY(rn_tls_material_check(own.key_pem, own.chain_pem, own.ca_pem, doctor->now_wall_ms, leaf,
                                 err));
    rn_x509_uri(&subject, expected);
    RN_ENSURE(strcmp(leaf->uri, expected) == 0, err, RN_E_IDENTITY,
              "tls.crt is for %s, but site.yaml says %s", leaf->uri, expected);
    return rn_ok();
}

static void check_certificate(struct rn_doctor *doctor)
{
    char until[11] = "";
    struct rn_error err = {{0}};
    struct rn_tls_leaf leaf = {0};
    if (!rn_setup_has(doctor->setup->directory, "tls.crt")) {
        rn_doctor_add(doctor, "certificate", RN_FINDING_SKIPPED,
                      "no tls.crt yet: the operator's welcome brings it");
        return;
    }
    const rn_result result = material_check(doctor, &leaf, &err);
    const uint64_t left =
        rn_is_ok(result) ? (leaf.not_after_ms - doctor->now_wall_ms) / RN_DAY_MS : 0;
    if (rn_is_ok(result)) {
        rn_date_format(until, (uint32_t)(leaf.not_after_ms / RN_DAY_MS));
        doctor->has_material = true;
    }
    if (rn_is_ok(result) && left < EXPIRY_WARNING_DAYS) {
        rn_doctor_add(doctor, "certificate", RN_FINDING_WARNING,
                      "%s expires on %s: ask the operator for a new one", leaf.uri, until);
        return;
    }
    (void)rn_doctor_judge(doctor, "certificate", result, &err, "%s until %s, fits key and CA",
                          leaf.uri, until);
}

/* Certificates and invitations hang on it. */
static void check_clock(struct rn_doctor *doctor)
{
    char now[25];
    struct timex clock = {0};
    rn_clock_format(now, doctor->now_wall_ms);
    const int state = adjtimex(&clock);
    if (state < 0 || state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0) {
        rn_doctor_add(doctor, "clock", RN_FINDING_WARNING,
                      "%s, but the system does not say that it is synchronised (NTP)", now);
        return;
    }
    rn_doctor_add(doctor, "clock", RN_FINDING_OK, "%s, synchronised", now);
}

/* ---- Plan, roster, signatures. */

static rn_result roster_check(struct rn_doctor *doctor, struct rn_error *err)
{
    const struct rn_setup *setup = doctor->setup;
    RN_TRY(rn_setup_load_roster(doctor->setup, err));
    if (!setup->has_roster || setup->site.role == RN_SITE_COORDINATOR) {
        return rn_ok();
    }
    const int place = rn_roster_find_name(&setup->roster, setup->site.name);
    RN_ENSURE(place >= 0, err, RN_E_CONFIG, "'%s' is not in the roster", setup->site.name);
    return rn_ok();
}

/* What to compare with the others, and with what they hear of this site's own key. */
static void roster_report(struct rn_doctor *doctor)
{
    char roster[RN_FINGERPRINT_ROSTER_TEXT];
    char key[RN_FINGERPRINT_KEY_TEXT] = "";
    const struct rn_setup *setup = doctor->setup;
    rn_fingerprint_roster(&setup->roster, roster);
    if (setup->site.role == RN_SITE_COORDINATOR) {
        rn_doctor_add(doctor, "roster", RN_FINDING_OK, "%u members, fingerprint %s",
                      setup->roster.count, roster);
        return;
    }
    const int place = rn_roster_find_name(&setup->roster, setup->site.name);
    rn_fingerprint_key(&setup->roster.members[place].key, key);
    rn_doctor_add(doctor, "roster", RN_FINDING_OK,
                  "%u members, this site among them, fingerprint %s; this site's key %s",
                  setup->roster.count, roster, key);
}

static void check_roster(struct rn_doctor *doctor)
{
    struct rn_error err = {{0}};
    const rn_result result = roster_check(doctor, &err);
    if (rn_is_ok(result) && !doctor->setup->has_roster) {
        rn_doctor_add(doctor, "roster", RN_FINDING_SKIPPED, "no roster yet");
        return;
    }
    if (!rn_is_ok(result)) {
        (void)rn_doctor_judge(doctor, "roster", result, &err, "%s", "");
        return;
    }
    roster_report(doctor);
}

static rn_result plan_check(struct rn_doctor *doctor, struct rn_plan_numbers *numbers,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    const struct rn_setup *setup = doctor->setup;
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    RN_TRY(rn_plan_parties_check(setup, identity, err));
    return rn_plan_feasible(&setup->plan, setup->roster.count, numbers, err);
}

static void check_plan(struct rn_doctor *doctor)
{
    struct rn_error err = {{0}};
    struct rn_plan_numbers numbers = {0};
    rn_result result = rn_setup_load_plan(doctor->setup, &err);
    doctor->has_plan = rn_is_ok(result) && doctor->setup->plan_bytes.length > 0;
    if (rn_is_ok(result) && (!doctor->has_plan || !doctor->setup->has_roster)) {
        rn_doctor_add(doctor, "plan", RN_FINDING_SKIPPED, "no plan and roster yet");
        return;
    }
    if (rn_is_ok(result)) {
        result = plan_check(doctor, &numbers, &err);
    }
    doctor->ready = rn_doctor_judge(doctor, "plan", result, &err,
                                    "'%s', %u rounds of %s, survives %u of %u members lost",
                                    doctor->setup->plan.name, doctor->setup->plan.rounds,
                                    rn_plan_method_name(doctor->setup->plan.method),
                                    doctor->setup->plan.secagg.losses, numbers.members);
}

static rn_result signatures_check(struct rn_doctor *doctor, struct rn_plan_signers *signers,
                                  struct rn_error *err)
{
    const struct rn_setup *setup = doctor->setup;
    RN_TRY(rn_setup_load_signatures(doctor->setup, err));
    RN_TRY(rn_signatures_verify(&setup->signatures, &setup->plan, &setup->roster, signers, err));
    RN_ENSURE(signers->coordinator, err, RN_E_CONFIG,
              "the coordinator has not signed the plan (rondo plan sign)");
    const int self = rn_roster_find_name(&setup->roster, setup->site.name);
    RN_ENSURE(setup->site.role == RN_SITE_COORDINATOR || (self >= 0 && signers->members[self]), err,
              RN_E_CONFIG, "this site has not signed the plan (rondo plan sign %s)",
              setup->directory);
    return rn_ok();
}

/* Who else has not signed keeps no service from starting: members wait for the signatures that
 * their policies ask for, and the coordinator sends what the operator collects. */
static void check_signatures(struct rn_doctor *doctor)
{
    char missing[RN_ERROR_TEXT_MAX / 2];
    struct rn_error err = {{0}};
    struct rn_plan_signers signers = {0};
    const struct rn_roster *roster = &doctor->setup->roster;
    if (!doctor->ready) {
        return;
    }
    const rn_result result = signatures_check(doctor, &signers, &err);
    rn_signatures_missing(&signers, roster, missing, sizeof missing);
    if (rn_is_ok(result) && missing[0] != '\0') {
        const bool coordinator = doctor->setup->site.role == RN_SITE_COORDINATOR;
        rn_doctor_add(doctor, "signatures", coordinator ? RN_FINDING_WARNING : RN_FINDING_OK,
                      "coordinator and %u of %u members, not yet %s: %s", signers.member_count,
                      roster->count, missing,
                      coordinator ? "collect them with `rondo plan sign`, before or while it runs"
                                  : "the coordinator sends theirs as the operator collects them");
        return;
    }
    (void)rn_doctor_judge(doctor, "signatures", result, &err, "coordinator and %u of %u members",
                          signers.member_count, roster->count);
}

/* ---- Model, policy, data. */

static void check_data(struct rn_doctor *doctor)
{
    struct rn_error err = {{0}};
    struct rn_plan_examples found = {0};
    const struct rn_setup *setup = doctor->setup;
    const rn_result result = rn_plan_setup_check(setup, &found, &err);
    const bool member = setup->site.role == RN_SITE_MEMBER;
    if (rn_is_ok(result) && member && found.train < setup->plan.training.batch) {
        rn_doctor_add(doctor, "data", RN_FINDING_WARNING,
                      "%zu training examples do not fill one batch of %u", found.train,
                      setup->plan.training.batch);
        return;
    }
    (void)rn_doctor_judge(doctor, "data", result, &err,
                          "the plan suits the model; %zu training and %zu dev examples",
                          found.train, found.dev);
}

static void check_model(struct rn_doctor *doctor)
{
    char path[RN_PATH_MAX] = "";
    uint8_t hash[32];
    struct rn_error err = {{0}};
    struct rn_plan_cost cost = {0};
    const struct rn_setup *setup = doctor->setup;
    if (!doctor->has_plan) {
        return;
    }
    rn_result result = rn_site_path(path, setup->directory, setup->site.model, &err);
    if (rn_is_ok(result)) {
        result = rn_plan_base_check(&setup->plan, path, hash, &err);
    }
    const bool good = rn_doctor_judge(doctor, "model", result, &err, "base model %.16s...",
                                      setup->plan.model.hash);
    if (!good) {
        return;
    }
    if (setup->site.role == RN_SITE_MEMBER && doctor->ready) {
        err.text[0] = '\0';
        result = rn_setup_load_policy(doctor->setup, &err);
        if (rn_is_ok(result)) {
            result = rn_plan_policy_decide(setup, path, hash, &cost, &err);
        }
        (void)rn_doctor_judge(doctor, "policy", result, &err,
                              "allows the plan; a round uploads %" PRIu64 " bytes at most",
                              cost.bytes_max);
    }
    check_data(doctor);
}

static rn_result state_check(const char *path, uint64_t *out_free, struct rn_error *err)
{
    char probe[RN_PATH_MAX];
    struct statvfs facts;
    RN_TRY(rn_path_join(probe, path, ".doctor", err));
    RN_TRY(rn_file_write(probe, rn_view_text("rondo\n"), 0600, err));
    (void)unlink(probe);
    RN_ENSURE(statvfs(path, &facts) == 0, err, RN_E_IO, "%s: %s", path, strerror(errno));
    *out_free = (uint64_t)facts.f_bavail * facts.f_frsize;
    return rn_ok();
}

static void check_state(struct rn_doctor *doctor)
{
    char path[RN_PATH_MAX] = "";
    uint64_t bytes = 0;
    struct rn_error err = {{0}};
    rn_result result =
        rn_site_path(path, doctor->setup->directory, doctor->setup->site.state, &err);
    if (rn_is_ok(result) && !rn_file_exists(path)) {
        rn_doctor_add(doctor, "state", RN_FINDING_SKIPPED,
                      "%s is not there yet: the service makes it", path);
        return;
    }
    if (rn_is_ok(result)) {
        result = state_check(path, &bytes, &err);
    }
    if (rn_is_ok(result) && bytes < FREE_BYTES_MIN) {
        rn_doctor_add(doctor, "state", RN_FINDING_WARNING, "%s: only %" PRIu64 " MiB are free",
                      path, bytes >> 20);
        return;
    }
    (void)rn_doctor_judge(doctor, "state", result, &err, "%s can be written, %" PRIu64 " MiB free",
                          path, bytes >> 20);
}

void rn_doctor_check_local(struct rn_doctor *doctor)
{
    check_version(doctor);
    check_configuration(doctor);
    if (!doctor->has_site) {
        return;
    }
    check_clock(doctor);
    check_identity(doctor);
    check_certificate(doctor);
    check_roster(doctor);
    check_plan(doctor);
    check_signatures(doctor);
    check_model(doctor);
    rn_doctor_check_ledger(doctor);
    check_state(doctor);
}
