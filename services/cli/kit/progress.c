/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress bars and lines.
 */
#include "services/cli/kit/progress.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_CELLS 24
#define REDRAW_MS 100
#define LINE_MS 5000

void rn_progress_init(struct rn_progress *out, const char *label, uint64_t total, bool quiet)
{
    *out = (struct rn_progress){
        .label = label, .total = total, .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1};
    out->start_ms = rn_clock_monotonic_ms();
}

static void remaining_text(const struct rn_progress *progress, uint64_t done, uint64_t now,
                           char *out, size_t capacity)
{
    out[0] = '\0';
    if (progress->total == 0 || done == 0 || done >= progress->total) {
        return;
    }
    const double elapsed = (double)(now - progress->start_ms) / 1000.0;
    const double left = elapsed * (double)(progress->total - done) / (double)done;
    (void)rn_text_format(out, capacity, "  %.0f s left", left);
}

static void draw_bar(struct rn_progress *progress, uint64_t done, const char *note,
                     const char *remaining)
{
    char bar[BAR_CELLS + 1];
    const uint64_t total = progress->total == 0 ? 1 : progress->total;
    const size_t full = (size_t)(BAR_CELLS * (done < total ? done : total) / total);

    memset(bar, '-', BAR_CELLS);
    memset(bar, '#', full);
    bar[BAR_CELLS] = '\0';
    (void)fprintf(stderr, "\r\033[K%s [%s] %llu/%llu  %s%s", progress->label, bar,
                  (unsigned long long)done, (unsigned long long)progress->total, note, remaining);
    (void)fflush(stderr);
    progress->drawn = true;
}

void rn_progress_show(struct rn_progress *progress, uint64_t done, const char *note)
{
    char remaining[48];

    if (progress->quiet) {
        return;
    }
    const uint64_t now = rn_clock_monotonic_ms();
    const bool last = progress->total != 0 && done >= progress->total;
    const uint64_t interval = progress->terminal ? REDRAW_MS : LINE_MS;
    if (!last && now - progress->shown_ms < interval) {
        return;
    }
    progress->shown_ms = now;
    remaining_text(progress, done, now, remaining, sizeof remaining);
    if (progress->terminal) {
        draw_bar(progress, done, note == NULL ? "" : note, remaining);
        return;
    }
    (void)fprintf(stderr, "%s %llu/%llu  %s%s\n", progress->label, (unsigned long long)done,
                  (unsigned long long)progress->total, note == NULL ? "" : note, remaining);
}

void rn_progress_done(struct rn_progress *progress)
{
    if (progress->drawn) {
        (void)fputc('\n', stderr);
        progress->drawn = false;
    }
}

void rn_progress_line(struct rn_progress *progress, const char *line)
{
    if (progress->quiet) {
        return;
    }
    if (progress->drawn) {
        (void)fprintf(stderr, "\r\033[K");
        progress->drawn = false;
    }
    (void)fprintf(stderr, "%s\n", line);
}
