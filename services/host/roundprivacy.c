/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/roundprivacy.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/sha256.h"
#include "policy/privacyquote.h"
#include "policy/sharedplan.h"
#include "services/host/siteprivacy.h"

#define UPDATE_TAG "rondo/v1 privacy update"
/* Secret of the lineage's commitment, kept by the owner of the data. */
#define SALT_SUFFIX ".salt"

struct rn_round_privacy {
    const struct rn_site_files *site;
    struct rn_siteprivacy *ledger;
    bool on;
    uint64_t counter; /* of the training that runs */
    double bound;
    atomic_uint begun; /* for the status, whenever it likes */
    _Atomic double spent;
};

/* ---- What was spent before */

/* Without the plan in question; what another open one began is spent, since it ends where this one
 * begins. */
static void spent_raise(const struct rn_privacy_ledger *ledger, const uint8_t plan_hash[static 32],
                        struct rn_policy_spent *out)
{
    const struct rn_privacy_planstate *known = rn_privacy_ledger_find(ledger, plan_hash);
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    const double filter =
        known != NULL ? known->plan.filter_before : rn_privacy_ledger_filter(ledger, false);
    double apart = ledger->apart;
    if (open != NULL && open != known) {
        apart += open->plan.cut * open->begun / open->plan.trainings;
    }
    out->filter = filter > out->filter ? filter : out->filter;
    out->apart = apart > out->apart ? apart : out->apart;
}

