/* SPDX-License-Identifier: Apache-2.0
 *
 * A training that can go on: adapter, optimiser's moments, place in the run and its figures so far,
 * in one file that is replaced whole.
 *
 * Layout, little-endian: magic "rondo-ckpt 1\n", SHA-256 of the rest, the settings' text (u32
 * length), step u32, loss_first, loss_sum, loss_last, seconds (f64 bits), examples u64, tokens u64,
 * count of trained values u64, the values (f32), count of a moment's values u64, both moments
 * (f32). It holds what the adapter holds, and the moments of its gradients: protect it as the data
 * (0600).
 */
#ifndef RN_SERVICES_CLI_DESK_CHECKPOINT_H
#define RN_SERVICES_CLI_DESK_CHECKPOINT_H

#include "base/bytes.h"
#include "trainer/trainer.h"

#define RN_CHECKPOINT_NAME "training.checkpoint" /* in the output folder */
#define RN_CHECKPOINT_BYTES_MAX ((size_t)8 << 30)
#define RN_CHECKPOINT_SETTINGS_MAX ((size_t)1 << 16)

/* What a checkpoint is of. */
struct rn_checkpoint {
    struct rn_trainer *trainer;
    bool with_head;       /* the head trains */
    const char *settings; /* rn_command_settings_text: a run with others must not go on */
};

/* After `step` steps; report: of the whole training so far. */
RN_MUST rn_result rn_checkpoint_write(const struct rn_checkpoint *of, const char *path,
                                      uint32_t step, const struct rn_train_report *report,
                                      struct rn_error *err);

/* Puts the trainer back to where it was. RN_E_NO_INPUT when there is no file; RN_E_USAGE naming the
 * first setting that differs; RN_E_DATA when the file is damaged or of another trainer: the trainer
 * must then be closed. */
RN_MUST rn_result rn_checkpoint_read(const struct rn_checkpoint *of, const char *path,
                                     uint32_t *out_step, struct rn_train_report *out_report,
                                     struct rn_error *err);

#endif
