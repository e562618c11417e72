/* SPDX-License-Identifier: Apache-2.0
 *
 * Canaries, two trainings (one that shows each canary's own direction, the audited one), scores,
 * guesses.
 */
#include "services/bench/auditrun.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "crypto/kdf.h"
#include "crypto/noise.h"
#include "crypto/random.h"
#include "services/bench/auditbound.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLIP_NORM 0.1
#define UNIT 1e-4 /* by which a record that is clipped moves the adapter, in its own direction */
#define SCORES 2

static const char *const score_names[SCORES] = {"sum", "spread"};

struct audit {
    const struct rn_audit_spec *spec;
    struct rn_trainer *trainer;
    struct rn_noise noise;
    struct rn_stream samples;
    bool *in;          /* [canaries] */
    size_t count;      /* of the adapter's values */
    float *start;      /* [count] */
    float *values[2];  /* [count] before and after the step */
    float *directions; /* [canaries][count], unit */
    double *sums;      /* [canaries] over the steps, of projections */
    double *squares;
};

static void close_audit(struct audit *a)
{
    rn_trainer_close(a->trainer);
    rn_noise_clear(&a->noise);
    rn_stream_clear(&a->samples);
    rn_free(a->in);
    rn_free(a->start);
    rn_free(a->values[0]);
    rn_free(a->values[1]);
    rn_free(a->directions);
    rn_free(a->sums);
    rn_free(a->squares);
}

static void derive(const struct rn_secret32 *key, const char *purpose, struct rn_secret32 *out)
{
    rn_kdf_sha256_long(out->bytes, sizeof(out->bytes), rn_view_of(key->bytes, sizeof(key->bytes)),
                       rn_view_of(NULL, 0), rn_view_text(purpose));
}

static rn_result draw_keys(struct audit *a, struct rn_error *err)
{
    struct rn_secret32 key;
    struct rn_secret32 derived;
    if (a->spec->key != NULL) {
        key = *a->spec->key;
    } else {
        RN_TRY(rn_random_bytes(key.bytes, sizeof(key.bytes), err));
    }
    derive(&key, "rondo audit 1 noise", &derived);
    rn_noise_init(&a->noise, &derived);
    derive(&key, "rondo audit 1 samples", &derived);
    rn_stream_init(&a->samples, &derived);
    derive(&key, "rondo audit 1 coins", &derived);
    RN_CLEANUP(rn_stream_clear) struct rn_stream coins;
    rn_stream_init(&coins, &derived);
    for (uint32_t i = 0; i < a->spec->canaries; i++) {
        a->in[i] = (rn_stream_u64(&coins) & 1) != 0;
    }
    rn_secret_wipe(&key, sizeof(key));
    rn_secret_wipe(&derived, sizeof(derived));
    return rn_ok();
}

static rn_result open_trainer(struct audit *a, struct rn_error *err)
{
    static const struct rn_random_model model = {
        .layers = 1, .hidden = 8, .heads = 2, .intermediate = 16, .seed = 1};
    RN_TRY(rn_random_model_write(&model, a->spec->dir, NULL, NULL, err));
    const struct rn_trainer_spec spec = {
        .model_dir = a->spec->dir,
        .max_length = RN_RANDOM_LENGTH_LEAST,
        .label_count = a->spec->canaries,
        .lora = {.rank = 1, .alpha = 1.0},
        .head = RN_HEAD_LOCAL,
        .new_head = true,
        .seed = 1,
        .threads = 1,
        .for_training = true,
        .for_dp = true,
    };
    return rn_trainer_open(&spec, &a->trainer, err);
}

/* The canaries of a coin, or all of them. */
static rn_result open_canaries(struct audit *a, bool all, struct rn_dataset **out,
                               struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_buffer_format(&text, "text\tlabel\n");
    for (uint32_t i = 0; i < a->spec->canaries; i++) {
        if (all || a->in[i]) {
            rn_buffer_format(&text, "canary\t%u\n", i);
        }
    }
    RN_TRY(rn_path_join(path, a->spec->dir, "canaries.tsv", err));
    RN_TRY(rn_file_write(path, rn_buffer_view(&text), 0600, err));
    const struct rn_data_spec spec = {
        .path = path, .format = "tsv", .text_column = "text", .label_column = "label"};
    return rn_trainer_data_open(a->trainer, &spec, out, err);
}

static void draw_noise(void *context, size_t n, double deviation, int64_t *out)
{
    struct audit *a = context;
    rn_noise_draw(&a->noise, n, deviation, out);
}

static void draw_uniform(void *context, size_t n, uint64_t *out)
{
    struct audit *a = context;
    rn_stream_words(&a->samples, out, n);
}

