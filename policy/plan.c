/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules between the plan's fields. What each may hold by itself is in planfields.c.
 */
#include "policy/plan.h"

#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/hybrid.h"
#include "crypto/setup.h"
#include "crypto/sha256.h"
#include "policy/yamlfile.h"

#define PLAN_TAG "rondo/v1 plan"

/* ---- Rules between fields. */

static rn_result check_task(const struct rn_yaml_index *index, const struct rn_plan *plan,
                            struct rn_error *err)
{
    const struct rn_plan_task_spec *task = &plan->task;
    const bool correlates =
        task->metric == RN_PLAN_METRIC_PEARSON || task->metric == RN_PLAN_METRIC_SPEARMAN;
    if (task->kind == RN_PLAN_REGRESSION) {
        if (task->labels_count != 0) {
            return rn_yaml_fail(index, "task.labels", err, "a regression has no labels");
        }
        if (!correlates) {
            return rn_yaml_fail(index, "task.metric", err,
                                "a regression is measured by pearson or spearman");
        }
        return rn_ok();
    }
    if (task->labels_count < 2) {
        return rn_yaml_fail(index, "task.labels", err, "a classification needs at least 2 labels");
    }
    if (correlates) {
        return rn_yaml_fail(index, "task.metric", err,
                            "a classification is measured by accuracy, f1 or matthews");
    }
    return rn_ok();
}

static rn_result check_lora(const struct rn_yaml_index *index, const struct rn_plan *plan,
                            struct rn_error *err)
{
    for (uint32_t i = 0; i < plan->lora.targets_count; i++) {
        if (strcmp(plan->lora.targets[i], "all-linear") == 0 && plan->lora.targets_count != 1) {
            return rn_yaml_fail(index, "lora.targets", err, "'all-linear' must stand alone");
        }
    }
    return rn_ok();
}

static rn_result check_scale(const struct rn_yaml_index *index, const char *field, double value,
                             struct rn_error *err)
{
    int exponent;
    if (frexp(value, &exponent) != 0.5) {
        return rn_yaml_fail(index, field, err, "must be a power of two, such as 0.0625");
    }
    return rn_ok();
}

static rn_result check_secagg(const struct rn_yaml_index *index, const struct rn_plan *plan,
                              struct rn_error *err)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    RN_TRY(check_scale(index, "secagg.scale_a", secagg->scale_a, err));
    RN_TRY(check_scale(index, "secagg.scale_b", secagg->scale_b, err));
    RN_TRY(check_scale(index, "secagg.scale_head", secagg->scale_head, err));
    if (secagg->train_hard_s < secagg->train_soft_s) {
        return rn_yaml_fail(index, "secagg.train_hard_s", err, "must not be below train_soft_s");
    }
    if (secagg->stage_hard_s < secagg->stage_soft_s) {
        return rn_yaml_fail(index, "secagg.stage_hard_s", err, "must not be below stage_soft_s");
    }
    if (rn_plan_is_hybrid(plan) && !rn_plan_is_blind(plan)) {
        return rn_yaml_fail(index, "secagg.kem", err,
                            "'hybrid' seals the group key of a blind plan: with coordinator: open "
                            "'none' alone can be used");
    }
    if (rn_plan_is_hybrid(plan) && !rn_hybrid_here()) {
        return rn_yaml_fail(index, "secagg.kem", err,
                            "'hybrid' (X25519 with ML-KEM-768) needs a Rondo built with libsodium "
                            "1.0.22 or later; this build has libsodium %s: build it again, or use "
                            "'none'",
                            rn_crypto_sodium_version());
    }
    return rn_ok();
}

/* What would be ignored is refused. */
static rn_result check_evaluation(const struct rn_yaml_index *index, const struct rn_plan *plan,
                                  struct rn_error *err)
{
    static const char what[] = "only with evaluation.federated: true";
    const struct rn_plan_evaluation *evaluation = &plan->evaluation;
    if (evaluation->federated && plan->metrics != RN_METRICS_SUMMED) {
        return rn_yaml_fail(index, "evaluation.federated", err,
                            "needs metrics: summed, since the results are elements of the vector");
    }
    if (!evaluation->federated && evaluation->keep_best) {
        return rn_yaml_fail(index, "evaluation.keep_best", err, "%s", what);
    }
    if (!evaluation->federated && evaluation->early_stop.patience != 0) {
        return rn_yaml_fail(index, "evaluation.early_stop.patience", err, "%s", what);
    }
    if (!evaluation->federated && evaluation->early_stop.min_delta != 0) {
        return rn_yaml_fail(index, "evaluation.early_stop.min_delta", err, "%s", what);
    }
    /* When a job ends early is the coordinator's to say. */
    if (evaluation->federated && rn_plan_is_blind(plan)) {
        return rn_yaml_fail(index, "evaluation.federated", err,
                            "not with coordinator: blind, which cannot see what a round measured");
    }
    return rn_ok();
}

/* With shares of noise a round is one sum, and the step that follows from it is everybody's: what
 * belongs to local steps, or needs a state of its own, has no meaning. */
