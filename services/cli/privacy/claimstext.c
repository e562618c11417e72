/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/privacy/claimstext.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>

#include "base/guard.h"
#include "services/cli/privacy/ledgershow.h"

static const double false_rates[2] = {0.01, 0.001};

rn_result rn_claims_take(const struct rn_privacy_ledger *ledger, struct rn_claims *out,
                         struct rn_error *err)
{
    const struct rn_privacy_terms *terms = &ledger->terms;
    RN_TRY(rn_privacy_ledger_claimable(ledger, err));
    out->ledger = ledger;
    RN_TRY(rn_privacy_summarise(ledger, &out->summary, err));
    for (int i = 0; i < 2; i++) {
        out->bound[i] = rn_privacy_attack_bound(terms->epsilon, terms->delta, false_rates[i]);
        RN_TRY(rn_privacy_attack(ledger, false_rates[i], &out->reading[i], err));
    }
    return rn_ok();
}

/* Most honest members on whose noise a plan of the ledger counts, the member itself included; 0:
 * all noise is its own. */
static uint32_t honest_most(const struct rn_privacy_ledger *ledger)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        const uint32_t honest = ledger->plans[i].plan.honest;
        most = honest > most ? honest : most;
    }
    return most;
}

/* ---- Paragraphs, in the page's order. */

static void unit_write(const struct rn_privacy_terms *terms, struct rn_buffer *out)
{
    rn_buffer_format(out, "## Unit of privacy\n\n");
    if (terms->unit == RN_PRIVACY_UNIT_PERSON) {
        rn_buffer_format(out,
                         "One person, of whom at most %" PRIu32
                         " records are in the data; a person with more is protected less.\n\n",
                         terms->group);
    } else {
        rn_buffer_format(out, "One record (one line of the training file). A person with several "
                              "records is protected less: the unit is not the person.\n\n");
    }
    rn_buffer_format(out,
                     "## Neighbouring data\n\n%s The number of records is at most %" PRIu64 ".\n\n",
                     terms->adjacency == RN_PRIVACY_ZERO_OUT
                         ? "Zero-out: the unit's records are emptied, and keep their places."
                         : "Add-remove: the unit's records are added or removed.",
                     terms->records_max);
}

static void plan_write(const struct rn_privacy_planstate *state, struct rn_buffer *out)
{
    const struct rn_privacy_plan *plan = &state->plan;
    char epsilon[RN_PRIVACY_NUMBER_TEXT];
    char hash[65];
    rn_hex_encode(hash, plan->hash, 32);
    rn_privacy_number_up(plan->epsilon, epsilon);
    rn_buffer_format(out,
                     "| %s `%.16s` | %" PRIu32 " of %" PRIu32 " | %" PRIu32
                     " | %.6g | %.6g | %.6g | %" PRIu32 " | %s %s |\n",
                     plan->name, hash, state->begun, plan->trainings, plan->steps,
                     rn_privacy_plan_rate(plan), plan->noise, plan->clip, plan->cap, epsilon,
                     plan->honest > 0 ? "by RDP, noise shared" : "by PLD");
}

/* What is another mechanism in such plans. */
static void shared_write(const struct rn_privacy_ledger *ledger, struct rn_buffer *out)
{
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        const struct rn_privacy_plan *plan = &ledger->plans[i].plan;
        if (plan->honest == 0) {
            continue;
        }
        rn_buffer_format(out,
                         "In plan %s the noise is shared: a training is the sum of one draw, to "
                         "which this member "
                         "adds discrete Gaussian noise of deviation %.6g times C, too little to "
                         "hide it. The sum "
                         "is opened only together with those of the others, of whom %" PRIu32
                         " honest members, "
                         "itself included, together reach the multiplier.\n\n",
                         plan->name, plan->deviation / plan->grid, plan->honest);
    }
}

static void mechanism_write(const struct rn_privacy_ledger *ledger, struct rn_buffer *out)
{
    rn_buffer_format(
        out,
        "## Mechanism\n\n"
        "DP-SGD inside the member's own trainer. In each step the gradient of every record "
        "that was drawn is clipped to the norm C and truncated to whole numbers, whose norm is "
        "checked exactly; they are summed, and rounded Gaussian noise of the plan's multiplier "
        "times C is added to every trained value before anything else sees the sum. The step, "
        "the update and everything computed from them are post-processing. The noise counted "
        "here is the member's own alone%s.\n\n",
        honest_most(ledger) > 0 ? ", but in plans whose noise is shared" : "");
    shared_write(ledger, out);
    rn_buffer_format(out, "| plan | trainings begun | steps each | rate | noise multiplier | C | "
                          "largest batch | epsilon |\n|---|---|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < ledger->plan_count; i++) {
        plan_write(&ledger->plans[i], out);
    }
    rn_buffer_format(out,
                     "\nBesides updates, %" PRIu64 " releases with a stated epsilon and %" PRIu64
                     " constant ones stand in the ledger.\n\n",
                     ledger->releases, ledger->constants);
}

