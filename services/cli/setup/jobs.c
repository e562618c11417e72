/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/jobs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "policy/signature.h"
#include "services/cli/setup/setupfiles.h"
#include "services/host/siteledger.h"
#include "services/host/siteprivacy.h"
#include "services/host/tlogfolder.h"

#define MARKER "job.sigs" /* plan.yaml.sigs while its job is moved */
#define NAME_DIGITS 16

struct move {
    const char *directory;
    char state[RN_PATH_MAX];
    char kept[RN_PATH_MAX]; /* state/jobs/HASH of the job that goes */
    char back[RN_PATH_MAX]; /* of the job that comes */
    bool has_job;           /* signatures name the plan of what state/ holds */
    bool begun;             /* by an earlier call that did not come to its end */
    uint8_t held[32];
};

/* Of the directory itself, not of a job. */
static bool stays(const char *name)
{
    static const char *const names[] = {".",          "..",   "jobs",         "lock",
                                        "admin.sock", MARKER, RN_SITE_LEDGER, RN_TLOG_FOLDER};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, RN_SITE_PRIVACY_PREFIX, sizeof RN_SITE_PRIVACY_PREFIX - 1) == 0;
}

static rn_result rename_below(const char *from, const char *to, const char *name,
                              const char *new_name, struct rn_error *err)
{
    char old_path[RN_PATH_MAX];
    char new_path[RN_PATH_MAX];
    RN_TRY(rn_path_join(old_path, from, name, err));
    RN_TRY(rn_path_join(new_path, to, new_name, err));
    RN_ENSURE(rename(old_path, new_path) == 0, err, RN_E_IO, "%s cannot be moved to %s: %s",
              old_path, new_path, strerror(errno));
    return rn_ok();
}

/* The next entry of a job in this folder; false at the end. */
static bool entry_next(DIR *folder, char out[static 256])
{
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!stays(entry->d_name)) {
            return rn_text_format(out, 256, "%s", entry->d_name);
        }
    }
    return false;
}

static bool has_entries(const char *path)
{
    char name[256];
    DIR *folder = opendir(path);
    const bool any = folder != NULL && entry_next(folder, name);
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return any;
}

static rn_result entries_move(const char *from, const char *to, struct rn_error *err)
{
    char name[256];
    DIR *folder = opendir(from);
    RN_ENSURE(folder != NULL, err, RN_E_IO, "%s: %s", from, strerror(errno));
    rn_result result = rn_ok();
    while (rn_is_ok(result) && entry_next(folder, name)) {
        result = rename_below(from, to, name, name, err);
    }
    (void)closedir(folder);
    return result;
}

/* The plan that the signatures in this file are for. */
static rn_result signed_plan(const char *directory, const char *name, struct move *move,
                             struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_free_cleanup)
    struct rn_plan_signatures *signatures = rn_alloc(1, sizeof *signatures);
    RN_TRY(rn_setup_read(directory, name, RN_SIGNATURES_BYTES_MAX, &text, err));
    RN_TRY(rn_signatures_parse(rn_buffer_view(&text), name, signatures, err));
    memcpy(move->held, signatures->plan_hash, sizeof move->held);
    move->has_job = true;
    return rn_ok();
}

static rn_result job_path(const struct move *move, const uint8_t hash[static 32],
                          char out[static RN_PATH_MAX], struct rn_error *err)
{
    char name[65];
    char jobs[RN_PATH_MAX];
    rn_hex_encode(name, hash, 32);
    name[NAME_DIGITS] = '\0';
    RN_TRY(rn_path_join(jobs, move->state, "jobs", err));
    return rn_path_join(out, jobs, name, err);
}

static rn_result move_plan(struct move *move, const struct rn_site *site,
                           const uint8_t plan_hash[static 32], struct rn_error *err)
{
    RN_TRY(rn_site_path(move->state, move->directory, site->state, err));
    move->begun = rn_setup_has(move->state, MARKER);
    if (move->begun) {
        RN_TRY(signed_plan(move->state, MARKER, move, err));
    } else if (rn_setup_has(move->directory, "plan.yaml.sigs")) {
        RN_TRY(signed_plan(move->directory, "plan.yaml.sigs", move, err));
    }
    RN_TRY(job_path(move, plan_hash, move->back, err));
    return move->has_job ? job_path(move, move->held, move->kept, err) : rn_ok();
}

/* Plan and roster go with the job where they still are the ones that were signed. */
static rn_result papers_copy(const struct move *move, struct rn_error *err)
{
    uint8_t hash[32];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer plan = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer roster = {0};
    if (!rn_setup_has(move->directory, "plan.yaml") || !rn_setup_has(move->directory, "roster")) {
        return rn_ok();
    }
    RN_TRY(rn_setup_read(move->directory, "plan.yaml", RN_PLAN_BYTES_MAX, &plan, err));
    RN_TRY(rn_setup_read(move->directory, "roster", RN_ROSTER_BYTES_MAX, &roster, err));
    rn_plan_hash(rn_buffer_view(&plan), hash);
    if (memcmp(hash, move->held, sizeof hash) == 0) { /* not edited by hand since */
        RN_TRY(rn_setup_write(move->state, "plan.yaml", rn_buffer_view(&plan), 0644, err));
    }
    rn_roster_hash(rn_buffer_view(&roster), hash);
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *parsed = rn_alloc(1, sizeof *parsed);
    if (!rn_is_ok(rn_plan_parse(rn_buffer_view(&plan), "plan.yaml", parsed, NULL)) ||
        memcmp(hash, parsed->roster_hash, sizeof hash) != 0) {
        return rn_ok(); /* extended already */
    }
    return rn_setup_write(move->state, "roster", rn_buffer_view(&roster), 0644, err);
}

