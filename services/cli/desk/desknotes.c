/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person should know about an opened trainer.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/kit/jsontext.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int append_text(const char *text, size_t length, void *buffer)
{
    rn_buffer_append(buffer, text, length);
    return 0;
}

/* A note to standard error, and a JSON string for the result. */
static void warn(struct rn_desk_session *session, const struct rn_command *command,
                 const char *format, ...) RN_PRINTF(3, 4);
static void warn(struct rn_desk_session *session, const struct rn_command *command,
                 const char *format, ...)
{
    char text[RN_ERROR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rn_command_note(command, "%s", text);
    rn_buffer_format(&session->warnings, "%s", session->warnings.length > 0 ? ", " : "");
    json_t *value = rn_json_sentence(text);
    (void)json_dump_callback(value, append_text, &session->warnings, JSON_ENCODE_ANY);
    json_decref(value);
}

/* Class names were given and the file holds none of them: its labels are class numbers. */
static bool names_are_numbers(const struct rn_desk *desk, const struct rn_desk_session *session)
{
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list found = {0};
    struct rn_data_columns columns = desk->columns;
    struct rn_data_spec spec;
    if (desk->labels == NULL || desk->labels_public || columns.label == NULL ||
        !rn_is_ok(rn_data_columns_spec(&columns, &spec, NULL)) ||
        !rn_is_ok(rn_label_list_discover(&spec, &found, NULL))) {
        return false;
    }
    for (size_t i = 0; i < found.count; i++) {
        for (size_t k = 0; k < session->labels.count; k++) {
            if (strcmp(found.names[i], session->labels.names[k]) == 0) {
                return false;
            }
        }
    }
    return session->labels.count > 0;
}

void rn_desk_notes(const struct rn_desk *desk, struct rn_desk_session *session,
                   const struct rn_command *command, bool head)
{
    struct rn_trainer_facts facts;
    rn_trainer_facts(session->trainer, &facts);
    if (head && facts.head_random) {
        warn(session, command,
             "%s%s%s holds no classifier: its head is random (--seed %llu), so the figures are "
             "those "
             "of guessing; --adapter names a trained one",
             desk->model, desk->adapter == NULL ? "" : " with ",
             desk->adapter == NULL ? "" : desk->adapter, (unsigned long long)desk->seed);
    }
    if (head && !facts.head_random && facts.pooler_random) {
        warn(session, command,
             "%s holds no pooler below its classifier: it is random (--seed %llu), so the figures "
             "are "
             "those of guessing",
             desk->model, (unsigned long long)desk->seed);
    }
    if (names_are_numbers(desk, session)) {
        warn(session, command,
             "the labels of %s are class numbers, not names: 0 is taken as %s, 1 as %s",
             desk->columns.path, session->labels.names[0], session->labels.names[1]);
    }
    if (session->seen.quoted > 0) {
        warn(session, command, RN_DESK_QUOTED_NOTE, desk->columns.path,
             (unsigned long long)session->seen.quoted_line,
             (unsigned long long)session->seen.quoted);
    }
}

void rn_desk_warnings_print(struct rn_desk_session *session)
{
    if (session->warnings.length > 0) {
        printf("\"warnings\": [%s], ", rn_buffer_text(&session->warnings));
    }
}
