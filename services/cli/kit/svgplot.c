/* SPDX-License-Identifier: Apache-2.0
 *
 * Axes with round steps, polylines, a legend.
 */
#include "services/cli/kit/svgplot.h"

#include "base/guard.h"

#include <math.h>

#define WIDTH 760.0
#define HEIGHT 440.0
#define LEFT 64.0
#define RIGHT 160.0
#define TOP 40.0
#define BOTTOM 52.0

/* Distinguishable also for the colour-blind (Okabe and Ito's palette). */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#999999"};

struct axis {
    double least, most, step;
};

struct frame {
    struct axis x, y;
};

static void include_value(struct axis *axis, double value)
{
    axis->least = fmin(axis->least, value);
    axis->most = fmax(axis->most, value);
}

/* Widens the axis to whole steps of 1, 2 or 5 times a power of ten, about six of them. */
static void round_axis(struct axis *axis)
{
    if (axis->most - axis->least <= 0.0) {
        axis->most = axis->least + 1.0;
    }
    const double raw = (axis->most - axis->least) / 6.0;
    const double power = pow(10.0, floor(log10(raw)));
    const double lead = raw / power;
    axis->step = power * (lead <= 1.0 ? 1.0 : lead <= 2.0 ? 2.0 : lead <= 5.0 ? 5.0 : 10.0);
    axis->least = floor(axis->least / axis->step) * axis->step;
    axis->most = ceil(axis->most / axis->step) * axis->step;
}

static bool measure(const struct rn_plot *plot, struct frame *out)
{
    struct frame frame = {{INFINITY, -INFINITY, 0}, {INFINITY, -INFINITY, 0}};
    for (size_t s = 0; s < plot->series_count; s++) {
        const struct rn_plot_series *series = &plot->series[s];
        for (size_t i = 0; i < series->count; i++) {
            if (isfinite(series->y[i]) && isfinite(series->x[i])) {
                include_value(&frame.x, series->x[i]);
                include_value(&frame.y, series->y[i]);
            }
        }
    }
    if (!(frame.x.least <= frame.x.most)) {
        return false;
    }
    round_axis(&frame.x);
    round_axis(&frame.y);
    *out = frame;
    return true;
}

static double place_x(const struct frame *frame, double x)
{
    const double share = (x - frame->x.least) / (frame->x.most - frame->x.least);
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct frame *frame, double y)
{
    const double share = (y - frame->y.least) / (frame->y.most - frame->y.least);
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

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

static void write_grid(struct rn_buffer *out, const struct frame *frame)
{
    char label[32];
    for (double y = frame->y.least; y <= frame->y.most + frame->y.step / 2; y += frame->y.step) {
        rn_buffer_format(out, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>\n", LEFT,
                         place_y(frame, y), WIDTH - RIGHT);
        (void)rn_text_format(label, sizeof(label), "%.4g", fabs(y) < 1e-12 ? 0.0 : y);
        write_text(out, LEFT - 8, place_y(frame, y) + 4, "end", label);
    }
    for (double x = frame->x.least; x <= frame->x.most + frame->x.step / 2; x += frame->x.step) {
        rn_buffer_format(out, "<path d=\"M%.1f %.1fv5\" stroke=\"#555\"/>\n", place_x(frame, x),
                         HEIGHT - BOTTOM);
        (void)rn_text_format(label, sizeof(label), "%.4g", x);
        write_text(out, place_x(frame, x), HEIGHT - BOTTOM + 20, "middle", label);
    }
    rn_buffer_format(out, "<path d=\"M%.1f %.1fV%.1fH%.1f\" stroke=\"#555\" fill=\"none\"/>\n",
                     LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
}

static void write_series(struct rn_buffer *out, const struct frame *frame,
                         const struct rn_plot_series *series, size_t number)
{
    const char *colour = colours[number % RN_ARRAY_LENGTH(colours)];
    bool pen_down = false;
    rn_buffer_format(out, "<path fill=\"none\" stroke-width=\"2\" stroke=\"%s\" d=\"", colour);
    for (size_t i = 0; i < series->count; i++) {
        const bool there = isfinite(series->x[i]) && isfinite(series->y[i]);
        if (there) {
            rn_buffer_format(out, "%s%.1f %.1f", pen_down ? "L" : "M", place_x(frame, series->x[i]),
                             place_y(frame, series->y[i]));
        }
        pen_down = there;
    }
    rn_buffer_format(out, "\"/>\n");
    const double y = TOP + 10 + 20.0 * (double)number;
    rn_buffer_format(out, "<path d=\"M%.1f %.1fh22\" stroke-width=\"3\" stroke=\"%s\"/>\n",
                     WIDTH - RIGHT + 12, y, colour);
    write_text(out, WIDTH - RIGHT + 40, y + 4, "start", series->name);
}

rn_result rn_plot_write(const struct rn_plot *plot, struct rn_buffer *out, struct rn_error *err)
{
    struct frame frame;
    RN_ENSURE(measure(plot, &frame), err, RN_E_DATA, "nothing to plot: no finite value");
    rn_buffer_format(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                     "font-family=\"sans-serif\" font-size=\"12\">\n"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                     WIDTH, HEIGHT);
    write_text(out, (LEFT + WIDTH - RIGHT) / 2, 24, "middle", plot->title);
    write_grid(out, &frame);
    for (size_t s = 0; s < plot->series_count; s++) {
        write_series(out, &frame, &plot->series[s], s);
    }
    write_text(out, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "middle", plot->x_label);
    write_text(out, 12, TOP - 10, "start", plot->y_label);
    rn_buffer_format(out, "</svg>\n");
    RN_ENSURE(!out->failed, err, RN_E_MEMORY, "the plot is too large");
    return rn_ok();
}
