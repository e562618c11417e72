/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and meanings of the benchmark's settings.
 */
#include "services/bench/benchsetting.h"

#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/kit/options.h"

#include <string.h>

#define MODEL_SEED 1

static const struct rn_bench_shape shapes[] = {
    {"large", 24, 1024, 16, 4096, 2, 1, "0.3"},
    {"base", 12, 768, 12, 3072, 4, 2, "0.2"},
    {"small", 4, 256, 4, 1024, 8, 3, "0.05"},
};

enum part { ALL, UPPER, TOP2 };

static const struct row {
    const char *name;
    bool standard;
    bool glue;
    enum part part;
    enum rn_matrix active;
    bool head, dp;
    enum rn_bench_reference reference;
    const char *summary;
} rows[] = {
    {"all-128", true, false, ALL, RN_MATRIX_AB, false, false, RN_BENCH_NO_REFERENCE,
     "every layer adapted, texts of 128 tokens"},
    {"all-glue", true, true, ALL, RN_MATRIX_AB, false, false, RN_BENCH_NO_REFERENCE,
     "every layer adapted, lengths as in GLUE"},
    {"p2-glue", true, true, UPPER, RN_MATRIX_AB, false, false, RN_BENCH_NO_REFERENCE,
     "the upper three eighths adapted (15-23 of 24), GLUE lengths"},
    {"p2-128", true, false, UPPER, RN_MATRIX_AB, false, false, RN_BENCH_NO_REFERENCE,
     "the same, 128 tokens"},
    {"top2-glue", true, true, TOP2, RN_MATRIX_AB, false, false, RN_BENCH_NO_REFERENCE,
     "the two top layers adapted, GLUE lengths"},
    {"top2-128", true, false, TOP2, RN_MATRIX_AB, false, false, RN_BENCH_NO_REFERENCE,
     "the same, 128 tokens"},
    {"all-128-b", false, false, ALL, RN_MATRIX_B, false, false, RN_BENCH_NO_REFERENCE,
     "every layer, B alone trains"},
    {"all-128-a", false, false, ALL, RN_MATRIX_A, false, false, RN_BENCH_NO_REFERENCE,
     "every layer, A alone trains"},
    {"all-glue-b", false, true, ALL, RN_MATRIX_B, false, false, RN_BENCH_NO_REFERENCE,
     "every layer, B alone trains, GLUE lengths"},
    {"all-glue-a", false, true, ALL, RN_MATRIX_A, false, false, RN_BENCH_NO_REFERENCE,
     "every layer, A alone trains, GLUE lengths"},
    {"all-128-dp", false, false, ALL, RN_MATRIX_AB, false, true, RN_BENCH_PLAIN,
     "every layer, differential privacy; also what it costs over the plain step"},
    {"all-glue-dp", false, true, ALL, RN_MATRIX_AB, false, true, RN_BENCH_PLAIN,
     "the same, GLUE lengths"},
    {"all-128-dp-head", false, false, ALL, RN_MATRIX_AB, true, true, RN_BENCH_PLAIN,
     "the same cost where the head trains too, 128 tokens; Rondo alone"},
    {"all-glue-dp-head", false, true, ALL, RN_MATRIX_AB, true, true, RN_BENCH_PLAIN,
     "the same, GLUE lengths; Rondo alone"},
    {"lora-128", false, false, ALL, RN_MATRIX_AB, false, false, RN_BENCH_FROZEN,
     "what LoRA costs over a pass through frozen layers; Rondo alone"},
};
_Static_assert(RN_ARRAY_LENGTH(rows) * RN_ARRAY_LENGTH(shapes) <= RN_BENCH_SETTINGS_MAX,
               "every setting fits into one list");

const struct rn_bench_shape *rn_bench_shape_find(const char *name)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(shapes); i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    return NULL;
}

