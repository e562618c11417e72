/* SPDX-License-Identifier: Apache-2.0
 *
 * A service that ends, or whose disk fails, at every call with which rn_siteledger_charge writes;
 * then the next start. Whatever was durable of it: what was sent is charged in each copy alone, so
 * that no second plan over the base model is allowed, and the plan itself goes on.
 *
 * The calls of base/file.c come here first. A process of its own dies at one of them. What was not
 * synced by then may be lost: half of a file's bytes, or its new name.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/host/siteledger.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int descriptor, const void *data, size_t length);
int __real_rename(const char *from, const char *to);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_write(int descriptor, const void *data, size_t length);
int __wrap_rename(const char *from, const char *to);
int __wrap_fsync(int descriptor);
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);

/* ---- The disk. */

enum mode {
    DIES_BEFORE,
    DIES_AFTER, /* of a write: when half of it is done */
    FAILS,
    FAILS_AFTER, /* as DIES_AFTER, but the process lives and is told of a failure */
    MODES,
};

/* What a power cut takes of that which is not synced. */
enum { LOSES_BYTES = 1, LOSES_NAMES = 2, LOSSES = 4 };

/* Under a sanitizer, where a process is slow to fork: nothing or all of it, and fewer pairs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LOSSES_STEP = LOSSES - 1, PAIRS_STEP = 3 };
#else
enum { LOSSES_STEP = 1, PAIRS_STEP = 1 };
#endif

enum { FILES_MAX = 16, CONTENT_MAX = 1024 };

static struct {
    bool counts; /* calls are, and one of them is struck */
    uint32_t calls, struck_at;
    enum mode mode;
    unsigned losses;
    bool struck, full;
} disk;

/* Shared with the processes that die: what a death leaves, a later power cut may take. */
static struct cached {
    char path[RN_PATH_MAX];
    bool bytes_unsynced, name_unsynced;
    bool existed; /* before its new name, with this content */
    uint8_t content[CONTENT_MAX];
    size_t length;
} * cached;

static struct cached *cached_of(const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (cached[i].path[0] == '\0' && !rn_text_format(cached[i].path, RN_PATH_MAX, "%s", path)) {
            break;
        }
        if (strcmp(cached[i].path, path) == 0) {
            return &cached[i];
        }
    }
    RN_BUG_IF(true);
    return NULL;
}

static struct cached *cached_behind(int descriptor)
{
    char link[64];
    char path[RN_PATH_MAX] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    RN_BUG_IF(readlink(link, path, sizeof path - 1) <= 0);
    return cached_of(path);
}

static void content_put(const char *path, const void *content, size_t length)
{
    const int descriptor = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    RN_BUG_IF(descriptor < 0 || __real_write(descriptor, content, length) != (ssize_t)length);
    (void)close(descriptor);
}

static void content_take(const char *path, struct cached *out)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const bool counts = disk.counts;
    disk.counts = false;
    out->existed = rn_is_ok(rn_file_read(path, CONTENT_MAX, &text, NULL));
    disk.counts = counts;
    out->length = text.length;
    if (text.length > 0) {
        memcpy(out->content, text.data, text.length);
    }
}

static void power_cut(void)
{
    struct stat facts;
    for (size_t i = 0; i < FILES_MAX && cached[i].path[0] != '\0'; i++) {
        const struct cached *file = &cached[i];
        if ((disk.losses & LOSES_NAMES) != 0 && file->name_unsynced) {
            if (file->existed) {
                content_put(file->path, file->content, file->length);
            } else {
                (void)unlink(file->path);
            }
        } else if ((disk.losses & LOSES_BYTES) != 0 && file->bytes_unsynced &&
                   stat(file->path, &facts) == 0) {
            RN_BUG_IF(truncate(file->path, facts.st_size / 2) != 0);
        }
    }
    if (disk.losses != 0) {
        memset(cached, 0, FILES_MAX * sizeof *cached);
    }
}

enum ending { CHARGED = 10, CHARGED_IN_SPITE, STOPPED, DIED, REFUSED };

static void die(void)
{
    power_cut();
    _exit(DIED);
}

