/* SPDX-License-Identifier: Apache-2.0
 *
 * The place of a chunk follows from its member and number; nothing says what lies there, because
 * whoever reads holds it against a signed hash.
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
#define MEMBER_BYTES (CHUNK_BYTES * RN_SA_CHUNKS_MAX)
#define MEMORY_LEAST ((uint64_t)64 << 20)
#define MEMORY_MOST ((uint64_t)4 << 30)

struct rn_upload_spool {
    struct rn_sa_spool face;
    const char *directory;
    int file; /* -1: not open yet */
};

_Static_assert(MEMBER_BYTES *RN_SA_MEMBERS_MAX <= INT64_MAX, "places are offsets");

static rn_result open_file(struct rn_upload_spool *spool, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    if (spool->file >= 0) {
        return rn_ok();
    }
    RN_TRY(rn_path_join(path, spool->directory, FILE_NAME, err));
    spool->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    RN_ENSURE(spool->file >= 0, err, RN_E_IO, "%s: no file for uploads can be made: %s",
              spool->directory, strerror(errno));
    return rn_ok();
}

static off_t place_of(uint32_t member, uint32_t chunk)
{
    RN_BUG_IF(member >= RN_SA_MEMBERS_MAX || chunk >= RN_SA_CHUNKS_MAX);
    return (off_t)(member * MEMBER_BYTES + chunk * CHUNK_BYTES);
}

static rn_result put(void *context, uint32_t member, uint32_t chunk, struct rn_view bytes,
                     struct rn_error *err)
{
    struct rn_upload_spool *spool = context;
    const off_t place = place_of(member, chunk);
    RN_BUG_IF(bytes.length > CHUNK_BYTES);
    RN_TRY(open_file(spool, err));
    for (size_t done = 0; done < bytes.length;) {
        const ssize_t wrote =
            pwrite(spool->file, bytes.data + done, bytes.length - done, place + (off_t)done);
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
    struct rn_upload_spool *spool = context;
    const off_t place = place_of(member, chunk);
    RN_TRY(open_file(spool, err));
    uint8_t *to = rn_buffer_grow(out, length);
    RN_ENSURE(to != NULL, err, RN_E_MEMORY, "%s: a chunk of an upload is too large",
              spool->directory);
    for (size_t done = 0; done < length;) {
        const ssize_t got = pread(spool->file, to + done, length - done, place + (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(got > 0, err, RN_E_IO, "%s: an upload cannot be read back: %s", spool->directory,
                  got < 0 ? strerror(errno) : "it is cut short");
        done += (size_t)got;
    }
    return rn_ok();
}

/* Where holes cannot be made, the next session's uploads take the place. */
static void drop(void *context, uint32_t member)
{
    struct rn_upload_spool *spool = context;
    if (rn_is_ok(open_file(spool, NULL))) {
        (void)fallocate(spool->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        place_of(member, 0), (off_t)MEMBER_BYTES);
    }
}

struct rn_upload_spool *rn_upload_spool_new(const char *directory)
{
    struct rn_upload_spool *spool = rn_alloc(1, sizeof(*spool));
    *spool = (struct rn_upload_spool){
        .face = {spool, put, get, drop}, .directory = directory, .file = -1};
    return spool;
}

void rn_upload_spool_free(struct rn_upload_spool *spool)
{
    if (spool == NULL) {
        return;
    }
    if (spool->file >= 0) {
        (void)close(spool->file);
    }
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
