/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/simulate/studyfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/yamlfile.h"
#include "services/cli/setup/setuptext.h"

#define IN(member) (((struct rn_study *)NULL)->member)
#define AT(member) .offset = offsetof(struct rn_study, member), .size = sizeof(IN(member))
#define LIST(member)                                                            \
    .offset = offsetof(struct rn_study, member), .size = sizeof(IN(member)[0]), \
    .count_offset = offsetof(struct rn_study, member##_count), .least = 1,      \
    .most = RN_STUDY_LIST_MAX
#define ONE_OF(table) .words = (table), .word_count = RN_ARRAY_LENGTH(table)

static const struct rn_word optimizers[] = {{"adamw", RN_PLAN_ADAMW}, {"sgd", RN_PLAN_SGD}};

static const struct rn_field fields[] = {
    {"version", RN_FIELD_U32, AT(version), .least = 1, .most = 1},
    {"name", RN_FIELD_NAME, AT(name)},
    {"meaning", RN_FIELD_TEXT, AT(meaning)},
    {"model", RN_FIELD_TEXT, AT(model)},
    {"data.train", RN_FIELD_TEXT, AT(data.train)},
    {"data.test", RN_FIELD_TEXT, AT(data.test)},
    {"data.text", RN_FIELD_TEXT, AT(data.text)},
    {"data.label", RN_FIELD_TEXT, AT(data.label)},
    {"data.labels", RN_FIELD_TEXTS, .offset = offsetof(struct rn_study, data.labels),
     .size = sizeof(IN(data.labels)[0]),
     .count_offset = offsetof(struct rn_study, data.labels_count), .least = 2,
     .most = RN_PLAN_LABELS_MAX},
    {"data.validation", RN_FIELD_U32, AT(data.validation), .least = 2, .most = 100},
    {"training.rounds", RN_FIELD_U32, AT(training.rounds), .optional = true, .least = 1,
     .most = RN_PLAN_ROUNDS_MAX},
    {"training.client_rounds", RN_FIELD_U32, AT(training.client_rounds), .optional = true,
     .least = 1, .most = RN_PLAN_ROUNDS_MAX},
    {"training.steps", RN_FIELD_U32, AT(training.steps), .least = 1, .most = 1000000},
    {"training.batch", RN_FIELD_U32, AT(training.batch), .least = 1, .most = 4096},
    {"training.max_length", RN_FIELD_U32, AT(training.max_length), .least = 8, .most = 32768},
    {"training.evaluate_every", RN_FIELD_U32, AT(training.evaluate_every), .least = 1,
     .most = RN_PLAN_ROUNDS_MAX},
    {"training.alpha", RN_FIELD_REAL, AT(training.alpha), .least = 0x1p-10, .most = 0x1p14},
    {"training.clip", RN_FIELD_REAL, AT(training.clip), .most = 1000000},
    {"training.scale", RN_FIELD_REAL, AT(training.scale), .least = 0x1p-30, .most = 0x1p20},
    {"training.head", RN_FIELD_WORD, AT(training.head), ONE_OF(rn_plan_head_words)},
    {"training.optimizer", RN_FIELD_WORD, AT(training.optimizer), ONE_OF(optimizers)},
    {"training.targets", RN_FIELD_TEXTS, LIST(training.targets)},
    {"grid.methods", RN_FIELD_WORDS, AT(grid.methods), ONE_OF(rn_plan_method_words)},
    {"grid.ranks", RN_FIELD_NUMBERS, LIST(grid.ranks)},
    {"grid.layers", RN_FIELD_TEXTS, LIST(grid.layers)},
    {"grid.clients", RN_FIELD_NUMBERS, LIST(grid.clients)},
    {"grid.partitions", RN_FIELD_TEXTS, LIST(grid.partitions)},
    {"grid.rates", RN_FIELD_TEXTS, LIST(grid.rates)},
    {"grid.seeds", RN_FIELD_NUMBERS, LIST(grid.seeds)},
};
static const struct rn_field_table table = {
    .fields = fields, .count = RN_ARRAY_LENGTH(fields), .bytes_max = RN_STUDY_BYTES_MAX};

/* ---- Reading */

static rn_result resolve(const char *study, char path[static RN_STUDY_PATH_MAX],
                         struct rn_error *err)
{
    const char *slash = strrchr(study, '/');
    char joined[RN_PATH_MAX];
    if (path[0] == '/' || slash == NULL) {
        return rn_ok();
    }
    RN_ENSURE(
        rn_text_format(joined, sizeof(joined), "%.*s/%s", (int)(slash - study), study, path) &&
            rn_text_format(path, RN_STUDY_PATH_MAX, "%s", joined),
        err, RN_E_CONFIG, "%s: the path of %s is too long", study, path);
    return rn_ok();
}

static rn_result check(const struct rn_study *study, const struct rn_yaml_index *index,
                       struct rn_error *err)
{
    const uint64_t methods = (uint64_t)__builtin_popcount(study->grid.methods);
    const uint64_t cells = methods * study->grid.ranks_count * study->grid.layers_count *
                           study->grid.clients_count * study->grid.partitions_count;
    if ((study->training.rounds == 0) == (study->training.client_rounds == 0)) {
        return rn_yaml_fail(index, "training.steps", err,
                            "either rounds or client_rounds says how long it takes");
    }
    if (cells > RN_STUDY_CELLS_MAX) {
        return rn_yaml_fail(index, "grid.methods", err, "the grid has %llu cells, the limit is %d",
                            (unsigned long long)cells, RN_STUDY_CELLS_MAX);
    }
    for (uint32_t i = 0; i < study->grid.rates_count; i++) {
        char *end = NULL;
        const double rate = strtod(study->grid.rates[i], &end);
        if (*end != '\0' || !(rate > 0 && rate <= 100)) {
            return rn_yaml_fail(index, "grid.rates", err, "a rate is a number up to 100");
        }
    }
    for (uint32_t i = 0; i < study->grid.clients_count; i++) {
        if (study->grid.clients[i] < 1 || study->grid.clients[i] > RN_PLAN_MEMBERS_MAX) {
            return rn_yaml_fail(index, "grid.clients", err, "from 1 to %d", RN_PLAN_MEMBERS_MAX);
        }
    }
    return rn_ok();
}

rn_result rn_study_read(const char *path, struct rn_study *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_yaml_index_clear) struct rn_yaml_index index = {0};
    RN_TRY(rn_file_read(path, RN_STUDY_BYTES_MAX, &text, err));
    RN_TRY(rn_yaml_load(rn_buffer_view(&text), path, &table, out, sizeof(*out), &index, err));
    RN_TRY(check(out, &index, err));
    RN_TRY(resolve(path, out->model, err));
    RN_TRY(resolve(path, out->data.train, err));
    return resolve(path, out->data.test, err);
}

