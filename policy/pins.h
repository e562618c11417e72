/* SPDX-License-Identifier: Apache-2.0
 *
 * The members' keys that a member's own policy pins (policy.yaml, `members`): its word on who the
 * others are, against a roster that the operator hands out. Nothing runs with a roster that is not
 * exactly what is pinned. Sans-I/O.
 */
#ifndef RN_POLICY_PINS_H
#define RN_POLICY_PINS_H

#include "policy/rules.h"

/* What a roster says of one member, seen from the pins. */
enum rn_pin_change {
    RN_PIN_SAME,    /* pinned with this key */
    RN_PIN_NEW,     /* not pinned */
    RN_PIN_CHANGED, /* pinned with another key */
};
enum rn_pin_change rn_pin_change(const struct rn_policy *policy,
                                 const struct rn_roster_member *member);

/* The place in the roster of the key that is pinned under this name; -1: no such pin, or its key is
 * not in the roster. */
int rn_pin_place(const struct rn_policy *policy, const struct rn_roster *roster, const char *name);

/* RN_OK when every member of the roster is pinned with its key and every pin is in the roster; else
 * RN_E_REFUSED and a sentence that names the first that is not. */
RN_MUST rn_result rn_pins_check(const struct rn_policy *policy, const struct rn_roster *roster,
                                struct rn_error *err);

/* Replaces the section `members` of a policy's text by the roster's members, or appends it; the
 * rest, comments too, stays as it is. RN_E_CONFIG when the section is not written a line for each
 * key, as this function writes it. */
RN_MUST rn_result rn_pins_write(struct rn_view text, const struct rn_roster *roster,
                                struct rn_buffer *out, struct rn_error *err);

#endif
