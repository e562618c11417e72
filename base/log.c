/* SPDX-License-Identifier: Apache-2.0
 *
 * What a line looks like; how it gets out is in logqueue.c.
 */
#include "base/log.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/logqueue.h"

#include <string.h>

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
    enum rn_log_level least;      /* of stderr */
    enum rn_log_level file_least; /* above every level: no file */
    bool json;
} logger = {"rondo", RN_LOG_INFO, RN_LOG_ERROR + 1, false};

void rn_log_setup(const char *program, enum rn_log_level least, bool json)
{
    logger.program = program;
    logger.least = least;
    logger.json = json;
}

rn_result rn_log_file(const char *path, enum rn_log_level least, struct rn_error *err)
{
    RN_TRY(rn_logqueue_file(path, err));
    logger.file_least = least;
    return rn_ok();
}

bool rn_log_flush(uint32_t wait_ms)
{
    return rn_logqueue_flush(wait_ms);
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

static void append_items(struct rn_buffer *line, const struct rn_log_item *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (items[i].field == RN_F_NONE) {
            continue;
        }
        if (logger.json) {
            rn_buffer_format(line, ",\"%s\":", field_names[items[i].field]);
        } else {
            rn_buffer_format(line, " %s=", field_names[items[i].field]);
        }
        append_value(line, &items[i]);
    }
    rn_buffer_format(line, "%s\n", logger.json ? "}" : "");
}

/* With what was dropped before it. */
static void put(enum rn_log_level level, struct rn_buffer *line)
{
    const unsigned targets = (level >= logger.least ? RN_LOGQUEUE_STDERR : 0) |
                             (level >= logger.file_least ? RN_LOGQUEUE_FILE : 0);
    const uint64_t dropped = rn_logqueue_put(line, targets);
    if (dropped > 0) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer note = {0};
        const struct rn_log_item count = RN_LOG_NUMBER(RN_F_COUNT, dropped);
        append_head(&note, RN_LOG_WARN, "log.dropped");
        append_items(&note, &count, 1);
        (void)rn_logqueue_put(&note, RN_LOGQUEUE_STDERR | RN_LOGQUEUE_FILE);
    }
}

void rn_log_write(enum rn_log_level level, const char *event, const struct rn_log_item *items,
                  unsigned count)
{
    if (level < logger.least && level < logger.file_least) {
        return;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    append_head(&line, level, event);
    append_items(&line, items, count);
    put(level, &line);
}
