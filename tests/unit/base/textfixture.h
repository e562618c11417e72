/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder for a test's files, and files in it.
 */
#ifndef RN_TESTS_TEXTFIXTURE_H
#define RN_TESTS_TEXTFIXTURE_H

#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char fixture_folder[64];
static char fixture_path[RN_PATH_MAX];

static inline int fixture_setup(void **state)
{
    (void)state;
    (void)rn_text_format(fixture_folder, sizeof fixture_folder, "/tmp/rondo-test-XXXXXX");
    return mkdtemp(fixture_folder) == NULL;
}

static inline int fixture_remove(void **state)
{
    char command[128];

    (void)state;
    (void)rn_text_format(command, sizeof command, "rm -rf '%s'", fixture_folder);
    return system(command);
}

/* The path of a file in the folder; valid until the next call. */
static inline const char *fixture_file(const char *name, struct rn_view content)
{
    struct rn_error err = {{0}};

    assert_true(rn_is_ok(rn_path_join(fixture_path, fixture_folder, name, &err)));
    assert_true(rn_is_ok(rn_file_write(fixture_path, content, 0644, &err)));
    return fixture_path;
}

static inline const char *fixture_text(const char *name, const char *content)
{
    return fixture_file(name, rn_view_text(content));
}

/* A failure with this code whose sentence holds part. */
static inline void assert_failure(rn_result result, enum rn_code code, const struct rn_error *err,
                                  const char *part)
{
    if (result.code != code || strstr(err->text, part) == NULL) {
        print_error("got %s: %s\nexpected %s with \"%s\"\n", rn_code_name(result.code), err->text,
                    rn_code_name(code), part);
        fail();
    }
}

static inline void assert_ok(rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result)) {
        print_error("%s: %s\n", rn_code_name(result.code), err->text);
        fail();
    }
}

#endif
