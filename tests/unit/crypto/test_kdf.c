/* SPDX-License-Identifier: Apache-2.0
 *
 * HKDF-SHA256 gives the values of RFC 5869, appendix A.
 */
#include "crypto/kdf.h"
#include "tests/unit/crypto/vectors.h"

struct vector {
    const char *ikm;
    const char *salt;
    const char *info;
    const char *okm;
};

static const struct vector vectors[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
     "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
     "404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
     "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
     "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
     "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
     "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
     "cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
};

/* case 34 */
static void rfc5869(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(vectors); k++) {
        uint8_t ikm[128];
        uint8_t salt[128];
        uint8_t info[128];
        uint8_t okm[128];
        uint8_t out[128];
        const struct rn_view ikm_view = rn_view_of(ikm, from_hex(ikm, vectors[k].ikm));
        const struct rn_view salt_view = rn_view_of(salt, from_hex(salt, vectors[k].salt));
        const struct rn_view info_view = rn_view_of(info, from_hex(info, vectors[k].info));
        const size_t length = from_hex(okm, vectors[k].okm);
        rn_kdf_sha256_long(out, length, ikm_view, salt_view, info_view);
        assert_memory_equal(out, okm, length);
    }
}

/* info = tag padded to 32 bytes || fields, with the most fields, with some and with none. */
static void purposes(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 8, RN_KDF_FIELDS_MAX};
    uint8_t info[RN_TAG_BYTES + RN_KDF_FIELDS_MAX] = "rondo/v1 pair";
    for (size_t k = 0; k < RN_KDF_FIELDS_MAX; k++) {
        info[RN_TAG_BYTES + k] = (uint8_t)(k + 1);
    }
    for (size_t k = 0; k < RN_ARRAY_LENGTH(lengths); k++) {
        uint8_t expected[RN_SECRET_BYTES];
        struct rn_secret32 key;
        rn_kdf_sha256_long(expected, sizeof(expected), rn_view_text("k"), rn_view_text("s"),
                           rn_view_of(info, RN_TAG_BYTES + lengths[k]));
        rn_kdf_sha256(&key, rn_view_text("k"), rn_view_text("s"), "rondo/v1 pair",
                      rn_view_of(info + RN_TAG_BYTES, lengths[k]));
        assert_memory_equal(key.bytes, expected, sizeof(expected));
    }
}

static void longest_output(void **state)
{
    (void)state;
    static uint8_t out[RN_KDF_LENGTH_MAX];
    uint8_t half[RN_KDF_LENGTH_MAX / 2];
    rn_kdf_sha256_long(out, sizeof(out), rn_view_text("k"), rn_view_of(NULL, 0), rn_view_text("i"));
    rn_kdf_sha256_long(half, sizeof(half), rn_view_text("k"), rn_view_of(NULL, 0),
                       rn_view_text("i"));
    assert_memory_equal(out, half, sizeof(half));
}

static void too_long(void)
{
    static uint8_t out[RN_KDF_LENGTH_MAX + 1];
    rn_kdf_sha256_long(out, sizeof(out), rn_view_text("k"), rn_view_of(NULL, 0), rn_view_text("i"));
}
static void derive(const char *tag, size_t length)
{
    static const uint8_t fields[RN_KDF_FIELDS_MAX + 1];
    struct rn_secret32 key;
    rn_kdf_sha256(&key, rn_view_text("k"), rn_view_text("s"), tag, rn_view_of(fields, length));
}
static void too_many_fields(void)
{
    derive("rondo/v1 pair", RN_KDF_FIELDS_MAX + 1);
}
static void without_prefix(void)
{
    derive("pair", 0);
}
static void another_version(void)
{
    derive("rondo/v10 pair", 0);
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(too_long);
    assert_aborts(too_many_fields);
    assert_aborts(without_prefix);
    assert_aborts(another_version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc5869),
        cmocka_unit_test(purposes),
        cmocka_unit_test(longest_output),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
