/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/plansign.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/mailtext.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/planmodel.h"
#include "services/host/modelhash.h"
#include "services/host/roundprivacy.h"
#include "services/host/sitejobs.h"
#include "services/host/siteledger.h"

rn_result rn_plan_parties_check(const struct rn_setup *setup, const struct rn_identity *identity,
                                struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    const struct rn_identity_public *key = rn_identity_public_of(identity);
    RN_ENSURE(setup->plan_bytes.length > 0 && setup->has_roster, err, RN_E_NO_INPUT,
              "%s has no plan and roster yet: %s", setup->directory,
              setup->site.role == RN_SITE_COORDINATOR
                  ? "accept the members' requests first (rondo invite --accept)"
                  : "the operator's welcome brings them (rondo join)");
    rn_roster_hash(rn_buffer_view(&setup->roster_bytes), hash);
    RN_ENSURE(memcmp(hash, setup->plan.roster_hash, sizeof hash) == 0, err, RN_E_CONFIG,
              "%s/plan.yaml is for another roster than the one beside it", setup->directory);
    RN_ENSURE(memcmp(setup->plan.coordinator_key, setup->roster.coordinator.bytes, 32) == 0, err,
              RN_E_CONFIG, "plan and roster name different coordinators");
    if (setup->site.role == RN_SITE_COORDINATOR) {
        RN_ENSURE(rn_identity_public_equal(key, &setup->roster.coordinator), err, RN_E_IDENTITY,
                  "%s/identity.key is not the coordinator's key of the roster", setup->directory);
        return rn_ok();
    }
    const int place = rn_roster_find_key(&setup->roster, key);
    RN_ENSURE(place >= 0 && strcmp(setup->roster.members[place].name, setup->site.name) == 0, err,
              RN_E_IDENTITY, "%s/identity.key is not the key of '%s' in the roster",
              setup->directory, setup->site.name);
    return rn_ok();
}

rn_result rn_plan_policy_check(const struct rn_setup *setup, const uint8_t model_hash[32],
                               const char **out_reason, struct rn_error *err)
{
    char state[RN_PATH_MAX];
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    enum rn_policy_reason reason = RN_POLICY_ACCEPTED;
    *out_reason = "policy-absent";
    RN_ENSURE(setup->has_policy, err, RN_E_REFUSED,
              "%s/policy.yaml is missing: without it nothing runs", setup->directory);
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    struct rn_policy_facts facts = {.self_key = *rn_identity_public_of(identity),
                                    .roster_bytes = rn_buffer_view(&setup->roster_bytes),
                                    .model_known = model_hash != NULL};
    if (model_hash != NULL) {
        memcpy(facts.model_hash, model_hash, sizeof facts.model_hash);
    }
    RN_TRY(rn_site_path(state, setup->directory, setup->site.state, err));
    RN_TRY(rn_round_privacy_spent(setup->directory, state, &setup->policy, &setup->plan,
                                  &facts.spent, err));
    const rn_result result = rn_policy_check(&setup->policy, &setup->plan, &setup->roster, &facts,
                                             RN_POLICY_PROPOSED, &reason, err);
    *out_reason = rn_policy_reason_name(reason);
    return result;
}

rn_result rn_plan_policy_decide(const struct rn_setup *setup, const char *model,
                                const uint8_t model_hash[32], struct rn_plan_cost *out_cost,
                                struct rn_error *err)
{
    const char *reason = NULL;
    struct rn_plan_numbers numbers;
    enum rn_policy_reason upload = RN_POLICY_ACCEPTED;
    rn_result result = rn_plan_policy_check(setup, model_hash, &reason, err);
    if (!rn_is_ok(result)) {
        return rn_fail_context(err, result, "%s", reason);
    }
    RN_TRY(rn_plan_feasible(&setup->plan, setup->roster.count, &numbers, err));
    RN_TRY(rn_plan_cost_compute(&setup->plan, &numbers, model, out_cost, err));
    result = rn_policy_check_upload(&setup->policy, out_cost->bytes_max, &upload, err);
    return rn_is_ok(result) ? result
                            : rn_fail_context(err, result, "%s", rn_policy_reason_name(upload));
}

rn_result rn_plan_ledger_check(const struct rn_setup *setup, struct rn_job_ledger *out_ledger,
                               struct rn_error *err)
{
    char state[RN_PATH_MAX];
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    out_ledger->count = 0;
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    RN_TRY(rn_site_path(state, setup->directory, setup->site.state, err));
    const struct rn_siteledger_place place = {setup->directory, state,
                                              rn_identity_public_of(identity)};
    RN_TRY(rn_siteledger_read(&place, out_ledger, err));
    RN_TRY(rn_sitejobs_check(state, out_ledger, err));
    return rn_job_ledger_check(out_ledger, &setup->plan, setup->policy.upload.jobs_max, err);
}

