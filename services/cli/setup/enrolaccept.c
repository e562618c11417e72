/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: first all are checked against invitation, roster and each other, then everything is
 * written, the roster before the plan, so that an interrupted run can be completed.
 */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/calendar.h"
#include "base/guard.h"
#include "crypto/kdf.h"
#include "crypto/sha256.h"
#include "crypto/x509.h"
#include "policy/bundle.h"
#include "policy/mailtext.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/enrolproof.h"

struct candidate {
    const char *source; /* path of the request */
    struct rn_buffer text;
    char name[RN_NAME_MAX + 1];
    char address[RN_SITE_ADDRESS_MAX + 1]; /* "" unless the member listens */
    struct rn_identity_public key;
    uint8_t tls_key[32];
    struct rn_buffer certificate;
};

struct tls_key {
    uint8_t hash[32];
};

struct acceptance {
    struct rn_setup *setup;
    struct tls_key *held; /* of the members that there are, by place */
    struct candidate *candidates;
    size_t count;
    size_t stale; /* whose invitation held another plan than plan.yaml */
    uint64_t now_ms;
    uint32_t days;
};

static void acceptance_clear(struct acceptance *acceptance)
{
    for (size_t i = 0; acceptance->candidates != NULL && i < acceptance->count; i++) {
        rn_buffer_clear(&acceptance->candidates[i].text);
        rn_buffer_clear(&acceptance->candidates[i].certificate);
    }
    rn_free(acceptance->candidates);
    rn_free(acceptance->held);
}

/* ---- Checks. */

/* The token that the operator gave to this member, from the invitation that is still open. */
static rn_result token_load(struct acceptance *a, const struct candidate *candidate,
                            struct rn_secret32 *out, struct rn_error *err)
{
    char file[128];
    uint32_t expires = 0;
    struct rn_bundle RN_CLEANUP(rn_bundle_clear) bundle = {0};
    struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) text = {0};
    RN_BUG_IF(!rn_text_format(file, sizeof file, "invitations/%s.invite", candidate->name));
    RN_ENSURE(rn_setup_has(a->setup->directory, file), err, RN_E_PEER_AUTH,
              "%s: '%s' has no open invitation (rondo invite %s %s)", candidate->source,
              candidate->name, a->setup->directory, candidate->name);
    RN_TRY(rn_setup_read(a->setup->directory, file, RN_BUNDLE_BYTES_MAX, &text, err));
    RN_TRY(rn_bundle_parse(rn_buffer_view(&text), file, RN_BUNDLE_INVITE, rn_invite_items,
                           RN_INVITE_ITEMS, &bundle, err));
    RN_ENSURE(rn_date_parse(rn_bundle_value(&bundle, RN_INVITE_EXPIRES), &expires) &&
                  a->now_ms / RN_DAY_MS <= expires,
              err, RN_E_PEER_AUTH,
              "%s: the invitation of '%s' has expired; make another one (rondo invite %s %s), with "
              "which it joins again",
              candidate->source, candidate->name, a->setup->directory, candidate->name);
    a->stale += !rn_view_equal(rn_bundle_file(&bundle, RN_INVITE_PLAN),
                               rn_buffer_view(&a->setup->plan_bytes));
    RN_ENSURE(
        rn_hex_decode(out->bytes, sizeof out->bytes, rn_bundle_value(&bundle, RN_INVITE_TOKEN)),
        err, RN_E_DATA, "%s: the invitation's token is damaged", file);
    return rn_ok();
}

static rn_result proof_check(struct acceptance *a, const struct candidate *candidate,
                             const struct rn_bundle *bundle, struct rn_error *err)
{
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) token = {{0}};
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) expected = {{0}};
    uint8_t proof[32];
    uint8_t signature[RN_SIGNATURE_BYTES];
    const struct rn_view text = rn_buffer_view(&candidate->text);
    RN_ENSURE(rn_hex_decode(proof, sizeof proof, rn_bundle_value(bundle, RN_REQUEST_PROOF)) &&
                  rn_hex_decode(signature, sizeof signature,
                                rn_bundle_value(bundle, RN_REQUEST_SIGNATURE)),
              err, RN_E_PEER_FORMAT, "%s: proof or signature is no hex text", candidate->source);
    RN_TRY(token_load(a, candidate, &token, err));
    const size_t proved = bundle->items[RN_REQUEST_PROOF].start;
    rn_join_proof(&expected, &token, rn_view_of(text.data, proved));
    RN_ENSURE(rn_secret_equal(expected.bytes, proof, sizeof proof), err, RN_E_PEER_AUTH,
              "%s: not made with the invitation of '%s'", candidate->source, candidate->name);
    const size_t covered = bundle->items[RN_REQUEST_SIGNATURE].start;
    const rn_result holds = rn_identity_verify(&candidate->key, RN_JOIN_REQUEST_TAG,
                                               rn_view_of(text.data, covered), signature, NULL);
    RN_ENSURE(rn_is_ok(holds), err, RN_E_PEER_AUTH, "%s: the signature does not hold",
              candidate->source);
    return rn_ok();
}