static rn_result check_shared(const struct rn_yaml_index *index, const struct rn_plan *plan,
                              struct rn_error *err)
{
    const struct rn_plan_training *training = &plan->training;
    if (training->steps != 1) {
        return rn_yaml_fail(index, "training.steps", err,
                            "must be 1 with privacy.mode: shared, where a round is one step");
    }
    if (plan->privacy.sampling == RN_PLAN_ALLOCATION) {
        return rn_yaml_fail(index, "privacy.sampling", err,
                            "must be poisson with privacy.mode: shared");
    }
    if (training->optimizer != RN_PLAN_SGD) {
        return rn_yaml_fail(index, "training.optimizer", err,
                            "must be sgd with privacy.mode: shared");
    }
    if (training->weight_decay != 0) {
        return rn_yaml_fail(index, "training.weight_decay", err,
                            "must be 0 with privacy.mode: shared");
    }
    if (training->warmup_steps != 0 || training->schedule != RN_PLAN_SCHEDULE_CONSTANT) {
        return rn_yaml_fail(index, "training.schedule", err,
                            "must be constant, without warmup_steps, with privacy.mode: shared");
    }
    if (plan->lora.head == RN_PLAN_HEAD_LOCAL) {
        return rn_yaml_fail(index, "lora.head", err,
                            "must be frozen or federated with privacy.mode: shared: no member "
                            "trains by itself");
    }
    return rn_ok();
}

/* Every number that would leave beside the noisy update is refused. */
static rn_result check_private(const struct rn_yaml_index *index, const struct rn_plan *plan,
                               struct rn_error *err)
{
    const struct rn_plan_privacy *privacy = &plan->privacy;
    if (!rn_plan_is_private(plan)) {
        return rn_ok();
    }
    if (plan->weights != RN_WEIGHTS_UNIFORM) {
        return rn_yaml_fail(index, "weights", err,
                            "not with privacy: a count of records is not public");
    }
    if (plan->metrics != RN_METRICS_HOME) {
        return rn_yaml_fail(index, "metrics", err,
                            "not with privacy: an exact sum of losses is a release too");
    }
    if (plan->training.clip != 0) {
        return rn_yaml_fail(index, "training.clip", err,
                            "must be 0 with privacy, which clips each record");
    }
    if (rn_plan_is_shared(plan)) {
        return check_shared(index, plan, err);
    }
    const double picks = privacy->rate * plan->training.steps;
    if (privacy->sampling == RN_PLAN_ALLOCATION &&
        !(fabs(picks - rn_plan_picks(plan)) <= 1e-9 * picks)) {
        return rn_yaml_fail(index, "privacy.rate", err,
                            "times training.steps is in how many steps of a round `allocation` "
                            "puts each record: it must be a whole number of at least 1");
    }
    return rn_ok();
}

static rn_result check_rest(const struct rn_yaml_index *index, const struct rn_plan *plan,
                            struct rn_error *err)
{
    if (plan->weights == RN_WEIGHTS_EXAMPLES && plan->max_examples == 0) {
        return rn_yaml_fail(index, "weights", err,
                            "'examples' needs max_examples, the largest count of one member");
    }
    if (plan->weights == RN_WEIGHTS_UNIFORM && plan->max_examples != 0) {
        return rn_yaml_fail(index, "max_examples", err, "only with weights: examples");
    }
    if (plan->training.warmup_steps > plan->training.steps) {
        return rn_yaml_fail(index, "training.warmup_steps", err, "must not exceed steps");
    }
    return rn_ok();
}

static rn_result plan_check(const struct rn_yaml_index *index, struct rn_plan *plan,
                            struct rn_error *err)
{
    RN_TRY(check_task(index, plan, err));
    RN_TRY(check_lora(index, plan, err));
    RN_TRY(check_secagg(index, plan, err));
    RN_TRY(check_evaluation(index, plan, err));
    RN_TRY(check_private(index, plan, err));
    return check_rest(index, plan, err);
}

void rn_plan_hash(struct rn_view exact, uint8_t out_hash[static 32])
{
    rn_sha256(out_hash, PLAN_TAG, &exact, 1);
}

rn_result rn_plan_parse(struct rn_view exact, const char *source, struct rn_plan *out_plan,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_yaml_index_clear) struct rn_yaml_index index = {0};
    rn_result result =
        rn_yaml_load(exact, source, rn_plan_fields(), out_plan, sizeof *out_plan, &index, err);
    if (rn_is_ok(result)) {
        result = plan_check(&index, out_plan, err);
    }
    if (!rn_is_ok(result)) {
        memset(out_plan, 0, sizeof *out_plan);
        return result;
    }
    rn_plan_hash(exact, out_plan->hash);
    RN_BUG_IF(!rn_hex_decode(out_plan->model_hash, 32, out_plan->model.hash) ||
              !rn_hex_decode(out_plan->roster_hash, 32, out_plan->roster.hash) ||
              !rn_hex_decode(out_plan->coordinator_key, 32, out_plan->roster.coordinator));
    return rn_ok();
}