static rn_result job_put_aside(const struct move *move, struct rn_error *err)
{
    if (!move->begun) {
        RN_TRY(papers_copy(move, err));
        RN_TRY(rename_below(move->directory, move->state, "plan.yaml.sigs", MARKER, err));
    }
    RN_TRY(rn_directory_make(move->kept, 0700, err));
    RN_TRY(entries_move(move->state, move->kept, err));
    return rename_below(move->state, move->kept, MARKER, "plan.yaml.sigs", err);
}

static void papers_drop(const char *folder, const char *const *names, size_t count)
{
    char path[RN_PATH_MAX];
    for (size_t i = 0; i < count; i++) {
        if (rn_is_ok(rn_path_join(path, folder, names[i], NULL))) {
            (void)unlink(path);
        }
    }
}

static rn_result job_take_back(const struct move *move, struct rn_error *err)
{
    static const char *const papers[] = {"plan.yaml", "roster", "plan.yaml.sigs"};
    papers_drop(move->back, papers, RN_ARRAY_LENGTH(papers));
    papers_drop(move->state, papers, RN_ARRAY_LENGTH(papers));
    RN_TRY(entries_move(move->back, move->state, err));
    RN_ENSURE(rmdir(move->back) == 0, err, RN_E_IO, "%s: %s", move->back, strerror(errno));
    return rn_ok();
}

static rn_result move_run(const struct move *move, bool goes, bool undone, struct rn_error *err)
{
    char lock_path[RN_PATH_MAX];
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_TRY(rn_path_join(lock_path, move->state, "lock", err));
    const rn_result held = rn_file_lock(lock_path, &lock, err);
    if (!rn_is_ok(held)) {
        return rn_fail_context(err, held,
                               "the service of %s is running: stop it before its plan changes",
                               move->directory);
    }
    if (goes) {
        RN_TRY(job_put_aside(move, err));
    }
    if (rn_file_exists(move->back)) {
        RN_TRY(job_take_back(move, err));
    }
    return undone ? rename_below(move->state, move->directory, MARKER, "plan.yaml.sigs", err)
                  : rn_ok();
}

rn_result rn_job_switch(const char *directory, const struct rn_site *site,
                        const uint8_t plan_hash[static 32], char out_kept[static RN_PATH_MAX],
                        struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct move *move = rn_alloc(1, sizeof *move);
    move->directory = directory;
    out_kept[0] = '\0';
    RN_TRY(move_plan(move, site, plan_hash, err));
    const bool same = move->has_job && memcmp(move->held, plan_hash, sizeof move->held) == 0;
    if (same && !move->begun) {
        return rn_ok();
    }
    const bool goes = move->has_job && !same && (move->begun || has_entries(move->state));
    if (goes || same || rn_file_exists(move->back)) {
        RN_TRY(move_run(move, goes, same, err));
    }
    if (goes) {
        memcpy(out_kept, move->kept, sizeof move->kept);
    }
    return rn_ok();
}

/* ---- Where a job began. */

/* RN_E_REFUSED when the plan in this folder is another one with the same start. */
static rn_result start_check(const char *folder, const struct rn_plan *plan, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *other = rn_alloc(1, sizeof *other);
    RN_TRY(rn_path_join(path, folder, "plan.yaml", err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_setup_plan_read(path, other, err));
    const bool same_plan = memcmp(other->hash, plan->hash, sizeof plan->hash) == 0;
    const bool same_start =
        other->seed == plan->seed && memcmp(other->model_hash, plan->model_hash, 32) == 0;
    RN_ENSURE(same_plan || !same_start, err, RN_E_REFUSED,
              "the plan begins with the model and seed of the job in %s: sums of both jobs over "
              "other members would show one member's update; give it another seed",
              folder);
    return rn_ok();
}

rn_result rn_job_start_check(const char *directory, const struct rn_site *site,
                             const struct rn_plan *plan, struct rn_error *err)
{
    char jobs[RN_PATH_MAX];
    char path[RN_PATH_MAX];
    char name[256];
    RN_CLEANUP(rn_free_cleanup) struct move *move = rn_alloc(1, sizeof *move);
    move->directory = directory;
    RN_TRY(move_plan(move, site, plan->hash, err));
    if (move->has_job && has_entries(move->state)) {
        RN_TRY(start_check(directory, plan, err));
    }
    RN_TRY(rn_path_join(jobs, move->state, "jobs", err));
    DIR *folder = opendir(jobs);
    rn_result result = rn_ok();
    while (folder != NULL && rn_is_ok(result) && entry_next(folder, name)) {
        result = rn_path_join(path, jobs, name, err);
        if (rn_is_ok(result)) {
            result = start_check(path, plan, err);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return result;
}