/* A file without a whole record is one whose first line was never durable. */
static rn_result copy_spent(const char *directory, const char *lineage,
                            const uint8_t plan_hash[static 32], struct rn_policy_spent *out,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    struct rn_privacy_ledger *ledger = NULL;
    RN_TRY(rn_siteprivacy_path(directory, lineage, path, err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    const rn_result read = rn_siteprivacy_read(path, &ledger, err);
    if (read.code == RN_E_NO_INPUT) {
        return rn_ok();
    }
    RN_TRY(read);
    spent_raise(ledger, plan_hash, out);
    rn_privacy_ledger_free(ledger);
    return rn_ok();
}

rn_result rn_round_privacy_spent(const char *directory, const char *state,
                                 const struct rn_policy *policy, const struct rn_plan *plan,
                                 struct rn_policy_spent *out, struct rn_error *err)
{
    const char *lineage = policy->privacy.lineage;
    *out = (struct rn_policy_spent){0};
    if (policy->privacy.epsilon == 0) {
        return rn_ok();
    }
    RN_TRY(copy_spent(directory, lineage, plan->hash, out, err));
    return copy_spent(state, lineage, plan->hash, out, err);
}

/* ---- Start */

/* The salt is made once and stays beside the ledger. */
static rn_result commitment_fill(const struct rn_site_files *site, struct rn_privacy_terms *terms,
                                 struct rn_error *err)
{
    static const uint8_t nothing[32];
    uint8_t salt[32];
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_siteprivacy_path(site->state, terms->lineage, path, err));
    RN_ENSURE(strlen(path) + sizeof SALT_SUFFIX <= sizeof path, err, RN_E_CONFIG,
              "%s: path too long", site->state);
    (void)rn_text_format(path + strlen(path), sizeof SALT_SUFFIX, "%s", SALT_SUFFIX);
    if (rn_file_exists(path)) {
        RN_TRY(rn_file_read(path, sizeof salt, &text, err));
        RN_ENSURE(text.length == sizeof salt, err, RN_E_DATA, "%s: not the salt of a lineage",
                  path);
        memcpy(salt, text.data, sizeof salt);
    } else {
        RN_TRY(rn_random_bytes(salt, sizeof salt, err));
        RN_TRY(rn_file_write(path, rn_view_of(salt, sizeof salt), 0600, err));
    }
    rn_privacy_lineage_commit(salt, nothing, terms->lineage, terms->commitment);
    return rn_ok();
}

static rn_result ledger_open(struct rn_round_privacy *privacy, struct rn_error *err)
{
    const struct rn_site_files *site = privacy->site;
    struct rn_privacy_terms terms;
    const struct rn_siteprivacy_place place = {site->directory, site->state,
                                               site->policy.privacy.lineage, site->identity};
    rn_privacy_terms_of(&site->policy.privacy, &terms);
    RN_TRY(commitment_fill(site, &terms, err));
    return rn_siteprivacy_open(&place, &terms, &privacy->ledger, err);
}

/* One plan is open at a time: the one before ends where another begins. */
static rn_result earlier_close(struct rn_round_privacy *privacy, struct rn_error *err)
{
    const struct rn_privacy_planstate *open =
        rn_privacy_ledger_open(rn_siteprivacy_ledger(privacy->ledger));
    if (open == NULL || memcmp(open->plan.hash, privacy->site->plan.hash, 32) == 0) {
        return rn_ok();
    }
    uint8_t hash[32];
    memcpy(hash, open->plan.hash, sizeof hash);
    return rn_siteprivacy_close_plan(privacy->ledger, hash, err);
}

static rn_result witness_check(const struct rn_round_privacy *privacy, uint32_t rounds,
                               uint32_t round, struct rn_error *err)
{
    const struct rn_privacy_planstate *known =
        rn_privacy_ledger_find(rn_siteprivacy_ledger(privacy->ledger), privacy->site->plan.hash);
    const uint32_t begun = known == NULL ? 0 : known->begun;
    const uint32_t last = known == NULL ? 0 : known->round;
    RN_ENSURE(begun >= rounds && last >= round, err, RN_E_DATA,
              "the privacy ledger of '%s' knows of %u trainings of this plan up to round %u, the "
              "journal of %u up to %u: it is an older copy. Put the newest one back; without it "
              "nobody knows what was spent",
              privacy->site->policy.privacy.lineage, (unsigned)begun, (unsigned)last,
              (unsigned)rounds, (unsigned)round);
    return rn_ok();
}

/* Copies for the status. */
static void figures_take(struct rn_round_privacy *privacy)
{
    const struct rn_privacy_ledger *ledger = rn_siteprivacy_ledger(privacy->ledger);
    const struct rn_privacy_planstate *plan =
        rn_privacy_ledger_find(ledger, privacy->site->plan.hash);
    privacy->bound = ledger->terms.bound;
    atomic_store(&privacy->begun, plan == NULL ? 0 : plan->begun);
    atomic_store(&privacy->spent, rn_privacy_ledger_filter(ledger, false));
}

static rn_result plan_begin(struct rn_round_privacy *privacy, uint32_t rounds, uint32_t round,
                            struct rn_error *err)
{
    const struct rn_site_files *site = privacy->site;
    struct rn_privacy_quote quote;
    RN_TRY(earlier_close(privacy, err));
    if (!privacy->on) {
        return rn_siteprivacy_mark_nonprivate(privacy->ledger, site->plan.hash, site->plan.name,
                                              err);
    }
    RN_TRY(rn_privacy_quote(&site->plan, &site->policy, &quote, err));
    RN_TRY(rn_siteprivacy_begin_plan(privacy->ledger, &quote.plan, err));
    return witness_check(privacy, rounds, round, err);
}

static rn_result orphans_in(const char *directory, struct rn_error *err)
{
    struct rn_siteprivacy_lineages lineages;
    RN_TRY(rn_siteprivacy_lineages(directory, &lineages, err));
    RN_ENSURE(lineages.count == 0, err, RN_E_CONFIG,
              "%s holds the privacy ledger of '%s', but policy.yaml has no section `privacy`: "
              "without it nobody knows what to charge. Put the section back, or move the ledger "
              "away, if this plan is over other data",
              directory, lineages.names[0]);
    return rn_ok();
}

rn_result rn_round_privacy_open(const struct rn_site_files *site, uint32_t rounds, uint32_t round,
                                struct rn_round_privacy **out, struct rn_error *err)
{
    *out = NULL;
    if (site->policy.privacy.epsilon == 0) {
        RN_TRY(orphans_in(site->directory, err));
        return orphans_in(site->state, err);
    }
    struct rn_round_privacy *privacy = rn_alloc(1, sizeof *privacy);
    privacy->site = site;
    privacy->on = rn_plan_is_private(&site->plan);
    rn_result result = ledger_open(privacy, err);
    if (rn_is_ok(result)) {
        result = plan_begin(privacy, rounds, round, err);
    }
    if (!rn_is_ok(result)) {
        rn_round_privacy_free(privacy);
        return result;
    }
    figures_take(privacy);
    *out = privacy;
    return rn_ok();
}

void rn_round_privacy_free(struct rn_round_privacy *privacy)
{
    if (privacy != NULL) {
        rn_siteprivacy_free(privacy->ledger);
        rn_free(privacy);
    }
}

rn_result rn_round_privacy_records_check(const struct rn_round_privacy *privacy, uint64_t records,
                                         struct rn_error *err)
{
    RN_ENSURE(!rn_round_privacy_on(privacy) || records <= privacy->site->policy.privacy.records_max,
              err, RN_E_REFUSED,
              "this site's training data has more records than its policy's privacy.records_max, "
              "the public bound that its promise stands on");
    if (rn_round_privacy_on(privacy) &&
        privacy->site->plan.privacy.sampling == RN_PLAN_ALLOCATION) {
        RN_ENSURE(records <= RN_DP_ALLOCATION_PICKS_MAX / rn_plan_picks(&privacy->site->plan), err,
                  RN_E_REFUSED,
                  "this site's training data has too many records for the plan's random "
                  "allocation: records times privacy.rate times training.steps is at most %llu",
                  (unsigned long long)RN_DP_ALLOCATION_PICKS_MAX);
    }
    return rn_ok();
}

bool rn_round_privacy_on(const struct rn_round_privacy *privacy)
{
    return privacy != NULL && privacy->on;
}

/* ---- A training */

/* In units of clip: of the whole noise, or of this member's share, a whole number of grid steps. */
static double multiplier(const struct rn_plan *plan)
{
    return rn_plan_is_shared(plan) ? rn_shared_deviation(plan) / (double)RN_PRIVACY_GRID
                                   : plan->privacy.noise;
}

static void spec_fill(const struct rn_plan *whole, struct rn_dp_source *source,
                      struct rn_dp_spec *out)
{
    const struct rn_plan_privacy *plan = &whole->privacy;
    const bool allocated = plan->sampling == RN_PLAN_ALLOCATION;
    *out = (struct rn_dp_spec){
        .clip_norm = plan->clip,
        .clipping =
            plan->clipping == RN_PLAN_CLIP_AUTOMATIC ? RN_DP_CLIP_AUTOMATIC : RN_DP_CLIP_FLAT,
        .noise_multiplier = multiplier(whole),
        .grid = RN_PRIVACY_GRID,
        .denominator = plan->denominator,
        .sampling = allocated ? RN_DP_ALLOCATION : RN_DP_POISSON,
        .threshold = allocated ? 0 : rn_privacy_threshold(plan->rate),
        .picks = allocated ? rn_plan_picks(whole) : 0,
    };
    rn_dp_source_lend(source, rn_plan_is_shared(whole), out);
}

rn_result rn_round_privacy_begin(struct rn_round_privacy *privacy, uint32_t round,
                                 const uint8_t adapter_hash[static 32], struct rn_dp_source *source,
                                 struct rn_dp_spec *out_spec, struct rn_error *err)
{
    const struct rn_plan *plan = &privacy->site->plan;
    struct rn_privacy_intent intent = {
        .round = round,
        .steps = plan->training.steps,
        .matrices = (enum rn_privacy_matrices)rn_plan_active(plan, round),
        .rng = RN_PRIVACY_RNG_SYSTEM,
    };
    RN_TRY(rn_dp_source_draw(source, err));
    memcpy(intent.plan, plan->hash, sizeof intent.plan);
    memcpy(intent.adapter, adapter_hash, sizeof intent.adapter);
    memcpy(intent.keys, source->commitment, sizeof intent.keys);
    RN_TRY(rn_siteprivacy_intent(privacy->ledger, &intent, &privacy->counter, err));
    figures_take(privacy);
    rn_log(RN_LOG_INFO, "privacy.intent", RN_LOG_NUMBER(RN_F_ROUND, round),
           RN_LOG_NUMBER(RN_F_COUNT, atomic_load(&privacy->begun)),
           RN_LOG_NUMBER(RN_F_LIMIT, rn_plan_trainings(plan)));
    spec_fill(plan, source, out_spec);
    return rn_ok();
}

rn_result rn_round_privacy_end(struct rn_round_privacy *privacy, const struct rn_view *bytes,
                               struct rn_error *err)
{
    uint8_t output[32] = {0};
    if (bytes != NULL) {
        rn_sha256(output, UPDATE_TAG, bytes, 1);
    }
    return rn_siteprivacy_commit(privacy->ledger, privacy->counter, output,
                                 bytes != NULL ? RN_PRIVACY_SENT : RN_PRIVACY_FAILED, err);
}

rn_result rn_round_privacy_close(struct rn_round_privacy *privacy, struct rn_error *err)
{
    return rn_round_privacy_on(privacy)
               ? rn_siteprivacy_close_plan(privacy->ledger, privacy->site->plan.hash, err)
               : rn_ok();
}

void rn_round_privacy_json(const struct rn_round_privacy *privacy, struct rn_buffer *out)
{
    if (privacy == NULL) {
        rn_buffer_format(out, "null");
        return;
    }
    const struct rn_site_files *site = privacy->site;
    rn_buffer_format(out,
                     "{\"lineage\":\"%s\",\"private\":%s,\"epsilon\":%.9g,\"delta\":%.9g,"
                     "\"trainings\":%u,\"trainings_max\":%llu,\"filter_spent\":%.9g,"
                     "\"filter_bound\":%.9g}",
                     site->policy.privacy.lineage, privacy->on ? "true" : "false",
                     site->policy.privacy.epsilon, site->policy.privacy.delta,
                     (unsigned)atomic_load(&privacy->begun),
                     (unsigned long long)(privacy->on ? rn_plan_trainings(&site->plan) : 0),
                     atomic_load(&privacy->spent), privacy->bound);
}
