/* SPDX-License-Identifier: Apache-2.0
 *
 * A service that ends, or whose disk fails, at every call with which its privacy ledger is written,
 * from the first opening to the plan's close; then the next start. Whatever was durable of it: each
 * copy alone knows every training whose gradients were computed and every update that was sent, and
 * the ledger goes on. privacy case 27.
 *
 * The calls of services/host/privacycopy.c and base/file.c come here first. A process of its own
 * dies at one of them; of what was not synced by then a power cut takes all, half, or the content,
 * which then reads as zeros.
 */
#include "../policy/privacyworld.h"
#include "base/alloc.h"
#include "services/host/siteprivacy.h"

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
ssize_t __real_pwrite(int descriptor, const void *data, size_t length, off_t offset);
int __real_ftruncate(int descriptor, off_t length);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_pwrite(int descriptor, const void *data, size_t length, off_t offset);
int __wrap_ftruncate(int descriptor, off_t length);
int __wrap_fdatasync(int descriptor);
int __wrap_fsync(int descriptor);

/* ---- The disk. */

enum mode { DIES_BEFORE, DIES_AFTER, FAILS, FAILS_AFTER, MODES };
enum loss { KEEPS, LOSES, HALVES, ZEROS, LOSSES };

static struct {
    bool counts;
    uint32_t calls, struck_at;
    enum mode mode;
    enum loss loss;
    bool struck, full;
} disk;

enum { SITE, STATE, COPIES };
static char root[64];
static char directories[COPIES][RN_PATH_MAX];
static char files[COPIES][RN_PATH_MAX];

/* Shared with the processes that die. */
static struct shared {
    off_t synced[COPIES]; /* bytes of the file that are durable */
    bool named[COPIES];   /* its name is */
    uint64_t gradients;   /* trainings whose gradients were computed */
    uint64_t sent;        /* latest training whose update was sent */
} * shared;

