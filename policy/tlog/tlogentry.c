/* SPDX-License-Identifier: Apache-2.0
 *
 * One table of fields, written and read. What is read counts only if writing it gives the same
 * bytes.
 */
#include "policy/tlog/tlogentry.h"

#include "base/guard.h"
#include "policy/tlog/tlog.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>

enum type { NONE = 0, TEXT, HASH, STATEMENT, NUMBER32, NUMBER64, OUTCOME, MEMBERS };

struct field {
    const char *name;
    enum type type;
    size_t offset;
    size_t size; /* of a text */
};

#define AT(member) offsetof(struct rn_tlog_entry, member)
#define NAME(label)                            \
    {                                          \
        label, TEXT, AT(name), RN_NAME_MAX + 1 \
    }
#define KEY                                            \
    {                                                  \
        "key", TEXT, AT(key), RN_TLOG_KEY_TEXT_MAX + 1 \
    }
#define STATED                                   \
    {                                            \
        "statement", STATEMENT, AT(statement), 0 \
    }
#define JOB                          \
    {"plan", HASH, AT(plan), 0},     \
    {                                \
        "n", NUMBER64, AT(number), 0 \
    }
#define PLACE                               \
    {"round", NUMBER32, AT(round), 0},      \
    {                                       \
        "attempt", NUMBER32, AT(attempt), 0 \
    }
#define FIELDS_MAX 13

static const struct kind {
    const char *name;
    struct field fields[FIELDS_MAX];
} kinds[] = {
    [RN_TLOG_LOG] = {"log", {NAME("federation"), KEY, STATED}},
    [RN_TLOG_WITNESS] = {"witness", {NAME("member"), KEY, STATED}},
    [RN_TLOG_PLAN] = {"plan",
                      {JOB,
                       NAME("name"),
                       {"roster", HASH, AT(roster), 0},
                       {"base", HASH, AT(base), 0},
                       {"method", TEXT, AT(method), RN_NAME_MAX + 1},
                       {"rounds", NUMBER32, AT(rounds), 0},
                       {"adapter", HASH, AT(after), 0}}},
    [RN_TLOG_ROUND] = {"round",
                       {JOB,
                        PLACE,
                        {"outcome", OUTCOME, AT(outcome), 0},
                        {"included", NUMBER32, AT(included), 0},
                        {"lost", NUMBER32, AT(lost), 0},
                        {"session", HASH, AT(session), 0},
                        {"sum", HASH, AT(sum), 0},
                        {"before", HASH, AT(before), 0},
                        {"after", HASH, AT(after), 0}}},
    [RN_TLOG_BLAME] = {"blame", {JOB, PLACE, {"members", MEMBERS, AT(members), 0}}},
    [RN_TLOG_END] = {"end",
                     {JOB,
                      {"round", NUMBER32, AT(round), 0},
                      {"outcome", OUTCOME, AT(outcome), 0},
                      {"adapter", HASH, AT(after), 0}}},
};

/* ---- Written ---- */

static void hex_write(const uint8_t *bytes, size_t length, struct rn_buffer *out)
{
    char hex[2 * RN_SIGNATURE_BYTES + 1];
    rn_hex_encode(hex, bytes, length);
    rn_buffer_format(out, "\"%s\"", hex);
}

static void field_write(const struct rn_tlog_entry *entry, const struct field *field,
                        struct rn_buffer *out)
{
    const char *at = (const char *)entry + field->offset;
    rn_buffer_format(out, ",\"%s\":", field->name);
    switch (field->type) {
    case TEXT:
        rn_buffer_format(out, "\"%s\"", at);
        break;
    case HASH:
        hex_write((const uint8_t *)at, RN_HASH_BYTES, out);
        break;
    case STATEMENT:
        hex_write((const uint8_t *)at, RN_SIGNATURE_BYTES, out);
        break;
    case NUMBER32:
        rn_buffer_format(out, "%u", *(const uint32_t *)(const void *)at);
        break;
    case NUMBER64:
        rn_buffer_format(out, "%llu", (unsigned long long)*(const uint64_t *)(const void *)at);
        break;
    case OUTCOME:
        rn_buffer_format(out, "\"%s\"", rn_code_name(*(const enum rn_code *)(const void *)at));
        break;
    case MEMBERS:
        rn_buffer_format(out, "\"%.*s\"", (int)entry->members.length,
                         entry->members.length == 0 ? "" : (const char *)entry->members.data);
        break;
    case NONE:
        break;
    }
}

