/* SPDX-License-Identifier: Apache-2.0
 *
 * A line plot as an SVG text: one page, axes with round numbers, one colour and one legend entry a
 * series. No fonts or scripts are embedded; every browser shows it.
 */
#ifndef RN_SERVICES_CLI_KIT_SVGPLOT_H
#define RN_SERVICES_CLI_KIT_SVGPLOT_H

#include "base/bytes.h"

#define RN_PLOT_SERIES_MAX 16
#define RN_PLOT_POINTS_MAX 100000

/* count points; NaN y leaves a gap. Arrays are borrowed. */
struct rn_plot_series {
    const char *name;
    const double *x;
    const double *y;
    size_t count;
};

struct rn_plot {
    const char *title;
    const char *x_label;
    const char *y_label;
    struct rn_plot_series series[RN_PLOT_SERIES_MAX];
    size_t series_count;
};

/* Appends the SVG to out. RN_E_DATA when no series has a finite point. */
RN_MUST rn_result rn_plot_write(const struct rn_plot *plot, struct rn_buffer *out,
                                struct rn_error *err);

#endif
