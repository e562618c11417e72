/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on standard output.
 */
#include "services/cli/kit/jsontext.h"

#include "base/bytes.h"
#include "base/guard.h"

#include <jansson.h>
#include <stdio.h>

rn_result rn_json_print(struct json_t *value, struct rn_error *err)
{
    RN_ENSURE(value != NULL, err, RN_E_DATA,
              "the result holds a text that is not UTF-8, which JSON cannot: leave --format away");
    /* 15 digits: what every double keeps, and no tail that nobody wrote. */
    (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    (void)putchar('\n');
    json_decref(value);
    return rn_ok();
}

struct json_t *rn_json_sentence(const char *text)
{
    json_t *value = json_string(text);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer plain = {0};
    for (const char *at = text; value == NULL && *at != '\0'; at++) {
        rn_buffer_u8(&plain, (unsigned char)*at < 0x80 ? (uint8_t)*at : (uint8_t)'?');
    }
    return value != NULL ? value : json_string(rn_buffer_text(&plain));
}

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
