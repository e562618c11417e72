/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/kernels/cuda/cudachoice.h"

#include "base/guard.h"
#include "trainer/kernels/cuda/cudatrial.h"

void rn_cuda_choice_open(struct rn_cuda_choice *choice, const char *file)
{
    choice->plan_file = file != NULL && file[0] != '\0' ? file : NULL;
    if (choice->plan_file != NULL) {
        (void)rn_cuda_plans_load(&choice->plans, choice->plan_file);
    }
}

/* Whether it says that it takes every number of rows that is tried. */
static bool takes_all(const struct rn_cuda_engine *engine, const struct rn_cuda_trial *trial,
                      const uint8_t *algorithm)
{
    int64_t counts[RN_CUDA_TRIAL_COUNTS];
    const size_t count = rn_cuda_trial_counts(trial, counts);
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        struct rn_port_product p = *rn_cuda_trial_product(trial);
        p.m = counts[i];
        good = engine->takes(engine->context, &p, algorithm);
    }
    return good;
}

static bool passes(const struct rn_cuda_engine *engine, struct rn_cuda_trial *trial,
                   const uint8_t *algorithm)
{
    return takes_all(engine, trial, algorithm) && rn_cuda_trial_keeps(trial, algorithm);
}

/* Place of the candidate to take; -1 when none passes. */
static int pick(const struct rn_cuda_engine *engine, struct rn_cuda_trial *trial, bool timed,
                uint8_t candidates[RN_CUDA_CANDIDATES][RN_CUDA_ALGORITHM_BYTES], int count)
{
    int best = -1;
    float best_time = 0.0f;
    for (int i = 0; i < count && (timed || best < 0); i++) {
        if (!passes(engine, trial, candidates[i])) {
            continue;
        }
        const float time =
            timed ? engine->time(engine->context, rn_cuda_trial_product(trial), candidates[i])
                  : 0.0f;
        if (time >= 0.0f && (best < 0 || time < best_time)) {
            best = i;
            best_time = time;
        }
    }
    return best;
}

static void keep_file(struct rn_cuda_choice *choice)
{
    if (choice->plan_file != NULL &&
        !rn_is_ok(rn_cuda_plans_save(&choice->plans, choice->plan_file, NULL))) {
        choice->plan_file = NULL; /* it cannot be kept: no more is timed */
    }
}

/* With a trial's memory: the plan of the file when it passes, or one of the candidates. */
static const struct rn_cuda_plan *decide(struct rn_cuda_choice *choice,
                                         const struct rn_cuda_engine *engine,
                                         struct rn_cuda_trial *trial,
                                         const struct rn_cuda_plan_key *key)
{
    uint8_t candidates[RN_CUDA_CANDIDATES][RN_CUDA_ALGORITHM_BYTES];
    struct rn_cuda_plan *plan = rn_cuda_plans_find(&choice->plans, key);
    if (plan != NULL && passes(engine, trial, plan->algorithm)) {
        plan->checked = true;
        return plan;
    }
    const int count = engine->candidates(engine->context, rn_cuda_trial_product(trial), candidates);
    const int chosen = pick(engine, trial, choice->plan_file != NULL, candidates, count);
    if (chosen < 0) {
        return rn_cuda_plans_refuse(&choice->plans, key);
    }
    plan = rn_cuda_plans_put(&choice->plans, key, candidates[chosen]);
    keep_file(choice);
    return plan;
}

static rn_result answer(const struct rn_cuda_plan *plan, const uint8_t **out, struct rn_error *err)
{
    const struct rn_cuda_plan_key *key = &plan->key;
    RN_ENSURE(!plan->refused, err, RN_E_UNSUPPORTED,
              "backend cuda: no algorithm of this device keeps a row's bits in products of "
              "%lld x %lld (%s, %s%s%s)",
              (long long)key->n, (long long)key->k, key->by_rows ? "forward" : "backward",
              key->wide ? "float32" : "bfloat16", key->has_bias ? ", bias" : "",
              key->has_c ? ", residual" : "");
    *out = plan->algorithm;
    return rn_ok();
}

rn_result rn_cuda_choice_find(struct rn_cuda_choice *choice, struct rn_port *port,
                              const struct rn_cuda_engine *engine, const struct rn_port_product *p,
                              bool recording, const uint8_t **out, struct rn_error *err)
{
    const struct rn_cuda_plan_key key = {
        .rows = engine->rows,
        .n = p->n,
        .k = p->k,
        .exact = 1,
        .by_rows = p->by_rows,
        .wide = p->wide,
        .has_bias = p->bias != NULL,
        .has_c = p->c != NULL,
    };
    const struct rn_cuda_plan *plan = rn_cuda_plans_find(&choice->plans, &key);
    if (plan != NULL && (plan->checked || plan->refused)) {
        return answer(plan, out, err);
    }
    RN_ENSURE(!recording, err, RN_E_INTERNAL,
              "backend cuda: a product of %lld x %lld was not tried before it is recorded",
              (long long)p->n, (long long)p->k);
    struct rn_cuda_trial *trial = NULL;
    RN_TRY(rn_cuda_trial_new(port, engine, p, &trial, err));
    plan = decide(choice, engine, trial, &key);
    rn_cuda_trial_free(trial);
    return answer(plan, out, err);
}
