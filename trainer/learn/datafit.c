/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a data set fits the model: another trainer may have opened it.
 */
#include "trainer/learn/learn.h"

#include "base/guard.h"

static rn_result check_labels(const struct rn_lanes *lanes, const struct rn_dataset *data,
                              const char *job, struct rn_error *err)
{
    const struct rn_dataset_range range = rn_dataset_range(data);
    const uint32_t labels = lanes->adapter->label_count;
    const bool regression = rn_dataset_label_count(data) == 1;
    RN_ENSURE(rn_dataset_label_count(data) > 0, err, RN_E_DATA, "%s: the data has no labels", job);
    RN_ENSURE(regression == (lanes->task == RN_TASK_REGRESSION), err, RN_E_DATA,
              "%s: the data holds %s, the trainer's task is %s", job,
              regression ? "numbers to predict" : "classes",
              regression ? "classification" : "regression");
    RN_ENSURE(regression || (range.label_least >= 0 && (uint32_t)range.label_most < labels), err,
              RN_E_DATA, "%s: the data has classes up to number %d, the trainer knows %u", job,
              (int)range.label_most, labels);
    return rn_ok();
}

rn_result rn_learn_data_fits(const struct rn_lanes *lanes, const struct rn_dataset *data,
                             bool labelled, const char *job, struct rn_error *err)
{
    const struct rn_model_config *model = &lanes->adapter->encoder->config;
    const struct rn_dataset_range range = rn_dataset_range(data);
    RN_ENSURE(rn_dataset_longest(data) <= lanes->options.length, err, RN_E_DATA,
              "%s: the data was tokenised for a longer maximum length than the trainer's", job);
    const uint32_t width = model->family->rows ? model->hidden : 0;
    RN_ENSURE(range.width == width, err, RN_E_DATA,
              "%s: the data are rows of %u numbers, the model reads %u (0: texts)", job,
              range.width, width);
    RN_ENSURE(range.ids <= model->vocabulary, err, RN_E_DATA,
              "%s: the data has token ids up to %u, the model %u embeddings", job, range.ids - 1,
              model->vocabulary);
    RN_ENSURE(!model->family->reads_types || range.types <= model->types, err, RN_E_DATA,
              "%s: the tokenizer gives token types up to %u, the model has %u", job,
              range.types - 1, model->types);
    return labelled ? check_labels(lanes, data, job, err) : rn_ok();
}
