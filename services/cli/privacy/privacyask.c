/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/privacy/privacyask.h"

#include "base/guard.h"
#include "policy/accountant/rdp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct rn_option rn_privacy_sampling_options[] = {
    {"sampling-rate", RN_OPT_NUMBER(struct rn_privacy_ask, rate, "Q"), RN_BOUNDS_SAMPLING,
     .help = "probability with which a step takes each record, for itself; 1: every record"},
    {"picks", RN_OPT_COUNT(struct rn_privacy_ask, picks, "K"), .least = 1, .most = UINT32_MAX - 1.0,
     .help = "instead: each record is in exactly K steps, chosen by chance, of every T (--of)"},
    {"of", RN_OPT_COUNT(struct rn_privacy_ask, slots, "T"), .least = 1, .most = UINT32_MAX - 1.0,
     .help = "the steps of one random allocation, such as those of a round; --steps is a multiple"},
    {"group", RN_OPT_COUNT(struct rn_privacy_ask, group, "K"), .fallback = "1", RN_BOUNDS_GROUP,
     .help = "the most records of one person, where the person is what is protected"},
    {NULL}};

const struct rn_option rn_privacy_noise_options[] = {
    {"noise-multiplier", RN_OPT_NUMBER(struct rn_privacy_ask, noise, "S"), RN_BOUNDS_NOISE,
     .required = true,
     .help = "deviation of the noise on a step's sum, over the bound of a record's gradient"},
    {NULL}};

const struct rn_option rn_privacy_steps_options[] = {
    {"steps", RN_OPT_COUNT(struct rn_privacy_ask, steps, "T"), RN_BOUNDS_PRIVACY_STEPS,
     .required = true, .help = "of the whole training, over all rounds"},
    {NULL}};

const struct rn_option rn_privacy_delta_options[] = {
    {"delta", RN_OPT_NUMBER(struct rn_privacy_ask, delta, "D"), RN_BOUNDS_DELTA, .required = true,
     .help = "probability that epsilon may fail to hold; well below 1 / number of records"},
    {NULL}};

const struct rn_option rn_privacy_epsilon_options[] = {
    {"epsilon", RN_OPT_NUMBER(struct rn_privacy_ask, epsilon, "E"), RN_BOUNDS_EPSILON,
     .required = true, .help = "the privacy loss that is allowed"},
    {NULL}};

const struct rn_option rn_privacy_accountant_options[] = {
    {"accountant", RN_OPT_CHOICE(struct rn_privacy_ask, accountant, RN_CHOICES_ACCOUNTANT),
     .fallback = "pld",
     .help = "pld: certified from both sides; rdp: Renyi divergences, faster and looser"},
    {NULL}};

rn_result rn_privacy_ask_check(const struct rn_command *command, struct rn_error *err)
{
    const struct rn_privacy_ask *ask = command->settings;
    const bool allocated = ask->picks > 0;
    RN_ENSURE(allocated != rn_command_given(command, "sampling-rate"), err, RN_E_USAGE,
              "give one of --sampling-rate and --picks");
    RN_ENSURE(allocated == (ask->slots > 0), err, RN_E_USAGE,
              "--picks K and --of T go together: K steps of every T take a record");
    RN_ENSURE(ask->picks <= ask->slots, err, RN_E_USAGE, "--picks is at most --of");
    RN_ENSURE(!allocated || ask->group == 1, err, RN_E_USAGE,
              "--picks is accounted for one record at a time: not with --group");
    RN_ENSURE(!allocated || ask->steps % ask->slots == 0, err, RN_E_USAGE,
              "--steps must be a multiple of --of");
    return rn_ok();
}

struct rn_privacy_event rn_privacy_ask_event(const struct rn_privacy_ask *ask)
{
    if (ask->picks > 0) {
        return (struct rn_privacy_event){.kind = RN_PRIVACY_ALLOCATION,
                                         .count = ask->steps / ask->slots,
                                         .noise = ask->noise,
                                         .picks = (uint32_t)ask->picks,
                                         .slots = (uint32_t)ask->slots};
    }
    struct rn_privacy_event event = {.kind = RN_PRIVACY_POISSON,
                                     .count = ask->steps,
                                     .noise = ask->noise,
                                     .rate = ask->rate,
                                     .group = (uint32_t)ask->group};
    if (ask->group > 1) {
        event.kind = RN_PRIVACY_GROUP;
    } else if (ask->rate == 1) {
        event.kind = RN_PRIVACY_GAUSSIAN;
    }
    return event;
}

enum rn_accountant rn_privacy_ask_accountant(const struct rn_privacy_ask *ask)
{
    return strcmp(ask->accountant, "rdp") == 0 ? RN_ACCOUNTANT_RDP : RN_ACCOUNTANT_PLD;
}

