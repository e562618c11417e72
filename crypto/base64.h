/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 with padding (RFC 4648, section 4) of public bytes, in the one form that encodes them:
 * no white space, no bits set beyond the last byte.
 */
#ifndef RN_CRYPTO_BASE64_H
#define RN_CRYPTO_BASE64_H

#include "base/bytes.h"

/* Characters of `length` bytes, without a closing NUL. */
#define RN_BASE64_LENGTH(length) (((length) + 2) / 3 * 4)

/* Appends the text without a closing NUL. */
void rn_base64_write(struct rn_buffer *out, struct rn_view bytes);
/* False where the text is not the encoding of at most `capacity` bytes. */
RN_MUST bool rn_base64_read(struct rn_view text, void *out, size_t capacity, size_t *out_length);

#endif
