/* SPDX-License-Identifier: Apache-2.0
 *
 * One training from its start, or from a checkpoint, to its end, a checkpoint or a failure.
 */
#ifndef RN_SERVICES_CLI_DESK_TRAINRUN_H
#define RN_SERVICES_CLI_DESK_TRAINRUN_H

#include "services/cli/desk/checkpoint.h"
#include "services/cli/desk/desktrainer.h"

struct rn_train_run {
    const struct rn_desk_session *session;
    struct rn_train_spec *spec;
    const char *settings; /* what must be alike in a later run */
    const char *out;      /* output folder; the checkpoint stands in it */
    uint64_t every;       /* steps between checkpoints; 0: at a signal alone */
    bool with_head;       /* the head trains */
    bool resume, quiet;
};

/* Trains with progress. The first signal writes a checkpoint and ends with RN_E_ROUND_ABORTED and a
 * sentence that says how to go on (with dp nothing is kept: its noise must not be drawn twice for
 * one step). A training that came to its end removes its checkpoint once the caller has saved:
 * rn_train_run_done. report: of the whole training. */
RN_MUST rn_result rn_train_run(const struct rn_train_run *run, struct rn_train_report *out_report,
                               struct rn_error *err);
void rn_train_run_done(const struct rn_train_run *run);

/* The output folder may be used: empty, or overwrite, or a checkpoint to go on with. */
RN_MUST rn_result rn_train_run_folder(const char *out, bool overwrite, bool resume,
                                      struct rn_error *err);

#endif
