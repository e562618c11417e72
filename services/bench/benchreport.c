/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables.
 */
#include "services/bench/benchreport.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "services/cli/kit/svgbars.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define GIGA 1e-9
#define BUSY_SHARE 0.05 /* of other work from which on the text says so */

static bool has_later(const struct rn_bench_side *side)
{
    return side->failure[0] == '\0' && side->later_seconds > 0.0;
}

/* Share of G; only Rondo's own precision has one. NaN otherwise. */
static double share_of_gemm(const struct rn_bench_result *result, const struct rn_bench_side *side,
                            bool later)
{
    return side->variant == NULL && result->gemm > 0.0
               ? rn_bench_model_rate(result, side, later) / result->gemm
               : (double)NAN;
}

/* Rondo's speed over this peer's. */
static double ratio_to(const struct rn_bench_result *result, const struct rn_bench_side *peer,
                       bool later)
{
    const double theirs = rn_bench_tokens_rate(result, peer, false);
    const double ours = rn_bench_tokens_rate(result, &result->sides[0], later);
    return peer->variant != NULL && theirs > 0.0 && ours > 0.0 ? ours / theirs : (double)NAN;
}

/* ---- Text ---- */

static void text_side(const struct rn_bench_result *result, const struct rn_bench_side *side,
                      bool later, struct rn_buffer *out)
{
    char name[48];
    (void)rn_text_format(name, sizeof(name), "%s%s", side->name,
                         later                                                   ? ", later epochs"
                         : side->variant == NULL && result->setting.later_epochs ? ", first epoch"
                                                                                 : "");
    if (side->failure[0] != '\0') {
        rn_buffer_format(out, "  %-26s failed: %s\n", name, side->failure);
        return;
    }
    rn_buffer_format(out, "  %-26s %9.1f %9.2f %8.1f", name,
                     rn_bench_tokens_rate(result, side, later),
                     rn_bench_samples_rate(result, side, later),
                     rn_bench_model_rate(result, side, later) * GIGA);
    const double share = share_of_gemm(result, side, later);
    if (isfinite(share)) {
        rn_buffer_format(out, " %5.0f%%", share * 100.0);
    } else {
        rn_buffer_format(out, "      -");
    }
    rn_buffer_format(out, " %8.2f", (double)side->peak_bytes * GIGA);
    if (isfinite(ratio_to(result, side, false))) {
        rn_buffer_format(out, " %7.2fx", ratio_to(result, side, false));
        if (has_later(&result->sides[0])) {
            rn_buffer_format(out, " %7.2fx", ratio_to(result, side, true));
        }
    }
    if (side->others > BUSY_SHARE) {
        rn_buffer_format(out, "  [other work took %.0f%% of the machine]", side->others * 100.0);
    }
    rn_buffer_format(out, "%s%s\n", side->note[0] != '\0' ? "  " : "", side->note);
}

static void text_result(const struct rn_bench_result *result, struct rn_buffer *out)
{
    const struct rn_bench_setting *setting = &result->setting;
    rn_buffer_format(out, "\n%s: %s\n", setting->name, setting->summary);
    rn_buffer_format(out,
                     "  batch %u, %u steps, best of %u; %llu tokens a pass, padded %llu; G = %.1f "
                     "GFLOP/s, the layer's products together %.1f\n",
                     result->batch, result->steps, result->repeats,
                     (unsigned long long)result->tokens, (unsigned long long)result->padded,
                     result->gemm * GIGA, result->gemm_layer * GIGA);
    rn_buffer_format(out, "  %-26s %9s %9s %8s %6s %8s %8s\n", "", "tokens/s", "texts/s", "model",
                     "of G", "peak GB", "Rondo is");
    for (size_t i = 0; i < result->side_count; i++) {
        text_side(result, &result->sides[i], false, out);
        if (has_later(&result->sides[i])) {
            text_side(result, &result->sides[i], true, out);
        }
    }
    if (isfinite(result->ratio)) {
        const char *best = result->sides[result->best_peer].name;
        rn_buffer_format(out, "  Rondo is %.2fx the fastest (%s)", result->ratio, best);
        if (isfinite(result->ratio_later)) {
            rn_buffer_format(out, ", %.2fx from the second epoch on", result->ratio_later);
        }
        rn_buffer_format(out, "; peak memory %.2fx\n", result->ratio_memory);
    }
    if (isfinite(result->overhead)) {
        rn_buffer_format(out, "  %+.1f %% time over %s\n", result->overhead * 100.0,
                         setting->reference == RN_BENCH_PLAIN ? "the plain step" : "frozen layers");
    }
}

