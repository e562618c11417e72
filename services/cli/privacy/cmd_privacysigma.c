/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo privacy sigma, rondo privacy steps: what a budget allows.
 */
#include "base/guard.h"
#include "services/cli/privacy/privacyask.h"
#include "services/cli/rondo.h"

#include <math.h>
#include <stdio.h>

/* What the answer costs, which is what is promised. */
static rn_result cost_of(const struct rn_privacy_ask *ask, struct rn_privacy_value *out,
                         struct rn_error *err)
{
    const struct rn_privacy_event event = rn_privacy_ask_event(ask);
    return rn_account_epsilon(&event, ask->steps > 0 ? 1 : 0, ask->delta,
                              rn_privacy_ask_accountant(ask), out, err);
}

static void print_cost_json(const struct rn_privacy_value *value)
{
    rn_privacy_json_number("epsilon", value->upper);
    printf(", ");
    rn_privacy_json_number("lower", value->lower);
    printf(", ");
    rn_privacy_json_number("order", value->order);
    printf(", ");
}

static void print_cost_text(const struct rn_privacy_ask *ask, const struct rn_privacy_value *value)
{
    char epsilon[RN_PRIVACY_NUMBER_MAX];

    printf("Costs:     epsilon %s at delta %g, of %g that are allowed.\n",
           rn_privacy_ask_above(value->upper, epsilon), ask->delta, ask->epsilon);
    rn_privacy_print_mechanism(ask);
    if (ask->steps > 0) {
        rn_privacy_print_certainty(ask, "epsilon", value);
    }
}

/* ---- sigma ---- */

static rn_result run_sigma(struct rn_command *command, struct rn_error *err)
{
    struct rn_privacy_ask *ask = command->settings;
    const struct rn_privacy_event event = rn_privacy_ask_event(ask);
    struct rn_privacy_ask end = *ask;
    struct rn_privacy_value value;

    RN_TRY(rn_privacy_ask_check(command, err));
    RN_TRY(rn_account_event_noise(&event, ask->delta, ask->epsilon, rn_privacy_ask_accountant(ask),
                                  &end.noise, err));
    RN_TRY(cost_of(&end, &value, err));
    if (command->json) {
        printf("{");
        rn_privacy_json_number("noise_multiplier", end.noise);
        printf(", ");
        print_cost_json(&value);
        rn_privacy_json_end(command);
        return rn_ok();
    }
    printf("noise multiplier %.6g: %llu steps, epsilon %g, delta %g\n", end.noise,
           (unsigned long long)ask->steps, ask->epsilon, ask->delta);
    print_cost_text(&end, &value);
    return rn_ok();
}

static const struct rn_option_group sigma_groups[] = {
    {"Training", rn_privacy_sampling_options, 0},  {"Training", rn_privacy_steps_options, 0},
    {"Privacy", rn_privacy_epsilon_options, 0},    {"Privacy", rn_privacy_delta_options, 0},
    {"Privacy", rn_privacy_accountant_options, 0}, {NULL}};

const struct rn_command_def rn_cmd_privacy_sigma = {
    .name = "privacy sigma",
    .summary = "the least noise multiplier with which a training keeps an epsilon",
    .groups = sigma_groups,
    .settings_size = sizeof(struct rn_privacy_ask),
    .exits = RN_EXITS(65, 69, 78, 79),
    .detail = "To 6 digits, rounded up: `rondo privacy epsilon` with the printed number never "
              "gives more than E. Exit code 79 when no noise is enough. JSON: noise_multiplier, "
              "and epsilon, what it costs.",
    .examples = "  rondo privacy sigma --sampling-rate 0.01 --steps 3000 --epsilon 3 \\\n"
                "      --delta 1e-6",
    .run = run_sigma,
};

/* ---- steps ---- */

static rn_result run_steps(struct rn_command *command, struct rn_error *err)
{
    struct rn_privacy_ask *ask = command->settings;
    const struct rn_privacy_event event = rn_privacy_ask_event(ask);
    struct rn_privacy_ask end = *ask;
    struct rn_privacy_value value;

    RN_TRY(rn_privacy_ask_check(command, err));
    RN_TRY(rn_account_event_count(&event, ask->delta, ask->epsilon, rn_privacy_ask_accountant(ask),
                                  &end.steps, err));
    end.steps *= ask->picks > 0 ? ask->slots : 1;
    RN_TRY(cost_of(&end, &value, err));
    if (command->json) {
        printf("{\"steps\": %llu, ", (unsigned long long)end.steps);
        print_cost_json(&value);
        rn_privacy_json_end(command);
        return rn_ok();
    }
    printf("%llu steps: noise multiplier %g, epsilon %g, delta %g\n", (unsigned long long)end.steps,
           ask->noise, ask->epsilon, ask->delta);
    print_cost_text(&end, &value);
    return rn_ok();
}

static const struct rn_option_group steps_groups[] = {
    {"Training", rn_privacy_sampling_options, 0},  {"Training", rn_privacy_noise_options, 0},
    {"Privacy", rn_privacy_epsilon_options, 0},    {"Privacy", rn_privacy_delta_options, 0},
    {"Privacy", rn_privacy_accountant_options, 0}, {NULL}};

const struct rn_command_def rn_cmd_privacy_steps = {
    .name = "privacy steps",
    .summary = "the most steps with which a training keeps an epsilon",
    .groups = steps_groups,
    .settings_size = sizeof(struct rn_privacy_ask),
    .exits = RN_EXITS(65, 69, 78),
    .detail = "0 when one step is too many. JSON: steps, and epsilon, what they cost.",
    .examples = "  rondo privacy steps --sampling-rate 0.01 --noise-multiplier 1.1 --epsilon 3 \\\n"
                "      --delta 1e-6",
    .run = run_steps,
};
