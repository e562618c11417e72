/* SPDX-License-Identifier: Apache-2.0
 *
 * The values of a command's options as text.
 */
#include "services/cli/kit/commands.h"

#include <string.h>

static bool skipped(const char *name, const char *const *skip)
{
    for (; *skip != NULL; skip++) {
        if (strcmp(*skip, name) == 0) {
            return true;
        }
    }
    return false;
}

void rn_command_settings_text(const struct rn_command *command, const char *const *skip,
                              struct rn_buffer *out)
{
    struct rn_option_at at = {.def = command->def};
    while (rn_option_next(&at)) {
        const void *value = (const char *)command->settings + at.option.offset;
        if (at.common || skipped(at.option.name, skip)) {
            continue;
        }
        rn_buffer_format(out, "%s=", at.option.name);
        if (at.option.kind == RN_OPTION_FLAG) {
            rn_buffer_format(out, "%s", *(const bool *)value ? "yes" : "no");
        } else if (at.option.kind == RN_OPTION_COUNT) {
            rn_buffer_format(out, "%llu", (unsigned long long)*(const uint64_t *)value);
        } else if (at.option.kind == RN_OPTION_NUMBER) {
            rn_buffer_format(out, "%.17g", *(const double *)value);
        } else if (*(const char *const *)value != NULL) {
            rn_buffer_format(out, "%s", *(const char *const *)value);
        }
        rn_buffer_format(out, "\n");
    }
}
