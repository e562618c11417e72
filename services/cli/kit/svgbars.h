/* SPDX-License-Identifier: Apache-2.0
 *
 * Horizontal bars as an SVG text: a label on the left, the value at the bar's end, an optional line
 * at a value to compare with. No fonts or scripts are embedded.
 */
#ifndef RN_SERVICES_CLI_KIT_SVGBARS_H
#define RN_SERVICES_CLI_KIT_SVGBARS_H

#include "base/bytes.h"

#define RN_BARS_MAX 512
#define RN_BAR_LABEL_MAX 80

struct rn_bar {
    char label[RN_BAR_LABEL_MAX];
    double value;     /* finite, not negative */
    unsigned group;   /* chooses the colour */
    double low, high; /* an interval, drawn as a line with ends; both 0: none */
};

struct rn_bars {
    const char *title;
    const char *unit; /* behind each value: "x", " tokens/s" */
    const char *note; /* small line below; NULL: none */
    double line;      /* dashed line at this value; 0: none */
    const struct rn_bar *bars;
    size_t count;
};

/* Appends the SVG to out. RN_E_DATA when there is no bar, or more than RN_BARS_MAX. */
RN_MUST rn_result rn_bars_write(const struct rn_bars *bars, struct rn_buffer *out,
                                struct rn_error *err);

#endif
