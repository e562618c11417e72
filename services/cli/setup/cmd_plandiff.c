/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo plan diff: the fields in which two plans differ.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/planreport.h"

static rn_result plan_load(const char *path, struct rn_plan *plan, struct rn_error *err)
{
    struct stat facts;
    char inside[RN_PATH_MAX];
    if (stat(path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        RN_TRY(rn_path_join(inside, path, "plan.yaml", err));
        path = inside;
    }
    return rn_setup_plan_read(path, plan, err);
}

static bool differs(const struct rn_field *field, const struct rn_plan *a, const struct rn_plan *b)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer one = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer two = {0};
    if (field->kind == RN_FIELD_SECTION) {
        return false;
    }
    rn_field_put(field, a, &one);
    rn_field_put(field, b, &two);
    return !rn_view_equal(rn_buffer_view(&one), rn_buffer_view(&two));
}

static void field_print(const struct rn_field *field, const struct rn_plan *a,
                        const struct rn_plan *b)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    rn_buffer_format(&line, "  %-31s ", field->path);
    rn_field_put(field, a, &line);
    rn_buffer_format(&line, " -> ");
    rn_field_put(field, b, &line);
    rn_buffer_format(&line, "%s%s   ", field->unit == NULL ? "" : " ",
                     field->unit == NULL ? "" : field->unit);
    rn_field_put_meaning(field, &line);
    printf("%s\n", rn_buffer_text(&line));
}

static void print_text(const char *const *paths, const struct rn_plan *a, const struct rn_plan *b)
{
    const struct rn_field_table *table = rn_plan_fields();
    size_t changed = 0;
    for (size_t i = 0; i < table->count; i++) {
        changed += differs(&table->fields[i], a, b);
    }
    if (memcmp(a->hash, b->hash, sizeof a->hash) == 0) {
        printf("The plans are the same.\n");
        return;
    }
    if (changed == 0) {
        printf("The plans ask for the same, in other bytes: signatures of one are none of the "
               "other.\n");
        return;
    }
    printf("%zu field%s from %s to %s:\n", changed, changed == 1 ? "" : "s", paths[0], paths[1]);
    for (size_t i = 0; i < table->count; i++) {
        if (differs(&table->fields[i], a, b)) {
            field_print(&table->fields[i], a, b);
        }
    }
}

static rn_result print_json(const struct rn_plan *a, const struct rn_plan *b, struct rn_error *err)
{
    const struct rn_field_table *table = rn_plan_fields();
    char hashes[2][65];
    json_t *fields = json_array();
    for (size_t i = 0; i < table->count; i++) {
        if (differs(&table->fields[i], a, b)) {
            (void)json_array_append_new(fields,
                                        json_pack("{s:s, s:o, s:o}", "field", table->fields[i].path,
                                                  "from", rn_plan_field_json(&table->fields[i], a),
                                                  "to", rn_plan_field_json(&table->fields[i], b)));
        }
    }
    rn_hex_encode(hashes[0], a->hash, sizeof a->hash);
    rn_hex_encode(hashes[1], b->hash, sizeof b->hash);
    return rn_json_print(
        json_pack("{s:s, s:s, s:o}", "from", hashes[0], "to", hashes[1], "fields", fields), err);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *a = rn_alloc(1, sizeof *a);
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *b = rn_alloc(1, sizeof *b);
    RN_TRY(plan_load(command->operands[0], a, err));
    RN_TRY(plan_load(command->operands[1], b, err));
    if (command->json) {
        return print_json(a, b, err);
    }
    print_text(command->operands, a, b);
    return rn_ok();
}

const struct rn_command_def rn_cmd_plan_diff = {
    .name = "plan diff",
    .summary = "show in which fields two plans differ",
    .operands = {{"FILE|DIR", RN_OPTION_FILE, 2, 2}},
    .exits = RN_EXITS(65, 66, 78),
    .detail = "Exit code 0 whether they differ or not; \"fields\" is empty in JSON where they ask "
              "for the same.",
    .examples = "  rondo plan diff consortium longer.yaml\n"
                "  rondo plan diff north/plan.yaml consortium/plan.yaml --format json",
    .run = run,
};
