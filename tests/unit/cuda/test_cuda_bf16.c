/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounding to bf16: to nearest, ties to even, for every bf16 and its neighbourhood.
 */
#include "tests/unit/cuda/cudacheck.h"

static float of_bits(uint32_t bits)
{
    return rn_bits_float(bits);
}

static void every_bf16_is_a_fixed_point(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x10000; b++) {
        const float value = of_bits(b << 16);
        if (isnan(value)) {
            assert_true(isnan(rn_from_bf16(rn_to_bf16(value))));
        } else {
            assert_int_equal(rn_to_bf16(value).bits, b);
        }
    }
}

/* Between two neighbours: below the middle down, above it up, the middle itself to the even one. */
static void neighbours_are_chosen_right(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x7f80; b++) { /* the magnitude grows with the bits */
        for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
            const uint32_t low = (b | sign) << 16;
            assert_int_equal(rn_to_bf16(of_bits(low + 0x0001)).bits, b | sign);
            assert_int_equal(rn_to_bf16(of_bits(low + 0x7fff)).bits, b | sign);
            assert_int_equal(rn_to_bf16(of_bits(low + 0x8000)).bits, (b + (b & 1)) | sign);
            assert_int_equal(rn_to_bf16(of_bits(low + 0x8001)).bits, (b + 1) | sign);
            assert_int_equal(rn_to_bf16(of_bits(low + 0xffff)).bits, (b + 1) | sign);
        }
    }
}

static void a_nan_stays_a_nan(void **state)
{
    (void)state;
    for (uint32_t low = 1; low < 0x10000; low += 0x1111) {
        assert_true(isnan(rn_from_bf16(rn_to_bf16(of_bits(0x7f800000u + low)))));
        assert_true(isnan(rn_from_bf16(rn_to_bf16(of_bits(0xff800000u + low)))));
    }
    assert_true(isnan(rn_from_bf16(rn_to_bf16(of_bits(0x7fffffffu)))));
}

static void pairs_keep_their_places(void **state)
{
    (void)state;
    assert_int_equal(rn_pack(1.0f, -2.0f), 0xc0003f80u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bf16_is_a_fixed_point),
        cmocka_unit_test(neighbours_are_chosen_right),
        cmocka_unit_test(a_nan_stays_a_nan),
        cmocka_unit_test(pairs_keep_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
