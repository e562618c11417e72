/* SPDX-License-Identifier: Apache-2.0
 *
 * What the proof of the sensitivity leans on: an example's gradient and its whole vector have the
 * same bits alone and in any company, at any place, in any block, on any number of threads; one
 * example more or less moves the sum by its own vector, no longer than the grid. Every backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/privacy/dp.h"

#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/goldenmodel.h"

enum { EXAMPLES_MAX = 96 };

static const char *const backends[] = {"ref", "cpu", "cpu-bf16", "cpu-bf16-residual-f32"};
static const char *const folders[] = {"roberta-24", "bert-40"};

/* Of the trainers from now on. */
static bool whole_examples;

/* A trainer with random A and B on a golden model. */
static struct rn_trainer *cached_trainer(const char *folder, const char *backend, uint32_t rank,
                                         uint32_t threads, const struct rn_lora_spec *lora,
                                         uint64_t cache_bytes)
{
    char model[RN_PATH_MAX];
    struct rn_error err;
    struct rn_trainer *trainer = NULL;
    const struct rn_trainer_spec spec = {
        .model_dir = golden_path(model, folder, "model"),
        .label_count = 3,
        .lora = *lora,
        .head = RN_HEAD_LOCAL,
        .seed = 4,
        .backend = backend,
        .threads = threads,
        .cache_bytes = cache_bytes,
        .for_training = true,
        .switches = {.whole_examples = whole_examples},
    };
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    const size_t count = trainer->adapter.count;
    float *values = rn_alloc(count, sizeof(float));
    const struct rn_generator generator = rn_generator_of(rank, "adapter");
    rn_generator_normal(&generator, 0.3, count, values);
    must(rn_trainer_set(trainer, RN_MATRIX_AB, true, values, count, &err), &err);
    rn_free(values);
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    return trainer;
}

/* The same, a rank on every linear module. */
static struct rn_trainer *random_trainer(const char *folder, const char *backend, uint32_t rank,
                                         uint32_t threads)
{
    const struct rn_lora_spec lora = {.rank = rank, .alpha = rank};
    return cached_trainer(folder, backend, rank, threads, &lora, 0);
}

/* Random token ids of chosen lengths; memory is the test's for the whole run. */
static void make_examples(const struct rn_trainer *trainer, uint32_t count, const uint32_t *lengths,
                          size_t length_count, struct rn_example *out)
{
    static uint32_t ids[EXAMPLES_MAX][512];
    static uint8_t types[EXAMPLES_MAX][512];
    const struct rn_generator generator = rn_generator_of(11, "tokens");
    const uint32_t vocabulary = trainer->encoder.config.vocabulary;
    assert_true(count <= EXAMPLES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t wanted = lengths[i % length_count];
        const uint32_t length =
            wanted < trainer->settled.max_length ? wanted : trainer->settled.max_length;
        for (uint32_t t = 0; t < length; t++) {
            uint32_t words[4];
            rn_generator_words(&generator, (uint64_t)i * 512 + t, 0, words);
            ids[i][t] = 5 + words[0] % (vocabulary - 5);
        }
        out[i] = (struct rn_example){ids[i], types[i], length, (int32_t)(i % 3), 0.0f, NULL};
    }
}

static struct rn_dp *plain_dp(struct rn_trainer *trainer, const struct rn_train_spec *spec,
                              enum rn_matrix matrices)
{
    struct rn_error err;
    struct rn_dp *dp = NULL;
    const struct rn_pass_active active = {matrices, true};
    must(rn_dp_new(&trainer->lanes, spec, &active, 1, &dp, &err), &err);
    return dp;
}

static const struct rn_dp_spec mechanism = {.clip_norm = 0.5, .denominator = 8.0};
static const struct rn_train_spec training = {.batch = EXAMPLES_MAX, .steps = 1, .dp = &mechanism};
static const struct rn_dp_spec unclipped = {
    .clip_norm = 0.5, .clipping = RN_DP_CLIP_AUTOMATIC, .denominator = 8.0};
static const struct rn_train_spec automatic = {.batch = EXAMPLES_MAX, .steps = 1, .dp = &unclipped};