/* Is it this call's turn? Then the process is gone, or the call fails. */
static bool is_struck(void)
{
    if (!disk.counts || disk.calls++ != disk.struck_at) {
        return false;
    }
    disk.struck = true;
    if (disk.mode == DIES_BEFORE) {
        die();
    }
    errno = EIO;
    return true;
}

/* What is struck and was done all the same. */
static int struck_after(int result)
{
    if (disk.mode == DIES_AFTER) {
        die();
    }
    (void)result;
    errno = EIO;
    return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    const bool struck = (flags & (O_TRUNC | O_DIRECTORY)) != 0 && is_struck(); /* of a write */
    if (struck && disk.mode == FAILS) {
        return -1;
    }
    const int descriptor = __real_open(path, flags, mode);
    if (struck) {
        (void)close(descriptor);
    }
    return struck ? struck_after(descriptor) : descriptor;
}

ssize_t __wrap_write(int descriptor, const void *data, size_t length)
{
    if (!disk.counts) {
        return __real_write(descriptor, data, length);
    }
    cached_behind(descriptor)->bytes_unsynced = true;
    const bool struck = is_struck();
    if (disk.full || (struck && disk.mode == FAILS)) {
        errno = ENOSPC;
        return -1;
    }
    if (!struck) {
        return __real_write(descriptor, data, length);
    }
    const ssize_t wrote = __real_write(descriptor, data, length / 2);
    if (disk.mode == DIES_AFTER) {
        die();
    }
    disk.full = true; /* a short write, and then no room */
    return wrote;
}

int __wrap_fsync(int descriptor)
{
    struct stat facts;
    const bool struck = is_struck();
    if (struck && disk.mode == FAILS) {
        return -1;
    }
    struct cached *file = cached_behind(descriptor);
    RN_BUG_IF(fstat(descriptor, &facts) != 0);
    file->bytes_unsynced = false;
    for (size_t i = 0; S_ISDIR(facts.st_mode) && i < FILES_MAX; i++) {
        const size_t length = strlen(file->path);
        if (strncmp(cached[i].path, file->path, length) == 0 && cached[i].path[length] == '/') {
            cached[i].name_unsynced = false;
        }
    }
    return struck ? struck_after(0) : 0;
}

int __wrap_rename(const char *from, const char *to)
{
    const bool struck = is_struck();
    if (struck && disk.mode == FAILS) {
        return -1;
    }
    struct cached *file = cached_of(to);
    if (!file->name_unsynced) {
        content_take(to, file);
    }
    file->name_unsynced = true;
    file->bytes_unsynced = cached_of(from)->bytes_unsynced;
    cached_of(from)->bytes_unsynced = false;
    const int result = __real_rename(from, to);
    return struck ? struck_after(result) : result;
}

/* ---- The site: one copy beside the identity, one in the state, and two empty directories. */

enum { SITE, STATE, NO_SITE, NO_STATE, DIRECTORIES };

static char root[RN_PATH_MAX];
static char directories[DIRECTORIES][RN_PATH_MAX];
static char record[RN_PATH_MAX]; /* of the first session, in the journal: then updates may go */
static struct rn_error error;
static const struct rn_identity_public owner = {{7}};
/* Another plan over the same base model, and one over another, which ran before. */
static const struct rn_plan plan = {.hash = {1}, .model_hash = {1}, .seed = 1};
static const struct rn_plan rival = {.hash = {2}, .model_hash = {1}, .seed = 2};
static const struct rn_plan before = {.hash = {3}, .model_hash = {3}, .seed = 3};

static bool read_only; /* the directory of the identity; for root too */

int __wrap_access(const char *path, int mode)
{
    if (read_only && mode == W_OK && strcmp(path, directories[SITE]) == 0) {
        errno = EROFS;
        return -1;
    }
    return __real_access(path, mode);
}

static struct rn_siteledger_place place_of(int site, int state)
{
    return (struct rn_siteledger_place){directories[site], directories[state], &owner};
}

static void path_to(char out[static RN_PATH_MAX], const char *folder, const char *name)
{
    RN_BUG_IF(!rn_is_ok(rn_path_join(out, folder, name, NULL)));
}