/* The policy first: without its consent the data is not even counted. */
static rn_result member_check(const struct rn_setup *setup, struct rn_error *err)
{
    char model[RN_PATH_MAX];
    uint8_t model_hash[32];
    struct rn_plan_cost cost;
    struct rn_plan_examples found;
    RN_CLEANUP(rn_free_cleanup) struct rn_job_ledger *ledger = rn_alloc(1, sizeof *ledger);
    RN_TRY(rn_site_path(model, setup->directory, setup->site.model, err));
    RN_TRY(rn_model_hash(model, model_hash, err));
    RN_TRY(rn_plan_policy_decide(setup, model, model_hash, &cost, err));
    RN_TRY(rn_plan_ledger_check(setup, ledger, err));
    return rn_plan_setup_check(setup, &found, err);
}

/* A member that signed an earlier plan is no impostor. */
static rn_result same_plan_check(const struct rn_setup *setup,
                                 const struct rn_plan_signatures *other, const char *file,
                                 struct rn_error *err)
{
    char there[65];
    char here[65];
    rn_hex_encode(there, other->plan_hash, 32);
    rn_hex_encode(here, setup->plan.hash, 32);
    RN_ENSURE(memcmp(other->plan_hash, setup->plan.hash, 32) == 0, err, RN_E_CONFIG,
              "%s: signs another plan, %.16s..., than %s/plan.yaml, %.16s...: who signed it takes "
              "this plan's welcome and signs again",
              file, there, setup->directory, here);
    return rn_ok();
}

static rn_result signatures_take(struct rn_setup *setup, const char *file, struct rn_error *err)
{
    struct rn_plan_signers signers;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_plan_signatures *other = rn_alloc(1, sizeof *other);
    rn_result result = rn_file_read(file, RN_SIGNATURES_BYTES_MAX, &text, err);
    if (rn_is_ok(result)) {
        (void)rn_mailtext_plain(&text);
        result = rn_signatures_parse(rn_buffer_view(&text), file, other, err);
    }
    if (rn_is_ok(result)) {
        result = same_plan_check(setup, other, file, err);
    }
    if (rn_is_ok(result)) {
        result = rn_signatures_verify(other, &setup->plan, &setup->roster, &signers, err);
        if (!rn_is_ok(result)) {
            result = rn_fail_context(err, result, "%s", file);
        }
    }
    if (rn_is_ok(result)) {
        result = rn_signatures_merge(&setup->signatures, other, err);
    }
    rn_free(other);
    return result;
}

static rn_result own_signature_write(const struct rn_setup *setup,
                                     const struct rn_identity *identity, struct rn_error *err)
{
    char file[RN_NAME_MAX + 16];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_plan_signatures *own = rn_alloc(1, sizeof *own);
    rn_signatures_init(own, &setup->plan);
    rn_result result = rn_signatures_add(own, &setup->plan, identity, err);
    if (rn_is_ok(result)) {
        result = rn_signatures_write(own, &setup->roster, &text, err);
    }
    rn_free(own);
    RN_TRY(result);
    (void)rn_text_format(file, sizeof file, "%s.signature", setup->site.name);
    return rn_setup_write(setup->directory, file, rn_buffer_view(&text), 0644, err);
}

rn_result rn_plan_sign(struct rn_setup *setup, const char *const *files, size_t count,
                       struct rn_plan_signers *out_signers, struct rn_error *err)
{
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const bool coordinator = setup->site.role == RN_SITE_COORDINATOR;
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    RN_TRY(rn_plan_parties_check(setup, identity, err));
    if (!coordinator) {
        RN_TRY(member_check(setup, err));
    }
    for (size_t i = 0; i < count; i++) {
        RN_TRY(signatures_take(setup, files[i], err));
    }
    RN_TRY(rn_signatures_add(&setup->signatures, &setup->plan, identity, err));
    RN_TRY(
        rn_signatures_verify(&setup->signatures, &setup->plan, &setup->roster, out_signers, err));
    if (coordinator) {
        return rn_enrol_finish(setup, err); /* the welcomes carry the signatures too */
    }
    RN_TRY(rn_signatures_write(&setup->signatures, &setup->roster, &text, err));
    RN_TRY(rn_setup_write(setup->directory, "plan.yaml.sigs", rn_buffer_view(&text), 0644, err));
    return own_signature_write(setup, identity, err);
}
