/* SPDX-License-Identifier: Apache-2.0
 *
 * A running service for a person: progress on stderr, and with JSON one object per finished round
 * and one at the end on standard output. A round's object waits for what development data said of
 * its adapter; rounds keep their order.
 */
#ifndef RN_SERVICES_CLI_RUN_RUNVIEW_H
#define RN_SERVICES_CLI_RUN_RUNVIEW_H

#include "services/cli/kit/progress.h"
#include "services/federation/jobevent.h"

struct rn_runview_row;

struct rn_runview {
    struct rn_progress progress;
    bool json;
    bool coordinator; /* publishes after every round; a member once, at the end */
    uint32_t present, members;
    struct rn_runview_row *rows; /* finished, their objects not printed; oldest first */
    size_t row_count;
};

void rn_runview_init(struct rn_runview *view, bool coordinator, bool json, bool quiet);
/* A job's listener, with the view as context: on one thread at a time. */
void rn_runview_event(void *context, const struct rn_job_event *event);
/* Prints what still waits; ends the bar. */
void rn_runview_end(struct rn_runview *view);

#endif
