/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics on standard output.
 */
#ifndef RN_SERVICES_CLI_DESK_METRICSTEXT_H
#define RN_SERVICES_CLI_DESK_METRICSTEXT_H

#include "trainer/trainer.h"

/* One object without a line end, or its fields alone; a metric that the task has not is null. */
void rn_metrics_print_json(const struct rn_metrics *metrics);
void rn_metrics_print_json_fields(const struct rn_metrics *metrics);

/* One line. */
void rn_metrics_print_text(const struct rn_metrics *metrics);

#endif