/* The plan before is in both copies, or in one of them. */
static void site_make(unsigned copies)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_free_cleanup) struct rn_job_ledger *ledger = rn_alloc(1, sizeof *ledger);
    rn_job_ledger_init(ledger, &owner);
    assert_true(rn_is_ok(rn_job_ledger_charge(ledger, &before, &error)));
    rn_job_ledger_write(ledger, &text);
    (void)unlink(record);
    memset(cached, 0, FILES_MAX * sizeof *cached);
    for (int i = SITE; i <= STATE; i++) {
        path_to(path, directories[i], RN_SITE_LEDGER);
        (void)unlink(path);
        if ((copies & 1u << i) != 0) {
            content_put(path, text.data, text.length);
        }
    }
}

/* ---- A service, from its start to its first session. */

static rn_result opens(struct rn_siteledger **out)
{
    const struct rn_siteledger_place place = place_of(SITE, STATE);
    const struct rn_siteledger_state state = {true, rn_file_exists(record)};
    disk.full = false;
    disk.counts = true; /* a copy that lacks something is written */
    const rn_result result = rn_siteledger_open(&place, &plan, 1, state, out, &error);
    disk.counts = false;
    return result;
}

static rn_result charges(struct rn_siteledger *ledger)
{
    disk.full = false;
    disk.counts = true;
    const rn_result result = rn_siteledger_charge(ledger, &error);
    disk.counts = false;
    return result;
}

/* The executor stops at a failure; one that tried again would have to get what it asked for. */
static enum ending serve(bool again)
{
    struct rn_siteledger *ledger = NULL;
    rn_result result = opens(&ledger);
    if (result.code == RN_E_IO && again) {
        result = opens(&ledger);
    }
    if (!rn_is_ok(result) && result.code != RN_E_IO) {
        return REFUSED;
    }
    bool charged = ledger != NULL && rn_is_ok(charges(ledger));
    if (ledger != NULL && !charged && again) {
        charged = rn_is_ok(charges(ledger));
    }
    power_cut();
    if (charged) {
        content_put(record, "", 0);
    }
    return charged ? (disk.struck ? CHARGED_IN_SPITE : CHARGED) : STOPPED;
}

static enum ending run(enum mode mode, unsigned losses, uint32_t struck_at, bool again)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        disk.mode = mode;
        disk.losses = losses;
        disk.struck_at = struck_at;
        _exit(serve(again));
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return (enum ending)WEXITSTATUS(status);
}

/* ---- What holds after it. */

static bool copy_has(int site, int state, const struct rn_plan *which)
{
    const struct rn_siteledger_place place = place_of(site, state);
    RN_CLEANUP(rn_free_cleanup) struct rn_job_ledger *ledger = rn_alloc(1, sizeof *ledger);
    if (!rn_is_ok(rn_siteledger_read(&place, ledger, &error))) {
        fail_msg("%s", error.text);
    }
    return rn_job_ledger_has(ledger, which->hash);
}

static enum rn_code tried(int site, int state, const struct rn_plan *which)
{
    struct rn_siteledger *ledger = NULL;
    const struct rn_siteledger_place place = place_of(site, state);
    const struct rn_siteledger_state fresh = {false, false};
    const rn_result result = rn_siteledger_open(&place, which, 1, fresh, &ledger, &error);
    rn_siteledger_free(ledger);
    return result.code;
}

static void expect_no_under_charge(void)
{
    assert_true(copy_has(SITE, STATE, &before));
    if (rn_file_exists(record) && read_only) {
        assert_true(copy_has(NO_SITE, STATE, &plan) && !copy_has(SITE, NO_STATE, &plan));
        assert_int_equal(tried(SITE, STATE, &rival), RN_E_REFUSED);
    } else if (rn_file_exists(record)) {
        assert_true(copy_has(SITE, NO_STATE, &plan));
        assert_true(copy_has(NO_SITE, STATE, &plan));
        assert_int_equal(tried(SITE, NO_STATE, &rival), RN_E_REFUSED);
        assert_int_equal(tried(NO_SITE, STATE, &rival), RN_E_REFUSED);
        assert_int_equal(tried(SITE, NO_STATE, &plan), RN_E_DATA); /* its state is lost */
    }
}

