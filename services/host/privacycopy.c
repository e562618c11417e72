/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/privacycopy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"

enum { PIECE = 256 << 10 };

void rn_privacycopy_close(struct rn_privacycopy *copy)
{
    rn_file_unlock(&copy->descriptor); /* closes, and is fine with -1 */
}

/* Exactly length bytes at an offset. */
static rn_result read_at(const struct rn_privacycopy *copy, uint64_t offset, uint8_t *out,
                         size_t length, struct rn_error *err)
{
    size_t done = 0;
    while (done < length) {
        const ssize_t got =
            pread(copy->descriptor, out + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(got > 0, err, RN_E_IO, "%s: cannot read: %s", copy->path,
                  got == 0 ? "it became shorter" : strerror(errno));
        done += (size_t)got;
    }
    return rn_ok();
}

/* Bytes up to and with the last line end at or before `length`; 0 when there is none. */
static size_t lines_end(const uint8_t *bytes, size_t length)
{
    const uint8_t *end = length > 0 ? memrchr(bytes, '\n', length) : NULL;
    return end != NULL ? (size_t)(end - bytes) + 1 : 0;
}

static rn_result measure(struct rn_privacycopy *copy, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) uint8_t *tail = rn_alloc(PIECE, 1);
    const size_t length = copy->size < PIECE ? (size_t)copy->size : PIECE;
    const uint64_t start = copy->size - length;
    RN_TRY(read_at(copy, start, tail, length, err));
    size_t end = lines_end(tail, length);
    const size_t line = end > 0 ? lines_end(tail, end - 1) : 0;
    if (end > line && memchr(tail + line, 0, end - line) != NULL) {
        end = line;
    }
    RN_ENSURE(end > 0 || start == 0, err, RN_E_DATA, "%s: its end is no privacy ledger's",
              copy->path);
    copy->whole = start + end;
    return rn_ok();
}

static rn_result size_take(struct rn_privacycopy *copy, struct rn_error *err)
{
    struct stat facts;
    RN_ENSURE(fstat(copy->descriptor, &facts) == 0 && S_ISREG(facts.st_mode), err, RN_E_NO_INPUT,
              "%s: is no file that can be read", copy->path);
    copy->size = (uint64_t)facts.st_size;
    RN_ENSURE(copy->size < RN_PRIVACY_BYTES_MAX + RN_PRIVACY_LINE_MAX, err, RN_E_DATA,
              "%s: larger than a privacy ledger can be, %llu bytes", copy->path,
              RN_PRIVACY_BYTES_MAX);
    return measure(copy, err);
}

rn_result rn_privacycopy_open(const char *path, bool write, struct rn_privacycopy *out,
                              struct rn_error *err)
{
    memset(out, 0, sizeof *out);
    out->descriptor = -1;
    RN_ENSURE(rn_text_format(out->path, sizeof out->path, "%s", path), err, RN_E_USAGE,
              "path too long");
    const int flags = (write ? O_RDWR | O_CREAT : O_RDONLY | O_NONBLOCK) | O_CLOEXEC;
    out->descriptor = open(path, flags, 0644);
    RN_ENSURE(out->descriptor >= 0, err, write ? RN_E_IO : RN_E_NO_INPUT, "%s: %s", path,
              strerror(errno));
    const rn_result result = size_take(out, err);
    if (!rn_is_ok(result)) {
        rn_privacycopy_close(out);
    }
    return result;
}

rn_result rn_privacycopy_replay(const struct rn_privacycopy *copy,
                                enum rn_privacy_signatures signatures,
                                struct rn_privacy_ledger *ledger, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) uint8_t *piece = rn_alloc(PIECE, 1);
    uint64_t at = 0;
    while (at < copy->whole) {
        const uint64_t left = copy->whole - at;
        const size_t length = left < PIECE ? (size_t)left : PIECE;
        size_t taken = 0;
        RN_TRY(read_at(copy, at, piece, length, err));
        const rn_result result =
            rn_privacy_ledger_replay(ledger, rn_view_of(piece, length), signatures, &taken, err);
        if (!rn_is_ok(result)) {
            return rn_fail_context(err, result, "%s", copy->path);
        }
        RN_BUG_IF(taken == 0); /* a piece is longer than a line may be, and whole has a line end */
        at += taken;
    }
    return rn_ok();
}

rn_result rn_privacycopy_compare(const struct rn_privacycopy *a, const struct rn_privacycopy *b,
                                 uint64_t length, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) uint8_t *pieces = rn_alloc(2, PIECE);
    for (uint64_t at = 0; at < length; at += PIECE) {
        const size_t piece = length - at < PIECE ? (size_t)(length - at) : PIECE;
        RN_TRY(read_at(a, at, pieces, piece, err));
        RN_TRY(read_at(b, at, pieces + PIECE, piece, err));
        RN_ENSURE(memcmp(pieces, pieces + PIECE, piece) == 0, err, RN_E_DATA,
                  "%s and %s are a fork: neither is the beginning of the other. Two services ran "
                  "with one identity, or one copy was changed; nobody knows what was spent. Find "
                  "the copy that is right (rondo ledger verify), and put it at both places",
                  a->path, b->path);
    }
    return rn_ok();
}

static rn_result write_at_end(struct rn_privacycopy *copy, struct rn_view bytes,
                              struct rn_error *err)
{
    size_t done = 0;
    while (done < bytes.length) {
        const ssize_t wrote = pwrite(copy->descriptor, bytes.data + done, bytes.length - done,
                                     (off_t)(copy->whole + done));
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(wrote > 0, err, RN_E_IO, "%s: cannot write: %s", copy->path, strerror(errno));
        done += (size_t)wrote;
    }
    copy->whole += done;
    copy->size = copy->whole;
    return rn_ok();
}

static rn_result sync_bytes(const struct rn_privacycopy *copy, struct rn_error *err)
{
    RN_ENSURE(fdatasync(copy->descriptor) == 0, err, RN_E_IO, "%s: cannot write: %s", copy->path,
              strerror(errno));
    return rn_ok();
}

rn_result rn_privacycopy_sync_name(const struct rn_privacycopy *copy, struct rn_error *err)
{
    return rn_directory_sync_of(copy->path, err);
}

rn_result rn_privacycopy_bring_up(struct rn_privacycopy *copy, const struct rn_privacycopy *from,
                                  struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) uint8_t *piece = rn_alloc(PIECE, 1);
    if (copy->size > copy->whole) {
        RN_ENSURE(ftruncate(copy->descriptor, (off_t)copy->whole) == 0, err, RN_E_IO,
                  "%s: cannot cut off its unfinished line: %s", copy->path, strerror(errno));
        copy->size = copy->whole;
    }
    while (copy->whole < from->whole) {
        const uint64_t left = from->whole - copy->whole;
        const size_t length = left < PIECE ? (size_t)left : PIECE;
        RN_TRY(read_at(from, copy->whole, piece, length, err));
        RN_TRY(write_at_end(copy, rn_view_of(piece, length), err));
    }
    RN_TRY(sync_bytes(copy, err)); /* also what a process that died had written and not synced */
    return rn_privacycopy_sync_name(copy, err);
}

rn_result rn_privacycopy_append(struct rn_privacycopy *copy, struct rn_view bytes,
                                struct rn_error *err)
{
    RN_TRY(write_at_end(copy, bytes, err));
    return sync_bytes(copy, err);
}
