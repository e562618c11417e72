/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo privacy epsilon, rondo privacy delta: what a training costs.
 */
#include "base/guard.h"
#include "services/cli/privacy/privacyask.h"
#include "services/cli/rondo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a test for a record's membership can reach; NaN: not asked, or not known. */
struct attack {
    double at_1pct, at_01pct;
};

/* By PLD alone; where that cannot be bounded, it is not told. */
static rn_result attack_at(const struct rn_privacy_event *event, double fpr, double *out,
                           struct rn_error *err)
{
    const rn_result result = rn_account_attack(event, 1, fpr, out, err);
    if (result.code == RN_E_DATA || result.code == RN_E_UNSUPPORTED) {
        *out = NAN;
        return rn_ok();
    }
    return result;
}

static rn_result attack_of(const struct rn_privacy_ask *ask, const struct rn_privacy_event *event,
                           struct attack *out, struct rn_error *err)
{
    *out = (struct attack){NAN, NAN};
    if (rn_privacy_ask_accountant(ask) == RN_ACCOUNTANT_RDP) {
        return rn_ok();
    }
    RN_TRY(attack_at(event, 0.01, &out->at_1pct, err));
    return attack_at(event, 0.001, &out->at_01pct, err);
}

static void print_json(const struct rn_command *command, const char *what,
                       const struct rn_privacy_value *value, const struct attack *attack)
{
    printf("{");
    rn_privacy_json_number(what, value->upper);
    printf(", ");
    rn_privacy_json_number("lower", value->lower);
    printf(", \"infinite\": %s, ", isinf(value->upper) ? "true" : "false");
    rn_privacy_json_number("order", value->order);
    printf(", \"conversion\": %s, ", isnan(value->order) ? "null" : "\"canonne-kamath-steinke\"");
    rn_privacy_json_number("tpr_at_fpr_1pct", attack->at_1pct);
    printf(", ");
    rn_privacy_json_number("tpr_at_fpr_0.1pct", attack->at_01pct);
    printf(", ");
    rn_privacy_json_end(command);
}

static void print_attack(const struct attack *attack)
{
    char one[RN_PRIVACY_NUMBER_MAX];
    char tenth[RN_PRIVACY_NUMBER_MAX];

    if (isnan(attack->at_1pct) || isnan(attack->at_01pct)) {
        return;
    }
    printf("Attacker:  no test finds more than %s %% of the members at 1 %% false alarms, nor more "
           "than %s %% at 0.1 %%.\n",
           rn_privacy_ask_above(100 * attack->at_1pct, one),
           rn_privacy_ask_above(100 * attack->at_01pct, tenth));
}

/* How much surer anybody can become; beyond e^20 a number says nothing. */
static void print_meaning(double epsilon, double delta)
{
    char odds[RN_PRIVACY_NUMBER_MAX];
    char miss[RN_PRIVACY_NUMBER_MAX];

    if (!(epsilon <= 20)) {
        printf("Means:     no useful bound on what can be learnt about one of the protected.\n");
        return;
    }
    printf("Means:     nobody's odds that one of the protected took part change by more than a "
           "factor of %s, but for probability %s.\n",
           rn_privacy_ask_above(exp(epsilon), odds), rn_privacy_ask_above(delta, miss));
}

/* ---- epsilon ---- */

static rn_result run_epsilon(struct rn_command *command, struct rn_error *err)
{
    const struct rn_privacy_ask *ask = command->settings;
    const struct rn_privacy_event event = rn_privacy_ask_event(ask);
    struct rn_privacy_value value;
    struct attack attack;
    char epsilon[RN_PRIVACY_NUMBER_MAX];

    RN_TRY(rn_privacy_ask_check(command, err));
    RN_TRY(rn_account_epsilon(&event, 1, ask->delta, rn_privacy_ask_accountant(ask), &value, err));
    RN_TRY(attack_of(ask, &event, &attack, err));
    rn_privacy_note_order(command, &value);
    if (command->json) {
        print_json(command, "epsilon", &value, &attack);
        return rn_ok();
    }
    printf("epsilon %s at delta %g: %llu steps, noise multiplier %g\n",
           rn_privacy_ask_above(value.upper, epsilon), ask->delta, (unsigned long long)ask->steps,
           ask->noise);
    print_meaning(value.upper, ask->delta);
    rn_privacy_print_mechanism(ask);
    rn_privacy_print_certainty(ask, "epsilon", &value);
    print_attack(&attack);
    return rn_ok();
}

