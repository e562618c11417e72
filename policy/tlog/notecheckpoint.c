/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/tlog/note.h"

#include "base/guard.h"
#include "crypto/base64.h"

#include <string.h>

void rn_note_checkpoint_write(const struct rn_note_checkpoint *checkpoint, struct rn_buffer *out)
{
    rn_buffer_format(out, "%s\n%llu\n", checkpoint->origin, (unsigned long long)checkpoint->size);
    rn_base64_write(out, rn_view_of(checkpoint->root.bytes, RN_HASH_BYTES));
    rn_buffer_u8(out, '\n');
}

static struct rn_view line_of(struct rn_reader *reader)
{
    const struct rn_view rest =
        rn_view_of(reader->in.data + reader->position, rn_reader_left(reader));
    const uint8_t *end = rest.length == 0 ? NULL : memchr(rest.data, '\n', rest.length);
    if (end == NULL) {
        reader->failed = true;
        return rn_view_of(NULL, 0);
    }
    const struct rn_view line = rn_read_view(reader, (size_t)(end - rest.data));
    (void)rn_read_u8(reader);
    return line;
}

/* At most 19 digits: below 2^64. Leading zeros show when the text is written again. */
static bool size_read(struct rn_view digits, uint64_t *out)
{
    *out = 0;
    for (size_t k = 0; k < digits.length; k++) {
        if (digits.data[k] < '0' || digits.data[k] > '9') {
            return false;
        }
        *out = *out * 10 + (uint64_t)(digits.data[k] - '0');
    }
    return digits.length > 0 && digits.length <= 19;
}

static bool parse(struct rn_view text, struct rn_note_checkpoint *out)
{
    struct rn_reader reader = rn_reader_of(text);
    const struct rn_view origin = line_of(&reader);
    const struct rn_view size = line_of(&reader);
    const struct rn_view root = line_of(&reader);
    size_t length = 0;
    return rn_reader_done(&reader) && origin.length > 0 &&
           rn_text_format(out->origin, sizeof out->origin, "%.*s", (int)origin.length,
                          (const char *)origin.data) &&
           size_read(size, &out->size) &&
           rn_base64_read(root, out->root.bytes, RN_HASH_BYTES, &length) && length == RN_HASH_BYTES;
}

rn_result rn_note_checkpoint_read(struct rn_view text, struct rn_note_checkpoint *out,
                                  struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    const bool good = text.length <= RN_CHECKPOINT_TEXT_MAX && parse(text, out);
    if (good) {
        rn_note_checkpoint_write(out, &again);
    }
    RN_ENSURE(good && rn_note_name_valid(out->origin) &&
                  rn_view_equal(rn_buffer_view(&again), text),
              err, RN_E_PEER_FORMAT, "The text is no checkpoint of a log.");
    return rn_ok();
}