/* The TLS keys of the roster's members, from their certificates: once, however many requests. */
static rn_result held_load(struct acceptance *a, struct rn_error *err)
{
    const struct rn_setup *setup = a->setup;
    if (!setup->has_roster) {
        return rn_ok();
    }
    a->held = rn_alloc(setup->roster.count, sizeof *a->held);
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        char file[128];
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        RN_BUG_IF(
            !rn_text_format(file, sizeof file, "members/%s.crt", setup->roster.members[i].name));
        RN_TRY(rn_setup_read(setup->directory, file, RN_SETUP_PEM_MAX, &text, err));
        RN_TRY(rn_x509_key_hash(rn_buffer_view(&text), a->held[i].hash, err));
    }
    return rn_ok();
}

/* Neither name nor keys may belong to anyone else, among the members or the other requests. */
static rn_result unique_check(const struct acceptance *a, size_t at, struct rn_error *err)
{
    const struct candidate *candidate = &a->candidates[at];
    const struct rn_setup *setup = a->setup;
    const struct rn_roster *roster = setup->has_roster ? &setup->roster : NULL;
    RN_ENSURE(
        roster == NULL || rn_roster_find_name(roster, candidate->name) < 0, err, RN_E_PEER_REPLAY,
        "%s: '%s' is a member already: a request is accepted once, an organisation joins once",
        candidate->source, candidate->name);
    const int holder = roster == NULL ? -1 : rn_roster_find_key(roster, &candidate->key);
    RN_ENSURE(holder < 0, err, RN_E_PEER_REPLAY, "%s: its identity key belongs to '%s' already",
              candidate->source, roster->members[holder].name);
    for (size_t i = 0; i < at; i++) {
        const struct candidate *other = &a->candidates[i];
        RN_ENSURE(strcmp(other->name, candidate->name) != 0, err, RN_E_PEER_REPLAY,
                  "%s and %s are both for '%s'", other->source, candidate->source, candidate->name);
        RN_ENSURE(!rn_identity_public_equal(&other->key, &candidate->key) &&
                      memcmp(other->tls_key, candidate->tls_key, 32) != 0,
                  err, RN_E_PEER_REPLAY, "%s and %s carry the same key", other->source,
                  candidate->source);
    }
    for (uint32_t i = 0; roster != NULL && i < roster->count; i++) {
        RN_ENSURE(memcmp(a->held[i].hash, candidate->tls_key, 32) != 0, err, RN_E_PEER_REPLAY,
                  "%s: its TLS key belongs to '%s' already", candidate->source,
                  roster->members[i].name);
    }
    return rn_ok();
}

static rn_result candidate_parse(struct acceptance *a, struct candidate *candidate,
                                 struct rn_bundle *bundle, struct rn_error *err)
{
    const struct rn_setup *setup = a->setup;
    RN_TRY(rn_file_read(candidate->source, RN_BUNDLE_BYTES_MAX, &candidate->text, err));
    RN_TRY(rn_bundle_mend(&candidate->text, candidate->source, err));
    if (!rn_bundle_is(rn_buffer_view(&candidate->text), RN_BUNDLE_REQUEST)) {
        const char *kind = rn_mailtext_kind(rn_buffer_view(&candidate->text));
        return rn_fail(err, RN_E_DATA, "%s: is no request, but %s", candidate->source,
                       kind == NULL ? "something else" : kind);
    }
    RN_TRY(rn_bundle_parse(rn_buffer_view(&candidate->text), candidate->source, RN_BUNDLE_REQUEST,
                           rn_request_items, RN_REQUEST_ITEMS, bundle, err));
    const char *federation = rn_bundle_value(bundle, RN_REQUEST_FEDERATION);
    const char *name = rn_bundle_value(bundle, RN_REQUEST_MEMBER);
    const char *address = rn_bundle_value(bundle, RN_REQUEST_ADDRESS);
    RN_ENSURE(strcmp(federation, setup->site.federation) == 0, err, RN_E_PEER_AUTH,
              "%s: is for federation '%.63s', not '%s'", candidate->source, federation,
              setup->site.federation);
    RN_ENSURE(rn_name_valid(name) && strcmp(name, RN_SIGNATURES_COORDINATOR) != 0, err,
              RN_E_PEER_FORMAT, "%s: no valid member's name", candidate->source);
    (void)rn_text_format(candidate->name, sizeof candidate->name, "%s", name);
    if (strcmp(address, "-") != 0) {
        char host[256];
        const rn_result reach = rn_setup_address_reach(address, host, err);
        if (!rn_is_ok(reach)) {
            return rn_fail_context(err, (rn_result){RN_E_PEER_FORMAT}, "%s", candidate->source);
        }
        RN_ENSURE(rn_text_format(candidate->address, sizeof candidate->address, "%s", address), err,
                  RN_E_PEER_FORMAT, "%s: the address is too long", candidate->source);
    }
    RN_ENSURE(rn_hex_decode(candidate->key.bytes, sizeof candidate->key.bytes,
                            rn_bundle_value(bundle, RN_REQUEST_KEY)) &&
                  rn_identity_public_valid(&candidate->key),
              err, RN_E_PEER_FORMAT, "%s: no valid identity key", candidate->source);
    return rn_ok();
}

