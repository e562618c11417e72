/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of products' plans: what was kept comes back; another device's, a damaged, cut or
 * continued one counts as none; limits.
 */
#include "tests/unit/cuda/cudacheck.h"
#include "trainer/kernels/cuda/cudaplans.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"

#include <unistd.h>

static char folder[] = "/tmp/rondo-plans-XXXXXX";
static char path[RN_PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || !rn_text_format(path, sizeof(path), "%s/plans", folder);
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static struct rn_cuda_plan_key key_of(int64_t n)
{
    return (struct rn_cuda_plan_key){
        .rows = 2048, .n = n, .k = 1024, .exact = 1, .by_rows = n % 2 == 0, .has_bias = n % 3 == 0};
}

static void put(struct rn_cuda_plans *plans, int64_t n)
{
    const struct rn_cuda_plan_key key = key_of(n);
    uint8_t algorithm[RN_CUDA_ALGORITHM_BYTES];
    for (size_t i = 0; i < sizeof(algorithm); i++) {
        algorithm[i] = (uint8_t)(n * 31 + (int64_t)i);
    }
    assert_true(rn_cuda_plans_put(plans, &key, algorithm)->checked);
}

static struct rn_cuda_plans *new_plans(const char *owner)
{
    struct rn_cuda_plans *plans = rn_alloc(1, sizeof(*plans));
    assert_true(rn_text_format(plans->owner, sizeof(plans->owner), "%s", owner));
    return plans;
}

static void save(const struct rn_cuda_plans *plans)
{
    struct rn_error err;
    if (!rn_is_ok(rn_cuda_plans_save(plans, path, &err))) {
        fail_msg("%s", err.text);
    }
}

static void what_was_kept_comes_back(void **state)
{
    (void)state;
    struct rn_cuda_plans *kept = new_plans("a device, driver 13000, cublasLt 130100");
    struct rn_cuda_plans *read = new_plans(kept->owner);
    save(kept); /* none is good, too */
    assert_true(rn_cuda_plans_load(read, path));
    assert_int_equal(read->count, 0);
    for (int64_t n = 1; n <= RN_CUDA_PLANS_MAX; n++) {
        put(kept, n);
    }
    put(kept, 7); /* the same key: in its place */
    assert_int_equal(kept->count, RN_CUDA_PLANS_MAX);
    save(kept);
    assert_true(rn_cuda_plans_load(read, path));
    assert_int_equal(read->count, RN_CUDA_PLANS_MAX);
    for (int64_t n = 1; n <= RN_CUDA_PLANS_MAX; n++) {
        const struct rn_cuda_plan_key key = key_of(n);
        const struct rn_cuda_plan *a = rn_cuda_plans_find(kept, &key);
        const struct rn_cuda_plan *b = rn_cuda_plans_find(read, &key);
        assert_non_null(b);
        assert_false(b->checked);
        assert_memory_equal(a->algorithm, b->algorithm, sizeof(a->algorithm));
    }
    put(kept, RN_CUDA_PLANS_MAX + 1); /* one too many: all are forgotten first */
    assert_int_equal(kept->count, 1);
    rn_free(kept);
    rn_free(read);
}

static void another_device_has_none(void **state)
{
    (void)state;
    static const char *const others[] = {"a device, driver 13010, cublasLt 130100",
                                         "a device, driver 13000, cublasLt 130101",
                                         "another, driver 13000, cublasLt 130100", ""};
    struct rn_cuda_plans *kept = new_plans("a device, driver 13000, cublasLt 130100");
    put(kept, 5);
    save(kept);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(others); i++) {
        struct rn_cuda_plans *read = new_plans(others[i]);
        put(read, 3);
        assert_false(rn_cuda_plans_load(read, path));
        assert_int_equal(read->count, 0);
        rn_free(read);
    }
    rn_free(kept);
}

static void write_bytes(const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb"); /* thousands of times: not durably */
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* Each byte changed, the file cut at each place, and more after its end. */
static void a_damaged_file_counts_as_none(void **state)
{
    (void)state;
    struct rn_cuda_plans *plans = new_plans("a device");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    put(plans, 5);
    put(plans, 6);
    save(plans);
    assert_true(rn_is_ok(rn_file_read(path, 1 << 20, &text, NULL)));
    for (size_t i = 0; i < text.length; i++) {
        const uint8_t was = text.data[i];
        static const uint8_t changes[] = {1, 0x20, 0xff};
        for (size_t c = 0; c < sizeof(changes); c++) {
            text.data[i] = (uint8_t)(c < 2 ? was ^ changes[c] : 0);
            write_bytes(text.data, text.length);
            if (rn_cuda_plans_load(plans, path)) {
                fail_msg("byte %zu, changed from %d to %d, was not noticed", i, was, text.data[i]);
            }
            assert_int_equal(plans->count, 0);
        }
        text.data[i] = was;
        write_bytes(text.data, i);
        assert_false(rn_cuda_plans_load(plans, path));
    }
    write_bytes(text.data, text.length);
    assert_true(rn_cuda_plans_load(plans, path));
    assert_int_equal(plans->count, 2);
    rn_buffer_u8(&text, '\n');
    write_bytes(text.data, text.length);
    assert_false(rn_cuda_plans_load(plans, path));
    rn_free(plans);
}

static void no_file_and_no_folder(void **state)
{
    (void)state;
    struct rn_cuda_plans *plans = new_plans("a device");
    char nowhere[RN_PATH_MAX];
    assert_true(rn_text_format(nowhere, sizeof(nowhere), "%s/none/plans", folder));
    assert_false(rn_cuda_plans_load(plans, nowhere));
    assert_false(rn_is_ok(rn_cuda_plans_save(plans, nowhere, NULL)));
    rn_free(plans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_comes_back),
        cmocka_unit_test(another_device_has_none),
        cmocka_unit_test(a_damaged_file_counts_as_none),
        cmocka_unit_test(no_file_and_no_folder),
    };
    return cmocka_run_group_tests_name("plans", tests, make_folder, remove_folder);
}
