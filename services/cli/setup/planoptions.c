/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/planoptions.h"

#include <inttypes.h>
#include <string.h>

#include "base/guard.h"

enum source { COUNT, NUMBER, TEXT, LIST, FLAG };

struct origin {
    const char *path;
    enum source source;
    size_t offset;
};
#define FROM(path, source, member)                              \
    {                                                           \
        path, source, offsetof(struct rn_plan_template, member) \
    }

static const struct origin origins[] = {
    FROM("federation", TEXT, federation),
    FROM("name", TEXT, name),
    FROM("seed", COUNT, seed),
    FROM("rounds", COUNT, rounds),
    FROM("method", TEXT, method),
    FROM("weights", TEXT, weights),
    FROM("max_examples", COUNT, max_examples),
    FROM("metrics", TEXT, metrics),
    FROM("model.hash", TEXT, model_hash),
    FROM("model.max_length", COUNT, max_length),
    FROM("task.kind", TEXT, task),
    FROM("task.labels", LIST, labels),
    FROM("task.metric", TEXT, metric),
    FROM("lora.rank", COUNT, rank),
    FROM("lora.alpha", NUMBER, alpha),
    FROM("lora.rslora", FLAG, rslora),
    FROM("lora.init", TEXT, init),
    FROM("lora.targets", LIST, targets),
    FROM("lora.head", TEXT, head),
    FROM("training.optimizer", TEXT, optimizer),
    FROM("training.lr_a", NUMBER, lr_a),
    FROM("training.lr_b", NUMBER, lr_b),
    FROM("training.lr_head", NUMBER, lr_head),
    FROM("training.weight_decay", NUMBER, weight_decay),
    FROM("training.schedule", TEXT, schedule),
    FROM("training.warmup_steps", COUNT, warmup_steps),
    FROM("training.clip", NUMBER, clip),
    FROM("training.batch", COUNT, batch),
    FROM("training.steps", COUNT, steps),
    FROM("secagg.colluding", COUNT, colluding),
    FROM("secagg.losses", COUNT, losses),
    FROM("secagg.honest", COUNT, honest),
    FROM("secagg.bits", COUNT, bits),
    FROM("secagg.scale_a", NUMBER, scale),
    FROM("secagg.scale_b", NUMBER, scale),
    FROM("secagg.scale_head", NUMBER, scale),
    FROM("secagg.train_soft_s", COUNT, train_soft),
    FROM("secagg.train_hard_s", COUNT, train_hard),
    FROM("secagg.stage_soft_s", COUNT, stage_soft),
    FROM("secagg.stage_hard_s", COUNT, stage_hard),
    FROM("secagg.upload_rate", COUNT, upload_rate),
    FROM("secagg.attempts", COUNT, attempts),
    FROM("roster.coordinator", TEXT, coordinator),
};

/* "a,b": each entry as it stands, whatever it looks like. */
static rn_result list_set(const struct rn_field *field, const char *list, struct rn_plan *plan,
                          struct rn_error *err)
{
    rn_field_reset(field, plan);
    for (const char *at = list; *at != '\0';) {
        char entry[128];
        const size_t length = strcspn(at, ",");
        RN_ENSURE(rn_text_format(entry, sizeof entry, "%.*s", (int)length, at), err, RN_E_CONFIG,
                  "an entry is too long");
        RN_TRY(rn_field_set(field, plan, entry, true, err));
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return rn_ok();
}

static rn_result origin_set(const struct origin *origin, const void *options, struct rn_plan *plan,
                            struct rn_error *err)
{
    char text[64];
    const struct rn_field *field = rn_field_find(rn_plan_fields(), origin->path);
    const void *at = (const char *)options + origin->offset;
    const char *given =
        origin->source == TEXT || origin->source == LIST ? *(const char *const *)at : text;
    if (given == NULL) {
        return rn_ok();
    }
    switch (origin->source) {
    case LIST:
        return list_set(field, given, plan, err);
    case COUNT:
        (void)rn_text_format(text, sizeof text, "%" PRIu64, *(const uint64_t *)at);
        break;
    case NUMBER:
        (void)rn_text_format(text, sizeof text, "%.17g", *(const double *)at);
        break;
    case FLAG:
        (void)rn_text_format(text, sizeof text, "%s", *(const bool *)at ? "true" : "false");
        break;
    case TEXT:
        break;
    }
    return rn_field_set(field, plan, given, false, err);
}

rn_result rn_plan_from_options(const struct rn_plan_template *options, struct rn_plan *out_plan,
                               struct rn_error *err)
{
    rn_plan_defaults(out_plan);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(origins); i++) {
        const rn_result set = origin_set(&origins[i], options, out_plan, err);
        if (!rn_is_ok(set)) {
            return rn_fail_context(err, set, "%s", origins[i].path);
        }
    }
    return rn_ok();
}