void rn_bench_report_text(const struct rn_bench_report *report, struct rn_buffer *out)
{
    char when[25];
    rn_clock_format(when, report->wall_ms);
    rn_buffer_format(out, "%s, class %s, %u threads; Rondo %s, backend %s; %.10s\n",
                     report->cpu.model, report->cpu.class, report->choice->threads, RN_VERSION,
                     report->choice->backend, when);
    if (report->peer->versions[0] != '\0') {
        rn_buffer_format(out, "peer: %s\n", report->peer->versions);
    }
    if (report->peer->note[0] != '\0') {
        rn_buffer_format(out, "note: %s\n", report->peer->note);
    }
    for (size_t i = 0; i < report->result_count; i++) {
        text_result(&report->results[i], out);
    }
    rn_buffer_format(
        out, "\nmodel: GFLOP/s of the products that any trainer must compute, 2 P (L + m) / L "
             "a token (m of L layers adapted).\nG: the fastest product of a layer here, through "
             "Rondo's backend. Tokens are real ones, padding not counted.\n");
}

/* ---- JSON ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* 0 means "not measured". */
static json_t *rate(double value)
{
    return value > 0.0 ? json_real(value) : json_null();
}

static json_t *pass_json(const struct rn_bench_result *result, const struct rn_bench_side *side,
                         bool later)
{
    const double seconds = later ? side->later_seconds : side->seconds;
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "tokens_per_second",
                     rate(rn_bench_tokens_rate(result, side, later)), "samples_per_second",
                     rate(rn_bench_samples_rate(result, side, later)), "seconds_per_step",
                     rate(seconds / result->steps), "model_rate",
                     rate(rn_bench_model_rate(result, side, later)), "of_gemm",
                     number(share_of_gemm(result, side, later)));
}

static json_t *side_json(const struct rn_bench_result *result, const struct rn_bench_side *side)
{
    const bool failed = side->failure[0] != '\0';
    return json_pack("{s:s, s:s, s:s?, s:s?, s:o, s:o, s:I, s:o, s:o, s:o}", "side", side->name,
                     "detail", side->detail, "note", side->note[0] != '\0' ? side->note : NULL,
                     "failure", failed ? side->failure : NULL, "first",
                     failed ? json_null() : pass_json(result, side, false), "later",
                     has_later(side) ? pass_json(result, side, true) : json_null(), "peak_memory",
                     (json_int_t)side->peak_bytes, "others", number(side->others), "ratio",
                     number(ratio_to(result, side, false)), "ratio_later",
                     number(ratio_to(result, side, true)));
}

static json_t *result_json(const struct rn_bench_result *result)
{
    json_t *sides = json_array();
    for (size_t i = 0; i < result->side_count; i++) {
        (void)json_array_append_new(sides, side_json(result, &result->sides[i]));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:f, s:f, s:o, s:s?, s:o, s:o, s:o, s:o}",
        "setting", result->setting.name, "shape", result->setting.shape->name, "lengths",
        result->setting.glue ? "glue" : "128", "batch", (int)result->batch, "steps",
        (int)result->steps, "repeats", (int)result->repeats, "tokens", (json_int_t)result->tokens,
        "padded_tokens", (json_int_t)result->padded, "gemm", result->gemm, "gemm_layer",
        result->gemm_layer, "sides", sides, "best_peer",
        result->best_peer < 0 ? NULL : result->sides[result->best_peer].name, "ratio",
        number(result->ratio), "ratio_later", number(result->ratio_later), "ratio_memory",
        number(result->ratio_memory), "overhead", number(result->overhead));
}

rn_result rn_bench_report_json(const struct rn_bench_report *report, struct rn_buffer *out,
                               struct rn_error *err)
{
    char when[25];
    json_t *settings = json_array();
    const struct rn_bench_peer *peer = report->peer;
    rn_clock_format(when, report->wall_ms);
    for (size_t i = 0; i < report->result_count; i++) {
        (void)json_array_append_new(settings, result_json(&report->results[i]));
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:i, s:s, s:s?, s:s?, s:o}", "rondo", RN_VERSION, "date", when,
        "cpu", report->cpu.model, "class", report->cpu.class, "memory",
        (json_int_t)report->cpu.memory_bytes, "threads", (int)report->choice->threads, "backend",
        report->choice->backend, "peer", peer->versions[0] != '\0' ? peer->versions : NULL, "note",
        peer->note[0] != '\0' ? peer->note : NULL, "settings", settings);
    const size_t flags = JSON_REAL_PRECISION(6);
    const size_t length = root != NULL ? json_dumpb(root, NULL, 0, flags) : 0;
    uint8_t *text = length > 0 ? rn_buffer_grow(out, length) : NULL;
    if (text != NULL) {
        (void)json_dumpb(root, (char *)text, length, flags);
    }
    json_decref(root);
    RN_ENSURE(text != NULL, err, RN_E_INTERNAL, "the report cannot be written as JSON");
    rn_buffer_u8(out, '\n');
    return rn_ok();
}

/* ---- CSV ---- */

/* In quotation marks, those inside doubled. */
static void csv_text(struct rn_buffer *out, const char *text)
{
    rn_buffer_u8(out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        rn_buffer_format(out, "%s%c", *c == '"' ? "\"" : "", *c == '\n' ? ' ' : *c);
    }
    rn_buffer_u8(out, '"');
}

/* An empty cell when it was not measured. */
static void csv_number(struct rn_buffer *out, double value)
{
    rn_buffer_u8(out, ',');
    if (isfinite(value) && value != 0.0) {
        rn_buffer_format(out, "%.6g", value);
    }
}

