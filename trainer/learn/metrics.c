/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics of GLUE.
 */
#include "trainer/learn/metrics.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <stdlib.h>

double rn_metrics_accuracy(const int32_t *label, const int32_t *predicted, size_t count)
{
    size_t right = 0;

    for (size_t i = 0; i < count; i++) {
        right += label[i] == predicted[i] ? 1 : 0;
    }
    return count == 0 ? 0.0 : (double)right / (double)count;
}

/* How often each class was right, was the label, was predicted. */
struct tally {
    double right, labelled, predicted;
};

static struct tally *tally_classes(const int32_t *label, const int32_t *predicted, size_t count,
                                   uint32_t classes)
{
    struct tally *tally = rn_alloc(classes, sizeof *tally);

    for (size_t i = 0; i < count; i++) {
        RN_BUG_IF(label[i] < 0 || (uint32_t)label[i] >= classes || predicted[i] < 0 ||
                  (uint32_t)predicted[i] >= classes);
        tally[label[i]].labelled += 1;
        tally[predicted[i]].predicted += 1;
        tally[label[i]].right += label[i] == predicted[i] ? 1 : 0;
    }
    return tally;
}

/* 2 TP / (2 TP + FP + FN) */
static double f1_of(struct tally tally)
{
    const double denominator = tally.labelled + tally.predicted;

    return denominator == 0 ? 0.0 : 2.0 * tally.right / denominator;
}

double rn_metrics_f1(const int32_t *label, const int32_t *predicted, size_t count, uint32_t classes)
{
    RN_CLEANUP(rn_free_cleanup)
    struct tally *tally = tally_classes(label, predicted, count, classes);
    double sum = 0;
    double seen = 0;

    if (classes == 2) {
        return f1_of(tally[1]);
    }
    for (uint32_t c = 0; c < classes; c++) {
        if (tally[c].labelled + tally[c].predicted > 0) {
            sum += f1_of(tally[c]);
            seen += 1;
        }
    }
    return seen == 0 ? 0.0 : sum / seen;
}

double rn_metrics_matthews(const int32_t *label, const int32_t *predicted, size_t count,
                           uint32_t classes)
{
    RN_CLEANUP(rn_free_cleanup)
    struct tally *tally = tally_classes(label, predicted, count, classes);
    const double n = (double)count;
    double right = 0;
    double both = 0;
    double labelled = 0;
    double guessed = 0;

    for (uint32_t c = 0; c < classes; c++) {
        right += tally[c].right;
        both += tally[c].labelled * tally[c].predicted;
        labelled += tally[c].labelled * tally[c].labelled;
        guessed += tally[c].predicted * tally[c].predicted;
    }
    const double denominator = sqrt(n * n - guessed) * sqrt(n * n - labelled);
    return denominator == 0 ? 0.0 : (right * n - both) / denominator;
}

static double pearson(const double *x, const double *y, size_t count)
{
    double mean_x = 0;
    double mean_y = 0;
    double xy = 0;
    double xx = 0;
    double yy = 0;

    for (size_t i = 0; i < count; i++) {
        mean_x += x[i] / (double)count;
        mean_y += y[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        xy += (x[i] - mean_x) * (y[i] - mean_y);
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
    }
    const double denominator = sqrt(xx) * sqrt(yy);
    if (count < 2 || denominator == 0) {
        return 0.0;
    }
    const double r = xy / denominator;
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

static void widen(const float *from, size_t count, double *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (double)from[i];
    }
}

double rn_metrics_pearson(const float *target, const float *predicted, size_t count)
{
    RN_CLEANUP(rn_free_cleanup) double *x = rn_alloc(count, sizeof *x);
    RN_CLEANUP(rn_free_cleanup) double *y = rn_alloc(count, sizeof *y);

    widen(target, count, x);
    widen(predicted, count, y);
    return pearson(x, y, count);
}

struct placed {
    float value;
    size_t place;
};

static int compare_placed(const void *left, const void *right)
{
    const float a = ((const struct placed *)left)->value;
    const float b = ((const struct placed *)right)->value;

    return a < b ? -1 : a > b ? 1 : 0;
}

/* Ranks from 1; equal values share the mean of theirs. */
static void rank(const float *values, size_t count, double *out)
{
    RN_CLEANUP(rn_free_cleanup) struct placed *sorted = rn_alloc(count, sizeof *sorted);

    for (size_t i = 0; i < count; i++) {
        sorted[i] = (struct placed){values[i], i};
    }
    if (count > 1) {
        qsort(sorted, count, sizeof *sorted, compare_placed);
    }
    for (size_t start = 0, end = 0; start < count; start = end) {
        for (end = start; end < count && sorted[end].value == sorted[start].value; end++) {
        }
        end = end == start ? start + 1 : end; /* NaN equals nothing */
        for (size_t i = start; i < end; i++) {
            out[sorted[i].place] = ((double)start + (double)end + 1.0) / 2.0;
        }
    }
}

double rn_metrics_spearman(const float *target, const float *predicted, size_t count)
{
    RN_CLEANUP(rn_free_cleanup) double *x = rn_alloc(count, sizeof *x);
    RN_CLEANUP(rn_free_cleanup) double *y = rn_alloc(count, sizeof *y);

    rank(target, count, x);
    rank(predicted, count, y);
    return pearson(x, y, count);
}
