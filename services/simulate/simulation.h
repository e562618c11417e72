/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole simulated job: the rounds of a plan by simulated members in one process. In the output
 * folder stand, replaced as a whole after every round, state.bin (simstate.h) and rounds.csv, and
 * at the end adapter/, a PEFT directory.
 *
 * What is equal, bit for bit, and by what: each member's training (trainer/trainer.h), the integers
 * of its update but for the rounding's key, their sum, and the next adapter (services/round). A
 * service draws the rounding's key in secret; a simulation derives it (rn_sim_rounding). So two
 * simulations of one plan give the same adapter, and so do a simulation and services whose members
 * round with its keys (tests/scenario/test_o_simulated.py); services that round in secret give an
 * adapter that differs by the roundings, at most one quantisation step of an element's mean in a
 * round, and by what later rounds make of that.
 */
#ifndef RN_SERVICES_SIMULATE_SIMULATION_H
#define RN_SERVICES_SIMULATE_SIMULATION_H

#include "services/simulate/simstate.h"
#include "services/simulate/simworld.h"

/* Steps behind it of all, and the loss of the last (NaN: none yet); false stops:
 * RN_E_ROUND_ABORTED. */
typedef bool (*rn_simulation_progress_fn)(void *context, uint64_t done, uint64_t total,
                                          double loss);

struct rn_simulation_config {
    struct rn_sim_world_config world;
    bool masked;     /* with secure aggregation: not resumed, and everybody in every round */
    uint32_t sample; /* members of a round; 0: all */
    uint64_t sample_seed;
    uint32_t evaluate_every;         /* rounds; the last is judged in any case */
    const char *directory;           /* there, and empty unless resume */
    bool resume;                     /* from the state in it, if any */
    uint8_t settings[RN_HASH_BYTES]; /* of all that a resumed run must have alike */
    const char *provenance;          /* for the adapter's README */
    rn_simulation_progress_fn progress;
    void *context;
};

struct rn_simulation_report {
    struct rn_sim_rows rows;
    uint32_t resumed; /* rounds that were there already */
    uint32_t clients;
    uint64_t member_bytes; /* memory that one more member takes beside its data */
    uint8_t adapter_hash[RN_HASH_BYTES];
    double seconds; /* of all rounds, those before a resume too */
};
void rn_simulation_report_clear(struct rn_simulation_report *report);

/* out_report: cleared by the caller, on failure too. */
RN_MUST rn_result rn_simulation_run(const struct rn_simulation_config *config,
                                    struct rn_simulation_report *out_report, struct rn_error *err);

#endif
