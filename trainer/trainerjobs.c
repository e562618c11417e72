/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs of a trainer: memory first, then the rooms that do them.
 */
#include "trainer/trainerstate.h"

#include "base/guard.h"
#include "trainer/learn/learn.h"
#include "trainer/model/family.h"

static bool head_trains(const struct rn_trainer *trainer)
{
    return trainer->settled.head_mode != RN_HEAD_FROZEN;
}

rn_result rn_trainer_train(struct rn_trainer *trainer, const struct rn_dataset *data,
                           const struct rn_train_spec *spec, rn_train_progress_fn progress,
                           void *context, struct rn_train_report *out_report, struct rn_error *err)
{
    const bool head = head_trains(trainer);
    RN_TRY(rn_learn_check(&trainer->lanes, head, data, spec, err));
    RN_TRY(rn_trainer_prepare(trainer, true, 0, err));
    return rn_learn_train(&trainer->lanes, &trainer->state, head, data, spec, progress, context,
                          out_report, err);
}

rn_result rn_trainer_noisy_sum(struct rn_trainer *trainer, const struct rn_dataset *data,
                               const struct rn_train_spec *spec, int64_t *out, size_t count,
                               struct rn_error *err)
{
    const bool head = head_trains(trainer);
    const struct rn_segment *segments;
    size_t segment_count;
    size_t elements;
    RN_ENSURE(spec->dp != NULL && spec->dp->sampling != RN_DP_BATCHES && spec->steps == 1, err,
              RN_E_CONFIG, "training: a noisy sum is of one step of sampled records");
    RN_TRY(rn_trainer_layout(trainer, spec->active, head, &segments, &segment_count, &elements));
    RN_ENSURE(count == elements, err, RN_E_USAGE, "training: a noisy sum of %zu values, not of %zu",
              elements, count);
    RN_TRY(rn_learn_check(&trainer->lanes, head, data, spec, err));
    RN_TRY(rn_trainer_prepare(trainer, true, 0, err));
    return rn_learn_noisy_sum(&trainer->lanes, &trainer->state, head, data, spec, out, err);
}

rn_result rn_trainer_train_clients(struct rn_trainer *trainer, struct rn_client *clients,
                                   size_t count, const struct rn_train_spec *spec,
                                   rn_train_progress_fn progress, void *context,
                                   struct rn_error *err)
{
    const bool head = head_trains(trainer);
    RN_ENSURE(count >= 1 && count <= RN_TRAINER_CLIENTS_MAX, err, RN_E_CONFIG,
              "training: %zu clients at once; 1 to %d", count, RN_TRAINER_CLIENTS_MAX);
    RN_ENSURE(spec->dp == NULL && spec->first_step == 0, err, RN_E_UNSUPPORTED,
              "training: several clients at once know no dp and no first step");
    for (size_t i = 0; i < count; i++) {
        RN_TRY(rn_learn_check(&trainer->lanes, head, clients[i].data, spec, err));
    }
    RN_TRY(rn_trainer_prepare(trainer, true, RN_CLIENT_PIECES, err));
    const rn_result result =
        rn_learn_clients(&trainer->lanes, head, clients, count, spec, progress, context, err);
    rn_lanes_release(&trainer->lanes); /* their gradients are no other job's need */
    return result;
}

rn_result rn_trainer_evaluate(struct rn_trainer *trainer, const struct rn_dataset *data,
                              rn_evaluate_go_fn go, void *context, struct rn_metrics *out_metrics,
                              struct rn_error *err)
{
    RN_TRY(rn_trainer_prepare(trainer, false, 0, err));
    return rn_learn_evaluate(&trainer->lanes, data, go, context, out_metrics, err);
}

rn_result rn_trainer_predict(struct rn_trainer *trainer, const struct rn_dataset *data,
                             rn_prediction_fn each, void *context, struct rn_error *err)
{
    const struct rn_label_list *labels = &trainer->settled.labels;
    RN_TRY(rn_trainer_prepare(trainer, false, 0, err));
    return rn_learn_predict(&trainer->lanes, data,
                            labels->count != 0 ? (const char *const *)labels->names : NULL, each,
                            context, err);
}

rn_result rn_trainer_save(struct rn_trainer *trainer, const char *dir, const char *provenance,
                          struct rn_error *err)
{
    const struct rn_settled *settled = &trainer->settled;
    const struct rn_peft_extra extra = {.labels = settled->labels,
                                        .task = settled->task,
                                        .max_length = settled->max_length,
                                        .own = settled->model.family->rows};
    return rn_adapter_save(&trainer->adapter, &trainer->state, trainer->lanes.lane, &extra, dir,
                           provenance, err);
}

rn_result rn_trainer_load(struct rn_trainer *trainer, const char *dir, struct rn_error *err)
{
    return rn_adapter_load(&trainer->adapter, &trainer->state, trainer->lanes.lane, dir, err);
}
