/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/planmodel.h"

#include <string.h>

#include "base/guard.h"
#include "services/host/modelhash.h"
#include "services/round/roundlayout.h"
#include "trainer/trainer.h"

rn_result rn_plan_base_check(const struct rn_plan *plan, const char *model_dir, uint8_t *out_hash,
                             struct rn_error *err)
{
    uint8_t hash[32];
    char have[2 * sizeof hash + 1];
    RN_TRY(rn_model_hash(model_dir, hash, err));
    rn_hex_encode(have, hash, sizeof hash);
    RN_ENSURE(memcmp(hash, plan->model_hash, sizeof hash) == 0, err, RN_E_CONFIG,
              "%s: is base model %.16s..., but the plan is for %.16s...; get the same files as the "
              "others",
              model_dir, have, plan->model.hash);
    if (out_hash != NULL) {
        memcpy(out_hash, hash, sizeof hash);
    }
    return rn_ok();
}

/* Whether the plan's labels are the model's names in another order: every class would be read as
 * another one. */
static bool labels_are_mixed_up(const struct rn_plan *plan, const struct rn_label_list *names)
{
    size_t known = 0;
    bool same = true;
    for (uint32_t i = 0; i < plan->task.labels_count && i < names->count; i++) {
        same = same && strcmp(plan->task.labels[i], names->names[i]) == 0;
        for (size_t k = 0; k < names->count; k++) {
            known += strcmp(plan->task.labels[i], names->names[k]) == 0 ? 1 : 0;
        }
    }
    return !same && known == names->count && names->count == plan->task.labels_count;
}

static rn_result labels_check(const struct rn_plan *plan, const char *model_dir,
                              struct rn_error *err)
{
    char names[RN_ERROR_TEXT_MAX / 2];
    struct rn_model_classes classes = {0};
    rn_result result = rn_model_classes_read(model_dir, &classes, err);
    if (rn_is_ok(result) && classes.has_head && labels_are_mixed_up(plan, &classes.names)) {
        rn_label_list_text(&classes.names, names, sizeof names);
        result = rn_fail(err, RN_E_CONFIG,
                         "%s: its head has the plan's labels in another order (id2label of "
                         "config.json): %s",
                         model_dir, names);
    }
    rn_model_classes_clear(&classes);
    return result;
}

static rn_result model_open(const struct rn_plan *plan, const char *model_dir,
                            struct rn_trainer **out, struct rn_error *err)
{
    const char *labels[RN_PLAN_LABELS_MAX];
    const char *targets[RN_PLAN_TARGETS_MAX];
    const bool regression = plan->task.kind == RN_PLAN_REGRESSION;
    for (uint32_t i = 0; i < plan->task.labels_count; i++) {
        labels[i] = plan->task.labels[i];
    }
    for (uint32_t i = 0; i < plan->lora.targets_count; i++) {
        targets[i] = plan->lora.targets[i];
    }
    const struct rn_trainer_spec spec = {
        .model_dir = model_dir,
        .max_length = plan->model.max_length,
        .task = regression ? RN_TASK_REGRESSION : RN_TASK_CLASSIFICATION,
        .labels = regression ? NULL : labels,
        .label_count = regression ? 1 : plan->task.labels_count,
        .lora = {.rank = plan->lora.rank,
                 .alpha = plan->lora.alpha,
                 .use_rslora = plan->lora.rslora,
                 .targets = targets,
                 .target_count = plan->lora.targets_count,
                 .layers = plan->lora.layers,
                 .layer_count = plan->lora.layers_count},
        .seed = plan->seed,
        .threads = 1,
    };
    RN_TRY(labels_check(plan, model_dir, err));
    const rn_result opened = rn_trainer_open(&spec, out, err);
    return rn_is_ok(opened) ? opened
                            : rn_fail_context(err, opened, "the plan does not suit the base model");
}

/* The vector of a round that trains these matrices. */
static rn_result cost_of(struct rn_trainer *trainer, const struct rn_plan *plan,
                         const struct rn_plan_numbers *numbers, unsigned matrices,
                         struct rn_plan_cost *cost, struct rn_error *err)
{
    struct rn_round_spec spec;
    struct rn_round_layout layout;
    const struct rn_segment *segments = NULL;
    size_t count = 0;
    size_t elements = 0;
    RN_TRY(rn_round_spec_derive(plan, 1, 0, &spec, err));
    spec.active = matrices;
    RN_TRY(rn_trainer_layout(trainer, (enum rn_matrix)matrices, spec.with_head, &segments, &count,
                             &elements));
    RN_TRY(rn_round_layout_init(&spec, segments, count, &layout, err));
    cost->elements[matrices] = layout.elements;
    cost->bytes[matrices] = rn_plan_upload_bytes(numbers, layout.elements);
    return rn_ok();
}

