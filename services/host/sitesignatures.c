/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/sitesignatures.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "policy/signature.h"
#include "services/rpc/rpc.h"

/* --- keeping ---------------------------------------------------------------------------------- */

/* What the file holds beyond ours. A file that is damaged, or gone, holds nothing. */
static rn_result add_present(const char *path, const struct rn_roster *roster,
                             struct rn_plan_signatures *ours, struct rn_plan_signatures *present,
                             struct rn_error *err)
{
    struct rn_plan_signers who;
    uint32_t fresh = 0;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    if (!rn_is_ok(rn_file_read(path, RN_SIGNATURES_BYTES_MAX, &text, NULL)) ||
        !rn_is_ok(rn_signatures_parse(rn_buffer_view(&text), path, present, NULL))) {
        return rn_ok();
    }
    RN_ENSURE(memcmp(present->plan_hash, ours->plan_hash, sizeof(ours->plan_hash)) == 0, err,
              RN_E_CONFIG,
              "%s: is for another plan than the one that runs; start the service again", path);
    /* What does not hold is left out, with all that stands beside it. */
    const rn_result taken =
        rn_signatures_take(rn_buffer_view(&text), path, roster, ours, &fresh, &who, NULL);
    (void)rn_is_ok(taken);
    return rn_ok();
}

static rn_result keep(const char *directory, const struct rn_roster *roster, struct rn_view text,
                      struct rn_plan_signatures *ours, struct rn_plan_signatures *present,
                      struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer merged = {0};
    RN_TRY(rn_signatures_parse(text, RN_SITE_SIGNATURES, ours, err));
    RN_TRY(rn_path_join(path, directory, RN_SITE_SIGNATURES, err));
    RN_TRY(add_present(path, roster, ours, present, err));
    RN_TRY(rn_signatures_write(ours, roster, &merged, err));
    return rn_file_write(path, rn_buffer_view(&merged), 0644, err);
}

rn_result rn_site_signatures_keep(const char *directory, const struct rn_roster *roster,
                                  struct rn_view text, struct rn_error *err)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) ours = rn_alloc(1, sizeof(*ours));
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) present = rn_alloc(1, sizeof(*present));
    return keep(directory, roster, text, ours, present, err);
}

/* --- watching --------------------------------------------------------------------------------- */

/* What tells one state of the file from another, without reading it. No padding. */
struct stamp {
    uint64_t device, inode, bytes;
    int64_t modified_s, modified_ns;
};

struct rn_site_signatures_watch {
    struct rn_rpc *rpc;
    struct rn_site_signatures_options options;
    char path[RN_PATH_MAX];
    struct stamp told; /* of what was read last */
    struct stamp seen; /* at the last look */
};

/* Zero when there is none. */
static struct stamp stamp_of(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return (struct stamp){0};
    }
    return (struct stamp){(uint64_t)info.st_dev, (uint64_t)info.st_ino, (uint64_t)info.st_size,
                          (int64_t)info.st_mtim.tv_sec, (int64_t)info.st_mtim.tv_nsec};
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* now: from before the reading, so that a change after it is noticed. */
static void tell(struct rn_site_signatures_watch *watch, const struct stamp *now)
{
    struct rn_error err = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    watch->told = *now;
    if (rn_is_ok(rn_file_read(watch->path, RN_SIGNATURES_BYTES_MAX, &text, &err))) {
        watch->options.on_text(watch->options.context, rn_buffer_view(&text));
    } else {
        watch->options.on_unread(watch->options.context, &err);
    }
}

static void look(void *argument)
{
    struct rn_site_signatures_watch *watch = argument;
    const struct stamp now = stamp_of(watch->path);
    const bool settled = is_same(&now, &watch->seen);
    watch->seen = now;
    if (settled && !is_same(&now, &watch->told)) {
        tell(watch, &now);
    }
    (void)rn_rpc_timer(watch->rpc, watch->options.period_ms, look, watch);
}

struct rn_site_signatures_watch *
rn_site_signatures_watch_new(struct rn_rpc *rpc, const struct rn_site_signatures_options *options)
{
    struct rn_site_signatures_watch *watch = rn_alloc(1, sizeof(*watch));
    watch->rpc = rpc;
    watch->options = *options;
    watch->options.period_ms =
        options->period_ms != 0 ? options->period_ms : RN_SITE_SIGNATURES_PERIOD_MS;
    RN_BUG_IF(!rn_is_ok(rn_path_join(watch->path, options->directory, RN_SITE_SIGNATURES, NULL)));
    (void)rn_rpc_timer(rpc, 0, look, watch);
    return watch;
}

void rn_site_signatures_watch_reload(struct rn_site_signatures_watch *watch)
{
    const struct stamp now = stamp_of(watch->path);
    tell(watch, &now);
}

void rn_site_signatures_watch_free(struct rn_site_signatures_watch *watch)
{
    rn_free(watch);
}
