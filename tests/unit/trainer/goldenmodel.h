/* SPDX-License-Identifier: Apache-2.0
 *
 * The small models of tests/parity/golden as trainers, for tests.
 */
#ifndef RN_TESTS_UNIT_TRAINER_GOLDENMODEL_H
#define RN_TESTS_UNIT_TRAINER_GOLDENMODEL_H

#include "base/file.h"
#include "trainer/trainerstate.h"

static inline void must(rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result)) {
        fail_msg("%s", err->text);
    }
}

/* Path of a file of a golden folder. */
static inline const char *golden_path(char out[static RN_PATH_MAX], const char *folder,
                                      const char *name)
{
    const bool fits = rn_text_format(out, RN_PATH_MAX, "%s/tests/parity/golden/%s/%s",
                                     RN_SOURCE_DIR, folder, name);
    assert_true(fits);
    return out;
}

/* "bert-40" (2 labels) or "roberta-24" (3 labels) with its random adapter. */
static inline struct rn_trainer *golden_trainer(const char *folder, const char *backend,
                                                uint32_t threads, enum rn_head_mode head)
{
    char model[RN_PATH_MAX];
    char adapter[RN_PATH_MAX];
    static const char *const labels[] = {"0", "1", "2"};
    const struct rn_trainer_spec spec = {
        .model_dir = golden_path(model, folder, "model"),
        .adapter_dir = golden_path(adapter, folder, "adapter"),
        .labels = labels,
        .label_count = folder[0] == 'b' ? 2 : 3,
        .head = head,
        .backend = backend,
        .threads = threads,
        .for_training = true,
    };
    struct rn_error err;
    struct rn_trainer *trainer = NULL;
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    return trainer;
}

static inline struct rn_dataset *golden_data(struct rn_trainer *trainer, const char *folder)
{
    char path[RN_PATH_MAX];
    const struct rn_data_spec spec = {.path = golden_path(path, folder, "data.tsv"),
                                      .text_column = "text",
                                      .pair_column = "pair",
                                      .label_column = "label"};
    struct rn_error err;
    struct rn_dataset *data = NULL;
    must(rn_trainer_data_open(trainer, &spec, &data, &err), &err);
    return data;
}

#endif
