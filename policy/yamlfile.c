/* SPDX-License-Identifier: Apache-2.0
 *
 * From the values that the scan noted to a struct, by the table: unknown keys, kinds, values,
 * missing keys, in this order.
 */
#include "policy/yamlfile.h"

#include <string.h>

#include "base/guard.h"

struct load {
    const struct rn_yaml_index *index;
    const struct rn_field_table *table;
    char *data;
    const struct rn_field *list; /* whose entries come now, or NULL */
    char *row;                   /* open row of a list of mappings, or NULL */
    uint32_t seen;               /* bit per column of the open row */
    struct rn_error *err;
};

/* The same for one value of the file, which may be a list's entry on a line of its own. */
static rn_result value_place(const struct load *load, const struct rn_yaml_field *value,
                             rn_result result)
{
    return rn_is_ok(result) ? result
                            : rn_fail_context(load->err, result, "%s:%u: %s", load->index->source,
                                              value->line, value->path);
}

static rn_result value_fail(const struct load *load, const struct rn_yaml_field *value,
                            const char *what)
{
    return value_place(load, value, rn_fail(load->err, RN_E_CONFIG, "%s", what));
}

static bool is_below(const char *path, const char *section)
{
    const size_t length = strlen(section);
    return strncmp(path, section, length) == 0 && path[length] == '.';
}

static bool is_section(const struct rn_field_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++) {
        if (is_below(table->fields[i].path, path)) {
            return true;
        }
    }
    return false;
}

static rn_result unknown_fail(const struct load *load, const struct rn_yaml_field *value)
{
    return rn_fail(load->err, RN_E_CONFIG, "%s:%u: unknown key '%s'", load->index->source,
                   value->line, value->path);
}

/* ---- Rows of a list of mappings. */

static rn_result row_close(struct load *load, const struct rn_yaml_field *value)
{
    const struct rn_field_table *columns = load->row == NULL ? NULL : load->list->columns;
    load->row = NULL;
    for (size_t i = 0; columns != NULL && i < columns->count; i++) {
        if ((load->seen & (1u << i)) == 0 && !columns->fields[i].optional) {
            return value_place(load, value,
                               rn_fail(load->err, RN_E_CONFIG, "the key '%s' is missing in a row",
                                       columns->fields[i].path));
        }
    }
    return rn_ok();
}

static rn_result row_open(struct load *load, const struct rn_yaml_field *value)
{
    const struct rn_field *list = load->list;
    uint32_t count;
    RN_TRY(row_close(load, value));
    memcpy(&count, load->data + list->count_offset, sizeof count);
    if (count >= list->most) {
        return value_place(
            load, value,
            rn_fail(load->err, RN_E_CONFIG, "at most %.0f entries are allowed", list->most));
    }
    load->row = load->data + list->offset + count * list->size;
    load->seen = 0;
    count++;
    memcpy(load->data + list->count_offset, &count, sizeof count);
    return rn_ok();
}

static rn_result row_value(struct load *load, const struct rn_yaml_field *value)
{
    const struct rn_field_table *columns = load->list->columns;
    const struct rn_field *column =
        rn_field_find(columns, value->path + strlen(load->list->path) + 1);
    if (column == NULL || value->kind != RN_YAML_SCALAR || load->row == NULL) {
        return unknown_fail(load, value);
    }
    const uint32_t bit = 1u << (column - columns->fields);
    if ((load->seen & bit) != 0) {
        return value_fail(load, value, "stands there twice");
    }
    load->seen |= bit;
    return value_place(load, value,
                       rn_field_set(column, load->row, value->value, value->quoted, load->err));
}

/* ---- Values. */

static rn_result list_entry(struct load *load, const struct rn_yaml_field *value)
{
    const bool rows = load->list->kind == RN_FIELD_ROWS;
    if (value->kind != (rows ? RN_YAML_MAPPING : RN_YAML_SCALAR)) {
        return value_fail(load, value,
                          rows ? "expected a list of mappings" : "expected a list of plain values");
    }
    if (rows) {
        return row_open(load, value);
    }
    return value_place(
        load, value, rn_field_set(load->list, load->data, value->value, value->quoted, load->err));
}

