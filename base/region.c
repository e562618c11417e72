/* SPDX-License-Identifier: Apache-2.0
 *
 * Large areas by mmap.
 */
#include "base/region.h"

#include "base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file grows by at least so much at a time. */
#define STEP ((size_t)16 << 20)

rn_result rn_region_anonymous(size_t length, struct rn_region *out, struct rn_error *err)
{
    void *data = mmap(NULL, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    RN_ENSURE(data != MAP_FAILED, err, RN_E_MEMORY, "%zu bytes of memory cannot be reserved: %s",
              length, strerror(errno));
    *out = (struct rn_region){.data = data, .length = length, .ready = length, .descriptor = -1};
    return rn_ok();
}

/* The opened file as this user's own plain file, locked. */
static rn_result claim(int descriptor, const char *path, size_t *out_size, struct rn_error *err)
{
    struct stat facts;
    RN_ENSURE(fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode), err, RN_E_IO,
              "%s: not a plain file", path);
    RN_ENSURE(facts.st_uid == geteuid() && facts.st_nlink == 1, err, RN_E_PERMISSION,
              "%s: belongs to another user or has a second name", path);
    RN_ENSURE(flock(descriptor, LOCK_EX | LOCK_NB) == 0, err, RN_E_BUSY,
              "%s: in use by another process", path);
    RN_ENSURE(fchmod(descriptor, 0600) == 0, err, RN_E_IO, "%s: %s", path, strerror(errno));
    *out_size = (size_t)facts.st_size;
    return rn_ok();
}

rn_result rn_region_file(const char *path, size_t length, struct rn_region *out,
                         struct rn_error *err)
{
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    RN_ENSURE(descriptor >= 0, err, RN_E_IO, "%s: cannot be opened: %s", path, strerror(errno));
    size_t size = 0;
    const rn_result result = claim(descriptor, path, &size, err);
    if (!rn_is_ok(result)) {
        (void)close(descriptor);
        return result;
    }
    void *data = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (data == MAP_FAILED) {
        const int failure = errno;
        (void)close(descriptor);
        return rn_fail(err, RN_E_IO, "%s: cannot be mapped: %s", path, strerror(failure));
    }
    *out = (struct rn_region){.data = data, .length = length, .descriptor = descriptor};
    const size_t there = size < length ? size : length;
    /* Holes of a file that was not written here get their space now. */
    if (there > 0 && posix_fallocate(descriptor, 0, (off_t)there) == 0) {
        out->ready = there;
    }
    return rn_ok();
}

bool rn_region_extend(struct rn_region *region, size_t wanted)
{
    if (wanted <= region->ready) {
        return true;
    }
    if (wanted > region->length) {
        return false;
    }
    size_t more = wanted - region->ready < STEP ? STEP : wanted - region->ready;
    more = more < region->length - region->ready ? more : region->length - region->ready;
    if (posix_fallocate(region->descriptor, (off_t)region->ready, (off_t)more) != 0) {
        return false;
    }
    region->ready += more;
    return true;
}

bool rn_region_truncate(struct rn_region *region)
{
    region->ready = 0;
    return ftruncate(region->descriptor, 0) == 0;
}

void rn_region_close(struct rn_region *region)
{
    if (region->data != NULL) {
        (void)munmap(region->data, region->length);
        if (region->descriptor >= 0) {
            (void)close(region->descriptor);
        }
        *region = (struct rn_region){.descriptor = -1};
    }
}
