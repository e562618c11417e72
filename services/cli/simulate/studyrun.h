/* SPDX-License-Identifier: Apache-2.0
 *
 * The runs of a study. For each cell of the grid every learning rate is tried once, with the first
 * seed, on the validation part of the training data; the best of them, and no other, is then run
 * with every seed and judged on the test data. With one rate nothing is tried.
 *
 * Each run is a simulation in OUT/runs/NAME (services/simulate/simulation.h); when it is over its
 * values stand in result.json there, and are taken from it when the study is started again. A run
 * that was stopped goes on from its last round.
 */
#ifndef RN_SERVICES_CLI_SIMULATE_STUDYRUN_H
#define RN_SERVICES_CLI_SIMULATE_STUDYRUN_H

#include "services/cli/simulate/studyfile.h"
#include "services/simulate/simulation.h"

#define RN_STUDY_POINTS_MAX 100000

/* What came of a cell. NaN: the training left the finite numbers. */
struct rn_study_outcome {
    uint32_t rate;                    /* number of the chosen one */
    double tried[RN_STUDY_LIST_MAX];  /* on the validation part, by rate */
    double values[RN_STUDY_LIST_MAX]; /* on the test data, by seed */
    uint32_t points;                  /* of the curve */
    double *rounds, *curve;           /* owned: the mean over the seeds after a round */
};
void rn_study_outcome_clear(struct rn_study_outcome *outcome);

struct rn_study_config {
    const struct rn_study *study;
    const struct rn_study_cell *cells;
    uint32_t cell_count;
    const char *out;
    const char *backend;
    uint32_t threads;
    bool quiet;
};

/* outcomes: [cell_count], cleared by the caller in any case. RN_E_USAGE where OUT holds runs of
 * another study; RN_E_ROUND_ABORTED when a signal stopped it. */
RN_MUST rn_result rn_study_run(const struct rn_study_config *config,
                               struct rn_study_outcome *outcomes, struct rn_error *err);

/* Runs of the whole study, and the examples that they train on. */
uint64_t rn_study_runs(const struct rn_study_config *config, uint64_t *out_examples);

#endif
