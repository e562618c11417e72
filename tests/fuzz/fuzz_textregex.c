/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions of tokenizer.json: one line is the expression, the rest the text. What is
 * translated compiles, or is refused; the stretches of a text are the text.
 */
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/textpattern.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

#define TEXT_MAX 64 /* a search may take RN_PATTERN_STEPS_MAX steps from each place */

struct seen {
    const uint8_t *at;
};

static rn_result take(void *context, struct rn_view stretch, bool match, struct rn_error *err)
{
    struct seen *seen = context;

    (void)err;
    RN_BUG_IF(stretch.data != seen->at || (stretch.length == 0 && !match));
    seen->at = stretch.data + stretch.length;
    return rn_ok();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    const size_t length = end == NULL ? size : (size_t)(end - data);
    struct rn_view text = rn_view_of(data + length, size - length);
    struct rn_pattern pattern = {0};

    text.length = text.length < TEXT_MAX ? text.length : TEXT_MAX;
    if (!rn_utf8_valid(rn_view_of(data, length), NULL) || !rn_utf8_valid(text, NULL)) {
        return 0;
    }
    RN_CLEANUP(rn_json_cleanup)
    json_t *value = json_pack("{s:s%}", "Regex", (const char *)data, length);
    if (value != NULL && rn_is_ok(rn_pattern_read(value, "fuzz", "Split", &pattern, NULL))) {
        struct seen seen = {text.data};
        const rn_result walked = rn_pattern_walk(&pattern, text, take, &seen, NULL);
        RN_BUG_IF(rn_is_ok(walked) && seen.at != text.data + text.length);
    }
    rn_pattern_clear(&pattern);
    return 0;
}
