/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin runs of DP-SGD (privacy case 23): rn_trainer_train on neighbouring data with the same
 * randomness. What leaves, how often and how much randomness is asked for, and the memory taken are
 * the same; before the noise the two gradients are no farther apart than the clip norm for a record
 * more or less, and twice that for a record that is another. Every record, every way to sample and
 * to clip.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"

#include "tests/unit/trainer/goldenmodel.h"

enum { RECORDS = 18, LINE_MAX_ = 512, CALLS_MAX = 64 };
static const double clip_norm = 0.7;
static const double denominator = 6.0;

/* Word i of a call depends on the call and i alone: a record at the end changes nobody's. */
struct source {
    uint64_t noise_calls, word_calls, words;
    size_t noise_counts[CALLS_MAX];
    double deviations[CALLS_MAX];
};

static void noise(void *context, size_t n, double deviation, int64_t *out)
{
    struct source *source = context;
    const struct rn_generator generator = {77, source->noise_calls};
    float *z = rn_alloc(n, sizeof(float));
    assert_true(source->noise_calls < CALLS_MAX);
    source->noise_counts[source->noise_calls] = n;
    source->deviations[source->noise_calls++] = deviation;
    rn_generator_normal(&generator, 1.0, n, z);
    for (size_t i = 0; i < n; i++) {
        out[i] = llround((double)z[i] * deviation);
    }
    rn_free(z);
}

static void uniform(void *context, size_t n, uint64_t *out)
{
    struct source *source = context;
    const struct rn_generator generator = {78, source->word_calls++};
    for (size_t i = 0; i < n; i++) {
        uint32_t four[4];
        rn_generator_words(&generator, i, 0, four);
        out[i] = (uint64_t)four[0] << 32 | four[1];
    }
    source->words += n;
}

static char lines[RECORDS + 1][LINE_MAX_]; /* header first */

static void read_lines(void)
{
    char path[RN_PATH_MAX];
    FILE *file = fopen(golden_path(path, "roberta-24", "data.tsv"), "r");
    assert_non_null(file);
    for (size_t i = 0; i <= RECORDS; i++) {
        assert_non_null(fgets(lines[i], LINE_MAX_, file));
    }
    (void)fclose(file);
}

/* The data with record `last` at the end; count of them; the last one replaced by record `other`
 * unless that is RECORDS. */
static struct rn_dataset *data_of(struct rn_trainer *trainer, size_t last, size_t count,
                                  size_t other)
{
    char path[] = "/tmp/rondo-twin-XXXXXX";
    const int handle = mkstemp(path);
    FILE *file = handle >= 0 ? fdopen(handle, "w") : NULL;
    assert_non_null(file);
    (void)fputs(lines[0], file);
    for (size_t i = 0; i < RECORDS; i++) {
        if (i != last) {
            (void)fputs(lines[i + 1], file);
        }
    }
    if (count == RECORDS) {
        (void)fputs(lines[1 + (other == RECORDS ? last : other)], file);
    }
    assert_int_equal(fclose(file), 0);
    const struct rn_data_spec spec = {.path = path,
                                      .format = "tsv",
                                      .text_column = "text",
                                      .pair_column = "pair",
                                      .label_column = "label"};
    struct rn_error err;
    struct rn_dataset *data = NULL;
    must(rn_trainer_data_open(trainer, &spec, &data, &err), &err);
    assert_int_equal(rn_trainer_data_count(data), count);
    (void)unlink(path);
    return data;
}

/* What one run showed. */
struct seen {
    struct source source;
    struct rn_train_report report;
    uint32_t progress;
    size_t bytes; /* of memory taken by this thread */
    float *values;
    size_t count;
};

static bool look(void *context, const struct rn_train_progress *progress)
{
    struct seen *seen = context;
    seen->progress++;
    assert_true(isnan(progress->loss) && progress->tokens == 0);
    return true;
}

struct twin {
    enum rn_dp_sampling sampling;
    enum rn_dp_clipping clipping;
    uint32_t steps, cap;
    double sigma;
};

static void train(struct rn_trainer *trainer, const float *start, const struct twin *twin,
                  struct rn_dataset *data, struct seen *out)
{
    *out = (struct seen){.count = trainer->adapter.count};
    const struct rn_dp_spec dp = {.clip_norm = clip_norm,
                                  .clipping = twin->clipping,
                                  .noise_multiplier = twin->sigma,
                                  .denominator = denominator,
                                  .sampling = twin->sampling,
                                  .threshold = rn_dp_threshold(0.9),
                                  .picks = 1,
                                  .context = &out->source,
                                  .noise = noise,
                                  .uniform = uniform};
    const struct rn_train_spec spec = {.active = RN_MATRIX_AB,
                                       .optimizer = RN_OPTIMIZER_SGD,
                                       .lr_a = 1.0,
                                       .lr_b = 1.0,
                                       .batch = twin->cap,
                                       .steps = twin->steps,
                                       .dp = &dp};
    struct rn_error err;
    must(rn_trainer_set(trainer, RN_MATRIX_AB, true, start, out->count, &err), &err);
    const size_t before = rn_alloc_thread_bytes();
    must(rn_trainer_train(trainer, data, &spec, look, out, &out->report, &err), &err);
    out->bytes = rn_alloc_thread_bytes() - before;
    out->values = rn_alloc(out->count, sizeof(float));
    must(rn_trainer_get(trainer, RN_MATRIX_AB, true, out->values, out->count, &err), &err);
    rn_trainer_data_close(data);
}

