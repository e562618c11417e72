/* SPDX-License-Identifier: Apache-2.0
 *
 * Fingerprints: known answers from another implementation, and what a person may type.
 */
#include "crypto/fingerprint.h"
#include "tests/unit/crypto/vectors.h"

#include <string.h>

/* Public key of RFC 8032, test 2. Expected texts: hashlib.sha256(tag.ljust(32, b"\\0") +
 * bytes([block]) + value), four bytes each, little-endian, modulo 100000. */
#define KEY "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define ROSTER                                                           \
    "rondo-roster 2\nfederation north-sea\ncoordinator ed25519 "         \
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n" \
    "member 0 alpha ed25519 " KEY "\n"

static void known_answers(void **state)
{
    (void)state;
    struct rn_roster roster;
    struct rn_error err = {""};
    char key[RN_FINGERPRINT_KEY_TEXT];
    char text[RN_FINGERPRINT_ROSTER_TEXT];
    assert_ok(rn_roster_parse(rn_view_text(ROSTER), &roster, &err));
    rn_fingerprint_key(&roster.members[0].key, key);
    assert_string_equal(key, "33440 13340 17057 01927 85469 33607 20996 12284");
    rn_fingerprint_roster(&roster, text);
    assert_string_equal(text,
                        "06486 87407 90246 91438 95737 64871 31191 56750 62511 81041 48385 65676");
    roster.members[0].name[0] = 'b'; /* names count, not keys alone */
    char other[RN_FINGERPRINT_ROSTER_TEXT];
    rn_fingerprint_roster(&roster, other);
    assert_string_not_equal(text, other);
}

static void all_digits_and_no_more(void **state)
{
    (void)state;
    static const char is[] = "01234 56789";
    assert_true(rn_fingerprint_equal("01234 56789", is));
    assert_true(rn_fingerprint_equal("0123456789", is));
    assert_true(rn_fingerprint_equal("  01234-56789 ", is));
    assert_true(rn_fingerprint_equal("01234, 56789", is));
    static const char *const wrong[] = {"",           "01234",       "0123456788", "01234567890",
                                        "1234 56789", "01234.56789", "O1234 56789"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(wrong); i++) {
        assert_false(rn_fingerprint_equal(wrong[i], is));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(all_digits_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