/* Exact where the list was fixed before the first event. */
static const char *reading_condition(const struct rn_privacy_ledger *ledger)
{
    return ledger->plan_count <= 1 && ledger->releases == 0
               ? "exact here, since there was one plan, charged whole"
               : "only if the plans had been fixed in advance";
}

static void epsilon_write(const struct rn_claims *claims, struct rn_buffer *out)
{
    const struct rn_privacy_terms *terms = &claims->ledger->terms;
    char filter[RN_PRIVACY_NUMBER_TEXT];
    char pld[RN_PRIVACY_NUMBER_TEXT];
    char rdp[RN_PRIVACY_NUMBER_TEXT];
    rn_privacy_number_up(claims->summary.filter_epsilon, filter);
    rn_privacy_number_up(claims->summary.pld, pld);
    rn_privacy_number_up(claims->summary.rdp, rdp);
    rn_buffer_format(
        out,
        "## Epsilon and delta\n\n"
        "**Guarantee: (epsilon, delta) = (%.6g, %.3g) for the lineage's whole life**, over all "
        "plans, coordinators and years, however each plan was chosen from what came before: a "
        "Renyi "
        "filter of order %.6g, fixed in the ledger's first record, allows a sum of %.6g.\n\n"
        "- So far the filter's sum is %.6g begun, %.6g with what an open plan may still begin; "
        "read "
        "as an epsilon, %s. That is a reading between plans, and no smaller guarantee.\n"
        "- By privacy-loss distributions, all plans charged whole: epsilon %s (%s). By Renyi "
        "divergences at the best order: %s, under the same condition.%s\n\n",
        terms->epsilon, terms->delta, terms->order, claims->summary.bound,
        claims->summary.filter_begun, claims->summary.filter_reserved, filter, pld,
        reading_condition(claims->ledger), rdp,
        honest_most(claims->ledger) > 0 ? " Noise that is shared has no privacy-loss distribution "
                                          "here: of such plans epsilon by "
                                          "RDP is the only one, and where records are sampled it "
                                          "pays for a bound that holds of "
                                          "any mechanism."
                                        : "");
}

static double cut_share(const struct rn_privacy_ledger *ledger)
{
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    return ledger->apart + (open != NULL ? open->plan.cut : 0);
}

static void sampling_write(const struct rn_privacy_ledger *ledger, struct rn_buffer *out)
{
    rn_buffer_format(
        out,
        "## Sampling\n\n"
        "Each record is drawn for itself in each step, by 64 bits of a cryptographic generator "
        "below a threshold (Poisson sampling), or every record is taken where the rate is 1. With "
        "the sampler allocation each record is in exactly rate times steps of a training's steps, "
        "chosen by chance for itself. An "
        "empty draw is noise, and counts. A draw beyond the largest batch is cut by a uniform "
        "choice; that this happens at all, and the deltas of other releases, take at most %.3g of "
        "delta, for which %.3g is set apart.\n\n",
        cut_share(ledger), rn_privacy_terms_apart(&ledger->terms));
}

static void protected_write(const struct rn_privacy_ledger *ledger, struct rn_buffer *out)
{
    rn_buffer_format(
        out,
        "## Protected from whom\n\n"
        "From the coordinator, all other members together and the public, who may deviate from "
        "the protocol, see everything that this trainer ever sends, know all other data and "
        "noise, and choose every adapter that a training starts from. Not from the member's own "
        "administrators, who have the data.\n\n");
    if (honest_most(ledger) == 0) {
        rn_buffer_format(out, "Nobody else's honesty or noise is counted.\n\n");
    } else {
        rn_buffer_format(
            out,
            "**In plans whose noise is shared it counts on others**: that of the members in each "
            "sum "
            "at least as many as the plan says, up to %" PRIu32
            " honest members with this one, added "
            "their noise and told it to nobody, and on secure aggregation, which alone hides this "
            "member's sum before it is added to theirs. Who colludes with the coordinator knows "
            "its own noise, which is why it is not counted.\n\n",
            honest_most(ledger));
    }
    rn_buffer_format(
        out,
        "Conditions: the member's machine and its random numbers are sound; the numbers in the "
        "plans are those that the trainer used; nothing else that depends on records leaves "
        "(times, sizes, refusals, retries, measures).\n\n");
}

