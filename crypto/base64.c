/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/base64.h"

#include "base/guard.h"

#include <sodium.h>

void rn_base64_write(struct rn_buffer *out, struct rn_view bytes)
{
    const size_t length = RN_BASE64_LENGTH(bytes.length);
    uint8_t *text = rn_buffer_grow(out, length + 1);
    if (text != NULL) {
        (void)sodium_bin2base64((char *)text, length + 1, bytes.data, bytes.length,
                                sodium_base64_VARIANT_ORIGINAL);
        out->length--; /* the NUL that libsodium writes */
    }
}

bool rn_base64_read(struct rn_view text, void *out, size_t capacity, size_t *out_length)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    if (sodium_base642bin(out, capacity, (const char *)text.data, text.length, NULL, out_length,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
        return false;
    }
    /* libsodium 1.0.18 takes some bytes above 0x7f for digits. */
    rn_base64_write(&again, rn_view_of(out, *out_length));
    return rn_view_equal(rn_buffer_view(&again), text);
}