/* The rows that a block leaves, [count][stride]. */
static void block_gradients(struct rn_trainer *trainer, const struct rn_pass_active *active,
                            const struct rn_example *examples, uint32_t count, float *out)
{
    struct rn_pass *pass = &trainer->lanes.passes[0];
    struct rn_error err;
    rn_pass_load(pass, examples, count);
    rn_pass_forward(pass);
    rn_pass_loss(pass, RN_TASK_CLASSIFICATION, 1.0f, true);
    rn_pass_backward(pass, active);
    pass->kernels->download(pass->lane, out, pass->each.gradients,
                            count * pass->each.stride * sizeof(float));
    must(rn_pass_losses(pass, &err), &err);
}

/* The one example's gradient by the plain path, in the order of the compact vector. */
static void plain_gradient(struct rn_trainer *trainer, const struct rn_pass_active *active,
                           const struct rn_example *example, float *out)
{
    struct rn_pass *pass = &trainer->lanes.passes[0];
    struct rn_error err;
    float *const kept = pass->each.gradients;
    pass->each.gradients = NULL;
    rn_pass_load(pass, example, 1);
    rn_pass_forward(pass);
    rn_pass_loss(pass, RN_TASK_CLASSIFICATION, 1.0f, true);
    rn_pass_backward(pass, active);
    for (size_t i = 0; i < pass->each.run_count; i++) {
        const struct rn_pass_run *run = &pass->each.runs[i];
        pass->kernels->download(pass->lane, out + run->compact, pass->gradient + run->place,
                                run->count * sizeof(float));
    }
    must(rn_pass_losses(pass, &err), &err);
    pass->each.gradients = kept;
}

/* An example's vector from its row: elements of parts as float32, as they are where they are stored
 * and where one example is alone in a block. */
static void vector_of_row(const struct rn_pass_examples *each, const float *row, float *out)
{
    memcpy(out, row, each->stored * sizeof(float));
    out += each->stored;
    for (size_t i = 0; i < each->part_count; i++) {
        const struct rn_outer_part *part = &each->parts[i];
        for (size_t p = 0; p < part->rows; p++) {
            for (size_t c = 0; c < part->cols; c++) {
                *out++ = row[part->u + p] * row[part->v + c];
            }
        }
    }
}

static void check_block(struct rn_trainer *trainer, enum rn_matrix matrices)
{
    const uint32_t longest = trainer->settled.max_length;
    const uint32_t lengths[] = {1, 2, 7, longest, 13, 1, 16, 17};
    const struct rn_pass_active active = {matrices, true};
    struct rn_example examples[8];
    struct rn_dp *dp = plain_dp(trainer, &training, matrices);
    const struct rn_pass_examples *each = &trainer->lanes.passes[0].each;
    const size_t stride = each->stride;
    float *together = rn_alloc(8 * stride, sizeof(float));
    float *alone = rn_alloc(stride, sizeof(float));
    float *formed = rn_alloc(each->count, sizeof(float));
    float *plain = rn_alloc(each->count, sizeof(float));
    const bool exact = strcmp(trainer->lanes.kernels->name, "ref") != 0;
    make_examples(trainer, 8, lengths, 8, examples);
    block_gradients(trainer, &active, examples, 8, together);
    for (size_t i = 0; i < 8; i++) {
        block_gradients(trainer, &active, &examples[i], 1, alone);
        assert_memory_equal(alone, together + i * stride, stride * sizeof(float));
        vector_of_row(each, alone, formed);
        plain_gradient(trainer, &active, &examples[i], plain);
        for (size_t j = 0; j < each->count; j++) { /* -0 and 0 are one value */
            const double apart = fabs((double)formed[j] - (double)plain[j]);
            /* ref rounds its float64 factors before they are multiplied, not after */
            const bool product = j >= each->stored && !exact;
            assert_true(apart <= (product ? fabs((double)plain[j]) * 0x1p-22 : 0.0));
        }
    }
    rn_free(together);
    rn_free(alone);
    rn_free(formed);
    rn_free(plain);
    rn_dp_free(dp);
}

