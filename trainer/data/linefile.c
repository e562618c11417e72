/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a plain or gzip file.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/data/recordparts.h"
#include "trainer/ground/filekind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK_BYTES ((size_t)1 << 18)

rn_result rn_lines_open(const char *path, enum rn_charset charset, struct rn_lines *out,
                        struct rn_error *err)
{
    struct stat facts;

    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    RN_ENSURE(descriptor >= 0, err, RN_E_NO_INPUT, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(descriptor, &facts) != 0 || S_ISDIR(facts.st_mode)) {
        (void)close(descriptor);
        return rn_fail(err, RN_E_NO_INPUT, "%s: is a directory, not a data file", path);
    }
    gzFile file = gzdopen(descriptor, "rb");
    if (file == NULL) {
        (void)close(descriptor);
        return rn_fail(err, RN_E_MEMORY, "%s: no memory for reading", path);
    }
    *out = (struct rn_lines){.path = path,
                             .file = file,
                             .chunk = rn_alloc(CHUNK_BYTES, 1),
                             .bytes_max = RN_DATASET_FILE_BYTES_MAX,
                             .charset = charset};
    return rn_ok();
}

void rn_lines_close(struct rn_lines *lines)
{
    if (lines->file != NULL) {
        (void)gzclose_r(lines->file);
    }
    rn_free(lines->chunk);
    *lines = (struct rn_lines){0};
}

/* zlib puts the name it knows the file by before its reason: "<fd:3>: incorrect data check". */
static const char *reason_text(const char *reason)
{
    const char *end = strncmp(reason, "<fd:", 4) == 0 ? strstr(reason, ">: ") : NULL;
    return end == NULL ? reason : end + 3;
}

/* The first chunk tells what the file is. A chunk is full but for the last. */
static rn_result check_kind(const struct rn_lines *lines, struct rn_error *err)
{
    const struct rn_view start = rn_view_of(lines->chunk, lines->chunk_length);
    const char *kind = rn_file_kind(start);
    const uint8_t *stop = memchr(start.data, '\r', start.length);

    RN_ENSURE(kind == NULL, err, RN_E_DATA, "%s: this is %s", lines->path, kind);
    RN_ENSURE(stop == NULL || stop + 1 == start.data + start.length ||
                  memchr(start.data, '\n', start.length) != NULL,
              err, RN_E_DATA,
              "%s: its lines end in carriage returns (CR) alone, as on an old Macintosh; "
              "`tr '\\r' '\\n'` mends it",
              lines->path);
    return rn_ok();
}

static rn_result refill(struct rn_lines *lines, struct rn_error *err)
{
    int code = Z_OK;

    const int got = gzread(lines->file, lines->chunk, (unsigned)CHUNK_BYTES);
    const char *reason = gzerror(lines->file, &code);
    RN_ENSURE(code != Z_ERRNO, err, RN_E_IO, "%s: cannot read: %s", lines->path, strerror(errno));
    RN_ENSURE(got >= 0 && (code == Z_OK || code == Z_STREAM_END), err, RN_E_DATA,
              "%s: damaged or cut gzip data after line %llu (%s)", lines->path,
              (unsigned long long)lines->line, reason_text(reason));
    lines->chunk_length = (size_t)got;
    lines->chunk_at = 0;
    lines->bytes += (uint64_t)got;
    lines->ended = got == 0;
    if (lines->bytes == (uint64_t)got) {
        RN_TRY(check_kind(lines, err));
    }
    RN_ENSURE(lines->bytes <= lines->bytes_max, err, RN_E_DATA,
              "%s: the file has more than %llu bytes uncompressed", lines->path,
              (unsigned long long)lines->bytes_max);
    return rn_ok();
}

static void drop_byte_order_mark(struct rn_buffer *line)
{
    if (line->length >= 3 && memcmp(line->data, "\xef\xbb\xbf", 3) == 0) {
        memmove(line->data, line->data + 3, line->length - 3);
        line->length -= 3;
    }
}

rn_result rn_lines_next(struct rn_lines *lines, struct rn_buffer *out, bool *out_any,
                        struct rn_error *err)
{
    const size_t start = out->length;

    *out_any = false;
    for (;;) {
        if (lines->chunk_at == lines->chunk_length && !lines->ended) {
            RN_TRY(refill(lines, err));
        }
        if (lines->ended) {
            break;
        }
        if (!*out_any) {
            *out_any = true;
            lines->line++;
        }
        const uint8_t *from = lines->chunk + lines->chunk_at;
        const size_t left = lines->chunk_length - lines->chunk_at;
        const uint8_t *end = memchr(from, '\n', left);
        const size_t taken = end == NULL ? left : (size_t)(end - from);
        RN_ENSURE(out->length + taken <= RN_DATASET_LINE_BYTES_MAX, err, RN_E_DATA,
                  "%s:%llu: the record is longer than %zu bytes", lines->path,
                  (unsigned long long)lines->line, RN_DATASET_LINE_BYTES_MAX);
        rn_charset_append(lines->charset, rn_view_of(from, taken), out);
        lines->chunk_at += taken + (end == NULL ? 0 : 1);
        if (end != NULL) {
            break;
        }
    }
    if (out->length > start && out->data[out->length - 1] == '\r') {
        out->length--;
    }
    if (lines->line == 1 && start == 0) {
        drop_byte_order_mark(out);
    }
    return rn_ok();
}
