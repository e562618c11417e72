/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress, signals and checkpoints around rn_trainer_train.
 */
#include "services/cli/desk/trainrun.h"

#include "base/file.h"
#include "base/guard.h"
#include "services/cli/desk/outputdir.h"
#include "services/cli/kit/progress.h"
#include "services/cli/kit/stopflag.h"

#include <math.h>
#include <unistd.h>

struct watch {
    const struct rn_train_run *run;
    struct rn_checkpoint of;
    char path[RN_PATH_MAX];
    struct rn_train_report before; /* what earlier calls did */
    struct rn_progress progress;
    uint32_t step, steps;
    rn_result written;
    struct rn_error err;
};

/* The figures of all calls together. */
static struct rn_train_report whole(const struct rn_train_report *before,
                                    const struct rn_train_report *now)
{
    struct rn_train_report out = *now;
    if (before->steps > 0) {
        out.loss_first = before->loss_first;
        out.loss_last = now->steps > 0 ? now->loss_last : before->loss_last;
        out.steps = now->steps > 0 ? now->steps : before->steps;
        out.loss_sum += before->loss_sum;
        out.examples += before->examples;
        out.tokens += before->tokens;
        out.seconds += before->seconds;
    }
    return out;
}

static bool each_step(void *context, const struct rn_train_progress *step)
{
    struct watch *watch = context;
    const struct rn_train_run *run = watch->run;
    const bool last = step->step == step->steps;
    const bool stop = rn_stopped() && !last;
    const bool due = run->every > 0 && step->step % run->every == 0 && !last;
    char note[64];

    watch->step = step->step;
    watch->steps = step->steps;
    watch->progress.total = step->steps;
    (void)rn_text_format(note, sizeof note, "loss %.4f", step->loss);
    rn_progress_show(&watch->progress, step->step, isnan(step->loss) ? "" : note);
    if ((stop || due) && run->spec->dp == NULL) {
        const struct rn_train_report report = whole(&watch->before, step->report);
        watch->written =
            rn_checkpoint_write(&watch->of, watch->path, step->step, &report, &watch->err);
    }
    return !stop && rn_is_ok(watch->written);
}

static rn_result stopped(const struct watch *watch, rn_result result, struct rn_error *err)
{
    if (!rn_is_ok(watch->written)) {
        return rn_fail(err, watch->written.code, "%s", watch->err.text);
    }
    if (result.code != RN_E_ROUND_ABORTED) {
        return result;
    }
    return watch->run->spec->dp != NULL
               ? rn_fail(err, RN_E_ROUND_ABORTED,
                         "stopped after step %u of %u; with --dp-clip nothing is kept", watch->step,
                         watch->steps)
               : rn_fail(err, RN_E_ROUND_ABORTED,
                         "stopped after step %u of %u; the same command with --resume goes on from "
                         "there",
                         watch->step, watch->steps);
}

rn_result rn_train_run(const struct rn_train_run *run, struct rn_train_report *out_report,
                       struct rn_error *err)
{
    struct watch watch = {.run = run, .of = {run->session->trainer, run->with_head, run->settings}};
    struct rn_train_report report = {0};
    RN_TRY(rn_path_join(watch.path, run->out, RN_CHECKPOINT_NAME, err));
    RN_ENSURE(run->spec->dp == NULL || (run->every == 0 && !run->resume), err, RN_E_USAGE,
              "--dp-clip excludes --checkpoint-every and --resume");
    if (run->resume) {
        RN_TRY(
            rn_checkpoint_read(&watch.of, watch.path, &run->spec->first_step, &watch.before, err));
    }
    rn_progress_init(&watch.progress, "train", run->spec->steps, run->quiet);
    rn_stop_catch();
    const rn_result result = rn_trainer_train(run->session->trainer, run->session->data, run->spec,
                                              each_step, &watch, &report, err);
    rn_stop_release();
    rn_progress_done(&watch.progress);
    *out_report = whole(&watch.before, &report);
    return stopped(&watch, result, err);
}

void rn_train_run_done(const struct rn_train_run *run)
{
    char path[RN_PATH_MAX];
    if (rn_is_ok(rn_path_join(path, run->out, RN_CHECKPOINT_NAME, NULL))) {
        (void)unlink(path);
    }
}

rn_result rn_train_run_folder(const char *out, bool overwrite, bool resume, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, out, RN_CHECKPOINT_NAME, err));
    const bool there = rn_file_exists(path);
    RN_ENSURE(!resume || there, err, RN_E_NO_INPUT, "%s: no checkpoint to go on with", path);
    RN_ENSURE(resume || overwrite || !there, err, RN_E_USAGE,
              "%s holds a checkpoint: go on with --resume, or begin anew with --overwrite", out);
    return rn_output_directory(out, overwrite || resume, 0755, err);
}
