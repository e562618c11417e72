/* SPDX-License-Identifier: Apache-2.0
 *
 * One line per event, written with one write(2) so that threads never mix lines.
 */
#include "base/log.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/guard.h"

#include <string.h>
#include <unistd.h>

static const char *const field_names[RN_F_LAST_] = {
    [RN_F_NONE] = "none",       [RN_F_ROUND] = "round",     [RN_F_ATTEMPT] = "attempt",
    [RN_F_STAGE] = "stage",     [RN_F_PHASE] = "phase",     [RN_F_MEMBER] = "member",
    [RN_F_MEMBERS] = "members", [RN_F_REASON] = "reason",   [RN_F_DETAIL] = "detail",
    [RN_F_BYTES] = "bytes",     [RN_F_MILLISECONDS] = "ms", [RN_F_ADDRESS] = "address",
    [RN_F_PATH] = "path",       [RN_F_HASH] = "hash",       [RN_F_COUNT] = "count",
    [RN_F_LIMIT] = "limit",     [RN_F_VERSION] = "version", [RN_F_SETTING] = "setting",
    [RN_F_VALUE] = "value",
};
static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    const char *program;
    enum rn_log_level least;
    bool json;
} logger = {"rondo", RN_LOG_INFO, false};

static int log_descriptor = STDERR_FILENO;

void rn_log_to(int descriptor)
{
    log_descriptor = descriptor;
}

void rn_log_setup(const char *program, enum rn_log_level least, bool json)
{
    logger.program = program;
    logger.least = least;
    logger.json = json;
}

/* Quoted, with control characters, quotes and non-ASCII bytes escaped: a log line is one line of
 * ASCII. */
static void append_quoted(struct rn_buffer *line, const char *text)
{
    rn_buffer_u8(line, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            rn_buffer_format(line, "\\%c", *c);
        } else if (*c < 0x20 || *c > 0x7e) {
            rn_buffer_format(line, "\\u%04x", *c);
        } else {
            rn_buffer_u8(line, *c);
        }
    }
    rn_buffer_u8(line, '"');
}

static void append_value(struct rn_buffer *line, const struct rn_log_item *item)
{
    if (item->text != NULL) {
        append_quoted(line, item->text);
    } else {
        rn_buffer_format(line, "%lld", (long long)item->number);
    }
}

static void append_head(struct rn_buffer *line, enum rn_log_level level, const char *event)
{
    char when[25];
    rn_clock_format(when, rn_clock_wall_ms());
    if (logger.json) {
        rn_buffer_format(line,
                         "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\"",
                         when, level_names[level], logger.program, event);
    } else {
        rn_buffer_format(line, "%s %-5s %s %s", when, level_names[level], logger.program, event);
    }
}

void rn_log_write(enum rn_log_level level, const char *event, const struct rn_log_item *items,
                  unsigned count)
{
    if (level < logger.least) {
        return;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    append_head(&line, level, event);
    for (unsigned i = 0; i < count; i++) {
        if (items[i].field == RN_F_NONE) {
            continue;
        }
        if (logger.json) {
            rn_buffer_format(&line, ",\"%s\":", field_names[items[i].field]);
        } else {
            rn_buffer_format(&line, " %s=", field_names[items[i].field]);
        }
        append_value(&line, &items[i]);
    }
    rn_buffer_format(&line, "%s\n", logger.json ? "}" : "");
    const ssize_t written = write(log_descriptor, line.data, line.length);
    (void)written; /* a full disk must not stop the program */
}
