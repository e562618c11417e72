/* SPDX-License-Identifier: Apache-2.0
 *
 * Training, evaluation and prediction over prepared lanes: what trainer/trainer.h promises under
 * these names, where errors and results are described. Everything is borrowed for the call.
 *
 * `head`: whether the head trains. The lanes must be prepared (rn_lanes_prepare) for training or
 * not, and be bound to the values that evaluation uses; training binds them itself and leaves them
 * bound to its state.
 */
#ifndef RN_TRAINER_LEARN_H
#define RN_TRAINER_LEARN_H

#include "trainer/jobwords.h"
#include "trainer/pass/lanes.h"

/* Most pieces of one block of several clients: each has a gradient of its own in every lane. */
#define RN_CLIENT_PIECES 8

/* RN_E_DATA when the model or the trainer's task cannot take the examples: too long, ids or token
 * types without an embedding, labels (when they are needed) that the head has not. job: for the
 * sentence. */
RN_MUST rn_result rn_learn_data_fits(const struct rn_lanes *lanes, const struct rn_dataset *data,
                                     bool labelled, const char *job, struct rn_error *err);
/* Whether this can be trained; asked before the lanes are prepared. */
RN_MUST rn_result rn_learn_check(const struct rn_lanes *lanes, bool head,
                                 const struct rn_dataset *data, const struct rn_train_spec *spec,
                                 struct rn_error *err);
/* rn_trainer_train; state has its gradient and moments. */
RN_MUST rn_result rn_learn_train(struct rn_lanes *lanes, struct rn_state *state, bool head,
                                 const struct rn_dataset *data, const struct rn_train_spec *spec,
                                 rn_train_progress_fn progress, void *context,
                                 struct rn_train_report *out_report, struct rn_error *err);
/* rn_trainer_noisy_sum, checked: out has the values of the selection of what trains. */
RN_MUST rn_result rn_learn_noisy_sum(struct rn_lanes *lanes, struct rn_state *state, bool head,
                                     const struct rn_dataset *data,
                                     const struct rn_train_spec *spec, int64_t *out,
                                     struct rn_error *err);
/* rn_trainer_train_clients, checked; the lanes have RN_CLIENT_PIECES pieces and are left bound to
 * memory that is gone. */
RN_MUST rn_result rn_learn_clients(struct rn_lanes *lanes, bool head, struct rn_client *clients,
                                   size_t count, const struct rn_train_spec *spec,
                                   rn_train_progress_fn progress, void *context,
                                   struct rn_error *err);
RN_MUST rn_result rn_learn_evaluate(struct rn_lanes *lanes, const struct rn_dataset *data,
                                    rn_evaluate_go_fn go, void *context,
                                    struct rn_metrics *out_metrics, struct rn_error *err);
/* names: of the classes, or NULL. */
RN_MUST rn_result rn_learn_predict(struct rn_lanes *lanes, const struct rn_dataset *data,
                                   const char *const *names, rn_prediction_fn each, void *context,
                                   struct rn_error *err);

#endif