static rn_result field_value(struct load *load, const struct rn_field *field,
                             const struct rn_yaml_field *value)
{
    if (rn_field_is_list(field)) {
        load->list = field;
        return value->kind == RN_YAML_SEQUENCE
                   ? rn_ok()
                   : value_fail(load, value, "expected a list, such as [a, b]");
    }
    if (value->kind != RN_YAML_SCALAR) {
        return value_fail(load, value, "expected one plain value");
    }
    return value_place(load, value,
                       rn_field_set(field, load->data, value->value, value->quoted, load->err));
}

static rn_result value_take(struct load *load, const struct rn_yaml_field *value)
{
    if (load->list != NULL && strcmp(value->path, load->list->path) == 0) {
        return list_entry(load, value);
    }
    if (load->list != NULL && load->list->kind == RN_FIELD_ROWS &&
        is_below(value->path, load->list->path)) {
        return row_value(load, value);
    }
    RN_TRY(row_close(load, value));
    load->list = NULL;
    const struct rn_field *field = rn_field_find(load->table, value->path);
    if (field != NULL && field->kind != RN_FIELD_SECTION) {
        return field_value(load, field, value);
    }
    if (!is_section(load->table, value->path)) {
        return unknown_fail(load, value);
    }
    return value->kind == RN_YAML_MAPPING
               ? rn_ok()
               : value_fail(load, value, "expected the section's keys below it, indented");
}

/* ---- What is not there. */

/* The outermost section of the field that the file lacks, or the field itself. */
static void missing_name(const struct rn_yaml_index *index, const char *path,
                         char out[static RN_YAML_PATH_MAX])
{
    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        (void)rn_text_format(out, RN_YAML_PATH_MAX, "%.*s", (int)(dot - path), path);
        if (!rn_yaml_has(index, out)) {
            return;
        }
    }
    (void)rn_text_format(out, RN_YAML_PATH_MAX, "%s", path);
}

static bool may_be_missing(const struct load *load, const struct rn_field *field)
{
    for (size_t i = 0; i < load->table->count; i++) {
        const struct rn_field *section = &load->table->fields[i];
        if (section->kind == RN_FIELD_SECTION && is_below(field->path, section->path) &&
            !rn_yaml_has(load->index, section->path)) {
            return true;
        }
    }
    return field->optional || field->kind == RN_FIELD_SECTION;
}

static rn_result field_finish(struct load *load, const struct rn_field *field)
{
    if (rn_yaml_has(load->index, field->path)) {
        const rn_result enough = rn_field_check_count(field, load->data, load->err);
        return rn_is_ok(enough) ? enough
                                : rn_yaml_place(load->index, field->path, enough, load->err);
    }
    if (!may_be_missing(load, field)) {
        char name[RN_YAML_PATH_MAX];
        missing_name(load->index, field->path, name);
        return rn_fail(load->err, RN_E_CONFIG, "%s: the key '%s' is missing", load->index->source,
                       name);
    }
    return field->absent == NULL ? rn_ok()
                                 : rn_field_set_text(field, load->data, field->absent, load->err);
}

static rn_result load_run(struct load *load)
{
    const struct rn_yaml_index *index = load->index;
    for (size_t i = 0; i < index->count; i++) {
        RN_TRY(value_take(load, &index->fields[i]));
    }
    RN_TRY(row_close(load, &index->fields[index->count - 1]));
    for (size_t i = 0; i < load->table->count; i++) {
        RN_TRY(field_finish(load, &load->table->fields[i]));
    }
    return rn_ok();
}

rn_result rn_yaml_load(struct rn_view text, const char *source, const struct rn_field_table *table,
                       void *out_data, size_t size, struct rn_yaml_index *out_index,
                       struct rn_error *err)
{
    memset(out_data, 0, size);
    *out_index = (struct rn_yaml_index){0};
    RN_BUG_IF(table->bytes_max == 0 || table->bytes_max > RN_YAML_BYTES_MAX);
    RN_ENSURE(text.length <= table->bytes_max, err, RN_E_CONFIG, "%s: larger than %zu bytes",
              source, table->bytes_max);
    RN_TRY(rn_yaml_scan(text, source, out_index, err));
    struct load load = {.index = out_index, .table = table, .data = out_data, .err = err};
    return load_run(&load);
}
