/* SPDX-License-Identifier: Apache-2.0
 *
 * What people read to each other over the telephone: a roster, or one identity key, as groups of
 * five decimal digits (16.6 bits each), the same text wherever it is shown.
 *
 * A roster has 12 groups, 199 bits: whoever hands rosters out can make two of them, with keys of
 * its own, and look for a pair with one fingerprint, which takes about 2^99 tries. A key, which its
 * owner made, has 8 groups, 132 bits: another key with its fingerprint has to be found.
 */
#ifndef RN_CRYPTO_FINGERPRINT_H
#define RN_CRYPTO_FINGERPRINT_H

#include "crypto/roster.h"

#include <stdbool.h>

#define RN_FINGERPRINT_ROSTER_GROUPS 12u
#define RN_FINGERPRINT_KEY_GROUPS 8u
/* Bytes of a text, with its end: groups of five digits with a space between them. */
#define RN_FINGERPRINT_ROSTER_TEXT (RN_FINGERPRINT_ROSTER_GROUPS * 6u)
#define RN_FINGERPRINT_KEY_TEXT (RN_FINGERPRINT_KEY_GROUPS * 6u)

/* Of its exact text (rn_roster_write): federation, coordinator, every name, place and key. */
void rn_fingerprint_roster(const struct rn_roster *roster,
                           char out[static RN_FINGERPRINT_ROSTER_TEXT]);
void rn_fingerprint_key(const struct rn_identity_public *key,
                        char out[static RN_FINGERPRINT_KEY_TEXT]);

/* Whether a text that a person gave has the digits of the fingerprint, all of them and no more;
 * spaces, hyphens and commas between them do not count. */
bool rn_fingerprint_equal(const char *given, const char *fingerprint);

#endif
