/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts, command lines of the children, what their lines say, and ratios.
 */
#include "services/bench/benchrun.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "services/bench/benchchild.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define ARGUMENTS_MAX 48
#define TEXT_SEED 7
#define WARM_SEED 8
#define LATER_PASSES 2
#define PASSES_MAX (1 + LATER_PASSES)
#define GEMM_LIMIT_MS 300000
#define SELF "/proc/self/exe"
#define LOAD_SECONDS 5.0
#define COMPILE_SECONDS 90.0

struct paths {
    char model[RN_PATH_MAX], warm[RN_PATH_MAX], texts[RN_PATH_MAX], errors[RN_PATH_MAX];
};

/* ---- Plan ---- */

static struct rn_bench_side *add_side(struct rn_bench_result *result, const char *name)
{
    RN_BUG_IF(result->side_count >= RN_BENCH_SIDES_MAX);
    struct rn_bench_side *side = &result->sides[result->side_count++];
    *side = (struct rn_bench_side){.others = (double)NAN};
    (void)rn_text_format(side->name, sizeof(side->name), "%s", name);
    return side;
}

void rn_bench_sides_plan(const struct rn_bench_setting *setting,
                         const struct rn_bench_choice *choice, const struct rn_bench_peer *peer,
                         struct rn_bench_result *out)
{
    *out = (struct rn_bench_result){
        .setting = *setting,
        .batch = choice->batch,
        .steps = choice->steps != 0 ? choice->steps : setting->shape->steps,
        .repeats = choice->repeats != 0 ? choice->repeats : setting->shape->repeats,
        .best_peer = -1,
        .ratio = NAN,
        .ratio_later = NAN,
        .ratio_memory = NAN,
        .overhead = NAN,
    };
    (void)add_side(out, "rondo");
    if (setting->reference != RN_BENCH_NO_REFERENCE) {
        add_side(out, setting->reference == RN_BENCH_PLAIN ? "rondo plain" : "rondo frozen")
            ->reference = true;
    }
    for (size_t i = 0; setting->peer && peer->python != NULL && i < peer->variant_count; i++) {
        char name[32];
        (void)rn_text_format(name, sizeof(name), "peft %s", peer->variants[i]);
        add_side(out, name)->variant = peer->variants[i];
    }
}

static uint32_t passes_of(const struct rn_bench_result *result, const struct rn_bench_side *side)
{
    return side->variant == NULL && result->setting.later_epochs ? PASSES_MAX : 1;
}

uint64_t rn_bench_steps_of(const struct rn_bench_result *planned)
{
    uint64_t steps = 0;
    for (size_t i = 0; i < planned->side_count; i++) {
        steps += (uint64_t)passes_of(planned, &planned->sides[i]) * planned->steps;
    }
    return steps * planned->repeats;
}

/* ---- Texts ---- */

static rn_result write_texts(const struct rn_bench_setting *setting, uint64_t seed, uint32_t batch,
                             uint32_t steps, const char *path, uint64_t *out_tokens,
                             uint64_t *out_padded, struct rn_error *err)
{
    const size_t count = (size_t)batch * steps;
    RN_CLEANUP(rn_free_cleanup) uint32_t *lengths = rn_alloc(count, sizeof(*lengths));
    uint64_t tokens = 0;
    uint64_t padded = 0;
    if (setting->glue) {
        rn_random_lengths(seed, count, lengths);
    }
    for (size_t first = 0; first < count; first += batch) {
        uint32_t longest = 0;
        for (size_t i = first; i < first + batch; i++) {
            lengths[i] = setting->glue ? lengths[i] : RN_RANDOM_LENGTH_MOST;
            longest = lengths[i] > longest ? lengths[i] : longest;
            tokens += lengths[i];
        }
        padded += (uint64_t)longest * batch;
    }
    *out_tokens = tokens;
    *out_padded = padded;
    return rn_random_texts_write(seed, lengths, count, path, err);
}