/* What the step's sum of clipped gradients was, in clip norms, to values[0]; values[1] is where the
 * step ended. False when the trainer cannot tell. */
static bool step_of(struct audit *a)
{
    struct rn_error err;
    float *before = a->values[0];
    a->values[0] = a->values[1];
    a->values[1] = before;
    if (!rn_is_ok(rn_trainer_get(a->trainer, RN_MATRIX_AB, true, a->values[1], a->count, &err))) {
        return false;
    }
    for (size_t j = 0; j < a->count; j++) {
        a->values[0][j] = (a->values[0][j] - a->values[1][j]) / (float)UNIT;
    }
    return true;
}

static double product(const float *x, const float *y, size_t n)
{
    double sum = 0.0;
    for (size_t j = 0; j < n; j++) {
        sum += (double)x[j] * (double)y[j];
    }
    return sum;
}

/* One canary after the other, without noise. */
static bool take_direction(void *context, const struct rn_train_progress *progress)
{
    struct audit *a = context;
    float *direction = a->directions + (size_t)(progress->step - 1) * a->count;
    if (!step_of(a)) {
        return false;
    }
    memcpy(direction, a->values[0], a->count * sizeof(float));
    const double norm = sqrt(product(direction, direction, a->count));
    for (size_t j = 0; j < a->count && norm > 0.0; j++) {
        direction[j] = (float)((double)direction[j] / norm);
    }
    return true;
}

static bool take_scores(void *context, const struct rn_train_progress *progress)
{
    struct audit *a = context;
    (void)progress;
    if (!step_of(a)) {
        return false;
    }
    for (uint32_t i = 0; i < a->spec->canaries; i++) {
        const double x = product(a->values[0], a->directions + i * a->count, a->count);
        a->sums[i] += x;
        a->squares[i] += x * x;
    }
    return true;
}

/* A training from the start, each step of which is looked at. */
static rn_result train(struct audit *a, const struct rn_dp_spec *dp, uint32_t batch, uint32_t steps,
                       bool all, rn_train_progress_fn look, struct rn_error *err)
{
    struct rn_dataset *data = NULL;
    const double rate = UNIT * dp->denominator / CLIP_NORM;
    const struct rn_train_spec spec = {.active = RN_MATRIX_AB,
                                       .optimizer = RN_OPTIMIZER_SGD,
                                       .lr_a = rate,
                                       .lr_b = rate,
                                       .lr_head = rate,
                                       .batch = batch,
                                       .steps = steps,
                                       .dp = dp};
    RN_TRY(rn_trainer_set(a->trainer, RN_MATRIX_AB, true, a->start, a->count, err));
    memcpy(a->values[1], a->start, a->count * sizeof(float));
    RN_TRY(open_canaries(a, all, &data, err));
    const rn_result result = rn_trainer_train(a->trainer, data, &spec, look, a, NULL, err);
    rn_trainer_data_close(data);
    return result;
}

static rn_result both_trainings(struct audit *a, struct rn_error *err)
{
    const struct rn_audit_spec *spec = a->spec;
    struct rn_dp_spec dp = {.clip_norm = CLIP_NORM,
                            .clipping = spec->clipping,
                            .denominator = 1.0,
                            .sampling = RN_DP_BATCHES,
                            .context = a,
                            .noise = draw_noise,
                            .uniform = draw_uniform};
    RN_TRY(train(a, &dp, 1, spec->canaries, true, take_direction, err));
    dp.noise_multiplier = spec->noise;
    dp.sampling = spec->sampling;
    dp.threshold = spec->sampling == RN_DP_POISSON ? rn_dp_threshold(spec->rate) : 0;
    dp.picks = spec->picks;
    return train(a, &dp, spec->canaries, spec->steps, false, take_scores, err);
}

struct ranked {
    double score;
    bool in;
};

static int higher_first(const void *x, const void *y)
{
    const struct ranked *a = x;
    const struct ranked *b = y;
    return (a->score < b->score) - (a->score > b->score);
}

/* Every record is in every step. */
static bool all_in_all(const struct rn_audit_spec *spec)
{
    return spec->sampling == RN_DP_ALLOCATION ? spec->picks == spec->steps : spec->rate >= 1.0;
}

