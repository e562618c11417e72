/* SPDX-License-Identifier: Apache-2.0
 *
 * Readers, writers, buffers and hex keep their contract at and beyond their limits.
 */
#include "base/bytes.h"
#include "base/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void reader_is_little_endian_and_bounded(void **state)
{
    (void)state;
    const uint8_t raw[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct rn_reader reader = rn_reader_of(rn_view_of(raw, sizeof(raw)));
    assert_int_equal(rn_read_u8(&reader), 1);
    assert_int_equal(rn_read_u16(&reader), 0x0302);
    assert_int_equal(rn_read_u32(&reader), 0x07060504);
    assert_true(rn_read_u64(&reader) == 0x0f0e0d0c0b0a0908u);
    assert_true(rn_reader_done(&reader));
    assert_int_equal(rn_read_u8(&reader), 0); /* one byte too many: zero, and sticky */
    assert_false(rn_reader_done(&reader));
    assert_int_equal(rn_reader_left(&reader), 0);
}

static void reader_error_is_sticky(void **state)
{
    (void)state;
    const uint8_t raw[] = {1, 2, 3};
    uint8_t out[4] = {9, 9, 9, 9};
    struct rn_reader reader = rn_reader_of(rn_view_of(raw, sizeof(raw)));
    rn_read_copy(&reader, out, 4);
    assert_int_equal(out[0], 0);
    assert_int_equal(rn_read_u8(&reader), 0); /* although three bytes are there */
    assert_false(rn_reader_done(&reader));
}

static void blob_length_is_limited(void **state)
{
    (void)state;
    const uint8_t raw[] = {3, 0, 0, 0, 'a', 'b', 'c'};
    struct rn_reader at_limit = rn_reader_of(rn_view_of(raw, sizeof(raw)));
    assert_int_equal(rn_read_blob(&at_limit, 3).length, 3);
    assert_true(rn_reader_done(&at_limit));
    struct rn_reader beyond = rn_reader_of(rn_view_of(raw, sizeof(raw)));
    assert_int_equal(rn_read_blob(&beyond, 2).length, 0);
    assert_false(rn_reader_done(&beyond));
    const uint8_t lying[] = {255, 255, 255, 255, 'a'};
    struct rn_reader liar = rn_reader_of(rn_view_of(lying, sizeof(lying)));
    assert_int_equal(rn_read_blob(&liar, SIZE_MAX).length, 0);
    assert_false(rn_reader_done(&liar));
}

static void writer_stops_at_its_capacity(void **state)
{
    (void)state;
    uint8_t out[6] = {0};
    struct rn_writer writer = rn_writer_to(out, sizeof(out));
    rn_write_u32(&writer, 0x04030201);
    rn_write_u16(&writer, 0x0605);
    assert_true(rn_writer_done(&writer));
    assert_int_equal(out[5], 6);
    rn_write_u8(&writer, 1);
    assert_false(rn_writer_done(&writer));
    assert_int_equal(writer.position, 6);
}

static void buffer_grows_to_its_maximum(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer buffer;
    rn_buffer_init(&buffer, 1000);
    for (int i = 0; i < 1000; i++) {
        rn_buffer_u8(&buffer, (uint8_t)i);
    }
    assert_false(buffer.failed);
    assert_int_equal(buffer.length, 1000);
    rn_buffer_u8(&buffer, 1);
    assert_true(buffer.failed);
    assert_int_equal(buffer.length, 1000);
    assert_int_equal(buffer.data[999], 999 & 255);
}

static void buffer_formats_text(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer buffer = {0};
    assert_string_equal(rn_buffer_text(&buffer), "");
    rn_buffer_format(&buffer, "%s-%d", "round", 7);
    rn_buffer_format(&buffer, "%0300d", 1);
    assert_int_equal(buffer.length, 307);
    assert_memory_equal(rn_buffer_text(&buffer), "round-7000", 10);
}

static void hex_goes_both_ways(void **state)
{
    (void)state;
    const uint8_t raw[3] = {0x00, 0xAf, 0x9c};
    char text[7];
    uint8_t back[3];
    rn_hex_encode(text, raw, 3);
    assert_string_equal(text, "00af9c");
    assert_true(rn_hex_decode(back, 3, "00AF9c"));
    assert_memory_equal(back, raw, 3);
    assert_false(rn_hex_decode(back, 3, "00af9"));
    assert_false(rn_hex_decode(back, 3, "00af9c0"));
    assert_false(rn_hex_decode(back, 3, "00af9g"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_is_little_endian_and_bounded),
        cmocka_unit_test(reader_error_is_sticky),
        cmocka_unit_test(blob_length_is_limited),
        cmocka_unit_test(writer_stops_at_its_capacity),
        cmocka_unit_test(buffer_grows_to_its_maximum),
        cmocka_unit_test(buffer_formats_text),
        cmocka_unit_test(hex_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
