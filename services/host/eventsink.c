/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/eventsink.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "base/log.h"

#define ITEMS_MAX 20

struct rn_eventsink {
    struct rn_eventsink_config config;
    struct rn_job_event_limit limit;
    uint64_t counts[RN_JOB_EVENTS];
    bool joined[RN_SA_GRAPH_COMPLETE_MAX]; /* a coordinator's members */
    char missing[RN_ERROR_TEXT_MAX];
};

struct rn_eventsink *rn_eventsink_new(const struct rn_eventsink_config *config)
{
    struct rn_eventsink *sink = rn_alloc(1, sizeof(*sink));
    sink->config = *config;
    return sink;
}

void rn_eventsink_free(struct rn_eventsink *sink)
{
    rn_free(sink);
}

/* ---- Log */

struct line {
    struct rn_log_item items[ITEMS_MAX];
    unsigned count;
    char hash[65];
};

static void add_number(struct line *line, enum rn_log_field field, uint64_t number)
{
    line->items[line->count++] = RN_LOG_NUMBER(field, number);
}

/* Nothing when there is no text. */
static void add_text(struct line *line, enum rn_log_field field, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        line->items[line->count++] = RN_LOG_TEXT(field, text);
    }
}

/* "members" is who is there, or in the sum; of how many stands in "limit", the lost in "count". */
static void add_counts(struct line *line, unsigned fields, const struct rn_job_event *event)
{
    const bool some = (fields & (RN_JOB_F_PRESENT | RN_JOB_F_INCLUDED)) != 0;
    if (some) {
        add_number(line, RN_F_MEMBERS,
                   (fields & RN_JOB_F_PRESENT) != 0 ? event->present : event->included);
    }
    if ((fields & RN_JOB_F_MEMBERS) != 0) {
        add_number(line, some ? RN_F_LIMIT : RN_F_MEMBERS, event->members);
    }
    if ((fields & RN_JOB_F_LOST) != 0) {
        add_number(line, RN_F_COUNT, event->lost);
    }
}

static void add_numbers(struct line *line, unsigned fields, const struct rn_job_event *event)
{
    const struct {
        unsigned field;
        enum rn_log_field name;
        uint64_t value;
    } numbers[] = {
        {RN_JOB_F_ROUND, RN_F_ROUND, event->round},
        {RN_JOB_F_ATTEMPT, RN_F_ATTEMPT, event->attempt},
        {RN_JOB_F_COUNT, RN_F_COUNT, event->count},
        {RN_JOB_F_LIMIT, RN_F_LIMIT, event->limit},
        {RN_JOB_F_VALUE, RN_F_VALUE, event->value},
        {RN_JOB_F_BYTES, RN_F_BYTES, event->bytes},
        {RN_JOB_F_MILLISECONDS, RN_F_MILLISECONDS, event->milliseconds},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(numbers); i++) {
        if ((fields & numbers[i].field) != 0) {
            add_number(line, numbers[i].name, numbers[i].value);
        }
    }
}

static const char *reason_of(const struct rn_job_event *event)
{
    return event->reason != NULL ? event->reason : rn_code_name(event->outcome);
}

static void add_texts(struct line *line, unsigned fields, const struct rn_job_event *event)
{
    const struct {
        unsigned field;
        enum rn_log_field name;
        const char *text;
    } texts[] = {
        {RN_JOB_F_STAGE, RN_F_STAGE, rn_job_stage_code(event->stage)},
        {RN_JOB_F_PHASE, RN_F_PHASE, event->phase},
        {RN_JOB_F_PEER, RN_F_MEMBER, event->name},
        {RN_JOB_F_REASON, RN_F_REASON, reason_of(event)},
        {RN_JOB_F_DETAIL, RN_F_DETAIL, event->detail},
        {RN_JOB_F_HASH, RN_F_HASH, event->has_hash ? line->hash : NULL},
        {RN_JOB_F_PATH, RN_F_PATH, event->path},
    };
    rn_hex_encode(line->hash, event->hash, sizeof(event->hash));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(texts); i++) {
        if ((fields & texts[i].field) != 0) {
            add_text(line, texts[i].name, texts[i].text);
        }
    }
}

static void write_line(const struct rn_job_event_row *row, const struct rn_job_event *event)
{
    static const enum rn_log_level levels[] = {[RN_JOB_DEBUG] = RN_LOG_DEBUG,
                                               [RN_JOB_INFO] = RN_LOG_INFO,
                                               [RN_JOB_WARN] = RN_LOG_WARN,
                                               [RN_JOB_ERROR] = RN_LOG_ERROR};
    struct line line = {.count = 0};
    add_numbers(&line, row->fields, event);
    add_counts(&line, row->fields, event);
    add_texts(&line, row->fields, event);
    rn_log_write(levels[row->level], row->name, line.items, line.count);
}

