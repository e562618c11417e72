/* SPDX-License-Identifier: Apache-2.0
 *
 * Domain tags. Everything that Rondo hashes or signs starts with a tag that says what it is, so
 * that bytes made for one purpose can never be taken for another.
 *
 * A tag is 1 to 32 printable ASCII characters, written as a literal, such as
 * "rondo/v1 secagg session id". On the wire of the hash it is padded with zero bytes to exactly 32,
 * so no tag is a prefix of another tag plus data.
 */
#ifndef RN_CRYPTO_TAG_H
#define RN_CRYPTO_TAG_H

#include <stdint.h>

#define RN_TAG_BYTES 32

/* Writes the padded tag. An empty, overlong or non-ASCII tag is a bug in the caller and aborts. */
void rn_tag_expand(uint8_t out[static RN_TAG_BYTES], const char *tag);

#endif
