/* SPDX-License-Identifier: Apache-2.0
 *
 * A one-run audit of DP-SGD: a whole training by rn_trainer_train of a toy model, whose records are
 * canaries that a fair coin puts in or leaves out, and the best of somebody who sees the adapter
 * after every step and knows every canary's clipped gradient at guessing the coins.
 *
 * The canaries are one text with a class each: their gradients are nearly orthogonal (the bias of
 * the class) and longer than the clip norm, so that each moves the sum by the whole clip norm in a
 * direction of its own, which is the worst that the mechanism's proof allows. The learning rate is
 * so small that the gradients stay what they were.
 *
 * Two scores of a canary: the sum over the steps of what the sum of clipped gradients has in its
 * direction (noise that is too small, clipping that is not done, batches that are no surprise), and
 * how much that varies from step to step (noise that repeats). The guesses are the highest scores
 * as "in", or as many highest as "in" and lowest as "out" (that alone where every record is in
 * every step, by the sum alone); numbers of guesses are fixed beforehand, and the confidence is
 * shared between all that is tried, so the best may be reported. Where every record is in every
 * step the loss is a Gaussian's, and the better bound of auditbound.h is taken.
 */
#ifndef RN_SERVICES_BENCH_AUDITRUN_H
#define RN_SERVICES_BENCH_AUDITRUN_H

#include "base/result.h"
#include "crypto/secret.h"
#include "trainer/trainer.h"

#define RN_AUDIT_CANARIES_MIN 64
#define RN_AUDIT_CANARIES_MAX 2048
#define RN_AUDIT_STEPS_MAX 1000

struct rn_audit_spec {
    const char *dir;              /* an empty directory for the model and the texts */
    uint32_t canaries;            /* MIN..MAX */
    uint32_t steps;               /* 1..RN_AUDIT_STEPS_MAX */
    enum rn_dp_sampling sampling; /* POISSON or ALLOCATION */
    enum rn_dp_clipping clipping;
    double rate;    /* POISSON: above 0, 1 = every record in every step */
    uint32_t picks; /* ALLOCATION */
    double noise;   /* multiplier */
    double delta;
    double confidence;             /* 0.95: the bound is too high with probability 0.05 */
    const struct rn_secret32 *key; /* NULL: from the system; else all of it follows from it */
};

struct rn_audit_result {
    double epsilon; /* at least this much, with the confidence */
    double mu;      /* where all records are in all steps, of the Gaussian's distance: at least; 0
                       otherwise */
    uint32_t guesses, right;
    const char *score; /* "sum" or "spread" */
    bool both_sides;   /* "out" was guessed too */
    uint32_t members;  /* canaries that were in */
};

RN_MUST rn_result rn_audit_run(const struct rn_audit_spec *spec, struct rn_audit_result *out,
                               struct rn_error *err);

#endif
