/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/simulate/simclients.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS_DEFAULT 3

#define PARTITIONS "uniform, dirichlet:ALPHA, quantity:ALPHA, labels:K, column:NAME or files"

void rn_sim_clients_clear(struct rn_sim_clients *clients)
{
    rn_free(clients->specs);
    rn_free(clients->paths);
    rn_free(clients->records);
    *clients = (struct rn_sim_clients){0};
}

/* ---- The word behind --partition */

static bool parse_number(const char *text, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    return text[0] != '\0' && *end == '\0';
}

static rn_result parse(const char *text, struct rn_partition_spec *out, struct rn_error *err)
{
    static const struct {
        const char *name;
        enum rn_partition_kind kind;
    } kinds[] = {{"uniform", RN_PARTITION_UNIFORM},
                 {"dirichlet", RN_PARTITION_DIRICHLET},
                 {"quantity", RN_PARTITION_QUANTITY},
                 {"labels", RN_PARTITION_LABELS},
                 {"column", RN_PARTITION_COLUMN}};
    const size_t length = strcspn(text, ":");
    const char *value = text[length] == ':' ? text + length + 1 : "";
    size_t i = 0;
    while (i < RN_ARRAY_LENGTH(kinds) &&
           (strlen(kinds[i].name) != length || strncmp(kinds[i].name, text, length) != 0)) {
        i++;
    }
    RN_ENSURE(i < RN_ARRAY_LENGTH(kinds), err, RN_E_USAGE, "--partition takes " PARTITIONS);
    double number = 0;
    const bool given = parse_number(value, &number);
    out->kind = kinds[i].kind;
    out->column = value;
    out->alpha = number;
    out->classes = number >= 1 && number <= RN_TRAINER_LABELS_MAX ? (size_t)number : 0;
    const bool right = out->kind == RN_PARTITION_UNIFORM  ? text[length] == '\0'
                       : out->kind == RN_PARTITION_COLUMN ? value[0] != '\0'
                       : out->kind == RN_PARTITION_LABELS ? given && number == (double)out->classes
                                                          : given;
    RN_ENSURE(right, err, RN_E_USAGE, "--partition %s: it takes " PARTITIONS, text);
    return rn_ok();
}

/* ---- Files */

static rn_result take_memory(struct rn_sim_clients *clients, size_t count, struct rn_error *err)
{
    RN_ENSURE(count >= 1 && count <= RN_PLAN_MEMBERS_MAX, err, RN_E_USAGE,
              "clients must be 1 to %d", RN_PLAN_MEMBERS_MAX);
    clients->count = count;
    clients->specs = rn_alloc(count, sizeof(*clients->specs));
    clients->paths = rn_alloc(count, sizeof(*clients->paths));
    clients->records = rn_alloc(count, sizeof(*clients->records));
    return rn_ok();
}

static rn_result take_files(struct rn_sim_data_settings *settings, const char *const *files,
                            size_t file_count, struct rn_sim_clients *clients, struct rn_error *err)
{
    RN_ENSURE(file_count > 0 && settings->columns.path == NULL, err, RN_E_USAGE,
              "--partition files: name the clients' files behind the plan, and no --data");
    RN_ENSURE(settings->clients == 0 || settings->clients == file_count, err, RN_E_USAGE,
              "--clients %llu, but there are %zu files", (unsigned long long)settings->clients,
              file_count);
    RN_TRY(take_memory(clients, file_count, err));
    for (size_t i = 0; i < file_count; i++) {
        RN_TRY(rn_data_columns_spec(&settings->columns, &clients->specs[i], err));
        RN_ENSURE(rn_text_format(clients->paths[i], RN_PATH_MAX, "%s", files[i]), err, RN_E_USAGE,
                  "path too long");
        clients->specs[i].path = clients->paths[i];
    }
    return rn_ok();
}

/* Columns of the parts: datapartition writes them so. */
static rn_result name_parts(const char *out, bool pair, struct rn_sim_clients *clients,
                            struct rn_error *err)
{
    char directory[RN_PATH_MAX];
    RN_TRY(rn_path_join(directory, out, "parts", err));
    RN_TRY(rn_directory_make(directory, 0700, err));
    for (size_t i = 0; i < clients->count; i++) {
        char name[32];
        (void)rn_text_format(name, sizeof(name), "client-%04zu.jsonl", i + 1);
        RN_TRY(rn_path_join(clients->paths[i], directory, name, err));
        clients->specs[i] = (struct rn_data_spec){.path = clients->paths[i],
                                                  .text_column = "text",
                                                  .pair_column = pair ? "pair" : NULL,
                                                  .label_column = "label"};
    }
    return rn_ok();
}

static rn_result count_clients(const struct rn_sim_data_settings *settings,
                               const struct rn_partition_spec *spec, size_t *out,
                               struct rn_error *err)
{
    *out = settings->clients == 0 ? CLIENTS_DEFAULT : (size_t)settings->clients;
    return spec->kind == RN_PARTITION_COLUMN && settings->clients == 0
               ? rn_data_partition_values(&spec->data, spec->column, out, err)
               : rn_ok();
}

static rn_result divide(struct rn_sim_data_settings *settings, const struct rn_plan *plan,
                        const char *out, struct rn_sim_clients *clients, struct rn_error *err)
{
    const char *labels[RN_PLAN_LABELS_MAX];
    struct rn_partition_spec spec = {
        .labels = labels, .label_count = plan->task.labels_count, .seed = settings->seed};
    RN_TRY(parse(settings->partition, &spec, err));
    RN_ENSURE(settings->columns.path != NULL, err, RN_E_USAGE,
              "--data is missing: the file that --partition %s divides", settings->partition);
    RN_TRY(rn_data_columns_spec(&settings->columns, &spec.data, err));
    for (uint32_t i = 0; i < plan->task.labels_count; i++) {
        labels[i] = plan->task.labels[i];
    }
    RN_TRY(count_clients(settings, &spec, &spec.parts, err));
    RN_TRY(take_memory(clients, spec.parts, err));
    RN_TRY(name_parts(out, spec.data.pair_column != NULL, clients, err));
    RN_CLEANUP(rn_free_cleanup)
    const char **paths = rn_alloc(spec.parts, sizeof(*paths));
    for (size_t i = 0; i < spec.parts; i++) {
        paths[i] = clients->paths[i];
    }
    spec.out_paths = paths;
    return rn_data_partition(&spec, clients->records, err);
}

rn_result rn_sim_clients_make(struct rn_sim_data_settings *settings, const struct rn_plan *plan,
                              const char *const *files, size_t file_count, const char *out,
                              struct rn_sim_clients *clients, struct rn_error *err)
{
    if (strcmp(settings->partition, "files") == 0) {
        return take_files(settings, files, file_count, clients, err);
    }
    RN_ENSURE(file_count == 0, err, RN_E_USAGE,
              "client files behind the plan need --partition "
              "files");
    return divide(settings, plan, out, clients, err);
}
