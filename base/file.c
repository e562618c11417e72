/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole reads, atomic durable writes, directories, locks, maps.
 */
#include "base/file.h"

#include "base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_cleanup(int *descriptor)
{
    if (*descriptor >= 0) {
        (void)close(*descriptor);
        *descriptor = -1;
    }
}

static rn_result open_for_reading(const char *path, int *out, struct stat *out_stat,
                                  struct rn_error *err)
{
    RN_CLEANUP(close_cleanup) int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    RN_ENSURE(descriptor >= 0, err, RN_E_NO_INPUT, "%s: %s", path, strerror(errno));
    RN_ENSURE(fstat(descriptor, out_stat) == 0, err, RN_E_NO_INPUT, "%s: %s", path,
              strerror(errno));
    RN_ENSURE(!S_ISDIR(out_stat->st_mode), err, RN_E_NO_INPUT,
              "%s: is a directory, a file is needed", path);
    *out = descriptor;
    descriptor = -1;
    return rn_ok();
}

rn_result rn_file_read(const char *path, size_t max, struct rn_buffer *out, struct rn_error *err)
{
    RN_CLEANUP(close_cleanup) int descriptor = -1;
    struct stat facts;
    RN_TRY(open_for_reading(path, &descriptor, &facts, err));
    rn_buffer_clear(out);
    rn_buffer_init(out, max);
    uint8_t piece[16384];
    for (;;) {
        const ssize_t got = read(descriptor, piece, sizeof(piece));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(got >= 0, err, RN_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0) {
            return rn_ok();
        }
        rn_buffer_append(out, piece, (size_t)got);
        RN_ENSURE(!out->failed, err, RN_E_DATA, "%s: larger than the limit of %zu bytes", path,
                  max);
    }
}

rn_result rn_file_private_check(const char *path, struct rn_error *err)
{
    struct stat facts;
    RN_ENSURE(stat(path, &facts) == 0, err, RN_E_NO_INPUT, "%s: %s", path, strerror(errno));
    RN_ENSURE((facts.st_mode & 077) == 0, err, RN_E_PERMISSION,
              "%s: others can reach this private key (mode %03o); run: chmod 600 %s", path,
              (unsigned)(facts.st_mode & 0777), path);
    return rn_ok();
}

static rn_result write_all(int descriptor, struct rn_view content, const char *path,
                           struct rn_error *err)
{
    size_t done = 0;
    while (done < content.length) {
        const ssize_t wrote = write(descriptor, content.data + done, content.length - done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(wrote > 0, err, RN_E_IO, "%s: cannot write: %s; nothing was changed", path,
                  strerror(errno));
        done += (size_t)wrote;
    }
    RN_ENSURE(fsync(descriptor) == 0, err, RN_E_IO, "%s: cannot write: %s; nothing was changed",
              path, strerror(errno));
    return rn_ok();
}

rn_result rn_directory_sync_of(const char *path, struct rn_error *err)
{
    char directory[RN_PATH_MAX];
    RN_ENSURE(rn_text_format(directory, sizeof(directory), "%s", path), err, RN_E_USAGE,
              "path too long");
    char *slash = strrchr(directory, '/');
    if (slash == NULL) {
        directory[0] = '.';
        directory[1] = '\0';
    } else {
        slash[slash == directory ? 1 : 0] = '\0';
    }
    RN_CLEANUP(close_cleanup)
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RN_ENSURE(descriptor >= 0 && fsync(descriptor) == 0, err, RN_E_IO, "%s: cannot sync: %s",
              directory, strerror(errno));
    return rn_ok();
}

rn_result rn_file_write(const char *path, struct rn_view content, unsigned mode,
                        struct rn_error *err)
{
    char temporary[RN_PATH_MAX];
    RN_ENSURE(rn_text_format(temporary, sizeof(temporary), "%s.tmp-%ld", path, (long)getpid()), err,
              RN_E_USAGE, "path too long");
    RN_CLEANUP(close_cleanup)
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    RN_ENSURE(descriptor >= 0, err, RN_E_IO, "%s: cannot create: %s", path, strerror(errno));
    rn_result result = write_all(descriptor, content, path, err);
    if (rn_is_ok(result) && rename(temporary, path) != 0) {
        result = rn_fail(err, RN_E_IO, "%s: cannot replace: %s", path, strerror(errno));
    }
    if (!rn_is_ok(result)) {
        (void)unlink(temporary);
        return result;
    }
    return rn_directory_sync_of(path, err);
}

rn_result rn_path_join(char out[static RN_PATH_MAX], const char *directory, const char *name,
                       struct rn_error *err)
{
    const size_t length = strlen(directory);
    const char *between = length > 0 && directory[length - 1] == '/' ? "" : "/";
    char joined[RN_PATH_MAX];
    RN_ENSURE(rn_text_format(joined, sizeof(joined), "%s%s%s", directory, between, name), err,
              RN_E_USAGE, "path longer than %d bytes", RN_PATH_MAX - 1);
    memcpy(out, joined, sizeof(joined));
    return rn_ok();
}

rn_result rn_directory_make(const char *path, unsigned mode, struct rn_error *err)
{
    char part[RN_PATH_MAX];
    RN_ENSURE(rn_text_format(part, sizeof(part), "%s", path), err, RN_E_USAGE, "path too long");
    for (char *slash = part + 1;; slash++) {
        slash += strcspn(slash, "/");
        const char kept = *slash;
        *slash = '\0';
        const bool made = mkdir(part, (mode_t)mode) == 0 || errno == EEXIST;
        RN_ENSURE(made, err, RN_E_IO, "%s: cannot make the directory: %s", part, strerror(errno));
        if (kept == '\0') {
            break;
        }
        *slash = kept;
    }
    struct stat facts;
    RN_ENSURE(stat(path, &facts) == 0 && S_ISDIR(facts.st_mode), err, RN_E_IO,
              "%s: exists, but is not a directory", path);
    return rn_ok();
}

bool rn_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

rn_result rn_file_lock(const char *path, int *out_descriptor, struct rn_error *err)
{
    RN_CLEANUP(close_cleanup) int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    RN_ENSURE(descriptor >= 0, err, RN_E_IO, "%s: %s", path, strerror(errno));
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        const bool held = errno == EWOULDBLOCK;
        return rn_fail(err, held ? RN_E_BUSY : RN_E_IO, "%s: %s", path,
                       held ? "another running process holds this lock" : strerror(errno));
    }
    *out_descriptor = descriptor;
    descriptor = -1;
    return rn_ok();
}

void rn_file_unlock(int *descriptor)
{
    close_cleanup(descriptor);
}

rn_result rn_map_open(const char *path, struct rn_map *out, struct rn_error *err)
{
    RN_CLEANUP(close_cleanup) int descriptor = -1;
    struct stat facts;
    RN_TRY(open_for_reading(path, &descriptor, &facts, err));
    RN_ENSURE(facts.st_size > 0, err, RN_E_DATA, "%s: is empty", path);
    void *memory = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    RN_ENSURE(memory != MAP_FAILED, err, RN_E_SYSTEM, "%s: cannot map: %s", path, strerror(errno));
    *out = (struct rn_map){memory, (size_t)facts.st_size};
    return rn_ok();
}

void rn_map_close(struct rn_map *map)
{
    if (map != NULL && map->data != NULL) {
        union {
            const uint8_t *read_only;
            void *plain;
        } memory = {map->data};
        (void)munmap(memory.plain, map->length);
        *map = (struct rn_map){NULL, 0};
    }
}
