/* SPDX-License-Identifier: Apache-2.0
 *
 * The growable buffer with a hard maximum.
 */
#include "base/alloc.h"
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CAPACITY 256

void rn_buffer_init(struct rn_buffer *buffer, size_t max)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->max = max;
}

void rn_buffer_clear(struct rn_buffer *buffer)
{
    if (buffer != NULL) {
        rn_free(buffer->data);
        memset(buffer, 0, sizeof(*buffer));
    }
}

/* Room for length more bytes and a closing NUL. */
static bool reserve(struct rn_buffer *buffer, size_t length)
{
    const size_t max = buffer->max != 0 ? buffer->max : RN_BUFFER_MAX_DEFAULT;
    if (buffer->failed || buffer->length > max || length > max - buffer->length) {
        buffer->failed = true;
        return false;
    }
    const size_t wanted = buffer->length + length + 1;
    if (wanted <= buffer->capacity) {
        return true;
    }
    size_t capacity = buffer->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buffer->capacity * 2;
    if (capacity < wanted) {
        capacity = wanted;
    }
    buffer->data = rn_realloc(buffer->data, buffer->length, capacity, 1);
    buffer->capacity = capacity;
    return true;
}

void rn_buffer_append(struct rn_buffer *buffer, const void *data, size_t length)
{
    if (length > 0 && reserve(buffer, length)) {
        memcpy(buffer->data + buffer->length, data, length);
        buffer->length += length;
    }
}

uint8_t *rn_buffer_grow(struct rn_buffer *buffer, size_t length)
{
    if (!reserve(buffer, length)) {
        return NULL;
    }
    uint8_t *start = buffer->data + buffer->length;
    memset(start, 0, length);
    buffer->length += length;
    return start;
}

static void append_integer(struct rn_buffer *buffer, uint64_t value, size_t bytes)
{
    uint8_t raw[8];
    struct rn_writer writer = rn_writer_to(raw, sizeof(raw));
    rn_write_u64(&writer, value);
    rn_buffer_append(buffer, raw, bytes);
}

void rn_buffer_u8(struct rn_buffer *buffer, uint8_t value)
{
    append_integer(buffer, value, 1);
}
void rn_buffer_u16(struct rn_buffer *buffer, uint16_t value)
{
    append_integer(buffer, value, 2);
}
void rn_buffer_u32(struct rn_buffer *buffer, uint32_t value)
{
    append_integer(buffer, value, 4);
}
void rn_buffer_u64(struct rn_buffer *buffer, uint64_t value)
{
    append_integer(buffer, value, 8);
}

void rn_buffer_blob(struct rn_buffer *buffer, struct rn_view blob)
{
    if (blob.length > UINT32_MAX) {
        buffer->failed = true;
        return;
    }
    rn_buffer_u32(buffer, (uint32_t)blob.length);
    rn_buffer_append(buffer, blob.data, blob.length);
}

void rn_buffer_format(struct rn_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) {
        buffer->failed = true;
    } else if (reserve(buffer, (size_t)length)) {
        (void)vsnprintf((char *)buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

const char *rn_buffer_text(struct rn_buffer *buffer)
{
    if (buffer->data == NULL) {
        return "";
    }
    buffer->data[buffer->length] = '\0'; /* reserve always left room for it */
    return (const char *)buffer->data;
}

struct rn_view rn_buffer_view(const struct rn_buffer *buffer)
{
    return rn_view_of(buffer->data, buffer->length);
}