static rn_result certificate_issue(struct acceptance *a, struct candidate *candidate,
                                   struct rn_view request, struct rn_error *err)
{
    char key_path[RN_PATH_MAX];
    struct rn_x509_subject subject = {.federation = a->setup->site.federation,
                                      .member = candidate->name};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority = {0};
    RN_TRY(rn_setup_read(a->setup->directory, "ca.crt", RN_SETUP_PEM_MAX, &authority, err));
    RN_TRY(rn_path_join(key_path, a->setup->directory, "ca.key", err));
    RN_TRY(rn_x509_key_hash(request, candidate->tls_key, err));
    return rn_x509_issue(key_path, rn_buffer_view(&authority), request, &subject, a->now_ms,
                         a->days, &candidate->certificate, err);
}

static rn_result candidate_check(struct acceptance *a, size_t at, struct rn_error *err)
{
    struct candidate *candidate = &a->candidates[at];
    struct rn_bundle bundle;
    RN_TRY(candidate_parse(a, candidate, &bundle, err));
    const struct rn_view request = rn_bundle_file(&bundle, RN_REQUEST_CSR);
    if (a->setup->has_roster && rn_roster_find_name(&a->setup->roster, candidate->name) >= 0) {
        return unique_check(a, at, err); /* the invitation is gone: say what it was used for */
    }
    RN_TRY(proof_check(a, candidate, &bundle, err));
    const rn_result issued = certificate_issue(a, candidate, request, err);
    if (!rn_is_ok(issued)) {
        return rn_fail_context(err, issued, "%s", candidate->source);
    }
    return unique_check(a, at, err);
}

/* ---- Writing. */

static rn_result roster_extend(struct acceptance *a, struct rn_error *err)
{
    struct rn_setup *setup = a->setup;
    struct rn_roster *roster = &setup->roster;
    if (!setup->has_roster) {
        *roster = (struct rn_roster){0};
        (void)rn_text_format(roster->federation, sizeof roster->federation, "%s",
                             setup->site.federation);
        memcpy(roster->coordinator.bytes, setup->plan.coordinator_key, 32);
    }
    RN_ENSURE(roster->count + a->count <= RN_ROSTER_MEMBERS_MAX, err, RN_E_CONFIG,
              "a federation has at most %d members", RN_ROSTER_MEMBERS_MAX);
    for (size_t i = 0; i < a->count; i++) {
        struct rn_roster_member *member = &roster->members[roster->count++];
        memcpy(member->name, a->candidates[i].name, sizeof member->name);
        member->key = a->candidates[i].key;
    }
    return rn_roster_write(roster, &setup->roster_bytes, err);
}

