/* SPDX-License-Identifier: Apache-2.0
 *
 * Another period for everybody: the requests were checked when they were accepted, so certificates
 * are issued from them again.
 */
#include <string.h>

#include "base/guard.h"
#include "crypto/x509.h"
#include "policy/bundle.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/enrolproof.h"

#define DAY_MS (UINT64_C(24) * 3600 * 1000)

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

/* member NULL: the coordinator. Writes the certificate to file. */
static rn_result certificate_renew(struct renewal *r, const char *member, struct rn_view request,
                                   const char *file, struct rn_error *err)
{
    struct rn_x509_subject subject = {.federation = r->setup->site.federation, .member = member};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer certificate = {0};
    RN_TRY(rn_x509_issue(r->key_path, rn_buffer_view(&r->authority), request, &subject, r->now_ms,
                         r->days, &certificate, err));
    return rn_setup_write(r->setup->directory, file, rn_buffer_view(&certificate), 0644, err);
}

static rn_result coordinator_renew(struct renewal *r, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer request = {0};
    RN_TRY(rn_setup_read(r->setup->directory, "tls.csr", RN_SETUP_PEM_MAX, &request, err));
    return certificate_renew(r, NULL, rn_buffer_view(&request), "tls.crt", err);
}

static rn_result member_renew(struct renewal *r, struct rn_roster_member *member,
                              struct rn_error *err)
{
    char file[128];
    struct rn_bundle bundle;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.request", member->name));
    RN_TRY(rn_setup_read(r->setup->directory, file, RN_BUNDLE_BYTES_MAX, &text, err));
    RN_TRY(rn_bundle_parse(rn_buffer_view(&text), file, RN_BUNDLE_REQUEST, rn_request_items,
                           RN_REQUEST_ITEMS, &bundle, err));
    RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.crt", member->name));
    RN_TRY(certificate_renew(r, member->name, rn_bundle_file(&bundle, RN_REQUEST_CSR), file, err));
    member->valid_until = (uint32_t)(r->now_ms / DAY_MS) + r->days;
    return rn_ok();
}

rn_result rn_enrol_renew(struct rn_setup *setup, uint64_t now_wall_ms, uint32_t days,
                         struct rn_error *err)
{
    struct renewal RN_CLEANUP(renewal_clear)
        r = {.setup = setup, .now_ms = now_wall_ms, .days = days};
    RN_ENSURE(setup->has_roster, err, RN_E_CONFIG, "there are no members to renew");
    RN_TRY(rn_setup_read(setup->directory, "ca.crt", RN_SETUP_PEM_MAX, &r.authority, err));
    RN_TRY(rn_path_join(r.key_path, setup->directory, "ca.key", err));
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        RN_TRY(member_renew(&r, &setup->roster.members[i], err));
    }
    RN_TRY(coordinator_renew(&r, err));
    RN_TRY(rn_roster_write(&setup->roster, &setup->roster_bytes, err));
    RN_TRY(rn_setup_write(setup->directory, "roster", rn_buffer_view(&setup->roster_bytes), 0644,
                          err));
    return rn_enrol_bind(setup, err);
}
