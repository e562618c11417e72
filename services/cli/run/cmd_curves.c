/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo curves: draws a column of one or more rounds.csv files as an SVG.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/svgplot.h"
#include "services/cli/rondo.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CSV_BYTES_MAX ((size_t)64 << 20)
#define NAME_MAX_BYTES 256

struct curves_settings {
    const char *out, *column, *x, *title;
};

struct curve {
    char name[NAME_MAX_BYTES];
    double *x;
    double *y;
    size_t count;
};

static void curve_clear(struct curve *curve)
{
    rn_free(curve->x);
    rn_free(curve->y);
}

/* Number of the column called name in a header line, or -1. */
static int column_of(const char *header, size_t length, const char *name)
{
    int column = 0;
    for (size_t start = 0; start <= length; column++) {
        const size_t cell = strcspn(header + start, ",\r\n");
        if (cell == strlen(name) && strncmp(header + start, name, cell) == 0) {
            return column;
        }
        start += cell + 1;
    }
    return -1;
}

static double cell_value(const char *line, int column)
{
    for (int i = 0; i < column; i++) {
        const size_t skip = strcspn(line, ",\r\n");
        if (line[skip] != ',') {
            return NAN;
        }
        line += skip + 1;
    }
    if (strchr(",\r\n", *line) != NULL) {
        return NAN; /* strtod would take the next line's number for an empty cell */
    }
    char *end = NULL;
    const double value = strtod(line, &end);
    return end == line ? NAN : value;
}

static rn_result read_points(struct curve *curve, const char *path, const char *x_name,
                             const char *y_name, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer file = {0};
    RN_TRY(rn_file_read(path, CSV_BYTES_MAX, &file, err));
    const char *text = rn_buffer_text(&file);
    const size_t header = strcspn(text, "\n");
    const int x_column = column_of(text, header, x_name);
    const int y_column = column_of(text, header, y_name);
    const bool ours = column_of(text, header, "round") >= 0; /* else the line may be a record */
    RN_ENSURE(x_column >= 0 && y_column >= 0, err, RN_E_DATA,
              "%s: line 1 has no column \"%s\"%s%.*s", path, x_column < 0 ? x_name : y_name,
              ours ? "; it has " : "", ours ? (int)(header < 300 ? header : 300) : 0, text);
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    RN_ENSURE(lines <= RN_PLOT_POINTS_MAX, err, RN_E_DATA, "%s: more than %d lines", path,
              RN_PLOT_POINTS_MAX);
    curve->x = rn_alloc(lines + 1, sizeof(double));
    curve->y = rn_alloc(lines + 1, sizeof(double));
    for (const char *line = text + header; *line == '\n' && line[1] != '\0';) {
        line++;
        curve->x[curve->count] = cell_value(line, x_column);
        curve->y[curve->count++] = cell_value(line, y_column);
        line += strcspn(line, "\n");
    }
    return rn_ok();
}

static bool any_finite(const struct curve *curve)
{
    for (size_t i = 0; i < curve->count; i++) {
        if (isfinite(curve->y[i])) {
            return true;
        }
    }
    return false;
}

/* An operand is FILE or NAME=FILE. */
static rn_result curve_read(struct curve *curve, const char *operand, const char *x_name,
                            const char *y_name, struct rn_error *err)
{
    const char *equals = strchr(operand, '=');
    const char *path = equals != NULL ? equals + 1 : operand;
    const int name_length = equals != NULL ? (int)(equals - operand) : (int)strlen(operand);
    (void)rn_text_format(curve->name, sizeof(curve->name), "%.*s", name_length, operand);
    RN_TRY(read_points(curve, path, x_name, y_name, err));
    RN_ENSURE(any_finite(curve), err, RN_E_DATA,
              "%s: column \"%s\" holds no number: the coordinator measures only with development "
              "data (rondo init --dev); --column loss draws the training loss",
              path, y_name);
    return rn_ok();
}

static rn_result draw(const struct rn_command *command, const struct curves_settings *s,
                      struct rn_error *err)
{
    struct curve curves[RN_PLOT_SERIES_MAX] = {0};
    char title[NAME_MAX_BYTES];
    struct rn_plot plot = {
        .title = s->title != NULL ? s->title : title, .x_label = s->x, .y_label = s->column};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer svg = {0};
    rn_result result = rn_ok();
    (void)rn_text_format(title, sizeof(title), "%s by %s", s->column, s->x);
    for (size_t i = 0; rn_is_ok(result) && i < command->operand_count; i++) {
        result = curve_read(&curves[i], command->operands[i], s->x, s->column, err);
        plot.series[plot.series_count++] =
            (struct rn_plot_series){curves[i].name, curves[i].x, curves[i].y, curves[i].count};
    }
    if (rn_is_ok(result)) {
        result = rn_plot_write(&plot, &svg, err);
    }
    if (rn_is_ok(result)) {
        result = rn_file_write(s->out, rn_buffer_view(&svg), 0644, err);
    }
    for (size_t i = 0; i < RN_PLOT_SERIES_MAX; i++) {
        curve_clear(&curves[i]);
    }
    return result;
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct curves_settings *s = command->settings;
    RN_TRY(draw(command, s, err));
    rn_json_out_print(command, s->out);
    return rn_ok();
}

static const struct rn_option options[] = {
    {"out", RN_OPT_FILE(struct curves_settings, out), .fallback = "curves.svg",
     .help = "SVG to write"},
    {"column", RN_OPT_TEXT(struct curves_settings, column, "NAME"), .fallback = "accuracy",
     .help = "column to draw"},
    {"x", RN_OPT_TEXT(struct curves_settings, x, "NAME"), .fallback = "round",
     .help = "column for the horizontal axis"},
    {"title", RN_OPT_TEXT(struct curves_settings, title, "TEXT"), .help = "heading"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Drawing", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_curves = {
    .name = "curves",
    .summary = "draw the rounds of one or more jobs as an SVG",
    .groups = groups,
    .settings_size = sizeof(struct curves_settings),
    .operands = {{"[NAME=]FILE.csv", RN_OPTION_FILE, 1, RN_PLOT_SERIES_MAX}},
    .exits = RN_EXITS(65, 66),
    .examples = "  rondo curves rolora=a/rounds.csv ffa-lora=b/rounds.csv --out methods.svg\n"
                "  rondo curves state/rounds.csv --column loss --title \"training loss\"",
    .run = run,
};
