/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, exit codes and sentences of results.
 */
#include "base/result.h"

#include "base/guard.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct code_row {
    enum rn_code code;
    const char *name;
    int exit_code;
} code_table[] = {
    {RN_OK, "ok", 0},
    {RN_E_UNAVAILABLE, "unavailable", 75},
    {RN_E_TIMEOUT, "timeout", 75},
    {RN_E_BUSY, "busy", 75},
    {RN_E_PEER_FORMAT, "peer-format", 76},
    {RN_E_PEER_AUTH, "peer-auth", 76},
    {RN_E_PEER_PROTOCOL, "peer-protocol", 76},
    {RN_E_PEER_LIMIT, "peer-limit", 76},
    {RN_E_PEER_REPLAY, "peer-replay", 76},
    {RN_E_ROUND_QUORUM, "round-quorum", 82},
    {RN_E_ROUND_ABORTED, "round-aborted", 82},
    {RN_E_ROUND_SUM, "round-sum", 82},
    {RN_E_ROUND_SPENT, "round-spent", 82},
    {RN_E_ROUND_STALE, "round-stale", 82},
    {RN_E_ROUND_NUMERIC, "round-numeric", 82},
    {RN_E_USAGE, "usage", 64},
    {RN_E_DATA, "data", 65},
    {RN_E_NO_INPUT, "no-input", 66},
    {RN_E_UNSUPPORTED, "unsupported", 69},
    {RN_E_INTERNAL, "internal", 70},
    {RN_E_SYSTEM, "system", 71},
    {RN_E_IO, "io", 74},
    {RN_E_PERMISSION, "permission", 77},
    {RN_E_CONFIG, "config", 78},
    {RN_E_REFUSED, "refused", 79},
    {RN_E_IDENTITY, "identity", 80},
    {RN_E_MEMORY, "memory", 81},
    {RN_E_INCOMPLETE, "incomplete", 82},
    {RN_E_LEASE, "lease", 75},
};

static const struct code_row *row_of(enum rn_code code)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(code_table); i++) {
        if (code_table[i].code == code) {
            return &code_table[i];
        }
    }
    return NULL;
}

rn_result rn_fail(struct rn_error *err, enum rn_code code, const char *format, ...)
{
    if (err != NULL) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(err->text, sizeof(err->text), format, arguments);
        va_end(arguments);
    }
    return (rn_result){code};
}

rn_result rn_fail_context(struct rn_error *err, rn_result result, const char *format, ...)
{
    if (err == NULL) {
        return result;
    }
    char context[RN_ERROR_TEXT_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(context, sizeof(context), format, arguments);
    va_end(arguments);
    const size_t length = strlen(context);
    const size_t kept = strnlen(err->text, sizeof(err->text) - length - 3);
    memmove(err->text + length + 2, err->text, kept);
    err->text[length + 2 + kept] = '\0';
    memcpy(err->text, context, length);
    memcpy(err->text + length, ": ", 2);
    return result;
}

const char *rn_code_name(enum rn_code code)
{
    const struct code_row *row = row_of(code);
    return row != NULL ? row->name : "unknown";
}

bool rn_code_of_name(const char *name, enum rn_code *out)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(code_table); i++) {
        if (strcmp(code_table[i].name, name) == 0) {
            *out = code_table[i].code;
            return true;
        }
    }
    return false;
}

int rn_exit_code(rn_result result)
{
    const struct code_row *row = row_of(result.code);
    return row != NULL ? row->exit_code : 70;
}

_Noreturn void rn_bug(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "rondo: internal error at %s:%d: %s\n", file, line, condition);
    abort();
}