/* A listening member goes into network.peers of the coordinator's site.yaml. */
static rn_result peer_add(struct rn_buffer *text, const struct candidate *candidate,
                          struct rn_error *err)
{
    static const char empty[] = "  peers: []";
    static const char begun[] = "  peers:\n";
    char entry[RN_NAME_MAX + RN_SITE_ADDRESS_MAX + 64];
    (void)rn_text_format(entry, sizeof entry, "    - name: %s\n      address: \"%s\"\n",
                         candidate->name, candidate->address);
    const char *old = rn_buffer_text(text);
    if (strstr(old, entry) != NULL) {
        return rn_ok(); /* an interrupted run has written it */
    }
    const char *at = strstr(old, empty);
    const char *rest = at == NULL ? NULL : strchr(at, '\n');
    if (at == NULL && (at = strstr(old, begun)) != NULL) {
        rest = at + sizeof begun - 2;
    }
    RN_ENSURE(rest != NULL, err, RN_E_CONFIG,
              "site.yaml: add '%s' with address %s to network.peers by hand", candidate->name,
              candidate->address);
    struct rn_buffer fresh = {0};
    rn_buffer_append(&fresh, old, (size_t)(at - old));
    rn_buffer_format(&fresh, "%s%s", begun, entry);
    rn_buffer_format(&fresh, "%s", rest + 1);
    rn_buffer_clear(text);
    *text = fresh;
    return rn_ok();
}

static rn_result peers_write(struct acceptance *a, struct rn_error *err)
{
    static const char listens[] = "  direction: listen ";
    struct rn_site *site = rn_alloc(1, sizeof *site);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_result result =
        rn_setup_read(a->setup->directory, "site.yaml", RN_SITE_BYTES_MAX, &text, err);
    bool changed = false;
    for (size_t i = 0; rn_is_ok(result) && i < a->count; i++) {
        if (a->candidates[i].address[0] != '\0') {
            result = peer_add(&text, &a->candidates[i], err);
            changed = true;
        }
    }
    if (rn_is_ok(result) && changed) {
        (void)rn_buffer_text(&text);
        char *at = strstr((char *)text.data, listens);
        if (at != NULL) {
            memcpy(at, "  direction: both   ", sizeof listens - 1);
        }
        result = rn_site_parse(rn_buffer_view(&text), "site.yaml", site, err);
    }
    if (rn_is_ok(result) && changed) {
        result = rn_setup_write(a->setup->directory, "site.yaml", rn_buffer_view(&text), 0644, err);
    }
    rn_free(site);
    return result;
}

static rn_result members_write(struct acceptance *a, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char file[128];
    RN_TRY(rn_path_join(path, a->setup->directory, "members", err));
    RN_TRY(rn_directory_make(path, 0755, err));
    for (size_t i = 0; i < a->count; i++) {
        const struct candidate *candidate = &a->candidates[i];
        RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.crt", candidate->name));
        RN_TRY(rn_setup_write(a->setup->directory, file, rn_buffer_view(&candidate->certificate),
                              0644, err));
        RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.request", candidate->name));
        RN_TRY(
            rn_setup_write(a->setup->directory, file, rn_buffer_view(&candidate->text), 0644, err));
    }
    return rn_ok();
}

/* Invitations of members are used up. */
static void invitations_close(const struct rn_setup *setup)
{
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        char file[128];
        char path[RN_PATH_MAX];
        RN_BUG_IF(!rn_text_format(file, sizeof file, "invitations/%s.invite",
                                  setup->roster.members[i].name));
        if (rn_is_ok(rn_path_join(path, setup->directory, file, NULL))) {
            (void)unlink(path);
        }
    }
}

static rn_result acceptance_write(struct acceptance *a, struct rn_error *err)
{
    if (a->count > 0) {
        RN_TRY(members_write(a, err));
        RN_TRY(peers_write(a, err));
        RN_TRY(roster_extend(a, err));
        RN_TRY(rn_setup_write(a->setup->directory, "roster",
                              rn_buffer_view(&a->setup->roster_bytes), 0644, err));
        a->setup->has_roster = true;
    }
    if (a->setup->has_roster) {
        size_t changed = 0;
        RN_TRY(rn_enrol_bind(a->setup, err));
        invitations_close(a->setup);
        RN_TRY(rn_enrol_refresh(a->setup, &changed, err));
    }
    return rn_ok();
}

rn_result rn_enrol_accept(struct rn_setup *setup, const char *const *files, size_t count,
                          uint64_t now_wall_ms, uint32_t days, size_t *out_stale,
                          struct rn_error *err)
{
    struct acceptance RN_CLEANUP(acceptance_clear)
        a = {.setup = setup, .count = count, .now_ms = now_wall_ms, .days = days};
    a.candidates = rn_alloc(count, sizeof *a.candidates);
    RN_TRY(held_load(&a, err));
    for (size_t i = 0; i < count; i++) {
        a.candidates[i].source = files[i];
        RN_TRY(candidate_check(&a, i, err));
    }
    *out_stale = a.stale;
    return acceptance_write(&a, err);
}