static int copy_of(const char *path)
{
    for (int i = 0; i < COPIES; i++) {
        if (strcmp(path, files[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static void path_behind(int descriptor, char out[static RN_PATH_MAX])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    memset(out, 0, RN_PATH_MAX);
    RN_BUG_IF(readlink(link, out, RN_PATH_MAX - 1) <= 0);
}

static void lose(int copy, off_t size)
{
    static const uint8_t zeros[65536];
    const int descriptor = __real_open(files[copy], O_WRONLY | O_CLOEXEC);
    const off_t synced = shared->synced[copy] < size ? shared->synced[copy] : size;
    const off_t rest = size - synced;
    RN_BUG_IF(descriptor < 0 || (size_t)rest > sizeof zeros);
    if (disk.loss == ZEROS && rest > 0) {
        RN_BUG_IF(__real_pwrite(descriptor, zeros, (size_t)rest, synced) != rest);
    } else if (disk.loss != ZEROS) {
        RN_BUG_IF(__real_ftruncate(descriptor, synced + (disk.loss == HALVES ? rest / 2 : 0)) != 0);
    }
    (void)close(descriptor);
}

static void power_cut(void)
{
    struct stat facts;
    for (int i = 0; i < COPIES && disk.loss != KEEPS; i++) {
        if (stat(files[i], &facts) != 0) {
            continue;
        }
        if (!shared->named[i]) {
            RN_BUG_IF(unlink(files[i]) != 0);
            shared->synced[i] = 0;
            continue;
        }
        lose(i, facts.st_size);
        RN_BUG_IF(stat(files[i], &facts) != 0);
        shared->synced[i] = facts.st_size;
    }
}

enum ending { DONE = 10, DONE_IN_SPITE, DIED, WRONG };

static void die(void)
{
    power_cut();
    _exit(DIED);
}

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

static int struck_after(void)
{
    if (disk.mode == DIES_AFTER) {
        die();
    }
    errno = EIO;
    return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    const bool makes = copy_of(path) >= 0 && (flags & O_CREAT) != 0;
    const bool struck = makes && is_struck();
    if (struck && disk.mode == FAILS) {
        return -1;
    }
    const int descriptor = __real_open(path, flags, mode);
    if (struck) {
        (void)close(descriptor);
        return struck_after();
    }
    return descriptor;
}

ssize_t __wrap_pwrite(int descriptor, const void *data, size_t length, off_t offset)
{
    const bool struck = is_struck();
    if (disk.full || (struck && disk.mode == FAILS)) {
        errno = ENOSPC;
        return -1;
    }
    if (!struck) {
        return __real_pwrite(descriptor, data, length, offset);
    }
    const ssize_t wrote = __real_pwrite(descriptor, data, length / 2, offset);
    if (disk.mode == DIES_AFTER) {
        die();
    }
    disk.full = true; /* a short write, and then no room */
    return wrote;
}

int __wrap_ftruncate(int descriptor, off_t length)
{
    char path[RN_PATH_MAX];
    const bool struck = is_struck();
    if (struck && disk.mode == FAILS) {
        return -1;
    }
    path_behind(descriptor, path);
    const int copy = copy_of(path);
    RN_BUG_IF(copy < 0 || __real_ftruncate(descriptor, length) != 0);
    if (shared->synced[copy] > length) {
        shared->synced[copy] = length;
    }
    return struck ? struck_after() : 0;
}

static int sync_of(int descriptor)
{
    char path[RN_PATH_MAX];
    struct stat facts;
    const bool struck = is_struck();
    if (struck && disk.mode == FAILS) {
        return -1;
    }
    path_behind(descriptor, path);
    RN_BUG_IF(fstat(descriptor, &facts) != 0);
    for (int i = 0; i < COPIES; i++) {
        if (strcmp(path, files[i]) == 0) {
            shared->synced[i] = facts.st_size;
        }
        if (strcmp(path, directories[i]) == 0) {
            shared->named[i] = true;
        }
    }
    return struck ? struck_after() : 0;
}

int __wrap_fdatasync(int descriptor)
{
    return sync_of(descriptor);
}

int __wrap_fsync(int descriptor)
{
    return sync_of(descriptor);
}

/* ---- A service. */

static struct rn_identity *owner;
static struct rn_error error;

static rn_result opens(struct rn_siteprivacy **out)
{
    const struct rn_privacy_terms terms = privacy_terms(owner);
    const struct rn_siteprivacy_place place = {directories[SITE], directories[STATE], "ward-7",
                                               owner};
    RN_TRY(rn_siteprivacy_open(&place, &terms, out, &error));
    return rn_siteprivacy_expect(*out, shared->gradients, &error);
}

/* A training, the sending of its update, and the plan's end. */
static rn_result works(struct rn_siteprivacy *privacy)
{
    const struct rn_privacy_plan plan = privacy_plan(1);
    const struct rn_privacy_intent intent = privacy_intent(1, 1);
    uint64_t counter = 0;
    uint8_t output[32] = {9};
    RN_TRY(rn_siteprivacy_begin_plan(privacy, &plan, &error));
    RN_TRY(rn_siteprivacy_intent(privacy, &intent, &counter, &error));
    shared->gradients = counter;
    output[1] = (uint8_t)counter;
    RN_TRY(rn_siteprivacy_commit(privacy, counter, output, RN_PRIVACY_SENT, &error));
    shared->sent = counter;
    return rn_ok();
}

/* One that is told of a failure may not go on with what it has open; it opens again, once. */
static enum ending serve(void)
{
    struct rn_siteprivacy *privacy = NULL;
    disk.counts = true;
    for (int attempt = 0; attempt < 2; attempt++) {
        rn_result result = opens(&privacy);
        if (rn_is_ok(result)) {
            result = works(privacy);
        }
        if (rn_is_ok(result)) {
            power_cut();
            return disk.struck ? DONE_IN_SPITE : DONE;
        }
        const uint64_t before = shared->gradients;
        if (result.code != RN_E_IO ||
            (privacy != NULL && (works(privacy).code != RN_E_IO || shared->gradients != before))) {
            return WRONG;
        }
        rn_siteprivacy_free(privacy);
        privacy = NULL;
        disk.full = false;
    }
    return WRONG;
}

static enum ending run(enum mode mode, enum loss loss, uint32_t struck_at)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        disk.mode = mode;
        disk.loss = loss;
        disk.struck_at = struck_at;
        _exit(serve());
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return (enum ending)WEXITSTATUS(status);
}

/* ---- What holds after it. */

static void expect_no_under_count(void)
{
    for (int i = 0; i < COPIES && shared->gradients > 0; i++) {
        RN_CLEANUP(rn_privacy_ledger_free_cleanup) struct rn_privacy_ledger *ledger = NULL;
        if (!rn_is_ok(rn_siteprivacy_read(files[i], &ledger, &error))) {
            fail_msg("%s", error.text);
        }
        assert_true(ledger->counter >= shared->gradients);
        assert_true(ledger->plans[0].begun >= shared->gradients);
        assert_true(shared->sent < ledger->counter || shared->sent == 0 || ledger->committed);
    }
}

static void site_make(void)
{
    for (int i = 0; i < COPIES; i++) {
        (void)unlink(files[i]);
    }
    memset(shared, 0, sizeof *shared);
}

/* A ledger with a training is there when `later`. */
static uint32_t strike_each(enum mode mode, enum loss loss, bool later)
{
    for (uint32_t at = 0;; at++) {
        site_make();
        if (later) {
            assert_int_equal(run(FAILS, LOSES, UINT32_MAX), DONE);
        }
        const enum ending ending = run(mode, loss, at);
        expect_no_under_count();
        if (ending == DONE) {
            return at;
        }
        const bool dies = mode == DIES_BEFORE || mode == DIES_AFTER;
        assert_int_equal(ending, dies ? DIED : DONE_IN_SPITE);
        assert_int_equal(run(FAILS, LOSES, UINT32_MAX), DONE); /* the next start */
        expect_no_under_count();
        assert_true(shared->sent == shared->gradients && shared->sent >= 1);
    }
}

/* Four lines, each written and synced in two copies; and what opening takes. */
enum { CALLS_MIN = 2 * (4 * 2 + 3) };

static void every_call_may_be_the_last(void **state)
{
    (void)state;
    for (int loss = 0; loss < LOSSES; loss++) {
        for (int mode = DIES_BEFORE; mode <= DIES_AFTER; mode++) {
            assert_true(strike_each((enum mode)mode, (enum loss)loss, false) >= CALLS_MIN);
            assert_true(strike_each((enum mode)mode, (enum loss)loss, true) >= CALLS_MIN / 2);
        }
    }
}

static void every_call_may_fail(void **state)
{
    (void)state;
    for (int loss = 0; loss < LOSSES; loss++) {
        for (int mode = FAILS; mode <= FAILS_AFTER; mode++) {
            assert_true(strike_each((enum mode)mode, (enum loss)loss, false) >= CALLS_MIN);
            assert_true(strike_each((enum mode)mode, (enum loss)loss, true) >= CALLS_MIN / 2);
        }
    }
}

static void two_crashes_in_a_row(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < CALLS_MIN; first++) {
        for (uint32_t second = 0; second < CALLS_MIN / 2; second++) {
            const enum loss loss = (enum loss)((first + second) % LOSSES);
            site_make();
            assert_int_equal(run(DIES_AFTER, loss, first), DIED);
            expect_no_under_count();
            assert_int_equal(run(DIES_BEFORE, LOSES, second), DIED);
            expect_no_under_count();
            assert_int_equal(run(FAILS, LOSES, UINT32_MAX), DONE);
            expect_no_under_count();
        }
    }
}

static int setup(void **state)
{
    (void)state;
    static const char *const names[COPIES] = {"site", "state"};
    (void)snprintf(root, sizeof root, "/tmp/rondo-privacycrash-XXXXXX");
    RN_BUG_IF(mkdtemp(root) == NULL);
    for (int i = 0; i < COPIES; i++) {
        RN_BUG_IF(!rn_is_ok(rn_path_join(directories[i], root, names[i], NULL)));
        RN_BUG_IF(mkdir(directories[i], 0700) != 0);
        RN_BUG_IF(!rn_is_ok(rn_siteprivacy_path(directories[i], "ward-7", files[i], NULL)));
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    owner = privacy_identity(3);
    return shared == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    site_make();
    RN_BUG_IF(!rn_is_ok(rn_path_join(path, directories[SITE], "privacy-ledger.lock", NULL)));
    (void)unlink(path);
    for (int i = 0; i < COPIES; i++) {
        (void)rmdir(directories[i]);
    }
    (void)rmdir(root);
    (void)munmap(shared, sizeof *shared);
    rn_identity_free(owner);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_may_be_the_last),
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(two_crashes_in_a_row),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
