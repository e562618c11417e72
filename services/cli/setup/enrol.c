/* SPDX-License-Identifier: Apache-2.0
 *
 * Invitations and welcomes. Requests are checked and accepted in enrolaccept.c.
 */
#include "services/cli/setup/enrol.h"

#include <dirent.h>
#include <string.h>

#include "base/alloc.h"
#include "base/calendar.h"
#include "base/guard.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "policy/bundle.h"
#include "services/cli/setup/enrolproof.h"
#include "services/cli/setup/jobs.h"

#define TOKEN_BYTES 32
/* Lines and values of a welcome around its files. */
#define WELCOME_FRAME_BYTES (RN_BUNDLE_ITEMS_MAX * (RN_BUNDLE_NAME_MAX + RN_BUNDLE_VALUE_MAX + 16))

_Static_assert(RN_SIGNATURES_BYTES_MAX <= RN_BUNDLE_FILE_MAX &&
                   RN_ROSTER_BYTES_MAX <= RN_BUNDLE_FILE_MAX,
               "what a welcome holds of the largest roster fits a file of it");
_Static_assert(RN_SIGNATURES_BYTES_MAX + RN_ROSTER_BYTES_MAX + RN_PLAN_BYTES_MAX +
                       RN_SETUP_PEM_MAX + WELCOME_FRAME_BYTES <=
                   RN_BUNDLE_BYTES_MAX,
               "a welcome of the largest roster fits");

/* RN_E_CONFIG when the name is taken. */
static rn_result name_check(const struct rn_roster *roster, const char *name, struct rn_error *err)
{
    RN_ENSURE(rn_name_valid(name) && strcmp(name, RN_SIGNATURES_COORDINATOR) != 0, err, RN_E_USAGE,
              "'%.64s' is no member's name: use a-z, 0-9 and '-', at most %d characters, and not "
              "'" RN_SIGNATURES_COORDINATOR "'",
              name, RN_NAME_MAX);
    RN_ENSURE(roster == NULL || rn_roster_find_name(roster, name) < 0, err, RN_E_CONFIG,
              "'%s' is a member already", name);
    return rn_ok();
}

rn_result rn_enrol_names_check(const struct rn_roster *roster, const char *const *names,
                               size_t count, struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        RN_TRY(name_check(roster, names[i], err));
        for (size_t j = 0; j < i; j++) {
            RN_ENSURE(strcmp(names[i], names[j]) != 0, err, RN_E_USAGE, "'%s' is named twice",
                      names[i]);
        }
    }
    return rn_ok();
}

/* What an invitation holds beside the CA's certificate and the plan. */
struct invitation {
    const char *federation, *name, *address, *coordinator, *expires, *token;
};

static rn_result invitation_write(const char *directory, const struct invitation *facts,
                                  struct rn_view authority, struct rn_view plan,
                                  struct rn_error *err)
{
    char file[128];
    struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) out = {0};
    RN_BUG_IF(!rn_text_format(file, sizeof file, "invitations/%s.invite", facts->name));
    rn_bundle_begin(&out, RN_BUNDLE_INVITE);
    rn_bundle_put(&out, "federation", facts->federation);
    rn_bundle_put(&out, "member", facts->name);
    rn_bundle_put(&out, "address", facts->address);
    rn_bundle_put(&out, "coordinator", facts->coordinator);
    rn_bundle_put(&out, "expires", facts->expires);
    rn_bundle_put(&out, "token", facts->token);
    rn_bundle_put_file(&out, "ca.crt", authority);
    rn_bundle_put_file(&out, "plan.yaml", plan);
    rn_bundle_end(&out);
    return rn_setup_write(directory, file, rn_buffer_view(&out), 0600, err);
}

rn_result rn_enrol_invite(const char *directory, const struct rn_plan *plan,
                          const struct rn_roster *roster, const char *name, const char *address,
                          uint64_t now_wall_ms, struct rn_error *err)
{
    char expires[11];
    char token_text[2 * TOKEN_BYTES + 1];
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) token;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer plan_text = {0};
    RN_TRY(name_check(roster, name, err));
    RN_TRY(rn_setup_read(directory, "ca.crt", RN_SETUP_PEM_MAX, &authority, err));
    RN_TRY(rn_setup_read(directory, "plan.yaml", RN_PLAN_BYTES_MAX, &plan_text, err));
    RN_TRY(rn_random_bytes(token.bytes, sizeof token.bytes, err));
    rn_hex_encode(token_text, token.bytes, sizeof token.bytes);
    rn_date_format(expires, (uint32_t)(now_wall_ms / RN_DAY_MS) + RN_ENROL_INVITE_DAYS);
    const struct invitation facts = {plan->federation,         name,    address,
                                     plan->roster.coordinator, expires, token_text};
    const rn_result written = invitation_write(directory, &facts, rn_buffer_view(&authority),
                                               rn_buffer_view(&plan_text), err);
    rn_secret_wipe(token_text, sizeof token_text);
    return written;
}

