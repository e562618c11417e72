/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two hostile programs share. RONDO_ATTACK says which attack strikes in which session:
 * "NAME@ROUND.ATTEMPT", several with one space between them. A program refuses names that it does
 * not know, tells the log when an attack has struck ("hostile.struck") and when it has got what it
 * was made for ("hostile.won"), which must never happen.
 */
#ifndef RN_TESTS_SCENARIO_ATTACKS_H
#define RN_TESTS_SCENARIO_ATTACKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/secagg/params.h"

static inline const char *attacks_ordered(void)
{
    const char *ordered = getenv("RONDO_ATTACK");
    return ordered != NULL ? ordered : "";
}

static inline bool attack_strikes(const char *name, const struct rn_sa_context *context)
{
    char ordered[512];
    char wanted[128];
    return rn_text_format(ordered, sizeof ordered, " %s ", attacks_ordered()) &&
           rn_text_format(wanted, sizeof wanted, " %s@%u.%u ", name, (unsigned)context->round,
                          (unsigned)context->attempt) &&
           strstr(ordered, wanted) != NULL;
}

/* Is every attack in RONDO_ATTACK one of these? names ends with NULL. */
static inline bool attacks_known(const char *const *names)
{
    const char *at = attacks_ordered();
    while (*at != '\0') {
        const size_t length = strcspn(at, "@ ");
        bool known = false;
        for (size_t i = 0; names[i] != NULL; i++) {
            known |= strlen(names[i]) == length && strncmp(at, names[i], length) == 0;
        }
        if (!known || at[length] != '@') {
            return false;
        }
        at += strcspn(at, " ");
        at += *at == ' ';
    }
    return true;
}

/* One line of the program's log. */
static inline void attack_tell(const char *event, const char *name,
                               const struct rn_sa_context *context)
{
    static char last[256];
    char line[256];
    if (rn_text_format(line, sizeof line,
                       "{\"event\":\"hostile.%s\",\"attack\":\"%s\",\"round\":%u,\"attempt\":%u}\n",
                       event, name, (unsigned)context->round, (unsigned)context->attempt) &&
        strcmp(line, last) != 0) { /* once for each session */
        memcpy(last, line, sizeof last);
        (void)fputs(line, stderr);
    }
}

#endif