void rn_study_quick(struct rn_study *study)
{
    uint32_t *clients = study->grid.clients;
    const uint32_t last = study->grid.clients_count - 1;
    study->grid.seeds_count = study->grid.seeds_count < 3 ? study->grid.seeds_count : 3;
    study->grid.ranks_count = study->grid.layers_count = study->grid.partitions_count = 1;
    if (last > 0) { /* they stand in ascending order */
        clients[1] = clients[last];
        study->grid.clients_count = 2;
    }
}

/* ---- Cells */

static void name_cell(const struct rn_study *study, struct rn_study_cell *cell)
{
    const uint32_t rounds = study->training.client_rounds / cell->clients;
    cell->rounds = study->training.rounds > 0 ? study->training.rounds : rounds > 0 ? rounds : 1;
    (void)rn_text_format(cell->label, sizeof(cell->label), "%s, rank %u, layers %.24s, %u x %.30s",
                         rn_plan_method_name(cell->method), (unsigned)cell->rank, cell->layers,
                         (unsigned)cell->clients, cell->partition);
}

uint32_t rn_study_cells(const struct rn_study *study, struct rn_study_cell *out)
{
    const uint32_t sizes[] = {study->grid.partitions_count, study->grid.layers_count,
                              study->grid.ranks_count, study->grid.clients_count, 3};
    uint32_t count = 0;
    uint32_t at[5] = {0};
    for (;;) {
        const enum rn_plan_method method = (enum rn_plan_method)at[4];
        if ((study->grid.methods >> method & 1u) != 0) {
            struct rn_study_cell *cell = &out[count++];
            *cell = (struct rn_study_cell){.method = method,
                                           .rank = study->grid.ranks[at[2]],
                                           .clients = study->grid.clients[at[3]],
                                           .layers = study->grid.layers[at[1]],
                                           .partition = study->grid.partitions[at[0]]};
            name_cell(study, cell);
        }
        size_t place = 5; /* the method turns fastest */
        while (place > 0 && ++at[place - 1] == sizes[place - 1]) {
            at[--place] = 0;
        }
        if (place == 0) {
            return count;
        }
    }
}

