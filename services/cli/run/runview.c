/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/run/runview.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"

#define NOTE_MAX 160

struct rn_runview_row {
    struct rn_job_event event; /* ROUND or SKIPPED, without what it borrows */
    bool published;
    bool judged;
    double metric, dev_loss;
    const char *metric_name;
};

void rn_runview_init(struct rn_runview *view, bool coordinator, bool json, bool quiet)
{
    *view = (struct rn_runview){.json = json, .coordinator = coordinator};
    rn_progress_init(&view->progress, "rounds", 0, quiet);
}

/* ---- JSON */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Of the adapter that the round started from, by all members. */
static json_t *of_start(const struct rn_job_event *event, double value)
{
    return event->start.valid ? number(value) : json_null();
}

static void print_object(json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    (void)printf("\n");
    (void)fflush(stdout);
    json_decref(object);
}

static void print_row(const struct rn_runview_row *row)
{
    const struct rn_job_event *event = &row->event;
    char hash[65];
    rn_hex_encode(hash, event->hash, sizeof(event->hash));
    json_t *object = json_object();
    (void)json_object_set_new(object, "round", json_integer(event->round));
    (void)json_object_set_new(object, "phase", json_string(event->phase));
    (void)json_object_set_new(object, "outcome", json_string(rn_code_name(event->outcome)));
    (void)json_object_set_new(object, "members", json_integer(event->included));
    (void)json_object_set_new(object, "lost", json_integer(event->lost));
    (void)json_object_set_new(object, "loss", number(event->loss));
    (void)json_object_set_new(object, "metric_name",
                              row->judged ? json_string(row->metric_name) : json_null());
    (void)json_object_set_new(object, "metric", row->judged ? number(row->metric) : json_null());
    (void)json_object_set_new(object, "dev_loss",
                              row->judged ? number(row->dev_loss) : json_null());
    (void)json_object_set_new(object, "start_metric", of_start(event, event->start.metric));
    (void)json_object_set_new(object, "start_dev_loss", of_start(event, event->start.loss));
    (void)json_object_set_new(object, "adapter", json_string(hash));
    (void)json_object_set_new(object, "uplink_bytes", json_integer((json_int_t)event->bytes));
    (void)json_object_set_new(object, "seconds", json_real((double)event->milliseconds / 1000));
    print_object(object);
}

static void print_first(struct rn_runview *view)
{
    print_row(&view->rows[0]);
    view->row_count--;
    memmove(view->rows, view->rows + 1, view->row_count * sizeof(*view->rows));
}

static void keep_row(struct rn_runview *view, const struct rn_job_event *event)
{
    if (!view->json) {
        return;
    }
    view->rows = rn_realloc(view->rows, view->row_count, view->row_count + 1, sizeof(*view->rows));
    view->rows[view->row_count++] = (struct rn_runview_row){
        .event = *event, .published = !view->coordinator || event->kind == RN_JOB_SKIPPED};
}

static struct rn_runview_row *row_of(struct rn_runview *view, uint32_t round)
{
    for (size_t i = 0; i < view->row_count; i++) {
        if (view->rows[i].event.round == round) {
            return &view->rows[i];
        }
    }
    return NULL;
}

/* What a publication says of a round comes in one piece: WRITTEN, then EVALUATED. */
static void update_rows(struct rn_runview *view, const struct rn_job_event *event)
{
    struct rn_runview_row *row = row_of(view, event->round);
    if (event->kind == RN_JOB_EVALUATED && row != NULL) {
        row->judged = true;
        row->metric = event->metric;
        row->dev_loss = event->loss;
        row->metric_name = event->metric_name;
    }
    while (view->row_count > 0 && view->rows[0].published) {
        print_first(view);
    }
    row = row_of(view, event->round);
    if (event->kind == RN_JOB_WRITTEN && row != NULL) {
        row->published = true;
    }
}

static void print_end(struct rn_runview *view, const struct rn_job_event *event)
{
    while (view->row_count > 0) {
        print_first(view);
    }
    json_t *object = json_object();
    (void)json_object_set_new(object, "adapter",
                              event->path == NULL ? json_null() : json_string(event->path));
    (void)json_object_set_new(object, "rounds", json_integer(event->rounds));
    (void)json_object_set_new(object, "summed", json_integer(event->summed));
    (void)json_object_set_new(object, "skipped", json_integer(event->skipped));
    (void)json_object_set_new(object, "outcome", json_string(rn_code_name(event->outcome)));
    const bool measured = event->judgement.measured;
    (void)json_object_set_new(object, "best_round",
                              measured ? json_integer(event->judgement.best_round) : json_null());
    (void)json_object_set_new(object, "best_metric",
                              measured ? number(event->judgement.best_metric) : json_null());
    (void)json_object_set_new(object, "head_untrained", json_boolean(event->head_untrained));
    print_object(object);
}

/* ---- Lines */

static void note_of(const struct rn_runview *view, const struct rn_job_event *event,
                    char out[static NOTE_MAX])
{
    const char *phase = event->phase == NULL ? "" : event->phase;
    const char *space = event->phase == NULL ? "" : " ";
    if (event->kind == RN_JOB_TRAINING && event->step == 0) {
        (void)rn_text_format(out, NOTE_MAX, "round %u%s%s, training", (unsigned)event->round, space,
                             phase);
    } else if (event->kind == RN_JOB_TRAINING) {
        (void)rn_text_format(out, NOTE_MAX, "round %u%s%s, training %u/%u, loss %.4f",
                             (unsigned)event->round, space, phase, (unsigned)event->step,
                             (unsigned)event->steps, event->loss);
    } else {
        (void)rn_text_format(out, NOTE_MAX, "round %u%s%s, %s", (unsigned)event->round, space,
                             phase, rn_sa_stage_name(event->stage));
    }
    if (view->coordinator) {
        const size_t used = strlen(out);
        (void)rn_text_format(out + used, NOTE_MAX - used, ", %u of %u members",
                             (unsigned)view->present, (unsigned)view->members);
    }
}

