/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo policy check: what this member's policy says of a plan, before anybody signs anything.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/setup.h"
#include "policy/privacyquote.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/plansign.h"
#include "services/host/modelhash.h"

struct check_settings {
    const char *site;
};

struct check {
    struct rn_setup *setup;
    rn_result verdict;
    const char *reason;
    struct rn_error detail;
    bool quoted;
    struct rn_privacy_quote quote;
};

static rn_result load(const char *directory, const char *plan, struct rn_setup *setup,
                      struct rn_error *err)
{
    RN_ENSURE(setup->site.role == RN_SITE_MEMBER, err, RN_E_USAGE,
              "%s is the operator's directory: policies are the members'", directory);
    RN_ENSURE(setup->has_roster, err, RN_E_NO_INPUT,
              "%s has no roster yet: the operator's welcome brings it (rondo join)", directory);
    return rn_setup_plan_read(plan, &setup->plan, err);
}

static rn_result check_run(const struct rn_command *command, struct check *check,
                           struct rn_error *err)
{
    const struct check_settings *s = command->settings;
    char model[RN_PATH_MAX];
    uint8_t hash[32];
    struct rn_plan_cost cost;
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_setup_open(s->site, &check->setup, err));
    RN_TRY(load(s->site, command->operands[0], check->setup, err));
    RN_TRY(rn_site_path(model, s->site, check->setup->site.model, err));
    RN_TRY(rn_model_hash(model, hash, err));
    check->verdict = rn_plan_policy_check(check->setup, hash, &check->reason, &check->detail);
    if (rn_is_ok(check->verdict)) {
        check->verdict = rn_plan_policy_decide(check->setup, model, hash, &cost, &check->detail);
        check->reason = rn_is_ok(check->verdict) ? check->reason : "policy-upload-too-large";
    }
    if (rn_plan_is_private(&check->setup->plan) && check->setup->policy.privacy.epsilon > 0) {
        check->quoted = rn_is_ok(
            rn_privacy_quote(&check->setup->plan, &check->setup->policy, &check->quote, NULL));
    }
    return rn_ok();
}

static json_t *quote_json(const struct check *check)
{
    const struct rn_privacy_quote *quote = &check->quote;
    return !check->quoted
               ? json_null()
               : json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "epsilon", quote->epsilon.upper,
                           "epsilon_lower", quote->epsilon.lower, "delta", quote->terms.delta,
                           "order", quote->terms.order, "filter_cost", quote->cost, "filter_bound",
                           quote->terms.bound, "trainings", (json_int_t)quote->plan.trainings);
}

static rn_result print(const struct rn_command *command, const struct check *check,
                       struct rn_error *err)
{
    const bool accepted = rn_is_ok(check->verdict);
    if (command->json) {
        return rn_json_print(json_pack("{s:b, s:s, s:s, s:o}", "accepted", accepted ? 1 : 0,
                                       "reason", check->reason, "detail", check->detail.text,
                                       "privacy", quote_json(check)),
                             err);
    }
    if (command->quiet) {
        return rn_ok();
    }
    (void)printf("%s%s%s\n", check->reason, accepted ? "" : ": ", check->detail.text);
    if (check->quoted) {
        (void)printf("epsilon %.4g at delta %g for the whole plan, retries included (by PLD); "
                     "%.4g of the\nbudget's %.4g at order %g\n",
                     check->quote.epsilon.upper, check->quote.terms.delta, check->quote.cost,
                     check->quote.terms.bound, check->quote.terms.order);
    }
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct check check = {.reason = ""};
    rn_result result = check_run(command, &check, err);
    if (rn_is_ok(result)) {
        result = print(command, &check, err);
    }
    rn_setup_free(check.setup);
    if (rn_is_ok(result) && !rn_is_ok(check.verdict)) {
        return rn_fail(err, check.verdict.code, "%s: %s", check.reason, check.detail.text);
    }
    return result;
}

static const struct rn_option options[] = {{"site", RN_OPT_DIRECTORY(struct check_settings, site),
                                            .fallback = ".", .help = "the member's directory"},
                                           {NULL}};

static const struct rn_option_group groups[] = {{"Site", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_policy_check = {
    .name = "policy check",
    .summary = "what this member's policy says of a plan; nothing is signed or charged",
    .groups = groups,
    .settings_size = sizeof(struct check_settings),
    .operands = {{"PLAN", RN_OPTION_FILE, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 77, 78, 79, 80),
    .detail = "The same function decides when the member signs and each time its service starts. "
              "The reason is a stable code, such as policy-noise-too-low.",
    .examples = "  rondo policy check proposed.yaml --site north\n"
                "  rondo policy check north/plan.yaml --site north --format json",
    .run = run,
};
