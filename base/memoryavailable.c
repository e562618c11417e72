/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits of /proc and the control groups.
 */
#include "base/memoryavailable.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 16)

/* The whole file as text; "" when it is not there. */
static const char *text_of(const char *path, struct rn_buffer *buffer)
{
    struct rn_error err;
    return rn_is_ok(rn_file_read(path, TEXT_MAX, buffer, &err)) ? rn_buffer_text(buffer) : "";
}

/* The number after `key` at the start of a line; UINT64_MAX when there is none. */
static uint64_t number_after(const char *text, const char *key)
{
    const size_t length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0) {
            const char *digits = line + length + strspn(line + length, " \t");
            return *digits >= '0' && *digits <= '9' ? strtoull(digits, NULL, 10) : UINT64_MAX;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return UINT64_MAX;
}

static uint64_t number_of(const char *folder, const char *file, const char *key)
{
    char path[RN_PATH_MAX];
    struct rn_error err;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer buffer = {0};
    if (!rn_is_ok(rn_path_join(path, folder, file, &err))) {
        return UINT64_MAX;
    }
    return number_after(text_of(path, &buffer), key);
}

/* What one group leaves: its limit less what it holds, files that can be dropped not counted. */
static uint64_t left_in(const char *folder, const char *limit_file, const char *used_file,
                        const char *droppable_key)
{
    const uint64_t limit = number_of(folder, limit_file, "");
    const uint64_t used = number_of(folder, used_file, "");
    if (limit == UINT64_MAX || used == UINT64_MAX) {
        return UINT64_MAX;
    }
    const uint64_t files = number_of(folder, "memory.stat", droppable_key);
    const uint64_t held = files != UINT64_MAX && files < used ? used - files : used;
    return held < limit ? limit - held : 0;
}

/* The least over a group and all above it. */
static uint64_t left_along(const char *root, const char *group, const char *limit_file,
                           const char *used_file, const char *droppable_key)
{
    uint64_t least = UINT64_MAX;
    char folder[RN_PATH_MAX];
    if (!rn_text_format(folder, sizeof(folder), "%s%s", root, group)) {
        return least;
    }
    const size_t root_length = strlen(root);
    for (;;) {
        const uint64_t left = left_in(folder, limit_file, used_file, droppable_key);
        least = left < least ? left : least;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || strlen(folder) <= root_length) {
            return least;
        }
        *slash = '\0';
    }
}

/* The group's path in /proc/self/cgroup: after "0::" for version 2, ":memory:" for version 1. */
static bool group_of(const char *text, const char *mark, char out[static RN_PATH_MAX])
{
    const char *at = strstr(text, mark);
    if (at == NULL) {
        return false;
    }
    at += strlen(mark);
    const int length = (int)strcspn(at, "\n");
    return rn_text_format(out, RN_PATH_MAX, "%.*s", length, at);
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t rn_memory_available_in(const char *proc, const char *cgroup)
{
    uint64_t least = number_of(proc, "meminfo", "MemAvailable:");
    least = least > UINT64_MAX / 1024 ? UINT64_MAX : least * 1024;
    char path[RN_PATH_MAX];
    char group[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer buffer = {0};
    if (!rn_text_format(path, sizeof(path), "%s/self/cgroup", proc)) {
        return least;
    }
    const char *text = text_of(path, &buffer);
    if (group_of(text, "0::", group)) {
        least = least_of(
            least, left_along(cgroup, group, "memory.max", "memory.current", "inactive_file "));
    }
    char first[RN_PATH_MAX];
    if (group_of(text, ":memory:", group) &&
        rn_text_format(first, sizeof(first), "%s/memory", cgroup)) {
        least = least_of(least, left_along(first, group, "memory.limit_in_bytes",
                                           "memory.usage_in_bytes", "total_inactive_file "));
    }
    return least;
}

uint64_t rn_memory_available(void)
{
    return rn_memory_available_in("/proc", "/sys/fs/cgroup");
}