static void show_round(struct rn_runview *view, const struct rn_job_event *event)
{
    char line[256];
    char loss[32] = "";
    if (isfinite(event->loss)) {
        (void)rn_text_format(loss, sizeof(loss), "  loss %.4f", event->loss);
    }
    if (event->kind == RN_JOB_SKIPPED) {
        (void)rn_text_format(line, sizeof(line), "round %u  %s  skipped (%s)",
                             (unsigned)event->round, event->phase, rn_code_name(event->outcome));
    } else {
        (void)rn_text_format(
            line, sizeof(line), "round %u  %s%s  %u organisations, %u lost  %.1f KiB up  %.1f s",
            (unsigned)event->round, event->phase, loss, (unsigned)event->included,
            (unsigned)event->lost, (double)event->bytes / 1024, (double)event->milliseconds / 1000);
    }
    rn_progress_line(&view->progress, line);
    rn_progress_show(&view->progress, event->round, "");
    keep_row(view, event);
}

static void show_evaluated(struct rn_runview *view, const struct rn_job_event *event)
{
    char text[NOTE_MAX];
    (void)rn_text_format(text, sizeof(text), "%s %u  %s %.4f  loss %.4f",
                         event->round == 0 ? "before round" : "after round",
                         event->round == 0 ? 1 : (unsigned)event->round, event->metric_name,
                         event->metric, event->loss);
    rn_progress_line(&view->progress, text);
}

/* The mean over the members' development sets. */
static void show_measured(struct rn_runview *view, const struct rn_job_event *event)
{
    char text[NOTE_MAX];
    (void)rn_text_format(text, sizeof(text), "after round %u  all members: %s %.4f  loss %.4f",
                         (unsigned)event->round, event->metric_name, event->metric, event->loss);
    rn_progress_line(&view->progress, text);
}

static void show_stopped(struct rn_runview *view, const struct rn_job_event *event)
{
    char text[NOTE_MAX];
    (void)rn_text_format(text, sizeof(text),
                         "ends early: no better adapter since round %u (%s %.4f)",
                         (unsigned)event->round, event->metric_name, event->metric);
    rn_progress_line(&view->progress, text);
}

static void show_best(struct rn_runview *view, const struct rn_job_event *event)
{
    char text[NOTE_MAX];
    const struct rn_round_judgement *judgement = &event->judgement;
    if (!judgement->measured) {
        return;
    }
    (void)rn_text_format(text, sizeof(text),
                         "best by the members' development sets: round %u, %.4f",
                         (unsigned)judgement->best_round, judgement->best_metric);
    rn_progress_line(&view->progress, text);
}

static void show_members(struct rn_runview *view, const struct rn_job_event *event)
{
    char text[512];
    view->present = event->present;
    view->members = event->members;
    const bool names = event->detail != NULL;
    (void)rn_text_format(text, sizeof(text), "%u of %u members connected%s%s",
                         (unsigned)event->present, (unsigned)event->members, names ? "; " : "",
                         names ? event->detail : "");
    rn_progress_line(&view->progress, text);
}

static void show_end(struct rn_runview *view, const struct rn_job_event *event)
{
    char line[RN_PATH_MAX + 64];
    rn_progress_done(&view->progress);
    if (event->skipped > 0) {
        (void)rn_text_format(line, sizeof(line), "%u of %u rounds summed, %u skipped",
                             (unsigned)event->summed, (unsigned)event->rounds,
                             (unsigned)event->skipped);
        rn_progress_line(&view->progress, line);
    }
    show_best(view, event);
    if (event->path == NULL) {
        rn_progress_line(&view->progress, event->blind && event->summed > 0
                                              ? "blind: members hold the adapter"
                                              : "no adapter was published");
    } else {
        (void)rn_text_format(line, sizeof(line), "adapter: %s", event->path);
        rn_progress_line(&view->progress, line);
    }
    if (event->head_untrained) {
        rn_progress_line(&view->progress,
                         "warning: its head is untrained; the plan's is local: each member's "
                         "adapters/final holds its own");
    }
    if (view->json) {
        print_end(view, event);
    }
}

void rn_runview_event(void *context, const struct rn_job_event *event)
{
    struct rn_runview *view = context;
    char note[NOTE_MAX];
    view->progress.total = event->rounds;
    update_rows(view, event);
    switch (event->kind) {
    case RN_JOB_STARTED:
        view->members = event->members;
        rn_progress_show(&view->progress, event->round - 1, "waiting for the others");
        break;
    case RN_JOB_MEMBERS:
    case RN_JOB_WAITING:
        show_members(view, event);
        break;
    case RN_JOB_STAGE:
    case RN_JOB_TRAINING:
        note_of(view, event, note);
        rn_progress_show(&view->progress, event->round - 1, note);
        break;
    case RN_JOB_ROUND:
    case RN_JOB_SKIPPED:
        show_round(view, event);
        break;
    case RN_JOB_EVALUATED:
        show_evaluated(view, event);
        break;
    case RN_JOB_MEASURED:
        show_measured(view, event);
        break;
    case RN_JOB_STOPPED_EARLY:
        show_stopped(view, event);
        break;
    case RN_JOB_ENDED:
        show_end(view, event);
        break;
    default: /* warnings are on stderr as log lines */
        break;
    }
}

void rn_runview_end(struct rn_runview *view)
{
    while (view->row_count > 0) {
        print_first(view);
    }
    rn_free(view->rows);
    view->rows = NULL;
    rn_progress_done(&view->progress);
}