static rn_result prepare(const struct rn_bench_place *place, const struct rn_bench_choice *choice,
                         struct rn_bench_result *result, struct paths *out, struct rn_error *err)
{
    uint64_t tokens = 0;
    uint64_t padded = 0;
    RN_TRY(rn_bench_place_model(place, result->setting.shape, choice->quiet, out->model, err));
    RN_TRY(rn_path_join(out->warm, place->dir, "warm.tsv", err));
    RN_TRY(rn_path_join(out->texts, place->dir, "texts.tsv", err));
    RN_TRY(rn_path_join(out->errors, place->dir, "errors", err));
    RN_TRY(write_texts(&result->setting, WARM_SEED, result->batch, 1, out->warm, &tokens, &padded,
                       err));
    return write_texts(&result->setting, TEXT_SEED, result->batch, result->steps, out->texts,
                       &result->tokens, &result->padded, err);
}

/* ---- The machine's rate ---- */

struct rates {
    double best, layer;
};

static void read_rates(void *context, const char *line)
{
    struct rates *rates = context;
    json_t *root = json_loads(line, 0, NULL);
    (void)json_unpack(root, "{s:[{s:F, s:F}]}", "backends", "best", &rates->best, "layer",
                      &rates->layer);
    json_decref(root);
}

static rn_result measure_gemm(const struct rn_bench_choice *choice, const struct paths *paths,
                              struct rn_bench_result *result, struct rn_error *err)
{
    char threads[16];
    struct rates rates = {0};
    struct rn_bench_use use;
    (void)rn_text_format(threads, sizeof(threads), "%u", choice->threads);
    const char *const argv[] = {SELF,        "gemm",
                                "--backend", choice->backend,
                                "--shape",   result->setting.shape->name,
                                "--threads", threads,
                                "--seconds", result->setting.shape->gemm_seconds,
                                "--format",  "json",
                                NULL};
    RN_TRY(rn_bench_child_run(argv, paths->errors, GEMM_LIMIT_MS, read_rates, &rates, &use, err));
    result->gemm = fmax(result->gemm, rates.best);
    result->gemm_layer = fmax(result->gemm_layer, rates.layer);
    return rn_ok();
}

/* ---- Estimate ---- */

/* Rough seconds of one turn of a side, from shares of G that machines of several classes have
 * shown; a person waits by it, nothing else leans on it. */
static double estimate_side(const struct rn_bench_result *result, const struct rn_bench_side *side)
{
    const double passes = 1.0 + 1.0 / result->steps; /* the warm-up batch */
    const double work = rn_bench_token_operations(&result->setting) / result->gemm;
    if (side->variant == NULL) {
        return LOAD_SECONDS + (double)result->tokens * work * (passes + LATER_PASSES / 2.0) / 0.75;
    }
    const bool compiled = strstr(side->variant, "-compiled") != NULL;
    const bool float32 = strncmp(side->variant, "float32", 7) == 0;
    return 2 * LOAD_SECONDS + (compiled ? COMPILE_SECONDS : 0) +
           (double)result->padded * work * (passes + (compiled ? 1 : 0)) / (float32 ? 0.3 : 0.5);
}

static void show_estimate(const struct rn_bench_result *result, struct rn_progress *progress)
{
    char line[128];
    double seconds = 0.0;
    for (size_t i = 0; i < result->side_count; i++) {
        seconds += result->repeats * estimate_side(result, &result->sides[i]);
    }
    (void)rn_text_format(line, sizeof(line), "%s: about %.0f %s", result->setting.name,
                         seconds < 90 ? seconds : seconds / 60, seconds < 90 ? "s" : "min");
    rn_progress_line(progress, line);
}

/* ---- One measurement ---- */

struct arguments {
    const char *list[ARGUMENTS_MAX];
    size_t count;
    char numbers[ARGUMENTS_MAX][24];
};

static void add(struct arguments *arguments, const char *text)
{
    RN_BUG_IF(arguments->count + 1 >= ARGUMENTS_MAX);
    arguments->list[arguments->count++] = text;
}

static void add_text(struct arguments *arguments, const char *name, const char *value)
{
    add(arguments, name);
    add(arguments, value);
}

static void add_number(struct arguments *arguments, const char *name, uint64_t value)
{
    char *number = arguments->numbers[arguments->count];
    (void)rn_text_format(number, sizeof(arguments->numbers[0]), "%llu", (unsigned long long)value);
    add_text(arguments, name, number);
}

