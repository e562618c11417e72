/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation and prediction: forward passes over a data set in file order, a chunk at a time.
 */
#include "trainer/learn/learn.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "trainer/learn/metrics.h"

#include <math.h>
#include <string.h>

#define RN_CHUNK_EXAMPLES 1024

struct chunk {
    struct rn_lanes *lanes;
    bool labelled;
    struct rn_example *examples;
    uint32_t count;
    uint32_t *block_first;
    float *logits;        /* [count][labels] */
    double *loss;         /* [count] */
    rn_evaluate_go_fn go; /* NULL: always */
    void *context;
};

static void chunk_init(struct chunk *chunk, struct rn_lanes *lanes, bool labelled)
{
    *chunk = (struct chunk){.lanes = lanes, .labelled = labelled};
    chunk->examples = rn_alloc(RN_CHUNK_EXAMPLES, sizeof(*chunk->examples));
    chunk->block_first = rn_alloc(RN_CHUNK_EXAMPLES + 1, sizeof(*chunk->block_first));
    chunk->logits =
        rn_alloc((size_t)RN_CHUNK_EXAMPLES * lanes->adapter->label_count, sizeof(*chunk->logits));
    chunk->loss = rn_alloc(RN_CHUNK_EXAMPLES, sizeof(*chunk->loss));
}

static void chunk_clear(struct chunk *chunk)
{
    rn_free(chunk->examples);
    rn_free(chunk->block_first);
    rn_free(chunk->logits);
    rn_free(chunk->loss);
}

static rn_result one_block(void *context, struct rn_pass *pass, uint32_t lane, uint32_t block,
                           struct rn_error *err)
{
    struct chunk *chunk = context;
    (void)lane;
    const uint32_t first = chunk->block_first[block];
    const uint32_t count = chunk->block_first[block + 1] - first;
    const size_t labels = chunk->lanes->adapter->label_count;
    RN_ENSURE(chunk->go == NULL || chunk->go(chunk->context), err, RN_E_ROUND_ABORTED,
              "the evaluation was stopped");
    rn_pass_load(pass, chunk->examples + first, count);
    rn_pass_forward(pass);
    RN_TRY(rn_pass_logits(pass, err));
    memcpy(chunk->logits + first * labels, pass->host_logits, count * labels * sizeof(float));
    if (chunk->labelled) {
        rn_pass_loss(pass, chunk->lanes->task, 1.0f, false);
        RN_TRY(rn_pass_losses(pass, err));
        memcpy(chunk->loss + first, pass->host_loss, count * sizeof(double));
    }
    return rn_ok();
}

/* Logits (and losses) of examples first .. first + count - 1. */
static rn_result run_chunk(struct chunk *chunk, const struct rn_dataset *data, size_t first,
                           uint32_t count, struct rn_error *err)
{
    chunk->count = count;
    for (uint32_t i = 0; i < count; i++) {
        chunk->examples[i] = rn_dataset_at(data, first + i);
    }
    const struct rn_work work = {
        .context = chunk,
        .count = rn_blocks_cut(chunk->lanes, chunk->examples, count, chunk->block_first),
        .block = one_block};
    return rn_lanes_run(chunk->lanes, &work, err);
}

static uint32_t best_class(const float *logits, size_t count)
{
    uint32_t best = 0;
    for (size_t c = 1; c < count; c++) {
        if (logits[c] > logits[best]) {
            best = (uint32_t)c;
        }
    }
    return best;
}

/* What evaluation gathers over the chunks. */
struct gathered {
    int32_t *label;
    int32_t *predicted;
    float *target;
    float *value;
    double loss_sum;
    uint64_t tokens;
};

static void gathered_clear(struct gathered *g)
{
    rn_free(g->label);
    rn_free(g->predicted);
    rn_free(g->target);
    rn_free(g->value);
}

static void gather(struct gathered *g, const struct chunk *chunk, size_t first)
{
    const size_t labels = chunk->lanes->adapter->label_count;
    for (uint32_t i = 0; i < chunk->count; i++) {
        const float *logits = chunk->logits + i * labels;
        g->label[first + i] = chunk->examples[i].label;
        g->target[first + i] = chunk->examples[i].target;
        g->predicted[first + i] = (int32_t)best_class(logits, labels);
        g->value[first + i] = logits[0];
        g->loss_sum += chunk->loss[i];
        g->tokens += chunk->examples[i].length;
    }
}

