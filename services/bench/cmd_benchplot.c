/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo-bench plot: the ratios in the CSV files of `rondo-bench train` as bars, whatever runs they
 * come from.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/bench/benchprogram.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/svgbars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CSV_BYTES_MAX ((size_t)16 << 20)
#define CELLS_MAX 64

struct row {
    char *cells[CELLS_MAX]; /* into the line, which is cut up */
    size_t count;
};

/* Cuts the line at *at, quotation marks taken off; false at the end of the text. */
static bool next_row(char **at, struct row *out)
{
    char *c = *at;
    out->count = 0;
    if (*c == '\0') {
        return false;
    }
    for (bool more = true; more;) {
        const bool quoted = *c == '"';
        char *to = c += quoted;
        char *begin = c;
        while (*c != '\0' && (quoted ? *c != '"' || c[1] == '"' : strchr(",\n", *c) == NULL)) {
            c += quoted && *c == '"'; /* a doubled one */
            *to++ = *c++;
        }
        c += quoted && *c == '"';
        more = *c == ',';
        c += *c != '\0';
        *to = '\0';
        if (out->count < CELLS_MAX) {
            out->cells[out->count++] = begin;
        }
    }
    *at = c;
    return true;
}

static rn_result column_of(const struct row *header, const char *name, const char *path,
                           size_t *out, struct rn_error *err)
{
    for (size_t i = 0; i < header->count; i++) {
        if (strcmp(header->cells[i], name) == 0) {
            *out = i;
            return rn_ok();
        }
    }
    return rn_fail(err, RN_E_DATA, "%s: line 1 has no column \"%s\"", path, name);
}

struct plot {
    struct rn_bar *bars; /* [RN_BARS_MAX] */
    size_t count;
};

/* A setting measured again replaces its older bar. */
static struct rn_bar *bar_of(struct plot *plot, const char *label)
{
    for (size_t i = 0; i < plot->count; i++) {
        if (strcmp(plot->bars[i].label, label) == 0) {
            return &plot->bars[i];
        }
    }
    return plot->count < RN_BARS_MAX ? &plot->bars[plot->count++] : NULL;
}

static rn_result add_row(struct plot *plot, const char *setting, const char *epoch,
                         const char *ratio, struct rn_error *err)
{
    struct rn_bar bar = {.value = strtod(ratio, NULL)};
    const bool later = strcmp(epoch, "later") == 0;
    if (!(bar.value > 0.0 && bar.value < 1e9)) {
        return rn_ok(); /* a side without a ratio */
    }
    (void)rn_text_format(bar.label, sizeof(bar.label), "%s%s", setting,
                         later ? ", later epochs" : "");
    struct rn_bar *to = bar_of(plot, bar.label);
    RN_ENSURE(to != NULL, err, RN_E_DATA, "more than %d settings", RN_BARS_MAX);
    bar.group = later ? 1 : 0;
    *to = bar;
    return rn_ok();
}

static rn_result add_file(struct plot *plot, const char *path, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct row row;
    size_t setting = 0;
    size_t epoch = 0;
    size_t ratio = 0;
    RN_TRY(rn_file_read(path, CSV_BYTES_MAX, &text, err));
    rn_buffer_u8(&text, '\0');
    RN_ENSURE(!text.failed, err, RN_E_MEMORY, "%s is too large", path);
    char *at = (char *)text.data;
    RN_ENSURE(next_row(&at, &row), err, RN_E_DATA, "%s: empty", path);
    RN_TRY(column_of(&row, "setting", path, &setting, err));
    RN_TRY(column_of(&row, "epoch", path, &epoch, err));
    RN_TRY(column_of(&row, "ratio_to_fastest_peer", path, &ratio, err));
    while (next_row(&at, &row)) {
        if (row.count > setting && row.count > epoch && row.count > ratio) {
            RN_TRY(add_row(plot, row.cells[setting], row.cells[epoch], row.cells[ratio], err));
        }
    }
    return rn_ok();
}

struct plot_settings {
    const char *out, *title;
};

static rn_result draw(const struct rn_command *command, struct rn_error *err)
{
    const struct plot_settings *s = command->settings;
    RN_CLEANUP(rn_free_cleanup) struct rn_bar *bars = rn_alloc(RN_BARS_MAX, sizeof(*bars));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer svg = {0};
    struct plot plot = {.bars = bars};
    for (size_t i = 0; i < command->operand_count; i++) {
        RN_TRY(add_file(&plot, command->operands[i], err));
    }
    const struct rn_bars drawn = {
        .title = s->title, .unit = "x", .line = 1.0, .bars = plot.bars, .count = plot.count};
    RN_TRY(rn_bars_write(&drawn, &svg, err));
    return rn_file_write(s->out, rn_buffer_view(&svg), 0644, err);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct plot_settings *s = command->settings;
    RN_TRY(draw(command, err));
    rn_json_out_print(command, s->out);
    return rn_ok();
}

static const struct rn_option options[] = {
    {"out", RN_OPT_FILE(struct plot_settings, out), .fallback = "bench.svg",
     .help = "SVG to write"},
    {"title", RN_OPT_TEXT(struct plot_settings, title, "TEXT"),
     .fallback = "LoRA training: Rondo's speed over the fastest peer's", .help = "heading"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Drawing", options, 0}, {NULL}};

const struct rn_command_def rn_bench_plot = {
    .name = "plot",
    .summary = "draw the ratios of train's CSV files",
    .groups = groups,
    .settings_size = sizeof(struct plot_settings),
    .operands = {{"FILE.csv", RN_OPTION_FILE, 1, RN_OPERANDS_MAX}},
    .exits = RN_EXITS(65, 66),
    .detail = "A setting that was measured more than once counts with its last row.",
    .examples = "  rondo-bench plot figures.csv --out ratios.svg",
    .run = run,
};