/* privacy case 11 */
static void gradients_batched_equal_alone(void **state)
{
    (void)state;
    static const uint32_t ranks[] = {1, 4, 64};
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        if (cpu_class_leaves_out(backends[b])) {
            continue;
        }
        for (size_t c = 0; c < 6; c++) {
            const uint32_t rank = ranks[c % 3];
            if ((b == 0 && rank == 64) || (CPU_CLASSES_SANITIZED && c % 2 != 0)) {
                continue; /* the same code for every rank, slowly; or for every model */
            }
            struct rn_trainer *trainer = random_trainer(folders[c / 3], backends[b], rank, 1);
            check_block(trainer, RN_MATRIX_AB);
            check_block(trainer, RN_MATRIX_A);
            check_block(trainer, RN_MATRIX_B);
            check_block(trainer, RN_MATRIX_NONE);
            rn_trainer_close(trainer);
        }
    }
}

/* The active parts in every combination and the frozen ones' switches leave the same bits. */
static void frozen_parts_are_left_out(void **state)
{
    (void)state;
    const uint32_t lengths[] = {5, 9};
    if (cpu_class_leaves_out("cpu")) {
        return;
    }
    struct rn_trainer *trainer = random_trainer("bert-40", "cpu", 4, 1);
    const struct rn_pass_examples *each = &trainer->lanes.passes[0].each;
    struct rn_example examples[2];
    make_examples(trainer, 2, lengths, 2, examples);
    struct rn_dp *all = plain_dp(trainer, &training, RN_MATRIX_AB);
    const size_t all_stride = each->stride;
    const size_t a = each->runs[0].count;
    const size_t head = each->runs[2].compact; /* its biases and factors follow */
    const struct rn_pass_active both = {RN_MATRIX_AB, true};
    float *gradients = rn_alloc(2 * all_stride, sizeof(float));
    block_gradients(trainer, &both, examples, 2, gradients);
    rn_dp_free(all);
    for (int sloppy = 0; sloppy < 2; sloppy++) {
        trainer->lanes.passes[0].options.switches.all_gradients = sloppy == 1;
        const struct rn_pass_active only = {RN_MATRIX_A, true};
        struct rn_dp *dp = plain_dp(trainer, &training, RN_MATRIX_A);
        const size_t stride = each->stride;
        assert_int_equal(stride, a + all_stride - head);
        float *some = rn_alloc(2 * stride, sizeof(float));
        block_gradients(trainer, &only, examples, 2, some);
        for (size_t i = 0; i < 2; i++) {
            assert_memory_equal(some + i * stride, gradients + i * all_stride, a * sizeof(float));
            assert_memory_equal(some + i * stride + a, gradients + i * all_stride + head,
                                (all_stride - head) * sizeof(float));
        }
        rn_free(some);
        rn_dp_free(dp);
    }
    rn_free(gradients);
    rn_trainer_close(trainer);
}

/* The head's matrices are not stored: a row is a small part of its vector. */
static void products_are_not_stored(void **state)
{
    (void)state;
    if (cpu_class_leaves_out("cpu")) {
        return;
    }
    struct rn_trainer *trainer = random_trainer("roberta-24", "cpu", 1, 1);
    const struct rn_pass_examples *each = &trainer->lanes.passes[0].each;
    const size_t d = trainer->encoder.config.hidden;
    struct rn_dp *dp = plain_dp(trainer, &training, RN_MATRIX_NONE);
    assert_int_equal(each->count, d * d + d + 3 * d + 3);
    assert_int_equal(each->stored, d + 3);
    assert_int_equal(each->stride, d + 3 + 2 * d);
    rn_dp_free(dp);
    rn_trainer_close(trainer);
}

