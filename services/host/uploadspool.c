/* SPDX-License-Identifier: Apache-2.0
 *
 * A sparse file: the place of a chunk follows from its member and number, and a member that is done
 * gives its room back.
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
#include "crypto/secagg/params.h"

/* Room of one chunk: its packed lanes at RN_SA_BITS_MAX bits. */
#define CHUNK_BYTES ((uint64_t)2 << 20)
#define MEMBER_BYTES (CHUNK_BYTES * RN_SA_CHUNKS_MAX)
#define MEMORY_LEAST ((uint64_t)64 << 20)
#define MEMORY_MOST ((uint64_t)4 << 30)

struct rn_upload_spool {
    struct rn_sa_spool face;
    const char *directory;
    int file;                             /* -1: none yet */
    uint32_t *lengths[RN_SA_MEMBERS_MAX]; /* [RN_SA_CHUNKS_MAX]; NULL while it has nothing here */
};

_Static_assert(CHUNK_BYTES >= (RN_SA_CHUNK_ELEMENTS_MAX + RN_SA_CANARIES) * RN_SA_BITS_MAX / 8 + 1,
               "a chunk fits its room");

static rn_result make_file(struct rn_upload_spool *spool, struct rn_error *err)
{
    if (spool->file >= 0) {
        return rn_ok();
    }
    spool->file = open(spool->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->file < 0) { /* a file system that cannot: a name for a moment */
        char path[RN_PATH_MAX];
        RN_TRY(rn_path_join(path, spool->directory, "uploads.XXXXXX", err));
        spool->file = mkostemp(path, O_CLOEXEC);
        RN_ENSURE(spool->file >= 0, err, RN_E_IO, "%s: no file for uploads can be made: %s",
                  spool->directory, strerror(errno));
        (void)unlink(path);
    }
    return rn_ok();
}

static off_t place_of(uint32_t member, uint32_t chunk)
{
    return (off_t)(member * MEMBER_BYTES + chunk * CHUNK_BYTES);
}

static rn_result put(void *context, uint32_t member, uint32_t chunk, struct rn_view bytes,
                     struct rn_error *err)
{
    struct rn_upload_spool *spool = context;
    RN_BUG_IF(member >= RN_SA_MEMBERS_MAX || chunk >= RN_SA_CHUNKS_MAX ||
              bytes.length > CHUNK_BYTES);
    RN_TRY(make_file(spool, err));
    for (size_t done = 0; done < bytes.length;) {
        const ssize_t wrote = pwrite(spool->file, bytes.data + done, bytes.length - done,
                                     place_of(member, chunk) + (off_t)done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(wrote > 0, err, RN_E_IO, "%s: uploads cannot be kept: %s", spool->directory,
                  strerror(errno));
        done += (size_t)wrote;
    }
    if (spool->lengths[member] == NULL) {
        spool->lengths[member] = rn_alloc(RN_SA_CHUNKS_MAX, sizeof(uint32_t));
    }
    spool->lengths[member][chunk] = (uint32_t)bytes.length;
    return rn_ok();
}

static rn_result get(void *context, uint32_t member, uint32_t chunk, struct rn_buffer *out,
                     struct rn_error *err)
{
    const struct rn_upload_spool *spool = context;
    const uint32_t length = spool->lengths[member] == NULL ? 0 : spool->lengths[member][chunk];
    uint8_t *to = length == 0 ? NULL : rn_buffer_grow(out, length);
    RN_ENSURE(to != NULL, err, RN_E_IO, "%s: a chunk of an upload is not there", spool->directory);
    for (size_t done = 0; done < length;) {
        const ssize_t got =
            pread(spool->file, to + done, length - done, place_of(member, chunk) + (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(got > 0, err, RN_E_IO, "%s: an upload cannot be read back: %s", spool->directory,
                  got < 0 ? strerror(errno) : "it is cut short");
        done += (size_t)got;
    }
    return rn_ok();
}

static void drop(void *context, uint32_t member)
{
    struct rn_upload_spool *spool = context;
    if (spool->lengths[member] == NULL) {
        return;
    }
    rn_free(RN_TAKE(spool->lengths[member]));
    /* Where holes cannot be made the room comes back with the end of the process. */
    (void)fallocate(spool->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place_of(member, 0),
                    (off_t)MEMBER_BYTES);
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
    for (uint32_t i = 0; i < RN_SA_MEMBERS_MAX; i++) {
        rn_free(spool->lengths[i]);
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
