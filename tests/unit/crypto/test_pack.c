/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing: every width against a bit-by-bit definition, exact lengths, clean padding.
 */
#include "crypto/pack.h"
#include "crypto/random.h"
#include "tests/unit/crypto/vectors.h"

#define LENGTH 67

/* The definition in the header, bit by bit. */
static bool packed_bit(const uint8_t *packed, size_t bit)
{
    return packed[bit / 8] >> bit % 8 & 1;
}

/* case 36, also with lengths around the last eight bytes. */
static void every_width_by_definition(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(1);
    struct rn_stream stream;
    rn_stream_init(&stream, &key);
    for (unsigned bits = 1; bits <= 64; bits++) {
        for (size_t count = 0; count <= LENGTH; count++) {
            uint64_t values[LENGTH];
            uint64_t back[LENGTH];
            uint8_t packed[LENGTH * 8 + 1];
            const size_t size = rn_pack_size(count, bits);
            rn_stream_words(&stream, values, count); /* with bits above the width: cut off */
            memset(packed, 0xaa, sizeof(packed));
            rn_pack_u64(packed, bits, values, count);
            assert_int_equal(packed[size], 0xaa);
            for (size_t e = 0; e < count; e++) {
                for (unsigned k = 0; k < bits; k++) {
                    assert_int_equal(packed_bit(packed, e * bits + k), values[e] >> k & 1);
                }
            }
            assert_ok(rn_unpack_u64(rn_view_of(packed, size), bits, back, count, NULL));
            for (size_t e = 0; e < count; e++) {
                assert_true(back[e] ==
                            (bits == 64 ? values[e] : (values[e] & ((UINT64_C(1) << bits) - 1))));
            }
        }
    }
}

static void narrow_lanes_give_the_same_bytes(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(2);
    struct rn_stream stream;
    rn_stream_init(&stream, &key);
    for (unsigned bits = 1; bits <= 32; bits++) {
        uint64_t wide[LENGTH];
        uint32_t narrow[LENGTH];
        uint32_t back[LENGTH];
        uint8_t from_wide[LENGTH * 4];
        uint8_t from_narrow[LENGTH * 4];
        const size_t size = rn_pack_size(LENGTH, bits);
        for (unsigned k = 0; k < LENGTH; k++) {
            wide[k] = rn_stream_u64(&stream) & UINT32_MAX;
            narrow[k] = (uint32_t)wide[k];
        }
        rn_pack_u64(from_wide, bits, wide, LENGTH);
        rn_pack_u32(from_narrow, bits, narrow, LENGTH);
        assert_memory_equal(from_wide, from_narrow, size);
        assert_ok(rn_unpack_u32(rn_view_of(from_narrow, size), bits, back, LENGTH, NULL));
        for (unsigned k = 0; k < LENGTH; k++) {
            assert_true(back[k] == (narrow[k] & (uint32_t)((UINT64_C(1) << bits) - 1)));
        }
    }
}

/* case 36. All sequences of three values. */
static void small_widths_exhaustively(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 5; bits++) {
        for (uint32_t all = 0; all < UINT32_C(1) << (3 * bits); all++) {
            uint32_t values[3];
            uint32_t back[3];
            uint8_t packed[2];
            for (unsigned k = 0; k < 3; k++) {
                values[k] = all >> (k * bits) & ((1u << bits) - 1);
            }
            rn_pack_u32(packed, bits, values, 3);
            const size_t size = rn_pack_size(3, bits);
            assert_int_equal(packed[0] | (size > 1 ? packed[1] << 8 : 0), all);
            assert_ok(rn_unpack_u32(rn_view_of(packed, size), bits, back, 3, NULL));
            assert_memory_equal(back, values, sizeof(values));
        }
    }
}

/* case 28 */
static void neighbours_do_not_mix(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 64; bits++) {
        uint64_t values[LENGTH] = {0};
        uint64_t back[LENGTH];
        uint8_t packed[LENGTH * 8];
        for (unsigned k = 1; k < LENGTH; k += 2) {
            values[k] = UINT64_MAX;
        }
        rn_pack_u64(packed, bits, values, LENGTH);
        assert_ok(rn_unpack_u64(rn_view_of(packed, rn_pack_size(LENGTH, bits)), bits, back, LENGTH,
                                NULL));
        for (unsigned k = 0; k < LENGTH; k++) {
            assert_true(back[k] == (k % 2 ? UINT64_MAX >> (64 - bits) : 0));
        }
    }
}

