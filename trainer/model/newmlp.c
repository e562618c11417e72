/* SPDX-License-Identifier: Apache-2.0
 *
 * A network over rows of numbers, from a seed.
 */
#include "trainer/model/newmlp.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/ground/safetensors.h"
#include "trainer/model/family.h"

#include <math.h>

#define HEAD_NAME "classifier.weight"

static rn_result check(const struct rn_new_mlp *model, struct rn_error *err)
{
    RN_ENSURE(model->inputs >= 1 && model->inputs <= RN_CONFIG_HIDDEN_MAX, err, RN_E_CONFIG,
              "a model reads 1 to %d numbers a record, not %u", RN_CONFIG_HIDDEN_MAX,
              model->inputs);
    RN_ENSURE(model->classes >= 2 && model->classes <= RN_CONFIG_LABELS_MAX, err, RN_E_CONFIG,
              "a model knows 2 to %d classes, not %u", RN_CONFIG_LABELS_MAX, model->classes);
    return rn_ok();
}

static rn_result write_config(const struct rn_new_mlp *model, const char *dir, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_model_config config;
    char path[RN_PATH_MAX];

    rn_buffer_format(&text,
                     "{\n  \"model_type\": \"%s\",\n  \"input_size\": %u,\n  \"num_labels\": %u,\n"
                     "  \"input_divisor\": %.17g,\n  \"input_mean\": %.17g,\n"
                     "  \"input_deviation\": %.17g\n}\n",
                     rn_family_mlp.model_type, model->inputs, model->classes, model->divisor,
                     model->mean, model->deviation);
    RN_TRY(rn_path_join(path, dir, "config.json", err));
    RN_TRY(rn_modelconfig_parse(rn_buffer_view(&text), path, &config, err)); /* its own limits */
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

rn_result rn_new_mlp_write(const struct rn_new_mlp *model, const char *dir, struct rn_error *err)
{
    char path[RN_PATH_MAX];

    RN_TRY(check(model, err));
    RN_TRY(write_config(model, dir, err));
    const size_t count = (size_t)model->classes * model->inputs;
    RN_CLEANUP(rn_free_cleanup) float *w = rn_alloc(count, sizeof(float));
    const struct rn_generator generator = rn_generator_of(model->seed, HEAD_NAME);
    rn_generator_uniform(&generator, 1.0 / sqrt((double)model->classes), count, w);
    const struct rn_tensor_out tensor = {
        .name = HEAD_NAME, .rows = model->classes, .columns = model->inputs, .data = w};
    RN_TRY(rn_path_join(path, dir, "model.safetensors", err));
    return rn_safetensors_write(path, &tensor, 1, err);
}