static void csv_side(const struct rn_bench_report *report, const struct rn_bench_result *result,
                     const struct rn_bench_side *side, bool later, struct rn_buffer *out)
{
    char when[25];
    rn_clock_format(when, report->wall_ms);
    rn_buffer_format(out, "%.10s,", when);
    csv_text(out, report->cpu.model);
    rn_buffer_format(out, ",%s,%u,%s,%u,%u,%u,%s,", report->cpu.class, report->choice->threads,
                     result->setting.name, result->batch, result->steps, result->repeats,
                     side->name);
    csv_text(out, side->detail);
    rn_buffer_format(out, ",%s", later ? "later" : "first");
    csv_number(out, rn_bench_tokens_rate(result, side, later));
    csv_number(out, rn_bench_samples_rate(result, side, later));
    csv_number(out, rn_bench_model_rate(result, side, later) * GIGA);
    csv_number(out, result->gemm * GIGA);
    csv_number(out, share_of_gemm(result, side, later));
    csv_number(out, (double)side->peak_bytes);
    csv_number(out, side->others);
    csv_number(out, side->variant == NULL && !side->reference
                        ? (later ? result->ratio_later : result->ratio)
                        : (double)NAN);
    rn_buffer_u8(out, ',');
    csv_text(out, side->failure[0] != '\0' ? side->failure : side->note);
    rn_buffer_u8(out, '\n');
}

static const char csv_header[] =
    "date,cpu,class,threads,setting,batch,steps,repeats,side,detail,epoch,"
    "tokens_per_second,samples_per_second,model_gflops,gemm_gflops,of_gemm,"
    "peak_memory_bytes,others,ratio_to_fastest_peer,note\n";

bool rn_bench_report_csv_begins(struct rn_view text)
{
    const size_t length = strlen(csv_header);
    return text.length >= length && memcmp(text.data, csv_header, length) == 0;
}

void rn_bench_report_csv(const struct rn_bench_report *report, struct rn_buffer *out)
{
    if (out->length == 0) {
        rn_buffer_format(out, "%s", csv_header);
    }
    for (size_t i = 0; i < report->result_count; i++) {
        const struct rn_bench_result *result = &report->results[i];
        for (size_t s = 0; s < result->side_count; s++) {
            csv_side(report, result, &result->sides[s], false, out);
            if (has_later(&result->sides[s])) {
                csv_side(report, result, &result->sides[s], true, out);
            }
        }
    }
}

/* ---- Bars ---- */

struct bar_list {
    struct rn_bar *bars; /* [RN_BARS_MAX] */
    size_t count;
};

static void add_bar(struct bar_list *list, const char *setting, const char *what, double value,
                    unsigned group)
{
    if (isfinite(value) && value > 0.0 && list->count < RN_BARS_MAX) {
        struct rn_bar *bar = &list->bars[list->count++];
        *bar = (struct rn_bar){.value = value, .group = group};
        (void)rn_text_format(bar->label, sizeof(bar->label), "%s%s", setting, what);
    }
}

static void add_ratios(struct bar_list *list, const struct rn_bench_result *result)
{
    const char *name = result->setting.name;
    const bool later = isfinite(result->ratio_later);
    add_bar(list, name, later ? ", first epoch" : "", result->ratio, 0);
    add_bar(list, name, ", later epochs", result->ratio_later, 1);
}

static void add_rates(struct bar_list *list, const struct rn_bench_result *result)
{
    const struct rn_bench_side *ours = &result->sides[0];
    const char *name = result->setting.name;
    add_bar(list, name, has_later(ours) ? ", first epoch" : "",
            rn_bench_tokens_rate(result, ours, false), 0);
    add_bar(list, name, ", later epochs", rn_bench_tokens_rate(result, ours, true), 1);
}

rn_result rn_bench_report_svg(const struct rn_bench_report *report, struct rn_buffer *out,
                              struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct rn_bar *memory = rn_alloc(RN_BARS_MAX, sizeof(*memory));
    struct bar_list list = {.bars = memory};
    char title[160];
    char note[320];
    bool ratios = false;
    for (size_t i = 0; i < report->result_count; i++) {
        add_ratios(&list, &report->results[i]);
    }
    ratios = list.count > 0;
    for (size_t i = 0; i < report->result_count && !ratios; i++) {
        add_rates(&list, &report->results[i]);
    }
    (void)rn_text_format(title, sizeof(title), "LoRA training with Rondo (%s): %s",
                         report->choice->backend,
                         ratios ? "speed over the fastest peer" : "tokens a second");
    (void)rn_text_format(note, sizeof(note), "%s, class %s, %u threads; %s", report->cpu.model,
                         report->cpu.class, report->choice->threads, report->peer->versions);
    const struct rn_bars bars = {.title = title,
                                 .unit = ratios ? "x" : " tokens/s",
                                 .note = note,
                                 .line = ratios ? 1.0 : 0.0,
                                 .bars = list.bars,
                                 .count = list.count};
    return rn_bars_write(&bars, out, err);
}
