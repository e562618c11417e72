/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/guard.h"
#include "crypto/secret.h"
#include "policy/groupsign.h"
#include "services/federation/participationstate.h"

_Static_assert(RN_SIGNATURES_BYTES_MAX == RN_WIRE_SIGNATURES_MAX, "the file fits the wire");

/* The sentence of the rule that is broken, and by name who has not signed. */
static void name_missing(struct rn_part_signers *signers, const struct rn_roster *roster)
{
    struct rn_error *missing = &signers->missing;
    char names[RN_ERROR_TEXT_MAX / 2];
    const size_t used = strlen(missing->text);
    rn_signatures_missing(&signers->who, roster, names, sizeof(names));
    if (names[0] == '\0') {
        return;
    }
    (void)rn_text_format(missing->text + used, sizeof(missing->text) - used, "; not signed yet: %s",
                         names);
}

static void keep(struct rn_participation *p)
{
    struct rn_part_signers *signers = &p->signers;
    struct rn_effect *effect = rn_effects_add(p->out, RN_EFFECT_KEEP);
    RN_BUG_IF(!rn_is_ok(
        rn_signatures_write(&signers->set, p->config.basis->roster, &effect->bytes, NULL)));
    signers->keeping++;
}

static void wait_for(struct rn_participation *p, const struct rn_error *what)
{
    struct rn_part_signers *signers = &p->signers;
    signers->satisfied = false;
    signers->missing = *what;
    name_missing(signers, p->config.basis->roster);
    rn_part_event_err(p, (struct rn_job_event){.kind = RN_JOB_POLICY_WAITS}, &signers->missing);
}

/* Of a blind plan, whose signatures the policy has: is the group key here? Its maker makes it now;
 * it counts, there too, once its document is on the disk. */
static void judge_group(struct rn_participation *p)
{
    const struct rn_job_basis *basis = p->config.basis;
    struct rn_part_signers *signers = &p->signers;
    struct rn_error err = {0};
    if (rn_signatures_group_make(&signers->set, basis->roster, basis->identity, basis->self)) {
        signers->who.group = true;
        signers->satisfied = false;
        (void)rn_text_format(signers->missing.text, sizeof(signers->missing.text),
                             "the group key of this blind plan is being written");
        keep(p);
        return;
    }
    struct rn_secret32 *group = rn_secret_alloc(sizeof(*group));
    const rn_result opened = rn_signatures_group_open(&signers->set, basis->roster, basis->identity,
                                                      basis->self, group, &err);
    if (!rn_is_ok(opened)) {
        rn_secret_free(group);
        wait_for(p, &err);
        return;
    }
    signers->group = group;
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
    if (signers->satisfied && rn_plan_is_blind(basis->plan)) {
        judge_group(p);
    }
    if (rn_is_ok(result) || !rn_policy_reason_waits(reason)) {
        return result;
    }
    wait_for(p, err);
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
    keep(p);
}

void rn_part_signers_bring(struct rn_participation *p)
{
    const struct rn_job_basis *basis = p->config.basis;
    const struct rn_part_signers *signers = &p->signers;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    if (basis->self == RN_GROUP_MAKER && signers->group != NULL) {
        RN_BUG_IF(!rn_is_ok(rn_signatures_write(&signers->set, basis->roster, &text, NULL)));
        rn_part_send_signatures(p, rn_buffer_view(&text));
    }
}

void rn_part_signers_clear(struct rn_participation *p)
{
    rn_secret_free(p->signers.group);
    p->signers.group = NULL;
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
        rn_part_signers_bring(p);
        rn_part_send_ask(p);
        *out_satisfied = true;
    }
    return rn_ok();
}
