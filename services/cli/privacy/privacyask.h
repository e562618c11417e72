/* SPDX-License-Identifier: Apache-2.0
 *
 * What `rondo privacy epsilon | delta | sigma | steps` share: the options that describe a training
 * with DP-SGD, the event they make, and how its numbers are said. Nothing here reads a file.
 *
 * A guarantee is printed to 4 digits, rounded up, a lower value rounded down; JSON has every digit
 * of a double, and null for what is infinite or not known.
 */
#ifndef RN_SERVICES_CLI_PRIVACYASK_H
#define RN_SERVICES_CLI_PRIVACYASK_H

#include "policy/accountant/accountant.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/commands.h"

/* Bounds of options that every command about privacy has alike. */
#define RN_BOUNDS_SAMPLING .least = RN_PRIVACY_RATE_MIN, .most = 1
#define RN_BOUNDS_NOISE .least = RN_PRIVACY_NOISE_MIN, .most = RN_PRIVACY_NOISE_MAX
#define RN_BOUNDS_PRIVACY_STEPS .least = 1, .most = (double)RN_PRIVACY_COUNT_MAX
#define RN_BOUNDS_GROUP .least = 1, .most = RN_PRIVACY_GROUP_MAX
#define RN_BOUNDS_DELTA .least = 1e-100, .most = 0.5
#define RN_CHOICES_ACCOUNTANT "pld|rdp"

struct rn_privacy_ask {
    double rate, noise, delta, epsilon;
    uint64_t steps, group;
    uint64_t picks, slots; /* random allocation; 0: Poisson sampling */
    const char *accountant;
};

/* Tables of one or two options over struct rn_privacy_ask; a command takes those it asks for. */
extern const struct rn_option rn_privacy_sampling_options[]; /* --sampling-rate, or
                                                                  --picks and --of; --group */
extern const struct rn_option rn_privacy_noise_options[];
extern const struct rn_option rn_privacy_steps_options[];
extern const struct rn_option rn_privacy_delta_options[];
extern const struct rn_option rn_privacy_epsilon_options[];
extern const struct rn_option rn_privacy_accountant_options[];

/* RN_E_USAGE where the way of sampling is not one of the two, or its numbers do not fit; before
 * anything else. */
RN_MUST rn_result rn_privacy_ask_check(const struct rn_command *command, struct rn_error *err);
/* All steps; what the command does not ask for is 0. */
struct rn_privacy_event rn_privacy_ask_event(const struct rn_privacy_ask *ask);
enum rn_accountant rn_privacy_ask_accountant(const struct rn_privacy_ask *ask);

#define RN_PRIVACY_NUMBER_MAX 32
/* 4 digits, never less than the value ("2.382", "1.2e-08", "infinite"); never more, for down. */
const char *rn_privacy_ask_above(double value, char out[static RN_PRIVACY_NUMBER_MAX]);
const char *rn_privacy_ask_below(double value, char out[static RN_PRIVACY_NUMBER_MAX]);

/* "name": value, as JSON; null where it is not finite. */
void rn_privacy_json_number(const char *name, double value);
/* What was asked, as the end of a JSON object: accountant, adjacency, unit, and the options given.
 */
void rn_privacy_json_end(const struct rn_command *command);

/* Lines for people: whom it protects, from what; how sure the number is. */
void rn_privacy_print_mechanism(const struct rn_privacy_ask *ask);
void rn_privacy_print_certainty(const struct rn_privacy_ask *ask, const char *what,
                                const struct rn_privacy_value *value);
/* A note where an end of the orders was best, so that a tighter bound may exist. */
void rn_privacy_note_order(const struct rn_command *command, const struct rn_privacy_value *value);

#endif
