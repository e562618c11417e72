/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a plain or gzip file, and the fields of one record; private to recordfile.c, linefile.c
 * and recordfields.c.
 */
#ifndef RN_TRAINER_RECORDPARTS_H
#define RN_TRAINER_RECORDPARTS_H

#include "trainer/data/recordfile.h"

/* ---- Lines */

struct rn_lines {
    const char *path; /* borrowed */
    void *file;       /* gzFile */
    uint8_t *chunk;
    size_t chunk_length, chunk_at;
    uint64_t bytes; /* read so far, uncompressed */
    uint64_t bytes_max;
    uint64_t line; /* number of the line last handed out */
    bool ended;
};

RN_MUST rn_result rn_lines_open(const char *path, struct rn_lines *out, struct rn_error *err);
void rn_lines_close(struct rn_lines *lines);

/* Appends the next line without its end to out; *out_any false when the file is at its end.
 * RN_E_DATA when out would hold more than RN_DATASET_LINE_BYTES_MAX bytes, or the file more than
 * RN_DATASET_FILE_BYTES_MAX. */
RN_MUST rn_result rn_lines_next(struct rn_lines *lines, struct rn_buffer *out, bool *out_any,
                                struct rn_error *err);

/* ---- Fields */

struct rn_field {
    size_t start, length; /* in the record's bytes */
};

struct rn_fields {
    struct rn_field *list; /* RN_DATASET_COLUMNS_MAX */
    size_t count;
};

/* line is path:line for errors. */
RN_MUST rn_result rn_fields_split_tabs(struct rn_view record, const struct rn_lines *at,
                                       struct rn_fields *out, struct rn_error *err);

/* A record whose quotes are odd in number goes on in the next line. */
size_t rn_fields_count_quotes(struct rn_view bytes);

/* Removes the quoting in place. first_line is for errors. */
RN_MUST rn_result rn_fields_split_csv(struct rn_buffer *record, const struct rn_lines *at,
                                      uint64_t first_line, struct rn_fields *out,
                                      struct rn_error *err);

#endif
