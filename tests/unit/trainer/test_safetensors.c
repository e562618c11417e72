/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors: what is written is read back; every lie of a header is refused; shards.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/ground/safetensors.h"

#include <math.h>

/* A file of this header and so many data bytes, 0, 1, 2, ... */
static const char *make(const char *name, const char *header, size_t data_bytes)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer file = {0};

    rn_buffer_u64(&file, strlen(header));
    rn_buffer_append(&file, header, strlen(header));
    for (size_t i = 0; i < data_bytes; i++) {
        rn_buffer_u8(&file, (uint8_t)i);
    }
    return fixture_file(name, rn_buffer_view(&file));
}

static void refused(const char *header, size_t data_bytes, const char *part)
{
    struct rn_safetensors *file = NULL;
    struct rn_error err = {{0}};

    const char *path = make("bad.safetensors", header, data_bytes);
    assert_failure(rn_safetensors_open(path, &file, &err), RN_E_DATA, &err, part);
    assert_non_null(strstr(err.text, "bad.safetensors"));
    assert_null(file);
}

#define ONE(offsets) "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" offsets "}}"

static void lying_headers_are_refused(void **state)
{
    (void)state;
    refused("", 0, "JSON");
    refused("{", 0, "JSON");
    refused("[]", 0, "object");
    refused(ONE("[0,8]"), 7, "outside");
    refused(ONE("[0,8]"), 9, "take 8 data bytes");
    refused(ONE("[0,4]"), 4, "do not agree");
    refused(ONE("[8,0]"), 8, "outside");
    refused(ONE("[-8,0]"), 8, "outside");
    refused(ONE("[0]"), 8, "two whole numbers");
    refused(ONE("[0,8.5]"), 8, "two whole numbers");
    refused(ONE("[0,99999999999999999999]"), 8, "JSON");
    refused("{\"w\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype");
    refused("{\"w\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype");
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape");
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "size");
    refused(
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[0,8]}}", 8,
        "too large");
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}",
            0, "");
    refused("{\"w\":7}", 0, "w");
    refused("{\"__metadata__\":3}", 0, "metadata");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
            6, "overlap");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]}}",
            6, "gap");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
            4, "JSON");
}

static void header_length_is_checked_first(void **state)
{
    static const uint64_t claims[] = {9, RN_SAFETENSORS_HEADER_MAX, RN_SAFETENSORS_HEADER_MAX + 1,
                                      UINT64_MAX};
    struct rn_safetensors *file = NULL;
    struct rn_error err = {{0}};

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(claims); i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
        rn_buffer_u64(&bytes, claims[i]);
        rn_buffer_append(&bytes, "{}      ", 8);
        const char *path = fixture_file("short", rn_buffer_view(&bytes));
        const char *reason = claims[i] > RN_SAFETENSORS_HEADER_MAX ? "limit" : "cut";
        assert_failure(rn_safetensors_open(path, &file, &err), RN_E_DATA, &err, reason);
    }
    assert_failure(rn_safetensors_open(fixture_text("short", "1234567"), &file, &err), RN_E_DATA,
                   &err, "too short");
    assert_failure(rn_safetensors_open("/nonexistent", &file, &err), RN_E_NO_INPUT, &err,
                   "/nonexistent");
}

/* Every cut of a sound file is refused. */
static void every_cut_is_noticed(void **state)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    const float data[3] = {1, 2, 3};
    const struct rn_tensor_out tensor = {"w", 3, 0, data};
    struct rn_safetensors *file = NULL;
    struct rn_error err = {{0}};

    (void)state;
    assert_ok(rn_safetensors_encode(&tensor, 1, &bytes, &err), &err);
    for (size_t length = 1; length < bytes.length; length++) {
        const char *path = fixture_file("cut", rn_view_of(bytes.data, length));
        assert_int_equal(rn_safetensors_open(path, &file, &err).code, RN_E_DATA);
    }
}

