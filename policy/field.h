/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of a YAML file as a table: one row per field says where it stands in the file and in
 * its struct, what it may hold, what a new file holds, and what it means. From the rows come the
 * parser (yamlfile.h), its error sentences, the template that a command writes, `rondo plan show`,
 * `rondo plan diff`, the table in FORMATS.md (a test compares it) and the tests at each limit.
 *
 * A path is dotted, "lora.rank"; every prefix of a path is a section, a mapping in the file. Rows
 * stand in the order in which a new file holds them. Values are kept in a plain struct; a list is
 * an array and a uint32_t count. Sans-I/O.
 */
#ifndef RN_POLICY_FIELD_H
#define RN_POLICY_FIELD_H

#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RN_FIELD_HASH_TEXT 64 /* hex digits of a SHA-256 or Ed25519 value */

enum rn_field_kind {
    RN_FIELD_U32,     /* whole number in a uint32_t */
    RN_FIELD_U64,     /* whole number in a uint64_t, at most 2^53 */
    RN_FIELD_BYTES,   /* the same; K, M or G after it multiplies by 1024, 1024^2, 1024^3 */
    RN_FIELD_REAL,    /* decimal number in a double */
    RN_FIELD_SWITCH,  /* true or false in a bool */
    RN_FIELD_WORD,    /* one of words, in an enum of four bytes */
    RN_FIELD_TEXT,    /* printable text that is not empty, in char[size] */
    RN_FIELD_NAME,    /* a-z, 0-9 and '-', in char[size] */
    RN_FIELD_HASH,    /* 64 lower-case hex digits, in char[65] */
    RN_FIELD_WORDS,   /* list: any of words, bit 1 << value each in a uint32_t; not empty */
    RN_FIELD_TEXTS,   /* list of TEXT, distinct */
    RN_FIELD_NAMES,   /* list of NAME, distinct */
    RN_FIELD_HASHES,  /* list of HASH */
    RN_FIELD_NUMBERS, /* list of whole numbers in uint32_t, ascending */
    RN_FIELD_ROWS,    /* list of mappings, each with the fields of `columns` */
    RN_FIELD_SECTION, /* a section that may be absent as a whole; holds no value */
};

struct rn_word {
    const char *text;
    uint32_t value;
};

struct rn_field_table;

struct rn_field {
    const char *path;
    enum rn_field_kind kind;
    bool optional;
    size_t offset;       /* of the value, or of a list's array, in the struct */
    size_t size;         /* bytes of the value, or of one entry of a list */
    size_t count_offset; /* lists but WORDS: of the uint32_t count */
    double least, most;  /* numbers: range; lists: entries */
    const struct rn_word *words;
    size_t word_count;
    const struct rn_field_table *columns; /* ROWS; offsets are within one entry */
    const char *absent;   /* optional: the value when it is not there; NULL: zero, or empty */
    const char *fallback; /* the value in a new file, as in YAML; NULL: every file has its own */
    const char *unit;     /* "s", "bytes/s"; NULL: none, or plain from the meaning */
    const char *meaning;  /* as in FORMATS.md */
};

struct rn_field_table {
    const struct rn_field *fields;
    size_t count;
    size_t bytes_max; /* of a file with these fields, at most RN_YAML_BYTES_MAX; rows have none */
};

/* The uint32_t at this offset: a value, a count, bits. */
static inline uint32_t rn_field_u32(const void *data, size_t offset)
{
    uint32_t value;
    memcpy(&value, (const char *)data + offset, sizeof value);
    return value;
}

/* The row of this path, or NULL. */
const struct rn_field *rn_field_find(const struct rn_field_table *table, const char *path);

bool rn_field_is_list(const struct rn_field *field);

/* Sets the value in data, or appends one entry to a list, from the text of a YAML scalar. A
 * quoted scalar is text whatever it looks like. Range, words and form are checked; RN_E_CONFIG with
 * a sentence that says what is expected. Not for ROWS and SECTION. */
RN_MUST rn_result rn_field_set(const struct rn_field *field, void *data, const char *text,
                               bool quoted, struct rn_error *err);

/* Empties a list. */
void rn_field_reset(const struct rn_field *field, void *data);

/* Sets from the form in which a table notes defaults: a scalar, or "[a, b]". */
RN_MUST rn_result rn_field_set_text(const struct rn_field *field, void *data, const char *text,
                                    struct rn_error *err);

/* What a list as a whole must hold: the number of its entries. RN_E_CONFIG. */
RN_MUST rn_result rn_field_check_count(const struct rn_field *field, const void *data,
                                       struct rn_error *err);

/* Entries of a list; 1 for anything else. */
uint32_t rn_field_count(const struct rn_field *field, const void *data);

/* Appends entry `at` of the value as a YAML scalar; TEXT is quoted, a real number is the shortest
 * text that reads back as the same double. */
void rn_field_put_entry(const struct rn_field *field, const void *data, uint32_t at,
                        struct rn_buffer *out);
/* Appends the whole value as it may stand in the file: "4", "[query, value]". */
void rn_field_put(const struct rn_field *field, const void *data, struct rn_buffer *out);

/* Appends text as a double-quoted YAML scalar. Control characters become spaces. */
void rn_field_quote(struct rn_buffer *out, const char *text);

/* The word of this value; "?" when there is none. */
const char *rn_word_text(const struct rn_word *words, size_t count, uint32_t value);

/* Appends the words as "a, b or c". */
void rn_words_list(const struct rn_word *words, size_t count, struct rn_buffer *out);

/* Appends a range as FORMATS.md writes it: "1 to 512", "2^-30 to 1048576", "1"; nothing for fields
 * without one. */
void rn_field_put_range(const struct rn_field *field, struct rn_buffer *out);

/* Appends the meaning without FORMATS.md's back-quotes, and the range. */
void rn_field_put_meaning(const struct rn_field *field, struct rn_buffer *out);

/* Appends a whole file: sections, keys and values in the table's order, each with its meaning as a
 * comment. Only the fields that are wanted; rows of a list of mappings are not written. */
void rn_field_put_file(const struct rn_field_table *table, const void *data,
                       bool (*wanted)(const struct rn_field *, const void *),
                       struct rn_buffer *out);

#endif