/* v of one example by hand from its plain gradient, in the order of the vector: the slow way. */
static void add_by_hand(const float *gradient, size_t n, const struct rn_dp_spec *dp, int64_t *sum)
{
    long double square = 0.0L;
    for (size_t j = 0; j < n; j++) {
        square += (long double)gradient[j] * (long double)gradient[j];
    }
    const long double norm = sqrtl(square);
    const long double clip = (long double)dp->clip_norm;
    const long double f = dp->clipping == RN_DP_CLIP_AUTOMATIC ? clip / (norm + 0.01L)
                          : norm > clip                        ? clip / norm
                                                               : 1.0L;
    for (size_t j = 0; j < n; j++) {
        sum[j] += (int64_t)((long double)gradient[j] * f * (0x1p20L / clip));
    }
}

/* Formed on the fly, stored whole, and one by one by hand: a unit an example at most, from
 * rounding before or after clipping. Every backend; the head alone and with both matrices; both
 * ways to clip. */
static void sums_equal_one_by_one(void **state)
{
    (void)state;
    enum { COUNT = 9 };
    const uint32_t lengths[] = {5, 17, 24, 1, 16, 33, 2, 9, 11};
    for (size_t c = 0; c < 4 * RN_ARRAY_LENGTH(backends); c++) {
        const enum rn_matrix matrices = c % 2 == 0 ? RN_MATRIX_AB : RN_MATRIX_NONE;
        const struct rn_train_spec *spec = (c / 2 + c / 4) % 2 == 0 ? &training : &automatic;
        if (cpu_class_leaves_out(backends[c / 4])) {
            continue;
        }
        const struct rn_pass_active active = {matrices, true};
        int64_t *sum[3] = {NULL};
        size_t n = 0;
        for (int whole = 1; whole >= 0; whole--) { /* whole first: 1, formed: 0, by hand: 2 */
            whole_examples = whole == 1;
            struct rn_trainer *trainer = random_trainer(folders[c / 2 % 2], backends[c / 4], 4, 2);
            whole_examples = false;
            struct rn_dp *dp = plain_dp(trainer, spec, matrices);
            struct rn_pass_examples *each = &trainer->lanes.passes[0].each;
            struct rn_example examples[COUNT];
            struct rn_error err;
            n = rn_dp_elements(dp);
            make_examples(trainer, COUNT, lengths, COUNT, examples);
            int64_t *got = rn_alloc(n, sizeof(int64_t));
            must(rn_dp_sum(dp, examples, COUNT, got, &err), &err);
            assert_int_equal(each->part_count == 0, whole);
            /* in the order of the flat vector */
            const size_t all = trainer->adapter.count;
            sum[whole] = rn_alloc(all, sizeof(int64_t));
            for (size_t r = 0; r < each->run_count; r++) {
                memcpy(sum[whole] + each->runs[r].place, got + each->runs[r].compact,
                       each->runs[r].count * sizeof(int64_t));
            }
            if (whole == 1) {
                float *gradient = rn_alloc(n, sizeof(float));
                int64_t *hand = rn_alloc(n, sizeof(int64_t));
                for (size_t i = 0; i < COUNT; i++) {
                    plain_gradient(trainer, &active, &examples[i], gradient);
                    add_by_hand(gradient, n, spec->dp, hand);
                }
                sum[2] = rn_alloc(all, sizeof(int64_t));
                for (size_t r = 0; r < each->run_count; r++) {
                    memcpy(sum[2] + each->runs[r].place, hand + each->runs[r].compact,
                           each->runs[r].count * sizeof(int64_t));
                }
                rn_free(gradient);
                rn_free(hand);
            }
            rn_free(got);
            n = all;
            rn_dp_free(dp);
            rn_trainer_close(trainer);
        }
        for (size_t j = 0; j < n; j++) {
            assert_true(llabs(sum[0][j] - sum[1][j]) <= COUNT);
            assert_true(llabs(sum[0][j] - sum[2][j]) <= COUNT);
        }
        for (size_t i = 0; i < RN_ARRAY_LENGTH(sum); i++) {
            rn_free(sum[i]);
        }
    }
}

/* Sums and single vectors of one trainer. */
struct sums {
    struct rn_trainer *trainer;
    struct rn_dp *dp;
    struct rn_example examples[EXAMPLES_MAX];
    uint32_t count;
    size_t n;
    int64_t *vectors; /* [count][n] */
};

