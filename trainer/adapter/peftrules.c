/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranks and scales of single modules: rank_pattern and alpha_pattern of adapter_config.json.
 */
#include "trainer/adapter/peftrules.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <math.h>
#include <string.h>

void rn_peft_rules_clear(struct rn_peft_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        rn_free(rules->rules[i].expression);
    }
    rn_free(rules->rules);
    *rules = (struct rn_peft_rules){0};
}

static rn_result append_rule(const char *expression, double value, const char *file,
                             const char *key, struct rn_peft_rules *out, struct rn_error *err)
{
    const size_t length = strlen(expression);

    RN_ENSURE(length > 0 && length <= RN_PEFT_PATTERN_BYTES_MAX, err, RN_E_DATA,
              "%s: %s: an expression must have 1 to %d bytes", file, key,
              RN_PEFT_PATTERN_BYTES_MAX);
    RN_ENSURE(out->count < RN_PEFT_RULES_MAX, err, RN_E_DATA, "%s: %s has more than %d entries",
              file, key, RN_PEFT_RULES_MAX);
    out->rules = rn_realloc(out->rules, out->count, out->count + 1, sizeof *out->rules);
    out->rules[out->count++] = (struct rn_peft_rule){rn_text_copy(expression, length), value};
    return rn_ok();
}

/* {"expression": number}, each from least to most. */
static rn_result read_rules(const json_t *root, const char *file, const char *key, double least,
                            double most, struct rn_peft_rules *out, struct rn_error *err)
{
    json_t *object = json_object_get(root, key);
    const char *expression = NULL;
    json_t *value = NULL;

    RN_ENSURE(object == NULL || json_is_null(object) || json_is_object(object), err, RN_E_DATA,
              "%s: %s must be an object", file, key);
    json_object_foreach(object, expression, value)
    {
        const double number = json_number_value(value);
        RN_ENSURE(json_is_number(value) && number >= least && number <= most, err, RN_E_DATA,
                  "%s: %s: a value is no number between %g and %g", file, key, least, most);
        RN_TRY(append_rule(expression, number, file, key, out, err));
    }
    return rn_ok();
}

/* The alpha that keeps the scale at another rank. */
static double alpha_at(const struct rn_peft_config *config, double rank)
{
    const double ratio = rank / config->file_rank;

    return config->file_alpha * (config->use_rslora ? sqrt(ratio) : ratio);
}

rn_result rn_peft_rules_read(const json_t *root, const char *file, struct rn_peft_config *config,
                             struct rn_error *err)
{
    config->file_rank = config->rank;
    config->file_alpha = config->alpha;
    RN_TRY(read_rules(root, file, "rank_pattern", 1, RN_PEFT_RANK_MAX, &config->ranks, err));
    RN_TRY(read_rules(root, file, "alpha_pattern", 0, RN_PEFT_ALPHA_MAX, &config->alphas, err));
    for (size_t i = 0; i < config->ranks.count; i++) {
        const double rank = config->ranks.rules[i].value;
        RN_ENSURE(rank == floor(rank), err, RN_E_DATA, "%s: rank_pattern: a rank must be whole",
                  file);
        config->rank = rank > config->rank ? (uint32_t)rank : config->rank;
    }
    const bool ruled = config->ranks.count + config->alphas.count > 0;
    RN_ENSURE(!ruled || config->alpha > 0.0, err, RN_E_UNSUPPORTED,
              "%s: lora_alpha 0 beside rank_pattern or alpha_pattern is not supported", file);
    config->alpha =
        config->rank == config->file_rank ? config->alpha : alpha_at(config, config->rank);
    RN_ENSURE(config->alpha <= RN_PEFT_ALPHA_MAX, err, RN_E_DATA,
              "%s: lora_alpha at the largest rank of rank_pattern is above %g", file,
              RN_PEFT_ALPHA_MAX);
    return rn_ok();
}

rn_result rn_peft_module_rank(const struct rn_peft_config *config, const char *module,
                              uint32_t *out_rank, double *out_factor, struct rn_error *err)
{
    const struct rn_peft_rule *rank = NULL;
    const struct rn_peft_rule *alpha = NULL;

    RN_TRY(rn_peft_rule_find(&config->ranks, module, &rank, err));
    RN_TRY(rn_peft_rule_find(&config->alphas, module, &alpha, err));
    *out_rank = rank != NULL ? (uint32_t)rank->value : config->file_rank;
    *out_factor =
        alpha == NULL && *out_rank == config->file_rank
            ? 1.0
            : (alpha != NULL ? alpha->value : config->file_alpha) / alpha_at(config, *out_rank);
    return rn_ok();
}
