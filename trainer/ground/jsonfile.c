/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed access to JSON files.
 */
#include "trainer/ground/jsonfile.h"

#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/filekind.h"
#include "trainer/ground/jsonmend.h"

#include <string.h>

void rn_json_cleanup(json_t **root)
{
    json_decref(*root);
    *root = NULL;
}

/* The library's own sentence may quote the file; only the reason's kind and the place are passed
 * on. */
static rn_result not_json(struct rn_view text, const char *name, const json_error_t *where,
                          const char *reason, struct rn_error *err)
{
    const char *kind = rn_file_kind(text);

    RN_ENSURE(kind == NULL, err, RN_E_DATA, "%s: this is %s", name, kind);
    return rn_fail(err, RN_E_DATA, "%s:%d: not valid JSON: %s (column %d)", name,
                   where->line < 1 ? 1 : where->line, reason, where->column);
}

static rn_result take_object(json_t *root, const char *name, json_t **out, struct rn_error *err)
{
    if (!json_is_object(root)) {
        json_decref(root);
        return rn_fail(err, RN_E_DATA, "%s: the file must hold a JSON object", name);
    }
    *out = root;
    return rn_ok();
}

rn_result rn_json_parse(struct rn_view text, const char *name, json_t **out, struct rn_error *err)
{
    const bool mark = text.length >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
    const struct rn_view body = mark ? rn_view_of(text.data + 3, text.length - 3) : text;
    const char *reason = NULL;
    json_error_t where;

    json_t *root = rn_json_load(body, NULL, &where, &reason);
    return root == NULL ? not_json(text, name, &where, reason, err)
                        : take_object(root, name, out, err);
}

rn_result rn_json_parse_strict(struct rn_view text, const char *name, json_t **out,
                               struct rn_error *err)
{
    json_error_t where;

    json_t *root = json_loadb((const char *)text.data, text.length, JSON_REJECT_DUPLICATES, &where);
    return root == NULL
               ? not_json(text, name, &where, "its syntax is broken, or a key stands twice", err)
               : take_object(root, name, out, err);
}

rn_result rn_json_read(const char *path, size_t max, json_t **out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};

    RN_TRY(rn_file_read(path, max, &bytes, err));
    return rn_json_parse(rn_buffer_view(&bytes), path, out, err);
}

static const json_t *present(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value == NULL || json_is_null(value) ? NULL : value;
}

rn_result rn_json_get_count(const json_t *object, const char *name, const char *key, uint64_t least,
                            uint64_t most, uint32_t *out, struct rn_error *err)
{
    const json_t *value = present(object, key);

    if (value == NULL) {
        return rn_ok();
    }
    const json_int_t number = json_integer_value(value);
    RN_ENSURE(json_is_integer(value) && number >= 0 && (uint64_t)number >= least &&
                  (uint64_t)number <= most,
              err, RN_E_DATA, "%s: %s must be a whole number from %llu to %llu", name, key,
              (unsigned long long)least, (unsigned long long)most);
    *out = (uint32_t)number;
    return rn_ok();
}

rn_result rn_json_get_number(const json_t *object, const char *name, const char *key, double least,
                             double most, double *out, struct rn_error *err)
{
    const json_t *value = present(object, key);

    if (value == NULL) {
        return rn_ok();
    }
    const double number = json_number_value(value);
    RN_ENSURE(json_is_number(value) && number >= least && number <= most, err, RN_E_DATA,
              "%s: %s must be a number from %g to %g", name, key, least, most);
    *out = number;
    return rn_ok();
}

rn_result rn_json_get_flag(const json_t *object, const char *name, const char *key, bool *out,
                           struct rn_error *err)
{
    const json_t *value = present(object, key);

    if (value == NULL) {
        return rn_ok();
    }
    RN_ENSURE(json_is_boolean(value), err, RN_E_DATA, "%s: %s must be true or false", name, key);
    *out = json_is_true(value);
    return rn_ok();
}

rn_result rn_json_get_text(const json_t *object, const char *name, const char *key,
                           const char **out, struct rn_error *err)
{
    const json_t *value = present(object, key);

    if (value == NULL) {
        return rn_ok();
    }
    RN_ENSURE(json_is_string(value) &&
                  strlen(json_string_value(value)) == json_string_length(value),
              err, RN_E_DATA, "%s: %s must be a text", name, key);
    *out = json_string_value(value);
    return rn_ok();
}

bool rn_json_is_off(const json_t *object, const char *key)
{
    const json_t *value = present(object, key);

    return value == NULL || json_is_false(value) ||
           (json_is_number(value) && json_number_value(value) == 0.0) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}
