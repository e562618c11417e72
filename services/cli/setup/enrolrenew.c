/* SPDX-License-Identifier: Apache-2.0
 *
 * Another period: the requests were checked when they were accepted, so certificates are issued
 * from them again. Nothing else changes: roster, plan and signatures are not even read.
 */
#include <string.h>

#include "base/guard.h"
#include "crypto/x509.h"
#include "policy/bundle.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/enrolproof.h"

struct renewal {
    struct rn_setup *setup;
    struct rn_buffer authority;
    char key_path[RN_PATH_MAX];
    uint64_t now_ms;
    uint32_t days;
};

static void renewal_clear(struct renewal *renewal)
{
    rn_buffer_clear(&renewal->authority);
}

/* member NULL: the coordinator. */
static rn_result certificate_issue(struct renewal *r, const char *member, struct rn_view request,
                                   struct rn_buffer *out, struct rn_error *err)
{
    struct rn_x509_subject subject = {.federation = r->setup->site.federation, .member = member};
    return rn_x509_issue(r->key_path, rn_buffer_view(&r->authority), request, &subject, r->now_ms,
                         r->days, out, err);
}

static rn_result coordinator_renew(struct renewal *r, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer certificate = {0};
    RN_TRY(rn_setup_read(r->setup->directory, "tls.csr", RN_SETUP_PEM_MAX, &request, err));
    RN_TRY(certificate_issue(r, NULL, rn_buffer_view(&request), &certificate, err));
    return rn_setup_write(r->setup->directory, "tls.crt", rn_buffer_view(&certificate), 0644, err);
}

/* members/NAME.crt for later welcomes, renewals/NAME.renewal for the member. */
static rn_result renewal_write(struct renewal *r, const char *name, struct rn_view certificate,
                               struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char file[128];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.crt", name));
    RN_TRY(rn_setup_write(r->setup->directory, file, certificate, 0644, err));
    RN_TRY(rn_path_join(path, r->setup->directory, "renewals", err));
    RN_TRY(rn_directory_make(path, 0755, err));
    rn_bundle_begin(&out, RN_BUNDLE_RENEWAL);
    rn_bundle_put(&out, "federation", r->setup->site.federation);
    rn_bundle_put(&out, "member", name);
    rn_bundle_put_file(&out, "tls.crt", certificate);
    rn_bundle_end(&out);
    RN_BUG_IF(!rn_text_format(file, sizeof file, "renewals/%s.renewal", name));
    return rn_setup_write(r->setup->directory, file, rn_buffer_view(&out), 0644, err);
}

static rn_result member_renew(struct renewal *r, const char *name, struct rn_error *err)
{
    char file[128];
    struct rn_bundle bundle;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer certificate = {0};
    RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.request", name));
    RN_TRY(rn_setup_read(r->setup->directory, file, RN_BUNDLE_BYTES_MAX, &text, err));
    RN_TRY(rn_bundle_parse(rn_buffer_view(&text), file, RN_BUNDLE_REQUEST, rn_request_items,
                           RN_REQUEST_ITEMS, &bundle, err));
    RN_TRY(certificate_issue(r, name, rn_bundle_file(&bundle, RN_REQUEST_CSR), &certificate, err));
    return renewal_write(r, name, rn_buffer_view(&certificate), err);
}

static bool is_coordinator(const char *name)
{
    return strcmp(name, RN_SIGNATURES_COORDINATOR) == 0;
}

static rn_result names_check(const struct rn_setup *setup, const char *const *names, size_t count,
                             struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        RN_ENSURE(is_coordinator(names[i]) ||
                      (setup->has_roster && rn_roster_find_name(&setup->roster, names[i]) >= 0),
                  err, RN_E_USAGE,
                  "'%.64s' is no member: name members of the roster, or "
                  "'" RN_SIGNATURES_COORDINATOR "'",
                  names[i]);
    }
    return rn_ok();
}

rn_result rn_enrol_renew(struct rn_setup *setup, const char *const *names, size_t count,
                         uint64_t now_wall_ms, uint32_t days, struct rn_error *err)
{
    struct renewal RN_CLEANUP(renewal_clear)
        r = {.setup = setup, .now_ms = now_wall_ms, .days = days};
    RN_TRY(names_check(setup, names, count, err));
    RN_TRY(rn_setup_read(setup->directory, "ca.crt", RN_SETUP_PEM_MAX, &r.authority, err));
    RN_TRY(rn_path_join(r.key_path, setup->directory, "ca.key", err));
    for (size_t i = 0; i < count; i++) {
        RN_TRY(is_coordinator(names[i]) ? coordinator_renew(&r, err)
                                        : member_renew(&r, names[i], err));
    }
    for (uint32_t i = 0; count == 0 && setup->has_roster && i < setup->roster.count; i++) {
        RN_TRY(member_renew(&r, setup->roster.members[i].name, err));
    }
    return count == 0 ? coordinator_renew(&r, err) : rn_ok();
}
