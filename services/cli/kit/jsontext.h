/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on standard output: a result as one line, or strings for commands that print piece by piece.
 */
#ifndef RN_SERVICES_CLI_KIT_JSONTEXT_H
#define RN_SERVICES_CLI_KIT_JSONTEXT_H

#include "services/cli/kit/commands.h"

struct json_t;

/* A result as one compact line; takes the value. RN_E_DATA, and nothing printed, for NULL: what a
 * constructor of jansson leaves of a text that is not UTF-8. */
RN_MUST rn_result rn_json_print(struct json_t *value, struct rn_error *err);

/* A string value; "?" for each byte beyond ASCII where the text is not UTF-8: for sentences, which
 * may quote what a person or a file wrote. */
struct json_t *rn_json_sentence(const char *text);

/* A JSON string, escaped; a text that is not UTF-8 becomes null. */
void rn_json_text_print(const char *text);

/* The file that a command wrote: its name, or {"out": name}. */
void rn_json_out_print(const struct rn_command *command, const char *path);

#endif
