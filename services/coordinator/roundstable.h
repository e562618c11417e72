/* SPDX-License-Identifier: Apache-2.0
 *
 * rounds.csv and rounds.jsonl in the coordinator's state directory: one row per round, rewritten
 * whole from the journal, so that a crash never leaves a torn or doubled row.
 */
#ifndef RN_SERVICES_COORDINATOR_ROUNDSTABLE_H
#define RN_SERVICES_COORDINATOR_ROUNDSTABLE_H

#include "services/coordinator/coordinatorstate.h"

/* What was measured on the adapter after a round. */
struct rn_round_row {
    bool evaluated;
    struct rn_metrics metrics;
};

/* Journals the row and rewrites both files. */
RN_MUST rn_result rn_rounds_table_add(struct rn_coordinator *coordinator, uint32_t round,
                                      const struct rn_round_row *row, struct rn_error *err);

#endif
