/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded reader and writer, and hex.
 */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct rn_view rn_view_text(const char *text)
{
    return rn_view_of(text, strlen(text));
}

bool rn_view_equal(struct rn_view a, struct rn_view b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

struct rn_reader rn_reader_of(struct rn_view in)
{
    return (struct rn_reader){in, 0, false};
}

size_t rn_reader_left(const struct rn_reader *reader)
{
    return reader->failed ? 0 : reader->in.length - reader->position;
}

bool rn_reader_done(const struct rn_reader *reader)
{
    return !reader->failed && reader->position == reader->in.length;
}

struct rn_view rn_read_view(struct rn_reader *reader, size_t length)
{
    if (reader->failed || length > reader->in.length - reader->position) {
        reader->failed = true;
        return (struct rn_view){NULL, 0};
    }
    if (length == 0) {
        return (struct rn_view){NULL, 0};
    }
    const struct rn_view out = {reader->in.data + reader->position, length};
    reader->position += length;
    return out;
}

static uint64_t read_integer(struct rn_reader *reader, size_t bytes)
{
    const struct rn_view view = rn_read_view(reader, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < view.length; i++) {
        value |= (uint64_t)view.data[i] << (8 * i);
    }
    return value;
}

uint8_t rn_read_u8(struct rn_reader *reader)
{
    return (uint8_t)read_integer(reader, 1);
}
uint16_t rn_read_u16(struct rn_reader *reader)
{
    return (uint16_t)read_integer(reader, 2);
}
uint32_t rn_read_u32(struct rn_reader *reader)
{
    return (uint32_t)read_integer(reader, 4);
}
uint64_t rn_read_u64(struct rn_reader *reader)
{
    return read_integer(reader, 8);
}

void rn_read_copy(struct rn_reader *reader, void *out, size_t length)
{
    const struct rn_view view = rn_read_view(reader, length);
    if (length == 0) {
        return;
    }
    if (view.length == length) {
        memcpy(out, view.data, length);
    } else {
        memset(out, 0, length);
    }
}

struct rn_view rn_read_blob(struct rn_reader *reader, size_t max)
{
    const uint32_t length = rn_read_u32(reader);
    if (length > max) {
        reader->failed = true;
    }
    return rn_read_view(reader, length);
}

struct rn_writer rn_writer_to(void *out, size_t capacity)
{
    return (struct rn_writer){(uint8_t *)out, capacity, 0, false};
}

bool rn_writer_done(const struct rn_writer *writer)
{
    return !writer->failed;
}

void rn_write_bytes(struct rn_writer *writer, const void *data, size_t length)
{
    if (writer->failed || length > writer->capacity - writer->position) {
        writer->failed = true;
        return;
    }
    if (length > 0) {
        memcpy(writer->out + writer->position, data, length);
        writer->position += length;
    }
}

static void to_little_endian(uint8_t out[8], uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static void write_integer(struct rn_writer *writer, uint64_t value, size_t bytes)
{
    uint8_t raw[8];
    to_little_endian(raw, value);
    rn_write_bytes(writer, raw, bytes);
}

void rn_write_u8(struct rn_writer *writer, uint8_t value)
{
    write_integer(writer, value, 1);
}
void rn_write_u16(struct rn_writer *writer, uint16_t value)
{
    write_integer(writer, value, 2);
}
void rn_write_u32(struct rn_writer *writer, uint32_t value)
{
    write_integer(writer, value, 4);
}
void rn_write_u64(struct rn_writer *writer, uint64_t value)
{
    write_integer(writer, value, 8);
}

void rn_write_blob(struct rn_writer *writer, struct rn_view blob)
{
    if (blob.length > UINT32_MAX) {
        writer->failed = true;
        return;
    }
    rn_write_u32(writer, (uint32_t)blob.length);
    rn_write_bytes(writer, blob.data, blob.length);
}

void rn_hex_encode(char *out, const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * length] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool rn_hex_decode(void *out, size_t length, const char *text)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < length; i++) {
        const int high = hex_digit(text[2 * i]);
        const int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * length] == '\0';
}

bool rn_text_format(char *out, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(out, capacity, format, arguments);
    va_end(arguments);
    return length >= 0 && (size_t)length < capacity;
}