/* ---- Plans */

static rn_result take_layers(const char *text, struct rn_plan *plan, struct rn_error *err)
{
    plan->lora.layers_count = 0;
    for (const char *at = strcmp(text, "all") == 0 ? NULL : text; at != NULL;) {
        char *end = NULL;
        const unsigned long layer = strtoul(at, &end, 10);
        RN_ENSURE(end != at && (*end == ',' || *end == '\0') && layer < RN_PLAN_LAYERS_MAX &&
                      plan->lora.layers_count < RN_PLAN_LAYERS_MAX,
                  err, RN_E_CONFIG, "layers are \"all\" or numbers as \"4,5\", not \"%s\"", text);
        plan->lora.layers[plan->lora.layers_count++] = (uint32_t)layer;
        at = *end == ',' ? end + 1 : NULL;
    }
    return rn_ok();
}

static void take_training(const struct rn_study *study, double rate, struct rn_plan *plan)
{
    plan->model.max_length = study->training.max_length;
    plan->lora.alpha = study->training.alpha;
    plan->lora.head = (enum rn_plan_head)study->training.head;
    plan->lora.targets_count = study->training.targets_count;
    memcpy(plan->lora.targets, study->training.targets, sizeof(plan->lora.targets));
    plan->training.optimizer = (enum rn_plan_optimizer)study->training.optimizer;
    plan->training.steps = study->training.steps;
    plan->training.batch = study->training.batch;
    plan->training.clip = study->training.clip;
    plan->training.lr_a = plan->training.lr_b = plan->training.lr_head = rate;
    plan->secagg.scale_a = plan->secagg.scale_b = plan->secagg.scale_head = study->training.scale;
}

rn_result rn_study_plan(const struct rn_study *study, const struct rn_study_cell *cell, double rate,
                        uint32_t seed, const uint8_t model_hash[static 32],
                        struct rn_buffer *out_text, struct rn_plan *out_plan, struct rn_error *err)
{
    rn_plan_defaults(out_plan);
    memcpy(out_plan->federation, "study", sizeof("study"));
    memcpy(out_plan->name, study->name, sizeof(out_plan->name));
    out_plan->seed = seed;
    out_plan->rounds = cell->rounds;
    out_plan->method = cell->method;
    out_plan->metrics = RN_METRICS_SUMMED;
    rn_hex_encode(out_plan->model.hash, model_hash, 32);
    memset(out_plan->roster.coordinator, '0', RN_PLAN_HASH_TEXT);
    out_plan->task.labels_count = study->data.labels_count;
    memcpy(out_plan->task.labels, study->data.labels, sizeof(out_plan->task.labels));
    out_plan->lora.rank = cell->rank;
    RN_TRY(take_layers(cell->layers, out_plan, err));
    take_training(study, rate, out_plan);
    rn_setup_plan_text(out_plan, out_text);
    return rn_plan_parse(rn_buffer_view(out_text), "the study's plan", out_plan, err);
}