static void sum_of(struct sums *s, const struct rn_example *batch, uint32_t count, int64_t *out)
{
    struct rn_error err;
    must(rn_dp_sum(s->dp, batch, count, out, &err), &err);
}

static void sums_init(struct sums *s, const char *folder, const char *backend, uint32_t count,
                      uint32_t threads)
{
    const uint32_t lengths[] = {3, 1, 16, 7, 24, 2, 11, 17, 5};
    s->trainer = random_trainer(folder, backend, 4, threads);
    s->dp = plain_dp(s->trainer, &training, RN_MATRIX_AB);
    s->count = count;
    s->n = rn_dp_elements(s->dp);
    s->vectors = rn_alloc(count * s->n, sizeof(int64_t));
    make_examples(s->trainer, count, lengths, 9, s->examples);
    for (uint32_t i = 0; i < count; i++) {
        sum_of(s, &s->examples[i], 1, s->vectors + i * s->n);
    }
}

static void sums_clear(struct sums *s)
{
    rn_dp_free(s->dp);
    rn_trainer_close(s->trainer);
    rn_free(s->vectors);
}

static __int128 square_sum(const int64_t *v, size_t n)
{
    __int128 sum = 0;
    for (size_t j = 0; j < n; j++) {
        sum += (__int128)v[j] * v[j];
    }
    return sum;
}

/* privacy case 14, exhaustively: the sum over every one of the 64 subsets of six examples is the
 * sum of their vectors, so whichever leaves or joins whatever company moves it by its own vector,
 * and none of those is longer than the grid. */
static void every_subset_is_the_sum_of_its_vectors(void **state)
{
    (void)state;
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        struct sums s;
        sums_init(&s, "roberta-24", backends[b], b == 0 ? 4 : 6, 2); /* ref is slow */
        int64_t *sum = rn_alloc(s.n, sizeof(int64_t));
        for (uint32_t i = 0; i < s.count; i++) {
            const __int128 square = square_sum(s.vectors + i * s.n, s.n);
            assert_true(square > 0 && square <= (__int128)1 << 40);
        }
        for (uint32_t subset = 0; subset < 1u << s.count; subset++) {
            struct rn_example chosen[6];
            uint32_t count = 0;
            int64_t *want = rn_alloc(s.n, sizeof(int64_t));
            for (uint32_t i = 0; i < s.count; i++) {
                if ((subset >> i & 1) == 0) {
                    continue;
                }
                chosen[count++] = s.examples[i];
                for (size_t j = 0; j < s.n; j++) {
                    want[j] += s.vectors[i * s.n + j];
                }
            }
            sum_of(&s, chosen, count, sum);
            assert_memory_equal(sum, want, s.n * sizeof(int64_t));
            rn_free(want);
        }
        rn_free(sum);
        sums_clear(&s);
    }
}

/* privacy case 14. All examples of a set: whatever leaves or joins moves the sum by its own vector.
 */
static void one_example_moves_the_sum_by_at_most_the_grid(void **state)
{
    (void)state;
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        if (cpu_class_leaves_out(backends[b])) {
            continue;
        }
        for (size_t f = 0; f < 2; f++) {
            struct sums s;
            sums_init(&s, folders[f], backends[b], 12, 2);
            int64_t *all = rn_alloc(s.n, sizeof(int64_t));
            int64_t *less = rn_alloc(s.n, sizeof(int64_t));
            sum_of(&s, s.examples, s.count, all);
            for (uint32_t i = 0; i < s.count; i++) {
                struct rn_example rest[12];
                memcpy(rest, s.examples, sizeof(rest));
                rest[i] = rest[s.count - 1];
                sum_of(&s, rest, s.count - 1, less);
                for (size_t j = 0; j < s.n; j++) {
                    less[j] = all[j] - less[j];
                }
                assert_memory_equal(less, s.vectors + i * s.n, s.n * sizeof(int64_t));
                const __int128 square = square_sum(less, s.n);
                assert_true(square <= (__int128)1 << 40);
                assert_true(square > 0);
            }
            rn_free(all);
            rn_free(less);
            sums_clear(&s);
        }
    }
}

