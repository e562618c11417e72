/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/credwatch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/host/credfiles.h"

#define HOUR_S INT64_C(3600)
#define DAY_S (24 * HOUR_S)
/* Files that were refused are tried again after so many looks. */
#define RETRY_LOOKS 12U

struct rn_credwatch {
    struct rn_rpc *rpc;
    struct rn_credwatch_options options;
    char directory[RN_PATH_MAX];
    struct rn_credfiles_stamp tried; /* loaded, or refused */
    struct rn_credfiles_stamp seen;  /* at the last look */
    bool began;                      /* the first load is done */
    unsigned retry_in;               /* looks until refused files are tried again; 0: none are */
    char refused[RN_ERROR_TEXT_MAX]; /* reason told last */
    uint8_t told_of[RN_PEER_HASH_BYTES];
    enum rn_credwatch_stage told; /* of the certificate with that hash */
};

static void tell(const struct rn_credwatch *watch, enum rn_credwatch_kind kind, const char *text)
{
    const struct rn_credwatch_event event = {
        .kind = kind,
        .text = text,
        .seconds_left = rn_rpc_certificate_seconds_left(watch->rpc),
    };
    watch->options.on_event(watch->options.context, &event);
}

/* --- the end is near -------------------------------------------------------------------------- */

enum rn_credwatch_stage rn_credwatch_stage_of(uint64_t not_before_ms, uint64_t not_after_ms,
                                              uint64_t wall_ms)
{
    static const uint64_t days[] = {30, 7, 1};
    const uint64_t life = not_after_ms - not_before_ms;
    enum rn_credwatch_stage stage = RN_CREDWATCH_FAR;
    if (wall_ms > not_after_ms) {
        return RN_CREDWATCH_OVER;
    }
    for (unsigned i = 0; i < RN_ARRAY_LENGTH(days); i++) {
        if (days[i] * RN_DAY_MS <= life / 2 && not_after_ms - wall_ms < days[i] * RN_DAY_MS) {
            stage = (enum rn_credwatch_stage)(RN_CREDWATCH_MONTH + i);
        }
    }
    return stage;
}

static void tell_expiry(const struct rn_credwatch *watch, enum rn_credwatch_stage stage)
{
    char date[25];
    char text[320];
    const int64_t left = rn_rpc_certificate_seconds_left(watch->rpc);
    rn_clock_format(date, rn_rpc_self(watch->rpc)->not_after_ms);
    if (stage == RN_CREDWATCH_OVER) {
        (void)rn_text_format(text, sizeof(text),
                             "this site's TLS certificate expired on %.10s, nobody accepts it: %s",
                             date, RN_RPC_RENEWAL_ADVICE);
        tell(watch, RN_CREDWATCH_EXPIRED, text);
        return;
    }
    (void)rn_text_format(text, sizeof(text),
                         "this site's TLS certificate expires on %.10s, in %lld %s: %s", date,
                         (long long)(left < 2 * DAY_S ? left / HOUR_S : left / DAY_S),
                         left < 2 * DAY_S ? "hours" : "days", RN_RPC_RENEWAL_ADVICE);
    tell(watch, RN_CREDWATCH_EXPIRING, text);
}

static void look_at_expiry(struct rn_credwatch *watch)
{
    const struct rn_peer *self = rn_rpc_self(watch->rpc);
    const int64_t left_ms = rn_rpc_certificate_seconds_left(watch->rpc) * 1000;
    const uint64_t wall = (uint64_t)((int64_t)self->not_after_ms - left_ms);
    const enum rn_credwatch_stage stage =
        rn_credwatch_stage_of(self->not_before_ms, self->not_after_ms, wall);
    if (memcmp(watch->told_of, self->leaf_hash, sizeof(watch->told_of)) != 0) {
        memcpy(watch->told_of, self->leaf_hash, sizeof(watch->told_of));
        watch->told = RN_CREDWATCH_FAR;
    }
    if (stage > watch->told) {
        watch->told = stage;
        tell_expiry(watch, stage);
    }
}

/* --- loading ---------------------------------------------------------------------------------- */

static rn_result load(struct rn_credwatch *watch, struct rn_error *err)
{
    RN_CLEANUP(rn_credfiles_clear) struct rn_credfiles files;
    RN_TRY(rn_credfiles_read(watch->directory, &files, err));
    const struct rn_rpc_material material = rn_credfiles_material(&files);
    const rn_result result = rn_rpc_reload(watch->rpc, &material, err);
    return rn_is_ok(result) ? result : rn_fail_context(err, result, "%s", watch->directory);
}