#define TRAINING                                                                             \
    {"Training", rn_privacy_sampling_options, 0}, {"Training", rn_privacy_noise_options, 0}, \
    {                                                                                        \
        "Training", rn_privacy_steps_options, 0                                              \
    }

static const struct rn_option_group epsilon_groups[] = {
    TRAINING,
    {"Privacy", rn_privacy_delta_options, 0},
    {"Privacy", rn_privacy_accountant_options, 0},
    {NULL}};

const struct rn_command_def rn_cmd_privacy_epsilon = {
    .name = "privacy epsilon",
    .summary = "the epsilon that a training with DP-SGD costs",
    .groups = epsilon_groups,
    .settings_size = sizeof(struct rn_privacy_ask),
    .exits = RN_EXITS(65, 69, 78),
    .detail =
        "Each step takes every record with probability Q, bounds its gradient, sums, and adds "
        "Gaussian noise of S times the bound. With --picks and --of each record is in exactly K of "
        "every T steps instead, K steps chosen by chance for every record. Adjacency: one record "
        "(with --group one person's K "
        "records) is added or removed.\n\n"
        "The number is rounded up. It holds for one training whose options were fixed before it "
        "began; epsilons of several trainings over the same records do not simply add.\n\n"
        "JSON: epsilon and lower (null for rdp) with every digit; where no bound exists epsilon is "
        "null and infinite is true. tpr_at_fpr_1pct and tpr_at_fpr_0.1pct, by pld: the most true "
        "positives that a test for membership reaches at that rate of false positives.",
    .examples = "  rondo privacy epsilon --sampling-rate 0.01 --noise-multiplier 1.1 \\\n"
                "      --steps 3000 --delta 1e-6\n"
                "  rondo privacy epsilon --sampling-rate 0.01 --noise-multiplier 1.1 \\\n"
                "      --steps 3000 --delta 1e-6 --group 4 --accountant rdp --format json\n"
                "  rondo privacy epsilon --picks 1 --of 100 --noise-multiplier 1.1 \\\n"
                "      --steps 3000 --delta 1e-6",
    .run = run_epsilon,
};

/* ---- delta ---- */

static rn_result run_delta(struct rn_command *command, struct rn_error *err)
{
    const struct rn_privacy_ask *ask = command->settings;
    const struct rn_privacy_event event = rn_privacy_ask_event(ask);
    struct rn_privacy_value value;
    struct attack attack;
    char delta[RN_PRIVACY_NUMBER_MAX];

    RN_TRY(rn_privacy_ask_check(command, err));
    RN_TRY(rn_account_delta(&event, 1, ask->epsilon, rn_privacy_ask_accountant(ask), &value, err));
    RN_TRY(attack_of(ask, &event, &attack, err));
    rn_privacy_note_order(command, &value);
    if (command->json) {
        print_json(command, "delta", &value, &attack);
        return rn_ok();
    }
    printf("delta %s at epsilon %g: %llu steps, noise multiplier %g\n",
           rn_privacy_ask_above(value.upper, delta), ask->epsilon, (unsigned long long)ask->steps,
           ask->noise);
    print_meaning(ask->epsilon, value.upper);
    rn_privacy_print_mechanism(ask);
    rn_privacy_print_certainty(ask, "delta", &value);
    print_attack(&attack);
    return rn_ok();
}

static const struct rn_option_group delta_groups[] = {TRAINING,
                                                      {"Privacy", rn_privacy_epsilon_options, 0},
                                                      {"Privacy", rn_privacy_accountant_options, 0},
                                                      {NULL}};

const struct rn_command_def rn_cmd_privacy_delta = {
    .name = "privacy delta",
    .summary = "the delta at which a training with DP-SGD keeps an epsilon",
    .groups = delta_groups,
    .settings_size = sizeof(struct rn_privacy_ask),
    .exits = RN_EXITS(65, 69, 78),
    .detail = "As `rondo privacy epsilon`, asked the other way round. JSON: delta and lower (null "
              "for rdp), and the other keys of `rondo privacy epsilon`.",
    .examples = "  rondo privacy delta --sampling-rate 0.01 --noise-multiplier 1.1 \\\n"
                "      --steps 3000 --epsilon 2",
    .run = run_delta,
};