static void fill_arguments(const struct rn_bench_result *result, const struct rn_bench_side *side,
                           const struct rn_bench_peer *peer, const struct rn_bench_choice *choice,
                           const struct paths *paths, struct arguments *out)
{
    const struct rn_bench_setting *setting = &result->setting;
    const bool frozen = side->reference && setting->reference == RN_BENCH_FROZEN;
    if (side->variant == NULL) {
        add_text(out, SELF, "child");
        add_text(out, "--backend", choice->backend);
        if (choice->cache && setting->later_epochs) {
            add(out, "--cache");
        }
        if (setting->head) {
            add(out, "--head");
        }
    } else {
        add_text(out, peer->python, peer->script);
        add_text(out, "--variant", side->variant);
        if (!setting->glue) {
            add(out, "--fixed");
        }
    }
    add_text(out, "--model", paths->model);
    add_text(out, "--warm", paths->warm);
    add_text(out, "--texts", paths->texts);
    add_text(out, "--active",
             setting->active == RN_MATRIX_A   ? "A"
             : setting->active == RN_MATRIX_B ? "B"
                                              : "both");
    add_number(out, "--length", RN_RANDOM_LENGTH_MOST);
    add_number(out, "--batch", result->batch);
    add_number(out, "--threads", choice->threads);
    add_number(out, "--passes", passes_of(result, side));
    add_number(out, "--rank", frozen ? 1 : RN_BENCH_RANK);
    add_number(out, "--first-layer", setting->first_layer);
    add_number(out, "--layers", frozen ? 1 : setting->shape->layers - setting->first_layer);
    if (setting->dp && !side->reference) {
        add(out, "--dp");
    }
}

struct listener {
    struct rn_bench_side *side;
    struct rn_progress *progress;
    const struct rn_bench_result *result;
    uint64_t *done;
    double seconds[PASSES_MAX];
    uint32_t steps[PASSES_MAX];
};

static void hear_step(struct listener *listener, json_t *root)
{
    int pass = 0;
    double seconds = 0.0;
    char note[128];
    if (json_unpack(root, "{s:i, s:F}", "pass", &pass, "seconds", &seconds) != 0 || pass < 0 ||
        pass >= PASSES_MAX) {
        return;
    }
    listener->seconds[pass] += seconds;
    listener->steps[pass]++;
    *listener->done += 1;
    (void)rn_text_format(note, sizeof(note), "%s, %s: %.3g s", listener->result->setting.name,
                         listener->side->name, seconds);
    rn_progress_show(listener->progress, *listener->done, note);
}

static void hear(void *context, const char *line)
{
    struct listener *listener = context;
    const char *event = NULL;
    const char *text = NULL;
    json_t *root = json_loads(line, 0, NULL);
    if (root == NULL || json_unpack(root, "{s:s}", "event", &event) != 0) {
        json_decref(root);
        return;
    }
    if (strcmp(event, "step") == 0) {
        hear_step(listener, root);
    } else if (json_unpack(root, "{s:s}", "detail", &text) == 0) {
        (void)rn_text_format(listener->side->detail, sizeof(listener->side->detail), "%s", text);
    } else if (json_unpack(root, "{s:s}", "text", &text) == 0) {
        (void)rn_text_format(listener->side->note, sizeof(listener->side->note), "%s", text);
    }
    json_decref(root);
}

static double lesser(double a, double b)
{
    return a == 0.0 || (b != 0.0 && b < a) ? b : a;
}

/* Takes the listener's times over into the side if every step was made. */
static bool settle(const struct listener *listener, const struct rn_bench_result *result)
{
    struct rn_bench_side *side = listener->side;
    for (uint32_t pass = 0; pass < passes_of(result, side); pass++) {
        if (listener->steps[pass] != result->steps) {
            return false;
        }
    }
    side->seconds = lesser(side->seconds, listener->seconds[0]);
    for (uint32_t pass = 1; pass < passes_of(result, side); pass++) {
        side->later_seconds = lesser(side->later_seconds, listener->seconds[pass]);
    }
    return true;
}

