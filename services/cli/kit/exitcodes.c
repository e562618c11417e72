/* SPDX-License-Identifier: Apache-2.0
 *
 * Exit codes and what they mean.
 */
#include "base/guard.h"
#include "services/cli/kit/commands.h"

static const struct {
    int code;
    bool everywhere;
    const char *text;
} exit_codes[] = {
    {0, true, "done"},
    {64, true, "wrong command line"},
    {65, false, "a file's content is wrong"},
    {66, false, "a file is missing or unreadable"},
    {69, false, "valid, but this build cannot do it"},
    {70, true, "a bug, reported instead of crashing"},
    {71, false, "the operating system refused"},
    {74, true, "reading or writing failed, disk full"},
    {75, false, "try again: unreachable, busy or timed out"},
    {76, false, "a peer misbehaved"},
    {77, false, "not allowed"},
    {78, false, "plan, policy or configuration wrong"},
    {79, false, "refused by the member's policy"},
    {80, false, "own key or certificate unusable"},
    {81, false, "does not fit in memory"},
    {82, false, "the job, a round or a training could not be completed"},
};

const char *rn_exit_text(int code)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(exit_codes); i++) {
        if (exit_codes[i].code == code) {
            return exit_codes[i].text;
        }
    }
    return NULL;
}

static bool listed(const struct rn_command_def *def, int code)
{
    for (const uint8_t *each = def->exits; each != NULL && *each != 0; each++) {
        if (*each == code) {
            return true;
        }
    }
    return false;
}

size_t rn_exits_of(const struct rn_command_def *def, int out[static RN_EXITS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(exit_codes); i++) {
        if (def == NULL || exit_codes[i].everywhere || listed(def, exit_codes[i].code)) {
            out[count++] = exit_codes[i].code;
        }
    }
    return count;
}
