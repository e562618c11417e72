/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress on stderr: a bar that redraws itself on a terminal, one plain line every few seconds
 * elsewhere, nothing when quiet.
 */
#ifndef RN_SERVICES_CLI_KIT_PROGRESS_H
#define RN_SERVICES_CLI_KIT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct rn_progress {
    const char *label;
    uint64_t total; /* 0: unknown */
    bool quiet;
    bool terminal;
    bool drawn; /* a bar stands on the terminal's last line */
    uint64_t shown_ms;
    uint64_t start_ms;
};

/* label is borrowed: "train". */
void rn_progress_init(struct rn_progress *out, const char *label, uint64_t total, bool quiet);

/* done of total, and a note such as "loss 0.4312". Cheap to call at every step. */
void rn_progress_show(struct rn_progress *progress, uint64_t done, const char *note);

/* Ends the bar's line. */
void rn_progress_done(struct rn_progress *progress);

/* A line between two bars: printed without breaking the bar; not when quiet. */
void rn_progress_line(struct rn_progress *progress, const char *line);

#endif