static void limits(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer header = {0};
        RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = NULL;
        struct rn_error err = {{0}};
        rn_buffer_format(&header, "{\"");
        const size_t length = RN_SAFETENSORS_NAME_MAX - 1 + extra;
        memset(rn_buffer_grow(&header, length), 'n', length);
        rn_buffer_format(&header, "\":{\"dtype\":\"F32\",\"shape\":[%s1],\"data_offsets\":[0,4]}}",
                         "1,1,1,1,1,1,1,");
        const char *path = make("limit", rn_buffer_text(&header), 4);
        assert_int_equal(rn_safetensors_open(path, &file, &err).code,
                         extra == 0 ? RN_OK : RN_E_DATA);
    }
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
            "at most 8");
}

static void tensors_stop_at_their_limit(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer header = {0};
        RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = NULL;
        struct rn_error err = {{0}};
        for (unsigned i = 0; i < RN_SAFETENSORS_TENSORS_MAX + extra; i++) {
            rn_buffer_format(&header,
                             "%c\"%u\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                             i == 0 ? '{' : ',', i);
        }
        rn_buffer_u8(&header, '}');
        const char *path = make("many", rn_buffer_text(&header), 0);
        assert_int_equal(rn_safetensors_open(path, &file, &err).code,
                         extra == 0 ? RN_OK : RN_E_DATA);
    }
}

static void written_tensors_come_back(void **state)
{
    const float a[6] = {1, -2, 3.5f, INFINITY, -0.0f, 1e-40f};
    const float b[2] = {7, 8};
    const struct rn_tensor_out tensors[] = {{"z.\"quoted\"", 2, 3, a}, {"a", 2, 0, b}};
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = NULL;
    struct rn_error err = {{0}};
    char path[RN_PATH_MAX];
    float back[6];

    (void)state;
    assert_ok(rn_path_join(path, fixture_folder, "w.safetensors", &err), &err);
    assert_ok(rn_safetensors_write(path, tensors, 2, &err), &err);
    assert_ok(rn_safetensors_open(path, &file, &err), &err);
    assert_int_equal(rn_safetensors_count(file), 2);
    assert_string_equal(rn_safetensors_at(file, 0)->name, "a");
    assert_string_equal(rn_safetensors_metadata(file, "format"), "pt");
    assert_ok(rn_safetensors_read(file, "z.\"quoted\"", 2, 3, back, &err), &err);
    assert_memory_equal(back, a, sizeof a);
    assert_ok(rn_safetensors_read(file, "a", 2, 0, back, &err), &err);
    assert_memory_equal(back, b, sizeof b);
    assert_failure(rn_safetensors_read(file, "a", 1, 2, back, &err), RN_E_DATA, &err,
                   "tensor a has shape [2], expected [1,2]");
    assert_failure(rn_safetensors_read(file, "q", 1, 2, back, &err), RN_E_DATA, &err,
                   "tensor q is missing");
    assert_failure(rn_safetensors_write(
                       path, (struct rn_tensor_out[]){{"a", 2, 0, b}, {"a", 2, 0, b}}, 2, &err),
                   RN_E_USAGE, &err, "twice");
}

/* Halves and bfloat16 of known value: 1, -2, the smallest subnormal, infinity. */
static void halves_are_widened_exactly(void **state)
{
    static const uint8_t data[] = {0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x7c,
                                   0x80, 0x3f, 0x00, 0xc0, 0x01, 0x00, 0x80, 0x7f};
    static const char header[] =
        "{\"h\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[8,16]},"
        "\"i\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[16,16]}}";
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_error err = {{0}};
    float out[4];

    (void)state;
    rn_buffer_u64(&bytes, sizeof header - 1);
    rn_buffer_append(&bytes, header, sizeof header - 1);
    rn_buffer_append(&bytes, data, sizeof data);
    assert_ok(rn_safetensors_open(fixture_file("h", rn_buffer_view(&bytes)), &file, &err), &err);
    assert_ok(rn_safetensors_read(file, "h", 4, 0, out, &err), &err);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == ldexpf(1, -24) && isinf(out[3]));
    assert_ok(rn_safetensors_read(file, "b", 4, 0, out, &err), &err);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == ldexpf(1, -133) && isinf(out[3]));
    assert_failure(rn_safetensors_read(file, "i", 0, 0, out, &err), RN_E_UNSUPPORTED, &err, "I64");
}

