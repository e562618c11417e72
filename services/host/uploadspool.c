/* SPDX-License-Identifier: Apache-2.0
 *
 * The place of a chunk follows from its member and number; nothing says what lies there, because
 * whoever reads holds it against a signed hash. A file for each member, and none between sessions:
 * whoever copies the state directory shall not read terabytes of holes.
 */
#include "services/host/uploadspool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/params.h"

#define FILE_NAME "uploads"
/* Room of one Chunk message. */
#define CHUNK_BYTES ((uint64_t)RN_SA_MESSAGE_MAX)
#define MEMORY_LEAST ((uint64_t)64 << 20)
#define MEMORY_MOST ((uint64_t)4 << 30)

struct rn_upload_spool {
    struct rn_sa_spool face;
    const char *directory;
};

_Static_assert(CHUNK_BYTES *RN_SA_CHUNKS_MAX <= INT64_MAX, "places are offsets");

static rn_result path_of(const struct rn_upload_spool *spool, uint32_t member,
                         char out[static RN_PATH_MAX], struct rn_error *err)
{
    char name[sizeof(FILE_NAME) + 12];
    RN_BUG_IF(member >= RN_SA_MEMBERS_MAX);
    (void)rn_text_format(name, sizeof(name), FILE_NAME ".%u", (unsigned)member);
    return rn_path_join(out, spool->directory, name, err);
}

/* flags: O_CREAT, or 0. */
static rn_result open_file(const struct rn_upload_spool *spool, uint32_t member, int flags,
                           int *out_file, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(path_of(spool, member, path, err));
    *out_file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    RN_ENSURE(*out_file >= 0, err, RN_E_IO, "%s: no file for uploads: %s", path, strerror(errno));
    return rn_ok();
}

static void close_file(int *file)
{
    if (*file >= 0) {
        (void)close(*file);
    }
}

static off_t place_of(uint32_t chunk)
{
    RN_BUG_IF(chunk >= RN_SA_CHUNKS_MAX);
    return (off_t)(chunk * CHUNK_BYTES);
}

static rn_result put(void *context, uint32_t member, uint32_t chunk, struct rn_view bytes,
                     struct rn_error *err)
{
    const struct rn_upload_spool *spool = context;
    const off_t place = place_of(chunk);
    int RN_CLEANUP(close_file) file = -1;
    RN_BUG_IF(bytes.length > CHUNK_BYTES);
    RN_TRY(open_file(spool, member, O_CREAT, &file, err));
    for (size_t done = 0; done < bytes.length;) {
        const ssize_t wrote =
            pwrite(file, bytes.data + done, bytes.length - done, place + (off_t)done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(wrote > 0, err, RN_E_IO, "%s: uploads cannot be kept: %s", spool->directory,
                  strerror(errno));
        done += (size_t)wrote;
    }
    return rn_ok();
}

static rn_result get(void *context, uint32_t member, uint32_t chunk, size_t length,
                     struct rn_buffer *out, struct rn_error *err)
{
    const struct rn_upload_spool *spool = context;
    const off_t place = place_of(chunk);
    int RN_CLEANUP(close_file) file = -1;
    RN_TRY(open_file(spool, member, 0, &file, err));
    uint8_t *to = rn_buffer_grow(out, length);
    RN_ENSURE(to != NULL, err, RN_E_MEMORY, "%s: a chunk of an upload is too large",
              spool->directory);
    for (size_t done = 0; done < length;) {
        const ssize_t got = pread(file, to + done, length - done, place + (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(got > 0, err, RN_E_IO, "%s: an upload cannot be read back: %s", spool->directory,
                  got < 0 ? strerror(errno) : "it is cut short");
        done += (size_t)got;
    }
    return rn_ok();
}

/* Where it cannot be removed, the next session's upload takes its place. */
static void drop(void *context, uint32_t member)
{
    char path[RN_PATH_MAX];
    if (rn_is_ok(path_of(context, member, path, NULL))) {
        (void)unlink(path);
    }
}

struct rn_upload_spool *rn_upload_spool_new(const char *directory)
{
    struct rn_upload_spool *spool = rn_alloc(1, sizeof(*spool));
    *spool = (struct rn_upload_spool){.face = {spool, put, get, drop}, .directory = directory};
    return spool;
}

void rn_upload_spool_free(struct rn_upload_spool *spool)
{
    rn_free(spool);
}

const struct rn_sa_spool *rn_upload_spool_of(struct rn_upload_spool *spool)
{
    return &spool->face;
}

uint64_t rn_upload_memory_default(uint64_t available)
{
    const uint64_t quarter = available / 4;
    return quarter < MEMORY_LEAST ? MEMORY_LEAST : quarter > MEMORY_MOST ? MEMORY_MOST : quarter;
}
