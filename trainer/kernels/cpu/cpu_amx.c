/* SPDX-License-Identifier: Apache-2.0
 *
 * The one file with AMX instructions: blocks of a product, the tiles' configuration, and the loop
 * of their instruction peak.
 */
#include "trainer/kernels/cpu/cpu_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#pragma GCC target("amx-tile,amx-bf16")

#define RN_TILE_NATIVE
#include "trainer/kernels/cpu/cpu_tileblock.body.h"

/* LDTILECFG's 64 bytes, palette 1. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "as the instruction reads it");

static const struct tile_config whole_tiles
    __attribute__((aligned(64))) = {.palette = 1,
                                    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                    .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

/* A thread's configuration is its own, and a library may have left another. */
static void amx_begin(void)
{
    _tile_loadconfig(&whole_tiles);
}

/* Without it the system saves 8 KiB at every switch, and other code may run slower. */
static void amx_end(void)
{
    _tile_release();
}

const struct rn_tile_unit rn_tile_amx = {amx_begin, amx_end, tile_block, tile_pairs};

rn_result rn_cpu_amx_device_open(struct rn_device **out, struct rn_error *err)
{
    return rn_cpu_tile_device_open(&rn_tile_amx, "amx", out, err);
}

float rn_tile_amx_peak(size_t rounds)
{
    float sums[256];
    amx_begin();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (size_t i = 0; i < rounds; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, 64);
    amx_end();
    return sums[0];
}

#endif