/* The bound from one ranking, one number of guesses and one way to guess, if it is the best. */
static void guess(const struct audit *a, const struct ranked *ranked, uint32_t guesses,
                  bool both_sides, const char *score, double p, struct rn_audit_result *best)
{
    const uint32_t canaries = a->spec->canaries;
    const uint32_t highest = both_sides ? guesses / 2 : guesses;
    uint32_t right = 0;
    for (uint32_t i = 0; i < highest; i++) {
        right += ranked[i].in;
    }
    for (uint32_t i = 0; i < guesses - highest; i++) {
        right += !ranked[canaries - 1 - i].in;
    }
    const double mu = all_in_all(a->spec) ? rn_audit_mu(canaries, guesses, right, p) : 0.0;
    const double epsilon = all_in_all(a->spec)
                               ? rn_audit_gaussian_epsilon(mu, a->spec->delta)
                               : rn_audit_epsilon(canaries, guesses, right, a->spec->delta, p);
    if (epsilon > best->epsilon || best->score == NULL) {
        *best = (struct rn_audit_result){.epsilon = epsilon,
                                         .mu = mu,
                                         .guesses = guesses,
                                         .right = right,
                                         .score = score,
                                         .both_sides = both_sides,
                                         .members = best->members};
    }
}

static double score_of(const struct audit *a, int score, uint32_t canary)
{
    const double n = a->spec->steps;
    const double mean = a->sums[canary] / n;
    return score == 0 ? mean : a->squares[canary] / n - mean * mean;
}

static void guess_all(struct audit *a, struct rn_audit_result *out)
{
    static const uint32_t parts[] = {64, 32, 16, 8, 4, 2, 1}; /* of the canaries */
    const uint32_t canaries = a->spec->canaries;
    const bool all = all_in_all(a->spec);
    const double tries = (all ? 1.0 : 2.0 * SCORES) * RN_ARRAY_LENGTH(parts);
    const double p = (1.0 - a->spec->confidence) / tries;
    struct ranked *ranked = rn_alloc(canaries, sizeof(*ranked));
    *out = (struct rn_audit_result){0};
    for (uint32_t i = 0; i < canaries; i++) {
        out->members += a->in[i];
    }
    for (int score = 0; score < (all ? 1 : SCORES); score++) {
        for (uint32_t i = 0; i < canaries; i++) {
            ranked[i] = (struct ranked){score_of(a, score, i), a->in[i]};
        }
        qsort(ranked, canaries, sizeof(*ranked), higher_first);
        for (size_t k = all; k < 2 * RN_ARRAY_LENGTH(parts); k += all ? 2 : 1) {
            guess(a, ranked, canaries / parts[k / 2], k % 2 == 1, score_names[score], p, out);
        }
    }
    rn_free(ranked);
}

static rn_result check(const struct rn_audit_spec *spec, struct rn_error *err)
{
    RN_ENSURE(spec->canaries >= RN_AUDIT_CANARIES_MIN && spec->canaries <= RN_AUDIT_CANARIES_MAX,
              err, RN_E_CONFIG, "audit: canaries must be %d to %d", RN_AUDIT_CANARIES_MIN,
              RN_AUDIT_CANARIES_MAX);
    RN_ENSURE(spec->steps >= 1 && spec->steps <= RN_AUDIT_STEPS_MAX, err, RN_E_CONFIG,
              "audit: steps must be 1 to %d", RN_AUDIT_STEPS_MAX);
    RN_ENSURE(spec->sampling != RN_DP_BATCHES, err, RN_E_CONFIG,
              "audit: sampling must be Poisson or allocation");
    RN_ENSURE(spec->delta > 0.0 && spec->delta < 1.0, err, RN_E_CONFIG,
              "audit: delta must be between 0 and 1");
    RN_ENSURE(spec->confidence > 0.0 && spec->confidence < 1.0, err, RN_E_CONFIG,
              "audit: the confidence must be between 0 and 1");
    return rn_ok();
}

static rn_result run(struct audit *a, struct rn_error *err)
{
    struct rn_trainer_facts facts;
    a->in = rn_alloc(a->spec->canaries, sizeof(*a->in));
    RN_TRY(draw_keys(a, err));
    RN_TRY(open_trainer(a, err));
    rn_trainer_facts(a->trainer, &facts);
    a->count = (size_t)(facts.adapter_parameters + facts.head_parameters);
    a->start = rn_alloc(a->count, sizeof(float));
    a->values[0] = rn_alloc(a->count, sizeof(float));
    a->values[1] = rn_alloc(a->count, sizeof(float));
    a->directions = rn_alloc(a->spec->canaries * a->count, sizeof(float));
    a->sums = rn_alloc(a->spec->canaries, sizeof(double));
    a->squares = rn_alloc(a->spec->canaries, sizeof(double));
    RN_TRY(rn_trainer_get(a->trainer, RN_MATRIX_AB, true, a->start, a->count, err));
    return both_trainings(a, err);
}

rn_result rn_audit_run(const struct rn_audit_spec *spec, struct rn_audit_result *out,
                       struct rn_error *err)
{
    RN_CLEANUP(close_audit) struct audit audit = {.spec = spec};
    RN_TRY(check(spec, err));
    RN_TRY(run(&audit, err));
    guess_all(&audit, out);
    return rn_ok();
}
