/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/participationstate.h"

_Static_assert(RN_SIGNATURES_BYTES_MAX == RN_WIRE_SIGNATURES_MAX, "the file fits the wire");

/* The sentence of the rule that is broken, and by name who has not signed. */
static void name_missing(struct rn_part_signers *signers, const struct rn_roster *roster)
{
    struct rn_error *missing = &signers->missing;
    char names[RN_ERROR_TEXT_MAX / 2];
    const size_t used = strlen(missing->text);
    rn_signatures_missing(&signers->who, roster, names, sizeof(names));
    (void)rn_text_format(missing->text + used, sizeof(missing->text) - used, "; not signed yet: %s",
                         names);
}

/* What is durable, by the same rules as at the start of the service (policy/decide.c). */
static rn_result judge(struct rn_participation *p, struct rn_error *err)
{
    const struct rn_job_basis *basis = p->config.basis;
    struct rn_part_signers *signers = &p->signers;
    const struct rn_policy_facts facts = {.self_key = *rn_identity_public_of(basis->identity),
                                          .signed_by = signers->who.members,
                                          .coordinator_signed = signers->who.coordinator};
    enum rn_policy_reason reason = RN_POLICY_ACCEPTED;
    const rn_result result =
        rn_policy_check_signers(p->config.policy, basis->plan, basis->roster, &facts, &reason, err);
    signers->satisfied = rn_is_ok(result);
    if (signers->satisfied || !rn_policy_reason_waits(reason)) {
        return result;
    }
    signers->missing = *err;
    name_missing(signers, basis->roster);
    rn_part_event_err(p, (struct rn_job_event){.kind = RN_JOB_POLICY_WAITS}, &signers->missing);
    return rn_ok();
}

rn_result rn_part_signers_start(struct rn_participation *p, struct rn_error *err)
{
    const struct rn_job_basis *basis = p->config.basis;
    struct rn_part_signers *signers = &p->signers;
    signers->set = *p->config.signatures;
    RN_TRY(rn_signatures_verify(&signers->set, basis->plan, basis->roster, &signers->who, err));
    return judge(p, err);
}

void rn_part_signers_hear(struct rn_participation *p, struct rn_view text, const char *source)
{
    const struct rn_roster *roster = p->config.basis->roster;
    struct rn_part_signers *signers = &p->signers;
    struct rn_error err = {0};
    uint32_t fresh = 0;
    const rn_result result =
        rn_signatures_take(text, source, roster, &signers->set, &fresh, &signers->who, &err);
    if (!rn_is_ok(result)) {
        rn_part_event_err(
            p, (struct rn_job_event){.kind = RN_JOB_SIGNATURES_REFUSED, .outcome = result.code},
            &err);
        return;
    }
    if (fresh == 0) {
        return;
    }
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_SIGNATURES,
                                           .count = fresh,
                                           .present = signers->who.member_count,
                                           .members = roster->count});
    struct rn_effect *effect = rn_effects_add(p->out, RN_EFFECT_KEEP);
    RN_BUG_IF(!rn_is_ok(rn_signatures_write(&signers->set, roster, &effect->bytes, NULL)));
    signers->keeping++;
}

rn_result rn_part_signers_kept(struct rn_participation *p, const struct rn_input *input,
                               bool *out_satisfied, struct rn_error *err)
{
    struct rn_part_signers *signers = &p->signers;
    signers->keeping--;
    *out_satisfied = false;
    if (input->code != RN_OK) {
        (void)rn_text_format(err->text, sizeof(err->text), "%s", input->text);
        rn_part_event_err(
            p, (struct rn_job_event){.kind = RN_JOB_SIGNATURES_UNKEPT, .outcome = input->code},
            err);
        /* One that has all it needs goes on without the others' on its disk. */
        return signers->satisfied ? rn_ok() : (rn_result){input->code};
    }
    if (signers->satisfied || signers->keeping > 0) {
        return rn_ok();
    }
    RN_TRY(judge(p, err));
    if (signers->satisfied) {
        rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_POLICY_SATISFIED});
        rn_part_send_ask(p);
        *out_satisfied = true;
    }
    return rn_ok();
}