static rn_result costs_of(struct rn_trainer *trainer, const struct rn_plan *plan,
                          const struct rn_plan_numbers *numbers, struct rn_plan_cost *cost,
                          struct rn_error *err)
{
    const unsigned both = RN_PLAN_MATRIX_A | RN_PLAN_MATRIX_B;
    for (uint32_t round = 1; round <= 2 && round <= plan->rounds; round++) {
        const unsigned active = rn_plan_active(plan, round);
        RN_TRY(cost_of(trainer, plan, numbers, active, cost, err));
        cost->bytes_max =
            cost->bytes[active] > cost->bytes_max ? cost->bytes[active] : cost->bytes_max;
    }
    struct rn_plan_cost comparison = {0};
    RN_TRY(cost_of(trainer, plan, numbers, both, &comparison, err));
    cost->bytes_lora = comparison.bytes[both];
    return rn_ok();
}

rn_result rn_plan_cost_compute(const struct rn_plan *plan, const struct rn_plan_numbers *numbers,
                               const char *model_dir, struct rn_plan_cost *out_cost,
                               struct rn_error *err)
{
    struct rn_trainer *trainer = NULL;
    *out_cost = (struct rn_plan_cost){0};
    RN_TRY(model_open(plan, model_dir, &trainer, err));
    const rn_result result = costs_of(trainer, plan, numbers, out_cost, err);
    rn_trainer_close(trainer);
    return result;
}

static rn_result file_count(struct rn_trainer *trainer, const char *directory, const char *file,
                            const struct rn_site_data *data, size_t *out_count,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    struct rn_dataset *examples = NULL;
    RN_TRY(rn_site_path(path, directory, file, err));
    const struct rn_data_spec spec = {
        .path = path,
        .format = rn_site_format_name(data->format),
        .encoding = rn_site_encoding_name(data->encoding),
        .text_column = data->text,
        .pair_column = data->pair[0] == '\0' ? NULL : data->pair,
        .label_column = data->label,
        .no_header = !data->header,
    };
    RN_TRY(rn_trainer_data_open(trainer, &spec, &examples, err));
    *out_count = rn_trainer_data_count(examples);
    rn_trainer_data_close(examples);
    return rn_ok();
}

static rn_result files_count(const struct rn_plan *plan, struct rn_trainer *trainer,
                             const char *directory, const struct rn_site_data *data,
                             struct rn_plan_examples *out, struct rn_error *err)
{
    if (data->train[0] != '\0') {
        RN_TRY(file_count(trainer, directory, data->train, data, &out->train, err));
    }
    if (data->dev[0] != '\0') {
        return file_count(trainer, directory, data->dev, data, &out->dev, err);
    }
    const bool wanted = data->train[0] != '\0' && plan->evaluation.federated;
    RN_ENSURE(!wanted, err, RN_E_CONFIG,
              "the plan measures every round on the members' development sets, and this site names "
              "none: give --dev to rondo join, or data.dev in site.yaml");
    return rn_ok();
}

rn_result rn_plan_site_check(const struct rn_plan *plan, const char *model_dir,
                             const char *directory, const struct rn_site_data *data,
                             struct rn_plan_examples *out, struct rn_error *err)
{
    struct rn_trainer *trainer = NULL;
    *out = (struct rn_plan_examples){0};
    RN_TRY(model_open(plan, model_dir, &trainer, err));
    const rn_result result = files_count(plan, trainer, directory, data, out, err);
    rn_trainer_close(trainer);
    return result;
}

rn_result rn_plan_setup_check(const struct rn_setup *setup, struct rn_plan_examples *out,
                              struct rn_error *err)
{
    char model[RN_PATH_MAX];
    RN_TRY(rn_site_path(model, setup->directory, setup->site.model, err));
    RN_TRY(rn_plan_base_check(&setup->plan, model, NULL, err));
    const rn_result result =
        rn_plan_site_check(&setup->plan, model, setup->directory, &setup->site.data, out, err);
    if (result.code == RN_E_USAGE) { /* what is an option at a desk is a key of site.yaml here */
        return rn_fail_context(err, (rn_result){RN_E_CONFIG}, "site.yaml, data");
    }
    RN_TRY(result);
    return rn_plan_examples_check(&setup->plan, out->train, err);
}
