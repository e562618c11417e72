/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 gives the values of FIPS 180-4, tags separate domains, and files hash as sha256sum does.
 */
#include "base/file.h"
#include "crypto/sha256.h"
#include "tests/unit/crypto/vectors.h"

#include <stdlib.h>

static void plain_known_answers(void **state)
{
    (void)state;
    uint8_t out[RN_HASH_BYTES];
    rn_sha256_plain(out, rn_view_text(""));
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    rn_sha256_plain(out, rn_view_text("abc"));
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    rn_sha256_plain(out, rn_view_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
    assert_hex(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void tagged_is_plain_of_padded_tag_and_data(void **state)
{
    (void)state;
    const char text[RN_TAG_BYTES + 6] = "rondo/v1 test\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0some d";
    uint8_t wanted[RN_HASH_BYTES];
    uint8_t out[RN_HASH_BYTES];
    rn_sha256_plain(wanted, rn_view_of(text, sizeof(text)));
    const struct rn_view parts[3] = {rn_view_text("som"), rn_view_of(NULL, 0), rn_view_text("e d")};
    rn_sha256(out, "rondo/v1 test", parts, 3);
    assert_memory_equal(out, wanted, sizeof(out));

    struct rn_sha256 hash;
    rn_sha256_init(&hash, "rondo/v1 test");
    rn_sha256_update(&hash, "some", 4);
    rn_sha256_update(&hash, NULL, 0);
    rn_sha256_update(&hash, " d", 2);
    rn_sha256_final(&hash, out);
    assert_memory_equal(out, wanted, sizeof(out));
    rn_sha256_clear(&hash); /* again is fine */
}

static void tag_and_data_do_not_mix(void **state)
{
    (void)state;
    uint8_t a[RN_HASH_BYTES];
    uint8_t b[RN_HASH_BYTES];
    const struct rn_view data = rn_view_text("b");
    const struct rn_view none = rn_view_text("");
    rn_sha256(a, "a", &data, 1);
    rn_sha256(b, "ab", &none, 1);
    assert_memory_not_equal(a, b, sizeof(a));
    rn_sha256(b, "c", &data, 1);
    assert_memory_not_equal(a, b, sizeof(a));
    rn_sha256(a, "c", NULL, 0);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void abandoned_state_leaks_nothing(void **state)
{
    (void)state;
    RN_CLEANUP(rn_sha256_clear) struct rn_sha256 hash;
    rn_sha256_init(&hash, "x");
    rn_sha256_update(&hash, "y", 1);
}

static void expand(const char *tag)
{
    uint8_t out[RN_TAG_BYTES];
    rn_tag_expand(out, tag);
}
static void empty_tag(void)
{
    expand("");
}
static void long_tag(void)
{
    expand("123456789012345678901234567890123");
}
static void unprintable_tag(void)
{
    expand("a\tb");
}

static void tags_have_limits(void **state)
{
    (void)state;
    expand("12345678901234567890123456789012");
    assert_aborts(empty_tag);
    assert_aborts(long_tag);
    assert_aborts(unprintable_tag);
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/rondo-test-sha256-XXXXXX";
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    uint8_t out[RN_HASH_BYTES];
    struct rn_error err;
    assert_ok(rn_sha256_file(path, out, &err));
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    char piece[10000];
    memset(piece, 'a', sizeof(piece));
    for (unsigned k = 0; k < 100; k++) { /* FIPS 180-4: one million times "a" */
        assert_int_equal(write(descriptor, piece, sizeof(piece)), sizeof(piece));
    }
    assert_ok(rn_sha256_file(path, out, &err));
    assert_hex(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    (void)close(descriptor);
    (void)unlink(path);
    assert_code(rn_sha256_file(path, out, &err), RN_E_NO_INPUT);
    assert_non_null(strstr(err.text, path));
    assert_code(rn_sha256_file("/", out, &err), RN_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_known_answers),
        cmocka_unit_test(tagged_is_plain_of_padded_tag_and_data),
        cmocka_unit_test(tag_and_data_do_not_mix),
        cmocka_unit_test(abandoned_state_leaks_nothing),
        cmocka_unit_test(tags_have_limits),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
