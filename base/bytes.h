/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes in and out: a borrowed view, a bounded reader, a bounded writer, and a growable buffer with
 * a hard maximum.
 *
 * Reader and writer have a sticky error: after the first failure every further call does nothing
 * and returns zeros, and the caller asks once at the end (rn_reader_done, rn_writer_done). All
 * integers are little-endian. No parser in Rondo does pointer arithmetic of its own.
 */
#ifndef RN_BASE_BYTES_H
#define RN_BASE_BYTES_H

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed view; whoever owns the memory outlives it. */
struct rn_view {
    const uint8_t *data;
    size_t length;
};

static inline struct rn_view rn_view_of(const void *data, size_t length)
{
    return (struct rn_view){(const uint8_t *)data, length};
}
/* View of a NUL-terminated text without the NUL. */
struct rn_view rn_view_text(const char *text);
/* Ordering and equality of PUBLIC bytes. For secrets use crypto/secret.h. */
bool rn_view_equal(struct rn_view a, struct rn_view b);

struct rn_reader {
    struct rn_view in;
    size_t position;
    bool failed;
};

struct rn_reader rn_reader_of(struct rn_view in);
uint8_t rn_read_u8(struct rn_reader *reader);
uint16_t rn_read_u16(struct rn_reader *reader);
uint32_t rn_read_u32(struct rn_reader *reader);
uint64_t rn_read_u64(struct rn_reader *reader);
/* Copies length bytes out; zero-fills out on failure. */
void rn_read_copy(struct rn_reader *reader, void *out, size_t length);
/* Borrows the next length bytes of the input; an empty view on failure. */
struct rn_view rn_read_view(struct rn_reader *reader, size_t length);
/* u32 length, then that many bytes, borrowed; fails when the length exceeds max. */
struct rn_view rn_read_blob(struct rn_reader *reader, size_t max);
size_t rn_reader_left(const struct rn_reader *reader);
/* True when nothing failed and every byte was consumed. */
bool rn_reader_done(const struct rn_reader *reader);

/* Writes into memory that the caller owns. */
struct rn_writer {
    uint8_t *out;
    size_t capacity;
    size_t position;
    bool failed;
};

struct rn_writer rn_writer_to(void *out, size_t capacity);
void rn_write_u8(struct rn_writer *writer, uint8_t value);
void rn_write_u16(struct rn_writer *writer, uint16_t value);
void rn_write_u32(struct rn_writer *writer, uint32_t value);
void rn_write_u64(struct rn_writer *writer, uint64_t value);
void rn_write_bytes(struct rn_writer *writer, const void *data, size_t length);
/* u32 length, then the bytes. */
void rn_write_blob(struct rn_writer *writer, struct rn_view blob);
/* True when nothing failed (the output need not be full). */
bool rn_writer_done(const struct rn_writer *writer);

/* Growable bytes with a hard maximum; also sticky. Zero-initialise, or rn_buffer_init. */
struct rn_buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    size_t max; /* 0 means RN_BUFFER_MAX_DEFAULT */
    bool failed;
};
#define RN_BUFFER_MAX_DEFAULT ((size_t)1 << 30)

void rn_buffer_init(struct rn_buffer *buffer, size_t max);
/* Frees the memory and zeroes the struct. NULL-safe; use with RN_CLEANUP(rn_buffer_clear). */
void rn_buffer_clear(struct rn_buffer *buffer);
/* Appends; the buffer is `failed` when max would be exceeded. */
void rn_buffer_append(struct rn_buffer *buffer, const void *data, size_t length);
void rn_buffer_u8(struct rn_buffer *buffer, uint8_t value);
void rn_buffer_u16(struct rn_buffer *buffer, uint16_t value);
void rn_buffer_u32(struct rn_buffer *buffer, uint32_t value);
void rn_buffer_u64(struct rn_buffer *buffer, uint64_t value);
void rn_buffer_blob(struct rn_buffer *buffer, struct rn_view blob);
/* printf-style text without the closing NUL. */
void rn_buffer_format(struct rn_buffer *buffer, const char *format, ...) RN_PRINTF(2, 3);
/* Appends length zero bytes and returns where they start (valid until the next append); NULL when
 * failed. */
uint8_t *rn_buffer_grow(struct rn_buffer *buffer, size_t length);
/* The bytes as a NUL-terminated text (the NUL is not counted in length); never NULL. */
const char *rn_buffer_text(struct rn_buffer *buffer);
struct rn_view rn_buffer_view(const struct rn_buffer *buffer);

/* Lower-case hex. out holds 2*length+1 characters. */
void rn_hex_encode(char *out, const void *data, size_t length);
/* Exactly 2*length hex digits (either case) into length bytes; false otherwise. */
RN_MUST bool rn_hex_decode(void *out, size_t length, const char *text);

/* Longest path with its NUL. */
#define RN_PATH_MAX 4096

/* Bounded text: always terminated; false when it did not fit (the text is cut then). */
bool rn_text_format(char *out, size_t capacity, const char *format, ...) RN_PRINTF(3, 4);

#endif
