/* SPDX-License-Identifier: Apache-2.0
 *
 * The metrics of GLUE, as scikit-learn and scipy compute them. Pure functions over arrays.
 */
#ifndef RN_TRAINER_METRICS_H
#define RN_TRAINER_METRICS_H

#include <stddef.h>
#include <stdint.h>

/* accuracy_score. 0 examples: 0. */
double rn_metrics_accuracy(const int32_t *label, const int32_t *predicted, size_t count);

/* f1_score: of class 1 for two classes (GLUE's MRPC and QQP), the unweighted mean over the classes
 * that occur as label or prediction for more ("macro"). A class without true positives counts 0. */
double rn_metrics_f1(const int32_t *label, const int32_t *predicted, size_t count,
                     uint32_t classes);

/* matthews_corrcoef (Gorodkin's R_K for more than two classes); 0 when the denominator is 0. */
double rn_metrics_matthews(const int32_t *label, const int32_t *predicted, size_t count,
                           uint32_t classes);

/* scipy.stats.pearsonr; 0 (not NaN) when one side is constant or count < 2. */
double rn_metrics_pearson(const float *target, const float *predicted, size_t count);

/* scipy.stats.spearmanr: Pearson of the ranks, ties share their mean rank. */
double rn_metrics_spearman(const float *target, const float *predicted, size_t count);

#endif