static rn_result measure_side(const struct rn_bench_peer *peer,
                              const struct rn_bench_choice *choice, const struct paths *paths,
                              struct rn_progress *progress, uint64_t *done,
                              struct rn_bench_result *result, struct rn_bench_side *side,
                              struct rn_error *err)
{
    struct listener listener = {.side = side, .progress = progress, .result = result, .done = done};
    struct arguments arguments = {.count = 0};
    struct rn_error why = {{0}};
    struct rn_bench_use use = {.peak_bytes = 0};
    const uint64_t before = *done;
    fill_arguments(result, side, peer, choice, paths, &arguments);
    const rn_result run = rn_bench_child_run(arguments.list, paths->errors, choice->limit_ms, hear,
                                             &listener, &use, &why);
    *done = before + (uint64_t)passes_of(result, side) * result->steps;
    if (run.code == RN_E_ROUND_ABORTED) {
        return rn_fail(err, run.code, "%s", why.text);
    }
    if (!rn_is_ok(run) || !settle(&listener, result)) {
        (void)rn_text_format(side->failure, sizeof(side->failure), "%s",
                             why.text[0] != '\0' ? why.text : "it ended before its last step");
        return rn_ok();
    }
    side->peak_bytes = use.peak_bytes > side->peak_bytes ? use.peak_bytes : side->peak_bytes;
    side->others = fmax(side->others, use.others); /* of a number and NaN it takes the number */
    return rn_ok();
}

/* ---- Ratios ---- */

double rn_bench_tokens_rate(const struct rn_bench_result *result, const struct rn_bench_side *side,
                            bool later)
{
    const double seconds = later ? side->later_seconds : side->seconds;
    return side->failure[0] != '\0' || seconds <= 0.0 ? 0.0 : (double)result->tokens / seconds;
}

double rn_bench_samples_rate(const struct rn_bench_result *result, const struct rn_bench_side *side,
                             bool later)
{
    const double texts = (double)result->batch * result->steps;
    return rn_bench_tokens_rate(result, side, later) * texts / (double)result->tokens;
}

double rn_bench_model_rate(const struct rn_bench_result *result, const struct rn_bench_side *side,
                           bool later)
{
    return rn_bench_tokens_rate(result, side, later) * rn_bench_token_operations(&result->setting);
}

static void form_ratios(struct rn_bench_result *result)
{
    const struct rn_bench_side *ours = &result->sides[0];
    double best = 0.0;
    for (size_t i = 1; i < result->side_count; i++) {
        const struct rn_bench_side *side = &result->sides[i];
        const double rate = rn_bench_tokens_rate(result, side, false);
        if (side->reference && rate > 0.0 && ours->seconds > 0.0) {
            result->overhead = ours->seconds / side->seconds - 1.0;
        }
        if (side->variant != NULL && rate > best) {
            best = rate;
            result->best_peer = (int)i;
        }
    }
    if (result->best_peer < 0 || ours->seconds <= 0.0 || ours->failure[0] != '\0') {
        return;
    }
    const struct rn_bench_side *peer = &result->sides[result->best_peer];
    result->ratio = rn_bench_tokens_rate(result, ours, false) / best;
    result->ratio_memory = (double)ours->peak_bytes / (double)peer->peak_bytes;
    if (ours->later_seconds > 0.0) {
        result->ratio_later = rn_bench_tokens_rate(result, ours, true) / best;
    }
}

rn_result rn_bench_run(const struct rn_bench_place *place, const struct rn_bench_peer *peer,
                       const struct rn_bench_choice *choice, struct rn_progress *progress,
                       uint64_t *done, struct rn_bench_result *result, struct rn_error *err)
{
    struct paths paths;
    RN_TRY(prepare(place, choice, result, &paths, err));
    RN_TRY(measure_gemm(choice, &paths, result, err));
    show_estimate(result, progress);
    for (uint32_t repeat = 0; repeat < result->repeats; repeat++) {
        for (size_t i = 0; i < result->side_count; i++) {
            if (result->sides[i].failure[0] == '\0') {
                RN_TRY(measure_side(peer, choice, &paths, progress, done, result, &result->sides[i],
                                    err));
            }
        }
    }
    RN_TRY(measure_gemm(choice, &paths, result, err)); /* the machine may have been busy before */
    form_ratios(result);
    return rn_ok();
}
