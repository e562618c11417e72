/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a member calls to compare a roster's fingerprint when there are too many to call all of
 * them: as many as SECURITY.md, "Who vouches for the roster", asks for, drawn at this site.
 *
 * Of the n - 1 others, let more than m = n_c / 2 (rounded down) be invented. c of them drawn
 * uniformly miss every invented one with the probability of m + 1 of them being missed, at most
 *
 *     C(n - 1 - (m + 1), c) / C(n - 1, c) = product over i < c of (n - 2 - m - i) / (n - 1 - i)
 *
 * The draw follows from the site's identity and the roster: nobody else can foresee it, and it is
 * the same at each look. Pure.
 */
#ifndef RN_SERVICES_CLI_SETUP_JOINCALLS_H
#define RN_SERVICES_CLI_SETUP_JOINCALLS_H

#include "crypto/identity.h"
#include "crypto/roster.h"

/* Rosters up to this size: everybody calls everybody. */
#define RN_JOIN_CALLS_ALL_MAX 32u
/* The chance to miss them all that is accepted: 2^-20. */
#define RN_JOIN_CALLS_MISS_BITS 20

/* m: more invented members than this are found. */
uint32_t rn_join_calls_spared(uint32_t colluding);
/* The smallest c with the probability above at most 2^-20; members - 1: all of them. */
uint32_t rn_join_calls_count(uint32_t members, uint32_t colluding);
/* Sets called[place] for that many members other than `self`; all of them in a small roster.
 * Returns how many. roster->members[self] is this site. */
uint32_t rn_join_calls_draw(const struct rn_identity *identity, const struct rn_roster *roster,
                            uint32_t self, uint32_t colluding,
                            bool called[static RN_ROSTER_MEMBERS_MAX]);

#endif
