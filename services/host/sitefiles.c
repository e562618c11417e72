/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/sitefiles.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/secagg/actions.h"
#include "crypto/tlspolicy.h"
#include "services/host/modelhash.h"
#include "services/host/roundprivacy.h"
#include "services/host/sitesignatures.h"

static rn_result read_file(const struct rn_site_files *site, const char *name, size_t max,
                           struct rn_buffer *out, char path[static RN_PATH_MAX],
                           struct rn_error *err)
{
    RN_TRY(rn_path_join(path, site->directory, name, err));
    return rn_file_read(path, max, out, err);
}

rn_result rn_site_files_configuration(const char *directory, struct rn_site *out,
                                      struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_path_join(path, directory, "site.yaml", err));
    const rn_result read = rn_file_read(path, RN_SITE_BYTES_MAX, &text, err);
    if (!rn_is_ok(read)) {
        return rn_fail_context(err, read,
                               "%s is no site's directory (make one with rondo init or rondo join)",
                               directory);
    }
    return rn_site_parse(rn_buffer_view(&text), path, out, err);
}

static rn_result load_configuration(struct rn_site_files *site, enum rn_site_role role,
                                    struct rn_error *err)
{
    RN_TRY(rn_site_files_configuration(site->directory, &site->site, err));
    RN_ENSURE(site->site.role == role, err, RN_E_CONFIG, "%s/site.yaml: this is the site of a %s",
              site->directory,
              site->site.role == RN_SITE_COORDINATOR
                  ? "coordinator: start it with rondo-coordinator or `rondo run`"
                  : "member: start it with rondo-trainer or `rondo run`");
    RN_TRY(rn_site_path(site->state, site->directory, site->site.state, err));
    return rn_site_path(site->model, site->directory, site->site.model, err);
}

static rn_result load_roster(struct rn_site_files *site, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(read_file(site, "roster", RN_ROSTER_BYTES_MAX, &site->roster_bytes, path, err));
    rn_result result = rn_roster_parse(rn_buffer_view(&site->roster_bytes), &site->roster, err);
    RN_TRY(rn_is_ok(result) ? result : rn_fail_context(err, result, "%s", path));
    RN_ENSURE(strcmp(site->roster.federation, site->site.federation) == 0, err, RN_E_CONFIG,
              "%s: for federation %s, but site.yaml says %s", path, site->roster.federation,
              site->site.federation);
    return rn_ok();
}

static rn_result load_identity(struct rn_site_files *site, enum rn_site_role role,
                               struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, site->directory, "identity.key", err));
    RN_TRY(rn_identity_load(path, &site->identity, err));
    const struct rn_identity_public *key = rn_identity_public_of(site->identity);
    if (role == RN_SITE_COORDINATOR) {
        site->self = RN_SA_COORDINATOR;
        RN_ENSURE(rn_identity_public_equal(key, &site->roster.coordinator), err, RN_E_IDENTITY,
                  "%s: not the coordinator's key of the roster", path);
        return rn_ok();
    }
    const int place = rn_roster_find_key(&site->roster, key);
    RN_ENSURE(place >= 0, err, RN_E_IDENTITY,
              "%s: this key is not in the roster; ask the operator for the roster that holds it",
              path);
    site->self = (uint32_t)place;
    RN_ENSURE(strcmp(site->roster.members[place].name, site->site.name) == 0, err, RN_E_IDENTITY,
              "%s: the roster knows this key as %s, but site.yaml says %s", path,
              site->roster.members[place].name, site->site.name);
    return rn_ok();
}

static rn_result load_plan(struct rn_site_files *site, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    RN_TRY(read_file(site, "plan.yaml", RN_PLAN_BYTES_MAX, &bytes, path, err));
    RN_TRY(rn_plan_parse(rn_buffer_view(&bytes), path, &site->plan, err));
    uint8_t roster_hash[RN_HASH_BYTES];
    rn_roster_hash(rn_buffer_view(&site->roster_bytes), roster_hash);
    RN_ENSURE(memcmp(roster_hash, site->plan.roster_hash, RN_HASH_BYTES) == 0, err, RN_E_CONFIG,
              "%s: made for another roster than the one in this directory", path);
    RN_ENSURE(memcmp(site->roster.coordinator.bytes, site->plan.coordinator_key, 32) == 0, err,
              RN_E_CONFIG, "%s: names another coordinator than the roster", path);
    return rn_plan_feasible(&site->plan, site->roster.count, &site->numbers, err);
}

/* The coordinator's own is all that it starts with; the members' may be collected later, and a
 * member's policy says how many there must be before it trains. */
static rn_result load_signatures(struct rn_site_files *site, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    uint32_t count = 0;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(read_file(site, RN_SITE_SIGNATURES, RN_SIGNATURES_BYTES_MAX, &text, path, err));
    rn_signatures_init(&site->signatures, &site->plan);
    RN_TRY(rn_signatures_take(rn_buffer_view(&text), path, &site->roster, &site->signatures, &count,
                              &site->signers, err));
    RN_ENSURE(site->signers.coordinator, err, RN_E_CONFIG,
              "%s: the coordinator has not signed the plan (rondo plan sign)", path);
    return rn_ok();
}

static rn_result load_model(struct rn_site_files *site, struct rn_error *err)
{
    RN_TRY(rn_model_hash(site->model, site->base_hash, err));
    if (memcmp(site->base_hash, site->plan.model_hash, 32) != 0) {
        char have[65];
        rn_hex_encode(have, site->base_hash, 32);
        return rn_fail(err, RN_E_CONFIG,
                       "%s: base model %s, but the plan names %s; get the same files as the others",
                       site->model, have, site->plan.model.hash);
    }
    return rn_ok();
}