static struct rn_metrics measure(const struct rn_lanes *lanes, const struct gathered *g,
                                 size_t count)
{
    struct rn_metrics m = {.loss = g->loss_sum / (double)count,
                           .accuracy = NAN,
                           .f1 = NAN,
                           .matthews = NAN,
                           .pearson = NAN,
                           .spearman = NAN,
                           .count = count,
                           .tokens = g->tokens};
    if (lanes->task == RN_TASK_REGRESSION) {
        m.pearson = rn_metrics_pearson(g->target, g->value, count);
        m.spearman = rn_metrics_spearman(g->target, g->value, count);
    } else {
        m.accuracy = rn_metrics_accuracy(g->label, g->predicted, count);
        m.f1 = rn_metrics_f1(g->label, g->predicted, count, lanes->adapter->label_count);
        m.matthews =
            rn_metrics_matthews(g->label, g->predicted, count, lanes->adapter->label_count);
    }
    return m;
}

static uint32_t chunk_size(size_t count, size_t first)
{
    const size_t left = count - first;
    return left < RN_CHUNK_EXAMPLES ? (uint32_t)left : RN_CHUNK_EXAMPLES;
}

rn_result rn_learn_evaluate(struct rn_lanes *lanes, const struct rn_dataset *data,
                            rn_evaluate_go_fn go, void *context, struct rn_metrics *out_metrics,
                            struct rn_error *err)
{
    const size_t count = rn_dataset_count(data);
    RN_ENSURE(count > 0, err, RN_E_DATA, "evaluation: the data has no example");
    RN_TRY(rn_learn_data_fits(lanes, data, true, "evaluation", err));
    const uint64_t begun = rn_clock_monotonic_ns();
    RN_CLEANUP(chunk_clear) struct chunk chunk;
    chunk_init(&chunk, lanes, true);
    chunk.go = go;
    chunk.context = context;
    RN_CLEANUP(gathered_clear)
    struct gathered g = {
        .label = rn_alloc(count, sizeof(int32_t)),
        .predicted = rn_alloc(count, sizeof(int32_t)),
        .target = rn_alloc(count, sizeof(float)),
        .value = rn_alloc(count, sizeof(float)),
    };
    for (size_t first = 0; first < count; first += RN_CHUNK_EXAMPLES) {
        RN_TRY(run_chunk(&chunk, data, first, chunk_size(count, first), err));
        gather(&g, &chunk, first);
    }
    *out_metrics = measure(lanes, &g, count);
    out_metrics->seconds = (double)(rn_clock_monotonic_ns() - begun) * 1e-9;
    return rn_ok();
}

/* A class of NaN would be the first. */
static rn_result check_logits(const float *logits, size_t count, size_t example,
                              struct rn_error *err)
{
    for (size_t c = 0; c < count; c++) {
        RN_ENSURE(isfinite(logits[c]), err, RN_E_ROUND_NUMERIC,
                  "prediction: the logits of example %zu are not finite numbers", example + 1);
    }
    return rn_ok();
}

rn_result rn_learn_predict(struct rn_lanes *lanes, const struct rn_dataset *data,
                           const char *const *names, rn_prediction_fn each, void *context,
                           struct rn_error *err)
{
    RN_TRY(rn_learn_data_fits(lanes, data, false, "prediction", err));
    RN_CLEANUP(chunk_clear) struct chunk chunk;
    chunk_init(&chunk, lanes, false);
    const size_t count = rn_dataset_count(data);
    const size_t labels = lanes->adapter->label_count;
    for (size_t first = 0; first < count; first += RN_CHUNK_EXAMPLES) {
        RN_TRY(run_chunk(&chunk, data, first, chunk_size(count, first), err));
        for (uint32_t i = 0; i < chunk.count; i++) {
            const float *logits = chunk.logits + i * labels;
            RN_TRY(check_logits(logits, labels, first + i, err));
            const uint32_t best = best_class(logits, labels);
            const struct rn_prediction prediction = {.index = first + i,
                                                     .label = best,
                                                     .name = names != NULL ? names[best] : NULL,
                                                     .logits = logits,
                                                     .logit_count = labels};
            RN_ENSURE(each(context, &prediction), err, RN_E_ROUND_ABORTED,
                      "prediction: stopped after example %zu", first + i + 1);
        }
    }
    return rn_ok();
}
