/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities: RFC 8032 key pairs, tagged signatures, refusal of everything that is not exactly a
 * signature or a key file.
 */
#include "base/file.h"
#include "crypto/identity.h"
#include "tests/unit/crypto/vectors.h"

#include <stdlib.h>
#include <sys/stat.h>

#define TAG "rondo/v1 test"

static const char *const rfc8032[][2] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"},
};

static struct rn_identity *first_identity(void)
{
    struct rn_secret32 seed;
    (void)from_hex(seed.bytes, rfc8032[0][0]);
    return rn_identity_from_seed(&seed);
}

/* case 34 */
static void public_keys_of_rfc8032(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rfc8032); k++) {
        struct rn_secret32 seed;
        (void)from_hex(seed.bytes, rfc8032[k][0]);
        RN_CLEANUP(rn_identity_free_cleanup)
        struct rn_identity *identity = rn_identity_from_seed(&seed);
        assert_hex(rn_identity_public_of(identity)->bytes, rfc8032[k][1]);
        assert_true(rn_identity_public_valid(rn_identity_public_of(identity)));
    }
}

/* The value is what OpenSSL signs with the first key of RFC 8032 for the 32-byte tag followed by
 * "message". */
static void signature_is_over_padded_tag_and_message(void **state)
{
    (void)state;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = first_identity();
    uint8_t signature[RN_SIGNATURE_BYTES];
    rn_identity_sign(identity, TAG, rn_view_text("message"), signature);
    assert_hex(signature, "2b815d5533f368f8a0844da0c2584319ec0db4c3f19fe138b4e67e9a154e68cbbb753746"
                          "411a2c44a23af2afb5cc396dbe541f367514b135fd230668a9b8040c");
}

static void verification_refuses_any_change(void **state)
{
    (void)state;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = first_identity();
    const struct rn_identity_public *key = rn_identity_public_of(identity);
    const struct rn_view message = rn_view_text("message");
    uint8_t signature[RN_SIGNATURE_BYTES];
    rn_identity_sign(identity, TAG, message, signature);
    assert_ok(rn_identity_verify(key, TAG, message, signature, NULL));
    assert_code(rn_identity_verify(key, "rondo/v1 other", message, signature, NULL),
                RN_E_PEER_AUTH);
    assert_code(rn_identity_verify(key, TAG, rn_view_text("messagE"), signature, NULL),
                RN_E_PEER_AUTH);
    assert_code(rn_identity_verify(key, TAG, rn_view_text("messag"), signature, NULL),
                RN_E_PEER_AUTH);
    for (unsigned bit = 0; bit < 8 * RN_SIGNATURE_BYTES; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_code(rn_identity_verify(key, TAG, message, signature, NULL), RN_E_PEER_AUTH);
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    struct rn_identity_public other;
    (void)from_hex(other.bytes, rfc8032[1][1]);
    assert_code(rn_identity_verify(&other, TAG, message, signature, NULL), RN_E_PEER_AUTH);
    assert_false(rn_identity_public_equal(key, &other));

    rn_identity_sign(identity, TAG, rn_view_of(NULL, 0), signature);
    assert_ok(rn_identity_verify(key, TAG, rn_view_of(NULL, 0), signature, NULL));
}

/* case 26. S + L is the same number modulo the group order; RFC 8032 demands S < L. */
static void non_canonical_signature_is_refused(void **state)
{
    (void)state;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = first_identity();
    uint8_t signature[RN_SIGNATURE_BYTES];
    uint8_t order[32];
    (void)from_hex(order, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    rn_identity_sign(identity, TAG, rn_view_text("m"), signature);
    unsigned carry = 0;
    for (unsigned k = 0; k < 32; k++) {
        carry += (unsigned)signature[32 + k] + order[k];
        signature[32 + k] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_code(rn_identity_verify(rn_identity_public_of(identity), TAG, rn_view_text("m"),
                                   signature, NULL),
                RN_E_PEER_AUTH);
}

/* case 26. Points of order 1, 2, 4 and 8, their non-canonical encodings, a point with a torsion
 * component, and bytes that are no point. */
static void invalid_public_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0200000000000000000000000000000000000000000000000000000000000000",
        "9599999999999999999999999999999999999999999999999999999999999999",
    };
    /* R = the base point, S = 1: holds for a key of small order whenever the hash of R, key and
     * message is a multiple of the order, unless somebody looks at the key. */
    uint8_t signature[RN_SIGNATURE_BYTES];
    memset(signature, 0x66, 32);
    signature[0] = 0x58;
    memset(signature + 32, 0, 32);
    signature[32] = 1;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        struct rn_identity_public key;
        (void)from_hex(key.bytes, bad[k]);
        assert_false(rn_identity_public_valid(&key));
        for (uint8_t m = 0; m < 64; m++) {
            assert_code(rn_identity_verify(&key, TAG, rn_view_of(&m, 1), signature, NULL),
                        RN_E_PEER_AUTH);
        }
    }
}