/* ---- Numbers ---- */

/* The printed number's last digit moved away from zero when up, when it fell below the value. */
static const char *number(double value, bool up, char out[static RN_PRIVACY_NUMBER_MAX])
{
    char digits[RN_PRIVACY_NUMBER_MAX];

    if (isinf(value)) {
        (void)snprintf(out, RN_PRIVACY_NUMBER_MAX, "infinite");
        return out;
    }
    (void)snprintf(digits, sizeof digits, "%.3e", value);
    const double rounded = strtod(digits, NULL);
    double printed = rounded;
    if (up ? rounded < value : rounded > value) {
        const double unit = pow(10, floor(log10(fabs(rounded))) - 3);
        printed = up ? rounded + unit : rounded - unit;
    }
    (void)snprintf(out, RN_PRIVACY_NUMBER_MAX, "%.4g", printed);
    return out;
}

const char *rn_privacy_ask_above(double value, char out[static RN_PRIVACY_NUMBER_MAX])
{
    return number(value, true, out);
}

const char *rn_privacy_ask_below(double value, char out[static RN_PRIVACY_NUMBER_MAX])
{
    return number(value, false, out);
}

/* ---- JSON ---- */

void rn_privacy_json_number(const char *name, double value)
{
    char text[RN_PRIVACY_NUMBER_MAX] = "null";

    /* the fewest digits that give the same double back */
    for (int digits = 15; isfinite(value) && digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    printf("\"%s\": %s", name, text);
}

void rn_privacy_json_end(const struct rn_command *command)
{
    const struct rn_privacy_ask *ask = command->settings;
    const struct {
        const char *option, *name;
        double value;
    } asked[] = {{"sampling-rate", "sampling_rate", ask->rate},
                 {"noise-multiplier", "noise_multiplier", ask->noise},
                 {"epsilon", "target_epsilon", ask->epsilon},
                 {"delta", "delta", ask->delta}};

    printf("\"accountant\": \"%s\", \"adjacency\": \"add-or-remove\", \"unit\": \"%s\", "
           "\"group\": %llu",
           ask->accountant, ask->group > 1 ? "person" : "record", (unsigned long long)ask->group);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(asked); i++) {
        if (rn_command_given(command, asked[i].option)) {
            printf(", ");
            rn_privacy_json_number(asked[i].name, asked[i].value);
        }
    }
    if (rn_command_given(command, "steps")) {
        printf(", \"steps\": %llu", (unsigned long long)ask->steps);
    }
    if (ask->picks > 0) {
        printf(", \"picks\": %llu, \"of\": %llu", (unsigned long long)ask->picks,
               (unsigned long long)ask->slots);
    }
    printf("}\n");
}

/* ---- For people ---- */

void rn_privacy_print_mechanism(const struct rn_privacy_ask *ask)
{
    if (ask->group > 1) {
        printf("Protected: one person with up to %llu records, all of them added or removed.\n",
               (unsigned long long)ask->group);
    } else {
        printf("Protected: one record, added or removed.\n");
    }
    if (ask->picks > 0) {
        printf("Holds for: steps of which every %llu take each record in exactly %llu, chosen by "
               "chance, independently and in secret; ",
               (unsigned long long)ask->slots, (unsigned long long)ask->picks);
    } else if (ask->rate == 1) {
        printf("Holds for: steps that take every record; ");
    } else {
        printf("Holds for: steps that take each record with probability %.6g, independently and in "
               "secret; ",
               ask->rate);
    }
    printf("every step's noisy sum may be seen; sampling and noise fixed before the first step.\n");
}

void rn_privacy_print_certainty(const struct rn_privacy_ask *ask, const char *what,
                                const struct rn_privacy_value *value)
{
    char low[RN_PRIVACY_NUMBER_MAX];
    char high[RN_PRIVACY_NUMBER_MAX];

    if (rn_privacy_ask_accountant(ask) == RN_ACCOUNTANT_RDP) {
        printf("How sure:  an upper bound by Renyi divergence of order %.5g (conversion of "
               "Canonne, Kamath and Steinke 2020); PLD is tighter.\n",
               value->order);
        return;
    }
    printf("How sure:  the true %s is certified to lie between %s and %s (PLD).\n", what,
           rn_privacy_ask_below(value->lower, low), rn_privacy_ask_above(value->upper, high));
}

void rn_privacy_note_order(const struct rn_command *command, const struct rn_privacy_value *value)
{
    if (value->order <= RN_RDP_ORDER_MIN || value->order >= RN_RDP_ORDER_MAX) {
        rn_command_note(command, "the best Renyi order is an end of the range: --accountant pld "
                                 "will be much tighter");
    }
}
