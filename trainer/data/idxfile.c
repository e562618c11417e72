/* SPDX-License-Identifier: Apache-2.0
 *
 * IDX files.
 */
#include "trainer/data/idxfile.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#define DIMENSIONS_MAX 4

struct part {
    char path[RN_PATH_MAX];
    gzFile file;
    uint32_t count; /* records */
    uint32_t width; /* bytes of one */
};

struct rn_idx {
    struct part images, labels; /* labels.file NULL: not wanted */
    uint32_t at;
    uint8_t *row;        /* [images.width] */
    char number[256][5]; /* "255," */
    uint8_t digits[256]; /* with the comma */
};

/* Exactly so many bytes. */
static rn_result take(struct part *part, void *out, size_t bytes, struct rn_error *err)
{
    const int got = gzread(part->file, out, (unsigned)bytes);
    RN_ENSURE(got == (int)bytes, err, RN_E_DATA,
              "%s: the file is cut, damaged, or no IDX file: fewer bytes than it says", part->path);
    return rn_ok();
}

static uint32_t big_endian(const uint8_t bytes[static 4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static rn_result read_header(struct part *part, struct rn_error *err)
{
    uint8_t magic[4];
    uint8_t size[4];
    uint64_t width = 1;

    RN_TRY(take(part, magic, sizeof magic, err));
    RN_ENSURE(magic[0] == 0 && magic[1] == 0 && magic[2] == 8 && magic[3] >= 1 &&
                  magic[3] <= DIMENSIONS_MAX,
              err, RN_E_DATA, "%s: is no IDX file of bytes with 1 to %d dimensions", part->path,
              DIMENSIONS_MAX);
    RN_TRY(take(part, size, sizeof size, err));
    part->count = big_endian(size);
    for (unsigned i = 1; i < magic[3]; i++) {
        RN_TRY(take(part, size, sizeof size, err));
        width *= big_endian(size);
        RN_ENSURE(width >= 1 && width <= RN_IDX_WIDTH_MAX, err, RN_E_DATA,
                  "%s: a record has 1 to %u bytes", part->path, RN_IDX_WIDTH_MAX);
    }
    RN_ENSURE(part->count <= RN_IDX_RECORDS_MAX, err, RN_E_DATA, "%s: more than %u records",
              part->path, RN_IDX_RECORDS_MAX);
    part->width = (uint32_t)width;
    return rn_ok();
}

static rn_result open_part(struct part *part, struct rn_error *err)
{
    part->file = gzopen(part->path, "rbe");
    RN_ENSURE(part->file != NULL, err, RN_E_NO_INPUT, "%s: cannot open: %s", part->path,
              strerror(errno));
    return read_header(part, err);
}

/* ".../train-labels-idx1-ubyte.gz" of ".../train-images-idx3-ubyte.gz". */
static rn_result name_labels(const char *path, char out[static RN_PATH_MAX], struct rn_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *images = strstr(name, "images");
    RN_ENSURE(images != NULL && strlen(path) < RN_PATH_MAX, err, RN_E_USAGE,
              "%s: the labels of an IDX file are found by its name, which must hold \"images\" "
              "where that of the labels holds \"labels\"",
              path);
    (void)rn_text_format(out, RN_PATH_MAX, "%s", path);
    memcpy(out + (images - path), "labels", strlen("labels"));
    char *kind = strstr(out + (images - path), "idx");
    if (kind != NULL && kind[3] >= '1' && kind[3] <= '9') {
        kind[3] = '1';
    }
    return rn_ok();
}

static rn_result open_labels(struct rn_idx *idx, struct rn_error *err)
{
    struct part *labels = &idx->labels;
    RN_TRY(name_labels(idx->images.path, labels->path, err));
    RN_TRY(open_part(labels, err));
    RN_ENSURE(labels->width == 1 && labels->count == idx->images.count, err, RN_E_DATA,
              "%s: has %u labels of %u bytes, but there are %u records", labels->path,
              labels->count, labels->width, idx->images.count);
    return rn_ok();
}

static rn_result fill(struct rn_idx *idx, const char *path, bool labelled, struct rn_error *err)
{
    RN_ENSURE(rn_text_format(idx->images.path, sizeof idx->images.path, "%s", path), err,
              RN_E_USAGE, "a data file's path is longer than %d bytes", RN_PATH_MAX - 1);
    RN_TRY(open_part(&idx->images, err));
    idx->row = rn_alloc(idx->images.width, 1);
    for (unsigned i = 0; i < 256; i++) {
        (void)rn_text_format(idx->number[i], sizeof idx->number[i], "%u,", i);
        idx->digits[i] = (uint8_t)strlen(idx->number[i]);
    }
    return labelled ? open_labels(idx, err) : rn_ok();
}

rn_result rn_idx_open(const char *path, bool labelled, struct rn_idx **out, struct rn_error *err)
{
    struct rn_idx *idx = rn_alloc(1, sizeof *idx);
    const rn_result result = fill(idx, path, labelled, err);
    if (!rn_is_ok(result)) {
        rn_idx_close(idx);
        return result;
    }
    *out = idx;
    return rn_ok();
}

static void close_part(struct part *part)
{
    if (part->file != NULL) {
        (void)gzclose_r(part->file);
    }
}

void rn_idx_close(struct rn_idx *idx)
{
    if (idx != NULL) {
        close_part(&idx->images);
        close_part(&idx->labels);
        rn_free(idx->row);
        rn_free(idx);
    }
}

/* Nothing stands behind the last record. */
static rn_result check_end(struct part *part, struct rn_error *err)
{
    uint8_t byte;
    RN_ENSURE(part->file == NULL || gzread(part->file, &byte, 1) == 0, err, RN_E_DATA,
              "%s: goes on after its %u records, or is damaged", part->path, part->count);
    return rn_ok();
}

rn_result rn_idx_next(struct rn_idx *idx, struct rn_buffer *out, char out_label[static 4],
                      bool *out_any, struct rn_error *err)
{
    uint8_t label = 0;

    out_label[0] = '\0';
    *out_any = idx->at < idx->images.count;
    if (!*out_any) {
        RN_TRY(check_end(&idx->images, err));
        return check_end(&idx->labels, err);
    }
    RN_TRY(take(&idx->images, idx->row, idx->images.width, err));
    for (uint32_t i = 0; i < idx->images.width; i++) {
        const uint8_t value = idx->row[i];
        const bool last = i + 1 == idx->images.width;
        rn_buffer_append(out, idx->number[value], idx->digits[value] - (last ? 1u : 0u));
    }
    if (idx->labels.file != NULL) {
        RN_TRY(take(&idx->labels, &label, 1, err));
        (void)rn_text_format(out_label, 4, "%u", label);
    }
    idx->at++;
    return rn_ok();
}
