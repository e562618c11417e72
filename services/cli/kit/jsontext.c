/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON strings on standard output.
 */
#include "services/cli/kit/jsontext.h"

#include <jansson.h>
#include <stdio.h>

void rn_json_text_print(const char *text)
{
    json_t *value = json_string(text);

    if (value == NULL) {
        printf("null");
        return;
    }
    (void)json_dumpf(value, stdout, JSON_ENCODE_ANY);
    json_decref(value);
}

void rn_json_out_print(const struct rn_command *command, const char *path)
{
    if (command->json) {
        (void)printf("{\"out\": ");
        rn_json_text_print(path);
        (void)printf("}\n");
    } else if (!command->quiet) {
        (void)printf("%s\n", path);
    }
}
