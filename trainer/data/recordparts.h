/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a plain or gzip file, the fields of one record, and what a file of records consists of;
 * private to record*.c and linefile.c.
 */
#ifndef RN_TRAINER_RECORDPARTS_H
#define RN_TRAINER_RECORDPARTS_H

#include "trainer/data/idxfile.h"
#include "trainer/data/recordfile.h"
#include "trainer/ground/jsonmend.h"

/* ---- Encodings ----------------------------------------------------------------------------- */

enum rn_charset { RN_CHARSET_UTF8, RN_CHARSET_LATIN1, RN_CHARSET_WINDOWS1252 };

/* "utf-8" (NULL means it), "latin-1", "windows-1252"; RN_E_USAGE for another. */
RN_MUST rn_result rn_charset_find(const char *name, enum rn_charset *out, struct rn_error *err);
/* Appends bytes of a one-byte encoding in UTF-8; what it does not define becomes U+FFFD. */
void rn_charset_append(enum rn_charset charset, struct rn_view bytes, struct rn_buffer *out);

/* ---- Lines --------------------------------------------------------------------------------- */

struct rn_lines {
    const char *path; /* borrowed */
    void *file;       /* gzFile */
    uint8_t *chunk;
    size_t chunk_length, chunk_at;
    uint64_t bytes; /* read so far, uncompressed */
    uint64_t bytes_max;
    uint64_t line; /* number of the line last handed out */
    enum rn_charset charset;
    bool ended;
};

RN_MUST rn_result rn_lines_open(const char *path, enum rn_charset charset, struct rn_lines *out,
                                struct rn_error *err);
void rn_lines_close(struct rn_lines *lines);

/* Appends the next line without its end, in UTF-8 where the file is, to out; *out_any false when
 * the file is at its end. RN_E_DATA when out would hold more than RN_DATASET_LINE_BYTES_MAX bytes,
 * or the file more than RN_DATASET_FILE_BYTES_MAX. */
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
RN_MUST rn_result rn_fields_split_quoted(struct rn_buffer *record, char separator,
                                         const struct rn_lines *at, uint64_t first_line,
                                         struct rn_fields *out, struct rn_error *err);

/* Whether a field of a file without quoting is one that a writer with quoting makes: quotes around
 * it, and every quote inside doubled. */
bool rn_field_is_quoted(struct rn_view field);

/* ---- Formats ------------------------------------------------------------------------------- */

struct rn_record_format {
    const char *name;    /* as in struct rn_data_spec */
    const char *endings; /* of file names, in lower case, each before a space; "": by name alone */
    char separator;      /* 0: JSONL */
    bool quoting;
    bool idx; /* no lines: idxfile.h */
};
RN_MUST rn_result rn_record_format_find(const struct rn_data_spec *spec,
                                        const struct rn_record_format **out, struct rn_error *err);

/* ---- A file of records --------------------------------------------------------------------- */

enum { RN_COLUMN_TEXT, RN_COLUMN_PAIR, RN_COLUMN_LABEL, RN_COLUMN_ROLES };

struct rn_records {
    char *path;
    const struct rn_record_format *format;
    bool has_header;
    char *names[RN_COLUMN_ROLES]; /* NULL: not wanted */
    size_t columns[RN_COLUMN_ROLES];
    size_t column_count; /* of the header; 0 without one */
    bool is_range;       /* the text column: columns range_first to range_last */
    size_t range_first, range_last;
    struct rn_buffer joined; /* their cells */
    struct rn_idx *idx;      /* NULL: a file of lines */
    struct rn_data_seen *seen;
    struct rn_lines lines;
    struct rn_buffer record;
    struct rn_fields fields;
    uint64_t first_line; /* of the record */
    json_t *object;
    struct rn_json_losses losses; /* of the object */
    char label[64];               /* a JSON number as text */
};

/* The columns' places, by number, or by the header, which stands in record and fields. RN_E_USAGE
 * lists what the header holds. */
RN_MUST rn_result rn_columns_number(struct rn_records *records, struct rn_error *err);
RN_MUST rn_result rn_columns_find(struct rn_records *records, struct rn_error *err);
RN_MUST rn_result rn_columns_check_count(const struct rn_records *records, struct rn_error *err);
/* The place of one column, by the header, or by a number. */
RN_MUST rn_result rn_column_find(const struct rn_records *records, const char *name, size_t *out,
                                 struct rn_error *err);
RN_MUST rn_result rn_column_number(const struct rn_records *records, const char *name, size_t *out,
                                   struct rn_error *err);

/* "*", or FIRST:LAST: such a text column is a range, unless the header has the very name. */
bool rn_range_spelled(const char *name);
RN_MUST rn_result rn_range_find(struct rn_records *records, struct rn_error *err);
/* The cells of the record's range but for its label's, between commas. */
RN_MUST rn_result rn_range_text(struct rn_records *records, struct rn_view *out,
                                struct rn_error *err);

/* The record as a JSON object, and the value of one of its columns. */
RN_MUST rn_result rn_object_parse(struct rn_records *records, struct rn_error *err);
RN_MUST rn_result rn_object_column(struct rn_records *records, int role, struct rn_view *out,
                                   struct rn_error *err);

#endif