static char directory[] = "/tmp/rondo-test-identity-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}
static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void file_of_rfc8410_form(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct rn_error err = {""};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = first_identity();
    assert_ok(rn_path_join(path, directory, "identity.key", NULL));
    assert_ok(rn_identity_save(identity, path, &err));
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_ok(rn_file_read(path, 1000, &bytes, &err));
    assert_string_equal(rn_buffer_text(&bytes),
                        "-----BEGIN PRIVATE KEY-----\n"
                        "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                        "-----END PRIVATE KEY-----\n");
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *again = NULL;
    assert_ok(rn_identity_load(path, &again, &err));
    assert_true(
        rn_identity_public_equal(rn_identity_public_of(identity), rn_identity_public_of(again)));
    uint8_t a[RN_SIGNATURE_BYTES];
    uint8_t b[RN_SIGNATURE_BYTES];
    rn_identity_sign(identity, TAG, rn_view_text("m"), a);
    rn_identity_sign(again, TAG, rn_view_text("m"), b);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(unlink(path), 0);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct rn_error err = {""};
    struct rn_identity *identity = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    assert_ok(rn_path_join(path, directory, "identity.key", NULL));
    assert_code(rn_identity_load(path, &identity, &err), RN_E_NO_INPUT);
    assert_code(rn_identity_load(directory, &identity, &err), RN_E_IDENTITY);
    assert_ok(rn_identity_generate(&identity, &err));
    assert_ok(rn_identity_save(identity, path, &err));
    rn_identity_free(identity);
    identity = NULL;
    assert_ok(rn_file_read(path, 1000, &bytes, &err));

    assert_int_equal(chmod(path, 0640), 0);
    assert_code(rn_identity_load(path, &identity, &err), RN_E_PERMISSION);
    assert_non_null(strstr(err.text, "chmod 600"));

    for (size_t length = 0; length < bytes.length; length++) {
        assert_ok(rn_file_write(path, rn_view_of(bytes.data, length), 0600, &err));
        assert_code(rn_identity_load(path, &identity, &err), RN_E_IDENTITY);
    }
    static const size_t places[] = {0, 27, 30, 48, 92, 100};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(places); k++) {
        const uint8_t kept = bytes.data[places[k]];
        bytes.data[places[k]] = places[k] == 48 ? '!' : (uint8_t)(kept ^ 1);
        assert_ok(rn_file_write(path, rn_buffer_view(&bytes), 0600, &err));
        assert_code(rn_identity_load(path, &identity, &err), RN_E_IDENTITY);
        bytes.data[places[k]] = kept;
    }
    rn_buffer_u8(&bytes, '\n');
    assert_ok(rn_file_write(path, rn_buffer_view(&bytes), 0600, &err));
    assert_code(rn_identity_load(path, &identity, &err), RN_E_IDENTITY);
    assert_null(identity);
    assert_int_equal(unlink(path), 0);
}

static void generated_keys_differ(void **state)
{
    (void)state;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *a = NULL;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *b = NULL;
    assert_ok(rn_identity_generate(&a, NULL));
    assert_ok(rn_identity_generate(&b, NULL));
    assert_false(rn_identity_public_equal(rn_identity_public_of(a), rn_identity_public_of(b)));
    rn_identity_free(NULL);
}

static void message_length_is_limited(void **state)
{
    (void)state;
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = first_identity();
    const uint8_t byte = 0;
    const uint8_t signature[RN_SIGNATURE_BYTES] = {0};
    /* The length is refused before the bytes are looked at. */
    const struct rn_view message = {&byte, RN_SIGN_MESSAGE_MAX + 1};
    assert_code(rn_identity_verify(rn_identity_public_of(identity), TAG, message, signature, NULL),
                RN_E_PEER_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_keys_of_rfc8032),
        cmocka_unit_test(signature_is_over_padded_tag_and_message),
        cmocka_unit_test(verification_refuses_any_change),
        cmocka_unit_test(non_canonical_signature_is_refused),
        cmocka_unit_test(invalid_public_keys_are_refused),
        cmocka_unit_test(file_of_rfc8410_form),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(generated_keys_differ),
        cmocka_unit_test(message_length_is_limited),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
