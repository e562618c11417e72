/* SPDX-License-Identifier: Apache-2.0
 *
 * What the system says is free: /proc/meminfo and both versions of control groups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memoryavailable.h"

#include "tests/unit/base/textfixture.h"

static void put(const char *folder, const char *name, const char *text)
{
    char path[RN_PATH_MAX];
    char file[RN_PATH_MAX];
    struct rn_error err;
    assert_true(rn_text_format(path, sizeof path, "%s/%s", fixture_folder, folder));
    assert_true(rn_is_ok(rn_directory_make(path, 0755, &err)));
    assert_true(rn_is_ok(rn_path_join(file, path, name, &err)));
    assert_true(rn_is_ok(rn_file_write(file, rn_view_text(text), 0644, &err)));
}

static uint64_t available(void)
{
    char proc[RN_PATH_MAX];
    char group[RN_PATH_MAX];
    (void)rn_text_format(proc, sizeof proc, "%s/proc", fixture_folder);
    (void)rn_text_format(group, sizeof group, "%s/cgroup", fixture_folder);
    return rn_memory_available_in(proc, group);
}

static void least_of_all_limits(void **state)
{
    (void)state;
    assert_true(available() == UINT64_MAX);
    put("proc", "meminfo", "MemTotal:  9000 kB\nMemFree: 1 kB\nMemAvailable:    5000 kB\n");
    assert_int_equal(available(), 5000 * 1024);
    put("proc/self", "cgroup", "0::/a/b\n");
    put("cgroup/a/b", "memory.max", "max\n");
    put("cgroup/a/b", "memory.current", "100\n");
    assert_int_equal(available(), 5000 * 1024);
    put("cgroup/a", "memory.max", "4000000\n"); /* the limit of a group above */
    put("cgroup/a", "memory.current", "1000000\n");
    assert_int_equal(available(), 3000000);
    put("cgroup/a", "memory.stat", "anon 5\ninactive_file 200000\nslab 3\n");
    assert_int_equal(available(), 3200000);
    put("cgroup/a/b", "memory.max", "90\n"); /* holds more than it may */
    assert_int_equal(available(), 0);
}

static void version_one(void **state)
{
    (void)state;
    put("proc", "meminfo", "MemAvailable:    5000 kB\n");
    put("proc/self", "cgroup", "5:cpu:/x\n4:memory:/x/y\n");
    assert_int_equal(available(), 5000 * 1024);
    put("cgroup/memory/x/y", "memory.limit_in_bytes", "700000\n");
    put("cgroup/memory/x/y", "memory.usage_in_bytes", "300000\n");
    put("cgroup/memory/x/y", "memory.stat", "cache 1\ntotal_inactive_file 1000\n");
    assert_int_equal(available(), 401000);
}

static void this_machine_says_something(void **state)
{
    (void)state;
    assert_true(rn_memory_available() > 0);
    assert_true(rn_memory_available() < UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(least_of_all_limits, fixture_setup, fixture_remove),
        cmocka_unit_test_setup_teardown(version_one, fixture_setup, fixture_remove),
        cmocka_unit_test(this_machine_says_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
