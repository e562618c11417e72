/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/siteledger.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/host/sitejobs.h"

enum { BESIDE, IN_STATE, COPIES };

struct rn_siteledger {
    char paths[COPIES][RN_PATH_MAX];
    bool writable; /* the directory of the identity */
    bool charged;  /* durably, in each copy */
    int lock;
    const struct rn_plan *plan;
    struct rn_job_ledger jobs;
};

/* *out_count: of its entries, all of which are in out then. */
static rn_result copy_take(const char *directory, const struct rn_identity_public *identity,
                           struct rn_job_ledger *out, uint32_t *out_count, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_free_cleanup) struct rn_job_ledger *copy = rn_alloc(1, sizeof *copy);
    *out_count = 0;
    RN_TRY(rn_path_join(path, directory, RN_SITE_LEDGER, err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, RN_JOB_LEDGER_BYTES_MAX, &text, err));
    RN_TRY(rn_job_ledger_parse(rn_buffer_view(&text), path, identity, copy, err));
    *out_count = copy->count;
    return rn_job_ledger_merge(out, copy, err);
}

static rn_result copies_take(const struct rn_siteledger_place *place, struct rn_job_ledger *out,
                             uint32_t out_counts[static COPIES], struct rn_error *err)
{
    rn_job_ledger_init(out, place->identity);
    RN_TRY(copy_take(place->directory, place->identity, out, &out_counts[BESIDE], err));
    return copy_take(place->state, place->identity, out, &out_counts[IN_STATE], err);
}

rn_result rn_siteledger_read(const struct rn_siteledger_place *place, struct rn_job_ledger *out,
                             struct rn_error *err)
{
    uint32_t counts[COPIES];
    return copies_take(place, out, counts, err);
}

static rn_result copies_write(const struct rn_siteledger *ledger, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_job_ledger_write(&ledger->jobs, &text);
    RN_TRY(rn_file_write(ledger->paths[IN_STATE], rn_buffer_view(&text), 0644, err));
    return ledger->writable ? rn_file_write(ledger->paths[BESIDE], rn_buffer_view(&text), 0644, err)
                            : rn_ok();
}

/* Where the directory is read-only the store's own lock, in the state, has to do. */
static rn_result lock_take(const struct rn_siteledger_place *place, struct rn_siteledger *ledger,
                           struct rn_error *err)
{
    char path[RN_PATH_MAX];
    ledger->writable = access(place->directory, W_OK) == 0;
    if (!ledger->writable) {
        return rn_ok();
    }
    RN_TRY(rn_path_join(path, place->directory, RN_SITE_LEDGER ".lock", err));
    const rn_result taken = rn_file_lock(path, &ledger->lock, err);
    return rn_is_ok(taken) ? taken
                           : rn_fail_context(err, taken,
                                             "%s: another rondo-trainer runs with the identity of "
                                             "this directory",
                                             place->directory);
}

/* Charged and bound without a record: a crash between the two, when nothing was sent. */
static rn_result fit_check(const struct rn_siteledger *ledger, struct rn_siteledger_state state,
                           struct rn_error *err)
{
    RN_ENSURE(ledger->charged || !state.spent, err, RN_E_DATA,
              "%s does not know the plan whose job lies in state: it is missing or an old copy. "
              "Without it nobody knows what this identity has sent: leave this job, and join the "
              "next plan with a new identity",
              ledger->paths[BESIDE]);
    RN_ENSURE(
        !ledger->charged || state.bound, err, RN_E_DATA,
        "%s says that updates of this plan were sent from here, but state does not hold its "
        "job: it was lost, or is another directory. Put it back as it was last (an older copy "
        "would send again what was sent), or leave this job to the others",
        ledger->paths[BESIDE]);
    return rn_ok();
}

static rn_result open(const struct rn_siteledger_place *place, uint32_t jobs_max,
                      struct rn_siteledger_state state, struct rn_siteledger *ledger,
                      struct rn_error *err)
{
    uint32_t counts[COPIES];
    RN_TRY(rn_path_join(ledger->paths[BESIDE], place->directory, RN_SITE_LEDGER, err));
    RN_TRY(rn_path_join(ledger->paths[IN_STATE], place->state, RN_SITE_LEDGER, err));
    RN_TRY(lock_take(place, ledger, err));
    RN_TRY(copies_take(place, &ledger->jobs, counts, err));
    ledger->charged = rn_job_ledger_has(&ledger->jobs, ledger->plan->hash);
    RN_TRY(fit_check(ledger, state, err));
    RN_TRY(rn_sitejobs_check(place->state, &ledger->jobs, err));
    RN_TRY(rn_job_ledger_check(&ledger->jobs, ledger->plan, jobs_max, err));
    ledger->charged = false; /* its name may not be durable yet: the first charge writes both */
    const bool whole = counts[IN_STATE] == ledger->jobs.count &&
                       (counts[BESIDE] == ledger->jobs.count || !ledger->writable);
    return whole ? rn_ok() : copies_write(ledger, err);
}

rn_result rn_siteledger_open(const struct rn_siteledger_place *place, const struct rn_plan *plan,
                             uint32_t jobs_max, struct rn_siteledger_state state,
                             struct rn_siteledger **out, struct rn_error *err)
{
    struct rn_siteledger *ledger = rn_alloc(1, sizeof *ledger);
    ledger->lock = -1;
    ledger->plan = plan;
    const rn_result result = open(place, jobs_max, state, ledger, err);
    if (!rn_is_ok(result)) {
        rn_siteledger_free(ledger);
        return result;
    }
    *out = ledger;
    return rn_ok();
}

rn_result rn_siteledger_charge(struct rn_siteledger *ledger, struct rn_error *err)
{
    if (ledger->charged) {
        return rn_ok();
    }
    RN_TRY(rn_job_ledger_charge(&ledger->jobs, ledger->plan, err));
    RN_TRY(copies_write(ledger, err));
    ledger->charged = true;
    return rn_ok();
}

const struct rn_job_ledger *rn_siteledger_jobs(const struct rn_siteledger *ledger)
{
    return &ledger->jobs;
}

void rn_siteledger_json(const struct rn_job_ledger *jobs, uint32_t jobs_max, struct rn_buffer *out)
{
    char hash[65];
    struct rn_job_model model;
    const char *between = "";
    rn_buffer_format(out, "{\"jobs\":%u,\"jobs_max\":%u,\"models\":[", (unsigned)jobs->count,
                     (unsigned)jobs_max);
    for (uint32_t at = 0; rn_job_ledger_next_model(jobs, &at, &model);) {
        rn_hex_encode(hash, model.hash, 32);
        rn_buffer_format(out, "%s{\"model\":\"%s\",\"jobs\":%u}", between, hash,
                         (unsigned)model.jobs);
        between = ",";
    }
    rn_buffer_format(out, "]}");
}

void rn_siteledger_free(struct rn_siteledger *ledger)
{
    if (ledger != NULL) {
        rn_file_unlock(&ledger->lock);
        rn_free(ledger);
    }
}
