/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: limits, atomic replacement, locks; and the result table.
 */
#include "base/file.h"
#include "base/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)rn_text_format(folder, sizeof(folder), "/tmp/rondo-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static void write_then_read_back(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct rn_error err;
    assert_true(rn_is_ok(rn_path_join(path, folder, "a", &err)));
    assert_true(rn_is_ok(rn_file_write(path, rn_view_text("first"), 0600, &err)));
    assert_true(rn_is_ok(rn_file_write(path, rn_view_text("second"), 0600, &err)));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer in = {0};
    assert_true(rn_is_ok(rn_file_read(path, 6, &in, &err)));
    assert_string_equal(rn_buffer_text(&in), "second");
    assert_int_equal(rn_file_read(path, 5, &in, &err).code, RN_E_DATA);
    assert_non_null(strstr(err.text, path));
}

/* On a disk that is full after a few bytes; beside the old file nothing is left. */
static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    static const uint8_t large[8192];
    const struct rlimit before = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit small = {4096, RLIM_INFINITY};
    char alone[RN_PATH_MAX];
    char path[RN_PATH_MAX];
    struct rn_error err;
    assert_true(rn_is_ok(rn_path_join(alone, folder, "alone", &err)));
    assert_true(rn_is_ok(rn_directory_make(alone, 0700, &err)));
    assert_true(rn_is_ok(rn_path_join(path, alone, "kept", &err)));
    assert_true(rn_is_ok(rn_file_write(path, rn_view_text("old"), 0600, &err)));
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const rn_result result = rn_file_write(path, rn_view_of(large, sizeof(large)), 0600, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(result.code, RN_E_IO);
    assert_non_null(strstr(err.text, path));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer in = {0};
    assert_true(rn_is_ok(rn_file_read(path, 10, &in, &err)));
    assert_string_equal(rn_buffer_text(&in), "old");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(alone), 0);
    assert_int_equal(rn_file_write("/dev/full/x", rn_view_text("x"), 0600, &err).code, RN_E_IO);
    assert_int_equal(rn_file_write("/proc/nowhere/x", rn_view_text("x"), 0600, NULL).code, RN_E_IO);
}

static void private_files_are_the_owners_alone(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct rn_error err;
    assert_true(rn_is_ok(rn_path_join(path, folder, "key", &err)));
    assert_int_equal(rn_file_private_check(path, &err).code, RN_E_NO_INPUT);
    assert_true(rn_is_ok(rn_file_write(path, rn_view_text("k"), 0600, &err)));
    assert_true(rn_is_ok(rn_file_private_check(path, &err)));
    static const mode_t open_modes[] = {0640, 0620, 0610, 0604, 0602, 0601};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(open_modes); i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        assert_int_equal(rn_file_private_check(path, &err).code, RN_E_PERMISSION);
        assert_non_null(strstr(err.text, "chmod 600"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_true(rn_is_ok(rn_file_private_check(path, &err)));
}

static void missing_files_and_directories_are_named(void **state)
{
    (void)state;
    struct rn_error err;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer in = {0};
    assert_int_equal(rn_file_read("/nonexistent/f", 10, &in, &err).code, RN_E_NO_INPUT);
    assert_non_null(strstr(err.text, "/nonexistent/f"));
    assert_int_equal(rn_file_read("/tmp", 10, &in, &err).code, RN_E_NO_INPUT);
    char deep[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_path_join(deep, folder, "x/y/z", &err)));
    assert_true(rn_is_ok(rn_directory_make(deep, 0700, &err)));
    assert_true(rn_is_ok(rn_directory_make(deep, 0700, &err)));
    assert_true(rn_file_exists(deep));
}

static void a_lock_is_exclusive(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct rn_error err;
    int first = -1;
    int second = -1;
    assert_true(rn_is_ok(rn_path_join(path, folder, "lock", &err)));
    assert_true(rn_is_ok(rn_file_lock(path, &first, &err)));
    assert_int_equal(rn_file_lock(path, &second, &err).code, RN_E_BUSY);
    rn_file_unlock(&first);
    assert_true(rn_is_ok(rn_file_lock(path, &second, &err)));
    rn_file_unlock(&second);
}

static void long_paths_are_refused(void **state)
{
    (void)state;
    char out[RN_PATH_MAX];
    char name[RN_PATH_MAX];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(rn_path_join(out, "/d", name, NULL).code, RN_E_USAGE);
    name[RN_PATH_MAX - 4] = '\0';
    assert_true(rn_is_ok(rn_path_join(out, "/d", name, NULL)));
}

static void results_map_to_exit_codes(void **state)
{
    (void)state;
    struct rn_error err;
    const rn_result failed = rn_fail(&err, RN_E_CONFIG, "field %s", "rank");
    assert_int_equal(rn_exit_code(failed), 78);
    assert_int_equal(rn_class_of(failed), RN_CLASS_STOP);
    assert_string_equal(rn_code_name(failed.code), "config");
    (void)rn_fail_context(&err, failed, "plan.yaml:%d", 3);
    assert_string_equal(err.text, "plan.yaml:3: field rank");
    assert_int_equal(rn_exit_code(rn_ok()), 0);
    assert_int_equal(rn_exit_code((rn_result){RN_E_TIMEOUT}), 75);
    assert_int_equal(rn_exit_code((rn_result){RN_E_PEER_AUTH}), 76);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_then_read_back),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(private_files_are_the_owners_alone),
        cmocka_unit_test(missing_files_and_directories_are_named),
        cmocka_unit_test(a_lock_is_exclusive),
        cmocka_unit_test(long_paths_are_refused),
        cmocka_unit_test(results_map_to_exit_codes),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