/* Distance of the two results, in clip norms of the sum that was averaged. */
static double distance(const struct seen *a, const struct seen *b)
{
    double square = 0.0;
    for (size_t j = 0; j < a->count; j++) {
        square += pow((double)a->values[j] - (double)b->values[j], 2.0);
    }
    return sqrt(square) * denominator / clip_norm;
}

static void assert_same_flow(const struct seen *a, const struct seen *b, bool same_size)
{
    const struct source *x = &a->source;
    const struct source *y = &b->source;
    assert_int_equal(x->noise_calls, y->noise_calls);
    assert_memory_equal(x->noise_counts, y->noise_counts, sizeof(x->noise_counts));
    assert_memory_equal(x->deviations, y->deviations, sizeof(x->deviations));
    assert_int_equal(a->progress, b->progress);
    assert_int_equal(a->count, b->count);
    /* byte for byte, NaN too */
    assert_memory_equal(&a->report, &b->report, sizeof(a->report));
    if (same_size) { /* a record's place stays, emptied or not: so do all draws and all memory */
        assert_int_equal(x->word_calls, y->word_calls);
        assert_int_equal(x->words, y->words);
        assert_int_equal(a->bytes, b->bytes);
    }
}

static void run_twins(const struct twin *twin, bool expect_distance)
{
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 2, RN_HEAD_LOCAL);
    const size_t count = trainer->adapter.count;
    float *start = rn_alloc(count, sizeof(float));
    struct rn_error err;
    struct seen warm;
    double farthest = 0.0;
    must(rn_trainer_get(trainer, RN_MATRIX_AB, true, start, count, &err), &err);
    train(trainer, start, twin, data_of(trainer, 0, RECORDS, RECORDS), &warm); /* takes memory */
    rn_free(warm.values);
    for (size_t i = 0; i < RECORDS; i++) {
        struct seen whole;
        struct seen less;
        struct seen other;
        train(trainer, start, twin, data_of(trainer, i, RECORDS, RECORDS), &whole);
        train(trainer, start, twin, data_of(trainer, i, RECORDS - 1, RECORDS), &less);
        train(trainer, start, twin, data_of(trainer, i, RECORDS, (i + 5) % RECORDS), &other);
        assert_same_flow(&whole, &less, false);
        assert_same_flow(&whole, &other, true);
        if (expect_distance) { /* float32 values near 1 round at 2^-25 each */
            const double slack = sqrt((double)count) * 0x1p-24 * denominator / clip_norm;
            assert_true(distance(&whole, &less) <= 1.0 + slack);
            assert_true(distance(&whole, &other) <= 2.0 + slack);
            farthest = fmax(farthest, distance(&whole, &less));
        }
        rn_free(whole.values);
        rn_free(less.values);
        rn_free(other.values);
    }
    assert_true(!expect_distance || farthest > 0.9); /* a record does count */
    rn_free(start);
    rn_trainer_close(trainer);
}

/* One step, so that the second's gradient does not depend on the first's noise. */
static void one_step_moves_by_at_most_the_clip_norm(void **state)
{
    (void)state;
    static const struct twin twins[] = {
        {RN_DP_POISSON, RN_DP_CLIP_FLAT, 1, RECORDS, 0.8},
        {RN_DP_POISSON, RN_DP_CLIP_AUTOMATIC, 1, RECORDS, 0.8},
        {RN_DP_ALLOCATION, RN_DP_CLIP_FLAT, 1, RECORDS, 0.8},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(twins); i++) {
        run_twins(&twins[i], true);
    }
}

static void trainings_flow_alike(void **state)
{
    (void)state;
    static const struct twin twins[] = {
        {RN_DP_POISSON, RN_DP_CLIP_FLAT, 4, RECORDS, 0.8},
        {RN_DP_ALLOCATION, RN_DP_CLIP_AUTOMATIC, 4, RECORDS, 0.8},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(twins); i++) {
        run_twins(&twins[i], false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_moves_by_at_most_the_clip_norm),
        cmocka_unit_test(trainings_flow_alike),
    };
    read_lines();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