/* ---- Open invitations. */

/* Calls each(name) for every open invitation. */
static rn_result for_each_open(const char *directory,
                               rn_result (*each)(void *, const char *, struct rn_error *),
                               void *context, struct rn_error *err)
{
    static const char suffix[] = ".invite";
    char path[RN_PATH_MAX];
    rn_result result = rn_ok();
    RN_TRY(rn_path_join(path, directory, "invitations", err));
    DIR *folder = opendir(path);
    for (struct dirent *entry;
         rn_is_ok(result) && folder != NULL && (entry = readdir(folder)) != NULL;) {
        char name[RN_NAME_MAX + 1];
        const size_t length = strlen(entry->d_name);
        const size_t end = length - (sizeof suffix - 1);
        if (length >= sizeof suffix && strcmp(entry->d_name + end, suffix) == 0 &&
            rn_text_format(name, sizeof name, "%.*s", (int)end, entry->d_name)) {
            result = each(context, name, err);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return result;
}

struct pending {
    size_t count;
    char *names;
    size_t capacity;
};

static rn_result pending_note(void *context, const char *name, struct rn_error *err)
{
    struct pending *pending = context;
    const size_t used = strlen(pending->names);
    (void)err;
    (void)rn_text_format(pending->names + used, pending->capacity - used, "%s%s",
                         used == 0 ? "" : ", ", name);
    pending->count++;
    return rn_ok();
}

rn_result rn_enrol_pending(const char *directory, size_t *out_count, char *out_names,
                           size_t capacity, struct rn_error *err)
{
    struct pending pending = {.names = out_names, .capacity = capacity};
    out_names[0] = '\0';
    RN_TRY(for_each_open(directory, pending_note, &pending, err));
    *out_count = pending.count;
    return rn_ok();
}

struct refreshing {
    const struct rn_setup *setup;
    size_t changed;
};

static rn_result refresh_one(void *context, const char *name, struct rn_error *err)
{
    char file[128];
    struct refreshing *refreshing = context;
    const struct rn_setup *setup = refreshing->setup;
    const struct rn_view plan = rn_buffer_view(&setup->plan_bytes);
    struct rn_bundle RN_CLEANUP(rn_bundle_clear) bundle = {0};
    struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) text = {0};
    RN_BUG_IF(!rn_text_format(file, sizeof file, "invitations/%s.invite", name));
    RN_TRY(rn_setup_read(setup->directory, file, RN_BUNDLE_BYTES_MAX, &text, err));
    RN_TRY(rn_bundle_parse(rn_buffer_view(&text), file, RN_BUNDLE_INVITE, rn_invite_items,
                           RN_INVITE_ITEMS, &bundle, err));
    if (rn_view_equal(rn_bundle_file(&bundle, RN_INVITE_PLAN), plan)) {
        return rn_ok();
    }
    const struct invitation facts = {setup->plan.federation,
                                     name,
                                     rn_bundle_value(&bundle, RN_INVITE_ADDRESS),
                                     setup->plan.roster.coordinator,
                                     rn_bundle_value(&bundle, RN_INVITE_EXPIRES),
                                     rn_bundle_value(&bundle, RN_INVITE_TOKEN)};
    refreshing->changed++;
    return invitation_write(setup->directory, &facts, rn_bundle_file(&bundle, RN_INVITE_AUTHORITY),
                            plan, err);
}

rn_result rn_enrol_refresh(const struct rn_setup *setup, size_t *out_changed, struct rn_error *err)
{
    struct refreshing refreshing = {.setup = setup};
    const rn_result result = for_each_open(setup->directory, refresh_one, &refreshing, err);
    *out_changed = refreshing.changed;
    return result;
}

rn_result rn_enrol_rebind(struct rn_setup *setup, struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    rn_roster_hash(rn_buffer_view(&setup->roster_bytes), hash);
    RN_TRY(rn_setup_replace_hash(&setup->plan_bytes, "roster", "hash", hash, err));
    RN_TRY(rn_plan_parse(rn_buffer_view(&setup->plan_bytes), "plan.yaml", &setup->plan, err));
    const rn_result fresh = rn_job_start_check(setup->directory, &setup->site, &setup->plan, err);
    if (fresh.code == RN_E_REFUSED) { /* a job ran with the other roster: this one begins anew */
        RN_TRY(rn_setup_replace_seed(&setup->plan_bytes, err));
        RN_TRY(rn_plan_parse(rn_buffer_view(&setup->plan_bytes), "plan.yaml", &setup->plan, err));
    } else {
        RN_TRY(fresh);
    }
    rn_signatures_init(&setup->signatures, &setup->plan);
    return rn_ok();
}

rn_result rn_enrol_bind(struct rn_setup *setup, struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    char kept[RN_PATH_MAX];
    rn_roster_hash(rn_buffer_view(&setup->roster_bytes), hash);
    if (memcmp(hash, setup->plan.roster_hash, sizeof hash) == 0) {
        return rn_ok();
    }
    RN_TRY(rn_enrol_rebind(setup, err));
    RN_TRY(rn_job_switch(setup->directory, &setup->site, setup->plan.hash, kept, err));
    return rn_setup_write(setup->directory, "plan.yaml", rn_buffer_view(&setup->plan_bytes), 0644,
                          err);
}

/* A file that is there already with this content costs no fsync: a thousand welcomes would. */
static rn_result write_changed(const char *directory, const char *file, struct rn_view content,
                               struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer held = {0};
    if (rn_setup_has(directory, file) &&
        rn_is_ok(rn_setup_read(directory, file, RN_BUNDLE_BYTES_MAX, &held, NULL)) &&
        rn_view_equal(rn_buffer_view(&held), content)) {
        return rn_ok();
    }
    return rn_setup_write(directory, file, content, 0644, err);
}

static rn_result welcome_write(const struct rn_setup *setup, const char *name,
                               struct rn_view signatures, struct rn_error *err)
{
    char file[128];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer certificate = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.crt", name));
    RN_TRY(rn_setup_read(setup->directory, file, RN_SETUP_PEM_MAX, &certificate, err));
    rn_bundle_begin(&out, RN_BUNDLE_WELCOME);
    rn_bundle_put(&out, "federation", setup->plan.federation);
    rn_bundle_put(&out, "member", name);
    rn_bundle_put_file(&out, "tls.crt", rn_buffer_view(&certificate));
    rn_bundle_put_file(&out, "roster", rn_buffer_view(&setup->roster_bytes));
    rn_bundle_put_file(&out, "plan.yaml", rn_buffer_view(&setup->plan_bytes));
    rn_bundle_put_file(&out, "plan.yaml.sigs", signatures);
    rn_bundle_end(&out);
    RN_BUG_IF(!rn_text_format(file, sizeof file, "welcome/%s.welcome", name));
    return write_changed(setup->directory, file, rn_buffer_view(&out), err);
}

/* What a welcome holds of the signatures: in a wide federation the coordinator's alone, so that
 * all of them do not stand in every member's file. The service brings the others. */
static rn_result welcome_signatures(const struct rn_setup *setup,
                                    const struct rn_identity *identity, struct rn_view all,
                                    struct rn_buffer *out, struct rn_error *err)
{
    if (setup->roster.count <= RN_ENROL_WELCOME_SIGNERS) {
        rn_buffer_append(out, all.data, all.length);
        return rn_ok();
    }
    RN_CLEANUP(rn_free_cleanup) struct rn_plan_signatures *own = rn_alloc(1, sizeof *own);
    rn_signatures_init(own, &setup->plan);
    RN_TRY(rn_signatures_add(own, &setup->plan, identity, err));
    return rn_signatures_write(own, &setup->roster, out, err);
}

rn_result rn_enrol_finish(struct rn_setup *setup, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    struct rn_plan_numbers numbers;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer welcomed = {0};
    RN_ENSURE(setup->has_roster, err, RN_E_CONFIG, "no member has joined yet");
    const rn_result feasible = rn_plan_feasible(&setup->plan, setup->roster.count, &numbers, err);
    if (!rn_is_ok(feasible)) {
        return rn_fail_context(err, feasible, "%s/plan.yaml does not suit the roster",
                               setup->directory);
    }
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    RN_TRY(rn_signatures_add(&setup->signatures, &setup->plan, identity, err));
    RN_TRY(rn_signatures_write(&setup->signatures, &setup->roster, &text, err));
    RN_TRY(rn_job_switch(setup->directory, &setup->site, setup->plan.hash, path, err));
    RN_TRY(rn_setup_write(setup->directory, "plan.yaml.sigs", rn_buffer_view(&text), 0644, err));
    RN_TRY(rn_path_join(path, setup->directory, "welcome", err));
    RN_TRY(rn_directory_make(path, 0755, err));
    RN_TRY(welcome_signatures(setup, identity, rn_buffer_view(&text), &welcomed, err));
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        RN_TRY(welcome_write(setup, setup->roster.members[i].name, rn_buffer_view(&welcomed), err));
    }
    return rn_ok();
}