/* FedAvg-LoRA's step: A, B and the head are one vector under one norm. Every part of a record that
 * is clipped is its gradient times one and the same factor, and together they are as long as the
 * grid, but for what truncation took. */
static void both_matrices_and_the_head_share_one_norm(void **state)
{
    (void)state;
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        struct sums s;
        sums_init(&s, "roberta-24", backends[b], 9, 1);
        const struct rn_pass_active active = {RN_MATRIX_AB, true};
        const size_t head = s.trainer->lanes.passes[0].each.runs[2].compact;
        const size_t ends[] = {s.trainer->lanes.passes[0].each.runs[0].count, head, s.n};
        float *gradient = rn_alloc(s.n, sizeof(float));
        uint32_t clipped = 0;
        for (uint32_t i = 0; i < s.count; i++) {
            const int64_t *v = s.vectors + i * s.n;
            plain_gradient(s.trainer, &active, &s.examples[i], gradient);
            double parts[3] = {0}; /* A, B, head */
            double together = 0.0;
            for (size_t p = 0, j = 0; p < 3; p++) {
                for (; j < ends[p]; j++) {
                    parts[p] += (double)gradient[j] * (double)gradient[j];
                }
                assert_true(parts[p] > 0.0);
                together += parts[p];
            }
            if (sqrt(together) <= mechanism.clip_norm) {
                continue;
            }
            clipped++;
            const double slack = sqrt((double)s.n) / 0x1p20; /* of truncation */
            const double length = sqrt((double)square_sum(v, s.n)) / 0x1p20;
            assert_true(length <= 1.0 && length >= 1.0 - slack);
            for (size_t p = 0; p < 3; p++) {
                const size_t from = p == 0 ? 0 : ends[p - 1];
                const double part = sqrt((double)square_sum(v + from, ends[p] - from)) / 0x1p20;
                assert_true(fabs(part - sqrt(parts[p] / together)) <= slack);
            }
        }
        assert_true(clipped > 0);
        rn_free(gradient);
        sums_clear(&s);
    }
}

/* privacy case 15. One more example at a time, from 1 to beyond a block's tokens and every packing
 * limit: each time the sum grows by that example's vector alone. */
static void company_does_not_matter(void **state)
{
    (void)state;
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        if (cpu_class_leaves_out(backends[b])) {
            continue;
        }
        struct sums s;
        sums_init(&s, "roberta-24", backends[b], b == 0 ? 30 : EXAMPLES_MAX, 1);
        int64_t *sum = rn_alloc(s.n, sizeof(int64_t));
        int64_t *want = rn_alloc(s.n, sizeof(int64_t));
        for (uint32_t count = 1; count <= s.count; count++) {
            for (size_t j = 0; j < s.n; j++) {
                want[j] += s.vectors[(count - 1) * s.n + j];
            }
            if (CPU_CLASSES_SANITIZED && count % 11 != 1 && count != s.count) {
                continue;
            }
            sum_of(&s, s.examples, count, sum);
            assert_memory_equal(sum, want, s.n * sizeof(int64_t));
        }
        /* Backwards: every place in a block changes. */
        struct rn_example turned[EXAMPLES_MAX];
        for (uint32_t i = 0; i < s.count; i++) {
            turned[i] = s.examples[s.count - 1 - i];
        }
        sum_of(&s, turned, s.count, sum);
        assert_memory_equal(sum, want, s.n * sizeof(int64_t));
        /* In parts of one and of three. */
        for (uint32_t part = 1; part <= 3; part += 2) {
            memset(want, 0, s.n * sizeof(int64_t));
            for (uint32_t i = 0; i < s.count; i += part) {
                int64_t *piece = rn_alloc(s.n, sizeof(int64_t));
                sum_of(&s, s.examples + i, s.count - i < part ? s.count - i : part, piece);
                for (size_t j = 0; j < s.n; j++) {
                    want[j] += piece[j];
                }
                rn_free(piece);
            }
            assert_memory_equal(sum, want, s.n * sizeof(int64_t));
        }
        rn_free(sum);
        rn_free(want);
        sums_clear(&s);
    }
}