/* Lines of this kind and peer that were not written, told with the first that is again. */
static void write_dropped(const struct rn_job_event_row *row, const struct rn_job_event *event,
                          uint32_t dropped)
{
    rn_log(RN_LOG_WARN, "log.limited", RN_LOG_TEXT(RN_F_VALUE, row->name),
           RN_LOG_TEXT(event->name != NULL ? RN_F_MEMBER : RN_F_NONE, event->name),
           RN_LOG_NUMBER(RN_F_COUNT, dropped));
}

static void log_event(struct rn_eventsink *sink, const struct rn_job_event *event, uint64_t now_ms)
{
    const struct rn_job_event_row *row = rn_job_event_row(event->kind);
    uint32_t dropped = 0;
    if (row->level == RN_JOB_QUIET || !rn_job_event_admit(&sink->limit, event, now_ms, &dropped)) {
        return;
    }
    if (dropped > 0) {
        write_dropped(row, event, dropped);
    }
    write_line(row, event);
}

/* ---- Events */

/* "north, south are missing"; as many names as there is room for. */
static const char *name_missing(struct rn_eventsink *sink)
{
    const struct rn_roster *roster = sink->config.roster;
    size_t used = 0;
    unsigned count = 0;
    for (uint32_t i = 0; i < roster->count; i++) {
        const bool fits = used + strlen(roster->members[i].name) + 32 < sizeof(sink->missing);
        if (!sink->joined[i] && fits) {
            (void)rn_text_format(sink->missing + used, sizeof(sink->missing) - used, "%s%s",
                                 count++ == 0 ? "" : ", ", roster->members[i].name);
            used = strlen(sink->missing);
        }
    }
    (void)rn_text_format(sink->missing + used, sizeof(sink->missing) - used, " %s missing",
                         count == 1 ? "is" : "are");
    return count == 0 ? NULL : sink->missing;
}

/* At a coordinator, which alone hears of single members: who is not here. */
static void note_presence(struct rn_eventsink *sink, struct rn_job_event *event)
{
    const bool member = event->peer > 0 && event->peer <= sink->config.roster->count;
    if (member && event->kind == RN_JOB_MEMBER_JOINED) {
        sink->joined[event->peer - 1] = true;
    } else if (member && event->kind == RN_JOB_MEMBER_LOST) {
        sink->joined[event->peer - 1] = false;
    } else if (sink->config.names_missing && event->detail == NULL &&
               (event->kind == RN_JOB_MEMBERS || event->kind == RN_JOB_WAITING)) {
        event->detail = name_missing(sink);
    }
}

void rn_eventsink_take(struct rn_eventsink *sink, const struct rn_job_event *event,
                       const struct rn_error *err, uint64_t now_ms)
{
    const struct rn_eventsink_config *config = &sink->config;
    struct rn_job_event full = *event;
    full.rounds = full.rounds == 0 ? config->rounds : full.rounds;
    if (event->peer > 0 && event->peer <= config->roster->count) {
        full.name = config->roster->members[event->peer - 1].name;
    }
    if (full.detail == NULL && err->text[0] != '\0') {
        full.detail = err->text;
    }
    note_presence(sink, &full);
    sink->counts[event->kind]++;
    log_event(sink, &full, now_ms);
    if (config->listener.on_event != NULL) {
        config->listener.on_event(config->listener.context, &full);
    }
}

/* Several kinds may have one metric. */
uint64_t rn_eventsink_count(const struct rn_eventsink *sink, const char *metric)
{
    uint64_t count = 0;
    for (unsigned kind = 0; kind < RN_JOB_EVENTS; kind++) {
        const char *name = rn_job_event_row((enum rn_job_event_kind)kind)->metric;
        count += name != NULL && strcmp(name, metric) == 0 ? sink->counts[kind] : 0;
    }
    return count;
}

static bool seen_before(unsigned kind, const char *metric)
{
    for (unsigned i = 0; i < kind; i++) {
        const char *name = rn_job_event_row((enum rn_job_event_kind)i)->metric;
        if (name != NULL && strcmp(name, metric) == 0) {
            return true;
        }
    }
    return false;
}

void rn_eventsink_status(const struct rn_eventsink *sink, struct rn_buffer *out)
{
    const char *between = "";
    rn_buffer_format(out, "\"counters\":{");
    for (unsigned kind = 0; kind < RN_JOB_EVENTS; kind++) {
        const char *name = rn_job_event_row((enum rn_job_event_kind)kind)->metric;
        if (name == NULL || seen_before(kind, name)) {
            continue;
        }
        const uint64_t count = rn_eventsink_count(sink, name);
        if (count > 0) {
            rn_buffer_format(out, "%s\"%s\":%llu", between, name, (unsigned long long)count);
            between = ",";
        }
    }
    rn_buffer_format(out, "}");
}
