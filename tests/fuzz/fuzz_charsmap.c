/* SPDX-License-Identifier: Apache-2.0
 *
 * A character map of tokenizer.json, as bytes: what it writes is valid UTF-8.
 */
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/charsmap.h"
#include "trainer/text/unicodetext.h"

static json_t *base64_of(const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};

    for (size_t at = 0; at < size; at += 3) {
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) {
            bits = bits << 8 | (at + i < size ? data[at + i] : 0);
        }
        for (size_t i = 0; i < 4; i++) {
            rn_buffer_u8(&out, at + i <= size ? (uint8_t)digits[bits >> (18 - 6 * i) & 63]
                                              : (uint8_t)'=');
        }
    }
    return json_stringn(rn_buffer_text(&out), out.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "ae\xcc\x81q A\xef\xac\x81\xe3\x80\x80\xe6\x97\xa5\xf0\x9f\x98\x80\n";
    RN_CLEANUP(rn_json_cleanup) json_t *value = base64_of(data, size);
    RN_CLEANUP(rn_charsmap_clear) struct rn_charsmap map = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};

    if (rn_is_ok(rn_charsmap_read(value, "fuzz", &map, NULL))) {
        rn_charsmap_apply(&map, rn_view_of((const uint8_t *)text, sizeof text - 1), &out);
        RN_BUG_IF(!rn_utf8_valid(rn_buffer_view(&out), NULL));
    }
    return 0;
}