/* privacy case 15. Blocks of at most so many examples, full blocks instead of even ones, and
 * threads.
 */
static void threads_and_blocks_do_not_matter(void **state)
{
    (void)state;
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        if (cpu_class_leaves_out(backends[b])) {
            continue;
        }
        int64_t *first = NULL;
        for (uint32_t threads = 1; threads <= 4; threads *= 2) {
            for (int plain = 0; plain < 2; plain++) {
                struct sums s;
                sums_init(&s, "bert-40", backends[b], 20, threads);
                s.trainer->lanes.options.switches.plain_batches = plain == 1;
                int64_t *sum = rn_alloc(s.n, sizeof(int64_t));
                sum_of(&s, s.examples, s.count, sum);
                if (first == NULL) {
                    first = sum;
                } else {
                    assert_memory_equal(sum, first, s.n * sizeof(int64_t));
                    rn_free(sum);
                }
                sums_clear(&s);
            }
        }
        rn_free(first);
    }
}

/* Whether an example's rows come from the cache, which depends on who came before, moves no bit:
 * one example known among new ones, one new among known ones, no room for most. */
static void cached_rows_do_not_matter(void **state)
{
    (void)state;
    static const uint64_t budgets[] = {0, 1 << 20, 16384};
    const uint32_t lengths[] = {5, 17, 24, 1, 16, 2, 9};
    const uint32_t layers[] = {1};
    const struct rn_lora_spec lora = {
        .rank = 4, .alpha = 4.0, .layers = layers, .layer_count = RN_ARRAY_LENGTH(layers)};
    for (size_t b = 0; b < RN_ARRAY_LENGTH(backends); b++) {
        if (cpu_class_leaves_out(backends[b])) {
            continue;
        }
        int64_t *want = NULL;
        for (size_t c = 0; c < RN_ARRAY_LENGTH(budgets); c++) {
            struct rn_trainer *trainer =
                cached_trainer("bert-40", backends[b], 4, 1, &lora, budgets[c]);
            struct rn_dp *dp = plain_dp(trainer, &training, RN_MATRIX_AB);
            const size_t n = rn_dp_elements(dp);
            struct rn_example examples[7];
            struct rn_error err;
            int64_t *got = rn_alloc(n, sizeof(int64_t));
            make_examples(trainer, 7, lengths, 7, examples);
            for (uint32_t known = 1; known <= 7; known += 5) {
                must(rn_dp_sum(dp, examples + 1, known, got, &err), &err);
                must(rn_dp_sum(dp, examples, 7, got, &err), &err);
                want = want == NULL ? got : want;
                assert_memory_equal(got, want, n * sizeof(int64_t));
            }
            if (got != want) {
                rn_free(got);
            }
            rn_dp_free(dp);
            rn_trainer_close(trainer);
        }
        rn_free(want);
    }
}

/* A record whose numbers overflow, as an adapter made for it can bring about, becomes the zero
 * vector and spoils nobody else's: no zero weight is ever multiplied with another record's row, and
 * no memory of an earlier batch is read. */
