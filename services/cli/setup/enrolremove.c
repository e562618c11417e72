/* SPDX-License-Identifier: Apache-2.0
 *
 * A roster without some of its members. It is another roster, so the plan bound to it is another
 * plan, which everybody who stays signs.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/jobs.h"

static rn_result names_check(const struct rn_roster *roster, const char *const *names, size_t count,
                             struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        RN_ENSURE(rn_roster_find_name(roster, names[i]) >= 0, err, RN_E_USAGE,
                  "'%.64s' is no member (rondo member list)", names[i]);
        for (size_t j = 0; j < i; j++) {
            RN_ENSURE(strcmp(names[i], names[j]) != 0, err, RN_E_USAGE, "'%s' is named twice",
                      names[i]);
        }
    }
    return rn_ok();
}

static void roster_shrink(struct rn_roster *roster, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t place = (size_t)rn_roster_find_name(roster, names[i]);
        roster->count--;
        memmove(&roster->members[place], &roster->members[place + 1],
                (roster->count - place) * sizeof roster->members[0]);
    }
}

/* Takes the bytes from `from` to `to` out of the text. */
static void cut(struct rn_buffer *text, const char *from, const char *to)
{
    const size_t at = (size_t)(from - (const char *)text->data);
    const size_t length = (size_t)(to - from);
    memmove(text->data + at, text->data + at + length, text->length - at - length);
    text->length -= length;
}

/* The two lines that `rondo invite --accept` wrote for a member that listens. */
static rn_result peer_cut(struct rn_buffer *text, const char *name, struct rn_error *err)
{
    char head[RN_NAME_MAX + 32];
    (void)rn_text_format(head, sizeof head, "    - name: %s\n      address: ", name);
    const char *at = strstr(rn_buffer_text(text), head);
    const char *end = at == NULL ? NULL : strchr(at + strlen(head), '\n');
    RN_ENSURE(end != NULL, err, RN_E_CONFIG,
              "site.yaml: take '%s' out of network.peers by hand first", name);
    cut(text, at, end + 1);
    return rn_ok();
}

/* No peer is left: an empty list, and nobody to dial. */
static void peers_close(struct rn_buffer *text)
{
    static const char begun[] = "  peers:\n";
    static const char dials[] = "  direction: both   ";
    struct rn_buffer fresh = {0};
    char *at = strstr((char *)text->data, dials);
    if (at != NULL) {
        memcpy(at, "  direction: listen ", sizeof dials - 1);
    }
    at = strstr((char *)text->data, begun);
    if (at != NULL) {
        rn_buffer_append(&fresh, text->data, (size_t)(at - (char *)text->data));
        rn_buffer_format(&fresh, "  peers: []\n%s", at + sizeof begun - 1);
        rn_buffer_clear(text);
        *text = fresh;
    }
}

static bool is_named(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* site.yaml without the members' addresses; text stays empty when it does not change. */
static rn_result site_text(const struct rn_setup *setup, const char *const *names, size_t count,
                           struct rn_buffer *text, struct rn_error *err)
{
    const struct rn_site_network *network = &setup->site.network;
    RN_CLEANUP(rn_free_cleanup) struct rn_site *site = rn_alloc(1, sizeof *site);
    uint32_t cut_count = 0;
    for (uint32_t i = 0; i < network->peers_count; i++) {
        if (is_named(network->peers[i].name, names, count)) {
            if (cut_count++ == 0) {
                RN_TRY(rn_setup_read(setup->directory, "site.yaml", RN_SITE_BYTES_MAX, text, err));
            }
            RN_TRY(peer_cut(text, network->peers[i].name, err));
        }
    }
    if (cut_count == 0) {
        return rn_ok();
    }
    (void)rn_buffer_text(text);
    if (cut_count == network->peers_count) {
        peers_close(text);
    }
    return rn_site_parse(rn_buffer_view(text), "site.yaml", site, err);
}

static void papers_remove(const struct rn_setup *setup, const char *name)
{
    static const char *const forms[] = {"members/%s.crt", "members/%s.request",
                                        "welcome/%s.welcome", "renewals/%s.renewal"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(forms); i++) {
        char file[128];
        char path[RN_PATH_MAX];
        const char *tail = strchr(forms[i], '%') + 2;
        RN_BUG_IF(!rn_text_format(file, sizeof file, "%.*s%s%s", (int)strcspn(forms[i], "%"),
                                  forms[i], name, tail));
        if (rn_is_ok(rn_path_join(path, setup->directory, file, NULL))) {
            (void)unlink(path);
        }
    }
}

/* The plan, bound to the smaller roster, in memory. */
static rn_result plan_bind(struct rn_setup *setup, struct rn_error *err)
{
    struct rn_plan_numbers numbers;
    RN_TRY(rn_roster_write(&setup->roster, &setup->roster_bytes, err));
    RN_TRY(rn_enrol_rebind(setup, err));
    const rn_result holds = rn_plan_feasible(&setup->plan, setup->roster.count, &numbers, err);
    return rn_is_ok(holds)
               ? holds
               : rn_fail_context(err, holds,
                                 "the plan does not hold for %u members (propose one that does "
                                 "first: rondo plan new, rondo plan propose)",
                                 setup->roster.count);
}

rn_result rn_enrol_remove(struct rn_setup *setup, const char *const *names, size_t count,
                          char out_kept[static RN_PATH_MAX], struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer site = {0};
    RN_ENSURE(setup->has_roster, err, RN_E_CONFIG, "there are no members to remove");
    RN_TRY(names_check(&setup->roster, names, count, err));
    RN_TRY(site_text(setup, names, count, &site, err));
    roster_shrink(&setup->roster, names, count);
    RN_TRY(plan_bind(setup, err));
    RN_TRY(rn_job_switch(setup->directory, &setup->site, setup->plan.hash, out_kept, err));
    RN_TRY(rn_setup_write(setup->directory, "roster", rn_buffer_view(&setup->roster_bytes), 0644,
                          err));
    RN_TRY(rn_setup_write(setup->directory, "plan.yaml", rn_buffer_view(&setup->plan_bytes), 0644,
                          err));
    if (site.length > 0) {
        RN_TRY(rn_setup_write(setup->directory, "site.yaml", rn_buffer_view(&site), 0644, err));
    }
    for (size_t i = 0; i < count; i++) {
        papers_remove(setup, names[i]);
    }
    return rn_enrol_finish(setup, err);
}
