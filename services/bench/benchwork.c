/* SPDX-License-Identifier: Apache-2.0
 *
 * Rondo's side of a measurement, in a process of its own. Lines on standard output, each one JSON
 * object, as the peer's script prints them:
 *     {"event": "ready", "detail": "cpu avx512"}                  model and data are loaded
 *     {"event": "step", "pass": 0, "seconds": 0.5}                one measured step, passes from 0
 *     {"event": "note", "text": "..."}                            for the report
 *
 * A warm-up batch, then the measured batches, one pass or more, with the time of every step.
 */
#include "services/bench/benchprogram.h"

#include "base/clock.h"
#include "base/guard.h"
#include "crypto/noise.h"
#include "crypto/random.h"
#include "services/cli/kit/bounds.h"
#include "trainer/trainer.h"

#include <stdio.h>
#include <string.h>

#define LEARNING_RATE 1e-4
#define CLIP 1.0
#define ALPHA 8.0

struct work {
    const char *model, *warm, *texts;
    const char *backend, *active;
    uint64_t threads, batch, passes, first_layer, layers, rank, length;
    bool cache, head, dp;
};

struct clock {
    uint64_t last_ns;
    uint32_t steps_a_pass;
};

static rn_result open_trainer(const struct work *work, struct rn_trainer **out,
                              struct rn_error *err)
{
    static const char *const targets[] = {"query", "value"};
    static const char *const labels[] = {"0", "1"};
    uint32_t layers[RN_TRAINER_LAYERS_MAX];
    for (uint32_t i = 0; i < work->layers; i++) {
        layers[i] = (uint32_t)work->first_layer + i;
    }
    const struct rn_trainer_spec spec = {
        .model_dir = work->model,
        .max_length = (uint32_t)work->length,
        .task = RN_TASK_CLASSIFICATION,
        .labels = labels,
        .label_count = RN_ARRAY_LENGTH(labels),
        .lora = {.rank = (uint32_t)work->rank,
                 .alpha = ALPHA,
                 .targets = targets,
                 .target_count = RN_ARRAY_LENGTH(targets),
                 .layers = layers,
                 .layer_count = work->layers},
        .head = work->head ? RN_HEAD_LOCAL : RN_HEAD_FROZEN,
        .seed = 1,
        .backend = work->backend,
        .threads = (uint32_t)work->threads,
        .cache_bytes = work->cache ? RN_CACHE_AUTO : 0,
        .for_training = true,
        .for_dp = work->dp,
    };
    return rn_trainer_open(&spec, out, err);
}

static rn_result open_texts(struct rn_trainer *trainer, const char *path, struct rn_dataset **out,
                            struct rn_error *err)
{
    const struct rn_data_spec spec = {
        .path = path, .format = "tsv", .text_column = "text", .label_column = "label"};
    return rn_trainer_data_open(trainer, &spec, out, err);
}

/* Noise of all the trainer's threads, as in `rondo train`. */
struct noise_source {
    struct rn_noise noise;
    uint32_t threads;
};

static void clear_source(struct noise_source *source)
{
    rn_noise_clear(&source->noise);
}

static void draw_noise(void *context, size_t n, double deviation, int64_t *out)
{
    struct noise_source *source = context;
    rn_noise_draw_wide(&source->noise, n, deviation, out, source->threads);
}

/* Noise from the system's randomness, as `rondo train` takes it. */
static rn_result start_noise(struct rn_noise *noise, struct rn_error *err)
{
    struct rn_secret32 key;
    RN_TRY(rn_random_bytes(key.bytes, sizeof(key.bytes), err));
    rn_noise_init(noise, &key);
    rn_secret_wipe(&key, sizeof(key));
    return rn_ok();
}

/* dp: what clips and drowns each text's gradient; NULL: plain. */
static struct rn_train_spec train_spec(const struct work *work, uint32_t passes,
                                       const struct rn_dp_spec *dp)
{
    return (struct rn_train_spec){
        .active = strcmp(work->active, "A") == 0   ? RN_MATRIX_A
                  : strcmp(work->active, "B") == 0 ? RN_MATRIX_B
                                                   : RN_MATRIX_AB,
        .optimizer = RN_OPTIMIZER_ADAMW,
        .lr_a = LEARNING_RATE,
        .lr_b = LEARNING_RATE,
        .clip = dp == NULL ? CLIP : 0.0,
        .batch = (uint32_t)work->batch,
        .epochs = passes,
        .seed = 1,
        .dp = dp,
    };
}

static bool print_step(void *context, const struct rn_train_progress *step)
{
    struct clock *clock = context;
    const uint64_t now = rn_clock_monotonic_ns();
    printf("{\"event\": \"step\", \"pass\": %u, \"seconds\": %.9f}\n",
           (step->step - 1) / clock->steps_a_pass, (double)(now - clock->last_ns) * 1e-9);
    (void)fflush(stdout);
    clock->last_ns = rn_clock_monotonic_ns();
    return true;
}

