/* SPDX-License-Identifier: Apache-2.0
 *
 * What `rondo-bench train` found, as text, JSON, CSV and bars.
 */
#ifndef RN_SERVICES_BENCH_BENCHREPORT_H
#define RN_SERVICES_BENCH_BENCHREPORT_H

#include "base/bytes.h"
#include "services/bench/benchrun.h"

/* What a figure belongs to. */
struct rn_bench_report {
    struct rn_cpu_facts cpu;
    uint64_t wall_ms; /* when it was measured */
    const struct rn_bench_choice *choice;
    const struct rn_bench_peer *peer;
    const struct rn_bench_result *results;
    size_t result_count;
};

void rn_bench_report_text(const struct rn_bench_report *report, struct rn_buffer *out);

/* One object; a figure that was not measured is null. RN_E_INTERNAL when it cannot be formed. */
RN_MUST rn_result rn_bench_report_json(const struct rn_bench_report *report, struct rn_buffer *out,
                                       struct rn_error *err);

/* One line for each side and, where there are later epochs, one for those; a header where out is
 * empty. */
void rn_bench_report_csv(const struct rn_bench_report *report, struct rn_buffer *out);
/* Whether this text begins with the header of such a table: more lines can go behind it. */
bool rn_bench_report_csv_begins(struct rn_view text);

/* Bars of the ratios, or of tokens a second where there is no peer. RN_E_DATA when nothing was
 * measured. */
RN_MUST rn_result rn_bench_report_svg(const struct rn_bench_report *report, struct rn_buffer *out,
                                      struct rn_error *err);

#endif