static struct rn_bench_setting setting_of(const struct rn_bench_shape *shape, const struct row *row)
{
    struct rn_bench_setting setting = {
        .shape = shape,
        .summary = row->summary,
        .standard = row->standard,
        .glue = row->glue,
        .first_layer = row->part == ALL     ? 0
                       : row->part == UPPER ? shape->layers * 15 / 24
                                            : shape->layers - 2,
        .later_epochs = row->part != ALL,
        .active = row->active,
        .head = row->head,
        .dp = row->dp,
        .reference = row->reference,
        .peer = row->reference != RN_BENCH_FROZEN && !row->head,
    };
    (void)rn_text_format(setting.name, sizeof(setting.name), "%s-%s", shape->name, row->name);
    return setting;
}

size_t rn_bench_settings_of(const struct rn_bench_shape *shape,
                            struct rn_bench_setting out[RN_BENCH_SETTINGS_MAX])
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        out[i] = setting_of(shape, &rows[i]);
    }
    return RN_ARRAY_LENGTH(rows);
}

static rn_result fail_unknown(const char *name, struct rn_error *err)
{
    struct rn_bench_setting all[RN_BENCH_SETTINGS_MAX];
    const char *names[RN_BENCH_SETTINGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(shapes); i++) {
        count += rn_bench_settings_of(&shapes[i], all + count);
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = all[i].name;
    }
    const char *near = rn_nearest_name(name, names, count);
    return rn_fail(err, RN_E_USAGE, "no setting is called \"%.60s\"%s%s%s; see --list", name,
                   near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
                   near == NULL ? "" : "\"?");
}

static rn_result find_setting(const char *name, const struct rn_bench_shape *shape,
                              struct rn_bench_setting *out, struct rn_error *err)
{
    for (size_t s = 0; s < RN_ARRAY_LENGTH(shapes); s++) {
        for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
            const struct rn_bench_setting setting = setting_of(&shapes[s], &rows[i]);
            if (strcmp(setting.name, name) == 0 ||
                (&shapes[s] == shape && strcmp(rows[i].name, name) == 0)) {
                *out = setting;
                return rn_ok();
            }
        }
    }
    return fail_unknown(name, err);
}

rn_result rn_bench_settings_parse(const char *names, const struct rn_bench_shape *shape,
                                  struct rn_bench_setting out[RN_BENCH_SETTINGS_MAX],
                                  size_t *out_count, struct rn_error *err)
{
    size_t count = 0;
    if (names == NULL) {
        for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
            if (rows[i].standard) {
                out[count++] = setting_of(shape, &rows[i]);
            }
        }
        *out_count = count;
        return rn_ok();
    }
    for (const char *at = names; *at != '\0';) {
        char name[128];
        const size_t length = strcspn(at, ",");
        RN_ENSURE(count < RN_BENCH_SETTINGS_MAX, err, RN_E_USAGE, "--setting names more than %d",
                  RN_BENCH_SETTINGS_MAX);
        (void)rn_text_format(name, sizeof(name), "%.*s", (int)length, at);
        RN_TRY(find_setting(name, shape, &out[count++], err));
        at += length + (at[length] == ',');
    }
    RN_ENSURE(count > 0, err, RN_E_USAGE, "--setting names none");
    *out_count = count;
    return rn_ok();
}

struct rn_random_model rn_bench_model(const struct rn_bench_shape *shape)
{
    return (struct rn_random_model){.layers = shape->layers,
                                    .hidden = shape->hidden,
                                    .heads = shape->heads,
                                    .intermediate = shape->intermediate,
                                    .seed = MODEL_SEED};
}

double rn_bench_token_operations(const struct rn_bench_setting *setting)
{
    const struct rn_random_model model = rn_bench_model(setting->shape);
    const double layers = setting->shape->layers;
    const double adapted = layers - setting->first_layer;
    return 2.0 * (double)rn_random_model_product_parameters(&model) * (layers + adapted) / layers;
}
