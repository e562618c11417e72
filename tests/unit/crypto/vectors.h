/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of crypto share: cmocka with its includes, hex literals and fixed keys.
 */
#ifndef RN_TESTS_UNIT_CRYPTO_VECTORS_H
#define RN_TESTS_UNIT_CRYPTO_VECTORS_H

#include "base/bytes.h"
#include "base/guard.h"
#include "crypto/secret.h"
#include "tests/unit/aborts.h"

#include <string.h>

#define assert_ok(call) assert_int_equal((call).code, RN_OK)
#define assert_code(call, wanted) assert_int_equal((call).code, (wanted))

/* Decodes a hex literal into out; returns its length. */
__attribute__((unused)) static size_t from_hex(void *out, const char *hex)
{
    const size_t length = strlen(hex) / 2;
    assert_true(rn_hex_decode(out, length, hex));
    return length;
}

__attribute__((unused)) static void assert_hex(const void *bytes, const char *hex)
{
    uint8_t wanted[256];
    assert_true(strlen(hex) <= 2 * sizeof(wanted));
    assert_memory_equal(bytes, wanted, from_hex(wanted, hex));
}

/* The key whose bytes are fill, fill + 1, ... */
__attribute__((unused)) static struct rn_secret32 key_of(unsigned fill)
{
    struct rn_secret32 key;
    for (unsigned k = 0; k < sizeof(key.bytes); k++) {
        key.bytes[k] = (uint8_t)(fill + k);
    }
    return key;
}

#endif
