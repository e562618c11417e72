/* SPDX-License-Identifier: Apache-2.0
 *
 * Files by their first bytes.
 */
#include "trainer/ground/filekind.h"

#include "base/guard.h"

#include <string.h>
#include <strings.h>

struct signature {
    const char *bytes;
    size_t length;
    const char *words;
};

#define SIGN(bytes_, words_)                   \
    {                                          \
        (bytes_), sizeof(bytes_) - 1, (words_) \
    }

/* Two are also lengths that the header of a safetensors file may have: who reads one asks only when
 * the length cannot be right. */
static const struct signature signatures[] = {
    SIGN("version https://git-lfs",
         "a Git LFS pointer, not the file itself: `git lfs pull` gets it"),
    SIGN("PK\x03\x04",
         "a zip archive (a spreadsheet, or weights that PyTorch pickled): unpack it, or "
         "save it as what its name says"),
    SIGN("PK\x05\x06", "an empty zip archive"),
    SIGN("\x28\xb5\x2f\xfd", "compressed with zstd: unpack it with `zstd -d`, or use gzip"),
    SIGN("\xfd"
         "7zXZ\x00",
         "compressed with xz: unpack it with `xz -d`, or use gzip"),
    SIGN("BZh91AY&SY", "compressed with bzip2: unpack it with `bzip2 -d`, or use gzip"),
    SIGN("\x04\x22\x4d\x18", "compressed with lz4: unpack it with `lz4 -d`, or use gzip"),
    SIGN("\x1f\x8b", "compressed with gzip: unpack it with `gzip -d`"),
    SIGN("7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    SIGN("PAR1\x15", "a Parquet table: write it as CSV or JSONL"),
    SIGN("ARROW1\x00", "an Arrow table: write it as CSV or JSONL"),
    SIGN("SQLite format 3\x00", "an SQLite database: write the table as CSV or JSONL"),
    SIGN("\x89HDF", "an HDF5 file"),
    SIGN("\xd0\xcf\x11\xe0", "a document of an office program: save it as CSV"),
    SIGN("%PDF", "a PDF document"),
    SIGN("GGUF\x03", "a GGUF model: Rondo reads safetensors"),
    SIGN("\x80\x02", "a Python pickle: Rondo reads safetensors, CSV, TSV and JSONL alone"),
    SIGN("\x80\x03", "a Python pickle: Rondo reads safetensors, CSV, TSV and JSONL alone"),
    SIGN("\x80\x04\x95", "a Python pickle: Rondo reads safetensors, CSV, TSV and JSONL alone"),
    SIGN("\x80\x05\x95", "a Python pickle: Rondo reads safetensors, CSV, TSV and JSONL alone"),
    SIGN("\xff\xfe\x00\x00", "text in UTF-32: save it as UTF-8"),
    SIGN("\xff\xfe", "text in UTF-16: save it as UTF-8"),
    SIGN("\xfe\xff", "text in UTF-16: save it as UTF-8"),
};

static bool begins(struct rn_view start, const char *bytes, size_t length)
{
    return start.length >= length && memcmp(start.data, bytes, length) == 0;
}

/* Every second byte of the first four characters is zero, and no other. */
static bool is_bare_utf16(struct rn_view start)
{
    unsigned zeros[2] = {0, 0};

    if (start.length < 8) {
        return false;
    }
    for (size_t i = 0; i < 8; i++) {
        zeros[i % 2] += start.data[i] == 0 ? 1 : 0;
    }
    return (zeros[0] == 4 && zeros[1] == 0) || (zeros[0] == 0 && zeros[1] == 4);
}

static bool is_web_page(struct rn_view start)
{
    static const char *const tags[] = {"<!doctype html", "<html"};
    size_t at = 0;

    while (at < start.length && (start.data[at] == '\n' || start.data[at] == ' ')) {
        at++;
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(tags); i++) {
        const size_t length = strlen(tags[i]);
        if (start.length - at >= length &&
            strncasecmp((const char *)start.data + at, tags[i], length) == 0) {
            return true;
        }
    }
    return false;
}

const char *rn_file_kind(struct rn_view start)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(signatures); i++) {
        if (begins(start, signatures[i].bytes, signatures[i].length)) {
            return signatures[i].words;
        }
    }
    if (is_bare_utf16(start)) {
        return "text in UTF-16: save it as UTF-8";
    }
    return is_web_page(start) ? "a web page: the download needed a login or failed" : NULL;
}
