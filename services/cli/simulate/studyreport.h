/* SPDX-License-Identifier: Apache-2.0
 *
 * The page of a study: what was done, a row a cell with mean, 95 % interval and every seed's value,
 * bars with intervals, and curves over rounds and over clients.
 */
#ifndef RN_SERVICES_CLI_SIMULATE_STUDYREPORT_H
#define RN_SERVICES_CLI_SIMULATE_STUDYREPORT_H

#include "services/cli/simulate/studyrun.h"

/* Mean and half width of the 95 % interval by Student's t with count - 1 degrees of freedom:
 * t s / sqrt(count). A value that is not finite makes both NaN; one value has no interval (NaN).
 * count is 1..RN_STUDY_LIST_MAX. */
void rn_study_mean(const double *values, uint32_t count, double *out_mean, double *out_half);

/* report.md, bars.svg, rounds.svg and, where the grid has several client numbers, clients.svg. */
RN_MUST rn_result rn_study_report(const struct rn_study_config *config,
                                  const struct rn_study_outcome *outcomes, bool quick,
                                  struct rn_error *err);

#endif
