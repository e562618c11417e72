/* SPDX-License-Identifier: Apache-2.0
 *
 * The files for uploads: what was put comes back, a member's room is given back and nothing is left
 * of it, and a full disk is a failure that leaves the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/guard.h"
#include "services/host/uploadspool.h"

static char directory[64];

static int setup(void **state)
{
    (void)state;
    (void)strcpy(directory, "/tmp/rn_spoolXXXXXX");
    return mkdtemp(directory) == NULL;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(directory); /* everything was dropped */
}

static bool is_there(const struct rn_sa_spool *face, uint32_t member, uint32_t chunk,
                     const char *text)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    const rn_result result = face->get(face->context, member, chunk, strlen(text), &out, NULL);
    return rn_is_ok(result) && rn_view_equal(rn_buffer_view(&out), rn_view_text(text));
}

static void expect(const struct rn_sa_spool *face, uint32_t member, uint32_t chunk,
                   const char *text)
{
    assert_true(is_there(face, member, chunk, text));
}

static void test_keeps(void **state)
{
    (void)state;
    struct rn_upload_spool *spool = rn_upload_spool_new(directory);
    const struct rn_sa_spool *face = rn_upload_spool_of(spool);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    assert_true(rn_is_ok(face->put(face->context, 0, 0, rn_view_text("first"), NULL)));
    assert_true(rn_is_ok(face->put(face->context, 127, 32767, rn_view_text("last of all"), NULL)));
    assert_true(rn_is_ok(face->put(face->context, 0, 1, rn_view_text("second"), NULL)));
    assert_true(rn_is_ok(face->put(face->context, 0, 0, rn_view_text("again"), NULL)));
    expect(face, 0, 0, "again");
    expect(face, 0, 1, "second");
    expect(face, 127, 32767, "last of all");
    assert_int_equal(face->get(face->context, 127, 32767, 100, &out, NULL).code, RN_E_IO);
    face->drop(face->context, 0);
    assert_false(is_there(face, 0, 0, "again"));
    expect(face, 127, 32767, "last of all");
    rn_upload_spool_free(spool);
    spool = rn_upload_spool_new(directory); /* the next process */
    face = rn_upload_spool_of(spool);
    expect(face, 127, 32767, "last of all");
    face->drop(face->context, 127);
    face->drop(face->context, 5); /* nothing of it was put */
    rn_upload_spool_free(spool);
}

static void test_full(void **state)
{
    (void)state;
    struct rn_upload_spool *spool = rn_upload_spool_new(directory);
    const struct rn_sa_spool *face = rn_upload_spool_of(spool);
    struct rn_error err = {{0}};
    const struct rlimit before = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit small = {(rlim_t)1 << 20, RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_true(rn_is_ok(face->put(face->context, 0, 0, rn_view_text("fits"), NULL)));
    assert_int_equal(face->put(face->context, 1, 1, rn_view_text("too far"), &err).code, RN_E_IO);
    assert_non_null(strstr(err.text, directory));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    expect(face, 0, 0, "fits");
    assert_true(rn_is_ok(face->put(face->context, 1, 1, rn_view_text("now"), NULL)));
    expect(face, 1, 1, "now");
    face->drop(face->context, 0);
    face->drop(face->context, 1);
    rn_upload_spool_free(spool);
}

static void test_no_directory(void **state)
{
    (void)state;
    struct rn_upload_spool *spool = rn_upload_spool_new("/nonexistent");
    const struct rn_sa_spool *face = rn_upload_spool_of(spool);
    assert_int_equal(face->put(face->context, 0, 0, rn_view_text("x"), NULL).code, RN_E_IO);
    rn_upload_spool_free(spool);
}

static void test_default(void **state)
{
    (void)state;
    const uint64_t mib = (uint64_t)1 << 20;
    assert_int_equal(rn_upload_memory_default(0), 64 * mib);
    assert_int_equal(rn_upload_memory_default(256 * mib), 64 * mib);
    assert_int_equal(rn_upload_memory_default(2048 * mib), 512 * mib);
    assert_int_equal(rn_upload_memory_default(UINT64_MAX), 4096 * mib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keeps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test(test_no_directory),
        cmocka_unit_test(test_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