static void loaded(struct rn_credwatch *watch, bool quietly)
{
    char date[25];
    char text[96];
    rn_clock_format(date, rn_rpc_self(watch->rpc)->not_after_ms);
    (void)rn_text_format(text, sizeof(text), "TLS certificate loaded; it is valid until %.10s",
                         date);
    watch->refused[0] = '\0';
    watch->retry_in = 0;
    if (!quietly) {
        tell(watch, RN_CREDWATCH_RELOADED, text);
    }
}

static void try_to_load(struct rn_credwatch *watch, const struct rn_credfiles_stamp *stamp)
{
    struct rn_error err = {""};
    uint8_t before[RN_PEER_HASH_BYTES];
    const struct rn_peer *self = rn_rpc_self(watch->rpc);
    const bool first = !watch->began;
    memcpy(before, self->leaf_hash, sizeof(before));
    watch->began = true;
    watch->tried = *stamp; /* from before the reading: a change after it is noticed */
    if (rn_is_ok(load(watch, &err))) {
        loaded(watch, first && memcmp(before, self->leaf_hash, sizeof(before)) == 0);
        return;
    }
    watch->retry_in = RETRY_LOOKS;
    if (strcmp(watch->refused, err.text) != 0) {
        (void)rn_text_format(watch->refused, sizeof(watch->refused), "%s", err.text);
        tell(watch, RN_CREDWATCH_REFUSED, err.text);
    }
}

static void look_at_files(struct rn_credwatch *watch)
{
    struct rn_credfiles_stamp now;
    rn_credfiles_stamp(watch->directory, &now);
    const bool settled = rn_credfiles_stamp_equal(&now, &watch->seen);
    const bool changed = !rn_credfiles_stamp_equal(&now, &watch->tried);
    watch->seen = now;
    const bool again = watch->retry_in > 0 && --watch->retry_in == 0;
    if (settled && (changed || again)) {
        try_to_load(watch, &now);
    }
}

static void look(void *argument)
{
    struct rn_credwatch *watch = argument;
    look_at_files(watch);
    look_at_expiry(watch);
    (void)rn_rpc_timer(watch->rpc, watch->options.period_ms, look, watch);
}

void rn_credwatch_reload(void *watch)
{
    struct rn_credwatch *self = watch;
    struct rn_credfiles_stamp now;
    rn_credfiles_stamp(self->directory, &now);
    self->refused[0] = '\0'; /* who asks gets an answer */
    self->began = true;
    try_to_load(self, &now);
    look_at_expiry(self);
}

struct rn_credwatch *rn_credwatch_new(struct rn_rpc *rpc,
                                      const struct rn_credwatch_options *options)
{
    struct rn_credwatch *watch = rn_alloc(1, sizeof(*watch));
    watch->rpc = rpc;
    watch->options = *options;
    watch->options.period_ms =
        options->period_ms != 0 ? options->period_ms : RN_CREDWATCH_PERIOD_MS;
    RN_BUG_IF(
        !rn_text_format(watch->directory, sizeof(watch->directory), "%s", options->directory));
    rn_credfiles_stamp(watch->directory, &watch->seen);
    (void)rn_rpc_timer(rpc, 0, look, watch);
    return watch;
}

void rn_credwatch_free(struct rn_credwatch *watch)
{
    rn_free(watch);
}

/* --- log and status --------------------------------------------------------------------------- */

void rn_credwatch_log(void *context, const struct rn_credwatch_event *event)
{
    static const struct {
        enum rn_log_level level;
        const char *name;
    } rows[] = {
        [RN_CREDWATCH_RELOADED] = {RN_LOG_INFO, "certificate.loaded"},
        [RN_CREDWATCH_REFUSED] = {RN_LOG_ERROR, "certificate.refused"},
        [RN_CREDWATCH_EXPIRING] = {RN_LOG_WARN, "certificate.expiring"},
        [RN_CREDWATCH_EXPIRED] = {RN_LOG_ERROR, "certificate.expired"},
    };
    (void)context;
    rn_log(rows[event->kind].level, rows[event->kind].name, RN_LOG_TEXT(RN_F_DETAIL, event->text),
           RN_LOG_NUMBER(RN_F_VALUE, event->seconds_left));
}

void rn_credwatch_status(const struct rn_rpc *rpc, struct rn_buffer *out)
{
    char date[25];
    rn_clock_format(date, rn_rpc_self(rpc)->not_after_ms);
    rn_buffer_format(out, "\"certificate\":{\"expires\":\"%s\",\"seconds_left\":%lld}", date,
                     (long long)rn_rpc_certificate_seconds_left(rpc));
}
