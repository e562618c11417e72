/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/sitemodel.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "services/round/roundtrain.h"

static rn_result open_trainer(struct rn_site_model *model, bool with_train, struct rn_error *err)
{
    const struct rn_site *site = &model->site->site;
    struct rn_round_names names;
    struct rn_trainer_spec spec;
    rn_round_trainer_spec(&model->site->plan, &names, &spec);
    spec.model_dir = model->site->model;
    spec.backend = rn_site_backend_name(site->compute.backend);
    spec.kernels = rn_site_kernels_name(site->compute.kernels);
    spec.threads = site->compute.threads;
    spec.for_training = with_train;
    return rn_trainer_open(&spec, &model->trainer, err);
}

static rn_result open_data(struct rn_site_model *model, const char *file, struct rn_dataset **out,
                           struct rn_error *err)
{
    const struct rn_site_data *data = &model->site->site.data;
    char path[RN_PATH_MAX];
    RN_TRY(rn_site_path(path, model->site->directory, file, err));
    const struct rn_data_spec spec = {
        .path = path,
        .format = rn_site_format_name(data->format),
        .encoding = rn_site_encoding_name(data->encoding),
        .text_column = data->text,
        .pair_column = data->pair[0] == '\0' ? NULL : data->pair,
        .label_column = data->label,
        .no_header = !data->header,
    };
    const rn_result result = rn_trainer_data_open(model->trainer, &spec, out, err);
    /* What is an option at a desk is a key of site.yaml here. */
    return result.code == RN_E_USAGE
               ? rn_fail_context(err, (rn_result){RN_E_CONFIG}, "site.yaml, data")
               : result;
}

rn_result rn_site_model_open(const struct rn_site_files *site, bool with_train,
                             struct rn_site_model **out, struct rn_error *err)
{
    struct rn_site_model *model = rn_alloc(1, sizeof(*model));
    model->site = site;
    rn_result result = open_trainer(model, with_train, err);
    if (rn_is_ok(result)) {
        result = rn_round_model_open(model->trainer, &site->plan, &model->round, err);
    }
    if (!rn_is_ok(result)) {
        rn_site_model_free(model);
        return result;
    }
    *out = model;
    return rn_ok();
}

rn_result rn_site_model_open_data(struct rn_site_model *model, bool with_train,
                                  struct rn_error *err)
{
    const struct rn_site_data *data = &model->site->site.data;
    if (with_train) {
        RN_ENSURE(data->train[0] != '\0', err, RN_E_CONFIG, "%s/site.yaml: data.train is missing",
                  model->site->directory);
        RN_TRY(open_data(model, data->train, &model->train, err));
        model->train_count = rn_trainer_data_count(model->train);
        RN_TRY(rn_plan_examples_check(&model->site->plan, model->train_count, err));
    }
    RN_ENSURE(
        !with_train || data->dev[0] != '\0' || !model->site->plan.evaluation.federated, err,
        RN_E_CONFIG,
        "%s/site.yaml: data.dev is missing, and the plan measures every round on the members' "
        "development sets",
        model->site->directory);
    if (data->dev[0] != '\0') {
        RN_TRY(open_data(model, data->dev, &model->dev, err));
    }
    return rn_ok();
}

void rn_site_model_free(struct rn_site_model *model)
{
    if (model == NULL) {
        return;
    }
    rn_trainer_data_close(model->train);
    rn_trainer_data_close(model->dev);
    rn_trainer_close(model->trainer);
    rn_round_model_clear(&model->round);
    rn_free(model);
}
