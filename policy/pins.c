/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/pins.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

static const struct rn_policy_member *pin_find(const struct rn_policy *policy, const char *name)
{
    for (uint32_t i = 0; i < policy->members_count; i++) {
        if (strcmp(policy->members[i].name, name) == 0) {
            return &policy->members[i];
        }
    }
    return NULL;
}

static struct rn_identity_public pin_key(const struct rn_policy_member *pin)
{
    struct rn_identity_public key = {{0}};
    RN_BUG_IF(!rn_hex_decode(key.bytes, sizeof key.bytes, pin->key)); /* a field of this kind */
    return key;
}

enum rn_pin_change rn_pin_change(const struct rn_policy *policy,
                                 const struct rn_roster_member *member)
{
    const struct rn_policy_member *pin = pin_find(policy, member->name);
    if (pin == NULL) {
        return RN_PIN_NEW;
    }
    const struct rn_identity_public key = pin_key(pin);
    return rn_identity_public_equal(&key, &member->key) ? RN_PIN_SAME : RN_PIN_CHANGED;
}

int rn_pin_place(const struct rn_policy *policy, const struct rn_roster *roster, const char *name)
{
    const struct rn_policy_member *pin = pin_find(policy, name);
    if (pin == NULL) {
        return -1;
    }
    const struct rn_identity_public key = pin_key(pin);
    return rn_roster_find_key(roster, &key);
}

rn_result rn_pins_check(const struct rn_policy *policy, const struct rn_roster *roster,
                        struct rn_error *err)
{
    RN_ENSURE(
        policy->members_count != 0, err, RN_E_REFUSED,
        "the policy pins no member's key yet: compare the roster's fingerprint with the other "
        "organisations, then rondo join with the welcome and --roster");
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct rn_roster_member *member = &roster->members[i];
        const enum rn_pin_change change = rn_pin_change(policy, member);
        RN_ENSURE(change != RN_PIN_CHANGED, err, RN_E_REFUSED,
                  "the roster has another key for '%s' than the policy's members: ask '%s' itself. "
                  "If it has a new key, take its entry out of policy.yaml and compare the roster's "
                  "fingerprint anew",
                  member->name, member->name);
        RN_ENSURE(change == RN_PIN_SAME, err, RN_E_REFUSED,
                  "'%s' of the roster is not among the policy's members: compare the roster's "
                  "fingerprint with the other organisations, then rondo join with --roster",
                  member->name);
    }
    for (uint32_t i = 0; i < policy->members_count; i++) {
        RN_ENSURE(rn_pin_place(policy, roster, policy->members[i].name) >= 0, err, RN_E_REFUSED,
                  "'%s' of the policy's members is not in the roster: compare the roster's "
                  "fingerprint with the other organisations, then rondo join with --roster",
                  policy->members[i].name);
    }
    return rn_ok();
}

/* ---- The section in the text. */

static const char *line_end(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline == NULL ? end : newline + 1;
}

/* Start and end of the section; both the text's end when it has none. */
static void section_find(const char *text, const char *end, const char **out_start,
                         const char **out_end)
{
    static const char head[] = "members:";
    const char *at = text;
    while (at < end &&
           ((size_t)(end - at) < sizeof head - 1 || memcmp(at, head, sizeof head - 1) != 0)) {
        at = line_end(at, end);
    }
    *out_start = at;
    at = at < end ? line_end(at, end) : end;
    while (at < end && (*at == ' ' || *at == '-')) {
        at = line_end(at, end);
    }
    *out_end = at;
}

static void section_put(const struct rn_roster *roster, struct rn_buffer *out)
{
    rn_buffer_format(out,
                     "members:   # written by rondo join, once their fingerprint was confirmed\n");
    for (uint32_t i = 0; i < roster->count; i++) {
        char hex[RN_FIELD_HASH_TEXT + 1];
        rn_hex_encode(hex, roster->members[i].key.bytes, RN_IDENTITY_PUBLIC_BYTES);
        rn_buffer_format(out, "  - name: %s\n    key: %s\n", roster->members[i].name, hex);
    }
}

rn_result rn_pins_write(struct rn_view text, const struct rn_roster *roster, struct rn_buffer *out,
                        struct rn_error *err)
{
    const char *start = NULL;
    const char *rest = NULL;
    const char *begin = (const char *)text.data;
    const char *end = begin + text.length;
    section_find(begin, end, &start, &rest);
    rn_buffer_append(out, begin, (size_t)(start - begin));
    if (out->length > 0 && out->data[out->length - 1] != '\n') {
        rn_buffer_append(out, "\n", 1);
    }
    section_put(roster, out);
    rn_buffer_append(out, rest, (size_t)(end - rest));
    RN_CLEANUP(rn_free_cleanup) struct rn_policy *policy = rn_alloc(1, sizeof *policy);
    rn_result result = rn_policy_parse(rn_buffer_view(out), "policy.yaml", policy, err);
    if (rn_is_ok(result)) {
        result = rn_pins_check(policy, roster, err);
    }
    RN_ENSURE(rn_is_ok(result), err, RN_E_CONFIG,
              "policy.yaml: its section members is not a line for each name and key; take it out "
              "and join again");
    return rn_ok();
}
