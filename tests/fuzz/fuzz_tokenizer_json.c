/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_tokenizer_parse: a tokenizer that it accepts encodes any text without leaving its vocabulary.
 */
#include "base/guard.h"
#include "trainer/text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        " a<mask> \xc3\x89\xcc\x81 [SEP]yes don't\xe6\x97\xa5\xe2\x80\x83\xf0"
        "\x9f\x98\x80 12 \xc4\xb0\n";
    struct rn_tokenizer *tokenizer = NULL;
    struct rn_encoding encoding = {0};
    const struct rn_view view = rn_view_of(text, sizeof text);

    if (!rn_is_ok(rn_tokenizer_parse(rn_view_of(data, size), "fuzz", &tokenizer, NULL))) {
        return 0;
    }
    if (rn_is_ok(rn_tokenizer_encode(tokenizer, view, &view, 0, &encoding, NULL))) {
        for (size_t i = 0; i < encoding.length; i++) {
            RN_BUG_IF(encoding.ids[i] >= rn_tokenizer_vocabulary(tokenizer));
        }
    }
    if (rn_is_ok(rn_tokenizer_encode(tokenizer, view, &view, 7, &encoding, NULL))) {
        RN_BUG_IF(encoding.length > 7);
    }
    rn_encoding_clear(&encoding);
    rn_tokenizer_free(tokenizer);
    return 0;
}