static void a_record_that_is_not_finite_stays_alone(void **state)
{
    (void)state;
    static const float poisons[] = {INFINITY, NAN, 3e38f};
    const uint32_t lengths[] = {5, 17, 24, 1, 16, 33, 2};
    const uint32_t poisoned = 4; /* a token that make_examples never takes */
    for (size_t c = 0; c < 2 * RN_ARRAY_LENGTH(backends); c++) {
        if (cpu_class_leaves_out(backends[c / 2])) {
            continue;
        }
        struct rn_trainer *trainer = random_trainer(folders[c % 2], backends[c / 2], 4, 1);
        struct rn_dp *dp = plain_dp(trainer, &training, RN_MATRIX_AB);
        const size_t n = rn_dp_elements(dp);
        const size_t hidden = trainer->encoder.config.hidden;
        struct rn_example examples[7];
        struct rn_error err;
        int64_t *want = rn_alloc(n, sizeof(int64_t));
        int64_t *got = rn_alloc(n, sizeof(int64_t));
        make_examples(trainer, 7, lengths, 7, examples);
        uint32_t *ids = rn_alloc(examples[6].length, sizeof(uint32_t));
        memcpy(ids, examples[6].ids, examples[6].length * sizeof(uint32_t));
        ids[0] = poisoned;
        const struct rn_example bad = {ids, examples[6].type_ids, examples[6].length, 0, 0.0f,
                                       NULL};
        float *row = rn_alloc(hidden, sizeof(float));
        for (size_t p = 0; p < RN_ARRAY_LENGTH(poisons); p++) {
            for (size_t i = 0; i < hidden; i++) {
                row[i] = i % 2 == 0 ? poisons[p] : -poisons[p];
            }
            /* the table's type is const for the encoder, which uploaded it */
            const uintptr_t words = (uintptr_t)trainer->encoder.embedding.words;
            trainer->lanes.kernels->upload(trainer->lanes.lane, (float *)words + poisoned * hidden,
                                           row, hidden * sizeof(float));
            must(rn_dp_sum(dp, &bad, 1, want, &err), &err);
            for (size_t j = 0; j < n && !isfinite(poisons[p]); j++) {
                assert_int_equal(want[j], 0);
            }
            must(rn_dp_sum(dp, examples, 6, got, &err), &err);
            for (size_t j = 0; j < n; j++) {
                want[j] += got[j];
            }
            for (uint32_t at = 0; at <= 6; at += CPU_CLASSES_SANITIZED ? 3 : 1) {
                struct rn_example batch[7];
                memcpy(batch, examples, at * sizeof(*batch));
                batch[at] = bad;
                memcpy(batch + at + 1, examples + at, (6 - at) * sizeof(*batch));
                must(rn_dp_sum(dp, batch, 7, got, &err), &err);
                assert_memory_equal(got, want, n * sizeof(int64_t));
            }
        }
        rn_free(ids);
        rn_free(row);
        rn_free(want);
        rn_free(got);
        rn_dp_free(dp);
        rn_trainer_close(trainer);
    }
}

/* Vectors that every instruction set of the CPU gives alike. */
static void instruction_sets_agree(void **state)
{
    (void)state;
    int64_t *first = NULL;
    for (int level = RN_CPU_CLASS_SCALAR; level <= RN_CPU_CLASS_AVX512; level++) {
        struct sums s;
        if (rn_cpu_class_take((enum rn_cpu_class)level) != RN_CPU_TAKEN) {
            continue;
        }
        sums_init(&s, "bert-40", "cpu", 9, 1);
        if (first == NULL) {
            first = s.vectors;
            s.vectors = NULL;
        } else {
            assert_memory_equal(s.vectors, first, s.count * s.n * sizeof(int64_t));
        }
        sums_clear(&s);
    }
    rn_free(first);
}

/* Products by OpenBLAS depend on the batch: refused. */
static void openblas_is_refused(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_trainer *trainer = random_trainer("roberta-24", "cpu-openblas", 4, 1);
    const rn_result result = rn_dp_check(trainer->lanes.kernels, true, &training, &err);
    assert_int_equal(result.code, RN_E_UNSUPPORTED);
    rn_trainer_close(trainer);
}

int main(void)
{
    const struct CMUnitTest once[] = {
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(openblas_is_refused),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_batched_equal_alone),
        cmocka_unit_test(frozen_parts_are_left_out),
        cmocka_unit_test(products_are_not_stored),
        cmocka_unit_test(sums_equal_one_by_one),
        cmocka_unit_test(every_subset_is_the_sum_of_its_vectors),
        cmocka_unit_test(one_example_moves_the_sum_by_at_most_the_grid),
        cmocka_unit_test(both_matrices_and_the_head_share_one_norm),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(threads_and_blocks_do_not_matter),
        cmocka_unit_test(cached_rows_do_not_matter),
        cmocka_unit_test(a_record_that_is_not_finite_stays_alone),
    };
    return cmocka_run_group_tests(once, NULL, NULL) +
           RUN_IN_CLASSES(CPU_CLASSES_UNLIKE, "gradients of examples", tests);
}