/* The next start of the same plan is no more struck; it charges, in both copies. */
static void expect_to_go_on(void)
{
    assert_int_equal(run(FAILS, LOSSES - 1, UINT32_MAX, false), CHARGED);
    expect_no_under_charge();
    assert_true(copy_has(NO_SITE, STATE, &before));
    assert_true(read_only || copy_has(SITE, NO_STATE, &before));
    assert_true(rn_file_exists(record));
}

/* At each call in turn, until one run is through without being struck; returns the calls. */
static uint32_t strike_each(enum mode mode, unsigned losses, unsigned copies, bool again)
{
    for (uint32_t at = 0;; at++) {
        site_make(copies);
        const enum ending ending = run(mode, losses, at, again);
        const bool dies = mode == DIES_BEFORE || mode == DIES_AFTER;
        expect_no_under_charge();
        if (ending == CHARGED) {
            return at;
        }
        assert_int_equal(ending, dies ? DIED : again ? CHARGED_IN_SPITE : STOPPED);
        assert_true(rn_file_exists(record) == (ending == CHARGED_IN_SPITE));
        expect_to_go_on();
    }
}

/* Two copies are made, written, synced and renamed at least. */
enum { CALLS_MIN = 2 * 4 };

static void every_write_may_be_the_last(void **state)
{
    (void)state;
    for (unsigned losses = 0; losses < LOSSES; losses += LOSSES_STEP) {
        for (unsigned copies = 1; copies < 4; copies++) {
            assert_true(strike_each(DIES_BEFORE, losses, copies, false) >= CALLS_MIN);
            assert_true(strike_each(DIES_AFTER, losses, copies, false) >= CALLS_MIN);
        }
    }
}

static void every_write_may_fail(void **state)
{
    (void)state;
    for (unsigned losses = 0; losses < LOSSES; losses += LOSSES_STEP) {
        for (unsigned copies = 1; copies < 4; copies++) {
            for (int again = 0; again < 2; again++) {
                assert_true(strike_each(FAILS, losses, copies, again == 1) >= CALLS_MIN);
                assert_true(strike_each(FAILS_AFTER, losses, copies, again == 1) >= CALLS_MIN);
            }
        }
    }
}

/* Also on the way back. */
static void two_crashes_in_a_row(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < CALLS_MIN; first++) {
        for (uint32_t second = first % PAIRS_STEP; second < CALLS_MIN; second += PAIRS_STEP) {
            const unsigned losses = (first + second) % LOSSES; /* 0: a process alone dies */
            site_make(1u << SITE | 1u << STATE);
            assert_int_equal(run(DIES_AFTER, losses, first, false), DIED);
            expect_no_under_charge();
            assert_int_equal(run(DIES_BEFORE, LOSSES - 1 - losses, second, false), DIED);
            expect_no_under_charge();
            expect_to_go_on();
        }
    }
}

/* A site directory that cannot be written (a Secret): the state alone has the charge. */
static void a_site_that_cannot_be_written(void **state)
{
    (void)state;
    read_only = true;
    for (unsigned losses = 0; losses < LOSSES; losses += LOSSES_STEP) {
        for (unsigned copies = 1; copies < 4; copies++) {
            assert_true(strike_each(DIES_AFTER, losses, copies, false) >= CALLS_MIN / 2);
            assert_true(strike_each(FAILS, losses, copies, true) >= CALLS_MIN / 2);
        }
    }
    read_only = false;
}

static int setup(void **state)
{
    (void)state;
    static const char *const names[] = {"site", "state", "no-site", "no-state"};
    (void)rn_text_format(root, sizeof root, "/tmp/rondo-ledgercrash-XXXXXX");
    cached = mmap(NULL, FILES_MAX * sizeof *cached, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mkdtemp(root) == NULL || cached == MAP_FAILED) {
        return -1;
    }
    for (int i = 0; i < DIRECTORIES; i++) {
        path_to(directories[i], root, names[i]);
        RN_BUG_IF(!rn_is_ok(rn_directory_make(directories[i], 0700, NULL)));
    }
    path_to(record, directories[STATE], "record");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[RN_PATH_MAX + 16];
    (void)rn_text_format(command, sizeof command, "rm -rf %s", root);
    return system(command); /* a folder of this test alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write_may_be_the_last),
        cmocka_unit_test(every_write_may_fail),
        cmocka_unit_test(two_crashes_in_a_row),
        cmocka_unit_test(a_site_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
