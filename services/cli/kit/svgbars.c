/* SPDX-License-Identifier: Apache-2.0
 *
 * One bar a line.
 */
#include "services/cli/kit/svgbars.h"

#include "base/guard.h"

#include <math.h>

#define WIDTH 860.0
#define LEFT 300.0
#define RIGHT 120.0
#define TOP 44.0
#define LINE 24.0
#define THICK 15.0
#define BOTTOM 34.0

/* As in the line plot: Okabe and Ito's palette. */
static const char *const colours[] = {"#0072b2", "#009e73", "#d55e00", "#999999"};

static void write_text(struct rn_buffer *out, double x, double y, const char *anchor,
                       const char *text)
{
    rn_buffer_format(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '<' || *c == '&') {
            rn_buffer_format(out, "&#%d;", *c);
        } else {
            rn_buffer_u8(out, (uint8_t)*c);
        }
    }
    rn_buffer_format(out, "</text>\n");
}

/* Three significant digits without an exponent. */
static void write_value(struct rn_buffer *out, double x, double y, double value, const char *unit)
{
    char text[64];
    const int digits = value >= 100.0 ? 0 : value >= 10.0 ? 1 : 2;
    (void)rn_text_format(text, sizeof(text), "%.*f%s", digits, value, unit);
    write_text(out, x, y, "start", text);
}

static void write_interval(struct rn_buffer *out, double low, double high, double y)
{
    const double middle = y + THICK / 2;
    rn_buffer_format(out,
                     "<path d=\"M%.1f %.1fH%.1fM%.1f %.1fv%.1fM%.1f %.1fv%.1f\" stroke=\"#000\" "
                     "fill=\"none\"/>\n",
                     low, middle, high, low, middle - 4, 8.0, high, middle - 4, 8.0);
}

rn_result rn_bars_write(const struct rn_bars *bars, struct rn_buffer *out, struct rn_error *err)
{
    double most = bars->line;
    RN_ENSURE(bars->count > 0 && bars->count <= RN_BARS_MAX, err, RN_E_DATA,
              "nothing to plot: no bars, or more than %d", RN_BARS_MAX);
    for (size_t i = 0; i < bars->count; i++) {
        most = fmax(most, fmax(bars->bars[i].value, bars->bars[i].high));
    }
    const double scale = (WIDTH - LEFT - RIGHT) / (most > 0.0 ? most : 1.0);
    const double foot = TOP + LINE * (double)bars->count;
    rn_buffer_format(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                     "font-family=\"sans-serif\" font-size=\"12\">\n"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                     WIDTH, foot + BOTTOM);
    write_text(out, WIDTH / 2, 24, "middle", bars->title);
    for (size_t i = 0; i < bars->count; i++) {
        const struct rn_bar *bar = &bars->bars[i];
        const double y = TOP + LINE * (double)i;
        write_text(out, LEFT - 8, y + THICK - 3, "end", bar->label);
        rn_buffer_format(out,
                         "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" "
                         "fill=\"%s\"/>\n",
                         LEFT, y, bar->value * scale, THICK,
                         colours[bar->group % RN_ARRAY_LENGTH(colours)]);
        if (bar->high > 0.0) {
            write_interval(out, LEFT + fmax(bar->low, 0.0) * scale, LEFT + bar->high * scale, y);
        }
        write_value(out, LEFT + fmax(bar->value, bar->high) * scale + 6, y + THICK - 3, bar->value,
                    bars->unit);
    }
    if (bars->line > 0.0) {
        rn_buffer_format(out,
                         "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#333\" stroke-dasharray=\"4 3\"/>\n",
                         LEFT + bars->line * scale, TOP - 6, foot);
    }
    write_text(out, WIDTH / 2, foot + 20, "middle", bars->note != NULL ? bars->note : "");
    rn_buffer_format(out, "</svg>\n");
    RN_ENSURE(!out->failed, err, RN_E_MEMORY, "the plot is too large");
    return rn_ok();
}