static rn_result measure(const struct work *work, struct rn_trainer *trainer,
                         const struct rn_dataset *warm, const struct rn_dataset *texts,
                         struct rn_error *err)
{
    RN_CLEANUP(clear_source) struct noise_source source = {.threads = 0};
    const struct rn_dp_spec private = {.clip_norm = CLIP,
                                       .noise_multiplier = 1.0,
                                       .denominator = (double)work->batch,
                                       .sampling = RN_DP_BATCHES,
                                       .context = &source,
                                       .noise = draw_noise};
    const struct rn_dp_spec *dp = work->dp ? &private : NULL;
    const struct rn_train_spec once = train_spec(work, 1, dp);
    const struct rn_train_spec spec = train_spec(work, (uint32_t)work->passes, dp);
    const size_t count = rn_trainer_data_count(texts);
    struct rn_trainer_facts facts;
    if (work->dp) {
        RN_TRY(start_noise(&source.noise, err));
    }
    rn_trainer_facts(trainer, &facts);
    source.threads = facts.threads;
    printf("{\"event\": \"ready\", \"detail\": \"%s %s\"}\n", facts.backend, facts.kernels);
    (void)fflush(stdout);
    RN_TRY(rn_trainer_train(trainer, warm, &once, NULL, NULL, NULL, err));
    struct clock clock = {.steps_a_pass = (uint32_t)((count + work->batch - 1) / work->batch),
                          .last_ns = rn_clock_monotonic_ns()};
    return rn_trainer_train(trainer, texts, &spec, print_step, &clock, NULL, err);
}

static void close_data(struct rn_dataset **data)
{
    rn_trainer_data_close(*data);
}

static void close_trainer(struct rn_trainer **trainer)
{
    rn_trainer_close(*trainer);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct work *work = command->settings;
    RN_CLEANUP(close_trainer) struct rn_trainer *trainer = NULL;
    RN_CLEANUP(close_data) struct rn_dataset *warm = NULL;
    RN_CLEANUP(close_data) struct rn_dataset *texts = NULL;
    RN_ENSURE(work->layers <= RN_TRAINER_LAYERS_MAX, err, RN_E_USAGE, "too many layers");
    RN_TRY(open_trainer(work, &trainer, err));
    RN_TRY(open_texts(trainer, work->warm, &warm, err));
    RN_TRY(open_texts(trainer, work->texts, &texts, err));
    return measure(work, trainer, warm, texts, err);
}

static const struct rn_option options[] = {
    {"model", RN_OPT_DIRECTORY(struct work, model), .required = true, .help = "model"},
    {"warm", RN_OPT_FILE(struct work, warm), .required = true, .help = "warm-up texts"},
    {"texts", RN_OPT_FILE(struct work, texts), .required = true, .help = "measured texts"},
    {"length", RN_OPT_COUNT(struct work, length, "N"), .help = "longest text"},
    {"batch", RN_OPT_COUNT(struct work, batch, "N"), .required = true, RN_BOUNDS_BATCH,
     .help = "texts a step"},
    {"passes", RN_OPT_COUNT(struct work, passes, "N"), .fallback = "1",
     .help = "passes over the texts"},
    {"threads", RN_OPT_COUNT(struct work, threads, "N"), RN_BOUNDS_THREADS, .help = "threads"},
    {"rank", RN_OPT_COUNT(struct work, rank, "N"), .required = true, RN_BOUNDS_RANK,
     .help = "LoRA rank"},
    {"first-layer", RN_OPT_COUNT(struct work, first_layer, "N"), .help = "lowest adapted layer"},
    {"layers", RN_OPT_COUNT(struct work, layers, "N"), .required = true, .help = "adapted layers"},
    {"active", RN_OPT_CHOICE(struct work, active, "both|A|B"), .fallback = "both",
     .help = "matrices"},
    {"backend", RN_OPT_CHOICE(struct work, backend, RN_CHOICES_BACKEND), .required = true,
     .help = "backend"},
    {"cache", RN_OPT_FLAG(struct work, cache), .help = "cache frozen layers"},
    {"head", RN_OPT_FLAG(struct work, head), .help = "the head trains"},
    {"dp", RN_OPT_FLAG(struct work, dp), .help = "differential privacy"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Measurement", options, 0}, {NULL}};

const struct rn_command_def rn_bench_child = {
    .name = "child",
    .summary = "one measurement, for train",
    .groups = groups,
    .settings_size = sizeof(struct work),
    .formats = "text",
    .exits = RN_EXITS(65, 66, 69, 71, 81, 82),
    .hidden = true,
    .run = run,
};
