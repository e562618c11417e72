/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/sitejobs.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/guard.h"
#include "services/federation/jobrecord.h"
#include "services/store/sqlitestore.h"

#define NAME_BYTES 8 /* of the plan's hash: the name of an earlier job's folder */

static rn_result unknown(const char *directory, struct rn_error *err)
{
    return rn_fail(err, RN_E_DATA,
                   "%s holds a job that updates of this identity went into, but jobs.ledger does "
                   "not know it: both its copies are missing or old. Put back the newest one, "
                   "beside identity.key or in state; without it nobody knows what this identity "
                   "has sent, so take part with a new one",
                   directory);
}

/* The plan is named by the journal itself. */
static rn_result journal_check(const char *directory, const struct rn_job_ledger *ledger,
                               struct rn_error *err)
{
    bool found = false;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_TRY(rn_sqlite_store_peek(directory, RN_RECORD_SPENT, &body, &found, err));
    if (!found) {
        return rn_ok(); /* no session was joined */
    }
    RN_TRY(rn_sqlite_store_peek(directory, RN_RECORD_PLAN, &body, &found, err));
    return found && body.length == RN_HASH_BYTES && rn_job_ledger_has(ledger, body.data)
               ? rn_ok()
               : unknown(directory, err);
}

static bool is_charged(const struct rn_job_ledger *ledger, const uint8_t start[static NAME_BYTES])
{
    for (uint32_t i = 0; i < ledger->count; i++) {
        if (memcmp(ledger->entries[i].plan_hash, start, NAME_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Journals of jobs that are charged are left closed. */
static rn_result earlier_check(const char *jobs, const char *name,
                               const struct rn_job_ledger *ledger, struct rn_error *err)
{
    uint8_t start[NAME_BYTES];
    char directory[RN_PATH_MAX];
    if (!rn_hex_decode(start, sizeof start, name) || is_charged(ledger, start)) {
        return rn_ok();
    }
    RN_TRY(rn_path_join(directory, jobs, name, err));
    const rn_result result = journal_check(directory, ledger, err);
    return rn_is_ok(result) ? result : unknown(directory, err);
}

static void folder_close(DIR **folder)
{
    if (*folder != NULL) {
        (void)closedir(*folder);
    }
}

static rn_result earlier_ones_check(const char *state, const struct rn_job_ledger *ledger,
                                    struct rn_error *err)
{
    char jobs[RN_PATH_MAX];
    RN_TRY(rn_path_join(jobs, state, "jobs", err));
    RN_CLEANUP(folder_close) DIR *folder = opendir(jobs);
    RN_ENSURE(folder != NULL || errno == ENOENT, err, RN_E_IO, "%s: %s", jobs, strerror(errno));
    if (folder == NULL) {
        return rn_ok();
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL; errno = 0) {
        RN_TRY(earlier_check(jobs, entry->d_name, ledger, err));
    }
    RN_ENSURE(errno == 0, err, RN_E_IO, "%s: %s", jobs, strerror(errno));
    return rn_ok();
}

rn_result rn_sitejobs_check(const char *state, const struct rn_job_ledger *ledger,
                            struct rn_error *err)
{
    const rn_result result = journal_check(state, ledger, err);
    if (!rn_is_ok(result) && result.code != RN_E_NO_INPUT) { /* nothing ran here yet */
        return result;
    }
    return earlier_ones_check(state, ledger, err);
}