static void attack_write(const struct rn_claims *claims, struct rn_buffer *out)
{
    rn_buffer_format(out,
                     "## What an attacker can do\n\n"
                     "The largest share of members found by any test for one unit's "
                     "membership, at a share of false alarms:\n\n"
                     "| false alarms | found, by the guarantee | found, by PLD (%s) |\n"
                     "|---|---|---|\n",
                     reading_condition(claims->ledger));
    for (int i = 0; i < 2; i++) {
        char bound[RN_PRIVACY_NUMBER_TEXT];
        char reading[RN_PRIVACY_NUMBER_TEXT];
        rn_privacy_number_up(100 * claims->bound[i], bound);
        rn_privacy_number_up(100 * claims->reading[i], reading);
        rn_buffer_format(out, "| %.1f %% | %s %% | %s %% |\n", 100 * false_rates[i], bound,
                         reading);
    }
    rn_buffer_format(out, "\n");
}

static void hazards_write(const struct rn_privacy_ledger *ledger, struct rn_buffer *out)
{
    rn_buffer_format(out, "## Hazards\n\n");
    if (ledger->terms.epsilon > 10) {
        rn_buffer_format(out, "- Epsilon is above 10: the guarantee alone rules out little.\n");
    }
    if (ledger->open) {
        rn_buffer_format(out, "- Plan %s is open: numbers grow until it is closed.\n",
                         rn_privacy_ledger_open(ledger)->plan.name);
    }
    rn_buffer_format(
        out,
        "- An older copy of the ledger looks like a newer one: this page speaks for its %" PRIu64
        " records, the last of which is number %" PRIu64 " of the trainings begun.\n"
        "- Records of one person that another organisation holds are protected by that "
        "organisation's ledger; the two add up.\n"
        "- Settings that were tuned on the same data outside of a plan are not in the ledger.\n\n",
        ledger->lines, ledger->counter);
}

static void unprotected_write(struct rn_buffer *out)
{
    rn_buffer_format(out,
                     "## Not protected\n\n"
                     "- That the organisation takes part, and the bound of its number of records.\n"
                     "- Facts about the population that hold with or without one unit.\n"
                     "- What the base model learned before.\n"
                     "- Groups of units beyond the one above, to which epsilon adds up.\n");
}

void rn_claims_text(const struct rn_claims *claims, struct rn_buffer *out)
{
    const struct rn_privacy_ledger *ledger = claims->ledger;
    char key[65];
    char chain[65];
    rn_hex_encode(key, ledger->terms.identity, 32);
    rn_hex_encode(chain, ledger->chain, 32);
    rn_buffer_format(out,
                     "# Privacy claims of lineage %s\n\nFrom the ledger signed by `%s`, up to "
                     "record %" PRIu64 ", chain `%s`.\n\n",
                     ledger->terms.lineage, key, ledger->lines, chain);
    unit_write(&ledger->terms, out);
    mechanism_write(ledger, out);
    epsilon_write(claims, out);
    sampling_write(ledger, out);
    protected_write(ledger, out);
    attack_write(claims, out);
    hazards_write(ledger, out);
    unprotected_write(out);
}

/* ---- JSON: the numbers; the sentences are the page's. */

static json_t *attack_json(const struct rn_claims *claims)
{
    json_t *list = json_array();
    for (int i = 0; i < 2; i++) {
        (void)json_array_append_new(
            list,
            json_pack("{so so so}", "false_positive_rate", rn_ledgershow_number(false_rates[i]),
                      "true_positive_rate", rn_ledgershow_number(claims->bound[i]),
                      "true_positive_rate_pld", rn_ledgershow_number(claims->reading[i])));
    }
    return list;
}

struct json_t *rn_claims_json(const struct rn_claims *claims)
{
    const struct rn_privacy_ledger *ledger = claims->ledger;
    return json_pack(
        "{so so so ss so so sI}", "ledger", rn_ledgershow_json(ledger, &claims->summary), "chain",
        rn_ledgershow_hash(ledger->chain), "attack", attack_json(claims), "readings_hold",
        reading_condition(ledger), "delta_apart",
        rn_ledgershow_number(rn_privacy_terms_apart(&ledger->terms)), "delta_apart_used",
        rn_ledgershow_number(cut_share(ledger)), "records", (json_int_t)ledger->lines);
}
