/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person gets of a simulation: report.md, which stands alone, and metric.svg or, where
 * nothing was judged, loss.svg over the rounds.
 */
#ifndef RN_SERVICES_CLI_SIMULATE_SIMREPORT_H
#define RN_SERVICES_CLI_SIMULATE_SIMREPORT_H

#include "services/simulate/simulation.h"

struct rn_sim_told {
    const struct rn_plan *plan;
    const struct rn_simulation_report *report;
    const char *partition; /* as on the command line */
    uint32_t sample;       /* 0: everybody */
    const char *backend;
    bool judged; /* there were development data */
    bool masked; /* secure aggregation took part */
};

/* The last metric, NaN where nothing was judged. */
double rn_sim_told_value(const struct rn_sim_told *told);

RN_MUST rn_result rn_sim_report_write(const struct rn_sim_told *told, const char *directory,
                                      struct rn_error *err);

#endif
