/* SPDX-License-Identifier: Apache-2.0
 *
 * One-byte encodings of data files.
 */
#include "base/guard.h"
#include "trainer/data/recordparts.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

/* Windows-1252 from 0x80 to 0x9f; 0xfffd: not defined. */
static const uint16_t windows1252[32] = {
    0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178,
};

rn_result rn_charset_find(const char *name, enum rn_charset *out, struct rn_error *err)
{
    static const struct {
        const char *name;
        enum rn_charset charset;
    } all[] = {{"utf-8", RN_CHARSET_UTF8},
               {"latin-1", RN_CHARSET_LATIN1},
               {"windows-1252", RN_CHARSET_WINDOWS1252}};

    for (size_t i = 0; i < RN_ARRAY_LENGTH(all); i++) {
        if (strcmp(name == NULL ? "utf-8" : name, all[i].name) == 0) {
            *out = all[i].charset;
            return rn_ok();
        }
    }
    return rn_fail(err, RN_E_USAGE,
                   "encoding \"%.20s\" is not known (utf-8, latin-1 and windows-1252 are)", name);
}

void rn_charset_append(enum rn_charset charset, struct rn_view bytes, struct rn_buffer *out)
{
    if (charset == RN_CHARSET_UTF8) {
        rn_buffer_append(out, bytes.data, bytes.length);
        return;
    }
    for (size_t i = 0; i < bytes.length; i++) {
        uint8_t text[4];
        const uint8_t byte = bytes.data[i];
        const bool special = charset == RN_CHARSET_WINDOWS1252 && byte >= 0x80 && byte < 0xa0;
        const uint32_t point = special ? windows1252[byte - 0x80] : byte;
        rn_buffer_append(out, text, rn_utf8_encode(point, text));
    }
}
