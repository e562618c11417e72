/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/joinroster.h"

#include <string.h>

#include "base/guard.h"
#include "crypto/fingerprint.h"
#include "policy/pins.h"
#include "services/cli/setup/joincalls.h"

static const char *change_word(const struct rn_setup *setup, const struct rn_roster_member *member)
{
    static const char *const words[] = {
        [RN_PIN_SAME] = "known", [RN_PIN_NEW] = "new", [RN_PIN_CHANGED] = "OTHER KEY"};
    return strcmp(member->name, setup->site.name) == 0
               ? "this site"
               : words[rn_pin_change(&setup->policy, member)];
}

void rn_roster_print(const struct rn_setup *setup, FILE *out)
{
    char roster[RN_FINGERPRINT_ROSTER_TEXT];
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        char key[RN_FINGERPRINT_KEY_TEXT];
        const struct rn_roster_member *member = &setup->roster.members[i];
        rn_fingerprint_key(&member->key, key);
        (void)fprintf(out, "  %-20s %-10s %s\n", member->name, change_word(setup, member), key);
    }
    for (uint32_t i = 0; i < setup->policy.members_count; i++) {
        const char *name = setup->policy.members[i].name;
        if (rn_roster_find_name(&setup->roster, name) < 0) {
            (void)fprintf(out, "  %-20s %-10s\n", name, "gone");
        }
    }
    rn_fingerprint_roster(&setup->roster, roster);
    (void)fprintf(out, "\nFingerprint of the roster:\n  %s\n", roster);
}

/* RN_E_IDENTITY and others where the site's identity cannot be read. */
static rn_result calls_draw(const struct rn_setup *setup, bool called[RN_ROSTER_MEMBERS_MAX],
                            uint32_t *out_count, struct rn_error *err)
{
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    const int self = rn_roster_find_key(&setup->roster, rn_identity_public_of(identity));
    RN_BUG_IF(self < 0); /* rn_plan_parties_check came before */
    *out_count = rn_join_calls_draw(identity, &setup->roster, (uint32_t)self,
                                    setup->plan.secagg.colluding, called);
    return rn_ok();
}

rn_result rn_roster_calls_print(const struct rn_setup *setup, FILE *out, struct rn_error *err)
{
    bool called[RN_ROSTER_MEMBERS_MAX];
    uint32_t count = 0;
    const char *comma = "\n  ";
    RN_TRY(calls_draw(setup, called, &count, err));
    if (setup->roster.count <= RN_JOIN_CALLS_ALL_MAX) {
        return rn_ok();
    }
    (void)fprintf(out,
                  "\nCall at least these %u, drawn here from the %u others by this site's key. If "
                  "more than %u were\ninvented, one of them would be among these, but for one "
                  "chance in a million:",
                  count, setup->roster.count - 1,
                  rn_join_calls_spared(setup->plan.secagg.colluding));
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        if (called[i]) {
            (void)fprintf(out, "%s%s", comma, setup->roster.members[i].name);
            comma = ", ";
        }
    }
    (void)fprintf(out, "\n");
    return rn_ok();
}

rn_result rn_roster_calls_json(const struct rn_setup *setup, json_t **out, struct rn_error *err)
{
    bool called[RN_ROSTER_MEMBERS_MAX];
    uint32_t count = 0;
    RN_TRY(calls_draw(setup, called, &count, err));
    *out = json_array();
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        if (called[i]) {
            (void)json_array_append_new(*out, json_string(setup->roster.members[i].name));
        }
    }
    return rn_ok();
}

json_t *rn_roster_json(const struct rn_roster *roster)
{
    char text[RN_FINGERPRINT_ROSTER_TEXT];
    json_t *members = json_array();
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct rn_roster_member *member = &roster->members[i];
        char key[RN_FINGERPRINT_KEY_TEXT];
        char hex[2 * RN_IDENTITY_PUBLIC_BYTES + 1];
        rn_fingerprint_key(&member->key, key);
        rn_hex_encode(hex, member->key.bytes, sizeof member->key.bytes);
        (void)json_array_append_new(members, json_pack("{s:s, s:s, s:s}", "name", member->name,
                                                       "key", hex, "fingerprint", key));
    }
    rn_fingerprint_roster(roster, text);
    return json_pack("{s:s, s:o}", "fingerprint", text, "members", members);
}

/* A fingerprint covers whom one has never met; who is known keeps the key until a person takes it
 * out of the policy. */
static rn_result known_check(const struct rn_setup *setup, struct rn_error *err)
{
    for (uint32_t i = 0; i < setup->roster.count; i++) {
        const struct rn_roster_member *member = &setup->roster.members[i];
        RN_ENSURE(rn_pin_change(&setup->policy, member) != RN_PIN_CHANGED, err, RN_E_REFUSED,
                  "the roster has another key for '%s' than %s/policy.yaml: ask '%s' itself. If it "
                  "has a new key, take its entry out of `members` there, compare the roster's "
                  "fingerprint anew, and join with --roster",
                  member->name, setup->directory, member->name);
    }
    return rn_ok();
}

rn_result rn_roster_confirm(const struct rn_setup *setup, const char *given,
                            struct rn_buffer *out_policy, struct rn_error *err)
{
    char fingerprint[RN_FINGERPRINT_ROSTER_TEXT];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_fingerprint_roster(&setup->roster, fingerprint);
    RN_TRY(known_check(setup, err));
    RN_ENSURE(given == NULL || rn_fingerprint_equal(given, fingerprint), err, RN_E_REFUSED,
              "the roster of this welcome has not the fingerprint that was given, but %s: either a "
              "digit is wrong, or the operator tells the organisations different members. Take "
              "nothing over before you know which",
              fingerprint);
    if (rn_is_ok(rn_pins_check(&setup->policy, &setup->roster, NULL))) {
        return rn_ok();
    }
    RN_ENSURE(
        given != NULL, err, RN_E_REFUSED,
        "nobody has confirmed this roster yet, and nothing was taken over. Its fingerprint is "
        "%s: call the other organisations, by a number that is not from the operator, and "
        "compare it, each reading out a part; then give what they read with --roster",
        fingerprint);
    RN_TRY(rn_setup_read(setup->directory, "policy.yaml", RN_POLICY_BYTES_MAX, &text, err));
    return rn_pins_write(rn_buffer_view(&text), &setup->roster, out_policy, err);
}
