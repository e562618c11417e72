/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a TSV, CSV or JSONL file, plain or gzip (recognised by content), one after the other.
 *
 * Formats: tsv, tabs without quoting (.tsv, .tab); csv, RFC 4180, where a quoted field may hold
 * separators, quotes ("") and line breaks (.csv); csv-semicolon and tsv-quoted, the same with
 * another separator; jsonl, one object a line (.jsonl, .ndjson, .jsonlines, .json), read as
 * Python's json module reads it (jsonmend.h), where a text column is a string, a label a string, a
 * number or a boolean. A byte order mark at the start and a carriage return before a line feed are
 * dropped; empty lines are skipped. With a header every record has as many columns as the header.
 *
 * A text column "*", or FIRST:LAST, of a file with separators is a range of columns: its cells but
 * for the label's, between commas, are the text, a row of numbers (rows.h). idx: bytes of images
 * (-ubyte, .idx; idxfile.h), which has no columns: whatever names are given.
 *
 * A file that is something else (an archive, UTF-16, lines that end in CR) is said to be that.
 * Errors name file, line and column, never the record's text.
 */
#ifndef RN_TRAINER_RECORDFILE_H
#define RN_TRAINER_RECORDFILE_H

#include "base/bytes.h"
#include "trainer/words.h"

#define RN_DATASET_FILE_BYTES_MAX ((uint64_t)16 << 30) /* uncompressed */
#define RN_DATASET_LINE_BYTES_MAX ((size_t)16 << 20)
#define RN_DATASET_COLUMNS_MAX 1024
#define RN_DATASET_COLUMN_BYTES_MAX 256

/* The columns of one record, borrowed until the next. Texts and label are valid UTF-8. */
struct rn_record {
    struct rn_view text;
    struct rn_view pair;  /* empty without a pair column */
    struct rn_view label; /* empty without a label column */
    uint64_t line;        /* where the record starts, from 1; idx: its number */
};

struct rn_records;

/* Opens and reads the header. RN_E_NO_INPUT for a missing file, RN_E_USAGE for an unknown format or
 * a column that the header lacks. */
RN_MUST rn_result rn_records_open(const struct rn_data_spec *spec, struct rn_records **out,
                                  struct rn_error *err);
void rn_records_free(struct rn_records *records);
void rn_records_cleanup(struct rn_records **records);

/* Whether a record is numbers by its columns or bytes, and no text. */
bool rn_records_are_rows(const struct rn_records *records);

/* *out_any false at the end of the file. */
RN_MUST rn_result rn_records_next(struct rn_records *records, struct rn_record *out, bool *out_any,
                                  struct rn_error *err);

#endif