static void old_norm_names_and_prefixes_are_found(void **state)
{
    const float x[1] = {5};
    const struct rn_tensor_out tensors[] = {{"bert.e.LayerNorm.gamma", 1, 0, x},
                                            {"e.LayerNorm.beta", 1, 0, x}};
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = NULL;
    struct rn_error err = {{0}};
    char path[RN_PATH_MAX];

    (void)state;
    assert_ok(rn_path_join(path, fixture_folder, "g", &err), &err);
    assert_ok(rn_safetensors_write(path, tensors, 2, &err), &err);
    assert_ok(rn_safetensors_open(path, &file, &err), &err);
    assert_non_null(rn_safetensors_find(file, "bert.e.LayerNorm.weight"));
    assert_null(rn_safetensors_find(file, "bert.e.LayerNorm.bias"));
    assert_non_null(rn_safetensors_find_prefixed(file, "bert", "e.LayerNorm.bias"));
    assert_null(rn_safetensors_find_prefixed(file, "bert", "e.bias"));
}

static void write_shard(const char *name, const char *tensor)
{
    const float x[1] = {5};
    const struct rn_tensor_out out = {tensor, 1, 0, x};
    struct rn_error err = {{0}};
    char path[RN_PATH_MAX];

    assert_ok(rn_path_join(path, fixture_folder, name, &err), &err);
    assert_ok(rn_safetensors_write(path, &out, 1, &err), &err);
}

static void shards_must_agree_with_their_index(void **state)
{
    static const struct {
        const char *index;
        const char *part; /* NULL: opens */
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"s1\",\"b\":\"s2\"}}", NULL},
        {"{\"weight_map\":{\"a\":\"s2\",\"b\":\"s1\"}}", "index does not say"},
        {"{\"weight_map\":{\"a\":\"s1\"}}", NULL},
        {"{\"weight_map\":{\"a\":\"s1\",\"b\":\"s2\",\"c\":\"s2\"}}", "names 3 tensors"},
        {"{\"weight_map\":{\"a\":\"../s1\"}}", "plain file name"},
        {"{\"weight_map\":{\"a\":1}}", "plain file name"},
        {"{\"weight_map\":{}}", "empty"},
        {"{\"weight_map\":{\"a\":\"s1\",\"b\":\"s3\"}}", "both hold tensor"},
    };
    struct rn_error err = {{0}};

    (void)state;
    struct rn_safetensors *none = NULL;
    assert_failure(rn_safetensors_open_model(fixture_folder, &none, &err), RN_E_NO_INPUT, &err,
                   "neither");
    write_shard("s1", "a");
    write_shard("s2", "b");
    write_shard("s3", "a");
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = NULL;
        (void)fixture_text("model.safetensors.index.json", cases[i].index);
        const rn_result result = rn_safetensors_open_model(fixture_folder, &file, &err);
        if (cases[i].part == NULL) {
            assert_ok(result, &err);
        } else {
            assert_failure(result, RN_E_DATA, &err, cases[i].part);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_must_agree_with_their_index),
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(header_length_is_checked_first),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(limits),
        cmocka_unit_test(tensors_stop_at_their_limit),
        cmocka_unit_test(written_tensors_come_back),
        cmocka_unit_test(halves_are_widened_exactly),
        cmocka_unit_test(old_norm_names_and_prefixes_are_found),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_remove);
}