/* Unpacking into a sum is unpacking and then adding. */
static void adding_is_unpacking_and_adding(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(3);
    struct rn_stream stream;
    rn_stream_init(&stream, &key);
    for (unsigned bits = 1; bits <= 64; bits++) {
        uint64_t values[LENGTH];
        uint64_t wide[LENGTH];
        uint32_t narrow[LENGTH];
        uint8_t packed[LENGTH * 8];
        rn_stream_words(&stream, values, LENGTH);
        rn_pack_u64(packed, bits, values, LENGTH);
        const struct rn_view view = rn_view_of(packed, rn_pack_size(LENGTH, bits));
        for (unsigned k = 0; k < LENGTH; k++) {
            values[k] &= UINT64_MAX >> (64 - bits);
            wide[k] = UINT64_MAX - 3 * k;
            narrow[k] = (uint32_t)wide[k];
        }
        assert_ok(rn_unpack_add_u64(view, bits, wide, LENGTH, NULL));
        if (bits <= 32) {
            assert_ok(rn_unpack_add_u32(view, bits, narrow, LENGTH, NULL));
        }
        for (unsigned k = 0; k < LENGTH; k++) {
            const uint64_t wanted = UINT64_MAX - 3 * k + values[k];
            assert_true(wide[k] == wanted);
            assert_true(bits > 32 || narrow[k] == (uint32_t)wanted);
        }
        assert_code(
            rn_unpack_add_u64(rn_view_of(packed, view.length - 1), bits, wide, LENGTH, NULL),
            RN_E_PEER_FORMAT);
    }
}

static void lengths_are_exact(void **state)
{
    (void)state;
    uint8_t packed[64] = {0};
    uint32_t out[8] = {9};
    for (unsigned bits = 1; bits <= 32; bits++) {
        const size_t size = rn_pack_size(8, bits);
        assert_int_equal(size, bits);
        for (size_t length = 0; length <= sizeof(packed); length++) {
            const rn_result result = rn_unpack_u32(rn_view_of(packed, length), bits, out, 8, NULL);
            assert_int_equal(result.code, length == size ? RN_OK : RN_E_PEER_FORMAT);
        }
    }
    assert_int_equal(rn_pack_size(0, 13), 0);
    assert_int_equal(rn_pack_size(RN_PACK_COUNT_MAX, 64), (size_t)1 << 35);
    assert_ok(rn_unpack_u32(rn_view_of(NULL, 0), 13, NULL, 0, NULL));
    rn_pack_u32(NULL, 13, NULL, 0);
}

static void padding_is_zero(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 64; bits++) {
        for (size_t count = 1; count < 9; count++) {
            const uint64_t values[8] = {0};
            uint64_t out[8] = {0};
            uint8_t packed[64];
            const size_t size = rn_pack_size(count, bits);
            rn_pack_u64(packed, bits, values, count);
            for (size_t bit = count * bits; bit < 8 * size; bit++) {
                packed[bit / 8] |= (uint8_t)(1u << bit % 8);
                out[0] = 7;
                assert_code(rn_unpack_u64(rn_view_of(packed, size), bits, out, count, NULL),
                            RN_E_PEER_FORMAT);
                assert_true(out[0] == 7);
                packed[bit / 8] = 0;
            }
        }
    }
}

static void no_width(void)
{
    (void)rn_pack_size(1, 0);
}
static void too_wide(void)
{
    (void)rn_pack_size(1, 65);
}
static void too_many(void)
{
    (void)rn_pack_size(RN_PACK_COUNT_MAX + 1, 1);
}
static void too_wide_for_lane(void)
{
    const uint32_t value = 0;
    uint8_t out[8];
    rn_pack_u32(out, 33, &value, 1);
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(no_width);
    assert_aborts(too_wide);
    assert_aborts(too_many);
    assert_aborts(too_wide_for_lane);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_by_definition),
        cmocka_unit_test(narrow_lanes_give_the_same_bytes),
        cmocka_unit_test(small_widths_exhaustively),
        cmocka_unit_test(neighbours_do_not_mix),
        cmocka_unit_test(adding_is_unpacking_and_adding),
        cmocka_unit_test(lengths_are_exact),
        cmocka_unit_test(padding_is_zero),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
