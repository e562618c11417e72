/* SPDX-License-Identifier: Apache-2.0
 *
 * What a line looks like; how it gets out is in logqueue.c.
 */
#include "base/log.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/logqueue.h"

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

struct sink {
    enum rn_logqueue_target target;
    enum rn_log_level least; /* above every level: nothing */
    bool json;
};

static struct {
    const char *program;
    struct sink sinks[2]; /* stderr, file */
    bool wait;
} logger = {"rondo",
            {{RN_LOGQUEUE_STDERR, RN_LOG_INFO, false}, {RN_LOGQUEUE_FILE, RN_LOG_ERROR + 1, false}},
            false};

void rn_log_setup(const char *program, enum rn_log_level least, bool json)
{
    logger.program = program;
    logger.sinks[0].least = least;
    logger.sinks[0].json = json;
}

rn_result rn_log_file(const char *path, enum rn_log_level least, bool json, struct rn_error *err)
{
    RN_TRY(rn_logqueue_file(path, err));
    logger.sinks[1].least = least;
    logger.sinks[1].json = json;
    return rn_ok();
}

void rn_log_wait(bool wait)
{
    logger.wait = wait;
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

static void append_head(struct rn_buffer *line, enum rn_log_level level, const char *event,
                        bool json)
{
    char when[25];
    rn_clock_format(when, rn_clock_wall_ms());
    if (json) {
        rn_buffer_format(line,
                         "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\"",
                         when, level_names[level], logger.program, event);
    } else {
        rn_buffer_format(line, "%s %-5s %s %s", when, level_names[level], logger.program, event);
    }
}

static void append_items(struct rn_buffer *line, const struct rn_log_item *items, unsigned count,
                         bool json)
{
    for (unsigned i = 0; i < count; i++) {
        if (items[i].field == RN_F_NONE) {
            continue;
        }
        rn_buffer_format(line, json ? ",\"%s\":" : " %s=", field_names[items[i].field]);
        append_value(line, &items[i]);
    }
    rn_buffer_format(line, "%s\n", json ? "}" : "");
}

/* How many lines were dropped before this one. */
static uint64_t put(const struct sink *sink, enum rn_log_level level, const char *event,
                    const struct rn_log_item *items, unsigned count)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    append_head(&line, level, event, sink->json);
    append_items(&line, items, count, sink->json);
    return rn_logqueue_put(&line, sink->target);
}

void rn_log_write(enum rn_log_level level, const char *event, const struct rn_log_item *items,
                  unsigned count)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(logger.sinks); i++) {
        const struct sink *sink = &logger.sinks[i];
        if (level < sink->least) {
            continue;
        }
        const uint64_t dropped = put(sink, level, event, items, count);
        if (dropped > 0) {
            const struct rn_log_item lost = RN_LOG_NUMBER(RN_F_COUNT, dropped);
            (void)put(sink, RN_LOG_WARN, "log.dropped", &lost, 1);
        }
    }
    if (logger.wait) {
        (void)rn_logqueue_flush(UINT32_MAX);
    }
}