void rn_tlog_entry_write(const struct rn_tlog_entry *entry, struct rn_buffer *out)
{
    const struct kind *kind = &kinds[entry->kind];
    rn_buffer_format(out, "{\"kind\":\"%s\"", kind->name);
    for (size_t k = 0; k < FIELDS_MAX && kind->fields[k].type != NONE; k++) {
        field_write(entry, &kind->fields[k], out);
    }
    rn_buffer_u8(out, '}');
}

/* ---- Read ---- */

static bool hex_read(const char *text, uint8_t *out, size_t length)
{
    return strlen(text) == 2 * length && rn_hex_decode(out, length, text);
}

static bool number_read(const json_t *value, uint64_t max, uint64_t *out)
{
    *out = json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : UINT64_MAX;
    return *out <= max;
}

static bool field_read(const json_t *value, const struct field *field, struct rn_tlog_entry *out)
{
    char *at = (char *)out + field->offset;
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    uint64_t number = 0;
    switch (field->type) {
    case TEXT:
        return text[0] != '\0' && rn_text_format(at, field->size, "%s", text);
    case HASH:
        return hex_read(text, (uint8_t *)at, RN_HASH_BYTES);
    case STATEMENT:
        return hex_read(text, (uint8_t *)at, RN_SIGNATURE_BYTES);
    case NUMBER32:
        if (!number_read(value, UINT32_MAX, &number)) {
            return false;
        }
        *(uint32_t *)(void *)at = (uint32_t)number;
        return true;
    case NUMBER64:
        return number_read(value, INT64_MAX, (uint64_t *)(void *)at);
    case OUTCOME:
        return rn_code_of_name(text, (enum rn_code *)(void *)at);
    case MEMBERS: /* borrowed from the entry's own bytes: see members_find */
    case NONE:
        break;
    }
    return field->type == MEMBERS && text[0] != '\0';
}

/* The text of the last field, where it stands in the entry. */
static struct rn_view members_find(struct rn_view bytes)
{
    static const char label[] = "\"members\":\"";
    for (size_t k = 0; k + sizeof label + 1 < bytes.length; k++) {
        if (memcmp(bytes.data + k, label, sizeof label - 1) == 0) {
            const size_t begin = k + sizeof label - 1;
            return rn_view_of(bytes.data + begin, bytes.length - begin - 2);
        }
    }
    return rn_view_of(NULL, 0);
}

static enum rn_tlog_kind kind_of(const json_t *object)
{
    const json_t *name = json_object_get(object, "kind");
    for (size_t k = 1; json_is_string(name) && k < RN_ARRAY_LENGTH(kinds); k++) {
        if (strcmp(json_string_value(name), kinds[k].name) == 0) {
            return (enum rn_tlog_kind)k;
        }
    }
    return (enum rn_tlog_kind)0;
}

static bool fields_read(const json_t *object, struct rn_tlog_entry *out)
{
    const struct kind *kind = &kinds[out->kind];
    for (size_t k = 0; k < FIELDS_MAX && kind->fields[k].type != NONE; k++) {
        if (!field_read(json_object_get(object, kind->fields[k].name), &kind->fields[k], out)) {
            return false;
        }
    }
    return true;
}

static bool same_bytes(struct rn_view bytes, const struct rn_tlog_entry *entry)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    rn_tlog_entry_write(entry, &again);
    return rn_view_equal(rn_buffer_view(&again), bytes);
}

static void json_clear(json_t **object)
{
    json_decref(*object);
}

rn_result rn_tlog_entry_read(struct rn_view bytes, struct rn_tlog_entry *out, struct rn_error *err)
{
    *out = (struct rn_tlog_entry){0};
    RN_CLEANUP(json_clear)
    json_t *object =
        json_loadb((const char *)bytes.data, bytes.length, JSON_REJECT_DUPLICATES, NULL);
    RN_ENSURE(json_is_object(object) && json_is_string(json_object_get(object, "kind")), err,
              RN_E_DATA, "An entry of the log is no JSON object with a kind.");
    out->kind = kind_of(object);
    RN_ENSURE(out->kind != 0, err, RN_E_UNSUPPORTED,
              "An entry of the log has a kind that this version does not know.");
    out->members = out->kind == RN_TLOG_BLAME ? members_find(bytes) : rn_view_of(NULL, 0);
    RN_ENSURE(fields_read(object, out) && same_bytes(bytes, out), err, RN_E_DATA,
              "An entry \"%s\" of the log is malformed.", kinds[out->kind].name);
    return rn_ok();
}
