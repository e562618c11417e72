/* SPDX-License-Identifier: Apache-2.0
 *
 * Domain tags, padded to their fixed length.
 */
#include "crypto/tag.h"

#include "base/guard.h"

#include <string.h>

void rn_tag_expand(uint8_t out[static RN_TAG_BYTES], const char *tag)
{
    const size_t length = strlen(tag);
    RN_BUG_IF(length == 0 || length > RN_TAG_BYTES);
    for (size_t k = 0; k < length; k++) {
        RN_BUG_IF(tag[k] < ' ' || tag[k] > '~');
    }
    memset(out, 0, RN_TAG_BYTES);
    memcpy(out, tag, length);
}