static rn_result check_policy(struct rn_site_files *site, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(read_file(site, "policy.yaml", RN_POLICY_BYTES_MAX, &text, path, err));
    RN_TRY(rn_policy_parse(rn_buffer_view(&text), path, &site->policy, err));
    struct rn_policy_facts facts = {
        .self_key = *rn_identity_public_of(site->identity),
        .roster_bytes = rn_buffer_view(&site->roster_bytes),
        .signed_by = site->signers.members,
        .coordinator_signed = site->signers.coordinator,
        .model_known = true,
    };
    memcpy(facts.model_hash, site->base_hash, 32);
    RN_TRY(rn_round_privacy_spent(site->directory, site->state, &site->policy, &site->plan,
                                  &facts.spent, err));
    enum rn_policy_reason reason = RN_POLICY_ACCEPTED;
    const rn_result result = rn_policy_check(&site->policy, &site->plan, &site->roster, &facts,
                                             RN_POLICY_RUN, &reason, err);
    if (rn_is_ok(result) || rn_policy_reason_waits(reason)) {
        return rn_ok();
    }
    return rn_fail_context(err, result, "%s (%s)", path, rn_policy_reason_name(reason));
}

static rn_result load_transport(struct rn_site_files *site, struct rn_error *err)
{
    struct rn_tls_leaf leaf;
    char expected[RN_PEER_ID_MAX + 1];
    RN_TRY(rn_credfiles_read(site->directory, &site->credentials, err));
    const rn_result read =
        rn_tls_leaf_read(rn_buffer_view(&site->credentials.chain_pem), &leaf, err);
    RN_TRY(rn_is_ok(read) ? read : rn_fail_context(err, read, "%s/tls.crt", site->directory));
    rn_site_files_peer_id(site, site->self, expected);
    RN_ENSURE(strcmp(leaf.uri, expected) == 0, err, RN_E_IDENTITY,
              "%s/tls.crt: the certificate of another site (this one is %s)", site->directory,
              expected);
    return rn_ok();
}

static rn_result load_all(struct rn_site_files *site, enum rn_site_role role, struct rn_error *err)
{
    RN_TRY(load_configuration(site, role, err));
    RN_TRY(load_roster(site, err));
    RN_TRY(load_identity(site, role, err));
    RN_TRY(load_plan(site, err));
    RN_TRY(load_signatures(site, err));
    RN_TRY(load_model(site, err));
    if (role == RN_SITE_MEMBER) {
        RN_TRY(check_policy(site, err));
    }
    return load_transport(site, err);
}

rn_result rn_site_files_open(const char *directory, enum rn_site_role role,
                             struct rn_site_files **out, struct rn_error *err)
{
    struct rn_site_files *site = rn_alloc(1, sizeof(*site));
    rn_result result = rn_ok();
    if (!rn_text_format(site->directory, sizeof(site->directory), "%s", directory)) {
        result = rn_fail(err, RN_E_USAGE, "the path of the site directory is too long");
    }
    if (rn_is_ok(result)) {
        result = load_all(site, role, err);
    }
    if (!rn_is_ok(result)) {
        rn_site_files_free(site);
        return result;
    }
    *out = site;
    return rn_ok();
}

void rn_site_files_free(struct rn_site_files *site)
{
    if (site == NULL) {
        return;
    }
    rn_identity_free(site->identity);
    rn_credfiles_clear(&site->credentials);
    rn_buffer_clear(&site->roster_bytes);
    rn_free(site);
}

void rn_site_files_peer_id(const struct rn_site_files *site, uint32_t who,
                           char out[static RN_PEER_ID_MAX + 1])
{
    if (who == RN_SA_COORDINATOR) {
        (void)rn_text_format(out, RN_PEER_ID_MAX + 1, "spiffe://%s/coordinator",
                             site->roster.federation);
    } else {
        (void)rn_text_format(out, RN_PEER_ID_MAX + 1, "spiffe://%s/member/%s",
                             site->roster.federation, site->roster.members[who].name);
    }
}

void rn_site_files_binding(const struct rn_site_files *site, struct rn_buffer *out)
{
    rn_buffer_u8(out, (uint8_t)site->site.role);
    rn_buffer_append(out, rn_identity_public_of(site->identity)->bytes, 32);
}

void rn_site_files_rpc(const struct rn_site_files *site, struct rn_rpc_config *out_config)
{
    *out_config = (struct rn_rpc_config){
        .material = rn_credfiles_material(&site->credentials),
        .federation = site->roster.federation,
    };
}

rn_result rn_site_files_listen(const struct rn_site_files *site, struct rn_rpc *rpc,
                               struct rn_error *err)
{
    const struct rn_site_network *network = &site->site.network;
    if (network->direction != RN_SITE_DIAL) {
        uint16_t port = 0;
        RN_TRY(rn_rpc_listen(rpc, network->listen, &port, err));
        rn_log(RN_LOG_INFO, "listen", RN_LOG_TEXT(RN_F_ADDRESS, network->listen),
               RN_LOG_NUMBER(RN_F_VALUE, port));
    }
    return rn_site_files_listen_local(site, rpc, err);
}

rn_result rn_site_files_listen_local(const struct rn_site_files *site, struct rn_rpc *rpc,
                                     struct rn_error *err)
{
    char socket[RN_PATH_MAX];
    RN_TRY(rn_path_join(socket, site->state, RN_SITE_SOCKET, err));
    struct rn_error local = {0};
    if (!rn_is_ok(rn_rpc_listen_local(rpc, socket, &local))) {
        rn_log(RN_LOG_WARN, "status.unavailable", RN_LOG_TEXT(RN_F_DETAIL, local.text));
    }
    return rn_rpc_start(rpc, err);
}
